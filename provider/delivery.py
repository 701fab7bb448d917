"""How events get to a host's callback: off the synchronization's threads, one call at a time, in order.

One thread for one callback, as long as its request lives: a host that blocks holds up its own calls and nobody else's.
Rules: at most 20 calls of progress a second (STARTED and the ends of items come at once, but count); an exception of
the host is logged once and changes nothing; ``done`` is called once, and last.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .backlog import Backlog
from .callback import CancelRequest
from .clock import Clock
from .events import Event, SyncError, SyncProgress, SyncResult
from .failure import frames_of
from .request import Deliver

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["Delivery", "inside_callback"]

log = logging.getLogger(__name__)

CALLS_PER_SECOND_MAX = 20
SPACE_SECONDS = 1.0 / CALLS_PER_SECOND_MAX
LOOP_LOOK_SECONDS = 1.0
"""How often it is looked whether the host's loop was closed with our call still in it."""

_here = threading.local()

Answer = Callable[[SyncProgress, CancelRequest], None]


def inside_callback() -> bool:
    """Return True while this thread runs a host's callback for us."""
    return getattr(_here, "depth", 0) > 0


@contextmanager
def _callback_runs() -> Iterator[None]:
    _here.depth = getattr(_here, "depth", 0) + 1
    try:
        yield
    finally:
        _here.depth -= 1


class Delivery:
    """Brings one feed to one callback. ``run`` is the work of a thread of its own; it returns after ``done``.

    *answer* hears what ``progress`` returned, when it was a CancelRequest. *deliver* as in SyncRequest.
    """

    def __init__(
        self,
        callback: object,
        *,
        deliver: "Deliver | AbstractEventLoop | None",
        clock: Clock,
        answer: Answer,
    ) -> None:
        self.ready = threading.Event()
        self._callback = callback
        self._loop: AbstractEventLoop | None = None
        self._deliver: Deliver | None
        if deliver is None or callable(deliver):
            self._deliver = deliver
        else:
            self._loop, self._deliver = deliver, deliver.call_soon_threadsafe
        self._clock = clock
        self._answer = answer
        self._calls: deque[float] = deque(maxlen=CALLS_PER_SECOND_MAX)
        self._complained = False

    @property
    def on_own_thread(self) -> bool:
        """True when the callback runs on the delivery's own thread, and not where the host wants it."""
        return self._deliver is None

    def run(self, backlog: Backlog) -> None:
        """Deliver everything that comes to *backlog*, whose wake is ``ready.set``, up to and with ``done``."""
        while True:
            rest = self._seconds_to_slot()
            event = backlog.pop(updates=rest <= 0)
            if event is None:
                # Nothing waits, or an update whose slot is not there yet: then time alone may bring it.
                self.ready.wait(rest if rest > 0 else None)
                self.ready.clear()
                continue
            if isinstance(event, SyncProgress):
                self._calls.append(self._clock.monotonic())
            if not self._bring(event) or isinstance(event, SyncResult):
                return

    def _seconds_to_slot(self) -> float:
        """Return how long no update may be called: 50 ms after the last call, and never the 21st within a second."""
        if not self._calls:
            return 0.0
        slot = self._calls[-1] + SPACE_SECONDS
        if len(self._calls) == CALLS_PER_SECOND_MAX:
            slot = max(slot, self._calls[0] + 1.0)
        return slot - self._clock.monotonic()

    def _bring(self, event: Event) -> bool:
        """Call the callback where the host wants it, and wait for it. False: the host's loop is gone for good."""
        if self._deliver is None:
            self._call(event)
            return True
        called = threading.Event()

        def call() -> None:
            if not called.is_set():  # a trampoline that runs us twice gets nothing the second time
                try:
                    self._call(event)
                finally:
                    called.set()

        try:
            self._deliver(call)
        except Exception as error:
            self._complain("deliver", error)
            return self._loop is None or not self._loop.is_closed()
        while not called.wait(LOOP_LOOK_SECONDS if self._loop is not None else None):
            if self._loop is not None and self._loop.is_closed():
                return False
        return True

    def _call(self, event: Event) -> None:
        verb = "progress" if isinstance(event, SyncProgress) else "error" if isinstance(event, SyncError) else "done"
        answer: Any = None
        try:
            with _callback_runs():
                method = getattr(self._callback, verb, None)
                if method is not None:
                    answer = method(event)
        except BaseException as error:  # a host's SystemExit must not end our thread before its ``done``
            self._complain(verb, error)
        if isinstance(answer, CancelRequest) and isinstance(event, SyncProgress):
            self._answer(event, answer)

    def _complain(self, verb: str, error: BaseException) -> None:
        if not self._complained:
            self._complained = True
            name = type(error).__name__
            log.error(
                "A callback's %s raised %s; it is called on, and this is not said again.\n%s",
                verb,
                name,
                frames_of(error),
            )
