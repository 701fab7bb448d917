"""What runs can be seen and governed by somebody who did not ask for it: a page, a daemon's socket."""

import threading
from collections import deque

from provider.events import Event, ItemStatus, ResultStatus
from provider.phases import Phase
from provider.report import Reporter
from provider.request import SyncRequest
from provider.turn import AccountOutcome, Turn
from tests.contract.playing import ALICE, BOB, DONE, GUARD_SECONDS, Gate, Play, provider


def test_nothing_is_running_before_the_first_request_and_after_the_last() -> None:
    with provider(Play()) as dock:
        assert dock.running == ()
        handle = dock.SynchronizeInBackground()
        handle.wait(GUARD_SECONDS)
        dock.close()
        assert dock.running == ()


def test_who_watches_hears_the_events_of_a_request_from_the_first_one_on_and_sees_how_each_item_stands() -> None:
    gate = Gate()
    with provider(Play(alice=gate)) as dock:
        handle = dock.SynchronizeInBackground()
        gate.wait_reached()
        (watched,) = dock.running
        assert watched is dock.running[0], "one handle a request, however often it is asked for"
        assert [(step.account, step.status) for step in watched.items] == [(ALICE, ItemStatus.STARTED)]
        backlog = watched.listen(lambda: None)
        gate.open()
        handle.wait(GUARD_SECONDS)
        heard: deque[Event] = deque()
        while (event := backlog.pop()) is not None:
            heard.append(event)
    assert heard[-1] == handle.result == watched.result
    assert watched.items[-1].folder == "INBOX" and watched.items[-1].status is ItemStatus.SUCCEEDED


def test_what_governs_cancels_and_pauses_for_everybody_who_shares_a_request() -> None:
    gate = Gate()
    play = Play(alice=gate)
    with provider(play, ALICE, BOB, connections=1) as dock:
        first = dock.SynchronizeInBackground(SyncRequest(accounts=(ALICE,)))
        gate.wait_reached()
        sharing = [dock.SynchronizeInBackground(SyncRequest(accounts=(BOB,))) for _ in range(2)]
        waiting = dock.running[1]
        waiting.pause()
        gate.open()
        assert first.wait(GUARD_SECONDS).ok
        assert not any(handle.done for handle in sharing)
        waiting.resume()
        assert all(handle.wait(GUARD_SECONDS).ok for handle in sharing)
        gate = Gate()
        play.scripts["alice"] = gate
        both = [dock.SynchronizeInBackground() for _ in range(2)]
        gate.wait_reached()
        for one in dock.running:
            one.cancel()
        assert {handle.wait(GUARD_SECONDS).status for handle in both} == {ResultStatus.CANCELED}


def test_a_handle_stops_one_item_and_leaves_the_others_to_finish() -> None:
    gate = Gate()

    def run(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        reporter.item(None).start(Phase.SYNC)
        spam = reporter.item("Spam")
        spam.start(Phase.DOWNLOAD_TABLE)
        gate.reached.set()
        with spam.stop.waking(stopped.set):
            assert stopped.wait(GUARD_SECONDS)
        spam.finish(ItemStatus.CANCELED)
        inbox = reporter.item("INBOX")
        inbox.start(Phase.DOWNLOAD_TABLE)
        inbox.finish(ItemStatus.SUCCEEDED)
        reporter.item(None).finish(ItemStatus.SUCCEEDED)
        return DONE

    stopped = threading.Event()
    with provider(Play(alice=run)) as dock:
        handle = dock.SynchronizeInBackground()
        gate.wait_reached()
        handle.cancel_item(ALICE, "A folder that nobody has heard of")
        handle.cancel_item(BOB)
        assert not stopped.is_set()
        handle.cancel_item(ALICE, "Spam")
        result = handle.wait(GUARD_SECONDS)
    assert {item.folder: item.status for item in result.items} == {
        None: ItemStatus.SUCCEEDED,
        "Spam": ItemStatus.CANCELED,
        "INBOX": ItemStatus.SUCCEEDED,
    }
