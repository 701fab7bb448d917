"""Opening folders: how exactly each kind of server lets us know what changed, and what is not believed."""

from __future__ import annotations

import pytest

from provider.errors import CommandRefused, ErrorKind, FolderUnusable, ProtocolBroken
from provider.sources.base import Exactness, Known, Opened
from provider.sources.imap.source import ImapSession
from store.mail import ModSeq, UidSet, UidValidity
from tests.servers.fake_answer import Answer
from tests.servers.fakeimap import BARE, FULL, NO_CONDSTORE, NO_QRESYNC, FakeImap
from tests.wire.canned import EXAMINE, KNOWN, canned, ok
from tests.wire.rig import Ear, scripted_session, session_to

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


def filled(fake: FakeImap, count: int = 10) -> None:
    for _ in range(count):
        fake.append("INBOX", MESSAGE)


def known_of(session: ImapSession, name: bytes = b"INBOX") -> Known:
    opened = session.open(name, None)
    assert opened.epoch is not None
    return Known(epoch=opened.epoch, mod_seq=opened.mod_seq, uids=session.existing(), uid_next=opened.uid_next)


def disturb(fake: FakeImap) -> None:
    fake.set_flags("INBOX", 3, ["\\Seen", "work"])
    fake.expunge("INBOX", 5, 6)
    fake.append("INBOX", MESSAGE)


@pytest.mark.parametrize(
    ("announced", "exactness"),
    [
        (FULL, Exactness.EXACT),
        (NO_QRESYNC, Exactness.FLAGS),
        (NO_QRESYNC - {"ENABLE"}, Exactness.FLAGS),
        (NO_CONDSTORE, Exactness.NONE),
        (BARE, Exactness.NONE),
    ],
)
def test_a_report_is_as_exact_as_the_server(announced: frozenset[str], exactness: Exactness) -> None:
    with FakeImap(capabilities=announced, preauth=True) as fake:
        filled(fake)
        session = session_to(fake.connect())
        known = known_of(session)
        assert (known.mod_seq is None) == (exactness is Exactness.NONE)
        session.close()
        disturb(fake)
        session = session_to(fake.connect())
        opened = session.open(b"INBOX", known)
        session.close()
        assert "SELECT" not in fake.command_names(), "reading never disturbs \\Recent"
    assert (opened.messages, opened.uid_next, opened.changes.exactness) == (9, 12, exactness)
    flags = {row.uid: set(row.flags) for row in opened.changes.flags if row.uid in known.uids}
    assert flags == ({} if exactness is Exactness.NONE else {3: {"\\Seen", "work"}})
    assert opened.changes.vanished == (UidSet([5, 6]) if exactness is Exactness.EXACT else UidSet())


@pytest.mark.parametrize("announced", [FULL, NO_QRESYNC])
def test_edge_1_of_another_epoch_no_changes_are_reported(announced: frozenset[str]) -> None:
    with FakeImap(capabilities=announced, preauth=True) as fake:
        filled(fake)
        session = session_to(fake.connect())
        known = known_of(session)
        fake.reset_uid_validity("INBOX")
        opened = session.open(b"INBOX", known)
        session.close()
    assert opened.epoch != known.epoch
    assert (opened.changes.exactness, opened.changes.flags, opened.changes.vanished) == (Exactness.NONE, (), UidSet())
    assert opened.mod_seq is not None, "the new epoch has its own cursor"


def test_the_question_for_changes_rides_behind_its_examine() -> None:
    with scripted_session(canned({"UID FETCH": ok(b"")}), capabilities="IMAP4REV1 CONDSTORE") as (session, server):
        session.open(b"INBOX", KNOWN)
    assert server.commands[:2] == [
        b'EXAMINE "INBOX" (CONDSTORE)',
        b"UID FETCH 1:4294967295 (UID FLAGS) (CHANGEDSINCE 10)",
    ]


