"""A clock that is set ahead or back changes no order, makes no storm, and lets nothing stand still."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from provider.manager.schedule import Every, next_run, parse
from tests.contract.playing import ALICE, Play
from tests.manager.test_manager import Desk, desk, fails

MINUTE, HOUR, DAY = 60, 3_600, 86_400
JUMPS = {
    "ten years ahead": 3_652 * DAY,
    "a day ahead": DAY,
    "an hour ahead": HOUR,
    "a leap second": 1,
    "ten minutes back": -10 * MINUTE,
    "an hour back": -HOUR,
    "a day and an hour back": -DAY - HOUR,
    "four hundred days back": -400 * DAY,
}
SCHEDULES = {
    "every 15 min jitter 0 min": 6 * HOUR,
    "every 2 hours jitter 0 min": 2 * DAY,
    "every 2 days": 12 * DAY,
    "daily 07:30,19:00": 5 * DAY,
    "weekdays 08:00": 9 * DAY,
    "mon,thu 00:10": 15 * DAY,
    "monthly 15 07:30": 95 * DAY,
    "monthly last fri 07:30": 95 * DAY,
    "once 2026-01-02 18:00": 9 * DAY,
    "every 30 min jitter 0 min not 22:00-07:00": 2 * DAY,
}
"""Each with how long it is watched after the jump."""
ZONE = "Europe/Berlin"


def watched(one: Desk, seconds: int) -> list[datetime]:
    """Let time pass from one due run to the next one; return when runs began, by the clock on the wall."""
    end, heard = one.clock.monotonic() + seconds, len(one.ran)
    while one.clock.monotonic() < end:
        one.settle()
        due = [record.next_run for record in one.store.schedules.all() if record.next_run is not None]
        wait = (min(due) - one.clock.now()).total_seconds() if due else seconds
        one.after(min(max(wait, 0), end - one.clock.monotonic()))
        assert len(one.ran) - heard < 300, "a storm"
    return [ran.began_at for ran in one.ran[heard:]]


def planned(text: str, after: datetime, until: datetime) -> list[datetime]:
    found: list[datetime] = []
    schedule, at = parse(text, ZONE), after
    while (following := next_run(schedule, at)) is not None and following <= until:
        found.append(following)
        at = following
    return found


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
@pytest.mark.parametrize("text", SCHEDULES)
def test_after_a_jump_each_planned_run_comes_once_and_what_was_leapt_over_is_one(
    text: str, jump: int, tmp_path: Path
) -> None:
    with desk(tmp_path) as one:
        one.add(text, zone=ZONE)
        watched(one, 3 * HOUR)
        before = one.clock.now()
        one.clock.set(jump)
        after = one.clock.now()
        began = watched(one, SCHEDULES[text])
        assert began == sorted(began), "the order is that of time"
        # Set back by less than a day, times of the day that may have run already are not run again.
        by_steps = isinstance(parse(text, ZONE).spec, Every)
        again = jump < 0 and (by_steps or -jump > DAY)
        since = after if jump > 0 or again else before
        must = planned(text, since, one.clock.now())
        leapt = planned(text, before, after) if jump > 0 else []
        if text.startswith("once"):
            assert len(one.ran) == (one.clock.now() > datetime(2026, 1, 2, 17, tzinfo=UTC))
            return
        expected = len(must) + bool(leapt)
        assert expected - 1 <= len(began) <= expected + 1
        for plan in must[1:]:
            assert any(abs(at - plan) < timedelta(minutes=1) for at in began), f"the run of {plan} never came"


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_after_a_jump_a_failure_is_tried_again_and_not_time_after_time(jump: int, tmp_path: Path) -> None:
    with desk(tmp_path, Play(**{ALICE: fails, "bob": fails})) as one:
        one.add("every 2 days", zone=ZONE)
        one.after(2 * DAY)
        assert len(one.ran) == 1
        one.clock.set(jump)
        times = len(watched_with_retries(one, DAY))
        assert 1 <= times <= 8, "first after an hour, then after two, four, eight, less what chance takes away"


def watched_with_retries(one: Desk, seconds: int) -> list[datetime]:
    end, heard = one.clock.monotonic() + seconds, len(one.ran)
    while one.clock.monotonic() < end:
        one.after(20 * MINUTE)
    return [ran.began_at for ran in one.ran[heard:]]
