"""What a person changes with the command is there at once, and arrives with the next sync."""

import io
import sys
from pathlib import Path

import pytest

from provider.cli.exits import ExitCode

from ..servers.fakeimap import FakeImap
from .cli_rig import Cli, filled, ids, message, on_server
from .test_cli_bad_input import one_sentence


def test_flags_are_seen_at_once_and_arrive_with_the_next_sync(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)

    told = maildock("flag", key["Message 1"], key["Message 2"], "read", "STARRED", "$Work")

    assert told.code == 0
    assert told.out == "Marked 2 messages: read, STARRED, $Work.\n"
    assert "maildock undo" in told.err
    row = next(row for row in maildock("list", "INBOX", "--json").rows if row["subject"] == "Message 1")
    assert (row["flags"], row["pending"]) == (["$Work", "\\Flagged", "\\Seen"], ["flags"])
    assert on_server(fake_imap, "INBOX")["Message 1"] == frozenset()

    synced = maildock("sync")

    assert synced.code == 0
    assert "INBOX: sent +0 *2 -0" in synced.out
    assert synced.out.splitlines()[-1].endswith("sent +0 *2 -0")
    assert on_server(fake_imap, "INBOX")["Message 1"] == {b"\\Seen", b"\\Flagged", b"$Work"}
    assert {tuple(row["pending"]) for row in maildock("list", "INBOX", "--json").rows} == {()}


def test_unflag_takes_flags_off(maildock: Cli, fake_imap: FakeImap) -> None:
    fake_imap.append("INBOX", message(1), ["\\Seen", "work"])
    assert maildock("sync").code == 0
    key = ids(maildock)["Message 1"]

    assert maildock("unflag", key, "seen", "WORK").code == 0
    assert maildock("sync").code == 0

    assert on_server(fake_imap, "INBOX") == {"Message 1": frozenset()}


def test_json_tells_what_was_done(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)["Message 1"]

    (row,) = maildock("flag", key, "seen", "--json").rows
    (again,) = maildock("flag", key, "seen", "--json").rows

    (operation,) = maildock("pending", "--json").rows
    assert row == {
        "verb": "flag",
        "batch": operation["batch"],
        "operations": [operation["id"]],
        "messages": [key],
    }
    assert again == {"verb": "flag", "batch": None, "operations": [], "messages": [key]}


def test_what_is_so_already_changes_nothing_and_is_no_error(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)["Message 1"]

    for words in (("unflag", key, "seen"), ("move", key, "--to", "inbox"), ("folder", "rename", "Archive", "Archive")):
        told = maildock(*words)
        assert (told.code, told.out.startswith("Nothing changed"), told.err) == (0, True, ""), words

    assert maildock("pending").out == "Nothing waits to be sent.\n"


def test_a_moved_message_keeps_its_id_and_is_shown_without_a_uid_until_it_is_there(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)["Message 3"]

    told = maildock("move", key, "--to", "Archive")

    assert (told.code, told.out) == (0, "Moved 1 message to Archive.\n")
    (row,) = maildock("list", "Archive", "--json").rows
    assert (row["id"], row["uid"], row["uidvalidity"], row["pending"]) == (key, None, None, ["move"])
    assert "^" in maildock("list", "Archive").out
    assert "Hello." in maildock("show", key).out

    assert maildock("sync").code == 0

    (row,) = maildock("list", "Archive", "--json").rows
    assert (row["id"], row["uid"], row["pending"]) == (key, 1, [])
    assert "Message 3" in on_server(fake_imap, "Archive")
    assert "Message 3" not in on_server(fake_imap, "INBOX")
    assert maildock("check", "--full").code == 0


def test_a_move_back_to_where_it_was_leaves_nothing_to_send(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)["Message 3"]

    assert maildock("move", key, "--to", "Archive").code == 0
    back = maildock("move", key, "--to", "INBOX")

    assert back.code == 0
    assert "Nothing has to be sent" in back.out
    assert maildock("pending").out == "Nothing waits to be sent.\n"


def test_copies_have_ids_of_their_own_and_arrive(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)

    (row,) = maildock("copy", key["Message 1"], key["Message 2"], "--to", "Archive", "--json").rows

    assert row["verb"] == "copy"
    assert not {key["Message 1"], key["Message 2"]} & set(row["messages"])
    assert set(ids(maildock, "Archive").values()) == set(row["messages"])
    assert maildock("sync").code == 0
    assert set(on_server(fake_imap, "Archive")) == {"Message 1", "Message 2"}
    assert len(on_server(fake_imap, "INBOX")) == 5
    assert set(ids(maildock, "Archive").values()) == set(row["messages"])


