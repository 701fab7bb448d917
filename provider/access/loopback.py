"""Signing in with a browser: the redirect comes back to a listener on the loopback (RFC 8252 §7.3).

Rules: 127.0.0.1 and a port that the system chooses; the listener takes one redirect and closes, or closes after five
minutes; the state is compared in constant time; nothing of a request is logged, shown or sent back; the page loads
nothing and tells nothing onward. Works on the thread of the caller.
"""

import hmac
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

from ..cancel import Stop
from ..errors import InvalidRequest, LoginRefused, Needs, TimedOut
from .oauth import Authorization, Grant, OAuthClient, authorize, exchange
from .web import Http

__all__ = ["Loopback", "sign_in_with_browser"]

WAIT_SECONDS = 300.0
TICK_SECONDS = 0.2
REQUEST_SECONDS = 5.0
"""Browsers open connections ahead and say nothing on them."""
REQUEST_OCTETS_MAX = 32_000
STRAY_REQUESTS_MAX = 50
"""Icons that browsers ask for, and whatever else knocks at the port."""

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>maildock</title><p>{text}</p></html>"""
_HEAD = (
    "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {size}\r\nConnection: close\r\n"
    "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'\r\n\r\n"
)


class Loopback:
    """A listener for one redirect. A context manager; ``redirect_uri`` is good inside."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TICK_SECONDS)
        self.port = int(self._listener.getsockname()[1])
        self.redirect_uri = f"http://{host}:{self.port}/"
        self._hosts = (f"127.0.0.1:{self.port}", f"localhost:{self.port}")

    def __enter__(self) -> "Loopback":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening. May be called twice."""
        self._listener.close()

    def code(self, state: str, *, stop: Stop | None = None, seconds: float = WAIT_SECONDS) -> str:
        """Wait for the redirect and return its code; the listener is closed afterwards, whatever came.

        Raises LoginRefused when the provider or the person refused, or the state is not *state*; TimedOut; Cancelled.
        """
        stop, until, strays = stop or Stop(), time.monotonic() + seconds, 0
        with self:
            while strays < STRAY_REQUESTS_MAX:
                stop.checkpoint()
                if time.monotonic() >= until:
                    raise TimedOut("Nobody finished the sign-in in the browser in time.", needs=Needs.USER)
                try:
                    connection, _ = self._listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    told = self._redirect_on(connection, stop)
                    if told is not None:
                        return _code_of(told, state, connection)
                    strays += 1
        raise LoginRefused("Something else than the sign-in knocked at our port again and again.", needs=Needs.USER)

    def _redirect_on(self, connection: socket.socket, stop: Stop) -> dict[str, list[str]] | None:
        """Return the parameters of a redirect to us; None, answered with 404, for anything else."""
        head = _head_of(connection, stop)
        if head is None:
            return None
        first, _, rest = head.partition("\r\n")
        words = first.split(" ")
        hosts = [line[5:].strip() for line in rest.split("\r\n") if line[:5].lower() == "host:"]
        # A path, and not what may follow two slashes: the name of a host.
        target = urlsplit(words[1]) if len(words) == 3 and words[1][:1] == "/" != words[1][1:2] else None
        if target is None or words[0] != "GET" or target.path != "/" or len(hosts) != 1 or hosts[0] not in self._hosts:
            _answer(connection, "404 Not Found", "There is nothing here.")
            return None
        told = parse_qs(target.query, keep_blank_values=True, max_num_fields=50) if target.query.count("&") < 50 else {}
        if not {"code", "error", "state"} & told.keys():
            _answer(connection, "404 Not Found", "There is nothing here.")
            return None
        return told


def _head_of(connection: socket.socket, stop: Stop) -> str | None:
    """Read a request up to its empty line; None when it does not come, or not in time."""
    connection.settimeout(TICK_SECONDS)
    until, octets = time.monotonic() + REQUEST_SECONDS, b""
    while b"\r\n\r\n" not in octets:
        stop.checkpoint()
        try:
            piece = connection.recv(4096)
        except TimeoutError:
            piece = None
        except OSError:
            return None
        if piece == b"" or len(octets) > REQUEST_OCTETS_MAX or time.monotonic() > until:
            return None
        octets += piece or b""
    return octets.partition(b"\r\n\r\n")[0].decode("latin-1")


def _code_of(told: dict[str, list[str]], state: str, connection: socket.socket) -> str:
    """Return the code of a redirect and thank the browser; raises LoginRefused."""
    states, codes = told.get("state", []), told.get("code", [])
    if len(states) != 1 or not hmac.compare_digest(states[0].encode(), state.encode()):
        _answer(connection, "400 Bad Request", "This is not the sign-in that was begun here. Please begin again.")
        raise LoginRefused(
            "What the browser brought back does not belong to the sign-in that was begun; begin again.",
            needs=Needs.USER,
        )
    if "error" in told or len(codes) != 1 or not codes[0]:
        _answer(connection, "200 OK", "You were not signed in. You can close this window.")
        text = next((word for word in told.get("error", []) if word.replace("_", "").isalpha()), "")
        raise LoginRefused("The sign-in was refused in the browser.", needs=Needs.USER, response_code=text[:64] or None)
    _answer(connection, "200 OK", "You are signed in. You can close this window.")
    return codes[0]


def _answer(connection: socket.socket, status: str, text: str) -> None:
    page = _PAGE.format(text=text)
    with suppress(OSError):  # the browser may be gone: what it brought counts
        connection.sendall((_HEAD.format(status=status, size=len(page)) + page).encode("ascii"))
        connection.shutdown(socket.SHUT_WR)


def sign_in_with_browser(
    client: OAuthClient,
    http: Http,
    show: Callable[[str], object],
    *,
    user: str = "",
    stop: Stop | None = None,
    seconds: float = WAIT_SECONDS,
) -> Grant:
    """Let a person sign in with a browser; *show* is given the address to open, and returns at once.

    Raises LoginRefused, TimedOut, Cancelled, InvalidRequest, and what ``exchange`` raises.
    """
    if not client.authorization_url:
        raise InvalidRequest("This provider has no page to sign in at.")
    with Loopback(client.redirect_host) as loopback:
        begun: Authorization = authorize(client, loopback.redirect_uri, user=user)
        show(begun.url)
        code = loopback.code(begun.state, stop=stop, seconds=seconds)
    return exchange(client, http, begun, code)
