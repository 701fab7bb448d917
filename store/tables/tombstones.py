"""What is gone: kept for a week, so that change cursors learn of it and a wrong deletion costs no download."""

from typing import Any, ClassVar

from sqlalchemy import Index, text

from .base import DATELESS, StoreTable, identity, integer, raw, reference, words

__all__ = ["FolderTombstoneRow", "TombstoneRow"]


class TombstoneRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "tombstones"
    __table_args__: ClassVar[Any] = (
        Index("tombstones_by_seq", "seq"),
        Index("tombstones_by_age", "removed_at"),
        Index("tombstones_by_folder", "folder_id", "epoch", "uid"),
        Index("tombstones_by_email_id", "account_id", "email_id", sqlite_where=text("email_id <> ''")),
        Index("tombstones_by_date", "account_id", "internal_at"),
        Index("tombstones_by_header", "header_id"),
        Index("tombstones_by_blob", "blob_id"),
    )

    key: int = integer("MessageKey of the message that was", 0, primary_key=True)
    account_id: int = reference("accounts.id", "whose message")
    folder_id: int = integer("FolderId it was in (the folder may be gone too)")
    epoch: int = integer("UIDVALIDITY it had")
    uid: int = integer("UID it had")
    server_flags: int = integer("as in messages")
    server_keywords: str = words("as in messages")
    mod_seq: int = integer("as in messages")
    internal_at: int = integer("as in messages", DATELESS)
    internal_offset: int = integer("as in messages")
    size: int | None = integer("as in messages", None)
    header_id: int | None = reference("headers.id", "its header block is kept as long as this row", nullable=True)
    blob_id: int | None = reference("blobs.id", "its raw octets are kept as long as this row", nullable=True)
    email_id: str = words("as in messages")
    created_seq: int = integer("change number of its becoming visible; 0: it never was")
    seq: int = integer("change number of its removal; 0: it never was visible, nobody needs to hear")
    removed_at: int = integer("when it was removed")
    likeness: int = integer("as in messages")
    local_flags: int | None = integer("as in messages", None)
    local_keywords: str | None = words("as in messages", None)


class FolderTombstoneRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "folder_tombstones"
    __table_args__: ClassVar[Any] = (Index("folder_tombstones_by_seq", "seq"),)

    id: int | None = identity("FolderId of the folder that was")
    account_id: int = reference("accounts.id", "whose folder")
    name: bytes = raw("the source's own octets")
    created_seq: int = integer("change number of its first appearance")
    seq: int = integer("change number of its removal")
    removed_at: int = integer("when it was removed")
