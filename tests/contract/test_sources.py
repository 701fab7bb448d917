"""One suite for whatever stands behind the seam of ``provider.sources.base``: all sources keep the same promises.

Memory in three exactnesses, Maildir, mbox, IMAP against the fake server with four sets of capabilities, and IMAP
against real Dovecot.
"""

import imaplib
import mailbox
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provider.account import Account, Password, Security
from provider.cancel import Stop
from provider.errors import Cancelled, ErrorKind, FolderUnusable, InvalidRequest, SourceError
from provider.rawmail import header_block, message_id
from provider.sources.base import BodyWanted, Exactness, Known, Session
from provider.sources.registry import source_of
from provider.testing import MemoryServer
from store.mail import AccountId, Role, Uid, UidSet

from ..servers.dovecot import Profile
from ..servers.dovecot_socketpair import MailHome
from ..servers.fakeimap import BARE, FULL, NO_CONDSTORE, NO_QRESYNC, FakeImap
from ..servers.plain_client import PlainClient
from ..servers.require import require_dovecot_socketpair
from ..wire.rig import Ear, session_to

DATE = datetime(2023, 7, 17, 2, 44, 25, tzinfo=UTC)
IMAP_DATE = "17-Jul-2023 02:44:25 +0000"
PLAIN = b"From: a@x.example\r\nSubject: plain\r\nMessage-ID: <plain@x.example>\r\n\r\nhello\r\n"
EIGHT_BIT = (
    b"Subject: Gr\xfc\xdfe\r\nMessage-Id:\r\n <eight@x.example>\r\n\r\n\xe4\xf6\xfc \xff\xfe\r\n.\r\nFrom-like\r\n"
)
LARGE = b"Subject: large\r\n\r\n" + b"a line of a large message that must come in pieces\r\n" * 13_000
ALIKE = b"Subject: twice\r\nMessage-ID: <twice@x.example>\r\n\r\nthe very same\r\n"
MAIL = (PLAIN, EIGHT_BIT, LARGE, ALIKE, ALIKE)


@dataclass(kw_only=True)
class Place:
    """Somewhere mail lies, and what a test may do there."""

    connect: Callable[[Stop, Ear], Session]
    append: Callable[[bytes], object]
    """To INBOX, unseen, arrived at DATE."""
    see: Callable[[bytes], None]
    """Mark the first message with these octets as seen."""
    remove: Callable[[bytes], None]
    exactness: Exactness
    sets_flags_in_place: bool = True
    ear: Ear = field(default_factory=Ear)

    def session(self, stop: Stop | None = None) -> Session:
        return self.connect(stop or Stop(), self.ear)


Build = Callable[[ExitStack, pytest.FixtureRequest], Place]


def memory_place(exactness: Exactness) -> Build:
    def build(stack: ExitStack, request: pytest.FixtureRequest) -> Place:
        server = MemoryServer(exactness=exactness)
        server.add_folder("Lists/python", role=None)

        def uid(octets: bytes) -> int:
            return next(message.uid for message in server.messages("INBOX") if message.octets == octets)

        return Place(
            connect=source_of(server.account()).connect,
            append=lambda octets: server.append("INBOX", octets, internal_date=DATE),
            see=lambda octets: server.set_flags("INBOX", uid(octets), ["\\Seen"]),
            remove=lambda octets: server.expunge("INBOX", uid(octets)),
            exactness=exactness,
        )

    return build


def maildir_place(stack: ExitStack, request: pytest.FixtureRequest) -> Place:
    path: Path = request.getfixturevalue("tmp_path") / "Maildir"
    inbox = mailbox.Maildir(path)
    inbox.add_folder("Lists").close()
    mailbox.Maildir(path / ".Lists.python")

    def append(octets: bytes) -> None:
        name = inbox.add(octets)
        os.utime(path / "new" / name, (DATE.timestamp(), DATE.timestamp()))

    def file_of(octets: bytes) -> Path:
        return next(file for part in ("new", "cur") for file in (path / part).iterdir() if file.read_bytes() == octets)

    def see(octets: bytes) -> None:
        file = file_of(octets)
        file.rename(path / "cur" / (file.name.partition(":")[0] + ":2,S"))

    return Place(
        connect=source_of(Account(id=AccountId("local"), kind="maildir", path=path)).connect,
        append=append,
        see=see,
        remove=lambda octets: file_of(octets).unlink(),
        exactness=Exactness.NONE,
    )


