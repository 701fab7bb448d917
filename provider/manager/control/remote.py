"""A request on its way in the process of a daemon, as its asker holds it: what is told by the socket, heard here.

Events go to the callback as they do alone: off the reading thread, merged for who is slow, the end once and last.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from store.mail import AccountId

from ...backlog import Backlog
from ...bridge import Bridge
from ...callback import CancelRequest
from ...clock import SystemClock
from ...delivery import Delivery, inside_callback
from ...errors import ConnectionLost, ProviderError
from ...events import ResultStatus, SyncError, SyncProgress, SyncResult, from_json
from ...handle import WaitInsideCallback
from ...request import SyncRequest
from .wire import Lines, encoded, error_of

__all__ = ["DaemonGone", "RemoteHandle"]

SILENCE_SECONDS = 45.0
"""A daemon that says nothing for so long, not even that it is alive, is taken for gone."""
READ_OCTETS = 1 << 16


class DaemonGone(ConnectionLost):
    """The daemon ended, or does not answer any more; what it has done is in the store."""


class RemoteHandle:
    """A request on its way in the daemon (see ``desk.DeskHandle``). Dropped, or with its process gone, it goes on."""

    def __init__(
        self,
        connection: socket.socket,
        lines: Lines,
        came: list[dict[str, object]],
        run_id: int,
        request: SyncRequest,
    ) -> None:
        self.run_id = run_id
        self.request = request
        self.done_event = threading.Event()
        self._connection = connection
        self._lines = lines
        self._result: SyncResult | None = None
        self._gone: DaemonGone | None = None
        self.cancelled = False
        """True once ``cancel`` was asked for here."""
        self._lock = threading.Lock()
        self._journal = Backlog()
        self._backlogs: list[Backlog] = []
        self._items: dict[tuple[str, str | None, str], SyncProgress] = {}
        bridge = Bridge()
        if request.callback is not None:
            relay = _Relay(self, request.callback)
            delivery = Delivery(relay, deliver=request.deliver, clock=SystemClock(), answer=self._answer)
            backlog = self.listen(delivery.ready.set)
            bridge.spawn("delivery", lambda: delivery.run(backlog))
        bridge.spawn("daemon", lambda: self._read(came))

    @property
    def done(self) -> bool:
        """True when the request is over, or nobody is there any more who could tell."""
        return self.done_event.is_set()

    @property
    def result(self) -> SyncResult | None:
        """How it ended; None until then, and for ever when the daemon is gone."""
        return self._result

    @property
    def items(self) -> tuple[SyncProgress, ...]:
        """The latest step of each item that was heard of."""
        with self._lock:
            return tuple(self._items.values())

    def cancel(self) -> None:
        """Ask to stop; returns at once, what is committed stays."""
        self.cancelled = True
        self._say({"say": "cancel"})

    def cancel_item(self, account: AccountId, folder: str | None = None, *, outbox: bool = False) -> None:
        """Ask to stop one item; the others go on."""
        self._say({"say": "cancel-item", "account": account, "folder": folder, "outbox": outbox})

    def pause(self) -> None:
        """Ask to wait at the next opportunity."""
        self._say({"say": "pause"})

    def resume(self) -> None:
        """Go on after ``pause``."""
        self._say({"say": "resume"})

    def wait(self, timeout: float | None = None) -> SyncResult:
        """Return the result. Raises TimeoutError; DaemonGone when nobody is there any more who could tell."""
        if inside_callback():
            raise WaitInsideCallback("A callback cannot wait for a synchronization: it would hold up its own events.")
        if not self.done_event.wait(timeout):
            raise TimeoutError("The synchronization was not over in time; it goes on.")
        if self._result is None:
            raise self._gone or DaemonGone("The daemon ended.")
        return self._result

    def listen(self, wake: Callable[[], None]) -> Backlog:
        """Return the events from the first one on, to be popped; *wake* must not block."""
        with self._lock:
            backlog = self._journal.copy(wake)
            self._backlogs.append(backlog)
            return backlog

    def leave(self, backlog: Backlog) -> None:
        """Stop feeding what ``listen`` returned."""
        with self._lock:
            if backlog in self._backlogs:
                self._backlogs.remove(backlog)

    def _say(self, plain: dict[str, object]) -> None:
        with suppress(OSError):  # gone: the reading side hears it
            self._connection.sendall(encoded(plain))

    def _answer(self, event: SyncProgress, answer: CancelRequest) -> None:
        if answer is CancelRequest.ALL:
            self.cancel()
        else:
            self.cancel_item(event.account, event.folder, outbox=event.item.value == "outbox")

    def _read(self, came: list[dict[str, object]]) -> None:
        """Pass on what comes, up to the end."""
        try:
            with self._connection:
                self._connection.settimeout(SILENCE_SECONDS)
                while not any(map(self._hear, came)):
                    octets = self._connection.recv(READ_OCTETS)
                    if not octets:
                        raise DaemonGone("The daemon ended meanwhile.")
                    came = list(self._lines.feed(octets))
        except (OSError, ValueError, ProviderError) as error:
            self._gone = error if isinstance(error, DaemonGone) else DaemonGone("The daemon does not answer any more.")
            self.done_event.set()
            now = SystemClock().now()
            # Whoever listens must hear an end; nobody takes it for the run's.
            self._put(SyncResult(run_id=self.run_id, seq=1 << 62, at=now, started_at=now, status=ResultStatus.CANCELED))

    def _hear(self, plain: dict[str, object]) -> bool:
        """Take one line. True: it was the last."""
        match plain.get("type"):
            case "alive":
                return False
            case "closing":
                raise DaemonGone("The daemon was ended meanwhile.")
            case "refused":
                raise DaemonGone(str(error_of(plain)))
        event = from_json(plain)
        if isinstance(event, SyncResult):
            self._result = event
            self.done_event.set()
        self._put(event)
        return isinstance(event, SyncResult)

    def _put(self, event: SyncProgress | SyncError | SyncResult) -> None:
        with self._lock:
            if isinstance(event, SyncProgress):
                self._items[event.account, event.folder, event.item.value] = event
            self._journal.put(event)
            for backlog in self._backlogs:
                backlog.put(event)

    @property
    def gone(self) -> bool:
        """True when the daemon went away before the end."""
        return self._gone is not None


class _Relay:
    """Passes events on to a callback, but for the end that only says that the daemon is gone."""

    def __init__(self, handle: RemoteHandle, callback: object) -> None:
        self._handle = handle
        self._callback = callback

    def progress(self, progress: SyncProgress) -> object:
        method = getattr(self._callback, "progress", None)
        return None if method is None else method(progress)

    def error(self, error: SyncError) -> None:
        method = getattr(self._callback, "error", None)
        if method is not None:
            method(error)

    def done(self, result: SyncResult) -> None:
        method = getattr(self._callback, "done", None)
        if method is not None and not self._handle.gone:
            method(result)
