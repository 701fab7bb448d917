"""Figures: what was measured, beside whom, against which target; as a table for people and as JSON.

Room: tests/bench. Pure. A ratio is of medians, since both sides were measured in turns on one machine; the fastest run
stands beside it, because other work on the machine only ever adds. Nothing here fails: a target is held or it is not.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Figure", "Machine", "Samples", "Unit", "as_json", "as_markdown", "percentile"]

Unit = str
_SHOWN = {
    "s": (1.0, "s"),
    "ms": (1000.0, "ms"),
    "MB": (1e-6, "MB"),
    "octets": (1.0, "octets"),
    "flights": (1.0, "flights"),
    "threads": (1.0, "threads"),
}
_COUNTS = frozenset({"flights", "octets", "threads"})
"""What is counted exactly: shown without decimals."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Runs of one thing, in seconds (units "s" and "ms"), octets (unit "MB") or as counted."""

    runs: tuple[float, ...]
    unit: Unit = "s"

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def fastest(self) -> float:
        return min(self.runs)

    def __str__(self) -> str:
        if len(self.runs) == 1:
            return f"{_shown(self.median, self.unit)} (1 run)"
        if min(self.runs) == max(self.runs):
            return f"{_shown(self.median, self.unit)} ({len(self.runs)} runs)"
        return f"{_shown(self.median, self.unit)} (min {_shown(self.fastest, self.unit)}, {len(self.runs)} runs)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. With *theirs* the limit is a ratio, unless *by_value*; else a value of our own measure.

    *target* says the limit in words; None limit: no target, for orientation. *ours* or *theirs* None with *missing*:
    could not be measured, and why. *whole*: the whole process, where *ours* is from the call to done.
    """

    name: str
    ours: Samples | None
    whole: Samples | None = None
    peer: str = ""
    theirs: Samples | None = None
    limit: float | None = None
    goal: float | None = None
    by_value: bool = False
    missing: str = ""

    @property
    def ratio(self) -> float | None:
        """Our median to theirs; None: there is no peer, or it was not measured."""
        if self.ours is None or self.theirs is None or self.missing:
            return None
        return self.ours.median / self.theirs.median

    @property
    def measured(self) -> float | None:
        """What the limit speaks of: the ratio, or our median. None: not measured."""
        if self.peer and not self.by_value:
            return self.ratio
        return None if self.ours is None or (self.missing and not self.by_value) else self.ours.median

    @property
    def held(self) -> bool | None:
        """Whether the target holds; None: there is none, or nothing was measured."""
        return None if self.limit is None or self.measured is None else self.measured <= self.limit

    @property
    def target(self) -> str:
        """The limit (and the goal beyond it) in words."""
        if self.limit is None:
            return "—"
        text = f"≤ {self._limit_text(self.limit)}"
        return f"{text}, goal {self._limit_text(self.goal)}" if self.goal is not None else text

    def _limit_text(self, limit: float) -> str:
        if not self.peer or self.by_value:
            return _shown(limit, self.ours.unit if self.ours is not None else "s")
        parts = round(1 / limit)
        return f"1/{parts} ×" if parts > 4 and math.isclose(limit, 1 / parts) else f"{limit:g} ×"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it was measured; *load* is the one-minute load average before the first run."""

    processor: str
    cores: int
    memory_octets: int
    system: str
    python: str
    disk: str
    server: str
    load: float
    when: str


def percentile(runs: Sequence[float], share: float) -> float:
    """Return the smallest run that at least *share* of all runs do not exceed (nearest rank).

    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5)
    2.0
    """
    ordered = sorted(runs)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def as_markdown(figures: Sequence[Figure], machine: Machine) -> str:
    """Return the table, and the machine above it."""
    where = (
        f"Measured {machine.when} on {machine.processor}, {machine.cores} cores, "
        f"{machine.memory_octets / 1e9:.0f} GB, {machine.system}, disk {machine.disk}; Python {machine.python}, "
        f"{machine.server}; load before the first run {machine.load:.1f}."
    )
    lines = [
        where,
        "",
        "| figure | maildock: median | whole process | beside | theirs: median | ratio | target | held |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(figure) for figure in figures]
    return "\n".join(lines) + "\n"


def _line(figure: Figure) -> str:
    ratio = f"{figure.ratio:.3g}" if figure.ratio is not None else "—"
    held = {True: "yes", False: "**NO**", None: "—"}[figure.held]
    ours, whole, theirs = str(figure.ours or "—"), str(figure.whole or "—"), str(figure.theirs or "—")
    if figure.missing:
        theirs = f"**not measured: {figure.missing}**"
    cells = (figure.name, ours, whole, figure.peer or "—", theirs, ratio, figure.target, held)
    return f"| {' | '.join(cells)} |"


def as_json(figures: Sequence[Figure]) -> list[dict[str, object]]:
    """Return plain values; runs in seconds or octets, or as counted."""
    return [
        {
            "figure": figure.name,
            "unit": figure.ours.unit if figure.ours is not None else None,
            "ours": _runs(figure.ours),
            "whole_process": _runs(figure.whole),
            "peer": figure.peer,
            "theirs": _runs(figure.theirs),
            "ratio": figure.ratio,
            "measured": figure.measured,
            "target": figure.target,
            "held": figure.held,
            "missing": figure.missing,
        }
        for figure in figures
    ]


def _runs(samples: Samples | None) -> list[float] | None:
    return list(samples.runs) if samples is not None else None


def _shown(value: float, unit: Unit) -> str:
    factor, name = _SHOWN[unit]
    number = value * factor
    if unit in _COUNTS:
        return f"{number:,.0f} {name}"
    return f"{number:.2f} {name}" if abs(number) < 10 else f"{number:,.0f} {name}"