def mbox_place(stack: ExitStack, request: pytest.FixtureRequest) -> Place:
    path: Path = request.getfixturevalue("tmp_path") / "mail"
    (path / "Lists").mkdir(parents=True)
    (path / "Lists" / "python").touch()
    kept: list[bytes] = []
    inbox = path / "INBOX"

    def write() -> None:
        inbox.write_bytes(b"".join(b"From a@x.example Mon Jul 17 02:44:25 2023\n" + octets + b"\n" for octets in kept))

    def append(octets: bytes) -> None:
        kept.append(octets)
        write()

    def remove(octets: bytes) -> None:
        kept.remove(octets)
        write()

    def see(octets: bytes) -> None:
        kept[kept.index(octets)] = b"Status: R\r\n" + octets
        write()

    write()
    return Place(
        connect=source_of(Account(id=AccountId("local"), kind="mbox", path=path)).connect,
        append=append,
        see=see,
        remove=remove,
        exactness=Exactness.NONE,
        sets_flags_in_place=False,  # the flag is in the octets: another message stands there
    )


def fake_place(capabilities: frozenset[str], exactness: Exactness) -> Build:
    def build(stack: ExitStack, request: pytest.FixtureRequest) -> Place:
        fake = stack.enter_context(FakeImap(capabilities=capabilities))
        fake.add_folder("Lists")
        fake.add_folder("Lists/python")
        uids: dict[bytes, list[int]] = {}

        def append(octets: bytes) -> None:
            uids.setdefault(octets, []).append(fake.append("INBOX", octets, internal_date=IMAP_DATE))

        account = Account(
            id=AccountId("fake"),
            host=fake.host,
            port=fake.port,
            user=fake.user,
            security=Security.NONE,
            credentials=Password(fake.password),
        )
        return Place(
            connect=source_of(account).connect,
            append=append,
            see=lambda octets: fake.set_flags("INBOX", uids[octets][0], ["\\Seen"]),
            remove=lambda octets: fake.expunge("INBOX", uids[octets].pop(0)),
            exactness=exactness,
        )

    return build


class _OnSocket(imaplib.IMAP4):
    """imaplib on a socket that is connected already."""

    def __init__(self, sock: socket.socket) -> None:
        self._given = sock
        super().__init__()

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._given


def dovecot_place(profile: Profile, exactness: Exactness) -> Build:
    """Real Dovecot sessions on socketpairs: no daemon, no login."""

    def build(stack: ExitStack, request: pytest.FixtureRequest) -> Place:
        require_dovecot_socketpair()
        home = stack.enter_context(MailHome(profile=profile))
        client = stack.enter_context(PlainClient(_OnSocket(home.connect())))
        client.create("Lists/python")
        uids: dict[bytes, list[int]] = {}
        count = 0

        def append(octets: bytes) -> None:
            nonlocal count
            client.append("INBOX", octets, internal_date=IMAP_DATE)
            count += 1
            uids.setdefault(octets, []).append(count)

        return Place(
            connect=lambda stop, ear: session_to(home.connect(), stop=stop, ear=ear),
            append=append,
            see=lambda octets: client.store("INBOX", str(uids[octets][0]), "FLAGS", ["\\Seen"]),
            remove=lambda octets: client.expunge("INBOX", str(uids[octets].pop(0))),
            exactness=exactness,
        )

    return build


PLACES = {
    "memory-exact": memory_place(Exactness.EXACT),
    "memory-flags": memory_place(Exactness.FLAGS),
    "memory-none": memory_place(Exactness.NONE),
    "maildir": maildir_place,
    "mbox": mbox_place,
    "fake-qresync": fake_place(FULL, Exactness.EXACT),
    "fake-condstore": fake_place(NO_QRESYNC, Exactness.FLAGS),
    "fake-comparison": fake_place(NO_CONDSTORE, Exactness.NONE),
    "fake-bare": fake_place(BARE, Exactness.NONE),
    "dovecot-qresync": dovecot_place(Profile.FULL, Exactness.EXACT),
    "dovecot-condstore": dovecot_place(Profile.NO_QRESYNC, Exactness.FLAGS),
    "dovecot-bare": dovecot_place(Profile.BARE, Exactness.NONE),
}


