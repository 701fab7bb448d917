"""IMAPClient and imaplib, made to work at the door: everything goes through a ``Channel``, nothing is kept or logged.

imaplib documents ``open``, ``read``, ``readline``, ``send`` and ``shutdown`` as meant to be overridden; IMAPClient
makes its imaplib object in ``_create_IMAP4``. What is overridden besides, and why:

- ``_get_capabilities``: no question when the greeting told already; nothing is asked before STARTTLS.
- ``_new_tag``: tags that cannot be guessed, so that a completion sent in advance matches nothing (M16).
- ``starttls``, ``login``, ``authenticate``: STARTTLS whatever the server announces, quoted user names (M6), an initial
  response (SASL-IR, RFC 4959), refusals as our own errors.
- ``debug``, ``_log``: imaplib keeps and prints command lines with passwords in them (M19).

Every call from outside goes through ``guarded``: no exception of these libraries gets further (M5).
"""

import base64
import binascii
import imaplib
import secrets
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

from imapclient import IMAPClient

from ...channel import Channel
from ...errors import (
    ErrorKind,
    LimitExceeded,
    LoginRefused,
    Needs,
    ProtocolBroken,
    ProviderError,
    TlsRefused,
    WrongProtocol,
)
from .replies import Greeting, alert, capability_words, farewell, refused

__all__ = ["Porter", "PorterClient", "guarded"]

T = TypeVar("T")

CRLF = b"\r\n"

DOOR_OCTETS_MAX = 4_000_000
"""All that a server may say before we are in: imaplib keeps every untagged line of it."""

DOOR_LITERAL_OCTETS_MAX = 64_000

Responder = Callable[[bytes], bytes | None]
"""A decoded challenge to what is answered; None: the conversation is to be abandoned, as each is in the end."""


class _Through(Exception):
    """Carries one of our errors through imaplib, which turns every OSError (ours are some) into text."""

    def __init__(self, error: ProviderError) -> None:
        super().__init__()
        self.error = error


def guarded(call: Callable[[], T]) -> T:
    """Return what *call* returns; raise nothing but errors of ``provider.errors``, without the original inside.

    The original may hold a command line, or a server's echo of it: so it is neither ``__cause__`` nor ``__context__``.
    """
    try:
        return call()
    except ProviderError:
        raise
    except _Through as carried:
        error = carried.error
    except Exception as foreign:  # M5: nine classes were seen, seven of them builtins
        error = ProtocolBroken(f"The server's answer makes no sense ({type(foreign).__name__}).")
    raise error


_Imaplib: Any = imaplib.IMAP4
"""Typeshed says little of what may be overridden, and some of it wrongly."""


