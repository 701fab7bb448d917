"""Where a run tells how it gets on: facts in, events out. One ``Reporter`` for one request and account.

Rules: for an item exactly one STARTED, then progress, then exactly one terminal status, whatever is called; done never
goes down and never passes a total; a total never shrinks. What a folder commits, receives and counts is added to its
account by itself: tell it once. Thread-safe; nothing here waits for a callback.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from store.mail import AccountId

from .cancel import Stop
from .clock import Clock, SystemClock
from .errors import ErrorKind, printable
from .events import Counts, ItemKind, ItemResult, ItemStatus, Severity, SyncError, SyncProgress
from .failure import Failure, Translate, describe, status_after
from .item import Item
from .phases import Phase
from .sources.base import Notice

__all__ = ["TOLD_MAX", "ItemReporter", "Publisher", "Reporter", "Told"]

UPDATE_SECONDS = 0.05
"""Octets and signs of life are told this often at most; everything else at once."""
RETRY_AFTER_SECONDS_MAX = 86_400.0
TOLD_MAX = 100
"""Errors and warnings that a reporter remembers."""

Told = TypeVar("Told", SyncProgress, SyncError)


class Publisher(Protocol):
    """Who gives events their number and passes them on, in that order. Never blocks for long, never raises."""

    def publish(self, build: Callable[[int, int], Told], /) -> Told:
        """Call *build* with run id and sequence number, pass its event on, return it."""
        ...


class Reporter:
    """What one account's run reports to. Folders are named by their path for people; None is the account itself.

    *kind* OUTBOX: what its sending reports to; None is the outbox then, and there are no folders.
    """

    def __init__(
        self,
        account: AccountId,
        publisher: Publisher,
        *,
        kind: ItemKind = ItemKind.ACCOUNT,
        stop: Stop | None = None,
        clock: Clock | None = None,
        translate: Translate | None = None,
    ) -> None:
        self.account = account
        self.kind = kind
        self.stop = stop if stop is not None else Stop()
        self.clock: Clock = clock if clock is not None else SystemClock()
        self._publisher = publisher
        self._translate = translate
        self._lock = threading.RLock()
        self._items: dict[str | None, ItemReporter] = {}
        self._told: list[SyncError] = []
        self.heard: Callable[[SyncProgress], object] = _nobody
        """Hears each step beside the callbacks, on the run's own threads: must not block or raise."""

    def item(self, folder: str | None) -> "ItemReporter":
        """Return the reporter of a folder, or of the account (None): the same one each time."""
        with self._lock:
            item = self._items.get(folder)
            if item is None:
                parent = None if folder is None else self.item(None)
                item = self._items[folder] = ItemReporter(self, folder, parent)
                if parent is not None and parent._item.finished:
                    # A run that was given up on may still be at work: what it begins now, nobody hears.
                    item._item.finish(parent._item.status)
            return item

    def stop_item(self, folder: str | None) -> None:
        """Ask one item to stop; one that nobody has heard of changes nothing."""
        with self._lock:
            item = self._items.get(folder)
        if item is not None:
            item.stop.stop()

    def error(
        self,
        error: BaseException | Notice,
        *,
        folder: str | None = None,
        uid: int | None = None,
        severity: Severity | None = None,
        kind: ErrorKind | None = None,
        next_try: datetime | None = None,
    ) -> SyncError:
        """Tell an error or a notice, and return what was told. Facts given here go before those that *error* carries.

        *severity* is by default WARNING for a notice, INFORMATION for Cancelled and ERROR for the rest.
        """
        return self._tell(describe(error, self._translate), folder, uid, severity, kind, next_try)

    def fail(self, error: BaseException) -> ItemStatus:
        """End the account by *error*, telling it unless somebody asked us to stop. Returns the terminal status.

        After a stop any error is its consequence: a socket that was shut down under a reading thread looks lost.
        """
        if self.stop.stopped:
            self.close(ItemStatus.CANCELED)
            return ItemStatus.CANCELED
        failure = describe(error, self._translate)
        status = status_after(failure)
        told = None if status is ItemStatus.CANCELED else self._tell(failure)
        self.close(status, told)
        return status

    def close(self, status: ItemStatus, error: SyncError | None = None) -> None:
        """End the account with *status* unless it has ended; folders that are still open end with it."""
        self.item(None).finish(status, error)

    def pausing(self) -> None:
        """Tell that the account was paused, or goes on."""
        self.item(None).tell()

    @property
    def results(self) -> tuple[ItemResult, ...]:
        """How each item stands: the account first, its folders in the order in which they were met."""
        with self._lock:
            account = self.item(None)
            return (account.result, *(item.result for item in self._items.values() if item is not account))

    @property
    def told(self) -> tuple[SyncError, ...]:
        """The first errors, warnings and notices that were told."""
        with self._lock:
            return tuple(self._told)

    def _tell(
        self,
        failure: Failure,
        folder: str | None = None,
        uid: int | None = None,
        severity: Severity | None = None,
        kind: ErrorKind | None = None,
        next_try: datetime | None = None,
    ) -> SyncError:
        def build(run_id: int, seq: int) -> SyncError:
            now = self.clock.now()
            after = failure.retry_after_seconds
            known = next_try is not None or after is None or not 0 <= after <= RETRY_AFTER_SECONDS_MAX
            return SyncError(
                run_id=run_id,
                seq=seq,
                at=now,
                severity=severity if severity is not None else failure.severity,
                kind=kind if kind is not None else failure.kind,
                needs=failure.needs,
                text=failure.text,
                account=self.account,
                folder=folder if folder is not None else failure.folder,
                uid=uid if uid is not None else failure.uid,
                response_code=failure.response_code,
                server_text=failure.server_text,
                next_try=next_try if known or after is None else now + timedelta(seconds=after),
            )

        told = self._publisher.publish(build)
        with self._lock:
            if len(self._told) < TOLD_MAX:
                self._told.append(told)
        return told

    def _progress(self, item: Item) -> None:
        clock = self.clock
        told = self._publisher.publish(
            lambda run_id, seq: item.event(
                run_id, seq, clock.now(), clock.monotonic(), account=self.account, paused=self.stop.paused
            )
        )
        self.heard(told)


