"""Reading message rows: pages, single messages, and what the engine asks about a folder. Every statement is indexed.

Pages are found by key (internal date, message key), never by offset, so that the thousandth page costs what the first
does. Messages join their header and blob outwardly: that fixes the order of the loops for SQLite.
"""

import sqlite3
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal_column, or_, select

from ..encode import senders_from_text
from ..instants import from_micros_at
from ..mail import AccountId, BlobId, FolderId, HeaderId, MessageKey, Uid, UidSet, UidValidity
from ..messages import BodyNeed, BodyState, IdentityOfRow, Message, PageKey
from ..tables import DATELESS, BlobRow, HeaderRow, MessageRow, TombstoneRow, TroubleRow, table
from .bulk import all_of, page_in_one_row
from .statements import p, sql
from .values import INTEGER_MAX, unpacked

__all__ = [
    "find",
    "flags_of",
    "header_of",
    "identities",
    "one",
    "page_of_account",
    "page_of_folder",
    "parts_of",
    "uids_of",
    "wanted_bodies",
    "without_header",
]

_t, _headers, _blobs, _troubles = table(MessageRow), table(HeaderRow), table(BlobRow), table(TroubleRow)
_graves = table(TombstoneRow)
_flags: ColumnElement[Any] = func.coalesce(_t.c.local_flags, _t.c.server_flags)
_keywords: ColumnElement[Any] = func.coalesce(_t.c.local_keywords, _t.c.server_keywords)
_visible = _t.c.header_id.is_not(None)
_in_folder = _t.c.folder_id == p("folder")

_of_twin = _t.alias("of_twin")
_header_of: ColumnElement[Any] = func.coalesce(
    _t.c.header_id,
    select(_of_twin.c.header_id).where(_of_twin.c.key == _t.c.twin_of).scalar_subquery(),
    select(_graves.c.header_id).where(_graves.c.key == _t.c.twin_of).scalar_subquery(),
)
"""A twin is identified by the header of its message, alive or removed."""

_message: Select[Any] = select(
    _t.c.key,
    _t.c.account_id,
    _t.c.folder_id,
    _t.c.epoch,
    _t.c.uid,
    _flags.label("flags"),
    _keywords.label("keywords"),
    _t.c.internal_at,
    _t.c.internal_offset,
    _t.c.size,
    _t.c.email_id,
    _blobs.c.octets,
    _headers.c.subject,
    _headers.c.senders,
    _headers.c.date_at,
    _headers.c.date_offset,
    _headers.c.message_id,
).select_from(_t.outerjoin(_headers, _headers.c.id == _t.c.header_id).outerjoin(_blobs, _blobs.c.id == _t.c.blob_id))
# SQLite cannot use an index for (internal_at, key) < (?, ?) when key is the row id, so a page is read in two steps.
_same_instant = and_(_t.c.internal_at == p("before_at"), _t.c.key < p("before_key"))
_older = _t.c.internal_at < p("before_at")
_newest_first = (_t.c.internal_at.desc(), _t.c.key.desc())
_in_account = _t.c.account_id == p("account")


def _pages(place: ColumnElement[bool], name: str) -> tuple[str, str]:
    """Build the two steps: the rest of the instant at which the last page ended, then what is older."""
    found = _message.where(place, _visible).order_by(*_newest_first).limit(p("rows"))
    same_instant = sql(found.where(_same_instant), f"{name} before_at before_key rows")
    return same_instant, sql(found.where(_older), f"{name} before_at rows")


