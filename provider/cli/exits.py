"""How a command ends: exit codes, the one exception that commands end with, and what helps against each trouble.

Leaf of the room: no I/O. Every error becomes a sentence, a hint and an exit code here, nowhere else.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

from .. import ErrorKind

if TYPE_CHECKING:
    from .. import SyncError, SyncResult

__all__ = ["EXIT_CODES_HELP", "ExitCode", "Trouble", "exit_of_kinds", "exit_of_result", "hint_of"]


class ExitCode(IntEnum):
    """Exit codes of ``maildock``; scripts rely on them."""

    COMPLETE = 0
    ERRORS = 1
    USAGE = 2
    LOGIN = 3
    UNREACHABLE = 4
    STORE = 5
    CANCELED = 130


EXIT_CODES_HELP = """Exit codes: 0 complete; 1 finished with errors; 2 wrong usage (unknown account, folder or id
included); 3 login refused; 4 server unreachable, or no safe connection to it; 5 store trouble; 130 cancelled."""


class Trouble(Exception):
    """A command cannot go on. ``str`` is one sentence for a person, *hint* says what helps."""

    def __init__(self, text: str, code: ExitCode, hint: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.hint = hint


LOGIN_KINDS = frozenset(
    {
        ErrorKind.LOGIN_REFUSED,
        ErrorKind.LOGIN_UNSUPPORTED,
        ErrorKind.CREDENTIALS_MISSING,
        ErrorKind.SIGN_IN_AGAIN,
        ErrorKind.VAULT,
    }
)
STORE_KINDS = frozenset({ErrorKind.STORE, ErrorKind.STORE_BUSY, ErrorKind.STORE_FULL, ErrorKind.LEASE_LOST})
USAGE_KINDS = frozenset({ErrorKind.INVALID_REQUEST, ErrorKind.UNKNOWN_ITEM})
REACH_KINDS = frozenset(
    {
        ErrorKind.UNRESOLVED_HOST,
        ErrorKind.CONNECTION_REFUSED,
        ErrorKind.UNREACHABLE,
        ErrorKind.CONNECTION_LOST,
        ErrorKind.TIMED_OUT,
        ErrorKind.STARTTLS_REFUSED,
        ErrorKind.STARTTLS_INJECTION,
        ErrorKind.PLAINTEXT_REFUSED,
        ErrorKind.PREAUTH_WITHOUT_TLS,
        ErrorKind.WRONG_PROTOCOL,
        ErrorKind.SERVER_BUSY,
        *(kind for kind in ErrorKind if kind.value.startswith("tls-")),
    }
)

HINTS = {
    ErrorKind.LOGIN_REFUSED: "Check user and password: maildock account set {account} --user U --password-command CMD",
    ErrorKind.LOGIN_UNSUPPORTED: "Choose another mechanism: maildock account set {account} --login plain",
    ErrorKind.CREDENTIALS_MISSING: "Keep the password in a vault: maildock account login {account}; or say where "
    "it is: maildock account set {account} --password-env VAR (or sync with --password-stdin)",
    ErrorKind.VAULT: "Without a keyring, a file of yours can be the vault (not encrypted): "
    "maildock account login {account} --vault file",
    ErrorKind.SIGN_IN_AGAIN: "Sign in again: maildock account login {account}",
    ErrorKind.UNRESOLVED_HOST: "Check the spelling and the network: maildock account set {account} --host H",
    ErrorKind.CONNECTION_REFUSED: "Check host and port: maildock account set {account} --host H --port P",
    ErrorKind.UNREACHABLE: "Check the network; what is in the store can be read without it.",
    ErrorKind.CONNECTION_LOST: "Run the same again: it goes on where it stopped.",
    ErrorKind.TIMED_OUT: "Check host and port, or run the same again later.",
    ErrorKind.SERVER_BUSY: "Run the same again later.",
    ErrorKind.WRONG_PROTOCOL: "Check the port: 993 with --security tls, 143 with --security starttls.",
    ErrorKind.TLS_NOT_SPOKEN: "Check the port, or: maildock account set {account} --security starttls",
    ErrorKind.TLS_CERTIFICATE_EXPIRED: "The server's certificate has to be renewed by whoever runs it.",
    ErrorKind.TLS_CERTIFICATE_NAME: "Use the host name that the certificate is for: "
    "maildock account set {account} --host H",
    ErrorKind.TLS_CERTIFICATE_SELF_SIGNED: "If it is your own server, trust its certificate by name: "
    "maildock account set {account} --ca-file FILE",
    ErrorKind.TLS_CERTIFICATE_UNKNOWN_ISSUER: "If you know its issuer: maildock account set {account} --ca-file FILE",
    ErrorKind.STARTTLS_REFUSED: "Most servers offer TLS at once: maildock account set {account} --security tls",
    ErrorKind.PLAINTEXT_REFUSED: "Use --security tls; for one host that you trust with an open line: "
    "maildock account set {account} --plaintext-host H",
    ErrorKind.BUSY: "Wait for the other synchronization of this account, or stop it.",
    ErrorKind.STORE_BUSY: "Another program writes to the store: run the same again.",
    ErrorKind.STORE_FULL: "Make room on the disk and run the same again: nothing is lost.",
    ErrorKind.STORE: "maildock check --full says what is damaged.",
    ErrorKind.UNKNOWN_ITEM: "maildock folders shows what there is.",
}


def hint_of(kind: ErrorKind, account: str | None = None) -> str:
    """Return what helps against *kind*, as a command where there is one; empty when there is nothing to add."""
    return HINTS.get(kind, "").format(account=account or "NAME")


def exit_of_kinds(kinds: Iterable[ErrorKind]) -> ExitCode:
    """Return the exit code for a run that ended with errors of *kinds*, the most telling one first.

    >>> exit_of_kinds([ErrorKind.MESSAGE_MISSING, ErrorKind.LOGIN_REFUSED]).name
    'LOGIN'
    """
    met = set(kinds)
    for group, code in (
        (STORE_KINDS, ExitCode.STORE),
        (LOGIN_KINDS, ExitCode.LOGIN),
        (REACH_KINDS, ExitCode.UNREACHABLE),
    ):
        if met & group:
            return code
    return ExitCode.USAGE if met and met <= USAGE_KINDS else ExitCode.ERRORS


def exit_of_result(result: "SyncResult") -> ExitCode:
    """Return the exit code for a synchronization that ended like *result*."""
    if result.status.value == "complete":
        return ExitCode.COMPLETE
    if result.status.value == "canceled":
        return ExitCode.CANCELED
    told: list[SyncError] = [*result.errors, *(item.error for item in result.items if item.error is not None)]
    return exit_of_kinds(error.kind for error in told if error.severity.name == "ERROR")
