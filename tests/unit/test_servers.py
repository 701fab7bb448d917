"""The fake IMAP server answers as a real Dovecot does, and tells its lies only when asked to.

The same commands go to both; what may differ between honest servers (texts, numbers of epochs and mod-sequences,
order of flags and of untagged lines) is levelled, all else must be equal.
"""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.servers import fake_answer, fake_mime, mutf7
from tests.servers.dovecot import DovecotAccount, Profile
from tests.servers.dovecot_socketpair import MailHome
from tests.servers.fakeimap import BARE, NO_CONDSTORE, NO_QRESYNC, FakeImap
from tests.servers.plain_client import NewMessage
from tests.servers.pymap_server import PymapServer

GUARD_SECONDS = 5.0
FIXTURES = sorted((Path(__file__).parents[2] / "fixtures" / "messages").glob("*.eml"))

MULTIPART = (
    b"From: a@example.org\r\nSubject: two\r\nMessage-ID: <two@example.org>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\npreamble\r\n--b\r\nContent-Type: text/plain\r\n\r\none\r\n'
    b"line\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n--b--\r\nepilogue\r\n"
)
MESSAGES = [
    NewMessage(octets=b"Subject: one\r\n\r\nbody\r\n", flags=("\\Seen", "$Forwarded")),
    NewMessage(octets=MULTIPART, flags=("\\Flagged",), internal_date="03-Feb-2024 01:02:03 +0000"),
    NewMessage(octets=b"Subject: three\r\n\r\n" + b"x" * 5000, internal_date="01-Jan-2020 00:00:00 +0000"),
]
FOLDERS = ["Sent", 'Entwürfe & Co/Über "alles"', "a b/c d"]

READING = [
    b'LIST "" "*"',
    b'LIST "" "%"',
    b'LIST "" ""',
    b'LIST "" "a b/%"',
    b'LIST "" "*" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ))',
    b"STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)",
    b"STATUS nowhere (MESSAGES)",
    b"NAMESPACE",
    b"SELECT nowhere",
    b"EXAMINE INBOX",
    b"UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)",
    b"UID FETCH 2 (BODY.PEEK[] BODY.PEEK[HEADER])",
    b"UID FETCH 2 (BODY.PEEK[1] BODY.PEEK[2.HEADER] BODY.PEEK[2.MIME] BODY.PEEK[2.1] BODY.PEEK[TEXT])",
    b"UID FETCH 2 (BODY.PEEK[HEADER.FIELDS (Subject Message-ID)])",
    b"UID FETCH 3 (BODY.PEEK[]<10.20> BODY.PEEK[]<6000.5>)",
    b"UID FETCH 77:99 (FLAGS)",
    b"UID FETCH 77:* (FLAGS)",
    b"UID SEARCH ALL",
    b"UID SEARCH UID 2:9",
    b"UID SEARCH RETURN (ALL COUNT MIN MAX) ALL",
    b"UID SEARCH RETURN (COUNT ALL) UID 50",
    b"UID SEARCH KEYWORD $Forwarded",
    b"UID SEARCH HEADER Message-ID two@example.org",
    b"UNSELECT",
    b"UID FETCH 1 (FLAGS)",
    b"NONSENSE",
]
CHANGING = [
    b"SELECT INBOX",
    b"UID STORE 1 +FLAGS.SILENT ($Label1)",
    b"UID STORE 1,3 -FLAGS (\\Seen)",
    b"UID FETCH 1:* (FLAGS)",
    b'UID COPY 1:2 "a b/c d"',
    b"UID STORE 2 +FLAGS.SILENT (\\Deleted)",
    b"UID EXPUNGE 1:2",
    b"NOOP",
    b'UID MOVE 3 "Sent"',
    b'STATUS "a b/c d" (MESSAGES UIDNEXT)',
    b"CREATE INBOX",
    b"CREATE neu",
    b"CREATE neu",
    b"RENAME neu alt",
    b"RENAME neu alt",
    b"DELETE alt",
    b"DELETE alt",
    b"CLOSE",
    b"LOGOUT",
]


