"""Maildir and mbox as people have them: nested, odd, half broken; and read without leaving a trace."""

import mailbox
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from provider.account import Account
from provider.cancel import Stop
from provider.errors import (
    FolderUnusable,
    InvalidRequest,
    Needs,
    ProtocolBroken,
    ProviderError,
    Unreachable,
    WrongProtocol,
)
from provider.limits import Limits
from provider.sources.base import BodyWanted, Session
from provider.sources.localfiles import maildir, mbox, session
from provider.sources.registry import source_of
from store.mail import AccountId, Role

from ..wire.rig import Ear


@contextmanager
def opened(
    kind: str, path: Path, name: bytes = b"INBOX", *, ear: Ear | None = None, limits: Limits | None = None
) -> Iterator[Session]:
    account = Account(id=AccountId("local"), kind=kind, path=path, limits=limits or Limits())
    made = source_of(account).connect(Stop(), ear or Ear())
    try:
        made.open(name, None)
        yield made
    finally:
        made.close()


def octets_of(made: Session) -> list[bytes]:
    whole: dict[int, bytes] = {}
    for chunk in made.bodies([BodyWanted(uid=uid, size=None) for uid in made.existing()]):
        whole[chunk.uid] = whole.get(chunk.uid, b"") + (chunk.octets or b"")
    return sorted(whole.values())


def new_maildir(path: Path) -> Path:
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True)
    return path


def paths(kind: str, path: Path) -> list[str]:
    account = Account(id=AccountId("local"), kind=kind, path=path)
    return [str(folder.path) for folder in source_of(account).connect(Stop(), Ear()).folders().folders]


def fingerprint(path: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(file.relative_to(path)): (
            file.stat().st_mtime_ns,
            file.stat().st_mode,
            file.read_bytes() if file.is_file() else b"",
        )
        for file in sorted(path.rglob("*"))
    }


ODD = (
    b"",
    b"\n",
    b"no header end",
    b"A: b\n\nlf only\n",
    b"A: b\r\n\r\ncrlf \x00 and nul\r\n",
    b"\xff\xfe",
    b"\r\r\r",
    b">From quoted\n",
)


def test_a_maildir_gives_every_octet_as_it_lies_on_disk(tmp_path: Path) -> None:
    new_maildir(tmp_path)
    for number, octets in enumerate(ODD):
        (tmp_path / "cur" / f"{number}.x:2,").write_bytes(octets)

    with opened("maildir", tmp_path) as made:
        assert octets_of(made) == sorted(ODD)
        assert {row.size for row in made.summaries(made.existing())} == {len(octets) for octets in ODD}


def test_an_mbox_gives_every_octet_as_the_stdlib_cuts_it(tmp_path: Path) -> None:
    file = tmp_path / "mail"
    box = mailbox.mbox(file)
    for octets in ODD:
        box.add(octets)
    box.flush()
    expected = sorted(box.get_bytes(key) for key in box.iterkeys())
    box.close()

    with opened("mbox", file) as made:
        assert octets_of(made) == expected
        assert len(expected) == len(ODD)


@pytest.mark.parametrize(
    ("info", "flags"),
    [
        ("", set()),
        (":2,", set()),
        (":2,S", {"\\Seen"}),
        (":2,DFPRST", {"\\Draft", "\\Flagged", "$Forwarded", "\\Answered", "\\Seen", "\\Deleted"}),
        (":2,SabzX", {"\\Seen"}),
        (":1,S", set()),
        (":2,FF", {"\\Flagged"}),
    ],
)
def test_flags_of_a_maildir_are_the_letters_of_its_names(tmp_path: Path, info: str, flags: set[str]) -> None:
    new_maildir(tmp_path)
    (tmp_path / "cur" / f"1.x{info}").write_bytes(b"A: b\n\n")

    with opened("maildir", tmp_path) as made:
        (row,) = made.flags(made.existing())
        assert row.flags == flags


