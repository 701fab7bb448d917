"""Everything that a session changes, on a real Dovecot: each rung of each ladder, seen by an independent client."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import TypeVar

import pytest

from provider.errors import ErrorKind
from provider.sources.imap.source import ImapSession
from provider.sources.writing import (
    Appended,
    Deleted,
    FolderWrite,
    Mark,
    Marked,
    Transfer,
    Transferred,
    Upload,
    WriteEnded,
    WriteEvent,
    WriteOpened,
)
from store.mail import FolderPath, Role, UidSet, UidValidity
from tests.live.test_imap_dovecot import message, plain, sha
from tests.servers.dovecot import Profile
from tests.servers.dovecot_socketpair import MailHome
from tests.servers.flights import FlightMeter
from tests.servers.plain_client import NewMessage
from tests.wire.rig import Ear, session_to

pytestmark = pytest.mark.servers

USUAL = (
    "IMAP4REV1 ENABLE ID NAMESPACE UNSELECT ESEARCH LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE CONDSTORE"
)
LADDERS = {
    "everything": f"{USUAL} UIDPLUS MOVE MULTIAPPEND LITERAL+",
    "qresync": f"{USUAL} QRESYNC UIDPLUS MOVE MULTIAPPEND LITERAL+",
    "without-multiappend": f"{USUAL} UIDPLUS MOVE LITERAL+",
    "literal-minus": f"{USUAL} UIDPLUS MOVE MULTIAPPEND LITERAL-",
    "without-move": f"{USUAL} UIDPLUS",
    "without-uidplus": f"{USUAL} MOVE",
    "without-both": USUAL,
    "bare": "IMAP4REV1",
}


class Counted:
    """A socket that counts flights, for a session that takes it for one."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.meter = FlightMeter()

    def send(self, octets: memoryview) -> int:
        count = self._sock.send(octets)
        self.meter.client(bytes(octets[:count]))
        return count

    def recv_into(self, buffer: bytearray) -> int:
        count = self._sock.recv_into(buffer)
        self.meter.server(bytes(memoryview(buffer)[:count]))
        return count

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


@pytest.fixture(params=list(LADDERS))
def words(request: pytest.FixtureRequest) -> frozenset[str]:
    return frozenset(LADDERS[request.param].split())


@pytest.fixture
def home() -> Iterator[MailHome]:
    with MailHome() as made:
        yield made


T = TypeVar("T")
Sessions = Callable[[], tuple[ImapSession, FlightMeter]]


@pytest.fixture
def session_of(home: MailHome, words: frozenset[str]) -> Iterator[Sessions]:
    made: list[ImapSession] = []

    def one() -> tuple[ImapSession, FlightMeter]:
        sock = Counted(home.connect())
        session = session_to(sock, capabilities=words, ear=Ear())  # type: ignore[arg-type]
        session.folders()  # greetings ride here
        made.append(session)
        sock.meter.flights = 0
        return session, sock.meter

    yield one
    for session in made:
        session.close()


def populate(home: MailHome, folder: str, count: int, flags: tuple[str, ...] = ()) -> None:
    with plain(home) as client:
        client.populate(folder, [NewMessage(octets=message(number), flags=flags) for number in range(1, count + 1)])


def ours(session: ImapSession, folder: bytes) -> tuple[UidValidity, dict[int, set[str]]]:
    """Return the epoch and the flags of each message."""
    opened = session.open(folder, None)
    uids = session.existing()
    assert opened.epoch is not None
    return opened.epoch, {row.uid: set(row.flags) for row in session.flags(uids)} if uids else {}


def played(session: ImapSession, *writes: FolderWrite) -> list[WriteEvent]:
    events = list(session.write(iter(writes)))
    ends = [event for event in events if isinstance(event, WriteEnded)]
    assert [end.write for end in ends] == list(writes)
    return events


def only(events: list[WriteEvent], kind: type[T]) -> T:
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


