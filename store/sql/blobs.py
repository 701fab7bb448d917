"""Raw octets: chunks in, whole messages out. A content is stored once an account, however many messages hold it.

Blob first, row second: a message points at a blob only in the transaction that stored its last chunk, so no reader ever
sees half a message (reliability D3). What is half here is a row of ``partials`` and survives commits, not runs. Each
run has halves of its own, since both lanes may bring one message at once: the first that is whole is kept.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, repeat
from typing import NamedTuple

from sqlalchemy import delete, func, insert, select, update

from ..encode import (
    CHUNK_OCTETS,
    DIGEST_OCTETS,
    HEADER_OCTETS_MAX,
    EncodedChunk,
    Encoder,
    HeaderBlock,
    digest_of,
    expanded,
)
from ..errors import StoreDamaged
from ..mail import BlobId, HeaderId, MessageKey, Uid, UidSet
from ..messages import BodiesStored
from ..mime import split_header
from ..tables import BlobRow, ChunkRow, MessageRow, PartialRow, RunRow, table
from .bulk import find_many, in_one_row, update_many, write_many
from .folders import count
from .headers import header_ids
from .rows import Place, is_unseen
from .statements import names, p, sql
from .writing import Writing

__all__ = [
    "account_of",
    "add_chunks",
    "drop_left_partials",
    "drop_partials",
    "facts",
    "forget_partials",
    "keep",
    "piece_of",
    "raw_octets",
]

_t, _blobs, _chunks, _partials = table(MessageRow), table(BlobRow), table(ChunkRow), table(PartialRow)
_runs = table(RunRow)
_CHUNK = "account_id blob_id number octets data"

MESSAGES = sql(
    select(
        in_one_row(
            _t.c.uid, _t.c.key, _t.c.header_id, _t.c.blob_id, _t.c.server_flags, _t.c.local_flags, _t.c.created_seq
        )
    ).where(
        _t.c.twin_of.is_(None),
        _t.c.folder_id == p("folder"),
        _t.c.epoch == p("at_epoch"),
        _t.c.uid.in_([p("at_uid")]),
    ),
    "folder at_epoch at_uid",
)
FILL = update_many(_t, "header_id blob_id created_seq changed_seq")
BY_DIGESTS = sql(
    select(in_one_row(_blobs.c.id, func.hex(_blobs.c.digest))).where(
        _blobs.c.account_id == p("account"), _blobs.c.digest.in_([p("of")])
    ),
    "account of",
)
ADD = sql(
    insert(_blobs).values(**names("id account_id digest octets chunks")),
    "id account_id digest octets chunks",
)
GROW = sql(
    update(_blobs).where(_blobs.c.id == p("blob")).values(**names("digest octets chunks")), "digest octets chunks blob"
)
DROP = sql(delete(_blobs).where(_blobs.c.id == p("blob")), "blob")
ADD_CHUNK = sql(insert(_chunks).values(**names(_CHUNK)), _CHUNK)
CHUNKS = sql(
    select(_chunks.c.number, _chunks.c.octets, _chunks.c.data)
    .where(_chunks.c.blob_id == p("blob"))
    .order_by(_chunks.c.number),
    "blob",
)
CHUNK = sql(
    select(_chunks.c.octets, _chunks.c.data).where(_chunks.c.blob_id == p("blob"), _chunks.c.number == p("piece")),
    "blob piece",
)
BLOB = sql(select(_blobs.c.digest, _blobs.c.octets, _blobs.c.chunks).where(_blobs.c.id == p("blob")), "blob")
OWNER = sql(select(_blobs.c.account_id).where(_blobs.c.id == p("blob")), "blob")
PARTIAL = sql(
    select(_blobs.c.id, _blobs.c.octets, _blobs.c.chunks)
    .select_from(_partials.join(_blobs, _blobs.c.id == _partials.c.blob_id))
    .where(
        _partials.c.folder_id == p("folder"),
        _partials.c.epoch == p("at_epoch"),
        _partials.c.uid == p("at_uid"),
        _partials.c.run_id == p("run"),
    ),
    "folder at_epoch at_uid run",
)
ADD_PARTIAL = sql(
    insert(_partials).values(**names("blob_id account_id folder_id epoch uid run_id")),
    "blob_id account_id folder_id epoch uid run_id",
)
END_PARTIAL = sql(delete(_partials).where(_partials.c.blob_id == p("blob")), "blob")
DROP_PARTIALS = sql(
    delete(_blobs).where(_blobs.c.id.in_(select(_partials.c.blob_id).where(_partials.c.account_id == p("account")))),
    "account",
)
DROP_LEFT_PARTIALS = sql(
    delete(_blobs).where(
        _blobs.c.id.in_(
            select(_partials.c.blob_id).where(
                _partials.c.account_id == p("account"),
                _partials.c.run_id.not_in(
                    select(_runs.c.id).where(_runs.c.account_id == p("of"), _runs.c.finished_at.is_(None))
                ),
            )
        )
    ),
    "account of",
)
FORGET_PARTIALS = sql(
    delete(_blobs).where(
        _blobs.c.id.in_(
            select(_partials.c.blob_id).where(
                _partials.c.folder_id == p("folder"),
                _partials.c.epoch == p("at_epoch"),
                _partials.c.uid.between(p("low"), p("high")),
            )
        )
    ),
    "folder at_epoch low high",
)


class _Target(NamedTuple):
    key: MessageKey
    header: int | None
    blob: int | None
    flags: int
    local: int | None
    created: int


@dataclass(slots=True)
class _Partial:
    blob: int
    octets: int
    chunks: int


@dataclass(slots=True)
class _Batch:
    """What one call of ``add_chunks`` has seen so far."""

    targets: dict[int, _Target]
    partials: dict[int, _Partial] = field(default_factory=dict)
    finished: dict[int, tuple[_Target, EncodedChunk, _Partial | None]] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)


def add_chunks(work: Writing, at: Place, chunks: Sequence[EncodedChunk]) -> BodiesStored:
    """Write chunks; give their octets (and a header) to the messages whose last chunk is among them.

    Chunks of messages that are gone, or whole already, are passed over. Chunks of one message come in order.
    """
    batch = _Batch(_targets(work, at, {chunk.uid for chunk in chunks}))
    for chunk in chunks:
        target = batch.targets.get(chunk.uid)
        if target is None or target.blob is not None or chunk.uid in batch.finished or chunk.uid in batch.lost:
            if chunk.number and target is not None and target.blob is not None:
                _drop_own(work, at, chunk.uid)
            continue
        if chunk.number == 0 and chunk.last:
            batch.finished[chunk.uid] = (target, chunk, None)
            continue
        partial = _partial(work, at, batch, chunk)
        if partial is None:
            batch.lost.add(chunk.uid)
            continue
        work.connection.execute(ADD_CHUNK, (at.account, partial.blob, chunk.number, chunk.octets, chunk.data))
        partial.chunks += 1
        partial.octets += chunk.octets
        if chunk.last:
            batch.finished[chunk.uid] = (target, chunk, batch.partials.pop(chunk.uid))
    for partial in batch.partials.values():
        work.connection.execute(GROW, (None, partial.octets, partial.chunks, partial.blob))
    shared = _finish(work, at, list(batch.finished.values()))
    return BodiesStored(whole=len(batch.finished), shared=shared, lost=tuple(Uid(uid) for uid in sorted(batch.lost)))


def _targets(work: Writing, at: Place, uids: set[Uid]) -> dict[int, _Target]:
    found = find_many(work.connection, MESSAGES, (at.folder, at.epoch), uids)
    return {uid: _Target(*row) for uid, *row in found}


def _drop_own(work: Writing, at: Place, uid: Uid) -> None:
    """Drop what this run has half of a message that another one was first to bring."""
    row = work.connection.execute(PARTIAL, (at.folder, at.epoch, uid, work.run)).fetchone()
    if row is not None:
        work.connection.execute(DROP, (row[0],))


def _partial(work: Writing, at: Place, batch: _Batch, chunk: EncodedChunk) -> _Partial | None:
    """Return where *chunk* belongs; None when what came before it is not here any more."""
    partial = batch.partials.get(chunk.uid)
    if partial is None:
        row = work.connection.execute(PARTIAL, (at.folder, at.epoch, chunk.uid, work.run)).fetchone()
        partial = None if row is None else _Partial(*row)
    if chunk.number == 0:
        if partial is not None:  # the message is fetched from its beginning again
            work.connection.execute(DROP, (partial.blob,))
        partial = _Partial(work.next_id("blobs"), 0, 0)
        work.connection.execute(ADD, (partial.blob, at.account, None, 0, 0))
        work.connection.execute(ADD_PARTIAL, (partial.blob, at.account, at.folder, at.epoch, chunk.uid, work.run))
    elif partial is None or partial.chunks != chunk.number:
        return None
    batch.partials[chunk.uid] = partial
    return partial


def _finish(work: Writing, at: Place, finished: list[tuple[_Target, EncodedChunk, _Partial | None]]) -> int:
    """Give whole contents to their messages; return how many were here already."""
    digests = {chunk.digest or b"" for _, chunk, _ in finished}
    known = find_many(work.connection, BY_DIGESTS, (at.account,), digests)
    by_digest: dict[bytes, int] = {bytes.fromhex(digest): blob for blob, digest in known}
    blobs: list[tuple[object, ...]] = []
    rows: list[tuple[object, ...]] = []
    ids: list[int] = []
    shared = next_id = 0
    for _, chunk, partial in finished:
        digest = chunk.digest or b""
        blob = by_digest.get(digest)
        if blob is not None:
            shared += 1
            if partial is not None:
                work.connection.execute(DROP, (partial.blob,))
        elif partial is not None:
            blob = partial.blob
            work.connection.execute(GROW, (digest, partial.octets, partial.chunks, blob))
            work.connection.execute(END_PARTIAL, (blob,))
        else:
            blob = next_id = next_id + 1 if next_id else work.next_id("blobs")
            blobs.append((blob, at.account, digest, chunk.octets, 1))
            rows.append((at.account, blob, 0, chunk.octets, chunk.data))
        by_digest[digest] = blob
        ids.append(blob)
    write_many(work.connection, ADD, blobs)
    write_many(work.connection, ADD_CHUNK, rows)
    _fill(work, at, [(target, chunk) for target, chunk, _ in finished], ids)
    return shared


def _fill(work: Writing, at: Place, finished: list[tuple[_Target, EncodedChunk]], blobs: list[int]) -> None:
    headers = header_ids(work, at.account, [chunk.header for _, chunk in finished if chunk.header is not None])
    seq = work.take(len(finished))
    updates: list[tuple[object, ...]] = []
    messages = unseen = 0
    for (target, _), header, blob in zip(finished, headers, blobs, strict=True):
        if target.header is None:
            messages += 1
            unseen += is_unseen(target.flags, target.local)
        updates.append((target.key, header, blob, target.created or seq, seq))
        seq += 1
    write_many(work.connection, FILL, updates)
    count(work, at.folder, messages=messages, unseen=unseen, bodies=len(finished))


def keep(work: Writing, account: int, pieces: Sequence[bytes]) -> tuple[HeaderId, BlobId]:
    """Store a whole content that is in memory; return the ids of its header and of its octets.

    Compressed piece by piece, so it is here once and not once more.
    """
    digest, head = blake2b(digest_size=DIGEST_OCTETS), b""
    for piece in pieces:
        digest.update(piece)
        head += piece[: HEADER_OCTETS_MAX - len(head)]
    block, _ = split_header(head)
    (header,) = header_ids(work, account, [HeaderBlock(digest=digest_of(block), block=block)])
    known = list(find_many(work.connection, BY_DIGESTS, (account,), [digest.digest()]))
    if known:
        return header, BlobId(known[0][0])
    blob, total, count = BlobId(work.next_id("blobs")), sum(map(len, pieces)), 0
    work.connection.execute(ADD, (blob, account, None, 0, 0))
    encoder = Encoder().start(Uid(1))
    slices = (piece[at : at + CHUNK_OCTETS] for piece in pieces for at in range(0, len(piece), CHUNK_OCTETS))
    for octets, last in chain(zip(slices, repeat(False)), [(b"", True)]):
        for chunk in encoder.chunk(octets, last):
            work.connection.execute(ADD_CHUNK, (account, blob, chunk.number, chunk.octets, chunk.data))
            count += 1
    work.connection.execute(GROW, (digest.digest(), total, count, blob))
    return header, blob


def drop_partials(work: Writing, account: int) -> int:
    """Drop what is half here of *account*; return how many messages that were."""
    return work.connection.execute(DROP_PARTIALS, (account,)).rowcount


def drop_left_partials(work: Writing, account: int) -> None:
    """Drop what runs that are over left half; what an open one has half stays."""
    work.connection.execute(DROP_LEFT_PARTIALS, (account, account))


def forget_partials(work: Writing, at: Place, uids: UidSet) -> None:
    """Drop what is half here of messages that are gone."""
    work.connection.executemany(FORGET_PARTIALS, ((at.folder, at.epoch, low, high) for low, high in uids.ranges))


def raw_octets(connection: sqlite3.Connection, blob: BlobId) -> Iterator[bytes]:
    """Yield a whole content chunk by chunk, at most 256 kB each.

    Raises StoreDamaged, at the latest after the last chunk: then what came before it is not to be believed either.
    """
    digest, octets, chunks = connection.execute(BLOB, (blob,)).fetchone()
    running = blake2b(digest_size=DIGEST_OCTETS)
    seen = length = 0
    for number, size, data in connection.execute(CHUNKS, (blob,)):
        if number != seen:
            raise StoreDamaged("a piece of a message is missing; run a check, then download it again")
        piece = expanded(data, size)
        running.update(piece)
        seen, length = seen + 1, length + size
        yield piece
    if (seen, length) != (chunks, octets) or running.digest() != digest:
        raise StoreDamaged("the octets of a message are not those that were written; run a check")


def account_of(connection: sqlite3.Connection, blob: BlobId) -> int:
    """Return our number of the account that a content belongs to."""
    return int(connection.execute(OWNER, (blob,)).fetchone()[0])


def facts(connection: sqlite3.Connection, blob: BlobId) -> tuple[bytes, int, int]:
    """Return digest, octets and number of chunks of a whole content."""
    digest, octets, chunks = connection.execute(BLOB, (blob,)).fetchone()
    return digest, octets, chunks


def piece_of(connection: sqlite3.Connection, blob: BlobId, number: int) -> bytes | None:
    """Return one chunk of a content; None: there is none of this number."""
    row = connection.execute(CHUNK, (blob, number)).fetchone()
    return None if row is None else expanded(row[1], row[0])
