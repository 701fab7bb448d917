"""What can go wrong between us and a source, and what helps.

    ProviderError                      every error of this package
    ├── InvalidRequest (ValueError)    the request makes no sense; raised before any work starts
    ├── UnknownItem (LookupError)      no such account, folder or message
    ├── Busy                           somebody else synchronizes this account
    ├── Closed (RuntimeError)          the provider was closed
    ├── Cancelled                      somebody asked us to stop
    ├── Brake                          too good an excuse to delete: a second look is needed
    ├── VaultUnusable                  the place where secrets are kept cannot be used
    └── SourceError                    the far side, or the way to it
        ├── Unreachable (ConnectionError)   no such host, refused, no route
        ├── ConnectionLost (ConnectionError) the line broke in the middle
        ├── TimedOut (TimeoutError)         a deadline passed; the session is dead
        ├── TlsRefused (ConnectionError)    certificate, name or protocol version not acceptable
        ├── WrongProtocol                   something else answers on that port
        ├── LoginRefused (PermissionError)  these credentials do not open this account
        ├── ServerBusy                      asked to come back later
        │   └── TooManyConnections          takes no further connection of this account
        ├── ProtocolBroken                  an answer that cannot be trusted; drop the connection
        │   └── LimitExceeded               an answer larger than we are willing to read
        ├── CommandRefused                  NO or BAD; the connection is good
        ├── FolderUnusable                  this folder cannot be cached (no UIDVALIDITY, gone, not selectable)
        └── IncompleteAnswer                OK, but not all that was asked: proves nothing

The class answers "what helps" (``needs``, ``retryable``); attributes carry the facts; the text is one sentence for a
person. Text that came from a server lives in ``server_text`` only, already stripped of control characters and capped.
"""

from enum import Enum
from typing import ClassVar

__all__ = [
    "Brake",
    "Busy",
    "Cancelled",
    "Closed",
    "CommandRefused",
    "ConnectionLost",
    "ErrorKind",
    "FolderUnusable",
    "IncompleteAnswer",
    "InvalidRequest",
    "LimitExceeded",
    "LoginRefused",
    "Needs",
    "ProtocolBroken",
    "ProviderError",
    "ServerBusy",
    "SourceError",
    "TimedOut",
    "TlsRefused",
    "TooManyConnections",
    "UnknownItem",
    "Unreachable",
    "VaultUnusable",
    "WrongProtocol",
    "printable",
]

SERVER_TEXT_CHARACTERS_MAX = 500


class Needs(Enum):
    """What helps against an error."""

    NOTHING = "nothing"
    """It is told for information; nothing has to be done."""
    RETRY = "retry"
    """The same again, later."""
    RECONNECT = "reconnect"
    """A new connection, then the same again."""
    LOGIN = "login"
    """New credentials."""
    USER = "user"
    """A person has to decide or to mend something."""


class ErrorKind(Enum):
    """Every kind of trouble that a callback can hear of. Stable names for programs."""

    INVALID_REQUEST = "invalid-request"
    UNKNOWN_ITEM = "unknown-item"
    BUSY = "busy"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    UNRESOLVED_HOST = "unresolved-host"
    CONNECTION_REFUSED = "connection-refused"
    UNREACHABLE = "unreachable"
    CONNECTION_LOST = "connection-lost"
    TIMED_OUT = "timed-out"
    TLS_CERTIFICATE_EXPIRED = "tls-certificate-expired"
    TLS_CERTIFICATE_NOT_YET_VALID = "tls-certificate-not-yet-valid"
    TLS_CERTIFICATE_NAME = "tls-certificate-name"
    TLS_CERTIFICATE_SELF_SIGNED = "tls-certificate-self-signed"
    TLS_CERTIFICATE_UNKNOWN_ISSUER = "tls-certificate-unknown-issuer"
    TLS_CERTIFICATE_WEAK = "tls-certificate-weak"
    TLS_CERTIFICATE = "tls-certificate"
    TLS_VERSION = "tls-version"
    TLS_HANDSHAKE = "tls-handshake"
    TLS_NOT_SPOKEN = "tls-not-spoken"
    STARTTLS_REFUSED = "starttls-refused"
    STARTTLS_INJECTION = "starttls-injection"
    PLAINTEXT_REFUSED = "plaintext-refused"
    PREAUTH_WITHOUT_TLS = "preauth-without-tls"
    WRONG_PROTOCOL = "wrong-protocol"
    LOGIN_REFUSED = "login-refused"
    LOGIN_UNSUPPORTED = "login-unsupported"
    CREDENTIALS_MISSING = "credentials-missing"
    SIGN_IN_AGAIN = "sign-in-again"
    VAULT = "vault"
    SERVER_ALERT = "server-alert"
    SERVER_BUSY = "server-busy"
    PROTOCOL = "protocol"
    LIMIT = "limit"
    COMMAND_REFUSED = "command-refused"
    FOLDER_UNUSABLE = "folder-unusable"
    FOLDER_GONE = "folder-gone"
    FOLDER_UNSTABLE = "folder-unstable"
    INCOMPLETE_ANSWER = "incomplete-answer"
    LISTING_SUSPICIOUS = "listing-suspicious"
    MASS_DELETION = "mass-deletion"
    UIDVALIDITY_CHANGED = "uidvalidity-changed"
    SERVER_DEMOTED = "server-demoted"
    FULL_RUN = "full-run"
    CRITERIA_CHANGED = "criteria-changed"
    MESSAGE_QUARANTINED = "message-quarantined"
    MESSAGE_MISSING = "message-missing"
    MESSAGE_MISTAKEN = "message-mistaken"
    FLAG_WITHOUT_EFFECT = "flag-without-effect"
    LEFT_MARKED = "left-marked"
    UPLOAD_REFUSED = "upload-refused"
    SEND_REFUSED = "send-refused"
    SEND_LATER = "send-later"
    SEND_IN_DOUBT = "send-in-doubt"
    CONFLICT = "conflict"
    STORE = "store"
    STORE_BUSY = "store-busy"
    STORE_FULL = "store-full"
    LEASE_LOST = "lease-lost"
    EVENTS_DROPPED = "events-dropped"
    INTERNAL = "internal"


