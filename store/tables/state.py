"""One row about the store itself (the only table without an account)."""

from typing import Any, ClassVar

from .base import StoreTable, integer

__all__ = ["StateRow"]


class StateRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "state"

    id: int = integer("always 1", 1, primary_key=True)
    change_seq: int = integer("the last change number given out; only grows")
    purged_seq: int = integer("the highest change number of a purged tombstone: older cursors cannot be served")
