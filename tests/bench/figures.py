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
_SHOWN = {"s": (1.0, "s"), "ms": (1000.0, "ms"), "MB": (1e-6, "MB")}


@dataclass(frozen=True, slots=True)
class Samples:
    """Runs of one thing, in seconds (units "s" and "ms") or octets (unit "MB")."""

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
        return f"{_shown(self.median, self.unit)} (min {_shown(self.fastest, self.unit)}, {len(self.runs)} runs)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. With *theirs* the limit is a ratio, else a value of the samples' own measure.

    *target* says the limit in words; None limit: no target, for orientation. *ours* or *theirs* None with *missing*:
    could not be measured, and why.
    """

    name: str
    ours: Samples | None
    peer: str = ""
    theirs: Samples | None = None
    limit: float | None = None
    goal: float | None = None
    missing: str = ""

    @property
    def measured(self) -> float | None:
        """What the limit speaks of: the ratio, or our median. None: not measured."""
        if self.ours is None or self.missing:
            return None
        return self.ours.median / self.theirs.median if self.theirs is not None else self.ours.median

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
        if self.peer:
            return f"{limit:g} ×"
        return _shown(limit, self.ours.unit if self.ours is not None else "s")


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
        "| figure | maildock: median | beside | theirs: median | ratio | target | held |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(figure) for figure in figures]
    return "\n".join(lines) + "\n"


def _line(figure: Figure) -> str:
    ratio = f"{figure.measured:.2f}" if figure.theirs is not None and figure.measured is not None else "—"
    held = {True: "yes", False: "**NO**", None: "—"}[figure.held]
    ours, theirs = str(figure.ours or "—"), str(figure.theirs or "—")
    if figure.missing:
        theirs, ratio, held = f"**not measured: {figure.missing}**", "—", "—"
    return f"| {figure.name} | {ours} | {figure.peer or '—'} | {theirs} | {ratio} | {figure.target} | {held} |"


def as_json(figures: Sequence[Figure]) -> list[dict[str, object]]:
    """Return plain values; runs in seconds or octets."""
    return [
        {
            "figure": figure.name,
            "ours": list(figure.ours.runs) if figure.ours is not None else None,
            "peer": figure.peer,
            "theirs": list(figure.theirs.runs) if figure.theirs is not None else None,
            "measured": figure.measured,
            "target": figure.target,
            "held": figure.held,
            "missing": figure.missing,
        }
        for figure in figures
    ]


def _shown(value: float, unit: Unit) -> str:
    factor, name = _SHOWN[unit]
    number = value * factor
    return f"{number:.2f} {name}" if abs(number) < 10 else f"{number:,.0f} {name}"