def test_a_message_keeps_its_uid_when_its_flags_or_its_directory_change(tmp_path: Path) -> None:
    new_maildir(tmp_path)
    (tmp_path / "new" / "1.x").write_bytes(b"A: b\n\nbody")
    with opened("maildir", tmp_path) as made:
        before = made.existing()
        (tmp_path / "new" / "1.x").rename(tmp_path / "cur" / "1.x:2,RS")

        assert octets_of(made) == [b"A: b\n\nbody"]
        assert made.existing() == before
        (tmp_path / "cur" / "1.x:2,RS").rename(tmp_path / "cur" / "1.x:2,")
        assert b"".join(chunk.octets or b"" for chunk in made.bodies([BodyWanted(uid=before.lowest, size=None)])) == (
            b"A: b\n\nbody"
        )


def test_asked_again_flags_are_those_of_now_and_who_is_gone_does_not_answer(tmp_path: Path) -> None:
    new_maildir(tmp_path)
    for name in ("1.x", "2.x"):
        (tmp_path / "cur" / f"{name}:2,").write_bytes(b"A: b\n\n")
    with opened("maildir", tmp_path) as made:
        uids = made.existing()
        assert {row.flags for row in made.flags(uids)} == {frozenset()}
        (tmp_path / "cur" / "1.x:2,").rename(tmp_path / "cur" / "1.x:2,S")
        (tmp_path / "cur" / "2.x:2,").unlink()

        assert [row.flags for row in made.flags(uids)] == [{"\\Seen"}]
        assert len(made.existing()) == 1


def test_a_message_that_comes_back_answers_to_the_second_question(tmp_path: Path) -> None:
    new_maildir(tmp_path)
    file = tmp_path / "cur" / "1.x:2,"
    file.write_bytes(b"A: b\n\n")
    with opened("maildir", tmp_path) as made:
        uids = made.existing()
        file.rename(tmp_path / "aside")
        assert not made.existing()
        (tmp_path / "aside").rename(file)

        assert [row.uid for row in made.flags(uids)] == list(uids)


def test_maildir_folders_are_found_in_both_manners(tmp_path: Path) -> None:
    new_maildir(tmp_path)
    for name in (
        ".Sent",
        ".Lists.python",
        ".Entw&APw-rfe",
        ".a&-b",
        ".bad&!-",
        "plain",
        "plain/inner",
        "not/a/mailbox/here",
    ):
        new_maildir(tmp_path / name)
    (tmp_path / "empty" / "cur").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "plain")
    (tmp_path / os.fsdecode(b"odd\xff")).mkdir()
    new_maildir(tmp_path / os.fsdecode(b"odd\xff") / "cur-not")

    assert sorted(paths("maildir", tmp_path)) == sorted(
        [
            "INBOX",
            "Sent",
            "Lists/python",
            "Entwürfe",
            "a&b",
            "bad&!-",
            "plain",
            "plain/inner",
            "not/a/mailbox/here",
            "odd�/cur-not",
        ]
    )


def test_a_directory_of_maildirs_without_an_inbox_is_an_account_too(tmp_path: Path) -> None:
    new_maildir(tmp_path / "work")
    new_maildir(tmp_path / "INBOX")

    assert sorted(paths("maildir", tmp_path)) == ["INBOX", "work"]
    with opened("maildir", tmp_path, b"./INBOX") as made:
        assert not made.existing()


