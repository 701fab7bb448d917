"""Rows of the event log: noted, cleared, bounded, read. Invariant (a unique index): one open row for one thing."""

import sqlite3
from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, func, insert, literal_column, select, update

from ..instants import from_micros
from ..tables import LogRow, table
from .statements import names, p, sql
from .values import storable
from .writing import Writing

__all__ = ["any_open", "bound", "clear", "forget_account", "note", "of_account", "open_errors", "open_of", "remove"]

_t = table(LogRow)
_COLUMNS = "id account_id item severity kind folder uid text run first_at last_at count cleared_at"
_NEW = "account_id item severity kind folder uid text run first_at last_at"
_of = _t.c.account_id == p("account")
_open = _t.c.cleared_at.is_(None)

OF_ACCOUNT = sql(select(*(_t.c[name] for name in _COLUMNS.split())).where(_of).order_by(_t.c.id), "account")
OPEN = sql(select(_t.c.id, _t.c.kind, _t.c.folder).where(_of, _t.c.item == p("of_item"), _open), "account of_item")
OPEN_ERRORS = sql(
    select(func.count()).select_from(_t).where(_of, _t.c.severity == literal_column("3"), _open), "account"
)
ANY_OPEN = sql(select(func.count()).select_from(_t).where(_of, _open), "account")
SAME = sql(
    select(_t.c.id).where(
        _of,
        _t.c.item == p("of_item"),
        _t.c.kind == p("of_kind"),
        _t.c.folder == p("of_folder"),
        _t.c.severity == p("of_severity"),
        _open,
    ),
    "account of_item of_kind of_folder of_severity",
)
ADD = sql(insert(_t).values(**names(_NEW)), _NEW)
AGAIN = sql(
    update(_t).where(_t.c.id == p("of_id")).values(**names("uid text run last_at"), count=_t.c.count + p("more")),
    "uid text run last_at more of_id",
)
CLEAR = sql(update(_t).where(_t.c.id == p("of_id")).values(**names("cleared_at")), "cleared_at of_id")
REMOVE = sql(delete(_t).where(_t.c.id == p("of_id")), "of_id")
# What is over goes first, then the oldest.
ORDER = sql(select(_t.c.id).where(_of).order_by(_open, _t.c.id), "account")
FORGET_ACCOUNT = sql(delete(_t).where(_of), "account")


def note(
    work: Writing,
    account: int,
    item: str,
    run: int | None,
    severity: int,
    kind: str,
    folder: str,
    uid: int | None,
    text: str,
) -> int:
    """Count an open row up, or add one; return its id."""
    folder, text = storable(folder), storable(text)
    row = work.connection.execute(SAME, (account, item, kind, folder, severity)).fetchone()
    if row is not None:
        work.connection.execute(AGAIN, (uid, text, run, work.now, 1, row[0]))
        return int(row[0])
    values = (account, item, severity, kind, folder, uid, text, run, work.now, work.now)
    number = work.connection.execute(ADD, values).lastrowid
    assert number is not None
    return number


def open_of(connection: sqlite3.Connection, account: int, item: str) -> list[tuple[int, str, str]]:
    """Return id, kind and folder of the rows that last."""
    return list(connection.execute(OPEN, (account, item)).fetchall())


def open_errors(connection: sqlite3.Connection, account: int) -> int:
    """Return how many errors last."""
    return int(connection.execute(OPEN_ERRORS, (account,)).fetchone()[0])


def any_open(connection: sqlite3.Connection, account: int) -> bool:
    """Tell whether anything lasts."""
    return bool(connection.execute(ANY_OPEN, (account,)).fetchone()[0])


def clear(work: Writing, id_: int) -> None:
    """Note that a row is over."""
    work.connection.execute(CLEAR, (work.now, id_))


def bound(work: Writing, account: int, rows_max: int) -> None:
    """Remove what is more than *rows_max* rows."""
    ids = work.connection.execute(ORDER, (account,)).fetchall()
    work.connection.executemany(REMOVE, ids[: max(0, len(ids) - rows_max)])


def remove(work: Writing, ids: Iterable[int]) -> int:
    """Remove rows; return how many there were."""
    return sum(work.connection.execute(REMOVE, (id_,)).rowcount for id_ in set(ids))


def of_account(connection: sqlite3.Connection, account: int) -> list[tuple[int, int, dict[str, Any]]]:
    """Return account, severity and the other facts of each row, in the order of the ids."""
    return [_facts(row) for row in connection.execute(OF_ACCOUNT, (account,))]


def forget_account(work: Writing, account: int) -> None:
    """Remove the rows of an account that is removed."""
    work.connection.execute(FORGET_ACCOUNT, (account,))


def _facts(row: tuple[Any, ...]) -> tuple[int, int, dict[str, Any]]:
    facts = dict(zip(_COLUMNS.split(), row, strict=True))
    account, severity = facts.pop("account_id"), facts.pop("severity")
    for name in ("first_at", "last_at", "cleared_at"):
        facts[name] = None if facts[name] is None else from_micros(facts[name])
    facts["folder"] = facts["folder"] or None
    return account, severity, facts
