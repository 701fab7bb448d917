"""Waiting for a synchronization in the foreground: Ctrl-C cancels it cleanly, a second one ends at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from .exits import ExitCode
from .output import hint

if TYPE_CHECKING:
    from .. import SyncResult
    from ..manager.control.desk import DeskHandle

__all__ = ["wait_for"]

POLL_SECONDS = 0.1
"""How soon a signal is seen: Python runs its handlers between two waits of the main thread."""


def wait_for(handle: "DeskHandle") -> "SyncResult":
    """Return the result of *handle*; the first SIGINT or SIGTERM cancels it, and says so."""
    with _interrupts() as asked:
        told = False
        while not handle.done_event.wait(POLL_SECONDS):
            if asked.is_set() and not told:
                told = True
                handle.cancel()
                hint("Cancelling; what has arrived is kept. Ctrl-C again ends at once.")
        return handle.wait()


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """While inside, a first signal sets the event and a second one ends the process without further ado.

    Outside the main thread signals belong to somebody else: the event then stays unset.
    """
    asked = threading.Event()

    def hear(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            os._exit(ExitCode.CANCELED)  # the store is made for this: what is committed is whole
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
