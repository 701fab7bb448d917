"""What waits to be sent is listed, taken back, held, refused and decided with the command."""

import contextlib
import os
import pty
from itertools import pairwise
from pathlib import Path

import pytest

from provider.cli.exits import ExitCode
from store import AccountId, Choice, ConflictKind, MessageKey, NewConflict, Side, Version, open_store

from ..servers.fake_answer import Answer
from ..servers.fake_session import Session
from ..servers.fakeimap import BARE, FakeImap
from .cli_rig import HANG_SECONDS, Cli, filled, ids, message, on_server, spawned
from .test_cli_bad_input import one_sentence


def test_a_folder_with_mail_is_deleted_with_a_yes_and_on_the_server_with_another_one(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    filled(maildock, fake_imap)
    fake_imap.append("Archive", message(50))
    assert maildock("sync").code == 0

    refused = maildock("folder", "delete", "Archive")
    assert refused.code == ExitCode.USAGE
    one_sentence(refused.err, "Archive", "1 message", "--yes")
    assert maildock("folder", "delete", "Archive", "--yes").out == "Deleted Archive with 1 message.\n"
    held = maildock("sync")

    assert "maildock sync --yes" in held.err
    assert set(on_server(fake_imap, "Archive")) == {"Message 50"}
    assert [row["state"] for row in maildock("pending", "--json").rows] == ["held"]

    assert maildock("sync", "--yes").code == 0

    with fake_imap.lock:
        assert b"Archive" not in fake_imap.mailbox.folders
    assert maildock("pending").out == "Nothing waits to be sent.\n"


def test_many_deletions_wait_until_somebody_says_yes(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap, count=60)
    keys = ids(maildock).values()
    assert maildock("delete", "--for-good", "--yes", *keys).code == 0

    held = maildock("sync")

    one_sentence("".join(held.err.splitlines(keepends=True)[-2:]), "60 operations", "maildock sync --yes")
    assert len(on_server(fake_imap, "INBOX")) == 60
    rows = maildock("pending", "--json").rows
    assert {row["state"] for row in rows} == {"held"}
    assert "60" in rows[0]["reason"]

    approved = maildock("pending", "approve", *(row["id"] for row in rows), "--json")

    assert approved.rows[0]["operations"] == 60
    assert maildock("sync").code == 0
    assert on_server(fake_imap, "INBOX") == {}


def test_what_waits_is_listed_and_can_be_cancelled(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)
    assert maildock("flag", key["Message 1"], "work").code == 0
    assert maildock("move", key["Message 2"], "--to", "Archive").code == 0
    assert maildock("folder", "create", "New").code == 0

    lines = maildock("pending").out.splitlines()
    rows = {row["kind"]: row for row in maildock("pending", "--json").rows}

    assert len(lines) == 4
    assert "+work" in lines[1]
    assert "move to Archive" in lines[2]
    assert "create folder" in lines[3]
    assert (rows["flags"]["message"], rows["flags"]["subject"], rows["flags"]["add"]) == (
        key["Message 1"],
        "Message 1",
        ["work"],
    )
    assert (rows["move"]["folder"], rows["move"]["target"], rows["move"]["state"]) == ("INBOX", "Archive", "queued")
    assert maildock("status", "--json").rows[0]["pending"] == 3

    cancelled = maildock("pending", "cancel", *(row["id"] for row in rows.values()))

    assert cancelled.out == "Cancelled 3 operations.\n"
    assert ids(maildock) == key
    assert {row["folder"] for row in maildock("folders", "--json").rows} == {"INBOX", "Archive", "Trash"}
    commands = len(fake_imap.commands)
    assert maildock("sync").code == 0
    assert not {"UID STORE", "UID MOVE", "CREATE"} & {one.name for one in fake_imap.commands[commands:]}


def test_undo_takes_back_what_is_queued_and_what_is_done(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)
    (queued,) = maildock("flag", key["Message 1"], key["Message 2"], "seen", "--json").rows
    assert maildock("undo", queued["batch"]).out == f"Taken back: {queued['batch']}.\n"
    assert maildock("pending").out == "Nothing waits to be sent.\n"

    (done,) = maildock("move", key["Message 3"], "--to", "Archive", "--json").rows
    assert maildock("sync").code == 0
    assert maildock("undo", done["batch"], "--json").rows == [{"verb": "undo", "batch": done["batch"]}]
    assert maildock("sync").code == 0

    assert "Message 3" in on_server(fake_imap, "INBOX")
    assert ids(maildock)["Message 3"] == key["Message 3"]


def test_what_the_server_refuses_is_told_taken_back_and_kept_for_reading(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)["Message 1"]

    def refuse(_: Session, answer: Answer) -> None:
        answer.completion = b"NO [NOPERM] \x1b[31mnot yours"

    fake_imap.handlers["UID MOVE"] = refuse
    assert maildock("move", key, "--to", "Archive").code == 0

    synced = maildock("sync")

    assert synced.code == ExitCode.ERRORS
    assert "\x1b" not in synced.err
    assert ids(maildock)["Message 1"] == key
    assert "maildock pending --all" in maildock("pending").err
    (row,) = (row for row in maildock("pending", "--all", "--json").rows if row["state"] == "refused")
    assert (row["kind"], row["message"]) == ("move", key)
    assert "not yours" in row["server_text"]
    assert "\x1b" not in maildock("pending", "--all").out


def test_what_was_refused_for_now_can_be_sent_again_at_once(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)["Message 1"]

    def refuse(_: Session, answer: Answer) -> None:
        answer.completion = b"NO [OVERQUOTA] full"

    moves = fake_imap.handlers["UID MOVE"]
    fake_imap.handlers["UID MOVE"] = refuse
    assert maildock("move", key, "--to", "Archive").code == 0
    assert maildock("sync").code == ExitCode.ERRORS
    (row,) = maildock("pending", "--json").rows
    assert (row["state"], row["tries"]) == ("later", 1)
    assert row["next_try"]
    fake_imap.handlers["UID MOVE"] = moves

    again = maildock("pending", "retry", row["id"])

    assert again.out == "To be sent again: 1 operation.\n"
    assert maildock("sync").code == 0
    assert set(on_server(fake_imap, "Archive")) == {"Message 1"}


def test_what_was_deleted_here_and_worked_on_there_stays_until_a_person_says_otherwise(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)["Message 1"]
    assert maildock("conflicts").out == "No conflicts.\n"
    assert maildock("delete", key, "--for-good", "--yes").code == 0
    fake_imap.set_flags("INBOX", 1, ["\\Flagged"])

    assert maildock("sync").code == 0

    assert "Message 1" in on_server(fake_imap, "INBOX")
    assert ids(maildock)["Message 1"] == key
    (row,) = maildock("conflicts", "--json").rows
    assert (row["kind"], row["message"], row["done"]) == ("deleted-and-changed", key, "keep-theirs")
    assert (row["mine"]["deleted"], row["theirs"]["deleted"], row["theirs"]["flags"]) == (True, False, ["\\Flagged"])

    assert maildock("conflicts", "resolve", row["id"], "keep-mine").out == "Resolved 1 conflict: keep-mine.\n"
    assert maildock("sync").code == 0

    assert "Message 1" not in on_server(fake_imap, "INBOX")
    (settled,) = maildock("conflicts", "--all", "--json").rows
    assert settled["resolution"] == "keep-mine"


def test_what_was_moved_here_and_there_is_where_the_server_has_it_until_a_person_says_otherwise(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    filled(maildock, fake_imap)
    fake_imap.add_folder("Else")
    assert maildock("sync").code == 0
    key = ids(maildock)["Message 1"]
    assert maildock("move", key, "--to", "Archive").code == 0
    with fake_imap.lock:
        moved = fake_imap.folder("INBOX").messages[1]
        fake_imap.append("Else", moved.octets)
        fake_imap.expunge("INBOX", 1)

    assert maildock("sync").code == 0

    assert ids(maildock, "Else") == {"Message 1": key}
    assert ids(maildock, "Archive") == {}
    (row,) = maildock("conflicts", "--json").rows
    assert (row["kind"], row["mine"]["place"], row["theirs"]["place"]) == ("moved-twice", "Archive", "Else")

    assert maildock("conflicts", "resolve", "--all", "keep-mine").code == 0
    assert maildock("sync").code == 0

    assert (on_server(fake_imap, "Else"), set(on_server(fake_imap, "Archive"))) == ({}, {"Message 1"})
    assert ids(maildock, "Archive") == {"Message 1": key}


def test_a_folder_renamed_here_and_there_has_the_name_of_the_server_until_a_person_says_otherwise(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    filled(maildock, fake_imap)
    assert maildock("folder", "rename", "Archive", "Mine").code == 0
    fake_imap.rename_folder("Archive", "Theirs")

    assert maildock("sync").code == 0

    assert {row["folder"] for row in maildock("folders", "--json").rows} == {"INBOX", "Trash", "Theirs"}
    (row,) = maildock("conflicts", "--json").rows
    assert (row["kind"], row["mine"]["place"], row["theirs"]["place"]) == ("folder-renamed-twice", "Mine", "Theirs")

    assert maildock("conflicts", "resolve", row["id"], "keep-mine").code == 0
    assert maildock("sync").code == 0

    assert {row["folder"] for row in maildock("folders", "--json").rows} == {"INBOX", "Trash", "Mine"}
    with fake_imap.lock:
        assert set(fake_imap.mailbox.folders) == {b"INBOX", b"Trash", b"Mine"}


def waiting_conflict(maildock: Cli, key: int) -> int:
    """Let the move of a message be a conflict that waits for a person; return its id."""
    with open_store(maildock.home / "mail.db") as store:
        with store.read() as view:
            (one,) = view.operations()
        mine = Version(side=Side.MINE, place="Archive")
        theirs = Version(side=Side.THEIRS, place="Else\x1b[31mwhere", flags=("\\Seen",))
        found = NewConflict(
            kind=ConflictKind.MOVED_TWICE,
            account=AccountId("work"),
            operation=one.id,
            message=MessageKey(key),
            versions=(mine, theirs),
            choices=(Choice.KEEP_MINE, Choice.KEEP_THEIRS),
        )
        with store.write("a conflict") as tx:
            return tx.settle.conflict(found)


@pytest.mark.parametrize(("choice", "folder"), [("keep-mine", "Archive"), ("keep-theirs", "INBOX")])
def test_a_conflict_waits_until_a_person_resolves_it(
    maildock: Cli, fake_imap: FakeImap, choice: str, folder: str
) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)["Message 1"]
    assert maildock("move", key, "--to", "Archive").code == 0
    number = waiting_conflict(maildock, key)

    waits = maildock("sync")

    assert "1 conflict waits: maildock conflicts" in waits.err
    assert "Message 1" in on_server(fake_imap, "INBOX")
    (row,) = maildock("conflicts", "--json").rows
    assert (row["id"], row["subject"], row["resolved"]) == (number, "Message 1", None)
    assert row["choices"] == ["keep-mine", "keep-theirs"]
    assert "\x1b" not in maildock("conflicts").out
    assert [row["state"] for row in maildock("pending", "--json").rows] == ["conflict"]
    assert maildock("status", "--json").rows[0]["conflicts"] == 1

    not_offered = maildock("conflicts", "resolve", number, "keep-both")
    assert not_offered.code == ExitCode.USAGE
    one_sentence(not_offered.err, "keep-both", "maildock conflicts")
    assert maildock("conflicts", "resolve", number, "skip").out == "Left as it is: 1 conflict.\n"
    assert len(maildock("conflicts", "--json").rows) == 1

    resolved = maildock("conflicts", "resolve", "--all", choice, "--json")

    assert resolved.rows == [{"verb": "resolve", "choice": choice, "conflicts": [number]}]
    assert maildock("conflicts").out == "No conflicts.\n"
    assert maildock("sync").code == 0
    assert "Message 1" in on_server(fake_imap, folder)
    assert ids(maildock, folder)["Message 1"] == key
    (settled,) = maildock("conflicts", "--all", "--json").rows
    assert settled["resolution"] == choice
    assert f"settled: {choice}" in maildock("conflicts", "--all").out


def test_an_operation_that_is_over_can_neither_be_cancelled_nor_retried_nor_approved(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    filled(maildock, fake_imap)
    assert maildock("flag", ids(maildock)["Message 1"], "seen").code == 0
    (row,) = maildock("pending", "--json").rows
    assert maildock("sync").code == 0

    for verb in ("cancel", "retry", "approve"):
        told = maildock("pending", verb, row["id"])
        assert (told.code, told.out) == (ExitCode.USAGE, "")
        one_sentence(told.err, f"nothing to {verb}")


@pytest.mark.parametrize(
    ("answer", "code", "left"), [(b"y\n", 0, 4), (b"n\n", ExitCode.CANCELED, 5)], ids=["yes", "no"]
)
def test_at_a_terminal_a_person_is_asked_before_anything_is_removed_for_good(
    maildock: Cli, fake_imap: FakeImap, answer: bytes, code: int, left: int
) -> None:
    filled(maildock, fake_imap)
    ours, theirs = pty.openpty()
    process = spawned(
        maildock.home, "delete", ids(maildock)["Message 1"], "--for-good", stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        shown = b""
        with contextlib.suppress(OSError):  # Linux says EIO when the last writer is gone
            while piece := terminal.read(65_536):
                shown += piece
                if b"[y/N]" in shown and answer:
                    terminal.write(answer)
                    answer = b""

    assert process.wait(HANG_SECONDS) == code
    assert b"Remove 1 message for good?" in shown
    assert len(ids(maildock)) == left


def test_what_is_hostile_stays_harmless_in_every_answer(maildock: Cli, fake_imap: FakeImap) -> None:
    evil = "[red]Lo\x07ud\x1b]0;x"
    fake_imap.add_folder(evil)
    fake_imap.append("INBOX", message(1, subject="\x1b[31mred\x1b[0m [bold]x[/bold]"))
    assert maildock("sync").code == 0
    key = next(iter(ids(maildock).values()))
    path = next(row["folder"] for row in maildock("folders", "--json").rows if row["folder"] != "INBOX")

    told = [
        maildock("copy", key, "--to", path),
        maildock("move", key, "--to", path),
        maildock("folder", "rename", path, "Quiet"),
        maildock("pending"),
        maildock("list", "Quiet"),
    ]

    assert [one.code for one in told] == [0] * len(told)
    assert not [one for one in told if {"\x1b", "\x07"} & set(one.out + one.err)]
    assert "[bold]x[/bold]" in told[3].out
    assert maildock("sync").code == 0
    assert len(on_server(fake_imap, "Quiet")) == 1
    with fake_imap.lock:
        assert len(fake_imap.folder("Quiet").messages) == 2


def test_a_server_that_cannot_remove_certain_messages_keeps_them_marked_and_that_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeImap(capabilities=BARE) as fake:
        maildock = Cli(tmp_path / "home", capsys, monkeypatch, fake.password)
        maildock.add(fake.port)
        filled(maildock, fake)
        fake.set_flags("INBOX", 5, ["\\Deleted"])
        key = ids(maildock)
        assert maildock("delete", key["Message 1"], "--for-good", "--yes").code == 0
        assert maildock("move", key["Message 2"], "--to", "Archive").code == 0

        synced = maildock("sync")

        assert synced.code == 0
        assert "marked as deleted and still there" in synced.err
        marked = {name for name, flags in on_server(fake, "INBOX").items() if b"\\Deleted" in flags}
        assert marked == {"Message 1", "Message 2", "Message 5"}
        assert set(on_server(fake, "Archive")) == {"Message 2"}
        assert "EXPUNGE" not in fake.command_names()
        opened = [name for name in fake.command_names() if name in ("SELECT", "EXAMINE", "CLOSE")]
        assert ("SELECT", "CLOSE") not in pairwise(opened)  # behind SELECT it would expunge
        assert ids(maildock, "Archive")["Message 2"] == key["Message 2"]
        assert maildock("list", "INBOX").out.count("x  ") == 3
        assert maildock("check", "--full").code == 0


def test_what_is_changed_in_an_account_that_is_only_read_stays_here_and_is_told(
    maildock: Cli, fake_imap: FakeImap, tmp_path: Path
) -> None:
    (tmp_path / "old.mbox").write_bytes(b"From jo\n" + message(1).replace(b"\r\n", b"\n") + b"\n")
    assert maildock("import-from", tmp_path / "old.mbox", "--as", "old").code == 0
    (row,) = maildock("list", "--all", "--json").rows

    assert maildock("flag", row["id"], "work").code == 0
    again = maildock("import-from", tmp_path / "old.mbox", "--as", "old")

    assert again.code == 0
    assert "can only be read" in again.err
    (now,) = maildock("list", "--all", "--json").rows
    assert now["flags"] == sorted({*row["flags"], "work"})
    assert now["pending"] == ["flags"]