class Line:
    """A raw connection: sends a command, returns the lines of its answer."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(GUARD_SECONDS)
        self._sock, self._stream = sock, sock.makefile("rb")
        self.greeting = self._stream.readline()

    def close(self) -> None:
        self._stream.close()
        self._sock.close()

    def ask(self, command: bytes) -> list[bytes]:
        self._sock.sendall(b"T " + command + b"\r\n")
        lines: list[bytes] = []
        while not lines or not lines[-1].startswith(b"T "):
            line = self._stream.readline()
            assert line, f"closed after {lines}"
            while literal := re.search(rb"\{(\d+)\}\r\n\Z", line):
                line += self._stream.read(int(literal[1])) + self._stream.readline()
            lines.append(line)
        return lines


# Dovecot tells HIGHESTMODSEQ only after ENABLE; RFC 7162 section 3.1.2.1 wants it always, as the fake does.
_ADVICE = (b"* FLAGS (", b"* OK [PERMANENTFLAGS", b"* OK [UNSEEN", b"* OK [HIGHESTMODSEQ")


def levelled(lines: Sequence[bytes]) -> list[bytes]:
    """Return what must be equal between honest servers, sorted."""
    out = []
    for line in lines:
        if line.endswith(b" RECENT\r\n") or line.startswith(_ADVICE):
            continue
        line = re.sub(rb"\[COPYUID \d+", b"[COPYUID V", line)
        line = re.sub(rb"UIDVALIDITY \d+", b"UIDVALIDITY V", line)
        line = re.sub(rb"MODSEQ \(?\d+\)?", b"MODSEQ M", line)
        line = re.sub(rb" ?\\(Recent|UnMarked|Marked)\b", b"", line)
        line = re.sub(
            rb"(FLAGS|LIST) \(([^)]*)\)",
            lambda m: m[1] + b" (" + b" ".join(sorted(m[2].lower().split())) + b")",
            line,
        )
        line = re.sub(rb"(LIST \(.*?\) \"/\") \"?(.*?)\"?\r\n", rb"\1 \2\r\n", line)
        if status := re.match(rb"(\* |T )(OK|NO|BAD|BYE)( \[[^\]]*\])?", line):
            code = (status[3] or b"") if status[2] == b"OK" else b""
            line = status[1] + status[2] + code
        out.append(line)
    return sorted(out)


def fill(fake: FakeImap) -> None:
    for name in FOLDERS:
        fake.add_folder(name, special_use=b"\\Sent" if name == "Sent" else None)
    for message in MESSAGES:
        fake.append("INBOX", message.octets, message.flags, message.internal_date)


@pytest.fixture
def both(dovecot: DovecotAccount, fake_imap: FakeImap) -> Iterator[tuple[Line, Line]]:
    fake_imap.capabilities -= {"OBJECTID"}  # Dovecot 2.3 has none
    with dovecot.client() as client:
        client.create(*FOLDERS)
        client.populate("INBOX", MESSAGES)
    fill(fake_imap)
    real = Line(socket.create_connection((dovecot.host, dovecot.port)))
    fake = Line(fake_imap.connect())
    real.ask(b'LOGIN "%b" "%b"' % (dovecot.user.encode(), dovecot.password.encode()))
    fake.ask(b'LOGIN "%b" "%b"' % (fake_imap.user.encode(), fake_imap.password.encode()))
    yield real, fake
    real.close()
    fake.close()


@pytest.mark.servers
@pytest.mark.parametrize("commands", [READING, CHANGING], ids=["reading", "changing"])
@pytest.mark.parametrize("enable", [b"NOOP", b"ENABLE CONDSTORE", b"ENABLE QRESYNC"])
def test_the_fake_answers_as_dovecot_does(both: tuple[Line, Line], commands: list[bytes], enable: bytes) -> None:
    real, fake = both
    for command in [enable, *commands]:
        assert levelled(fake.ask(command)) == levelled(real.ask(command)), command


@pytest.mark.servers
def test_the_fake_resynchronizes_as_dovecot_does(both: tuple[Line, Line]) -> None:
    for line in both:
        line.ask(b"ENABLE QRESYNC")
    before = [_epoch_and_modseq(line.ask(b"SELECT INBOX")) for line in both]
    for line in both:
        line.ask(b"UID STORE 1 +FLAGS.SILENT (\\Answered)")
        line.ask(b"UID STORE 2 +FLAGS.SILENT (\\Deleted)")
        line.ask(b"EXPUNGE")
        line.ask(b"UNSELECT")
    for form in (b"SELECT INBOX (QRESYNC (%d %d))", b"SELECT INBOX (QRESYNC (%d %d 1:3))"):
        fake, real = (
            levelled(line.ask(form % known)) for line, known in zip(reversed(both), reversed(before), strict=True)
        )
        assert fake == real
        assert b"* VANISHED (EARLIER) 2\r\n" in fake
    changed = [
        levelled(line.ask(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)" % known[1]))
        for line, known in zip(both, before, strict=True)
    ]
    assert changed[0] == changed[1]


def _epoch_and_modseq(lines: Sequence[bytes]) -> tuple[int, int]:
    text = b"".join(lines)
    found = [re.search(word + rb" (\d+)", text) for word in (b"UIDVALIDITY", b"HIGHESTMODSEQ")]
    assert all(found)
    return int(found[0][1]), int(found[1][1])  # type: ignore[index]


@pytest.mark.servers
@pytest.mark.parametrize("profile", list(Profile))
def test_a_dovecot_profile_announces_what_its_name_says(
    dovecot_profiles: Callable[..., DovecotAccount], profile: Profile
) -> None:
    with dovecot_profiles(profile).client() as client:
        told = set(client.connection.capability()[1][0].decode().split())
    lacking = {
        Profile.FULL: set(),
        Profile.NO_QRESYNC: {"QRESYNC"},
        Profile.NO_CONDSTORE: {"QRESYNC", "CONDSTORE"},
        Profile.NO_MOVE: {"MOVE"},
        Profile.NO_UIDPLUS: {"UIDPLUS"},
        Profile.NEITHER: {"QRESYNC", "MOVE", "UIDPLUS"},
        Profile.BARE: {"QRESYNC", "CONDSTORE", "MOVE", "UIDPLUS"},
    }
    assert {"QRESYNC", "CONDSTORE", "MOVE", "UIDPLUS"} - told == lacking[profile]
    assert {"LIST-STATUS", "SPECIAL-USE"} <= told or profile is Profile.BARE
    if profile is Profile.BARE:
        assert told == {"IMAP4rev1"}


@pytest.mark.servers
def test_an_account_sees_nothing_of_another_and_a_dot_may_separate(
    dovecot_profiles: Callable[..., DovecotAccount],
) -> None:
    first, second = dovecot_profiles(separator="."), dovecot_profiles(separator=".")
    with first.client() as one, second.client() as two:
        one.create("a.b")
        assert b"a.b" in one.folders()
        assert set(two.folders()) == {b"INBOX"}


@pytest.mark.servers
def test_sessions_over_one_mail_home_share_its_mail(mail_home: MailHome) -> None:
    first, second = Line(mail_home.connect()), Line(mail_home.connect())
    assert first.greeting.startswith(b"* PREAUTH")
    first.ask(b"CREATE x")
    assert any(line.endswith(b" x\r\n") for line in second.ask(b'LIST "" "*"'))
    first.close()
    second.close()


@pytest.mark.servers
def test_pymap_keeps_every_octet_of_the_oddest_mail(pymap_server: PymapServer) -> None:
    # pymap 0.36.7 refuses the empty message, and cuts one octet off a message that ends inside its header.
    messages = [path.read_bytes() for path in FIXTURES if path.stem not in ("empty", "no-body")]
    with pymap_server.client() as client:
        client.populate("INBOX", [NewMessage(octets=octets) for octets in messages])
        kept = client.snapshot_folder("INBOX").messages
    assert [kept[uid].sha256 for uid in sorted(kept)] == [hashlib.sha256(octets).hexdigest() for octets in messages]


@pytest.mark.parametrize(
    ("capabilities", "refused"),
    [
        (NO_QRESYNC, b"SELECT INBOX (QRESYNC (1 1))"),
        (NO_CONDSTORE, b"SELECT INBOX (CONDSTORE)"),
        (NO_CONDSTORE, b"STATUS INBOX (HIGHESTMODSEQ)"),
        (BARE, b'LIST "" "*" RETURN (STATUS (MESSAGES))'),
        (BARE, b"NAMESPACE"),
        (BARE, b"ENABLE QRESYNC"),
        (BARE, b"ID NIL"),
        (BARE, b"UNSELECT"),
        (BARE, b"UID SEARCH RETURN (COUNT) ALL"),
    ],
)
def test_what_the_fake_does_not_announce_is_bad(capabilities: frozenset[str], refused: bytes) -> None:
    with FakeImap(capabilities=capabilities, preauth=True) as fake:
        line = Line(fake.connect())
        line.ask(b"SELECT INBOX")
        assert line.ask(refused)[-1].startswith(b"T BAD")
        line.close()


def test_pipelined_commands_are_answered_in_order(fake_imap: FakeImap) -> None:
    fill(fake_imap)
    with fake_imap.connect() as sock:
        sock.settimeout(GUARD_SECONDS)
        login = f'"{fake_imap.user}" "{fake_imap.password}"'.encode()
        sock.sendall(b"1 LOGIN %b\r\n2 SELECT INBOX\r\n3 UID FETCH 1 (FLAGS)\r\n4 LOGOUT\r\n" % login)
        heard = b"".join(iter(lambda: sock.recv(4096), b""))
    assert re.findall(rb"^(\d) OK", heard, re.MULTILINE) == [b"1", b"2", b"3", b"4"]


FETCH_ALL = b"UID FETCH 1:* (FLAGS BODY.PEEK[])"


@pytest.mark.parametrize(
    ("bend", "command", "check"),
    [
        (fake_answer.omit_uids(2), FETCH_ALL, lambda t: b"UID 2 " not in t and b"UID 3 " in t),
        (fake_answer.nil_bodies(2), FETCH_ALL, lambda t: b"UID 2 FLAGS (\\Flagged) BODY[] NIL)" in t),
        (fake_answer.drop_rows_without_uid, FETCH_ALL, lambda t: b"UID" not in t and t.count(b" FETCH (") == 3),
        (fake_answer.add_rows([b"* 9 FETCH (UID 99 FLAGS ())"]), FETCH_ALL, lambda t: t.startswith(b"* 9 FETCH")),
        (fake_answer.refuse(b"INBOX"), FETCH_ALL, lambda t: t.startswith(b"T NO [NOPERM]")),
        (fake_answer.refuse(b"INBOX"), b"SELECT INBOX", lambda t: t.startswith(b"T NO [NOPERM]")),
        (fake_answer.shift_uid_validity(7), b"SELECT INBOX", lambda t: b"[UIDVALIDITY 7]" in t),
        (fake_answer.vanish_everything(50), b"SELECT INBOX", lambda t: b"* VANISHED (EARLIER) 1:50\r\n" in t),
    ],
)  # fmt: skip
def test_a_bend_changes_one_answer_and_no_other(
    fake_imap: FakeImap, bend: fake_answer.Bend, command: bytes, check: Callable[[bytes], bool]
) -> None:
    fake_imap.preauth = True
    fill(fake_imap)
    line = Line(fake_imap.connect())
    line.ask(b"SELECT INBOX")
    straight = line.ask(command)
    assert not check(b"".join(straight))
    fake_imap.faults.on(command.decode().split(" 1:")[0].split(" INBOX")[0], bend, times=1)
    assert check(b"".join(line.ask(command)))
    line.ask(b"SELECT INBOX")
    assert b"".join(line.ask(command)) == b"".join(straight)
    line.close()


def test_a_bye_in_the_middle_ends_the_connection(fake_imap: FakeImap) -> None:
    fake_imap.preauth = True
    fill(fake_imap)
    fake_imap.faults.on("UID FETCH", fake_answer.bye_in_the_middle(1))
    with fake_imap.connect() as sock:
        sock.settimeout(GUARD_SECONDS)
        sock.sendall(b"1 SELECT INBOX\r\n2 UID FETCH 1:* (FLAGS)\r\n")
        heard = b"".join(iter(lambda: sock.recv(4096), b""))
    assert heard.count(b" FETCH (") == 1
    assert heard.endswith(b"* BYE going down\r\n")


def test_a_fault_of_the_fake_itself_is_raised_when_it_stops() -> None:
    fake = FakeImap(preauth=True).start()
    fake.faults.on("NOOP", lambda answer: answer.rows.append(1 // 0))  # type: ignore[arg-type]
    with fake.connect() as sock:
        sock.settimeout(GUARD_SECONDS)
        sock.sendall(b"1 NOOP\r\n")
        list(iter(lambda: sock.recv(4096), b""))
    with pytest.raises(ZeroDivisionError):
        fake.stop()


def test_sections_of_odd_messages_never_raise() -> None:
    messages = [
        path.read_bytes() for path in sorted((Path(__file__).parents[2] / "fixtures" / "messages").glob("*.eml"))
    ]
    for octets in [b"", b"\r\n", b"x", MULTIPART, *messages]:
        assert fake_mime.body_structure(octets).startswith(b"(")
        assert fake_mime.section(octets, "") == octets
        assert fake_mime.section(octets, "9.9.9") is None
        head, text = fake_mime.section(octets, "HEADER"), fake_mime.section(octets, "TEXT")
        assert (head or b"") + (text or b"") == octets


@pytest.mark.parametrize(
    "name", ["INBOX", "Entwürfe & Co", "日本語", "&", "a/b", "\U0001f4ec", "~peter/mail/台北/日本語"]
)
def test_modified_utf7_comes_back(name: str) -> None:
    assert mutf7.decode(mutf7.encode(name)) == name
