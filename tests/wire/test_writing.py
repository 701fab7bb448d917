"""What is sent to change a server, octet by octet, and each rung of each ladder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from provider.errors import CommandRefused, ErrorKind, InvalidRequest, ServerBusy, SourceError
from provider.sources.imap.source import ImapSession
from provider.sources.writing import (
    Deleted,
    FolderWrite,
    Mark,
    Marked,
    Transfer,
    Transferred,
    Upload,
    WriteEnded,
    WriteOpened,
    WritingSession,
)
from store.mail import FolderPath, Role, UidSet, UidValidity
from tests.servers.fake_answer import Answer, Then
from tests.servers.fakeimap import BARE, FULL, NO_CONDSTORE, FakeImap
from tests.wire.canned import canned
from tests.wire.rig import scripted_session, session_to
from tests.wire.writes import SELECT, deletion, flagging, only, played, transfer, upload

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"
WRITING = frozenset({"SELECT", "UNSELECT", "UID STORE", "UID COPY", "UID MOVE", "UID EXPUNGE", "APPEND", "CREATE"})


@pytest.fixture
def fake() -> Iterator[FakeImap]:
    with FakeImap(preauth=True) as made:
        for _ in range(5):
            made.append("INBOX", MESSAGE, ["old"])
        made.add_folder("B")
        yield made


OPEN: list[ImapSession] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def joined(fake: FakeImap) -> ImapSession:
    """Return a session, which is closed when the test is over."""
    OPEN.append(session_to(fake.connect()))
    return OPEN[-1]


def epoch_of(fake: FakeImap, name: str = "INBOX") -> UidValidity:
    return UidValidity(fake.folder(name).uid_validity)


def sent(session: ImapSession, fake: FakeImap) -> list[bytes]:
    """Return what changed something, or could; the session is closed."""
    session.close()
    fake.wait_quiet()
    asked = WRITING | {"UID FETCH", "UID SEARCH", "CLOSE", "EXPUNGE", "EXAMINE"}
    return [command.raw.partition(b" ")[2].strip() for command in fake.commands if command.name in asked]


def lines(*writes: FolderWrite, capabilities: str) -> list[bytes]:
    """Return what is sent to a server that says OK to everything."""
    with scripted_session(canned({"SELECT": SELECT}), capabilities=capabilities) as (session, server):
        played(session, *writes)
        return [line for line in server.commands if not line.startswith((b"ENABLE", b"ID ", b"NAMESPACE"))]


def test_a_session_can_write() -> None:
    with scripted_session(canned({})) as (session, _):
        assert isinstance(session, WritingSession)


def test_marks_are_stored_and_read_in_one_flight() -> None:
    both = flagging("\\Seen", "a", uids=range(1, 100), remove=["b"], since=12)
    assert lines(both, capabilities="IMAP4REV1 CONDSTORE UIDPLUS")[:4] == [
        b'SELECT "INBOX" (CONDSTORE)',
        b"UID STORE 1:99 (UNCHANGEDSINCE 12) +FLAGS.SILENT (\\Seen a)",
        b"UID STORE 1:99 -FLAGS.SILENT (b)",
        b"UID FETCH 1:99 (UID FLAGS)",
    ]


def test_only_the_first_store_of_a_message_has_a_condition() -> None:
    first = Mark(uids=UidSet([1, 2]), add=frozenset({"a"}))
    second = Mark(uids=UidSet([2, 3]), remove=frozenset({"b"}))
    write = flagging(since=12)
    write = FolderWrite(
        name=write.name, epoch=write.epoch, unchanged_since=write.unchanged_since, marks=(first, second)
    )
    assert lines(write, capabilities="IMAP4REV1 CONDSTORE")[1:4] == [
        b"UID STORE 1:2 (UNCHANGEDSINCE 12) +FLAGS.SILENT (a)",
        b"UID STORE 3 (UNCHANGEDSINCE 12) -FLAGS.SILENT (b)",
        b"UID STORE 2 -FLAGS.SILENT (b)",
    ]
    assert b"UNCHANGEDSINCE" not in b"".join(lines(write, capabilities="IMAP4REV1"))


def test_a_long_set_is_cut_and_its_event_is_one() -> None:
    uids = range(100_001, 110_001, 2)
    with FakeImap(preauth=True) as fake:
        for uid in uids:
            fake.append("INBOX", MESSAGE, uid=uid)
        fake.add_folder("B")
        session = joined(fake)
        epoch = epoch_of(fake)
        told = only(played(session, flagging("a", uids=uids, epoch=epoch)), Marked)
        assert told.flags == {uid: {"a"} for uid in uids}
        moved = only(played(session, transfer(uids, epoch=epoch)), Transferred)
        assert list(moved.places) == list(uids) and not (moved.left or moved.gone or moved.unplaced)
        raw = [line for line in sent(session, fake) if line.startswith((b"UID STORE", b"UID MOVE"))]
        assert len(raw) > 8 and max(map(len, raw)) < 8_000


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("UIDPLUS MOVE", [b'UID MOVE 1:3 "B"']),
        ("MOVE", [b"UID SEARCH UID 1:3", b'UID MOVE 1:3 "B"']),
        (
            "UIDPLUS",
            [
                b"UID SEARCH UID 1:3",
                b'UID COPY 1:3 "B"',
                b"UID STORE 1:3 +FLAGS.SILENT (\\Deleted)",
                b"UID EXPUNGE 1:3",
            ],
        ),
        (
            "",
            [
                b"UID SEARCH UID 1:3",
                b'UID COPY 1:3 "B"',
                b"UID SEARCH UID 1:3",
                b"UID STORE 1:3 +FLAGS.SILENT (\\Deleted)",
            ],
        ),
    ],
)
def test_a_move_takes_the_best_way_there_is(words: str, wanted: list[bytes]) -> None:
    asked = lines(transfer(), capabilities=f"IMAP4REV1 {words}")[1:]
    assert asked[: len(wanted)] == wanted
    assert all(line == b"LOGOUT" or line.startswith(b"UID SEARCH") for line in asked[len(wanted) :])


def test_a_source_is_never_marked_before_its_copy_is_confirmed() -> None:
    answers = {"SELECT": SELECT, "UID COPY": b"<T> NO [OVERQUOTA] full\r\n"}
    with scripted_session(canned(answers), capabilities="IMAP4REV1 UIDPLUS") as (session, server):
        told = only(played(session, transfer()), Transferred)
        assert (str(told.left), told.lingering, told.places) == ("1:3", UidSet(), {})
        assert told.error is not None and told.error.response_code == "OVERQUOTA"
        assert not any(b"STORE" in line or b"EXPUNGE" in line for line in server.commands)


@pytest.mark.parametrize("announced", [FULL, NO_CONDSTORE, FULL - {"MOVE"}, FULL - {"UIDPLUS"}, BARE])
def test_nobody_elses_deleted_mail_is_expunged(announced: frozenset[str]) -> None:
    with FakeImap(capabilities=announced, preauth=True) as fake:
        for number in range(6):
            fake.append("INBOX", MESSAGE, ["\\Deleted"] if number == 5 else [])
        fake.add_folder("B")
        session = joined(fake)
        epoch = epoch_of(fake)
        moved = only(played(session, transfer([1, 2], epoch=epoch)), Transferred)
        gone = only(played(session, deletion([3], epoch=epoch)), Deleted)
        session.open(b"B", None)
        session.folders()
        stay = set() if "UIDPLUS" in announced else {3}
        stay |= {1, 2} if not {"UIDPLUS", "MOVE"} & announced else set()
        assert set(fake.folder("INBOX").messages) == {4, 5, 6} | stay
        assert (set(moved.lingering), set(gone.left)) == (stay - {3}, stay & {3})
        assert set(fake.folder("B").messages) == {1, 2}
        names = [command.name for command in fake.commands]
        session.close()
        assert "EXPUNGE" not in names and ("CLOSE" not in names or "EXAMINE" in names)


def test_close_comes_only_behind_an_examine() -> None:
    answers = {"SELECT": SELECT}
    with scripted_session(canned(answers), capabilities="IMAP4REV1") as (session, server):
        session.open(b"INBOX", None)
        session.folders()
        played(session, flagging("a"))
        session.folders()
        assert server.commands.count(b"CLOSE") == 2
        at = len(server.commands) - server.commands[::-1].index(b"CLOSE") - 1
        assert server.commands[at - 1] == b'EXAMINE "INBOX"'


def test_folders_ride_behind_each_other_and_come_back_when_they_must(fake: FakeImap) -> None:
    fake.append("B", MESSAGE)
    session = joined(fake)
    writes = [
        flagging("new", uids=[1, 2, 99], epoch=epoch_of(fake)),
        flagging("new", uids=[1], epoch=epoch_of(fake, "B"), name=b"B"),
    ]
    events = played(session, *writes)
    assert [type(event) for event in events] == [WriteOpened, Marked, WriteEnded] * 2
    assert events[1].gone == UidSet([99])  # type: ignore[union-attr]
    assert set(fake.folder("INBOX").messages[2].flags) == {b"old", b"new"}
    assert set(fake.folder("B").messages[1].flags) == {b"new"}
    opened = [line.split()[1] for line in sent(session, fake) if line.startswith(b"SELECT")]
    assert opened == [b'"INBOX"', b'"B"', b'"INBOX"', b'"B"']


def test_a_folder_that_cannot_be_changed_costs_only_itself(fake: FakeImap) -> None:
    fake.add_folder("locked", read_only=True)
    session = joined(fake)
    good = flagging("new", uids=[1], epoch=epoch_of(fake))
    bad = [
        flagging("new", uids=[1], epoch=7),
        flagging("new", uids=[1], name=b"nowhere"),
        flagging("new", uids=[1], name=b"locked", epoch=epoch_of(fake, "locked")),
    ]
    events = played(session, bad[0], good, *bad[1:], good)
    errors = {event.write: event.error for event in events if isinstance(event, WriteEnded)}
    told = [errors[write] for write in bad]
    assert [error and error.kind for error in told] == [
        ErrorKind.UIDVALIDITY_CHANGED,
        ErrorKind.FOLDER_GONE,
        ErrorKind.FOLDER_UNUSABLE,
    ]
    assert told[2] is not None and told[2].response_code == "READ-ONLY"
    assert sum(isinstance(event, Marked) for event in events) == 2
    assert not any(b"STORE" in line for line in sent(session, fake)[1:2]), "nothing is stored in the wrong epoch"


def test_flags_that_a_folder_does_not_keep_are_not_sent(fake: FakeImap) -> None:
    fake.folder("INBOX").permanent_flags = frozenset({b"\\Seen", b"Work"})
    session = joined(fake)
    told = only(played(session, flagging("\\Seen", "Work", "other", "\\Flagged", epoch=epoch_of(fake))), Marked)
    assert told.lost == {"other", "\\Flagged"} and told.error is None
    assert b"UID STORE 1:3 +FLAGS.SILENT (Work \\Seen)" in sent(session, fake)


def test_names_that_imap_cannot_spell_are_never_sent(fake: FakeImap) -> None:
    session = joined(fake)
    epoch = epoch_of(fake)
    told = only(played(session, flagging("a b", "\\Recent", "x\r\nW1 DELETE INBOX", "ok", epoch=epoch)), Marked)
    assert told.lost == {"a b", "\\Recent", "x\r\nW1 DELETE INBOX"} and told.error is None
    refused = only(played(session, flagging("ok", remove=["ä"], epoch=epoch)), Marked)
    assert isinstance(refused.error, CommandRefused)
    for odd in (b"a\r\nb", b"a\0"):
        with pytest.raises(InvalidRequest):
            played(session, transfer(target=odd, epoch=epoch))
    assert b"DELETE" not in fake.client_octets


def test_a_copy_that_failed_keeps_its_message_from_being_deleted(fake: FakeImap) -> None:
    session = joined(fake)
    copy = Transfer(uids=UidSet([1]), target=b"nowhere")
    good = Transfer(uids=UidSet([2]), target=b"B")
    write = FolderWrite(name=b"INBOX", epoch=epoch_of(fake), transfers=(copy, good), deletes=UidSet([1, 2, 3]))
    events = played(session, write)
    told = only(events, Deleted)
    assert (told.gone, told.left) == (UidSet([2, 3]), UidSet()) and told.error is not None
    assert set(fake.folder("INBOX").messages) == {1, 4, 5} and set(fake.folder("B").messages) == {1}


def test_steps_come_in_order_and_each_has_its_event(fake: FakeImap) -> None:
    fake.add_folder("C")
    session = joined(fake)
    copy = Transfer(uids=UidSet([1, 2]), target=b"B")
    move = Transfer(uids=UidSet([1]), target=b"C", move=True)
    mark = Mark(uids=UidSet([1]), add=frozenset({"new"}))
    write = FolderWrite(name=b"INBOX", epoch=epoch_of(fake), marks=(mark,), transfers=(copy, move), deletes=UidSet([5]))
    events = played(session, write)
    assert [type(event) for event in events] == [WriteOpened, Marked, Transferred, Transferred, Deleted, WriteEnded]
    assert {name: set(fake.folder(name).messages) for name in ("INBOX", "B", "C")} == {
        "INBOX": {2, 3, 4},
        "B": {1, 2},
        "C": {1},
    }
    assert all(b"new" in fake.folder(name).messages[1].flags for name in ("B", "C")), "flags go first"


def test_a_server_that_asks_for_rest_ends_the_session() -> None:
    answers = {
        "SELECT": SELECT,
        "UID STORE": b"<T> NO Request is throttled. Suggested Backoff Time: 3000 milliseconds\r\n",
    }
    with scripted_session(canned(answers)) as (session, _), pytest.raises(ServerBusy):
        played(session, flagging("a"))


@pytest.mark.parametrize(
    ("words", "octets"),
    [
        ("LITERAL+", b'APPEND "INBOX" (\\Seen) " 1-Feb-2020 03:04:05 +0000" {20+}\r\n' + MESSAGE),
        ("LITERAL-", b'APPEND "INBOX" (\\Seen) " 1-Feb-2020 03:04:05 +0000" {20+}\r\n' + MESSAGE),
        ("", b'APPEND "INBOX" (\\Seen) " 1-Feb-2020 03:04:05 +0000" {20}\r\n' + MESSAGE),
    ],
)
def test_a_message_is_appended_octet_by_octet(words: str, octets: bytes) -> None:
    date = datetime(2020, 2, 1, 3, 4, 5, tzinfo=UTC)
    one = Upload(octets=lambda: [MESSAGE[:7], MESSAGE[7:]], size=20, flags=frozenset({"\\Seen"}), internal_date=date)
    with scripted_session(canned({}), capabilities=f"IMAP4REV1 {words}") as (session, server):
        list(session.append(b"INBOX", [one]))
        assert bytes(server.octets).partition(b" ")[2] == octets + b"\r\n"


def test_many_messages_ride_in_one_command_and_one_by_one_when_it_is_refused(fake: FakeImap) -> None:
    fake.capabilities = FULL | {"MULTIAPPEND"}
    fake.append_octets_max = 1_000
    session = joined(fake)
    good = [upload(MESSAGE), upload(MESSAGE, "\\Flagged"), upload(MESSAGE)]
    told = list(session.append(b"B", good))
    assert [one.uid for one in told] == [1, 2, 3] and [one.upload for one in told] == good
    mixed = [upload(MESSAGE), upload(b"x" * 2_000), upload(MESSAGE)]
    told = list(session.append(b"B", mixed))
    assert [one.uid for one in told] == [4, None, 5]
    assert told[1].error is not None and told[1].error.response_code == "TOOBIG"
    session.close()
    assert next(command.raw.count(b"Subject") for command in fake.commands if command.name == "APPEND") == 3
    assert fake.command_names().count("APPEND") == 1 + 1 + 3


def test_what_cannot_be_sent_is_refused_before_anything_of_it_is() -> None:
    lying = Upload(octets=lambda: [b"short"], size=100)
    uploads = [upload(b"x" * 300), upload(b"a\0b"), lying, upload(b"fine")]
    capabilities = "IMAP4REV1 LITERAL+ APPENDLIMIT=200"
    with scripted_session(canned({}), capabilities=capabilities) as (session, server):
        told = list(session.append(b"INBOX", uploads))
        assert [one.error and one.error.response_code for one in told] == ["TOOBIG", "UNKNOWN-CTE", None, None]
        assert told[2].error is not None and told[3].error is None
        assert server.commands == [b'APPEND "INBOX" {4+}\r\nfine']


def test_a_line_that_breaks_while_messages_are_on_their_way_ends_in_doubt(fake: FakeImap) -> None:
    def cut(answer: Answer) -> None:
        answer.completion, answer.then = None, Then.RESET

    fake.faults.on("APPEND", cut, skip=2)
    session = joined(fake)
    told = []
    with pytest.raises(SourceError) as caught:
        told.extend(one.uid for one in session.append(b"B", [upload() for _ in range(5)]))
    assert caught.value.drops_connection
    assert len(fake.folder("B").messages) >= 3


def test_folders_are_named_as_the_server_wants_it() -> None:
    with FakeImap(preauth=True, delimiter=b".", capabilities=FULL | {"CREATE-SPECIAL-USE"}) as fake:
        fake.namespace = b'(("INBOX." ".")) NIL NIL'
        session = joined(fake)
        top = session.create(FolderPath(("Müll",)), parent=None, role=Role.TRASH)
        below = session.create(FolderPath(("Müll", "alt/neu")), parent=top, role=Role.FLAGGED)
        assert (top, below) == (b"INBOX.M&APw-ll", b"INBOX.M&APw-ll.alt/neu")
        assert fake.folder(top).special_use == b"\\Trash" and fake.folder(below).special_use is None
        assert session.create(FolderPath(("inbox",)), parent=None) == b"INBOX"
        for odd in ("a.b", "", "a\nb"):
            with pytest.raises(CommandRefused):
                session.create(FolderPath((odd,)), parent=None)
        assert session.rename(below, FolderPath(("neu",)), parent=None) == b"INBOX.neu"
        session.subscribe(b"INBOX.neu", False)
        assert not fake.folder(b"INBOX.neu").subscribed
        session.open(b"INBOX.neu", None)
        session.remove(b"INBOX.neu")
        session.remove(b"INBOX.neu")
        session.close()
        raw = [command.raw.partition(b" ")[2] for command in fake.commands if command.name == "CREATE"]
        assert raw[0] == b'CREATE "INBOX.M&APw-ll" (USE (\\Trash))\r\n'


def test_a_server_of_rev2_alone_is_told_names_in_utf8() -> None:
    with scripted_session(canned({}), capabilities="IMAP4REV2") as (session, server):
        assert session.create(FolderPath(("Käse",)), parent=None) == "Käse".encode()
        assert any(line.startswith(b"CREATE {5+}") for line in server.commands)


def test_statuses_leave_out_what_cannot_be_asked(fake: FakeImap) -> None:
    session = joined(fake)
    played(session, flagging("new", uids=[1], epoch=epoch_of(fake)))
    told = session.statuses([b"INBOX", b"nowhere", b"B"])
    assert {name: (status.messages, status.uid_next) for name, status in told.items()} == {
        b"INBOX": (5, 6),
        b"B": (0, 1),
    }
    assert fake.command_names()[-4:] == ["UNSELECT", "STATUS", "STATUS", "STATUS"]
    session.close()
