"""The switch that stops a run: everybody hears it, at once, and parts of the work have switches of their own."""

import threading

import pytest

from provider.cancel import Stop
from provider.errors import Cancelled
from tests.contract.playing import GUARD_SECONDS


def test_a_stop_reaches_children_and_their_children() -> None:
    stop = Stop()
    grandchild = stop.child().child()
    stop.stop()
    with pytest.raises(Cancelled):
        grandchild.checkpoint()


def test_stopping_a_child_stops_nobody_else() -> None:
    stop = Stop()
    child, sibling = stop.child(), stop.child()
    child.stop()
    assert (stop.stopped, child.stopped, sibling.stopped) == (False, True, False)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_a_child_follows_whether_it_was_born_before_or_after(late: bool) -> None:
    for move in ("stop", "pause"):
        stop = Stop()
        child = None if late else stop.child()
        getattr(stop, move)()
        child = child or stop.child()
        assert (child.stopped, child.paused) == (stop.stopped, stop.paused)


def test_resuming_lets_a_child_go_on_and_stopping_frees_one_that_waits() -> None:
    for move in ("resume", "stop"):
        stop, through = Stop(), threading.Event()
        child = stop.child()
        stop.pause()

        def wait(child: Stop = child, through: threading.Event = through) -> None:
            try:
                child.checkpoint()
            except Cancelled:
                assert child.stopped
            through.set()

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        getattr(stop, move)()
        assert through.wait(GUARD_SECONDS)


def test_a_hook_of_a_child_is_called_once_by_a_stop_of_its_parent() -> None:
    stop, calls = Stop(), []
    child = stop.child()
    with child.waking(lambda: calls.append(1)):
        stop.stop()
        stop.stop()
    assert calls == [1]


def test_a_hook_is_not_called_after_its_place_was_left() -> None:
    stop, calls = Stop(), []
    with stop.waking(lambda: calls.append(1)):
        pass
    stop.stop()
    assert calls == []


def test_a_pause_after_a_stop_changes_nothing() -> None:
    stop = Stop()
    stop.stop()
    stop.pause()
    assert not stop.paused
    with pytest.raises(Cancelled):
        stop.wait(GUARD_SECONDS)
