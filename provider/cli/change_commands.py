"""``maildock flag``, ``unflag``, ``move``, ``copy`` and ``delete``: mail is changed here at once, and on the server by
the next synchronization."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from .changing import account_of, batch_rows, editing, found_messages, put_batch
from .exits import ExitCode, Trouble
from .options import Json
from .output import count, one_line
from .session import find_folder, home_of

if TYPE_CHECKING:
    from store import Message, ReadView

__all__ = ["copy", "delete", "flag", "flags_of", "move", "unflag"]

FRIENDLY = {
    "seen": "\\Seen",
    "read": "\\Seen",
    "flagged": "\\Flagged",
    "starred": "\\Flagged",
    "answered": "\\Answered",
    "draft": "\\Draft",
}
"""What people call the system flags; every other word is a keyword."""
OPPOSITES = {"unseen": "seen", "unread": "seen", "unflagged": "flagged", "unstarred": "flagged"}

Ids = Annotated[list[int], typer.Argument(metavar="ID...", help="Messages, by the id that `maildock list` prints.")]
Words = Annotated[
    list[str],
    typer.Argument(
        metavar="ID... FLAG...",
        help="Messages by id, then flags: seen (read), flagged (starred), answered, draft, or any keyword.",
    ),
]
To = Annotated[str, typer.Option("--to", metavar="FOLDER", help="A folder of the same account, by path.")]


def flag(context: typer.Context, words: Words, json: Json = False) -> None:
    """Add flags and keywords to messages."""
    _mark(context, words, json=json, add=True)


def unflag(context: typer.Context, words: Words, json: Json = False) -> None:
    """Take flags and keywords off messages."""
    _mark(context, words, json=json, add=False)


def _mark(context: typer.Context, words: Sequence[str], *, json: bool, add: bool) -> None:
    verb = "flag" if add else "unflag"
    numbers, names = _ids_first(words, verb)
    flags = flags_of(names, verb)
    with editing(home_of(context), verb) as batch:
        found = found_messages(batch.view, numbers)
        keys = [message.key for message in found]
        made = batch.set_flags(keys, add=flags if add else (), remove=() if add else flags)
        number = batch.batch
    shown = ", ".join(one_line(name) for name in names)
    text = f"{'Marked' if add else 'Unmarked'} {count(len(made), 'message')}: {shown}."
    put_batch(verb, number, made, text, json=json, messages=keys)


def _ids_first(words: Sequence[str], verb: str) -> tuple[list[int], list[str]]:
    """Return the ids that *words* begin with, and the rest. Raises Trouble when one half is missing, or both mix."""
    numbers: list[int] = []
    while len(numbers) < len(words) and _is_number(words[len(numbers)]):
        numbers.append(int(words[len(numbers)]))
    rest = list(words[len(numbers) :])
    if not numbers or not rest or any(_is_number(word) for word in rest):
        raise Trouble(
            "Name messages by their ids, then the flags.", ExitCode.USAGE, f"For example: maildock {verb} 12 13 seen"
        )
    return numbers, rest


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()


def flags_of(names: Sequence[str], verb: str = "flag") -> tuple[str, ...]:
    r"""Return *names* as flags: what people say for the system flags, and keywords as they are.

    Raises Trouble for a flag that is none of a person's to set.

    >>> flags_of(["read", "STARRED", "$Junk"])
    ('\\Seen', '\\Flagged', '$Junk')
    """
    flags: list[str] = []
    for name in names:
        word = name.removeprefix("\\").lower()
        if word in ("deleted", "recent") and (name.startswith("\\") or word == "deleted"):
            hint = "maildock delete removes messages." if word == "deleted" else ""
            raise Trouble(f"{name!r} is no flag that can be set.", ExitCode.USAGE, hint)
        if word in OPPOSITES:
            other = "unflag" if verb == "flag" else "flag"
            raise Trouble(f"{name!r} is no flag.", ExitCode.USAGE, f"maildock {other} ID... {OPPOSITES[word]}")
        flags.append(FRIENDLY.get(word, name))
    return tuple(dict.fromkeys(flags))


def move(context: typer.Context, numbers: Ids, to: To, json: Json = False) -> None:
    """Move messages into another folder of their account. They keep their ids."""
    with editing(home_of(context), "move") as batch:
        found = found_messages(batch.view, numbers)
        account = account_of(found)
        target = find_folder(batch.view, to, account)
        keys = [message.key for message in found]
        coming = [message for message in found if message.folder_id != target.id]
        batch.move(keys, target.id)
        made = [one.id for one in batch_rows(batch, account)]
        number, path = batch.batch, str(target.path)
    text = f"Moved {count(len(coming), 'message')} to {one_line(path)}."
    back = f"{text} Nothing has to be sent: that is where they are on the server."
    nothing = back if coming else "Nothing changed: it is there already."
    put_batch("move", number, made, text, json=json, nothing=nothing, messages=keys, folder=path)


def copy(context: typer.Context, numbers: Ids, to: To, json: Json = False) -> None:
    """Copy messages into a folder of their account. The copies have ids of their own."""
    with editing(home_of(context), "copy") as batch:
        found = found_messages(batch.view, numbers)
        account = account_of(found)
        target = find_folder(batch.view, to, account)
        copies = batch.copy([message.key for message in found], target.id)
        made = [one.id for one in batch_rows(batch, account)]
        number, path = batch.batch, str(target.path)
    ids = ", ".join(map(str, copies)) if len(copies) <= 20 else f"{copies[0]} to {copies[-1]}"
    text = f"Copied {count(len(copies), 'message')} to {one_line(path)}: {ids}."
    put_batch("copy", number, made, text, json=json, messages=copies, folder=path)


def delete(
    context: typer.Context,
    numbers: Ids,
    for_good: Annotated[bool, typer.Option("--for-good", help="Remove them, and not into the trash.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before messages are removed for good.")] = False,
    json: Json = False,
) -> None:
    """Move messages to the trash of their account. In the trash, without one, or --for-good: remove them."""
    with editing(home_of(context), "delete") as batch:
        found = found_messages(batch.view, numbers)
        last = len(found) if for_good else _without_a_way_back(batch.view, found)
        if last and not yes:
            _ask(last)
        keys = [message.key for message in found]
        accounts = dict.fromkeys(message.account for message in found)
        batch.delete(keys, for_good=for_good)
        made = [one.id for account in accounts for one in batch_rows(batch, account)]
        number = batch.batch
    if last == len(found):
        text = f"Removed {count(last, 'message')}; for good once it is sent."
    else:
        text = f"Moved {count(len(found) - last, 'message')} to the trash"
        text += f", and removed {count(last, 'message')}." if last else "."
    nothing = f"Removed {count(len(found), 'message')}. Nothing has to be sent: the server never had any of it."
    put_batch("delete", number, made, text, json=json, nothing=nothing, messages=keys)


def _without_a_way_back(view: "ReadView", messages: "Sequence[Message]") -> int:
    """Return how many of *messages* a deletion removes: those in the trash, and those whose account has none."""
    from store import Role

    trash = {folder.account: folder.id for folder in view.folders() if folder.role is Role.TRASH}
    return sum(trash.get(message.account) in (None, message.folder_id) for message in messages)


def _ask(number: int) -> None:
    """Ask a person. Raises Trouble where nobody can be asked, Abort when the answer is no."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Trouble(
            f"{count(number, 'message')} would be removed for good.", ExitCode.USAGE, "Say --yes, or ask for less."
        )
    typer.confirm(f"Remove {count(number, 'message')} for good?", abort=True)
