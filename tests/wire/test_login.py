"""Logging in: what is sent, what a refusal means, and where a secret must not get to; rows 11 to 15; real Dovecot."""

import base64
import contextlib
import imaplib
import logging
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from provider.account import Account, Credential, Login, Security
from provider.cancel import Stop
from provider.channel import Channel
from provider.errors import (
    Cancelled,
    ErrorKind,
    LoginRefused,
    Needs,
    ProviderError,
    ServerBusy,
    TooManyConnections,
    VaultUnusable,
)
from provider.limits import Limits
from provider.sources.imap.connect import open_door
from tests.servers.doorstep import (
    CAPABILITIES,
    GREETING,
    SECRET,
    Doorstep,
    Silent,
    Supplier,
    Visitor,
    account_at,
    commands,
    entered,
    greets,
    refusal,
)
from tests.servers.dovecot import Dovecot, DovecotAccount

GUARD_SECONDS = 5
TOLD = CAPABILITIES + b"@ OK told\r\n"
IN = b"@ OK [CAPABILITY IMAP4rev1 ENABLE] in\r\n"
FAILED = b"@ NO [AUTHENTICATIONFAILED] no\r\n"

LOGIN_ANSWERS: dict[str, tuple[bytes, ErrorKind, Needs]] = {
    "row 11: AUTHENTICATIONFAILED": (b"NO [AUTHENTICATIONFAILED] x", ErrorKind.LOGIN_REFUSED, Needs.LOGIN),
    "row 11: EXPIRED": (b"NO [EXPIRED] x", ErrorKind.LOGIN_REFUSED, Needs.LOGIN),
    "row 11: CONTACTADMIN": (b"NO [CONTACTADMIN] x", ErrorKind.LOGIN_REFUSED, Needs.USER),
    "row 11: AUTHORIZATIONFAILED": (b"NO [AUTHORIZATIONFAILED] x", ErrorKind.LOGIN_REFUSED, Needs.USER),
    "row 11: UNAVAILABLE": (b"NO [UNAVAILABLE] x", ErrorKind.SERVER_BUSY, Needs.RETRY),
    "row 11: INUSE": (b"NO [INUSE] x", ErrorKind.SERVER_BUSY, Needs.RETRY),
    "row 11: LIMIT": (b"NO [LIMIT] x", ErrorKind.SERVER_BUSY, Needs.RETRY),
    "a connection too many, in words": (
        b"NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
        ErrorKind.SERVER_BUSY,
        Needs.RETRY,
    ),
    "a connection too many, with an alert": (
        b"NO [ALERT] Too many simultaneous connections. (Failure)",
        ErrorKind.SERVER_BUSY,
        Needs.RETRY,
    ),
    "a quota": (b"NO [OVERQUOTA] x", ErrorKind.SERVER_BUSY, Needs.RETRY),
    "a quota in words": (
        b"NO [ALERT] Account exceeded command or bandwidth limits. (Failure)",
        ErrorKind.SERVER_BUSY,
        Needs.RETRY,
    ),
    "a refusal that names the quota of failures": (
        b"NO [AUTHENTICATIONFAILED] too many failed sessions",
        ErrorKind.LOGIN_REFUSED,
        Needs.LOGIN,
    ),
    "no code": (b"NO wrong", ErrorKind.LOGIN_REFUSED, Needs.LOGIN),
    "an unknown code": (b"NO [WHATEVER] wrong", ErrorKind.LOGIN_REFUSED, Needs.LOGIN),
    "BAD": (b"BAD what?", ErrorKind.LOGIN_UNSUPPORTED, Needs.USER),
    "throttled, without a code": (
        b"NO Request is throttled. Suggested Backoff Time: 1500 milliseconds",
        ErrorKind.SERVER_BUSY,
        Needs.RETRY,
    ),
    "row 16: OK without text": (b"OK", ErrorKind.PROTOCOL, Needs.RECONNECT),
}


@pytest.mark.parametrize("login", [Login.PLAIN, Login.LOGIN], ids=lambda login: login.value)
@pytest.mark.parametrize("name", LOGIN_ANSWERS)
def test_a_refused_login_says_what_helps_and_is_not_repeated(name: str, login: Login) -> None:
    text, kind, needs = LOGIN_ANSWERS[name]
    supplier = Supplier()
    error, server = refusal(greets(GREETING, b"@ " + text + b"\r\n", IN), login=login, credentials=supplier)
    assert (error.kind, error.needs) == (kind, needs)
    assert supplier.asked == ([False, True] if needs is Needs.LOGIN else [False])
    assert len(commands(server)) == 1


