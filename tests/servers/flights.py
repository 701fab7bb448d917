"""Counts flights by their definition: client octets sent while no command is outstanding.

Room: tests/servers. Pure: it is told what passes in each direction, in order, in pieces of any size. LOGIN and LOGOUT
count, TCP and TLS do not. The answer to a continuation request ("+") counts too, since the client had to wait for it.
A literal is skipped by its length, so nothing in a message looks like an answer. COMPRESS is followed (RFC 4978);
behind STARTTLS, or where TLS begins at once, nothing can be read any more. RFC 9051 §2.2, §4.3, §7.

An observer between client and server knows what was handed to the client, not what it has read: a client that asks
ahead while the end of an earlier answer lies in its buffers is counted once too often, never once too little.
"""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

__all__ = ["FlightMeter"]

HEAD_OCTETS = 120
"""What is kept of a line's beginning: the tag and the command's name."""
TAIL_OCTETS = 24
"""What is kept of a line's end: the announcement of a literal."""
OUTSTANDING_MAX = 10_000
"""So many tags are remembered. Who sends more without waiting is counted as if the oldest were answered."""

_LITERAL = re.compile(rb"\{([0-9]{1,10})[+-]?\}\r?\n\Z")
_STATUS = re.compile(rb"\* *(?:OK|NO|BAD|BYE|PREAUTH)\b", re.IGNORECASE)
_CONVERSATIONS = frozenset({b"AUTHENTICATE", b"IDLE"})
"""Commands whose further lines are answers, no commands."""
_TLS_HANDSHAKE = 0x16


class FlightMeter:
    """Watches one connection. ``flights`` rises when a piece begins one; ``opaque``: nothing can be read any more."""

    def __init__(self) -> None:
        self.flights = 0
        self.opaque = False
        self._outstanding: dict[bytes, bytes] = {}
        """Names of commands by tag."""
        self._current = b""
        """The tag of the command whose last line has not come."""
        self._asked = self._answering = False
        self._up, self._down = _Lines(), _Lines()
        self._inflate_up: zlib._Decompress | None = None
        self._inflate_down: zlib._Decompress | None = None

    @property
    def outstanding(self) -> int:
        """Commands that the client sent, or has begun to send, and that are not completed."""
        return len(self._outstanding)

    def client(self, octets: bytes) -> None:
        """Hear what the client sends."""
        if self.opaque or not octets:
            return
        if not self.flights and octets[0] == _TLS_HANDSHAKE:
            self.opaque = True
            return
        if self._asked or not (self._outstanding or self._up.inside):
            self.flights += 1
        if self._asked:
            self._asked, self._answering = False, True
        self._up.put(self._inflated(self._inflate_up, octets))
        while (line := self._up.next()) is not None:
            self._client_line(line)

    def server(self, octets: bytes) -> None:
        """Hear what the server sends."""
        if self.opaque:
            return
        self._down.put(self._inflated(self._inflate_down, octets))
        while not self.opaque and (line := self._down.next()) is not None:
            self._server_line(line)

    def _inflated(self, stream: zlib._Decompress | None, octets: bytes) -> bytes:
        if stream is None:
            return octets
        try:
            return stream.decompress(octets)
        except zlib.error:
            self.opaque = True
            return b""

    def _client_line(self, line: _Line) -> None:
        answered, self._answering = self._answering, False
        conversation = not _CONVERSATIONS.isdisjoint(self._outstanding.values())
        if line.first and not (answered and conversation):
            self._begin(line.head)
        if not self._up.skip_literal(line):
            self._current = b""

    def _begin(self, head: bytes) -> None:
        tag, _, rest = head.strip().partition(b" ")
        if tag:
            if len(self._outstanding) >= OUTSTANDING_MAX:
                del self._outstanding[next(iter(self._outstanding))]
            self._current = tag
            self._outstanding[tag] = rest.partition(b" ")[0].upper()

    def _server_line(self, line: _Line) -> None:
        if line.first and line.head.startswith(b"+"):
            self._asked = True
        elif line.first and not line.head.startswith(b"*"):
            self._complete(line.head)
        elif not (line.first and _STATUS.match(line.head)):  # text for people may end like a literal
            self._down.skip_literal(line)

    def _complete(self, head: bytes) -> None:
        tag, _, rest = head.partition(b" ")
        name = self._outstanding.pop(tag, None)
        if name is None:
            return
        if tag == self._current:  # refused in the middle: the literal that was announced will not come
            self._current = b""
            self._up.begin_anew()
        accepted = rest[:2].upper() == b"OK"
        if accepted and name == b"STARTTLS":
            self.opaque = True
        elif accepted and name == b"COMPRESS":
            self._inflate_up = zlib.decompressobj(-zlib.MAX_WBITS)
            self._inflate_down = zlib.decompressobj(-zlib.MAX_WBITS)
            self._down.put(self._inflated(self._inflate_down, self._down.rest()))


class _Line(NamedTuple):
    """Both ends of a line, or of the part of one behind a literal (then it is not the *first*)."""

    head: bytes
    tail: bytes
    first: bool


class _Lines:
    """Cuts one direction into lines. Holds the piece it was given last and both ends of the line that is under way."""

    def __init__(self) -> None:
        self._octets, self._at = b"", 0
        self._head, self._tail = b"", b""
        self._first, self._skip = True, 0

    @property
    def inside(self) -> bool:
        """Whether a line has begun that has not ended."""
        return bool(self._head or self._skip or not self._first)

    def put(self, octets: bytes) -> None:
        """Go on with *octets*; what was put before must have been read."""
        self._octets, self._at = octets, 0

    def next(self) -> _Line | None:
        """Return the next line that ends in the octets at hand."""
        octets, size = self._octets, len(self._octets)
        skipped = min(self._skip, size - self._at)
        self._skip, self._at = self._skip - skipped, self._at + skipped
        if self._at == size:
            return None
        start, end = self._at, octets.find(b"\n", self._at) + 1
        self._at = stop = end or size
        self._head += octets[start : min(stop, start + HEAD_OCTETS - len(self._head))]
        self._tail = (self._tail + octets[max(start, stop - TAIL_OCTETS) : stop])[-TAIL_OCTETS:]
        if not end:
            return None
        line = _Line(self._head, self._tail, self._first)
        self.begin_anew()
        return line

    def skip_literal(self, line: _Line) -> bool:
        """Pass over the literal that *line* announces at its end; False: it announces none."""
        announced = _LITERAL.search(line.tail)
        if announced is None:
            return False
        self._first, self._skip = False, int(announced[1])
        return True

    def begin_anew(self) -> None:
        """What comes next begins a line."""
        self._head, self._tail, self._first, self._skip = b"", b"", True, 0

    def rest(self) -> bytes:
        """Return what was not read yet, and forget it."""
        rest, self._octets, self._at = self._octets[self._at :], b"", 0
        return rest
