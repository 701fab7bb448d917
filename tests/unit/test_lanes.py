"""The quick lane of the scheduler: what runs beside what, who waits for whom, and what a crowded server changes."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from provider.bridge import Bridge
from provider.clock import SystemClock
from provider.events import ItemStatus, ResultStatus
from provider.handle import SyncHandle
from provider.job import Leg, Task
from provider.request import SyncFlags, SyncRequest
from provider.scheduler import Scheduler
from provider.turn import AccountOutcome, Turn
from store.mail import AccountId, MessageKey
from tests.contract.playing import ALICE, BOB, DONE, GUARD_SECONDS, account

ON_DEMAND = SyncRequest(flags=SyncFlags.SYNC_DOWNLOAD_CONTENTS | SyncFlags.SYNC_ON_DEMAND)
USUAL = SyncRequest()
CROWDED = AccountOutcome(status=ItemStatus.SUCCEEDED, yielded=True, crowded=True)
YIELDED = AccountOutcome(status=ItemStatus.SUCCEEDED, yielded=True)


@dataclass(eq=False)
class Part:
    """One turn of a leg, held until the test says how it ends. ``turn`` is what the run was handed."""

    leg: Leg
    turn: Turn
    ending: AccountOutcome | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def end(self, outcome: AccountOutcome = DONE) -> None:
        self.ending = outcome
        self.over.set()


class Stage:
    """A scheduler whose runs stand still until the test ends them, in the order in which they began."""

    def __init__(self, connections: int = 4) -> None:
        self._bridge = Bridge()
        self._parts: list[Part] = []
        self._changed = threading.Condition()
        self.scheduler = Scheduler(
            self._run, spawn=self._bridge.spawn, clock=SystemClock(), connections=connections, translate=None
        )

    def _run(self, leg: Leg, turn: Turn) -> AccountOutcome:
        part = Part(leg, turn)
        with self._changed:
            self._parts.append(part)
            self._changed.notify_all()
        with leg.stop.waking(part.over.set):
            assert part.over.wait(GUARD_SECONDS), "nobody ended this run"
        leg.stop.checkpoint()
        assert part.ending is not None
        leg.reporter.item(None)
        return part.ending

    def part(self, number: int) -> Part:
        """Return the turn that began as number *number*, from 0, as soon as it has begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._parts) > number, GUARD_SECONDS), "it never began"
            return self._parts[number]

    @property
    def began(self) -> int:
        with self._changed:
            return len(self._parts)

    def synchronize(self, *names: AccountId, request: SyncRequest = USUAL) -> SyncHandle:
        return self._submitted(Task(request=request, accounts=tuple(map(account, names or (ALICE,)))))

    def fetch(self, key: int = 1, name: AccountId = ALICE, *, quick: bool = True) -> SyncHandle:
        keys = ((name, (MessageKey(key),)),)
        lane = frozenset({name} if quick else ())
        return self._submitted(Task(request=ON_DEMAND, accounts=(account(name),), keys=keys, quick=lane))

    def _submitted(self, task: Task) -> SyncHandle:
        """Submit, and wait until what has a turn has begun: threads begin in any order."""
        handle = self.scheduler.submit(task)
        until(lambda: self._running <= {part.leg for part in list(self._parts)})
        return handle

    @property
    def _running(self) -> set[Leg]:
        with self.scheduler._lock:
            return {*self.scheduler._running.values(), *self.scheduler._quick.values()}

    def close(self) -> None:
        self.scheduler.close(GUARD_SECONDS)
        self._bridge.join(GUARD_SECONDS)


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture
def narrow() -> Iterator[Stage]:
    """One place to run."""
    stage = Stage(connections=1)
    yield stage
    stage.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    waited = threading.Event()
    for _ in range(500):
        if condition():
            return
        waited.wait(0.01)
    raise AssertionError("it never became true")


def test_single_messages_run_beside_the_accounts_synchronization_which_is_not_asked_to_yield(stage: Stage) -> None:
    long = stage.synchronize()
    bulk = stage.part(0)
    assert not bulk.turn.beside()
    fetch = stage.fetch()
    quick = stage.part(1)
    assert (bulk.turn.quick, quick.turn.quick) == (False, True)
    assert not bulk.turn.wanted()
    assert bulk.turn.beside() and quick.turn.beside()
    quick.end()
    assert fetch.wait(GUARD_SECONDS).ok
    assert not long.done
    until(lambda: not bulk.turn.beside())
    bulk.end()
    assert long.wait(GUARD_SECONDS).ok


def test_single_messages_of_one_account_wait_for_each_other_first_come_first_served(stage: Stage) -> None:
    stage.synchronize()
    handles = [stage.fetch(key) for key in (1, 2, 3)]
    for number, handle in enumerate(handles, start=1):
        part = stage.part(number)
        assert part.leg.keys == (number,)
        assert stage.began == number + 1
        assert not stage.part(0).turn.wanted()
        part.end()
        assert handle.wait(GUARD_SECONDS).ok


