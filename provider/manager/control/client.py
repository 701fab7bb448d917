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
from typing import TypeVar

from store.mail import AccountId

from ...clock import SystemClock
from ...errors import ErrorKind, ProviderError
from ...owner import process_is_gone
from ...request import SyncRequest
from ..surroundings.online import LinkState
from .desk import Underway
from .remote import DaemonGone, RemoteHandle
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

__all__ = ["DaemonGone", "RemoteDesk", "RemoteHandle", "asked", "daemon_of"]

_T = TypeVar("_T")
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0
LOOK_SECONDS = 0.05
READ_OCTETS = 1 << 16

_STRANGE = {ErrorKind.WRONG_PROTOCOL, ErrorKind.PROTOCOL, ErrorKind.LIMIT, ErrorKind.TIMED_OUT, ErrorKind.CLOSED}
"""What only two who do not understand each other say, or one who is about to end: then it is as good as gone."""
_NOBODY = {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR}


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

        def understood(said: dict[str, object]) -> tuple[Underway, ...]:
            runs = said["runs"]
            return tuple(map(underway_of, runs if isinstance(runs, list) else ()))

        return self._ask(understood, "running")

    def start(
        self,
        request: SyncRequest = SyncRequest(),  # noqa: B008
        *,
        send: bool = True,
        receive: bool = True,
        group: str | None = None,
    ) -> "RemoteHandle":
        """Let the daemon send and receive; ``request.callback`` is called here, ``request.resolver`` does not count."""
        wanted = {"request": request_facts(request), "send": send, "receive": receive, "group": group}
        with self.connected() as (connection, lines):
            began, rest = asked(connection, lines, {"ask": "start", **wanted})
            run_id = integer_in(began, "run_id")
            return RemoteHandle(connection.dup(), lines, rest, run_id, request)

    def cancel(self, run_id: int) -> bool:
        """Ask a run to stop."""
        return self._found("cancel", run_id=run_id)

    def cancel_item(self, run_id: int, account: AccountId, folder: str | None = None, *, outbox: bool = False) -> bool:
        """Ask one item of a run to stop; the others go on."""
        return self._found("cancel-item", run_id=run_id, account=account, folder=folder, outbox=outbox)

    def pause(self, run_id: int | None = None) -> bool:
        """Let a run wait; without a number: let nothing start by itself until ``resume``."""
        return self._found("pause", run_id=run_id)

    def resume(self, run_id: int | None = None) -> bool:
        """Take ``pause`` back."""
        return self._found("resume", run_id=run_id)

    def link(self) -> LinkState:
        """Return whether what starts by itself works online."""
        return self._ask(lambda said: LinkState[str(said["state"])], "link")

    def set_link(self, new: LinkState) -> None:
        """Go online or offline, and wait ten seconds at most for the end. Raises Busy while another change goes on."""
        self._ask(lambda said: said["state"], "set-link", state=new.name)

    def wait_gone(self, timeout: float) -> None:
        """Wait at most *timeout* seconds until the process that answered is over: then it holds no account any more."""
        deadline = SystemClock().monotonic() + timeout
        pause = threading.Event()
        while self.pid is not None and not process_is_gone(self.pid) and SystemClock().monotonic() < deadline:
            pause.wait(LOOK_SECONDS)

    def ask(self, what: str, **facts: object) -> dict[str, object]:
        """Ask a question that has an answer of one line."""
        return self._ask(dict, what, **facts)

    def _found(self, what: str, **facts: object) -> bool:
        return self._ask(lambda said: said["found"] is True, what, **facts)

    def _ask(self, understood: Callable[[dict[str, object]], _T], what: str, **facts: object) -> _T:
        """Ask, and return what *understood* makes of the answer: what it cannot is no answer."""
        with self.connected() as (connection, lines):
            return understood(asked(connection, lines, {"ask": what, **facts})[0])

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
            except _Refused as refused:
                raise refused.error from None
            except DaemonGone:
                raise
            except (OSError, ValueError, KeyError, ProviderError) as error:
                raise DaemonGone("The daemon ended, or does not answer any more.") from error


def asked(
    connection: socket.socket, lines: Lines, question: dict[str, object]
) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Ask; return the first line of the answer, and those that came with it. Raises _Refused, OSError and more."""
    connection.settimeout(ANSWER_SECONDS)
    with suppress(BrokenPipeError):  # turned away before it was asked: the reason waits to be read
        connection.sendall(encoded({"maildock": PROTOCOL, **question}))
    while octets := connection.recv(READ_OCTETS):
        came = list(lines.feed(octets))
        if came:
            if came[0].get("type") == "refused":
                raise _Refused(error_of(came[0]))
            return came[0], came[1:]
    raise DaemonGone("The daemon ended, or does not answer any more.")


class _Refused(Exception):
    """The daemon answered, and said no."""

    def __init__(self, error: ProviderError) -> None:
        super().__init__(str(error))
        self.error = DaemonGone(str(error)) if error.kind in _STRANGE else error
