"""The chart of the history: synchronizations of each of the last days, good and bad, as the numbers of an SVG. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store import Run

__all__ = ["HEIGHT", "Bar", "bars", "went_well"]

HEIGHT = 96
STEP, WIDTH = 44, 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One day: how many runs ended well and how many not, and where that is drawn (y downwards)."""

    day: date
    good: int
    bad: int
    new: int
    """Messages that came."""
    x: int
    width: int
    good_y: int
    good_height: int
    bad_y: int
    bad_height: int


def bars(runs: "Iterable[Run]", now: datetime, days: int = 14) -> tuple[Bar, ...]:
    """Return one bar a day, the oldest first, the day of *now* last; in the zone of *now*. Runs under way do not count.

    A day with both has at least a line of each, however different they are.
    """
    first = now.date() - timedelta(days=days - 1)
    counts = {first + timedelta(days=at): [0, 0, 0] for at in range(days)}
    for run in runs:
        if run.finished_at is None or run.status == "yielded":
            continue
        of_day = counts.get(run.finished_at.astimezone(now.tzinfo).date())
        if of_day is not None:
            of_day[0 if went_well(run) else 1] += 1
            of_day[2] += run.counts.get("new", 0)
    most = max(1, *(good + bad for good, bad, _ in counts.values()))
    found = []
    for at, (day, (good, bad, new)) in enumerate(counts.items()):
        high, low = _drawn(good, most), _drawn(bad, most)
        found.append(
            Bar(
                day=day,
                good=good,
                bad=bad,
                new=new,
                x=at * STEP + (STEP - WIDTH) // 2,
                width=WIDTH,
                good_y=HEIGHT - high,
                good_height=high,
                bad_y=HEIGHT - high - low,
                bad_height=low,
            )
        )
    return tuple(found)


def went_well(run: "Run") -> bool:
    """Tell whether a run that ended did all that it was asked for."""
    return run.status == "succeeded" and not any(error.severity == "error" for error in run.errors)


def _drawn(count: int, most: int) -> int:
    return max(2, (HEIGHT - 8) * count // most) if count else 0
