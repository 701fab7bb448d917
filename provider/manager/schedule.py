"""When something runs next. Pure: a schedule, an instant and chance in, an instant out; no clock is read here.

Rules: times of the day belong to the zone of the schedule. A time that does not exist (clocks went forward) is the
first moment after the gap; one that comes twice counts once, the first time. "Every n minutes" and "hours" are steps
of elapsed time on a grid counted from 1970 UTC, so they neither drift nor know of summer time; "every n days" is a grid
of local midnights. A day that a month does not have is its last day. Whoever asks with the present instant gets one
run for all those that were missed.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import assert_never
from zoneinfo import ZoneInfo

__all__ = ["BadSchedule", "Every", "Monthly", "MonthlyWeekday", "Once", "Schedule", "Weekly", "next_run", "parse"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SETS = {"daily": range(7), "weekdays": range(5), "weekends": range(5, 7)}
_PLACES = {"1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5, "last": -1}
_UNITS = {"min": 60, "hour": 3_600, "day": 86_400}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXAMPLES = '"every 15 min", "weekdays 08:00", "monthly 2nd tue 07:30", "once 2026-12-24 18:00"'
COUNT_MAX = 10_000
_MONTHS_AHEAD = 15
"""A fifth Monday comes at least every few months; so far is looked."""


class BadSchedule(ValueError):
    """A text is no schedule; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """Every *seconds* of elapsed time; whole days are local midnights."""

    seconds: int
    jitter_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """On *days* (0 Monday) at *times*."""

    days: frozenset[int]
    times: tuple[time, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Monthly:
    """On a day of the month, from 1; the last one where a month is shorter."""

    day: int
    times: tuple[time, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyWeekday:
    """On the *place*-th *weekday* of the month; -1: the last one."""

    place: int
    weekday: int
    times: tuple[time, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """One time, on the clocks of the zone."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is wanted, where; *quiet*: from and until when nothing starts (a run moves to the end of it)."""

    spec: Every | Weekly | Monthly | MonthlyWeekday | Once
    zone: ZoneInfo
    quiet: tuple[time, time] | None = None
    offline: bool = False
    """For when one works offline; the others are for online."""


def next_run(schedule: Schedule, after: datetime, random: Random | None = None) -> datetime | None:
    """Return the first run later than *after* (aware), in UTC; None: there is none any more. *random*: for the jitter.

    >>> weekdays = parse("weekdays 08:00", "Europe/Berlin")
    >>> str(next_run(weekdays, datetime(2026, 3, 27, 8, tzinfo=UTC)))
    '2026-03-30 06:00:00+00:00'
    """
    if after.tzinfo is None:
        raise ValueError("an instant needs its offset from UTC")
    after = after.astimezone(UTC)
    spec, jitter = schedule.spec, timedelta()
    if isinstance(spec, Every) and random is not None:
        jitter = timedelta(seconds=random.uniform(0, spec.jitter_seconds))
    for found in _candidates(schedule, after):
        if found <= after:
            continue
        wanted = found + jitter
        moved = _out_of_quiet(schedule, wanted)
        return wanted if moved == wanted else moved + jitter
    return None


def _candidates(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Yield possible runs from about *after* on, ascending."""
    spec, zone = schedule.spec, schedule.zone
    today = after.astimezone(zone).date()
    match spec:
        case Every(seconds=seconds) if seconds % 86_400:
            steps = (after - _EPOCH) // timedelta(seconds=seconds)
            yield _EPOCH + timedelta(seconds=seconds * (steps + 1))
        case Every(seconds=seconds):
            days = seconds // 86_400
            first = today.toordinal() // days * days
            for ordinal in (first, first + days, first + 2 * days):
                yield _instant(datetime.combine(date.fromordinal(ordinal), time()), zone)
        case Weekly(days=wanted, times=times):
            for ahead in range(-1, 9):
                day = today + timedelta(days=ahead)
                if day.weekday() in wanted:
                    yield from _on(day, times, zone)
        case Monthly() | MonthlyWeekday():
            for ahead in range(-1, _MONTHS_AHEAD):
                year, month = divmod(today.year * 12 + today.month - 1 + ahead, 12)
                found = _day_of(spec, year, month + 1)
                if found is not None:
                    yield from _on(found, spec.times, zone)
        case Once(at=at):
            yield _instant(at, zone)
        case _:
            assert_never(spec)


def _on(day: date, times: tuple[time, ...], zone: ZoneInfo) -> Iterator[datetime]:
    for one in times:
        yield _instant(datetime.combine(day, one), zone)


def _day_of(spec: Monthly | MonthlyWeekday, year: int, month: int) -> date | None:
    first, length = calendar.monthrange(year, month)
    if isinstance(spec, Monthly):
        return date(year, month, min(spec.day, length))
    day = 1 + (spec.weekday - first) % 7
    if spec.place < 0:
        day += (length - day) // 7 * 7
    else:
        day += (spec.place - 1) * 7
    return date(year, month, day) if day <= length else None


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return when clocks in *zone* show *local* for the first time, or are past it for the first time, in UTC."""
    early = local.replace(tzinfo=zone, fold=0)
    late = local.replace(tzinfo=zone, fold=1)
    before, behind = early.utcoffset(), late.utcoffset()
    assert before is not None
    assert behind is not None
    if before >= behind:
        return early.astimezone(UTC)
    # A gap. The jump lies between what the offsets after and before it make of this time: halve until it is found.
    naive = local.replace(tzinfo=UTC)
    low, high = naive - behind, naive - before
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle <= low:
            break
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def _out_of_quiet(schedule: Schedule, at: datetime) -> datetime:
    if schedule.quiet is None:
        return at
    begin, end = schedule.quiet
    local = at.astimezone(schedule.zone)
    now = local.time().replace(fold=0)
    inside = begin <= now < end if begin < end else now >= begin or now < end
    if not inside:
        return at
    day = local.date() + timedelta(days=1) if now >= end else local.date()
    return max(at, _instant(datetime.combine(day, end), schedule.zone))


# --- what people type ----------------------------------------------------------------------------------------------


def parse(text: str, zone: str = "UTC") -> Schedule:
    """Return the schedule that *text* means in an IANA *zone*. Raises BadSchedule.

    >>> parse("every 15 min").spec
    Every(seconds=900, jitter_seconds=90)
    >>> parse("mon,thu 07:30,19:00 not 22:00-07:00").quiet
    (datetime.time(22, 0), datetime.time(7, 0))
    >>> parse("every 2 hours offline").offline
    True
    """
    try:
        where = ZoneInfo(zone)
    except (ValueError, OSError, LookupError):
        raise BadSchedule(f"There is no time zone {zone!r}; one is named like Europe/Berlin.") from None
    words = text.lower().split()
    quiet = None
    if offline := words[-1:] == ["offline"]:
        words = words[:-1]
    if len(words) > 2 and words[-2] == "not":
        begin, _, end = words[-1].partition("-")
        quiet = (_time(begin), _time(end))
        if quiet[0] == quiet[1]:
            raise BadSchedule("Quiet hours begin and end at different times.")
        words = words[:-2]
    return replace(Schedule(spec=_spec(words, text), zone=where), quiet=quiet, offline=offline)


def _spec(words: list[str], text: str) -> Every | Weekly | Monthly | MonthlyWeekday | Once:
    match words:
        case ["every", *rest]:
            return _every(rest, text)
        case ["once", day, at]:
            try:
                return Once(at=datetime.combine(date.fromisoformat(day), _time(at)))
            except ValueError as error:
                if isinstance(error, BadSchedule):
                    raise
                raise BadSchedule(f"{day!r} is no date; one is written like 2026-12-24.") from None
        case ["monthly", place, weekday, times]:
            if place not in _PLACES:
                raise BadSchedule(f"{place!r} is not one of {', '.join(_PLACES)}.")
            return MonthlyWeekday(place=_PLACES[place], weekday=_weekday(weekday), times=_times(times))
        case ["monthly", day, times]:
            if not (re.fullmatch(r"[0-9]{1,2}", day) and 1 <= int(day) <= 31):
                raise BadSchedule(f"{day!r} is no day of a month; it is a number from 1 to 31.")
            return Monthly(day=int(day), times=_times(times))
        case [days, times]:
            chosen = _SETS.get(days) or [_weekday(one) for one in days.split(",")]
            return Weekly(days=frozenset(chosen), times=_times(times))
        case _:
            raise BadSchedule(f"{text!r} is no schedule. Some are: {_EXAMPLES}.")


def _every(words: list[str], text: str) -> Every:
    match words:
        case [number, unit]:
            seconds = _span(number, unit)
            # A tenth by default: a thousand clients of one server do not come at one moment.
            return Every(seconds=seconds, jitter_seconds=0 if seconds % 86_400 == 0 else seconds // 10)
        case [number, unit, "jitter", chance, of]:
            seconds, jitter = _span(number, unit), _span(chance, of, least=0)
            if jitter >= seconds:
                raise BadSchedule("The jitter is shorter than the time between two runs.")
            return Every(seconds=seconds, jitter_seconds=jitter)
        case _:
            raise BadSchedule(f'{text!r} is no schedule: "every" takes a number and min, hours or days.')


def _span(number: str, unit: str, *, least: int = 1) -> int:
    singular = {"mins": "min", "minute": "min", "minutes": "min"}.get(unit, unit.removesuffix("s"))
    if singular not in _UNITS:
        raise BadSchedule(f"{unit!r} is not one of min, hours, days.")
    if not (re.fullmatch(r"[0-9]{1,5}", number) and least <= int(number) <= COUNT_MAX):
        raise BadSchedule(f"{number!r} is not a number from {least} to {COUNT_MAX}.")
    return int(number) * _UNITS[singular]


def _weekday(word: str) -> int:
    if word not in DAYS:
        raise BadSchedule(f"{word!r} is not one of {', '.join(DAYS)}, {', '.join(_SETS)}.")
    return DAYS.index(word)


def _times(text: str) -> tuple[time, ...]:
    return tuple(sorted({_time(one) for one in text.split(",")}))


def _time(text: str) -> time:
    found = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", text)
    if found is None:
        raise BadSchedule(f"{text!r} is no time of the day; one is written like 07:30.")
    return time(int(found[1]), int(found[2]))
