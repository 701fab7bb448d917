"""Just enough of a raw message to serve one: its header block, its Message-ID, its octets in pieces. Pure.

For sources that hold whole messages themselves (memory, local files). Understanding mail is ``store.mime``'s job; what
is said here agrees with it (a test proves it).
"""

import re
from collections.abc import Iterator

__all__ = ["CHUNK_OCTETS", "header_block", "message_id", "pieces"]

CHUNK_OCTETS = 262_144
"""What a ``BodyChunk`` holds at most."""

_STARTS_BLANK = re.compile(rb"\r?\n|\r")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n|\r\r")
_MESSAGE_ID = re.compile(rb"\nmessage-id[ \t]*:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"<([^<>]*+)>")
MESSAGE_ID_CHARACTERS_MAX = 998


def header_block(octets: bytes) -> bytes:
    """Return the header block with its empty line; everything when there is none (RFC 5322 §2.1).

    >>> header_block(b"A: b\\r\\n\\r\\nbody")
    b'A: b\\r\\n\\r\\n'
    """
    end = _STARTS_BLANK.match(octets) or _BLANK_LINE.search(octets)
    return octets[: end.end()] if end else octets


def message_id(block: bytes) -> str:
    """Return the Message-ID without angle brackets; empty when there is none, or none that could be one.

    >>> message_id(b"Message-Id:\\r\\n <a@x>\\r\\n")
    'a@x'
    """
    block = b"\n" + header_block(block).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    field = _MESSAGE_ID.search(block)
    if field is None:
        return ""
    text = field[1].replace(b"\n", b"").decode("ascii", "replace")
    bracketed = _IN_BRACKETS.search(text)
    found = (bracketed[1] if bracketed else text).strip()
    return found if len(found) <= MESSAGE_ID_CHARACTERS_MAX and found.isprintable() and found.isascii() else ""


def pieces(octets: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (offset, piece, whether it is the last); one empty piece for a message without octets."""
    last = max(0, (len(octets) - 1) // CHUNK_OCTETS)
    for number in range(last + 1):
        offset = number * CHUNK_OCTETS
        yield offset, octets[offset : offset + CHUNK_OCTETS], number == last
