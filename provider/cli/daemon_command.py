"""``maildock daemon``: the schedules, and what servers tell, in the foreground; it answers other commands meanwhile."""

import signal
import threading
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from .accounts_file import AccountsFile
from .accounts_watch import AccountsWatch
from .beside import answering
from .handler_commands import center_of
from .options import Json
from .output import hint, iso, moment, one_line, put_json, put_now
from .session import chosen_accounts, home_of, opened
from .surroundings import BatteryMin, Desktop, MeteredHeaders, surroundings

if TYPE_CHECKING:
    from ..manager.pushing.runs import Pushed
    from ..manager.ran import Ran

__all__ = ["daemon"]

WAIT_SECONDS = 1.0


def daemon(
    context: typer.Context,
    retry_minutes: Annotated[
        int,
        typer.Option(
            "--retry-minutes", metavar="N", min=1, max=1440, help="After a failure; then ever later, to a day."
        ),
    ] = 60,
    desktop: Desktop = None,
    battery_min: BatteryMin = 20,
    metered_headers: MeteredHeaders = True,
    json: Json = False,
    alert_command: Annotated[
        str | None,
        typer.Option("--alert-command", metavar="CMD", help="Is run when an account fails, and when it works again."),
    ] = None,
    alert_webhook: Annotated[
        str | None, typer.Option("--alert-webhook", metavar="URL", help="Is posted the same as JSON.")
    ] = None,
    push: Annotated[bool, typer.Option("--push/--no-push", help="Let servers tell of new mail; poll the rest.")] = True,
) -> None:
    """Run the schedules and hear of new mail, in the foreground, until Ctrl-C or SIGTERM.

    A line for each run that a schedule or a server began; maildock history has all of them.
    """
    from .. import MailStoreProvider
    from ..manager import RunLog
    from ..manager.control.desk import LocalDesk
    from ..manager.control.handler_desk import LocalHandlers
    from ..manager.manager import SyncManager

    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    entries, hooks = chosen_accounts(file, []), file.alerts.hooks(alert_command, alert_webhook)
    ended = threading.Event()

    def hear(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    def heard(ran: "Ran") -> None:
        _put_ran(ran, json=json)

    def pushed(run: "Pushed") -> None:
        _put_pushed(run, json=json)

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ExitStack() as life:
            store = life.enter_context(opened(home, create=True))
            run_log = life.enter_context(RunLog(home.log_path))
            life.enter_context(run_log.listening())
            provider = life.enter_context(MailStoreProvider(store, [one.account() for one in entries]))
            around = surroundings(desktop=desktop, battery_min=battery_min, metered_headers=metered_headers)
            manager = SyncManager(
                store,
                provider,
                heard=heard,
                retry_seconds=60.0 * retry_minutes,
                environment=life.enter_context(around),
                push=push,
                pushed=pushed,
                hooks=hooks,
                log_to=run_log,
            )
            life.callback(manager.stop)
            watch = AccountsWatch(home.accounts_path, store, provider, entries)
            # It begins when nobody else answers for the store; who asks is told of the end before the runs are.
            handlers = LocalHandlers(life.enter_context(center_of(store, provider)))
            life.enter_context(answering(LocalDesk(provider, manager), store, watch, handlers))
            manager.start()
            hint(f"maildock: {len(store.schedules.all())} schedules{', and push' if push else ''}. Ctrl-C ends.")
            while not ended.wait(WAIT_SECONDS):
                watch(starts=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _put_ran(ran: "Ran", *, json: bool) -> None:
    if json:
        put_json(
            {
                "schedule": ran.schedule,
                "group": ran.group,
                "began": iso(ran.began_at),
                "ended": iso(ran.ended_at),
                "outcome": ran.outcome,
                "next_run": iso(ran.next_run),
                "retry_at": iso(ran.retry_at),
            }
        )
        return
    again = f", again {moment(ran.retry_at)}" if ran.retry_at is not None else ""
    put_now(
        f"{moment(ran.ended_at)} {one_line(ran.group)}: {one_line(ran.outcome)}{again}, next run {moment(ran.next_run)}"
    )


def _put_pushed(run: "Pushed", *, json: bool) -> None:
    if json:
        put_json(
            {
                "account": run.account,
                "folder": run.folder,
                "began": iso(run.began_at),
                "ended": iso(run.ended_at),
                "outcome": run.outcome,
                "new": run.new,
            }
        )
        return
    place = f"{run.account} {run.folder}" if run.folder is not None else run.account
    put_now(f"{moment(run.ended_at)} {one_line(place)}: {one_line(run.outcome)}, {run.new} new")
