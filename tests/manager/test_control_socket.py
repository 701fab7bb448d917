"""The control socket: whoever may, sees and governs what runs in another process; nobody harms it."""

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from provider import Busy, InvalidRequest, ItemStatus, ResultStatus, SyncFlags, SyncRequest, Trigger, UnknownItem
from provider.entry import MailStoreProvider
from provider.errors import ProviderError
from provider.manager.control import answering, client, remote, server
from provider.manager.control.client import DaemonGone, RemoteDesk, daemon_of
from provider.manager.control.desk import Desk, LocalDesk
from provider.manager.control.server import ControlServer
from provider.manager.control.wire import REQUEST_OCTETS_MAX, control_path
from provider.manager.manager import SyncManager
from provider.turn import AccountOutcome
from store import Group, MailStore, open_store
from tests.contract.playing import ALICE, BOB, GUARD_SECONDS, Gate, Host, Play, provider


@dataclass
class Daemon:
    store: MailStore
    dock: MailStoreProvider
    server: ControlServer

    @property
    def desk(self) -> RemoteDesk:
        found = daemon_of(self.store.path)
        assert found is not None
        return found

    def spoken(self, octets: bytes) -> list[dict[str, object]]:
        """Say *octets* and nothing more, and return the lines of the answer."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(GUARD_SECONDS)
            line.connect(os.fspath(self.server.path))
            try:
                line.sendall(octets)
                line.shutdown(socket.SHUT_WR)
                with line.makefile("rb") as answer:
                    return [json.loads(one) for one in answer]
            except (BrokenPipeError, ConnectionResetError):  # it has heard enough
                return []


@contextmanager
def daemon(path: Path, play: Play | None = None, **more: object) -> Iterator[Daemon]:
    with open_store(path / "mail.db") as store, provider(play or Play(), ALICE, BOB, store=store) as dock:
        manager = SyncManager(store, dock)
        try:
            with ControlServer(LocalDesk(dock, manager), store.path, **more) as control:  # type: ignore[arg-type]
                yield Daemon(store, dock, control)
        finally:
            manager.stop()


def test_both_desks_are_desks() -> None:
    one: type[Desk] = RemoteDesk
    other: type[Desk] = LocalDesk
    assert {one, other} == {RemoteDesk, LocalDesk}


def test_a_run_in_the_daemon_tells_the_asker_everything_in_order(tmp_path: Path) -> None:
    host = Host()
    with daemon(tmp_path) as one:
        handle = one.desk.start(SyncRequest(accounts=(ALICE,), callback=host))
        result = handle.wait(GUARD_SECONDS)
        assert result.ok and [item.account for item in result.items] == [ALICE, ALICE]
        assert host.all()[-1] == result
        assert host.statuses("INBOX")[-1] is ItemStatus.SUCCEEDED
        assert handle.items[-1].status.terminal


def test_what_the_request_says_reaches_the_run(tmp_path: Path) -> None:
    heard = []

    def listens(reporter: object, turn: object, request: SyncRequest) -> AccountOutcome:
        heard.append(request)
        return AccountOutcome(status=ItemStatus.SUCCEEDED)

    flags = SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_THESE_FOLDERS | SyncFlags.SYNC_GLOBAL_HEADERS
    asked = SyncRequest(
        flags=flags,
        accounts=(BOB,),
        folders=("INBOX", "Ä/b"),
        trigger=Trigger.INVOKE,
        full=True,
        dry_run=True,
        size_octets_max=5,
    )
    with daemon(tmp_path, Play(bob=listens)) as one:
        assert one.desk.start(asked, send=False).wait(GUARD_SECONDS).ok
    assert heard == [asked]


def test_what_runs_is_seen_and_cancelled_by_another_process(tmp_path: Path) -> None:
    gate = Gate()
    with daemon(tmp_path, Play(alice=gate)) as one:
        mine = one.dock.send_and_receive(SyncRequest(accounts=(ALICE,), trigger=Trigger.CONNECT))
        gate.wait_reached()
        (seen,) = one.desk.running()
        assert (seen.run_id, seen.trigger, seen.accounts) == (mine.run_id, Trigger.CONNECT, (ALICE,))
        assert [item.status for item in seen.items] == [ItemStatus.STARTED]
        assert one.desk.cancel(seen.run_id + 1) is False
        assert one.desk.cancel_item(seen.run_id, BOB, "INBOX") is True
        assert one.desk.cancel(seen.run_id) is True
        assert mine.wait(GUARD_SECONDS).status is ResultStatus.CANCELED
        assert one.desk.running() == ()


def test_the_asker_cancels_its_own_run_and_hears_the_end(tmp_path: Path) -> None:
    gate, host = Gate(), Host()
    with daemon(tmp_path, Play(alice=gate)) as one:
        handle = one.desk.start(SyncRequest(accounts=(ALICE,), callback=host))
        gate.wait_reached()
        handle.cancel()
        assert handle.wait(GUARD_SECONDS).status is ResultStatus.CANCELED
        host.all()


def test_an_asker_that_leaves_lets_the_run_go_on(tmp_path: Path) -> None:
    gate = Gate()
    with daemon(tmp_path, Play(alice=gate)) as one:
        handle = one.desk.start(SyncRequest(accounts=(ALICE,)))
        gate.wait_reached()
        (mine,) = one.dock.running
        handle._connection.shutdown(socket.SHUT_RDWR)
        with pytest.raises(DaemonGone):
            handle.wait(GUARD_SECONDS)
        gate.open()
        assert mine.wait(GUARD_SECONDS).ok


def test_a_daemon_that_ends_says_so_and_the_callback_hears_no_end(tmp_path: Path) -> None:
    gate, host = Gate(), Host()
    with daemon(tmp_path, Play(alice=gate)) as one:
        handle = one.desk.start(SyncRequest(accounts=(ALICE,), callback=host))
        gate.wait_reached()
        one.server.close()
        with pytest.raises(DaemonGone):
            handle.wait(GUARD_SECONDS)
        assert not host.finished.is_set()
        assert not one.server.path.exists()
        assert daemon_of(one.store.path) is None


def test_groups_and_the_schedules_are_governed_too(tmp_path: Path) -> None:
    play = Play()
    with daemon(tmp_path, play) as one:
        one.store.schedules.put_group(Group(name="B", accounts=(BOB,)))
        assert one.desk.start(group="B").wait(GUARD_SECONDS).ok
        assert play.runs == [BOB]
        assert one.desk.pause() is True
        assert one.store.schedules.paused
        assert one.desk.resume() is True
        assert one.desk.pause(99) is False


def test_what_makes_no_sense_is_refused_with_the_error_of_the_provider(tmp_path: Path) -> None:
    with daemon(tmp_path) as one:
        with pytest.raises(UnknownItem):
            one.desk.start(SyncRequest(accounts=("nobody",)))  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest):
            one.desk.start(SyncRequest(), send=False, receive=False)
        with pytest.raises(UnknownItem):
            one.desk.start(group="nowhere")


def test_the_socket_is_the_owners_alone_and_a_second_daemon_is_refused(tmp_path: Path) -> None:
    with daemon(tmp_path) as one:
        assert one.server.path == tmp_path / "mail.db.control"
        assert stat.S_IMODE(one.server.path.stat().st_mode) == 0o600
        assert one.desk.pid == os.getpid()
        with pytest.raises(Busy):
            ControlServer(one.desk, one.store.path).start()
        assert one.desk.running() == ()


def test_a_path_that_is_too_long_for_a_socket_leads_to_a_room_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short := Path(os.path.realpath("/tmp")) / f"md{os.getpid()}"))
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    try:
        with daemon(deep) as one:
            room = one.server.path.parent
            assert (room, stat.S_IMODE(room.stat().st_mode)) == (short / "maildock", 0o700)
            assert one.desk.running() == ()
        room.chmod(0o777)
        with pytest.raises(InvalidRequest), daemon(deep):
            raise AssertionError("others could write there")
    finally:
        for path in sorted(short.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        short.rmdir()


def test_the_place_of_a_dead_daemon_is_taken(tmp_path: Path) -> None:
    path = control_path(tmp_path / "mail.db")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    assert daemon_of(tmp_path / "mail.db") is None
    with daemon(tmp_path) as one:
        assert one.desk.running() == ()


def test_a_process_of_another_user_is_turned_away(tmp_path: Path) -> None:
    with daemon(tmp_path, uid=os.geteuid() + 1) as one, pytest.raises(DaemonGone):
        one.desk.running()


KNOCK = """
import os, socket, sys
os.setuid(65_534)
line = socket.socket(socket.AF_UNIX)
try:
    line.connect(sys.argv[1])
    line.sendall(b'{"maildock":1,"ask":"running"}\\n')
    print(line.recv(1000))
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_kept_out_by_the_file_and_by_the_system() -> None:
    def knocked(path: Path) -> str:
        said = [sys.executable, "-c", KNOCK, os.fspath(path)]
        return subprocess.run(said, cwd="/", capture_output=True, text=True, check=True).stdout.strip()

    with tempfile.TemporaryDirectory(prefix="md", dir="/tmp") as room:
        Path(room).chmod(0o755)
        with daemon(Path(room)) as one:
            assert knocked(one.server.path) == "PermissionError"
            one.server.path.chmod(0o666)
            assert knocked(one.server.path) in ("b''", "ConnectionResetError", "BrokenPipeError")
            assert one.desk.running() == ()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x00\xff" * 1000 + b"\n",
        b"[" * 100_000 + b"\n",
        b"null\n",
        b'{"maildock":2,"ask":"running"}\n',
        b'{"maildock":1,"ask":"everything"}\n',
        b'{"maildock":1,"ask":"cancel"}\n',
        b'{"maildock":1,"ask":"cancel","run_id":"1"}\n',
        b'{"maildock":1,"ask":"cancel","run_id":1e999}\n',
        b'{"maildock":1,"ask":"start"}\n',
        b'{"maildock":1,"ask":"start","request":{"flags":3,"accounts":"alice"},"send":true}\n',
        b'{"maildock":1,"ask":"start","request":{"flags":-1},"send":true}\n',
        b'{"maildock":1,"ask":"cancel-item","run_id":1}\n',
        b'{"maildock":1,"ask":"running"',
        b"x" * (REQUEST_OCTETS_MAX + 10),
    ],
)
def test_garbage_is_refused_and_the_next_one_is_answered(tmp_path: Path, octets: bytes) -> None:
    with daemon(tmp_path) as one:
        answer = one.spoken(octets)
        assert all(line["type"] == "refused" for line in answer)
        assert one.desk.running() == ()


