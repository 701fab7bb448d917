"""A message on its way out: is it one, who is it from and to, what does it need, and what is left out of it.

Room: store.mime. Pure: instant and token come in. What is wrong is a ``BadMessage`` before anything is queued, never
repaired by a guess: a message is refused, or what goes out says what was meant. RFC 5321 §2.3.8, §4.5.3.1 (line ends,
lengths), RFC 5322 §2.2, §3.6 (fields, and how often each may stand), RFC 6152, RFC 6531, RFC 6532.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

from ..errors import BadMessage
from .addresses import parse_addresses
from .flattening import LINE_OCTETS_MAX, flattened, long_line
from .header import scan_header, split_header
from .limits import DEFAULT_LIMITS

__all__ = ["LINE_OCTETS_MAX", "RECIPIENTS_MAX", "Composed", "Letter", "composed", "without_bcc"]

Letter: TypeAlias = EmailMessage | bytes
"""What can be submitted."""
ADDRESS_OCTETS_MAX = 254
"""RFC 5321 §4.5.3.1.3: a path has 256, its angle brackets among them."""
RECIPIENTS_MAX = 10_000
_ADDRESSED_ONCE = frozenset({"from", "sender", "reply-to", "to", "cc", "bcc"})
_ONCE = _ADDRESSED_ONCE | {"message-id", "in-reply-to", "references", "subject", "date"}
_ONCE |= {"mime-version", "content-type", "content-transfer-encoding"}
_TO = ("to", "cc", "bcc")
_FIELD = re.compile(rb"([!-9;-~]+):(.*)", re.DOTALL)
_END = re.compile(rb"\r\n?|\n")
_ENDS = {b"\r\n": "a CRLF", b"\n": "a bare LF", b"\r": "a bare CR"}
_HIGH = re.compile(rb"[^\0-\x7f]")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MESSAGE_ID = re.compile(r"<[^\s<>@]+@[^\s<>@]+>")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\x80-\U0010ffff-]+"
_QUOTED = r'"(?:[ !#-\[\]-~\x80-\U0010ffff]|\\[ -~])*"'
_DOMAIN = r"[A-Za-z0-9_\x80-\U0010ffff](?:[A-Za-z0-9._\x80-\U0010ffff-]*[A-Za-z0-9_\x80-\U0010ffff])?"
_ADDRESS = re.compile(rf"(?:{_ATOM}|{_QUOTED})@(?:{_DOMAIN}|\[[0-9A-Za-z.:]+\])")
_IN_QUOTES = re.compile(r'"(?:[^"\\]|\\.)*"')
_COMMENT = re.compile(r"\((?:[^()\\]|\\.)*\)")
COMMENTS_DEEP = 20
"""Comments within comments; what lies deeper is no comment to us, and then no address."""
_REPEATED = re.compile(r"([^\s<>,;:]{1,254})\s+<\1>")
_BCC = re.compile(rb"(?:resent-)?bcc[ \t]*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A message that can be sent, with its envelope."""

    pieces: tuple[bytes, ...] = attribute(repr=False)
    """CRLF line ends throughout, the last line included; Bcc and all: the copy that is kept. Large ones are not copied
    for the sake of what is added to them."""
    size: int
    """Octets that go out: without Bcc."""
    message_id: str
    """With angle brackets."""
    sender: str
    recipients: tuple[str, ...]
    """Each once, in the order of To, Cc, Bcc, or as given; at least one."""
    subject: str
    eight_bit: bool
    utf8: bool
    digest: bytes
    """Of what was given: the same message with the same envelope has the same one, whatever was added to it."""

    @property
    def octets(self) -> bytes:
        """The kept copy, whole."""
        return b"".join(self.pieces)


class _Field(NamedTuple):
    name: str
    value: bytes
    line: int


