"""Online and offline: three notices of each change, one change at a time, and catching up."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from provider import Account, ResultStatus, SyncRequest, Trigger
from provider.entry import MailStoreProvider
from provider.manager import (
    ChangePending,
    LinkNotice,
    LinkPhase,
    LinkState,
    OnlineState,
    Ran,
    SyncManager,
    next_run,
    parse,
)
from provider.manager.handlers.book import Kept
from provider.manager.mail.items import MAIL, StoreBook, account_item
from provider.testing import ManualClock
from provider.turn import AccountOutcome
from store import MailStore, open_store
from tests.contract.playing import ALICE, BOB, DONE, GUARD_SECONDS, Gate, Play, provider

OFFLINE, ONLINE = LinkState.OFFLINE, LinkState.ONLINE
PHASES = [LinkPhase.PENDING, LinkPhase.CHANGING, LinkPhase.CHANGED]


@dataclass
class House:
    store: MailStore
    dock: MailStoreProvider
    manager: SyncManager
    clock: ManualClock
    ran: list[Ran]

    @property
    def link(self) -> OnlineState:
        return self.manager.link

    def settle(self) -> None:
        for handle in self.dock.running:
            handle.wait(GUARD_SECONDS)


@contextmanager
def house(path: Path, play: Play) -> Iterator[House]:
    clock, ran = ManualClock(), list[Ran]()
    with open_store(path / "mail.db") as store, provider(play, ALICE, BOB, store=store) as dock:
        manager = SyncManager(store, dock, clock=clock, heard=ran.append, random=Random(1))
        try:
            yield House(store, dock, manager, clock, ran)
        finally:
            manager.stop()


def test_a_change_is_told_three_times_and_the_state_turns_before_the_last(tmp_path: Path) -> None:
    with house(tmp_path, Play()) as one:
        heard: list[tuple[LinkNotice, LinkState]] = []
        token = one.link.advise(lambda notice: heard.append((notice, one.link.state)))
        assert token
        one.link.set_state(OFFLINE, wait=GUARD_SECONDS)
        assert [(notice.phase, notice.old, notice.new, state) for notice, state in heard] == [
            (LinkPhase.PENDING, ONLINE, OFFLINE, ONLINE),
            (LinkPhase.CHANGING, ONLINE, OFFLINE, ONLINE),
            (LinkPhase.CHANGED, ONLINE, OFFLINE, OFFLINE),
        ]
        one.link.set_state(OFFLINE, wait=GUARD_SECONDS)  # it is that already
        one.link.unadvise(token)
        one.link.set_state(ONLINE, wait=GUARD_SECONDS)
        assert len(heard) == 3
        one.settle()


def test_a_second_request_meanwhile_is_pending_and_a_sink_that_raises_costs_nothing(tmp_path: Path) -> None:
    with house(tmp_path, Play()) as one:
        reached, let_go = threading.Event(), threading.Event()

        def holds(notice: LinkNotice) -> None:
            if notice.phase is LinkPhase.PENDING:
                reached.set()
                assert let_go.wait(GUARD_SECONDS)
            raise RuntimeError("a host's own")

        phases: list[LinkPhase] = []
        one.link.advise(holds)
        one.link.advise(lambda notice: phases.append(notice.phase))
        one.link.set_state(OFFLINE)
        assert reached.wait(GUARD_SECONDS)
        assert (one.link.changing, one.link.state) == (True, ONLINE)
        for state in LinkState:
            with pytest.raises(ChangePending):
                one.link.set_state(state)
        change = one.link._change
        assert change is not None
        let_go.set()
        assert change.wait(GUARD_SECONDS)
        assert (one.link.changing, one.link.state, phases) == (False, OFFLINE, PHASES)


def test_coming_back_leaves_out_an_account_that_people_switched_off(tmp_path: Path) -> None:
    play = Play()
    with house(tmp_path, play) as one:
        StoreBook(one.store).keep(MAIL, account_item(ALICE), Kept(enabled=False))
        one.link.set_state(OFFLINE, wait=GUARD_SECONDS)
        one.link.set_state(ONLINE, wait=GUARD_SECONDS)
        for handle in one.dock.running:
            handle.wait(GUARD_SECONDS)
        assert play.runs == ["bob"]


def test_going_offline_cancels_what_runs_and_coming_back_does_everything_once(tmp_path: Path) -> None:
    gate, triggers = Gate(), []

    def tells(reporter: object, turn: object, request: SyncRequest) -> AccountOutcome:
        triggers.append(request.trigger)
        return DONE

    play = Play(alice=gate, bob=tells)
    with house(tmp_path, play) as one:
        handle = one.dock.send_and_receive(SyncRequest(accounts=(ALICE,)))
        gate.wait_reached()
        one.link.set_state(OFFLINE, wait=GUARD_SECONDS)
        assert handle.wait(GUARD_SECONDS).status is ResultStatus.CANCELED
        del play.scripts["alice"]
        assert one.dock.send_and_receive(SyncRequest(accounts=(ALICE,))).wait(GUARD_SECONDS).ok  # a person asked
        one.link.set_state(ONLINE, wait=GUARD_SECONDS)
        one.settle()
        assert triggers == [Trigger.CONNECT]
        one.store.schedules.pause()
        one.link.set_state(OFFLINE, wait=GUARD_SECONDS)
        one.link.set_state(ONLINE, wait=GUARD_SECONDS)
        assert one.dock.running == ()
        assert len(triggers) == 1


def test_schedules_for_offline_run_offline_and_the_others_online(tmp_path: Path) -> None:
    with house(tmp_path, Play()) as one:
        for text in ("every 10 min jitter 0 min", "every 10 min jitter 0 min offline"):
            one.store.schedules.add("All accounts", text, zone="UTC", next_run=next_run(parse(text), one.clock.now()))

        def outcomes() -> dict[int, str]:
            one.ran.clear()
            one.clock.advance(600)
            one.manager.step()
            one.settle()
            one.manager.step()
            return {int(ran.schedule): ran.outcome for ran in one.ran}

        assert outcomes() == {1: "complete", 2: "skipped: online"}
        one.link.set_state(OFFLINE, wait=GUARD_SECONDS)
        assert outcomes() == {1: "skipped: offline", 2: "complete"}


def test_offline_nobody_watches_the_servers_and_back_online_somebody_does(tmp_path: Path) -> None:
    asked = threading.Event()

    def source_of(_account: Account) -> Any:
        asked.set()

    alice = Account(id=ALICE, host="mail.example", user="alice")
    with open_store(tmp_path / "mail.db") as store:
        store.schedules.set_offline(True)
        with MailStoreProvider(store, [alice], run=Play(), source_of=source_of) as dock:
            manager = SyncManager(store, dock, clock=ManualClock(), push=True)
            try:
                assert manager.push is not None
                for _ in range(3):
                    manager.push.step()
                assert not asked.is_set()
                manager.link.set_state(ONLINE, wait=GUARD_SECONDS)
                for handle in dock.running:
                    handle.wait(GUARD_SECONDS)
                asked.clear()
                manager.push.step()
                assert asked.wait(GUARD_SECONDS), "nobody watches"
            finally:
                manager.stop()


def test_what_another_process_wrote_down_is_heard_with_its_notices(tmp_path: Path) -> None:
    gate, connected = Gate(), []

    def tells(reporter: object, turn: object, request: SyncRequest) -> AccountOutcome:
        connected.append(request.trigger)
        return DONE

    with house(tmp_path, Play(alice=gate, bob=tells)) as one:
        phases, ended = [], threading.Event()

        def hears(notice: LinkNotice) -> None:
            phases.append((notice.new, notice.phase))
            if notice.phase is LinkPhase.CHANGED:
                ended.set()

        one.link.advise(hears)
        handle = one.dock.send_and_receive(SyncRequest(accounts=(ALICE,)))
        gate.wait_reached()
        for state in (OFFLINE, ONLINE):
            with open_store(tmp_path / "mail.db") as other:
                other.schedules.set_offline(state is OFFLINE)
            ended.clear()
            one.manager.step()
            assert ended.wait(GUARD_SECONDS)
            assert one.link._change is None or one.link._change.wait(GUARD_SECONDS)
            assert one.link.state is state
            one.manager.step()
        assert handle.wait(GUARD_SECONDS).status is ResultStatus.CANCELED
        assert phases == [(state, phase) for state in (OFFLINE, ONLINE) for phase in PHASES]
        one.dock.close()
        assert connected == [Trigger.CONNECT]


def test_what_falls_due_while_it_goes_offline_does_not_go_on_offline(tmp_path: Path) -> None:
    gate = Gate()
    with house(tmp_path, Play(bob=gate)) as one:

        def is_late(notice: LinkNotice) -> None:
            if notice.phase is LinkPhase.CHANGING:
                one.dock.send_and_receive(SyncRequest(accounts=(BOB,), trigger=Trigger.SCHEDULED))
                gate.wait_reached()

        one.link.advise(is_late)
        one.link.set_state(OFFLINE, wait=GUARD_SECONDS)
        assert one.dock.running == ()