def test_clients_that_say_nothing_take_bounded_places_for_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "ASK_SECONDS", 0.5)
    with daemon(tmp_path) as one, ExitStack() as life:
        path = os.fspath(one.server.path)
        silent = [life.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(server.CLIENTS_MAX)]
        for line in silent:
            line.connect(path)
        threads = [name for name in one.server._bridge.alive() if "client" in name]
        assert len(threads) <= server.CLIENTS_MAX
        with pytest.raises((Busy, DaemonGone)):
            one.desk.running()
        for line in silent:
            line.settimeout(GUARD_SECONDS)
            assert json.loads(line.recv(1000))["kind"] == "timed-out"
            assert line.recv(1) == b""
        assert _asked_until_heard(one.desk) == ()


def test_a_client_that_does_not_read_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "SEND_SECONDS", 0.2)

    def talks(reporter: object, turn: object, request: object) -> AccountOutcome:
        from provider.phases import Phase

        for number in range(3_000):
            folder = reporter.item(f"{number}-{'x' * 200}")  # type: ignore[attr-defined]
            folder.start(Phase.DOWNLOAD_TABLE)
            folder.finish(ItemStatus.SUCCEEDED)
        return AccountOutcome(status=ItemStatus.SUCCEEDED)

    with daemon(tmp_path, Play(alice=talks)) as one, socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(os.fspath(one.server.path))
        asked = {"maildock": 1, "ask": "start", "request": {"flags": 0xC3, "accounts": [ALICE]}, "receive": True}
        deaf.sendall(json.dumps(asked).encode() + b"\n")
        assert one.desk.start(SyncRequest(accounts=(BOB,))).wait(GUARD_SECONDS).ok
        left = threading.Event()
        while any("client" in name for name in one.server._bridge.alive()):
            assert not left.wait(0.01)