def test_deleted_mail_goes_to_the_trash_and_from_there_for_good(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)["Message 5"]

    told = maildock("delete", key)
    assert (told.code, told.out) == (0, "Moved 1 message to the trash.\n")
    assert maildock("sync").code == 0
    assert set(on_server(fake_imap, "Trash")) == {"Message 5"}

    refused = maildock("delete", key)
    assert refused.code == ExitCode.USAGE
    one_sentence(refused.err, "1 message would be removed for good", "--yes")
    gone = maildock("delete", key, "--yes")
    assert (gone.code, gone.out) == (0, "Removed 1 message; for good once it is sent.\n")
    assert maildock("show", key).code == ExitCode.USAGE
    assert maildock("sync").code == 0
    assert on_server(fake_imap, "Trash") == {}


def test_for_good_passes_the_trash_by(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)["Message 5"]

    assert maildock("delete", key, "--for-good").code == ExitCode.USAGE
    assert maildock("delete", key, "--for-good", "--yes").code == 0
    assert maildock("sync").code == 0

    assert (len(on_server(fake_imap, "INBOX")), on_server(fake_imap, "Trash")) == (4, {})


def test_messages_come_from_files_with_flags_and_date_all_or_none(
    maildock: Cli, fake_imap: FakeImap, tmp_path: Path
) -> None:
    filled(maildock, fake_imap)
    (tmp_path / "one.eml").write_bytes(message(11))
    (tmp_path / "two.eml").write_bytes(message(12).replace(b"\r\n", b"\n"))
    (tmp_path / "novel.txt").write_text("Chapter one\nIt rained.\n")

    none = maildock("append", "--to", "Archive", tmp_path / "one.eml", tmp_path / "novel.txt")
    assert none.code == ExitCode.USAGE
    assert ids(maildock, "Archive") == {}

    date = "2026-01-02T03:04:05+01:00"
    files = (tmp_path / "one.eml", tmp_path / "two.eml")
    (row,) = maildock(
        "append", "--to", "Archive", "--flag", "draft", "--flag", "$new", "--date", date, *files, "--json"
    ).rows

    assert list(ids(maildock, "Archive")) == ["Message 12", "Message 11"]
    assert set(ids(maildock, "Archive").values()) == set(row["messages"])
    assert maildock("sync").code == 0
    assert on_server(fake_imap, "Archive") == {name: {b"\\Draft", b"$new"} for name in ("Message 11", "Message 12")}
    with fake_imap.lock:
        arrived = list(fake_imap.folder("Archive").messages.values())
    assert {found.octets for found in arrived} == {message(11), message(12)}
    assert {found.internal_date.strip() for found in arrived} == {"2-Jan-2026 03:04:05 +0100"}
    assert set(ids(maildock, "Archive").values()) == set(row["messages"])


def test_a_message_comes_from_the_standard_input(
    maildock: Cli, fake_imap: FakeImap, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(maildock, fake_imap)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(message(21))))

    assert maildock("append", "--to", "Archive", "-").code == 0

    assert list(ids(maildock, "Archive")) == ["Message 21"]


def test_a_draft_is_replaced_by_its_newer_version(maildock: Cli, fake_imap: FakeImap, tmp_path: Path) -> None:
    filled(maildock, fake_imap)
    old = ids(maildock)["Message 1"]
    newer = tmp_path / "newer.eml"
    newer.write_bytes(message(31))

    two = maildock("append", "--to", "INBOX", "--replaces", old, newer, newer)
    assert two.code == ExitCode.USAGE and "Message 1" in ids(maildock)
    assert maildock("append", "--to", "INBOX", "--replaces", old, "--flag", "draft", newer).code == 0

    assert "Message 1" not in ids(maildock)
    assert maildock("sync").code == 0
    there = on_server(fake_imap, "INBOX")
    assert "Message 1" not in there and there["Message 31"] == {b"\\Draft"}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"From jo Sat Nov 21 10:00:00 2026\n\nHello\n", "mbox"),
        (b"Chapter one\nIt rained.\n", "header field"),
        (b"Subject: zero\r\n\r\n\0\r\n", "NUL"),
    ],
    ids=["empty", "mbox", "novel", "nul"],
)
def test_a_file_that_is_no_message_is_refused(
    maildock: Cli, fake_imap: FakeImap, tmp_path: Path, content: bytes, word: str
) -> None:
    filled(maildock, fake_imap)
    (tmp_path / "it.eml").write_bytes(content)

    told = maildock("append", "--to", "Archive", tmp_path / "it.eml")

    assert (told.code, told.out) == (ExitCode.USAGE, "")
    one_sentence(told.err, "it.eml", word)


