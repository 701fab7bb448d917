"""T22 for SMTP: everything that can go wrong between a plain greeting and TLS, and what must not be believed (X2).

A row is (what the server plays, how it must end). Whatever ends badly does so before the supplier was asked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest

from provider.account import Security
from provider.errors import ErrorKind, ProviderError
from provider.limits import Limits
from provider.transport.base import TransportSession
from tests.servers.certs import CertificateShop
from tests.servers.doorstep import SECRET, Doorstep, Supplier, Visitor
from tests.wire.smtp_rig import opened

GREETING = b"220 mail ESMTP\r\n"
EHLO = b"250-mail\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n"
STRIPPED = b"250-mail\r\n250 AUTH PLAIN\r\n"
BEGIN = b"220 2.0.0 begin TLS\r\n"
TOLD = b"250-mail\r\n250 AUTH PLAIN\r\n"
IN = b"235 2.7.0 in\r\n"
SHORT = Limits(connect_seconds=0.3, greeting_seconds=0.3, command_seconds=0.3)


@dataclass(frozen=True)
class Row:
    """One script in parts; parts after the one at which it ends are not reached."""

    ends: ErrorKind | None
    """None: we get in, under TLS."""
    greeting: bytes = GREETING
    ehlo: bytes = EHLO
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
    helo: bytes = b""
    """To HELO after a refused EHLO; then STARTTLS is not reached."""
    limits: Limits = field(default_factory=Limits)
    heard: tuple[bytes, ...] = (b"EHLO", b"STARTTLS")


REFUSED, PROTOCOL, LOST, BUSY = (
    ErrorKind.STARTTLS_REFUSED,
    ErrorKind.PROTOCOL,
    ErrorKind.CONNECTION_LOST,
    ErrorKind.SERVER_BUSY,
)
INJECTED, NOT_SPOKEN = ErrorKind.STARTTLS_INJECTION, ErrorKind.TLS_NOT_SPOKEN
STRANGER, LIMIT, SLOW = ErrorKind.WRONG_PROTOCOL, ErrorKind.LIMIT, ErrorKind.TIMED_OUT
NOBODY, HELLO, BOTH = (), (b"EHLO",), (b"EHLO", b"HELO")

ROWS = {
    # STARTTLS is sent whatever is announced.
    "as it should be": Row(None),
    "stripped from EHLO, but obeyed": Row(None, ehlo=STRIPPED),
    "nothing announced": Row(None, ehlo=b"250 mail\r\n"),
    "a greeting of many lines": Row(None, greeting=b"220-mail\r\n220-rules\r\n220 ESMTP\r\n"),
    "stripped, and not known": Row(REFUSED, ehlo=STRIPPED, answer=b"500 5.5.1 what?\r\n"),
    "stripped, and not implemented": Row(REFUSED, ehlo=STRIPPED, answer=b"502 no\r\n"),
    "EHLO refused, HELO taken": Row(REFUSED, ehlo=b"502 what?\r\n", helo=b"250 mail\r\n", heard=BOTH),
    "EHLO and HELO refused": Row(STRANGER, ehlo=b"502 what?\r\n", helo=b"502 what?\r\n", heard=BOTH),
    # Any answer but 220.
    "not available now": Row(REFUSED, answer=b"454 4.7.0 TLS not available\r\n"),
    "refused": Row(REFUSED, answer=b"554 5.7.0 no\r\n"),
    "log in first": Row(REFUSED, answer=b"530 5.7.0 log in first\r\n"),
    "250 in place of 220": Row(REFUSED, answer=b"250 ok\r\n"),
    "235 in place of 220": Row(REFUSED, answer=b"235 you are in\r\n"),
    "334": Row(REFUSED, answer=b"334 go on\r\n"),
    "421": Row(BUSY, answer=b"421 4.3.2 closing\r\n"),
    "220 without text": Row(None, answer=b"220\r\n"),
    "a code of two digits": Row(PROTOCOL, answer=b"22 begin\r\n"),
    "a code of four digits": Row(PROTOCOL, answer=b"2200 begin\r\n"),
    "no code": Row(PROTOCOL, answer=b"begin\r\n"),
    "999": Row(PROTOCOL, answer=b"999 begin\r\n"),
    "noise": Row(PROTOCOL, answer=b"\xff\xfe\xfd\r\n"),
    "an empty line": Row(PROTOCOL, answer=b"\r\n"),
    "lines with different codes": Row(PROTOCOL, answer=b"220-begin\r\n250 or not\r\n"),
    "an IMAP answer": Row(PROTOCOL, answer=b"* OK begin\r\n"),
    "silence": Row(SLOW, answer=b"", limits=SHORT),
    "an answer that stops": Row(SLOW, answer=b"220-begin\r\n", limits=SHORT),
    "a line without end": Row(LIMIT, answer=b"220 " + b"x" * 100_000),
    "an answer without end": Row(LIMIT, answer=b"220-begin\r\n" * 10_000),
    # Said together with the 220: the injections of CVE-2021-29969 and its family.
    "injected capabilities": Row(INJECTED, answer=BEGIN + b"250-mail\r\n250 AUTH EVIL\r\n"),
    "injected completion": Row(INJECTED, answer=BEGIN + BEGIN),
    "injected login": Row(INJECTED, answer=BEGIN + b"235 you are in\r\n"),
    "injected goodbye": Row(INJECTED, answer=BEGIN + b"421 bye\r\n"),
    "injected half a line": Row(INJECTED, answer=BEGIN + b"250-ma"),
    "one injected octet": Row(INJECTED, answer=BEGIN + b"\0"),
    "an injected TLS record": Row(INJECTED, answer=BEGIN + b"\x16\x03\x03\x00\x01\x00"),
    # 220, and then no TLS.
    "220, then plain text": Row(NOT_SPOKEN, instead=b"250 AUTH PLAIN\r\n"),
    "220, then a second greeting in clear": Row(NOT_SPOKEN, instead=GREETING),
    "220, then another protocol": Row(NOT_SPOKEN, instead=b"* OK IMAP4rev1 ready\r\n"),
    "220, then the end": Row(ErrorKind.TLS_HANDSHAKE, instead=b""),
    "220, then an alert": Row(ErrorKind.TLS_HANDSHAKE, instead=b"\x15\x03\x03\x00\x02\x02\x28"),
    # What was said before TLS is forgotten.
    "capability lie before TLS": Row(None, ehlo=b"250-mail\r\n250-STARTTLS\r\n250 AUTH EVIL CRAM-MD5\r\n"),
    "logins before TLS only": Row(ErrorKind.LOGIN_UNSUPPORTED, inside=(b"250 mail\r\n",), heard=(*HELLO, b"STARTTLS")),
    "only logins that we do not speak": Row(
        ErrorKind.LOGIN_UNSUPPORTED, inside=(b"250-mail\r\n250 AUTH CRAM-MD5 NTLM\r\n",)
    ),
    "EHLO refused under TLS": Row(
        ErrorKind.LOGIN_UNSUPPORTED, inside=(b"502 what?\r\n", b"250 mail\r\n"), heard=(b"EHLO", b"STARTTLS")
    ),
    "421 under TLS": Row(BUSY, inside=(b"421 not now\r\n",)),
    # A second greeting.
    "second greeting under TLS": Row(PROTOCOL, first_inside=GREETING, inside=(b"",)),
    "second greeting says that we are in": Row(PROTOCOL, first_inside=b"235 in\r\n", inside=(b"",)),
    "TLS, then plain text": Row(LOST, raw_inside=b"250-mail\r\n250 AUTH PLAIN\r\n"),
    "TLS, then the end": Row(LOST, inside=()),
    "TLS, then silence": Row(SLOW, inside=(b"",), limits=SHORT),
    # Greetings after which nothing is said at all.
    "no service": Row(ErrorKind.COMMAND_REFUSED, greeting=b"554 5.3.2 no SMTP here\r\n", heard=NOBODY),
    "not now": Row(BUSY, greeting=b"421 4.3.2 busy\r\n", heard=NOBODY),
    "try later": Row(BUSY, greeting=b"450 4.3.2 busy\r\n", heard=NOBODY),
    "250 as a greeting": Row(PROTOCOL, greeting=b"250 hi\r\n", heard=NOBODY),
    "a POP3 server": Row(STRANGER, greeting=b"+OK POP3 ready\r\n", heard=NOBODY),
    "an IMAP server": Row(STRANGER, greeting=b"* OK IMAP4rev1 ready\r\n", heard=NOBODY),
    "a news server": Row(STRANGER, greeting=b"200 news ready\r\n", heard=NOBODY),
    "a web server": Row(STRANGER, greeting=b"HTTP/1.1 400 Bad Request\r\n", heard=NOBODY),
    "two greetings at once": Row(PROTOCOL, greeting=GREETING + EHLO, heard=NOBODY),
    "TLS where plain text was expected": Row(STRANGER, greeting=b"\x15\x03\x01\x00\x02\x02\x46", heard=NOBODY),
}


def play(row: Row, certs: CertificateShop) -> Callable[[Visitor], None]:
    context = certs.good().server_context()

    def serve(visitor: Visitor) -> None:
        visitor.say(row.greeting)
        if visitor.hear() is None:
            return
        visitor.say(row.ehlo)
        if row.helo:
            visitor.hear()
            visitor.say(row.helo)
        if visitor.hear() is None:
            return
        visitor.say(row.answer)
        if row.instead is not None:
            visitor.sock.recv(1)
            visitor.say(row.instead)
            if row.instead:
                visitor.wait_for_end()
            return
        plain = visitor.sock.dup() if row.raw_inside else None
        visitor.start_tls(context)
        if plain is not None:
            with plain:
                plain.sendall(row.raw_inside)
        if row.first_inside:
            visitor.say(row.first_inside)
        if row.inside:
            visitor.obey(*row.inside)

    return serve


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.ends is not None])
def test_a_doubtful_upgrade_ends_before_any_secret(name: str, certs: CertificateShop) -> None:
    row, supplier = ROWS[name], Supplier()
    with (
        Doorstep(play(row, certs)) as server,
        pytest.raises(ProviderError) as caught,
        _opened(server, supplier, row, certs),
    ):
        pass
    assert caught.value.kind is row.ends, f"{caught.value} {caught.value.server_text}"
    assert supplier.asked == []
    assert SECRET.encode() not in server.heard
    words = [line.split(b" ")[0] for line in bytes(server.heard).split(b"\r\n")[:-1]]
    assert tuple(words[: len(row.heard)]) == row.heard
    assert b"AUTH" not in words


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.ends is None])
def test_nothing_said_before_tls_is_believed(name: str, certs: CertificateShop) -> None:
    row, supplier = ROWS[name], Supplier()
    with Doorstep(play(row, certs)) as server, _opened(server, supplier, row, certs):
        pass
    words = [line.split(b" ")[0] for line in bytes(server.heard).split(b"\r\n") if line]
    assert words == [b"EHLO", b"STARTTLS", b"EHLO", b"AUTH", b"QUIT"]
    assert supplier.asked == [False]


def test_the_set_has_more_than_forty_cases() -> None:
    assert len(ROWS) >= 40


def _opened(
    server: Doorstep, supplier: Supplier, row: Row, certs: CertificateShop
) -> AbstractContextManager[TransportSession]:
    return opened(
        server.port,
        host="localhost",
        security=Security.STARTTLS,
        credentials=supplier,
        ca_file=certs.authority,
        limits=row.limits,
    )
