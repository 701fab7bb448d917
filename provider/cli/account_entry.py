"""One account as ``accounts.toml`` has it: plain words in, an account for the provider out.

Says where a password or a sign-in comes from, never what it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from store.mail import AccountId

from .. import (
    Account,
    CredentialSupplier,
    FolderPolicy,
    InvalidRequest,
    Keep,
    Limits,
    Login,
    Security,
    SentCopies,
    Smtp,
)
from .credentials import CommandPassword, EnvironmentPassword, NoPassword, SignIn, split_command, vault_in
from .exits import ExitCode, Trouble

if TYPE_CHECKING:
    from .. import OAuthClient, Vault

__all__ = ["AccountEntry", "OAuthEntry", "SmtpEntry", "number_in", "tables_in", "text_in"]

WORDS = (
    "security: tls, starttls, none; login: auto, plain, login, xoauth2, oauthbearer; keep: full, headers, none; "
    "sent_copies: auto, append, provider, none; vault: keyring, file."
)
PASSWORDS = ("password_env", "password_command", "vault")
"""Sources of the password, of which an account has one at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpEntry:
    """The way out, as written. Empty strings and None: not said."""

    host: str = ""
    port: int | None = None
    security: str = ""
    user: str = ""
    login: str = ""
    sent_copies: str = ""
    authenticate: bool = True

    @classmethod
    def of(cls, said: object) -> "SmtpEntry":
        """Return what the table *said* says. Raises ValueError."""
        table = _table("smtp", said, cls.__slots__)
        authenticate = table.get("authenticate", True)
        if not isinstance(authenticate, bool):
            raise ValueError("authenticate is neither true nor false")
        return cls(
            port=number_in(table, "port"),
            authenticate=authenticate,
            **{name: text_in(table, name) for name in ("host", "security", "user", "login", "sent_copies")},
        )

    def smtp(self, entry: "AccountEntry", login: Login) -> Smtp | None:
        """Return the way out of *entry*, None when there is none; *login*: how, unless it was said."""
        if not self.host:
            return None
        return Smtp(
            host=self.host,
            port=self.port,
            security=Security(self.security or "tls"),
            authenticate=self.authenticate,
            user=self.user,
            login=Login(self.login) if self.login else login,
            ca_file=Path(entry.ca_file) if entry.ca_file else None,
            plaintext_host=entry.plaintext_host or None,
            sent_copies=SentCopies(self.sent_copies or "auto"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthEntry:
    """Who we are to whose token server, as written. ``provider`` names known endpoints, or they stand here."""

    provider: str = ""
    client_id: str = ""
    authorization_url: str = ""
    token_url: str = ""
    device_url: str = ""
    scopes: tuple[str, ...] = ()

    @classmethod
    def of(cls, said: object) -> "OAuthEntry":
        """Return what the table *said* says. Raises ValueError."""
        table = _table("oauth", said, cls.__slots__)
        scopes = table.get("scopes", ())
        if not isinstance(scopes, Sequence) or isinstance(scopes, str) or not all(isinstance(s, str) for s in scopes):
            raise ValueError("scopes is no list of texts")
        words = ("provider", "client_id", "authorization_url", "token_url", "device_url")
        return cls(scopes=tuple(scopes), **{name: text_in(table, name) for name in words})

    def client(self, secret: str = "") -> "OAuthClient":
        """Return the client. Raises InvalidRequest when something is missing."""
        from .. import OAuthClient  # it brings TLS along: only when it is needed

        if self.provider:
            known = OAuthClient.of(self.provider, self.client_id, secret)
            return replace(known, scopes=self.scopes) if self.scopes else known
        return OAuthClient(
            client_id=self.client_id,
            client_secret=secret,
            authorization_url=self.authorization_url,
            token_url=self.token_url,
            device_url=self.device_url,
            scopes=self.scopes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEntry:
    """One account as written in the file. Empty strings and None: not said."""

    name: str
    host: str = ""
    port: int | None = None
    security: str = "tls"
    user: str = ""
    login: str = "auto"
    password_env: str = ""
    password_command: str = ""
    vault: str = ""
    ca_file: str = ""
    plaintext_host: str = ""
    keep: str = "full"
    size_octets_max: int | None = None
    age_days_max: int | None = None
    smtp: SmtpEntry = SmtpEntry()
    oauth: OAuthEntry = OAuthEntry()
    folders: tuple[tuple[str, FolderPolicy], ...] = ()
    limits: Limits = Limits()
    place: Path = field(default=Path(), compare=False)
    """The directory of the file, where the vaults of this command lie; not written."""

    @classmethod
    def of(cls, name: str, said: Mapping[str, object], place: Path = Path()) -> "AccountEntry":
        """Return the entry that *said*, a table of the file, describes. Raises ValueError when it makes no sense."""
        unknown = sorted(set(said) - (set(cls.__slots__) - {"name", "place"}))
        if unknown:
            raise ValueError(f"account {name} has an unknown setting, {unknown[0]}")
        return cls(
            name=name,
            host=text_in(said, "host"),
            port=number_in(said, "port"),
            security=text_in(said, "security") or "tls",
            user=text_in(said, "user"),
            login=text_in(said, "login") or "auto",
            password_env=text_in(said, "password_env"),
            password_command=text_in(said, "password_command"),
            vault=text_in(said, "vault"),
            ca_file=text_in(said, "ca_file"),
            plaintext_host=text_in(said, "plaintext_host"),
            keep=text_in(said, "keep") or "full",
            size_octets_max=number_in(said, "size_octets_max"),
            age_days_max=number_in(said, "age_days_max"),
            smtp=SmtpEntry.of(said.get("smtp", {})),
            oauth=OAuthEntry.of(said.get("oauth", {})),
            folders=tuple((path, _policy(policy)) for path, policy in tables_in(said, "folders")),
            limits=_limits(said.get("limits", {})),
            place=place,
        )

    def account(self, credentials: CredentialSupplier | None = None) -> Account:
        """Return the account for the provider; *credentials* take the place of what the file says.

        Raises Trouble when the entry cannot work.
        """
        if sum(bool(getattr(self, name)) for name in PASSWORDS) > 1:
            raise Trouble(
                f"Account {self.name} has both a password variable and a password command, or a vault beside them.",
                ExitCode.USAGE,
                "Keep one: --password-env VAR, --password-command CMD or --vault V.",
            )
        try:
            login = Login(self.login)
            if login is Login.AUTO and self.uses_oauth:
                login = self.oauth.client().login
            return Account(
                id=AccountId(self.name),
                host=self.host,
                port=self.port,
                security=Security(self.security),
                user=self.user,
                login=login,
                credentials=credentials or self._supplier(),
                ca_file=Path(self.ca_file) if self.ca_file else None,
                plaintext_host=self.plaintext_host or None,
                smtp=self.smtp.smtp(self, login),
                policy=_policy(
                    {"keep": self.keep, "size_octets_max": self.size_octets_max, "age_days_max": self.age_days_max}
                ),
                policies=self.folders,
                limits=self.limits,
            )
        except InvalidRequest as error:
            raise Trouble(str(error), ExitCode.USAGE) from None
        except ValueError:
            raise Trouble(
                f"Account {self.name} has a word for security, login, keep, sent_copies or vault that is not known.",
                ExitCode.USAGE,
                WORDS,
            ) from None

    @property
    def uses_oauth(self) -> bool:
        """True when a person signs in at the provider, and a vault keeps the tokens."""
        return bool(self.oauth.client_id) and not (self.password_env or self.password_command)

    def kept_in(self) -> "Vault":
        """Return the vault of this account: the system's keyring unless another one was said. Raises ValueError."""
        return vault_in(self.place, self.vault or "keyring")

    def sign_in(self) -> SignIn:
        """Return the supplier of this account's tokens. Raises ValueError."""
        # The authority of a mail server of one's own says nothing of a large provider's token server.
        own = Path(self.ca_file) if self.ca_file and not self.oauth.provider else None
        return SignIn(self.kept_in(), self.oauth.client, own)

    def _supplier(self) -> CredentialSupplier:
        if self.password_env:
            return EnvironmentPassword(self.password_env)
        if self.password_command:
            return CommandPassword(split_command(self.password_command))
        if self.vault and self.uses_oauth:
            return self.sign_in()
        if not self.vault:
            return NoPassword()
        from .. import VaultPassword

        return VaultPassword(self.kept_in())

    def as_toml(self) -> dict[str, object]:
        """Return what is written: only what was said."""
        others = ("name", "place", "folders", "limits", "smtp", "oauth")
        said = {
            name: value
            for name in self.__slots__
            if name not in others and (value := getattr(self, name)) not in ("", None)
        }
        for name in ("smtp", "oauth"):
            part = getattr(self, name)
            if kept := {key: value for key, value in asdict(part).items() if value != getattr(type(part)(), key)}:
                said[name] = kept
        if self.folders:
            said["folders"] = {path: _policy_toml(policy) for path, policy in self.folders}
        changed = {limit: value for limit, value in asdict(self.limits).items() if value != getattr(Limits(), limit)}
        if changed:
            said["limits"] = changed
        return said

    def with_said(self, said: Mapping[str, object]) -> "AccountEntry":
        """Return the entry with what *said* says in the place of what was there. Raises ValueError."""
        before, said = self.as_toml(), dict(said)
        if any(said.get(name) for name in PASSWORDS):  # a new source of the password takes the place of the old one
            said = dict.fromkeys(PASSWORDS, "") | said
        for name in ("smtp", "oauth"):
            part, old = said.get(name), before.get(name, {})
            if isinstance(part, Mapping) and isinstance(old, Mapping):
                said[name] = {**old, **part}
        return AccountEntry.of(self.name, before | said, self.place)


def tables_in(said: Mapping[str, object], name: str) -> list[tuple[str, Mapping[str, object]]]:
    """Return the tables below *name* of a table. Raises ValueError."""
    whole = said.get(name, {})
    if not isinstance(whole, dict) or not all(isinstance(table, dict) for table in whole.values()):
        raise ValueError(f"[{name}] holds something that is no table")
    return list(whole.items())


def text_in(table: Mapping[str, object], key: str) -> str:
    """Return a text of a table, "" when it is not there. Raises ValueError."""
    value = table.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text")
    return value


def number_in(table: Mapping[str, object], key: str) -> int | None:
    """Return a number of a table, None when it is not there. Raises ValueError."""
    value = table.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise ValueError(f"{key} is no number")
    return value


def _table(name: str, said: object, known: Sequence[str]) -> Mapping[str, object]:
    if not isinstance(said, dict):
        raise ValueError(f"{name} is no table")
    unknown = sorted(set(said) - set(known))
    if unknown:
        raise ValueError(f"{name} has an unknown setting, {unknown[0]}")
    return said


def _limits(table: object) -> Limits:
    """Return the limits of a table: whole numbers, or seconds with a fraction. Raises ValueError."""
    kinds = {one.name: type(getattr(Limits(), one.name)) for one in fields(Limits)}
    said = _table("limits", table, tuple(kinds))
    made = {}
    for name, value in said.items():
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
            raise ValueError(f"{name} is no number above 0")
        if not isinstance(value, (int, kinds[name])):
            raise ValueError(f"{name} is no number above 0")
        made[name] = kinds[name](value)
    return Limits(**made)


def _policy(table: Mapping[str, object]) -> FolderPolicy:
    return FolderPolicy(
        keep=Keep(text_in(table, "keep") or "full"),
        size_octets_max=number_in(table, "size_octets_max"),
        age_days_max=number_in(table, "age_days_max"),
    )


def _policy_toml(policy: FolderPolicy) -> dict[str, object]:
    said = {"keep": policy.keep.value, "size_octets_max": policy.size_octets_max, "age_days_max": policy.age_days_max}
    return {key: value for key, value in said.items() if value is not None}
