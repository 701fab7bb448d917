"""``maildock outbox``: what is on its way out, what became of it, and second thoughts."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from store.mail.submission import Cancelled, Fate, SubmissionState

from .exits import ExitCode, Trouble
from .options import Json
from .output import count, moment, octets, one_line, put, put_json, put_octets, table
from .session import home_of, known_accounts, opened, opened_to_read

if TYPE_CHECKING:
    from store import MailStore
    from store.mail import AccountId
    from store.mail.submission import Reply, Submission

__all__ = ["app", "put_submission", "submission_facts"]

app = typer.Typer(help="What is on its way out, and what became of it.", invoke_without_command=True)

Of = Annotated[str | None, typer.Option("--account", metavar="A", help="Only this account.")]
Id = Annotated[int, typer.Argument(metavar="ID", help="A message, by the id that `maildock outbox` prints.")]
One = Annotated[str | None, typer.Argument(metavar="ACCOUNT", help="This account; all when none is named.")]
OVER = (SubmissionState.FILED, SubmissionState.SENT)
MARKS = {SubmissionState.QUEUED: "waits", SubmissionState.SENDING: "being sent"}
"""States in the words of people, where the name of the state is not enough."""


@app.callback()
def outbox(
    context: typer.Context,
    account: Of = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what was sent in the last days.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one message a line.")] = False,
) -> None:
    """List what is on its way out, in the order in which it goes."""
    if context.invoked_subcommand is not None:
        return
    with opened_to_read(home_of(context)) as store, store.read() as view:
        chosen = known_accounts(view, account)
        found = [one for one in view.submissions(chosen) if everything or one.state not in OVER]
        resting = [name for name in view.accounts() if store.outbox.suspended(name)]
    if json:
        for one in found:
            put_json(submission_facts(one))
        return
    for name in resting:
        put(f"The outbox of {one_line(name)} is suspended: maildock outbox resume {one_line(name)}")
    if not found:
        put("The outbox is empty.")
        return
    rows = [
        (
            str(one.id),
            moment(one.submitted_at),
            one_line(", ".join(recipient.address for recipient in one.recipients), 40),
            one_line(one.subject, 40),
            octets(one.size),
            _state(one),
        )
        for one in found
    ]
    table(("id", "since", "to", "subject", "size", "state"), rows, right=[0, 4])


@app.command()
def show(
    context: typer.Context,
    id: Id,
    raw: Annotated[bool, typer.Option("--raw", help="Print the octets that go out.")] = False,
    json: Json = False,
) -> None:
    """Show one message on its way: who gets it, and what became of each."""
    with opened_to_read(home_of(context)) as store:
        one = _found(store, id)
        if raw:
            put_octets(store.outbox.octets(one.id))
        elif json:
            put_json(submission_facts(one))
        else:
            put_submission(one)


@app.command()
def cancel(context: typer.Context, id: Id, json: Json = False) -> None:
    """Take a message out of the outbox, if it is not being sent."""
    from .. import is_gone

    with opened(home_of(context)) as store:
        outcome = store.outbox.cancel(_found(store, id).id, is_gone=is_gone)
    if outcome is Cancelled.REMOVED:
        _told("cancel", id, f"Taken out of the outbox: {id}.", json=json)
        return
    if outcome is Cancelled.BEING_SENT:
        raise Trouble(
            f"{id} is being sent at this moment.", ExitCode.ERRORS, f"maildock outbox show {id} tells the end."
        )
    raise Trouble(f"{id} was sent already.", ExitCode.ERRORS)


@app.command()
def retry(context: typer.Context, id: Id, json: Json = False) -> None:
    """Let a message be sent by the next send, to those who have not got it."""
    from .. import is_gone

    with opened(home_of(context)) as store:
        one = _found(store, id)
        if not store.outbox.retry(one.id, is_gone=is_gone):
            state = "was sent already" if one.state in OVER else "is being sent at this moment"
            raise Trouble(f"{id} {state}.", ExitCode.ERRORS)
    _told("retry", id, f"To be sent again: {id}.", json=json)


@app.command()
def suspend(context: typer.Context, account: One = None) -> None:
    """Send nothing more of an account, or of all, until it is resumed."""
    _each(context, account, lambda store, name: store.outbox.suspend(name), "Suspended")


@app.command()
def resume(context: typer.Context, account: One = None) -> None:
    """Send again."""
    _each(context, account, lambda store, name: store.outbox.resume(name), "Resumed")


def _each(
    context: typer.Context, account: str | None, act: "Callable[[MailStore, AccountId], object]", done: str
) -> None:
    with opened(home_of(context)) as store:
        with store.read() as view:
            chosen = known_accounts(view, account)
            names = view.accounts() if chosen is None else (chosen,)
        for name in names:
            act(store, name)
            put(f"{done}: {one_line(name)}.")


def _found(store: "MailStore", number: int) -> "Submission":
    """Return the submission with this number. Raises Trouble when there is none."""
    from store import UnknownSubmission
    from store.mail.submission import SubmissionId

    try:
        with store.read() as view:
            return view.submission(SubmissionId(number))
    except (UnknownSubmission, OverflowError):
        raise Trouble(f"There is no message {number} in the outbox.", ExitCode.USAGE, "maildock outbox --all") from None


def _told(verb: str, number: int, text: str, *, json: bool) -> None:
    if json:
        put_json({"verb": verb, "id": number})
    else:
        put(text)


def submission_facts(one: "Submission") -> dict[str, object]:
    """Return a submission as the JSON object that scripts rely on."""
    return {
        "id": one.id,
        "account": one.account,
        "state": one.state.value,
        "from": one.sender,
        "recipients": [
            {"address": recipient.address, "fate": recipient.fate.value, **_reply(recipient.reply)}
            for recipient in one.recipients
        ],
        "subject": one.subject,
        "message_id": one.message_id,
        "size": one.size,
        "priority": one.priority.name.lower(),
        "key": one.key,
        "submitted": one.submitted_at.isoformat(),
        "not_before": one.not_before.isoformat() if one.not_before else None,
        "next_try": one.next_try.isoformat() if one.next_try else None,
        "tries": one.tries,
        "doubts": one.doubts,
        "reason": one.reason,
        **_reply(one.reply),
    }


def put_submission(one: "Submission") -> None:
    """Print one submission for a person."""
    put(f"{one.id}: {one_line(_state(one))}")
    put(f"  {one_line(one.subject) or '(no subject)'}, {octets(one.size)}, from {one_line(one.sender) or '<>'}")
    for recipient in one.recipients:
        answer = "" if recipient.reply is None else f"  {one_line(_answer(recipient.reply))}"
        put(f"  {one_line(recipient.address)}: {recipient.fate.value}{answer}")


def _state(one: "Submission") -> str:
    state = MARKS.get(one.state, one.state.value)
    if one.state is SubmissionState.QUEUED and any(recipient.fate is Fate.ACCEPTED for recipient in one.recipients):
        left = sum(recipient.fate is Fate.WAITING for recipient in one.recipients)
        state = f"sent to some, {count(left, 'recipient waits', 'recipients wait')}"
    when = one.next_try or one.not_before
    if one.state in (SubmissionState.QUEUED, SubmissionState.IN_DOUBT) and when is not None:
        state += f" (not before {moment(when)})"
    return f"{state}: {one_line(one.reason)}" if one.reason else state


def _answer(reply: "Reply") -> str:
    return " ".join(filter(None, (str(reply.code or ""), reply.enhanced, reply.text)))


def _reply(reply: "Reply | None") -> dict[str, object]:
    if reply is None:
        return {}
    return {"code": reply.code, "enhanced": reply.enhanced, "server_text": reply.text}
