"""T23 on the way out: sixty strings from outsiders as sender, recipient, name in EHLO, user, password and token.

Whatever the string: the server hears exactly one command, which says exactly that string, or none at all.
"""

from __future__ import annotations

import base64

import pytest

from provider.account import Login
from provider.errors import ErrorKind, InvalidRequest, LoginRefused
from provider.transport.base import Ended
from tests.servers.doorstep import Supplier
from tests.servers.fakesmtp import FakeSmtp, Manners
from tests.servers.injections import INJECTIONS
from tests.wire.smtp_rig import MESSAGE, Watching, letter, opened

GOOD = "good@example.org"
VERBS = {b"EHLO", b"AUTH", b"MAIL", b"RCPT", b"DATA", b"RSET", b"QUIT"}
PLACES = {
    "as it is": "{}",
    "local part": "{}@example.org",
    "domain": "a@{}",
    "in brackets": "<{}@example.org>",
    "behind an address": "a@example.org> {}",
    "quoted": '"{}"@example.org',
}
IN = b"235 in\r\n"

numbered = pytest.mark.parametrize("number", range(len(INJECTIONS)))


def lines(server: FakeSmtp, verb: bytes) -> list[bytes]:
    return [line for line in server.commands if line.startswith(verb)]


def assert_only_our_commands(server: FakeSmtp) -> None:
    assert {line.split(b" ")[0] for line in server.commands} <= VERBS, server.commands
    assert all(line.isascii() is False or line.decode().isprintable() for line in server.commands)


@numbered
@pytest.mark.parametrize("utf8", [True, False], ids=["SMTPUTF8", "ASCII"])
def test_a_recipient_is_said_exactly_or_not_at_all(number: int, utf8: bool) -> None:
    extensions = (b"SMTPUTF8", b"8BITMIME") if utf8 else ()
    with FakeSmtp(Manners(extensions=extensions)) as server, opened(server.port) as session:
        for place in PLACES.values():
            address = place.format(INJECTIONS[number])
            before = len(server.commands)
            delivery = session.send(letter(MESSAGE, address, GOOD), Watching())
            said = [line for line in server.commands[before:] if line.startswith(b"RCPT")]
            assert delivery.ended is Ended.ANSWERED, delivery
            if address in delivery.accepted:
                assert said[0] == b"RCPT TO:<" + address.encode() + b">"
                assert len(said) == 2
                assert sum(line.startswith(b"DATA") for line in server.commands[before:]) == 1
            else:
                (reply,) = (reply for one, reply in delivery.refused if one == address)
                assert (reply.code, bool(reply.text)) == (0, True)
                assert said in ([], [b"RCPT TO:<" + GOOD.encode() + b">"])
    assert_only_our_commands(server)


@numbered
def test_a_sender_is_said_exactly_or_not_at_all(number: int) -> None:
    with FakeSmtp() as server, opened(server.port) as session:
        for place in PLACES.values():
            address = place.format(INJECTIONS[number])
            before = len(server.commands)
            delivery = session.send(letter(MESSAGE, GOOD, sender=address), Watching())
            said = server.commands[before:]
            if delivery.accepted:
                assert said[0].startswith(b"MAIL FROM:<" + address.encode() + b">")
                assert [line.split(b" ")[0] for line in said] == [b"MAIL", b"RCPT", b"DATA"]
            else:
                assert said == []
                assert delivery.reply is not None
                assert delivery.reply.text
    assert_only_our_commands(server)


def test_some_strings_are_addresses_all_the_same() -> None:
    """The two tests above would hold for a client that refuses everything."""
    with FakeSmtp() as server, opened(server.port) as session:
        for address in (
            '"a b"@example.org',
            "*@example.org",
            "a@[IPv6:2001:db8::1]",
            '"\\""@x',
            "{5}@example.org",
            "ä@ö",
        ):
            assert session.send(letter(MESSAGE, address), Watching()).accepted == {address}
    assert len(server.delivered) == 6


@numbered
def test_a_name_is_said_exactly_or_refused(number: int) -> None:
    text = INJECTIONS[number]
    with FakeSmtp() as server:
        try:
            with opened(server.port, name=text):
                pass
        except InvalidRequest:
            assert server.commands == []
            return
    assert lines(server, b"EHLO") == [b"EHLO " + text.encode()]


@numbered
@pytest.mark.parametrize(
    "login", [Login.PLAIN, Login.LOGIN, Login.XOAUTH2, Login.OAUTHBEARER], ids=lambda one: one.value
)
@pytest.mark.parametrize("place", ["user", "secret"])
def test_a_user_and_a_secret_are_said_exactly_or_not_at_all(number: int, login: Login, place: str) -> None:
    text = INJECTIONS[number]
    user, secret = (text, "s3cret") if place == "user" else ("somebody", text)
    refusal: InvalidRequest | LoginRefused | None = None
    with FakeSmtp(Manners(users={user: secret})) as server:
        try:
            with opened(server.port, user=user, login=login, credentials=Supplier(secret)):
                pass
        except (InvalidRequest, LoginRefused) as error:
            refusal = error
    if refusal is not None:
        assert isinstance(refusal, InvalidRequest) or refusal.kind is ErrorKind.LOGIN_UNSUPPORTED
        assert (refusal.__context__, refusal.__cause__) == (None, None)
        assert lines(server, b"AUTH") == []
        return
    # The server has let in the one user whom it knows, by the one secret.
    assert len(lines(server, b"AUTH")) == 1
    if login is Login.PLAIN:
        said = base64.b64decode(lines(server, b"AUTH")[0].split(b" ")[2])
        assert said == b"\0" + user.encode() + b"\0" + secret.encode()
    if login is Login.LOGIN:
        assert [base64.b64decode(line) for line in server.commands[2:4]] == [user.encode(), secret.encode()]
    others = VERBS - {b"AUTH", b"EHLO"}
    assert [line for line in server.commands if line.split(b" ")[0] in others] == [b"QUIT"]
