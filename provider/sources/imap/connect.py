"""The door of an IMAP server: address, protection, greeting, login; then the stream belongs to ``wire`` for good.

Order, and no other:

1. Plain text is refused before any connection, unless the account says so for loopback or for one named host.
2. TLS from the first octet, or STARTTLS whatever the server announces; all said before it is forgotten.
3. Only then is the supplier asked for the secret, and only then is it sent.

RFC 3501 §6.2 and §7.1, RFC 8314, RFC 2595 §2.1, RFC 4959.
"""

import ssl
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

from ...account import Account, Security
from ...cancel import Stop
from ...errors import ErrorKind, TimedOut, TlsRefused, WrongProtocol
from ..base import Listener
from .channel import Channel
from .dial import Countdown, dial
from .login import log_in
from .porter import Porter, PorterClient, guarded
from .replies import Greeting, Welcome, alert_of, read_greeting
from .tls import make_context

__all__ = ["Door", "open_door"]

PORT_TLS, PORT_PLAIN = 993, 143

TLS_OPENINGS = (b"\x15", b"\x16", b"\x80")
TLS_HINT = "It may speak TLS from the first octet on this port: choose TLS for this account."


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A stream to a server that has let us in."""

    channel: Channel
    """No deadline armed; nothing outstanding."""
    capabilities: frozenset[str]
    """In capitals."""
    capabilities_fresh: bool
    """True: told with or after the login. False: from before it; ask again, they may differ (row 13)."""


def open_door(account: Account, stop: Stop, listener: Listener) -> Door:
    """Connect, secure and log in to *account*.

    Raises InvalidRequest (``ca_file``), Unreachable, TimedOut, TlsRefused, WrongProtocol, ServerBusy, LoginRefused,
    ProtocolBroken, LimitExceeded, ConnectionLost, Cancelled. Whatever it raises, the connection is closed.
    """
    local = _check_plaintext(account)
    context = None if account.security is Security.NONE else make_context(account)
    port = account.port or (PORT_TLS if account.security is Security.TLS else PORT_PLAIN)
    countdown = Countdown(stop, account.limits.connect_seconds)
    sock = dial(account.host, port, countdown=countdown, listener=listener, loopback_only=local)
    channel = Channel(sock, stop=stop, listener=listener, limits=account.limits)
    try:
        channel.deadline(countdown.rest())
        return _enter(account, port, channel, context, listener)
    except BaseException:
        channel.close()
        raise


def _enter(account: Account, port: int, channel: Channel, context: ssl.SSLContext | None, listener: Listener) -> Door:
    limits, host = account.limits, account.host.rstrip(".")
    if context is not None and account.security is Security.TLS:
        channel.start_tls(context, host)
    channel.deadline(limits.greeting_seconds)
    line, greeting = _greeted(channel)
    waits_for_tls = account.security is Security.STARTTLS
    if greeting.welcome is Welcome.PREAUTH and not channel.secure:
        raise TlsRefused(
            "The server claims to have let us in before the connection is protected: somebody may be in between.",
            kind=ErrorKind.PREAUTH_WITHOUT_TLS,
        )
    arm = partial(channel.deadline, limits.command_seconds)
    arm()
    make_porter = partial(
        Porter,
        channel,
        line,
        greeting,
        host=host,
        command_octets=limits.command_octets,
        waits_for_tls=waits_for_tls,
    )
    client = guarded(lambda: PorterClient(make_porter, host, tls=channel.secure))
    porter = client.porter
    if waits_for_tls:
        guarded(lambda: porter.starttls(context))
    try:
        if greeting.welcome is Welcome.PREAUTH:
            return _door(channel, frozenset(porter.capabilities), fresh=True)
        log_in(account, client, port, arm)
    finally:
        for text in porter.alerts:
            listener.notice(alert_of(text))
    told = porter.told()
    return _door(channel, told or frozenset(porter.capabilities), fresh=bool(told))


def _door(channel: Channel, capabilities: frozenset[str], *, fresh: bool) -> Door:
    channel.deadline(None)
    return Door(channel=channel, capabilities=capabilities, capabilities_fresh=fresh)


def _greeted(channel: Channel) -> tuple[bytes, Greeting]:
    """Read the greeting line; its first octet is looked at alone, since a TLS alert has no line end to wait for."""
    try:
        line = channel.read(1)
        if line in TLS_OPENINGS:
            raise WrongProtocol(TLS_HINT)
        line += channel.readline()
    except TimedOut:
        if channel.secure:
            raise
        raise TimedOut(f"The server says nothing. {TLS_HINT}") from None
    return line, read_greeting(line)


def _check_plaintext(account: Account) -> bool:
    """Return whether only loopback addresses may be dialled; raises TlsRefused where plain text is not allowed (X1)."""
    if account.security is not Security.NONE:
        return False
    host = account.host.rstrip(".").casefold()
    if host == "localhost":
        return True
    named = account.plaintext_host
    if named is not None and host == named.rstrip(".").casefold():
        return False
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise TlsRefused(
            f"A connection to {account.host} without TLS would show the password to everybody on the way; choose TLS "
            "or STARTTLS, or name the host in plaintext_host.",
            kind=ErrorKind.PLAINTEXT_REFUSED,
        )
    return True
