"""Every method of the session against a real Dovecot over a socketpair: what we read is what is there."""

from __future__ import annotations

import hashlib
import imaplib
import socket
from collections.abc import Iterator

import pytest

from provider.account import Account, Password, Security
from provider.cancel import Stop
from provider.errors import ErrorKind, FolderUnusable
from provider.limits import Limits
from provider.sources.base import BodyWanted, Exactness, Known
from provider.sources.imap.source import ImapSession
from provider.sources.registry import source_of
from store.mail import AccountId, Role, UidSet
from tests.conftest import DovecotProfiles
from tests.servers.dovecot import Profile
from tests.servers.dovecot_socketpair import MailHome
from tests.servers.plain_client import NewMessage, PlainClient
from tests.wire.rig import Ear, session_to

pytestmark = pytest.mark.servers


class _OnSocket(imaplib.IMAP4):
    """imaplib on a socket that is connected already."""

    def __init__(self, sock: socket.socket) -> None:
        self._given = sock
        super().__init__()

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._given


def plain(home: MailHome) -> PlainClient:
    """An independent client of the same mail."""
    return PlainClient(_OnSocket(home.connect()))


def message(number: int, size: int = 200) -> bytes:
    head = b"From: a@x.example\r\nSubject: message %d\r\nMessage-ID: <m%d@x.example>\r\n\r\n" % (number, number)
    body = b"line of message %d, which is not short\r\n" % number
    return head + body * (size // len(body) + 1)


@pytest.fixture(params=list(Profile), ids=lambda profile: profile.name.lower())
def home(request: pytest.FixtureRequest) -> Iterator[MailHome]:
    with MailHome(profile=request.param) as made:
        yield made


@pytest.fixture
def full() -> Iterator[MailHome]:
    with MailHome() as made:
        yield made


def sha(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def bodies_of(session: ImapSession, wanted: list[BodyWanted]) -> dict[int, bytes]:
    """Put the chunks together; a message that was not closed is not there."""
    growing: dict[int, bytearray] = {}
    closed: dict[int, bytes] = {}
    for chunk in session.bodies(wanted):
        assert chunk.octets is not None and len(chunk.octets) <= 256 * 1024
        grown = growing.setdefault(chunk.uid, bytearray())
        assert chunk.offset == len(grown), "chunks of one message come in order"
        grown += chunk.octets
        if chunk.last:
            closed[chunk.uid] = bytes(growing.pop(chunk.uid))
    assert not growing
    return closed


def test_a_session_reads_what_an_independent_client_reads(home: MailHome) -> None:
    with plain(home) as client:
        client.populate(
            "Lists & more/Käse",
            [
                NewMessage(
                    octets=message(1), flags=("\\Seen", "$Forwarded"), internal_date="01-Feb-2020 03:04:05 +0530"
                ),
                NewMessage(octets=message(2, 300_000)),
                NewMessage(octets=message(3, 700_000), flags=("\\Flagged",)),
            ],
        )
        truth = client.snapshot()
    limits = Limits(whole_octets=400_000, part_octets=100_000)
    session = session_to(home.connect(), limits=limits)
    listing = session.folders()
    assert listing.complete and not listing.problems
    assert {f.name for f in listing.folders if f.selectable} == set(truth)
    for folder in listing.folders:
        if not folder.selectable:
            continue
        validity, messages = truth[folder.name].uid_validity, truth[folder.name].messages
        assert folder.status is not None
        assert (folder.status.uid_validity, folder.status.messages) == (validity, len(messages))
        opened = session.open(folder.name, None)
        assert (opened.epoch, opened.messages) == (validity, len(messages))
        uids = session.existing()
        assert list(uids) == sorted(messages)
        rows = {row.uid: row for row in session.summaries(uids)}
        assert {uid: row.size for uid, row in rows.items()} == {uid: m.size for uid, m in messages.items()}
        assert {u: r.flags for u, r in rows.items()} == {u: {f.decode() for f in m.flags} for u, m in messages.items()}
        for uid, row in rows.items():
            assert row.internal_date is not None
            told = messages[uid].internal_date.strip().zfill(len("01-Feb-2020 03:04:05 +0530"))
            assert row.internal_date.strftime("%d-%b-%Y %H:%M:%S %z") == told
        assert {row.uid: row.flags for row in session.flags(uids)} == {uid: row.flags for uid, row in rows.items()}
        whole = bodies_of(session, [BodyWanted(uid=uid, size=row.size) for uid, row in rows.items()])
        assert {uid: sha(octets) for uid, octets in whole.items()} == {uid: m.sha256 for uid, m in messages.items()}
        for header in session.headers(uids, with_summary=True):
            assert header.block == whole[header.uid].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            assert header.summary == rows[header.uid]
        assert {row.uid: row.message_id for row in session.identities(uids)} == {
            uid: f"m{uid}@x.example" for uid in uids
        }
    session.close()


def test_an_unchanged_account_takes_one_flight_after_login_and_one_to_leave(full: MailHome) -> None:
    with plain(full) as client:
        client.create("a", "b", "c")
    sock = _Counting(full.connect())
    session = session_to(sock, capabilities=frozenset(_CAPABILITIES.split()))
    listing = session.folders()
    assert all(f.status is not None and f.status.mod_seq for f in listing.folders)
    session.close()
    assert sock.sends == 2, "one batch, and LOGOUT"


_CAPABILITIES = "IMAP4REV1 ENABLE ID NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE QRESYNC ESEARCH UNSELECT"


class _Counting(socket.socket):
    """A socket that counts how often something is sent."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock.family, sock.type, sock.proto, fileno=sock.detach())
        self.sends = 0

    def send(self, octets: object, flags: int = 0) -> int:  # type: ignore[override]
        self.sends += 1
        return super().send(octets, flags)  # type: ignore[arg-type]


def test_special_folders_have_their_roles(full: MailHome) -> None:
    with plain(full) as client:
        client.create("Drafts", "Sent", "Trash", "Junk", "Archive", "work/Trash")
    session = session_to(full.connect())
    listing = session.folders()
    session.close()
    roles = {str(folder.path): folder.role for folder in listing.folders if folder.role}
    named = {"Drafts": Role.DRAFTS, "Sent": Role.SENT, "Trash": Role.TRASH, "Junk": Role.JUNK, "Archive": Role.ARCHIVE}
    assert roles == named | {"INBOX": Role.INBOX}


@pytest.mark.parametrize(
    ("profile", "exactness"),
    [(Profile.FULL, Exactness.EXACT), (Profile.NO_QRESYNC, Exactness.FLAGS), (Profile.NO_CONDSTORE, Exactness.NONE)],
    ids=lambda value: value.name.lower(),
)
def test_a_folder_opened_again_tells_what_changed(profile: Profile, exactness: Exactness) -> None:
    with MailHome(profile=profile) as home, plain(home) as client:
        client.populate("box", [NewMessage(octets=message(n)) for n in range(1, 21)])
        session = session_to(home.connect())
        first = session.open(b"box", None)
        assert first.epoch is not None
        known = Known(epoch=first.epoch, mod_seq=first.mod_seq, uids=session.existing(), uid_next=first.uid_next)
        session.close()
        client.store("box", "3,7:8", "+FLAGS", ["\\Flagged"])
        client.expunge("box", "5,11")
        client.append("box", message(21))
        session = session_to(home.connect())
        opened = session.open(b"box", known)
        assert opened.changes.exactness is exactness
        assert (opened.messages, opened.uid_next, opened.epoch) == (19, 22, first.epoch)
        if exactness is not Exactness.NONE:
            known_rows = {row.uid: row.flags for row in opened.changes.flags if row.uid in known.uids}
            assert known_rows == {uid: {"\\Flagged"} for uid in (3, 7, 8)}
            assert opened.mod_seq is not None and first.mod_seq is not None and opened.mod_seq > first.mod_seq
        if exactness is Exactness.EXACT:
            assert opened.changes.vanished == UidSet([5, 11])
        assert session.existing(known.uids) == known.uids - UidSet([5, 11])
        session.close()


def test_folders_opened_in_turn_do_not_mix(home: MailHome) -> None:
    with plain(home) as client:
        client.populate("one", [NewMessage(octets=message(n)) for n in range(1, 4)])
        client.populate("two", [NewMessage(octets=message(n)) for n in range(1, 8)])
    session = session_to(home.connect())
    for name, count in ((b"one", 3), (b"two", 7), (b"one", 3), (b"INBOX", 0)):
        opened = session.open(name, None)
        assert opened.messages == count
        assert len(session.existing()) == count
    assert session.folders().complete
    session.close()


def test_a_folder_that_does_not_exist_is_gone_and_the_session_goes_on(home: MailHome) -> None:
    session = session_to(home.connect())
    with pytest.raises(FolderUnusable) as caught:
        session.open(b"nowhere", None)
    assert caught.value.kind is ErrorKind.FOLDER_GONE
    assert not caught.value.drops_connection
    assert session.open(b"INBOX", None).messages == 0
    session.close()


def test_uids_that_are_gone_simply_do_not_come(home: MailHome) -> None:
    with plain(home) as client:
        client.populate("box", [NewMessage(octets=message(n)) for n in range(1, 6)])
        client.expunge("box", "2,4")
    session = session_to(home.connect())
    session.open(b"box", None)
    asked = UidSet.span(1, 9)
    assert {row.uid for row in session.summaries(asked)} == {1, 3, 5}
    assert {row.uid for row in session.headers(asked)} == {1, 3, 5}
    assert set(bodies_of(session, [BodyWanted(uid=uid, size=None) for uid in asked])) == {1, 3, 5}
    assert session.existing(asked) == UidSet([1, 3, 5])
    session.close()


def test_a_message_larger_than_one_literal_comes_in_parts(full: MailHome) -> None:
    big = message(1, 5_000_000)
    with plain(full) as client:
        client.populate("box", [NewMessage(octets=big)])
    limits = Limits(whole_octets=100_000, part_octets=300_000, literal_octets=1_000_000)
    session = session_to(full.connect(), limits=limits, ear=(ear := Ear()))
    session.open(b"box", None)
    [row] = session.summaries(UidSet([1]))
    assert bodies_of(session, [BodyWanted(uid=row.uid, size=row.size)]) == {1: big}
    assert ear.octets > len(big)
    session.close()


def test_a_large_folder_is_searched_in_pages(full: MailHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provider.sources.imap.searching.PAGE_MESSAGES", 4)
    with plain(full) as client:
        client.populate("box", [NewMessage(octets=message(n)) for n in range(1, 24)])
        client.expunge("box", "3:5,20")
    session = session_to(full.connect())
    session.open(b"box", None)
    assert session.existing() == UidSet.span(1, 23) - UidSet.parse("3:5,20")
    assert {row.uid for row in session.summaries(UidSet.span(1, 4_000_000_000))} == set(session.existing())
    session.close()


@pytest.mark.parametrize("profile", [Profile.FULL, Profile.BARE], ids=lambda profile: profile.name.lower())
def test_a_source_goes_through_the_door_and_reads(dovecot_profiles: DovecotProfiles, profile: Profile) -> None:
    there = dovecot_profiles(profile)
    with there.client() as client:
        client.populate("box", [NewMessage(octets=message(n)) for n in range(1, 4)])
    account = Account(
        id=AccountId("a"),
        host=there.host,
        port=there.port,
        user=there.user,
        security=Security.NONE,
        credentials=Password(there.password),
    )
    session = source_of(account).connect(Stop(), Ear())
    listing = session.folders()
    assert {folder.name for folder in listing.folders} == {b"INBOX", b"box"}
    assert session.open(b"box", None).messages == 3
    assert [row.uid for row in session.summaries(session.existing())] == [1, 2, 3]
    session.close()
