"""A clock that stands still until somebody turns it."""

import threading
from datetime import UTC, datetime, timedelta

__all__ = ["ManualClock"]


class ManualClock:
    """A ``provider.clock.Clock`` for tests. Thread-safe; both hands move together and forward, unless it is ``set``."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        if start.tzinfo is None:
            raise ValueError("the start of a clock has a time zone")
        self._lock = threading.Lock()
        self._start = start.astimezone(UTC)
        self._passed = 0.0

    def now(self) -> datetime:
        """Return the wall clock's time: aware, UTC."""
        with self._lock:
            return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Return seconds since the start."""
        with self._lock:
            return self._passed

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass. Raises ValueError when they are negative."""
        if seconds < 0:
            raise ValueError("time does not go back")
        with self._lock:
            self._passed += seconds

    def set(self, seconds: float) -> None:
        """Set the wall clock ahead, or back (negative), as a person or a time server does: no time passes."""
        with self._lock:
            self._start += timedelta(seconds=seconds)
