"""The grammar of the fake IMAP server: octets of a command to arguments, values to octets.

Room: tests/servers. Pure: no socket. RFC 3501 section 9, RFC 7888 (non-synchronizing literals).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "BadCommand",
    "Command",
    "format_set",
    "number",
    "parse_arguments",
    "parse_command",
    "parse_set",
    "quote",
    "read_command",
    "upper",
]

Argument = bytes | list  # an atom, string or literal; or a parenthesised list of the same

_LITERAL_END = re.compile(rb"\{(\d+)(\+?)\}\r?\n?\Z")
_PLAIN = re.compile(rb"[A-Za-z0-9_.\-/&+,=:#$!~]+\Z")
_TWO_WORDS = frozenset({b"UID"})


class BadCommand(Exception):
    """The command breaks the grammar; the text goes behind the tagged BAD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One client command: tag, upper-case name ("UID FETCH" counts as one), arguments and the octets sent."""

    tag: bytes
    name: str
    arguments: tuple[Argument, ...]
    raw: bytes


def read_command(
    readline: Callable[[], bytes],
    read: Callable[[int], bytes],
    go_on: Callable[[], None],
    *,
    literal_plus: bool,
    literal_minus: bool = False,
) -> bytes:
    """Return the octets of one whole command, literals included; b"" when the client is gone.

    *go_on* is called where the client waits for a continuation. Raises `BadCommand` for a
    non-synchronizing literal that was never announced.
    """
    parts = [readline()]
    while match := _LITERAL_END.search(parts[-1]):
        if match[2] and not literal_plus and not (literal_minus and int(match[1]) <= 4096):
            raise BadCommand("this literal has to wait")
        if not match[2]:
            go_on()
        literal = read(int(match[1]))
        if len(literal) < int(match[1]):
            return b""  # the client left in the middle of it
        parts.append(literal)
        parts.append(readline())
    return b"".join(parts)


def parse_command(raw: bytes) -> Command:
    """Return the command in *raw* (from `read_command`).

    >>> parse_command(b'A1 UID FETCH 1:* (UID FLAGS)\\r\\n').arguments
    (b'1:*', [b'UID', b'FLAGS'])
    """
    if not raw.endswith(b"\r\n"):
        raise BadCommand("a line must end with CRLF")
    tag, _, rest = raw.partition(b" ")
    words = parse_arguments(rest[:-2])
    if not words or isinstance(words[0], list):
        raise BadCommand("a command has a name")
    taken = 2 if upper(words[0]) in _TWO_WORDS else 1
    name = b" ".join(upper(word) for word in words[:taken]).decode("latin-1")
    return Command(tag=tag, name=name, arguments=tuple(words[taken:]), raw=raw)


def parse_arguments(text: bytes) -> list[Argument]:
    """Return atoms, strings and nested lists of *text*."""
    values, position = _parse_until(text, 0, closing=False)
    if position != len(text):
        raise BadCommand("unbalanced parenthesis")
    return values


def _parse_until(text: bytes, position: int, *, closing: bool) -> tuple[list[Argument], int]:
    values: list[Argument] = []
    while position < len(text):
        head = text[position : position + 1]
        if head == b" ":
            position += 1
        elif head == b")":
            if not closing:
                raise BadCommand("unbalanced parenthesis")
            return values, position + 1
        elif head == b"(":
            inner, position = _parse_until(text, position + 1, closing=True)
            values.append(inner)
        elif head == b'"':
            value, position = _parse_quoted(text, position + 1)
            values.append(value)
        elif match := re.compile(rb"\{(\d+)\+?\}\r\n").match(text, position):
            start = match.end()
            position = start + int(match[1])
            values.append(text[start:position])
        else:
            value, position = _parse_atom(text, position)
            values.append(value)
    if closing:
        raise BadCommand("missing parenthesis")
    return values, position


def _parse_quoted(text: bytes, position: int) -> tuple[bytes, int]:
    out = bytearray()
    while position < len(text):
        octet = text[position : position + 1]
        if octet == b'"':
            return bytes(out), position + 1
        if octet == b"\\":
            position += 1
            octet = text[position : position + 1]
        out += octet
        position += 1
    raise BadCommand("open quote")


def _parse_atom(text: bytes, position: int) -> tuple[bytes, int]:
    """Return an atom; a bracket in it (`BODY[HEADER.FIELDS (Date)]`) runs to its own end."""
    start, depth = position, 0
    while position < len(text):
        octet = text[position : position + 1]
        if octet == b"[":
            depth += 1
        elif octet == b"]":
            depth -= 1
        elif depth <= 0 and octet in b' ()"':
            break
        position += 1
    if start == position:
        raise BadCommand("unexpected octet")
    return text[start:position], position


def upper(word: Argument) -> bytes:
    """Return *word* in upper case; a list is a fault of the client."""
    if isinstance(word, list):
        raise BadCommand("a word was expected, not a list")
    return word.upper()


def number(word: Argument) -> int:
    """Return an unsigned number; anything else is a fault of the client."""
    if isinstance(word, list) or not word.isdigit():
        raise BadCommand("a number was expected")
    return int(word)


def parse_set(text: bytes, known: Sequence[int]) -> list[int]:
    """Return the members of *known* (ascending) that the set names; `*` is the last of them.

    >>> parse_set(b"7:*", [1, 5])   # RFC 3501 section 6.4.8: * names the last even below 7
    [5]
    """
    last = known[-1] if known else 0
    wanted: set[int] = set()
    members = set(known)
    for part in text.split(b","):
        ends = [last if end == b"*" else int(end) for end in part.split(b":") if end == b"*" or end.isdigit()]
        if len(ends) != part.count(b":") + 1 or len(ends) > 2:
            raise BadCommand("bad set")
        low, high = min(ends), max(ends)
        if high - low < len(known):
            wanted.update(members.intersection(range(low, high + 1)))
        else:
            wanted.update(number for number in known if low <= number <= high)
    return sorted(wanted)


def format_set(numbers: Iterable[int]) -> bytes:
    """Return ascending numbers as ranges.

    >>> format_set([1, 2, 3, 7])
    b'1:3,7'
    """
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return b",".join(b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in ranges)


def quote(value: bytes) -> bytes:
    """Return *value* as atom, quoted string or literal, whichever is the first that can carry it."""
    if _PLAIN.match(value):
        return value
    if any(octet in b"\r\n\0" or octet > 0x7E for octet in value):
        return b"{%d}\r\n%b" % (len(value), value)
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
