"""What every room of the engine is handed: one run of one account, and one folder in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from store import Folder, FolderCursor, MailStore, RunError, RunId, WriteTransaction
from store.mail import UidSet, UidValidity

from ..account import Account, Keep
from ..cancel import Stop
from ..clock import Clock
from ..errors import ErrorKind
from ..events import Counts, Severity, SyncError
from ..report import ItemReporter, Reporter
from ..request import SyncFlags, SyncRequest
from ..sources.base import Notice, Opened, Session
from ..turn import Turn
from . import portion
from .portion import Line, Portion

__all__ = ["REMOVED_PER_COMMIT", "FolderWork", "RunContext", "Visit", "Yielded"]


HISTORY_ERRORS_MAX = 100
REMOVED_PER_COMMIT = 2_000
"""Removals in one transaction: others may write, and a cancel is seen, in between."""


class Yielded(Exception):
    """Somebody more urgent waits: what is committed stays, the rest is done in another turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """One run of one account."""

    store: MailStore
    run: RunId
    account: Account
    request: SyncRequest
    reporter: Reporter
    stop: Stop
    turn: Turn
    clock: Clock
    random: Random = field(default_factory=Random)
    line: Line = field(default_factory=Line)
    """What the connection showed so far."""
    history: list[RunError] = field(default_factory=list)
    """The first errors and warnings of the run, for the store."""
    refuted: list[str] = field(default_factory=list)
    """Folders in which a message looked like another one, and was not: from then on only proof counts."""

    @property
    def contents(self) -> bool:
        """True when messages are wanted, and not the folder tree alone."""
        return bool(self.request.flags & SyncFlags.SYNC_DOWNLOAD_CONTENTS)

    @property
    def compares(self) -> bool:
        """True when every folder is compared in full, as if no cursor were there."""
        return self.request.full or not self.account.shortcuts.deltas

    @property
    def fingerprints(self) -> bool:
        """True when a message that looks like one that is here is not fetched."""
        return self.account.shortcuts.reuse and not self.refuted

    @property
    def first_page(self) -> int:
        """How many messages the first page of a folder holds."""
        return portion.first_page(self.line.octets_per_second if self.account.shortcuts.adaptive else None)

    @property
    def at_once(self) -> int:
        """Up to so many messages come with their headers in one answer."""
        return portion.at_once(self.first_page)

    @property
    def hierarchy(self) -> bool:
        """True when the folder tree is wanted."""
        return bool(self.request.flags & SyncFlags.SYNC_DOWNLOAD_HIERARCHY)

    def tell(
        self,
        error: BaseException | Notice,
        *,
        folder: str | None = None,
        severity: Severity | None = None,
        next_try: datetime | None = None,
    ) -> SyncError:
        """Tell the callback of *error* and keep it for the history of the run."""
        told = self.reporter.error(error, folder=folder, severity=severity, next_try=next_try)
        self.remember(told)
        return told

    def remember(self, told: SyncError | None) -> None:
        """Keep what was told for the history of the run, as long as there is room."""
        if told is not None and len(self.history) < HISTORY_ERRORS_MAX:
            severity = told.severity.name.lower()
            self.history.append(
                RunError(kind=told.kind.value, text=told.text, folder=told.folder, uid=told.uid, severity=severity)
            )

    def warn(self, kind: ErrorKind, text: str, *, folder: str | None = None, uid: int | None = None) -> None:
        """Tell of something that stops nothing."""
        notice = Notice(kind=kind.value, text=text, folder=folder, uid=uid)
        self.tell(notice, folder=folder, severity=Severity.WARNING)

    def counts(self) -> dict[str, int]:
        """Return what the run did so far, for the history."""
        return asdict(self.reporter.item(None).counts)


