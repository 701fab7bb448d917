"""``accounts.toml``: the command's own list of accounts and imports. It says where a password comes from, never what.

    [accounts.work]
    host = "imap.example.org"
    user = "jo@example.org"
    security = "tls"                       # tls, starttls, none
    password_command = "pass show mail"    # or password_env = "MAIL_PASSWORD"
    keep = "full"                          # full, headers, none; with size_octets_max, age_days_max
    [accounts.work.folders."Lists/python"] # another policy for one folder
    keep = "headers"
    [accounts.work.limits]                 # any of provider.Limits, for slow or odd servers
    connect_seconds = 60

    [imports.old]                          # what `import-from --as old` read
    kind = "maildir"
    path = "/home/jo/Maildir"

Written aside, synced and renamed, 0600; a file that others can read is closed to them when it is read.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

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
)
from .credentials import CommandPassword, EnvironmentPassword, NoPassword, split_command
from .exits import ExitCode, Trouble
from .output import hint

__all__ = ["AccountEntry", "AccountsFile", "ImportEntry"]


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
    ca_file: str = ""
    plaintext_host: str = ""
    keep: str = "full"
    size_octets_max: int | None = None
    age_days_max: int | None = None
    folders: tuple[tuple[str, FolderPolicy], ...] = ()
    limits: Limits = Limits()

    @classmethod
    def of(cls, name: str, said: Mapping[str, object]) -> "AccountEntry":
        """Return the entry that *said*, a table of the file, describes. Raises ValueError when it makes no sense."""
        unknown = sorted(set(said) - (set(cls.__slots__) - {"name"}))
        if unknown:
            raise ValueError(f"account {name} has an unknown setting, {unknown[0]}")
        return cls(
            name=name,
            host=_text(said, "host"),
            port=_number(said, "port"),
            security=_text(said, "security") or "tls",
            user=_text(said, "user"),
            login=_text(said, "login") or "auto",
            password_env=_text(said, "password_env"),
            password_command=_text(said, "password_command"),
            ca_file=_text(said, "ca_file"),
            plaintext_host=_text(said, "plaintext_host"),
            keep=_text(said, "keep") or "full",
            size_octets_max=_number(said, "size_octets_max"),
            age_days_max=_number(said, "age_days_max"),
            folders=tuple((path, _policy(policy)) for path, policy in _tables(said, "folders")),
            limits=_limits(said.get("limits", {})),
        )

    def account(self, credentials: CredentialSupplier | None = None) -> Account:
        """Return the account for the provider; *credentials* take the place of what the file says.

        Raises Trouble when the entry cannot work.
        """
        if self.password_env and self.password_command:
            raise Trouble(
                f"Account {self.name} has both a password variable and a password command.",
                ExitCode.USAGE,
                "Keep one: --password-env VAR or --password-command CMD.",
            )
        try:
            return Account(
                id=AccountId(self.name),
                host=self.host,
                port=self.port,
                security=Security(self.security),
                user=self.user,
                login=Login(self.login),
                credentials=credentials or self._supplier(),
                ca_file=Path(self.ca_file) if self.ca_file else None,
                plaintext_host=self.plaintext_host or None,
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
                f"Account {self.name} has a word for security, login or keep that is not known.",
                ExitCode.USAGE,
                "security: tls, starttls, none; login: auto, plain, login, xoauth2, oauthbearer; "
                "keep: full, headers, none.",
            ) from None

    def _supplier(self) -> CredentialSupplier:
        if self.password_env:
            return EnvironmentPassword(self.password_env)
        if self.password_command:
            return CommandPassword(split_command(self.password_command))
        return NoPassword()

    def as_toml(self) -> dict[str, object]:
        """Return what is written: only what was said."""
        said = {
            name: value
            for name in self.__slots__
            if name not in ("name", "folders", "limits") and (value := getattr(self, name)) not in ("", None)
        }
        if self.folders:
            said["folders"] = {path: _policy_toml(policy) for path, policy in self.folders}
        changed = {limit: value for limit, value in asdict(self.limits).items() if value != getattr(Limits(), limit)}
        if changed:
            said["limits"] = changed
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportEntry:
    """Local mail that was imported under a name: the same name always means the same place."""

    name: str
    kind: str
    path: str

    def account(self) -> Account:
        """Return it as an account of a local source."""
        return Account(id=AccountId(self.name), kind=self.kind, path=Path(self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsFile:
    """The whole file as a value."""

    accounts: tuple[AccountEntry, ...] = ()
    imports: tuple[ImportEntry, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "AccountsFile":
        """Return the file's accounts; none when there is no file. Raises Trouble when it cannot be understood."""
        try:
            with path.open("rb") as file:
                if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                    os.fchmod(file.fileno(), 0o600)
                    hint(f"{path} could be read by others; it is yours alone now.")
                said = tomllib.load(file)
            return cls(
                accounts=tuple(AccountEntry.of(name, table) for name, table in _tables(said, "accounts")),
                imports=tuple(
                    ImportEntry(name=name, kind=_text(table, "kind"), path=_text(table, "path"))
                    for name, table in _tables(said, "imports")
                ),
            )
        except FileNotFoundError:
            return cls()
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
            raise Trouble(
                f"{path} cannot be understood: {error}.", ExitCode.USAGE, "Mend the file, or move it away."
            ) from None
        except OSError as error:
            raise Trouble(f"{path} cannot be read: {error.strerror}.", ExitCode.USAGE) from None

    def write(self, path: Path) -> None:
        """Put the file in place whole or not at all. Raises Trouble when the disk does not let us."""
        import tomli_w

        said: dict[str, object] = {}
        if self.accounts:
            said["accounts"] = {entry.name: entry.as_toml() for entry in self.accounts}
        if self.imports:
            said["imports"] = {entry.name: {"kind": entry.kind, "path": entry.path} for entry in self.imports}
        aside = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            try:
                with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    tomli_w.dump(said, file)
                    file.flush()
                    os.fsync(file.fileno())
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
            if os.name == "posix":  # elsewhere a directory cannot be opened, and renames are durable by themselves
                directory = os.open(path.parent, os.O_RDONLY)
                try:
                    os.fsync(directory)
                finally:
                    os.close(directory)
        except OSError as error:
            raise Trouble(
                f"{path} cannot be written: {error.strerror}.", ExitCode.STORE, "The accounts are as they were."
            ) from None

    def find(self, name: str) -> AccountEntry | None:
        """Return the account of that name, or None."""
        return next((entry for entry in self.accounts if entry.name == name), None)

    def find_import(self, name: str) -> ImportEntry | None:
        """Return the import of that name, or None."""
        return next((entry for entry in self.imports if entry.name == name), None)

    def with_account(self, entry: AccountEntry) -> "AccountsFile":
        """Return the file with *entry* added, or in the place of the one with its name."""
        others = {known.name: known for known in self.accounts} | {entry.name: entry}
        return replace(self, accounts=tuple(others.values()))

    def with_import(self, entry: ImportEntry) -> "AccountsFile":
        """Return the file with the import *entry* added."""
        others = {known.name: known for known in self.imports} | {entry.name: entry}
        return replace(self, imports=tuple(others.values()))

    def without(self, name: str) -> "AccountsFile":
        """Return the file without the account or import *name*."""
        return AccountsFile(
            accounts=tuple(entry for entry in self.accounts if entry.name != name),
            imports=tuple(entry for entry in self.imports if entry.name != name),
        )


