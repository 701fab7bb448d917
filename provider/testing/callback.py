"""A callback that keeps what it hears, and the grammar that every such log obeys.

The grammar is the contract of ``provider.callback`` as a check: per item one STARTED, then progress, then exactly one
terminal status; numbers that only go up and stay within known totals; legal phases; ``done`` once, and last.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass

from store.mail import AccountId

from ..callback import CancelRequest
from ..events import Event, ItemKind, ItemStatus, SyncError, SyncProgress, SyncResult, as_json
from ..phases import Phase, legal

__all__ = ["RecordingCallback", "check_grammar"]

ItemKey = tuple[AccountId, str | None, ItemKind]


class RecordingCallback:
    """Keeps every event in order. Thread-safe. *answer* may cancel: it is asked for each progress."""

    def __init__(self, answer: Callable[[SyncProgress], CancelRequest | None] | None = None) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._done = threading.Event()

    def progress(self, progress: SyncProgress, /) -> CancelRequest | None:
        """Keep it; return what *answer* says."""
        self._keep(progress)
        return self._answer(progress) if self._answer else None

    def error(self, error: SyncError, /) -> None:
        """Keep it."""
        self._keep(error)

    def done(self, result: SyncResult, /) -> None:
        """Keep it, and let ``wait_done`` return."""
        self._keep(result)
        self._done.set()

    def _keep(self, event: Event) -> None:
        with self._lock:
            self._events.append(event)

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything heard so far, in order."""
        with self._lock:
            return tuple(self._events)

    @property
    def errors(self) -> tuple[SyncError, ...]:
        """Errors and warnings heard so far, in order."""
        return tuple(event for event in self.events if isinstance(event, SyncError))

    @property
    def result(self) -> SyncResult | None:
        """What ``done`` brought, or None."""
        return next((event for event in self.events if isinstance(event, SyncResult)), None)

    def of_item(self, account: str, folder: str | None, *, outbox: bool = False) -> tuple[SyncProgress, ...]:
        """Return the progress of one item, in order; *outbox*: of the account's outbox."""
        return tuple(
            event
            for event in self.events
            if isinstance(event, SyncProgress)
            and (event.account, event.folder) == (account, folder)
            and (event.item is ItemKind.OUTBOX) is outbox
        )

    def wait_done(self, timeout_seconds: float | None = None) -> bool:
        """Wait for ``done``; return False when it did not come in time."""
        return self._done.wait(timeout_seconds)

    def grammar(self) -> None:
        """Check the log of one whole request. Raises AssertionError, with the log, at the first fault."""
        check_grammar(self.events)


def check_grammar(events: tuple[Event, ...]) -> None:
    """Check the log of one whole request. Raises AssertionError, with the log, at the first fault."""
    fault = _first_fault(events)
    if fault:
        log = "\n".join(f"  {number:4} {json.dumps(as_json(event))}" for number, event in enumerate(events))
        raise AssertionError(f"{fault}\nThe log:\n{log}")


@dataclass(slots=True)
class _ItemLog:
    """What is known of one item so far."""

    last: SyncProgress
    started: bool = False
    ended: ItemStatus | None = None


def _first_fault(events: tuple[Event, ...]) -> str:
    items: dict[ItemKey, _ItemLog] = {}
    seq: int | None = None
    for number, event in enumerate(events):
        if seq is not None and event.seq <= seq:
            return f"event {number}: seq {event.seq} comes after {seq}"
        seq = event.seq
        if event.run_id != events[0].run_id:
            return f"event {number}: of another run"
        if event.at.tzinfo is None:
            return f"event {number}: its time has no zone"
        if isinstance(event, SyncResult):
            if number != len(events) - 1:
                return f"event {number}: done is not the last event"
        elif isinstance(event, SyncProgress):
            key = (event.account, event.folder, event.item)
            log = items.get(key)
            if log is None:
                log = items[key] = _ItemLog(event)
            fault = _numbers_fault(event, log.last) or _order_fault(event, log)
            if fault:
                return f"event {number}, item {key}: {fault}"
            log.last = event
    return _end_fault(events, items)


def _numbers_fault(event: SyncProgress, before: SyncProgress) -> str:
    for name in ("messages", "octets"):
        done, total = getattr(event, f"{name}_done"), getattr(event, f"{name}_total")
        if done < getattr(before, f"{name}_done"):
            return f"{name}_done goes down to {done}"
        if total is not None and done > total:
            return f"{name}_done {done} is more than the total {total}"
        if (getattr(before, f"{name}_total") or 0) > (total or 0):
            return f"{name}_total goes down to {total}"
    if event.index < 0 or event.index > event.index_max:
        return f"index {event.index} is not within index_max {event.index_max}"
    if not legal(before.phase, event.phase):
        return f"phase {event.phase.label} cannot follow {before.phase.label}"
    return ""


def _order_fault(event: SyncProgress, log: _ItemLog) -> str:
    if log.ended:
        return f"{event.status.value} comes after the terminal {log.ended.value}"
    if event.status is ItemStatus.STARTED:
        if log.started:
            return "started twice"
        log.started = True
    elif event.status is not ItemStatus.PENDING and not log.started:
        return f"{event.status.value} comes before started"
    if event.status.terminal:
        log.ended = event.status
        if event.phase is not Phase.DONE:
            return f"ends in phase {event.phase.label}"
        if event.counts is None:
            return "ends without counts"
    elif event.phase is Phase.DONE:
        return "is in phase done, but has not ended"
    return ""


def _end_fault(events: tuple[Event, ...], items: dict[ItemKey, _ItemLog]) -> str:
    result = events[-1] if events else None
    if not isinstance(result, SyncResult):
        return "done never came"
    for key, log in items.items():
        if log.ended is None and log.started:
            return f"item {key} started and never ended"
    told = {(item.account, item.folder, item.item): item.status for item in result.items}
    if len(told) != len(result.items):
        return "the result names an item twice"
    for key, log in items.items():
        if log.ended is not None and told.get(key) is not log.ended:
            return f"item {key} ended {log.ended.value}, but the result says {told.get(key)}"
    return ""
