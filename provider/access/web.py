"""The few HTTP requests of this room: forms posted to token servers, configuration files fetched.

Rules: TLS with a checked name, plain text to the loopback only; no redirect is followed here; an answer has a cap and
a total deadline; what was sent is in no error text and, at INFO, in no log. ``Http`` is the seam for hosts that have
an HTTP client of their own (a proxy, a certificate store). ``HttpClient`` uses httpx2 (extras ``oauth`` and
``autoconfig``), imported at the first request.
"""

import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode, urlsplit

from ..bridge import Bridge
from ..errors import InvalidRequest, LimitExceeded, Needs, SourceError, TimedOut, TlsRefused, Unreachable
from ..tls import make_context, refusal

if TYPE_CHECKING:
    import httpx2

__all__ = ["Http", "HttpAnswer", "HttpClient", "checked_url", "tls_context"]

OCTETS_MAX = 256_000
SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What a web server answered, whatever the status."""

    status: int
    body: bytes = field(default=b"", repr=False)
    location: str = field(default="", repr=False)
    """Where a redirect leads; "" for none."""
    retry_after_seconds: float | None = None


class Http(Protocol):
    """An HTTP client. Thread-safe; follows no redirect; checks certificates and names."""

    def __call__(
        self, url: str, form: Mapping[str, str] | None = None, *, seconds: float = SECONDS, octets_max: int = OCTETS_MAX
    ) -> HttpAnswer:
        """GET *url*, or POST *form* to it, within *seconds*.

        Raises SourceError: Unreachable, TimedOut, TlsRefused, LimitExceeded for an answer beyond *octets_max*. Neither
        *url* nor *form* may be in its text.
        """
        ...


def checked_url(url: str) -> str:
    """Return *url* if secrets may be sent to it: https, or http to a loopback address. Raises InvalidRequest."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # raises ValueError when it is none
    except ValueError:
        raise InvalidRequest("That is no web address.") from None
    if not host or not url.isascii() or not url.isprintable() or " " in url or parts.username is not None:
        raise InvalidRequest("That is no web address.")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return url
    raise InvalidRequest(f"{host} is to be reached without TLS, which would show secrets to everybody on the way.")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return a context like those for mail servers. Raises InvalidRequest when *ca_file* cannot be read."""
    try:
        return make_context(ca_file, "")
    except InvalidRequest as error:
        raise InvalidRequest("The ca_file holds no certificates that can be read.", needs=Needs.USER) from error


class HttpClient:
    """An ``Http`` on httpx2. *ca_file*: certificates to trust in place of the system's.

    It uses no proxy: mail itself would not pass one. A connection lives for one request.
    """

    def __init__(self, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None

    def __call__(
        self, url: str, form: Mapping[str, str] | None = None, *, seconds: float = SECONDS, octets_max: int = OCTETS_MAX
    ) -> HttpAnswer:
        """GET *url*, or POST *form* to it, within *seconds*. Raises InvalidRequest, and as ``Http`` says."""
        body = None if form is None else urlencode(form).encode("ascii")
        return self._ask(url, body, "application/x-www-form-urlencoded", seconds, octets_max)

    @staticmethod
    def checked(url: str) -> str:
        """Return *url* if secrets may be sent to it: https, or http to this machine. Raises InvalidRequest."""
        return checked_url(url)

    def post_json(self, url: str, body: bytes, *, seconds: float = SECONDS) -> HttpAnswer:
        """POST *body*, which is JSON, within *seconds*. Raises as a call does."""
        return self._ask(url, body, "application/json", seconds, OCTETS_MAX)

    def _ask(self, url: str, body: bytes | None, kind: str, seconds: float, octets_max: int) -> HttpAnswer:
        try:
            import httpx2
        except ImportError:
            raise InvalidRequest("This needs an HTTP client: pip install 'maildock[oauth,autoconfig]'.") from None
        host = urlsplit(checked_url(url)).hostname or ""
        if urlsplit(url).scheme == "http":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not used; it would trust nobody
        else:
            context = self._context = self._context or tls_context(self._ca_file)
        try:
            request = httpx2.Request(
                "GET" if body is None else "POST",
                url,
                headers={
                    "Accept": "application/json, */*;q=0.5",
                    "User-Agent": "maildock",
                    "Accept-Encoding": "identity",
                }
                | ({} if body is None else {"Content-Type": kind}),
                content=body,
                extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds)},
            )
            # The transport and not a client: a client logs each address at INFO, and those may name a person.
            transport = httpx2.HTTPTransport(verify=context)
            return _in_time(seconds, host, transport.close, lambda: _read(transport, request, host, octets_max))
        except SourceError:  # ours: some of them are OSErrors, too
            raise
        except (httpx2.TransportError, httpx2.DecodingError, httpx2.StreamError, ssl.SSLError) as error:
            raise _fault(error, host) from None
        except (httpx2.InvalidURL, ValueError, OSError):  # such as a label of a name that is too long
            raise Unreachable("That web address leads nowhere.") from None


def _in_time(seconds: float, host: str, give_up: Callable[[], None], work: Callable[[], HttpAnswer]) -> HttpAnswer:
    """Return what *work* comes to within *seconds*, on a thread of its own: no part of an answer may drip for ever."""
    ended = threading.Event()
    came: list[HttpAnswer | BaseException] = []

    def run() -> None:
        try:
            came.append(work())
        except BaseException as error:  # raised below, on the thread that asked
            came.append(error)
        finally:
            give_up()
            ended.set()

    Bridge().spawn("http", run)
    if not ended.wait(seconds):
        give_up()  # ends the reading, too
        raise TimedOut(f"{host} took too long to answer.", needs=Needs.RETRY)
    if isinstance(came[0], BaseException):
        raise came[0]
    return came[0]


def _read(transport: "httpx2.HTTPTransport", request: "httpx2.Request", host: str, octets_max: int) -> HttpAnswer:
    answer = transport.handle_request(request)
    try:
        body = bytearray()
        for piece in answer.iter_raw():
            body += piece
            if len(body) > octets_max:
                raise LimitExceeded(f"{host} answered with more than {octets_max} octets.", needs=Needs.RETRY)
        return HttpAnswer(
            status=answer.status_code,
            body=bytes(body),
            location=answer.headers.get("Location", ""),
            retry_after_seconds=_seconds(answer.headers.get("Retry-After", "")),
        )
    finally:
        answer.close()


def _seconds(text: str) -> float | None:
    """Return the seconds of a Retry-After field; dates are not read."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _fault(error: Exception, host: str) -> SourceError:
    """Return what *error* means. Its own text is not told: it may quote what was sent."""
    import httpx2

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            met = refusal(cause, host)
            return TlsRefused(str(met), kind=met.kind, needs=Needs.RETRY if met.retryable else Needs.USER)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx2.TimeoutException):
        return TimedOut(f"{host} took too long to answer.", needs=Needs.RETRY)
    if isinstance(error, httpx2.ConnectError):
        return Unreachable(f"{host} cannot be reached.")
    return Unreachable(f"The connection to {host} broke before the answer was whole.")
