"""``Desk``: what whoever governs synchronizations can see and do, here or in another process.

``LocalDesk`` is the one of this process; a client of the control socket is the same thing for the process of a
daemon. A page, a command or a host needs to know no other.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from store.mail import AccountId

from ...backlog import Backlog
from ...events import SyncProgress, SyncResult
from ...request import SyncFlags, SyncRequest, Trigger
from ..surroundings.online import LinkState

if TYPE_CHECKING:
    from ...entry import MailStoreProvider
    from ...handle import SyncHandle
    from ..manager import SyncManager

__all__ = ["Desk", "DeskHandle", "LocalDesk", "Underway"]

LINK_SECONDS = 10.0
"""For a change of being online: whoever hears of it may hold it up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """One request that is not over."""

    run_id: int
    trigger: Trigger
    flags: SyncFlags
    accounts: tuple[AccountId, ...] | None
    """None: all that the provider has."""
    folders: tuple[str, ...]
    """Empty: all."""
    items: tuple[SyncProgress, ...]
    """The latest step of each item that was heard of; none while it waits for its turn."""


class DeskHandle(Protocol):
    """A request on its way, wherever it runs: what ``SyncHandle`` can do, without its coroutines."""

    @property
    def run_id(self) -> int:
        """As in the events, and in ``Underway``."""
        ...

    @property
    def done_event(self) -> threading.Event:
        """Set when the request is over."""
        ...

    @property
    def done(self) -> bool:
        """True when the request is over."""
        ...

    @property
    def result(self) -> SyncResult | None:
        """How it ended; None until then."""
        ...

    @property
    def items(self) -> tuple[SyncProgress, ...]:
        """The latest step of each item."""
        ...

    def cancel(self) -> None:
        """Ask to stop, for this handle."""
        ...

    def cancel_item(self, account: AccountId, folder: str | None = None, *, outbox: bool = False) -> None:
        """Ask to stop one item; the others go on."""
        ...

    def pause(self) -> None:
        """Ask to wait."""
        ...

    def resume(self) -> None:
        """Go on after ``pause``."""
        ...

    def wait(self, timeout: float | None = None) -> SyncResult:
        """Return the result. Raises TimeoutError."""
        ...

    def listen(self, wake: Callable[[], None], /) -> Backlog:
        """Return the events from the first one on, as ``SyncHandle.listen``."""
        ...

    def leave(self, backlog: Backlog, /) -> None:
        """Stop feeding what ``listen`` returned."""
        ...


class Desk(Protocol):
    """Governs the synchronizations of one process. Thread-safe.

    What is said to a run by its number is done for everybody who asked for it; False: nothing of that number runs.
    """

    def running(self) -> tuple[Underway, ...]:
        """Return every request that is not over, oldest first."""
        ...

    def start(
        self, request: SyncRequest = ..., *, send: bool = True, receive: bool = True, group: str | None = None
    ) -> DeskHandle:
        """Send and receive as *request* says, or as *group* does: of the request its callback counts then.

        Raises as ``MailStoreProvider.send_and_receive``, and UnknownGroup.
        """
        ...

    def cancel(self, run_id: int) -> bool:
        """Ask a run to stop."""
        ...

    def cancel_item(self, run_id: int, account: AccountId, folder: str | None = None, *, outbox: bool = False) -> bool:
        """Ask one item of a run to stop; the others go on."""
        ...

    def pause(self, run_id: int | None = None) -> bool:
        """Let a run wait; without a number: let nothing start by itself, in any process, until ``resume``."""
        ...

    def resume(self, run_id: int | None = None) -> bool:
        """Take ``pause`` back."""
        ...

    def link(self) -> LinkState:
        """Return whether what starts by itself works online."""
        ...

    def set_link(self, new: LinkState) -> None:
        """Go online or offline, and wait ten seconds at most for the end. Raises ChangePending during another one."""
        ...


class LocalDesk:
    """The desk of this process. *manager* starts groups and holds the schedules of the same store as *provider*."""

    def __init__(self, provider: "MailStoreProvider", manager: "SyncManager") -> None:
        self._provider = provider
        self._manager = manager

    def running(self) -> tuple[Underway, ...]:
        """Return every request that is not over, oldest first."""
        return tuple(map(_underway, self._provider.running))

    def start(
        self,
        request: SyncRequest = SyncRequest(),  # noqa: B008
        *,
        send: bool = True,
        receive: bool = True,
        group: str | None = None,
    ) -> "SyncHandle":
        """Send and receive as *request* says, or as *group* does: of the request its callback counts then."""
        if group is not None:
            return self._manager.run_now(group, callback=request.callback)
        heard = replace(request, callback=self._manager.logged(request.callback, request.trigger))
        return self._provider.send_and_receive(heard, send=send, receive=receive)

    def cancel(self, run_id: int) -> bool:
        """Ask a run to stop."""
        return self._tell(run_id, lambda handle: handle.cancel())

    def cancel_item(self, run_id: int, account: AccountId, folder: str | None = None, *, outbox: bool = False) -> bool:
        """Ask one item of a run to stop; the others go on."""
        return self._tell(run_id, lambda handle: handle.cancel_item(account, folder, outbox=outbox))

    def pause(self, run_id: int | None = None) -> bool:
        """Let a run wait; without a number: let nothing start by itself until ``resume``."""
        if run_id is not None:
            return self._tell(run_id, lambda handle: handle.pause())
        self._manager.pause()
        return True

    def resume(self, run_id: int | None = None) -> bool:
        """Take ``pause`` back."""
        if run_id is not None:
            return self._tell(run_id, lambda handle: handle.resume())
        self._manager.resume()
        return True

    def link(self) -> LinkState:
        """Return whether what starts by itself works online."""
        return self._manager.link.state

    def set_link(self, new: LinkState) -> None:
        """Go online or offline, and wait ten seconds at most for the end. Raises ChangePending during another one."""
        self._manager.link.set_state(new, wait=LINK_SECONDS)

    def _tell(self, run_id: int, what: "Callable[[SyncHandle], None]") -> bool:
        for handle in self._provider.running:
            if handle.run_id == run_id:
                what(handle)
                return True
        return False


def _underway(handle: "SyncHandle") -> Underway:
    request = handle.request
    return Underway(
        run_id=handle.run_id,
        trigger=request.trigger,
        flags=request.flags,
        accounts=request.accounts,
        folders=tuple(map(str, request.folder_paths)),
        items=handle.items,
    )
