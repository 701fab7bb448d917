"""The desk of another process, by its control socket: what a command beside a daemon uses.

Whatever goes wrong on the way is ``DaemonGone``: who meets it may look again for the daemon, and do its work alone
when there is none. Two synchronizations of one account are excluded by the store, not here.
"""

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from store.mail import AccountId

from ..backlog import Backlog
from ..bridge import Bridge
from ..callback import CancelRequest
from ..clock import SystemClock
from ..delivery import Delivery, inside_callback
from ..errors import ConnectionLost, ProviderError
from ..events import ResultStatus, SyncError, SyncProgress, SyncResult, from_json
from ..handle import WaitInsideCallback
from ..owner import process_is_gone
from ..request import SyncRequest
from .desk import Underway
from .online import LinkState
from .server import peer_of
from .wire import (
    ANSWER_OCTETS_MAX,
    PROTOCOL,
    Lines,
    control_path,
    encoded,
    error_of,
    integer_in,
    request_facts,
    underway_of,
)

__all__ = ["DaemonGone", "RemoteDesk", "RemoteHandle", "daemon_of"]

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0
SILENCE_SECONDS = 45.0
"""A daemon that says nothing for so long, not even that it is alive, is taken for gone."""
LOOK_SECONDS = 0.05
READ_OCTETS = 1 << 16

_NOBODY = {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR}


class DaemonGone(ConnectionLost):
    """The daemon ended, or does not answer any more; what it has done is in the store."""


def daemon_of(store: Path) -> "RemoteDesk | None":
    """Return the desk of the process that answers for *store*; None: there is none.

    Raises DaemonGone when something is there that does not take us, or is not ours.
    """
    if not hasattr(socket, "AF_UNIX"):
        return None
    desk = RemoteDesk(control_path(store))
    try:
        with desk.connected() as (connection, _):
            desk.pid = peer_of(connection)[0]
    except FileNotFoundError:
        return None
    return desk


class RemoteDesk:
    """A desk (see ``desk.Desk``) behind the socket *path*; a connection for each question. Thread-safe.

    Every method raises DaemonGone, and what the daemon refused.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pid: int | None = None
        """The process that answers, where the system tells."""

    def running(self) -> tuple[Underway, ...]:
        """Return every request that is not over, oldest first."""
        runs = self._ask("running")["runs"]
        return tuple(map(underway_of, runs if isinstance(runs, list) else ()))

    def start(
        self,
        request: SyncRequest = SyncRequest(),  # noqa: B008
        *,
        send: bool = True,
        receive: bool = True,
        group: str | None = None,
    ) -> "RemoteHandle":
        """Let the daemon send and receive; ``request.callback`` is called here, ``request.resolver`` does not count."""
        asked = {"request": request_facts(request), "send": send, "receive": receive, "group": group}
        with self.connected() as (connection, lines):
            began, rest = _told(connection, lines, {"ask": "start", **asked})
            return RemoteHandle(connection.dup(), lines, rest, integer_in(began, "run_id"), request)

    def cancel(self, run_id: int) -> bool:
        """Ask a run to stop."""
        return self._ask("cancel", run_id=run_id)["found"] is True

    def cancel_item(self, run_id: int, account: AccountId, folder: str | None = None, *, outbox: bool = False) -> bool:
        """Ask one item of a run to stop; the others go on."""
        said = self._ask("cancel-item", run_id=run_id, account=account, folder=folder, outbox=outbox)
        return said["found"] is True

    def pause(self, run_id: int | None = None) -> bool:
        """Let a run wait; without a number: let nothing start by itself until ``resume``."""
        return self._ask("pause", run_id=run_id)["found"] is True

    def resume(self, run_id: int | None = None) -> bool:
        """Take ``pause`` back."""
        return self._ask("resume", run_id=run_id)["found"] is True

    def link(self) -> LinkState:
        """Return whether what starts by itself works online."""
        return LinkState[str(self._ask("link")["state"])]

    def set_link(self, new: LinkState) -> None:
        """Go online or offline, and wait ten seconds at most for the end. Raises Busy while another change goes on."""
        self._ask("set-link", state=new.name)

    def wait_gone(self, timeout: float) -> None:
        """Wait at most *timeout* seconds until the process that answered is over: then it holds no account any more."""
        deadline = SystemClock().monotonic() + timeout
        pause = threading.Event()
        while self.pid is not None and not process_is_gone(self.pid) and SystemClock().monotonic() < deadline:
            pause.wait(LOOK_SECONDS)

    def _ask(self, what: str, **facts: object) -> dict[str, object]:
        with self.connected() as (connection, lines):
            return _told(connection, lines, {"ask": what, **facts})[0]

    @contextmanager
    def connected(self) -> Iterator[tuple[socket.socket, Lines]]:
        """Open a connection to a process of this user. Raises FileNotFoundError when nobody is there, DaemonGone."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CONNECT_SECONDS)
            try:
                connection.connect(os.fspath(self.path))
            except OSError as error:
                if error.errno in _NOBODY:
                    raise FileNotFoundError(errno.ENOENT, "No daemon answers.") from None
                raise DaemonGone("The daemon does not answer.") from error
            if peer_of(connection)[1] not in (None, os.geteuid()):
                raise DaemonGone("Another user's process has the place of the daemon; it is not talked to.")
            try:
                yield connection, Lines(ANSWER_OCTETS_MAX)
            except (OSError, ValueError, KeyError) as error:
                if isinstance(error, ProviderError):
                    raise
                raise DaemonGone("The daemon ended, or does not answer any more.") from error


def _told(
    connection: socket.socket, lines: Lines, asked: dict[str, object]
) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Ask; return the first line of the answer, and those that came with it. Raises what was refused, and OSError."""
    connection.settimeout(ANSWER_SECONDS)
    with suppress(BrokenPipeError):  # turned away before it was asked: the reason waits to be read
        connection.sendall(encoded({"maildock": PROTOCOL, **asked}))
    while octets := connection.recv(READ_OCTETS):
        came = list(lines.feed(octets))
        if came:
            if came[0].get("type") == "refused":
                raise error_of(came[0])
            return came[0], came[1:]
    raise DaemonGone("The daemon ended, or does not answer any more.")


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
