"""``maildock send`` and ``send-receive``: a message into the outbox, the outbox to the server."""

from typing import TYPE_CHECKING, Annotated

import typer

from .accounts_file import AccountEntry, AccountsFile
from .append_command import moment_of
from .credentials import stdin_password
from .exits import ExitCode, Trouble
from .files import octets_of
from .options import Json
from .outbox_commands import put_submission, submission_facts
from .output import put_json
from .session import chosen_accounts, home_of, opened
from .sync_command import run_request

if TYPE_CHECKING:
    from email.message import EmailMessage

    from store import MailStore
    from store.mail.submission import Submission

    from .. import Account

__all__ = ["send", "send_receive"]

Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the standard input.")]


def send(
    context: typer.Context,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="A whole message (RFC 5322), - for stdin; with --to or --subject: the text of the message to build.",
        ),
    ] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="A", help="Whose way out it takes.")] = None,
    sender: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="Who it is from; else the account's user.")
    ] = None,
    to: Annotated[list[str] | None, typer.Option("--to", metavar="ADDRESS", help="May be repeated.")] = None,
    cc: Annotated[list[str] | None, typer.Option("--cc", metavar="ADDRESS", help="May be repeated.")] = None,
    bcc: Annotated[
        list[str] | None, typer.Option("--bcc", metavar="ADDRESS", help="Unseen by the others; may be repeated.")
    ] = None,
    subject: Annotated[str | None, typer.Option("--subject", metavar="TEXT", help="What it is about.")] = None,
    attach: Annotated[
        list[str] | None, typer.Option("--attach", metavar="FILE", help="Attach a file; may be repeated.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="WHEN", help="Not before, as 2026-11-24T10:00:00+01:00.")
    ] = None,
    priority: Annotated[str, typer.Option("--priority", metavar="P", help="low, normal or high.")] = "normal",
    key: Annotated[
        str, typer.Option("--key", metavar="K", help="A name of your own: the same one twice is sent once.")
    ] = "",
    notify: Annotated[
        list[str] | None,
        typer.Option("--notify", metavar="WHEN", help="Ask servers to report: success, failure, delay, or never."),
    ] = None,
    queue: Annotated[bool, typer.Option("--queue", help="Only put it into the outbox.")] = False,
    json: Json = False,
    password_stdin: Stdin = False,
) -> int:
    """Put a message into the outbox, and send what is due there."""
    from store.mail.submission import Notify, Priority

    if password_stdin and file == "-":
        raise Trouble("The standard input is the message or the password: name a file.", ExitCode.USAGE)
    if priority.upper() not in Priority.__members__:
        raise Trouble(f"{priority!r} is no priority.", ExitCode.USAGE, "One of: low, normal, high.")
    try:
        reports = [Notify(word.lower()) for word in notify or ()]
    except ValueError:
        text = "--notify knows success, failure, delay and never."
        raise Trouble(text, ExitCode.USAGE, "It may be repeated; never stands alone.") from None
    home = home_of(context)
    entry = _way_out(AccountsFile.read(home.accounts_path), account)
    when = moment_of(at)
    message: EmailMessage | bytes
    if to or cc or bcc or attach or subject is not None:
        from .compose import built

        text = "" if file is None else octets_of(file).decode("utf-8", "replace")
        message = built(
            text,
            sender=sender or _sender_of(entry),
            to=to or (),
            cc=cc or (),
            bcc=bcc or (),
            subject=subject or "",
            attach=attach or (),
        )
    elif file is None:
        raise Trouble("There is nothing to send.", ExitCode.USAGE, "Name a file with a message, or begin with --to.")
    else:
        message = octets_of(file)
    value = _account(entry, password_stdin)
    with opened(home, create=True) as store:
        level = Priority[priority.upper()]
        one = store.outbox.submit(value.id, message, not_before=when, priority=level, notify=reports, key=key)
        code = ExitCode.COMPLETE if queue else _flush(store, value, alone=password_stdin)
        with store.read() as view:
            one = view.submission(one.id)
    if json:
        put_json(submission_facts(one))
    else:
        put_submission(one)
    return code if code is not ExitCode.COMPLETE or queue else _exit_of(one)


