"""maildock.log: what runs by hand or by schedule tells there what it does; no secret, no subject, no address."""

import json
import signal
import stat
from datetime import UTC, datetime
from pathlib import Path

from provider.cli.exits import ExitCode
from store import open_store

from ..servers.fakeimap import FakeImap
from .cli_rig import HANG_SECONDS, Cli, filled, spawned


def log_of(home: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (home / "maildock.log").read_text(encoding="ascii").splitlines()]


def test_a_synchronization_by_hand_tells_its_beginning_its_end_and_its_errors(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    filled(maildock, fake_imap)
    good = log_of(maildock.home)
    assert (good[0]["id"], good[0]["trigger"], good[0]["account"]) == (6701, "manual", "work")
    ended = [line for line in good if line["event"] == "ended"]
    assert (ended[0]["folder"], ended[0]["id"], ended[0]["new"]) == ("INBOX", 6702, 5)
    assert ended[-1].get("folder") is None
    assert good[-1]["text"] == "The request ended: complete."
    maildock.password("wrong-one-again")
    assert maildock("sync").code == ExitCode.LOGIN
    failed = log_of(maildock.home)[len(good) :]
    assert [line["kind"] for line in failed if line["event"] == "error"] == ["login-refused"]
    assert [line["id"] for line in failed if line["event"] == "ended"] == [6703]
    text = (maildock.home / "maildock.log").read_text()
    for unwanted in ("Message 1", "Jo Example", "wrong-one-again", fake_imap.password):
        assert unwanted not in text
    assert stat.S_IMODE(maildock.home.stat().st_mode) == 0o700


def test_a_daemon_tells_what_its_schedules_did_and_when_it_tries_again(maildock: Cli, fake_imap: FakeImap) -> None:
    with open_store(maildock.home / "mail.db") as store:
        store.schedules.add("All accounts", "every 1 day", zone="UTC", next_run=datetime.now(UTC))
    process = spawned(maildock.home, "daemon", "--json", password="wrong-one-again")
    assert process.stdout is not None
    json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=HANG_SECONDS)
    lines = [line for line in log_of(maildock.home) if line["event"] != "log"]
    assert (lines[0]["trigger"], lines[0]["group"]) == ("scheduled", "All accounts")
    (ran,) = [line for line in lines if line["event"] == "schedule-ran"]
    assert (ran["outcome"], ran["level"]) == ("failed", "warning")
    assert ran["retry_at"] is not None
