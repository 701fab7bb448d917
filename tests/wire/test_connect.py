"""The way to the door: address, greeting, cancelling; rows 1 to 10 of the catalogue of hostile servers.

TLS itself is in test_tls_matrix and test_starttls (rows 8 and 9), the login in test_login (rows 11 to 15).
"""

import contextlib
import socket
import threading

import pytest

from provider.account import Account, Security
from provider.cancel import Stop
from provider.errors import (
    Cancelled,
    ErrorKind,
    LoginRefused,
    Needs,
    ServerBusy,
    TimedOut,
    TlsRefused,
    Unreachable,
)
from provider.limits import Limits
from provider.sources.imap.connect import Door, open_door
from tests.servers.certs import CertificateShop
from tests.servers.doorstep import (
    CAPABILITIES,
    GREETING,
    Doorstep,
    Silent,
    Supplier,
    Visitor,
    account_at,
    entered,
    greets,
    refusal,
)

GUARD_SECONDS = 5
SHORT = Limits(connect_seconds=0.3, greeting_seconds=0.3, command_seconds=0.3)
TOLD = CAPABILITIES + b"@ OK told\r\n"
IN = b"@ OK [CAPABILITY IMAP4rev1 ENABLE] in\r\n"
FAILED = b"@ NO [AUTHENTICATIONFAILED] no\r\n"


# Hostile rows. R: again later on a new connection; A: a person is needed, and no secret is sent.

GREETINGS: dict[str, tuple[bytes, ErrorKind, Needs]] = {
    "row 2: BYE": (b"* BYE too many connections\r\n", ErrorKind.SERVER_BUSY, Needs.RETRY),
    "row 3: PREAUTH without TLS": (b"* PREAUTH welcome\r\n", ErrorKind.PREAUTH_WITHOUT_TLS, Needs.USER),
    "row 4: OK without text": (b"* OK\r\n", ErrorKind.WRONG_PROTOCOL, Needs.USER),
    "row 4: no space": (b"*OK hi\r\n", ErrorKind.WRONG_PROTOCOL, Needs.USER),
    "row 4: POP3": (b"+OK POP3 ready\r\n", ErrorKind.WRONG_PROTOCOL, Needs.USER),
    "row 4: SMTP": (b"220 smtp\r\n", ErrorKind.WRONG_PROTOCOL, Needs.USER),
    "row 4: the web": (b"HTTP/1.1 400 Bad Request\r\n\r\n", ErrorKind.WRONG_PROTOCOL, Needs.USER),
    "row 4: TLS": (b"\x15\x03\x03\x00\x02\x02\x0a", ErrorKind.WRONG_PROTOCOL, Needs.USER),
    "row 17: LF only": (b"* OK hi\n", ErrorKind.PROTOCOL, Needs.RECONNECT),
    "row 18: NUL": (b"\0* OK hi\r\n", ErrorKind.WRONG_PROTOCOL, Needs.USER),
    "no IMAP4rev1": (b"* OK [CAPABILITY IMAP2] hi\r\n", ErrorKind.WRONG_PROTOCOL, Needs.USER),
}


@pytest.mark.parametrize("name", GREETINGS)
def test_a_greeting_that_is_none_ends_before_any_secret(name: str) -> None:
    greeting, kind, needs = GREETINGS[name]
    error, server = refusal(greets(greeting))
    assert (error.kind, error.needs) == (kind, needs)
    assert server.heard == b""


def test_row_1_a_server_that_closes_at_once_is_a_lost_connection() -> None:
    error, _ = refusal(lambda visitor: None)
    assert (error.kind, error.needs) == (ErrorKind.CONNECTION_LOST, Needs.RECONNECT)


def test_row_2_a_bye_tells_when_to_come_back() -> None:
    error, _ = refusal(greets(b"* BYE Request is throttled. Suggested Backoff Time: 299961 milliseconds\r\n"))
    assert isinstance(error, ServerBusy)
    assert error.retry_after_seconds == 299.961
    error, _ = refusal(greets(b"* BYE [UNAVAILABLE] later\r\n"))
    assert error.retry_after_seconds == 300
    assert error.response_code == "UNAVAILABLE"
    assert error.server_text == "[UNAVAILABLE] later"