def test_a_cursor_is_not_taken_where_mod_sequences_were_never_announced() -> None:
    with scripted_session(canned({"EXAMINE": EXAMINE})) as (session, server):
        assert session.open(b"INBOX", KNOWN).mod_seq is None
    assert server.commands[0] == b'EXAMINE "INBOX"'


def test_where_nothing_is_known_nothing_is_asked() -> None:
    known = Known(epoch=UidValidity(5), mod_seq=ModSeq(10), uids=UidSet())
    for words in ("IMAP4REV1 CONDSTORE", "IMAP4REV1 ENABLE CONDSTORE QRESYNC"):
        with scripted_session(canned({}), capabilities=words) as (session, server):
            opened = session.open(b"INBOX", known)
        assert (opened.changes.exactness, opened.changes.flags) == (Exactness.EXACT, ())
        assert not any(b"FETCH" in line or b"QRESYNC (" in line for line in server.commands)


def test_known_uids_are_left_out_where_they_do_not_fit_a_command() -> None:
    scattered = Known(epoch=UidValidity(5), mod_seq=ModSeq(10), uids=UidSet(range(1, 9_000, 2)))
    with scripted_session(canned({}), capabilities="IMAP4REV1 ENABLE CONDSTORE QRESYNC") as (session, server):
        assert session.open(b"INBOX", scattered).changes.exactness is Exactness.EXACT
    assert b'EXAMINE "INBOX" (QRESYNC (5 10))' in server.commands


def test_a_parameter_that_is_refused_demotes_the_server_and_opens_the_folder() -> None:
    refused = b"<T> BAD unknown parameter\r\n"
    ear = Ear()
    book = {"EXAMINE": [refused, refused, EXAMINE], "UID FETCH": refused}
    with scripted_session(canned(book), capabilities="IMAP4REV1 ENABLE CONDSTORE QRESYNC", ear=ear) as (
        session,
        server,
    ):
        opened = session.open(b"INBOX", KNOWN)
        assert (opened.messages, opened.mod_seq, opened.changes.exactness) == (3, None, Exactness.NONE)
        session.open(b"INBOX", KNOWN)
    asked = [line for line in server.commands if line.startswith(b"EXAMINE")]
    assert [b"QRESYNC" in line for line in asked] == [True, False, False, False]
    assert asked[2:] == [b'EXAMINE "INBOX"'] * 2
    assert ear.kinds() == ["server-demoted"] * 2


@pytest.mark.parametrize("ending", [b"<T> NO no\r\n", b"<T> BAD no\r\n"])
@pytest.mark.parametrize(("count", "exactness"), [(0, Exactness.FLAGS), (3, Exactness.NONE)])
def test_edge_20_changes_refused_in_an_empty_folder_are_no_changes(
    ending: bytes, count: int, exactness: Exactness
) -> None:
    book = {"EXAMINE": EXAMINE.replace(b"3 EXISTS", b"%d EXISTS" % count), "UID FETCH": ending}
    with scripted_session(canned(book), capabilities="IMAP4REV1 CONDSTORE") as (session, _):
        assert session.open(b"INBOX", KNOWN).changes.exactness is exactness


def test_edge_20_a_folder_that_never_tells_exists_is_empty() -> None:
    book = {"EXAMINE": EXAMINE.replace(b"* 3 EXISTS\r\n", b""), "UID SEARCH": b"<T> NO nothing to search\r\n"}
    with scripted_session(canned(book)) as (session, _):
        assert session.open(b"INBOX", None).messages == 0
        assert session.existing() == UidSet()


def test_edge_24_of_several_counts_the_last_one_is_taken() -> None:
    book = {"EXAMINE": EXAMINE.replace(b"* 3 EXISTS", b"* 1 EXISTS\r\n* 2 EXISTS\r\n* 3 EXISTS")}
    with scripted_session(canned(book)) as (session, _):
        assert session.open(b"INBOX", None).messages == 3


