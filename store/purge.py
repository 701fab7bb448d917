"""Removing for good: old tombstones, then what nothing points at any more, then free pages. In short steps.

Each step is a unit of work of its own with a bound on its rows, so that others may read and write between; a process
that is killed leaves the rest for the next purge, and one that is cut off says where that one goes on. References are
asked for and not counted: a counter can be wrong.

Invariant: no row of ``messages`` is touched, whatever its flags and marks, and nothing that a row, a pending operation,
or mail that is not sent and filed points at.
"""

import sqlite3
from collections.abc import Callable

from sqlalchemy import Table, and_, delete, exists, func, literal_column, or_, select, update
from sqlalchemy.sql import Select

from .database import Database
from .reports import PurgeReport
from .sql.runs import open_accounts
from .sql.statements import names, p, sql
from .sql.writing import Unit
from .tables import (
    BlobRow,
    ConflictRow,
    FolderTombstoneRow,
    HeaderRow,
    MessageRow,
    OperationRow,
    PartialRow,
    StateRow,
    SubmissionRow,
    TombstoneRow,
    table,
)

__all__ = ["clean_due", "is_due", "purge"]

TOMBSTONES_A_STEP = 2_000
IDS_A_STEP = 5_000
PAGES_A_STEP = 256
_DAY = 86_400_000_000
DONE_KEPT = _DAY
"""Microseconds for which what was done can be undone."""
REFUSED_KEPT = 30 * _DAY
"""Microseconds for which people can read what was refused, and which conflicts there were."""
FILED_KEPT = 30 * _DAY
"""Microseconds for which what was sent and filed is remembered, and its key with it. What was rejected stays."""

_messages, _graves, _folder_graves = table(MessageRow), table(TombstoneRow), table(FolderTombstoneRow)
_log, _conflicts, _outbox = table(OperationRow), table(ConflictRow), table(SubmissionRow)
_blobs, _headers, _partials, _state = table(BlobRow), table(HeaderRow), table(PartialRow), table(StateRow)


def _oldest(graves: Table, key: str) -> Select[tuple[int, int]]:
    found = select(graves.c[key], graves.c.seq).where(graves.c.removed_at <= p("before"))
    if graves is _graves:  # what a pending operation is about, or one that was refused and kept, may have to come back
        undecided = or_(_log.c.finished_at.is_(None), _log.c.kept == literal_column("1"))
        for about in (_log.c.message, _log.c.origin):
            found = found.where(~exists().where(about == graves.c.key, undecided))
    return found.limit(p("rows"))


OLD = sql(_oldest(_graves, "key"), "before rows")
OLD_FOLDERS = sql(_oldest(_folder_graves, "id"), "before rows")
FORGET = sql(delete(_graves).where(_graves.c.key == p("message")), "message")
FORGET_FOLDER = sql(delete(_folder_graves).where(_folder_graves.c.id == p("folder")), "folder")
PURGED = sql(
    update(_state).where(_state.c.purged_seq < p("up_to")).values(**names("purged_seq")),
    "purged_seq up_to",
)


def _unreferenced(owned: Table, column: str) -> str:
    """Build the statement that deletes rows of *owned*, in a window of ids, to which nothing points."""
    pointed_at = or_(*(exists().where(owner.c[column] == owned.c.id) for owner in (_messages, _graves, _outbox)))
    half = exists().where(_partials.c.blob_id == owned.c.id) if owned is _blobs else None
    free = ~pointed_at if half is None else and_(~pointed_at, ~half)
    return sql(delete(owned).where(owned.c.id.between(p("low"), p("high")), free), "low high")


FREE_BLOBS = _unreferenced(_blobs, "blob_id")
FREE_HEADERS = _unreferenced(_headers, "header_id")
LAST_BLOB = sql(select(func.coalesce(func.max(_blobs.c.id), 0)))
LAST_HEADER = sql(select(func.coalesce(func.max(_headers.c.id), 0)))
PARTIAL_ACCOUNTS = sql(select(_partials.c.account_id).distinct())
DROP_PARTIALS = sql(
    delete(_blobs).where(_blobs.c.id.in_(select(_partials.c.blob_id).where(_partials.c.account_id == p("account")))),
    "account",
)

DONE = sql(
    delete(_log).where(
        _log.c.finished_at <= p("before"),
        _log.c.awaits == literal_column("0"),
        _log.c.kept == literal_column("0"),
        or_(_log.c.state == literal_column("'done'"), _log.c.finished_at <= p("long_before")),
    ),
    "before long_before",
)
RESOLVED = sql(
    delete(_conflicts).where(
        or_(
            _conflicts.c.resolved_at <= p("before"),
            (_conflicts.c.done.is_not(None)) & (_conflicts.c.detected_at <= p("long_before")),
        )
    ),
    "before long_before",
)

_filed = (_outbox.c.finished_at <= p("before"), _outbox.c.state == literal_column("'filed'"))
FILED = sql(delete(_outbox).where(*_filed), "before")
ANY_FILED = sql(select(_outbox.c.id).where(*_filed).limit(p("rows")), "before rows")

