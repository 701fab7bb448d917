"""Signing in: with a browser whose redirect comes back to the loopback, and with a code on another device."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from provider.access import device
from provider.access.loopback import STRAY_REQUESTS_MAX, Loopback, sign_in_with_browser
from provider.access.oauth import OAUTH_PROVIDERS, Grant, OAuthClient, authorize
from provider.access.web import HttpClient
from provider.cancel import Stop
from provider.errors import Cancelled, ErrorKind, InvalidRequest, LoginRefused, TimedOut
from provider.testing import ManualClock

from ..secret_hunt import SecretHunt
from ..servers.oauth_server import Fault, OAuthServer

HTTP = HttpClient()


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        yield running


class Browser:
    """Opens addresses on threads of its own, and remembers what it was shown."""

    def __init__(self, before: Callable[[int], object] = lambda port: None) -> None:
        self.pages: list[str] = []
        self.url = ""
        self._before = before
        self._threads: list[threading.Thread] = []

    def __call__(self, url: str) -> None:
        self.url = url
        self._threads.append(threading.Thread(target=self._open))
        self._threads[-1].start()

    def _open(self) -> None:
        port = urlsplit(parse_qs(urlsplit(self.url).query)["redirect_uri"][0]).port
        assert port is not None
        self._before(port)
        try:
            with urllib.request.urlopen(self.url, timeout=10) as answer:
                self.pages.append(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                self.pages.append(error.read().decode())

    def close(self) -> None:
        for thread in self._threads:
            thread.join(10)


def test_a_person_signs_in_with_a_browser(server: OAuthServer) -> None:
    browser = Browser()

    grant = sign_in_with_browser(server.client(), HTTP, browser, user="jo@example.org")
    browser.close()

    assert server.use(grant.access_token) == "jo@example.org"
    assert grant.refresh_token == server.sign_ins[0].refresh
    assert "You are signed in" in browser.pages[0]
    assert server.codes == {}, "a code is used once"


def test_what_the_browser_is_sent_to_has_a_challenge_and_no_secret(server: OAuthServer) -> None:
    begun = authorize(server.client(), "http://127.0.0.1:1/", user="jo")
    asked = parse_qs(urlsplit(begun.url).query)

    assert (asked["code_challenge_method"], asked["response_type"]) == (["S256"], ["code"])
    assert asked["state"] == [begun.state]
    assert begun.verifier not in begun.url
    assert 43 <= len(begun.verifier) <= 128
    assert len({authorize(server.client(), "http://127.0.0.1:1/").state for _ in range(50)}) == 50


def test_a_code_without_its_verifier_is_worth_nothing(server: OAuthServer) -> None:
    from provider.access.oauth import exchange

    begun = authorize(server.client(), "http://127.0.0.1:1/")
    server.codes["code-of-another"] = {name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()}
    with pytest.raises(LoginRefused) as told:
        exchange(server.client(), HTTP, replace(begun, verifier="x" * 50), "code-of-another")
    assert told.value.kind is ErrorKind.SIGN_IN_AGAIN


def test_a_person_who_refuses_is_told_so_and_so_are_we(server: OAuthServer) -> None:
    server.denies = True
    browser = Browser()

    with pytest.raises(LoginRefused, match="refused in the browser") as told:
        sign_in_with_browser(server.client(), HTTP, browser)
    browser.close()

    assert told.value.response_code == "access_denied"
    assert "You were not signed in" in browser.pages[0]


def get(port: int, target: str, host: str = "") -> bytes:
    """Return what the listener answers to a raw request."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {host or f'127.0.0.1:{port}'}\r\n\r\n".encode())
        octets = b""
        while piece := sock.recv(4096):
            octets += piece
        return octets


def test_strangers_at_the_port_are_sent_away_and_do_not_end_the_sign_in(server: OAuthServer) -> None:
    answers: list[bytes] = []

    def strangers(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), 5) as silent:
            silent.shutdown(socket.SHUT_WR)  # a connection opened ahead, and given up
        answers.append(get(port, "/favicon.ico"))
        answers.append(get(port, "/"))
        answers.append(get(port, "/?code=stolen&state=x", host="evil.example"))
        answers.append(get(port, "http://evil.example/?code=x"))
        answers.append(get(port, "//[/?code=x"))
        answers.append(get(port, "/?code=x" + "&x" * 100))
        answers.append(get(port, "/\xff\xfe?%00%ff"))

    browser = Browser(strangers)
    grant = sign_in_with_browser(server.client(), HTTP, browser)
    browser.close()

    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 404 Not Found"}
    assert server.use(grant.access_token)


@pytest.mark.parametrize("target", ["/?code=c&state=wrong", "/?code=c", "/?state=&code=c", "/?state=s&state=s&code=c"])
def test_a_redirect_with_another_state_ends_the_sign_in(target: str) -> None:
    page: list[bytes] = []
    with Loopback() as loopback:
        knock = threading.Thread(target=lambda: page.append(get(loopback.port, target)))
        knock.start()
        with pytest.raises(LoginRefused, match="does not belong"):
            loopback.code("s")
        knock.join(5)
    assert page[0].startswith(b"HTTP/1.1 400 ")


def test_the_listener_takes_one_redirect_and_is_gone() -> None:
    loopback = Loopback()
    knock = threading.Thread(target=lambda: get(loopback.port, "/?code=the-code-of-it&state=s"))
    knock.start()

    assert loopback.code("s") == "the-code-of-it"
    knock.join(5)
    with pytest.raises(ConnectionRefusedError):
        get(loopback.port, "/?code=again&state=s")