def printable(text: str | bytes) -> str:
    """Return server text made safe to carry: one line, no control or bidirectional characters, capped.

    >>> printable(b"no\\r\\nway \\x1b[31m")
    'no way [31m'
    """
    if isinstance(text, bytes):
        text = text[: 4 * SERVER_TEXT_CHARACTERS_MAX].decode("utf-8", "replace")
    words = text[: 4 * SERVER_TEXT_CHARACTERS_MAX].split()
    clean = " ".join("".join(char for char in word if char.isprintable()) for word in words)
    return clean[:SERVER_TEXT_CHARACTERS_MAX]


class ProviderError(Exception):
    """The root. ``kind`` is for programs, ``str(error)`` for people, ``needs`` says what helps."""

    kind: ErrorKind = ErrorKind.INTERNAL
    needs: Needs = Needs.USER

    def __init__(
        self,
        text: str,
        *,
        kind: ErrorKind | None = None,
        needs: Needs | None = None,
        folder: str | None = None,
        uid: int | None = None,
        response_code: str | None = None,
        server_text: str | bytes = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(text)
        if kind is not None:
            self.kind = kind
        if needs is not None:
            self.needs = needs
        self.folder = folder
        self.uid = uid
        self.response_code = response_code
        self.server_text = printable(server_text)
        self.retry_after_seconds = retry_after_seconds

    @property
    def retryable(self) -> bool:
        """True when the same request may succeed later without a person's help."""
        return self.needs in (Needs.RETRY, Needs.RECONNECT)


class InvalidRequest(ProviderError, ValueError):
    kind = ErrorKind.INVALID_REQUEST


class UnknownItem(ProviderError, LookupError):
    kind = ErrorKind.UNKNOWN_ITEM


class Busy(ProviderError):
    kind = ErrorKind.BUSY
    needs = Needs.RETRY


class Closed(ProviderError, RuntimeError):
    kind = ErrorKind.CLOSED


class Cancelled(ProviderError):
    kind = ErrorKind.CANCELLED
    needs = Needs.NOTHING


class Brake(ProviderError):
    kind = ErrorKind.MASS_DELETION
    needs = Needs.RETRY


class VaultUnusable(ProviderError):
    kind = ErrorKind.VAULT
    needs = Needs.USER


class SourceError(ProviderError):
    """``drops_connection`` tells whether the session may be used again after it."""

    drops_connection: ClassVar[bool] = True


class Unreachable(SourceError, ConnectionError):
    kind = ErrorKind.UNREACHABLE
    needs = Needs.RETRY


class ConnectionLost(SourceError, ConnectionError):
    kind = ErrorKind.CONNECTION_LOST
    needs = Needs.RECONNECT


class TimedOut(SourceError, TimeoutError):
    kind = ErrorKind.TIMED_OUT
    needs = Needs.RECONNECT


class TlsRefused(SourceError, ConnectionError):
    kind = ErrorKind.TLS_HANDSHAKE
    needs = Needs.USER


class WrongProtocol(SourceError):
    kind = ErrorKind.WRONG_PROTOCOL
    needs = Needs.USER


class LoginRefused(SourceError, PermissionError):
    kind = ErrorKind.LOGIN_REFUSED
    needs = Needs.LOGIN


class ServerBusy(SourceError):
    kind = ErrorKind.SERVER_BUSY
    needs = Needs.RETRY


class TooManyConnections(ServerBusy):
    """Others of this account's connections may go on: one of them less helps."""


class ProtocolBroken(SourceError):
    kind = ErrorKind.PROTOCOL
    needs = Needs.RECONNECT


class LimitExceeded(ProtocolBroken):
    kind = ErrorKind.LIMIT


class CommandRefused(SourceError):
    kind = ErrorKind.COMMAND_REFUSED
    needs = Needs.RETRY
    drops_connection = False


class FolderUnusable(SourceError):
    kind = ErrorKind.FOLDER_UNUSABLE
    needs = Needs.NOTHING
    drops_connection = False


class IncompleteAnswer(SourceError):
    kind = ErrorKind.INCOMPLETE_ANSWER
    needs = Needs.RETRY
    drops_connection = False