PAGE_OF_FOLDER = _pages(_in_folder, "folder")
PAGE_OF_ACCOUNT = _pages(_in_account, "account")
ONE = sql(_message.where(_t.c.key == p("message"), _visible), "message")
BY_UID = sql(
    _message.where(_in_folder, _t.c.epoch == p("at_epoch"), _t.c.uid == p("at_uid"), _visible), "folder at_epoch at_uid"
)
HEADER_OF = sql(select(_header_of).where(_t.c.key == p("message")), "message")
PARTS = sql(select(_t.c.header_id, _t.c.blob_id).where(_t.c.key == p("message"), _visible), "message")
UIDS = sql(
    page_in_one_row(
        select(_t.c.uid)
        .where(_in_folder, _t.c.epoch == p("at_epoch"), _t.c.uid > p("above"))
        .order_by(_t.c.uid)
        .limit(p("rows"))
    ),
    "folder at_epoch above rows",
)
FLAGS = sql(
    select(_t.c.uid, _t.c.server_flags, _t.c.server_keywords)
    .where(_in_folder, _t.c.epoch == p("at_epoch"), _t.c.uid.between(p("low"), p("high")))
    .order_by(_t.c.uid),
    "folder at_epoch low high",
)
BURIED = sql(
    select(_graves.c.key, _graves.c.uid, _graves.c.size)
    .where(
        _graves.c.folder_id == p("folder"),
        _graves.c.epoch == p("at_epoch"),
        _graves.c.uid.between(p("low"), p("high")),
    )
    .order_by(_graves.c.uid, _graves.c.key),
    "folder at_epoch low high",
)
HEADERLESS = sql(
    page_in_one_row(
        select(_t.c.uid)
        .where(_in_folder, _t.c.header_id.is_(None), _t.c.twin_of.is_(None), _t.c.uid > p("above"))
        .order_by(_t.c.uid)
        .limit(p("rows"))
    ),
    "folder above rows",
)
_wanted = (
    select(_t.c.key, _t.c.uid, _t.c.size, _t.c.header_id, _t.c.email_id, _t.c.internal_at)
    .where(
        _in_folder,
        _t.c.blob_id.is_(None),
        _t.c.epoch != literal_column("0"),
        _t.c.twin_of.is_(None),
        _t.c.uid < p("before_uid"),
        func.coalesce(_t.c.size, 0) <= p("size_max"),
        or_(_t.c.internal_at >= p("since"), _t.c.internal_at == DATELESS),
        ~exists().where(
            and_(
                _troubles.c.folder_id == _t.c.folder_id,
                _troubles.c.epoch == _t.c.epoch,
                _troubles.c.uid == _t.c.uid,
                _troubles.c.next_try_at > p("now"),
            )
        ),
    )
    .order_by(_t.c.uid.desc())
    .limit(p("rows"))
)
WANTED = sql(page_in_one_row(_wanted), "folder before_uid size_max since now rows")
IDENTITIES = sql(
    select(
        _t.c.key,
        _t.c.uid,
        _t.c.size,
        _t.c.internal_at,
        _t.c.internal_offset,
        _t.c.email_id,
        _t.c.blob_id,
        _headers.c.message_id,
        _headers.c.received,
    )
    .select_from(_t.outerjoin(_headers, _headers.c.id == _header_of))
    .where(_in_folder, _t.c.key > p("after"), _t.c.epoch != literal_column("0"))
    .order_by(_t.c.key)
    .limit(p("rows")),
    "folder after rows",
)
FIRST_PAGE = PageKey(INTEGER_MAX, INTEGER_MAX)
_UIDS_OF_A_PAGE = 4_000


def _as_message(row: tuple[Any, ...], accounts: dict[int, AccountId]) -> Message:
    key, account, folder, epoch, uid, flags, keywords, at, offset, size, email_id, octets, *header = row
    subject, senders, date_at, date_offset, message_id = header
    return Message(
        key=MessageKey(key),
        account=accounts[account],
        folder_id=FolderId(folder),
        epoch=UidValidity(epoch),
        uid=Uid(uid) if epoch else None,
        flags=unpacked(flags, keywords),
        internal_date=None if at == DATELESS else from_micros_at(at, offset),
        size=size,
        octets=octets,
        subject=subject,
        from_=senders_from_text(senders),
        date=None if date_at is None else from_micros_at(date_at, date_offset),
        message_id=message_id,
        body=BodyState.HEADERS if octets is None else BodyState.FULL,
        email_id=email_id or None,
    )


Paged = list[tuple[PageKey, Message]]


def _page(
    connection: sqlite3.Connection,
    steps: tuple[str, str],
    place: int,
    before: PageKey,
    rows: int,
    accounts: dict[int, AccountId],
) -> Paged:
    same_instant, older = steps
    found = connection.execute(same_instant, (place, before.internal_at, before.key, rows)).fetchall()
    if len(found) < rows:
        found += connection.execute(older, (place, before.internal_at, rows - len(found)))
    return [(PageKey(row[7], row[0]), _as_message(row, accounts)) for row in found]


def page_of_folder(
    connection: sqlite3.Connection, folder: FolderId, before: PageKey, rows: int, accounts: dict[int, AccountId]
) -> Paged:
    """Return up to *rows* visible messages of *folder* that are older than *before*, newest first."""
    return _page(connection, PAGE_OF_FOLDER, folder, before, rows, accounts)


def page_of_account(
    connection: sqlite3.Connection, account: int, before: PageKey, rows: int, accounts: dict[int, AccountId]
) -> Paged:
    """Return up to *rows* visible messages of *account* that are older than *before*, newest first."""
    return _page(connection, PAGE_OF_ACCOUNT, account, before, rows, accounts)


def one(connection: sqlite3.Connection, key: MessageKey, accounts: dict[int, AccountId]) -> Message | None:
    """Return a visible message, or None."""
    row = connection.execute(ONE, (key,)).fetchone()
    return None if row is None else _as_message(row, accounts)