def test_what_a_redirect_brought_is_not_on_the_page_and_not_in_a_log(secret_hunt: SecretHunt) -> None:
    secret_hunt.learn("c0de-of-the-redirect")
    page: list[bytes] = []
    with Loopback() as loopback:
        knock = threading.Thread(
            target=lambda: page.append(get(loopback.port, "/?code=c0de-of-the-redirect&state=s&x=<script>"))
        )
        knock.start()
        loopback.code("s")
        knock.join(5)
    assert b"c0de" not in page[0] and b"script" not in page[0]
    assert b"Content-Security-Policy: default-src 'none'" in page[0]
    assert b"Referrer-Policy: no-referrer" in page[0]


def test_a_listener_that_nobody_comes_to_closes() -> None:
    with Loopback() as loopback:
        with pytest.raises(TimedOut):
            loopback.code("s", seconds=0)
        with pytest.raises(ConnectionRefusedError):
            get(loopback.port, "/")


def test_a_listener_that_is_stopped_closes() -> None:
    stop = Stop()
    stop.stop()
    with Loopback() as loopback:
        with pytest.raises(Cancelled):
            loopback.code("s", stop=stop)
        with pytest.raises(ConnectionRefusedError):
            get(loopback.port, "/")


def test_somebody_who_knocks_without_end_ends_the_sign_in() -> None:
    with Loopback() as loopback:
        port = loopback.port

        def knock() -> None:
            for _ in range(STRAY_REQUESTS_MAX):
                get(port, "/nothing")

        knocking = threading.Thread(target=knock)
        knocking.start()
        with pytest.raises(LoginRefused, match="knocked"):
            loopback.code("s")
        knocking.join(5)


def test_a_grant_without_a_refresh_token_is_refused(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "granted", lambda user: (200, {"access_token": "access-without-more"}))
    browser = Browser()
    with pytest.raises(LoginRefused, match="no refresh token"):
        sign_in_with_browser(server.client(), HTTP, browser)
    browser.close()


@pytest.mark.parametrize("name", OAUTH_PROVIDERS)
def test_the_table_of_providers_has_endpoints_and_scopes_and_no_client(name: str) -> None:
    client = OAuthClient.of(name, "mine")

    assert client.client_id == "mine" and client.scopes
    assert OAUTH_PROVIDERS[name].client_id == "?" and not OAUTH_PROVIDERS[name].client_secret


@pytest.mark.parametrize(
    "url",
    ["http://example.org/token", "ftp://127.0.0.1/", "https://", "https://user@h/", "https://h/\r\n", "https://h:x/"],
)
def test_an_endpoint_without_protection_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        OAuthClient(client_id="c", authorization_url="https://h/", token_url=url)


def test_a_client_without_an_id_and_an_unknown_provider_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="client id"):
        OAuthClient.of("google", "")
    with pytest.raises(InvalidRequest, match="not known"):
        OAuthClient.of("nobody", "c")


# -- device code --------------------------------------------------------------------------------


class Waiting:
    """Turns the clock, and lets something happen after each wait."""

    def __init__(self, clock: ManualClock, happens: list[Callable[[], object]]) -> None:
        self.clock, self.waits, self._happens = clock, list[float](), happens

    def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(seconds)
        if self._happens:
            self._happens.pop(0)()


def device_grant(server: OAuthServer, *states: str | Fault) -> tuple[Grant, list[float]]:
    """Sign in by device code; *states* are what the server meets at each request."""
    shown = device.begin_device_sign_in(server.client(), HTTP)
    code = next(iter(server.devices))
    clock = ManualClock()

    def into(state: str | Fault) -> None:
        if isinstance(state, Fault):
            server.faults = [state]
        else:
            server.devices[code] = state

    waiting = Waiting(clock, [lambda state=state: into(state) for state in states])  # type: ignore[misc]
    return device.finish_device_sign_in(server.client(), HTTP, shown, clock, waiting), waiting.waits


def test_a_person_signs_in_on_another_device(server: OAuthServer) -> None:
    grant, waits = device_grant(server, "pending", "pending", "jo@example.org")

    assert server.use(grant.access_token) == "jo@example.org"
    assert waits == [5, 5, 5]


def test_what_is_shown_is_an_address_and_a_code(server: OAuthServer) -> None:
    shown = device.begin_device_sign_in(server.client(), HTTP)

    assert (shown.user_code, shown.address) == ("ABCD-EFGH", f"{server.url}/activate")
    assert shown.device_code not in repr(shown)


def test_a_server_that_says_slow_down_is_asked_less_often(server: OAuthServer) -> None:
    _, waits = device_grant(server, "slow_down", "slow_down", "pending", "jo")

    assert waits == [5, 10, 15, 15]


def test_a_server_in_trouble_is_asked_less_often(server: OAuthServer) -> None:
    _, waits = device_grant(server, Fault.TROUBLE, Fault.LOST, "pending", "jo")

    assert waits[:3] == [5, 10, 20]


@pytest.mark.parametrize(
    ("state", "error", "says"),
    [("denied", LoginRefused, "refused"), ("expired", TimedOut, "expired"), ("pending", TimedOut, "expired")],
)
def test_a_code_that_nobody_takes_ends(server: OAuthServer, state: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        device_grant(server, state)


def test_a_provider_without_a_device_flow_says_so() -> None:
    with pytest.raises(InvalidRequest, match="device code"):
        device.begin_device_sign_in(OAuthClient.of("google", "c"), HTTP)
