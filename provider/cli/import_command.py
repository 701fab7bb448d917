"""``maildock import-from``: read a Maildir or an mbox file into the store, as an account of its own."""

from pathlib import Path
from typing import Annotated

import typer

from .accounts_file import AccountsFile, ImportEntry
from .exits import ExitCode, Trouble
from .session import home_of, opened
from .sync_command import run_request

__all__ = ["import_from"]

MAILDIR_PARTS = ("cur", "new")


def import_from(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A Maildir, or an mbox file; it is only read.")],
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="The account's name in the store; default: the path's.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one event a line as JSON; the last is the result.")
    ] = False,
) -> int:
    """Read local mail into the store. Run again, it brings what is new there."""
    from .. import SyncRequest

    path = path.expanduser().absolute()
    kind = _kind_of(path)
    entry = ImportEntry(name=name or path.name.lstrip(".") or "import", kind=kind, path=str(path))
    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    if file.find(entry.name) is not None:
        raise Trouble(
            f"{entry.name!r} is the name of an account on a server.", ExitCode.USAGE, "Choose another: --as NAME"
        )
    before = file.find_import(entry.name)
    if before is not None and before != entry:
        raise Trouble(
            f"{entry.name!r} was imported from {before.path}.", ExitCode.USAGE, "Choose another name: --as NAME"
        )
    account = entry.account()
    with opened(home, create=True) as store:
        if before is None:
            with store.read() as view:
                if account.id in view.accounts():
                    raise Trouble(
                        f"The store holds mail of another {entry.name!r} already.",
                        ExitCode.USAGE,
                        "Choose another name: --as NAME",
                    )
            file.with_import(entry).write(home.accounts_path)
        return run_request(store, [account], SyncRequest(accounts=(account.id,)), json=json)


def _kind_of(path: Path) -> str:
    """Return ``maildir`` or ``mbox`` by what lies there. Raises Trouble when it is no mailbox."""
    try:
        if path.is_dir():
            if all((path / part).is_dir() for part in MAILDIR_PARTS):
                return "maildir"
            if any(
                all((child / part).is_dir() for part in MAILDIR_PARTS) for child in path.iterdir() if child.is_dir()
            ):
                return "maildir"
        elif path.is_file():
            with path.open("rb") as file:
                start = file.read(5)
            if start in (b"From ", b""):
                return "mbox"
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {error.strerror}.", ExitCode.USAGE) from None
    if not path.exists():
        raise Trouble(f"There is no {path}.", ExitCode.USAGE, "import-from takes a Maildir or an mbox file.")
    raise Trouble(
        f"{path} is no mailbox.",
        ExitCode.USAGE,
        "A Maildir has folders cur and new in it; an mbox file begins with 'From '.",
    )
