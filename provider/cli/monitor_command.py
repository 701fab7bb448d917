"""``maildock monitor``: Sync Center in a browser, and the schedules meanwhile."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from .accounts_file import AccountsFile
from .exits import ExitCode, Trouble
from .output import hint, put_now
from .session import home_of, opened

if TYPE_CHECKING:
    from ..monitor.serve import MonitorServer

__all__ = ["monitor"]

WEB_MISSING = "Sync Center needs libraries that are not here."


def monitor(
    context: typer.Context,
    port: Annotated[
        int, typer.Option("--port", metavar="P", min=0, max=65535, help="On the loopback; 0: any that is free.")
    ] = 0,
    open: Annotated[bool, typer.Option("--open/--no-open", help="Open it in a browser.")] = True,
) -> None:
    """Show Sync Center in a browser, and run the schedules, until Ctrl-C or SIGTERM."""
    from .. import MailStoreProvider
    from ..manager import RunLog
    from ..manager.control.desk import LocalDesk
    from ..manager.manager import SyncManager

    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    accounts, hooks = [one.account() for one in file.accounts], file.alerts.hooks()
    with (
        opened(home, create=True) as store,
        RunLog(home.log_path) as log,
        log.listening(),
        MailStoreProvider(store, accounts) as provider,
        ExitStack() as life,
    ):
        manager = SyncManager(store, provider, hooks=hooks, log_to=log)
        life.callback(manager.stop)
        try:
            from ..monitor.beside import BesideDesk
            from ..monitor.serve import MonitorServer
        except ModuleNotFoundError:
            raise Trouble(WEB_MISSING, ExitCode.USAGE, "pip install 'maildock[web]'") from None
        # A daemon, where there is one, runs the schedules, and what is asked for here.
        desk = BesideDesk(LocalDesk(provider, manager), store.path, manager.start)
        try:
            server = MonitorServer(store, provider, manager, file=home.path / "monitor.html", port=port, desk=desk)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise Trouble(
                f"Sync Center cannot be served: {reason}.", ExitCode.ERRORS, "Choose another --port."
            ) from None
        desk.running()
        put_now(f"Sync Center: {server.url}")
        hint("The address is a secret: whoever has it governs your mail. Ctrl-C ends.")
        with _until_told(server):
            server.run(lambda: _opened(server) if open else None)


def _opened(server: "MonitorServer") -> None:
    """Send a browser to the file that knows the way in: a list of processes shows its name, and nothing more."""
    import webbrowser

    if not webbrowser.open(server.file.as_uri()):
        hint("No browser was found: open the address above.")


@contextmanager
def _until_told(server: "MonitorServer") -> Iterator[None]:
    """End the server by SIGINT and SIGTERM, as an end that was asked for."""

    def hear(_number: int, _frame: FrameType | None) -> None:
        server.stop()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
