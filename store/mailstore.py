"""``MailStore``: the object an embedder holds. Reads and writes in the caller's thread; starts none of its own."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from .alerts import Alerts
from .changes import ChangePage
from .check import check
from .database import Database
from .editing import Editing
from .eventlog import EventLog
from .handlers import Handlers
from .mail import AccountId
from .outbox import Outbox
from .purge import clean_due, is_due, purge
from .readview import ReadView
from .reports import CheckReport, PurgeReport
from .runs import Lane, RunError, RunId
from .schedules import Schedules
from .sql import accounts, blobs, changes, runs
from .sql.writing import Writing, change_seq
from .transaction import WriteTransaction

__all__ = ["MailStore"]

CHANGES_MAX = 10_000
CLEAN_HOURS = 3.0
"""Between two cleanings that nobody asked for."""
TOMBSTONE_DAYS = 7.0
"""How long a removed message can come back without a download."""


class MailStore:
    """An open store. Thread-safe; any number of processes may have the same file open. Use it as a context manager.

    Raises nothing but StoreError (and ValueError for arguments that make no sense).
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._outbox = Outbox(database, self._unit, clock)
        self._eventlog = EventLog(database, self._unit)
        self._handlers = Handlers(database, self._unit)
        self._alerts = Alerts(database, self._unit)
        self._schedules = Schedules(database, self._unit)
        self._whereabouts: dict[RunId, tuple[str, int, int]] = {}
        """Of runs of this object: what is written with their next commit."""

    @property
    def outbox(self) -> Outbox:
        """Messages on their way out: submitted here, sent by a provider's transport."""
        return self._outbox

    @property
    def eventlog(self) -> EventLog:
        """What went wrong, for people: one entry for as long as a thing lasts."""
        return self._eventlog

    @property
    def handlers(self) -> Handlers:
        """What a manager remembers of handlers and their items."""
        return self._handlers

    @property
    def alerts(self) -> Alerts:
        """That an account's synchronization fails: raised by its first error, cleared when the last one is over."""
        return self._alerts

    @property
    def schedules(self) -> Schedules:
        """Groups of accounts, and when they run by themselves."""
        return self._schedules

    @property
    def path(self) -> Path:
        """Where the store is, absolute."""
        return self._database.path

    @property
    def commits(self) -> int:
        """Write transactions committed by this object that changed something."""
        return self._database.commits

    def __enter__(self) -> "MailStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close; twice is fine. Ends ``wait_for_change`` in other threads. Never raises."""
        self._database.close()

    @contextmanager
    def read(self) -> Iterator[ReadView]:
        """Open a snapshot. Any thread, many at once; never waits for a writer. Keep it short."""
        with self._database.reading() as connection:
            view = ReadView(connection, self._clock)
            try:
                yield view
            finally:
                view._end()

    @contextmanager
    def write(self, name: str, *, durable: bool = False, run: RunId | None = None) -> Iterator[WriteTransaction]:
        """Open a unit of work: committed at the end, undone by any exception. One at a time among all processes.

        *name* stands in the log when it is slow. *durable*: on disk when this returns (else a power cut may cost the
        last few commits, never the store). *run*: refuse with LeaseLost when that run was taken over; its lease is
        renewed on the way when less than half is left. Raises StoreBusy after the wait, StoreFull, StoreReadOnly.
        """
        with self._unit(name, durable=durable) as work:
            if run is not None:
                runs.require(work, run)
                work.run = run
            before = work.connection.total_changes
            transaction = WriteTransaction(work, ReadView(work.connection, self._clock))
            try:
                yield transaction
                transaction._finish()
                if run is not None and work.connection.total_changes != before:
                    at = self._whereabouts.pop(run, None)
                    if at is not None:
                        runs.note(work, run, *at)
            finally:
                transaction._end()

    @contextmanager
    def edit(self, name: str) -> Iterator[Editing]:
        """Open a batch of changes by a person: on disk when this returns, or undone by any exception.

        Raises as ``write``.
        """
        with self._unit(name, durable=True) as work:
            editing = Editing(work, ReadView(work.connection, self._clock))
            try:
                yield editing
                editing._finish()
            finally:
                editing._end()

    @contextmanager
    def _unit(self, name: str, *, durable: bool = False) -> Iterator[Writing]:
        with self._database.writing(name, durable=durable) as connection:
            work = Writing(connection, int(self._clock() * 1_000_000))
            yield work
            work.flush()

    # --- changes -----------------------------------------------------------------------------------------------

    def changes(self, since: int = 0, *, limit: int = 1000) -> ChangePage:
        """Return what became true after the cursor *since* (0: from the beginning), oldest first.

        Raises CursorTooOld when removals since then were purged: read everything again, and go on from the
        ``ReadView.cursor_seq()`` of that reading.
        """
        if since < 0 or not 1 <= limit <= CHANGES_MAX:
            raise ValueError(f"a cursor is not negative, a page has between 1 and {CHANGES_MAX} changes")
        with self._database.reading() as connection:
            return changes.changes_since(connection, since, limit, accounts.account_names(connection))

    def wait_for_change(self, since: int, timeout_seconds: float) -> bool:
        """Wait until something becomes true after the cursor *since*, by any process; False when time is up.

        A commit of this object is heard at once, one of another process within 20 to 250 ms.
        """
        return self._database.wait_until(lambda connection: change_seq(connection) > since, timeout_seconds)

    # --- runs --------------------------------------------------------------------------------------------------

    def start_run(
        self,
        account: AccountId,
        *,
        trigger: str,
        flags: int,
        owner: str,
        lease_seconds: float = 60,
        lane: Lane = "bulk",
        is_gone: Callable[[str], bool] | None = None,
    ) -> RunId:
        """Begin a run of *account* (made known when new): no other can begin in its *lane* until it is finished.

        Also drops what runs that are over left half here. A run of this lane that expired, and one of any lane whose
        owner is gone for certain (says *is_gone*, quickly), is closed as ``lost``. Raises Leased.
        """
        if lease_seconds < 1:
            raise ValueError("a lease lasts a second at least")
        with self._unit("start run") as work:
            number = accounts.ensure_account(work, account)
            run = runs.start(
                work,
                number,
                trigger=trigger,
                flags=flags,
                owner=owner,
                lease_seconds=round(lease_seconds),
                lane=lane,
                is_gone=is_gone,
            )
            blobs.drop_left_partials(work, number)
            return run

    def upstream(self, account: AccountId) -> tuple[str, str]:
        """Return where the mail of *account* came from last, and what was wanted of it; empty: nothing yet."""
        with self._database.reading() as connection:
            return accounts.upstream(connection, account)

    def renew_run(self, run: RunId) -> None:
        """Renew the lease of *run*. Raises LeaseLost when it was taken over."""
        with self._unit("renew run") as work:
            runs.require(work, run, renew=True)

    def run_at(self, run: RunId, phase: str, *, done: int = 0, total: int | None = None) -> None:
        """Tell where *run* is, for who looks on. Written with what it commits next: it costs no commit of its own."""
        self._whereabouts[run] = (phase, done, total or 0)

    def finish_run(
        self, run: RunId, *, status: str, counts: Mapping[str, int], errors: Sequence[RunError] = ()
    ) -> bool:
        """End *run*, which gives its lease back, and keep how it went; False when it was taken over meanwhile."""
        self._whereabouts.pop(run, None)
        with self._unit("finish run") as work:
            return runs.finish(work, run, status, counts, errors)

    # --- care --------------------------------------------------------------------------------------------------

    def check(self, *, full: bool = False) -> CheckReport:
        """Look at every invariant; with *full* also read every octet of every message. Writes nothing."""
        return check(self._database, full=full)

    def purge_due(self, *, tombstones_older_than_days: float = TOMBSTONE_DAYS) -> bool:
        """Tell whether a purge would find tombstones, or sent mail, that are old enough. Cheap; writes nothing."""
        with self._database.reading() as connection:
            return is_due(connection, self._micros_ago(tombstones_older_than_days), self._micros_ago(0))

    def clean_due(
        self, *, tombstones_older_than_days: float = TOMBSTONE_DAYS, every_hours: float = CLEAN_HOURS
    ) -> bool:
        """Tell whether the last purge is so long ago, and another one would find something. Cheap; writes nothing.

        One that was cut off counts for nothing: it is due again.
        """
        before, now = self._micros_ago(tombstones_older_than_days), self._micros_ago(0)
        with self._database.reading() as connection:
            return clean_due(connection, before, now, int(every_hours * 3_600_000_000))

    def purge(
        self, *, tombstones_older_than_days: float = TOMBSTONE_DAYS, go_on: Callable[[], bool] = lambda: True
    ) -> PurgeReport:
        """Remove for good what nobody needs any more, in short steps between which others may write.

        What is in a folder, waits to be sent, or may be undone stays. *go_on* is asked before each step: the rest is
        left to the next purge once it says no.
        """
        return purge(self._database, self._unit, self._micros_ago(tombstones_older_than_days), go_on)

    def _micros_ago(self, days: float) -> int:
        if days < 0:
            raise ValueError("an age is not negative")
        return int((self._clock() - days * 86_400) * 1_000_000)