def send_receive(
    context: typer.Context,
    accounts: Annotated[
        list[str] | None, typer.Argument(metavar="ACCOUNT", help="All accounts when none is named.")
    ] = None,
    send_only: Annotated[bool, typer.Option("--send-only", help="Only send what is due in the outbox.")] = False,
    receive_only: Annotated[bool, typer.Option("--receive-only", help="Only synchronize.")] = False,
    group: Annotated[
        str | None, typer.Option("--group", metavar="G", help="The accounts of this group, as it says.")
    ] = None,
    f9: Annotated[
        bool, typer.Option("--f9", help="Every group that is part of Send/Receive All, and who is in no group.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one event a line as JSON; the last is the result.")
    ] = False,
    password_stdin: Stdin = False,
) -> int:
    """Send what is due in the outbox, then synchronize. Either half goes on when the other fails."""
    from .. import SyncRequest
    from ..manager.control.group import GroupRun, f9_runs, group_run
    from ..manager.mail.items import switched_off

    if send_only and receive_only:
        raise Trouble("--send-only and --receive-only exclude each other.", ExitCode.USAGE)
    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    chosen, hooks = chosen_accounts(file, accounts or []), file.alerts.hooks()
    if password_stdin and len(chosen) > 1:
        raise Trouble("--password-stdin is one password: name one account.", ExitCode.USAGE)
    if bool(accounts) + (group is not None) + f9 > 1:
        raise Trouble("Accounts, --group and --f9 exclude each other.", ExitCode.USAGE)
    values = [_account(entry, password_stdin) for entry in chosen]
    here = [value.id for value in values]
    everything = SyncRequest(accounts=tuple(here))
    with opened(home, create=True) as store:
        if group is not None or f9:
            off = switched_off(store, here)
            here = [one for one in here if one not in off]
        if group is not None:
            runs: tuple[GroupRun, ...] = (group_run(store.schedules.group(group), here),)
        elif f9:
            runs = f9_runs(store.schedules.groups(), here, offline=store.schedules.offline)
        else:
            runs = (GroupRun(group="", request=everything, send=True, receive=True),)
        code = ExitCode.COMPLETE
        for one in runs:
            send, receive = one.send and not receive_only, one.receive and not send_only
            if send or receive:
                ended = run_request(
                    store,
                    values,
                    one.request,
                    json=json,
                    send=send,
                    receive=receive,
                    alone=password_stdin,
                    hooks=hooks,
                )
                code = code if ended is ExitCode.COMPLETE else ended
                if ended is ExitCode.CANCELED:
                    break
        return code


def _flush(store: "MailStore", account: "Account", *, alone: bool) -> ExitCode:
    """Send what is due, saying only what goes wrong."""
    from .. import SyncRequest
    from .sync_display import ErrorsToStderr

    request = SyncRequest(accounts=(account.id,))
    told = ErrorsToStderr()
    return run_request(store, [account], request, json=False, display=told, send=True, receive=False, alone=alone)


def _way_out(file: AccountsFile, name: str | None) -> AccountEntry:
    """Return the account that sends: the one named, or the only one that can. Raises Trouble."""
    chosen = [entry for entry in chosen_accounts(file, [name] if name else []) if entry.smtp.host]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        names = ", ".join(entry.name for entry in chosen)
        raise Trouble(f"Several accounts can send: {names}.", ExitCode.USAGE, "Say which: --account A")
    text = f"The account {name!r} has no way out." if name else "No account has a way out."
    raise Trouble(text, ExitCode.USAGE, "Add one: maildock account set NAME --smtp-host H")


def _sender_of(entry: AccountEntry) -> str:
    if "@" not in entry.user:
        raise Trouble("Who is it from?", ExitCode.USAGE, "Say it: --from ADDRESS")
    return entry.user


def _account(entry: AccountEntry, password_stdin: bool) -> "Account":
    from .. import Password

    return entry.account(Password(stdin_password()) if password_stdin else None)


def _exit_of(one: "Submission") -> ExitCode:
    """Return the exit code for a message that was to go out now."""
    from store.mail.submission import Fate

    done = all(recipient.fate is Fate.ACCEPTED for recipient in one.recipients)
    return ExitCode.COMPLETE if done or one.not_before is not None else ExitCode.ERRORS
