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

from ...account import Account, Security
from ...approach import Place, approach, first_line
from ...cancel import Stop
from ...channel import Channel
from ...errors import ErrorKind, TlsRefused
from ..base import Listener
from .login import log_in
from .porter import Porter, PorterClient, guarded
from .replies import Welcome, alert_of, read_greeting

__all__ = ["Door", "open_door"]

PORT_TLS, PORT_PLAIN = 993, 143


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
    place = Place(
        account=account.id,
        host=account.host,
        port=account.port or (PORT_TLS if account.security is Security.TLS else PORT_PLAIN),
        security=account.security,
        ca_file=account.ca_file,
        plaintext_host=account.plaintext_host,
    )
    channel, context = approach(place, stop, listener, account.limits)
    try:
        return _enter(account, place, channel, context, listener)
    except BaseException:
        channel.close()
        raise


def _enter(
    account: Account, place: Place, channel: Channel, context: ssl.SSLContext | None, listener: Listener
) -> Door:
    limits = account.limits
    channel.deadline(limits.greeting_seconds)
    line = first_line(channel)
    greeting = read_greeting(line)
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
        host=place.name,
        command_octets=limits.command_octets,
        waits_for_tls=waits_for_tls,
    )
    client = guarded(lambda: PorterClient(make_porter, place.name, tls=channel.secure))
    porter = client.porter
    if waits_for_tls:
        guarded(lambda: porter.starttls(context))
    try:
        if greeting.welcome is Welcome.PREAUTH:
            return _door(channel, frozenset(porter.capabilities), fresh=True)
        log_in(account, client, place.port, arm)
    finally:
        for text in porter.alerts:
            listener.notice(alert_of(text))
    told = porter.told()
    return _door(channel, told or frozenset(porter.capabilities), fresh=bool(told))


def _door(channel: Channel, capabilities: frozenset[str], *, fresh: bool) -> Door:
    channel.deadline(None)
    return Door(channel=channel, capabilities=capabilities, capabilities_fresh=fresh)
