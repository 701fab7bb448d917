"""The only file that starts threads. All are daemons named ``maildock-...``, known, and joined on close."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Container
from weakref import WeakSet

from .failure import frames_of

__all__ = ["Bridge"]

log = logging.getLogger(__name__)


class Bridge:
    """Starts threads and waits for their end. Thread-safe."""

    def __init__(self) -> None:
        self._threads: WeakSet[threading.Thread] = WeakSet()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def spawn(self, name: str, work: Callable[[], None], /) -> threading.Thread:
        """Start *work* on a thread ``maildock-<name>-<n>``. Raises RuntimeError when the system has none to give.

        Work is expected to deal with its own errors; one that escapes is logged, without its text.
        """
        thread = threading.Thread(
            target=_guarded, args=(work,), name=f"maildock-{name}-{next(self._numbers)}", daemon=True
        )
        thread.start()
        with self._lock:
            self._threads.add(thread)
        return thread

    def alive(self) -> tuple[str, ...]:
        """Return the names of the threads that still work."""
        with self._lock:
            return tuple(sorted(thread.name for thread in self._threads if thread.is_alive()))

    def join(self, timeout_seconds: float, *, but: Container[object] = ()) -> bool:
        """Wait for all threads but the calling one and those in *but*. False: time is up, some are left behind."""
        deadline = time.monotonic() + timeout_seconds
        with self._lock:
            threads = [t for t in self._threads if t is not threading.current_thread() and t not in but]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)


def _guarded(work: Callable[[], None]) -> None:
    try:
        work()
    except BaseException as error:
        log.error("A thread ended by %s.\n%s", type(error).__name__, frames_of(error))
