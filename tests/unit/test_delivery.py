"""What waits for a callback is merged lawfully, and how it is called."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider.backlog import ERRORS_WAITING_MAX, Backlog
from provider.callback import CancelRequest
from provider.delivery import Delivery, inside_callback
from provider.errors import ErrorKind, Needs
from provider.events import (
    Counts,
    Event,
    ItemResult,
    ItemStatus,
    ResultStatus,
    Severity,
    SyncError,
    SyncProgress,
    SyncResult,
)
from provider.phases import NEXT, Phase
from provider.testing import ManualClock, check_grammar
from tests.contract.playing import ALICE, GUARD_SECONDS, Host

CLOCK = ManualClock()


def step(seq: int, status: ItemStatus = ItemStatus.UPDATING, **more: object) -> SyncProgress:
    first = SyncProgress(
        run_id=1, seq=seq, at=CLOCK.now(), account=ALICE, folder="INBOX", status=status, phase=Phase.DOWNLOAD_TABLE
    )
    if status.terminal:
        first = replace(first, phase=Phase.DONE, counts=Counts())
    return replace(first, **more)  # type: ignore[arg-type]


def trouble(seq: int) -> SyncError:
    return SyncError(
        run_id=1,
        seq=seq,
        at=CLOCK.now(),
        severity=Severity.ERROR,
        kind=ErrorKind.PROTOCOL,
        needs=Needs.RETRY,
        text=str(seq),
    )


def end(seq: int) -> SyncResult:
    items = [ItemResult(account=ALICE, folder=folder, status=ItemStatus.SUCCEEDED) for folder in (None, "INBOX")]
    return SyncResult(
        run_id=1, seq=seq, at=CLOCK.now(), started_at=CLOCK.now(), status=ResultStatus.COMPLETE, items=tuple(items)
    )


def filled(*events: Event) -> Backlog:
    backlog = Backlog()
    for event in events:
        backlog.put(event)
    return backlog


def drained(backlog: Backlog) -> list[Event]:
    return list(iter(backlog.pop, None))


def test_of_the_updates_of_one_item_only_the_latest_waits() -> None:
    events = drained(filled(step(1, ItemStatus.STARTED), step(2), step(3, folder="Sent"), step(4)))
    assert [event.seq for event in events] == [1, 3, 4]


def test_the_end_of_an_item_stands_for_its_waiting_update() -> None:
    events = drained(filled(step(1, ItemStatus.STARTED), step(2), step(3, ItemStatus.SUCCEEDED)))
    assert [event.seq for event in events] == [1, 3]


def test_an_error_keeps_its_place_between_updates() -> None:
    assert [event.seq for event in drained(filled(step(1), trouble(2), step(3, folder="Sent")))] == [1, 2, 3]


def test_an_update_stays_when_without_it_the_phases_would_jump() -> None:
    events = drained(
        filled(
            step(1, ItemStatus.STARTED, folder=None, phase=Phase.CONTENTS),
            step(2, folder=None, phase=Phase.SYNC),
            step(3, folder=None, phase=Phase.DOWNLOAD_HIERARCHY),
            step(4, folder=None, phase=Phase.DOWNLOAD_HIERARCHY),
            step(5, ItemStatus.SUCCEEDED, folder=None),
        )
    )
    # The second one stays: from CONTENTS the hierarchy is reached by SYNC only. The end may follow anything.
    assert [event.seq for event in events] == [1, 2, 5]


def test_an_update_waits_for_its_slot_and_everybody_behind_it_does() -> None:
    backlog = filled(step(1), trouble(2))
    assert backlog.pop(updates=False) is None
    assert backlog.pop(updates=True) == step(1)
    assert backlog.pop(updates=False) == trouble(2)


def test_errors_beyond_the_bound_are_counted_and_told_as_one_before_the_end() -> None:
    backlog = filled(*(trouble(seq) for seq in range(1, ERRORS_WAITING_MAX + 251)), end(2_000))
    *errors, dropped, done = drained(backlog)
    assert len(errors) == ERRORS_WAITING_MAX
    assert isinstance(dropped, SyncError)
    assert (dropped.kind, dropped.seq, dropped.text.split()[0]) == (ErrorKind.EVENTS_DROPPED, 1_999, "250")
    assert done == end(2_000)


def test_errors_that_are_heard_in_time_are_never_dropped() -> None:
    backlog = Backlog()
    for seq in range(1, 3 * ERRORS_WAITING_MAX):
        backlog.put(trouble(seq))
        assert backlog.pop() == trouble(seq)


def test_nothing_follows_the_end() -> None:
    assert drained(filled(end(2), trouble(3), step(4))) == [end(2)]


def test_a_sleeping_listener_is_woken_once_and_a_busy_one_is_left_alone() -> None:
    woken: list[int] = []
    backlog = Backlog(lambda: woken.append(1))
    backlog.put(step(1))
    assert woken == []
    drained(backlog)
    backlog.put(step(2))
    backlog.put(trouble(3))
    assert woken == [1]


def test_a_copy_hears_the_same_and_leaves_the_original_alone() -> None:
    backlog = filled(step(1, ItemStatus.STARTED), step(2))
    copy = backlog.copy(lambda: None)
    copy.put(step(3))
    assert [event.seq for event in drained(copy)] == [1, 3]
    assert [event.seq for event in drained(backlog)] == [1, 2]


@st.composite
def histories(draw: st.DrawFn) -> list[SyncProgress]:
    """A lawful history of two items, one an account that reconnects, and where a listener reads."""
    events: list[SyncProgress] = []
    for folder, first in (("INBOX", Phase.DOWNLOAD_TABLE), (None, Phase.SYNC)):
        phase, done = first, 0
        events.append(step(0, ItemStatus.STARTED, folder=folder, phase=phase))
        for _ in range(draw(st.integers(0, 12))):
            phase = draw(st.sampled_from(sorted(NEXT[phase] | {phase}, key=lambda p: p.label)))
            if phase is Phase.DONE:
                break
            done += draw(st.integers(0, 3))
            events.append(step(0, folder=folder, phase=phase, messages_done=done, messages_total=40))
        events.append(step(0, ItemStatus.SUCCEEDED, folder=folder, messages_done=done, messages_total=40))
    return events


@settings(max_examples=200)
@given(histories(), st.lists(st.integers(0, 3), min_size=30, max_size=30))
def test_whenever_a_listener_reads_it_hears_a_lawful_log(history: list[SyncProgress], reads: list[int]) -> None:
    backlog, heard = Backlog(), []
    for seq, (event, count) in enumerate(zip(history, reads, strict=False), 1):
        backlog.put(replace(event, seq=seq))
        heard += [event for event in (backlog.pop() for _ in range(count)) if event is not None]
    for seq, event in enumerate(history[len(reads) :], len(reads) + 1):
        backlog.put(replace(event, seq=seq))
    backlog.put(end(1_000))
    check_grammar(tuple(heard + drained(backlog)))


class Desk:
    """A delivery at work on a thread of the test."""

    def __init__(self, callback: object, *, deliver: object = None, clock: ManualClock | None = None) -> None:
        self.answers: list[tuple[int, CancelRequest]] = []
        self.delivery = Delivery(
            callback,
            deliver=deliver,  # type: ignore[arg-type]
            clock=clock or ManualClock(),
            answer=lambda event, answer: self.answers.append((event.seq, answer)),
        )
        self.backlog = Backlog(self.delivery.ready.set)
        self.thread = threading.Thread(target=self.delivery.run, args=(self.backlog,), daemon=True)
        self.thread.start()

    def put(self, *events: Event) -> "Desk":
        for event in events:
            self.backlog.put(event)
        return self

    def join(self) -> None:
        self.thread.join(GUARD_SECONDS)
        assert not self.thread.is_alive()


def test_a_standing_clock_lets_starts_ends_and_errors_through_and_merges_the_rest() -> None:
    host = Host()
    updates = [step(seq) for seq in range(2, 500)]
    Desk(host).put(
        step(1, ItemStatus.STARTED), *updates, trouble(500), step(501, ItemStatus.SUCCEEDED), end(510)
    ).join()
    assert [event.seq for event in host.events if event.seq in (1, 500, 501, 510)] == [1, 500, 501, 510]
    # No time passes after STARTED was called, so no update has a slot.
    assert len(host.events) == 4


def test_a_turned_clock_lets_the_waiting_update_through() -> None:
    clock = ManualClock()
    heard = [threading.Event() for _ in range(3)]
    host = Host(lambda event: heard[event.seq].set() if event.seq < 3 else None)
    desk = Desk(host, clock=clock).put(step(1, ItemStatus.STARTED), step(2))
    assert heard[1].wait(GUARD_SECONDS)
    assert not heard[2].is_set()
    clock.advance(0.051)
    assert heard[2].wait(GUARD_SECONDS)
    desk.put(end(4)).join()
    assert [event.seq for event in host.events] == [1, 2, 4]


def test_never_more_than_twenty_updates_come_in_one_second() -> None:
    clock = ManualClock()
    times: list[float] = []
    turned = threading.Semaphore(0)

    def react(event: Event) -> None:
        times.append(clock.monotonic())
        turned.release()

    host = Host(react)
    desk = Desk(host, clock=clock)
    for seq in range(1, 90):
        desk.put(step(seq))
        clock.advance(0.011)
        if seq % 10 == 0:
            assert turned.acquire(timeout=GUARD_SECONDS)
    desk.put(step(100, ItemStatus.SUCCEEDED), end(102)).join()
    updates = times[:-2]
    assert all(sum(start <= time < start + 1.0 for time in updates) <= 20 for start in updates)
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(updates))


def test_starts_and_ends_use_up_the_slots_of_their_second() -> None:
    clock = ManualClock()
    heard = [threading.Event() for _ in range(22)]
    host = Host(lambda event: heard[event.seq].set() if event.seq < 22 else None)
    starts = [step(seq, ItemStatus.STARTED, folder=str(seq)) for seq in range(1, 21)]
    desk = Desk(host, clock=clock).put(*starts)
    assert heard[20].wait(GUARD_SECONDS)
    clock.advance(0.9)
    desk.put(step(21))
    assert desk.delivery._seconds_to_slot() == pytest.approx(0.1)
    assert not heard[21].is_set()
    clock.advance(0.2)
    assert heard[21].wait(GUARD_SECONDS)
    desk.put(end(30)).join()


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)], ids=lambda e: type(e).__name__)
def test_a_host_that_raises_hears_everything_all_the_same_and_is_told_off_once(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def react(event: Event) -> None:
        raise error

    host = Host(react)
    Desk(host).put(step(1, ItemStatus.STARTED), trouble(2), step(3, ItemStatus.FAILED), end(5)).join()
    assert [event.seq for event in host.events] == [1, 2, 3, 5]
    assert len(caplog.records) == 1


def test_what_a_host_raises_with_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    def react(event: Event) -> None:
        raise ValueError("my password is hunter2")

    Desk(Host(react)).put(end(2)).join()
    assert "hunter2" not in caplog.text
    assert "ValueError" in caplog.text


def test_verbs_that_a_host_lacks_are_passed_over() -> None:
    class OnlyDone:
        heard: list[Event] = []  # noqa: RUF012

        def done(self, result: SyncResult) -> None:
            self.heard.append(result)

    Desk(OnlyDone()).put(step(1, ItemStatus.STARTED), trouble(2), end(4)).join()
    assert OnlyDone.heard == [end(4)]
    Desk(object()).put(step(1), end(3)).join()


def test_an_answer_of_progress_is_passed_on_and_of_the_other_verbs_is_not() -> None:
    host = Host()
    host.error = host.done = lambda event: CancelRequest.ALL  # type: ignore[assignment, method-assign, return-value]
    host.progress = lambda event: CancelRequest.ITEM  # type: ignore[method-assign, assignment, misc]
    desk = Desk(host).put(step(1, ItemStatus.STARTED), trouble(2), end(4))
    desk.join()
    assert desk.answers == [(1, CancelRequest.ITEM)]


def test_a_thread_knows_that_it_is_inside_a_callback() -> None:
    seen: list[bool] = []
    Desk(Host(lambda event: seen.append(inside_callback()))).put(end(2)).join()
    assert seen == [True]
    assert not inside_callback()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="the-hosts-loop", daemon=True)
    thread.start()
    yield loop
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
        thread.join(GUARD_SECONDS)
        loop.close()


def test_a_host_may_name_its_loop(loop: asyncio.AbstractEventLoop) -> None:
    host = Host()
    Desk(host, deliver=loop).put(step(1, ItemStatus.STARTED), trouble(2), end(4)).join()
    assert [event.seq for event in host.events] == [1, 2, 4]
    assert set(host.threads) == {"the-hosts-loop"}


def test_a_host_may_bring_a_trampoline_and_one_that_runs_twice_calls_once() -> None:
    host = Host()

    def twice(call: Callable[[], None]) -> None:
        call()
        call()

    Desk(host, deliver=twice).put(step(1), end(3)).join()
    assert [event.seq for event in host.events] == [1, 3]


def test_the_next_call_waits_until_the_trampoline_has_run_the_one_before() -> None:
    calls: list[Callable[[], None]] = []
    came = threading.Semaphore(0)

    def later(call: Callable[[], None]) -> None:
        calls.append(call)
        came.release()

    host = Host()
    desk = Desk(host, deliver=later).put(trouble(1), trouble(2), end(4))
    for count in (1, 2, 3):
        assert came.acquire(timeout=GUARD_SECONDS)
        assert len(calls) == count
        calls[-1]()
    desk.join()
    assert [event.seq for event in host.events] == [1, 2, 4]


def test_a_trampoline_that_raises_is_tried_again_with_the_next_event(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    def broken(call: Callable[[], None]) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("no window")
        call()

    host = Host()
    Desk(host, deliver=broken).put(trouble(1), trouble(2), end(4)).join()
    assert [event.seq for event in host.events] == [4]
    assert len(caplog.records) == 1


def test_a_closed_loop_ends_the_delivery(loop: asyncio.AbstractEventLoop) -> None:
    stopped = threading.Event()

    async def stop() -> None:
        loop.stop()
        stopped.set()

    asyncio.run_coroutine_threadsafe(stop(), loop)
    assert stopped.wait(GUARD_SECONDS)
    host = Host()
    desk = Desk(host, deliver=loop)
    while loop.is_running():  # the loop ends its last round after ``stop``
        threading.Event().wait(0.001)
    loop.close()
    desk.put(trouble(1), end(3)).join()
    assert host.events == []
