"""A message as the octets that follow 354: in blocks, dots doubled at line starts, CRLF at its end. Pure.

What comes in has CRLF line ends only. That is checked once more: a bare CR or LF is where one server sees the end of
a message and another does not (SMTP smuggling). RFC 5321 §4.5.2.
"""

from collections.abc import Iterable, Iterator

__all__ = ["BLOCK_OCTETS", "END", "BareLineEnd", "blocks"]

BLOCK_OCTETS = 64 * 1024

END = b".\r\n"
"""The final dot; blocks end in CRLF before it."""


class BareLineEnd(ValueError):
    """A CR without LF, or an LF without CR."""


def blocks(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield blocks to send, each with how many octets of the message it stands for. Raises BareLineEnd.

    >>> [block for block, octets in blocks([b"a\\r", b"\\n.b\\r\\n"])]
    [b'a', b'\\r\\n..b\\r\\n']
    """
    at_start, held = True, b""
    for piece in pieces:
        for start in range(0, len(piece), BLOCK_OCTETS):
            chunk = held + piece[start : start + BLOCK_OCTETS]
            held = b"\r" if chunk.endswith(b"\r") else b""  # its LF may come with the next one
            chunk = chunk[: len(chunk) - len(held)]
            if chunk:
                yield _stuffed(chunk, at_start=at_start), len(chunk)
                at_start = chunk.endswith(b"\n")
    if held:
        raise BareLineEnd("a CR at the end")
    if not at_start:
        yield b"\r\n", 0


def _stuffed(chunk: bytes, *, at_start: bool) -> bytes:
    ends = chunk.count(b"\r\n")
    if chunk.count(b"\n") != ends or chunk.count(b"\r") != ends:
        raise BareLineEnd("a CR or LF alone")
    stuffed = chunk.replace(b"\n.", b"\n..")
    return b"." + stuffed if at_start and stuffed.startswith(b".") else stuffed