def _asked_until_heard(desk: RemoteDesk) -> object:
    while True:
        try:
            return desk.running()
        except ProviderError:
            continue


@contextmanager
def impostor(path: Path, octets: bytes, *, hold: bool = False) -> Iterator[RemoteDesk]:
    """Something of ours in the daemon's place that answers every question with *octets*, and then hangs or leaves."""
    over = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as lines:
        listener.bind(os.fspath(place := control_path(path / "mail.db")))
        listener.listen()

        def answer() -> None:
            while not over.is_set():
                line = lines.enter_context(listener.accept()[0])
                with suppress(OSError):
                    line.recv(100_000)
                    line.sendall(octets)
                if not hold:
                    line.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            found = daemon_of(path / "mail.db")
            assert found is not None
            yield found
        finally:
            over.set()
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(os.fspath(place))
            thread.join(GUARD_SECONDS)


BEGAN = b'{"type":"started","run_id":1}\n'


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"[]\n",
        b'{"type":"started"}\n',
        b'{"type":"started","run_id":"x"}\n',
        b'{"type":"refused","kind":"wrong-protocol","needs":"user","text":"no"}\n',
        b'{"type":"refused","kind":"closed"}\n',
        BEGAN,
        BEGAN + b"\xff\n",
        BEGAN + b'{"type":"gossip"}\n',
        BEGAN + b'{"type":"done","run_id":1}\n',
        BEGAN + b'{"type":"progress","run_id":1,"status":"splendid"}\n',
        BEGAN + b'{"type":"closing"}\n',
    ],
)
def test_a_daemon_that_talks_nonsense_or_leaves_is_gone_and_no_end_is_heard(tmp_path: Path, octets: bytes) -> None:
    host = Host()
    with impostor(tmp_path, octets) as desk, pytest.raises(DaemonGone):
        desk.start(SyncRequest(callback=host)).wait(GUARD_SECONDS)
    assert host.events == []


