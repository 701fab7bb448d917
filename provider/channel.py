"""One stream to a server: capped lines, total deadlines, a quick end when somebody cancels, and counts of octets.

Rules of the room:

- One thread owns a channel. Only ``abort`` may be called from another one.
- Nothing here waits longer than ``TICK_SECONDS`` without looking at the ``Stop`` and at the deadline.
- A deadline is total: a server that dribbles one octet a second does not restart it.
- After any error of ``provider.errors`` the channel is good for nothing but ``close``: a late answer would be taken
  for the answer to the next command.

The socket never blocks: a read that finds octets costs one system call, and TLS and plain streams wait in one place.
"""

import io
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from .cancel import Stop
from .dial import READ, WRITE, Countdown, wait_ready
from .errors import ConnectionLost, ErrorKind, LimitExceeded, SourceError, TlsRefused
from .limits import Limits
from .sources.base import Listener, Notice
from .tls import not_spoken, refusal

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Channel", "Deaf"]

T = TypeVar("T")

BUFFER_OCTETS = 256 * 1024

TLS_RECORDS = (0x15, 0x16)
"""First octet of a TLS answer: an alert or a handshake record (RFC 8446 §5.1)."""


class _Raw(io.RawIOBase):
    """What ``BufferedReader`` reads from: the channel's own ``_receive``."""

    def __init__(self, receive: "Callable[[WriteableBuffer], int | None]") -> None:
        self._receive = receive

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        return self._receive(buffer)


class Deaf:
    """A listener where nobody draws what comes in: submission tells its progress otherwise."""

    def received(self, octets: int) -> None:
        """Hear nothing."""

    def waiting(self, seconds: float) -> None:
        """Hear nothing."""

    def notice(self, notice: Notice) -> None:
        """Hear nothing."""


