"""Our commands as octets: what is ours is trusted, what came from outside is quoted, counted or refused.

Room: sources/imap. Pure. Rules: NUL, CR and LF never leave this file inside an argument; a string is quoted where it
can be, else sent as a literal; ``{n+}`` only where LITERAL+ or LITERAL- was announced (RFC 7888). Commands are built,
and refused, before anything is sent.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from ...errors import InvalidRequest

__all__ = ["Command", "LiteralStyle", "Streamed", "String", "waits"]

_FORBIDDEN = re.compile(rb"[\0\r\n]")
_QUOTABLE = re.compile(rb"[\x20-\x7e]*\Z")
_LITERAL_MINUS_OCTETS = 4096


class LiteralStyle(Enum):
    """How a server takes literals."""

    WAITING = "waiting"
    """It says ``+`` first (RFC 9051 §4.3)."""
    SMALL = "small"
    """LITERAL-: up to 4,096 octets without waiting."""
    FREE = "free"
    """LITERAL+: never waits."""


@dataclass(frozen=True, slots=True)
class String:
    """An argument that came from outside. Raises InvalidRequest for octets that no mail server could mean."""

    octets: bytes

    def __post_init__(self) -> None:
        if _FORBIDDEN.search(self.octets):
            raise InvalidRequest("A name with a line break or a NUL in it is never sent to a server.")


@dataclass(frozen=True, slots=True, eq=False)
class Streamed:
    """A literal that is never held whole: *size* octets, which *octets* gives in pieces whenever it is called."""

    octets: Callable[[], Iterable[bytes]]
    size: int

    def pieces(self) -> Iterator[bytes]:
        """Yield the octets. Raises InvalidRequest when they are not as many as were announced."""
        left = self.size
        for piece in self.octets():
            left -= len(piece)
            if left < 0:
                break
            yield piece
        if left:
            raise InvalidRequest("A message has not as many octets as were announced to the server.")


def waits(segment: "bytes | Streamed") -> bool:
    """Tell whether the server has to ask, with ``+``, for what follows *segment*.

    >>> waits(b"T1 APPEND a {5}\\r\\n"), waits(b"T1 APPEND a {5+}\\r\\n")
    (True, False)
    """
    return isinstance(segment, bytes) and segment.endswith(b"}\r\n") and not segment.endswith(b"+}\r\n")


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """One command without its tag: *pieces* are joined by blanks. Compared by identity: each is sent once.

    *expected_octets*: how much answer is to be expected beyond the literals that announce themselves; it lengthens the
    deadline and counts against the window of commands under way.
    """

    pieces: tuple[bytes | String | Streamed, ...]
    expected_octets: int = 0

    def __post_init__(self) -> None:
        if any(_FORBIDDEN.search(piece) for piece in self.pieces if isinstance(piece, bytes)):
            raise InvalidRequest("A command with a line break in it is never sent.")

    def segments(self, tag: bytes, style: LiteralStyle) -> "list[bytes | Streamed]":
        """Return the octets in pieces; behind one that ``waits`` the server has to ask for more.

        >>> Command((b"EXAMINE", String(b'a "b"'))).segments(b"W1", LiteralStyle.WAITING)
        [b'W1 EXAMINE "a \\\\"b\\\\""\\r\\n']
        >>> Command((b"EXAMINE", String(b"caf\\xc3\\xa9"))).segments(b"W1", LiteralStyle.WAITING)
        [b'W1 EXAMINE {5}\\r\\n', b'caf\\xc3\\xa9\\r\\n']
        """
        done: list[bytes | Streamed] = []
        line = tag
        for piece in self.pieces:
            line += b" "
            if isinstance(piece, bytes):
                line += piece
                continue
            count = piece.size if isinstance(piece, Streamed) else len(piece.octets)
            freely = style is LiteralStyle.FREE or (style is LiteralStyle.SMALL and count <= _LITERAL_MINUS_OCTETS)
            if isinstance(piece, Streamed):
                done += [line + (b"{%d+}\r\n" if freely else b"{%d}\r\n") % count, piece]
                line = b""
            elif _QUOTABLE.match(piece.octets):
                line += b'"' + piece.octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
            elif freely:
                line += b"{%d+}\r\n%b" % (count, piece.octets)
            else:
                done.append(line + b"{%d}\r\n" % count)
                line = piece.octets
        return [*done, line + b"\r\n"]
