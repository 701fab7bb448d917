"""Threads: named, known, joined; and what happens when there are none to have."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from provider.bridge import Bridge
from provider.errors import ErrorKind
from provider.events import ResultStatus
from provider.job import Task
from provider.request import SyncRequest
from provider.scheduler import Scheduler
from provider.testing import ManualClock
from tests.contract.playing import DONE, GUARD_SECONDS, Host, account


def test_a_thread_is_a_daemon_with_a_name_of_ours() -> None:
    bridge, seen = Bridge(), []
    bridge.spawn("writer", lambda: seen.append(threading.current_thread()))
    assert bridge.join(GUARD_SECONDS)
    assert seen[0].daemon
    assert seen[0].name.startswith("maildock-writer-")


def test_joining_waits_for_all_but_the_caller_and_says_when_some_are_left() -> None:
    bridge, go, joined = Bridge(), threading.Event(), []
    stuck = bridge.spawn("stuck", lambda: joined.append(go.wait(GUARD_SECONDS)))
    assert bridge.alive() == (stuck.name,)
    assert not bridge.join(0)
    assert bridge.join(0, but={stuck})
    go.set()
    assert bridge.join(GUARD_SECONDS)
    assert bridge.alive() == ()
    own: list[bool] = []
    bridge.spawn("self", lambda: own.append(bridge.join(GUARD_SECONDS))).join(GUARD_SECONDS)
    assert own == [True]


def test_an_error_that_escapes_a_thread_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> None:
        raise ValueError("the password is hunter2")

    bridge = Bridge()
    bridge.spawn("worker", work)
    assert bridge.join(GUARD_SECONDS)
    assert "ValueError" in caplog.text
    assert "hunter2" not in caplog.text


def no_threads(name: str, work: Callable[[], None], /) -> Any:
    raise RuntimeError("can't start new thread")


def test_a_system_without_threads_fails_the_request_and_not_the_call() -> None:
    scheduler = Scheduler(lambda leg, turn: DONE, spawn=no_threads, clock=ManualClock(), connections=2)
    host = Host()
    handle = scheduler.submit(Task(request=SyncRequest(callback=host), accounts=(account("a"), account("b"))))
    result = handle.wait(GUARD_SECONDS)
    assert result.status is ResultStatus.FAILED
    assert [error.kind for error in result.errors] == [ErrorKind.INTERNAL] * 2
    assert host.events == []
