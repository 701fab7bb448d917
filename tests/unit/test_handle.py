"""A handle tells its end to threads, coroutines and listeners alike, whatever the callbacks do."""

import asyncio
import threading

import pytest

from provider.backlog import Backlog
from provider.errors import ProviderError
from provider.events import Event, ItemStatus, ResultStatus, SyncProgress, SyncResult
from provider.handle import WaitInsideCallback
from provider.phases import Phase
from provider.report import Reporter
from provider.request import SyncRequest
from provider.testing import check_grammar
from provider.turn import AccountOutcome, Turn
from tests.contract.playing import ALICE, DONE, GUARD_SECONDS, Gate, Host, Play, provider


def test_wait_gives_the_result_and_done_event_is_set() -> None:
    with provider(Play()) as dock:
        handle = dock.SynchronizeInBackground()
        result = handle.wait(GUARD_SECONDS)
        assert result.status is ResultStatus.COMPLETE
        assert handle.done and handle.done_event.is_set() and handle.result is result


def test_waiting_too_long_is_a_timeout_and_the_work_goes_on() -> None:
    gate = Gate()
    with provider(Play(alice=gate)) as dock:
        handle = dock.SynchronizeInBackground()
        gate.wait_reached()
        with pytest.raises(TimeoutError):
            handle.wait(0)
        assert (handle.result, handle.done) == (None, False)
        gate.open()
        assert handle.wait(GUARD_SECONDS).ok


def test_waiting_inside_a_callback_raises_and_harms_nothing() -> None:
    raised: list[BaseException] = []

    def react(event: Event) -> None:
        with pytest.raises(RuntimeError) as caught:
            handles[0].wait(1)
        raised.append(caught.value)

    gate = Gate()
    host = Host(react)
    with provider(Play(alice=gate)) as dock:
        handles = [dock.SynchronizeInBackground(SyncRequest(callback=host))]
        gate.open()
        assert handles[0].wait(GUARD_SECONDS).ok
        host.all()
    assert raised
    assert all(isinstance(error, WaitInsideCallback) and isinstance(error, ProviderError) for error in raised)


def test_the_result_is_there_before_the_callback_hears_done() -> None:
    seen: list[object] = []
    host = Host(lambda event: seen.append(handles[0].result) if isinstance(event, SyncResult) else None)
    gate = Gate()
    with provider(Play(alice=gate)) as dock:
        handles = [dock.SynchronizeInBackground(SyncRequest(callback=host))]
        gate.open()
        host.all()
    assert seen == [handles[0].result]


async def test_a_handle_can_be_awaited_by_several_before_and_after_its_end() -> None:
    gate = Gate()
    with provider(Play(alice=gate)) as dock:
        handle = dock.SynchronizeInBackground()
        waiting = [asyncio.ensure_future(_result(handle)) for _ in range(3)]
        await asyncio.sleep(0)
        gate.open()
        results = await asyncio.wait_for(asyncio.gather(*waiting), GUARD_SECONDS)
        assert results == [await handle] * 3


async def _result(handle: object) -> SyncResult:
    return await handle  # type: ignore[misc, no-any-return]


def test_a_handle_can_be_awaited_on_any_loop() -> None:
    with provider(Play()) as dock:
        handle = dock.SynchronizeInBackground()
        for _ in range(2):
            assert asyncio.run(_result(handle)) is handle.result


async def test_giving_up_awaiting_cancels_nothing() -> None:
    gate = Gate()
    with provider(Play(alice=gate)) as dock:
        handle = dock.SynchronizeInBackground()
        waiting = asyncio.ensure_future(_result(handle))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.open()
        assert (await handle).ok


async def test_events_come_from_the_first_to_the_last_however_late_one_listens() -> None:
    with provider(Play()) as dock:
        handle = dock.SynchronizeInBackground()
        await handle
        late = [event async for event in handle.events()]
    check_grammar(tuple(late))
    assert late[-1] is handle.result


async def test_events_arrive_while_the_run_works() -> None:
    gate = Gate()
    heard: list[Event] = []
    with provider(Play(alice=gate)) as dock:
        handle = dock.SynchronizeInBackground()
        async for event in handle.events():
            heard.append(event)
            if isinstance(event, SyncProgress) and event.status is ItemStatus.STARTED:
                gate.open()
    check_grammar(tuple(heard))


async def test_leaving_the_events_early_harms_nothing() -> None:
    gate = Gate()
    with provider(Play(alice=gate)) as dock:
        handle = dock.SynchronizeInBackground()
        stream = handle.events()
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        gate.open()
        assert (await handle).ok


async def test_a_slow_listener_holds_up_nothing_and_its_queue_stays_small() -> None:
    def busy(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        inbox = reporter.item("INBOX")
        inbox.start(Phase.DOWNLOAD_TABLE)
        for _ in range(20_000):
            inbox.committed(1)
        return DONE

    with provider(Play(alice=busy)) as dock:
        handle = dock.SynchronizeInBackground()
        stream = handle.events()
        first = await anext(stream)
        result = await handle
        rest = [event async for event in stream]
    check_grammar((first, *rest))
    assert len(rest) < 10
    assert rest[-1] is result


def test_a_listener_whose_loop_was_closed_harms_nothing() -> None:
    gate = Gate()
    with provider(Play(alice=gate)) as dock:
        handle = dock.SynchronizeInBackground()

        waiting: list[asyncio.Future[SyncResult]] = []

        async def listen() -> None:
            waiting.append(asyncio.ensure_future(_result(handle)))
            await anext(handle.events())

        loop = asyncio.new_event_loop()
        loop.run_until_complete(listen())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        gate.open()
        assert handle.wait(GUARD_SECONDS).ok


def test_pause_is_told_and_resume_goes_on() -> None:
    paused = threading.Event()
    gate = Gate()
    host = Host(lambda event: paused.set() if getattr(event, "status", None) is ItemStatus.PAUSED else None)
    with provider(Play(alice=gate)) as dock:
        handle = dock.SynchronizeInBackground(SyncRequest(callback=host))
        gate.wait_reached()
        handle.pause()
        assert paused.wait(GUARD_SECONDS)
        gate.open()  # the run now waits at its checkpoint
        assert not handle.done
        handle.resume()
        assert handle.wait(GUARD_SECONDS).ok
        assert host.statuses()[0] is ItemStatus.STARTED


def test_cancel_ends_a_paused_run() -> None:
    gate = Gate()
    with provider(Play(alice=gate)) as dock:
        handle = dock.SynchronizeInBackground()
        gate.wait_reached()
        handle.pause()
        handle.cancel()
        assert handle.wait(GUARD_SECONDS).status is ResultStatus.CANCELED
        assert handle.wait(0).items[0].account == ALICE
        handle.cancel()
        handle.pause()
        handle.resume()


def test_a_handle_says_how_it_stands_and_nothing_else() -> None:
    with provider(Play()) as dock:
        handle = dock.SynchronizeInBackground()
        handle.wait(GUARD_SECONDS)
        assert repr(handle) == "<SyncHandle 1 complete>"


def test_a_backlog_nobody_reads_is_not_fed_after_it_was_left() -> None:
    gate = Gate()
    with provider(Play(alice=gate)) as dock:
        handle = dock.SynchronizeInBackground()
        gate.wait_reached()
        backlog: Backlog = handle._feed.listen(lambda: None)
        for _ in range(2):
            handle._feed.leave(backlog)
        before = backlog.waiting()
        gate.open()
        handle.wait(GUARD_SECONDS)
        assert backlog.waiting() == before
