"""The verbs of a ``SyncCenter`` from another process: asked of the daemon, or done alone where there is none."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provider import InvalidRequest, UnknownItem
from provider.manager.control.client import DaemonGone, daemon_of
from provider.manager.control.desk import LocalDesk
from provider.manager.control.handler_desk import Facts, LocalHandlers
from provider.manager.control.remote_handlers import RemoteHandlers
from provider.manager.control.server import ControlServer
from provider.manager.handlers.masks import HandlerPolicy
from provider.manager.manager import SyncManager
from store import open_store
from tests.contract.playing import ALICE, Play, provider
from tests.scenarios.cli_rig import Cli, spawned
from tests.servers.fakeimap import FakeImap

from .handlers import Gate, Good
from .test_beside import HANG_SECONDS, Held, daemon, maildock
from .test_center import center

__all__ = ["maildock"]


@contextmanager
def beside(path: Path, good: Good, *, governed: bool = True) -> Iterator[tuple[RemoteHandlers, ControlServer]]:
    """The handlers of a process that answers, as another one asks them."""
    with open_store(path / "mail.db") as store, provider(Play(), ALICE, store=store) as dock, center(good) as one:
        manager = SyncManager(store, dock)
        handlers = LocalHandlers(one) if governed else None
        try:
            with ControlServer(LocalDesk(dock, manager), store.path, handlers=handlers) as server:
                desk = daemon_of(store.path)
                assert desk is not None
                yield RemoteHandlers(desk), server
        finally:
            manager.stop()


def ends(sessions: list[Facts]) -> list[tuple[object, list[object]]]:
    found = []
    for one in sessions:
        items = one["items"]
        assert isinstance(items, list)
        found.append((one["result"], [item["status"] for item in items]))
    return found


def states(handlers: RemoteHandlers) -> dict[object, object]:
    (one,) = handlers.handlers()
    items = one["items"]
    assert isinstance(items, list)
    return {"good": one["state"], **{item["item"]: item["state"] for item in items}}


def test_handlers_are_listed_governed_and_started_from_outside(tmp_path: Path) -> None:
    good = Good()
    with beside(tmp_path, good) as (handlers, _):
        assert states(handlers) == {"good": "ready", "a": "ready", "b": "ready"}
        assert ends(handlers.start("good").wait()) == [("succeeded", ["succeeded", "succeeded"])]
        handlers.tell("disable", "good", ["a"])
        assert states(handlers)["a"] == "disabled"
        assert ends(handlers.start().wait()) == [("succeeded", ["succeeded"])]
        handlers.tell("enable", "good", ["a"])
        handlers.tell("deactivate", "good")
        assert states(handlers)["good"] == "inactive"
        handlers.tell("activate", "good")
        good.names = ("a", "b", "c")
        handlers.tell("refresh")
        assert states(handlers)["c"] == "ready"
        handlers.set_policy("good", int(HandlerPolicy.PREVENT_START_SYNC), "By night only.")
        (told,) = handlers.handlers()
        assert told["refused"] == {"start": "By night only."}
        with pytest.raises(InvalidRequest, match=r"By night only\."):
            handlers.start("good")


def test_what_is_not_there_or_makes_no_sense_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with beside(tmp_path, Good()) as (handlers, _):
        with pytest.raises(UnknownItem, match="no handler of this id"):
            handlers.tell("enable", "nobody")
        with pytest.raises(UnknownItem, match="no such item"):
            handlers.start("good", ["z"])
        for verb, handler, items in (
            ("dance", "good", []),
            ("enable", None, []),
            ("activate", "good", ["a"]),
            ("remove", "good", []),
        ):
            with pytest.raises(InvalidRequest):
                handlers.tell(verb, handler, items)
        with pytest.raises(InvalidRequest, match="says why"):
            handlers.set_policy("good", 1, "")


def test_sessions_are_stopped_by_who_asked_and_by_anybody_else(tmp_path: Path) -> None:
    gate = Gate()
    with beside(tmp_path, Good(names=("a",), work=gate)) as (handlers, _):
        run = handlers.start("good")
        gate.wait_reached()
        run.cancel()
        assert ends(run.wait()) == [("canceled", ["canceled"])]
        gate.reached.clear()
        run = handlers.start("good")
        gate.wait_reached()
        handlers.tell("stop")
        assert ends(run.wait()) == [("canceled", ["canceled"])]


def test_a_daemon_that_ends_says_so_and_its_sessions_end(tmp_path: Path) -> None:
    gate, gone = Gate(), threading.Event()
    with beside(tmp_path, Good(names=("a",), work=gate)) as (handlers, server):
        run = handlers.start("good")
        gate.wait_reached()

        def waits() -> None:
            with pytest.raises(DaemonGone):
                run.wait()
            gone.set()

        thread = threading.Thread(target=waits)
        thread.start()
        server.close()
        thread.join(HANG_SECONDS)
        assert gone.is_set()


def test_a_process_that_governs_no_handlers_is_passed_over(tmp_path: Path) -> None:
    with beside(tmp_path, Good(), governed=False) as (handlers, _), pytest.raises(DaemonGone):
        handlers.handlers()


def test_the_commands_ask_the_daemon_and_do_it_alone_without_one(maildock: Cli, fake_imap: FakeImap) -> None:
    with daemon(maildock, fake_imap):
        started = maildock("handlers", "start", "--json")
        assert started.code == 0, started.err
        assert [row["result"] for row in started.rows] == ["succeeded"]
        (row,) = maildock("handlers", "--items", "--json").rows
        inbox = next(one["item"] for one in row["items"] if one["name"] == "work: INBOX")
        assert maildock("handlers", "disable", "maildock", inbox, "--json").rows == [
            {"verb": "disable", "handler": "maildock", "items": [inbox]}
        ]
        refused = maildock("handlers", "start", "maildock", inbox)
        assert refused.code == 2 and "switched off" in refused.err
        assert maildock("handlers", "enable", "maildock", inbox).code == 0
        assert maildock("policy", "refuse", "maildock", "stop", "--reason", "Never.", "--json").code == 0
        assert "Never." in maildock("handlers", "stop").err + maildock("handlers", "stop", "maildock").err
        assert [one["reason"] for one in maildock("policy", "--json").rows] == ["Never."]
        unknown = maildock("handlers", "start", "nobody")
        assert unknown.code == 2 and "maildock handlers --items" in unknown.err
        assert maildock("policy", "allow", "maildock").code == 0
        assert maildock("handlers", "refresh").out == "Refreshed: all.\n"
    assert maildock("handlers", "stop").code == 1
    assert maildock("handlers", "start").code == 0


def test_a_start_beside_a_daemon_is_its_run_and_is_stopped_there(maildock: Cli, fake_imap: FakeImap) -> None:
    held = Held(fake_imap)
    with daemon(maildock, fake_imap):
        asking = spawned(maildock.home, "handlers", "start", "--json", password=fake_imap.password)
        assert held.asked.wait(HANG_SECONDS)
        assert [row["accounts"] for row in maildock("running", "--json").rows] == [["work"]]
        assert maildock("handlers", "stop").code == 0
        held.let_go.set()
        out, err = asking.communicate(timeout=HANG_SECONDS)
        assert (asking.returncode, '"result": "canceled"' in out) == (1, True), err


def test_a_daemon_that_is_killed_midway_is_told_of_and_the_start_goes_on_alone(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    held = Held(fake_imap)
    with daemon(maildock, fake_imap) as process:
        asking = spawned(maildock.home, "handlers", "start", "--json", password=fake_imap.password)
        assert held.asked.wait(HANG_SECONDS)
        process.kill()
        process.wait(HANG_SECONDS)
        held.let_go.set()
        out, err = asking.communicate(timeout=HANG_SECONDS)
    assert (asking.returncode, "goes on alone" in err, '"result": "succeeded"' in out) == (0, True, True), err
