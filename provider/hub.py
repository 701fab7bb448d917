"""Where the events of one request get their numbers and go to everyone who listens, and where its end is told.

A ``Feed`` is what one handle hears. Requests that are shared have one hub and several feeds; a feed may leave before
the others, and then hears an end of its own. Rules: numbers go up in the order of telling; ``result`` is set before
anybody hears ``done``, and never waits for a listener; late listeners hear from the beginning, merged.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from .backlog import Backlog
from .clock import Clock
from .events import (
    Counts,
    Event,
    ItemResult,
    ItemStatus,
    ResultStatus,
    Severity,
    SyncError,
    SyncProgress,
    SyncResult,
)
from .phases import Phase
from .report import Told

__all__ = ["ERRORS_KEPT_MAX", "Feed", "Hub", "overall"]

ERRORS_KEPT_MAX = 1_000
_GONE = frozenset({ItemStatus.FAILED, ItemStatus.DISCONNECTED})
_WELL = frozenset({ItemStatus.SUCCEEDED, ItemStatus.SKIPPED, ItemStatus.REMOVED})


class Feed:
    """What one handle hears, and how it ended for it. Made by ``Hub.attach``."""

    def __init__(self, hub: "Hub", journal: Backlog) -> None:
        self.done_event = threading.Event()
        self.result: SyncResult | None = None
        self._hub = hub
        self._journal = journal
        self._backlogs: list[Backlog] = []
        self._endings: list[Callable[[], None]] = []

    def listen(self, wake: Callable[[], None]) -> Backlog:
        """Return a backlog that has heard everything so far, and hears the rest; *wake* as in Backlog."""
        with self._hub._lock:
            backlog = self._journal.copy(wake)
            if self.result is None:
                self._backlogs.append(backlog)
            return backlog

    @property
    def items(self) -> tuple[SyncProgress, ...]:
        """The latest step of each item."""
        with self._hub._lock:
            return tuple(self._journal.items().values())

    def leave(self, backlog: Backlog) -> None:
        """Stop feeding *backlog*; one that is not fed any more is left alone."""
        with self._hub._lock:
            if backlog in self._backlogs:
                self._backlogs.remove(backlog)

    def when_done(self, ending: Callable[[], None]) -> None:
        """Call *ending* once, at the end or at once when it is over; it must not block or raise."""
        with self._hub._lock:
            if self.result is None:
                self._endings.append(ending)
                return
        ending()

    def forget(self, ending: Callable[[], None]) -> None:
        """Take back ``when_done``."""
        with self._hub._lock:
            if ending in self._endings:
                self._endings.remove(ending)

    def _put(self, event: Event) -> None:
        for backlog in self._backlogs:
            backlog.put(event)

    def _end(self, result: SyncResult) -> list[Callable[[], None]]:
        self.result = result
        self.done_event.set()
        self._put(result)
        self._backlogs = []
        endings, self._endings = self._endings, []
        return endings


class Hub:
    """Numbers and passes on what one request tells. Thread-safe."""

    def __init__(self, run_id: int, clock: Clock) -> None:
        self.run_id = run_id
        self._clock = clock
        self._started_at = clock.now()
        self._lock = threading.Lock()
        self._seq = 0
        self._journal = Backlog()
        self._feeds: list[Feed] = []
        self._errors: list[SyncError] = []
        self._errors_dropped = 0
        self._ended = False

    @property
    def ended(self) -> bool:
        """True once ``finish`` was called."""
        return self._ended

    def attach(self) -> Feed:
        """Return a feed of this request."""
        with self._lock:
            feed = Feed(self, self._journal)
            self._feeds.append(feed)
            return feed

    def publish(self, build: Callable[[int, int], Told]) -> Told:
        """Call *build* with run id and sequence number, pass its event on, return it. After the end nobody hears it."""
        with self._lock:
            event = build(self.run_id, self._seq + 1)
            if self._ended:
                return event
            self._seq += 1
            if isinstance(event, SyncError) and event.severity is Severity.ERROR:
                if len(self._errors) < ERRORS_KEPT_MAX:
                    self._errors.append(event)
                else:
                    self._errors_dropped += 1
            self._journal.put(event)
            for feed in self._feeds:
                feed._put(event)
            return event

    def detach(self, feed: Feed, items: Sequence[ItemResult]) -> None:
        """End the request for one feed, as cancelled; the others hear nothing of it. *items*: how they stand now."""
        with self._lock:
            if feed not in self._feeds:
                return
            self._feeds.remove(feed)
            now = self._clock.now()
            told = self._journal.items()
            known = {(item.account, item.folder, item.item): item for item in items}
            feed._journal = self._journal.copy(lambda: None)
            seq, ends = self._seq, []
            for key in dict.fromkeys([*known, *told]):
                end = known.get(key) or ItemResult(
                    account=key[0], folder=key[1], item=key[2], status=ItemStatus.CANCELED
                )
                last = told.get(key)
                if last is not None and last.status.terminal:
                    end = replace(end, status=last.status, counts=last.counts or end.counts)
                else:
                    end = replace(end, status=ItemStatus.CANCELED, error=None)
                    if last is not None:
                        seq += 1
                        event = _cut_off(last, seq, now, end.counts)
                        feed._journal.put(event)
                        feed._put(event)
                ends.append(end)
            result = self._result(seq + 2, now, ends, ResultStatus.CANCELED)
            feed._journal.put(result)
            endings = feed._end(result)
        for ending in endings:
            ending()

    def finish(self, items: Sequence[ItemResult], *, cancelled: bool) -> None:
        """End the request, once: set the results, then let ``done`` go out."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            failed = bool(self._errors)
            status = overall(items, failed=failed, cancelled=cancelled)
            result = self._result(self._seq + 2, self._clock.now(), items, status)
            self._journal.put(result)
            endings = [ending for feed in self._feeds for ending in feed._end(result)]
            self._feeds = []
        for ending in endings:
            ending()

    def _result(self, seq: int, now: datetime, items: Sequence[ItemResult], status: ResultStatus) -> SyncResult:
        # The number before this one stays free: a backlog that dropped errors says so with it.
        return SyncResult(
            run_id=self.run_id,
            seq=seq,
            at=now,
            started_at=self._started_at,
            status=status,
            downloaded=sum((item.counts for item in items if item.folder is None), Counts()),
            uploaded=sum((item.uploaded for item in items if item.folder is None), Counts()),
            items=tuple(items),
            errors=tuple(self._errors),
            errors_dropped=self._errors_dropped,
        )


def overall(items: Sequence[ItemResult], *, failed: bool, cancelled: bool) -> ResultStatus:
    """Return how a request ended: CANCELED when asked to stop before its end, FAILED when no account got through.

    *failed*: an error of severity ERROR was told. An item cancelled on its own leaves COMPLETE_WITH_ERRORS.
    """
    accounts = [item.status for item in items if item.folder is None]
    stopped = [status is ItemStatus.CANCELED for status in accounts]
    if (cancelled and any(stopped)) or (accounts and all(stopped)):
        return ResultStatus.CANCELED
    if accounts and all(status in _GONE for status in accounts):
        return ResultStatus.FAILED
    if failed or any(item.status not in _WELL for item in items):
        return ResultStatus.COMPLETE_WITH_ERRORS
    return ResultStatus.COMPLETE


def _cut_off(last: SyncProgress, seq: int, now: datetime, counts: Counts) -> SyncProgress:
    return replace(
        last,
        seq=seq,
        at=now,
        status=ItemStatus.CANCELED,
        phase=Phase.DONE,
        text=None,
        eta_seconds=None,
        stalled_seconds=None,
        next_try=None,
        counts=counts,
    )
