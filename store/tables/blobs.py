"""Raw octets of whole messages: a row per content, chunks of at most 256 kB, and what is half here."""

from typing import Any, ClassVar

from sqlalchemy import Index

from .base import StoreTable, identity, integer, raw, reference

__all__ = ["BlobRow", "ChunkRow", "PartialRow"]


class BlobRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "blobs"
    __table_args__: ClassVar[Any] = (
        Index("blobs_by_digest", "account_id", "digest", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("BlobId")
    account_id: int = reference("accounts.id", "whose mail: octets are not shared between accounts")
    digest: bytes | None = raw("blake2b-256 of the raw octets; NULL: not whole yet, in no message", None)
    octets: int = integer("length of the raw octets that are here")
    chunks: int = integer("how many chunks are here, numbered from 0")


class ChunkRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "chunks"
    __table_args__: ClassVar[Any] = (
        Index("chunks_in_order", "blob_id", "number", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("our number of the chunk")
    account_id: int = reference("accounts.id", "whose mail")
    blob_id: int = reference("blobs.id", "of which content", cascade=True)
    number: int = integer("its place, from 0 without gaps")
    octets: int = integer("length of its raw octets, at most 262,144")
    data: bytes = raw("its raw octets, one zstd frame with a checksum")


class PartialRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "partials"
    __table_args__: ClassVar[Any] = (
        Index("partials_by_uid", "folder_id", "epoch", "uid", "run_id", unique=True),
        Index("partials_by_account", "account_id"),
    )

    blob_id: int = reference("blobs.id", "the unfinished content", primary_key=True, cascade=True)
    account_id: int = reference("accounts.id", "whose mail")
    folder_id: int = reference("folders.id", "of a message in this folder", cascade=True)
    epoch: int = integer("of this UIDVALIDITY")
    uid: int = integer("with this UID")
    run_id: int = integer("which run has it half: two lanes may bring one message; 0: none")