@pytest.mark.parametrize(
    ("text", "one_less_helps", "seconds"),
    [
        (b"NO [LIMIT] x", True, 300.0),
        (b"NO [ALERT] Too many simultaneous connections. (Failure)", True, 300.0),
        (b"NO Maximum number of connections from user+IP exceeded", True, 300.0),
        (b"NO [LIMIT] Suggested Backoff Time: 7000 milliseconds", False, 7.0),
        (b"NO [UNAVAILABLE] x", False, 300.0),
        (b"NO [OVERQUOTA] x", False, 3_600.0),
    ],
)
def test_a_busy_server_says_whether_one_connection_less_would_help(
    text: bytes, one_less_helps: bool, seconds: float
) -> None:
    error, _ = refusal(greets(GREETING, b"@ " + text + b"\r\n"))
    assert isinstance(error, ServerBusy)
    assert isinstance(error, TooManyConnections) is one_less_helps
    assert error.retry_after_seconds == seconds


def test_row_12_what_the_server_says_to_the_first_command_is_not_the_doors_business() -> None:
    with entered(greets(GREETING, IN, b"A1 BAD User is authenticated but not connected.\r\n")) as (door, _):
        door.channel.send(b"A1 NOOP\r\n")
        assert door.channel.readline() == b"A1 BAD User is authenticated but not connected.\r\n"


def test_row_13_capabilities_not_told_after_the_login_are_not_fresh() -> None:
    with entered(greets(GREETING, b"@ OK in\r\n")) as (door, _):
        assert not door.capabilities_fresh
        assert "AUTH=PLAIN" in door.capabilities


@pytest.mark.parametrize(
    "told", [b"* CAPABILITY IMAP4rev1 IDLE\r\n@ OK in\r\n", b"@ OK [CAPABILITY IMAP4rev1 idle] in\r\n"]
)
def test_row_13_capabilities_told_with_the_login_are_fresh(told: bytes) -> None:
    with entered(greets(GREETING, told)) as (door, server):
        assert door.capabilities_fresh
        assert door.capabilities == {"IMAP4REV1", "IDLE"}
        assert len(commands(server)) == 1


CHALLENGES = {
    "row 14: endless challenges": [b"+ \r\n"] * 20,
    "row 14: bad base64": [b"+ ====\r\n"],
    "row 14: text for base64": [b"+ What is your name?\r\n"],
    "row 14: a second question of PLAIN": [b"+ \r\n", b"+ cGFzc3dvcmQ/\r\n"],
}


@pytest.mark.parametrize("sasl_ir", [True, False], ids=["initial response", "asked first"])
@pytest.mark.parametrize("name", CHALLENGES)
def test_senseless_challenges_are_answered_with_a_star(name: str, sasl_ir: bool) -> None:
    greeting = GREETING if sasl_ir else GREETING.replace(b"SASL-IR ", b"")
    error, server = refusal(greets(greeting, *CHALLENGES[name]))
    assert (error.kind, error.needs) == (ErrorKind.LOGIN_UNSUPPORTED, Needs.USER)
    assert bytes(server.heard).endswith(b"\r\n*\r\n")


def test_row_15_an_unfinished_id_before_the_login_is_ignored() -> None:
    with entered(greets(GREETING + b'* ID ("name" NIL\r\n', IN)) as (door, _):
        assert door.capabilities_fresh


def test_row_26_a_continuation_nobody_asked_for_ends_the_login() -> None:
    error, _ = refusal(greets(b"* OK hi\r\n", b"+ go on\r\n"))
    assert error.kind is ErrorKind.PROTOCOL


def test_a_bye_in_the_middle_of_the_login_means_later() -> None:
    error, _ = refusal(greets(GREETING, b"* BYE Connection is closed. 13\r\n"))
    assert isinstance(error, ServerBusy)
    assert error.server_text == "Connection is closed. 13"


# Logging in.


def test_the_greetings_capabilities_save_a_flight() -> None:
    with entered(greets(GREETING, IN)) as (_, server):
        assert [line.split()[:2] for line in commands(server)] == [[b"AUTHENTICATE", b"PLAIN"]]


def test_a_greeting_without_capabilities_costs_one_question() -> None:
    with entered(greets(b"* OK hi\r\n", TOLD, IN)) as (_, server):
        assert [line.split()[0] for line in commands(server)] == [b"CAPABILITY", b"AUTHENTICATE"]


def test_without_initial_response_the_secret_waits_for_the_servers_question() -> None:
    with entered(greets(GREETING.replace(b"SASL-IR ", b""), b"+ \r\n", IN)) as (_, server):
        first, second = bytes(server.heard).split(b"\r\n")[:2]
        assert first.endswith(b" AUTHENTICATE PLAIN")
        assert second == b"AHNvbWVib2R5AHMzY3JldC1vZi10aGUtZG9vcg=="