def upload(octets: bytes, *flags: str, date: datetime | None = None) -> Upload:
    return Upload(octets=lambda: [octets], size=len(octets), flags=frozenset(flags), internal_date=date)


def test_flags_are_added_and_removed_and_told(home: MailHome, session_of: Sessions) -> None:
    populate(home, "A", 6, ("\\Flagged", "old"))
    session, _ = session_of()
    epoch, _ = ours(session, b"A")
    first = Mark(uids=UidSet.span(1, 4), add=frozenset({"\\Seen", "new"}), remove=frozenset({"old"}))
    again = Mark(uids=UidSet([2, 3, 5, 99]), add=frozenset({"\\Answered"}), remove=frozenset({"\\Flagged"}))
    events = played(session, FolderWrite(name=b"A", epoch=epoch, marks=(first, again)))
    assert isinstance(events[0], WriteOpened) and events[0].new_keywords
    marked = [event for event in events if isinstance(event, Marked)]
    assert [event.mark for event in marked] == [first, again] and not any(event.error for event in marked)
    assert not any(event.lost or event.changed_elsewhere for event in marked)
    assert (marked[0].gone, marked[1].gone) == (UidSet(), UidSet([99]))
    wanted = {
        1: {"\\Seen", "new", "\\Flagged"},
        2: {"\\Seen", "new", "\\Answered"},
        3: {"\\Seen", "new", "\\Answered"},
        4: {"\\Seen", "new", "\\Flagged"},
        5: {"old", "\\Answered"},
        6: {"old", "\\Flagged"},
    }
    assert ours(session, b"A")[1] == wanted
    assert {uid: set(flags) for uid, flags in {**marked[0].flags, **marked[1].flags}.items()} == {
        uid: flags for uid, flags in wanted.items() if uid != 6
    }


def test_what_others_changed_is_named_and_kept(home: MailHome, session_of: Sessions, words: frozenset[str]) -> None:
    populate(home, "A", 3)
    session, _ = session_of()
    opened = session.open(b"A", None)
    other, _ = session_of()
    assert opened.epoch is not None
    theirs = Mark(uids=UidSet([2]), add=frozenset({"theirs"}))
    played(other, FolderWrite(name=b"A", epoch=opened.epoch, marks=(theirs,)))
    mine = Mark(uids=UidSet.span(1, 3), add=frozenset({"mine"}))
    write = FolderWrite(name=b"A", epoch=opened.epoch, unchanged_since=opened.mod_seq, marks=(mine,))
    told = only(played(session, write), Marked)
    assert told.changed_elsewhere == (UidSet([2]) if "CONDSTORE" in words else UidSet())
    assert {uid: set(flags) for uid, flags in told.flags.items()} == {1: {"mine"}, 2: {"mine", "theirs"}, 3: {"mine"}}


@pytest.mark.parametrize("move", [False, True], ids=["copy", "move"])
def test_messages_are_copied_and_moved(home: MailHome, session_of: Sessions, words: frozenset[str], move: bool) -> None:
    populate(home, "A", 5, ("\\Deleted",))
    populate(home, "B", 2)
    session, _ = session_of()
    epoch, _ = ours(session, b"A")
    target, _ = ours(session, b"B")
    transfer = Transfer(uids=UidSet([2, 3, 99]), target=b"B", move=move)
    told = only(played(session, FolderWrite(name=b"A", epoch=epoch, transfers=(transfer,))), Transferred)
    assert (told.gone, told.left, told.error) == (UidSet([99]), UidSet(), None)
    # Dovecot says COPYUID whether it announces UIDPLUS or not; what it says is true.
    assert (told.epoch, told.places, told.unplaced) == (target, {2: 3, 3: 4}, UidSet())
    stays = move and not words & {"MOVE", "UIDPLUS"}
    assert told.lingering == (UidSet([2, 3]) if stays else UidSet())
    there = ours(session, b"A")[1]
    assert set(there) == ({1, 2, 3, 4, 5} if stays or not move else {1, 4, 5}), "nobody else's \\Deleted is expunged"
    assert set(ours(session, b"B")[1]) == {1, 2, 3, 4}