def test_folders_are_created_renamed_subscribed_to_and_deleted(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    fake_imap.add_folder("Old")
    assert maildock("sync").code == 0

    assert maildock("folder", "create", "Lists/Über").out == "Created Lists/Über.\n"
    key = ids(maildock)["Message 1"]
    assert maildock("move", key, "--to", "Lists/Über").code == 0
    assert maildock("folder", "rename", "Archive", "Attic").code == 0
    assert maildock("folder", "unsubscribe", "Trash").code == 0
    assert maildock("folder", "subscribe", "Trash").code == 0
    assert maildock("folder", "unsubscribe", "Attic").code == 0
    assert maildock("folder", "delete", "Old").out == "Deleted Old.\n"

    here = {row["folder"]: row["state"] for row in maildock("folders", "--json").rows}
    assert (here["Lists"], here["Lists/Über"], here["Attic"]) == ("local", "local", "active")
    assert "Old" not in here

    synced = maildock("sync")

    assert synced.code == 0
    assert "folders +2 ~1 -1" in synced.out
    there = {row["folder"]: row for row in maildock("folders", "--json").rows}
    assert set(there) == {"INBOX", "Trash", "Lists", "Lists/Über", "Attic"}
    assert {row["state"] for row in there.values()} == {"active"}
    assert set(on_server(fake_imap, "Lists/Über")) == {"Message 1"}
    with fake_imap.lock:
        assert [fake_imap.folder(name).subscribed for name in ("Trash", "Attic")] == [True, False]
        assert b"Old" not in fake_imap.mailbox.folders


def test_each_direction_works_alone(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)["Message 1"]
    assert maildock("flag", key, "seen").code == 0
    fake_imap.append("INBOX", message(6))

    assert maildock("sync", "--download-only").code == 0
    assert "Message 6" in ids(maildock)
    assert on_server(fake_imap, "INBOX")["Message 1"] == frozenset()

    fake_imap.append("INBOX", message(7))
    assert maildock("sync", "--upload-only").code == 0
    assert "Message 7" not in ids(maildock)
    assert on_server(fake_imap, "INBOX")["Message 1"] == {b"\\Seen"}

    both = maildock("sync", "--upload-only", "--download-only")
    assert both.code == ExitCode.USAGE
    one_sentence(both.err, "--upload-only")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)["Message 1"]
    maildock("flag", key, "flagged")
    fake_imap.append("INBOX", message(9))

    told = maildock("sync", "--dry-run")

    assert told.code == 0
    assert told.out.splitlines()[-1].endswith("sent +0 *1 -0")
    assert "A dry run" in told.out
    assert "+1 " in told.out.splitlines()[-1]
    assert b"\\Flagged" not in on_server(fake_imap, "INBOX")["Message 1"]
    assert "Message 9" not in ids(maildock)
    assert len(maildock("pending", "--json").rows) == 1
    assert maildock("sync", "--dry-run", "--yes").code == ExitCode.USAGE


