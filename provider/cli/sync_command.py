"""``maildock sync``: send what was changed here, bring the accounts' mail into the store, and show how it goes."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from .accounts_file import AccountsFile
from .beside import desk_of, run_beside
from .credentials import stdin_password
from .exits import ExitCode, Trouble, exit_of_result
from .home import Home
from .output import count, hint, moment, one_line, put
from .running import wait_for
from .session import chosen_accounts, home_of, opened

if TYPE_CHECKING:
    from store import MailStore
    from store.mail import AccountId

    from .. import Account, SyncRequest, SyncResult
    from ..manager import AlertHook
    from .sync_display import ErrorsToStderr

__all__ = ["display_for", "run_request", "sync"]


def sync(
    context: typer.Context,
    accounts: Annotated[
        list[str] | None,
        typer.Argument(metavar="ACCOUNT", help="Accounts to synchronize; all when none is named."),
    ] = None,
    folder: Annotated[
        list[str] | None,
        typer.Option(
            "--folder", metavar="F", help="Only this folder, as `maildock folders` prints it; may be repeated."
        ),
    ] = None,
    headers_only: Annotated[bool, typer.Option("--headers-only", help="Headers, no bodies.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Compare everything, as if nothing were known.")] = False,
    upload_only: Annotated[
        bool, typer.Option("--upload-only", help="Send what was changed here, and no more.")
    ] = False,
    download_only: Annotated[
        bool, typer.Option("--download-only", help="Bring what is new, and send nothing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, both ways, and do nothing.")
    ] = False,
    max_age: Annotated[
        float | None,
        typer.Option("--max-age", metavar="MINUTES", min=0, help="Leave alone what was synchronized since then."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Contact every server, whatever --max-age says.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="First approve what is held because it deletes much at once.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one event a line as JSON; the last is the result.")
    ] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the standard input.")
    ] = False,
) -> int:
    """Send what was changed here, and bring what is new. Ctrl-C cancels and keeps what is done."""
    from dataclasses import replace

    from .. import Password, SyncFlags, SyncRequest

    if upload_only and download_only:
        raise Trouble("--upload-only and --download-only exclude each other.", ExitCode.USAGE)
    if yes and dry_run:
        raise Trouble("--yes approves what is held, and --dry-run does nothing: choose one.", ExitCode.USAGE)

    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    chosen, hooks = chosen_accounts(file, accounts or []), file.alerts.hooks()
    given = None
    if password_stdin:
        if len(chosen) > 1:
            raise Trouble("--password-stdin is one password: name one account.", ExitCode.USAGE)
        given = Password(stdin_password())
    values = [entry.account(given) for entry in chosen]
    flags = SyncFlags.ALL_DIRECTIONS
    if upload_only:
        flags = SyncFlags.SYNC_UPLOAD_HIERARCHY | SyncFlags.SYNC_UPLOAD_CONTENTS
    elif download_only:
        flags = SyncFlags.SYNC_DOWNLOAD_HIERARCHY | SyncFlags.SYNC_DOWNLOAD_CONTENTS
    if headers_only:
        flags |= SyncFlags.SYNC_GLOBAL_HEADERS
    if folder:
        flags |= SyncFlags.SYNC_THESE_FOLDERS
    request = SyncRequest(
        flags=flags,
        accounts=tuple(value.id for value in values),
        folders=tuple(folder or ()),
        full=full,
        dry_run=dry_run,
    )
    with opened(home, create=True) as store:
        if yes:
            _approve(store, [value.id for value in values])
        if max_age is not None and not (force or full or dry_run):
            values = [value for value in values if not _fresh(store, value, max_age)]
            if not values:
                return ExitCode.COMPLETE
            request = replace(request, accounts=tuple(value.id for value in values))
        return run_request(store, values, request, json=json, alone=given is not None, hooks=hooks)


def _fresh(store: "MailStore", account: "Account", minutes: float) -> bool:
    """Tell whether all that is kept of *account* was looked at since then, and nothing waits to be sent; say so."""
    from datetime import UTC, datetime

    from .. import Keep

    with store.read() as view:
        if account.id not in view.accounts() or view.operations(account.id):
            return False
        kept = [
            one
            for one in view.folders(account.id)
            if one.selectable and account.policy_of(str(one.path)).keep is not Keep.NONE
        ]
        looks = [view.cursor(one.id).checked_at for one in kept]
    times = [at for at in looks if at is not None]
    if not times or len(times) < len(looks):
        return False
    # A look in the future is from before the clock was set back: it says nothing.
    if not 0 <= (datetime.now(UTC) - min(times)).total_seconds() / 60 < minutes or max(times) > datetime.now(UTC):
        return False
    hint(f"maildock: {one_line(account.id)} was synchronized at {moment(min(times))}: that is fresh enough.")
    return True


def _approve(store: "MailStore", accounts: "Sequence[AccountId]") -> None:
    """Let everything be sent that is held of *accounts*."""
    from store.mail.operations import OperationState

    with store.edit("approve") as batch:
        known = set(batch.view.accounts())
        pending = [one for account in accounts if account in known for one in batch.view.operations(account)]
        batch.approve(one.id for one in pending if one.state is OperationState.HELD)


def run_request(
    store: "MailStore",
    accounts: "list[Account]",
    request: "SyncRequest",
    *,
    json: bool,
    display: "ErrorsToStderr | None" = None,
    send: bool = False,
    receive: bool = True,
    alone: bool = False,
    hooks: "Sequence[AlertHook]" = (),
) -> ExitCode:
    """Run *request* in the foreground, with the *display* that fits or is given, and return the exit code.

    *send*, *receive*: which halves of Send/Receive are wanted. A daemon of this store does it, where there is one,
    unless *alone* says that it could not (a password that it does not have, an account that is not in its list).
    *hooks* are told of the alert that it raised or ended.
    """
    from dataclasses import replace

    from .. import MailStoreProvider
    from ..manager import RunLog

    display = display_for(json=json) if display is None else display
    asked = replace(request, callback=display)
    result = None
    if not alone and (desk := desk_of(store)) is not None:
        result = run_beside(desk, asked, send=send, receive=receive)
    if result is not None:
        _close(display, result, request, json=json)
    else:
        with (
            RunLog(Home(store.path.parent).log_path) as log,
            log.listening(),
            MailStoreProvider(store, accounts) as provider,
        ):
            asked = replace(request, callback=log.follow(trigger=request.trigger.value, then=display))
            result = wait_for(provider.send_and_receive(asked, send=send, receive=receive))
            # Before the provider goes: what is still to be told comes from its threads.
            _close(display, result, request, json=json)
    _say_what_waits(store, [account.id for account in accounts])
    if hooks:
        from ..manager import AlertTeller

        AlertTeller(store, hooks).tell()
    return exit_of_result(result)


def _close(display: "ErrorsToStderr", result: "SyncResult", request: "SyncRequest", *, json: bool) -> None:
    if request.dry_run and not json:
        put("A dry run: this is what would be done.")
    display.close(result)


def _say_what_waits(store: "MailStore", accounts: "Sequence[AccountId]") -> None:
    """Say what a person has to decide about *accounts*, and how."""
    from store.mail.operations import OperationState

    with store.read() as view:
        known = [account for account in accounts if account in view.accounts()]
        pending = [one for account in known for one in view.operations(account)]
        waiting = sum(one.found.done is None for account in known for one in view.conflicts(account))
    held = sum(one.state is OperationState.HELD for one in pending)
    if held:
        hint(f"maildock: {count(held, 'operation is', 'operations are')} held, because much would be deleted.")
        hint("  maildock pending shows them; maildock sync --yes lets them be sent.")
    if waiting:
        hint(f"maildock: {count(waiting, 'conflict waits', 'conflicts wait')}: maildock conflicts")


def display_for(*, json: bool) -> "ErrorsToStderr":
    """Return the display that fits the output: JSON where asked for, bars on a terminal, lines elsewhere."""
    from .sync_display import BarsDisplay, JsonDisplay, LinesDisplay

    if json:
        return JsonDisplay()
    return BarsDisplay() if sys.stdout.isatty() else LinesDisplay()
