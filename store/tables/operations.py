"""The log of what people want done: one row an operation, kept until the grace period after its end is over."""

from typing import Any, ClassVar

from sqlalchemy import Index, text

from .base import StoreTable, identity, integer, raw, reference, words

__all__ = ["OperationRow"]


class OperationRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "operations"
    __table_args__: ClassVar[Any] = (
        Index("operations_pending", "account_id", "id", sqlite_where=text("finished_at IS NULL")),
        Index("operations_by_account", "account_id", "id"),
        Index("operations_by_message", "message", "id", sqlite_where=text("message IS NOT NULL")),
        Index("operations_by_origin", "origin", sqlite_where=text("origin IS NOT NULL")),
        Index("operations_by_folder", "folder_id", "id"),
        Index("operations_by_batch", "batch", "id"),
        Index("operations_awaiting", "account_id", "id", sqlite_where=text("awaits = 1")),
        Index("operations_by_age", "finished_at", sqlite_where=text("finished_at IS NOT NULL")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("OperationId: ascending in the order in which things were wanted")
    account_id: int = reference("accounts.id", "whose mail")
    batch: int = integer("operations of one call of a person share it; the id of the first of them")
    kind: str = words("OperationKind value")
    state: str = words("OperationState value", "queued")
    message: int | None = integer("MessageKey; NULL: it is about a folder", None)
    folder_id: int = integer("where the message was (append, copy: where it is to be), or the folder it is about")
    target_id: int | None = integer("FolderId it is moved to; NULL: it is not", None)
    twin: int | None = integer("key of the row that keeps the message's place; NULL: none", None)
    origin: int | None = integer("MessageKey that is copied, or that replaces this one (delete); NULL: none", None)
    added: str = words("flags that this added, sorted, joined by line feeds")
    removed: str = words("flags that this took away, sorted, joined by line feeds")
    path: str | None = words("path of the folder before; NULL: it is about a message", None)
    name: bytes | None = raw("the source's own octets of the folder when it was wanted; NULL: not there yet", None)
    tries: int = integer("how often it was sent, or refused for now")
    next_try_at: int | None = integer("not before; NULL: at once", None)
    reason: str = words("why it is in this state, one sentence for people")
    server_text: str = words("what the server said: hostile")
    created_at: int = integer("when it was wanted")
    finished_at: int | None = integer("when it was done or refused; NULL: it is pending", None)
    epoch_before: int | None = integer(
        "UIDVALIDITY of the target before the attempt; NULL: no attempt, not known", None
    )
    uid_next_before: int | None = integer("UIDNEXT of the target before the attempt; NULL: no attempt, not known", None)
    awaits: int = integer("1: done, and where its message came to is not known yet: the next listing tells")
    kept: int = integer("1: refused, and its effect here was kept")
    approved: int = integer("1: a person let it be sent, however much it removes")
    key_before: int = integer("the last MessageKey given out when it was wanted: what has a higher one came later")
