"""Octets that are here already: rows whose message is known to be here, or looks so, get its octets and its old key.

Two kinds of evidence. Proof is an equal EMAILID (RFC 8474), unless internal date or size contradict it. A fingerprint
is an equal header block with a Message-ID and a Received field, an equal internal date and an equal size, and no
draft on either side: what is taken on it is *assumed* until it was compared. Where two contents could be meant,
nothing is taken. Never across accounts.

A removed message that appears elsewhere has moved, and gets its key back, unless somebody was told another one already.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Table, and_, delete, exists, literal_column, null, or_, select, update

from ..mail import MessageKey, Role, Uid, UidSet
from ..mail.merge import delta, merged
from ..messages import Assumed, Shared
from ..tables import ASSUMED, DATELESS, OWN, REFUTED, BlobRow, FolderRow, HeaderRow, MessageRow, TombstoneRow, table
from .bulk import all_of, in_one_row
from .folders import count
from .operations import close_flags
from .outward import moving
from .rows import Place, is_unseen
from .statements import names, p, sql
from .values import packed, unpacked
from .writing import Writing

__all__ = ["Wish", "assumed", "look_alikes", "settle_assumed", "share", "shareable", "twins"]

LIKE_EACH_OTHER_MAX = 100
"""More messages than this of one identity are not compared with each other: then it is downloaded."""
SAME_INSTANT_MAX = 5_000

_t, _graves, _headers = table(MessageRow), table(TombstoneRow), table(HeaderRow)
_folders, _blobs = table(FolderRow), table(BlobRow)
_is_drafts = _folders.c.role == literal_column(f"'{Role.DRAFTS.value}'")
_EMPTY: ColumnElement[str] = literal_column("''")
_has_fingerprint = (_headers.c.received == 1, _headers.c.message_id != _EMPTY)
_AT = "folder at_epoch low high"


def _of_id(where: Table) -> str:
    """Build the look for messages of one EMAILID."""
    told = (where.c.account_id == p("account"), where.c.email_id == p("of_id"), where.c.email_id != _EMPTY)
    return sql(_candidates(where).where(*told, where.c.internal_at == p("at")), "account of_id at")


def _of_header(where: Table) -> str:
    """Build the look for messages of one fingerprint."""
    draft = exists().where(_folders.c.id == where.c.folder_id, _is_drafts)
    same = (where.c.header_id == p("of_header"), where.c.internal_at == p("at"), where.c.size == p("of_size"), ~draft)
    return sql(_candidates(where).where(*same), "of_header at of_size")


def _candidates(where: Table) -> Select[Any]:
    born = where.c.seq if where is _graves else where.c.created_seq
    columns = (where.c.key, where.c.header_id, where.c.blob_id, where.c.size, where.c.likeness, born)
    found = select(*columns).where(where.c.header_id.is_not(None))
    if where is _graves:  # one that was deleted here, and is on the server still, does not come back elsewhere
        found = found.where(~exists().where(_twin.c.twin_of == where.c.key), ~moving(where.c.header_id))
    return found.limit(LIKE_EACH_OTHER_MAX + 1)


_twin = _t.alias("twin")
LIVE_BY_ID, GRAVES_BY_ID = _of_id(_t), _of_id(_graves)
LIVE_BY_HEADER, GRAVES_BY_HEADER = _of_header(_t), _of_header(_graves)
ANY_OCTETS = sql(
    select(_folders.c.id).where(_folders.c.account_id == p("account"), _folders.c.bodies > 0).limit(1), "account"
)
ANY_GRAVE = sql(select(_graves.c.key).where(_graves.c.account_id == p("account")).limit(1), "account")
IS_DRAFTS = sql(select(_folders.c.id).where(_folders.c.id == p("folder"), _is_drafts), "folder")
TRAVELLED = sql(
    select(_headers.c.id).where(
        _headers.c.id == p("header"), _headers.c.received == 1, _headers.c.message_id != _EMPTY
    ),
    "header",
)
_bodiless = and_(
    _t.c.folder_id == p("folder"),
    _t.c.epoch == p("at_epoch"),
    _t.c.uid.between(p("low"), p("high")),
    _t.c.blob_id.is_(None),
    _t.c.twin_of.is_(None),
)
# What has neither an EMAILID nor the header block of another message is like nothing that is here: nearly all mail.
_may_be_here = or_(
    _t.c.email_id != _EMPTY,
    exists().where(_twin.c.header_id == _t.c.header_id, _twin.c.key != _t.c.key),
    exists().where(_graves.c.header_id == _t.c.header_id),
)
ROWS = sql(
    select(
        in_one_row(
            _t.c.key,
            _t.c.uid,
            _t.c.internal_at,
            _t.c.size,
            _t.c.header_id,
            _t.c.email_id,
            _t.c.likeness,
            _t.c.server_flags,
            _t.c.local_flags,
            _t.c.created_seq,
        )
    ).where(_bodiless, _may_be_here),
    _AT,
)
TWINS = sql(
    select(_t.c.uid).where(
        _bodiless,
        _t.c.email_id != _EMPTY,
        exists().where(
            _twin.c.blob_id.is_(None),
            _twin.c.twin_of.is_(None),
            _twin.c.epoch != literal_column("0"),
            _twin.c.account_id == _t.c.account_id,
            _twin.c.email_id == _t.c.email_id,
            _twin.c.email_id != _EMPTY,
            _twin.c.internal_at == _t.c.internal_at,
            _twin.c.key != _t.c.key,
        ),
    ),
    _AT,
)
HEADERLESS = sql(select(_t.c.uid, _t.c.internal_at, _t.c.size).where(_bodiless, _t.c.header_id.is_(None)), _AT)


def _sizes_of(where: Table) -> str:
    """Build the look for sizes of whole messages of one instant that can have a fingerprint."""
    travelled = exists().where(_headers.c.id == where.c.header_id, *_has_fingerprint)
    at = (where.c.account_id == p("account"), where.c.internal_at == p("at"))
    whole = (where.c.header_id.is_not(None), where.c.blob_id.is_not(None), travelled)
    return sql(select(where.c.size).where(*at, *whole).limit(SAME_INSTANT_MAX), "account at")


SIZES, GRAVE_SIZES = _sizes_of(_t), _sizes_of(_graves)
_TAKEN = "key header_id blob_id created_seq changed_seq likeness"
TAKE = sql(update(_t).where(_t.c.key == p("message")).values(**names(_TAKEN)), f"{_TAKEN} message")
LEAVE_GRAVE = sql(delete(_graves).where(_graves.c.key == p("message")), "message")
WISH = sql(
    update(_t).where(_t.c.key == p("message")).values(**names("local_flags local_keywords")),
    "local_flags local_keywords message",
)
WISH_OF_GRAVE = sql(
    select(_graves.c.server_flags, _graves.c.server_keywords, _graves.c.local_flags, _graves.c.local_keywords).where(
        _graves.c.key == p("message")
    ),
    "message",
)
KEYWORDS = sql(select(_t.c.server_keywords).where(_t.c.key == p("message")), "message")
ASSUMED_ROWS = sql(
    select(_t.c.uid, _blobs.c.octets, _t.c.size, _blobs.c.digest)
    .join_from(_t, _blobs, _blobs.c.id == _t.c.blob_id)
    .where(_t.c.folder_id == p("folder"), _t.c.epoch == p("at_epoch"), _t.c.likeness == ASSUMED)
    .order_by(_t.c.uid)
    .limit(p("rows")),
    "folder at_epoch rows",
)
_one_assumed = (
    _t.c.folder_id == p("folder"),
    _t.c.epoch == p("at_epoch"),
    _t.c.uid == p("at_uid"),
    _t.c.likeness == ASSUMED,
)
PROVEN = sql(update(_t).where(*_one_assumed).values(likeness=OWN), "folder at_epoch at_uid")
WRONG = sql(
    update(_t).where(*_one_assumed).values(blob_id=null(), likeness=REFUTED, changed_seq=p("changed_seq")),
    "changed_seq folder at_epoch at_uid",
)


class Wish(NamedTuple):
    """Whose octets are wanted: none, or those of messages so small and so new (microseconds)."""

    whole: bool
    size_max: int | None = None
    since: int | None = None


class _Row(NamedTuple):
    """A message without octets."""

    key: int
    uid: int
    at: int
    size: int | None
    header: int | None
    email_id: str
    likeness: int
    flags: int
    local: int | None
    created: int


class _Giver(NamedTuple):
    """A message, there or removed, of which *row* may be another copy."""

    key: int
    header: int
    blob: int | None
    size: int | None
    likeness: int
    seq: int


class _Find(NamedTuple):
    """What a row can have: *grave* is the key of the removed message that came back in it."""

    header: int
    blob: int | None
    likeness: int
    grave: int | None


def share(work: Writing, at: Place, uids: UidSet, wish: Wish, *, fingerprints: bool) -> Shared:
    """Give rows of *uids* without octets what is here of the same message; nothing where nothing is."""
    shown = octets = unseen = 0
    whole: list[int] = []
    looks = _Looks(work.connection, at, fingerprints=fingerprints)
    for row in looks.rows(uids):
        find = looks.find(row)
        if find is None:
            continue
        wanted = find.blob is not None and _is_wanted(row, wish)
        # A key that was told to somebody stays; one of this very transaction, or not visible yet, was not.
        unheard = row.created == 0 or row.created > work.seq_before
        grave = find.grave if unheard else None
        if not wanted and grave is None and row.header is not None:
            continue
        local = (None, None) if grave is None else _wish_of(work, grave, row)
        if grave is not None:
            work.connection.execute(LEAVE_GRAVE, (grave,))
            if local[0] is None:  # the server has it by now, or nothing was wanted
                close_flags(work, [MessageKey(grave)])
        seq = work.take()
        blob, likeness = (find.blob, find.likeness) if wanted else (None, OWN)
        taken = (row.key if grave is None else grave, find.header, blob, row.created or seq, seq, likeness)
        work.connection.execute(TAKE, (*taken, row.key))
        if local[0] is not None:
            work.connection.execute(WISH, (*local, grave))
        if wanted:
            whole.append(row.uid)
            octets += row.size or 0
        if row.header is None:
            shown += 1
            unseen += is_unseen(row.flags, local[0])
        elif local[0] is not None:
            unseen += is_unseen(row.flags, local[0]) - is_unseen(row.flags, row.local)
    count(work, at.folder, messages=shown, unseen=unseen, bodies=len(whole))
    return Shared(shown=shown, whole=UidSet(whole), octets=octets)


def _wish_of(work: Writing, grave: int, row: _Row) -> tuple[int | None, str | None]:
    """Return which flags were wanted here of a message that came back in *row*; None twice: those that it has."""
    bits, others, local, local_others = work.connection.execute(WISH_OF_GRAVE, (grave,)).fetchone()
    if local is None:
        return None, None
    (told_others,) = work.connection.execute(KEYWORDS, (row.key,)).fetchone()
    told = unpacked(row.flags, told_others)
    wanted = merged(unpacked(bits, others), unpacked(local, local_others or ""), told)
    return packed(wanted) if delta(told, wanted) else (None, None)


def _is_wanted(row: _Row, wish: Wish) -> bool:
    small = wish.size_max is None or (row.size or 0) <= wish.size_max
    return wish.whole and small and (wish.since is None or row.at >= wish.since or row.at == DATELESS)


def shareable(
    connection: sqlite3.Connection,
    at: Place,
    uids: UidSet,
    *,
    fingerprints: bool,
) -> UidSet:
    """Return which of *uids* would be given octets by ``share``."""
    looks = _Looks(connection, at, fingerprints=fingerprints)
    found = ((row.uid, looks.find(row)) for row in looks.rows(uids))
    return UidSet(uid for uid, find in found if find is not None and find.blob is not None)


class _Looks:
    """The looks at what is here, for rows of one folder."""

    def __init__(self, connection: sqlite3.Connection, at: Place, *, fingerprints: bool) -> None:
        self._connection, self._at = connection, at
        self._octets, self._graves = _what_is_here(connection, at.account)
        self._fingerprints = fingerprints and connection.execute(IS_DRAFTS, (at.folder,)).fetchone() is None

    def rows(self, uids: UidSet) -> Iterator[_Row]:
        """Yield the rows of *uids* without octets that may be like another message."""
        if not self._octets and not self._graves:
            return
        for low, high in uids.ranges:
            for row in all_of(self._connection, ROWS, (self._at.folder, self._at.epoch, low, high)):
                yield _Row(*row)

    def find(self, row: _Row) -> _Find | None:
        """Return what *row* can have, proof first; None: nothing, or nobody knows which."""
        if row.likeness == REFUTED:
            return None
        found = self._by_proof(row) if row.email_id else None
        return found or (self._by_fingerprint(row) if self._fingerprints else None)

    def _by_proof(self, row: _Row) -> _Find | None:
        key = (self._at.account, row.email_id, row.at)
        return _agreed(row, *self._givers(LIVE_BY_ID, GRAVES_BY_ID, key))

    def _by_fingerprint(self, row: _Row) -> _Find | None:
        if row.header is None or row.size is None or row.at == DATELESS:
            return None
        if self._connection.execute(TRAVELLED, (row.header,)).fetchone() is None:
            return None
        alive, graves = self._givers(LIVE_BY_HEADER, GRAVES_BY_HEADER, (row.header, row.at, row.size))
        others = [giver for giver in (*alive, *graves) if giver.key != row.key]
        # One that was taken for another, and wrongly, shows that this fingerprint means nothing.
        if len(others) >= LIKE_EACH_OTHER_MAX or any(giver.likeness == REFUTED for giver in others):
            return None
        found = _agreed(row, alive, graves)
        return None if found is None else found._replace(likeness=ASSUMED)

    def _givers(self, live: str, removed: str, key: tuple[object, ...]) -> tuple[list[_Giver], list[_Giver]]:
        alive = [_Giver(*row) for row in self._connection.execute(live, key)]
        return alive, [_Giver(*row) for row in self._connection.execute(removed, key)] if self._graves else []


def _agreed(row: _Row, alive: list[_Giver], graves: list[_Giver]) -> _Find | None:
    """Return what *row* can have of them; None where they contradict each other, or it."""
    givers = [giver for giver in (*alive, *graves) if giver.key != row.key]
    blobs = {giver.blob for giver in givers} - {None}
    headers = {giver.header for giver in givers} | ({row.header} - {None})
    sizes = ({giver.size for giver in givers} | {row.size}) - {None}
    if not givers or max(len(blobs), len(headers), len(sizes)) > 1:
        return None
    unproven = blobs and all(giver.likeness == ASSUMED for giver in givers if giver.blob is not None)
    latest = max(graves, key=lambda grave: grave.seq, default=None)
    return _Find(
        header=givers[0].header,
        blob=next(iter(blobs), None),
        likeness=ASSUMED if unproven else OWN,
        grave=None if latest is None else latest.key,
    )


def _what_is_here(connection: sqlite3.Connection, account: int) -> tuple[bool, bool]:
    """Tell whether there are octets of messages, and whether there are removed messages: else no look is worth it."""
    octets, graves = (connection.execute(look, (account,)).fetchone() for look in (ANY_OCTETS, ANY_GRAVE))
    return octets is not None, graves is not None


def twins(connection: sqlite3.Connection, at: Place, uids: UidSet) -> UidSet:
    """Return which of *uids* share their EMAILID with another row of the account, and both have no octets."""
    looks = (connection.execute(TWINS, (at.folder, at.epoch, low, high)) for low, high in uids.ranges)
    return UidSet(uid for look in looks for (uid,) in look)


def look_alikes(connection: sqlite3.Connection, at: Place, uids: UidSet) -> UidSet:
    """Return which of *uids* have no header yet, and date and size of a message whose octets are here."""
    octets, graves = _what_is_here(connection, at.account)
    looks = (*[SIZES] * octets, *[GRAVE_SIZES] * graves)
    if not looks:
        return UidSet()
    by_instant: dict[int, list[tuple[int, int]]] = {}
    for low, high in uids.ranges:
        for uid, instant, size in connection.execute(HEADERLESS, (at.folder, at.epoch, low, high)):
            if instant != DATELESS and size is not None:
                by_instant.setdefault(instant, []).append((uid, size))
    found: list[int] = []
    for instant, rows in by_instant.items():
        sizes = {size for look in looks for (size,) in connection.execute(look, (at.account, instant))}
        found.extend(uid for uid, size in rows if size in sizes)
    return UidSet(found)


def assumed(connection: sqlite3.Connection, at: Place, rows: int) -> list[Assumed]:
    """Return messages whose octets are assumed, ascending by UID."""
    return [
        Assumed(uid=Uid(uid), octets=octets, size=size, digest=digest)
        for uid, octets, size, digest in connection.execute(ASSUMED_ROWS, (at.folder, at.epoch, rows))
    ]


def settle_assumed(work: Writing, at: Place, proven: Iterable[Uid], refuted: Iterable[Uid]) -> int:
    """Note what comparing showed; a refuted message loses the octets. Return how many did."""
    work.connection.executemany(PROVEN, ((at.folder, at.epoch, uid) for uid in proven))
    lost = sum(work.connection.execute(WRONG, (work.take(), at.folder, at.epoch, uid)).rowcount for uid in refuted)
    count(work, at.folder, bodies=-lost)
    return lost