def test_messages_are_deleted_and_nobody_elses(home: MailHome, session_of: Sessions, words: frozenset[str]) -> None:
    populate(home, "A", 5)
    session, _ = session_of()
    epoch, _ = ours(session, b"A")
    played(session, FolderWrite(name=b"A", epoch=epoch, marks=(Mark(uids=UidSet([5]), add=frozenset({"\\Deleted"})),)))
    told = only(played(session, FolderWrite(name=b"A", epoch=epoch, deletes=UidSet([1, 2, 77]))), Deleted)
    assert told.error is None
    there = ours(session, b"A")[1]
    if "UIDPLUS" in words:
        assert (told.gone, told.left, set(there)) == (UidSet([1, 2, 77]), UidSet(), {3, 4, 5})
    else:
        assert (told.gone, told.left, set(there)) == (UidSet([77]), UidSet([1, 2]), {1, 2, 3, 4, 5})
        assert there[1] == {"\\Deleted"}


def test_messages_are_appended_octet_by_octet(home: MailHome, session_of: Sessions) -> None:
    session, _ = session_of()
    date = datetime(2020, 2, 1, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    octets = [message(number, size) for number, size in enumerate((10, 5_000, 300_000, 100), 1)]
    uploads = [upload(one, "\\Seen", "$Sent", "\\Recent", "two words", date=date) for one in octets]
    uploads.insert(2, upload(b"Subject: nul\r\n\r\n\0\r\n"))
    told = list(session.append(b"INBOX", uploads))
    assert [one.upload for one in told] == uploads
    assert [one.error is None for one in told] == [True, True, False, True, True]
    assert [one.uid for one in told] == [1, 2, None, 3, 4]
    with plain(home) as client:
        mail = client.snapshot_folder("INBOX").messages
    assert [one.sha256 for one in mail.values()] == [sha(one) for one in octets]
    epoch, flags = ours(session, b"INBOX")
    assert list(flags.values()) == [{"\\Seen", "$Sent"}] * 4
    assert {row.internal_date for row in session.summaries(UidSet.span(1, 4))} == {date}
    assert {one.epoch for one in told} == {epoch, None}


def test_a_folder_that_is_not_there_takes_nothing(home: MailHome, session_of: Sessions) -> None:
    populate(home, "A", 2)
    session, _ = session_of()
    epoch, _ = ours(session, b"A")
    told = list(session.append(b"nowhere", [upload(message(1)), upload(message(2))]))
    assert [one.error and one.error.response_code for one in told] == ["TRYCREATE"] * 2
    for move in (False, True):
        transfer = Transfer(uids=UidSet([1, 2, 9]), target=b"nowhere", move=move)
        event = only(played(session, FolderWrite(name=b"A", epoch=epoch, transfers=(transfer,))), Transferred)
        assert event.error is not None and event.error.response_code == "TRYCREATE"
        assert (event.left, event.gone) == (UidSet([1, 2]), UidSet([9]))
    gone, made_anew = played(
        session, FolderWrite(name=b"nowhere", epoch=epoch), FolderWrite(name=b"A", epoch=UidValidity(epoch + 1))
    )
    assert isinstance(gone, WriteEnded) and gone.error is not None and gone.error.kind is ErrorKind.FOLDER_GONE
    assert isinstance(made_anew, WriteEnded) and made_anew.error is not None
    assert made_anew.error.kind is ErrorKind.UIDVALIDITY_CHANGED


def test_the_tree_is_changed(session_of: Sessions) -> None:
    # This Dovecot refuses the special use that most of these profiles claim it takes: the folder is made without.
    session, _ = session_of()
    top = session.create(FolderPath(("Käse & mehr",)), parent=None)
    assert session.create(FolderPath(("Käse & mehr",)), parent=None) == top, "what exists is no error"
    below = session.create(FolderPath(("Käse & mehr", "Unten")), parent=top, role=Role.ARCHIVE)
    session.subscribe(below, True)
    listed = {folder.path.names: folder for folder in session.folders().folders}
    assert listed["Käse & mehr", "Unten"].name == below and listed["Käse & mehr",].name == top
    assert listed["Käse & mehr", "Unten"].subscribed
    new = session.rename(top, FolderPath(("Brot",)), parent=None)
    assert {folder.path.names for folder in session.folders().folders} >= {("Brot",), ("Brot", "Unten")}
    session.remove(new + b"/Unten")
    session.remove(new)
    session.remove(new)
    assert {folder.path.names for folder in session.folders().folders} == {("INBOX",)}


def test_statuses_are_fresh_behind_writing(home: MailHome, session_of: Sessions) -> None:
    populate(home, "A", 4)
    populate(home, "B", 1)
    session, _ = session_of()
    epoch, _ = ours(session, b"A")
    played(session, FolderWrite(name=b"A", epoch=epoch, transfers=(Transfer(uids=UidSet([1]), target=b"B"),)))
    list(session.append(b"A", [upload(message(9))]))
    told = session.statuses([b"A", b"B", b"nowhere"])
    assert {name: status.messages for name, status in told.items()} == {b"A": 5, b"B": 2}
    assert {folder.name: folder.status and folder.status.messages for folder in session.folders().folders} == {
        b"INBOX": 0,
        b"A": 5,
        b"B": 2,
    }


def test_ten_folders_cost_eleven_flights(home: MailHome, session_of: Sessions) -> None:
    names = [f"F{number}" for number in range(10)]
    for name in names:
        populate(home, name, 20)
    session, meter = session_of()
    epochs = {name: ours(session, name.encode())[0] for name in names}
    uids = UidSet.span(1, 20)
    meter.flights = 0
    events = played(
        session,
        *(
            FolderWrite(name=name.encode(), epoch=epochs[name], marks=(Mark(uids=uids, add=frozenset({"\\Seen"})),))
            for name in names
        ),
    )
    assert meter.flights <= 11
    assert all(len(event.flags) == 20 for event in events if isinstance(event, Marked))


def test_five_hundred_moves_cost_two_flights(home: MailHome, session_of: Sessions, words: frozenset[str]) -> None:
    populate(home, "A", 500)
    populate(home, "B", 1)
    session, meter = session_of()
    epoch, _ = ours(session, b"A")
    meter.flights = 0
    transfer = Transfer(uids=UidSet(range(1, 500, 2)), target=b"B", move=True)
    told = only(played(session, FolderWrite(name=b"A", epoch=epoch, transfers=(transfer,))), Transferred)
    assert len(told.places) + len(told.unplaced) == 250
    assert meter.flights <= (2 if "MOVE" in words else 3)


def test_two_hundred_appends_cost_a_flight_or_one_each(
    home: MailHome, session_of: Sessions, words: frozenset[str]
) -> None:
    session, meter = session_of()
    told: list[Appended] = list(session.append(b"INBOX", [upload(message(number, 5_000)) for number in range(200)]))
    assert not any(one.error for one in told)
    # 64 may be unanswered: where the server is faster than we are, it has answered all of them now and then.
    assert meter.flights <= (200 // 64 + 1 if "LITERAL+" in words else 201)


def test_the_profiles_of_the_server_itself_take_the_same() -> None:
    for profile in Profile:
        with MailHome(profile=profile) as home:
            populate(home, "A", 3)
            session = session_to(home.connect(), ear=Ear())
            epoch, _ = ours(session, b"A")
            transfer = Transfer(uids=UidSet([2]), target=b"INBOX", move=True)
            told = only(played(session, FolderWrite(name=b"A", epoch=epoch, transfers=(transfer,))), Transferred)
            assert len(told.places) + len(told.unplaced) == 1
            session.close()
