"""From Core statements to SQLite's text: built from the table classes, compiled once, run by plain ``sqlite3``.

So the schema is declared once and a column that does not exist fails when this room is imported, and yet no call pays
for an expression tree (docs/decisions/0002). Parameters are positional; the order is written beside each statement and
checked here.
"""

import re
from typing import Any

from sqlalchemy import BindParameter, bindparam
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement

__all__ = ["names", "p", "sql"]

_NAMED = re.compile(r"(?<![:\w]):(\w+)")


def sql(statement: ClauseElement, parameters: str = "") -> str:
    """Return *statement* as SQLite text with ``?`` for each of *parameters* (names, in the order they stand in it).

    Values that are part of the statement are written out; they are numbers of ours, never anything from outside.
    """
    compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"))
    order: list[str] = []
    expected = parameters.split()

    def place(match: "re.Match[str]") -> str:
        name = match[1]
        if name in expected:
            order.append(name)
            return "?"
        value = compiled.params[name]
        if not isinstance(value, int):
            raise TypeError(f"the parameter {name} of a statement has no place")
        return str(value)

    text = " ".join(_NAMED.sub(place, str(compiled)).split())
    if order != expected:
        raise TypeError(f"a statement takes {order}, not {expected}")
    return text


def p(name: str) -> BindParameter[Any]:
    """Return a place for a value."""
    return bindparam(name)


def names(text: str) -> dict[str, BindParameter[Any]]:
    """Return a place for each column named in *text*: the values of an insert or update."""
    return {name: bindparam(name) for name in text.split()}
