"""A raw header block to an ``Envelope``: one expression over the block, then only the fields that lists show.

Room: store.mime. Pure. Rules: any octets in, never an error (a field not to be understood is empty), linear work,
capped by ``MimeLimits``. RFC 5322 §2.2 (folding), §3.6, §4.5 (obsolete: white space before the colon), RFC 2047,
RFC 2919. Raw 8-bit text is UTF-8 where it is valid UTF-8 (RFC 6532), else Windows-1252.
"""

import re

from store.mail import Address, Envelope

from .addresses import parse_addresses
from .charset import clean_line, decode_unlabelled, decode_words
from .dates import parse_date
from .limits import DEFAULT_LIMITS, MimeLimits

__all__ = ["scan_header", "split_header"]

_FIELDS = re.compile(
    rb"\n(from|to|cc|bcc|sender|reply-to|subject|date|message-id|in-reply-to|references|list-id|received)[ \t]*:"
    rb"([^\n]*+(?:\n[ \t][^\n]*+)*+)",
    re.IGNORECASE,
)
_LISTED_FIELDS = re.compile(
    rb"\n(from|subject|date|message-id|received)[ \t]*:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.IGNORECASE
)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n|\r\r")
_STARTS_BLANK = re.compile(rb"\r?\n|\r")
_ID = re.compile(r"<([^<>]*+)>")
REFERENCES_MAX = 1_000
_JOINED = frozenset({b"from", b"to", b"cc", b"bcc", b"reply-to"})
_LONG = _JOINED | {b"sender", b"references"}


def split_header(octets: bytes) -> tuple[bytes, int]:
    """Return the header block, its empty line included, and where the body starts (the length of the block).

    Without an empty line everything is header. Line ends may be CRLF, LF or CR.

    >>> split_header(b"A: b\\r\\n\\r\\nbody")
    (b'A: b\\r\\n\\r\\n', 8)
    """
    at = octets.find(b"\r\n\r\n") + 4
    # Nearly all mail has CRLF only; three plain searches then cost a tenth of the expression.
    if (
        at > 4
        and octets[0] not in b"\r\n"
        and octets.find(b"\n\r\n", 0, at) == at - 3
        and octets.find(b"\n\n", 0, at) < 0
        and octets.find(b"\r\r", 0, at) < 0
    ):
        return octets[:at], at
    end = _STARTS_BLANK.match(octets) or _BLANK_LINE.search(octets)
    at = end.end() if end else len(octets)
    return octets[:at], at


_ON_THE_WAY = re.compile(rb"^(?:received|return-path|delivered-to|x-original-to|list-[a-z-]+)[ \t]*:", re.I | re.M)


def was_on_the_way(block: bytes) -> bool:
    """Tell whether a header block shows that its message was delivered: trace fields (RFC 5321 §4.4), or a list's.

    >>> was_on_the_way(b"Subject: x\\r\\nReceived: by b\\r\\n"), was_on_the_way(b"Subject: Received: x\\r\\n")
    (True, False)
    """
    return _ON_THE_WAY.search(block) is not None


def scan_header(block: bytes, limits: MimeLimits = DEFAULT_LIMITS, *, listed_only: bool = False) -> Envelope:
    """Return the fields of *block* that lists and indexes need. Never raises.

    With *listed_only* just From, Subject, Date, Message-ID and whether there is a Received; the others stay empty:
    half the work, for those who keep no more than that.

    Of a field that may stand once only, the first counts; address fields that stand several times are joined. Beyond
    *limits* is not looked: fields after ``header_octets``, a line after ``line_octets``, addresses after
    ``addresses``; ``Envelope.cut`` tells that there was more.

    >>> scan_header(b"Subject: =?utf-8?q?caf=C3=A9?=\\r\\n").subject
    'café'
    """
    cut = len(block) > limits.header_octets
    block = block[: limits.header_octets]
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    block = b"\n" + block
    end = block.find(b"\n\n")
    if end >= 0:
        block = block[:end]
    fields: dict[bytes, list[bytes]] = {}
    for name, value in (_LISTED_FIELDS if listed_only else _FIELDS).findall(block):
        name = name.lower()
        if name not in fields:
            fields[name] = [value]
        elif name in _JOINED:
            fields[name].append(value)
    received = fields.pop(b"received", None) is not None
    cut = cut or any(_is_cut(name, value, limits.line_octets) for name, values in fields.items() for value in values)
    text = {
        name: _unfolded(b",".join(values), limits.line_octets, whole=name in _LONG) for name, values in fields.items()
    }
    get = text.get

    def people(name: bytes) -> tuple[Address, ...]:
        nonlocal cut
        field = get(name)
        found = parse_addresses(field, limits.addresses + 1) if field else ()
        cut = cut or len(found) > limits.addresses
        return found[: limits.addresses]

    return Envelope(  # its arguments are made in this order: ``cut`` is known when all addresses are
        subject=clean_line(decode_words(get(b"subject", ""))),
        from_=people(b"from"),
        sender=people(b"sender"),
        reply_to=people(b"reply-to"),
        to=people(b"to"),
        cc=people(b"cc"),
        bcc=people(b"bcc"),
        date=parse_date(get(b"date", "")),
        message_id=_one_id(get(b"message-id", "")),
        in_reply_to=_one_id(get(b"in-reply-to", "")),
        references=_ids(get(b"references", "")),
        list_id=_one_id(get(b"list-id", "")),
        received=received,
        cut=cut,
    )


def _is_cut(name: bytes, value: bytes, line_octets: int) -> bool:
    """Tell whether ``_unfolded`` loses something of a field's *value*."""
    if len(value) <= line_octets:
        return False
    return name not in _LONG or max(map(len, value.split(b"\n"))) > line_octets


def _unfolded(value: bytes, line_octets: int, *, whole: bool) -> str:
    """Return a field's value on one line; each line cut at *line_octets*, the whole too unless it may be *whole*."""
    if b"\n" in value:
        lines = value.split(b"\n")
        value = b"".join(line[:line_octets] for line in lines) if len(value) > line_octets else b"".join(lines)
        if not whole:
            value = value[:line_octets]
    elif len(value) > line_octets:
        value = value[:line_octets]
    return value.decode("ascii") if value.isascii() else decode_unlabelled(value)


def _one_id(text: str) -> str:
    """Return the first id in angle brackets without them, or the text itself where nothing is in brackets."""
    found = _ID.search(text)
    return clean_line(found[1] if found else text)


def _ids(text: str) -> tuple[str, ...]:
    """Return all ids of a References field, oldest first; beyond 1,000 the oldest and the newest 999 stay."""
    ids = [made for each in _ID.findall(text) if (made := clean_line(each))]
    if not ids and text:
        ids = [clean_line(word) for word in text.split()]
    if len(ids) > REFERENCES_MAX:
        del ids[1 : len(ids) - REFERENCES_MAX + 1]
    return tuple(ids)
