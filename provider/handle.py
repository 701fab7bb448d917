"""What a host holds while a request runs: to cancel it, to wait for it, to listen to it.

``result``, ``wait``, ``await`` and ``done_event`` come from the run itself; they never wait for a callback.
"""

import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from store.mail import AccountId

from .backlog import Backlog, ItemKey
from .delivery import inside_callback
from .errors import ErrorKind, ProviderError
from .events import Event, ItemKind, SyncProgress, SyncResult
from .hub import Feed
from .request import SyncRequest

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["Control", "SyncHandle", "WaitInsideCallback"]


class WaitInsideCallback(ProviderError, RuntimeError):
    """``wait`` was called by a callback, which would wait for itself."""

    kind = ErrorKind.INVALID_REQUEST


class Control(Protocol):
    """Who does what a handle asks for. Nothing here blocks."""

    def cancel(self, feed: Feed, /) -> None: ...

    def cancel_item(self, feed: Feed, item: ItemKey, /) -> None: ...

    def pause(self, feed: Feed, /) -> None: ...

    def resume(self, feed: Feed, /) -> None: ...


class SyncHandle:
    """One request on its way. Thread-safe; may be dropped at any time, the request goes on."""

    def __init__(self, run_id: int, request: SyncRequest, feed: Feed, control: Control) -> None:
        self.run_id = run_id
        """As in the events; requests that are shared have the same."""
        self.request = request
        self._feed = feed
        self._control = control

    def __repr__(self) -> str:
        status = self.result.status.value if self.result is not None else "running"
        return f"<SyncHandle {self.run_id} {status}>"

    @property
    def done_event(self) -> threading.Event:
        """Set when the request is over (MAPI: phSyncDoneEvent)."""
        return self._feed.done_event

    @property
    def done(self) -> bool:
        """True when the request is over."""
        return self._feed.result is not None

    @property
    def result(self) -> SyncResult | None:
        """How it ended; None until then."""
        return self._feed.result

    def cancel(self) -> None:
        """Ask to stop; returns at once, what is committed stays. A shared request goes on for its other handles."""
        self._control.cancel(self._feed)

    def cancel_item(self, account: AccountId, folder: str | None = None, *, outbox: bool = False) -> None:
        """Ask to stop one item: a folder, an account's outbox, or the account as a whole; the others go on.

        What ``CancelRequest.ITEM`` does from a callback. An item that is not part of this request changes nothing.
        """
        kind = ItemKind.OUTBOX if outbox else ItemKind.ACCOUNT if folder is None else ItemKind.FOLDER
        self._control.cancel_item(self._feed, (account, folder, kind))

    def pause(self) -> None:
        """Ask to wait at the next opportunity; connections stay open. A shared request waits when all handles ask."""
        self._control.pause(self._feed)

    def resume(self) -> None:
        """Go on after ``pause``."""
        self._control.resume(self._feed)

    def wait(self, timeout: float | None = None) -> SyncResult:
        """Return the result; wait for it at most *timeout* seconds.

        Raises TimeoutError when it is not over by then, WaitInsideCallback (a RuntimeError) within a callback.
        """
        if inside_callback():
            raise WaitInsideCallback("A callback cannot wait for a synchronization: it would hold up its own events.")
        self._feed.done_event.wait(timeout)
        if self._feed.result is None:
            raise TimeoutError("The synchronization was not over in time; it goes on.")
        return self._feed.result

    def __await__(self) -> Generator[Any, None, SyncResult]:
        return self._ended().__await__()

    @property
    def items(self) -> tuple[SyncProgress, ...]:
        """The latest step of each item that was heard of, in the order in which they came up."""
        return self._feed.items

    def listen(self, wake: Callable[[], None]) -> Backlog:
        """Return the events from the first one on, to be popped; *wake* is called when some come after it was empty.

        For threads; coroutines have ``events``. *wake* must not block.
        """
        return self._feed.listen(wake)

    def leave(self, backlog: Backlog) -> None:
        """Stop feeding what ``listen`` returned."""
        self._feed.leave(backlog)

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield the events from the first one on, and end after ``done``.

        A slow reader hears the latest progress of each item, not every step; leaving the loop harms nothing.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        backlog = self._feed.listen(lambda: _call_soon(loop, ready.set))
        try:
            while True:
                event = backlog.pop()
                if event is None:
                    await ready.wait()
                    ready.clear()
                    continue
                yield event
                if isinstance(event, SyncResult):
                    return
        finally:
            self._feed.leave(backlog)

    async def _ended(self) -> SyncResult:
        import asyncio

        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def wake() -> None:
            _call_soon(loop, ended.set)

        self._feed.when_done(wake)
        try:
            await ended.wait()
        finally:
            self._feed.forget(wake)
        assert self._feed.result is not None
        return self._feed.result


def _call_soon(loop: "AbstractEventLoop", call: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the loop was closed: nobody listens there any more
        loop.call_soon_threadsafe(call)
