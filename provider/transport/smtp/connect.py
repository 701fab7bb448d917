"""The door of a submission server: greeting, EHLO, STARTTLS, login; then a session that sends.

STARTTLS is sent whatever is announced and is never optional; what was said before it is forgotten. AUTH goes out under
TLS only, or where the account asks for plain text on loopback or on one named host. RFC 5321 §3.1, §4.1.1.1, RFC 3207,
RFC 6409, RFC 8314.
"""

import ssl
from dataclasses import dataclass, replace

from ...account import Account, Security, Smtp
from ...approach import Place, approach, first_line, stranger
from ...cancel import Stop
from ...channel import Channel, Deaf
from ...errors import (
    CommandRefused,
    ErrorKind,
    InvalidRequest,
    Needs,
    ProtocolBroken,
    ServerBusy,
    TlsRefused,
    WrongProtocol,
)
from ..base import Transport, TransportSession
from .envelope import is_name
from .login import log_in
from .replies import Verdict, verdict
from .session import SmtpSession
from .speaker import LATER_SECONDS, Speaker

__all__ = ["smtp_transport"]

PORT_TLS, PORT_PLAIN = 465, 587

READY, COMPLETED = 220, 250


def smtp_transport(account: Account, *, name: str = "") -> Transport:
    """Return the way out that ``account.smtp`` describes.

    *name*: what we call ourselves in EHLO; empty: our end's address in brackets, as RFC 5321 §4.1.4 wants it of those
    who have no name. Raises InvalidRequest when the account does not send, or for a name that is none.
    """
    if account.smtp is None:
        raise InvalidRequest(f"Account {account.id} has no way out: give it an Smtp.")
    if name and not is_name(name):
        raise InvalidRequest("What we are to call ourselves is not the name of a host.")
    return _SmtpTransport(account=account, smtp=account.smtp, name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SmtpTransport:
    account: Account
    smtp: Smtp
    name: str

    def open(self, stop: Stop) -> TransportSession:
        """Connect, protect, log in.

        Raises InvalidRequest (``ca_file``), Unreachable, TimedOut, TlsRefused, WrongProtocol, ServerBusy,
        CommandRefused (it wants nothing from us), LoginRefused, ProtocolBroken, LimitExceeded, ConnectionLost,
        Cancelled. Whatever it raises, the connection is closed.
        """
        limits = replace(self.account.limits, line_octets=self.account.limits.reply_octets)
        place = Place(
            account=self.account.id,
            host=self.smtp.host,
            port=self.smtp.port or (PORT_TLS if self.smtp.security is Security.TLS else PORT_PLAIN),
            security=self.smtp.security,
            ca_file=self.smtp.ca_file or self.account.ca_file,
            plaintext_host=self.smtp.plaintext_host,
        )
        channel, context = approach(place, stop, Deaf(), limits)
        try:
            speaker = Speaker(channel, name=self.name or _literal(channel), reply_octets=limits.reply_octets)
            self._enter(place, channel, speaker, context)
            channel.deadline(None)
            return SmtpSession(channel, speaker, limits)
        except BaseException:
            channel.close()
            raise

    def _enter(self, place: Place, channel: Channel, speaker: Speaker, context: ssl.SSLContext | None) -> None:
        limits = self.account.limits
        channel.deadline(limits.greeting_seconds)
        _greeted(speaker, first_line(channel))
        channel.deadline(limits.command_seconds)
        announces = _introduced(speaker)
        if place.security is Security.STARTTLS:
            if not announces:
                raise _no_starttls("it does not know EHLO")
            channel.deadline(limits.command_seconds)
            said = speaker.ask(speaker.execute_command(b"STARTTLS"))
            if said.code != READY:
                raise _no_starttls(said.reply.text, later=verdict(said.reply) is Verdict.LATER)
            assert context is not None, "only Security.NONE has no context"
            channel.start_tls(context, place.name)
            channel.deadline(limits.command_seconds)
            announces = _introduced(speaker)
        if self.smtp.authenticate:
            mechanisms = frozenset(speaker.server_auth_methods) if announces else frozenset[str]()
            log_in(self.account, self.smtp, speaker, mechanisms, place.port, channel)


def _greeted(speaker: Speaker, line: bytes) -> None:
    """Read the rest of the greeting. Raises WrongProtocol, ServerBusy, CommandRefused, ProtocolBroken."""
    if not line[:3].isdigit() or line.startswith((b"200 ", b"201 ")):
        who = stranger(line)
        text = f"{who}; submission is usually on 465 or 587." if who else "What answers on this port is no mail server."
        raise WrongProtocol(text, server_text=line)
    said = speaker.read(line)
    match verdict(said.reply):
        case Verdict.TAKEN if said.code == READY:
            return
        case Verdict.LATER:
            raise ServerBusy(
                "The server does not want us now.",
                response_code=str(said.code),
                server_text=said.reply.text,
                retry_after_seconds=LATER_SECONDS,
            )
        case Verdict.REFUSED:
            raise CommandRefused(
                "The server takes no mail from this computer; its operator has to be asked.",
                needs=Needs.USER,
                response_code=str(said.code),
                server_text=said.reply.text,
            )
        case _:
            raise ProtocolBroken("The server's greeting makes no sense.", server_text=said.reply.text)


def _introduced(speaker: Speaker) -> bool:
    """Say EHLO, or HELO where that is not known; return whether the server told what it can.

    Raises ServerBusy, ProtocolBroken, WrongProtocol.
    """
    for hello, tells in ((speaker.ehlo, True), (speaker.helo, False)):
        said = speaker.ask(hello())
        if said.code == COMPLETED:
            return tells
        speaker.esmtp_extensions, speaker.server_auth_methods = {}, []
        told = verdict(said.reply)
        if told is not Verdict.REFUSED:
            break
    if told is Verdict.LATER:
        raise ServerBusy("The server does not want us now.", response_code=str(said.code), server_text=said.reply.text)
    if told is not Verdict.REFUSED:
        raise ProtocolBroken("The server's answer to EHLO makes no sense.", server_text=said.reply.text)
    raise WrongProtocol("What answers on this port takes no mail.", server_text=said.reply.text)


def _no_starttls(text: str, *, later: bool = False) -> TlsRefused:
    return TlsRefused(
        "The server refuses STARTTLS; nothing was sent in clear text. Try TLS on port 465 for this account.",
        kind=ErrorKind.STARTTLS_REFUSED,
        needs=Needs.RETRY if later else Needs.USER,
        server_text=text,
    )


def _literal(channel: Channel) -> str:
    address = channel.local_host()
    if not address:
        return "localhost"
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
