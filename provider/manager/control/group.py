"""``SyncGroup``: a group of accounts as an object with start, stop and four events (Outlook: SyncObject)."""

import threading
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from store.mail import AccountId

from ...errors import ErrorKind
from ...events import ItemKind, SyncError, SyncProgress, SyncResult
from ...grouping import GroupRun, f9_runs, group_run
from ...request import SyncRequest

if TYPE_CHECKING:
    from .desk import Desk, DeskHandle

__all__ = ["GroupEvents", "GroupRun", "GroupState", "SyncGroup", "f9_runs", "group_run"]

PROGRESS_MAX = 1_000


class GroupState(IntEnum):
    """OlSyncState."""

    STOPPED = 0
    STARTED = 1


class GroupEvents(Protocol):
    """What a group tells, one call at a time, on a thread of the provider; a method that is missing is not called."""

    def sync_start(self) -> None:
        """Hear that it begins: before anything else, once for each start."""
        ...

    def progress(self, state: GroupState, text: str, value: int, maximum: int, /) -> None:
        """Hear how far it is: *value* never goes back, and is *maximum* at the end only."""
        ...

    def on_error(self, code: ErrorKind, text: str, /) -> None:
        """Hear an error or a warning; any number of times."""
        ...

    def sync_end(self) -> None:
        """Hear that it is over, however that went: last, once for each start."""
        ...


class SyncGroup:
    """The group *name*, run by *desk*. Thread-safe; a run that goes on already is heard whole."""

    def __init__(self, desk: "Desk", name: str, events: object = None) -> None:
        self.name = name
        self._desk = desk
        self._events = events
        self._lock = threading.Lock()
        self._handle: DeskHandle | None = None

    @property
    def state(self) -> GroupState:
        """Whether a run that was started here goes on."""
        handle = self._handle
        return GroupState.STOPPED if handle is None or handle.done else GroupState.STARTED

    def start(self) -> "DeskHandle":
        """Begin, and return at once; what this object began and goes on is not begun again.

        Raises UnknownGroup, and what ``Desk.start`` raises.
        """
        with self._lock:
            if self._handle is None or self._handle.done:
                request = SyncRequest(callback=_Telling(self._events))
                self._handle = self._desk.start(request, group=self.name)
            return self._handle

    def stop(self) -> None:
        """End what runs, soon; nothing is undone."""
        handle = self._handle
        if handle is not None:
            handle.cancel()


class _Telling:
    """A callback that says a run's events in the four words of a group."""

    def __init__(self, events: object) -> None:
        self._events = events
        self._begun = False
        self._value = 0
        self._parts: dict[tuple[AccountId, ItemKind], tuple[int, int | None]] = {}

    def progress(self, progress: SyncProgress, /) -> None:
        self._begin()
        if progress.folder is None:  # an account counts its folders in
            key = progress.account, progress.item
            self._parts[key] = progress.messages_done, progress.messages_total
        totals = [total for _, total in self._parts.values() if total]
        done = sum(done for done, total in self._parts.values() if total)
        if totals:
            self._value = max(self._value, min(PROGRESS_MAX - 1, PROGRESS_MAX * done // sum(totals)))
        where = ": ".join(part for part in (progress.account, progress.folder) if part)
        self._tell("progress", GroupState.STARTED, f"{where}: {progress.text or progress.phase.label}", self._value)

    def error(self, error: SyncError, /) -> None:
        self._begin()
        method = getattr(self._events, "on_error", None)
        if method is not None:
            method(error.kind, error.text)

    def done(self, result: SyncResult, /) -> None:
        self._begin()
        self._tell("progress", GroupState.STOPPED, result.status.value, PROGRESS_MAX)
        method = getattr(self._events, "sync_end", None)
        if method is not None:
            method()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            method = getattr(self._events, "sync_start", None)
            if method is not None:
                method()

    def _tell(self, verb: str, state: GroupState, text: str, value: int) -> None:
        method = getattr(self._events, verb, None)
        if method is not None:
            method(state, text, value, PROGRESS_MAX)
