"""Header rows: a raw block is stored once an account, found again by its digest."""

import sqlite3
from collections.abc import Sequence

from sqlalchemy import func, insert, select

from ..encode import EncodedHeader, Encoder, HeaderBlock, expanded
from ..mail import HeaderId
from ..tables import HeaderRow, table
from .bulk import find_many, in_one_row, write_many
from .statements import names, p, sql
from .values import storable
from .writing import Writing

__all__ = ["header_ids", "raw_header"]

_t = table(HeaderRow)
_COLUMNS = "id account_id digest octets data subject senders date_at date_offset message_id received"

BY_DIGESTS = sql(
    select(in_one_row(_t.c.id, func.hex(_t.c.digest))).where(
        _t.c.account_id == p("account"), _t.c.digest.in_([p("of_digest")])
    ),
    "account of_digest",
)
RAW = sql(select(_t.c.data, _t.c.octets).where(_t.c.id == p("header")), "header")
ADD = sql(insert(_t).values(**names(_COLUMNS)), _COLUMNS)


def header_ids(work: Writing, account: int, headers: Sequence[EncodedHeader | HeaderBlock]) -> list[HeaderId]:
    """Return the id of each of *headers*; those not here yet are written.

    Only these are read and compressed: a message whose header came before it brings it again, for nothing.
    """
    digests = {header.digest for header in headers}
    known = find_many(work.connection, BY_DIGESTS, (account,), digests)
    by_digest: dict[bytes, int] = {bytes.fromhex(digest): id_ for id_, digest in known}
    if len(by_digest) < len(digests):
        fresh: list[tuple[object, ...]] = []
        next_id, encoder = work.next_id("headers"), Encoder()
        for header in headers:
            if header.digest not in by_digest:
                by_digest[header.digest] = next_id
                fresh.append(_row(next_id, account, header.encoded(encoder)))
                next_id += 1
        write_many(work.connection, ADD, fresh)
    return [HeaderId(by_digest[header.digest]) for header in headers]


def _row(id_: int, account: int, header: EncodedHeader) -> tuple[object, ...]:
    return (
        id_,
        account,
        header.digest,
        header.octets,
        header.data,
        storable(header.subject),
        storable(header.senders),
        header.date_at,
        header.date_offset,
        storable(header.message_id),
        int(header.received),
    )


def raw_header(connection: sqlite3.Connection, header: HeaderId) -> bytes:
    """Return the raw block. Raises StoreDamaged."""
    data, octets = connection.execute(RAW, (header,)).fetchone()
    return expanded(data, octets)
