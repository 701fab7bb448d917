"""One FETCH row: an expression for the rows that servers send all day, a tolerant reader for the others.

Room: sources/imap. Pure; ``wire`` does the reading. Rules: a row is about the UID that it names itself, its number says
nothing; an item that we never ask for (ENVELOPE, BODYSTRUCTURE ...) is read over; an item that cannot be understood is
as good as not told. A row whose UID is impossible is ``odd``: it is applied to nobody. RFC 9051 §7.5.2.
"""

import re
from collections.abc import Sequence

from store.mail import ModSeq, Uid

from . import translate
from .grammar import Malformed, Value

__all__ = ["Row", "ends_in_section", "row_of_items", "usual_row"]

_ITEM = (
    rb'(?:UID|FLAGS|INTERNALDATE|RFC822\.SIZE|MODSEQ|EMAILID|X-GM-MSGID) (?:\([^()"\r\n]*+\)|"[^"\\\r\n]*+"|[0-9]++)'
)
_USUAL = re.compile(
    rb"\* ([0-9]{1,10}) FETCH \(((?:" + _ITEM + rb" ?)*+)"
    rb"(?:(BODY\[[A-Z.]*+(?: \([A-Z-]*+\))?\])(?:<([0-9]{1,18})>)? \{(0|[1-9][0-9]{0,17})\}|\))\r\n\Z"
)
_NAME_AND_VALUE = re.compile(rb'([A-Z0-9.-]++) (?:\(([^()]*+)\)|"([^"]*+)"|([0-9]++)) ?')
_SECTION = re.compile(rb"((?:BODY|BINARY)\[.*\])(?:<([0-9]{1,18})>)?\Z|RFC822(?:\.HEADER|\.TEXT)?\Z", re.DOTALL)
_SECTION_AT_END = re.compile(
    rb"[ (](?:(?:BODY|BINARY)\[[^\]\[]*+\](?:<[0-9]{1,18}>)?|RFC822(?:\.HEADER|\.TEXT)?) ++\Z", re.IGNORECASE
)


class Row:
    """One FETCH row while it is read. Attributes are None for what was not told (yet).

    *section* names the body item (``BODY[HEADER]``), *origin* its ``<offset>``. Its octets are in *octets* (None: NIL),
    unless *remaining* says that so many are still to come: then the wire streams them.
    """

    __slots__ = (
        "email_id",
        "flags",
        "internal_date",
        "mod_seq",
        "number",
        "octets",
        "odd",
        "origin",
        "remaining",
        "section",
        "size",
        "uid",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.uid: Uid | None = None
        self.flags: frozenset[str] | None = None
        self.internal_date: bytes | None = None
        self.size: int | None = None
        self.mod_seq: ModSeq | None = None
        self.email_id: str | None = None
        self.section: bytes | None = None
        self.origin: int | None = None
        self.octets: bytes | None = None
        self.remaining = 0
        self.odd = False

    def name_uid(self, spelled: Value) -> None:
        """Take the UID; a second or an impossible one makes the row odd."""
        uid = translate.uid(spelled)
        if uid is None or (self.uid is not None and self.uid != uid):
            self.odd = True
        self.uid = None if self.odd else uid


def ends_in_section(text: bytes) -> bool:
    """Tell whether *text*, which ends where a literal begins, names octets of a message there: they may be many.

    >>> ends_in_section(b"(UID 7 BODY[TEXT]<0> "), ends_in_section(b"(FLAGS ")
    (True, False)
    """
    return _SECTION_AT_END.search(text[-300:]) is not None


def usual_row(line: bytes) -> tuple[Row, int] | None:
    """Return the row that *line* (with its CRLF) holds or begins, and the count of the body literal behind it.

    The count is -1 when the row is complete. None: not one of the usual rows, ask ``row_of_items``.
    """
    match = _USUAL.match(line)
    if match is None:
        return None
    number, items, section, origin, count = match.groups()
    row = Row(int(number))
    for name, in_brackets, in_quotes, digits in _NAME_AND_VALUE.findall(items):
        if name == b"UID":
            row.name_uid(digits)
        elif name == b"FLAGS":
            if digits or in_quotes:
                return None
            row.flags = translate.flags(in_brackets)
        elif name == b"INTERNALDATE":
            row.internal_date = in_quotes
        elif name == b"RFC822.SIZE":
            row.size = translate.number(digits)
        elif name == b"MODSEQ":
            row.mod_seq = translate.mod_seq(in_brackets or digits)
        else:
            row.email_id = translate.email_id(in_brackets or digits)
    if section is None:
        return row, -1
    row.section = section
    row.origin = None if origin is None else int(origin)
    return row, int(count)


def row_of_items(number: int, items: Sequence[Value], row: Row | None = None) -> Row:
    """Return the row that *items* (names and values in turn) tell; with *row*, add them to that one.

    Raises Malformed when a name or a value is missing.
    """
    row = row or Row(number)
    at = 0
    while at < len(items):
        name = items[at]
        if not isinstance(name, bytes) or at + 1 >= len(items):
            raise Malformed("a FETCH item has no name or no value")
        value = items[at + 1]
        at += 2
        match name.upper():
            case b"UID":
                row.name_uid(value)
            case b"FLAGS":
                at = _take_flags(row, value, items, at)
            case b"INTERNALDATE":
                row.internal_date = value if isinstance(value, bytes) else None
            case b"RFC822.SIZE":
                row.size = translate.number(value)
            case b"MODSEQ":
                row.mod_seq = translate.mod_seq(value)
            case b"EMAILID" | b"X-GM-MSGID":
                row.email_id = translate.email_id(value)
            case upper if section := _SECTION.match(upper):
                row.section = section[1] or upper
                row.origin = int(section[2]) if section[2] else None
                row.octets = value if isinstance(value, bytes) else None
            case _:
                continue
    return row


def _take_flags(row: Row, value: Value, items: Sequence[Value], at: int) -> int:
    """Take the flags and return where the next item begins; some servers forget the brackets."""
    if isinstance(value, list):
        row.flags = translate.flags(b" ".join(flag for flag in value if isinstance(flag, bytes)))
        return at
    bare = [value] if value is not None else []
    while at < len(items) and isinstance(flag := items[at], bytes) and flag.startswith(b"\\"):
        bare.append(flag)
        at += 1
    row.flags = translate.flags(b" ".join(bare))
    return at