def test_a_token_too_long_for_a_command_line_waits_for_the_servers_question() -> None:
    greeting = GREETING.replace(b"AUTH=PLAIN", b"AUTH=XOAUTH2")
    with entered(greets(greeting, b"+ \r\n", IN), login=Login.XOAUTH2, credentials=Supplier("t" * 7_000)) as (
        _,
        server,
    ):
        first, second = bytes(server.heard).split(b"\r\n")[:2]
        assert first.endswith(b" AUTHENTICATE XOAUTH2")
        assert len(second) > 9_000


@pytest.mark.parametrize(("login", "answer"), [(Login.XOAUTH2, b""), (Login.OAUTHBEARER, b"AQ==")])
def test_an_error_challenge_is_acknowledged_so_that_the_refusal_can_come(login: Login, answer: bytes) -> None:
    greeting = GREETING.replace(b"AUTH=PLAIN", b"AUTH=" + login.value.upper().encode())
    error, server = refusal(greets(greeting, b"+ eyJzdGF0dXMiOiI0MDEifQ==\r\n", FAILED), login=login)
    assert isinstance(error, LoginRefused)
    assert bytes(server.heard).split(b"\r\n")[1:] == [answer, b""]


def test_a_refused_secret_is_asked_for_once_more_and_the_new_one_tried() -> None:
    supplier = Supplier("stale", "fresh")
    with entered(greets(GREETING, FAILED, IN), credentials=supplier) as (door, server):
        assert supplier.asked == [False, True]
        assert len(commands(server)) == 2
        assert door.capabilities == {"IMAP4REV1", "ENABLE"}


def test_the_same_secret_is_not_tried_twice() -> None:
    supplier = Supplier()
    error, server = refusal(greets(GREETING, FAILED, IN), credentials=supplier)
    assert isinstance(error, LoginRefused)
    assert error.response_code == "AUTHENTICATIONFAILED"
    assert supplier.asked == [False, True]
    assert len(commands(server)) == 1


def test_two_refusals_are_the_end() -> None:
    supplier = Supplier("one", "two", "three")
    error, server = refusal(greets(GREETING, FAILED, FAILED, IN), credentials=supplier)
    assert isinstance(error, LoginRefused)
    assert supplier.asked == [False, True]
    assert len(commands(server)) == 2


@pytest.mark.parametrize("login", [Login.PLAIN, Login.XOAUTH2, Login.OAUTHBEARER], ids=lambda login: login.value)
def test_a_mechanism_that_is_not_offered_is_not_tried(login: Login) -> None:
    supplier = Supplier()
    error, server = refusal(greets(b"* OK [CAPABILITY IMAP4rev1] hi\r\n"), login=login, credentials=supplier)
    assert error.kind is ErrorKind.LOGIN_UNSUPPORTED
    assert (supplier.asked, server.heard) == ([], b"")


def test_oauthbearer_escapes_what_has_a_meaning_in_its_header() -> None:
    """RFC 5801 §4: comma and equals sign in a name."""
    greeting = GREETING.replace(b"AUTH=PLAIN", b"AUTH=OAUTHBEARER")
    with entered(greets(greeting, IN), login=Login.OAUTHBEARER, user="a=b,c") as (_, server):
        response = base64.b64decode(commands(server)[0].split()[-1])
    assert response.split(b"\1")[0] == b"n,a=a=3Db=2Cc,"


def test_a_door_is_handed_over_without_a_deadline() -> None:
    with entered(greets(GREETING, IN)) as (door, _):
        assert door.channel._countdown.rest() is None


def test_a_deadline_met_while_sending_keeps_its_kind() -> None:
    """imaplib would make text of it: it takes every OSError for a socket's."""
    error, server = refusal(greets(b"* OK hi\r\n"), limits=Limits(command_seconds=1e-9))
    assert error.kind is ErrorKind.TIMED_OUT
    assert server.heard == b""


def test_auto_takes_login_where_plain_is_not_offered() -> None:
    with entered(greets(b"* OK [CAPABILITY IMAP4rev1] hi\r\n", IN)) as (_, server):
        assert commands(server) == [b'LOGIN "somebody" "s3cret-of-the-door"']


def raising(error: Exception) -> Callable[..., Credential]:
    def supplier(account: Account, *, refused: bool) -> Credential:
        raise error

    return supplier


