"""How the door of a submission server may be refused, and what a session does with words that nobody asked for."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from provider.account import Account, Login
from provider.cancel import Stop
from provider.errors import (
    CommandRefused,
    ErrorKind,
    InvalidRequest,
    LimitExceeded,
    LoginRefused,
    Needs,
    ProtocolBroken,
    ProviderError,
    ServerBusy,
    TimedOut,
    WrongProtocol,
)
from provider.limits import Limits
from provider.transport.base import Ended
from provider.transport.smtp import smtp_transport
from tests.servers.doorstep import SECRET, Supplier
from tests.servers.fakesmtp import Answer, FakeSmtp, Manners
from tests.servers.scripted import Expect, Say, ScriptedServer, Step
from tests.wire.smtp_rig import TO, Watching, letter, opened, sender_at, sent

QUICK = Limits(greeting_seconds=0.3, command_seconds=0.3)


@dataclass(frozen=True)
class Shut:
    """One way in which a server does not let us in."""

    raises: type[ProviderError]
    answers: dict[str, Answer]
    needs: Needs
    limits: Limits = field(default_factory=Limits)
    kind: ErrorKind | None = None


DOORS = {
    "row 93: EHLO refused, and then HELO": Shut(
        WrongProtocol, {"ehlo": b"500 what?\r\n", "helo": b"500 what?\r\n"}, Needs.USER
    ),
    "row 93: EHLO refused, HELO taken, and no login then": Shut(
        LoginRefused, {"ehlo": b"500 what?\r\n"}, Needs.USER, kind=ErrorKind.LOGIN_UNSUPPORTED
    ),
    "row 93: endless lines to EHLO": Shut(LimitExceeded, {"ehlo": b"250-again\r\n" * 20_000}, Needs.RECONNECT),
    "row 93: a line of a megabyte to EHLO": Shut(
        LimitExceeded, {"ehlo": b"250-" + b"x" * 1_000_000 + b"\r\n250 ok\r\n"}, Needs.RECONNECT
    ),
    "row 93: a greeting of a megabyte": Shut(LimitExceeded, {"greeting": b"220 " + b"x" * 1_000_000}, Needs.RECONNECT),
    "row 93: code 25 to EHLO": Shut(ProtocolBroken, {"ehlo": b"25 ok\r\n"}, Needs.RECONNECT),
    "row 93: code 999 to EHLO": Shut(ProtocolBroken, {"ehlo": b"999 ok\r\n"}, Needs.RECONNECT),
    "row 93: no digits to EHLO": Shut(ProtocolBroken, {"ehlo": b"hello\r\n"}, Needs.RECONNECT),
    "row 93: 220 to EHLO": Shut(ProtocolBroken, {"ehlo": b"220 hello\r\n"}, Needs.RECONNECT),
    "row 94: 421 as a greeting": Shut(ServerBusy, {"greeting": b"421 4.3.2 busy\r\n"}, Needs.RETRY),
    "row 94: 421 to EHLO": Shut(ServerBusy, {"ehlo": b"421 4.3.2 busy\r\n"}, Needs.RETRY),
    "row 94: 421 to AUTH": Shut(ServerBusy, {"auth": b"421 4.3.2 busy\r\n"}, Needs.RETRY),
    "row 94: 454 to AUTH": Shut(ServerBusy, {"auth": b"454 4.7.0 no database\r\n"}, Needs.RETRY),
    "row 94: 450 to EHLO": Shut(ServerBusy, {"ehlo": b"450 later\r\n"}, Needs.RETRY),
    "554 as a greeting": Shut(CommandRefused, {"greeting": b"554 5.7.1 blocked\r\n"}, Needs.USER),
    "row 99: 535 to AUTH": Shut(LoginRefused, {"auth": b"535 5.7.8 no\r\n"}, Needs.LOGIN, kind=ErrorKind.LOGIN_REFUSED),
    "row 99: 534 to AUTH": Shut(
        LoginRefused, {"auth": b"534 5.7.9 weak\r\n"}, Needs.USER, kind=ErrorKind.LOGIN_UNSUPPORTED
    ),
    "row 99: 504 to AUTH": Shut(
        LoginRefused, {"auth": b"504 5.5.4 no\r\n"}, Needs.USER, kind=ErrorKind.LOGIN_UNSUPPORTED
    ),
    "row 99: 538 to AUTH": Shut(
        LoginRefused, {"auth": b"538 5.7.11 TLS\r\n"}, Needs.USER, kind=ErrorKind.LOGIN_UNSUPPORTED
    ),
    "row 99: 250 to AUTH is no 235": Shut(LoginRefused, {"auth": b"250 ok\r\n"}, Needs.LOGIN),
    "row 99: a question that nobody can answer": Shut(LoginRefused, {"auth": b"334 eA==\r\n"}, Needs.USER),
    "silence in place of a greeting": Shut(TimedOut, {"greeting": b""}, Needs.RECONNECT, limits=QUICK),
    "silence to EHLO": Shut(TimedOut, {"ehlo": b""}, Needs.RECONNECT, limits=QUICK),
    "silence to AUTH": Shut(TimedOut, {"auth": b""}, Needs.RECONNECT, limits=QUICK),
    "cut at the greeting": Shut(ProviderError, {"greeting": None}, Needs.RECONNECT, kind=ErrorKind.CONNECTION_LOST),
    "cut at EHLO": Shut(ProviderError, {"ehlo": None}, Needs.RECONNECT, kind=ErrorKind.CONNECTION_LOST),
    "cut at AUTH": Shut(ProviderError, {"auth": None}, Needs.RECONNECT, kind=ErrorKind.CONNECTION_LOST),
}


@pytest.mark.parametrize("name", DOORS)
def test_a_door_that_stays_shut_says_what_helps(name: str) -> None:
    shut = DOORS[name]
    with (
        FakeSmtp(Manners(answers=shut.answers)) as server,
        pytest.raises(shut.raises) as caught,
        opened(server.port, limits=shut.limits),
    ):
        pass
    assert caught.value.needs is shut.needs, caught.value
    assert caught.value.kind is shut.kind or shut.kind is None
    assert server.connections == 1


def test_row_93_helo_is_enough_where_no_login_is_wanted() -> None:
    with FakeSmtp(Manners(answers={"ehlo": b"502 5.5.1 what?\r\n"})) as server:
        assert sent(server.port, authenticate=False).accepted == set(TO)
    assert [command.split()[0] for command in server.commands[:3]] == [b"EHLO", b"HELO", b"MAIL"]
    assert server.delivered[0].options == ()


UNASKED: dict[str, tuple[Callable[[FakeSmtp], None], int]] = {
    "row 97: 250 while idle": (lambda server: server.interject(b"250 ok\r\n"), 0),
    "row 97: many while idle": (lambda server: server.interject(b"250 ok\r\n" * 3), 0),
    "row 97: 354 while idle": (lambda server: server.interject(b"354 go\r\n"), 0),
    "row 97: half a line while idle": (lambda server: server.interject(b"250 o"), 0),
    "row 97: noise while idle": (lambda server: server.interject(b"\xff\xff\r\n"), 0),
    "row 94: 421 while idle": (lambda server: server.interject(b"421 4.4.2 idle too long\r\n"), 421),
    "gone while idle": (lambda server: server.hang_up(), 0),
}


@pytest.mark.parametrize("name", UNASKED)
def test_what_is_said_while_nobody_asks_is_never_an_answer(name: str) -> None:
    disturb, code = UNASKED[name]
    with FakeSmtp() as server:
        with opened(server.port) as session:
            assert session.send(letter(), Watching()).accepted
            heard = len(server.commands)
            disturb(server)
            delivery = session.send(letter(), Watching())
        assert (delivery.ended, delivery.broken) == (Ended.NOT_SENT, True)
        assert delivery.accepted == frozenset()
        assert (delivery.reply.code if delivery.reply else 0) == code
        assert len(server.commands) == heard  # not even MAIL was said
    assert len(server.delivered) == 1


@pytest.mark.parametrize("login", Login, ids=lambda login: login.value)
def test_row_99_an_answer_that_repeats_the_secret_is_thrown_away(login: Login) -> None:
    def tell(line: bytes) -> bytes:
        encoded = base64.b64encode(SECRET.encode())
        return b"535 5.7.8 " + line + b" is not " + SECRET.encode() + b" " + encoded + b"\r\n"

    supplier = Supplier()
    with (
        FakeSmtp(Manners(answers={"auth": tell})) as server,
        pytest.raises(LoginRefused) as caught,
        opened(server.port, login=login, credentials=supplier),
    ):
        pass
    assert caught.value.server_text == ""
    assert caught.value.__context__ is None
    assert supplier.asked == [False, True]


def test_row_99_a_login_announced_before_tls_only_is_not_used() -> None:
    with FakeSmtp(Manners(logins=b"")) as server, pytest.raises(LoginRefused) as caught, opened(server.port):
        pass
    assert caught.value.kind is ErrorKind.LOGIN_UNSUPPORTED
    assert not any(command.startswith(b"AUTH") for command in server.commands)


def test_row_99_a_refused_token_is_asked_for_once_and_then_the_account_is_told() -> None:
    supplier = Supplier("old-token-number-one", "old-token-number-two", "old-token-number-three")
    with (
        FakeSmtp() as server,
        pytest.raises(LoginRefused) as caught,
        opened(server.port, login=Login.OAUTHBEARER, credentials=supplier),
    ):
        pass
    assert supplier.asked == [False, True]
    assert caught.value.needs is Needs.LOGIN


@pytest.mark.parametrize(
    ("login", "acknowledgement"), [(Login.XOAUTH2, b""), (Login.OAUTHBEARER, b"AQ==")], ids=lambda one: str(one)[:12]
)
def test_row_99_an_error_told_as_a_question_is_acknowledged(login: Login, acknowledgement: bytes) -> None:
    """As Gmail and Outlook do it: 334 with JSON, an answer, and only then 535 (RFC 7628 §3.2.2)."""
    attempt: list[Step] = [
        Expect(b"AUTH {} {*}\r\n"),
        Say(b"334 eyJzdGF0dXMiOiI0MDEifQ==\r\n"),
        Expect(acknowledgement + b"\r\n"),
        Say(b"535 5.7.8 expired\r\n"),
    ]
    script: list[Step] = [
        Say(b"220 hi\r\n"),
        Expect(b"EHLO {*}\r\n"),
        Say(b"250-mail\r\n250 AUTH XOAUTH2 OAUTHBEARER\r\n"),
        *attempt,
        *attempt,
    ]
    supplier = Supplier("old-token-number-one", "old-token-number-two")
    with ScriptedServer(script) as server, pytest.raises(LoginRefused) as caught:
        smtp_transport(sender_at(server.port, login=login, credentials=supplier)).open(Stop())
    assert (caught.value.response_code, supplier.asked) == ("535 5.7.8", [False, True])


def test_a_token_of_the_account_is_said_as_a_token() -> None:
    account = sender_at(1)
    assert account.smtp is not None
    with FakeSmtp(Manners(logins=b"AUTH PLAIN LOGIN XOAUTH2")) as server:
        bearer = Account(
            id=account.id,
            kind="memory",
            user="somebody",
            login=Login.OAUTHBEARER,
            credentials=Supplier(),
            smtp=type(account.smtp)(host="127.0.0.1", port=server.port, security=account.smtp.security),
        )
        session = smtp_transport(bearer).open(Stop())
        assert session.send(letter(), Watching()).accepted
        session.close()
    assert any(command.startswith(b"AUTH XOAUTH2") for command in server.commands)


def test_an_account_without_a_user_has_no_login() -> None:
    supplier = Supplier()
    with (
        FakeSmtp() as server,
        pytest.raises(LoginRefused) as caught,
        opened(server.port, user="", credentials=supplier),
    ):
        pass
    assert caught.value.kind is ErrorKind.CREDENTIALS_MISSING
    assert supplier.asked == []


@pytest.mark.parametrize("name", ["mail.example.org", "[192.0.2.1]", "[IPv6:2001:db8::1]", "x", "a-b.c-d"])
def test_we_call_ourselves_as_we_are_told(name: str) -> None:
    with FakeSmtp() as server, opened(server.port, name=name):
        pass
    assert server.commands[0] == b"EHLO " + name.encode()


def test_without_a_name_we_are_our_address() -> None:
    with FakeSmtp() as server, opened(server.port):
        pass
    assert server.commands[0] == b"EHLO [127.0.0.1]"


@pytest.mark.parametrize("name", ["a b", "a\r\nMAIL FROM:<x>", "-a", "a.", "ä", "[]", "a" * 256, "<a>"])
def test_a_name_that_is_none_is_a_bad_request(name: str) -> None:
    with pytest.raises(InvalidRequest):
        smtp_transport(sender_at(1), name=name)
