"""A TCP relay that counts, and that can delay, slice, stall, cut, reset and half-close.

Room: tests/servers. It counts twice. `flights` knows no commands: runs of client octets after server octets (the first
octets of the client count as one when the server spoke before). `waits` reads commands (`flights.py`): client octets
sent while none was outstanding; where commands overlap, only this is what the client waited for. Faults act at an exact
octet of one direction, so a test can name the place and replay it. One thread a direction; nothing here guesses at time
except `delay_seconds`.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import Enum
from types import TracebackType

from .flights import FlightMeter

__all__ = ["Fault", "Relay", "RelayCounts", "Way"]

HANG_GUARD_SECONDS = 5.0
_RECEIVE_OCTETS = 1 << 18


class Way(Enum):
    UP = "up"
    """From the client to the server."""
    DOWN = "down"
    """From the server to the client."""


class Fault(Enum):
    """What happens when the octet at `at` of direction `way` is due; octets before it have been delivered."""

    CUT = "cut"
    """Both sides are closed (FIN)."""
    RESET = "reset"
    """Both sides get a TCP reset."""
    STALL = "stall"
    """Nothing more is delivered in this direction until `release()` or the end."""
    HALF_CLOSE = "half close"
    """This direction ends (FIN); the other one goes on."""


@dataclass(slots=True)
class RelayCounts:
    connections: int = 0
    flights: int = 0
    """Runs of client octets after server octets."""
    waits: int = 0
    """Client octets sent while no command was outstanding; an upper bound (see `flights.py`)."""
    up: int = 0
    """Octets delivered to the server."""
    down: int = 0
    """Octets delivered to the client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    delay_seconds: float
    slice_octets: int | None
    fault: Fault | None
    way: Way
    at: int


