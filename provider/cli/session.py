"""What commands share: the home, the accounts, an open store, finding a folder or a message by what a person typed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from store.mail import AccountId, FolderPath, MessageKey

from .account_entry import AccountEntry
from .accounts_file import AccountsFile
from .exits import ExitCode, Trouble
from .home import Home

if TYPE_CHECKING:
    import typer

    from store import Folder, MailStore, ReadView

__all__ = [
    "chosen_accounts",
    "find_folder",
    "home_of",
    "known_accounts",
    "known_entry",
    "message_key",
    "opened",
    "opened_to_read",
    "unknown_account",
]


def home_of(context: "typer.Context") -> Home:
    """Return the home that the options of this call name."""
    home = context.find_root().obj
    assert isinstance(home, Home), "the application's own callback sets it"
    return home


@contextmanager
def opened(home: Home, *, create: bool = False) -> "Iterator[MailStore]":
    """Open the home's store for reading and writing."""
    if create:
        home.prepare()
    with _opened(home, create=create) as store:
        yield store


@contextmanager
def opened_to_read(home: Home) -> "Iterator[MailStore]":
    """Open the home's store for commands that only look: a store that cannot be written is good enough."""
    from store import StoreReadOnly

    try:
        store = _opened(home)
    except Trouble as trouble:
        if not isinstance(trouble.__cause__, StoreReadOnly):
            raise
        store = _opened(home, read_only=True)
    with store:
        yield store


def _opened(home: Home, *, create: bool = False, read_only: bool = False) -> "MailStore":
    """Open the store. Raises StoreMissing, and Trouble that names the file for everything else."""
    from store import StoreError, StoreForeign, StoreMissing, StoreNewer, StoreReadOnly, open_store

    try:
        return open_store(home.store_path, create=create, read_only=read_only)
    except StoreMissing:
        raise
    except StoreError as error:
        match error:
            case StoreNewer():
                helps = "Use the maildock that made it, or a newer one: pip install --upgrade maildock"
            case StoreReadOnly():
                helps = "Give yourself the right to write there, or choose another directory: --home DIR"
            case StoreForeign():
                helps = "It is left as it is. Choose another directory: --home DIR"
            case _:
                helps = "Nothing was changed. A copy of the file and maildock check --full tell more."
        raise Trouble(f"{home.store_path}: {error}", ExitCode.STORE, helps) from error


def chosen_accounts(file: AccountsFile, names: Sequence[str]) -> tuple[AccountEntry, ...]:
    """Return the accounts *names*, or all. Raises Trouble for an unknown one, and when there is none at all."""
    if not file.accounts:
        raise Trouble(
            "There is no account yet.",
            ExitCode.USAGE,
            "Add one: maildock account add NAME --host H --user U --password-command CMD",
        )
    for name in names:
        if file.find(name) is None:
            raise unknown_account(name, [entry.name for entry in file.accounts])
    return tuple(entry for entry in file.accounts if not names or entry.name in names)


def known_entry(file: AccountsFile, name: str) -> AccountEntry:
    """Return the account *name*. Raises Trouble when there is none."""
    entry = file.find(name)
    if entry is None:
        raise unknown_account(name, [known.name for known in file.accounts])
    return entry


def known_accounts(view: "ReadView", account: str | None) -> AccountId | None:
    """Return *account* as an id that the store knows; None stays None. Raises Trouble for an unknown one."""
    known = view.accounts()
    if account is None or account in known:
        return AccountId(account) if account is not None else None
    raise unknown_account(account, known)


def unknown_account(name: str, known: Sequence[str]) -> Trouble:
    """Return the trouble of a name that is no account."""
    return Trouble(
        f"There is no account {name!r}.",
        ExitCode.USAGE,
        f"Known: {', '.join(sorted(known))}." if known else "maildock account list shows what there is.",
    )


def find_folder(view: "ReadView", text: str, account: str | None) -> "Folder":
    """Return the folder that a person means by *text*: its path as ``maildock folders`` prints it.

    INBOX is found in any case. Raises Trouble when there is none, or one in each of several accounts.
    """
    from store import FolderState

    path = FolderPath(("INBOX",)) if text.upper() == "INBOX" else FolderPath.parse(text)
    among = [known_accounts(view, account)] if account is not None else list(view.accounts())
    there = (view.find_folder(name, path) for name in among if name)
    found = [folder for folder in there if folder is not None and folder.state is not FolderState.DELETING]
    if not found:
        raise Trouble(f"There is no folder {text!r}.", ExitCode.USAGE, "maildock folders shows what there is.")
    if len(found) > 1:
        names = ", ".join(str(folder.account) for folder in found)
        raise Trouble(f"Several accounts have a folder {text!r}: {names}.", ExitCode.USAGE, "Say which: --account A")
    return found[0]


def message_key(number: int) -> MessageKey:
    """Return *number* as the id of a message. Raises Trouble for one that can be none."""
    if not 0 < number < 2**63:
        raise Trouble(f"There is no message {number}.", ExitCode.USAGE, "maildock list --all shows the ids.")
    return MessageKey(number)
