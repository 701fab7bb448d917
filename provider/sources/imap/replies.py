"""What a server's words mean before we are in: the greeting, a refused login, a goodbye. Pure.

This is the whole grammar that strangers meet: small, and strict where a wrong guess would cost a password
(RFC 3501 §7.1, RFC 5530).
"""

import re
from dataclasses import dataclass
from enum import Enum

from ...errors import ErrorKind, LoginRefused, Needs, ProtocolBroken, ServerBusy, SourceError, WrongProtocol

__all__ = ["Greeting", "Welcome", "backoff_seconds", "capability_words", "farewell", "read_greeting", "refused"]

CAPABILITIES_MAX = 1_000

LATER_SECONDS = 300.0
"""When a server sends us away without saying for how long."""

LATER_SECONDS_MAX = 86_400.0

CODE = re.compile(rb"\[([A-Z]+)[ \]]")
CAPABILITY_CODE = re.compile(rb"\[CAPABILITY ([^\]]*)\]")
GREETING = re.compile(rb"\* (OK|PREAUTH|BYE) +(\S.*?) *\r\n\Z", re.DOTALL)
BACKOFF = re.compile(rb"Backoff Time: *(\d{1,12}) *milliseconds", re.IGNORECASE)
"""Exchange Online, all protocols: "Request is throttled. Suggested Backoff Time: 299961 milliseconds"."""

BUSY_CODES = {"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"}
LOGIN_CODES = {"AUTHENTICATIONFAILED", "EXPIRED"}
USER_CODES = {"AUTHORIZATIONFAILED", "CONTACTADMIN", "PRIVACYREQUIRED"}

REFUSALS = {
    "EXPIRED": "The server says that the password or token has expired.",
    "AUTHORIZATIONFAILED": "The credentials are right, but this account may not be opened with them.",
    "CONTACTADMIN": "The server refuses this login; its operator has to be asked.",
    "PRIVACYREQUIRED": "The server wants a better protected connection for this login.",
}

STRANGERS = (
    (b"+OK", "A POP3 server answers on this port; IMAP is usually on 993 or 143."),
    (b"-ERR", "A POP3 server answers on this port; IMAP is usually on 993 or 143."),
    (b"220", "An SMTP (or FTP) server answers on this port; IMAP is usually on 993 or 143."),
    (b"554", "An SMTP server answers on this port; IMAP is usually on 993 or 143."),
    (b"200 ", "A news (NNTP) server answers on this port; IMAP is usually on 993 or 143."),
    (b"201 ", "A news (NNTP) server answers on this port; IMAP is usually on 993 or 143."),
    (b"HTTP/", "A web server answers on this port; IMAP is usually on 993 or 143."),
    (b"<", "A web server answers on this port; IMAP is usually on 993 or 143."),
    (b"SSH-", "An SSH server answers on this port; IMAP is usually on 993 or 143."),
)


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
    for opening, hint in STRANGERS:
        if line.startswith(opening):
            raise WrongProtocol(hint, server_text=line)
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


def backoff_seconds(text: bytes) -> float | None:
    """Return for how long the server asks us to stay away; None when it does not say.

    >>> backoff_seconds(b"Request is throttled. Suggested Backoff Time: 299961 milliseconds")
    299.961
    """
    match = BACKOFF.search(text)
    return None if match is None else min(int(match[1]) / 1000, LATER_SECONDS_MAX)


def farewell(text: object) -> ServerBusy:
    """Return what a ``* BYE`` before the login was done means: come back, but not at once."""
    words = text if isinstance(text, bytes) else b""
    return ServerBusy(
        "The server does not want us now.",
        response_code=_code(words),
        server_text=words,
        retry_after_seconds=backoff_seconds(words) or LATER_SECONDS,
    )


def refused(status: str, text: bytes) -> SourceError:
    """Return what a NO or BAD to LOGIN or AUTHENTICATE means (RFC 5530 §3)."""
    code, backoff = _code(text), backoff_seconds(text)
    if code in BUSY_CODES or backoff is not None:
        return ServerBusy(
            "The server cannot let us in at the moment.",
            response_code=code,
            server_text=text,
            retry_after_seconds=backoff or LATER_SECONDS,
        )
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


def _code(text: bytes) -> str | None:
    """Return the response code, when it is one that we know: anything else is text, and stays with it."""
    match = CODE.match(text)
    code = match[1].decode("ascii") if match else None
    return code if code in BUSY_CODES | LOGIN_CODES | USER_CODES else None
