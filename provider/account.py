"""An account as a value: where its server is, how to reach it safely, and who supplies the secret.

The store never sees one of these: it knows account ids only. ``repr`` never shows a secret.
"""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from store.mail import AccountId

from .errors import InvalidRequest
from .limits import Limits
from .shortcuts import Shortcuts

__all__ = [
    "Account",
    "Credential",
    "CredentialSupplier",
    "FolderPolicy",
    "Keep",
    "Login",
    "Password",
    "Security",
    "SentCopies",
    "Smtp",
]


class Security(Enum):
    """How the connection is protected. There is no "if possible"."""

    TLS = "tls"
    """TLS from the first octet (RFC 8314)."""
    STARTTLS = "starttls"
    """Plain greeting, then STARTTLS or nothing (RFC 2595 §2.1 hardened)."""
    NONE = "none"
    """No protection: loopback, or a host named in ``Account.plaintext_host``."""


class Login(Enum):
    """SASL mechanism (or LOGIN). AUTO takes PLAIN where offered, else LOGIN; OAuth mechanisms are asked for by name."""

    AUTO = "auto"
    LOGIN = "login"
    PLAIN = "plain"
    XOAUTH2 = "xoauth2"
    OAUTHBEARER = "oauthbearer"


@dataclass(frozen=True, slots=True)
class Credential:
    """A password or an access token, just asked for."""

    secret: str = field(repr=False)


class CredentialSupplier(Protocol):
    """Gives the secret when a session logs in; may ask a keyring, a command or a person.

    *refused* is True when the last one was refused: a supplier with a refresh token gets a new one then.
    Raises LoginRefused when it has none.
    """

    def __call__(self, account: "Account", *, refused: bool) -> Credential: ...


@dataclass(frozen=True, slots=True)
class Password:
    """The simplest supplier: one fixed secret, known to the host."""

    secret: str = field(repr=False)

    def __call__(self, account: "Account", *, refused: bool) -> Credential:
        return Credential(self.secret)


class Keep(Enum):
    """How much of a folder's mail is kept offline."""

    NONE = "none"
    HEADERS = "headers"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderPolicy:
    """What of a folder comes down. A message beyond a limit keeps its header; ``provider.fetch`` brings the rest."""

    keep: Keep = Keep.FULL
    size_octets_max: int | None = None
    """Larger messages stay header-only."""
    age_days_max: int | None = None
    """Messages with an older internal date stay header-only. One without a date is never too old."""


class SentCopies(Enum):
    """Who puts the copy of a sent message into the Sent folder: exactly one is to be there in the end."""

    AUTO = "auto"
    """The provider where it is known, or was seen, to do so; else we."""
    APPEND = "append"
    PROVIDER = "provider"
    NONE = "none"
    """Nobody is to: the message leaves the outbox, and that is all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """The way out of an account: a submission server (RFC 6409). Raises InvalidRequest for values that cannot work."""

    host: str
    port: int | None = None
    """None: 465 for TLS (RFC 8314), 587 otherwise."""
    security: Security = Security.TLS
    authenticate: bool = True
    """False: a relay that knows us by our address."""
    user: str = ""
    """Empty: the account's."""
    login: Login = Login.AUTO
    credentials: CredentialSupplier | None = field(default=None, repr=False)
    """None: the account's."""
    ca_file: Path | None = None
    plaintext_host: str | None = None
    sent_copies: SentCopies = SentCopies.AUTO

    def __post_init__(self) -> None:
        for name, text in (("host", self.host), ("user", self.user)):
            if any(ord(char) < 32 or char == "\x7f" for char in text):
                raise InvalidRequest(f"The {name} of the way out has control characters in it.")
        if not self.host:
            raise InvalidRequest("The way out needs a host.")
        if self.port is not None and not 1 <= self.port <= 65535:
            raise InvalidRequest("The port of the way out is not between 1 and 65535.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What it takes to reach one account. ``kind`` names the source: ``imap``, ``maildir``, ``mbox``, ``memory``.

    Raises InvalidRequest for values that cannot work.
    """

    id: AccountId
    kind: str = "imap"
    host: str = ""
    port: int | None = None
    """None: 993 for TLS, 143 otherwise."""
    security: Security = Security.TLS
    user: str = ""
    login: Login = Login.AUTO
    credentials: CredentialSupplier | None = field(default=None, repr=False)
    ca_file: Path | None = None
    """Certificates to trust in place of the system's."""
    plaintext_host: str | None = None
    """The one host for which ``Security.NONE`` is meant; loopback needs no naming."""
    path: Path | None = None
    """Where a local source lies."""
    smtp: Smtp | None = None
    """Where mail goes out; None: this account does not send."""
    policy: FolderPolicy = FolderPolicy()
    policies: tuple[tuple[str, FolderPolicy], ...] = ()
    """Policies of single folders, by the path for people (``str(FolderPath)``)."""
    limits: Limits = Limits()
    shortcuts: Shortcuts = Shortcuts()
    options: tuple[tuple[str, object], ...] = field(default=(), repr=False)
    """What only one kind of source understands (the memory source: its server)."""

    def __post_init__(self) -> None:
        if not self.id or not self.id.isprintable() or len(self.id) > 64:
            raise InvalidRequest("An account id is 1 to 64 printable characters.")
        for name, text in (("host", self.host), ("user", self.user)):
            if any(ord(char) < 32 or char == "\x7f" for char in text):
                raise InvalidRequest(f"The {name} of account {self.id} has control characters in it.")
        if self.port is not None and not 1 <= self.port <= 65535:
            raise InvalidRequest(f"The port of account {self.id} is not between 1 and 65535.")
        if self.kind == "imap" and (not self.host or not self.user):
            raise InvalidRequest(f"Account {self.id} needs a host and a user.")

    def policy_of(self, folder: str) -> FolderPolicy:
        """Return the policy of the folder with that path for people."""
        return dict(self.policies).get(folder, self.policy)

    def option(self, name: str) -> object | None:
        """Return one source-specific option, or None."""
        return dict(self.options).get(name)
