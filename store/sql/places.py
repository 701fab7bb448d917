"""Single rows of messages, whole: moved from folder to folder, leaving a twin where they were, brought back.

A message without a place on the server is a *pending row* (epoch 0, its key as UID). A *twin* keeps the place of a
message that was moved or deleted here: never visible, so what the server tells of that place still finds a row.
Invariant: the counters move with the rows.
"""

import sqlite3
from typing import NamedTuple

from sqlalchemy import insert, literal_column, select, update

from ..mail import FolderId, MessageKey, Uid, UidValidity
from ..mail.merge import delta
from ..mail.operations import Operation, OperationKind
from ..tables import (
    OWN,
    BlobRow,
    CursorRow,
    FolderRow,
    HeaderRow,
    MessageRow,
    OperationRow,
    TombstoneRow,
    table,
)
from ..wishes import FlagWish, OnServer
from .folders import count
from .rows import LEAVE_GRAVE, REMOVE, is_unseen
from .statements import names, p, sql
from .values import unpacked
from .writing import Writing

__all__ = [
    "PENDING",
    "Row",
    "add",
    "at",
    "change",
    "drop_twin",
    "grave",
    "leave_twin",
    "leaves",
    "on_server",
    "pending_of_folder",
    "pending_row",
    "remove",
    "rise",
    "row",
    "twin",
    "unplace",
    "visible_of_folder",
    "wanted_flags",
    "wishes",
]

_t, _graves = table(MessageRow), table(TombstoneRow)
_blobs, _headers = table(BlobRow), table(HeaderRow)
_folders, _cursors, _log = table(FolderRow), table(CursorRow), table(OperationRow)
PENDING = 0
"""The epoch of a message that has no place on the server yet."""
_COLUMNS = tuple(column.name for column in _t.c)
_CHANGED = " ".join(name for name in _COLUMNS if name not in ("key", "account_id"))
_read = select(*(_t.c[name] for name in _COLUMNS))

ROW = sql(_read.where(_t.c.key == p("message")), "message")
TWIN = sql(_read.where(_t.c.twin_of == p("message")), "message")
AT = sql(
    _read.where(_t.c.folder_id == p("folder"), _t.c.epoch == p("at_epoch"), _t.c.uid == p("at_uid")),
    "folder at_epoch at_uid",
)
ADD = sql(insert(_t).values(**names(" ".join(_COLUMNS))), " ".join(_COLUMNS))
CHANGE = sql(update(_t).where(_t.c.key == p("message")).values(**names(_CHANGED)), f"{_CHANGED} message")
_IN_GRAVE = [name for name in _COLUMNS if name not in ("changed_seq", "twin_of")]
GRAVE = sql(select(*(_graves.c[name] for name in _IN_GRAVE)).where(_graves.c.key == p("message")), "message")
WITH_ITS_FOLDER = sql(
    select(*(_graves.c[name] for name in _IN_GRAVE))
    .join_from(_graves, _folders, _folders.c.id == _graves.c.folder_id)
    .join(_cursors, _cursors.c.folder_id == _graves.c.folder_id)
    .join(_log, _log.c.folder_id == _graves.c.folder_id)
    .where(
        _graves.c.key == p("message"),
        _folders.c.state == literal_column("'deleting'"),
        _cursors.c.epoch == _graves.c.epoch,
        _log.c.kind == literal_column("'delete-folder'"),
        _log.c.finished_at.is_(None),
        _log.c.created_at == _graves.c.removed_at,
    ),
    "message",
)
UNPLACE = sql(update(_graves).where(_graves.c.key == p("message")).values(epoch=0, uid=p("its_key")), "its_key message")
WISHED = sql(_read.where(_t.c.account_id == p("account"), _t.c.local_flags.is_not(None)).order_by(_t.c.key), "account")
PENDING_OF_FOLDER = sql(
    select(_t.c.key).where(_t.c.folder_id == p("folder"), _t.c.epoch == literal_column("0")).order_by(_t.c.uid),
    "folder",
)

