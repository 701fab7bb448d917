"""Reading every octet back: does each header and each content still have the digest under which it was stored?

blake2b over all of it, so any flipped bit in mail is found, wherever compression or SQLite would have let it through.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from .encode import DIGEST_OCTETS
from .errors import StoreDamaged
from .mail import BlobId, HeaderId
from .sql import invariants as q
from .sql.blobs import raw_octets
from .sql.headers import raw_header

__all__ = ["Octets", "blob_digests_match", "header_digests_match"]


@dataclass(slots=True)
class Octets:
    """How much was read."""

    blobs: int = 0
    octets: int = 0


def _messages_of(connection: sqlite3.Connection, statement: str, owner: int) -> tuple[int, ...]:
    return tuple(key for (key,) in connection.execute(statement, (owner,)))


def header_digests_match(connection: sqlite3.Connection, octets: Octets) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every header block has the digest under which it is stored."""
    for id_, digest, length in connection.execute(q.HEADERS):
        try:
            block = raw_header(connection, HeaderId(id_))
            octets.octets += len(block)
            good = blake2b(block, digest_size=DIGEST_OCTETS).digest() == digest and len(block) == length
        except StoreDamaged:
            good = False
        if not good:
            text = f"header {id_} is damaged: fetch its messages again"
            yield text, _messages_of(connection, q.MESSAGES_WITH_HEADER, id_)


def blob_digests_match(connection: sqlite3.Connection, octets: Octets) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every whole content has the digest under which it is stored."""
    for (id_,) in connection.execute(q.WHOLE_BLOBS):
        try:
            for piece in raw_octets(connection, BlobId(id_)):
                octets.octets += len(piece)
            octets.blobs += 1
        except StoreDamaged:
            text = f"the octets of blob {id_} are damaged: fetch its messages again"
            yield text, _messages_of(connection, q.MESSAGES_WITH_BLOB, id_)
