"""Rows of alerts: raised, cleared, told, bounded, read. Invariant (a unique index): one open row an account."""

import sqlite3
from typing import NamedTuple

from sqlalchemy import delete, insert, select, update

from ..tables import AlertRow, table
from .statements import names, p, sql
from .writing import Writing

__all__ = ["NEVER", "Row", "change", "clear", "forget_account", "of_account", "open_row", "raise_", "to_tell"]

NEVER = 2**62
"""``next_try`` of an alert that is not told any more."""
ROWS_MAX = 100
"""Alerts of one account; the oldest go first."""

_t = table(AlertRow)
_COLUMNS = tuple(column.name for column in _t.c)
_NEW = "account_id item kind folder text run raised_at"
_STANDING = "cleared_at told_raised told_cleared tries next_try"
_of = _t.c.account_id == p("account")
_read = select(*(_t.c[name] for name in _COLUMNS))

OF_ACCOUNT = sql(_read.where(_of).order_by(_t.c.id), "account")
OPEN = sql(_read.where(_of, _t.c.cleared_at.is_(None)), "account")
TO_TELL = sql(_read.where(_t.c.next_try <= p("until")).order_by(_t.c.next_try), "until")
ADD = sql(insert(_t).values(**names(_NEW)), _NEW)
CHANGE = sql(update(_t).where(_t.c.id == p("of_id")).values(**names(_STANDING)), f"{_STANDING} of_id")
IDS = sql(select(_t.c.id).where(_of).order_by(_t.c.id), "account")
REMOVE = sql(delete(_t).where(_t.c.id == p("of_id")), "of_id")
FORGET_ACCOUNT = sql(delete(_t).where(_of), "account")


class Row(NamedTuple):
    """A row of ``alerts``, column by column."""

    id: int
    account_id: int
    item: str
    kind: str
    folder: str
    text: str
    run: int | None
    raised_at: int
    cleared_at: int | None
    told_raised: str
    told_cleared: str
    tries: int
    next_try: int


def raise_(work: Writing, account: int, item: str, kind: str, folder: str, text: str, run: int | None) -> None:
    """Open the alert of an account, which has none that is open."""
    work.connection.execute(ADD, (account, item, kind, folder, text, run, work.now))
    ids = work.connection.execute(IDS, (account,)).fetchall()
    work.connection.executemany(REMOVE, ids[: max(0, len(ids) - ROWS_MAX)])


def clear(work: Writing, account: int) -> None:
    """Note that the open alert of an account is over; who heard of it is to hear of that."""
    row = open_row(work.connection, account)
    if row is not None:
        change(work, row, cleared_at=work.now, tries=0, next_try=0 if row.told_raised else NEVER)


def open_row(connection: sqlite3.Connection, account: int) -> Row | None:
    """Return the open alert of an account."""
    found = connection.execute(OPEN, (account,)).fetchone()
    return None if found is None else Row(*found)


def of_account(connection: sqlite3.Connection, account: int) -> list[Row]:
    """Return the alerts of an account, oldest first."""
    return [Row(*row) for row in connection.execute(OF_ACCOUNT, (account,))]


def to_tell(connection: sqlite3.Connection, until: int) -> list[Row]:
    """Return the alerts that may be told until then, be there somebody to tell or not."""
    return [Row(*row) for row in connection.execute(TO_TELL, (until,))]


def change(work: Writing, row: Row, **changed: int | str | None) -> None:
    """Write a row with some columns changed."""
    after = row._replace(**changed)  # type: ignore[arg-type]  # the names are those of Row, and a test writes each
    work.connection.execute(CHANGE, (*(getattr(after, name) for name in _STANDING.split()), row.id))


def forget_account(work: Writing, account: int) -> None:
    """Remove the rows of an account that is removed."""
    work.connection.execute(FORGET_ACCOUNT, (account,))