@pytest.mark.parametrize(
    "credentials",
    [None, Supplier(""), raising(RuntimeError(f"the secret is {SECRET}"))],
    ids=["nobody to ask", "an empty secret", "a supplier that fails"],
)
def test_without_a_secret_there_is_no_login(credentials: object) -> None:
    error, server = refusal(greets(GREETING, IN), credentials=credentials)
    assert (error.kind, error.needs) == (ErrorKind.CREDENTIALS_MISSING, Needs.LOGIN)
    assert server.heard == b""
    assert SECRET not in repr(error)
    assert error.__context__ is None


def test_a_supplier_that_has_none_says_so_itself() -> None:
    mine = LoginRefused("Sign in again at the provider's page.")
    error, _ = refusal(greets(GREETING, IN), credentials=raising(mine))
    assert error is mine


@pytest.mark.parametrize(
    "mine",
    [ServerBusy("The token server is in trouble."), VaultUnusable("The keyring is locked.")],
    ids=lambda error: error.kind.value,
)
def test_a_supplier_that_cannot_answer_says_so_itself(mine: ProviderError) -> None:
    error, server = refusal(greets(GREETING, IN), credentials=raising(mine))
    assert error is mine
    assert server.heard == b""


def test_a_sign_in_that_ended_says_more_than_the_servers_refusal() -> None:
    def supplier(account: Account, *, refused: bool) -> Credential:
        if refused:
            raise LoginRefused("A person has to sign in.", kind=ErrorKind.SIGN_IN_AGAIN)
        return Credential("token-that-is-over")

    greeting = GREETING.replace(b"AUTH=PLAIN", b"AUTH=XOAUTH2")
    script = greets(greeting, b"+ \r\n", b"@ NO [AUTHENTICATIONFAILED] no\r\n")
    error, _ = refusal(script, login=Login.XOAUTH2, credentials=supplier)
    assert error.kind is ErrorKind.SIGN_IN_AGAIN


def test_a_cancelled_question_for_the_secret_is_a_cancellation() -> None:
    mine = Cancelled("The dialogue was closed.")
    error, _ = refusal(greets(GREETING, IN), credentials=raising(mine))
    assert error is mine