def test_single_messages_take_no_place_of_the_provider(narrow: Stage) -> None:
    narrow.synchronize(ALICE)
    bulk = narrow.part(0)
    handles = [narrow.fetch(1, ALICE), narrow.fetch(2, BOB)]
    parts = [narrow.part(1), narrow.part(2)]
    assert not bulk.turn.wanted()
    for part in parts:
        part.end()
    assert all(handle.wait(GUARD_SECONDS).ok for handle in handles)
    other = narrow.synchronize(BOB)
    assert narrow.began == 3
    bulk.end()
    narrow.part(3).end()
    assert other.wait(GUARD_SECONDS).ok


def test_without_the_quick_lane_a_fetch_waits_for_its_turn_and_the_synchronization_yields(stage: Stage) -> None:
    stage.synchronize()
    bulk = stage.part(0)
    fetch = stage.fetch(quick=False)
    assert stage.began == 1
    assert bulk.turn.wanted()
    bulk.end(YIELDED)
    part = stage.part(1)
    assert not part.turn.quick and not part.turn.beside()
    part.end()
    assert fetch.wait(GUARD_SECONDS).ok
    stage.part(2).end()


def test_an_urgent_synchronization_takes_turns_all_the_same(stage: Stage) -> None:
    stage.synchronize()
    urgent = SyncRequest(flags=SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_ON_DEMAND)
    stage.synchronize(request=urgent)
    assert stage.began == 1
    assert stage.part(0).turn.wanted()


def test_a_fetch_that_the_server_refuses_beside_the_synchronization_takes_its_turn(stage: Stage) -> None:
    long, fetch = stage.synchronize(), stage.fetch(1)
    bulk = stage.part(0)
    later = stage.fetch(2)
    stage.part(1).end(CROWDED)
    until(bulk.turn.wanted)
    assert stage.began == 2  # the later one waits for the account, too
    bulk.end(YIELDED)
    for number, handle in ((2, fetch), (3, later)):
        part = stage.part(number)
        assert not part.turn.quick and not part.turn.beside()
        assert part.turn.alone is (handle is fetch)
        part.end()
        assert handle.wait(GUARD_SECONDS).ok
    stage.part(4).end()
    assert long.wait(GUARD_SECONDS).ok


def test_a_synchronization_that_the_server_refuses_beside_a_fetch_waits_for_its_end(stage: Stage) -> None:
    fetch = stage.fetch()
    quick = stage.part(0)
    long = stage.synchronize()
    assert stage.part(1).turn.beside()
    stage.part(1).end(CROWDED)
    until(lambda: not quick.turn.wanted() and stage.scheduler._running == {})
    other = stage.synchronize(BOB)
    stage.part(2).end()
    assert other.wait(GUARD_SECONDS).ok
    assert stage.began == 3
    quick.end()
    assert fetch.wait(GUARD_SECONDS).ok
    assert stage.part(3).turn.alone
    stage.part(3).end()
    assert long.wait(GUARD_SECONDS).ok


def test_an_account_that_is_crowded_changes_nothing_for_the_others(stage: Stage) -> None:
    stage.synchronize(ALICE)
    stage.fetch(1, ALICE)
    stage.synchronize(BOB)
    bob = stage.part(2)
    stage.part(1).end(CROWDED)
    until(stage.part(0).turn.wanted)
    stage.fetch(2, BOB)
    assert stage.part(3).turn.quick
    assert not bob.turn.wanted()


def test_cancelling_one_lane_leaves_the_other_alone(stage: Stage) -> None:
    long, fetch = stage.synchronize(), stage.fetch()
    bulk, quick = stage.part(0), stage.part(1)
    fetch.cancel()
    assert fetch.wait(GUARD_SECONDS).status is ResultStatus.CANCELED
    assert not bulk.leg.stop.stopped
    again = stage.fetch(2)
    long.cancel()
    assert long.wait(GUARD_SECONDS).status is ResultStatus.CANCELED
    assert quick is not stage.part(2)
    stage.part(2).end()
    assert again.wait(GUARD_SECONDS).ok


def test_a_paused_synchronization_does_not_pause_a_fetch(stage: Stage) -> None:
    long = stage.synchronize()
    stage.part(0)
    long.pause()
    fetch = stage.fetch()
    assert not stage.part(1).leg.stop.paused
    stage.part(1).end()
    assert fetch.wait(GUARD_SECONDS).ok
    assert not long.done


def test_a_fetch_that_is_paused_while_it_waits_lets_the_next_one_go_first(stage: Stage) -> None:
    first, paused, last = (stage.fetch(key) for key in (1, 2, 3))
    paused.pause()
    stage.part(0).end()
    assert stage.part(1).leg.keys == (3,)
    stage.part(1).end()
    assert first.wait(GUARD_SECONDS).ok and last.wait(GUARD_SECONDS).ok
    paused.resume()
    stage.part(2).end()
    assert paused.wait(GUARD_SECONDS).ok


def test_stopping_an_account_and_closing_stop_both_lanes(stage: Stage) -> None:
    handles = [stage.synchronize(), stage.fetch(1), stage.fetch(2), stage.synchronize(BOB), stage.fetch(3, BOB)]
    stage.part(3)
    stage.scheduler.stop_account(ALICE)
    assert [handle.wait(GUARD_SECONDS).status for handle in handles[:3]] == [ResultStatus.CANCELED] * 3
    assert not any(handle.done for handle in handles[3:])
    stage.close()
    assert [handle.wait(0).status for handle in handles[3:]] == [ResultStatus.CANCELED] * 2