def test_mbox_files_are_found_in_directories_and_thunderbird_s(tmp_path: Path) -> None:
    start = b"From a@x Thu Jan  1 00:00:00 2026\nA: b\n\n\n"
    for name in ("Inbox", "Sent", "Lists.sbd/python", "old/2001"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(start)
    (tmp_path / "Lists").touch()
    (tmp_path / "Inbox.msf").write_bytes(b"// not mail")
    (tmp_path / ".hidden").write_bytes(start)
    (tmp_path / "linked").symlink_to(tmp_path / "Sent")

    account = Account(id=AccountId("local"), kind="mbox", path=tmp_path)
    folders = source_of(account).connect(Stop(), Ear()).folders().folders
    assert sorted(str(folder.path) for folder in folders) == ["INBOX", "Lists", "Lists/python", "Sent", "old/2001"]
    assert [folder.name for folder in folders if folder.role is Role.INBOX] == [b"INBOX"]


def test_two_inboxes_side_by_side_are_two_folders(tmp_path: Path) -> None:
    for name in ("INBOX", "inbox"):
        (tmp_path / name).write_bytes(b"From a\nSubject: " + name.encode() + b"\n\n\n")

    assert paths("mbox", tmp_path) == ["INBOX", "inbox"]
    with opened("mbox", tmp_path, b"./inbox") as made:
        assert octets_of(made) == [b"Subject: inbox\n\n"]


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
@pytest.mark.parametrize("make", ["missing", "text", "empty directory", "pipe"])
def test_a_path_that_is_no_mailbox_is_one_clear_sentence(tmp_path: Path, kind: str, make: str) -> None:
    path = tmp_path / "here"
    match make:
        case "text":
            path.write_text("just text")
        case "empty directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)

    with pytest.raises((WrongProtocol, Unreachable)) as raised:
        source_of(Account(id=AccountId("local"), kind=kind, path=path)).connect(Stop(), Ear())
    assert isinstance(raised.value, Unreachable if make == "missing" else WrongProtocol)
    assert raised.value.needs is Needs.USER
    assert str(path) in str(raised.value) and str(raised.value).endswith(".")


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_an_account_without_a_path_is_refused_before_any_work(kind: str) -> None:
    with pytest.raises(InvalidRequest, match="path"):
        source_of(Account(id=AccountId("local"), kind=kind))


@pytest.mark.parametrize("name", [b"../other", b"./../other", b"/etc", b"./INBOX", b"INBOX/..", b"\x00", b""])
def test_a_folder_name_never_becomes_a_path(tmp_path: Path, name: bytes) -> None:
    new_maildir(tmp_path / "other")
    account = Account(id=AccountId("local"), kind="maildir", path=new_maildir(tmp_path / "mine"))
    made = source_of(account).connect(Stop(), Ear())

    with pytest.raises(FolderUnusable):
        made.open(name, None)


def test_only_regular_files_are_messages(tmp_path: Path) -> None:
    new_maildir(tmp_path)
    (tmp_path / "secret").write_bytes(b"not mail")
    (tmp_path / "cur" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "cur" / "directory").mkdir()
    os.mkfifo(tmp_path / "new" / "pipe")
    (tmp_path / "cur" / ".hidden").write_bytes(b"A: b\n\n")

    with opened("maildir", tmp_path) as made:
        assert not made.existing()


def test_two_names_with_one_hash_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maildir, "uid_of", lambda octets: 7)
    monkeypatch.setattr(mbox, "uid_of", lambda octets: 7)
    new_maildir(tmp_path / "m")
    for name in ("1.x", "2.x"):
        (tmp_path / "m" / "cur" / name).write_bytes(b"A: b\n\n")
    (tmp_path / "b").write_bytes(b"From a\nA: b\n\n\nFrom a\nA: c\n\n\n")

    for kind, path in (("maildir", tmp_path / "m"), ("mbox", tmp_path / "b")):
        with pytest.raises(ProtocolBroken), opened(kind, path):
            pass


def test_uids_lie_between_one_and_the_bound() -> None:
    assert all(1 <= session.uid_of(b"%d" % number) < session.UID_ABOVE for number in range(1_000))


def test_copies_in_an_mbox_are_all_kept_and_those_that_stay_keep_their_uids(tmp_path: Path) -> None:
    """E27."""
    file = tmp_path / "mail"
    one, two = b"From a\nA: one\n\n\n", b"From a\nA: two\n\n\n"
    file.write_bytes(one + two + two + two)
    with opened("mbox", file) as made:
        before = made.existing()
        assert len(before) == 4
        file.write_bytes(two + two)

        assert len(made.existing()) == 2 and not made.existing() - before
        assert octets_of(made) == [b"A: two\n\n"] * 2