@pytest.mark.parametrize("login", [Login.PLAIN, Login.LOGIN], ids=lambda login: login.value)
def test_no_log_holds_a_secret_even_when_a_host_turns_everything_on(
    login: Login,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """M19: imaplib prints to stderr and keeps the last lines, IMAPClient logs every line at level 5."""
    kept: list[object] = []
    monkeypatch.setattr(imaplib, "Debug", 5)
    monkeypatch.setattr(imaplib.IMAP4, "_log", lambda imap, line: kept.append(line))
    caplog.set_level(logging.DEBUG)
    with entered(greets(GREETING, IN), login=login) as (_, server):
        (command,) = commands(server)
    shown = caplog.text + "".join(capfd.readouterr())
    assert SECRET not in shown
    assert command.split()[-1].decode() not in shown
    assert "IMAP4rev1" not in shown  # no line of the conversation at all
    assert kept == []


@pytest.mark.parametrize("login", [Login.PLAIN, Login.LOGIN], ids=lambda login: login.value)
def test_a_servers_echo_of_the_secret_goes_nowhere(login: Login) -> None:
    def echo(visitor: Visitor) -> None:
        visitor.say(GREETING)
        visitor.say(b"@ NO I heard " + (visitor.hear() or b"").partition(b" ")[2].replace(b"\r", b"") + b"\r\n")
        visitor.wait_for_end()

    error, _ = refusal(echo, login=login)
    chain: BaseException | None = error
    while chain is not None:
        shown = f"{chain!r} {vars(chain)}"
        assert SECRET not in shown
        assert "AHNvbWVib2R5" not in shown
        chain = chain.__cause__ or chain.__context__


def test_a_password_beyond_ascii_goes_by_plain() -> None:
    with entered(greets(GREETING, IN), credentials=Supplier("pä€𝄞")) as (_, server):
        assert commands(server)[0].startswith(b"AUTHENTICATE PLAIN ")


def test_a_password_beyond_ascii_that_only_login_could_carry_is_refused_without_being_shown() -> None:
    """M19: the text of imaplib's own error would be the password."""
    error, server = refusal(greets(b"* OK [CAPABILITY IMAP4rev1] hi\r\n"), credentials=Supplier("gehüm"))
    assert error.kind is ErrorKind.LOGIN_UNSUPPORTED
    assert server.heard == b""
    assert "geh" not in f"{error!r}{error.__cause__!r}{error.__context__!r}"


# Real Dovecot.


@pytest.fixture(scope="module")
def resident(dovecot_daemon: Callable[..., Dovecot]) -> DovecotAccount:
    """One user for all: a door changes no mail. Dovecot looks for new users once a second, so wait until it knows."""
    user = dovecot_daemon().add_user("resident", 'pass: "word" \\ 1')
    deadline = time.monotonic() + GUARD_SECONDS
    while True:
        try:
            user.client().close()
            return user
        except imaplib.IMAP4.error:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def at_dovecot(resident: DovecotAccount, security: Security, **changes: object) -> Account:
    port = resident.tls_port if security is Security.TLS else resident.port
    account = account_at(
        port,
        host=resident.host,
        security=security,
        user=resident.user,
        credentials=Supplier(resident.password),
        ca_file=resident.certificate_authority,
    )
    return replace(account, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("login", [Login.AUTO, Login.LOGIN, Login.PLAIN], ids=lambda login: login.value)
@pytest.mark.parametrize("security", Security, ids=lambda security: security.value)
def test_dovecot_lets_us_in_by_password(resident: DovecotAccount, security: Security, login: Login) -> None:
    door = open_door(at_dovecot(resident, security, login=login), Stop(), Silent())
    with contextlib.closing(door.channel):
        assert door.capabilities_fresh
        assert {"IMAP4REV1", "QRESYNC", "LIST-STATUS"} <= door.capabilities
        assert door.channel.secure == (security is not Security.NONE)
        door.channel.send(b"w1 NOOP\r\n")
        assert door.channel.readline().startswith(b"w1 OK")


@pytest.mark.parametrize("login", [Login.XOAUTH2, Login.OAUTHBEARER], ids=lambda login: login.value)
def test_dovecot_lets_us_in_by_token_and_takes_a_fresh_one_after_a_stale_one(
    resident: DovecotAccount, login: Login
) -> None:
    resident.add_token("good.token")
    supplier = Supplier("stale.token", "good.token")
    door = open_door(at_dovecot(resident, Security.TLS, login=login, credentials=supplier), Stop(), Silent())
    with contextlib.closing(door.channel):
        assert supplier.asked == [False, True]
        assert "QRESYNC" in door.capabilities


def test_dovecot_refuses_a_wrong_password(resident: DovecotAccount) -> None:
    with pytest.raises(LoginRefused) as caught:
        open_door(at_dovecot(resident, Security.TLS, credentials=Supplier("wrong")), Stop(), Silent())
    assert caught.value.response_code == "AUTHENTICATIONFAILED"


def test_dovecot_over_tls_costs_one_flight(resident: DovecotAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """The greeting tells the capabilities, AUTHENTICATE has an initial response, its OK tells them again."""
    sent: list[bytes] = []
    send = Channel.send

    def recording(channel: Channel, octets: bytes) -> None:
        sent.append(octets)
        send(channel, octets)

    monkeypatch.setattr(Channel, "send", recording)
    door = open_door(at_dovecot(resident, Security.TLS), Stop(), Silent())
    with contextlib.closing(door.channel):
        assert len(sent) == 1
        assert door.capabilities_fresh
        assert door.channel.buffered() == 0


@pytest.mark.parametrize("login", [Login.PLAIN, Login.LOGIN], ids=lambda login: login.value)
def test_alerts_at_the_door_are_for_the_person_unless_they_hold_the_secret(login: Login) -> None:
    coded = base64.b64encode(b"\0somebody\0" + SECRET.encode())
    said = (
        b"* OK [ALERT] Down at noon\r\n* NO [ALERT] " + SECRET.encode() + b" is too short\r\n"
        b"* OK [ALERT] " + coded + b" is what you said\r\n* OK [Alert] not one\r\n" + IN
    )
    ear = Silent()
    with Doorstep(greets(b"* OK [ALERT] Hello" + GREETING[4:], TOLD, said)) as server:
        account = account_at(server.port, login=login)
        if login is Login.LOGIN:
            coded = b""
        door = open_door(account, Stop(), ear)
        door.channel.close()
    texts = [notice.server_text for notice in ear.notices]
    assert "[ALERT] Down at noon" in texts
    assert SECRET not in "".join(texts)
    assert {notice.kind for notice in ear.notices} == {ErrorKind.SERVER_ALERT.value}
    if coded:
        assert coded.decode() not in "".join(texts)


def test_an_alert_before_a_refusal_is_told_beside_it() -> None:
    ear = Silent()
    answer = b"* NO [ALERT] Locked for a day\r\n" + FAILED
    with Doorstep(greets(GREETING, answer)) as server, pytest.raises(LoginRefused):
        open_door(account_at(server.port), Stop(), ear)
    assert [notice.server_text for notice in ear.notices] == ["[ALERT] Locked for a day"]
