"""What a server's words mean before we are in: the greeting, a refused login, a goodbye. Pure.

This is the whole grammar that strangers meet: small, and strict where a wrong guess would cost a password
(RFC 3501 §7.1, RFC 5530).
"""

import re
from dataclasses import dataclass
from enum import Enum

from ...approach import stranger
from ...errors import (
    ErrorKind,
    LoginRefused,
    Needs,
    ProtocolBroken,
    ServerBusy,
    SourceError,
    TooManyConnections,
    WrongProtocol,
    printable,
)
from ..base import Notice
from . import quirks
from .translate import wait_seconds

__all__ = [
    "LATER_SECONDS",
    "QUOTA_SECONDS",
    "Greeting",
    "Welcome",
    "alert",
    "alert_of",
    "capability_words",
    "farewell",
    "read_greeting",
    "refused",
]

CAPABILITIES_MAX = 1_000

LATER_SECONDS = 300.0
"""When a server sends us away without saying for how long."""

QUOTA_SECONDS = 3_600.0
"""When the day's octets are used up and the server does not say for how long; some take a day."""

CODE = re.compile(rb"\[([A-Z]+)[ \]]")
ALERT = re.compile(rb"(\S+) (OK|NO|BAD|BYE) (\[ALERT\].*?)\r?\n\Z", re.DOTALL)
CAPABILITY_CODE = re.compile(rb"\[CAPABILITY ([^\]]*)\]")
GREETING = re.compile(rb"\* (OK|PREAUTH|BYE) +(\S.*?) *\r\n\Z", re.DOTALL)
BUSY_CODES = {"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "OVERQUOTA"}
LOGIN_CODES = {"AUTHENTICATIONFAILED", "EXPIRED"}
USER_CODES = {"AUTHORIZATIONFAILED", "CONTACTADMIN", "PRIVACYREQUIRED"}

REFUSALS = {
    "EXPIRED": "The server says that the password or token has expired.",
    "AUTHORIZATIONFAILED": "The credentials are right, but this account may not be opened with them.",
    "CONTACTADMIN": "The server refuses this login; its operator has to be asked.",
    "PRIVACYREQUIRED": "The server wants a better protected connection for this login.",
}


class Welcome(Enum):
    """The two greetings with which one can go on."""

    OK = "ok"
    PREAUTH = "preauth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """A greeting that lets us in."""

    welcome: Welcome
    capabilities: frozenset[str]
    """As told within it, in capitals; empty: not told."""


def capability_words(text: bytes) -> frozenset[str]:
    """Return the capabilities in *text*, in capitals; words that are not printable ASCII are left out.

    >>> sorted(capability_words(b"IMAP4rev1 sasl-ir AUTH=PLAIN \\xff"))
    ['AUTH=PLAIN', 'IMAP4REV1', 'SASL-IR']
    """
    words = (word.decode("ascii", "replace").upper() for word in text.split()[:CAPABILITIES_MAX])
    return frozenset(word for word in words if word.isascii() and word.isprintable())


def read_greeting(line: bytes) -> Greeting:
    """Return what the first line of a server says. Raises WrongProtocol, ProtocolBroken; ServerBusy for a BYE.

    >>> read_greeting(b"* OK [CAPABILITY IMAP4rev1] ready\\r\\n").capabilities
    frozenset({'IMAP4REV1'})
    """
    ours = line.startswith((b"* OK", b"* PREAUTH", b"* BYE"))
    if not ours and (who := stranger(line)):
        raise WrongProtocol(f"{who}; IMAP is usually on 993 or 143.", server_text=line)
    if line.startswith((b"* OK ", b"* PREAUTH ", b"* BYE ")) and not line.endswith(b"\r\n"):
        raise ProtocolBroken("The server's lines do not end as IMAP wants them to.", server_text=line)
    match = GREETING.match(line)
    if match is None:
        raise WrongProtocol("What answers on this port is no IMAP server.", server_text=line)
    word, text = match.groups()
    if word == b"BYE":
        raise farewell(text)
    told = CAPABILITY_CODE.match(text)
    return Greeting(
        welcome=Welcome.OK if word == b"OK" else Welcome.PREAUTH,
        capabilities=capability_words(told[1]) if told else frozenset(),
    )


def farewell(text: object) -> ServerBusy:
    """Return what a ``* BYE`` before the login was done means: come back, but not at once."""
    return _busy(text if isinstance(text, bytes) else b"", "The server does not want us now.")


def _busy(text: bytes, otherwise: str) -> ServerBusy:
    """Return the error that fits a server's *text*; *otherwise* is what a person reads when it says nothing special.

    Where it says for how long, time is what helps, and not one connection less.
    """
    code, asked = _code(text), wait_seconds(text)
    kind: type[ServerBusy]
    if asked is None and (code == "LIMIT" or quirks.is_one_too_many(text)):
        kind, told, wait = TooManyConnections, "The server takes no further connection of this account.", LATER_SECONDS
    elif code == "OVERQUOTA" or quirks.is_quota_used_up(text):
        kind, told, wait = ServerBusy, "This account's share of the server is used up for some time.", QUOTA_SECONDS
    else:
        kind, told, wait = ServerBusy, otherwise, LATER_SECONDS
    return kind(told, response_code=code, server_text=text, retry_after_seconds=asked or wait)


def alert(line: bytes) -> bytes | None:
    """Return what *line* says to the person (RFC 3501 §7.1), else None. A refusal's own text is told with the refusal.

    >>> alert(b"* OK [ALERT] Down at noon\\r\\n"), alert(b"A1 NO [ALERT] No\\r\\n")
    (b'[ALERT] Down at noon', None)
    """
    match = ALERT.match(line)
    told = match is not None and (match[2] == b"OK" or (match[1] == b"*" and match[2] != b"BYE"))
    return match[3] if match is not None and told else None


def alert_of(text: bytes) -> Notice:
    """Return the notice that carries an alert to the person. It is the server's text, and marked as such."""
    return Notice(
        kind=ErrorKind.SERVER_ALERT.value, text="The server has a message for you.", server_text=printable(text)
    )


def refused(status: str, text: bytes) -> SourceError:
    """Return what a NO or BAD to LOGIN or AUTHENTICATE means (RFC 5530 §3)."""
    code = _code(text)
    if code in BUSY_CODES or wait_seconds(text) is not None or _is_busy_in_words(code, text):
        return _busy(text, "The server cannot let us in at the moment.")
    if status != "NO":
        return LoginRefused(
            "The server does not understand this way to log in; choose another one for this account.",
            kind=ErrorKind.LOGIN_UNSUPPORTED,
            needs=Needs.USER,
            response_code=code,
            server_text=text,
        )
    return LoginRefused(
        REFUSALS.get(code or "", "The server refuses this user name and password (or token)."),
        needs=Needs.USER if code in USER_CODES else Needs.LOGIN,
        response_code=code,
        server_text=text,
    )


def _is_busy_in_words(code: str | None, text: bytes) -> bool:
    return code is None and (quirks.is_one_too_many(text) or quirks.is_quota_used_up(text))


def _code(text: bytes) -> str | None:
    """Return the response code, when it is one that we know: anything else is text, and stays with it."""
    match = CODE.match(text)
    code = match[1].decode("ascii") if match else None
    return code if code in BUSY_CODES | LOGIN_CODES | USER_CODES else None
