"""From a host's name to a connected socket: look up, try every address, give up in time or when cancelled.

Nothing here waits longer than ``TICK_SECONDS`` without looking at the ``Stop`` and at the deadline. A name look-up
cannot be interrupted, so it runs in a daemon thread that is left behind when nobody wants its answer any more.
"""

import errno
import os
import queue
import selectors
import socket
import threading
import time
from ipaddress import ip_address

from .cancel import Stop
from .errors import ErrorKind, SourceError, TimedOut, Unreachable
from .sources.base import Listener

__all__ = ["READ", "TICK_SECONDS", "WRITE", "Countdown", "dial", "wait_ready"]

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

TICK_SECONDS = 0.2
"""Longest sleep in one piece: below the 250 ms in which a cancellation must be seen."""

ADDRESSES_MAX = 16
"""Addresses of one name that are tried: a name server may answer with thousands."""

_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""poll where it exists: select cannot watch descriptors beyond 1,023."""

Address = tuple[socket.AddressFamily, socket.SocketKind, int, tuple[object, ...]]


def wait_ready(sock: socket.socket, event: int, seconds: float) -> bool:
    """Wait until *sock* can be read (or written); return False when *seconds* passed first."""
    with _Selector() as selector:
        selector.register(sock, event)
        return bool(selector.select(seconds))


class Countdown:
    """A total deadline that a pause does not use up."""

    def __init__(self, stop: Stop, seconds: float | None = None) -> None:
        self._stop = stop
        self.restart(seconds)

    def restart(self, seconds: float | None) -> None:
        """Give *seconds* from now on; None: no deadline."""
        self._seconds = seconds
        self._until = None if seconds is None else time.monotonic() + seconds

    def rest(self) -> float | None:
        """Return the seconds left. Waits while paused; raises Cancelled when stopped, TimedOut when nothing is left."""
        before = time.monotonic()
        self._stop.checkpoint()
        if self._until is None:
            return None
        now = time.monotonic()
        self._until += now - before
        if now >= self._until:
            raise TimedOut(f"The server took longer than {self._seconds:g} seconds to answer.")
        return self._until - now

    def tick(self) -> float:
        """Return how long to sleep before looking again. Raises as ``rest`` does."""
        rest = self.rest()
        return TICK_SECONDS if rest is None else min(TICK_SECONDS, rest)


def dial(
    host: str, port: int, *, countdown: Countdown, listener: Listener, loopback_only: bool = False
) -> socket.socket:
    """Return a socket connected to the first address of *host* that answers; each gets its share of the time.

    *loopback_only*: no other address is tried, whatever the name resolves to. Raises Unreachable (kinds
    UNRESOLVED_HOST, CONNECTION_REFUSED, UNREACHABLE), TimedOut, Cancelled.
    """
    addresses = _resolve(host, port, countdown, listener)
    if loopback_only:
        addresses = [address for address in addresses if ip_address(str(address[3][0])).is_loopback]
    if not addresses:
        raise Unreachable(f"The host name {host} has no address that may be used.", kind=ErrorKind.UNRESOLVED_HOST)
    faults: list[OSError] = []
    for index, address in enumerate(addresses):
        rest = countdown.rest()
        share = None if rest is None else rest / (len(addresses) - index)
        try:
            return _connect(address, share, countdown, listener)
        except SourceError:
            raise
        except OSError as error:
            faults.append(error)
    raise _fault(host, port, faults) from faults[-1]


def _resolve(host: str, port: int, countdown: Countdown, listener: Listener) -> list[Address]:
    answers: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as error:  # handed over: gaierror, or UnicodeError and ValueError for names that are none
            answers.put(error)
        else:
            answers.put([(family, kind, number, place) for family, kind, number, _, place in found])

    threading.Thread(target=look_up, name="maildock-resolve", daemon=True).start()
    since = time.monotonic()
    while True:
        try:
            answer = answers.get(timeout=countdown.tick())
            break
        except queue.Empty:
            listener.waiting(time.monotonic() - since)
    if isinstance(answer, Exception):
        raise Unreachable(
            f"There is no host called {host}, or no name server could be asked; check the name and the network.",
            kind=ErrorKind.UNRESOLVED_HOST,
        ) from answer
    return answer[:ADDRESSES_MAX]


def _connect(address: Address, share: float | None, countdown: Countdown, listener: Listener) -> socket.socket:
    """Connect within *share* seconds; raises OSError as the system calls do, and what ``countdown`` raises."""
    family, kind, number, place = address
    sock = socket.socket(family, kind, number)
    try:
        sock.setblocking(False)
        code = sock.connect_ex(place)
        since = time.monotonic()
        while code == errno.EINPROGRESS:
            if wait_ready(sock, WRITE, countdown.tick()):
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                break
            waited = time.monotonic() - since
            listener.waiting(waited)
            if share is not None and waited >= share:
                code = errno.ETIMEDOUT
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock


def _fault(host: str, port: int, faults: list[OSError]) -> SourceError:
    """Return the error that says most: a refusal proves that the host is there."""
    if any(isinstance(fault, ConnectionRefusedError) for fault in faults):
        return Unreachable(
            f"{host} refuses connections on port {port}; check the port, and whether the server runs.",
            kind=ErrorKind.CONNECTION_REFUSED,
        )
    if any(isinstance(fault, TimeoutError) for fault in faults):
        return TimedOut(f"{host} did not answer on port {port} in time.")
    return Unreachable(f"There is no way to {host} ({faults[-1].strerror}); check the network.")