def _tables(said: Mapping[str, object], name: str) -> list[tuple[str, Mapping[str, object]]]:
    whole = said.get(name, {})
    if not isinstance(whole, dict) or not all(isinstance(table, dict) for table in whole.values()):
        raise ValueError(f"[{name}] holds something that is no table")
    return list(whole.items())


def _text(table: Mapping[str, object], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text")
    return value


def _number(table: Mapping[str, object], key: str) -> int | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise ValueError(f"{key} is no number")
    return value


def _limits(table: object) -> Limits:
    """Return the limits of a table: whole numbers, or seconds with a fraction. Raises ValueError."""
    if not isinstance(table, dict):
        raise ValueError("limits is no table")
    kinds = {field.name: type(getattr(Limits(), field.name)) for field in fields(Limits)}
    for name, value in table.items():
        if name not in kinds:
            raise ValueError(f"limits has an unknown setting, {name}")
        fits = isinstance(value, (int, kinds[name])) and not isinstance(value, bool)
        if not fits or value <= 0:
            raise ValueError(f"{name} is no number above 0")
    return Limits(**{name: kinds[name](value) for name, value in table.items()})


def _policy(table: Mapping[str, object]) -> FolderPolicy:
    return FolderPolicy(
        keep=Keep(_text(table, "keep") or "full"),
        size_octets_max=_number(table, "size_octets_max"),
        age_days_max=_number(table, "age_days_max"),
    )


def _policy_toml(policy: FolderPolicy) -> dict[str, object]:
    said = {"keep": policy.keep.value, "size_octets_max": policy.size_octets_max, "age_days_max": policy.age_days_max}
    return {key: value for key, value in said.items() if value is not None}
