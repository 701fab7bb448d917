"""Folders as last listed, with their counters."""

from typing import Any, ClassVar

from sqlalchemy import Index

from .base import StoreTable, identity, integer, raw, reference, words

__all__ = ["FolderRow"]


class FolderRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "folders"
    __table_args__: ClassVar[Any] = (
        Index("folders_by_name", "account_id", "name"),
        Index("folders_by_path", "account_id", "path"),
        Index("folders_by_change", "changed_seq"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("FolderId: survives renames")
    account_id: int = reference("accounts.id", "whose folder")
    name: bytes = raw("the source's own octets: the key on the server")
    path: str = words("str(FolderPath): decoded names joined by /, escaped")
    delimiter: str | None = words("the server's delimiter of this folder; NULL: flat", None)
    role: str = words("Role value; empty: none")
    attributes: str = words("attributes as listed, lower case, sorted, joined by line feeds")
    selectable: int = integer("0: cannot be opened", 1)
    subscribed: int | None = integer("1 subscribed, 0 not; NULL: the source does not tell", None)
    object_id: str = words("MAILBOXID (RFC 8474); empty: none")
    state: str = words("FolderState value", "active")
    missing_since: int | None = integer("since when it is not listed any more; NULL: it is listed", None)
    note: str = words("why it is in this state, one sentence for people")
    messages: int = integer("counter: visible messages (their header is here)")
    unseen: int = integer("counter: visible messages without \\Seen")
    bodies: int = integer("counter: messages whose raw octets are here")
    listed: int = integer("counter: all rows of this folder")
    created_seq: int = integer("change number of its first appearance")
    changed_seq: int = integer("change number of its last change (not of its messages)")
