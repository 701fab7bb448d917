"""The control socket of a process that synchronizes: lets others of the same user see and govern what runs there.

Rules: one server for a store, held by a lock that the system gives back with the process; the socket is the owner's
alone (0600), and whoever comes is asked of the system who he is; lines, clients and waits are bounded; a client that
leaves, hangs or lies costs nobody else anything, and the run that it began goes on.
"""

import logging
import os
import selectors
import socket
import stat
import struct
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from store.filelock import FileLock

from ...bridge import Bridge
from ...clock import Clock, SystemClock
from ...errors import Busy, InvalidRequest
from .answering import Answering
from .wire import control_path, encoded, refusal

if TYPE_CHECKING:
    from .desk import Desk
    from .handler_desk import LocalHandlers

__all__ = ["ControlServer", "peer_of"]

log = logging.getLogger(__name__)

CLIENTS_MAX = 16
CLOSE_SECONDS = 3.0
PAUSE_SECONDS = 0.2
"""After the system could not give us one more connection."""


class ControlServer:
    """Answers for *desk* on the control socket of *store*, from ``start`` to ``close``. A context manager.

    *refresh* is called before a run is started, to take up changed accounts. *uid*: whose processes are heard; ours.
    *handlers*: what is governed beside the desk; None: no handlers are.
    """

    def __init__(
        self,
        desk: "Desk",
        store: Path,
        *,
        refresh: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
        uid: int | None = None,
        handlers: "LocalHandlers | None" = None,
    ) -> None:
        self.path = control_path(store)
        self._beside = os.fspath(self.path.parent) == os.path.dirname(os.path.realpath(store))
        self._uid = os.geteuid() if uid is None else uid
        clock = clock if clock is not None else SystemClock()
        self._answering = Answering(desk, refresh=refresh, clock=clock, handlers=handlers)
        self._bridge = Bridge()
        self._places = threading.Semaphore(CLIENTS_MAX)
        self._closing = threading.Event()
        self._life = ExitStack()
        self._listener = self._life.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        self._woken, self._waking = map(self._life.enter_context, socket.socketpair())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Listen, in the place of whatever a dead process left there.

        Raises Busy when another process answers for this store, InvalidRequest when others could write where the
        socket would be, OSError.
        """
        try:
            if not self._beside:
                _own_room(self.path.parent)
            lock = FileLock(self.path.with_name(f"{self.path.name}.lock"))
            self._life.callback(lock.close)
            if not (lock.try_acquire() or lock.try_acquire()):
                raise Busy("Another process answers for this store already.")
            # Made aside and renamed: what has our name listens already, and never was open to others.
            aside = self.path.with_name(f"{self.path.name}.n")
            aside.unlink(missing_ok=True)
            self._listener.bind(os.fspath(aside))
            aside.chmod(0o600)
            self._listener.listen(CLIENTS_MAX)
            self._listener.setblocking(False)
            aside.replace(self.path)
        except BaseException:
            self._life.close()
            raise
        self._life.callback(self.path.unlink, missing_ok=True)
        self._bridge.spawn("control", self._accept)

    def close(self) -> None:
        """Cancel what clients wait for, tell them, and be gone: three seconds at most. A second call does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        with suppress(OSError):  # it could not start, and is closed already
            self._waking.send(b"!")
        self._answering.close()
        self._bridge.join(CLOSE_SECONDS)
        self._life.close()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            for watched in (self._listener, self._woken):
                selector.register(watched, selectors.EVENT_READ)
            while not self._closing.is_set():
                selector.select()
                try:
                    client, _ = self._listener.accept()
                except BlockingIOError:
                    continue  # it was the end, or the client has left again
                except OSError as error:
                    log.warning("A connection to the control socket could not be taken (%s).", error.strerror)
                    self._closing.wait(PAUSE_SECONDS)
                    continue
                self._welcome(client)

    def _welcome(self, client: socket.socket) -> None:
        uid = peer_of(client)[1]
        if uid is not None and uid != self._uid:
            log.warning("A process of another user (%d) was turned away from the control socket.", uid)
            client.close()
            return
        if not self._places.acquire(blocking=False):
            _turn_away(client)
            return
        try:
            self._bridge.spawn("client", partial(self._serve, client))
        except RuntimeError:
            self._places.release()
            _turn_away(client)

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                self._answering(client)
        finally:
            self._places.release()


def peer_of(connection: socket.socket) -> tuple[int | None, int | None]:
    """Return process and user at the other end, as the system knows them; None: this system does not tell.

    There the permissions of the socket's file are what keeps others out.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None, None
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return pid, uid


def _turn_away(client: socket.socket) -> None:
    with client, suppress(OSError):
        client.setblocking(False)
        client.sendall(encoded(refusal(Busy("Too many others talk to the daemon at this moment."))))


def _own_room(room: Path) -> None:
    """Make the directory *room* for this user alone, or see that it is one."""
    room.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = room.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) & 0o077:
        raise InvalidRequest(f"The directory {room} is not yours alone: the control socket cannot be there.")
