"""One row about the store itself (the only table without an account)."""

from typing import Any, ClassVar

from .base import StoreTable, integer

__all__ = ["StateRow"]


class StateRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "state"

    id: int = integer("always 1", 1, primary_key=True)
    change_seq: int = integer("the last change number given out; only grows")
    purged_seq: int = integer("the highest change number of a purged tombstone: older cursors cannot be served")
    cleaned_at: int = integer("when a cleaning last came to its end; 0: never")
    next_blob: int = integer("id of blobs at which a cleaning that was cut off goes on; 0: none was cut off")
    next_header: int = integer("the same of headers")
