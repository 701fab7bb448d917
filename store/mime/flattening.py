"""``EmailMessage`` to octets that every server takes, and the proof that they say what was meant.

Room: store.mime. Pure; the message that is handed in stays as it is. What comes out is not believed: it is parsed back,
and its fields, addresses, subject and the contents of its parts are compared. Parts that could not pass (8-bit, NUL,
long lines, bare CR) are encoded, except within ``multipart/signed`` (RFC 1847), which is left alone. Addresses and text
are written by us: the library of Python 3.11 moves commas and dots of names out of their quotes.
"""

import re
from base64 import b64encode
from binascii import b2a_base64, b2a_qp
from collections.abc import Iterator
from copy import deepcopy
from email import message_from_bytes
from email.errors import MessageError
from email.generator import BytesGenerator
from email.headerregistry import Address, AddressHeader, UnstructuredHeader
from email.message import EmailMessage, Message
from email.policy import SMTP, default
from hashlib import blake2b
from io import BytesIO
from typing import Any, TypeAlias

from ..errors import BadMessage
from .limits import DEFAULT_LIMITS

__all__ = ["LINE_OCTETS_MAX", "flattened", "long_line"]

_ADDRESSED = ("from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-to", "resent-cc", "resent-bcc")
_OURS = frozenset({"content-type", "content-transfer-encoding"})
"""What may differ: a boundary and an encoding are made here."""
_NAME = re.compile(r"[!-9;-~]+")
_ENDS = re.compile(rb"\r\n?|\n")
_SPLITS = re.compile(r"\r\n?(?![ \t\n])|(?<!\r)\n(?![ \t])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_HARD = re.compile(rb"[^\x01-\x0c\x0e-\x7f]")
LINE_OCTETS_MAX = 998
"""Without its CRLF (RFC 5322 §2.1.1)."""
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/^_`{|}~-]{1,60}(?: [A-Za-z0-9!#$%&'*+/^_`{|}~-]{1,60}){0,5}")
_SPACES = re.compile(r"(?<=[^ ])(?= )")
_NAME_MAX = 500
_FOLD_AT = 78
_WORD_OCTETS = 42
"""In base64, with what is around it, 68 characters: 75 are allowed."""
_TROUBLES = (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What the library raises for messages that were put together wrongly."""
_Message: TypeAlias = "Message[Any, Any]"


def flattened(message: EmailMessage) -> bytes:
    """Return *message* with CRLF line ends, the same octets for the same message. Raises BadMessage."""
    try:
        meant = _meaning(message)
        made = _octets(message)
        if _meaning(message_from_bytes(made, policy=default)) != meant:
            raise BadMessage("its fields or parts would arrive as others than were meant; make them simpler")
    except _TROUBLES as error:
        if isinstance(error, BadMessage):
            raise
        raise BadMessage("the library cannot write this message; check its header values and charsets") from error
    return made


def _octets(message: EmailMessage) -> bytes:
    copy = deepcopy(message)  # texts are shared, not copied
    parts = list(_parts(copy))
    contents = blake2b(digest_size=12)
    for part, signed in parts:
        for name, value in part.raw_items():
            if _NAME.fullmatch(name) is None or _SPLITS.search(str(value)):
                raise BadMessage("the name or the value of a header field has a line end or a control character")
        if not part.is_multipart():
            contents.update(str(part.get_payload()).encode("utf-8", "surrogateescape"))
            if not signed:
                _make_passable(part)
    for number, (part, _) in enumerate(parts):
        if part.get_content_maintype() == "multipart" and part.get_boundary() is None:
            part.set_boundary(f"={contents.hexdigest()}.{number}=")  # else each call makes another one
    _write_fields(copy)
    utf8 = any(not address.isascii() for _, addresses in _people(copy) for address in addresses)
    out = BytesIO()
    BytesGenerator(out, mangle_from_=False, policy=SMTP.clone(utf8=utf8, refold_source="none")).flatten(copy)
    return out.getvalue()


def _write_fields(message: EmailMessage) -> None:
    """Spell out the fields of the header that hold addresses or plain text; what was parsed stays as it was."""
    fields = list(message.raw_items())
    for name in {name.lower() for name, _ in fields}:
        del message[name]
    for name, value in fields:
        if isinstance(value, AddressHeader):
            value = _address_list(value)
        elif isinstance(value, UnstructuredHeader):
            value = _text(str(value), len(name) + 2)
        message.set_raw(name, value)


def _address_list(header: AddressHeader) -> str:
    """Return the value of an address field, a line for each mailbox."""
    groups: list[str] = []
    for group in header.groups:
        members = ",\r\n ".join(map(_mailbox, group.addresses))
        groups.append(members if group.display_name is None else f"{_phrase(group.display_name)}:{members};")
    return ",\r\n ".join(groups)


def _mailbox(address: Address) -> str:
    name = " ".join(address.display_name.split())
    return f"{_phrase(name)}\r\n <{address.addr_spec}>" if name else address.addr_spec


def _phrase(text: str) -> str:
    if _ATOMS.fullmatch(text):
        return text
    if text.isascii() and text.isprintable() and "=?" not in text and len(text) < _NAME_MAX:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _words(text)


def _text(text: str, before: int) -> str:
    """Return unstructured *text* folded behind so many characters; encoded where it has to be (RFC 2047)."""
    text = text.strip()
    pieces = _SPACES.split(text)
    if not text.isascii() or not text.isprintable() or "=?" in text or max(map(len, pieces)) > _NAME_MAX:
        return _words(text)
    lines = [""]
    for piece in pieces:
        if lines[-1].strip() and before + len(lines[-1]) + len(piece) > _FOLD_AT:
            lines.append("")
            before = 0
        lines[-1] += piece
    return "\r\n".join(lines)


def _words(text: str) -> str:
    """Return *text* as encoded words, a line each; no character is cut in two."""
    words, held = [], b""
    for char in text:
        octets = char.encode("utf-8", "replace")
        if len(held) + len(octets) > _WORD_OCTETS:
            words.append(held)
            held = b""
        held += octets
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in (*words, held))


def _parts(message: _Message, depth: int = 0, signed: bool = False) -> Iterator[tuple[_Message, bool]]:
    """Yield all parts, containers before what is in them, and whether a signature covers them."""
    if depth > DEFAULT_LIMITS.depth:
        raise BadMessage(f"it has more than {DEFAULT_LIMITS.depth} parts within parts")
    yield message, signed
    if message.is_multipart():
        below = signed or message.get_content_type() == "multipart/signed"
        for part in message.get_payload():
            if not isinstance(part, Message):
                raise BadMessage("a multipart holds something that is no message part")
            yield from _parts(part, depth + 1, below)


def _make_passable(part: _Message) -> None:
    """Encode the content of *part* where it could not pass as it is: 7-bit, no NUL, no bare CR, no long lines."""
    encoding = str(part.get("Content-Transfer-Encoding", "7bit")).strip().lower()
    if encoding not in ("7bit", "8bit", "binary") or part.get_content_maintype() == "multipart":
        return
    raw = _content(part)
    lines = raw.replace(b"\r\n", b"\n")
    if encoding != "binary" and _HARD.search(lines) is None and long_line(lines) is None:
        return
    text = part.get_content_maintype() == "text" and encoding != "binary" and b"\r" not in lines
    encoded = b2a_qp(lines, istext=True) if text else _base64(raw)
    del part["Content-Transfer-Encoding"]
    part["Content-Transfer-Encoding"] = "quoted-printable" if text else "base64"
    part.set_payload(encoded.decode("ascii"))


def long_line(octets: bytes) -> int | None:
    """Return where the first line begins that has more than 998 octets; None: there is none.

    Looks for an end in the last of so many octets first: a step a kilobyte, not one a line.
    """
    at, size = 0, len(octets)
    while at < size:
        end = octets.rfind(b"\n", at, at + LINE_OCTETS_MAX + 2)
        if end < 0 or octets[end - 1 : end] != b"\r":
            end = octets.rfind(b"\n", at, at + LINE_OCTETS_MAX + 1)
        if end < 0:
            return at if size - at > LINE_OCTETS_MAX else None
        at = end + 1
    return None


def _base64(raw: bytes) -> bytes:
    return b"".join(b2a_base64(raw[at : at + 57]) for at in range(0, len(raw), 57))


def _content(part: _Message) -> bytes:
    """Return the decoded octets of a leaf. Raises ValueError where its text was never encoded in a charset."""
    payload = getattr(part, "_payload", None)  # the public way guesses at charsets
    if isinstance(payload, str):
        payload.encode("ascii", "surrogateescape")  # the library would write octets of a charset that nobody named
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _people(message: _Message) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield name and addresses of each address field of the header."""
    for name, value in message.raw_items():
        if name.lower() in _ADDRESSED:
            text = "".join(str(value).splitlines()).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            header = default.header_factory(name, text)
            yield name.lower(), tuple(one.addr_spec for one in header.addresses)


def _meaning(message: _Message) -> tuple[object, ...]:
    """Return what a reader gets to see: names of fields, addresses, subject, and the content of each part."""
    names = [name.lower() for name, _ in message.raw_items()]
    subject = "".join(str(message.get("Subject", "")).splitlines())
    return (
        [name for name in names if name not in _OURS],
        list(_people(message)),
        " ".join(subject.split()),
        [_fingerprint(part) for part, _ in _parts(message)],
    )


def _fingerprint(part: _Message) -> tuple[str, bytes]:
    """Return type and digest of a content, in which one kind of line end is as good as another."""
    if part.is_multipart():
        return part.get_content_type(), b""
    return part.get_content_type(), blake2b(_ENDS.sub(b"\n", _content(part)), digest_size=16).digest()