def test_a_daemon_that_falls_silent_is_gone_and_a_line_without_end_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(remote, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(client, "ANSWER_OCTETS_MAX", 10_000)
    for number, octets in enumerate((b"", BEGAN, BEGAN[:10], BEGAN + b"x" * 20_000)):
        room = tmp_path / str(number)
        room.mkdir()
        with impostor(room, octets, hold=True) as desk, pytest.raises(DaemonGone):
            desk.start(SyncRequest()).wait(GUARD_SECONDS)
    with impostor(tmp_path, b'{"type":"running","runs":[1]}\n') as desk, pytest.raises(DaemonGone):
        desk.running()


def test_a_store_whose_name_begins_like_its_socket_elsewhere_has_a_room_that_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="md") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        stores = (tmp_path / f"{'d' * 100}{number}" / "0" for number in range(1_000))
        store = next(one for one in stores if control_path(one).name.startswith("0"))
        with provider(Play(), ALICE) as dock:
            control = ControlServer(LocalDesk(dock, None), store)  # type: ignore[arg-type]
            with control:
                assert stat.S_IMODE(control.path.parent.stat().st_mode) == 0o700


def test_an_answer_that_does_not_answer_is_as_good_as_none(tmp_path: Path) -> None:
    with impostor(tmp_path, b'{"type":"answer","state":"SIDEWAYS"}\n') as desk:
        for ask in (
            lambda: desk.cancel(1),
            lambda: desk.cancel_item(1, ALICE),
            desk.pause,
            desk.resume,
            desk.link,
            desk.running,
        ):
            with pytest.raises(DaemonGone):
                ask()
