"""The manager: what is due runs once, whatever happens to clocks, managers and runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from provider.errors import Closed, InvalidRequest
from provider.events import ItemStatus
from provider.manager.manager import SyncManager
from provider.manager.ran import Ran
from provider.manager.schedule import next_run, parse
from provider.request import SyncFlags, Trigger
from provider.testing import ManualClock
from provider.turn import AccountOutcome
from store import FolderPath, Group, MailStore, UnknownGroup, open_store
from tests.contract.playing import ALICE, BOB, DONE, GUARD_SECONDS, Gate, Play, provider

MINUTE, HOUR = 60.0, 3600.0


@dataclass
class Desk:
    """A manager whose clock is turned by hand, and who asks for each step."""

    store: MailStore
    clock: ManualClock
    manager: SyncManager
    play: Play
    ran: list[Ran] = field(default_factory=list)

    def add(self, text: str, group: str = "All accounts", zone: str = "UTC") -> None:
        due = next_run(parse(text, zone), self.clock.now())
        self.store.schedules.add(group, text, zone=zone, next_run=due)

    def settle(self) -> None:
        """Let what is due run to its end."""
        self.manager.step()
        for one in list(self.manager._by_group.values()):
            one.wait(GUARD_SECONDS)
        self.manager.step()

    def after(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.settle()


@contextmanager
def desk(path: Path, play: Play | None = None, clock: ManualClock | None = None, **more: Any) -> Iterator[Desk]:
    play, clock, ran = play or Play(), clock or ManualClock(), list[Ran]()
    with open_store(path / "mail.db") as store, provider(play, ALICE, BOB, store=store) as dock:
        manager = SyncManager(store, dock, clock=clock, heard=ran.append, random=Random(1), **more)
        try:
            yield Desk(store, clock, manager, play, ran)
        finally:
            manager.stop()


def fails(reporter: Any, turn: Any, request: Any) -> AccountOutcome:
    return AccountOutcome(status=ItemStatus.FAILED)


def test_what_is_due_runs_once_and_the_next_run_is_shown(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.add("every 15 min jitter 0 min")
        one.settle()
        assert one.ran == []
        one.after(15 * MINUTE)
        one.settle()
        assert [(ran.outcome, ran.group) for ran in one.ran] == [("complete", "All accounts")]
        (record,) = one.store.schedules.all()
        assert record.next_run == one.clock.now() + timedelta(minutes=15)
        assert sorted(one.play.runs) == [ALICE, BOB]


def test_after_a_long_sleep_what_was_missed_is_one_run(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        for group, account, text in (("A", ALICE, "every 15 min jitter 0 min"), ("B", BOB, "daily 08:00")):
            one.store.schedules.put_group(Group(name=group, accounts=(account,)))
            one.add(text, group)
        one.after(10 * 24 * HOUR)
        one.settle()
        assert sorted((ran.group, ran.outcome) for ran in one.ran) == [("A", "complete"), ("B", "complete")]
        assert sorted(one.play.runs) == [ALICE, BOB]


@pytest.mark.soak
def test_a_year_of_three_zones_misses_no_run_and_doubles_none(tmp_path: Path) -> None:
    zones = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
    with desk(tmp_path) as one:
        for zone, account in zip(zones, (ALICE, BOB, ALICE), strict=True):
            one.store.schedules.put_group(Group(name=zone, accounts=(account,)))
            one.add("daily 02:30", zone, zone)
        end = one.clock.now() + timedelta(days=365)
        while (due := min(r.next_run for r in one.store.schedules.all() if r.next_run)) < end:
            one.after((due - one.clock.now()).total_seconds())
        assert [sum(ran.group == zone for ran in one.ran) for zone in zones] == [365, 365, 365]
        assert {ran.outcome for ran in one.ran} == {"complete"}


def test_a_clock_that_jumps_ahead_and_is_set_back_makes_no_storm_and_stalls_nothing(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.add("every 15 min jitter 0 min")
        one.store.schedules.put_group(Group(name="B", accounts=(BOB,)))
        one.add("daily 00:10", "B")
        begin = one.clock.now()
        one.after(400 * 24 * HOUR)
        assert len(one.ran) == 2
        one.clock.set(-400 * 24 * HOUR)
        one.settle()
        assert len(one.ran) == 2
        assert [r.next_run and r.next_run - begin for r in one.store.schedules.all()] == [
            timedelta(minutes=15),
            timedelta(minutes=10),
        ]
        one.after(15 * MINUTE)
        assert len(one.ran) == 4


def test_a_failure_is_tried_again_within_the_hour_and_less_often_each_time(tmp_path: Path) -> None:
    play = Play(alice=fails)
    with desk(tmp_path, play) as one:
        one.add("daily 00:10")
        one.after(10 * MINUTE)
        assert len(one.ran) == 1
        waits = []
        for _ in range(3):
            (record,) = one.store.schedules.all()
            assert record.retry_at is not None
            waits.append((record.retry_at - one.clock.now()).total_seconds())
            one.after(waits[-1] + 1)
        assert len(one.ran) == 4
        assert HOUR <= waits[0] < waits[1] <= 2 * HOUR < waits[2] <= 4 * HOUR
        play.scripts.clear()
        (record,) = one.store.schedules.all()
        one.after(8 * HOUR)
        (record,) = one.store.schedules.all()
        assert (record.failures, record.retry_at, record.last_outcome) == (0, None, "complete")


def test_a_group_that_runs_already_is_not_started_twice(tmp_path: Path) -> None:
    gate = Gate()
    with desk(tmp_path, Play(alice=gate)) as one:
        one.store.schedules.put_group(Group(name="A", accounts=(ALICE,)))
        one.add("every 15 min jitter 0 min", "A")
        handle = one.manager.run_now("A")
        gate.wait_reached()
        assert one.manager.run_now("A") is handle
        one.clock.advance(15 * MINUTE)
        one.manager.step()
        assert [ran.outcome for ran in one.ran] == ["skipped: it runs already"]
        gate.open()
        handle.wait(GUARD_SECONDS)
        assert one.play.runs == [ALICE]


def test_two_managers_of_two_processes_run_what_is_due_once(tmp_path: Path) -> None:
    clock = ManualClock()
    gate = Gate()
    with desk(tmp_path, Play(alice=gate), clock) as one, desk(tmp_path, clock=clock) as two:
        one.add("every 15 min jitter 0 min")
        clock.advance(15 * MINUTE)
        one.manager.step()
        gate.wait_reached()
        for _ in range(4):  # it holds on to what it runs, however long that takes
            two.settle()
            clock.advance(MINUTE)
            one.manager.step()
        gate.open()
        one.settle()
        two.settle()
        assert (len(one.ran), two.ran, two.play.runs) == (1, [], [])


def test_what_a_killed_manager_had_begun_is_done_by_the_next_one(tmp_path: Path) -> None:
    clock = ManualClock()
    with desk(tmp_path, clock=clock) as one:
        one.add("daily 00:10")
        clock.advance(10 * MINUTE)
        gone = "no-such-host:1:1"
        assert one.store.schedules.claim(clock.now(), owner=gone, seconds=120)
        one.settle()
        assert one.ran == []  # nobody can know whether it lives
        one.after(121)
        assert len(one.ran) == 1


def test_a_stop_in_the_midst_leaves_the_run_due(tmp_path: Path) -> None:
    gate, clock = Gate(), ManualClock()
    with desk(tmp_path, Play(alice=gate), clock) as one:
        one.add("daily 00:10")
        clock.advance(10 * MINUTE)
        one.manager.step()
        gate.wait_reached()
    with desk(tmp_path, clock=clock) as two:
        two.settle()
        assert [ran.outcome for ran in two.ran] == ["complete"]


def test_paused_starts_nothing_but_what_is_asked_for_by_hand(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.add("every 15 min jitter 0 min")
        one.manager.pause()
        one.after(HOUR)
        assert one.ran == []
        assert one.manager.run_now().wait(GUARD_SECONDS).ok
        one.manager.resume()
        one.settle()
        assert len(one.ran) == 1


def test_a_group_says_what_of_its_accounts_is_wanted(tmp_path: Path) -> None:
    asked = []

    def look(reporter: Any, turn: Any, request: Any) -> AccountOutcome:
        asked.append(request)
        return DONE

    with desk(tmp_path, Play(alice=look)) as one:
        inbox = FolderPath(("INBOX",))
        group = Group(name="A", accounts=(ALICE,), folders=(inbox,), headers_only=True, size_octets_max=9)
        one.store.schedules.put_group(group)
        one.add("every 15 min jitter 0 min", "A")
        one.after(15 * MINUTE)
    (request,) = asked
    assert (request.folders, request.size_octets_max, request.trigger) == ((inbox,), 9, Trigger.SCHEDULED)
    assert request.flags & SyncFlags.SYNC_GLOBAL_HEADERS
    assert one.play.runs == [ALICE]


def test_a_group_of_nobody_who_is_here_is_told_and_goes_on(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.store.schedules.put_group(Group(name="X", accounts=("carol",)))  # type: ignore[arg-type]
        one.add("every 15 min jitter 0 min", "X")
        one.after(15 * MINUTE)
        assert [ran.outcome for ran in one.ran] == ["skipped: none of its accounts is here"]
        with pytest.raises(InvalidRequest):
            one.manager.run_now("X")
        with pytest.raises(UnknownGroup):
            one.manager.run_now("Y")
        one.manager.stop()
        with pytest.raises(Closed):
            one.manager.run_now()


def test_started_it_looks_by_itself_and_stops(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.add("every 15 min jitter 0 min")
        one.clock.advance(15 * MINUTE)
        one.manager.start()
        for _ in range(500):
            if one.ran:
                break
            one.manager._wake.set()
            one.manager._bridge.join(0.01)
        assert [ran.outcome for ran in one.ran] == ["complete"]
