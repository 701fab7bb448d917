"""What can go wrong on purpose: a mail server in memory that refuses, omits, lies, hangs and breaks.

Every fault is switched on by a method and stays until it has happened *times* times (None: until ``clear``). Places are
``connect`` and the names of the session's methods; paths are those for people. Thread-safe.
"""

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ...cancel import Stop
from ...errors import CommandRefused, ConnectionLost, LoginRefused, ProviderError

__all__ = ["PLACES", "Hang", "MemoryFaults"]

_READING = {"connect", "folders", "open", "existing", "summaries", "flags", "headers", "identities", "bodies", "close"}
_WRITING = {"write", "append", "statuses", "create", "rename", "remove", "subscribe"}
PLACES = frozenset(_READING | _WRITING)
ANYWHERE = ""
TICK_SECONDS = 0.25


class Hang:
    """A place where sessions hang until they are released or stopped."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        """Set once somebody hangs here, or did."""
        self._changed = threading.Condition()
        self._released = False

    def release(self) -> None:
        """Let everyone go on, for ever."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def hang(self, stop: Stop, waiting: Callable[[float], None]) -> None:
        """Block until ``release``; tell *waiting* four times a second. Raises Cancelled as soon as *stop* says so."""
        seconds = 0.0
        with stop.waking(self._wake):
            self.entered.set()
            while True:
                waiting(seconds)
                with self._changed:
                    if self._changed.wait_for(lambda: self._released or stop.stopped, TICK_SECONDS):
                        break
                seconds += TICK_SECONDS
        stop.checkpoint()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


@dataclass(slots=True)
class _Fault:
    """Something that happens at a place, so many times."""

    times: int | None
    error: ProviderError | None = None

    def due(self) -> bool:
        """Tell whether it happens now, and count it."""
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


@dataclass(slots=True)
class _Cut:
    """The connection breaks when so many more rows have come."""

    rows: int
    left: int
    times: int | None


@dataclass(slots=True)
class _State:
    refused: dict[tuple[str, str], _Fault] = field(default_factory=dict)
    hangs: dict[tuple[str, str], Hang] = field(default_factory=dict)
    omitted: set[tuple[str, int]] = field(default_factory=set)
    poisoned: dict[tuple[str, int], str] = field(default_factory=dict)
    vanishing: dict[str, _Fault] = field(default_factory=dict)
    empty_listing: _Fault | None = None
    cut: _Cut | None = None
    seconds_per_row: float = 0.0


class MemoryFaults:
    """The faults of one server; none at first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = _State()

    # -- switching on -------------------------------------------------------------------------------

    def refuse(self, place: str, error: ProviderError, *, folder: str = ANYWHERE, times: int | None = None) -> None:
        """Raise a copy of *error* at *place* (in *folder* only, where one is named)."""
        self._check(place)
        with self._lock:
            self._state.refused[place, folder] = _Fault(times, error)

    def refuse_login(self, times: int | None = None) -> None:
        """Refuse whatever credentials come."""
        self.refuse("connect", LoginRefused("The server refused this user or password."), times=times)

    def refuse_folder(self, folder: str, times: int | None = None) -> None:
        """Refuse to open *folder*; others stay open to all."""
        error = CommandRefused(f"The server refused to open {folder}.", folder=folder, server_text="NO not today")
        self.refuse("open", error, folder=folder, times=times)

    def omit(self, folder: str, *uids: int) -> None:
        """Leave these messages out of every answer about messages; ``existing`` still names them."""
        with self._lock:
            self._state.omitted.update((folder, uid) for uid in uids)

    def poison(self, folder: str, uid: int, reason: str = "the server has no octets for it") -> None:
        """Answer for the body of this message that there is none."""
        with self._lock:
            self._state.poisoned[folder, uid] = reason

    def cut_after(self, rows: int, times: int | None = 1) -> None:
        """Break the connection when *rows* more rows or chunks have come; with *times*, again and again after that."""
        with self._lock:
            self._state.cut = _Cut(rows, rows, times)

    def hang(self, place: str, folder: str = ANYWHERE) -> Hang:
        """Let sessions hang at *place* until the returned ``Hang`` is released."""
        self._check(place)
        with self._lock:
            return self._state.hangs.setdefault((place, folder), Hang())

    def vanish_all(self, folder: str, times: int | None = 1) -> None:
        """Lie: a change report says that every message of *folder* is gone."""
        with self._lock:
            self._state.vanishing[folder] = _Fault(times)

    def empty_listing(self, times: int | None = 1) -> None:
        """Lie: the list of folders is complete, and empty."""
        with self._lock:
            self._state.empty_listing = _Fault(times)

    def slow(self, seconds_per_row: float) -> None:
        """Take so long for each row or chunk (for showing progress to people)."""
        with self._lock:
            self._state.seconds_per_row = seconds_per_row

    def clear(self) -> None:
        """Switch everything off and release who hangs."""
        with self._lock:
            state, self._state = self._state, _State()
        for hang in state.hangs.values():
            hang.release()

    @staticmethod
    def _check(place: str) -> None:
        if place not in PLACES:
            raise ValueError(f"no such place: {place}; there are {', '.join(sorted(PLACES))}")

    # -- what a session asks --------------------------------------------------------------------------

    def enter(self, place: str, folder: str, stop: Stop, waiting: Callable[[float], None]) -> None:
        """Hang or fail where that was asked for. Raises ProviderError, Cancelled."""
        stop.checkpoint()
        for where in ((place, folder), (place, ANYWHERE)):
            with self._lock:
                hang = self._state.hangs.get(where)
            if hang is not None:
                hang.hang(stop, waiting)
            with self._lock:
                fault = self._state.refused.get(where)
                error = fault.error if fault is not None and fault.due() else None
            if error is not None:
                raise copy.copy(error)

    def row(self, stop: Stop) -> None:
        """Let one row pass. Raises ConnectionLost when the line is cut here, Cancelled."""
        with self._lock:
            seconds, cut, broken = self._state.seconds_per_row, self._state.cut, False
            if cut is not None and (cut.times is None or cut.times > 0):
                broken = cut.left <= 0
                cut.left = cut.rows if broken else cut.left - 1
                if broken and cut.times is not None:
                    cut.times -= 1
        if broken:
            raise ConnectionLost("The connection broke.")
        if seconds:
            stop.wait(seconds)

    def omits(self, folder: str, uid: int) -> bool:
        """Tell whether this message is left out."""
        return (folder, uid) in self._state.omitted

    def poisoned(self, folder: str, uid: int) -> str | None:
        """Return why this message has no octets, or None."""
        return self._state.poisoned.get((folder, uid))

    def lies_vanished(self, folder: str) -> bool:
        """Tell whether this change report lies, and count it."""
        with self._lock:
            fault = self._state.vanishing.get(folder)
            return fault is not None and fault.due()

    def lies_empty(self) -> bool:
        """Tell whether this listing lies, and count it."""
        with self._lock:
            return self._state.empty_listing is not None and self._state.empty_listing.due()