def composed(
    message: Letter,
    *,
    at: datetime,
    token: str,
    sender: str | None = None,
    recipients: Sequence[str] | None = None,
) -> Composed:
    """Return *message* as it is kept and sent. Raises BadMessage.

    Octets whose line ends are all LF, or all CR, get CRLF; missing Date (*at*) and Message-ID (from *token*) are put
    on top; else they stay as they are. *sender*, *recipients*: addresses without names or angle brackets; None: from
    Sender, else From; from To, Cc and Bcc. An empty *sender* is the null reverse-path.

    >>> made = composed(b"From: a@example.org\\nTo: b@example.org\\n\\nHi\\n", at=datetime(2026, 1, 1), token="x1")
    >>> made.sender, made.recipients, made.message_id
    ('a@example.org', ('b@example.org',), '<x1@example.org>')
    """
    if not isinstance(message, (EmailMessage, bytes)):
        raise TypeError("a message is an EmailMessage, or octets")
    octets = flattened(message) if isinstance(message, EmailMessage) else _with_crlf(message)
    octets = _whole(octets)
    block, _ = split_header(octets)
    fields = _fields(block)
    by_name: dict[str, _Field] = {}
    for one in fields:
        if one.name in _ONCE and one.name in by_name:
            raise BadMessage(f"the field {one.name.title()} stands twice; a message has it once", one.line)
        by_name.setdefault(one.name, one)
    if "from" not in by_name:
        raise BadMessage("a message needs a From field")
    origin = _sender(by_name)
    sender = origin if sender is None else sender and _checked(sender, "the sender")
    to = _recipients(by_name) if recipients is None else _given(recipients)
    digest = _digest(octets, sender, to)
    added, message_id = _added(by_name, origin, at, token)
    out = without_bcc(added + block)
    return Composed(
        pieces=(added, octets) if added else (octets,),
        size=len(octets) - len(block) + len(out),
        message_id=message_id,
        sender=sender,
        recipients=to,
        subject=scan_header(block).subject,
        eight_bit=not out.isascii() or _HIGH.search(octets, len(block)) is not None,
        utf8=not (out.isascii() and sender.isascii() and all(one.isascii() for one in to)),
        digest=digest,
    )


def without_bcc(block: bytes) -> bytes:
    """Return a header block without its Bcc and Resent-Bcc fields, every other octet as it was.

    >>> without_bcc(b"To: a\\r\\nBCC: b,\\r\\n c\\r\\nSubject: d\\r\\n\\r\\n")
    b'To: a\\r\\nSubject: d\\r\\n\\r\\n'
    """
    kept: list[bytes] = []
    hidden = False
    for line in block.splitlines(keepends=True):  # of octets: CRLF, LF and CR only
        if line[:1] not in (b" ", b"\t"):
            hidden = _BCC.match(line) is not None
        if not hidden:
            kept.append(line)
    return b"".join(kept)


# --- octets ------------------------------------------------------------------------------------------------------


def _with_crlf(octets: bytes) -> bytes:
    """Return *octets* with CRLF line ends, where they have one kind throughout. Raises BadMessage for a mixture."""
    both = octets.count(b"\r\n")
    counts = {b"\r\n": both, b"\n": octets.count(b"\n") - both, b"\r": octets.count(b"\r") - both}
    most = max(counts, key=counts.__getitem__)
    if counts[most] == sum(counts.values()):
        return octets if most == b"\r\n" else octets.replace(most, b"\r\n")
    for line, end in enumerate(_END.finditer(octets), 1):
        if end[0] != most:
            raise BadMessage(f"{_ENDS[end[0]]} among other line ends; write all as CRLF, or all as LF", line)
    raise AssertionError("there are ends of two kinds")


def _whole(octets: bytes) -> bytes:
    """Return *octets*, which have CRLF line ends, with an empty line behind the header and an end of the last line.

    Raises BadMessage for what no line of mail may hold.
    """
    nul, long = octets.find(b"\0"), long_line(octets)
    if nul >= 0:
        raise BadMessage("a NUL; encode this part as base64", octets.count(b"\n", 0, nul) + 1)
    if long is not None:
        what = f"more than {LINE_OCTETS_MAX} octets; fold the field, or encode the part as quoted-printable"
        raise BadMessage(what, octets.count(b"\n", 0, long) + 1)
    if not octets or octets.isspace():
        raise BadMessage("the message is empty")
    if not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    if not octets.startswith(b"\r\n") and b"\r\n\r\n" not in octets:
        octets += b"\r\n"
    return octets


def _fields(block: bytes) -> list[_Field]:
    """Return the fields of a header block, their values on one line each. Raises BadMessage for what is none."""
    if len(block) > DEFAULT_LIMITS.header_octets:
        raise BadMessage(f"its header has more than {DEFAULT_LIMITS.header_octets:,} octets")
    fields: list[_Field] = []
    for number, line in enumerate(block.split(b"\r\n"), 1):
        if not line:
            break
        if _CONTROL.search(line):
            raise BadMessage("a control character in the header; encode it (RFC 2047)", number)
        if not line.isascii():
            try:
                line.decode()
            except UnicodeDecodeError:
                raise BadMessage(
                    "a header line that is neither ASCII nor UTF-8; encode it (RFC 2047)", number
                ) from None
        if line[:1] in (b" ", b"\t"):
            if not fields or not line.strip():
                raise BadMessage("a header line of white space, or one that continues nothing", number)
            fields[-1] = fields[-1]._replace(value=fields[-1].value + line)
        elif (match := _FIELD.fullmatch(line)) is not None:
            fields.append(_Field(match[1].decode().lower(), match[2], number))
        else:
            raise BadMessage("a line in the header that is no field; an empty line ends the header", number)
    return fields


