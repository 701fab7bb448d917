"""Folder rows: added, changed, removed, read. A folder that is listed again as it was costs no write."""

import sqlite3
from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, exists, insert, literal_column, or_, select, update

from ..errors import UnknownFolder
from ..folders import Folder, FolderCounts, FolderState, RemoteFolderRow
from ..instants import from_micros, micros_or_none
from ..mail import AccountId, FolderId, FolderPath, Role
from ..tables import AccountRow, CursorRow, FolderRow, FolderTombstoneRow, MessageRow, OperationRow, table
from .statements import names, p, sql
from .values import joined, storable
from .writing import Writing

__all__ = [
    "account_of",
    "add_folder",
    "add_local",
    "below",
    "bury_folder",
    "count",
    "find_folder",
    "folders_of",
    "kept_for_nothing",
    "made_at",
    "move_tree",
    "one_folder",
    "set_name",
    "set_state",
    "set_subscribed",
    "show_again",
    "update_folder",
    "with_name",
]

_t, _cursors, _graves, _accounts = table(FolderRow), table(CursorRow), table(FolderTombstoneRow), table(AccountRow)
_messages, _log = table(MessageRow), table(OperationRow)
_LISTED = "name path delimiter role attributes selectable subscribed object_id"
_COLUMNS = f"id account_id {_LISTED} state missing_since note messages unseen bodies listed"
_read = select(*(_t.c[name] for name in _COLUMNS.split()))

ALL = sql(_read)
OF_ACCOUNT = sql(_read.where(_t.c.account_id == p("account")), "account")
ONE = sql(_read.where(_t.c.id == p("folder")), "folder")
BY_PATH = sql(
    _read.where(_t.c.account_id == p("account"), _t.c.path == p("at_path")).order_by(_t.c.state, _t.c.id),
    "account at_path",
)
# Everything below "a" lies between "a/" and "a0", the character behind the slash.
BELOW = sql(
    select(_t.c.id).where(_t.c.account_id == p("account"), _t.c.path > p("low"), _t.c.path < p("high")),
    "account low high",
)
BY_NAME = sql(
    _read.where(_t.c.account_id == p("account"), _t.c.name == p("named"), _t.c.state == literal_column("'deleting'")),
    "account named",
)
SET_PATH = sql(update(_t).where(_t.c.id == p("folder")).values(**names("path changed_seq")), "path changed_seq folder")
SET_NAME = sql(
    update(_t).where(_t.c.id == p("folder")).values(**names("name delimiter state changed_seq")),
    "name delimiter state changed_seq folder",
)
# An account has some hundred folders: they are looked at one by one.
KEPT_FOR_NOTHING = sql(
    select(_t.c.id).where(
        _t.c.state == literal_column("'local'"),
        ~exists().where(_messages.c.folder_id == _t.c.id),
        ~exists().where(
            _log.c.folder_id == _t.c.id, or_(_log.c.finished_at.is_(None), _log.c.kept == literal_column("1"))
        ),
    )
)
SHOW_AGAIN = sql(
    update(_t).where(_t.c.id == p("folder")).values(**names("created_seq changed_seq")),
    "created_seq changed_seq folder",
)
SET_SUBSCRIBED = sql(
    update(_t).where(_t.c.id == p("folder")).values(**names("subscribed changed_seq")), "subscribed changed_seq folder"
)
ACCOUNT_OF = sql(select(_t.c.account_id).where(_t.c.id == p("folder")), "folder")
ADD = sql(
    insert(_t).values(**names(f"account_id {_LISTED} created_seq changed_seq")),
    f"account_id {_LISTED} created_seq changed_seq",
)
ADD_CURSOR = sql(insert(_cursors).values(**names("folder_id account_id")), "folder_id account_id")
UPDATE = sql(
    update(_t).where(_t.c.id == p("folder")).values(**names(f"{_LISTED} changed_seq")), f"{_LISTED} changed_seq folder"
)
SET_STATE = sql(
    update(_t).where(_t.c.id == p("folder")).values(**names("state missing_since note changed_seq")),
    "state missing_since note changed_seq folder",
)
COUNT = sql(
    update(_t)
    .where(_t.c.id == p("folder"))
    .values({name: _t.c[name] + p(f"more_{name}") for name in ("messages", "unseen", "bodies", "listed")}),
    "more_messages more_unseen more_bodies more_listed folder",
)
GRAVE = sql(
    insert(_graves).from_select(
        ["id", "account_id", "name", "created_seq", "seq", "removed_at"],
        select(_t.c.id, _t.c.account_id, _t.c.name, _t.c.created_seq, p("seq"), p("removed_at")).where(
            _t.c.id == p("folder")
        ),
    ),
    "seq removed_at folder",
)
REMOVE = sql(delete(_t).where(_t.c.id == p("folder")), "folder")
_ROLES = list(Role)


