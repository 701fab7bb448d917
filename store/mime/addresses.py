"""Address fields to ``Address`` values: a fast way for what everybody writes, a patient one for the rest.

Room: store.mime. Pure. Rules: never recursive (nesting is a counter), linear in the field, at most so many addresses.
RFC 5322 §3.4 and §4.4: groups are flattened, comments give a name where there is no other, routes are dropped.
"""

import re
from collections.abc import Iterator

from store.mail import Address

from .charset import clean_line, decode_words

__all__ = ["parse_addresses"]

# name <address>, "name" <address>, address; followed by a comma or the end. Every class excludes what ends it, so
# nothing is read twice.
_EVERYDAY = re.compile(
    r"[\s,]*+(?:"
    r'(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"\s*|([^"<>(),:;\\\[\]]*+))<\s*([^\s"<>(),:;\\\[\]]*+)\s*>'
    r'|([^\s"<>(),:;\\\[\]]++)'
    r")\s*(?:,|$)",
    re.DOTALL,
)
# An open quote or bracket runs to the end: each piece is taken whole or is one character, never given back.
_PIECE = re.compile(
    r'"(?P<quoted>[^"\\]*+(?:\\.[^"\\]*+)*+)"?+|(?P<literal>\[[^\[\]<>,;]*+\])|\\(?P<escaped>.)'
    r'|(?P<special>[()<>,:;@\\])|(?P<space>\s++)|(?P<atom>[^\s"()<>,:;@\\\[]++)|(?P<odd>.)',
    re.DOTALL,
)
_COMMENT = re.compile(r"\\(.)|[()]|[^()\\]++|\\", re.DOTALL)
TEXT_CHARACTERS_MAX = 1_000
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse_addresses(text: str, most: int) -> tuple[Address, ...]:
    """Return the mailboxes of one address field, unfolded, in order; at most *most*.

    A group without members gives one nameless address with the group's name (``undisclosed-recipients:;``).

    >>> parse_addresses('"Doe, Jane" <jane@example.org>, joe@example.org (Joe)', 10)[1]
    Address(name='Joe', address='joe@example.org')
    """
    found: list[Address] = []
    at = 0
    length = len(text)
    while at < length and len(found) < most:
        match = _EVERYDAY.match(text, at)
        if match is None:
            if text[at:].strip(" \t\r\n,"):
                found.extend(_patiently(text[at:], most - len(found)))
            break
        quoted, name, address, bare = match.groups()
        if bare is not None:
            found.append(Address(address=_shown(bare)))
        elif name or quoted or address:
            if quoted is not None:
                name = _ESCAPE.sub(r"\1", quoted) if "\\" in quoted else quoted
            if "=?" in name:
                name = decode_words(name.strip())
            found.append(Address(name=_shown(name), address=_shown(address)))
        at = match.end()
    return tuple(found)


def _shown(text: str) -> str:
    """Return what is kept of a name or address: one line, capped (a comment may be as long as the header)."""
    return clean_line(text)[:TEXT_CHARACTERS_MAX]


def _spelled(address: str) -> str:
    """Return an address without the white space that old mail has around dots and the ``@`` (RFC 5322 §4.4)."""
    return re.sub(r"\s?([@.])\s?", r"\1", _shown(address))


class _Mailbox:
    """What was read of one mailbox so far."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.comments: list[str] = []
        self.angle: list[str] | None = None
        self.space_before = False
        self.has_at = self.has_quote = False
        self.spelled: list[str] = []

    def add(self, text: str, spelled: str) -> None:
        """Take one piece: *text* for a name, *spelled* for an address."""
        if self.space_before or not self.words:
            self.words.append(text)
            self.spelled.append(spelled)
        else:
            self.words[-1] += text
            self.spelled[-1] += spelled
        self.space_before = False
        self.has_at = self.has_at or spelled == "@"
        self.has_quote = self.has_quote or spelled[0] == '"'

    def address(self) -> Address | None:
        """Return the mailbox; None when nothing was there."""
        comment = _shown(decode_words(" ".join(self.comments)))
        name = _shown(decode_words(" ".join(self.words)))
        if self.angle is not None:
            route, colon, address = "".join(self.angle).rpartition(":")
            if colon and not route.startswith("@"):
                address = f"{route}:{address}"
            if comment:
                name = f"{name} ({comment})" if name else comment
            return Address(name=name, address=_spelled(address)) if name or address else None
        if self.has_at or (len(self.words) == 1 and not self.has_quote):
            return Address(name=comment, address=_spelled(" ".join(self.spelled)))
        return Address(name=name or comment) if name or comment else None


def _comment(text: str, at: int) -> tuple[str, int]:
    """Return the comment that starts after the parenthesis before *at*, and where it ends; nesting is counted."""
    depth = 1
    out: list[str] = []
    for piece in _COMMENT.finditer(text, at):
        mark = piece[0]
        depth += (mark == "(") - (mark == ")")
        at = piece.end()
        if not depth:
            break
        out.append(piece[1] or mark)
    return "".join(out), at


def _patiently(text: str, most: int) -> Iterator[Address]:
    """Yield the mailboxes of any text whatever, one piece after the other."""
    box = _Mailbox()
    group = ""
    at = given = given_before_group = 0
    while given < most and (piece := _PIECE.match(text, at)) is not None:
        kind, mark = piece.lastgroup, piece[0]
        at = piece.end()
        made: Address | None = None
        if mark == "(":
            comment, at = _comment(text, at)
            box.comments.append(comment)
        elif box.angle is not None and mark not in (">", ";"):
            if mark == "<":
                box.angle.clear()  # "<<<a@b>": the innermost counts
            else:
                box.angle.append(mark)
        elif mark == "<":
            box.angle = []
        elif mark in (",", ";") or (mark == ">" and box.angle is not None):
            made = box.address()
            if mark == ";":
                if made is None and group and given == given_before_group:
                    made = Address(name=group)
                group = ""
            box = _Mailbox()
        elif mark == ":" and not group and not box.has_at:
            group = _shown(decode_words(" ".join(box.words)))
            given_before_group = given
            box = _Mailbox()
        elif kind == "space":
            box.space_before = True
        elif kind == "quoted":
            box.add(_ESCAPE.sub(r"\1", piece["quoted"]), mark)
        else:
            box.add(piece["escaped"] or mark, mark)
        if made:
            yield made
            given += 1
    if given < most and (made := box.address()):
        yield made
