"""The command at work: what it brings is what the server has, and every view of it agrees."""

import base64
import contextlib
import json
import mailbox
import os
import pty
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from provider.cli.exits import ExitCode
from store import open_store
from store.mail import AccountId

from ..servers.fake_answer import Answer
from ..servers.fakeimap import FakeImap
from .cli_rig import HANG_SECONDS, ROOT, Cli, message, spawned

SEEN = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def filled(fake: FakeImap, count: int = 5) -> None:
    for number in range(1, count + 1):
        fake.append("INBOX", message(number), ["\\Seen"] if number % 2 else ["$Work"])
    fake.add_folder('Lists/Über & "co"')
    fake.append('Lists/Über & "co"', message(100, subject="=?utf-8?q?Gr=C3=BC=C3=9Fe?="))


def test_what_was_synchronized_is_listed_as_the_server_has_it(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(fake_imap)

    assert maildock("sync").code == 0
    rows = maildock("list", "--all", "--limit", 0, "--json", "--sha256").rows

    assert {(row["folder"], row["uid"]) for row in rows} == {
        *(("INBOX", uid) for uid in range(1, 6)),
        ('Lists/Über & "co"', 1),
    }
    first = next(row for row in rows if (row["folder"], row["uid"]) == ("INBOX", 1))
    folder = fake_imap.folder("INBOX")
    assert list(first) == [
        "id",
        "account",
        "folder",
        "uidvalidity",
        "uid",
        "flags",
        "internal_date",
        "size",
        "subject",
        "from",
        "date",
        "message_id",
        "body",
        "pending",
        "sha256",
    ]
    assert (first["account"], first["flags"], first["uidvalidity"]) == ("work", ["\\Seen"], folder.uid_validity)
    assert (first["subject"], first["from"]) == ("Message 1", "Jo Example <jo1@example.org>")
    assert (first["date"], first["message_id"]) == ("2026-11-21T10:00:00+01:00", "m1@example.org")
    assert (first["size"], first["body"]) == (len(message(1)), "full")
    assert first["sha256"] == sha256(message(1)).hexdigest()
    assert next(row for row in rows if row["uid"] == 1 and row["folder"] != "INBOX")["subject"] == "Grüße"


def test_pages_of_a_long_list_meet_without_a_gap_or_a_double(maildock: Cli, fake_imap: FakeImap) -> None:
    for number in range(1, 1_202):
        fake_imap.append("INBOX", message(number))
    assert maildock("sync", "--headers-only").code == 0

    everything = [row["id"] for row in maildock("list", "INBOX", "--limit", 0, "--json").rows]

    assert len(everything) == len(set(everything)) == 1_201
    assert [row["id"] for row in maildock("list", "INBOX", "--limit", 501, "--json").rows] == everything[:501]


def test_folders_are_told_with_their_counts(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(fake_imap)
    assert maildock("sync").code == 0

    rows = {row["folder"]: row for row in maildock("folders", "--json").rows}

    inbox = rows["INBOX"]
    assert (inbox["role"], inbox["messages"], inbox["unseen"], inbox["bodies"]) == ("inbox", 5, 2, 5)
    assert inbox["uidvalidity"] == fake_imap.folder("INBOX").uid_validity
    assert "Über" in maildock("folders").out


def test_json_events_come_one_a_line_and_the_result_is_the_last(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(fake_imap)

    rows = maildock("sync", "--json").rows

    assert [row["type"] for row in rows].index("done") == len(rows) - 1
    assert (rows[-1]["status"], rows[-1]["downloaded"]["new"]) == ("complete", 6)
    assert {row.get("folder") for row in rows[:-1]} == {None, "INBOX", 'Lists/Über & "co"'}


def test_a_plain_sync_prints_a_line_for_each_folder_and_account(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(fake_imap)

    lines = maildock("sync").out.splitlines()

    assert any(line.startswith("work: INBOX: +5 ") for line in lines)
    assert lines[-1].startswith("work: succeeded; +6 ")


def test_headers_only_leaves_bodies_behind_and_show_fetches_one(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(fake_imap)
    assert maildock("sync", "--headers-only").code == 0
    rows = maildock("list", "INBOX", "--json", "--sha256").rows
    assert {(row["body"], row["sha256"]) for row in rows} == {("headers", None)}

    shown = maildock("show", rows[0]["id"])

    assert shown.code == 0
    assert "Hello." in shown.out
    bodies = {row["id"]: row["body"] for row in maildock("list", "INBOX", "--json").rows}
    assert sorted(bodies.values()) == ["full", "headers", "headers", "headers", "headers"]
    assert bodies[rows[0]["id"]] == "full"


def test_a_body_that_cannot_be_fetched_is_a_sentence_that_says_how_to_see_the_header(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    filled(fake_imap)
    assert maildock("sync", "--headers-only").code == 0
    key = maildock("list", "INBOX", "--json").rows[0]["id"]
    fake_imap.stop()

    shown = maildock("show", key)

    assert (shown.code, shown.out) == (ExitCode.UNREACHABLE, "")
    assert f"maildock show {key} --headers" in shown.err
    assert "Subject: Message" in maildock("show", key, "--headers").out


def test_a_message_is_shown_as_text_octets_headers_and_parts(maildock: Cli, fake_imap: FakeImap) -> None:
    raw = (
        b"From: a@b.c\r\nSubject: \x1b[31mred\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe \x1b]0;evil\x07\r\n"
        b"--x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="a.pdf"\r\n\r\n' + base64.b64encode(b"%PDF-1") + b"\r\n--x--\r\n"
    )
    fake_imap.append("INBOX", raw)
    assert maildock("sync").code == 0
    key = maildock("list", "INBOX", "--json").rows[0]["id"]

    text = maildock("show", key).out
    assert "Grüße ]0;evil" in text
    assert "[2] application/pdf" in text
    assert "a.pdf" in text
    assert "\x1b" not in text + maildock("list", "INBOX").out
    assert base64.b64decode(maildock("show", key, "--raw", "--json").rows[0]["raw_base64"]) == raw
    assert base64.b64decode(maildock("show", key, "--part", "2", "--json").rows[0]["content_base64"]) == b"%PDF-1"
    assert maildock("show", key, "--headers").out.startswith("From: a@b.c")
    told = maildock("show", key, "--json").rows[0]
    assert [part["section"] for part in told["parts"] if part["filename"]] == ["2"]
    missing = maildock("show", key, "--part", "7")
    assert (missing.code, "no part '7'" in missing.err) == (ExitCode.USAGE, True)


def test_raw_octets_leave_a_process_as_they_came(maildock: Cli, fake_imap: FakeImap) -> None:
    raw = message(1, body=b"\xff\x00\x80 odd\r\nend without a line")
    fake_imap.append("INBOX", raw)
    assert maildock("sync").code == 0
    key = maildock("list", "INBOX", "--json").rows[0]["id"]

    command = [sys.executable, "-m", "provider.cli", "--home", str(maildock.home), "show", str(key), "--raw"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=HANG_SECONDS, check=True)

    assert (shown.stdout, shown.stderr) == (raw, b"")


def test_only_the_folder_that_was_named_is_synchronized(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(fake_imap)

    assert maildock("sync", "work", "--folder", 'Lists/Über & "co"').code == 0

    assert {row["folder"] for row in maildock("list", "--all", "--json").rows} == {'Lists/Über & "co"'}


def test_a_second_sync_brings_the_difference(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(fake_imap)
    assert maildock("sync").code == 0
    fake_imap.append("INBOX", message(6))
    fake_imap.set_flags("INBOX", 2, ["\\Flagged"])
    fake_imap.expunge("INBOX", 1)

    counts = maildock("sync", "--json").rows[-1]["downloaded"]

    assert (counts["new"], counts["modified"], counts["deleted"]) == (1, 1, 1)
    assert maildock("sync", "--full", "--json").rows[-1]["downloaded"]["new"] == 0


def test_a_password_on_standard_input_is_used_and_needs_no_variable(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(fake_imap)
    process = spawned(maildock.home, "sync", "--password-stdin", password="wrong", stdin=subprocess.PIPE)
    out, err = process.communicate(fake_imap.password + "\n", timeout=HANG_SECONDS)

    assert (process.returncode, err) == (0, "")
    assert "+6" in out


def test_the_status_tells_what_the_runs_left(maildock: Cli, fake_imap: FakeImap) -> None:
    before = maildock("status", "--json").rows
    assert [(row["account"], row["state"], row["last_success"]) for row in before] == [("work", "never", None)]
    filled(fake_imap)
    assert maildock("sync").code == 0

    good = maildock("status", "--json").rows[0]
    assert (good["state_code"], good["state"], good["link_status"]) == (6702, "success", 0)
    assert (good["messages"], good["bodies"], good["last_error"]) == (6, 6, None)
    assert good["store_version"] > 0
    assert datetime.fromisoformat(good["last_success"]).tzinfo is not None

    maildock.password("wrong")
    assert maildock("sync").code == ExitCode.LOGIN
    bad = maildock("status", "--json").rows[0]
    assert (bad["state_code"], bad["link_status"], bad["last_success"]) == (6703, 2, good["last_success"])
    assert bad["last_error"]
    assert "failed" in maildock("status").out


def test_an_account_whose_server_takes_one_connection_is_shown_and_has_another_try_when_it_is_set_anew(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    assert maildock("account", "set", "work", "--user", fake_imap.user).code == 0  # there is no store yet
    filled(fake_imap)
    assert maildock("sync").code == 0
    assert maildock("status", "--json").rows[0]["one_connection"] is None
    with open_store(maildock.home / "mail.db") as store, store.write("as a run does") as tx:
        tx.set_one_connection(AccountId("work"), "Too many simultaneous connections.")
    assert maildock("status", "--json").rows[0]["one_connection"] == "Too many simultaneous connections."
    assert maildock("account", "set", "work", "--user", fake_imap.user).code == 0
    assert maildock("status", "--json").rows[0]["one_connection"] is None


def test_an_account_can_be_set_although_the_store_is_damaged(maildock: Cli, fake_imap: FakeImap) -> None:
    (maildock.home / "mail.db").write_bytes(b"no store at all" * 1000)
    assert maildock("account", "set", "work", "--user", fake_imap.user).code == 0


def test_an_account_is_running_while_either_lane_is(maildock: Cli, fake_imap: FakeImap) -> None:
    assert maildock("sync").code == 0
    with open_store(maildock.home / "mail.db") as store:
        account = AccountId("work")
        store.start_run(account, trigger="manual", flags=0, owner="somebody")
        quick = store.start_run(account, trigger="invoke", flags=0, owner="somebody", lane="quick")
        store.finish_run(quick, status="succeeded", counts={})
    assert maildock("status", "--json").rows[0]["state"] == "running"


def test_a_store_that_is_whole_passes_its_check(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(fake_imap)
    assert maildock("sync").code == 0

    checked = maildock("check", "--full", "--json")

    assert (checked.code, checked.rows) == (0, [{"type": "report", "ok": True, "problems": 0, "full": True}])
    assert "whole" in maildock("check").out


def test_testing_an_account_logs_in_and_keeps_nothing(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(fake_imap)

    tested = maildock("account", "test", "work", "--json")

    assert tested.rows == [{"account": "work", "ok": True, "folders": 3, "exit_code": 0}]
    assert not (maildock.home / "mail.db").exists()
    assert "FETCH" not in " ".join(fake_imap.command_names())


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_local_mail_is_imported_under_its_name_and_again_without_doubles(
    maildock: Cli, tmp_path: Path, kind: str
) -> None:
    place = tmp_path / "old mail"
    box: mailbox.Mailbox[mailbox.Message] = mailbox.Maildir(place) if kind == "maildir" else mailbox.mbox(place)
    for number in range(3):
        box.add(message(number))
    box.close()

    assert maildock("import-from", place, "--as", "old").code == 0
    again = maildock("import-from", place, "--as", "old", "--json")

    assert again.rows[-1]["downloaded"]["new"] == 0
    rows = maildock("list", "--all", "--account", "old", "--json").rows
    assert sorted(row["subject"] for row in rows) == ["Message 0", "Message 1", "Message 2"]
    other = maildock("import-from", tmp_path / "old mail", "--as", "work")
    assert (other.code, "account on a server" in other.err) == (ExitCode.USAGE, True)


def test_a_directory_of_mbox_files_is_imported_as_its_folders(maildock: Cli, tmp_path: Path) -> None:
    (tmp_path / "old" / "lists").mkdir(parents=True)
    (tmp_path / "old" / "notes.txt").write_text("not mail")
    for name in ("sent", "lists/harbour"):
        box = mailbox.mbox(tmp_path / "old" / name)
        box.add(message(1))
        box.close()

    assert maildock("import-from", tmp_path / "old").code == 0
    assert {row["folder"] for row in maildock("folders", "--account", "old", "--json").rows} == {
        "sent",
        "lists/harbour",
    }


def test_an_import_keeps_its_name_for_its_place(maildock: Cli, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"From - Sat Nov 21 10:00:00 2026\n" + message(1))
    assert maildock("import-from", tmp_path / "one", "--as", "old").code == 0

    refused = maildock("import-from", tmp_path / "two", "--as", "old")

    assert (refused.code, "was imported from" in refused.err) == (ExitCode.USAGE, True)
    assert len(maildock("list", "--all", "--json").rows) == 1


def test_a_reader_that_goes_away_ends_a_command_without_a_traceback(maildock: Cli, fake_imap: FakeImap) -> None:
    for number in range(1, 1_001):
        fake_imap.append("INBOX", message(number))
    assert maildock("sync", "--headers-only").code == 0
    process = spawned(maildock.home, "list", "INBOX", "--limit", "0", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stderr as err:
        assert process.stdout.readline()
        process.stdout.close()

        assert (process.wait(HANG_SECONDS), err.read()) == (ExitCode.ERRORS, "")


def test_ctrl_c_cancels_says_what_was_kept_and_the_next_sync_goes_on(maildock: Cli, fake_imap: FakeImap) -> None:
    for number in range(1, 41):
        fake_imap.append("INBOX", message(number, body=b"x" * 100_000))
    asked, let_go = threading.Event(), threading.Event()

    def hold(answer: Answer) -> None:
        if b"BODY.PEEK[]" in answer.command.raw:
            asked.set()
            let_go.wait(HANG_SECONDS)

    fake_imap.faults.on("UID FETCH", hold)
    process = spawned(maildock.home, "sync", "--json", password=fake_imap.password)
    assert asked.wait(HANG_SECONDS)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_SECONDS)
    let_go.set()

    assert process.returncode == ExitCode.CANCELED
    assert "what has arrived is kept" in err
    assert "Traceback" not in err
    assert json.loads(out.splitlines()[-1])["status"] == "canceled"
    assert maildock("check", "--full").code == 0
    fake_imap.faults.clear()
    assert maildock("sync").code == 0
    assert {row["body"] for row in maildock("list", "INBOX", "--limit", 0, "--json").rows} == {"full"}


def test_a_terminal_gets_bars_and_never_the_control_characters_of_a_server(maildock: Cli, fake_imap: FakeImap) -> None:
    evil = "[bold]loud[/bold]\x07 :smile:"
    fake_imap.add_folder(evil)
    fake_imap.append(evil, message(1))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "provider.cli", "sync"],
        stdout=theirs,
        stderr=theirs,
        env={
            **os.environ,
            "MAILDOCK_HOME": str(maildock.home),
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
            "COLUMNS": "100",
        },
    )
    os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        shown = b""
        with contextlib.suppress(OSError):  # Linux says EIO when the last writer is gone
            while piece := terminal.read1(65_536):
                shown += piece

    assert process.wait(HANG_SECONDS) == 0
    assert b"work: [bold]loud[/bold] :smile:: +1 " in shown
    assert b"\x07" not in shown
    assert b"\x1b[2K" in shown  # a line was drawn and taken away: the bars


STUBBORN = """
import threading
from provider.cli.running import wait_for

class Stubborn:
    done_event = threading.Event()
    def cancel(self): pass

wait_for(Stubborn())
"""


def test_the_second_ctrl_c_ends_the_process_at_once() -> None:
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr as err:
        while not _catches_interrupts(process.pid):  # the handler is there a moment after the imports
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert "Ctrl-C again ends at once" in err.readline()
        process.send_signal(signal.SIGINT)

        assert process.wait(HANG_SECONDS) == ExitCode.CANCELED


def _catches_interrupts(pid: int) -> bool:
    """Tell by the kernel's table whether *pid* has a handler of its own for SIGTERM: Python sets none by itself."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1], 16)
    return bool(caught & 1 << (signal.SIGTERM - 1))
