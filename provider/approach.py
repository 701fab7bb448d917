"""The way to a server's door, whatever is spoken behind it: address, protection, the first line.

Order, and no other:

1. Plain text is refused before any connection, unless the account says so for loopback or for one named host (X1).
2. The name is looked up, the connection made; TLS from the first octet where that was asked for.
3. The first line is read, its first octet alone: a TLS alert has no line end to wait for.

STARTTLS, the greeting's meaning and the login belong to the protocols. RFC 8314.
"""

import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from .account import Security
from .cancel import Stop
from .channel import Channel
from .dial import Countdown, dial
from .errors import ErrorKind, TimedOut, TlsRefused, WrongProtocol
from .limits import Limits
from .sources.base import Listener
from .tls import make_context

__all__ = ["Place", "approach", "first_line", "stranger"]

TLS_OPENINGS = (b"\x15", b"\x16", b"\x80")
TLS_HINT = "It may speak TLS from the first octet on this port: choose TLS for this account."

STRANGERS = (
    (b"+OK", "A POP3 server answers on this port"),
    (b"-ERR", "A POP3 server answers on this port"),
    (b"* OK", "An IMAP server answers on this port"),
    (b"* PREAUTH", "An IMAP server answers on this port"),
    (b"* BYE", "An IMAP server answers on this port"),
    (b"220", "An SMTP (or FTP) server answers on this port"),
    (b"554", "An SMTP server answers on this port"),
    (b"200 ", "A news (NNTP) server answers on this port"),
    (b"201 ", "A news (NNTP) server answers on this port"),
    (b"HTTP/", "A web server answers on this port"),
    (b"<", "A web server answers on this port"),
    (b"SSH-", "An SSH server answers on this port"),
)
"""How the first lines of other protocols begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a server is and how it is to be reached."""

    account: str
    """The account's id, for texts."""
    host: str
    port: int
    security: Security
    ca_file: Path | None
    plaintext_host: str | None

    @property
    def name(self) -> str:
        """The host as a certificate names it."""
        return self.host.rstrip(".")


def approach(place: Place, stop: Stop, listener: Listener, limits: Limits) -> tuple[Channel, ssl.SSLContext | None]:
    """Connect to *place*; with ``Security.TLS`` the channel is secure. The context is None for ``Security.NONE``.

    What is left of ``connect_seconds`` is armed. Raises InvalidRequest (``ca_file``), Unreachable, TimedOut,
    TlsRefused, ConnectionLost, Cancelled; then nothing is left open.
    """
    local = _only_loopback(place)
    context = None if place.security is Security.NONE else make_context(place.ca_file, place.account)
    countdown = Countdown(stop, limits.connect_seconds)
    sock = dial(place.host, place.port, countdown=countdown, listener=listener, loopback_only=local)
    channel = Channel(sock, stop=stop, listener=listener, limits=limits)
    try:
        channel.deadline(countdown.rest())
        if context is not None and place.security is Security.TLS:
            channel.start_tls(context, place.name)
    except BaseException:
        channel.close()
        raise
    return channel, context


def first_line(channel: Channel) -> bytes:
    """Read the greeting line. Raises WrongProtocol when TLS is spoken where plain text was expected."""
    try:
        line = channel.read(1)
        if line in TLS_OPENINGS:
            raise WrongProtocol(TLS_HINT)
        return line + channel.readline()
    except TimedOut:
        if channel.secure:
            raise
        raise TimedOut(f"The server says nothing. {TLS_HINT}") from None


def stranger(line: bytes) -> str:
    """Return who greets like that, as the beginning of a sentence; empty: nobody known.

    >>> stranger(b"+OK ready")
    'A POP3 server answers on this port'
    """
    return next((who for opening, who in STRANGERS if line.startswith(opening)), "")


def _only_loopback(place: Place) -> bool:
    """Return whether only loopback addresses may be dialled; raises TlsRefused where plain text is not allowed (X1)."""
    if place.security is not Security.NONE:
        return False
    host = place.name.casefold()
    if host == "localhost":
        return True
    named = place.plaintext_host
    if named is not None and host == named.rstrip(".").casefold():
        return False
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise TlsRefused(
            f"A connection to {place.host} without TLS would show the password to everybody on the way; choose TLS "
            "or STARTTLS, or name the host in plaintext_host.",
            kind=ErrorKind.PLAINTEXT_REFUSED,
        )
    return True
