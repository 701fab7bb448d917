"""Raw header blocks, once each however many messages carry them, beside the few fields that lists show."""

from typing import Any, ClassVar

from sqlalchemy import Index

from .base import StoreTable, identity, integer, raw, reference, words

__all__ = ["HeaderRow"]


class HeaderRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "headers"
    __table_args__: ClassVar[Any] = (
        Index("headers_by_digest", "account_id", "digest", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("HeaderId")
    account_id: int = reference("accounts.id", "whose mail: octets are not shared between accounts")
    digest: bytes = raw("blake2b-256 of the raw block")
    octets: int = integer("length of the raw block")
    data: bytes = raw("the raw block, one zstd frame with a checksum")
    subject: str = words("decoded")
    senders: str = words("From: JSON list of [name, address]", "[]")
    date_at: int | None = integer("Date; NULL: absent or not to be understood", None)
    date_offset: int = integer("offset from UTC of Date as written, minutes")
    message_id: str = words("Message-ID without angle brackets; empty: none")
    received: int = integer("1: has a Received field: the message travelled")
