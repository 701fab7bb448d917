"""Time, as something that is handed in: tests turn it by hand.

Two hands. ``now`` is for people and for what is stored; it may jump. ``monotonic`` is for spans; it never goes back.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What tells the time. Thread-safe."""

    def now(self) -> datetime:
        """Return the wall clock's time: aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some moment; only differences mean anything."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the wall clock's time: aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since some moment; only differences mean anything."""
        return time.monotonic()