def _unknown() -> UnknownFolder:
    return UnknownFolder("the store has no such folder")


def _folder(row: tuple[Any, ...], accounts: dict[int, AccountId]) -> Folder:
    (id_, account, name, path, delimiter, role, attributes, selectable, subscribed, object_id, state, since, note) = (
        row[:13]
    )
    messages, unseen, bodies, listed = row[13:]
    return Folder(
        id=FolderId(id_),
        account=accounts[account],
        name=name,
        path=FolderPath.parse(path),
        delimiter=delimiter,
        role=Role(role) if role else None,
        attributes=frozenset(attributes.split("\n")) if attributes else frozenset(),
        selectable=bool(selectable),
        subscribed=None if subscribed is None else bool(subscribed),
        object_id=object_id or None,
        state=FolderState(state),
        missing_since=None if since is None else from_micros(since),
        note=note,
        counts=FolderCounts(messages=messages, unseen=unseen, bodies=bodies, listed=listed),
    )


def _place_in_list(folder: Folder) -> tuple[AccountId, int, tuple[str, ...]]:
    """INBOX first, then the folders with a role in the order of ``Role``, then the others by path."""
    place = _ROLES.index(folder.role) if folder.role is not None else len(_ROLES)
    return folder.account, place, tuple(name.casefold() for name in folder.path.names)


def _sorted(rows: Iterable[tuple[Any, ...]], accounts: dict[int, AccountId]) -> tuple[Folder, ...]:
    return tuple(sorted((_folder(row, accounts) for row in rows), key=_place_in_list))


def folders_of(
    connection: sqlite3.Connection, account: int | None, accounts: dict[int, AccountId]
) -> tuple[Folder, ...]:
    """Return the folders of one account, or of all."""
    rows = connection.execute(ALL) if account is None else connection.execute(OF_ACCOUNT, (account,))
    return _sorted(rows, accounts)


def one_folder(connection: sqlite3.Connection, folder: FolderId, accounts: dict[int, AccountId]) -> Folder:
    """Return a folder. Raises UnknownFolder."""
    row = connection.execute(ONE, (folder,)).fetchone()
    if row is None:
        raise _unknown()
    return _folder(row, accounts)


def find_folder(
    connection: sqlite3.Connection, account: int, path: FolderPath, accounts: dict[int, AccountId]
) -> Folder | None:
    """Return the folder at *path*; of several (a missing one and its successor) the active one.

    One that was deleted here is returned only where there is no other.
    """
    found = [_folder(row, accounts) for row in connection.execute(BY_PATH, (account, storable(str(path))))]
    return min(found, key=lambda folder: folder.state is FolderState.DELETING, default=None)


def made_at(connection: sqlite3.Connection, folder: Folder, accounts: dict[int, AccountId]) -> FolderId | None:
    """Return the folder that is to be created where *folder* is; None: there is none."""
    rows = connection.execute(BY_PATH, (account_of(connection, folder.id), storable(str(folder.path))))
    made = [found for found in (_folder(row, accounts) for row in rows) if found.state is FolderState.LOCAL]
    return made[0].id if made else None


def account_of(connection: sqlite3.Connection, folder: FolderId) -> int:
    """Return our number of the folder's account. Raises UnknownFolder."""
    row = connection.execute(ACCOUNT_OF, (folder,)).fetchone()
    if row is None:
        raise _unknown()
    return int(row[0])


def _listed(row: RemoteFolderRow) -> tuple[object, ...]:
    return (
        row.name,
        storable(str(row.path)),
        None if row.delimiter is None else storable(row.delimiter),
        row.role.value if row.role is not None else "",
        joined(row.attributes),
        int(row.selectable),
        None if row.subscribed is None else int(row.subscribed),
        storable(row.object_id or ""),
    )