# --- envelope ----------------------------------------------------------------------------------------------------


def _sender(fields: dict[str, _Field]) -> str:
    """Return who sends it (RFC 5322 §3.6.2). Raises BadMessage where From names nobody, or several without a Sender."""
    field = fields.get("sender") or fields["from"]
    found = list(_addresses(field))
    if len(found) != 1:
        raise BadMessage(
            "From has several addresses; a Sender field tells which of them sends it"
            if found and field.name == "from"
            else f"the field {field.name.title()} needs one address",
            field.line,
        )
    return found[0]


def _recipients(fields: dict[str, _Field]) -> tuple[str, ...]:
    return _once(address for name in _TO if name in fields for address in _addresses(fields[name]))


def _given(recipients: Sequence[str]) -> tuple[str, ...]:
    if isinstance(recipients, str):
        raise ValueError("recipients are a sequence of addresses, not one text")
    return _once(_checked(one, "a recipient") for one in recipients)


def _once(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return each address once: domains are the same in any case, what stands before the ``@`` is not."""
    found: dict[tuple[str, str], str] = {}
    for address in addresses:
        local, _, domain = address.rpartition("@")
        found.setdefault((local, domain.casefold()), address)
    if not 1 <= len(found) <= RECIPIENTS_MAX:
        raise BadMessage(
            "it has no recipients; name them in To, Cc or Bcc"
            if not found
            else f"it has more than {RECIPIENTS_MAX:,} recipients; send it in several parts"
        )
    return tuple(found.values())


def _addresses(field: _Field) -> Iterator[str]:
    """Yield the addresses of an address field; of a group its members, which may be none."""
    text = field.value.decode()
    most = DEFAULT_LIMITS.addresses
    found = parse_addresses(text, most + 1)
    if len(found) > most:
        raise BadMessage(f"the field {field.name.title()} has more than {most:,} addresses", field.line)
    addresses = [one.address for one in found if one.address]
    bare = _bare(text)
    if len(found) - len(addresses) > min(bare.count(":"), bare.count(";")):  # of a group without members, its name
        raise BadMessage(f"the field {field.name.title()} has a name without an address", field.line)
    yield from (_checked(one, f"the field {field.name.title()}", field.line) for one in addresses)
    if bare.count("@") != len(addresses) or bare.count("<") != bare.count(">"):
        what = "something that is no address, or two without a comma between them"
        raise BadMessage(f"the field {field.name.title()} has {what}", field.line)


def _bare(text: str) -> str:
    """Return an address field without what is quoted and commented, and without names that repeat their address.

    What reads addresses is patient and finds some in anything; here nothing may be passed over (a lost comma would be a
    lost recipient).
    """
    text = _IN_QUOTES.sub("", text)
    for _ in range(COMMENTS_DEEP):  # from the innermost outwards
        text = _COMMENT.sub("", text)
    return _REPEATED.sub(r"<\1>", text)


def _checked(address: str, where: str, line: int | None = None) -> str:
    """Return *address*, which is one and nothing else. Raises BadMessage, which does not repeat it."""
    if (
        _ADDRESS.fullmatch(address) is None
        or not address.isprintable()
        or len(address.encode()) > ADDRESS_OCTETS_MAX
        or ".." in address.rpartition("@")[2]
    ):
        raise BadMessage(f"{where} has something that is no address such as name@example.org", line)
    return address


def _added(fields: dict[str, _Field], origin: str, at: datetime, token: str) -> tuple[bytes, str]:
    """Return the fields that are missing, and the Message-ID with angle brackets."""
    added = b"" if "date" in fields else f"Date: {format_datetime(at)}\r\n".encode()
    field = fields.get("message-id")
    if field is not None:
        message_id = field.value.decode().strip()
        if _MESSAGE_ID.fullmatch(message_id) is None:
            raise BadMessage("the field Message-ID needs one id such as <word@example.org>", field.line)
        return added, message_id
    domain = origin.rpartition("@")[2]
    try:
        domain.encode("ascii")
    except UnicodeEncodeError:
        domain = "maildock.invalid"  # an id is ASCII wherever it can be, and names nobody
    message_id = f"<{token}@{domain}>"
    return added + f"Message-ID: {message_id}\r\n".encode(), message_id


def _digest(octets: bytes, sender: str, recipients: tuple[str, ...]) -> bytes:
    running = blake2b(octets, digest_size=32)
    running.update("\n".join(("", sender, *recipients)).encode())
    return running.digest()
