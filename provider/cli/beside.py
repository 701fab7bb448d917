"""Working beside a daemon: what it can do is asked of it, and shown as if it were done here."""

from typing import TYPE_CHECKING

from .output import hint
from .running import wait_for

if TYPE_CHECKING:
    from store import MailStore

    from .. import SyncRequest, SyncResult
    from ..manager.client import RemoteDesk

__all__ = ["desk_of", "run_beside"]

ALONE = "This goes on alone."


def desk_of(store: "MailStore") -> "RemoteDesk | None":
    """Return the desk of the daemon of *store*; None: there is none, or (which is said) it does not answer."""
    from ..manager.client import DaemonGone, daemon_of

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
    from ..manager.client import DaemonGone

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
        return None