@pytest.fixture(
    params=[
        pytest.param(build, id=name, marks=[pytest.mark.servers] if name.startswith("dovecot") else [])
        for name, build in PLACES.items()
    ]
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with ExitStack() as stack:
        yield request.param(stack, request)


@pytest.fixture
def full(place: Place) -> Place:
    """The place with MAIL in its INBOX."""
    for octets in MAIL:
        place.append(octets)
    return place


@pytest.fixture
def session(full: Place) -> Iterator[Session]:
    """A session on the full place with INBOX open."""
    session = full.session()
    session.open(b"INBOX", None)
    yield session
    session.close()


def bodies_of(session: Session, uids: UidSet) -> dict[Uid, bytes]:
    """Put chunks together, checking what is promised of them."""
    growing: dict[Uid, bytearray] = {}
    whole: dict[Uid, bytes] = {}
    for chunk in session.bodies([BodyWanted(uid=uid, size=None) for uid in uids]):
        assert chunk.octets is not None and len(chunk.octets) <= 256 * 1024
        assert chunk.uid in uids and chunk.uid not in whole
        grown = growing.setdefault(chunk.uid, bytearray())
        assert chunk.offset == len(grown)
        grown += chunk.octets
        if chunk.last:
            whole[chunk.uid] = bytes(grown)
    assert set(growing) == set(whole)
    return whole


def test_the_listing_is_complete_and_has_inbox_in_capitals(place: Place) -> None:
    session = place.session()
    listing = session.folders()
    session.close()

    by_path = {str(folder.path): folder for folder in listing.folders}
    assert listing.complete and not listing.problems
    assert by_path["INBOX"].role is Role.INBOX and by_path["INBOX"].selectable
    assert by_path["Lists/python"].path.names == ("Lists", "python")
    assert len({folder.name for folder in listing.folders}) == len(listing.folders)


def test_every_listed_folder_can_be_opened_by_its_name(place: Place) -> None:
    session = place.session()

    for folder in session.folders().folders:
        if folder.selectable:
            opened = session.open(folder.name, None)
            assert opened.messages == 0 and opened.epoch is not None
            assert folder.status is None or folder.status.messages == 0
            assert not session.existing()
    session.close()


def test_a_folder_that_is_not_there_is_gone_and_the_session_goes_on(session: Session) -> None:
    with pytest.raises(FolderUnusable) as raised:
        session.open(b"no such folder", None)

    assert raised.value.kind is ErrorKind.FOLDER_GONE
    assert session.open(b"INBOX", None).messages == len(MAIL)


def test_raw_octets_come_exactly_and_in_bounded_chunks(session: Session) -> None:
    uids = session.existing()

    assert len(uids) == len(MAIL)
    assert sorted(bodies_of(session, uids).values()) == sorted(MAIL)


def test_what_exists_is_told_whole_or_within_a_set(session: Session) -> None:
    uids = session.existing()
    some = UidSet([uids.lowest, uids.highest])

    assert session.existing(within=some) == some
    assert session.existing(within=UidSet()) == UidSet()


def test_all_questions_speak_of_the_same_messages(session: Session) -> None:
    uids = session.existing()
    octets = bodies_of(session, uids)

    summaries = {row.uid: row for row in session.summaries(uids)}
    headers = {row.uid: row.block for row in session.headers(uids)}
    identities = {row.uid: row for row in session.identities(uids)}
    flags = {row.uid: row.flags for row in session.flags(uids)}

    assert set(summaries) == set(headers) == set(identities) == set(flags) == set(uids)
    for uid in uids:
        assert summaries[uid].size == identities[uid].size == len(octets[uid])
        assert summaries[uid].internal_date == identities[uid].internal_date == DATE
        assert summaries[uid].flags == identities[uid].flags == flags[uid] == frozenset()
        assert headers[uid] == header_block(octets[uid])
        assert identities[uid].message_id == message_id(octets[uid])


def test_only_what_is_asked_for_comes(session: Session) -> None:
    uids = session.existing()
    one = UidSet([uids.highest])

    for answer in (session.summaries(one), session.flags(one), session.headers(one), session.identities(one)):
        assert [row.uid for row in answer if row.uid in uids] == [uids.highest]
    assert set(bodies_of(session, one)) == {uids.highest}
    assert list(session.summaries(UidSet())) == []


def test_headers_bring_their_summary_in_the_same_row_where_asked(session: Session) -> None:
    uids = session.existing()

    for row in session.headers(uids, with_summary=True):
        assert row.summary is not None and row.summary.uid == row.uid
        assert row.summary.size in {len(octets) for octets in MAIL}


def test_uids_and_epoch_are_the_same_in_every_session(full: Place) -> None:
    first, second = full.session(), full.session()
    opened = [session.open(b"INBOX", None) for session in (first, second)]

    assert opened[0].epoch == opened[1].epoch and opened[0].uid_next == opened[1].uid_next
    assert first.existing() == second.existing()
    assert bodies_of(first, first.existing()) == bodies_of(second, second.existing())
    assert opened[0].uid_next is None or opened[0].uid_next > first.existing().highest
    first.close()
    second.close()


def test_changes_are_told_as_exactly_as_the_source_can(full: Place) -> None:
    before = full.session()
    opened = before.open(b"INBOX", None)
    uids = before.existing()
    octets = bodies_of(before, uids)
    by_octets = {body: uid for uid, body in octets.items()}
    before.close()
    full.remove(PLAIN)
    full.see(EIGHT_BIT)
    full.append(b"Subject: new\r\n\r\nnew\r\n")

    after = full.session()
    assert opened.epoch is not None
    known = Known(epoch=opened.epoch, mod_seq=opened.mod_seq, uids=uids, uid_next=opened.uid_next)
    again = after.open(b"INBOX", known)
    exists = after.existing()
    flags = {row.uid: row.flags for row in after.flags(exists)}
    after.close()

    assert (again.epoch, again.messages) == (opened.epoch, len(MAIL))
    assert by_octets[PLAIN] not in exists and len(exists - uids) == (1 if full.sets_flags_in_place else 2)
    if full.sets_flags_in_place:
        assert flags[by_octets[EIGHT_BIT]] == {"\\Seen"}
    else:
        assert frozenset({"\\Seen"}) in flags.values()
    told = again.changes
    assert told.exactness is full.exactness
    if full.exactness is Exactness.NONE:
        assert not told.flags and not told.vanished and again.mod_seq is None
    else:
        assert {row.uid: row.flags for row in told.flags if row.uid in uids} == {by_octets[EIGHT_BIT]: {"\\Seen"}}
        assert told.vanished & uids == (UidSet([by_octets[PLAIN]]) if full.exactness is Exactness.EXACT else UidSet())
        assert opened.mod_seq is not None and again.mod_seq is not None and again.mod_seq > opened.mod_seq


def test_without_a_trusted_cursor_or_with_another_epoch_no_changes_are_told(full: Place) -> None:
    session = full.session()
    opened = session.open(b"INBOX", None)
    assert opened.epoch is not None
    uids = session.existing()

    for known in (
        Known(epoch=opened.epoch, mod_seq=None, uids=uids),
        Known(epoch=type(opened.epoch)(opened.epoch + 1), mod_seq=opened.mod_seq, uids=uids),
    ):
        told = session.open(b"INBOX", known).changes
        assert told.exactness is Exactness.NONE or known.epoch != opened.epoch
        assert not told.vanished and not told.flags
    session.close()


def test_a_message_that_went_meanwhile_does_not_come(full: Place) -> None:
    session = full.session()
    session.open(b"INBOX", None)
    uids = session.existing()
    full.remove(LARGE)

    fresh = full.session()
    fresh.open(b"INBOX", None)
    assert sorted(bodies_of(fresh, uids).values()) == sorted(octets for octets in MAIL if octets != LARGE)
    session.close()
    fresh.close()


def test_octets_that_come_are_heard_of(full: Place) -> None:
    session = full.session()
    session.open(b"INBOX", None)
    before = full.ear.octets
    bodies_of(session, session.existing())
    session.close()

    assert full.ear.octets - before >= sum(map(len, MAIL))


def test_who_is_stopped_does_not_connect(place: Place) -> None:
    stop = Stop()
    stop.stop()

    with pytest.raises(Cancelled):
        place.session(stop)


def test_a_stop_in_the_middle_of_an_answer_ends_it(full: Place) -> None:
    stop = Stop()
    session = full.session(stop)
    session.open(b"INBOX", None)
    chunks = session.bodies([BodyWanted(uid=uid, size=None) for uid in session.existing()])
    next(chunks)
    stop.stop()

    with pytest.raises(Cancelled):
        list(chunks)
    session.close()


def test_a_closed_session_says_so_and_closing_twice_is_nothing(session: Session) -> None:
    session.close()
    session.close()

    with pytest.raises(SourceError) as raised:
        session.open(b"INBOX", None)
    assert raised.value.drops_connection


def test_sessions_of_one_account_do_not_disturb_each_other(full: Place) -> None:
    outcome: list[list[bytes]] = []

    def read() -> None:
        session = full.session()
        session.open(b"INBOX", None)
        outcome.append(sorted(bodies_of(session, session.existing()).values()))
        session.close()

    threads = [threading.Thread(target=read, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    assert outcome == [sorted(MAIL)] * 3


@pytest.mark.parametrize("kind", ["maildir", "mbox", "memory", "no such kind"])
def test_an_account_that_lacks_what_its_kind_needs_is_refused(kind: str) -> None:
    with pytest.raises(InvalidRequest):
        source_of(Account(id=AccountId("a"), kind=kind))
