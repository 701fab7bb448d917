"""``maildock folders`` and ``maildock list``: what is in the store."""

from hashlib import sha256
from typing import TYPE_CHECKING, Annotated

import typer

from .exits import ExitCode, Trouble
from .output import column, moment, octets, one_line, put, put_json, table
from .pending_commands import waiting_of
from .session import find_folder, home_of, known_accounts, opened_to_read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from store import Folder, MailStore, Message, ReadView
    from store.mail import AccountId, FolderId

__all__ = ["folders", "list_messages", "message_facts", "message_pages", "put_folders", "put_messages"]

PAGE = 500
"""Messages of one read view: none outlives a page, and memory stays flat."""


def folders(
    context: typer.Context,
    account: Annotated[str | None, typer.Option("--account", metavar="A", help="Only this account.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one folder a line.")] = False,
) -> None:
    """List the folders with their counts."""
    with opened_to_read(home_of(context)) as store, store.read() as view:
        found = view.folders(known_accounts(view, account))
        if json:
            for folder in found:
                put_json(_folder_facts(folder, view))
            return
    put_folders(found)


def put_folders(found: "Sequence[Folder]") -> None:
    """Print folders for a person."""
    if not found:
        put("No folders yet: maildock sync")
        return
    table(
        ("account", "folder", "messages", "unseen", "bodies", "role", "state"),
        [
            (
                one_line(folder.account),
                one_line(str(folder.path)),
                f"{folder.counts.messages:,}",
                f"{folder.counts.unseen:,}",
                f"{folder.counts.bodies:,}",
                folder.role.value if folder.role else "",
                _state(folder),
            )
            for folder in found
        ],
        right=[2, 3, 4],
    )


def list_messages(
    context: typer.Context,
    folder: Annotated[
        str | None, typer.Argument(metavar="FOLDER", help="A folder, as `maildock folders` prints it.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All folders in one list.")] = False,
    account: Annotated[str | None, typer.Option("--account", metavar="A", help="Only this account.")] = None,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="How many, newest first; 0 for all.")] = 50,
    sha256: Annotated[bool, typer.Option("--sha256", help="Add the SHA-256 of the raw octets.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one message a line.")] = False,
) -> None:
    """List messages, newest first."""
    if (folder is None) == (not everything):
        raise Trouble("Name a folder, or say --all.", ExitCode.USAGE, "maildock folders shows what there is.")
    with opened_to_read(home_of(context)) as store:
        with store.read() as view:
            chosen = known_accounts(view, account)
            within = find_folder(view, folder, account) if folder is not None else None
        pages = message_pages(store, within.id if within else None, chosen, limit=limit, digests=sha256)
        if json:
            for page in pages:
                for facts in page:
                    put_json(facts)
        else:
            put_messages(pages, sha256)


def message_pages(
    store: "MailStore", folder: "FolderId | None", account: "AccountId | None", *, limit: int, digests: bool = False
) -> "Iterator[list[dict[str, object]]]":
    """Yield the facts of messages page by page, newest first, each page from a read view of its own; *limit* 0: all."""
    left, before = limit, None
    with store.read() as view:
        waiting = waiting_of(view, account)
    paths: dict[FolderId, str] = {}
    while True:
        size = min(PAGE, left) if limit else PAGE
        with store.read() as view:
            if folder is not None:
                page = view.messages(folder, limit=size, before=before)
            else:
                page = view.all_messages(account, limit=size, before=before)
            paths |= {
                one: str(view.folder(one).path)
                for one in {message.folder_id for message in page.messages} - paths.keys()
            }
            facts = [
                message_facts(message, paths[message.folder_id], waiting.get(message.key, ()))
                for message in page.messages
            ]
            if digests:
                for row, message in zip(facts, page.messages, strict=True):
                    row["sha256"] = _digest(view, message)
        yield facts
        left -= len(facts)
        before = page.next
        if before is None or (limit and left <= 0):
            return


def message_facts(message: "Message", folder: str, waiting: "Sequence[str]" = ()) -> dict[str, object]:
    """Return one message as the JSON object that scripts rely on; *folder* is its path for people, *waiting* the kinds
    of operations on it that were not sent yet. A message without a place on the server has no UID."""
    return {
        "id": message.key,
        "account": message.account,
        "folder": folder,
        "uidvalidity": message.epoch or None,
        "uid": message.uid,
        "flags": sorted(message.flags),
        "internal_date": message.internal_date.isoformat() if message.internal_date else None,
        "size": message.size,
        "subject": message.subject,
        "from": ", ".join(map(str, message.from_)),
        "date": message.date.isoformat() if message.date else None,
        "message_id": message.message_id,
        "body": message.body.name.lower(),
        "pending": list(waiting),
    }


def _digest(view: "ReadView", message: "Message") -> str | None:
    """Return the SHA-256 of the raw octets in hexadecimal; None where they are not here."""
    if message.body.name != "FULL":
        return None
    digest = sha256()
    for chunk in view.open_raw(message.key):
        digest.update(chunk)
    return digest.hexdigest()


def put_messages(pages: "Iterable[list[dict[str, object]]]", digests: bool = False) -> None:
    """Print messages for a person, a line each; long fields are shortened so that lines stay lines.

    ``*`` unseen, ``!`` flagged, ``r`` answered, ``d`` draft, ``x`` marked as deleted on the server, ``^`` something of
    it waits to be sent.
    """
    from datetime import datetime

    none = True
    for page in pages:
        for facts in page:
            none = False
            flags = facts["flags"]
            assert isinstance(flags, list)
            date = facts["internal_date"]
            marks = "".join(
                mark if flag in flags else " "
                for flag, mark in (("\\Flagged", "!"), ("\\Answered", "r"), ("\\Draft", "d"), ("\\Deleted", "x"))
            )
            line = (
                f"{facts['id']:>7}  {moment(datetime.fromisoformat(str(date)) if date else None):16}"
                f"  {' ' if chr(92) + 'Seen' in flags else '*'}{marks}{'^' if facts['pending'] else ' '}"
                f" {octets(facts['size'] if isinstance(facts['size'], int) else None):>9}"
                f"  {column(str(facts['from']), 28)}  {one_line(str(facts['subject']), 60)}"
            )
            put(f"{line}  {facts['sha256'] or '-'}" if digests else line)
    if none:
        put("No messages.")


def _folder_facts(folder: "Folder", view: "ReadView") -> dict[str, object]:
    return {
        "id": folder.id,
        "account": folder.account,
        "folder": str(folder.path),
        "role": folder.role.value if folder.role else None,
        "messages": folder.counts.messages,
        "unseen": folder.counts.unseen,
        "bodies": folder.counts.bodies,
        "listed": folder.counts.listed,
        "uidvalidity": view.cursor(folder.id).epoch,
        "selectable": folder.selectable,
        "subscribed": folder.subscribed,
        "state": folder.state.name.lower(),
        "note": folder.note,
    }


def _state(folder: "Folder") -> str:
    state = folder.state.name.lower()
    return "" if state == "active" else one_line(f"{state}: {folder.note}" if folder.note else state)