def find(
    connection: sqlite3.Connection, folder: FolderId, epoch: UidValidity, uid: Uid, accounts: dict[int, AccountId]
) -> Message | None:
    """Return the visible message with *uid*, or None."""
    row = connection.execute(BY_UID, (folder, epoch, uid)).fetchone()
    return None if row is None else _as_message(row, accounts)


def parts_of(connection: sqlite3.Connection, key: MessageKey) -> tuple[HeaderId, BlobId | None] | None:
    """Return where the header and the octets of a visible message are, or None when there is no such message."""
    row: tuple[HeaderId, BlobId | None] | None = connection.execute(PARTS, (key,)).fetchone()
    return row


def header_of(connection: sqlite3.Connection, key: MessageKey) -> HeaderId | None:
    """Return where the header of a message is; of a twin, that of its message. None: it is not here."""
    row = connection.execute(HEADER_OF, (key,)).fetchone()
    return None if row is None else row[0]


def _as_set(connection: sqlite3.Connection, statement: str, *place: int) -> UidSet:
    """Return the UIDs that *statement* finds page by page, ascending; holds one page and the ranges."""
    ranges: list[tuple[int, int]] = []
    low = high = 0
    while page := all_of(connection, statement, (*place, high, _UIDS_OF_A_PAGE)):
        for (uid,) in sorted(page):
            if uid != high + 1 or not low:
                if low:
                    ranges.append((low, high))
                low = uid
            high = uid
        if len(page) < _UIDS_OF_A_PAGE:
            break
    if low:
        ranges.append((low, high))
    return UidSet.of_ranges(ranges)


def uids_of(connection: sqlite3.Connection, folder: FolderId, epoch: UidValidity) -> UidSet:
    """Return the UIDs of all rows of *folder*."""
    return _as_set(connection, UIDS, folder, epoch)


def without_header(connection: sqlite3.Connection, folder: FolderId) -> UidSet:
    """Return the UIDs of the rows that are not visible yet."""
    return _as_set(connection, HEADERLESS, folder)


def flags_of(
    connection: sqlite3.Connection, folder: FolderId, epoch: UidValidity, uids: UidSet
) -> Iterator[tuple[Uid, frozenset[str]]]:
    """Yield the flags that the server last told of *uids*, ascending; UIDs without a row are left out."""
    for low, high in uids.ranges:
        for uid, bits, others in connection.execute(FLAGS, (folder, epoch, low, high)):
            yield Uid(uid), unpacked(bits, others)


def buried(
    connection: sqlite3.Connection, folder: FolderId, epoch: UidValidity, uids: UidSet
) -> Iterator[tuple[MessageKey, Uid, int | None]]:
    """Yield key, UID and size of the tombstones that stand where *uids* were, ascending."""
    for low, high in uids.ranges:
        for key, uid, size in connection.execute(BURIED, (folder, epoch, low, high)):
            yield MessageKey(key), Uid(uid), size


def wanted_bodies(
    connection: sqlite3.Connection,
    folder: FolderId,
    *,
    size_max: int | None,
    since: int | None,
    before_uid: int | None,
    now: int,
    rows: int,
) -> list[BodyNeed]:
    """Return messages whose octets are not here, newest UID first; *since* and *now* in microseconds.

    An unknown size or date excludes nothing; a message in trouble is left out until its next try.
    """
    limits = (
        INTEGER_MAX if before_uid is None else before_uid,
        INTEGER_MAX if size_max is None else size_max,
        DATELESS if since is None else since,
    )
    found = all_of(connection, WANTED, (folder, *limits, now, rows))
    return [
        BodyNeed(
            key=MessageKey(key),
            uid=Uid(uid),
            size=size,
            has_header=header is not None,
            identity=(email_id, at) if email_id else None,
        )
        for key, uid, size, header, email_id, at in sorted(found, key=itemgetter(1), reverse=True)
    ]


def identities(connection: sqlite3.Connection, folder: FolderId, after: int, rows: int) -> list[IdentityOfRow]:
    """Return evidence of which message each row is, ascending by key, of every epoch, after key *after*."""
    return [
        IdentityOfRow(
            key=MessageKey(key),
            uid=Uid(uid),
            size=size,
            internal_date=None if at == DATELESS else from_micros_at(at, offset),
            message_id=message_id or "",
            email_id=email_id or None,
            received=bool(received),
            blob_id=None if blob is None else BlobId(blob),
        )
        for key, uid, size, at, offset, email_id, blob, message_id, received in connection.execute(
            IDENTITIES, (folder, after, rows)
        )
    ]