@dataclass(slots=True, kw_only=True)
class FolderWork:
    """One folder on its way through a run; what a broken connection leaves behind, the next one takes up."""

    folder: Folder
    item: ItemReporter
    keep: Keep
    size_octets_max: int | None = None
    age_days_max: int | None = None
    breaks: int = 0
    """Connections lost in this folder without a commit in between."""
    portion: Portion = field(default_factory=Portion)
    """How much is asked for together, and what comes alone, after a connection broke."""
    messages_done: int = 0
    octets_done: int = 0
    compared_in: UidValidity | None = None
    """The epoch in which this run compared all flags: its later visits need not, the next run will."""
    uids: UidSet | None = None
    """UIDs that have rows, as long as nobody but this run's visits changed them; None: look into the store."""
    rows_new: int = 0
    """Messages listed in this run that were not here before."""
    comparing: bool = False
    """Whether the full proof is due: octets that are assumed are compared, too."""

    @property
    def path(self) -> str:
        """The path for people."""
        return str(self.folder.path)

    @property
    def wants_bodies(self) -> bool:
        """True when whole messages are kept, and not header blocks alone."""
        return self.keep is Keep.FULL

    def oldest(self, now: datetime) -> datetime | None:
        """Return how far back whole messages are kept; None: all of them."""
        return None if self.age_days_max is None else now - timedelta(days=self.age_days_max)

    def uids_here(self, store: MailStore) -> UidSet:
        """Return the UIDs that have rows now; they are read once a connection, whatever the size of the folder."""
        if self.uids is None:
            with store.read() as view:
                self.uids = view.uids(self.folder.id)
        return self.uids

    def listed(self, new: int) -> None:
        """Count *new* rows that are in the store now: progress, although no message is done yet."""
        if new:
            self.breaks = 0
            self.rows_new += new
            self.item.count(Counts(new=new))

    def committed(self, messages: int) -> None:
        """Count messages that are in the store now, as far as the policy wants them."""
        self.breaks, self.portion.came_since = 0, True
        self.messages_done += messages
        self.item.committed(messages)

    def received(self, octets: int) -> None:
        """Count octets of header blocks and bodies."""
        self.octets_done += octets
        self.item.received(octets)

    def expect(self, *, messages: int, octets: int | None) -> None:
        """Tell how much is still to come."""
        self.item.total(
            messages=self.messages_done + messages, octets=None if octets is None else self.octets_done + octets
        )


@dataclass(slots=True, kw_only=True)
class Visit:
    """An open folder and what we know of it; ``cursor`` is what the store has, or (never opened) saves first."""

    context: RunContext
    session: Session
    work: FolderWork
    opened: Opened
    epoch: UidValidity
    cursor: FolderCursor

    def local(self) -> UidSet:
        """Return the UIDs that have rows now."""
        return self.work.uids_here(self.context.store)

    def added(self, uids: UidSet) -> None:
        """Rows of *uids* are committed."""
        self.work.uids = self.local() | uids

    def removed(self, uids: UidSet) -> None:
        """Rows of *uids* are gone, and that is committed."""
        self.work.uids = self.local() - uids

    @contextmanager
    def write(self, name: str, cursor: FolderCursor | None = None) -> Iterator[WriteTransaction]:
        """A transaction of this run that saves *cursor* together with what is written in it."""
        with self.context.store.write(name, run=self.context.run) as tx:
            if cursor is not None:
                tx.save_cursor(self.work.folder.id, cursor)
            yield tx
        self.cursor = cursor or self.cursor

    def save(self, name: str, cursor: FolderCursor) -> None:
        """Save *cursor* by itself; where it is what the store has, nothing is begun."""
        if cursor != self.cursor:
            with self.write(name, cursor):
                pass

    def distrust(self, why: str) -> None:
        """Stop believing this folder's deltas from now on, and tell why (once)."""
        if not self.cursor.distrust:
            self.save("distrust", replace(self.cursor, distrust=why))
            text = f"The server's report of changes in {self.work.path} is not trusted any more: {why}."
            self.context.warn(ErrorKind.SERVER_DEMOTED, text, folder=self.work.path)
