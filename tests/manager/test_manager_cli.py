"""The commands of the manager: groups and schedules that people type, and a daemon that ends cleanly."""

import json
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from store import open_store
from tests.scenarios.cli_rig import PASSWORD_VARIABLE, Cli, message, spawned
from tests.servers.fakeimap import FakeImap

PASSWORD = "pw-of-the-manager"


@pytest.fixture
def maildock(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    made = Cli(tmp_path / "home", capsys, monkeypatch, PASSWORD)
    made.add(1)
    made.add(1, name="home")
    return made


def test_groups_are_made_changed_listed_and_removed(maildock: Cli) -> None:
    made = maildock("groups", "add", "Both", "--account", "work", "--account", "home", "--folder", "INBOX")
    assert made.code == 0, made.err
    assert maildock("groups", "set", "Both", "--headers-only", "--no-send", "--size-max", 5).code == 0
    everything, both = maildock("groups", "--json").rows
    assert everything["group"] == "All accounts"
    assert both == {
        "group": "Both",
        "accounts": ["work", "home"],
        "send": False,
        "receive": True,
        "folders": ["INBOX"],
        "headers_only": True,
        "size_max": 5,
        "f9": True,
        "f9_offline": True,
    }
    assert "Both" in maildock("groups").out
    assert maildock("groups", "set", "Both", "--no-receive").code == 2
    assert maildock("groups", "add", "Both", "--account", "work").code == 2
    assert maildock("groups", "add", "X", "--account", "nobody").code == 2
    assert maildock("groups", "remove", "Both").code == 0
    assert maildock("groups", "remove", "Both").code == 2
    assert maildock("groups", "remove", "All accounts").code == 2


def test_the_list_of_groups_says_when_one_is_part_of_f9(maildock: Cli) -> None:
    for name, words in {
        "Always": (),
        "Desk": ("--no-f9-offline",),
        "Train": ("--no-f9", "--f9-offline"),
        "Never": ("--no-f9", "--no-f9-offline"),
    }.items():
        assert maildock("groups", "add", name, "--account", "work", *words).code == 0
    listed = [line.split() for line in maildock("groups").out.splitlines()]
    assert {one[0]: one[-1] for one in listed[2:]} == {
        "Always": "yes",
        "Desk": "online",
        "Train": "offline",
        "Never": "no",
    }


def test_status_says_what_keeps_everything_from_starting(maildock: Cli) -> None:
    assert maildock("schedule", "add", "All accounts", "daily 08:00").code == 0
    assert maildock("status").err == ""
    assert maildock("pause").code == maildock("offline").code == 0
    held = maildock("status")
    assert "maildock resume" in held.err and "maildock online" in held.err
    assert maildock("resume").code == maildock("online").code == 0
    assert maildock("status").err == ""


def test_an_account_that_is_removed_leaves_no_error_and_no_next_run(maildock: Cli) -> None:
    assert maildock("schedule", "add", "All accounts", "daily 08:00").code == 0
    assert maildock("sync", "home").code != 0
    assert [row["account"] for row in maildock("events", "--json").rows] == ["home"]
    assert maildock("account", "remove", "home").code == 0
    assert maildock("events", "--json").rows == []
    due = {row["account"]: row["next_run"] is not None for row in maildock("status", "--json").rows}
    assert due["work"] and not due.get("home", False)


def test_the_verbs_that_change_groups_and_schedules_print_json(maildock: Cli) -> None:
    (made,) = maildock("groups", "add", "G", "--account", "work", "--json").rows
    assert (made["verb"], made["group"], made["accounts"], made["f9"]) == ("add", "G", ["work"], True)
    assert maildock("groups", "set", "G", "--no-f9", "--no-f9-offline", "--json").rows == [
        {**made, "verb": "set", "f9": False, "f9_offline": False}
    ]
    (added,) = maildock("schedule", "add", "G", "daily 08:00", "--json").rows
    assert (added["verb"], added["id"], added["when"], added["enabled"]) == ("add", 1, "daily 08:00", True)
    (rests,) = maildock("schedule", "disable", 1, "--json").rows
    assert (rests["verb"], rests["enabled"], rests["next_run"]) == ("disable", False, None)
    assert maildock("schedule", "enable", 1, "--json").rows == [{**added, "verb": "enable"}]
    assert maildock("schedule", "remove", 1, "--json").rows == [{"verb": "remove", "id": 1}]
    assert maildock("groups", "remove", "G", "--json").rows == [{"verb": "remove", "group": "G"}]


def test_schedules_are_added_rested_woken_and_removed(maildock: Cli) -> None:
    added = maildock("schedule", "add", "All accounts", "weekdays 08:00", "--zone", "Europe/Berlin")
    assert (added.code, "next run" in added.out) == (0, True), added.err
    for words in (
        ("All accounts", "sometimes"),
        ("All accounts", "daily 08:00", "--zone", "Moon"),
        ("X", "daily 08:00"),
    ):
        assert maildock("schedule", "add", *words).code == 2
    assert maildock("schedule", "add", "All accounts", "once 2001-01-01 00:00").code == 2
    assert maildock("schedule", "disable", 1).code == 0
    assert [(row["enabled"], row["next_run"]) for row in maildock("schedule", "--json").rows] == [(False, None)]
    assert maildock("schedule", "enable", 1).code == 0
    assert maildock("pause").code == 0
    assert "Paused" in maildock("schedule").out
    assert maildock("resume").code == 0
    assert maildock("schedule", "remove", 1).code == 0
    assert maildock("schedule", "remove", 1).code == 2


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_runs_what_is_due_says_so_and_ends_cleanly(
    maildock: Cli, fake_imap: FakeImap, end: signal.Signals
) -> None:
    fake_imap.append("INBOX", message(1))
    for name in ("work", "home"):
        maildock("account", "remove", name)
    maildock.password(fake_imap.password)
    maildock.add(fake_imap.port, name="fake")
    with open_store(maildock.home / "mail.db") as store:
        store.schedules.add("All accounts", "every 1 day", zone="UTC", next_run=datetime.now(UTC))
    process = spawned(maildock.home, "daemon", "--json", password=fake_imap.password)
    assert process.stdout is not None
    ran = json.loads(process.stdout.readline())
    process.send_signal(end)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, ran["outcome"], out) == (0, "complete", ""), err
    assert "Traceback" not in err
    assert len(maildock("list", "INBOX", "--json").rows) == 1
    assert PASSWORD_VARIABLE not in err
