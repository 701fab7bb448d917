"""How fast it goes and how long it will take, from what came in the last ten seconds. Times are handed in.

Memory is bounded whatever the traffic: samples are at least a quarter of a second apart.
"""

from collections import deque
from dataclasses import dataclass

__all__ = ["Meter", "Pace"]

WINDOW_SECONDS = 10.0
SAMPLE_SECONDS = 0.25
SETTLED_SECONDS = 0.5
"""A rate over less time than this says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Rates over the window; None: not known yet."""

    octets_per_second: float | None = None
    messages_per_second: float | None = None

    def eta_seconds(self, *, octets_left: int | None, messages_left: int | None) -> float | None:
        """Return the time that the rest will take, by octets where their total is known, else by messages."""
        for left, rate in ((octets_left, self.octets_per_second), (messages_left, self.messages_per_second)):
            if left is not None and rate:
                return left / rate
        return None


class Meter:
    """Sums with a memory of ten seconds. Not thread-safe: its owner has a lock."""

    def __init__(self, now: float) -> None:
        self._octets = 0
        self._messages = 0
        self._samples: deque[tuple[float, int, int]] = deque([(now, 0, 0)])

    def add(self, now: float, *, octets: int = 0, messages: int = 0) -> None:
        """Count what just came; *now* is of a monotonic clock."""
        if now - self._samples[-1][0] >= SAMPLE_SECONDS:
            self._samples.append((now, self._octets, self._messages))
            self._forget(now)
        self._octets += octets
        self._messages += messages

    def pace(self, now: float) -> Pace:
        """Return the rates over the last ten seconds."""
        self._forget(now)
        start, octets, messages = self._samples[0]
        span = now - start
        if span < SETTLED_SECONDS:
            return Pace()
        return Pace(
            octets_per_second=(self._octets - octets) / span,
            messages_per_second=(self._messages - messages) / span,
        )

    def _forget(self, now: float) -> None:
        while len(self._samples) > 1 and self._samples[1][0] <= now - WINDOW_SECONDS:
            self._samples.popleft()