class Channel:
    """A connected TCP socket, TLS socket or socketpair end, which it owns from now on.

    Raises Cancelled at once (and closes the socket) when *stop* was stopped already. ``reader`` is the buffered reader
    itself, for hot paths; it raises what ``read`` raises, and is another one after ``start_tls``.
    """

    def __init__(self, sock: socket.socket, *, stop: Stop, listener: Listener, limits: Limits) -> None:
        self._sock = sock
        self._stop = stop
        self._listener = listener
        self._limits = limits
        self._lock = threading.Lock()
        self._countdown = Countdown(stop)
        self._looking = False
        self._hasty = False
        self._answered = False
        self._exit = ExitStack()
        self.secure = isinstance(sock, ssl.SSLSocket)
        self.received_octets = 0
        """Octets received, without the overhead of TLS."""
        self.sent_octets = 0
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.reader = io.BufferedReader(_Raw(self._receive), BUFFER_OCTETS)
        try:
            self._exit.enter_context(stop.waking(self.abort))
        except BaseException:
            self.close()
            raise

    def local_host(self) -> str:
        """Return the address that this end of the connection has; empty where it has none."""
        try:
            name = self._sock.getsockname()
        except OSError:
            return ""
        return str(name[0]).partition("%")[0] if isinstance(name, tuple) else ""

    def deadline(self, seconds: float | None) -> None:
        """Give all that follows *seconds* in total; None: no deadline. The time of a pause does not count."""
        self._countdown.restart(seconds)

    def send(self, octets: bytes) -> None:
        """Send all of *octets*. Raises ConnectionLost, TimedOut or Cancelled, also while the peer does not read."""
        rest = memoryview(octets)
        while rest:
            count = self._transfer(WRITE, partial(self._sock.send, rest))
            self.sent_octets += count
            rest = rest[count:]

    def offer(self, octets: bytes) -> int:
        """Send what goes without waiting, and return how many octets that were; the same rest is to be offered again.

        Raises ConnectionLost, Cancelled.
        """
        try:
            count = self._sock.send(octets)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError as error:
            self._stop.checkpoint()
            raise _broken(error) from error
        self.sent_octets += count
        return count

    def fileno(self) -> int:
        """Return the socket's descriptor, for a selector; -1 once it is closed."""
        return self._sock.fileno()

    def readline(self) -> bytes:
        """Return one line, up to and with its LF.

        Raises LimitExceeded beyond ``limits.line_octets``, ConnectionLost at the end of the stream (in the middle of a
        line too), TimedOut, Cancelled.
        """
        line = self.reader.readline(self._limits.line_octets + 1)
        if len(line) > self._limits.line_octets:
            raise LimitExceeded(f"The server sent a line of more than {self._limits.line_octets:,} octets.")
        return line

    def read(self, count: int) -> bytes:
        """Return exactly *count* octets; the caller keeps *count* small (256 kB). Raises as ``readline`` does."""
        return self.reader.read(count)

    def buffered(self) -> int:
        """Return how many octets were received, but not yet read."""
        self._looking = True
        try:
            count = len(self.reader.peek())
        finally:
            self._looking = False
        return count + (self._sock.pending() if isinstance(self._sock, ssl.SSLSocket) else 0)

    def arrived(self) -> bool:
        """Return whether there is something to read, without waiting for it. Raises ConnectionLost at the end."""
        self._hasty = True
        try:
            return bool(self.reader.peek())
        finally:
            self._hasty = False

    def start_tls(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """Go on under TLS, with the server's certificate and name checked by *context*.

        Raises TlsRefused, each reason with its kind; STARTTLS_INJECTION when octets came before the handshake, which
        somebody in between wants us to take for protected ones (CVE-2021-29969 and its family).
        """
        if self.buffered():
            raise TlsRefused(
                "The server sent more before TLS began: somebody may be between us and it.",
                kind=ErrorKind.STARTTLS_INJECTION,
            )
        try:
            # Both would be found out by wrap_socket too, but then it loses the socket unclosed (CPython 3.11).
            server_hostname.encode("idna")
            self._sock.getpeername()
            secured = context.wrap_socket(self._sock, server_hostname=server_hostname, do_handshake_on_connect=False)
            with self._lock:
                self._sock = secured
            self._wait_for(READ, partial(self._handshake, secured))
        except SourceError:
            raise
        except (OSError, ValueError) as error:  # ValueError: a host that cannot be a name in a certificate
            self._stop.checkpoint()
            raise refusal(error, server_hostname) from error
        self.reader = io.BufferedReader(_Raw(self._receive), BUFFER_OCTETS)
        self.secure = True

    def abort(self) -> None:
        """Shut the stream down, which wakes whoever waits for it. From any thread; OSError when it is closed."""
        with self._lock:
            # Not SSLSocket.shutdown: that forgets TLS, and the owner would go on reading in plain text.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def discard(self) -> None:
        """Close the socket, and throw away what of our octets has not left this computer yet."""
        with self._lock, suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the socket; never raises, may be called twice."""
        self._exit.close()
        with self._lock, suppress(OSError):
            self._sock.close()
        # The reader is in a circle with us: its quarter of a megabyte would stay until the collector comes by.
        self.reader = io.BufferedReader(_Raw(self._receive), 1)

    def _handshake(self, secured: ssl.SSLSocket) -> None:
        """Do what can be done of the handshake without waiting."""
        if not self._answered:
            # Looked at before OpenSSL consumes it: what that says about plain text differs from version to version.
            # An answer that comes while the first octets still go out is consumed at once; then its reason decides.
            opening = socket.socket.recv(secured, 64, socket.MSG_PEEK) if wait_ready(secured, READ, 0) else b""
            if opening and opening[0] not in TLS_RECORDS:
                raise not_spoken(opening)
            self._answered = bool(opening)
        secured.do_handshake()

    def _receive(self, buffer: "WriteableBuffer") -> int | None:
        if self._hasty:
            try:
                count = self._sock.recv_into(buffer)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None
            except OSError as error:
                self._stop.checkpoint()
                raise _broken(error) from error
        elif self._looking:
            return None
        else:
            count = self._transfer(READ, partial(self._sock.recv_into, buffer))
        if not count:
            self._stop.checkpoint()
            raise ConnectionLost("The server closed the connection.")
        self.received_octets += count
        self._listener.received(count)
        return count

    def _transfer(self, event: int, operation: Callable[[], int]) -> int:
        try:
            return self._wait_for(event, operation)
        except SourceError:
            raise
        except OSError as error:
            self._stop.checkpoint()
            raise _broken(error) from error

    def _wait_for(self, event: int, operation: Callable[[], T]) -> T:
        """Repeat *operation* until it does not ask to wait any more. Raises what it raises, TimedOut, Cancelled."""
        since = time.monotonic()
        while True:
            tick = self._countdown.tick()
            try:
                return operation()
            except BlockingIOError:
                wanted = event
            except ssl.SSLWantReadError:
                wanted = READ
            except ssl.SSLWantWriteError:
                wanted = WRITE
            if not wait_ready(self._sock, wanted, tick):
                self._listener.waiting(time.monotonic() - since)


def _broken(error: OSError) -> ConnectionLost:
    return ConnectionLost(f"The connection broke: {error.strerror or type(error).__name__}.")