def test_a_dry_run_counts_both_ways_and_changes_nothing(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    key = ids(maildock)
    assert maildock("flag", key["Message 1"], "seen").code == 0
    assert maildock("move", key["Message 2"], "--to", "Archive").code == 0
    fake_imap.append("INBOX", message(6))
    before = [maildock(*words, "--json").rows for words in (("list", "--all"), ("pending",), ("folders",))]
    commands = len(fake_imap.commands)

    told = maildock("sync", "--dry-run")

    assert told.code == 0
    assert "dry run" in told.out
    assert told.out.splitlines()[-1].startswith("work: succeeded; +1 *0 .0 -0")
    assert told.out.splitlines()[-1].endswith("sent +1 *1 -1")
    assert not {"UID STORE", "UID MOVE", "SELECT"} & set(fake_imap.command_names()[commands:])
    assert [maildock(*words, "--json").rows for words in (("list", "--all"), ("pending",), ("folders",))] == before

    both = maildock("sync", "--dry-run", "--yes")
    assert both.code == ExitCode.USAGE
    one_sentence(both.err, "--dry-run", "--yes")


def test_json_events_of_a_sync_tell_what_was_sent(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    assert maildock("flag", ids(maildock)["Message 1"], "seen").code == 0

    rows = maildock("sync", "--json").rows

    assert rows[-1]["uploaded"]["read"] == 1
    ends = {row.get("folder"): row["uploaded"] for row in rows if row["type"] == "progress" and "uploaded" in row}
    assert (ends["INBOX"]["read"], ends[None]["read"], ends["Archive"]["read"]) == (1, 1, 0)


BAD = [
    (("flag", "99", "seen"), "99"),
    (("flag", "0", "seen"), "0"),
    (("flag", str(2**63), "seen"), str(2**63)),
    (("flag", "1", "deleted"), "maildock delete"),
    (("flag", "1", "\\Recent"), "Recent"),
    (("flag", "1", "unread"), "maildock unflag"),
    (("flag", "1", "two words"), "two words"),
    (("flag", "1", "a\x1b[31m"), "flag"),
    (("flag", "seen"), "ids"),
    (("flag", "1", "seen", "2"), "ids"),
    (("unflag", "1"), "ids"),
    (("move", "1", "--to", "Nowhere"), "Nowhere"),
    (("move", "99", "--to", "Archive"), "99"),
    (("copy", "1", "--to", "Nowhere"), "Nowhere"),
    (("delete", "99"), "99"),
    (("append", "--to", "Nowhere", __file__), "no message"),
    (("append", "--to", "Archive", "/nowhere/it.eml"), "/nowhere/it.eml"),
    (("append", "--to", "Archive", "--date", "yesterday", "-"), "yesterday"),
    (("append", "--to", "Archive", "-", "-"), "once"),
    (("folder", "create", "Archive"), "Archive"),
    (("folder", "create", "a//b"), "path"),
    (("folder", "create", "New", "--account", "wrok"), "wrok"),
    (("folder", "rename", "Nowhere", "New"), "Nowhere"),
    (("folder", "rename", "INBOX", "New"), "INBOX"),
    (("folder", "rename", "Archive", "Archive/Below"), "below"),
    (("folder", "delete", "INBOX", "--yes"), "INBOX"),
    (("folder", "subscribe", "Nowhere"), "Nowhere"),
    (("pending", "--account", "wrok"), "wrok"),
    (("pending", "cancel", "4711"), "4711"),
    (("pending", "cancel", "0"), "0"),
    (("pending", "retry", "4711"), "4711"),
    (("pending", "approve", "4711"), "4711"),
    (("undo", "4711"), "nothing"),
    (("conflicts", "resolve", "4711", "keep-mine"), "conflict"),
    (("conflicts", "resolve", "x", "keep-mine"), "'x'"),
    (("conflicts", "resolve", "1", "keep-calm"), "keep-calm"),
    (("conflicts", "resolve", "keep-mine"), "--all"),
    (("conflicts", "resolve", "1", "keep-mine", "--all"), "--all"),
]


@pytest.mark.parametrize(("words", "named"), BAD, ids=[" ".join(words)[:40].replace("\x1b", "ESC") for words, _ in BAD])
def test_what_makes_no_sense_is_one_sentence_and_changes_nothing(
    maildock: Cli, fake_imap: FakeImap, words: tuple[str, ...], named: str
) -> None:
    filled(maildock, fake_imap)

    told = maildock(*words)

    assert (told.code, told.out) == (ExitCode.USAGE, "")
    one_sentence(told.err, named)
    assert "\x1b" not in told.err
    assert maildock("pending").out == "Nothing waits to be sent.\n"


def test_mail_of_several_accounts_is_not_moved_together_and_folders_of_several_need_a_name(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    filled(maildock, fake_imap)
    maildock.add(fake_imap.port, name="home")
    assert maildock("sync", "home").code == 0
    one, other = (maildock("list", "INBOX", "--account", name, "--json").rows[0]["id"] for name in ("work", "home"))

    moved = maildock("move", one, other, "--to", "Archive")
    created = maildock("folder", "create", "New")

    for told in (moved, created):
        assert (told.code, told.out) == (ExitCode.USAGE, "")
        one_sentence(told.err, "several accounts", "work", "home")
    assert maildock("folder", "create", "New", "--account", "home").code == 0
    assert maildock("delete", one, other).out == "Moved 2 messages to the trash.\n"
    assert {row["account"] for row in maildock("pending", "--json").rows} == {"work", "home"}
    assert "account" in maildock("pending").out.splitlines()[0]


@pytest.mark.parametrize(
    "words", [("flag", "1", "seen"), ("append", "--to", "INBOX", "-"), ("pending",), ("conflicts",), ("undo", "1")]
)
def test_where_there_is_no_store_yet_nothing_can_be_changed(
    maildock: Cli, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(message(1))))

    told = maildock(*words)

    assert told.code == ExitCode.STORE
    one_sentence(told.err, "maildock sync")
    assert not (maildock.home / "mail.db").exists()
