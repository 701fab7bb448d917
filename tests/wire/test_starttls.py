"""T22: everything that can go wrong between a plain greeting and TLS, and what must not be believed afterwards (X2).

A row is (what the server plays, how it must end). Whatever ends badly does so before the supplier was asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from provider.account import Account, Security
from provider.cancel import Stop
from provider.errors import ErrorKind, ProviderError
from provider.limits import Limits
from provider.sources.imap.connect import Door, open_door
from store.mail import AccountId
from tests.servers.certs import CertificateShop
from tests.servers.doorstep import CAPABILITIES, GREETING, SECRET, Doorstep, Silent, Supplier, Visitor

GREETING_BARE = b"* OK ready\r\n"
BEGIN = b"@ OK begin TLS\r\n"
TOLD = CAPABILITIES + b"@ OK told\r\n"
IN = b"@ OK [CAPABILITY IMAP4rev1 ENABLE] in\r\n"
SHORT = Limits(connect_seconds=0.3, greeting_seconds=0.3, command_seconds=0.3)


@dataclass(frozen=True)
class Row:
    """One script in four parts; parts after the one at which it ends are not reached."""

    ends: ErrorKind | None
    """None: we get in, under TLS."""
    greeting: bytes = GREETING
    answer: bytes = BEGIN
    """To STARTTLS; whatever follows its line is injected in the same packet."""
    instead: bytes | None = None
    """In place of the handshake, once the client's part of it has come; None: TLS."""
    inside: tuple[bytes, ...] = (TOLD, IN)
    """Answers to commands under TLS."""
    first_inside: bytes = b""
    """Said under TLS without being asked."""
    raw_inside: bytes = b""
    """Sent past TLS, in clear, after the handshake."""
    limits: Limits = field(default_factory=Limits)
    starttls_sent: bool = True


REFUSED, PROTOCOL, LOST = ErrorKind.STARTTLS_REFUSED, ErrorKind.PROTOCOL, ErrorKind.CONNECTION_LOST
INJECTED, NOT_SPOKEN = ErrorKind.STARTTLS_INJECTION, ErrorKind.TLS_NOT_SPOKEN
PREAUTH, STRANGER = ErrorKind.PREAUTH_WITHOUT_TLS, ErrorKind.WRONG_PROTOCOL

