"""Header rows: a raw block is stored once an account, found again by its digest."""

import sqlite3
from collections.abc import Sequence

from sqlalchemy import insert, select

from ..encode import EncodedHeader, expanded
from ..mail import HeaderId
from ..tables import HeaderRow, table
from .statements import names, p, sql
from .values import storable
from .writing import Writing

__all__ = ["header_ids", "raw_header"]

_t = table(HeaderRow)
_COLUMNS = "id account_id digest octets data subject senders date_at date_offset message_id received"

BY_DIGEST = sql(
    select(_t.c.id).where(_t.c.account_id == p("account"), _t.c.digest == p("of_digest")), "account of_digest"
)
RAW = sql(select(_t.c.data, _t.c.octets).where(_t.c.id == p("header")), "header")
ADD = sql(insert(_t).values(**names(_COLUMNS)), _COLUMNS)


def header_ids(work: Writing, account: int, headers: Sequence[EncodedHeader]) -> list[HeaderId]:
    """Return the id of each of *headers*; those not here yet are written."""
    by_digest: dict[bytes, int] = {}
    fresh: list[tuple[object, ...]] = []
    next_id = 0
    for header in headers:
        if header.digest in by_digest:
            continue
        row = work.connection.execute(BY_DIGEST, (account, header.digest)).fetchone()
        if row is not None:
            by_digest[header.digest] = row[0]
            continue
        next_id = next_id + 1 if next_id else work.next_id("headers")
        by_digest[header.digest] = next_id
        fresh.append(_row(next_id, account, header))
    work.connection.executemany(ADD, fresh)
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
