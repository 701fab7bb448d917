"""``maildock conflicts``: what was changed here and on the server, in ways that a person may want to decide."""

from typing import TYPE_CHECKING, Annotated

import typer

from store.mail.conflicts import Choice

from .changing import editing, sentence
from .exits import ExitCode, Trouble
from .options import Json
from .output import count, moment, one_line, put, put_json, table
from .pending_commands import Of, subject_of
from .session import home_of, known_accounts, opened_to_read

if TYPE_CHECKING:
    from store import ReadView
    from store.mail import AccountId
    from store.mail.conflicts import Conflict, ConflictId, Version

__all__ = ["app"]

app = typer.Typer(help="What was changed here and on the server in different ways.", invoke_without_command=True)


@app.callback()
def conflicts(
    context: typer.Context,
    account: Of = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are settled, and how.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one conflict a line.")] = False,
) -> None:
    """List what was changed here and on the server in ways that do not go together."""
    if context.invoked_subcommand is not None:
        return
    with opened_to_read(home_of(context)) as store, store.read() as view:
        found = view.conflicts(known_accounts(view, account), open=not everything)
        subjects = [subject_of(view, one.found.message) for one in found]
    if json:
        for one, subject in zip(found, subjects, strict=True):
            put_json(_facts(one, subject))
        return
    if not found:
        put("No conflicts.")
        return
    table(
        ("id", "found", "what", "of", "here", "server", "ways out"),
        [
            (
                str(one.id),
                moment(one.detected_at),
                one.found.kind.value,
                one_line(_about(one, subject), 40),
                _side(one.found.versions[0]),
                _side(one.found.versions[1]),
                _ways(one),
            )
            for one, subject in zip(found, subjects, strict=True)
        ],
        right=[0],
    )


@app.command()
def resolve(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[ID...] CHOICE",
            help="Conflicts by id, then keep-mine, keep-theirs, keep-both, keep-recent, remove or skip.",
        ),
    ],
    everything: Annotated[bool, typer.Option("--all", help="All that wait and offer this choice.")] = False,
    account: Of = None,
    json: Json = False,
) -> None:
    """Resolve conflicts; what has to be sent for it, the next sync sends."""
    *named, word = words
    choice = _choice(word)
    ids = [_id(number) for number in dict.fromkeys(named)]
    if bool(ids) == everything:
        raise Trouble("Name conflicts by their ids, or say --all.", ExitCode.USAGE, "maildock conflicts shows them.")
    with editing(home_of(context), "resolve") as batch:
        if everything:
            ids = _offering(batch.view, known_accounts(batch.view, account), choice)
        for number in ids:
            try:
                batch.resolve(number, choice)
            except ValueError as error:
                raise Trouble(sentence(error), ExitCode.USAGE, "maildock conflicts shows the ways out.") from error
    if json:
        put_json({"verb": "resolve", "choice": choice.value, "conflicts": list(ids)})
    elif choice is Choice.SKIP:
        put(f"Left as {'it is' if len(ids) == 1 else 'they are'}: {count(len(ids), 'conflict')}.")
    else:
        put(f"Resolved {count(len(ids), 'conflict')}: {choice.value}.")


def _choice(word: str) -> Choice:
    try:
        return Choice(word)
    except ValueError:
        known = ", ".join(choice.value for choice in Choice)
        raise Trouble(f"{one_line(word)!r} resolves no conflict.", ExitCode.USAGE, f"Choose one of {known}.") from None


def _id(word: str) -> "ConflictId":
    from store.mail.conflicts import ConflictId

    if not (word.isascii() and word.isdigit() and 0 < int(word) < 2**63):
        raise Trouble(f"There is no conflict {one_line(word)!r}.", ExitCode.USAGE, "maildock conflicts shows the ids.")
    return ConflictId(int(word))


def _offering(view: "ReadView", account: "AccountId | None", choice: Choice) -> "list[ConflictId]":
    """Return the conflicts that wait and can be resolved by *choice*."""
    return [one.id for one in view.conflicts(account) if choice is Choice.SKIP or choice in one.found.choices]


def _facts(one: "Conflict", subject: str | None) -> dict[str, object]:
    """Return one conflict as the JSON object that scripts rely on."""
    mine, theirs = one.found.versions
    return {
        "id": one.id,
        "account": one.found.account,
        "kind": one.found.kind.value,
        "operation": one.found.operation,
        "message": one.found.message,
        "subject": subject,
        "mine": _version(mine),
        "theirs": _version(theirs),
        "choices": [choice.value for choice in one.found.choices],
        "done": one.found.done.value if one.found.done else None,
        "detected": one.detected_at.isoformat(),
        "resolved": one.resolved_at.isoformat() if one.resolved_at else None,
        "resolution": one.resolution.value if one.resolution else None,
    }


def _version(version: "Version") -> dict[str, object]:
    return {
        "place": version.place,
        "deleted": version.deleted,
        "flags": list(version.flags),
        "at": version.at.isoformat() if version.at else None,
    }


def _about(one: "Conflict", subject: str | None) -> str:
    return f"{one.found.message}  {subject or ''}".rstrip() if one.found.message is not None else ""


def _side(version: "Version") -> str:
    place = one_line(version.place)
    if version.deleted:
        return f"deleted ({place})" if place else "deleted"
    flags = " ".join(one_line(flag) for flag in version.flags)
    return " ".join(part for part in (place, flags) if part) or "-"


def _ways(one: "Conflict") -> str:
    if one.resolution is not None:
        return f"settled: {one.resolution.value}"
    done = one.found.done
    others = ", ".join(choice.value for choice in one.found.choices if choice is not done)
    return f"{others}, {Choice.SKIP.value}" if done is None else f"{others} (was: {done.value})"
