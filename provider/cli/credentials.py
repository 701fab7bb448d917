"""Where the command gets passwords from: a variable, another program, standard input, a vault.

A supplier runs on the thread that logs in. No secret and no output of a program ever enters an error text.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .. import Credential, ErrorKind, LoginRefused
from .exits import ExitCode, Trouble

if TYPE_CHECKING:
    from .. import Account, OAuthClient, OAuthCredentials, Vault

__all__ = [
    "CLIENT_SECRET",
    "CommandPassword",
    "EnvironmentPassword",
    "NoPassword",
    "SignIn",
    "split_command",
    "stdin_password",
    "vault_in",
]

CLIENT_SECRET = "oauth-client-secret"
"""The name under which the secret of an OAuth client lies in a vault, where the provider gave one."""

COMMAND_SECONDS_MAX = 60
SECRET_OCTETS_MAX = 64_000
"""OAuth tokens reach a few thousand octets; more than this is not a secret."""


@dataclass(frozen=True, slots=True)
class NoPassword:
    """Stands for an account that was told no source of its password."""

    def __call__(self, account: "Account", *, refused: bool) -> Credential:
        raise _missing(f"Account {account.id} has no password: neither a variable nor a command nor a vault was named.")


@dataclass(frozen=True, slots=True)
class EnvironmentPassword:
    """Reads the password from an environment variable, at each login."""

    variable: str

    def __call__(self, account: "Account", *, refused: bool) -> Credential:
        secret = os.environ.get(self.variable)
        if not secret:
            raise _missing(f"The variable {self.variable}, which holds the password of {account.id}, is not set.")
        return Credential(secret)


@dataclass(slots=True)
class CommandPassword:
    """Runs a program, without a shell, and takes the first line that it prints.

    Asked once a process, and again only when that password was refused (the program may hold a token that expired).
    """

    command: tuple[str, ...] = field(repr=False)
    _kept: Credential | None = field(default=None, init=False, repr=False)

    def __call__(self, account: "Account", *, refused: bool) -> Credential:
        if self._kept is None or refused:
            self._kept = Credential(self._ask(account))
        return self._kept

    def _ask(self, account: "Account") -> str:
        program = self.command[0]
        try:
            ran = subprocess.run(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=COMMAND_SECONDS_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _missing(
                f"The password command of {account.id} ({program}) did not end within {COMMAND_SECONDS_MAX} seconds."
            ) from None
        except OSError as error:
            raise _missing(
                f"The password command of {account.id} ({program}) cannot be run: {error.strerror}."
            ) from None
        if ran.returncode != 0:
            raise _missing(f"The password command of {account.id} ({program}) failed with status {ran.returncode}.")
        line = ran.stdout[:SECRET_OCTETS_MAX].partition(b"\n")[0].removesuffix(b"\r")
        try:
            secret = line.decode()
        except UnicodeDecodeError:
            raise _missing(f"The password command of {account.id} ({program}) printed no text.") from None
        if not secret:
            raise _missing(f"The password command of {account.id} ({program}) printed an empty first line.")
        return secret


@dataclass(slots=True)
class SignIn:
    """Gives access tokens of a sign-in that a vault keeps. The vault is opened at the first login, not before."""

    vault: "Vault"
    client: "Callable[[str], OAuthClient]"
    """Makes the client, given its secret."""
    ca_file: Path | None = None
    _made: "OAuthCredentials | None" = field(default=None, init=False, repr=False)

    def __call__(self, account: "Account", *, refused: bool) -> Credential:
        return self.credentials(account.id)(account, refused=refused)

    def credentials(self, account: str) -> "OAuthCredentials":
        """Return what refreshes, made once."""
        if self._made is None:
            from .. import HttpClient, OAuthCredentials

            client = self.client(self.vault.get(account, CLIENT_SECRET) or "")
            self._made = OAuthCredentials(self.vault, client, HttpClient(self.ca_file))
        return self._made


def vault_in(home: Path, kind: str) -> "Vault":
    """Return the vault of a *kind* ("keyring", "file") that belongs to *home*. Raises ValueError for another word."""
    from .. import FileVault, KeyringVault

    match kind:
        case "keyring":
            return KeyringVault(home / "vault-locks")
        case "file":
            return FileVault(home / "vault.json")
        case _:
            raise ValueError("no such vault")


def split_command(text: str, named: str = "--password-command") -> tuple[str, ...]:
    """Return the words of a command line, quoted like in a shell; nothing in it is expanded. Raises Trouble."""
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise Trouble(f"The quotes in {named} do not match.", ExitCode.USAGE) from None
    if not words:
        raise Trouble(f"{named[:1].upper()}{named[1:]} needs a program to run.", ExitCode.USAGE)
    return words


def stdin_password() -> str:
    """Read one line of standard input as the password; at a terminal without showing it. Raises Trouble."""
    if sys.stdin.isatty():
        from getpass import getpass

        secret = getpass("Password (for programs, where the provider makes such): ")
    else:
        secret = sys.stdin.readline(SECRET_OCTETS_MAX).rstrip("\r\n")
    if not secret:
        raise Trouble("There was no password on the standard input.", ExitCode.USAGE)
    return secret


def _missing(text: str) -> LoginRefused:
    return LoginRefused(text, kind=ErrorKind.CREDENTIALS_MISSING)
