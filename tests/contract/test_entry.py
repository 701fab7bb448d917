"""Taking turns: who waits for whom, who shares, who yields, and how everything ends."""

import threading

import pytest

from provider.events import ItemStatus, ResultStatus
from provider.phases import Phase
from provider.report import Reporter
from provider.request import SyncFlags, SyncRequest, Trigger
from provider.turn import AccountOutcome, Turn
from store.mail import AccountId
from tests.contract.playing import ALICE, BOB, DONE, GUARD_SECONDS, Gate, Host, Play, provider, walk

BACKGROUND = SyncRequest(flags=SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_BACKGROUND)
USUAL = SyncRequest()
URGENT = SyncRequest(flags=SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_ON_DEMAND)


class Line:
    """Holds the first run at a gate and notes the order of those behind it, by their flags."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.order: list[SyncRequest] = []

    def __call__(self, reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        self.order.append(request)
        if len(self.order) == 1:
            self.gate.pass_through(reporter)
        return walk(reporter, turn, request)


def test_one_request_of_several_accounts_is_one_run_each_and_one_done() -> None:
    play, host = Play(), Host()
    with provider(play, ALICE, BOB) as dock:
        request = SyncRequest(callback=host, accounts=(ALICE, BOB, ALICE))
        result = dock.SynchronizeInBackground(request).wait(GUARD_SECONDS)
        host.all()
    assert sorted(play.runs) == [ALICE, BOB]
    assert {item.account for item in result.items} == {ALICE, BOB}


def test_accounts_run_side_by_side_up_to_the_bound() -> None:
    gates = {name: Gate() for name in ("a", "b", "c")}
    with provider(Play(**gates), "a", "b", "c", connections=2) as dock:
        handle = dock.SynchronizeInBackground()
        gates["a"].wait_reached()
        gates["b"].wait_reached()
        assert not gates["c"].reached.is_set()
        gates["b"].open()
        gates["c"].wait_reached()
        gates["a"].open()
        gates["c"].open()
        assert handle.wait(GUARD_SECONDS).ok


def test_requests_for_a_busy_account_go_by_urgency_then_by_age() -> None:
    line = Line()
    waiting = [BACKGROUND, USUAL, SyncRequest(full=True), URGENT]
    with provider(Play(alice=line)) as dock:
        first = dock.SynchronizeInBackground()
        line.gate.wait_reached()
        handles = [dock.SynchronizeInBackground(request) for request in waiting]
        line.gate.open()
        assert all(handle.wait(GUARD_SECONDS).ok for handle in [first, *handles])
    assert line.order[1:] == [URGENT, USUAL, SyncRequest(full=True), BACKGROUND]


def test_a_waiting_request_that_is_equal_is_shared_and_each_handle_hears_all_of_it() -> None:
    line = Line()
    hosts = Host(), Host()
    with provider(Play(alice=line)) as dock:
        first = dock.SynchronizeInBackground()
        line.gate.wait_reached()
        shared = [
            dock.SynchronizeInBackground(SyncRequest(callback=host, trigger=trigger))
            for host, trigger in zip(hosts, (Trigger.MANUAL, Trigger.SCHEDULED), strict=True)
        ]
        line.gate.open()
        results = [handle.wait(GUARD_SECONDS) for handle in [first, *shared]]
        logs = [host.all() for host in hosts]
    assert len(line.order) == 2
    assert results[1] is results[2]
    assert results[0] is not results[1]
    assert shared[0].run_id == shared[1].run_id != first.run_id
    assert logs[0][0] == logs[1][0]
    assert logs[0][-1] == logs[1][-1] == results[1]


@pytest.mark.parametrize(
    "other",
    [
        SyncRequest(full=True),
        SyncRequest(size_octets_max=1),
        SyncRequest(flags=SyncFlags.SYNC_DOWNLOAD_CONTENTS),
        SyncRequest(flags=SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_THESE_FOLDERS, folders=("INBOX",)),
        SyncRequest(accounts=(ALICE,)),
    ],
    ids=["full", "limits", "flags", "folders", "accounts"],
)
def test_a_request_that_differs_is_never_shared(other: SyncRequest) -> None:
    line = Line()
    with provider(Play(alice=line), ALICE, BOB, connections=1) as dock:
        handles = [dock.SynchronizeInBackground(SyncRequest(accounts=(ALICE,), full=True, size_octets_max=9))]
        line.gate.wait_reached()
        handles += [dock.SynchronizeInBackground(), dock.SynchronizeInBackground(other)]
        line.gate.open()
        for handle in handles:
            handle.wait(GUARD_SECONDS)
    assert len({handle.run_id for handle in handles}) == 3


def test_a_request_that_has_begun_is_not_shared() -> None:
    gate = Gate()
    with provider(Play(alice=gate)) as dock:
        first = dock.SynchronizeInBackground()
        gate.wait_reached()
        second = dock.SynchronizeInBackground()
        gate.open()
        assert first.wait(GUARD_SECONDS) is not second.wait(GUARD_SECONDS)


def test_a_shared_request_goes_on_for_the_handle_that_stays() -> None:
    gate, line = Gate(), Line()
    hosts = Host(), Host()

    def second(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        if not line.order:
            return line(reporter, turn, request)
        return gate(reporter, turn, request)

    with provider(Play(alice=second)) as dock:
        dock.SynchronizeInBackground(BACKGROUND)
        line.gate.wait_reached()
        leaving, staying = (dock.SynchronizeInBackground(SyncRequest(callback=host)) for host in hosts)
        line.gate.open()
        gate.wait_reached()
        leaving.pause()  # one of two: the work goes on
        leaving.cancel()
        left = leaving.wait(GUARD_SECONDS)
        assert not staying.done
        gate.open()
        stayed = staying.wait(GUARD_SECONDS)
    assert (left.status, stayed.status) == (ResultStatus.CANCELED, ResultStatus.COMPLETE)
    assert hosts[0].statuses() == [ItemStatus.STARTED, ItemStatus.CANCELED]
    assert hosts[0].all()[-1] == left
    assert hosts[1].statuses()[-1] is ItemStatus.SUCCEEDED


def test_a_shared_request_stops_when_every_handle_of_it_is_cancelled() -> None:
    line = Line()
    with provider(Play(alice=line)) as dock:
        first = dock.SynchronizeInBackground(BACKGROUND)
        line.gate.wait_reached()
        handles = [dock.SynchronizeInBackground() for _ in range(3)]
        for handle in handles:
            handle.cancel()
        assert [handle.wait(GUARD_SECONDS).status for handle in handles] == [ResultStatus.CANCELED] * 3
        line.gate.open()
        assert first.wait(GUARD_SECONDS).ok
    assert line.order == [BACKGROUND]


def test_a_cancelled_request_that_still_waits_never_runs_and_is_done_at_once() -> None:
    line, host = Line(), Host()
    with provider(Play(alice=line)) as dock:
        dock.SynchronizeInBackground()
        line.gate.wait_reached()
        waiting = dock.SynchronizeInBackground(SyncRequest(callback=host))
        waiting.cancel()
        assert waiting.wait(GUARD_SECONDS).status is ResultStatus.CANCELED
        assert host.statuses() == [ItemStatus.STARTED, ItemStatus.CANCELED]
        after = dock.SynchronizeInBackground()
        line.gate.open()
        assert after.wait(GUARD_SECONDS).ok
    assert len(line.order) == 2


def test_a_request_that_is_paused_while_it_waits_lets_others_go_first() -> None:
    line = Line()
    with provider(Play(alice=line)) as dock:
        dock.SynchronizeInBackground()
        line.gate.wait_reached()
        paused = dock.SynchronizeInBackground(URGENT)
        paused.pause()
        usual = dock.SynchronizeInBackground(USUAL)
        line.gate.open()
        assert usual.wait(GUARD_SECONDS).ok
        assert not paused.done
        paused.resume()
        assert paused.wait(GUARD_SECONDS).ok


def test_a_running_request_yields_to_an_urgent_one_and_hears_one_start_and_one_end() -> None:
    order: list[str] = []
    began, wanted = threading.Event(), threading.Event()

    def run(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        if request.flags & SyncFlags.SYNC_ON_DEMAND:
            order.append("urgent")
            assert not turn.wanted()
            return walk(reporter, turn, request)
        order.append("long")
        reporter.item(None).start(Phase.SYNC)
        reporter.item(None).phase(Phase.CONTENTS)
        inbox = reporter.item("INBOX")
        inbox.start(Phase.DOWNLOAD_TABLE)
        inbox.phase(Phase.DOWNLOAD_BODIES)
        inbox.committed(1)
        if order.count("long") == 1:
            assert not turn.wanted()
            began.set()
            assert wanted.wait(GUARD_SECONDS)
            assert turn.wanted()
            return AccountOutcome(status=ItemStatus.SUCCEEDED, yielded=True)
        return DONE

    host = Host()
    with provider(Play(alice=run)) as dock:
        long = dock.SynchronizeInBackground(SyncRequest(callback=host))
        assert began.wait(GUARD_SECONDS)
        behind = dock.SynchronizeInBackground(SyncRequest(full=True))
        urgent = dock.SynchronizeInBackground(URGENT)
        wanted.set()
        assert all(handle.wait(GUARD_SECONDS).ok for handle in (urgent, long, behind))
    # The one that yielded gets its old place back: before the one that came after it.
    assert order == ["long", "urgent", "long", "long"]
    assert host.statuses().count(ItemStatus.STARTED) == 1
    assert host.statuses("INBOX")[-1] is ItemStatus.SUCCEEDED
    assert long.wait(0).items[1].status is ItemStatus.SUCCEEDED


def test_a_run_that_was_cancelled_while_it_yielded_ends_as_cancelled() -> None:
    gate = Gate()

    def run(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        gate.reached.set()
        with reporter.stop.waking(gate.open):
            assert gate._open.wait(GUARD_SECONDS)
        return AccountOutcome(status=ItemStatus.SUCCEEDED, yielded=True)

    with provider(Play(alice=run)) as dock:
        handle = dock.SynchronizeInBackground()
        gate.wait_reached()
        handle.cancel()
        assert handle.wait(GUARD_SECONDS).status is ResultStatus.CANCELED


def test_an_urgent_request_gets_a_place_when_all_are_taken_by_others() -> None:
    asked = threading.Event()
    yielded: list[str] = []

    def busy(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        if reporter.account in yielded:
            return walk(reporter, turn, request)
        reached[reporter.account].set()
        assert asked.wait(GUARD_SECONDS)
        if turn.wanted():
            yielded.append(reporter.account)
            return AccountOutcome(status=ItemStatus.SUCCEEDED, yielded=True)
        gate.pass_through(reporter)
        return walk(reporter, turn, request)

    gate = Gate()
    reached = {"a": threading.Event(), "b": threading.Event()}
    with provider(Play(a=busy, b=busy), "a", "b", "c", connections=2) as dock:
        long = dock.SynchronizeInBackground(SyncRequest(accounts=(AccountId("a"), AccountId("b"))))
        assert all(event.wait(GUARD_SECONDS) for event in reached.values())
        urgent = dock.SynchronizeInBackground(SyncRequest(flags=URGENT.flags, accounts=(AccountId("c"),)))
        asked.set()
        assert urgent.wait(GUARD_SECONDS).ok
        gate.open()
        assert long.wait(GUARD_SECONDS).ok
    assert yielded == ["b"]


def test_close_ends_what_runs_and_what_waits_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    hosts = [Host(), Host()]
    gate = Gate()
    dock = provider(Play(alice=gate))
    handles = [dock.SynchronizeInBackground(SyncRequest(callback=host, full=host is hosts[1])) for host in hosts]
    gate.wait_reached()
    dock.close()
    assert [handle.wait(0).status for handle in handles] == [ResultStatus.CANCELED] * 2
    for host in hosts:
        host.all()
    assert {thread for thread in threading.enumerate() if thread.name.startswith("maildock-")} <= before


def test_close_gives_up_on_a_run_that_does_not_listen_and_its_request_is_done_all_the_same() -> None:
    deaf = threading.Event()
    reached = threading.Event()

    def run(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        reporter.item("INBOX").start(Phase.DOWNLOAD_TABLE)
        reached.set()
        assert deaf.wait(GUARD_SECONDS)
        reporter.item("INBOX").committed(5)
        return walk(reporter, turn, request)

    host = Host()
    dock = provider(Play(alice=run))
    handle = dock.SynchronizeInBackground(SyncRequest(callback=host))
    assert reached.wait(GUARD_SECONDS)
    dock.close()
    assert handle.wait(0).status is ResultStatus.CANCELED
    deaf.set()
    assert host.statuses("INBOX")[-1] is ItemStatus.CANCELED


def test_many_hosts_at_once_hear_lawful_logs() -> None:
    hosts = [Host() for _ in range(60)]
    names = [f"account{number}" for number in range(6)]
    with provider(Play(), *names, connections=3) as dock:

        def ask(host: Host, number: int) -> None:
            wanted = tuple(AccountId(name) for name in names[number % 5 :])
            handle = dock.SynchronizeInBackground(
                SyncRequest(callback=host, accounts=wanted, flags=(USUAL, URGENT, BACKGROUND)[number % 3].flags)
            )
            if number % 4 == 0:
                handle.cancel()

        threads = [threading.Thread(target=ask, args=(host, number)) for number, host in enumerate(hosts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(GUARD_SECONDS)
        for host in hosts:
            host.all()
