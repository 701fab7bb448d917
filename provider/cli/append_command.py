"""``maildock append``: messages from files into a folder; on the server by the next synchronization."""

import re
from datetime import datetime
from typing import Annotated

import typer

from .change_commands import flags_of
from .changing import batch_rows, editing, found_messages, put_batch
from .exits import ExitCode, Trouble
from .files import octets_of, shown
from .options import Json
from .output import count, one_line
from .session import find_folder, home_of

__all__ = ["append", "moment_of"]

FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
"""What a message begins with (RFC 5322 §3.6.8, §4.5)."""


def append(
    context: typer.Context,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Messages as RFC 5322 has them, one a file; - for stdin.")
    ],
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="The folder, as `maildock folders` prints it.")],
    account: Annotated[str | None, typer.Option("--account", metavar="A", help="The folder's account.")] = None,
    flag: Annotated[
        list[str] | None, typer.Option("--flag", metavar="F", help="Add them with this flag; may be repeated.")
    ] = None,
    date: Annotated[
        str | None,
        typer.Option("--date", metavar="WHEN", help="When they arrived, as 2026-11-24T10:00:00+01:00; default: now."),
    ] = None,
    replaces: Annotated[
        int | None,
        typer.Option("--replaces", metavar="ID", help="The draft whose newer version this is; it is removed for good."),
    ] = None,
    json: Json = False,
) -> None:
    """Add messages to a folder: all of them, or none."""
    flags = flags_of(flag or ())
    when = moment_of(date)
    if files.count("-") > 1:
        raise Trouble("The standard input is one message: - stands once.", ExitCode.USAGE)
    if replaces is not None and len(files) > 1:
        raise Trouble("One message replaces one: name one file with --replaces.", ExitCode.USAGE)
    octets = [_message(name) for name in files]
    with editing(home_of(context), "append") as batch:
        target = find_folder(batch.view, to, account)
        old = None if replaces is None else found_messages(batch.view, [replaces])[0].key
        keys = [batch.append(target.id, one, flags=flags, internal_date=when, replaces=old) for one in octets]
        made = [one.id for one in batch_rows(batch, target.account)]
        number, path = batch.batch, str(target.path)
    ids = ", ".join(map(str, keys)) if len(keys) <= 20 else f"{keys[0]} to {keys[-1]}"
    text = f"Added {count(len(keys), 'message')} to {one_line(path)}: {ids}."
    put_batch("append", number, made, text, json=json, messages=keys, folder=path)


def moment_of(text: str | None) -> datetime | None:
    """Return the moment that a person means; without an offset in local time. Raises Trouble for what is none."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
        return when if when.tzinfo is not None else when.astimezone()
    except (ValueError, OverflowError, OSError):
        raise Trouble(f"{text!r} is no date.", ExitCode.USAGE, "For example: 2026-11-24T10:00:00+01:00") from None


def _message(name: str) -> bytes:
    """Return the message in a file with the line ends that mail has. Raises Trouble for what is no message."""
    octets = octets_of(name)
    if octets.startswith(b"From "):
        file = "FILE reads one" if name == "-" else f"{one_line(name)} reads it"
        text = f"{shown(name)} is an mbox file, not one message."
        raise Trouble(text, ExitCode.USAGE, f"maildock import-from {file}.")
    why = _fault(octets)
    if why:
        raise Trouble(
            f"{shown(name)} is no message: {why}.", ExitCode.USAGE, "append takes one message a file (RFC 5322)."
        )
    # Files have the line ends of their system; on the wire, and in the store, a message has CR LF (RFC 5322 §2.3).
    return octets if b"\r\n" in octets else octets.replace(b"\n", b"\r\n")


def _fault(octets: bytes) -> str:
    """Return why *octets* are no message that a server takes; empty when they are one."""
    if not octets.strip():
        return "it is empty"
    if b"\0" in octets:
        return "it has NUL octets, which IMAP cannot carry"
    return "" if FIELD.match(octets) else "it does not begin with a header field"
