"""The grammar of IMAP answers, small and tolerant: octets of one answer in, values out.

Room: sources/imap. Rules: pure; iterative (a hostile server nests as deep as it likes, we stop at a cap); every
expression runs in time linear in the answer; whatever cannot be understood raises ``Malformed`` and nothing else.
Values are ``bytes`` (atom, string or literal), ``None`` (NIL) or a list of values. RFC 3501 §9, RFC 9051 §9.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from store.mail import UidSet

__all__ = [
    "UID_LAST",
    "Malformed",
    "Status",
    "Value",
    "literal_octets",
    "sequence_set",
    "status",
    "uid_ranges",
    "values",
]

Value: TypeAlias = "bytes | list[Value] | None"

UID_LAST = 2**32 - 1
"""The largest UID that IMAP can spell."""

_TOKEN = re.compile(
    rb"""[ \t]*+(?:
        (?P<open>\() | (?P<close>\))
      | "(?P<quoted>[^"\\]*+(?:\\.[^"\\]*+)*+)"
      | (?P<atom>(?:[^ \t()"\[]++|\[[^\]\[]*+\]|\[)++)   # a section such as BODY[HEADER.FIELDS (DATE)] is one atom
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_LITERAL = re.compile(rb"(~?)\{([^{}\"]{0,40})\}\r\n\Z")
_COUNT = re.compile(rb"(?:0|[1-9][0-9]{0,18})\Z")
_STATUS = re.compile(
    rb"(?P<word>OK|NO|BAD|BYE|PREAUTH)"
    rb'(?: (?:\[(?P<code>[^\]\s"]++)(?: (?P<argument>(?:[^\]"]++|"[^"]*+"|")*+))?\] ?)?(?P<text>.*))?\Z',
    re.DOTALL | re.IGNORECASE,
)


class Malformed(ValueError):
    """The octets are no answer that we understand."""


class TooDeep(Malformed):
    """Brackets within brackets, more than we are willing to follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A status answer, tagged or not (RFC 9051 §7.1). *code* in capitals, empty when there is none."""

    word: bytes
    code: bytes = b""
    argument: bytes = b""
    text: bytes = b""

    @property
    def ok(self) -> bool:
        """True for OK and PREAUTH."""
        return self.word in (b"OK", b"PREAUTH")


def status(octets: bytes, *, tagged: bool = False) -> Status:
    """Return the status answer in *octets* (no tag, no CRLF).

    A *tagged* one must have a text, be it empty: without the blank a server is not to be trusted any further.

    >>> status(b"OK [UIDNEXT 7] next").argument
    b'7'
    """
    match = _STATUS.match(octets)
    if match is None or (tagged and match["text"] is None) or (tagged and octets[len(match["word"]) :][:2] == b"  "):
        raise Malformed("not a status answer")
    return Status(
        word=match["word"].upper(),
        code=(match["code"] or b"").upper(),
        argument=match["argument"] or b"",
        text=match["text"] or b"",
    )


def literal_octets(line: bytes) -> int | None:
    """Return the count of the literal that *line* (with its CRLF) announces at its end, None when it does not.

    Raises Malformed for a count that is no plain number, and for literal8, which nobody asked for (RFC 3516).
    """
    if not line.endswith(b"}\r\n"):
        return None
    match = _LITERAL.search(line[-48:])
    if match is None:
        return None
    if match[1] or not _COUNT.match(match[2]):
        raise Malformed("a literal announces an impossible count")
    return int(match[2])


def values(parts: Sequence[bytes], *, nesting: int, unfinished: bool = False) -> list[Value]:
    """Return the values of one answer.

    *parts* alternate: text, literal, text, literal, ... text (the ``{n}`` of each literal and the CRLF cut off). With
    *unfinished* lists may still be open at the end. Raises Malformed for an open quote and for brackets that do
    not match, TooDeep for more than *nesting* of them.

    >>> values([b'(FLAGS (\\\\Seen) BODY[] ', b'a(b', b')'], nesting=9)
    [[b'FLAGS', [b'\\\\Seen'], b'BODY[]', b'a(b']]
    """
    top: list[Value] = []
    stack = [top]
    for index, part in enumerate(parts):
        if index % 2:
            stack[-1].append(part)
            continue
        position, end = 0, len(part)
        while position < end:
            match = _TOKEN.match(part, position)
            if match is None:
                if part[position:].strip(b" \t"):
                    raise Malformed("a quote is not closed")
                break
            position = match.end()
            match match.lastgroup:
                case "open":
                    if len(stack) > nesting:
                        raise TooDeep(f"brackets nest more than {nesting} deep")
                    inner: list[Value] = []
                    stack[-1].append(inner)
                    stack.append(inner)
                case "close":
                    if len(stack) == 1:
                        raise Malformed("a bracket closes that was never opened")
                    stack.pop()
                case "quoted":
                    stack[-1].append(_ESCAPED.sub(rb"\1", match["quoted"]))
                case _:
                    atom = match["atom"]
                    stack[-1].append(None if atom.upper() == b"NIL" else atom)
    if len(stack) > 1 and not unfinished:
        raise Malformed("a bracket is not closed")
    return top


def sequence_set(octets: bytes) -> UidSet:
    """Return the UIDs of an ESEARCH answer, strictly: numbers and ascending ranges of 1 to 2**32-1.

    >>> sequence_set(b"4,7:9")
    UidSet('4,7:9')
    """
    ranges = []
    for item in octets.split(b","):
        low, colon, high = item.partition(b":")
        if not _COUNT.match(low) or (colon and not _COUNT.match(high)):
            raise Malformed("not a set of UIDs")
        pair = (int(low), int(high) if colon else int(low))
        if not 1 <= pair[0] <= pair[1] <= UID_LAST:
            raise Malformed("a set of UIDs is out of its bounds")
        ranges.append(pair)
    return UidSet.of_ranges(ranges)


def uid_ranges(octets: bytes) -> UidSet:
    """Return the UIDs of a VANISHED answer, leniently: what is no number or out of bounds is left out or cut.

    Some servers send sets that end in a comma or begin at 0; who vanished is decided by comparison anyway.

    >>> uid_ranges(b"0:3,9,,x")
    UidSet('1:3,9')
    """
    ranges = []
    for item in octets.split(b","):
        low, colon, high = item.strip().partition(b":")
        high = high if colon else low
        if _COUNT.match(low) and _COUNT.match(high):
            first, last = sorted((int(low), int(high)))
            first, last = max(first, 1), min(last, UID_LAST)
            if first <= last:
                ranges.append((first, last))
    return UidSet.of_ranges(ranges)