@pytest.mark.parametrize(
    ("opening", "word"),
    [(b"220 x\r\n", "SMTP"), (b"+OK x\r\n", "POP3"), (b"HTTP/1.1 400 x\r\n", "web"), (b"\x15\x03", "TLS")],
)
def test_row_4_the_hint_names_the_protocol_found(opening: bytes, word: str) -> None:
    error, _ = refusal(greets(opening))
    assert word in str(error)


def test_row_5_a_silent_server_meets_the_deadline_with_a_hint() -> None:
    error, _ = refusal(greets(b""), limits=SHORT)
    assert isinstance(error, TimedOut)
    assert "choose TLS" in str(error)


def test_row_5_a_dripping_server_meets_the_same_deadline() -> None:
    over = threading.Event()

    def drip(visitor: Visitor) -> None:
        while not over.wait(0.01):
            visitor.say(b"*")

    with Doorstep(drip) as server:
        with pytest.raises(TimedOut):
            open_door(account_at(server.port, limits=SHORT), Stop(), Silent())
        over.set()


def test_row_6_a_greeting_of_300_megabytes_is_cut_at_the_cap() -> None:
    sent = 0

    def flood(visitor: Visitor) -> None:
        nonlocal sent
        for _ in range(300):
            visitor.sock.sendall(b"x" * 1_000_000)
            sent += 1

    error, _ = refusal(flood)
    assert error.kind is ErrorKind.LIMIT
    assert sent < 20


