"""Folders as a listing tells them, where people here have wanted something else of them meanwhile.

A folder that was made here is the one that is listed at its path now; one that was deleted here is not added again; one
that was renamed here, and all below it, keeps the path that it has here until the server has it, too.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import literal_column, select

from ..folders import FolderState, RemoteFolderRow
from ..mail import AccountId, FolderId, FolderPath
from ..mail.operations import OperationId, OperationKind
from ..tables import OperationRow, table
from . import folders, operations
from .statements import p, sql
from .writing import Writing

__all__ = ["add_listed", "update_listed"]

_t = table(OperationRow)
_kinds = (
    OperationKind.CREATE_FOLDER,
    OperationKind.RENAME_FOLDER,
    OperationKind.SUBSCRIBE,
    OperationKind.UNSUBSCRIBE,
)
WANTED = sql(
    select(_t.c.id, _t.c.kind, _t.c.folder_id, _t.c.path)
    .where(
        _t.c.account_id == p("account"),
        _t.c.finished_at.is_(None),
        _t.c.kind.in_([literal_column(f"'{kind.value}'") for kind in _kinds]),
    )
    .order_by(_t.c.id),
    "account",
)
_RENAME = OperationKind.RENAME_FOLDER.value
Wanted = Sequence[tuple[int, str, int, str]]


def add_listed(work: Writing, account: int, row: RemoteFolderRow, names: dict[int, AccountId]) -> FolderId:
    """Add a folder as listed, unless it is one of ours; return its id."""
    deleting = folders.with_name(work.connection, account, row.name)
    if deleting is not None:
        return deleting
    wanted: Wanted = work.connection.execute(WANTED, (account,)).fetchall()
    row = _as_wanted(work, wanted, row, None, names)
    there = folders.find_folder(work.connection, account, row.path, names)
    if there is None or there.state is not FolderState.LOCAL:
        return folders.add_folder(work, account, row)
    folders.set_name(work, there.id, row.name, row.delimiter, FolderState.ACTIVE)
    folders.update_folder(work, there.id, row if row.role is not None else replace(row, role=there.role))
    made = [id_ for id_, kind, folder, _ in wanted if (kind, folder) == (OperationKind.CREATE_FOLDER.value, there.id)]
    operations.close(work, map(OperationId, made), "it was there already")
    return there.id


def update_listed(work: Writing, folder: FolderId, row: RemoteFolderRow, names: dict[int, AccountId]) -> bool:
    """Write what differs from the listing; False when nothing did. Raises UnknownFolder."""
    wanted = work.connection.execute(WANTED, (folders.account_of(work.connection, folder),)).fetchall()
    return folders.update_folder(work, folder, _as_wanted(work, wanted, row, folder, names))


def _as_wanted(
    work: Writing, wanted: Wanted, row: RemoteFolderRow, folder: FolderId | None, names: dict[int, AccountId]
) -> RemoteFolderRow:
    if folder is not None and any((kind, about) == (_RENAME, folder) for _, kind, about, _ in wanted):
        row = replace(row, path=folders.one_folder(work.connection, folder, names).path)
    else:
        row = replace(row, path=_as_renamed(work, wanted, row.path, names))
    for _, kind, about, _ in wanted:
        if about == folder and kind in (OperationKind.SUBSCRIBE.value, OperationKind.UNSUBSCRIBE.value):
            row = replace(row, subscribed=kind == OperationKind.SUBSCRIBE.value)
    return row


def _as_renamed(work: Writing, wanted: Wanted, path: FolderPath, names: dict[int, AccountId]) -> FolderPath:
    """Return what a folder at *path* on the server is called here, after all renames that wait, step by step."""
    renames = [(about, FolderPath.parse(text)) for _, kind, about, text in wanted if kind == _RENAME]
    within: tuple[str, ...] = ()
    for at, (about, before) in enumerate(renames):
        depth = len(before.names)
        if path.names[:depth] != before.names or before.names[: len(within)] != within:
            continue
        later = next((step for other, step in renames[at + 1 :] if other == about), None)
        if later is None:  # its last name: what else was renamed is so already in that, but for what lies below it
            later = folders.one_folder(work.connection, FolderId(about), names).path
            within = later.names
        path = FolderPath((*later.names, *path.names[depth:]))
    return path
