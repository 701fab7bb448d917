"""Many rows in one step of SQLite: the same statements as for one row, with one group of places repeated.

Python lets go of the interpreter lock for every step of a statement, and a writer that works beside the threads which
read and compress waits longer to get it back than the step takes. So what is written and looked up by the hundred goes
in statements of many rows. Statements are made for powers of two only: few texts, each prepared once.
"""

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Table, bindparam, column, func, select, update, values

from .statements import sql

__all__ = ["all_of", "find_many", "in_one_row", "page_in_one_row", "update_many", "write_many"]

_VALUES_MAX = 16_384
"""Values of one statement; SQLite takes 32,766 since 3.32."""
_ROWS_MAX = 32
"""SQLite keeps in memory what every page that a statement changes was before it, and keys are hashes: a row, a page."""


def write_many(connection: sqlite3.Connection, statement: str, rows: Sequence[Sequence[object]]) -> None:
    """Run *statement*, which holds one ``VALUES (...)`` for one row, for all *rows* in as few steps as can be."""
    for part in _parts(rows, len(rows[0]) if rows else 1):
        connection.execute(_for(statement, "VALUES (", len(part)), tuple(chain.from_iterable(part)))


def find_many(
    connection: sqlite3.Connection, statement: str, before: Sequence[object], wanted: Collection[object]
) -> Iterator[list[Any]]:
    """Yield what *statement*, which ends in ``IN (?)`` and selects ``in_one_row``, finds of *wanted*, in any order.

    *before*: the values of the places before that one.
    """
    for part in _parts(list(wanted), 1):
        yield from all_of(connection, _for(statement, "IN (", len(part)), (*before, *part))


def all_of(connection: sqlite3.Connection, statement: str, values: Sequence[object]) -> list[list[Any]]:
    """Return what *statement*, which selects ``in_one_row``, finds."""
    found: list[list[Any]] = json.loads(connection.execute(statement, values).fetchone()[0])
    return found


def update_many(of: Table, changed: str) -> str:
    """Return a statement for ``write_many`` that sets the columns *changed* of rows of *of*, the table of messages.

    A row of values begins with the key of the message.
    """
    columns = ["message", *changed.split()]
    told = values(*(column(name, Integer) for name in columns), name="told")
    rows = told.data([tuple(map(bindparam, columns))]).cte("told")
    setting = update(of).where(of.c.key == rows.c.message).values({name: rows.c[name] for name in changed.split()})
    return sql(setting, " ".join(columns))


def in_one_row(*columns: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return an expression for all rows of a select as one: a JSON list of lists. Numbers and text only."""
    return func.json_group_array(func.json_array(*columns))


def page_in_one_row(page: Select[Any]) -> Select[Any]:
    """Return a select that gives the rows of *page* (whose limit goes by its order) as ``in_one_row``, in any order."""
    rows = page.subquery("page")
    return select(in_one_row(*rows.c)).select_from(rows)


def _parts(rows: Sequence[Any], width: int) -> Iterator[Sequence[Any]]:
    """Yield *rows* in parts whose lengths are powers of two, the large ones first."""
    at, size = 0, _ROWS_MAX
    while size * width > _VALUES_MAX:
        size //= 2
    while at < len(rows):
        while size > len(rows) - at:
            size //= 2
        yield rows[at : at + size]
        at += size


@lru_cache(maxsize=512)
def _for(statement: str, opening: str, rows: int) -> str:
    """Return *statement* with the group behind *opening* repeated; a list of single places grows within its brackets.

    >>> _for("INSERT INTO t (a, b) VALUES (?, ?)", "VALUES (", 2)
    'INSERT INTO t (a, b) VALUES (?, ?), (?, ?)'
    >>> _for("SELECT a FROM t WHERE b IN (?)", "IN (", 3)
    'SELECT a FROM t WHERE b IN (?, ?, ?)'
    """
    start = statement.rindex(opening) + len(opening)
    end = statement.index(")", start)
    group = statement[start:end]
    between = ", " if opening == "IN (" else "), ("
    return statement[:start] + between.join([group] * rows) + statement[end:]
