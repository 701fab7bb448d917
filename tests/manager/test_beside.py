"""Two processes: ``maildock sync`` beside a daemon goes through it, and goes on alone when the daemon is no more."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provider.cli.exits import ExitCode
from provider.manager.control.client import daemon_of
from tests.scenarios.cli_rig import Cli, message, spawned
from tests.servers.fake_answer import Answer
from tests.servers.fakeimap import FakeImap

HANG_SECONDS = 60


@pytest.fixture
def maildock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fake_imap: FakeImap
) -> Cli:
    made = Cli(tmp_path / "home", capsys, monkeypatch, fake_imap.password)
    made.add(fake_imap.port)
    for number in range(1, 11):
        fake_imap.append("INBOX", message(number, body=b"x" * 10_000))
    return made


@contextmanager
def daemon(maildock: Cli, fake: FakeImap, *words: object) -> Iterator["subprocess.Popen[str]"]:
    """A daemon that answers; killed at the end if it has not ended by itself."""
    process = spawned(maildock.home, "daemon", *words, password=fake.password)
    assert process.stderr is not None
    try:
        assert "Ctrl-C ends" in process.stderr.readline()
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=HANG_SECONDS)
            assert (process.returncode, "Traceback" in out + err) == (0, False), err
    finally:
        process.kill()
        process.communicate()


class Held:
    """Holds the first message bodies back, until it is let go."""

    def __init__(self, fake: FakeImap) -> None:
        self.asked, self.let_go, self.commands = threading.Event(), threading.Event(), 0
        fake.faults.on("UID FETCH", self._hold)

    def _hold(self, answer: Answer) -> None:
        if b"BODY.PEEK[]" in answer.command.raw:
            self.commands += 1
            self.asked.set()
            self.let_go.wait(HANG_SECONDS)


def runs(maildock: Cli) -> list[tuple[str, str]]:
    return [(row["trigger"], row["result"]) for row in maildock("history", "--json").rows]


def test_sync_beside_a_daemon_shows_what_it_shows_alone(maildock: Cli, fake_imap: FakeImap) -> None:
    with daemon(maildock, fake_imap):
        beside = maildock("sync", "--json")
        assert beside.code == 0, beside.err
        assert beside.err == ""
        fake_imap.append("INBOX", message(11))
        again = maildock("sync")
    alone = maildock("sync", "--json")
    assert [row["type"] for row in beside.rows][-1] == "done"
    assert {row["type"] for row in beside.rows} == {row["type"] for row in alone.rows} == {"progress", "done"}
    assert [(item["folder"], item["status"]) for item in beside.rows[-1]["items"] if "folder" in item] == [
        ("INBOX", "succeeded")
    ]
    assert beside.rows[-1]["downloaded"]["new"] == 10
    assert "work: INBOX: +1 " in again.out
    assert alone.rows[-1]["downloaded"]["new"] == 0
    assert runs(maildock) == [("manual", "succeeded")] * 3


def test_sync_finds_the_run_of_another_one_and_never_makes_a_second(maildock: Cli, fake_imap: FakeImap) -> None:
    held = Held(fake_imap)
    with daemon(maildock, fake_imap):
        first = spawned(maildock.home, "sync", "--json", password=fake_imap.password)
        assert held.asked.wait(HANG_SECONDS)
        second = spawned(maildock.home, "sync", "--json", password=fake_imap.password)
        desk = daemon_of(maildock.home / "mail.db")
        assert desk is not None
        while len(desk.running()) < 2:
            assert second.poll() is None
        assert [len(one.items) > 0 for one in desk.running()] == [True, False]
        held.let_go.set()
        ends = [process.communicate(timeout=HANG_SECONDS)[0].splitlines()[-1] for process in (first, second)]
    assert [json.loads(line)["status"] for line in ends] == ["complete", "complete"]
    assert [json.loads(line)["downloaded"]["new"] for line in ends] == [10, 0]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_daemon_that_ends_midway_is_told_of_and_sync_goes_on_alone(
    maildock: Cli, fake_imap: FakeImap, end: signal.Signals
) -> None:
    held = Held(fake_imap)
    with daemon(maildock, fake_imap) as process:
        asking = spawned(maildock.home, "sync", "--json", password=fake_imap.password)
        assert held.asked.wait(HANG_SECONDS)
        process.send_signal(end)
        process.wait(HANG_SECONDS)  # before its server answers: the run is cut off in any case
        held.let_go.set()
        out, err = asking.communicate(timeout=HANG_SECONDS)
    assert asking.returncode == 0, err
    assert "goes on alone" in err
    assert "Traceback" not in err
    assert [row["type"] for row in map(json.loads, out.splitlines())].count("done") == 1
    assert {row["body"] for row in maildock("list", "INBOX", "--json").rows} == {"full"}
    assert maildock("check", "--full").code == 0


def test_ctrl_c_beside_a_daemon_cancels_the_run_there(maildock: Cli, fake_imap: FakeImap) -> None:
    held = Held(fake_imap)
    with daemon(maildock, fake_imap):
        asking = spawned(maildock.home, "sync", "--json", password=fake_imap.password)
        assert held.asked.wait(HANG_SECONDS)
        asking.send_signal(signal.SIGINT)
        out, err = asking.communicate(timeout=HANG_SECONDS)
        held.let_go.set()
        assert asking.returncode == ExitCode.CANCELED, err
        assert "what has arrived is kept" in err
        assert json.loads(out.splitlines()[-1])["status"] == "canceled"
        fake_imap.faults.clear()
        assert maildock("sync").code == 0


def test_with_a_dead_daemons_socket_there_sync_works_alone_and_the_next_daemon_starts(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    with daemon(maildock, fake_imap) as process:
        process.kill()
        process.wait(HANG_SECONDS)
    assert (maildock.home / "mail.db.control").is_socket()
    alone = maildock("sync")
    assert (alone.code, alone.err) == (0, "")
    with daemon(maildock, fake_imap):
        assert maildock("sync").code == 0
        second = maildock("daemon")
        assert second.code == ExitCode.ERRORS
        assert "runs already" in second.err


def test_a_daemon_that_hangs_is_told_of_and_the_store_keeps_two_synchronizations_apart(
    maildock: Cli, fake_imap: FakeImap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provider.manager.control.client.ANSWER_SECONDS", 0.5)
    held = Held(fake_imap)
    with daemon(maildock, fake_imap) as process:
        first = spawned(maildock.home, "sync", password=fake_imap.password)
        assert held.asked.wait(HANG_SECONDS)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            asked = maildock("sync")
        finally:
            os.kill(process.pid, signal.SIGCONT)
        assert "goes on alone" in asked.err
        assert "Wait for the other synchronization" in asked.err
        assert asked.code == ExitCode.ERRORS
        held.let_go.set()
        assert first.wait(HANG_SECONDS) == 0
        first.communicate()


def test_a_password_of_this_process_is_not_handed_on(
    maildock: Cli, fake_imap: FakeImap, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    with daemon(maildock, fake_imap):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{fake_imap.password}\n".encode())))
        assert maildock("sync", "--password-stdin").code == 0
        desk = daemon_of(maildock.home / "mail.db")
        assert desk is not None
        assert desk.start().run_id == 1


def test_what_a_daemon_does_is_listed_and_stopped_whole_or_in_part(maildock: Cli, fake_imap: FakeImap) -> None:
    assert maildock("groups", "add", "Mine", "--account", "work").code == 0
    assert "no daemon" in maildock("running").err
    assert maildock("stop").code == ExitCode.ERRORS
    held = Held(fake_imap)
    with daemon(maildock, fake_imap):
        assert maildock("running").out == "Nothing runs.\n"
        assert maildock("stop").out == "Nothing of that runs.\n"
        asking = spawned(maildock.home, "sync", "--json", password=fake_imap.password)
        assert held.asked.wait(HANG_SECONDS)
        (run,) = maildock("running", "--json").rows
        assert (run["run_id"], run["trigger"], run["accounts"]) == (1, "manual", ["work"])
        shown = maildock("running").out
        assert "INBOX" in shown and "download-bodies" in shown
        for words in (("2",), ("nobody",), ("1", "INBOX")):
            assert maildock("stop", *words).code == ExitCode.USAGE
        assert maildock("stop", "work", "Drafts", "--json").rows == [{"verb": "stop", "stopped": 0}]
        assert maildock("stop", "work", "inbox", "--json").rows == [{"verb": "stop", "stopped": 1}]
        held.let_go.set()
        end = json.loads(asking.communicate(timeout=HANG_SECONDS)[0].splitlines()[-1])
        assert {item.get("folder"): item["status"] for item in end["items"]}["INBOX"] == "canceled"
        assert end["status"] == "complete-with-errors"
        assert maildock("pause", "--json").rows == [{"verb": "pause"}]
        assert "Paused" in maildock("schedule").out
        assert maildock("resume").code == 0


def test_who_asked_is_told_that_a_folder_was_stopped_and_offline_takes_up_no_account(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    held = Held(fake_imap)
    with daemon(maildock, fake_imap) as process:
        asking = spawned(maildock.home, "sync", password=fake_imap.password)
        assert held.asked.wait(HANG_SECONDS)
        assert maildock("stop", "work", "INBOX").code == 0
        held.let_go.set()
        assert "Stopped: 1 folder; the next sync goes on" in asking.communicate(timeout=HANG_SECONDS)[0]
        assert maildock("offline").code == 0
        assert "maildock online" in maildock("running").err
        maildock.add(fake_imap.port, name="home")
        assert process.stderr is not None
        assert "accounts changed: home" in process.stderr.readline()
    assert "home" not in {account for account, _, _ in ran(maildock)}


def test_groups_and_f9_are_sent_and_received_alone_and_beside_a_daemon(maildock: Cli, fake_imap: FakeImap) -> None:
    maildock.add(fake_imap.port, name="home")
    assert maildock("groups", "add", "Mine", "--account", "home", "--headers-only").code == 0
    assert maildock("send-receive", "--group", "Nobody").code == ExitCode.USAGE
    assert maildock("send-receive", "work", "--f9").code == ExitCode.USAGE
    alone = maildock("send-receive", "--group", "Mine", "--json")
    assert {item["account"] for item in alone.rows[-1]["items"]} == {"home"}
    with daemon(maildock, fake_imap):
        both = maildock("send-receive", "--f9", "--json")
    ends = [row for row in both.rows if row["type"] == "done"]
    assert [{item["account"] for item in end["items"]} for end in ends] == [{"home"}, {"work"}]
    assert [end["downloaded"]["bodies"] for end in ends] == [0, 10]


def test_f9_leaves_out_an_account_that_is_switched_off(maildock: Cli, fake_imap: FakeImap) -> None:
    maildock.add(fake_imap.port, name="home")
    assert maildock("handlers", "disable", "maildock", "account:work").code == 0
    told = maildock("send-receive", "--f9", "--json")
    assert {item["account"] for row in told.rows if row["type"] == "done" for item in row["items"]} == {"home"}


def test_a_daemon_takes_up_accounts_that_are_added_changed_and_removed(maildock: Cli, fake_imap: FakeImap) -> None:
    with daemon(maildock, fake_imap, "--retry-minutes", 5) as process:
        assert process.stderr is not None
        maildock.add(fake_imap.port, name="home")
        assert "accounts changed: home" in process.stderr.readline()
        while ("home", "settings", "succeeded") not in ran(maildock):
            assert process.poll() is None
        assert maildock("account", "set", "home", "--port", 1).code == 0
        assert "accounts changed: home" in process.stderr.readline()
        beside = maildock("sync", "home")
        assert (beside.code, "goes on alone" in beside.err) == (ExitCode.UNREACHABLE, False)
        (maildock.home / "accounts.toml").write_text("what is this")
        assert "stay as they were" in process.stderr.readline()
        assert maildock("daemon", "--retry-minutes", 0).code == ExitCode.USAGE


def ran(maildock: Cli) -> list[tuple[str, str, str]]:
    return [(row["account"], row["trigger"], row["result"]) for row in maildock("history", "--json").rows]


def test_a_daemon_is_sent_offline_and_back_and_catches_up(maildock: Cli, fake_imap: FakeImap) -> None:
    assert maildock("sync").code == 0
    with daemon(maildock, fake_imap):
        assert maildock("offline", "--json").rows == [{"verb": "offline"}]
    with daemon(maildock, fake_imap) as process:  # it is kept
        fake_imap.append("INBOX", message(11))
        assert maildock("online").code == 0
        while ("work", "connect", "succeeded") not in ran(maildock):
            assert process.poll() is None
    assert len(maildock("list", "INBOX", "--json").rows) == 11


def test_where_no_socket_can_be_a_daemon_works_without(maildock: Cli, fake_imap: FakeImap) -> None:
    assert maildock("sync").code == 0
    (maildock.home / "mail.db.control").mkdir()
    process = spawned(maildock.home, "daemon", password=fake_imap.password)
    try:
        assert process.stderr is not None
        assert "no control socket" in process.stderr.readline()
        assert maildock("sync").code == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.soak
@pytest.mark.parametrize("at", range(1, 9))
def test_a_daemon_killed_at_any_command_leaves_a_sync_that_ends_well(
    maildock: Cli, fake_imap: FakeImap, at: int
) -> None:
    reached, let_go, left = threading.Event(), threading.Event(), [at]

    def hold(answer: Answer) -> None:
        left[0] -= 1
        if left[0] == 0:
            reached.set()
            let_go.wait(HANG_SECONDS)

    assert maildock("sync").code == 0
    fake_imap.faults.on("*", hold)
    fake_imap.append("INBOX", message(11))
    with daemon(maildock, fake_imap) as process:
        asking = spawned(maildock.home, "sync", "--json", password=fake_imap.password)
        while not reached.wait(0.05) and asking.poll() is None:
            pass
        process.kill()
        process.wait(HANG_SECONDS)
        let_go.set()
        out, err = asking.communicate(timeout=HANG_SECONDS)
    assert asking.returncode == 0, err
    assert [row["type"] for row in map(json.loads, out.splitlines())].count("done") == 1
    assert len(maildock("list", "INBOX", "--json").rows) == 11
    assert maildock("check", "--full").code == 0
