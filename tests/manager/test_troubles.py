"""A manager in trouble: a store that fails for a moment, an end at a bad moment: nothing lost, nothing doubled."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provider.manager.handlers.book import Kept
from provider.manager.mail.items import MAIL, StoreBook, account_item
from store import StoreBusy
from tests.contract.playing import ALICE, BOB, GUARD_SECONDS, Play
from tests.contract.playing import Gate as RunGate
from tests.manager.handlers import Gate, Good
from tests.manager.test_center import center, ends
from tests.manager.test_manager import MINUTE, desk
from tests.manager.test_push import LEFT, PARKED, A, scene


class Failing:
    """A method of a store that fails so many times, and is itself then."""

    def __init__(self, times: int) -> None:
        self.times = times

    def of(self, method: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            if self.times:
                self.times -= 1
                raise StoreBusy("the store is busy")
            return method(*args, **named)

        return call


def test_a_store_that_is_busy_as_push_looks_who_may_run_costs_no_account_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(tmp_path, [*PARKED, *LEFT]) as one:
        records = one.store.handlers.records
        busy = Failing(0)
        monkeypatch.setattr(one.store.handlers, "records", busy.of(records))
        one.settle(1)
        busy.times = 1
        one.push._list.changed(A)
        one.clock.advance(MINUTE)
        with pytest.raises(StoreBusy):
            one.push.step()
        one.settle(2)


def test_what_a_server_told_while_its_account_was_switched_off_is_brought_when_it_is_on_again(tmp_path: Path) -> None:
    with scene(tmp_path, [*PARKED, *LEFT]) as one:
        one.settle(1)
        book = StoreBook(one.store)
        book.keep(MAIL, account_item(A), Kept(enabled=False))
        one.push._list.changed(A)
        for _ in range(5):
            one.after(10)
        assert len(one.ran) == 1
        book.keep(MAIL, account_item(A), Kept())
        one.clock.advance(MINUTE)
        one.settle(2)


def test_what_ended_just_before_the_manager_stops_is_not_run_again(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.add("daily 00:10")
        one.clock.advance(10 * MINUTE)
        one.manager.step()
        for handle in one.manager._by_group.values():
            handle.wait(GUARD_SECONDS)
    with desk(tmp_path, clock=one.clock) as two:
        two.settle()
        assert (two.play.runs, [ran.outcome for ran in one.ran]) == ([], ["complete"])


def test_a_store_that_is_busy_at_the_end_of_a_run_does_not_make_it_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk(tmp_path) as one:
        one.add("every 15 min jitter 0 min")
        one.clock.advance(15 * MINUTE)
        busy = Failing(0)
        monkeypatch.setattr(one.store.schedules, "finish", busy.of(one.store.schedules.finish))
        one.manager.step()
        for handle in one.manager._by_group.values():
            handle.wait(GUARD_SECONDS)
        busy.times = 1
        with pytest.raises(StoreBusy):
            one.manager.step()
        one.after(5 * MINUTE)
        assert ([ran.outcome for ran in one.ran], sorted(one.play.runs)) == (["complete"], [ALICE, BOB])


def test_what_nobody_foresaw_does_not_end_the_managers_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met = threading.Event()
    with desk(tmp_path) as one:
        one.add("every 15 min jitter 0 min")
        claim = one.store.schedules.claim

        def fails_once(*args: Any, **named: Any) -> Any:
            if not met.is_set():
                met.set()
                raise RuntimeError("can't start new thread")
            return claim(*args, **named)

        one.clock.advance(15 * MINUTE)
        monkeypatch.setattr(one.store.schedules, "claim", fails_once)
        one.manager.start()
        for _ in range(100):
            if one.ran:
                break
            threading.Event().wait(0.05)
        assert met.is_set() and [ran.outcome for ran in one.ran] == ["complete"]


def test_what_was_taken_back_while_it_waited_and_is_asked_for_again_is_done() -> None:
    gate = Gate()
    good = Good(names=("a", "b", "c"), work=gate)
    with center(good) as one:
        (first,) = one.sync("good", ["a"])
        gate.wait_reached()
        (waiting,) = one.sync("good", ["b", "c"])
        one.cancel("good", ["b"])
        (again,) = one.sync("good", ["b"])
        gate.open()
        assert [ends(session) for session in (first, waiting, again)] == [
            {"a": "succeeded"},
            {"b": "canceled", "c": "succeeded"},
            {"b": "succeeded"},
        ]


def test_an_account_that_is_set_anew_while_it_runs_is_not_run_beside_itself_and_both_ends_are_told(
    tmp_path: Path,
) -> None:
    gate = RunGate()
    with scene(tmp_path, [*PARKED, *LEFT], [*PARKED, *LEFT], play=Play(a=gate)) as one:
        one.until(gate.reached.is_set)
        one.provider.replace_account(replace(one.provider.accounts[0], policies=()))
        one.until(lambda: one.push.watching == () or one.push._accounts[A] is one.provider.accounts[0])
        one.until(lambda: one.push.watching == (A,))
        for _ in range(3):
            one.push.step()
        assert len(one.asked) == 1 and len(one.provider.running) == 1
        gate.open()
        one.until(lambda: one.ran)
        one.clock.advance(MINUTE)
        one.settle(2)
