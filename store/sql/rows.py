"""Writing message rows: listed, flagged, given headers, removed to tombstones, renumbered, brought back.

Invariant: the counters of the folder move in the same transaction as the rows that they count.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, exists, insert, literal_column, select, update

from ..encode import EncodedHeader
from ..instants import micros, offset_minutes
from ..mail import FolderId, MessageKey, ModSeq, Uid, UidSet, UidValidity
from ..mail.merge import delta, merged
from ..messages import FlagCounts, NewMessage
from ..tables import DATELESS, MessageRow, TombstoneRow, table
from .bulk import all_of, find_many, in_one_row, update_many, write_many
from .folders import count
from .headers import header_ids
from .operations import close_flags
from .statements import names, p, sql
from .values import SEEN, packed, size_or_none, storable, unpacked
from .writing import Writing

__all__ = [
    "Place",
    "add_headers",
    "add_messages",
    "buried_with",
    "bury",
    "keys_of",
    "keys_of_folder",
    "remap",
    "revive",
    "set_flags",
]

_t, _graves = table(MessageRow), table(TombstoneRow)
_NEW = "account_id folder_id epoch uid server_flags server_keywords mod_seq internal_at internal_offset size email_id"
_KEPT = f"{_NEW} header_id blob_id likeness"
_wish = (_t.c.local_flags, _t.c.local_keywords)
_by_uid = (_t.c.folder_id == p("folder"), _t.c.epoch == p("at_epoch"), _t.c.uid == p("at_uid"))

ADD = sql(insert(_t).values(**names(_NEW)), _NEW)
FLAGS_BY_UID = sql(
    select(_t.c.key).where(*_by_uid),
    "folder at_epoch at_uid",
)
FLAGS = sql(
    select(
        in_one_row(
            _t.c.uid,
            _t.c.key,
            _t.c.server_flags,
            _t.c.server_keywords,
            _t.c.local_flags,
            _t.c.local_keywords,
            _t.c.header_id,
            _t.c.twin_of,
        )
    ).where(_t.c.folder_id == p("folder"), _t.c.epoch == p("at_epoch"), _t.c.uid.in_([p("at_uid")])),
    "folder at_epoch at_uid",
)
SET_FLAGS = update_many(_t, "server_flags server_keywords mod_seq changed_seq")
WISH = update_many(_t, "local_flags local_keywords")
BY_KEY = sql(
    select(
        _t.c.folder_id,
        _t.c.server_flags,
        _t.c.server_keywords,
        _t.c.local_flags,
        _t.c.local_keywords,
    ).where(_t.c.key == p("message")),
    "message",
)
SHOW = update_many(_t, "header_id created_seq changed_seq")
TAKEN = sql(
    select(in_one_row(_t.c.uid)).where(
        _t.c.folder_id == p("folder"), _t.c.epoch == p("at_epoch"), _t.c.uid.between(p("low"), p("high"))
    ),
    "folder at_epoch low high",
)
KEYS = sql(
    select(_t.c.key).where(
        _t.c.folder_id == p("folder"), _t.c.epoch == p("at_epoch"), _t.c.uid.between(p("low"), p("high"))
    ),
    "folder at_epoch low high",
)
KEYS_OF_FOLDER = sql(select(_t.c.key).where(_t.c.folder_id == p("folder")).order_by(_t.c.key), "folder")
WHOLE = sql(
    select(_t.c.key, *(_t.c[name] for name in _KEPT.split()), *_wish, _t.c.created_seq).where(_t.c.key == p("message")),
    "message",
)
BURY = sql(
    insert(_graves).values(**names(f"key {_KEPT} created_seq seq removed_at local_flags local_keywords")),
    "key account_id folder_id epoch uid server_flags server_keywords mod_seq internal_at internal_offset size"
    " header_id blob_id email_id created_seq seq removed_at likeness local_flags local_keywords",
)
REMOVE = sql(delete(_t).where(_t.c.key == p("message")), "message")
RENUMBER = sql(
    update(_t).where(_t.c.key == p("message")).values(**names("epoch uid mod_seq changed_seq")),
    "epoch uid mod_seq changed_seq message",
)
GRAVE = sql(
    select(*(_graves.c[name] for name in _KEPT.split()), _graves.c.local_flags, _graves.c.local_keywords).where(
        _graves.c.key == p("message"), ~exists().where(_t.c.twin_of == _graves.c.key)
    ),
    "message",
)
RISE = sql(
    insert(_t).values(**names(f"key {_KEPT} created_seq changed_seq local_flags local_keywords")),
    "key account_id folder_id epoch uid server_flags server_keywords local_flags local_keywords mod_seq internal_at"
    " internal_offset size header_id blob_id email_id created_seq changed_seq likeness",
)
BURIED_WITH = sql(
    select(_graves.c.key)
    .where(
        _graves.c.folder_id == p("folder"),
        _graves.c.epoch > literal_column("0"),
        _graves.c.removed_at == p("instant"),
        ~exists().where(_t.c.twin_of == _graves.c.key),
    )
    .order_by(_graves.c.epoch, _graves.c.uid),
    "folder instant",
)
LEAVE_GRAVE = sql(delete(_graves).where(_graves.c.key == p("message")), "message")


class Place(NamedTuple):
    """A folder that is written to, checked to be there and to be in this epoch."""

    folder: FolderId
    account: int
    epoch: UidValidity


def is_unseen(server_flags: int, local_flags: int | None) -> bool:
    """Tell whether a message counts as unseen."""
    return not (server_flags if local_flags is None else local_flags) & SEEN


def add_messages(work: Writing, at: Place, rows: Sequence[NewMessage]) -> int:
    """Write rows that are not there yet, not visible; return how many."""

    def columns(row: NewMessage) -> tuple[object, ...]:
        date = row.internal_date
        when = (DATELESS, 0) if date is None else (micros(date), offset_minutes(date))
        about = (*when, size_or_none(row.size), storable(row.email_id or ""))
        return (at.account, at.folder, at.epoch, row.uid, *packed(row.flags), row.mod_seq or 0, *about)

    # Not INSERT OR IGNORE: that would use up ids, which is a write, for rows that are there already.
    fresh = {row.uid: row for row in rows}
    for low, high in UidSet(fresh).ranges:
        for (uid,) in all_of(work.connection, TAKEN, (at.folder, at.epoch, low, high)):
            del fresh[uid]
    write_many(work.connection, ADD, [columns(row) for row in fresh.values()])
    count(work, at.folder, listed=len(fresh))
    return len(fresh)


def set_flags(work: Writing, at: Place, rows: Iterable[tuple[Uid, frozenset[str], ModSeq | None]]) -> FlagCounts:
    """Write flags where they differ from what the server last told; UIDs without a row are passed over.

    What people here want otherwise stays so (``store.mail.merge``); what is told of a twin goes for its message, too.
    """
    changed: list[tuple[object, ...]] = []
    wishes: list[tuple[object, ...]] = []
    read = unseen = 0
    told = {uid: (flags, mod_seq) for uid, flags, mod_seq in rows}
    for uid, key, was, was_others, *local, header, twin_of in find_many(
        work.connection, FLAGS, (at.folder, at.epoch), told
    ):
        flags, mod_seq = told[uid]
        bits, others = packed(flags)
        if (bits, others) == (was, was_others):
            continue
        visible = header is not None
        read += bits ^ was == SEEN and others == was_others
        wish = _wished((was, was_others), local, flags)
        if wish != tuple(local):
            wishes.append((key, *wish))
        if visible:
            unseen += is_unseen(bits, wish[0]) - is_unseen(was, local[0])
        changed.append((key, bits, others, mod_seq or 0, work.take() if visible else 0))
        if twin_of is not None:
            _tell_message(work, twin_of, flags)
    write_many(work.connection, SET_FLAGS, changed)
    write_many(work.connection, WISH, wishes)
    close_flags(work, (key for key, bits, _ in wishes if bits is None))  # type: ignore[misc]
    count(work, at.folder, unseen=unseen)
    return FlagCounts(modified=len(changed) - read, read=read)


def _wished(was: tuple[int, str], local: Sequence[Any], told: frozenset[str]) -> tuple[int | None, str | None]:
    """Return what is wanted here of a message, now that the server has *told* flags; None twice: the same."""
    bits, others = local
    if bits is None:
        return None, None
    wanted = merged(unpacked(*was), unpacked(bits, others or ""), told)
    return packed(wanted) if delta(told, wanted) else (None, None)


def _tell_message(work: Writing, key: MessageKey, told: frozenset[str]) -> None:
    """Write for a message without a place of its own what was told of its twin; nothing when it is removed."""
    row = work.connection.execute(BY_KEY, (key,)).fetchone()
    if row is None:
        return
    folder, was, was_others, *local = row
    wish = _wished((was, was_others), local, told)
    bits, others = packed(told)
    write_many(work.connection, SET_FLAGS, [(key, bits, others, 0, work.take())])
    write_many(work.connection, WISH, [(key, *wish)])
    if wish[0] is None and local[0] is not None:
        close_flags(work, [key])
    count(work, folder, unseen=is_unseen(bits, wish[0]) - is_unseen(was, local[0]))


def add_headers(work: Writing, at: Place, rows: Sequence[tuple[Uid, EncodedHeader]]) -> int:
    """Give headers to rows that have none, which makes them visible; return how many became so."""
    keys: list[MessageKey] = []
    headers: list[EncodedHeader] = []
    unseen = 0
    came = dict(rows)
    for uid, key, bits, _, local, _, known, twin_of in find_many(work.connection, FLAGS, (at.folder, at.epoch), came):
        if known is None and twin_of is None:
            keys.append(key)
            headers.append(came[uid])
            unseen += is_unseen(bits, local)
    ids = header_ids(work, at.account, headers)
    seq = work.take(len(keys))
    shown = [(key, id_, seq + n, seq + n) for n, (id_, key) in enumerate(zip(ids, keys, strict=True))]
    write_many(work.connection, SHOW, shown)
    count(work, at.folder, messages=len(keys), unseen=unseen)
    return len(keys)


def keys_of(work: Writing, at: Place, uids: UidSet) -> list[MessageKey]:
    """Return the keys of the rows with *uids*."""
    found: list[MessageKey] = []
    for low, high in uids.ranges:
        found.extend(key for (key,) in work.connection.execute(KEYS, (at.folder, at.epoch, low, high)))
    return found


def keys_of_folder(work: Writing, folder: FolderId) -> list[MessageKey]:
    """Return the keys of every row of *folder*, of any epoch."""
    return [key for (key,) in work.connection.execute(KEYS_OF_FOLDER, (folder,))]


def buried_with(work: Writing, folder: FolderId, instant: datetime) -> list[MessageKey]:
    """Return the messages of *folder* that were removed at *instant*, and have no twin."""
    return [key for (key,) in work.connection.execute(BURIED_WITH, (folder, micros(instant)))]


def bury(work: Writing, keys: Iterable[MessageKey]) -> int:
    """Remove rows to tombstones, which keep header and octets; return how many there were.

    A row that never was visible leaves nothing: nobody has heard of it, and there is nothing to keep.
    """
    graves: list[tuple[object, ...]] = []
    gone: list[tuple[MessageKey]] = []
    totals: dict[int, list[int]] = {}
    for key in dict.fromkeys(keys):
        row: tuple[Any, ...] | None = work.connection.execute(WHOLE, (key,)).fetchone()
        if row is None:
            continue
        *kept, local, local_others, created = row
        bits, header, blob = kept[5], kept[12], kept[13]
        total = totals.setdefault(kept[2], [0, 0, 0, 0])
        gone.append((key,))
        total[3] -= kept[3] != 0
        total[2] -= blob is not None
        if header is not None:
            total[0] -= 1
            total[1] -= is_unseen(bits, local)
            graves.append(
                (*kept[:11], header, blob, kept[11], created, work.take(), work.now, kept[14], local, local_others)
            )
    work.connection.executemany(BURY, graves)
    work.connection.executemany(REMOVE, gone)
    for folder, (messages, unseen, bodies, listed) in totals.items():
        count(work, FolderId(folder), messages=messages, unseen=unseen, bodies=bodies, listed=listed)
    return len(gone)


def remap(work: Writing, folder: FolderId, pairs: Sequence[tuple[MessageKey, Uid]], epoch: UidValidity) -> int:
    """Give rows of *folder* another UID in another *epoch*; they keep key, header, octets and flags."""
    renumbered: list[tuple[object, ...]] = []
    for key, uid in pairs:
        row = work.connection.execute(WHOLE, (key,)).fetchone()
        if row is None or row[2] != folder:
            continue
        renumbered.append((epoch, uid, 0, work.take() if row[12] is not None else 0, key))
    work.connection.executemany(RENUMBER, renumbered)
    return len(renumbered)


def revive(work: Writing, at: Place, pairs: Sequence[tuple[MessageKey, Uid]]) -> int:
    """Bring tombstones of *at*'s account back as rows of *at*, with their old keys; return how many came.

    A UID that has a row already, or stands in an earlier pair, is passed over.
    """
    risen: list[tuple[object, ...]] = []
    taken: set[Uid] = set()
    unseen = bodies = 0
    for key, uid in pairs:
        row = work.connection.execute(GRAVE, (key,)).fetchone()
        if row is None or row[0] != at.account or uid in taken:
            continue
        if work.connection.execute(FLAGS_BY_UID, (at.folder, at.epoch, uid)).fetchone() is not None:
            continue
        taken.add(uid)
        seq = work.take()
        bits, others, _, *about, header, blob, likeness, local, local_others = row[4:]
        *about, email_id = about
        place = (key, at.account, at.folder, at.epoch, uid)
        wish = (local, local_others)
        risen.append((*place, bits, others, *wish, 0, *about, header, blob, email_id, seq, seq, likeness))
        unseen += is_unseen(bits, local)
        bodies += blob is not None
    work.connection.executemany(LEAVE_GRAVE, ((row[0],) for row in risen))
    work.connection.executemany(RISE, risen)
    count(work, at.folder, messages=len(risen), unseen=unseen, bodies=bodies, listed=len(risen))
    return len(risen)
