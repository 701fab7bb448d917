"""``accounts.toml``: the command's own list of accounts and imports. It says where a password comes from, never what.

    [accounts.work]
    host = "imap.example.org"
    user = "jo@example.org"
    security = "tls"                       # tls, starttls, none
    password_command = "pass show mail"    # or password_env = "MAIL_PASSWORD", or vault = "keyring" ("file")
    keep = "full"                          # full, headers, none; with size_octets_max, age_days_max
    [accounts.work.folders."Lists/python"] # another policy for one folder
    keep = "headers"
    [accounts.work.limits]                 # any of provider.Limits, for slow or odd servers
    connect_seconds = 60

    [accounts.work.smtp]                   # the way out; also user, login, authenticate
    host = "smtp.example.org"
    security = "starttls"                  # tls, starttls, none
    sent_copies = "auto"                   # auto, append, provider, none
    [accounts.work.oauth]                  # who signs in at the provider: `maildock account login work`
    provider = "google"                    # or authorization_url, token_url, device_url and scopes
    client_id = "yours"

    [alerts]                               # who is told that an account fails, and that it works again
    command = "notify-send Mail"           # and webhook, or webhook_env, which names a variable

    [imports.old]                          # what `import-from --as old` read
    kind = "maildir"
    path = "/home/jo/Maildir"

Written aside, synced and renamed, 0600; a file that others can read is closed to them when it is read.
"""

import os
import stat
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from store.mail import AccountId

from .. import Account
from .account_entry import AccountEntry, tables_in, text_in
from .alert_entry import AlertEntry
from .exits import ExitCode, Trouble
from .output import hint

__all__ = ["AccountEntry", "AccountsFile", "ImportEntry"]


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
    alerts: AlertEntry = AlertEntry()

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
                accounts=tuple(
                    AccountEntry.of(name, table, path.parent) for name, table in tables_in(said, "accounts")
                ),
                imports=tuple(
                    ImportEntry(name=name, kind=text_in(table, "kind"), path=text_in(table, "path"))
                    for name, table in tables_in(said, "imports")
                ),
                alerts=AlertEntry.of(said.get("alerts", {})),
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
        if alerts := self.alerts.as_toml():
            said["alerts"] = alerts
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
        return replace(
            self,
            accounts=tuple(entry for entry in self.accounts if entry.name != name),
            imports=tuple(entry for entry in self.imports if entry.name != name),
        )
