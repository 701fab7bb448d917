"""When a schedule runs: what people type, summer time, and a year of virtual time in three zones."""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from provider.manager.schedule import BadSchedule, Schedule, next_run, parse

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")


def runs(
    schedule: Schedule, begin: datetime = BEGIN, span: timedelta = YEAR, seed: int | None = None
) -> list[datetime]:
    """All runs of a span, as a manager that is always in time makes them."""
    random, found, at = Random(seed) if seed is not None else None, [], begin
    while (at := next_run(schedule, at, random)) is not None and at < begin + span:  # type: ignore[assignment]
        found.append(at)
    return found


def local(schedule: Schedule, found: list[datetime]) -> list[str]:
    return [at.astimezone(schedule.zone).strftime("%a %Y-%m-%d %H:%M") for at in found]


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_of_every_kind_has_each_run_once(zone: str) -> None:
    assert len(runs(parse("every 15 min jitter 0 min", zone))) == 365 * 96 - 1  # the first is later than the beginning
    assert len(runs(parse("every 1 hour", zone), seed=1)) in (365 * 24, 365 * 24 - 1)
    for text, count in (("daily 02:30", 365), ("daily 01:45", 365), ("daily 02:10", 365), ("every 1 day", 365)):
        days = [at.astimezone(ZoneInfo(zone)).date() for at in runs(parse(text, zone))]
        assert len(days) == len(set(days)) == count, text
    weekdays = runs(parse("weekdays 08:00", zone))
    assert all(
        text[:3] not in ("Sat", "Sun") and text.endswith("08:00")
        for text in local(parse("daily 08:00", zone), weekdays)
    )
    assert len(weekdays) == 261
    assert len(runs(parse("monthly 31 07:30", zone))) == 12
    assert len(runs(parse("monthly 2nd tue 07:30", zone))) == 12


def test_a_time_that_does_not_exist_is_the_first_moment_after_the_gap() -> None:
    berlin = parse("daily 02:30", "Europe/Berlin")
    found = next_run(berlin, datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert found == datetime(2026, 3, 29, 1, tzinfo=UTC)
    howe = parse("daily 02:15", "Australia/Lord_Howe")  # clocks go forward by half an hour there
    assert local(howe, [next_run(howe, datetime(2026, 10, 3, 12, tzinfo=UTC)) or BEGIN]) == ["Sun 2026-10-04 02:30"]


def test_two_times_in_one_gap_are_one_run() -> None:
    both = parse("daily 02:10,02:50", "Europe/Berlin")
    assert len(runs(both, datetime(2026, 3, 29, tzinfo=UTC), timedelta(hours=6))) == 1


def test_a_time_that_comes_twice_runs_once_and_the_first_time() -> None:
    berlin = parse("daily 02:30", "Europe/Berlin")
    assert runs(berlin, datetime(2026, 10, 24, 22, tzinfo=UTC), timedelta(hours=12)) == [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    ]


def test_the_second_tuesday_the_last_friday_and_the_thirty_first_fall_where_a_calendar_has_them() -> None:
    second, last = parse("monthly 2nd tue 07:30"), parse("monthly last fri 07:30")
    assert [at.day for at in runs(second)][:3] == [13, 10, 10]
    assert [at.day for at in runs(last)][:3] == [30, 27, 27]
    assert [at.day for at in runs(parse("monthly 31 07:30"))][:4] == [31, 28, 31, 30]
    assert [at.month for at in runs(parse("monthly 5th mon 07:30"))] == [3, 6, 8, 11]


def test_once_is_once() -> None:
    once = parse("once 2026-12-24 18:00", "Europe/Berlin")
    assert local(once, runs(once)) == ["Thu 2026-12-24 18:00"]


def test_what_was_missed_collapses_into_one_run() -> None:
    hourly = parse("every 1 hour jitter 0 min")
    woken = BEGIN + timedelta(days=3, minutes=5)
    assert next_run(hourly, woken) == BEGIN + timedelta(days=3, hours=1)


def test_in_quiet_hours_nothing_starts_and_one_run_comes_at_their_end() -> None:
    quiet = parse("every 30 min jitter 0 min not 22:00-07:00", "Europe/Berlin")
    found = [text[-5:] for text in local(quiet, runs(quiet, span=timedelta(days=30)))]
    assert (min(found), max(found)) == ("07:00", "21:30")
    assert found.count("07:00") == 30


def test_jitter_changes_no_order_and_stays_below_its_measure() -> None:
    found = runs(parse("every 15 min jitter 5 min"), span=timedelta(days=2), seed=7)
    assert found == sorted(set(found))
    assert len(found) in (191, 192)
    assert all((at.minute % 15) * 60 + at.second < 301 for at in found)
    assert len({at.second for at in found}) > 10


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no schedule"),
        ("every", "takes a number"),
        ("every 0 min", "from 1"),
        ("every 5 weeks", "not one of"),
        ("every ١ min", "not a number"),
        ("every 5 min jitter 5 min", "shorter"),
        ("weekdays 25:00", "no time"),
        ("funday 08:00", "not one of"),
        ("monthly 32 08:00", "1 to 31"),
        ("monthly 6th tue 08:00", "not one of"),
        ("once 2026-02-30 18:00", "no date"),
        ("daily 08:00 not 07:00-07:00", "different"),
    ],
)
def test_what_is_no_schedule_is_refused_and_told_why(text: str, word: str) -> None:
    with pytest.raises(BadSchedule, match=word):
        parse(text)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", "/etc/localtime", "\0"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(BadSchedule, match="time zone"):
        parse("daily 08:00", zone)