CLEANED = sql(select(_state.c.cleaned_at, _state.c.next_blob, _state.c.next_header))
_PLACES = "next_blob next_header"
SAVE_CLEANED = sql(update(_state).values(**names(f"cleaned_at {_PLACES}")), f"cleaned_at {_PLACES}")


def purge(database: Database, unit: Unit, before: int, go_on: Callable[[], bool] = lambda: True) -> PurgeReport:
    """Purge tombstones of *before* (microseconds) and older ones and all that follows from it.

    *go_on* is asked before each step; once it says no, the rest is left to the next purge.
    """
    with database.reading() as connection:
        _, blob, header = connection.execute(CLEANED).fetchone()
    tombstones = partials = operations = submissions = 0
    while go_on() and (step := _forget_tombstones(unit, before)):
        tombstones += step
    if go_on():
        partials, operations, submissions = _drop_partials(unit), _forget_operations(unit), _forget_filed(unit)
    blobs, blob = _sweep(unit, "purge blobs", LAST_BLOB, FREE_BLOBS, blob, go_on)
    headers, header = _sweep(unit, "purge headers", LAST_HEADER, FREE_HEADERS, header, go_on)
    pages = _give_pages_back(database, go_on)
    finished = go_on()
    with unit("cleaned") as work:
        (cleaned_at, *_) = work.connection.execute(CLEANED).fetchone()
        work.connection.execute(SAVE_CLEANED, (work.now, 0, 0) if finished else (cleaned_at, blob, header))
    return PurgeReport(
        tombstones=tombstones,
        operations=operations,
        submissions=submissions,
        partials=partials,
        blobs=blobs,
        headers=headers,
        pages=pages,
        finished=finished,
    )


def clean_due(connection: sqlite3.Connection, before: int, now: int, every: int) -> bool:
    """Tell whether the last purge is *every* microseconds ago, and there is something to do, or left by one cut off."""
    cleaned_at, blob, _ = connection.execute(CLEANED).fetchone()
    return not 0 <= now - cleaned_at < every and (blob > 0 or is_due(connection, before, now))


def is_due(connection: sqlite3.Connection, before: int, now: int) -> bool:
    """Tell whether there is a tombstone of *before* (microseconds) or older, or mail filed long ago. Indexed looks."""
    looks = ((OLD, before), (OLD_FOLDERS, before), (ANY_FILED, now - FILED_KEPT))
    return any(connection.execute(statement, (until, 1)).fetchone() is not None for statement, until in looks)


def _forget_tombstones(unit: Unit, before: int) -> int:
    """Remove some tombstones and remember how far; return how many."""
    with unit("purge tombstones") as work:
        connection = work.connection
        old = connection.execute(OLD, (before, TOMBSTONES_A_STEP)).fetchall()
        folders = connection.execute(OLD_FOLDERS, (before, TOMBSTONES_A_STEP)).fetchall()
        if not old and not folders:
            return 0
        connection.executemany(FORGET, ((key,) for key, _ in old))
        connection.executemany(FORGET_FOLDER, ((key,) for key, _ in folders))
        newest = max(seq for _, seq in (*old, *folders))
        connection.execute(PURGED, (newest, newest))
        return len(old) + len(folders)


def _forget_operations(unit: Unit) -> int:
    """Remove operations whose grace period is over, refused ones and conflicts once people had time to read them."""
    with unit("purge operations") as work:
        work.connection.execute(RESOLVED, (work.now - REFUSED_KEPT, work.now - REFUSED_KEPT))
        return work.connection.execute(DONE, (work.now - DONE_KEPT, work.now - REFUSED_KEPT)).rowcount


def _forget_filed(unit: Unit) -> int:
    """Remove submissions that were filed long ago."""
    with unit("purge outbox") as work:
        return work.connection.execute(FILED, (work.now - FILED_KEPT,)).rowcount


def _drop_partials(unit: Unit) -> int:
    """Drop half messages of accounts that nobody synchronizes now; return how many."""
    with unit("purge half messages") as work:
        idle = {account for (account,) in work.connection.execute(PARTIAL_ACCOUNTS)} - open_accounts(work.connection)
        return sum(work.connection.execute(DROP_PARTIALS, (account,)).rowcount for account in sorted(idle))


def _sweep(unit: Unit, name: str, last: str, free: str, first: int, go_on: Callable[[], bool]) -> tuple[int, int]:
    """Delete what is not pointed at, window by window of ids from *first* on; return how many, and where to go on."""
    low, freed = max(first, 1), 0
    while go_on():
        high = low + IDS_A_STEP - 1
        with unit(name) as work:
            (end,) = work.connection.execute(last).fetchone()
            if low > end:
                break
            freed += work.connection.execute(free, (low, high)).rowcount
        low = high + 1
    return freed, low


def _give_pages_back(database: Database, go_on: Callable[[], bool]) -> int:
    """Shorten the file by its free pages, some at a time; return how many."""
    given: int = 0
    while go_on():
        with database.maintaining("give pages back") as connection:
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            if not free:
                return given
            # Pragmas take no parameters; the number is ours.
            connection.execute(f"PRAGMA incremental_vacuum({PAGES_A_STEP:d})").fetchall()
            (left,) = connection.execute("PRAGMA freelist_count").fetchone()
        given += free - left
        if left >= free:
            break
    return given
