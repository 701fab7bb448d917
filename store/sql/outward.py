"""What the replay reads of messages: how they are known again on the server, and what an upload of them needs.

All of it by keys and indexes; the rows themselves, and where they are, are the business of ``places``.
"""

import sqlite3
from collections.abc import Iterator

from sqlalchemy import ColumnElement, exists, func, literal_column, or_, select

from ..instants import from_micros_at
from ..mail import FolderId, MessageKey, Uid, UidSet, UidValidity
from ..mail.operations import BRINGING, OperationKind, OperationState
from ..tables import DATELESS, BlobRow, HeaderRow, MessageRow, OperationRow, TombstoneRow, table
from ..wishes import Likeness, ToUpload
from .places import grave, row, wanted_flags
from .statements import p, sql

__all__ = ["came_since", "keys_at", "likeness", "moving", "removed_with", "to_upload"]

_t, _graves = table(MessageRow), table(TombstoneRow)
_blobs, _headers, _log = table(BlobRow), table(HeaderRow), table(OperationRow)

UPLOAD = sql(
    select(_blobs.c.octets, _blobs.c.digest, _headers.c.message_id, _headers.c.octets)
    .join_from(_t, _blobs, _blobs.c.id == _t.c.blob_id)
    .join(_headers, _headers.c.id == _t.c.header_id)
    .where(_t.c.key == p("message")),
    "message",
)

BROUGHT = exists().where(
    _log.c.message == _t.c.key,
    _log.c.state == literal_column(f"'{OperationState.DONE.value}'"),
    or_(*(_log.c.kind == literal_column(f"'{kind.value}'") for kind in BRINGING)),
)
"""An operation of ours put the message where it is."""
KEYS_AT = sql(
    select(_t.c.uid, _t.c.key, or_(_t.c.twin_of.is_not(None), BROUGHT))
    .where(_t.c.folder_id == p("folder"), _t.c.epoch == p("at_epoch"), _t.c.uid.between(p("low"), p("high")))
    .order_by(_t.c.uid),
    "folder at_epoch low high",
)
CAME_SINCE = sql(
    select(_t.c.key)
    .where(
        _t.c.header_id == p("header"),
        _t.c.header_id.is_not(None),
        _t.c.account_id == p("account"),
        _t.c.key > p("after"),
        _t.c.epoch != literal_column("0"),
        ~BROUGHT,
    )
    .order_by(_t.c.key)
    .limit(1),
    "header account after",
)
REMOVED_WITH = sql(
    select(func.count())
    .select_from(_graves)
    .where(_graves.c.folder_id == p("folder"), _graves.c.epoch != literal_column("0")),
    "folder",
)
GOING_WITH = sql(
    select(func.count())
    .select_from(_log)
    .where(
        _log.c.folder_id == p("folder"),
        _log.c.target_id == _log.c.folder_id,
        _log.c.kind == literal_column("'delete'"),
        _log.c.finished_at.is_(None),
    ),
    "folder",
)
MESSAGE_ID = sql(select(_headers.c.message_id).where(_headers.c.id == p("header")), "header")


def likeness(connection: sqlite3.Connection, key: MessageKey) -> Likeness | None:
    """Return by what a message is known again, alive or removed here."""
    one = row(connection, key) or grave(connection, key)
    if one is None or one.header_id is None:
        return None
    (message_id,) = connection.execute(MESSAGE_ID, (one.header_id,)).fetchone()
    date = None if one.internal_at == DATELESS else from_micros_at(one.internal_at, one.internal_offset)
    return Likeness(message_id=message_id, size=one.size, internal_date=date)


def keys_at(
    connection: sqlite3.Connection, folder: FolderId, epoch: UidValidity, uids: UidSet
) -> Iterator[tuple[Uid, MessageKey, bool]]:
    """Yield UID and key of the rows of *uids*, ascending; and whether it is a twin, or was brought by an operation."""
    for low, high in uids.ranges:
        for uid, key, accounted in connection.execute(KEYS_AT, (folder, epoch, low, high)):
            yield Uid(uid), MessageKey(key), bool(accounted)


def moving(header: ColumnElement[int]) -> ColumnElement[bool]:
    """A message of this *header* waits to be moved: what appears is rather that one, which somebody moved, too."""
    pending_move = (_log.c.kind == literal_column(f"'{OperationKind.MOVE.value}'"), _log.c.finished_at.is_(None))
    return exists().where(_t.c.header_id == header, _log.c.message == _t.c.key, *pending_move)


def came_since(connection: sqlite3.Connection, key: MessageKey, after: MessageKey) -> MessageKey | None:
    """Return the first message on the server that has the header of *key* and a key above *after*.

    None that we put there: a copy of ours is nothing that somebody moved.
    """
    one = row(connection, key) or grave(connection, key)
    if one is None or one.header_id is None:
        return None
    found = connection.execute(CAME_SINCE, (one.header_id, one.account_id, after)).fetchone()
    return None if found is None else MessageKey(found[0])


def removed_with(connection: sqlite3.Connection, folder: FolderId) -> int:
    """Return how many messages of *folder* are in the tombstones, of those that were on the server or came into it."""
    return sum(connection.execute(one, (folder,)).fetchone()[0] for one in (REMOVED_WITH, GOING_WITH))


def to_upload(connection: sqlite3.Connection, key: MessageKey) -> ToUpload | None:
    """Return what an APPEND of a message needs; None: it is not here, or its octets are not."""
    one, parts = row(connection, key), connection.execute(UPLOAD, (key,)).fetchone()
    if one is None or parts is None:
        return None
    octets, digest, message_id, header_octets = parts
    date = None if one.internal_at == DATELESS else from_micros_at(one.internal_at, one.internal_offset)
    return ToUpload(
        size=octets,
        flags=wanted_flags(one),
        internal_date=date,
        message_id=message_id,
        digest=digest,
        header_octets=header_octets,
    )
