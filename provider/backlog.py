"""What one listener has not heard yet: progress merged per item, errors up to a bound, the end always.

Rules: what leaves, leaves in the order of ``seq``. STARTED, terminal statuses, errors (the first 1,000 that wait) and
``done`` are never merged away. Of the updates of one item only the latest waits, unless without an earlier one the
phases would make a jump that ``phases.NEXT`` does not know. Memory is bounded by the number of items.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from store.mail import AccountId

from .errors import ErrorKind, Needs
from .events import Event, ItemKind, ItemStatus, Severity, SyncError, SyncProgress, SyncResult
from .phases import Phase, legal

__all__ = ["ERRORS_WAITING_MAX", "Backlog", "ItemKey", "key_of"]

ERRORS_WAITING_MAX = 1_000

ItemKey = tuple[AccountId, str | None, ItemKind]
"""Account, folder, and which of the two it is, or the outbox."""


def key_of(event: SyncProgress) -> ItemKey:
    """Return which item *event* is about."""
    return event.account, event.folder, event.item


class Backlog:
    """Events on their way to one listener. Thread-safe; never blocks.

    *wake* is called, outside any lock, when something came after ``pop`` had nothing to give; it must not block.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: OrderedDict[int, Event] = OrderedDict()
        self._updates: dict[ItemKey, int] = {}
        self._phases: dict[ItemKey, Phase] = {}
        self._errors_waiting = 0
        self._errors_dropped = 0
        self._ended = False
        self._sleeping = False

    def copy(self, wake: Callable[[], None]) -> "Backlog":
        """Return a backlog with the same events waiting, for a listener that comes later."""
        other = Backlog(wake)
        with self._lock:
            other._waiting = self._waiting.copy()
            other._updates, other._phases = self._updates.copy(), self._phases.copy()
            other._errors_waiting, other._errors_dropped = self._errors_waiting, self._errors_dropped
            other._ended = self._ended
        return other

    def put(self, event: Event) -> None:
        """Add *event*; after ``done`` nothing is taken any more."""
        with self._lock:
            if self._ended:
                return
            match event:
                case SyncProgress():
                    self._put_progress(event)
                case SyncError():
                    self._put_error(event)
                case SyncResult():
                    self._put_result(event)
            wake, self._sleeping = self._sleeping, False
        if wake:
            self._wake()

    def pop(self, *, updates: bool = True) -> Event | None:
        """Return the next event, or None: nothing waits, or the next is an update and *updates* is False."""
        with self._lock:
            event = next(iter(self._waiting.values()), None)
            if event is None or (not updates and self._is_update(event)):
                self._sleeping = True
                return None
            if isinstance(event, SyncProgress) and self._is_update(event):
                del self._updates[key_of(event)]
                self._phases[key_of(event)] = event.phase
            elif isinstance(event, SyncError):
                self._errors_waiting -= 1
            del self._waiting[event.seq]
            return event

    def waiting(self) -> tuple[Event, ...]:
        """Return what waits, in order."""
        with self._lock:
            return tuple(self._waiting.values())

    def items(self) -> dict[ItemKey, SyncProgress]:
        """Return the latest waiting event of each item."""
        return {key_of(event): event for event in self.waiting() if isinstance(event, SyncProgress)}

    def _is_update(self, event: Event) -> bool:
        return isinstance(event, SyncProgress) and self._updates.get(key_of(event)) == event.seq

    def _put_progress(self, event: SyncProgress) -> None:
        item = key_of(event)
        earlier = self._waiting.get(self._updates.pop(item, 0))
        if isinstance(earlier, SyncProgress):
            if legal(self._phases.get(item, Phase.IDLE), event.phase):
                del self._waiting[earlier.seq]
            else:
                self._phases[item] = earlier.phase
        if event.status is ItemStatus.STARTED or event.status.terminal:
            self._phases[item] = event.phase
        else:
            self._updates[item] = event.seq
        self._waiting[event.seq] = event

    def _put_error(self, event: SyncError) -> None:
        if self._errors_waiting >= ERRORS_WAITING_MAX:
            self._errors_dropped += 1
            return
        self._errors_waiting += 1
        self._waiting[event.seq] = event

    def _put_result(self, event: SyncResult) -> None:
        if self._errors_dropped:
            # Invariant: whoever ends a request leaves the number before the result's free for this one.
            notice = _dropped(self._errors_dropped, event)
            self._waiting[notice.seq] = notice
        self._waiting[event.seq] = event
        self._ended = True


def _dropped(count: int, result: SyncResult) -> SyncError:
    return SyncError(
        run_id=result.run_id,
        seq=result.seq - 1,
        at=result.at,
        severity=Severity.WARNING,
        kind=ErrorKind.EVENTS_DROPPED,
        needs=Needs.NOTHING,
        text=f"{count} more errors came faster than they were heard, and are only counted.",
    )
