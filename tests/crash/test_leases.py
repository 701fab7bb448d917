"""Two processes and one account: who holds the lease works, the other is told; who dies is followed at once."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from provider import ErrorKind, FolderPolicy, Keep, MailStoreProvider, ResultStatus, SyncRequest, SyncResult
from provider.owner import is_gone, owning
from provider.testing import RecordingCallback
from store import LeaseLost, MailStore, open_store
from store.mail import MessageKey

from ..scenarios.rig import ME, checked_store, fetch, keys_of, synchronize
from ..servers.fake_answer import Answer, Then
from ..servers.fakeimap import FakeImap
from .child import account_of
from .forks import ForkServer
from .judge import differences, on_server
from .scenes import SCENES

GUARD_SECONDS = 5.0


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


@pytest.fixture
def fake() -> Iterator[FakeImap]:
    with FakeImap() as fake:
        SCENES["first"].fill(fake, 12)
        yield fake


class Silence:
    """The fake falls silent at its first FETCH of a body: whoever asked for it holds the lease, and waits."""

    def __init__(self, fake: FakeImap, times: int = 1) -> None:
        self.entered = threading.Event()
        self._left = times
        fake.faults.on("UID FETCH", self._bend)

    def _bend(self, answer: Answer) -> None:
        if b"BODY.PEEK[]" in answer.command.raw and self._left:
            answer.rows.clear()
            answer.completion, answer.then = None, Then.SILENCE
            self._left -= 1
            if not self._left:
                self.entered.set()

    def wait(self) -> None:
        assert self.entered.wait(GUARD_SECONDS), "no body was ever asked for"


def job_of(fake: FakeImap, path: Path, **more: object) -> dict[str, object]:
    return {"port": fake.port, "user": fake.user, "password": fake.password, "path": str(path), **more}


def run_once(store: MailStore, fake: FakeImap) -> tuple[SyncResult, RecordingCallback]:
    host = RecordingCallback()
    account = account_of(job_of(fake, store.path))
    with MailStoreProvider(store, [account]) as provider:
        result = provider.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
    assert host.wait_done(GUARD_SECONDS)
    host.grammar()
    return result, host


def test_a_second_process_is_told_that_the_account_is_busy_and_reads_on(
    forks: ForkServer, fake: FakeImap, tmp_path: Path
) -> None:
    silence = Silence(fake)
    pid = forks.start(job_of(fake, tmp_path / "mail.db"))
    silence.wait()
    try:
        with open_store(tmp_path / "mail.db") as store:
            result, host = run_once(store, fake)
            assert result.status is ResultStatus.FAILED
            assert [error.kind for error in host.errors] == [ErrorKind.BUSY]
            assert f":{pid}" in host.errors[0].text
            with store.read() as view:
                assert view.all_messages(ME).messages  # headers that the other one has brought so far
    finally:
        assert forks.kill(pid).code == -signal.SIGKILL


def test_a_killed_process_is_followed_at_once_and_nothing_is_lost(
    forks: ForkServer, fake: FakeImap, tmp_path: Path
) -> None:
    silence = Silence(fake)
    pid = forks.start(job_of(fake, tmp_path / "mail.db"))
    silence.wait()
    forks.kill(pid)

    with checked_store(tmp_path / "mail.db") as store:
        synchronize(store, account_of(job_of(fake, store.path)))
        assert differences(store, on_server(fake)) == []
        with store.read() as view:
            assert [run.status for run in view.runs()] == ["succeeded", "lost"]


def test_a_process_killed_in_both_lanes_is_followed_at_once_in_either(
    forks: ForkServer, fake: FakeImap, tmp_path: Path
) -> None:
    account = account_of(job_of(fake, tmp_path / "mail.db"))
    with checked_store(tmp_path / "mail.db") as store:
        synchronize(store, replace(account, policy=FolderPolicy(keep=Keep.HEADERS)))
        first, second = keys_of(store, "INBOX")[:2]
        silence = Silence(fake, times=2)
        pid = forks.start(job_of(fake, store.path, fetch=[first, second]))
        silence.wait()
        with store.read() as view:
            assert sorted((run.lane, run.status) for run in view.runs(limit=2)) == [("bulk", ""), ("quick", "")]
        forks.kill(pid)

        result, _ = fetch(store, account, MessageKey(first))
        assert result.ok
        with store.read() as view:
            assert sorted(run.status for run in view.runs(limit=3)) == ["lost", "lost", "succeeded"]
        synchronize(store, account)
        assert differences(store, on_server(fake)) == []


def test_a_lease_of_another_machine_is_waited_for_and_taken_when_it_has_expired(fake: FakeImap, tmp_path: Path) -> None:
    now = time.time()
    with open_store(tmp_path / "mail.db", clock=lambda: now) as store:
        store.start_run(ME, trigger="schedule", flags=0, owner="elsewhere.example:1")
        assert [error.kind for error in run_once(store, fake)[1].errors] == [ErrorKind.BUSY]
        now += 61
        assert run_once(store, fake)[0].ok
        assert differences(store, on_server(fake)) == []


def test_a_process_that_slept_through_its_lease_writes_nothing_more(
    forks: ForkServer, fake: FakeImap, tmp_path: Path
) -> None:
    silence = Silence(fake)
    pid = forks.start(job_of(fake, tmp_path / "mail.db", limits={"command_seconds": 0.5, "reconnect_seconds": 0.01}))
    silence.wait()
    os.kill(pid, signal.SIGSTOP)
    with open_store(tmp_path / "mail.db", clock=lambda: time.time() + 61) as store:
        assert run_once(store, fake)[0].ok
        before = store.changes().cursor
        fake.append("INBOX", b"Subject: too late\r\n\r\nfor the sleeper\r\n")
        os.kill(pid, signal.SIGCONT)
        ended = forks.wait(pid)
        assert (ended.code, ended.report["status"]) == (0, "failed")
        assert ended.report["errors"][-1] == ErrorKind.LEASE_LOST.value
        assert store.changes(before).changes == ()
        assert store.check(full=True).ok


def test_a_run_that_was_taken_over_is_refused_at_every_write(tmp_path: Path) -> None:
    with open_store(tmp_path / "mail.db") as store:
        old = store.start_run(ME, trigger="invoke", flags=0, owner="gone:1")
        new = store.start_run(ME, trigger="invoke", flags=0, owner="here:2", is_gone=lambda owner: owner == "gone:1")
        with pytest.raises(LeaseLost), store.write("too late", run=old):
            pass
        with store.write("in time", run=new) as tx:
            tx.ensure_account(ME)


def test_only_a_run_of_this_machine_that_is_over_is_gone(forks: ForkServer, fake: FakeImap) -> None:
    pid = forks.start(job_of(fake, Path("/dev/null/nowhere")))  # cannot be opened: the child ends by itself
    assert forks.wait(pid).code != 0
    here, ours = socket.gethostname(), os.getpid()

    assert is_gone(f"{here}:{pid}:1")
    assert not is_gone(f"{here}:1:1")
    for owner in (f"elsewhere.example:{pid}:1", f"{here}:{pid}", f"{here}::1", here, "", f"{here}:-1:1", f"{here}:²:1"):
        assert not is_gone(owner), owner
    assert not is_gone(f"{here}:{10**30}:1")
    with owning() as owner:
        assert owner.startswith(f"{here}:{ours}:")
        assert not is_gone(owner)
    assert is_gone(owner)


def test_a_program_that_got_the_process_id_of_a_dead_one_does_not_wait_for_its_lease(
    fake: FakeImap, tmp_path: Path
) -> None:
    with open_store(tmp_path / "mail.db") as store:  # as in a container, where every program is number 1
        store.start_run(ME, trigger="invoke", flags=0, owner=f"{socket.gethostname()}:{os.getpid()}:before")
        assert run_once(store, fake)[0].ok


def test_a_port_that_nobody_listens_on_any_more_leaves_no_lease_behind(fake: FakeImap, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with open_store(tmp_path / "mail.db") as store:
        account = account_of({"port": port, "user": "me", "password": "x", "limits": {"reconnect_seconds": 0.01}})
        with MailStoreProvider(store, [account]) as provider:
            assert provider.SynchronizeInBackground().wait(GUARD_SECONDS).status is ResultStatus.FAILED
        assert run_once(store, fake)[0].ok


def test_a_process_that_only_waits_for_its_parent_to_take_note_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        deadline = time.monotonic() + GUARD_SECONDS
        while not is_gone(f"{socket.gethostname()}:{child.pid}:1"):
            assert time.monotonic() < deadline
    assert is_gone(f"{socket.gethostname()}:{child.pid}:1")