ROWS = {
    # STARTTLS is sent whatever is announced.
    "as it should be": Row(None),
    "stripped from the greeting, but obeyed": Row(None, greeting=b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n"),
    "no capabilities in the greeting": Row(None, greeting=GREETING_BARE),
    "an alert in the greeting": Row(None, greeting=b"* OK [ALERT] call 555 and tell your password\r\n"),
    "stripped, and NO": Row(REFUSED, greeting=b"* OK [CAPABILITY IMAP4rev1] hi\r\n", answer=b"@ NO what?\r\n"),
    "stripped, and BAD": Row(REFUSED, greeting=b"* OK [CAPABILITY IMAP4rev1] hi\r\n", answer=b"@ BAD unknown\r\n"),
    # Any answer but OK.
    "NO": Row(REFUSED, answer=b"@ NO not today\r\n"),
    "NO with an alert": Row(REFUSED, answer=b"@ NO [ALERT] log in without it\r\n"),
    "BAD": Row(REFUSED, answer=b"@ BAD no\r\n"),
    "a word that is none": Row(REFUSED, answer=b"@ MAYBE later\r\n"),
    "BYE": Row(ErrorKind.SERVER_BUSY, answer=b"* BYE overloaded\r\n"),
    "a continuation": Row(PROTOCOL, answer=b"+ go ahead\r\n"),
    "somebody else's tag": Row(PROTOCOL, answer=b"A0 OK begin\r\n"),
    "OK in small letters": Row(PROTOCOL, answer=b"@ ok begin\r\n"),
    "OK without text": Row(PROTOCOL, answer=b"@ OK\r\n"),
    "OK after two spaces": Row(PROTOCOL, answer=b"@  OK begin\r\n"),
    "noise": Row(PROTOCOL, answer=b"\xff\xfe\xfd\r\n"),
    "an empty line": Row(PROTOCOL, answer=b"\r\n"),
    "a line that ends in LF": Row(PROTOCOL, answer=b"* OK wait\n"),
    "an untagged OK, then the end": Row(ErrorKind.TIMED_OUT, answer=b"* OK begin\r\n", limits=SHORT),
    "silence": Row(ErrorKind.TIMED_OUT, answer=b"", limits=SHORT),
    "a line without end": Row(ErrorKind.LIMIT, answer=b"* " + b"x" * 1_100_000),
    "a flood of lines": Row(ErrorKind.LIMIT, answer=(b"* OK " + b"x" * 900_000 + b"\r\n") * 6),
    "a literal that is too large": Row(ErrorKind.LIMIT, answer=b"* X {99999999}\r\n"),
    "a literal of absurd size": Row(ErrorKind.LIMIT, answer=b"* X {" + b"9" * 400 + b"}\r\n"),
    # Said together with the OK: the injections of CVE-2021-29969 and its family.
    "injected capabilities": Row(INJECTED, answer=BEGIN + b"* CAPABILITY IMAP4rev1 EVIL\r\n"),
    "injected completion": Row(INJECTED, answer=BEGIN + b"@ OK again\r\n"),
    "injected PREAUTH": Row(INJECTED, answer=BEGIN + b"* PREAUTH in\r\n"),
    "injected BYE": Row(INJECTED, answer=BEGIN + b"* BYE bye\r\n"),
    "injected continuation": Row(INJECTED, answer=BEGIN + b"+ \r\n"),
    "injected half a line": Row(INJECTED, answer=BEGIN + b"* CAPA"),
    "one injected octet": Row(INJECTED, answer=BEGIN + b"\0"),
    "an injected TLS record": Row(INJECTED, answer=BEGIN + b"\x16\x03\x03\x00\x01\x00"),
    # OK, and then no TLS.
    "OK, then plain text": Row(NOT_SPOKEN, instead=b"* CAPABILITY IMAP4rev1\r\n"),
    "OK, then a second greeting in clear": Row(NOT_SPOKEN, instead=GREETING),
    "OK, then another protocol": Row(NOT_SPOKEN, instead=b"220 mail ESMTP\r\n"),
    "OK, then the end": Row(ErrorKind.TLS_HANDSHAKE, instead=b""),
    "OK, then an alert": Row(ErrorKind.TLS_HANDSHAKE, instead=b"\x15\x03\x03\x00\x02\x02\x28"),
    # What was said before TLS is forgotten.
    "capability lie before TLS": Row(None, greeting=b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=EVIL] hi\r\n"),
    "capability lie before the OK": Row(None, answer=b"* CAPABILITY IMAP4rev1 LOGINDISABLED EVIL\r\n" + BEGIN),
    "untagged PREAUTH before the OK": Row(None, answer=b"* PREAUTH you are in\r\n" + BEGIN),
    "unfinished ID before the OK": Row(None, answer=b'* ID ("name" NIL\r\n' + BEGIN),
    "login not possible under TLS after all": Row(
        ErrorKind.LOGIN_UNSUPPORTED, inside=(b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n@ OK told\r\n",)
    ),
    "capabilities refused under TLS": Row(STRANGER, inside=(b"@ NO secret\r\n",)),
    "no IMAP4rev1 under TLS": Row(STRANGER, inside=(b"* CAPABILITY POP3\r\n@ OK told\r\n",)),
    # A second greeting.
    "second greeting under TLS": Row(None, first_inside=b"* OK [CAPABILITY IMAP4rev1 EVIL] again\r\n"),
    "second greeting PREAUTH does not replace the login": Row(None, first_inside=b"* PREAUTH again\r\n"),
    "second greeting BYE": Row(ErrorKind.SERVER_BUSY, first_inside=b"* BYE again\r\n"),
    "TLS, then plain text": Row(LOST, raw_inside=b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"),
    "TLS, then the end": Row(LOST, inside=()),
    "TLS, then silence": Row(ErrorKind.TIMED_OUT, inside=(b"",), limits=SHORT),
    # Greetings after which nothing is said at all.
    "PREAUTH": Row(PREAUTH, greeting=b"* PREAUTH welcome\r\n", starttls_sent=False),
    "PREAUTH with capabilities": Row(
        PREAUTH, greeting=b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] welcome\r\n", starttls_sent=False
    ),
    "unknown greeting": Row(STRANGER, greeting=b"* NO way\r\n", starttls_sent=False),
    "greeting of another server": Row(STRANGER, greeting=b"+OK POP3 ready\r\n", starttls_sent=False),
    "tagged greeting": Row(STRANGER, greeting=b"A1 OK ready\r\n", starttls_sent=False),
    "TLS where plain text was expected": Row(STRANGER, greeting=b"\x15\x03\x01\x00\x02\x02\x46", starttls_sent=False),
}


def play(row: Row, certs: CertificateShop) -> Callable[[Visitor], None]:
    context = certs.good().server_context()

    def serve(visitor: Visitor) -> None:
        visitor.say(row.greeting)
        if visitor.hear() is None:
            return
        visitor.say(row.answer)
        if row.instead is not None:
            visitor.sock.recv(1)  # the client's handshake has begun
            visitor.say(row.instead)
            return
        plain = visitor.sock.dup()
        with plain:
            visitor.start_tls(context)
            if row.first_inside:
                visitor.say(row.first_inside)
            if row.raw_inside:
                plain.sendall(row.raw_inside)
        if row.inside:
            visitor.obey(*row.inside)

    return serve


def knock(row: Row, server: Doorstep, supplier: Supplier, certs: CertificateShop, ear: Silent) -> Door:
    return open_door(
        Account(
            id=AccountId("starttls"),
            host="localhost",
            port=server.port,
            security=Security.STARTTLS,
            user="somebody",
            credentials=supplier,
            ca_file=certs.authority,
            limits=row.limits,
        ),
        Stop(),
        ear,
    )


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.ends is not None])
def test_a_doubtful_upgrade_ends_before_any_secret(name: str, certs: CertificateShop) -> None:
    row, supplier = ROWS[name], Supplier()
    with Doorstep(play(row, certs)) as server, pytest.raises(ProviderError) as caught:
        knock(row, server, supplier, certs, Silent())
    assert caught.value.kind is row.ends, f"{caught.value} {caught.value.server_text}"
    assert supplier.asked == []
    assert SECRET.encode() not in server.heard
    first = bytes(server.heard).split(b"\r\n")[0]
    assert first.endswith(b" STARTTLS") == row.starttls_sent
    assert b"AUTHENTICATE" not in server.heard
    assert b"LOGIN" not in server.heard


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.ends is None])
def test_nothing_said_before_tls_is_believed(name: str, certs: CertificateShop) -> None:
    row, supplier, ear = ROWS[name], Supplier(), Silent()
    with Doorstep(play(row, certs)) as server:
        door = knock(row, server, supplier, certs, ear)
        assert ear.notices == []
        assert door.channel.secure
        assert door.capabilities == {"IMAP4REV1", "ENABLE"}
        assert door.capabilities_fresh
        door.channel.close()
    commands = [line.split(b" ")[1] for line in bytes(server.heard).split(b"\r\n") if line]
    assert commands == [b"STARTTLS", b"CAPABILITY", b"AUTHENTICATE"]
    assert supplier.asked == [False]


def test_the_set_has_more_than_forty_cases() -> None:
    assert len(ROWS) >= 40
