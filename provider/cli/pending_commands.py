"""``maildock pending`` and ``maildock undo``: what was changed here and is not on the server yet; second thoughts."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from store.mail.operations import FOLDER_KINDS, OperationKind, OperationState

from .changing import editing
from .exits import ExitCode, Trouble
from .options import Json
from .output import count, hint, moment, one_line, put, put_json, table
from .session import home_of, known_accounts, opened_to_read

if TYPE_CHECKING:
    from store import Editing, Folder, ReadView
    from store.mail import AccountId, FolderId, MessageKey
    from store.mail.operations import Operation, OperationId

__all__ = ["app", "operation_facts", "put_operations", "subject_of", "undo", "waiting_of"]

app = typer.Typer(help="What was changed here and is not on the server yet.", invoke_without_command=True)

Of = Annotated[str | None, typer.Option("--account", metavar="A", help="Only this account.")]
Ids = Annotated[
    list[int], typer.Argument(metavar="ID...", help="Operations, by the id that `maildock pending` prints.")
]

MARKS = {OperationState.ATTEMPTED: "sent, no answer yet", OperationState.CONFLICT: "conflict"}
"""States in the words of people, where the name of the state is not enough."""


@app.callback()
def pending(
    context: typer.Context,
    account: Of = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was refused, and what was done in the last days.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one operation a line.")] = False,
) -> None:
    """List what was changed here and is not on the server yet."""
    if context.invoked_subcommand is not None:
        return
    with opened_to_read(home_of(context)) as store, store.read() as view:
        chosen = known_accounts(view, account)
        found = view.operations(chosen, pending=False)
        shown = [one for one in found if everything or one.state.pending]
        rows = operation_facts(view, shown)
    if json:
        for row in rows:
            put_json(row)
        return
    if rows:
        put_operations(shown, rows)
    else:
        put("Nothing waits to be sent.")
    refused = sum(one.state is OperationState.REFUSED for one in found)
    if refused and not everything:
        hint(f"{count(refused, 'operation was', 'operations were')} refused by the server: maildock pending --all")


@app.command()
def cancel(context: typer.Context, ids: Ids, json: Json = False) -> None:
    """Take operations back that were not sent, and what was wanted of the same message afterwards."""
    _decide(context, ids, "cancel", lambda batch, wanted: batch.cancel(wanted), json=json)


@app.command()
def retry(context: typer.Context, ids: Ids, json: Json = False) -> None:
    """Let operations that were refused for now be sent by the next sync, without waiting for their time."""
    _decide(context, ids, "retry", lambda batch, wanted: batch.retry(wanted), json=json)


@app.command()
def approve(context: typer.Context, ids: Ids, json: Json = False) -> None:
    """Let operations be sent that are held because they delete much at once."""
    _decide(context, ids, "approve", lambda batch, wanted: batch.approve(wanted), json=json)


def undo(
    context: typer.Context,
    batch: Annotated[int, typer.Argument(metavar="BATCH", help="What one command did, by the number that it told.")],
    json: Json = False,
) -> None:
    """Take back what one command did: what was not sent is cancelled, what was done is done the other way round."""
    _checked([batch])
    with editing(home_of(context), "undo") as edit:
        edit.undo(batch)
    if json:
        put_json({"verb": "undo", "batch": batch})
    else:
        put(f"Taken back: {batch}.")


PAST = {"cancel": "Cancelled", "retry": "To be sent again:", "approve": "Approved"}
NOTHING = {
    "cancel": "It is on its way, or over: synchronize, then maildock undo BATCH takes it back.",
    "retry": "Only what was refused for now can be sent again; maildock pending --all tells the states.",
    "approve": "Only what is held waits for an approval; maildock pending tells the states.",
}


def _decide(
    context: typer.Context,
    ids: list[int],
    verb: str,
    act: "Callable[[Editing, list[OperationId]], int]",
    *,
    json: bool,
) -> None:
    """Do *act* with the operations *ids*. Raises Trouble when it changes nothing."""
    wanted = _checked(ids)
    with editing(home_of(context), verb) as batch:
        done = act(batch, wanted)
    if not done:
        text = f"There is nothing to {verb} in {'this' if len(wanted) == 1 else 'these'}."
        raise Trouble(text, ExitCode.USAGE, NOTHING[verb])
    if json:
        put_json({"verb": verb, "ids": list(wanted), "operations": done})
    else:
        put(f"{PAST[verb]} {count(done, 'operation')}.")


def _checked(ids: Iterable[int]) -> "list[OperationId]":
    """Return *ids*, each once. Raises Trouble for one that can be none."""
    from store.mail.operations import OperationId

    for number in ids:
        if not 0 < number < 2**63:
            raise Trouble(f"There is no operation {number}.", ExitCode.USAGE, "maildock pending shows the ids.")
    return [OperationId(number) for number in dict.fromkeys(ids)]


def waiting_of(view: "ReadView", account: "AccountId | None") -> "dict[MessageKey, list[str]]":
    """Return what waits to be sent, by message: the kinds of its operations, each once, in order."""
    waiting: dict[MessageKey, list[str]] = {}
    for one in view.operations(account):
        if one.message is not None:
            kinds = waiting.setdefault(one.message, [])
            if one.kind.value not in kinds:
                kinds.append(one.kind.value)
    return waiting


def subject_of(view: "ReadView", key: "MessageKey | None") -> str | None:
    """Return the subject of a message; None: it is about no message, or that is deleted here."""
    from store import UnknownMessage

    try:
        return None if key is None else view.message(key).subject
    except UnknownMessage:
        return None


def operation_facts(view: "ReadView", found: "Sequence[Operation]") -> list[dict[str, object]]:
    """Return operations as the JSON objects that scripts rely on."""
    folders = {folder.id: folder for folder in view.folders()}
    return [_facts(one, folders, subject_of(view, one.message)) for one in found]


def _facts(one: "Operation", folders: "dict[FolderId, Folder]", subject: str | None) -> dict[str, object]:
    folder, target = folders.get(one.folder_id), folders.get(one.target_id) if one.target_id is not None else None
    was = str(one.path) if one.path is not None else None
    return {
        "id": one.id,
        "batch": one.batch,
        "account": one.account,
        "kind": one.kind.value,
        "state": one.state.value,
        "message": one.message,
        "subject": subject,
        "folder": str(folder.path) if folder is not None else was,
        "target": str(target.path) if target is not None else None,
        "was": was,
        "add": sorted(one.add),
        "remove": sorted(one.remove),
        "tries": one.tries,
        "next_try": one.next_try_at.isoformat() if one.next_try_at else None,
        "reason": one.reason,
        "server_text": one.server_text,
        "created": one.created_at.isoformat(),
        "finished": one.finished_at.isoformat() if one.finished_at else None,
    }


def put_operations(shown: "Sequence[Operation]", rows: Sequence[dict[str, object]]) -> None:
    """Print operations, whose facts are *rows*, for a person."""
    several = len({one.account for one in shown}) > 1
    heads = ("id", "batch", *(("account",) if several else ()), "since", "what", "of", "state")
    table(
        heads,
        [
            (
                str(one.id),
                str(one.batch),
                *((one_line(one.account),) if several else ()),
                moment(one.created_at),
                one_line(_what(one, row)),
                one_line(_about(one, row), 50),
                _state(one),
            )
            for one, row in zip(shown, rows, strict=True)
        ],
        right=[0, 1],
    )


def _what(one: "Operation", row: dict[str, object]) -> str:
    match one.kind:
        case OperationKind.FLAGS:
            return " ".join([*(f"+{flag}" for flag in sorted(one.add)), *(f"-{flag}" for flag in sorted(one.remove))])
        case OperationKind.MOVE:
            return f"move to {row['target'] or 'a folder that is gone'}"
        case OperationKind.COPY | OperationKind.APPEND:
            return f"{one.kind.value} to {row['folder'] or 'a folder that is gone'}"
        case _:
            return str(one.kind.value).replace("-", " ")


def _about(one: "Operation", row: dict[str, object]) -> str:
    if one.kind in FOLDER_KINDS:
        path, was = row["folder"], row["was"]
        return f"{was} → {path}" if one.kind is OperationKind.RENAME_FOLDER and was != path else str(path or "?")
    return f"{one.message}  {row['subject'] or ''}".rstrip()


def _state(one: "Operation") -> str:
    state = MARKS.get(one.state, str(one.state.value))
    if one.state is OperationState.LATER and one.next_try_at is not None:
        state += f" (from {moment(one.next_try_at)})"
    return f"{state}: {one_line(one.reason)}" if one.reason else state
