"""``maildock import-from``: read a Maildir or an mbox file into the store, as an account of its own."""

import os
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from .accounts_file import AccountsFile, ImportEntry
from .exits import ExitCode, Trouble
from .session import home_of, opened
from .sync_command import run_request

__all__ = ["import_from"]

DIRECTORIES_MAX = 10_000
"""How many directories are looked into before a path counts as no mailbox."""


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
        return run_request(store, [account], SyncRequest(accounts=(account.id,)), json=json, alone=True)


def _kind_of(path: Path) -> str:
    """Return ``maildir`` or ``mbox`` by what lies there. Raises Trouble when it is no mailbox."""
    try:
        if path.is_dir():
            os.listdir(path)  # os.walk would pass over a directory that may not be read
            kind = _kind_below(path)
        elif path.is_file():
            kind = "mbox" if _begins(path) in (b"From ", b"") else None
        else:
            raise Trouble(f"There is no {path}.", ExitCode.USAGE, "import-from takes a Maildir or an mbox file.")
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {error.strerror}.", ExitCode.USAGE) from None
    if kind is None:
        raise Trouble(
            f"{path} is no mailbox.",
            ExitCode.USAGE,
            "A Maildir has directories cur and new in it; an mbox file begins with 'From '.",
        )
    return kind


def _kind_below(path: Path) -> str | None:
    """Return the kind of the first mailbox in a directory: Maildirs go before mbox files."""
    mbox = False
    for place, names, files in islice(os.walk(path), DIRECTORIES_MAX):
        if set(names) >= {"cur", "new"}:
            return "maildir"
        mbox = mbox or any(_begins(Path(place, name)) == b"From " for name in files)
    return "mbox" if mbox else None


def _begins(path: Path) -> bytes:
    """Return the first five octets of a regular file; of anything else something that no mailbox begins with."""
    if not path.is_file():
        return b"\0"
    with path.open("rb") as file:
        return file.read(5)
