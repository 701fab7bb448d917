"""What one unit of work shares: the connection, the instant, change numbers and fresh ids.

Change numbers and ids are given out in memory and are safe, because the write lock is held: nobody else takes any.
"""

import sqlite3
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import column, select, table, update

from ..tables import StateRow
from ..tables import table as of
from .statements import names, p, sql

__all__ = ["Unit", "Writing", "change_seq"]

_state = of(StateRow)
_sequence = table("sqlite_sequence", column("name"), column("seq"))

CHANGE_SEQ = sql(select(_state.c.change_seq))
SAVE_CHANGE_SEQ = sql(update(_state).values(**names("change_seq")), "change_seq")
LAST_ID = sql(select(_sequence.c.seq).where(_sequence.c.name == p("name")), "name")


def change_seq(connection: sqlite3.Connection) -> int:
    """Return the last change number that is committed."""
    return int(connection.execute(CHANGE_SEQ).fetchone()[0])


class Writing:
    """One write transaction under way; ``now`` in microseconds since 1970 UTC, ``run`` the run that writes, 0: none.

    ``seq_before``: what has a change number above it happened in this transaction, and nobody has heard of it.
    """

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self.connection = connection
        self.now = now
        self.run = 0
        self.seq_before = change_seq(connection)
        self._seq = self.seq_before

    def take(self, count: int = 1) -> int:
        """Return the first of *count* new change numbers in a row."""
        first = self._seq + 1
        self._seq += count
        return first

    def next_id(self, name: str) -> int:
        """Return the id that the next row of table *name* shall have; never one that was used before."""
        row = self.connection.execute(LAST_ID, (name,)).fetchone()
        return int(row[0]) + 1 if row else 1

    def flush(self) -> None:
        """Write down the change numbers given out; nothing when none were."""
        if self._seq != self.seq_before:
            self.connection.execute(SAVE_CHANGE_SEQ, (self._seq,))


class Unit(Protocol):
    """Opens a unit of work (``MailStore._unit``): *name* for the log, *durable* on disk when it ends."""

    def __call__(self, name: str, *, durable: bool = False) -> AbstractContextManager[Writing]: ...
