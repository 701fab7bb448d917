"""The parts of a message: one walk over the raw octets, no recursion, every step counted against a limit.

Room: store.mime. Pure. Sections are numbered as IMAP numbers them (RFC 9051 §6.4.5): "1", "2.1" ...; the whole body of
a multipart that has no number of its own (at the top of a message) is "TEXT", or "2.TEXT" within the attached message
"2". RFC 2045, RFC 2046: an outer delimiter ends everything that is open within it.
"""

import re
from dataclasses import dataclass

from ..errors import MimeLimit, UnknownPart
from .charset import clean_line
from .fields import PartHeader, read_part_header
from .limits import DEFAULT_LIMITS, MimeLimits
from .transfer import decode_transfer

__all__ = ["Entity", "Part", "PartTree", "part_bytes", "parts", "walk"]

_HEADER_END = re.compile(rb"\r?\n(?:(\r?\n)|(?=--))")
_EMPTY_HEADER = re.compile(rb"\r?\n")
_ATTACHED = frozenset({"message/rfc822", "message/global", "message/news"})
_PLAIN_ENCODINGS = frozenset({"7bit", "8bit", "binary"})
DELIMITER_OCTETS_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part, containers included. Texts are decoded, and safe to show on one line."""

    section: str
    content_type: str
    """``type/subtype``, lower case."""
    charset: str
    """As declared, lower case; empty when not."""
    filename: str
    """What ``safe_filename`` made of it; empty when it has none."""
    disposition: str
    size_octets: int
    """As it lies in the message, still encoded."""
    transfer_encoding: str
    content_id: str


PartTree = tuple[Part, ...]
"""All parts in the order of the message, parents before children; the section numbers are the tree."""


@dataclass(slots=True)
class Entity:
    """A part with the place where it lies: ``raw[start:end]`` is its body, still encoded."""

    section: str
    header: PartHeader
    parent: int
    """Index of the container in the walk, or -1."""
    start: int
    end: int = -1


@dataclass(slots=True)
class _Open:
    """A container that has not ended yet."""

    index: int
    prefix: str
    """What the sections of its children start with."""
    boundary: bytes
    """Empty for an attached message."""
    children: int = 0


def parts(raw: bytes, limits: MimeLimits = DEFAULT_LIMITS) -> PartTree:
    """Return all parts of a message. Raises MimeLimit when it is too deep, too wide or its headers are too large."""
    return tuple(
        Part(
            section=entity.section,
            content_type=entity.header.content_type,
            charset=clean_line(entity.header.charset),
            filename=entity.header.filename,
            disposition=entity.header.disposition,
            size_octets=entity.end - entity.start,
            transfer_encoding=clean_line(entity.header.transfer_encoding),
            content_id=entity.header.content_id,
        )
        for entity in walk(raw, limits)
    )


def part_bytes(raw: bytes, section: str, limits: MimeLimits = DEFAULT_LIMITS) -> bytes:
    """Return the octets of one part with its transfer encoding undone.

    Raises UnknownPart when there is no such section, MimeLimit as ``parts`` does and for a part that is too large.
    """
    for entity in walk(raw, limits):
        if entity.section == section:
            decoded = decode_transfer(raw[entity.start : entity.end], entity.header.transfer_encoding)
            if len(decoded) > limits.decoded_octets:
                raise MimeLimit(f"this part is larger than {limits.decoded_octets} octets")
            return decoded
    raise UnknownPart("this message has no such part")


def walk(raw: bytes, limits: MimeLimits = DEFAULT_LIMITS) -> list[Entity]:
    """Return all parts with their places, in the order of the message. Raises MimeLimit."""
    return _Walk(raw, limits).run()


class _Walk:
    """One pass: where are we, what is open, which delimiters end it."""

    def __init__(self, raw: bytes, limits: MimeLimits) -> None:
        self.raw = raw
        self.limits = limits
        self.found: list[Entity] = []
        self.open: list[_Open] = []
        self.levels: dict[bytes, int] = {}  # delimiter to the outermost open container that it belongs to
        self.seen = 0

    def run(self) -> list[Entity]:
        at = self.enter(0, "", "text/plain")
        while (hit := self.next_delimiter(at)) is not None:
            line, after, level, closing = hit
            # Invariant: the line end before a delimiter belongs to the delimiter (RFC 2046 §5.1.1).
            end = max(at, line - (self.raw[line - 1 : line] == b"\r"))
            self.close(level + 1, end)
            self.leaf_end(end)
            container = self.open[level]
            if closing:
                del self.levels[container.boundary]  # what follows is its epilogue
                at = after
                continue
            container.children += 1
            digest = self.found[container.index].header.content_type == "multipart/digest"
            default = "message/rfc822" if digest else "text/plain"
            at = self.enter(after, f"{container.prefix}{container.children}", default)
        self.close(0, len(self.raw))
        self.leaf_end(len(self.raw))
        return self.found

    def enter(self, at: int, section: str, default_type: str) -> int:
        """Take the part whose header starts at *at*, and the messages attached in it; return where its body starts.

        *section* is empty for the top of the message.
        """
        top, prefix = not section, ""
        while True:
            block_end, start = self.header_end(at)
            header = read_part_header(self.raw[at:block_end], default_type, self.limits)
            multipart = header.content_type.startswith("multipart/") and bool(header.boundary)
            attached = header.content_type in _ATTACHED and header.transfer_encoding in _PLAIN_ENCODINGS
            if top:
                section = f"{prefix}TEXT" if multipart else f"{prefix}1"
            if len(self.found) >= self.limits.parts:
                raise MimeLimit(f"this message has more than {self.limits.parts} parts")
            self.found.append(
                Entity(section=section, header=header, parent=self.open[-1].index if self.open else -1, start=start)
            )
            if not (multipart or attached):
                return start
            if len(self.open) >= self.limits.depth:
                raise MimeLimit(f"this message has parts nested deeper than {self.limits.depth}")
            inner = prefix if multipart and top else f"{section}."
            self.open.append(_Open(len(self.found) - 1, inner, header.boundary if multipart else b""))
            if multipart:
                self.levels.setdefault(header.boundary, len(self.open) - 1)
                return start
            at, top, prefix, default_type = start, True, inner, "text/plain"

    def header_end(self, at: int) -> tuple[int, int]:
        """Return where the header block that starts at *at* ends, and where the body starts."""
        raw, end = self.raw, min(len(self.raw), at + self.limits.header_octets)
        if empty := _EMPTY_HEADER.match(raw, at):
            return at, empty.end()
        if raw.startswith(b"--", at) and self.delimiter_at(at) is not None:
            return at, at
        for found in _HEADER_END.finditer(raw, at, end):
            if found[1] is not None:
                return found.start(), found.end()
            if self.delimiter_at(found.end()) is not None:
                return found.start(), found.end()
        if end < len(raw):
            raise MimeLimit(f"a header block of this message is larger than {self.limits.header_octets} octets")
        return end, end

    def next_delimiter(self, at: int) -> tuple[int, int, int, bool] | None:
        """Return the next line at or after *at* that delimits an open container.

        As (where the line end before it is, where the next line starts, level, whether it closes); None at the end.
        """
        if not self.levels:
            return None
        line = self.raw.find(b"\n--", max(0, at - 1))
        while line >= 0:
            hit = self.delimiter_at(line + 1)
            if hit is not None:
                return line, *hit
            line = self.raw.find(b"\n--", line + 1)
        return None

    def delimiter_at(self, at: int) -> tuple[int, int, bool] | None:
        """Return (start of the next line, level, closing) when the line at *at*, "--" first, is a delimiter."""
        self.seen += 1
        if self.seen > self.limits.delimiters:
            raise MimeLimit(f"this message has more than {self.limits.delimiters} lines like delimiters")
        end = self.raw.find(b"\n", at, at + DELIMITER_OCTETS_MAX)
        if end < 0:
            if len(self.raw) > at + DELIMITER_OCTETS_MAX:
                return None
            end = len(self.raw)
        mark = self.raw[at + 2 : end].rstrip(b" \t\r")
        after = min(end + 1, len(self.raw))
        if (level := self.levels.get(mark)) is not None:
            return after, level, False
        if mark.endswith(b"--") and (level := self.levels.get(mark[:-2])) is not None:
            return after, level, True
        return None

    def close(self, level: int, end: int) -> None:
        """End every open container from *level* inward."""
        while len(self.open) > level:
            gone = self.open.pop()
            self.found[gone.index].end = max(end, self.found[gone.index].start)
            if gone.boundary and self.levels.get(gone.boundary) == len(self.open):
                del self.levels[gone.boundary]

    def leaf_end(self, end: int) -> None:
        """End the last part, unless it is a container that is still open or has ended already."""
        last = self.found[-1]
        if last.end < 0 and not any(each.index == len(self.found) - 1 for each in self.open):
            last.end = max(end, last.start)
