"""How a run is asked to stop or to wait, and how quickly it hears it.

A ``Stop`` is shared by everyone who works for one request. Blocking places either register a hook that wakes them
(a socket shuts down) or call ``checkpoint`` at least every 250 ms. Thread-safe; hooks run on the cancelling thread.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from weakref import WeakSet

from .errors import Cancelled

__all__ = ["Stop"]


class Stop:
    """A switch with three positions: go, wait, stop. Stop is for good."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._hooks: dict[int, Callable[[], None]] = {}
        self._next_hook = 0
        self._children: WeakSet[Stop] = WeakSet()
        self._parent: Stop | None = None

    def child(self) -> "Stop":
        """Return a switch for a part of the work: it follows this one, and moving it moves nothing else."""
        child = Stop()
        child._parent = self  # nobody else may hold the switches in between, and the chain must not break
        with self._lock:
            self._children.add(child)
            if self._stopped.is_set():
                child.stop()
            elif not self._going.is_set():
                child.pause()
        return child

    @property
    def stopped(self) -> bool:
        """True once ``stop`` was called."""
        return self._stopped.is_set()

    @property
    def paused(self) -> bool:
        """True between ``pause`` and ``resume``."""
        return not self._going.is_set() and not self.stopped

    def stop(self) -> None:
        """Ask everyone to stop, and wake those who block. Safe to call twice, and from any thread."""
        with self._lock:
            self._stopped.set()
            self._going.set()
            hooks, self._hooks = list(self._hooks.values()), {}
            children = list(self._children)
        for child in children:
            child.stop()
        for hook in hooks:
            with suppress(OSError):  # the socket may be closed already: then nobody blocks on it
                hook()

    def pause(self) -> None:
        """Ask everyone to wait at the next checkpoint."""
        with self._lock:
            if self.stopped:
                return
            self._going.clear()
            for child in self._children:
                child.pause()

    def resume(self) -> None:
        """Let everyone go on."""
        with self._lock:
            self._going.set()
            for child in self._children:
                child.resume()

    def checkpoint(self) -> None:
        """Return at once while the switch is on go; wait while it is on wait; raise Cancelled on stop."""
        if not self._going.is_set():
            self._going.wait()
        if self._stopped.is_set():
            raise Cancelled("The synchronization was cancelled.")

    def wait(self, seconds: float) -> None:
        """Sleep for *seconds* at most; raise Cancelled as soon as somebody stops us."""
        self._stopped.wait(seconds)
        self.checkpoint()

    @contextmanager
    def waking(self, hook: Callable[[], None]) -> Iterator[None]:
        """While inside, ``stop`` calls *hook*. Raises Cancelled at once when stopped already."""
        with self._lock:
            if not self.stopped:
                self._next_hook += 1
                key = self._next_hook
                self._hooks[key] = hook
        self.checkpoint()
        try:
            yield
        finally:
            with self._lock:
                self._hooks.pop(key, None)
