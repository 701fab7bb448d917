"""What a manager remembers of handlers and their items: what people chose, and what an administrator refuses."""

from typing import Any, ClassVar

from sqlalchemy import Index

from .base import StoreTable, identity, integer, words

__all__ = ["HandlerRow"]


class HandlerRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "sync_items"
    __table_args__: ClassVar[Any] = (
        Index("sync_items_by_name", "handler", "item", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("our number of the row")
    handler: str = words("the handler's own id")
    item: str = words("the handler's own id of the item; empty: the handler as a whole")
    enabled: int | None = integer("1: it is synchronized; 0: it is not; NULL: nobody chose", None)
    active: int = integer("1: the handler is set up", 1)
    removed: int = integer("1: the item left the sync set")
    policies: int = integer("an administrator's bits, SYNCMGR_HPM or SYNCMGR_IPM")
    reason: str = words("why; empty where there are no bits")
    synced_at: int | None = integer("when it was last seen to succeed; NULL: never", None)
