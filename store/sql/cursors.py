"""Cursor rows and trouble rows: how far each folder is, and which messages could not be brought."""

import sqlite3
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from ..cursors import FolderCursor, Trouble, TroubleKind
from ..errors import UnknownFolder
from ..instants import from_micros, micros, micros_or_none
from ..mail import FolderId, ModSeq, Uid, UidSet, UidValidity
from ..tables import CursorRow, TroubleRow, table
from .statements import names, p, sql
from .values import storable
from .writing import Writing

__all__ = [
    "all_troubles",
    "clear_trouble",
    "cursor_of",
    "empty",
    "epoch_of",
    "forget_troubles",
    "save_cursor",
    "set_epoch",
    "set_trouble",
    "touch_cursor",
    "troubles_of",
]

_t, _troubles = table(CursorRow), table(TroubleRow)
_COLUMNS = "epoch mod_seq uid_next messages listed_from distrust epoch_changes proven_at checked_at"  # table order
_TROUBLE = "folder_id epoch uid kind reason tries next_try_at"
_of_folder = _t.c.folder_id == p("folder")
_read_troubles = select(*(_troubles.c[name] for name in _TROUBLE.split()))
_this_trouble = (
    _troubles.c.folder_id == p("folder"),
    _troubles.c.epoch == p("at_epoch"),
    _troubles.c.uid == p("at_uid"),
)

READ = sql(select(*(_t.c[name] for name in _COLUMNS.split())).where(_of_folder), "folder")
EPOCH = sql(select(_t.c.epoch).where(_of_folder), "folder")
SAVE = sql(update(_t).where(_of_folder).values(**names(_COLUMNS)), f"{_COLUMNS} folder")
TOUCH = sql(update(_t).where(_of_folder).values(**names("checked_at")), "checked_at folder")
SET_EPOCH = sql(update(_t).where(_of_folder).values(**names("epoch")), "epoch folder")
TROUBLES = sql(_read_troubles.order_by(_troubles.c.folder_id, _troubles.c.epoch, _troubles.c.uid))
TROUBLES_OF = sql(
    _read_troubles.where(_troubles.c.folder_id == p("folder")).order_by(_troubles.c.epoch, _troubles.c.uid), "folder"
)
AGAIN = sql(
    update(_troubles)
    .where(*_this_trouble)
    .values(kind=p("kind"), reason=p("reason"), tries=_troubles.c.tries + p("more"), next_try_at=p("next_try_at")),
    "kind reason more next_try_at folder at_epoch at_uid",
)
ADD_TROUBLE = sql(
    insert(_troubles).values(**names(f"account_id {_TROUBLE}")),
    f"account_id {_TROUBLE}",
)
CLEAR = sql(
    delete(_troubles).where(_troubles.c.folder_id == p("folder"), _troubles.c.uid == p("at_uid")), "folder at_uid"
)
FORGET = sql(
    delete(_troubles).where(
        _troubles.c.folder_id == p("folder"),
        _troubles.c.epoch == p("at_epoch"),
        _troubles.c.uid.between(p("low"), p("high")),
    ),
    "folder at_epoch low high",
)

FORGET_ALL = sql(delete(_troubles).where(_troubles.c.folder_id == p("folder")), "folder")


def _cursor(row: tuple[Any, ...]) -> FolderCursor:
    epoch, mod_seq, uid_next, messages, listed_from, distrust, epoch_changes, proven_at, checked_at = row
    return FolderCursor(
        epoch=None if epoch is None else UidValidity(epoch),
        mod_seq=None if mod_seq is None else ModSeq(mod_seq),
        uid_next=uid_next,
        messages=messages,
        listed_from=listed_from,
        distrust=distrust,
        epoch_changes=epoch_changes,
        proven_at=None if proven_at is None else from_micros(proven_at),
        checked_at=None if checked_at is None else from_micros(checked_at),
    )


def cursor_of(connection: sqlite3.Connection, folder: FolderId) -> FolderCursor:
    """Return how far *folder* is. Raises UnknownFolder."""
    row = connection.execute(READ, (folder,)).fetchone()
    if row is None:
        raise UnknownFolder("the store has no such folder")
    return _cursor(row)


def epoch_of(connection: sqlite3.Connection, folder: FolderId) -> UidValidity | None:
    """Return the epoch of every row of *folder*; None: it has none yet. Raises UnknownFolder."""
    row = connection.execute(EPOCH, (folder,)).fetchone()
    if row is None:
        raise UnknownFolder("the store has no such folder")
    return row[0] if row[0] is None else UidValidity(row[0])


def save_cursor(work: Writing, folder: FolderId, cursor: FolderCursor) -> bool:
    """Write *cursor*; False when it is what is there. Raises UnknownFolder."""
    if cursor_of(work.connection, folder) == cursor:
        return False
    work.connection.execute(
        SAVE,
        (
            cursor.epoch,
            cursor.mod_seq,
            cursor.uid_next,
            cursor.messages,
            cursor.listed_from,
            storable(cursor.distrust),
            cursor.epoch_changes,
            micros_or_none(cursor.proven_at),
            micros_or_none(cursor.checked_at),
            folder,
        ),
    )
    return True


def touch_cursor(work: Writing, folder: FolderId, checked_at: datetime) -> None:
    """Write when *folder* was last looked at, and nothing else."""
    work.connection.execute(TOUCH, (micros(checked_at), folder))


def set_epoch(work: Writing, folder: FolderId, epoch: UidValidity) -> None:
    """Write the epoch of the folder's rows."""
    work.connection.execute(SET_EPOCH, (epoch, folder))


def _trouble(row: tuple[Any, ...]) -> Trouble:
    folder, epoch, uid, kind, reason, tries, next_try_at = row
    return Trouble(
        folder_id=FolderId(folder),
        epoch=UidValidity(epoch),
        uid=Uid(uid),
        kind=kind,
        reason=reason,
        tries=tries,
        next_try_at=from_micros(next_try_at),
    )


def all_troubles(connection: sqlite3.Connection) -> tuple[Trouble, ...]:
    """Return every trouble, by folder and UID."""
    return tuple(_trouble(row) for row in connection.execute(TROUBLES))


def troubles_of(connection: sqlite3.Connection, folder: FolderId) -> tuple[Trouble, ...]:
    """Return the troubles of *folder*, by UID."""
    return tuple(_trouble(row) for row in connection.execute(TROUBLES_OF, (folder,)))


def set_trouble(
    work: Writing,
    account: int,
    at: tuple[FolderId, UidValidity, Uid],
    what: tuple[TroubleKind, str],
    next_try: datetime,
) -> None:
    """Note one more try in vain for the message *at*."""
    kind, reason, due = what[0], storable(what[1]), micros(next_try)
    if work.connection.execute(AGAIN, (kind, reason, 1, due, *at)).rowcount == 0:
        work.connection.execute(ADD_TROUBLE, (account, *at, kind, reason, 1, due))


def clear_trouble(work: Writing, folder: FolderId, uid: Uid) -> None:
    """Forget the trouble with one message, if there is one."""
    work.connection.execute(CLEAR, (folder, uid))


def forget_troubles(work: Writing, folder: FolderId, epoch: UidValidity, uids: UidSet) -> None:
    """Forget the troubles with messages that are gone."""
    work.connection.executemany(FORGET, ((folder, epoch, low, high) for low, high in uids.ranges))


def empty(work: Writing, folder: FolderId) -> None:
    """Forget how far a folder was, and the troubles in it: it is not there any more."""
    if save_cursor(work, folder, FolderCursor()):
        work.connection.execute(FORGET_ALL, (folder,))
