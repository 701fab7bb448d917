"""The tree of commands: which word runs which function, and the options that all share."""

from collections.abc import Callable
from typing import Annotated

import typer
from typer.main import get_command

from . import (
    account_commands,
    append_command,
    change_commands,
    conflict_commands,
    control_commands,
    daemon_command,
    folder_commands,
    handler_commands,
    history_commands,
    import_command,
    manager_commands,
    monitor_command,
    outbox_commands,
    pending_commands,
    read_commands,
    send_command,
    show_command,
    state_commands,
    sync_command,
)
from .exits import EXIT_CODES_HELP
from .home import Home
from .output import put
from .version import version_line

__all__ = ["application", "command"]

ABOUT = f"""Keep mail offline, in step with its server.

Begin with: maildock account add NAME --host H --user U --password-command CMD; then: maildock sync

{EXIT_CODES_HELP}"""


def application() -> typer.Typer:
    """Return the application with all its commands."""
    app = typer.Typer(
        rich_markup_mode=None,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=ABOUT)(_shared)
    app.add_typer(account_commands.app, name="account")
    app.command("sync", epilog=EXIT_CODES_HELP)(sync_command.sync)
    app.command("send-receive", epilog=EXIT_CODES_HELP)(send_command.send_receive)
    app.command("folders")(read_commands.folders)
    app.command("list")(read_commands.list_messages)
    app.command("show")(show_command.show)
    app.command("flag")(change_commands.flag)
    app.command("unflag")(change_commands.unflag)
    app.command("move")(change_commands.move)
    app.command("copy")(change_commands.copy)
    app.command("delete")(change_commands.delete)
    app.command("append")(append_command.append)
    app.add_typer(folder_commands.app, name="folder")
    app.add_typer(pending_commands.app, name="pending")
    app.command("undo")(pending_commands.undo)
    app.add_typer(conflict_commands.app, name="conflicts")
    app.command("send", epilog=EXIT_CODES_HELP)(send_command.send)
    app.add_typer(outbox_commands.app, name="outbox")
    app.command("daemon")(daemon_command.daemon)
    app.add_typer(manager_commands.groups, name="groups")
    app.add_typer(manager_commands.schedule, name="schedule")
    app.add_typer(handler_commands.handlers, name="handlers")
    app.add_typer(handler_commands.policy, name="policy")
    app.command("running")(control_commands.running)
    app.command("stop")(control_commands.stop)
    app.command("pause")(control_commands.pause)
    app.command("resume")(control_commands.resume)
    app.command("offline")(control_commands.offline)
    app.command("online")(control_commands.online)
    app.command("monitor")(monitor_command.monitor)
    app.command("status")(state_commands.status)
    app.command("history")(history_commands.history)
    app.add_typer(history_commands.app, name="events")
    app.command("check")(state_commands.check)
    app.command("import-from")(import_command.import_from)
    app.command("demo")(_demo)
    return app


def command() -> Callable[..., object]:
    """Return the application as one runnable command, taking words and ``standalone_mode``."""
    return get_command(application()).main


def _demo(context: typer.Context) -> int:
    """Play a whole synchronization against a real mail server that starts here."""
    from .demo import play  # it brings the store, the provider and a server: only when it is asked for

    return play(context.find_root().params.get("home"))


def _print_version(asked: bool) -> None:
    if asked:
        put(version_line())
        raise typer.Exit


def _shared(
    context: typer.Context,
    home: Annotated[
        str | None,
        typer.Option(
            "--home",
            metavar="DIR",
            help="Directory of mail.db and accounts.toml; else MAILDOCK_HOME, else the platform's data folder.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and end.")
    ] = False,
) -> None:
    context.obj = Home.find(home)
