"""Rows of handlers and their items: written, and read as values. What they mean: ``store.handlers``."""

import sqlite3
from typing import NamedTuple

from sqlalchemy import delete, insert, select

from ..tables import HandlerRow, table
from .statements import names, p, sql
from .writing import Writing

__all__ = ["Row", "of_handler", "put"]

_t = table(HandlerRow)
_COLUMNS = "handler item enabled active removed policies reason synced_at"
OF_HANDLER = sql(
    select(*(_t.c[name] for name in _COLUMNS.split())).where(_t.c.handler == p("of_handler")).order_by(_t.c.item),
    "of_handler",
)
ADD = sql(insert(_t).values(**names(_COLUMNS)), _COLUMNS)
FORGET = sql(delete(_t).where(_t.c.handler == p("of_handler")).where(_t.c.item == p("of_item")), "of_handler of_item")


class Row(NamedTuple):
    """A row of ``sync_items``, column by column, its id left out."""

    handler: str
    item: str
    enabled: int | None
    active: int
    removed: int
    policies: int
    reason: str
    synced_at: int | None


def of_handler(connection: sqlite3.Connection, handler: str) -> list[Row]:
    """Return what is remembered of a handler and its items; the handler itself first."""
    return [Row(*found) for found in connection.execute(OF_HANDLER, (handler,))]


def put(work: Writing, rows: list[Row]) -> None:
    """Write rows in place of those of the same items."""
    work.connection.executemany(FORGET, [(row.handler, row.item) for row in rows])
    work.connection.executemany(ADD, rows)
