"""T23 at the door: sixty strings from outsiders as user, password, token and host.

Whatever the string: the server hears exactly one command, which says exactly that string, or nothing at all.
"""

import base64
import re
import socket

import pytest

from provider.account import Login, Security
from provider.cancel import Stop
from provider.errors import ErrorKind, InvalidRequest, LoginRefused, ProviderError, TlsRefused, Unreachable
from provider.sources.imap.connect import open_door
from tests.servers.certs import CertificateShop
from tests.servers.doorstep import GREETING, Doorstep, Silent, Supplier, Visitor, account_at
from tests.servers.injections import INJECTIONS

IN = b"@ OK [CAPABILITY IMAP4rev1] in\r\n"
EVERY_LOGIN = GREETING.replace(b"AUTH=PLAIN", b"AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER")
QUOTED = rb'"((?:[^"\\\r\n\0]|\\["\\])*)"'
LOGIN_COMMAND = re.compile(rb"[A-Z]{4}\d+ LOGIN " + QUOTED + rb" " + QUOTED + rb"\r\n\Z")
SASL_COMMAND = re.compile(rb"[A-Z]{4}\d+ AUTHENTICATE ([A-Z0-9]+)(?: ([A-Za-z0-9+/=]+)|\r\n([A-Za-z0-9+/=]+))\r\n\Z")

CONTROL = re.compile("[\0-\x1f\x7f]")
TOKEN = re.compile(r"[!-~]+\Z")
numbered = pytest.mark.parametrize("number", range(len(INJECTIONS)))


def in_at_last(visitor: Visitor) -> None:
    """Play a server that lets everybody in, whichever way the first response comes."""
    visitor.say(EVERY_LOGIN)
    command = visitor.hear()
    if command is not None and len(command.split()) == 3:  # AUTHENTICATE without an initial response
        visitor.say(b"+ \r\n")
        visitor.hear()
    visitor.say(IN)
    visitor.wait_for_end()


def heard_by(login: Login, *, user: str = "somebody", secret: str = "secret", host: str = "127.0.0.1") -> bytes:
    """Return what a server that lets everybody in has heard; empty when we refused to say anything."""
    with Doorstep(in_at_last) as server:
        end: ProviderError | None = None
        try:
            account = account_at(
                server.port, login=login, user=user, host=host, plaintext_host=host, credentials=Supplier(secret)
            )
            open_door(account, Stop(), Silent()).channel.close()
        except (InvalidRequest, LoginRefused) as error:
            end = error
    if isinstance(end, LoginRefused):
        assert end.kind is ErrorKind.LOGIN_UNSUPPORTED
        assert end.__context__ is None
        assert end.__cause__ is None
    elif end is not None:
        assert CONTROL.search(user + host)
    return bytes(server.heard)


def unquoted(text: bytes) -> str:
    return re.sub(rb"\\(.)", rb"\1", text).decode("ascii")


def said(heard: bytes) -> tuple[str, bytes]:
    """Return mechanism and decoded response of what must be one single AUTHENTICATE."""
    match = SASL_COMMAND.match(heard)
    assert match is not None, heard[:200]
    return match[1].decode(), base64.b64decode(match[2] or match[3], validate=True)


def test_the_list_has_sixty_different_strings() -> None:
    assert len(set(INJECTIONS)) == 60


@numbered
@pytest.mark.parametrize("place", ["user", "password"])
def test_login_carries_the_string_exactly_or_is_not_sent(number: int, place: str) -> None:
    text = INJECTIONS[number]
    heard = heard_by(Login.LOGIN, user=text) if place == "user" else heard_by(Login.LOGIN, secret=text)
    if not (text.isascii() and text.isprintable()) or len(text) > 4_000:
        assert heard == b""
        return
    match = LOGIN_COMMAND.match(heard)
    assert match is not None, heard[:200]
    expected = (text, "secret") if place == "user" else ("somebody", text)
    assert (unquoted(match[1]), unquoted(match[2])) == expected


@numbered
def test_plain_carries_every_password_exactly_but_those_with_nul(number: int) -> None:
    text = INJECTIONS[number]
    heard = heard_by(Login.PLAIN, secret=text)
    if "\0" in text or "\ud800" in text or len(text) > 16_000:
        assert heard == b""
        return
    assert said(heard) == ("PLAIN", b"\0somebody\0" + text.encode())


@numbered
def test_plain_carries_every_user_exactly_but_those_with_control_characters(number: int) -> None:
    text = INJECTIONS[number]
    heard = heard_by(Login.PLAIN, user=text)
    if CONTROL.search(text) or "\ud800" in text or len(text) > 16_000:
        assert heard == b""
        return
    assert said(heard) == ("PLAIN", b"\0" + text.encode() + b"\0secret")


@numbered
@pytest.mark.parametrize("login", [Login.XOAUTH2, Login.OAUTHBEARER], ids=lambda login: login.value)
def test_a_token_is_one_field_or_is_not_sent(number: int, login: Login) -> None:
    text = INJECTIONS[number]
    heard = heard_by(login, secret=text)
    if not TOKEN.match(text) or len(text) > 16_000:
        assert heard == b""
        return
    mechanism, response = said(heard)
    assert mechanism == login.value.upper()
    assert [field for field in response.split(b"\1") if field.startswith(b"auth=")] == [b"auth=Bearer " + text.encode()]
    assert response.endswith(b"\1\1")


@numbered
def test_a_host_is_one_field_or_is_not_sent(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server of an attacker's answers for any name; OAUTHBEARER says the name to the server."""
    text, real = INJECTIONS[number], socket.getaddrinfo

    def find(host: str, port: int, **options: object) -> object:
        return real("127.0.0.1", port, type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", find)
    heard = heard_by(Login.OAUTHBEARER, host=text)
    if CONTROL.search(text):
        assert heard == b""
        return
    mechanism, response = said(heard)
    assert mechanism == "OAUTHBEARER"
    assert response.split(b"\1")[1] == b"host=" + text.encode("utf-8", "replace")
    assert response.count(b"\1") == 5


@numbered
def test_a_host_that_is_no_name_gets_no_secret_over_tls(
    number: int, certs: CertificateShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, supplier, real = INJECTIONS[number], Supplier(), socket.getaddrinfo

    def find(host: str, port: int, **options: object) -> object:
        return real("127.0.0.1", port, type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", find)
    context = certs.good().server_context()

    def serve(visitor: Visitor) -> None:
        visitor.start_tls(context)
        in_at_last(visitor)

    def knock(port: int) -> None:
        open_door(
            account_at(port, security=Security.TLS, host=text, ca_file=certs.authority, credentials=supplier),
            Stop(),
            Silent(),
        )

    with Doorstep(serve) as server, pytest.raises((InvalidRequest, TlsRefused, Unreachable)):
        knock(server.port)
    assert supplier.asked == []
    assert server.heard == b""
