"""What wakes a synchronization, and what holds it back: network, power, session, and other programs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.errors import InvalidRequest
from provider.events import ResultStatus
from provider.manager.manager import SyncManager
from provider.manager.schedule import next_run, parse
from provider.manager.surroundings.environment import WAITING_MAX, Environment
from provider.manager.surroundings.online import LinkState
from provider.manager.surroundings.triggers import (
    Answer,
    Fact,
    Happening,
    Link,
    Power,
    Surroundings,
    SurroundingsPolicy,
    after,
    answer,
    conduct,
)
from provider.request import SyncFlags, Trigger
from provider.testing import ManualClock
from store import AccountId, MailStore, open_store
from tests.contract.playing import ALICE, BOB, GUARD_SECONDS, Gate, Play, provider, walk

POLICY = SurroundingsPolicy()
LOW, FULL, AC = Power(on_battery=True, percent=10), Power(on_battery=True, percent=90), Power(percent=10)
MADE = Fact(what=Happening.NETWORK_MADE)


def known(*facts: Fact, policy: SurroundingsPolicy = POLICY) -> Surroundings:
    found = Surroundings()
    for fact in facts:
        found = after(found, fact, policy)
    return found


def power(one: Power) -> Fact:
    return Fact(what=Happening.POWER, power=one)


# --- pure: what is known, how to behave, what is answered ---------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "paused", "headers_only"),
    [
        ([], "", ""),
        ([MADE], "", ""),
        ([Fact(what=Happening.NETWORK_LOST)], "there is no network", ""),
        ([Fact(what=Happening.NETWORK_LOST), MADE], "", ""),
        ([Fact(what=Happening.NETWORK_MADE, link=Link(metered=True))], "", "the link is metered"),
        ([Fact(what=Happening.NETWORK_MADE, link=Link(bits_per_second=64_000))], "", "the link is slow"),
        ([Fact(what=Happening.NETWORK_MADE, link=Link(bits_per_second=256_000))], "", ""),
        ([Fact(what=Happening.NETWORK_MADE, link=Link(metered=True)), MADE], "", ""),
        (
            [MADE, Fact(what=Happening.NETWORK_QUALITY, link=Link(metered=True, wan=True))],
            "",
            "the link is metered",
        ),
        ([power(LOW)], "the battery is low", ""),
        ([power(FULL)], "", ""),
        ([power(AC)], "", ""),
        ([power(LOW), power(AC)], "", ""),
        ([power(Power(on_battery=True))], "", ""),
    ],
)
def test_how_to_behave_follows_from_what_was_told(facts: list[Fact], paused: str, headers_only: str) -> None:
    found = conduct(known(*facts), POLICY)
    assert (found.paused, found.headers_only) == (paused, headers_only)


def test_a_charge_that_wavers_about_the_limit_does_not_stop_and_start() -> None:
    said = [
        conduct(known(*[power(Power(on_battery=True, percent=one)) for one in told]), POLICY).paused
        for told in ([20], [20, 19.9], [20, 19.9, 20.1], [20, 19.9, 24.9], [20, 19.9, 25], [20, 19.9, 25, 20])
    ]
    assert said == ["", "the battery is low", "the battery is low", "the battery is low", "", ""]


def test_each_policy_can_be_switched_off_and_ac_alone_can_be_asked_for() -> None:
    metered = Fact(what=Happening.NETWORK_MADE, link=Link(metered=True, bits_per_second=1))
    off = SurroundingsPolicy(
        headers_only_metered=False, headers_only_below_bits=0, pause_below_percent=0, pause_without_network=False
    )
    lost = Fact(what=Happening.NETWORK_LOST)
    assert conduct(known(metered, power(LOW), policy=off), off) == conduct(known(lost, policy=off), off)
    assert conduct(known(metered, policy=off), off).headers_only == ""
    ac_only = SurroundingsPolicy(ac_only=True)
    assert conduct(known(power(FULL), policy=ac_only), ac_only).paused == "the machine runs on battery"
    assert conduct(known(power(AC), policy=ac_only), ac_only).paused == ""


@pytest.mark.parametrize(
    ("what", "trigger"),
    [
        ("manual", Trigger.MANUAL),
        ("connect", Trigger.CONNECT),
        ("pending-disconnect", Trigger.PENDING_DISCONNECT),
        ("idle", Trigger.IDLE),
        ("invoke", Trigger.INVOKE),
        ("settings", Trigger.SETTINGS),
        ("network-made", Trigger.CONNECT),
        ("network-lost", None),
        ("network-reachable", Trigger.CONNECT),
        ("network-quality", None),
        ("logon", Trigger.CONNECT),
        ("logoff", Trigger.PENDING_DISCONNECT),
        ("lock", None),
        ("unlock", Trigger.CONNECT),
        ("power", None),
        ("a comet was seen", Trigger.MANUAL),
        ("", Trigger.MANUAL),
    ],
)
def test_what_happens_has_its_trigger_and_what_is_not_known_acts_as_manual(what: str, trigger: Trigger | None) -> None:
    fact = Fact(what=what)
    assert answer(known(fact), fact, POLICY).trigger is trigger


def test_every_happening_is_in_the_table_above() -> None:
    (marks,) = test_what_happens_has_its_trigger_and_what_is_not_known_acts_as_manual.pytestmark  # type: ignore[attr-defined]
    assert {one.value for one in Happening} <= {what for what, _ in marks.args[1]}


def test_wide_area_networks_can_be_left_out() -> None:
    wan, lan = (Fact(what=Happening.NETWORK_MADE, link=Link(wan=one)) for one in (True, False))
    narrow = SurroundingsPolicy(wan=False)
    assert answer(known(wan), wan, narrow).declined == "it is a wide-area network"
    assert answer(known(lan), lan, narrow).trigger is answer(known(wan), wan, POLICY).trigger is Trigger.CONNECT


def test_what_makes_no_sense_is_refused_and_a_cookie_is_never_shown() -> None:
    for bad in (-1.0, 100_000.0):
        with pytest.raises(InvalidRequest):
            Fact(what=Happening.LOGOFF, deadline_seconds=bad)
    for percent in (-1.0, 101.0, float("nan")):
        with pytest.raises(InvalidRequest):
            power(Power(percent=percent))
    with pytest.raises(InvalidRequest):
        SurroundingsPolicy(pause_below_percent=101)
    assert "secret" not in repr(Fact(what=Happening.INVOKE, cookie=b"secret"))


FACTS = st.builds(
    Fact,
    what=st.sampled_from(Happening) | st.text(max_size=5),
    link=st.none() | st.builds(Link, wan=st.none() | st.booleans(), metered=st.none() | st.booleans()),
    power=st.none() | st.builds(Power, on_battery=st.booleans(), percent=st.none() | st.floats(0, 100)),
)


@given(st.lists(FACTS, max_size=12))
def test_whatever_is_told_nothing_is_answered_by_itself_while_it_is_to_pause(facts: list[Fact]) -> None:
    for count in range(len(facts)):
        found = known(*facts[: count + 1])
        said = answer(found, facts[count], POLICY)
        assert (said.trigger is None) == bool(said.declined)
        if conduct(found, POLICY).paused:
            assert said.trigger in (None, Trigger.MANUAL)


# --- the environment ---------------------------------------------------------------------------------------------


def test_a_storm_of_facts_is_one_and_what_comes_again_too_soon_waits() -> None:
    over: list[int] = []
    environment = Environment()
    for count in range(1_000):
        environment.tell(Fact(what=Happening.NETWORK_MADE, over=lambda count=count: over.append(count)))  # type: ignore[misc]
    assert len(environment.take(0.0)) == 1 and over == list(range(999))
    environment.tell(MADE)
    assert environment.take(59.0) == []
    assert environment.take(60.0) == [MADE]
    for count in range(2 * WAITING_MAX):
        environment.tell(Fact(what=Happening.NETWORK_REACHABLE, destination=f"host{count}.example"))
    assert len(environment.take(1_000.0)) == WAITING_MAX


def test_what_somebody_asks_for_or_has_no_time_never_waits() -> None:
    environment = Environment()
    for what in (Happening.MANUAL, Happening.INVOKE, Happening.SETTINGS, Happening.LOGOFF, "a comet"):
        for _ in range(2):
            environment.tell(Fact(what=what))
            assert len(environment.take(0.0)) == 1


def test_a_network_that_was_made_and_lost_again_starts_nothing() -> None:
    over: list[str] = []
    environment = Environment()
    environment.tell(replace(MADE, over=lambda: over.append("made")))
    environment.tell(Fact(what=Happening.NETWORK_LOST))
    assert [fact.what for fact in environment.take(0.0)] == [Happening.NETWORK_LOST]
    assert over == ["made"]


# --- the manager in its surroundings -----------------------------------------------------------------------------


@dataclass
class Surrounded:
    """A manager whose clock is turned by hand, and what its environment heard."""

    store: MailStore
    clock: ManualClock
    manager: SyncManager
    environment: Environment
    play: Play
    asked: list[tuple[Trigger, bool]]
    said: list[Answer]

    def tell(self, fact: Fact) -> None:
        self.environment.tell(fact)
        self.settle()

    def settle(self) -> None:
        self.manager.step()
        for one in list(self.manager._by_group.values()):
            one.wait(GUARD_SECONDS)
        self.manager.step()

    @property
    def triggers(self) -> list[Trigger]:
        return [trigger for trigger, _ in self.asked]


@contextmanager
def surrounded(path: Path, gate: Gate | None = None, **more: Any) -> Iterator[Surrounded]:
    asked: list[tuple[Trigger, bool]] = []
    said: list[Answer] = []

    def run(reporter: Any, turn: Any, request: Any) -> Any:
        asked.append((request.trigger, bool(request.flags & SyncFlags.SYNC_GLOBAL_HEADERS)))
        return (gate or walk)(reporter, turn, request)

    play, clock = Play(alice=run), ManualClock()
    environment = Environment(answered=lambda fact, one: said.append(one), **more)
    with open_store(path / "mail.db") as store, provider(play, ALICE, BOB, store=store) as dock:
        manager = SyncManager(store, dock, clock=clock, environment=environment, random=Random(1))
        try:
            yield Surrounded(store, clock, manager, environment, play, asked, said)
        finally:
            manager.stop()


def test_a_network_that_is_made_starts_all_accounts_and_a_metered_one_brings_headers(tmp_path: Path) -> None:
    with surrounded(tmp_path) as one:
        one.tell(MADE)
        one.clock.advance(60)
        one.tell(Fact(what=Happening.NETWORK_MADE, link=Link(metered=True)))
        assert one.asked == [(Trigger.CONNECT, False), (Trigger.CONNECT, True)]
        assert sorted(one.play.runs) == [ALICE, ALICE, BOB, BOB]


def test_a_person_gets_whole_messages_on_any_link_and_battery(tmp_path: Path) -> None:
    with surrounded(tmp_path) as one:
        one.environment.tell(Fact(what=Happening.NETWORK_QUALITY, link=Link(metered=True)))
        one.environment.tell(power(LOW))
        one.manager.step()
        assert one.manager.run_now().wait(GUARD_SECONDS).status is ResultStatus.COMPLETE
        assert one.asked == [(Trigger.MANUAL, False)]


def test_a_schedule_waits_for_the_battery_and_runs_once_then(tmp_path: Path) -> None:
    with surrounded(tmp_path) as one:
        due = next_run(parse("every 15 min jitter 0 min", "UTC"), one.clock.now())
        one.store.schedules.add("All accounts", "every 15 min jitter 0 min", zone="UTC", next_run=due)
        one.tell(power(LOW))
        one.clock.advance(3_600)
        one.settle()
        assert one.asked == []
        one.tell(power(AC))
        one.settle()
        assert one.triggers == [Trigger.SCHEDULED]


def test_what_runs_by_itself_is_stopped_when_the_battery_gets_low_and_stays_due(tmp_path: Path) -> None:
    gate = Gate()
    with surrounded(tmp_path, gate) as one:
        one.store.schedules.add("All accounts", "every 15 min jitter 0 min", zone="UTC", next_run=one.clock.now())
        one.manager.step()
        gate.wait_reached()
        one.tell(power(LOW))
        (record,) = one.store.schedules.all()
        assert record.due_at == one.clock.now() and not record.running
        gate.open()
        one.tell(power(AC))
        one.settle()
        assert one.triggers == [Trigger.SCHEDULED] * 2
        (record,) = one.store.schedules.all()
        assert record.last_outcome == "complete"


def test_what_was_told_while_the_battery_was_low_is_made_up_for_once(tmp_path: Path) -> None:
    with surrounded(tmp_path) as one:
        one.tell(power(LOW))
        one.tell(MADE)
        one.tell(Fact(what=Happening.SETTINGS))
        one.tell(Fact(what=Happening.IDLE))
        assert one.asked == []
        assert {said.declined for said in one.said} == {"nothing is to start by it", "the battery is low"}
        one.tell(power(AC))
        one.settle()
        assert one.triggers == [Trigger.CONNECT]


def test_a_run_that_a_person_joined_is_not_stopped(tmp_path: Path) -> None:
    gate = Gate()
    with surrounded(tmp_path, gate) as one:
        one.environment.tell(MADE)
        one.manager.step()
        gate.wait_reached()
        handle = one.manager.run_now()
        one.environment.tell(power(LOW))
        one.manager.step()
        gate.open()
        assert handle.wait(GUARD_SECONDS).status is ResultStatus.COMPLETE and one.triggers == [Trigger.CONNECT]


def test_a_person_is_not_given_a_run_that_is_being_stopped(tmp_path: Path) -> None:
    gate = Gate()
    with surrounded(tmp_path, gate) as one:
        one.environment.tell(MADE)
        one.manager.step()
        gate.wait_reached()
        one.environment.tell(power(LOW))
        one.manager.step()
        gate.open()
        assert one.manager.run_now().wait(GUARD_SECONDS).status is ResultStatus.COMPLETE
        assert one.triggers == [Trigger.CONNECT, Trigger.MANUAL]


def test_before_a_disconnect_it_works_until_the_deadline_and_says_when_it_is_over(tmp_path: Path) -> None:
    gate, over = Gate(), threading.Event()
    with surrounded(tmp_path, gate) as one:
        one.environment.tell(Fact(what=Happening.PENDING_DISCONNECT, deadline_seconds=10, over=over.set))
        one.manager.step()
        gate.wait_reached()
        one.clock.advance(7.9)
        one.manager.step()
        (handle,) = one.manager._by_group.values()
        assert not handle.done and not over.is_set()
        one.clock.advance(0.1)
        one.manager.step()
        assert handle.wait(GUARD_SECONDS).status is ResultStatus.CANCELED
        one.manager.step()
        assert over.is_set() and one.triggers == [Trigger.PENDING_DISCONNECT]


def test_who_announced_a_disconnect_hears_that_nothing_is_done_for_it(tmp_path: Path) -> None:
    over = threading.Event()
    with surrounded(tmp_path) as one:
        one.manager.pause()
        one.tell(Fact(what=Happening.LOGOFF, deadline_seconds=10, over=over.set))
        assert over.is_set() and [said.declined for said in one.said] == ["all is paused"]


def test_a_handler_or_host_may_decline_and_one_that_raises_does_not_count(tmp_path: Path) -> None:
    def declines(fact: Fact) -> str:
        return {b"no": "not for me"}.get(fact.cookie) or str(1 // (fact.cookie != b"raise")).strip("1")

    with surrounded(tmp_path, declines=declines) as one:
        for cookie in (b"no", b"raise", b"yes"):
            one.tell(Fact(what=Happening.INVOKE, cookie=cookie))
        assert [said.declined for said in one.said] == ["not for me", "", ""]
        assert one.triggers == [Trigger.INVOKE, Trigger.INVOKE]


def test_an_unknown_trigger_acts_as_manual_also_while_paused_and_offline(tmp_path: Path) -> None:
    with surrounded(tmp_path) as one:
        one.manager.pause()
        one.manager.link.set_state(LinkState.OFFLINE, wait=GUARD_SECONDS)
        one.tell(MADE)
        one.tell(Fact(what="a comet was seen"))
        assert [said.declined for said in one.said] == ["all is paused", ""]
        assert one.triggers == [Trigger.MANUAL]


def test_a_host_that_answers_again_starts_its_accounts_and_a_strange_one_none(tmp_path: Path) -> None:
    with surrounded(tmp_path) as one:
        one.tell(Fact(what=Happening.NETWORK_REACHABLE, destination="MAIL.example."))
        one.tell(Fact(what=Happening.NETWORK_REACHABLE, destination="other.example"))
        one.tell(Fact(what=Happening.NETWORK_REACHABLE, accounts=(BOB,)))
        one.tell(Fact(what=Happening.NETWORK_REACHABLE, accounts=(AccountId("nobody"),)))
        assert [said.declined for said in one.said] == ["", "none of the accounts is meant"] * 2
        assert sorted(one.play.runs) == [ALICE, BOB, BOB]


def test_a_manager_on_its_own_thread_is_woken_by_what_is_told(tmp_path: Path) -> None:
    with surrounded(tmp_path) as one:
        heard = threading.Event()
        one.environment.answered = lambda fact, said: heard.set()
        one.manager.start()
        one.environment.tell(MADE)
        assert heard.wait(GUARD_SECONDS)


class Lines:
    """What a manager says to its push."""

    def __init__(self) -> None:
        self.headers_only = False
        self.heard: list[str] = []

    def rest(self) -> None:
        self.heard.append("rest")

    def look_again(self) -> None:
        self.heard.append("look again")

    def stop(self) -> None:
        self.heard.append("stop")


def test_lines_to_servers_are_given_up_while_nothing_may_start_and_their_runs_are_as_the_link_is(
    tmp_path: Path,
) -> None:
    with surrounded(tmp_path) as one:
        lines = Lines()
        one.manager.push = lines  # type: ignore[assignment]
        for fact in (MADE, power(LOW), power(LOW), power(AC), Fact(what=Happening.NETWORK_LOST)):
            one.tell(fact)
        one.tell(Fact(what=Happening.NETWORK_MADE, link=Link(metered=True)))
        assert lines.heard == ["rest", "look again", "rest", "look again"] and lines.headers_only