def test_edge_2_a_folder_renumbered_while_open_ends_the_session() -> None:
    renumbered = ok(b"* OK [UIDVALIDITY 6] new\r\n* SEARCH 1 2 3\r\n")
    with scripted_session(canned({"UID SEARCH": renumbered})) as (session, _):
        session.open(b"INBOX", None)
        with pytest.raises(ProtocolBroken) as caught:
            session.existing()
    assert caught.value.kind is ErrorKind.FOLDER_UNSTABLE


def test_what_belongs_to_the_folder_before_is_not_taken_for_the_next() -> None:
    late = b"* 9 EXISTS\r\n* 4 FETCH (UID 4 FLAGS (late))\r\n* VANISHED 3\r\n* OK [CLOSED] that was it\r\n"
    book = {"EXAMINE": [EXAMINE, late + EXAMINE]}
    with scripted_session(canned(book), capabilities="IMAP4REV1 ENABLE CONDSTORE QRESYNC") as (session, server):
        session.open(b"one", None)
        opened = session.open(b"two", KNOWN)
    assert (opened.messages, opened.changes.flags, opened.changes.vanished) == (3, (), UidSet())
    assert not any(line.startswith((b"UNSELECT", b"CLOSE")) for line in server.commands)


@pytest.mark.parametrize(
    ("words", "mode", "leave"),
    [
        ("IMAP4REV1 UNSELECT", b"READ-ONLY", [b"UNSELECT"]),
        ("IMAP4REV1", b"READ-ONLY", [b"CLOSE"]),
        ("IMAP4REV1", b"READ-WRITE", []),
    ],
)
def test_an_older_server_is_told_to_leave_and_never_to_expunge(words: str, mode: bytes, leave: list[bytes]) -> None:
    late = ok(b"* 9 EXISTS\r\n")
    book = {"EXAMINE": EXAMINE.replace(b"READ-ONLY", mode), "UNSELECT": late, "CLOSE": late}
    with scripted_session(canned(book), capabilities=words) as (session, server):
        session.open(b"one", None)
        assert session.open(b"two", None).messages == 3
    assert server.commands[1:-2] == leave


@pytest.mark.parametrize(
    ("ending", "expected", "kind"),
    [
        (b"NO [NONEXISTENT] x", FolderUnusable, ErrorKind.FOLDER_GONE),
        (b"NO Mailbox does not exist", FolderUnusable, ErrorKind.FOLDER_GONE),
        (b"NO [NOPERM] x", FolderUnusable, ErrorKind.FOLDER_UNUSABLE),
        (b"NO [SERVERBUG] x", CommandRefused, ErrorKind.COMMAND_REFUSED),
        (b"BAD x", CommandRefused, ErrorKind.COMMAND_REFUSED),
    ],
)
def test_a_folder_that_does_not_open_says_why_and_stops_no_other(
    ending: bytes, expected: type[FolderUnusable | CommandRefused], kind: ErrorKind
) -> None:
    book = {"EXAMINE": [b"<T> " + ending + b"\r\n", EXAMINE]}
    with scripted_session(canned(book)) as (session, _):
        with pytest.raises(expected) as caught:
            session.open(b"a \x1b[31mred\x1b[0m name", None)
        assert (caught.value.kind, caught.value.folder) == (kind, "a [31mred[0m name")
        assert not caught.value.drops_connection
        assert session.open(b"INBOX", None).messages == 3


def test_edge_8_the_cursor_is_that_of_the_moment_of_opening() -> None:
    def later(answer: Answer) -> None:
        answer.rows.append(b"* OK [HIGHESTMODSEQ 999999] later")

    with FakeImap(capabilities=NO_QRESYNC, preauth=True) as fake:
        filled(fake)
        session = session_to(fake.connect())
        known = known_of(session)
        fake.faults.on("UID FETCH", later)
        opened: Opened = session.open(b"INBOX", known)
        session.close()
    assert opened.mod_seq == fake.folder("INBOX").highest_modseq
