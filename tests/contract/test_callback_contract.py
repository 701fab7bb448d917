"""Callback torture: what a host does in its callbacks changes nothing but what it asked for.

Five kinds of behaviour at every kind of event (T19); every log that is heard is checked against one grammar (P1-P4).
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from provider.callback import CancelRequest
from provider.errors import Closed, ConnectionLost, ErrorKind
from provider.events import Event, ItemStatus, ResultStatus, SyncError, SyncProgress, SyncResult, as_json
from provider.phases import Phase
from provider.report import Reporter
from provider.request import SyncRequest
from provider.turn import AccountOutcome, Turn
from tests.contract.playing import ALICE, BOB, DONE, GUARD_SECONDS, Gate, Host, Play, provider, walk

SECRET = "correct horse battery staple"


def two_folders(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
    """Walk INBOX, then fail in Sent with an error: every kind of event comes."""
    reporter.item(None).start(Phase.SYNC)
    reporter.item(None).phase(Phase.CONTENTS)
    inbox = reporter.item("INBOX")
    inbox.start(Phase.DOWNLOAD_TABLE)
    inbox.total(messages=3)
    for _ in range(3):
        reporter.stop.checkpoint()
        inbox.committed(1)
    inbox.finish(ItemStatus.SUCCEEDED)
    told = reporter.error(ConnectionLost("The line broke.", folder="Sent"))
    reporter.item("Sent").start(Phase.DOWNLOAD_TABLE)
    reporter.item("Sent").finish(ItemStatus.FAILED, told)
    reporter.item(None).finish(ItemStatus.SUCCEEDED)
    return DONE


KINDS: dict[str, Callable[[Event], bool]] = {
    "started": lambda event: isinstance(event, SyncProgress) and event.status is ItemStatus.STARTED,
    "updating": lambda event: isinstance(event, SyncProgress) and event.status is ItemStatus.UPDATING,
    "terminal": lambda event: isinstance(event, SyncProgress) and event.status.terminal,
    "error": lambda event: isinstance(event, SyncError),
    "done": lambda event: isinstance(event, SyncResult),
}


def raises(event: Event, dock: Any, handle: Any, let_go: threading.Event) -> None:
    raise ZeroDivisionError("the host's own mistake")


def blocks(event: Event, dock: Any, handle: Any, let_go: threading.Event) -> None:
    assert let_go.wait(GUARD_SECONDS)


def re_enters(event: Event, dock: Any, handle: Any, let_go: threading.Event) -> None:
    dock.SynchronizeInBackground(SyncRequest(accounts=(BOB,)))
    handle.pause()
    handle.resume()
    assert dock.accounts


def cancels(event: Event, dock: Any, handle: Any, let_go: threading.Event) -> Any:
    handle.cancel()
    return CancelRequest.ALL


def answers_item(event: Event, dock: Any, handle: Any, let_go: threading.Event) -> Any:
    return CancelRequest.ITEM


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behave", [raises, blocks, re_enters, cancels, answers_item])
def test_a_host_that_misbehaves_at_one_kind_of_event_still_hears_a_lawful_log(
    behave: Callable[..., Any], kind: str
) -> None:
    let_go, begun, ready = threading.Event(), threading.Event(), threading.Event()
    held: list[Any] = []

    def react(event: Event) -> Any:
        assert ready.wait(GUARD_SECONDS)
        if KINDS[kind](event):
            begun.set()
            return behave(event, dock, held[0], let_go)
        return None

    host = Host(react)
    with provider(Play(alice=two_folders), ALICE, BOB) as dock:
        held.append(dock.SynchronizeInBackground(SyncRequest(accounts=(ALICE,), callback=host)))
        ready.set()
        result = held[0].wait(GUARD_SECONDS)
        # Whatever the host does, another request and its callback are not held up.
        other = Host()
        assert dock.SynchronizeInBackground(SyncRequest(accounts=(BOB,), callback=other)).wait(GUARD_SECONDS).ok
        other.all()
        let_go.set()
        events = host.all()
    assert events[-1] == result
    if behave in (raises, blocks, re_enters):
        assert result.status is ResultStatus.COMPLETE_WITH_ERRORS
        assert {event.kind for event in events if isinstance(event, SyncError)} == {ErrorKind.CONNECTION_LOST}


def test_cancelling_one_folder_by_an_answer_leaves_the_others_to_finish() -> None:
    stopped = threading.Event()

    def run(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        spam = reporter.item("Spam")
        spam.start(Phase.DOWNLOAD_TABLE)
        with spam.stop.waking(stopped.set):
            assert stopped.wait(GUARD_SECONDS)
        spam.finish(ItemStatus.CANCELED)
        return walk(reporter, turn, request)

    host = Host(lambda event: CancelRequest.ITEM if getattr(event, "folder", None) == "Spam" else None)
    with provider(Play(alice=run)) as dock:
        result = dock.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
    assert result.status is ResultStatus.COMPLETE_WITH_ERRORS
    assert host.statuses("Spam")[-1] is ItemStatus.CANCELED
    assert host.statuses("INBOX")[-1] is ItemStatus.SUCCEEDED


def test_cancelling_an_account_by_an_answer_leaves_the_other_accounts_to_finish() -> None:
    gate = Gate()
    host = Host(lambda event: CancelRequest.ITEM if getattr(event, "account", None) == ALICE else None)
    with provider(Play(alice=gate), ALICE, BOB) as dock:
        result = dock.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
    assert result.status is ResultStatus.COMPLETE_WITH_ERRORS
    assert host.statuses(account=ALICE)[-1] is ItemStatus.CANCELED
    assert host.statuses(account=BOB)[-1] is ItemStatus.SUCCEEDED


def test_cancelling_all_by_an_answer_stops_the_whole_request() -> None:
    host = Host(lambda event: CancelRequest.ALL)
    with provider(Play(alice=Gate(), bob=Gate()), ALICE, BOB) as dock:
        result = dock.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
        host.all()
    assert result.status is ResultStatus.CANCELED
    assert result.errors == ()


@pytest.mark.parametrize(
    "crash", [RuntimeError(SECRET), MemoryError(), SystemExit(1), KeyboardInterrupt(), RecursionError(SECRET)], ids=repr
)
def test_a_crash_of_a_run_fails_the_account_tells_why_and_is_followed_by_done(
    crash: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def run(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        reporter.item("INBOX").start(Phase.DOWNLOAD_TABLE)
        raise crash

    host = Host()
    with provider(Play(alice=run)) as dock:
        result = dock.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
        events = host.all()
    assert result.status is ResultStatus.FAILED
    assert [error.kind for error in result.errors] == [ErrorKind.INTERNAL]
    assert [item.status for item in result.items] == [ItemStatus.FAILED] * 2
    told = "".join(map(repr, events)) + "".join(str(as_json(event)) for event in events) + caplog.text
    assert SECRET not in told


def test_one_account_that_crashes_leaves_the_other_alone() -> None:
    def run(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        raise LookupError

    host = Host()
    with provider(Play(alice=run), ALICE, BOB) as dock:
        result = dock.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
    assert result.status is ResultStatus.COMPLETE_WITH_ERRORS
    assert host.statuses(account=BOB)[-1] is ItemStatus.SUCCEEDED


def test_a_run_that_leaves_items_open_has_them_ended() -> None:
    def run(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        reporter.item("INBOX").start(Phase.DOWNLOAD_TABLE)
        return AccountOutcome(status=ItemStatus.DISCONNECTED)

    host = Host()
    with provider(Play(alice=run)) as dock:
        dock.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
    assert host.statuses("INBOX")[-1] is ItemStatus.DISCONNECTED


def test_a_run_that_returns_nonsense_is_a_crash_like_any_other() -> None:
    host = Host()
    with provider(Play(alice=lambda *_: None)) as dock:  # type: ignore[arg-type, return-value]
        result = dock.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
    assert [error.kind for error in result.errors] == [ErrorKind.INTERNAL]
    assert host.statuses() == [ItemStatus.STARTED, ItemStatus.FAILED]


def test_more_errors_than_a_blocked_host_can_hear_are_counted() -> None:
    let_go = threading.Event()

    def run(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        for number in range(1_500):
            reporter.error(ConnectionLost(f"Loss number {number}."))
        return DONE

    host = Host(lambda event: let_go.wait(GUARD_SECONDS))
    with provider(Play(alice=run)) as dock:
        result = dock.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
        let_go.set()
        events = host.all()
    kinds = [event.kind for event in events if isinstance(event, SyncError)]
    assert (len(result.errors), result.errors_dropped) == (1_000, 500)
    # One may have been on its way to the host already when the queue filled up.
    assert kinds.count(ErrorKind.CONNECTION_LOST) in (1_000, 1_001)
    assert kinds.count(ErrorKind.EVENTS_DROPPED) == 1


async def test_a_listener_that_keeps_up_hears_every_error() -> None:
    def run(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        for number in range(900):
            reporter.error(ConnectionLost(f"Loss number {number}."))
        return DONE

    with provider(Play(alice=run)) as dock:
        events = [event async for event in dock.SynchronizeInBackground().events()]
    assert sum(isinstance(event, SyncError) for event in events) == 900


def test_callbacks_never_run_on_a_thread_that_synchronizes() -> None:
    runs: list[str] = []

    def run(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        runs.append(threading.current_thread().name)
        return two_folders(reporter, turn, request)

    host = Host()
    with provider(Play(alice=run)) as dock:
        dock.SynchronizeInBackground(SyncRequest(callback=host))
        host.all()
    assert len(set(host.threads)) == 1
    assert all(name.startswith("maildock-") for name in [*host.threads, *runs])
    assert not set(host.threads) & set(runs)


def test_closing_the_provider_inside_a_callback_ends_everything_and_comes_back() -> None:
    closed = threading.Event()

    def react(event: Event) -> None:
        dock.close()
        closed.set()

    host = Host(react)
    with provider(Play(alice=Gate())) as dock:
        handle = dock.SynchronizeInBackground(SyncRequest(callback=host))
        assert closed.wait(GUARD_SECONDS)
        assert handle.wait(GUARD_SECONDS).status is ResultStatus.CANCELED
        host.all()
        with pytest.raises(Closed):
            dock.SynchronizeInBackground()


async def test_a_host_on_asyncio_hears_on_its_own_loop_and_may_close_there() -> None:
    finished = asyncio.Event()
    here = threading.current_thread().name
    host = Host(lambda event: finished.set() if isinstance(event, SyncResult) else None)
    with provider(Play()) as dock:
        handle = dock.SynchronizeInBackground(SyncRequest(callback=host, deliver=asyncio.get_running_loop()))
        assert (await handle).ok
    await asyncio.wait_for(finished.wait(), GUARD_SECONDS)
    host.all()
    assert set(host.threads) == {here}
