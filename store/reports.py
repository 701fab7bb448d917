"""What checks and purges report. Values only."""

from dataclasses import dataclass

__all__ = ["CheckReport", "Problem", "PurgeReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A broken invariant: its name (a function of ``store.check``), a sentence, and the message keys it concerns."""

    invariant: str
    text: str
    keys: tuple[int, ...] = ()
    """At most 1,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a check found, and how much it looked at."""

    problems: tuple[Problem, ...]
    invariants: tuple[str, ...]
    """Names of what was checked."""
    messages: int
    blobs_read: int
    """Contents whose every octet was read and hashed (0 without ``full``)."""
    octets_read: int
    seconds: float

    @property
    def ok(self) -> bool:
        """True when nothing is broken."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeReport:
    """What a purge removed for good."""

    tombstones: int = 0
    blobs: int = 0
    headers: int = 0
    partials: int = 0
    """Messages that were half here, without a synchronization that could go on with them."""
    operations: int = 0
    """Operations that are over, and whose grace period is."""
    submissions: int = 0
    """Messages that were sent and filed long ago."""
    pages: int = 0
    """Pages of 16 kB given back to the file system."""
    finished: bool = True
    """False: it was cut off, and goes on where it was next time."""
