"""Messages: one row is one message in one folder, under (folder, UIDVALIDITY epoch, UID)."""

from typing import Any, ClassVar

from sqlalchemy import Index, text

from .base import DATELESS, StoreTable, identity, integer, reference, words

__all__ = ["MessageRow"]

VISIBLE = text("header_id IS NOT NULL")


class MessageRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "messages"
    __table_args__: ClassVar[Any] = (
        Index("messages_by_uid", "folder_id", "epoch", "uid", unique=True),
        Index("messages_by_folder", "folder_id"),
        Index("messages_newest", "folder_id", "internal_at", "key", sqlite_where=VISIBLE),
        Index("messages_newest_all", "account_id", "internal_at", "key", sqlite_where=VISIBLE),
        Index("messages_by_change", "changed_seq", sqlite_where=VISIBLE),
        Index("messages_headerless", "folder_id", "uid", sqlite_where=text("header_id IS NULL")),
        Index("messages_bodiless", "folder_id", "uid", sqlite_where=text("blob_id IS NULL")),
        Index("messages_by_email_id", "account_id", "email_id", sqlite_where=text("email_id <> ''")),
        Index("messages_assumed", "folder_id", "uid", sqlite_where=text("likeness = 1")),
        Index("messages_by_header", "header_id", sqlite_where=VISIBLE),
        Index("messages_by_twin", "twin_of", sqlite_where=text("twin_of IS NOT NULL")),
        Index("messages_wished", "account_id", "key", sqlite_where=text("local_flags IS NOT NULL")),
        Index("messages_by_blob", "blob_id", sqlite_where=text("blob_id IS NOT NULL")),
        {"sqlite_autoincrement": True},
    )

    key: int | None = identity("MessageKey: for ever, never reused")
    account_id: int = reference("accounts.id", "whose message")
    folder_id: int = reference("folders.id", "in which folder")
    epoch: int = integer("UIDVALIDITY that gives uid its meaning; 0: pending, no place on the server yet")
    uid: int = integer("the source's number in this folder and epoch; pending: the key")
    server_flags: int = integer("system flags as last told: 1 Answered, 2 Flagged, 4 Deleted, 8 Seen, 16 Draft")
    server_keywords: str = words("other flags as the server last told, as spelled, sorted, joined by line feeds")
    local_flags: int | None = integer("system flags as people here want them; NULL: as the server's", None)
    local_keywords: str | None = words("other flags as people here want them; NULL: as the server's", None)
    mod_seq: int = integer("modification sequence told with server_flags; 0: none")
    internal_at: int = integer("internal date; the constant DATELESS when there is none", DATELESS)
    internal_offset: int = integer("offset from UTC of the internal date as told, minutes")
    size: int | None = integer("octets as the server reports them; NULL: not told", None)
    header_id: int | None = reference("headers.id", "its header block; NULL: not here, not visible", nullable=True)
    blob_id: int | None = reference("blobs.id", "its raw octets; NULL: not here", nullable=True)
    email_id: str = words("EMAILID (RFC 8474) or X-GM-MSGID; empty: none")
    created_seq: int = integer("change number of its becoming visible; 0: not yet")
    changed_seq: int = integer("change number of its last visible change; 0: not yet visible")
    likeness: int = integer("0: its octets came for it or are proven; 1: assumed; 2: were assumed, and wrongly")
    twin_of: int | None = integer(
        "key of the message, moved or deleted here, whose place on the server this row keeps; NULL: an ordinary row",
        None,
    )
