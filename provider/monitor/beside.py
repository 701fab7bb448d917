"""A desk beside a daemon: the daemon's for as long as one answers, else that of this process.

What was begun here goes on here when a daemon comes; a page shows it as another process's then. The schedules are left
to a daemon, and taken over when there is none: any number of managers on one store are safe, but what one of them runs
is told of in its own process only.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from store.mail import AccountId

from .. import ConnectionLost, SyncRequest
from ..manager.control.client import daemon_of
from ..manager.surroundings.online import LinkState

if TYPE_CHECKING:
    from pathlib import Path

    from ..manager.control.desk import Desk, DeskHandle, Underway

__all__ = ["BesideDesk"]


class BesideDesk:
    """A ``Desk`` of the store *path*. *alone*: is called when no daemon answers; twice is fine."""

    def __init__(self, here: "Desk", path: "Path", alone: Callable[[], object]) -> None:
        self._here = here
        self._path = path
        self._alone = alone

    def running(self) -> "tuple[Underway, ...]":
        """Return every request that is not over, oldest first."""
        try:
            return self._now().running()
        except (ConnectionLost, FileNotFoundError):  # it ended between two of our questions
            return self._here.running()

    def start(
        self,
        request: SyncRequest = SyncRequest(),  # noqa: B008
        *,
        send: bool = True,
        receive: bool = True,
        group: str | None = None,
    ) -> "DeskHandle":
        """Send and receive as *request* says, or as *group* does."""
        try:
            return self._now().start(request, send=send, receive=receive, group=group)
        except (ConnectionLost, FileNotFoundError):
            return self._here.start(request, send=send, receive=receive, group=group)

    def cancel(self, run_id: int) -> bool:
        """Ask a run to stop."""
        return self._tell(lambda desk: desk.cancel(run_id))

    def cancel_item(self, run_id: int, account: AccountId, folder: str | None = None, *, outbox: bool = False) -> bool:
        """Ask one item of a run to stop; the others go on."""
        return self._tell(lambda desk: desk.cancel_item(run_id, account, folder, outbox=outbox))

    def pause(self, run_id: int | None = None) -> bool:
        """Let a run wait; without a number: let nothing start by itself until ``resume``."""
        return self._tell(lambda desk: desk.pause(run_id), also_here=run_id is None)

    def resume(self, run_id: int | None = None) -> bool:
        """Take ``pause`` back."""
        return self._tell(lambda desk: desk.resume(run_id), also_here=run_id is None)

    def link(self) -> LinkState:
        """Return whether what starts by itself works online."""
        try:
            return self._now().link()
        except (ConnectionLost, FileNotFoundError):
            return self._here.link()

    def set_link(self, new: LinkState) -> None:
        """Go online or offline."""
        try:
            self._now().set_link(new)
        except (ConnectionLost, FileNotFoundError):
            self._here.set_link(new)

    def _now(self) -> "Desk":
        try:
            found = daemon_of(self._path)
        except ConnectionLost:  # something is there that does not answer: the store keeps us apart
            found = None
        if found is None:
            self._alone()
            return self._here
        return found

    def _tell(self, what: "Callable[[Desk], bool]", *, also_here: bool = False) -> bool:
        """Tell the desk of now. A run of a daemon that went away is over: its number means nothing here.

        *also_here*: what is about the store can be done by either.
        """
        try:
            return what(self._now())
        except (ConnectionLost, FileNotFoundError):
            return what(self._here) if also_here else False