VISIBLE_OF_FOLDER = sql(
    select(_t.c.key)
    .where(_t.c.folder_id == p("folder"), _t.c.header_id.is_not(None))
    .order_by(_t.c.internal_at, _t.c.key),
    "folder",
)


class Row(NamedTuple):
    """A row of ``messages``, column by column."""

    key: MessageKey
    account_id: int
    folder_id: FolderId
    epoch: int
    uid: int
    server_flags: int
    server_keywords: str
    local_flags: int | None
    local_keywords: str | None
    mod_seq: int
    internal_at: int
    internal_offset: int
    size: int | None
    header_id: int | None
    blob_id: int | None
    email_id: str
    created_seq: int
    changed_seq: int
    likeness: int
    twin_of: int | None

    @property
    def visible(self) -> bool:
        """True when people see it."""
        return self.header_id is not None

    @property
    def pending(self) -> bool:
        """True when it has no place on the server."""
        return self.epoch == PENDING


def _one(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> Row | None:
    found = connection.execute(statement, values).fetchone()
    return None if found is None else Row(*found)


def row(connection: sqlite3.Connection, key: MessageKey) -> Row | None:
    """Return a row, visible or not."""
    return _one(connection, ROW, (key,))


def twin(connection: sqlite3.Connection, key: MessageKey) -> Row | None:
    """Return the row that keeps the place of the message *key*."""
    return _one(connection, TWIN, (key,))


def at(connection: sqlite3.Connection, folder: FolderId, epoch: int, uid: int) -> Row | None:
    """Return the row of a place."""
    return _one(connection, AT, (folder, epoch, uid))


def grave(connection: sqlite3.Connection, key: MessageKey) -> Row | None:
    """Return the tombstone of a message, as the row that it was."""
    found = connection.execute(GRAVE, (key,)).fetchone()
    return None if found is None else Row(**dict(zip(_IN_GRAVE, found, strict=True)), changed_seq=0, twin_of=None)


def wished(connection: sqlite3.Connection, account: int) -> list[Row]:
    """Return the rows of an account whose flags are to be others than the server's, ascending by key."""
    return [Row(*found) for found in connection.execute(WISHED, (account,))]


def pending_of_folder(connection: sqlite3.Connection, folder: FolderId) -> list[MessageKey]:
    """Return the messages of *folder* that have no place on the server yet."""
    return [key for (key,) in connection.execute(PENDING_OF_FOLDER, (folder,))]


def visible_of_folder(connection: sqlite3.Connection, folder: FolderId) -> list[MessageKey]:
    """Return the messages of *folder* that people see."""
    return [key for (key,) in connection.execute(VISIBLE_OF_FOLDER, (folder,))]


def wishes(connection: sqlite3.Connection, account: int) -> list[FlagWish]:
    """Return the flags that are to be sent, of messages that have a place on the server; ascending by key."""
    found: list[FlagWish] = []
    for one in wished(connection, account):
        place = on_server(connection, one.key)
        change = delta(unpacked(one.server_flags, one.server_keywords), wanted_flags(one))
        if place is not None and change:
            found.append(
                FlagWish(
                    message=one.key,
                    folder_id=place.folder_id,
                    epoch=place.epoch,
                    uid=place.uid,
                    add=change.add,
                    remove=change.remove,
                )
            )
    return found


def wanted_flags(one: Row) -> frozenset[str]:
    """Return the flags that a message is to have."""
    if one.local_flags is None:
        return unpacked(one.server_flags, one.server_keywords)
    return unpacked(one.local_flags, one.local_keywords or "")


def on_server(connection: sqlite3.Connection, key: MessageKey) -> OnServer | None:
    """Return where a message, alive or removed here, is on the server; None: nowhere, or not known."""
    own = row(connection, key)
    place = own if own is not None and not own.pending else twin(connection, key)
    if own is None and place is None:
        place = _with_its_folder(connection, key)
    if place is None or place.twin_of not in (None, key):
        return None
    flags = unpacked(place.server_flags, place.server_keywords)
    return OnServer(folder_id=place.folder_id, epoch=UidValidity(place.epoch), uid=Uid(place.uid), flags=flags)


def _with_its_folder(connection: sqlite3.Connection, key: MessageKey) -> Row | None:
    """Return the tombstone of a message that went here with its folder, which is on the server still."""
    found = connection.execute(WITH_ITS_FOLDER, (key,)).fetchone()
    return None if found is None else Row(**dict(zip(_IN_GRAVE, found, strict=True)), changed_seq=0, twin_of=None)


def leaves(connection: sqlite3.Connection, one: Operation, folder: FolderId) -> bool:
    """Tell whether *one*, a pending operation, is to take mail out of *folder*, moved or copied."""
    source = {OperationKind.MOVE: one.message, OperationKind.COPY: one.origin}.get(one.kind)
    place = None if source is None else on_server(connection, source)
    return place is not None and place.folder_id == folder


def unplace(work: Writing, key: MessageKey) -> None:
    """Forget the place that a message has by its twin or its tombstone."""
    if not drop_twin(work, key) and row(work.connection, key) is None:
        work.connection.execute(UNPLACE, (key, key))


def _tally(work: Writing, one: Row, sign: int) -> None:
    count(
        work,
        one.folder_id,
        messages=sign * one.visible,
        unseen=sign * (one.visible and is_unseen(one.server_flags, one.local_flags)),
        bodies=sign * (one.blob_id is not None),
        listed=sign * (not one.pending),
    )


def add(work: Writing, one: Row) -> None:
    """Write a row; a visible one is told as added."""
    if one.visible:
        seq = work.take()
        one = one._replace(created_seq=seq, changed_seq=seq)
    work.connection.execute(ADD, one)
    _tally(work, one, 1)


def change(work: Writing, old: Row, **changes: object) -> Row:
    """Write other values into columns of *old*; a visible row is told as changed."""
    new = old._replace(**changes)  # type: ignore[arg-type]  # the names are those of Row
    if new.visible:
        seq = work.take()
        new = new._replace(created_seq=new.created_seq or seq, changed_seq=seq)
    work.connection.execute(CHANGE, (*new[2:], old.key))
    _tally(work, old, -1)
    _tally(work, new, 1)
    return new


def remove(work: Writing, one: Row) -> None:
    """Remove a row of which nobody has heard."""
    work.connection.execute(REMOVE, (one.key,))
    _tally(work, one, -1)


def drop_twin(work: Writing, key: MessageKey) -> bool:
    """Remove the row that keeps the place of the message *key*; False: there was none."""
    kept = twin(work.connection, key)
    if kept is not None:
        remove(work, kept)
    return kept is not None


def pending_row(work: Writing, like: Row, folder: FolderId) -> Row:
    """Write a copy of *like* into *folder*, without a place, under a key of its own."""
    key = MessageKey(work.next_id("messages"))
    made = like._replace(key=key, folder_id=folder, epoch=PENDING, uid=key, mod_seq=0, twin_of=None, created_seq=0)
    add(work, made)
    return made


def leave_twin(work: Writing, was: Row) -> MessageKey:
    """Write the twin that keeps the place of *was*, which is not there any more; return its key."""
    key = MessageKey(work.next_id("messages"))
    nothing = {"local_flags": None, "local_keywords": None, "header_id": None, "blob_id": None, "likeness": OWN}
    add(work, was._replace(key=key, created_seq=0, changed_seq=0, twin_of=was.key, **nothing))  # type: ignore[arg-type]  # Row's
    return key


def rise(work: Writing, key: MessageKey, folder: FolderId, epoch: int, uid: int) -> Row | None:
    """Bring a message back from its tombstone to a place; None: there is none any more."""
    dead = grave(work.connection, key)
    if dead is None:
        return None
    work.connection.execute(LEAVE_GRAVE, (key,))
    add(work, dead._replace(folder_id=folder, epoch=epoch, uid=uid))
    return row(work.connection, key)