class Relay:
    """Relays `host:port` (a free loopback port) to 127.0.0.1:*target_port*. A context manager.

    *round_trip_seconds* is added to each round trip, half each way. *slice_octets* delivers so many octets a send.
    *fault* strikes once, at octet *at* (from 0) of direction *way*, counted over the whole life of the relay from
    the last `arm()`; later connections run free of it.
    """

    def __init__(
        self,
        target_port: int,
        *,
        round_trip_seconds: float = 0.0,
        slice_octets: int | None = None,
        fault: Fault | None = None,
        way: Way = Way.DOWN,
        at: int = 0,
    ) -> None:
        self.host, self.port = "127.0.0.1", 0
        self.counts = RelayCounts()
        self.struck = threading.Event()
        """Set once the fault has happened."""
        self._target_port = target_port
        self._plan = _Plan(delay_seconds=round_trip_seconds / 2, slice_octets=slice_octets, fault=fault, way=way, at=at)
        self._base = {Way.UP: 0, Way.DOWN: 0}
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._sockets: list[socket.socket] = []
        self._meters: dict[socket.socket, FlightMeter] = {}
        """By the client's end."""
        self._threads: list[threading.Thread] = []

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> Relay:
        self._listener = socket.create_server((self.host, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept_all, self._listener)
        return self

    def stop(self) -> None:
        """Close everything; raises when a thread does not end."""
        self._released.set()
        if self._listener is not None:
            with contextlib.suppress(OSError):  # shutdown wakes accept(); macOS refuses it on a listener
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._threads[0].join(HANG_GUARD_SECONDS)  # no new connection may slip in behind the cut
        self.cut()
        for thread in self._threads:
            thread.join(HANG_GUARD_SECONDS)
        if hung := [thread.name for thread in self._threads if thread.is_alive()]:
            raise RuntimeError(f"these threads of the relay hang: {hung}")
        for sock in self._sockets:
            sock.close()

    def __enter__(self) -> Relay:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- what a test says -------------------------------------------------------------------------

    def cut(self) -> None:
        """End every connection now (FIN both ways)."""
        with self._lock:
            for sock in self._sockets:
                _shut(sock, socket.SHUT_RDWR)

    def arm(self, fault: Fault, *, way: Way = Way.DOWN, at: int = 0) -> None:
        """Plan another fault, at octet *at* counted from now."""
        with self._lock:
            self._plan = _Plan(
                delay_seconds=self._plan.delay_seconds,
                slice_octets=self._plan.slice_octets,
                fault=fault,
                way=way,
                at=at,
            )
            self._base = {Way.UP: self.counts.up, Way.DOWN: self.counts.down}
            self.struck.clear()
            self._released.clear()

    def release(self) -> None:
        """Let a stalled direction go on."""
        self._released.set()

    def wait_until_ended(self, timeout_seconds: float = HANG_GUARD_SECONDS) -> bool:
        """Wait until no connection is open, so that all counts are final; False: one still is."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            with self._lock:
                if not self._sockets:
                    return True
            time.sleep(0.005)
        return False

    def reset_counts(self) -> None:
        """Begin to count at zero; only between connections, since faults are placed by these counts."""
        with self._lock:
            self.counts = RelayCounts()
            self._base = {Way.UP: 0, Way.DOWN: 0}

    # -- threads ----------------------------------------------------------------------------------

    def _spawn(self, target: object, *arguments: object) -> None:
        name = f"relay-{len(self._threads)}"
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept_all(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # stop() closed the listener
            try:
                server = socket.create_connection((self.host, self._target_port), HANG_GUARD_SECONDS)
            except OSError:
                client.close()  # nobody home: the client sees a closed connection
                continue
            server.settimeout(None)
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.counts.connections += 1
                self._sockets += [client, server]
                self._meters[client] = FlightMeter()
            turn = _Turn(open_ways=2)
            self._spawn(self._pump, client, server, Way.UP, turn)
            self._spawn(self._pump, server, client, Way.DOWN, turn)

    def _pump(self, source: socket.socket, sink: socket.socket, way: Way, turn: _Turn) -> None:
        pipe = _DelayLine(self._plan.delay_seconds) if self._plan.delay_seconds else None
        if pipe is not None:
            self._spawn(self._drain, pipe, source, sink, way, turn)
        try:
            while octets := source.recv(_RECEIVE_OCTETS):
                with self._lock:
                    if way is Way.UP and turn.last is not Way.UP:
                        self.counts.flights += 1
                    turn.last = way
                    if way is Way.UP:
                        meter = self._meters[source]
                        before = meter.flights
                        meter.client(octets)
                        self.counts.waits += meter.flights - before
                if pipe is not None:
                    pipe.put(octets)
                elif not self._deliver(octets, source, sink, way):
                    return
        except OSError:
            return  # reset or shut by the other direction
        finally:
            if pipe is not None:
                pipe.put(b"")
            else:
                self._end_way(source, sink, turn)

    def _drain(self, pipe: _DelayLine, source: socket.socket, sink: socket.socket, way: Way, turn: _Turn) -> None:
        try:
            while octets := pipe.get():
                if not self._deliver(octets, source, sink, way):
                    return
        except OSError:
            return  # the receiver is gone; what is still on the line is lost, as on a real one
        finally:
            self._end_way(source, sink, turn)

    def _end_way(self, source: socket.socket, sink: socket.socket, turn: _Turn) -> None:
        """Pass the end on; who ends last gives the two descriptors back."""
        _shut(sink, socket.SHUT_WR)
        with self._lock:
            turn.open_ways -= 1
            if turn.open_ways == 0:
                for sock in (source, sink):
                    sock.close()
                    self._sockets.remove(sock)
                    self._meters.pop(sock, None)

    def _deliver(self, octets: bytes, source: socket.socket, sink: socket.socket, way: Way) -> bool:
        """Send *octets* on, up to the fault if it lies in them; False ends the direction."""
        with self._lock:
            plan = self._plan
            delivered = (self.counts.up if way is Way.UP else self.counts.down) - self._base[way]
            strikes = (
                plan.fault is not None
                and plan.way is way
                and not self.struck.is_set()
                and delivered <= plan.at < delivered + len(octets)
            )
        if not strikes:
            self._send(octets, sink, way)
            return True
        self._send(octets[: plan.at - delivered], sink, way)
        self.struck.set()
        match plan.fault:
            case Fault.STALL:
                self._released.wait()
                self._send(octets[plan.at - delivered :], sink, way)
                return True
            case Fault.HALF_CLOSE:
                _shut(sink, socket.SHUT_WR)
            case Fault.RESET:
                for sock in (source, sink):
                    _reset(sock)
            case Fault.CUT:
                for sock in (source, sink):
                    _shut(sock, socket.SHUT_RDWR)
        return False

    def _send(self, octets: bytes, sink: socket.socket, way: Way) -> None:
        step = self._plan.slice_octets or max(1, len(octets))
        for start in range(0, len(octets), step):
            piece = octets[start : start + step]
            if way is Way.DOWN:
                with self._lock:  # before the client can answer it
                    self._meters[sink].server(piece)
            sink.sendall(piece)
            with self._lock:
                if way is Way.UP:
                    self.counts.up += len(piece)
                else:
                    self.counts.down += len(piece)


@dataclass(slots=True)
class _Turn:
    """Who spoke last on a connection, and how many of its directions still run."""

    open_ways: int
    last: Way | None = None


class _DelayLine:
    """Octets come out in order, each as long after it went in as the line is long."""

    def __init__(self, delay_seconds: float) -> None:
        self._delay_seconds = delay_seconds
        self._items: deque[tuple[float, bytes]] = deque()
        self._filled = threading.Condition()

    def put(self, octets: bytes) -> None:
        with self._filled:
            self._items.append((time.monotonic() + self._delay_seconds, octets))
            self._filled.notify()

    def get(self) -> bytes:
        with self._filled:
            self._filled.wait_for(lambda: self._items)
            due, octets = self._items.popleft()
        if (wait := due - time.monotonic()) > 0:
            time.sleep(wait)
        return octets


def _shut(sock: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # already closed by the other side
        sock.shutdown(how)


def _reset(sock: socket.socket) -> None:
    """Send RST: linger zero, then close. A thread that still reads would hold the socket: SHUT_RD wakes it."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RD)
    sock.close()