class Porter(_Imaplib):  # type: ignore[misc]  # IMAPClient has no types: its base is Any
    """The imaplib side, on a *channel* whose greeting line was read already.

    *waits_for_tls*: nothing is asked and nothing believed until ``starttls`` is done.
    """

    def __init__(
        self, channel: Channel, line: bytes, greeting: Greeting, *, host: str, command_octets: int, waits_for_tls: bool
    ) -> None:
        self._channel = channel
        self._line: bytes | None = line
        self._announced = greeting.capabilities
        self._command_octets = command_octets
        self._waits_for_tls = waits_for_tls
        self.alerts: list[bytes] = []
        """What the server said for the person, in its order."""
        super().__init__(host)

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        self.host, self.port = host, port

    def read(self, size: int) -> bytes:
        if size > DOOR_LITERAL_OCTETS_MAX:
            raise LimitExceeded(f"The server announced a literal of {size:,} octets before the login was done.")
        return self._channel.read(size)

    def readline(self) -> bytes:
        line = self._next_line()
        if not self._waits_for_tls and (told := alert(line)) is not None:
            self.alerts.append(told)
        return line

    def _next_line(self) -> bytes:
        if self._line is not None:
            line, self._line = self._line, None
            return line
        if self._channel.received_octets > DOOR_OCTETS_MAX:
            raise LimitExceeded(f"The server said more than {DOOR_OCTETS_MAX:,} octets before the login was done.")
        return self._channel.readline()

    def send(self, data: bytes) -> None:
        try:
            self._channel.send(data)
        except ProviderError as error:
            raise _Through(error) from None

    def shutdown(self) -> None:
        self._channel.close()

    @property
    def debug(self) -> int:
        """Always 0: IMAPClient sets 5, which formats every line, and a host may have set ``imaplib.Debug``."""
        return 0

    @debug.setter
    def debug(self, level: int) -> None:
        pass

    def _log(self, line: object) -> None:
        """Keep no log of the last commands."""

    def _new_tag(self) -> bytes:
        tag: bytes = self.tagpre + b"%d" % secrets.randbelow(10**12)
        self.tagged_commands[tag] = None
        return tag

    def _get_response(self, *options: Any) -> Any:
        response = super()._get_response(*options)
        if "BYE" in self.untagged_responses:
            raise farewell(self.untagged_responses["BYE"][-1])
        return response

    def _get_capabilities(self) -> None:
        if self._waits_for_tls:
            self.capabilities: tuple[str, ...] = (
                "IMAP4REV1",
            )  # imaplib insists on one; what a stranger says is not used
            return
        told = self._announced
        if not told:
            self._converse("CAPABILITY")
            told = self.told()
        if "IMAP4REV1" not in told:
            raise WrongProtocol("The server does not say that it speaks IMAP4rev1 (RFC 3501).")
        self.capabilities = tuple(sorted(told))

    def told(self) -> frozenset[str]:
        """Return the capabilities told in answer to the last command, in capitals; empty: not told."""
        last = self.untagged_responses.get("CAPABILITY", [b""])[-1]
        return capability_words(last) if isinstance(last, bytes) else frozenset()

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> tuple[str, list[Any]]:
        """Send STARTTLS whatever the server announces; then forget all it said, and ask again (RFC 3501 §6.2.1)."""
        assert ssl_context is not None, "IMAPClient and we always pass a verifying context"
        status, text = self._converse("STARTTLS")
        if status != "OK":
            raise TlsRefused(
                "The server refuses STARTTLS; nothing was sent in clear text. Try TLS on port 993 for this account.",
                kind=ErrorKind.STARTTLS_REFUSED,
                server_text=text,
            )
        self._channel.start_tls(ssl_context, self.host)
        self._announced = frozenset()
        self._waits_for_tls = False
        self._get_capabilities()
        return status, [text]

    def login(self, user: str, password: str) -> tuple[str, list[Any]]:
        """LOGIN with both arguments quoted; the caller lets only printable ASCII come here."""
        return self._entered(*self._converse("LOGIN", self._quote(user), self._quote(password)))

    def authenticate(self, mechanism: str, authobject: Responder) -> tuple[str, list[Any]]:
        """AUTHENTICATE by a mechanism in which the client speaks first: ``authobject(b"")`` is what it says.

        Later challenges go to *authobject* too. Raises LoginRefused when one makes no sense or is one too many.
        """
        first = base64.b64encode(authobject(b"") or b"").decode("ascii")
        if "SASL-IR" in self.capabilities and len(mechanism) + len(first) + 64 <= self._command_octets:
            return self._entered(*self._converse("AUTHENTICATE", mechanism, first, responder=authobject))
        return self._entered(*self._converse("AUTHENTICATE", mechanism, responder=authobject, pending=first))

    def _entered(self, status: str, text: bytes) -> tuple[str, list[Any]]:
        if status != "OK":
            raise refused(status, text)
        self.state = "AUTH"
        return status, [text]

    def _converse(
        self, name: str, *arguments: str, responder: Responder | None = None, pending: str | None = None
    ) -> tuple[str, bytes]:
        """Send one command, answer its challenges, and return how it ended; forget what was said before."""
        self.untagged_responses.clear()
        tag = self._command(name, *arguments)
        while self.tagged_commands[tag] is None:
            if self._get_response() is not None:
                continue
            if responder is None:
                raise ProtocolBroken("The server waits for something that was not announced.")
            answer = self._answer(self.continuation_response, responder, pending)
            pending = None
            if answer is None:
                self.send(b"*" + CRLF)
                raise LoginRefused(
                    "The server's questions at the login make no sense.",
                    kind=ErrorKind.LOGIN_UNSUPPORTED,
                    needs=Needs.USER,
                )
            self.send(answer + CRLF)
        status: str
        texts: list[bytes]
        status, texts = self.tagged_commands.pop(tag)
        return status, texts[-1]

    @staticmethod
    def _answer(challenge: bytes, responder: Responder, pending: str | None) -> bytes | None:
        try:
            question = base64.b64decode(challenge, validate=True)
        except binascii.Error:
            return None
        if pending is not None:
            return pending.encode("ascii")
        answer = responder(question)
        return None if answer is None else base64.b64encode(answer)


class PorterClient(IMAPClient):  # type: ignore[misc]  # the same
    """IMAPClient whose connection is a ``Porter``, and whose reads obey the channel's deadlines only."""

    def __init__(self, porter: Callable[[], Porter], host: str, *, tls: bool) -> None:
        self._make_porter = porter
        super().__init__(host, ssl=tls)

    def _create_IMAP4(self) -> Porter:
        return self._make_porter()

    def _set_read_timeout(self) -> None:
        """Leave the socket alone."""

    @property
    def porter(self) -> Porter:
        porter: Porter = self._imap
        return porter
