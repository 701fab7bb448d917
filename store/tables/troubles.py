"""Messages that could not be brought: asked but not answered ("missing"), or refusing to be read ("poison")."""

from typing import Any, ClassVar

from sqlalchemy import Index

from .base import StoreTable, identity, integer, reference, words

__all__ = ["TroubleRow"]


class TroubleRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "troubles"
    __table_args__: ClassVar[Any] = (
        Index("troubles_by_uid", "folder_id", "epoch", "uid", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("our number of the trouble")
    account_id: int = reference("accounts.id", "whose message")
    folder_id: int = reference("folders.id", "in which folder", cascade=True)
    epoch: int = integer("of this UIDVALIDITY")
    uid: int = integer("with this UID")
    kind: str = words("missing or poison", "missing")
    reason: str = words("one sentence for people")
    tries: int = integer("how often it was tried in vain")
    next_try_at: int = integer("not to be asked for before")