def _nobody(_told: SyncProgress) -> None:
    """Hear nothing: where nobody looks on."""


class ItemReporter:
    """What one account or folder reports to. ``stop`` is what cancels this item alone."""

    def __init__(self, reporter: Reporter, folder: str | None, parent: "ItemReporter | None") -> None:
        self.folder = folder
        self.stop = reporter.stop if parent is None else reporter.stop.child()
        self._reporter = reporter
        self._parent = parent
        self._lock = reporter._lock
        self._kind = reporter.kind if parent is None else ItemKind.FOLDER
        self._item = Item(self._kind, folder, reporter.clock.monotonic())
        self._error: SyncError | None = None
        self._told_at = 0.0

    def start(self, phase: Phase, text: str | None = None) -> None:
        """Begin, in *phase*. Beginning again (another turn, another connection) is a change of phase."""
        self.phase(phase, text)

    def phase(self, phase: Phase, text: str | None = None) -> None:
        """Enter *phase*; *text* is MAPI's: one short sentence for a person, without subjects or addresses."""
        with self._lock:
            if self._item.finished:
                return
            self._item.phase, self._item.next_try = phase, None
            self._item.text = None if text is None else printable(text)
            self._begin_or_tell()

    def total(self, *, messages: int | None = None, octets: int | None = None) -> None:
        """Learn how much there is to do, in this run, with what is done. Grows; never shrinks, never below done."""
        with self._lock:
            item = self._item
            messages_before, octets_before = item.messages_total, item.octets_total
            item.expect(messages=messages, octets=octets)
            if (item.messages_total, item.octets_total) == (messages_before, octets_before):
                return
            if self._parent is not None:
                self._parent._item.expect_more(
                    messages=(item.messages_total or 0) - (messages_before or 0),
                    octets=(item.octets_total or 0) - (octets_before or 0),
                )
            self.tell()

    def committed(self, messages: int) -> None:
        """Add messages that are now in the store."""
        with self._lock:
            now = self._reporter.clock.monotonic()
            for item in self._both():
                item._item.add(now, messages=messages)
                item.tell()

    def received(self, octets: int) -> None:
        """Add octets that came from the source."""
        with self._lock:
            now = self._reporter.clock.monotonic()
            for item in self._both():
                item._item.add(now, octets=octets)
                item._tell_sometimes(now)

    def waiting(self, seconds: float) -> None:
        """Hear that something was asked for and nothing has come for so long."""
        with self._lock:
            now = self._reporter.clock.monotonic()
            for item in self._both():
                item._item.stalled(seconds)
                item._tell_sometimes(now)

    def retry_at(self, when: datetime | None) -> None:
        """Tell that the item waits until *when* (aware) before it tries again; None: it goes on."""
        with self._lock:
            self._item.next_try = when
            self.tell()

    def count(self, counts: Counts) -> None:
        """Add to what this run did. After the end too: the result is exact, the terminal event may be short of it."""
        with self._lock:
            for item in self._both():
                item._item.counts += counts

    def uploaded(self, counts: Counts) -> None:
        """Add to what this run changed on the server. After the end too, like ``count``."""
        with self._lock:
            for item in self._both():
                item._item.uploaded += counts

    def finish(self, status: ItemStatus, error: SyncError | None = None) -> None:
        """End the item, once: later calls change nothing. Raises ValueError for a status that is not terminal."""
        if not status.terminal:
            raise ValueError(f"{status} does not end an item")
        with self._lock:
            if self._item.finished:
                return
            if self._parent is None:
                for item in list(self._reporter._items.values()):
                    if item is not self:
                        item.finish(status, error)
            self._begin()
            self._item.finish(status)
            self._error = error
            self._reporter._progress(self._item)

    def tell(self) -> None:
        """Tell where the item stands, if it has begun and not ended."""
        with self._lock:
            if self._item.open:
                self._told_at = self._reporter.clock.monotonic()
                self._reporter._progress(self._item)

    @property
    def counts(self) -> Counts:
        """What this run did to the item; for the account, to its folders too."""
        with self._lock:
            return self._item.counts

    @property
    def result(self) -> ItemResult:
        """How the item stands: terminal once it has ended."""
        with self._lock:
            return ItemResult(
                account=self._reporter.account,
                folder=self.folder,
                item=self._kind,
                status=self._item.status,
                counts=self._item.counts,
                uploaded=self._item.uploaded,
                error=self._error,
            )

    def _both(self) -> tuple["ItemReporter", ...]:
        return (self,) if self._parent is None else (self, self._parent)

    def _tell_sometimes(self, now: float) -> None:
        if self._item.open and now - self._told_at >= UPDATE_SECONDS:
            self.tell()

    def _begin(self) -> None:
        if not self._item.begun:
            self._item.begin()
            self._reporter._progress(self._item)

    def _begin_or_tell(self) -> None:
        if self._item.begun:
            self.tell()
        else:
            self._begin()