def add_folder(work: Writing, account: int, row: RemoteFolderRow) -> FolderId:
    """Write a new folder with an empty cursor."""
    seq = work.take()
    number = work.connection.execute(ADD, (account, *_listed(row), seq, seq)).lastrowid
    assert number is not None
    work.connection.execute(ADD_CURSOR, (number, account))
    return FolderId(number)


def update_folder(work: Writing, folder: FolderId, row: RemoteFolderRow) -> bool:
    """Write what differs from the listing; False when nothing did. Raises UnknownFolder."""
    now = work.connection.execute(ONE, (folder,)).fetchone()
    if now is None:
        raise _unknown()
    listed = _listed(row)
    if now[2:10] == listed:
        return False
    work.connection.execute(UPDATE, (*listed, work.take(), folder))
    return True


def set_state(work: Writing, folder: Folder, wanted: tuple[FolderState, int | None, str]) -> bool:
    """Write another state, its begin (microseconds) and note; False when nothing differs."""
    state, since, note = wanted[0], wanted[1], storable(wanted[2])
    if (folder.state, micros_or_none(folder.missing_since), folder.note) == (state, since, note):
        return False
    work.connection.execute(SET_STATE, (state.value, since, note, work.take(), folder.id))
    return True


def count(
    work: Writing, folder: FolderId, *, messages: int = 0, unseen: int = 0, bodies: int = 0, listed: int = 0
) -> None:
    """Add to the counters; nothing when all are 0."""
    if messages or unseen or bodies or listed:
        work.connection.execute(COUNT, (messages, unseen, bodies, listed, folder))


def bury_folder(work: Writing, folder: FolderId) -> None:
    """Remove the row of a folder that has no messages any more, and remember that it was."""
    work.connection.execute(GRAVE, (work.take(), work.now, folder))
    work.connection.execute(REMOVE, (folder,))


def add_local(work: Writing, account: int, path: FolderPath, role: Role | None) -> FolderId:
    """Write a folder that is not on the server yet."""
    folder = add_folder(work, account, RemoteFolderRow(name=b"", path=path, role=role))
    work.connection.execute(SET_STATE, (FolderState.LOCAL.value, None, "", work.take(), folder))
    return folder


def with_name(connection: sqlite3.Connection, account: int, name: bytes) -> FolderId | None:
    """Return the folder called *name* that is being deleted, or None."""
    row = connection.execute(BY_NAME, (account, name)).fetchone()
    return None if row is None else FolderId(row[0])


def below(connection: sqlite3.Connection, folder: FolderId) -> list[FolderId]:
    """Return the folders below *folder*, at any depth. Raises UnknownFolder."""
    row = connection.execute(ONE, (folder,)).fetchone()
    if row is None:
        raise _unknown()
    return [FolderId(id_) for (id_,) in connection.execute(BELOW, (row[1], f"{row[3]}/", f"{row[3]}0"))]


def move_tree(work: Writing, folder: FolderId, path: FolderPath) -> None:
    """Give a folder another path, and all below it. Raises UnknownFolder."""
    lower = below(work.connection, folder)
    was = FolderPath.parse(work.connection.execute(ONE, (folder,)).fetchone()[3])
    for one in (folder, *lower):
        old = FolderPath.parse(work.connection.execute(ONE, (one,)).fetchone()[3])
        moved = FolderPath((*path.names, *old.names[len(was.names) :]))
        work.connection.execute(SET_PATH, (storable(str(moved)), work.take(), one))


def set_name(work: Writing, folder: FolderId, name: bytes, delimiter: str | None, state: FolderState) -> None:
    """Write what the server calls a folder, empty: it is not there (any more), and its state."""
    work.connection.execute(SET_NAME, (name, delimiter, state.value, work.take(), folder))


def kept_for_nothing(connection: sqlite3.Connection) -> list[FolderId]:
    """Return the folders that are not on the server, hold no mail, and are not to be made there."""
    return [FolderId(id_) for (id_,) in connection.execute(KEPT_FOR_NOTHING)]


def show_again(work: Writing, folder: FolderId) -> None:
    """Let a folder that was told as removed be told as added."""
    seq = work.take()
    work.connection.execute(SHOW_AGAIN, (seq, seq, folder))


def set_subscribed(work: Writing, folder: FolderId, on: bool | None) -> None:
    """Write whether a folder is subscribed to; None: not known."""
    work.connection.execute(SET_SUBSCRIBED, (None if on is None else int(on), work.take(), folder))