@pytest.mark.parametrize(
    ("line", "date"),
    [
        (b"From a@x Thu Jan  1 12:30:05 2026", datetime(2026, 1, 1, 12, 30, 5, tzinfo=UTC)),
        (b"From a@x Thu Jan 1 12:30 2026", datetime(2026, 1, 1, 12, 30, tzinfo=UTC)),
        (b"From - Thu Jan 01 12:30:05 CET 2026", datetime(2026, 1, 1, 12, 30, 5, tzinfo=UTC)),
        (
            b"From a Thu Jan 01 12:30:05 2026 -0330",
            datetime(2026, 1, 1, 12, 30, 5, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
        ),
        (b"From a Thu Foo 01 12:30:05 2026", None),
        (b"From a Thu Feb 31 12:30:05 2026", None),
        (b"From a Thu Jan 01 12:30:05 0000", None),
        (b"From a@x", None),
    ],
)
def test_the_arrival_in_an_mbox_is_what_its_from_line_says(tmp_path: Path, line: bytes, date: datetime | None) -> None:
    (tmp_path / "mail").write_bytes(line + b"\nA: b\n\n\n")

    with opened("mbox", tmp_path / "mail") as made:
        (row,) = made.summaries(made.existing())
        assert row.internal_date == date


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        (b"Status: RO\nX-Status: AF\n", {"\\Seen", "\\Answered", "\\Flagged"}),
        (b"X-Status: TD\r\n", {"\\Draft", "\\Deleted"}),
        (b"X-Mozilla-Status: 1007\n", {"\\Seen", "\\Answered", "\\Flagged", "$Forwarded"}),
        (b"Status: !!\nX-Mozilla-Status: zzzz\n", set()),
        (b"A: b\n\nStatus: R\n", set()),
    ],
)
def test_flags_of_an_mbox_are_its_status_fields(tmp_path: Path, fields: bytes, flags: set[str]) -> None:
    (tmp_path / "mail").write_bytes(b"From a\n" + fields + b"\n\n")

    with opened("mbox", tmp_path / "mail") as made:
        (row,) = made.flags(made.existing())
        assert row.flags == flags


def test_reading_leaves_no_trace(tmp_path: Path) -> None:
    new_maildir(tmp_path / "m")
    (tmp_path / "m" / "new" / "1.x").write_bytes(b"A: b\n\n")
    (tmp_path / "box").write_bytes(b"From a\nStatus: O\n\n>From x\n\n")
    before = fingerprint(tmp_path)

    for kind, name in (("maildir", "m"), ("mbox", "box")):
        with opened(kind, tmp_path / name) as made:
            octets_of(made)
            list(made.headers(made.existing(), with_summary=True))
            list(made.identities(made.existing()))

    assert fingerprint(tmp_path) == before


def test_a_header_beyond_the_limit_is_told_of_and_the_rest_goes_on(tmp_path: Path) -> None:
    new_maildir(tmp_path)
    (tmp_path / "cur" / "1.large").write_bytes(b"A: b\n" * 100_000 + b"\nbody")
    (tmp_path / "cur" / "2.small").write_bytes(b"A: b\n\nbody")
    ear = Ear()

    with opened("maildir", tmp_path, ear=ear, limits=Limits(header_octets=100_000)) as made:
        blocks = sorted((row.block or b"" for row in made.headers(made.existing())), key=len)
    assert blocks == [b"", b"A: b\n\n"] and ear.kinds() == ["limit"]


def test_a_message_beyond_the_limit_is_answered_without_octets(tmp_path: Path) -> None:
    new_maildir(tmp_path)
    (tmp_path / "cur" / "1.x").write_bytes(b"x" * 11)

    with opened("maildir", tmp_path, limits=Limits(message_octets=10)) as made:
        (chunk,) = made.bodies([BodyWanted(uid=made.existing().lowest, size=11)])
    assert chunk.octets is None and chunk.last and "10 octets" in chunk.reason


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_a_folder_that_goes_while_it_is_open_is_gone_by_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mail"
    if kind == "maildir":
        new_maildir(path)
    else:
        path.write_bytes(b"From a\nA: b\n\n\n")
    with opened(kind, path) as made:
        path.rename(tmp_path / "elsewhere")

        with pytest.raises(FolderUnusable, match="INBOX"):
            made.existing()


def test_sessions_may_be_closed_while_nothing_is_open(tmp_path: Path) -> None:
    account = Account(id=AccountId("local"), kind="maildir", path=new_maildir(tmp_path))
    made = source_of(account).connect(Stop(), Ear())

    with pytest.raises(ProviderError, match="No folder is open"):
        made.existing()
    made.close()
