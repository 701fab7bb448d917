"""``maildock folder``: create, rename, delete folders, and subscribe to them; here at once, on the server by the next
synchronization."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .changing import SENT, batch_rows, editing, put_batch
from .exits import ExitCode, Trouble
from .options import Json
from .output import count, one_line
from .session import find_folder, home_of, known_accounts

if TYPE_CHECKING:
    from store import ReadView
    from store.mail import AccountId, FolderPath

__all__ = ["app"]

app = typer.Typer(help="Create, rename, delete folders, and subscribe to them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="FOLDER", help="A folder, as `maildock folders` prints it.")]
Of = Annotated[str | None, typer.Option("--account", metavar="A", help="The folder's account.")]


@app.command()
def create(
    context: typer.Context,
    path: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Its path, names joined by /; those above it are created, too.")
    ],
    account: Of = None,
    json: Json = False,
) -> None:
    """Create a folder. Mail can be moved into it at once."""
    wanted = _path(path)
    with editing(home_of(context), "create folder") as batch:
        owner = _account(batch.view, account)
        batch.create_folder(owner, wanted)
        made = [one.id for one in batch_rows(batch, owner)]
        number = batch.batch
    put_batch("create", number, made, f"Created {one_line(str(wanted))}.", json=json, folder=str(wanted))


@app.command()
def rename(
    context: typer.Context,
    name: Name,
    path: Annotated[str, typer.Argument(metavar="PATH", help="Its new path; another parent moves it there.")],
    account: Of = None,
    json: Json = False,
) -> None:
    """Give a folder another path, and all below it."""
    wanted = _path(path)
    with editing(home_of(context), "rename folder") as batch:
        folder = find_folder(batch.view, name, account)
        differs = folder.path != wanted
        batch.rename_folder(folder.id, wanted)
        made = [one.id for one in batch_rows(batch, folder.account)]
        number = batch.batch
    text = f"Renamed {one_line(str(folder.path))} to {one_line(str(wanted))}."
    nothing = f"{text} {SENT}" if differs else "Nothing changed: that is its path."
    put_batch("rename", number, made, text, json=json, nothing=nothing, folder=str(wanted))


@app.command()
def delete(
    context: typer.Context,
    name: Name,
    account: Of = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a folder goes with its mail.")] = False,
    json: Json = False,
) -> None:
    """Delete a folder with its mail. On the server, one that holds mail goes after `maildock sync --yes` only."""
    with editing(home_of(context), "delete folder") as batch:
        folder = find_folder(batch.view, name, account)
        mail = folder.counts.messages
        if mail and not yes:
            _ask(str(folder.path), mail)
        batch.delete_folder(folder.id)
        made = [one.id for one in batch_rows(batch, folder.account)]
        number = batch.batch
    path = str(folder.path)
    text = f"Deleted {one_line(path)}" + (f" with {count(mail, 'message')}." if mail else ".")
    nothing = f"{text} Nothing has to be sent: the server never had it."
    put_batch("delete-folder", number, made, text, json=json, nothing=nothing, folder=path)


@app.command()
def subscribe(context: typer.Context, name: Name, account: Of = None, json: Json = False) -> None:
    """Subscribe to a folder."""
    _subscribe(context, name, account, on=True, json=json)


@app.command()
def unsubscribe(context: typer.Context, name: Name, account: Of = None, json: Json = False) -> None:
    """Subscribe to a folder no longer."""
    _subscribe(context, name, account, on=False, json=json)


def _subscribe(context: typer.Context, name: str, account: str | None, *, on: bool, json: bool) -> None:
    verb = "subscribe" if on else "unsubscribe"
    with editing(home_of(context), verb) as batch:
        folder = find_folder(batch.view, name, account)
        batch.subscribe(folder.id, on)
        made = [one.id for one in batch_rows(batch, folder.account)]
        number, path = batch.batch, str(folder.path)
    text = f"Subscribed to {one_line(path)}." if on else f"Not subscribed to {one_line(path)} any more."
    put_batch(verb, number, made, text, json=json, folder=path)


def _path(text: str) -> "FolderPath":
    """Return the path that a person means. Raises Trouble for one that no folder can have."""
    from store.mail import FolderPath

    path = FolderPath.parse(text)
    if any(not name or not name.isprintable() for name in path.names):
        raise Trouble(f"{one_line(text)!r} is no path of a folder.", ExitCode.USAGE, "For example: Lists/python")
    return path


def _account(view: "ReadView", account: str | None) -> "AccountId":
    """Return the account that is meant: the one named, or the only one. Raises Trouble."""
    named = known_accounts(view, account)
    if named is not None:
        return named
    known = view.accounts()
    if len(known) == 1:
        return known[0]
    if not known:
        raise Trouble("The store knows no account yet.", ExitCode.USAGE, "maildock sync brings the first one.")
    raise Trouble(f"There are several accounts: {', '.join(known)}.", ExitCode.USAGE, "Say which: --account A")


def _ask(path: str, mail: int) -> None:
    """Ask a person. Raises Trouble where nobody can be asked, Abort when the answer is no."""
    what = f"{one_line(path)} with {count(mail, 'message')}"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Trouble(f"{what} would be deleted.", ExitCode.USAGE, "Say --yes, or move its mail first.")
    typer.confirm(f"Delete {what}?", abort=True)
