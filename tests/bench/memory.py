"""Whether memory grows with the mailbox: peak memory of first synchronizations of two sizes, each in its own process.

Room: tests/bench. Above a process that only has the libraries loaded; both mailboxes have messages alike, and the large
one more of them. The first *n* messages of a corpus are the same whatever its length.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from .mailserver import mailbox
from .ours import idle_octets, maildock

__all__ = ["MemoryUse", "memory_of_first_synchronization"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Octets of memory of one first synchronization of so many *messages* with so many *octets*."""

    messages: int
    octets: int
    peak_octets: int
    idle_octets: int

    @property
    def over_idle_octets(self) -> int:
        """What the synchronization itself took."""
        return self.peak_octets - self.idle_octets

    def __str__(self) -> str:
        return (
            f"{self.messages:,} messages, {self.octets / 1e6:,.0f} MB: peak {self.peak_octets / 1e6:.1f} MB, "
            f"{self.over_idle_octets / 1e6:.1f} MB over an idle process"
        )


def memory_of_first_synchronization(messages: int, directory: Path, *, runs: int) -> MemoryUse:
    """Synchronize *messages* of the corpus from a Dovecot into new stores below *directory*; the median of *runs*.

    The median, for how threads meet decides about some megabytes of every single run.
    """
    with mailbox(messages) as filled:
        peaks = []
        for number in range(runs):
            store = directory / f"memory-{messages}-{number}"
            peaks.append(maildock(filled.address, store / "mail.db", messages=messages).child.memory_octets_peak)
        return MemoryUse(
            messages=messages,
            octets=filled.octets,
            peak_octets=round(statistics.median(peaks)),
            idle_octets=idle_octets(directory),
        )
