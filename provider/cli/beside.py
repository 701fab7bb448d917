"""Working beside a daemon: what it can do is asked of it, and shown as if it were done here; and being one."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from .exits import ExitCode, Trouble
from .output import hint
from .running import wait_for

if TYPE_CHECKING:
    from store import MailStore

    from .. import SyncRequest, SyncResult
    from ..manager.control.client import RemoteDesk
    from ..manager.control.desk import Desk
    from ..manager.control.handler_desk import LocalHandlers

__all__ = ["ALONE", "GONE_SECONDS", "answering", "desk_of", "run_beside"]

ALONE = "This goes on alone."
GONE_SECONDS = 5.0


def desk_of(store: "MailStore") -> "RemoteDesk | None":
    """Return the desk of the daemon of *store*; None: there is none, or (which is said) it does not answer."""
    from ..manager.control.client import DaemonGone, daemon_of

    try:
        return daemon_of(store.path)
    except DaemonGone as error:
        hint(f"maildock: {error} {ALONE}")
        return None


def run_beside(desk: "RemoteDesk", request: "SyncRequest", *, send: bool, receive: bool) -> "SyncResult | None":
    """Let the daemon do *request*, and wait for the end. None: it could not, and the caller does it alone.

    Raises Busy and InvalidRequest, and KeyboardInterrupt when the daemon ended after a person had cancelled.
    """
    from .. import UnknownItem
    from ..manager.control.client import DaemonGone

    try:
        handle = desk.start(request, send=send, receive=receive)
    except FileNotFoundError:
        return None  # it ended between two of our questions
    except UnknownItem:
        hint(f"maildock: the daemon does not know this account. {ALONE}")
        return None
    except DaemonGone as error:
        hint(f"maildock: {error} {ALONE}")
        return None
    try:
        return wait_for(handle)
    except DaemonGone as error:
        if handle.cancelled:
            raise KeyboardInterrupt from None
        hint(f"maildock: {error} {ALONE}")
        desk.wait_gone(GONE_SECONDS)  # until then its accounts are its own
        return None


@contextmanager
def answering(
    desk: "Desk", store: "MailStore", refresh: Callable[[], None], handlers: "LocalHandlers"
) -> Iterator[None]:
    """Answer on the control socket, where there can be one; a second daemon of one store is refused."""
    if not hasattr(socket, "AF_UNIX"):
        yield
        return
    from .. import Busy, InvalidRequest
    from ..manager.control.server import ControlServer

    server = ControlServer(desk, store.path, refresh=refresh, handlers=handlers)
    try:
        server.start()
    except Busy:
        raise Trouble(
            "A daemon of this store runs already.", ExitCode.ERRORS, "maildock running shows what it does."
        ) from None
    except (OSError, InvalidRequest) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        hint(f"maildock: no control socket at {server.path} ({reason}): others cannot see what runs here.")
        yield
        return
    with closing(server):
        yield
