"""What became true since a cursor: read from the change numbers of the rows and tombstones themselves.

There is no journal. Each row knows the number of its last change, so a reader that comes late costs no more than the
rows that differ; removed ones are told from tombstones, and a cursor older than the purged ones is refused.
"""

import sqlite3
from collections.abc import Iterator
from heapq import merge
from itertools import islice

from sqlalchemy import literal_column, select

from ..changes import (
    Change,
    ChangePage,
    FolderAdded,
    FolderChanged,
    FolderRemoved,
    MessageAdded,
    MessageChanged,
    MessageRemoved,
)
from ..errors import CursorTooOld
from ..folders import FolderState
from ..mail import AccountId, FolderId, MessageKey, Uid
from ..tables import FolderRow, FolderTombstoneRow, MessageRow, StateRow, TombstoneRow, table
from .statements import p, sql

__all__ = ["changes_since"]

_messages, _graves, _folders = table(MessageRow), table(TombstoneRow), table(FolderRow)
_folder_graves, _state = table(FolderTombstoneRow), table(StateRow)

STATE = sql(select(_state.c.change_seq, _state.c.purged_seq))
MESSAGES = sql(
    select(
        _messages.c.changed_seq,
        _messages.c.account_id,
        _messages.c.folder_id,
        _messages.c.key,
        _messages.c.uid,
        _messages.c.created_seq,
        _messages.c.epoch,
    )
    .where(_messages.c.changed_seq > p("since"), _messages.c.header_id.is_not(None))
    .order_by(_messages.c.changed_seq)
    .limit(p("rows")),
    "since rows",
)
REMOVED = sql(
    select(
        _graves.c.seq,
        _graves.c.account_id,
        _graves.c.folder_id,
        _graves.c.key,
        _graves.c.uid,
        _graves.c.created_seq,
        _graves.c.epoch,
    )
    .where(_graves.c.seq > p("since"))
    .order_by(_graves.c.seq)
    .limit(p("rows")),
    "since rows",
)
FOLDERS = sql(
    select(_folders.c.changed_seq, _folders.c.account_id, _folders.c.id, _folders.c.created_seq, _folders.c.state)
    .where(_folders.c.changed_seq > p("since"))
    .order_by(_folders.c.changed_seq)
    .limit(p("rows")),
    "since rows",
)
REMOVED_FOLDERS = sql(
    select(
        _folder_graves.c.seq,
        _folder_graves.c.account_id,
        _folder_graves.c.id,
        _folder_graves.c.created_seq,
        literal_column("''"),
    )
    .where(_folder_graves.c.seq > p("since"))
    .order_by(_folder_graves.c.seq)
    .limit(p("rows")),
    "since rows",
)

Told = tuple[int, Change | None]
"""A change number, and what is told of it; None: the reader never heard of what was removed."""


def changes_since(connection: sqlite3.Connection, since: int, limit: int, accounts: dict[int, AccountId]) -> ChangePage:
    """Return up to *limit* changes after *since*. Raises CursorTooOld; 0 always works: everything is new then."""
    now, purged = connection.execute(STATE).fetchone()
    if since > now or 0 < since < purged:
        raise CursorTooOld(
            "changes since then are no longer known; read the folders again and go on from the new cursor"
        )

    def read(statement: str) -> sqlite3.Cursor:
        return connection.execute(statement, (since, limit + 1))

    def folders(statement: str, changed: type[FolderChanged | FolderRemoved]) -> Iterator[Told]:
        for seq, account, folder, created, state in read(statement):
            removed = changed is FolderRemoved or state == FolderState.DELETING.value
            if created > since and removed:
                yield seq, None
                continue
            kind = FolderAdded if created > since else FolderRemoved if removed else changed
            yield seq, kind(seq=seq, account=accounts[account], folder_id=FolderId(folder))

    def messages(statement: str, changed: type[MessageChanged | MessageRemoved]) -> Iterator[Told]:
        for seq, account, folder, key, uid, created, epoch in read(statement):
            if created > since and changed is MessageRemoved:
                yield seq, None
                continue
            kind = MessageAdded if created > since else changed
            folder_id, name = FolderId(folder), accounts[account]
            place = Uid(uid) if epoch else None
            yield seq, kind(seq=seq, account=name, folder_id=folder_id, key=MessageKey(key), uid=place)

    ordered = merge(
        folders(FOLDERS, FolderChanged),
        messages(MESSAGES, MessageChanged),
        messages(REMOVED, MessageRemoved),
        folders(REMOVED_FOLDERS, FolderRemoved),
        key=lambda told: told[0],
    )
    page = list(islice(ordered, limit + 1))
    more = len(page) > limit
    page = page[:limit]
    return ChangePage(
        changes=tuple(change for _, change in page if change is not None),
        cursor=page[-1][0] if more else now,
        more=more,
    )