def test_row_7_logindisabled_is_obeyed() -> None:
    supplier = Supplier()
    error, server = refusal(greets(b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n"), credentials=supplier)
    assert (error.kind, error.needs) == (ErrorKind.LOGIN_UNSUPPORTED, Needs.USER)
    assert supplier.asked == []
    assert server.heard == b""


# Rows 8 and 9 are STARTTLS: test_starttls.


def test_row_10_a_completion_sent_in_advance_is_not_believed() -> None:
    """M16: imaplib's tags count up; ours cannot be guessed."""

    def serve(visitor: Visitor) -> None:
        visitor.say(b"* OK hi\r\n")
        visitor.hear()
        head, number = visitor.tag[:4], int(visitor.tag[4:])
        visitor.say(TOLD + head + b"%d OK you are in\r\n" % (number + 1))
        visitor.wait_for_end()

    error, _ = refusal(serve)
    assert (error.kind, error.needs) == (ErrorKind.PROTOCOL, Needs.RECONNECT)


# Where to.


def test_a_host_that_does_not_exist_is_unresolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name server's answer is played: a test must not wait for a network that may not be there."""

    def find(host: str, port: int, **options: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", find)
    with pytest.raises(Unreachable, match=r"mail\.example") as caught:
        open_door(account_at(993, host="mail.example", security=Security.TLS), Stop(), Silent())
    assert (caught.value.kind, caught.value.needs) == (ErrorKind.UNRESOLVED_HOST, Needs.RETRY)


def test_a_host_that_can_be_no_name_is_unresolved() -> None:
    with pytest.raises(Unreachable) as caught:
        open_door(account_at(993, host="mail..example", security=Security.TLS), Stop(), Silent())
    assert caught.value.kind is ErrorKind.UNRESOLVED_HOST


def test_a_port_nobody_listens_on_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        open_door(account_at(port), Stop(), Silent())
    assert caught.value.kind is ErrorKind.CONNECTION_REFUSED


def test_an_address_without_a_route_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(host: str, port: int, **options: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("255.255.255.255", port))]

    monkeypatch.setattr(socket, "getaddrinfo", find)
    with pytest.raises(Unreachable) as caught:
        open_door(account_at(143, host="mail.example", plaintext_host="mail.example"), Stop(), Silent())
    assert caught.value.kind is ErrorKind.UNREACHABLE


def test_the_next_address_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(host: str, port: int, **options: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", find)
    with entered(greets(GREETING, IN)) as (door, _):
        assert door.capabilities


@pytest.mark.parametrize(
    "host", ["mail.example", "10.0.0.1", "0.0.0.0", "127.1", "::ffff:10.0.0.1", "localhost.example"]
)
def test_plain_text_to_elsewhere_is_refused_before_any_connection(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *place, **options: asked.append(place))
    with pytest.raises(TlsRefused) as caught:
        open_door(account_at(143, host=host), Stop(), Silent())
    assert caught.value.kind is ErrorKind.PLAINTEXT_REFUSED
    assert asked == []


def test_plain_text_to_a_localhost_that_is_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(host: str, port: int, **options: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", find)
    with pytest.raises(Unreachable) as caught:
        open_door(account_at(143, host="localhost"), Stop(), Silent())
    assert caught.value.kind is ErrorKind.UNRESOLVED_HOST


def test_preauth_under_tls_needs_no_login(certs: CertificateShop) -> None:
    context, supplier = certs.good().server_context(), Supplier()

    def serve(visitor: Visitor) -> None:
        visitor.start_tls(context)
        visitor.say(b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] welcome\r\n")
        visitor.wait_for_end()

    with entered(serve, host="localhost", security=Security.TLS, ca_file=certs.authority, credentials=supplier) as (
        door,
        server,
    ):
        assert door.capabilities == {"IMAP4REV1", "IDLE"}
        assert door.capabilities_fresh
        assert (supplier.asked, server.heard) == ([], b"")


# Cancelling.


def cancelled(account: Account, listener: Silent, when: threading.Event) -> BaseException | Door:
    """Return how opening ends when somebody cancels after *when* is set."""
    stop, ends, over = Stop(), list[BaseException | Door](), threading.Event()

    def knock() -> None:
        try:
            ends.append(open_door(account, stop, listener))
        except BaseException as error:
            ends.append(error)
        over.set()

    threading.Thread(target=knock, daemon=True).start()
    assert when.wait(GUARD_SECONDS)
    stop.stop()
    assert over.wait(GUARD_SECONDS)
    return ends[0]


def test_cancel_ends_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, let_go = threading.Event(), threading.Event()

    def look_up(*place: object, **options: object) -> list[object]:
        asked.set()
        let_go.wait(GUARD_SECONDS)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert isinstance(cancelled(account_at(143), Silent(), asked), Cancelled)
    let_go.set()


def test_cancel_ends_a_connect_that_nobody_answers() -> None:
    """A listener whose queue is full drops the next attempts without a word."""
    listener = Silent()
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        assert isinstance(cancelled(account_at(port), listener, listener.idle), Cancelled)


SILENCES: dict[str, tuple[Security, bytes]] = {
    "TLS handshake": (Security.TLS, b""),
    "greeting": (Security.NONE, b""),
    "answer to STARTTLS": (Security.STARTTLS, b"* OK hi\r\n"),
    "answer to the login": (Security.NONE, GREETING),
}


@pytest.mark.parametrize("name", SILENCES)
def test_cancel_ends_a_silent(name: str) -> None:
    security, opening = SILENCES[name]
    listener = Silent()
    with Doorstep(greets(opening)) as server:
        account = account_at(server.port, security=security)
        assert isinstance(cancelled(account, listener, listener.idle), Cancelled)


def test_a_refused_door_leaves_no_open_socket() -> None:
    """The server sees the end of the stream: the script's wait for it returns, or the doorstep reports a hang."""
    ended = threading.Event()

    def serve(visitor: Visitor) -> None:
        greets(GREETING, FAILED)(visitor)
        ended.set()

    with Doorstep(serve) as server:
        with pytest.raises(LoginRefused):
            open_door(account_at(server.port), Stop(), Silent())
        assert ended.wait(GUARD_SECONDS)
