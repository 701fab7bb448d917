"""MIME as a server sees it: sections of a message octet by octet, and BODYSTRUCTURE.

Room: tests/servers. Pure. RFC 3501 sections 6.4.5 and 7.4.2, RFC 2045. The split works on raw
octets (the stdlib parser does not keep them), so `BODY[1.2]` is exactly what lies between the boundaries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser

from .fake_wire import quote

__all__ = ["Node", "body_structure", "header_block", "parse_message", "section"]

_BLANK_LINE = re.compile(rb"\r?\n\r?\n|\A\r?\n")
_NESTING_MAX = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One part: its header block (blank line included), its body, its children (an attached message has one)."""

    head: bytes
    body: bytes
    headers: Message
    children: tuple[Node, ...]

    @property
    def kind(self) -> str:
        return self.headers.get_content_type()


def header_block(octets: bytes) -> bytes:
    """Return the header block with its blank line; the whole message when it has no body."""
    match = _BLANK_LINE.search(octets)
    return octets[: match.end()] if match else octets


def parse_message(octets: bytes, depth: int = 0) -> Node:
    """Return the tree of parts; deeper than 80 levels the rest counts as one leaf."""
    head = header_block(octets)
    body = octets[len(head) :]
    headers = BytesHeaderParser().parsebytes(head)
    children: tuple[Node, ...] = ()
    if depth < _NESTING_MAX:
        boundary = headers.get_boundary()
        if headers.get_content_maintype() == "multipart" and boundary:
            pieces = _split(body, boundary.encode("latin-1", "replace"))
            children = tuple(parse_message(piece, depth + 1) for piece in pieces)
        elif headers.get_content_type() == "message/rfc822":
            children = (parse_message(body, depth + 1),)
    return Node(head=head, body=body, headers=headers, children=children)


def _split(body: bytes, boundary: bytes) -> Iterable[bytes]:
    mark = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|\Z)")
    start: int | None = None
    for match in mark.finditer(body):
        if start is not None:
            yield body[start : max(start, match.start())]
        if match[1]:
            return
        start = match.end()
    if start is not None:
        yield body[start:]


def section(octets: bytes, name: str) -> bytes | None:
    """Return what `BODY[name]` holds; None when there is no such part (the server answers NIL)."""
    if not name:
        return octets
    path, _, rest = name.partition(" ")
    numbers = re.match(r"(?:\d+(?:\.(?=\d))?)*", path)[0]  # type: ignore[index]
    text = path[len(numbers) :].lstrip(".").upper()
    node = parse_message(octets)
    is_message = True
    for number in (int(piece) for piece in numbers.split(".") if piece):
        inner = node.children[0] if node.kind == "message/rfc822" and not is_message else node
        if inner.kind.startswith("multipart/"):
            if not 1 <= number <= len(inner.children):
                return None
            node = inner.children[number - 1]
        elif number == 1:
            node = inner
        else:
            return None
        is_message = False
    if text == "MIME":
        return node.head
    if not text:
        return node.body
    if numbers:
        if not node.children:
            return None
        node = node.children[0]
    match text:
        case "HEADER":
            return node.head
        case "TEXT":
            return node.body
        case "HEADER.FIELDS" | "HEADER.FIELDS.NOT":
            names = {word.lower() for word in rest.strip("()").split()}
            return _fields(node.head, names, keep=text == "HEADER.FIELDS")
    return None


def _fields(head: bytes, names: set[str], *, keep: bool) -> bytes:
    out = bytearray()
    for field in re.findall(rb"[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*", head):
        name = field.partition(b":")[0].strip().decode("latin-1").lower()
        if field.strip() and (name in names) is keep:
            out += field
    return bytes(out + b"\r\n")


def body_structure(octets: bytes) -> bytes:
    """Return BODYSTRUCTURE, extension data up to the disposition."""
    return _structure(parse_message(octets))


def _structure(node: Node) -> bytes:
    main, _, sub = node.kind.partition("/")
    disposition = _disposition(node.headers)
    parameters = _pairs(node.headers.get_params([], unquote=True)[1:])
    if main == "multipart" and node.children:
        inner = b"".join(_structure(child) for child in node.children)
        return b"(%b %b %b %b NIL NIL)" % (inner, _string(sub), parameters, disposition)
    encoding = str(node.headers.get("Content-Transfer-Encoding", "7bit")).strip() or "7bit"
    if main == "text" and parameters == b"NIL":
        parameters = b'("charset" "us-ascii")'
    shown = [_string(main), _string(sub), parameters, _optional(node.headers.get("Content-ID"))]
    shown += [_optional(node.headers.get("Content-Description")), _string(encoding), b"%d" % len(node.body)]
    lines = b"%d" % node.body.count(b"\n")
    if node.kind == "message/rfc822" and node.children:
        # ENVELOPE is asked for by nobody here; ten NILs are a legal one.
        shown += [b"(" + b" ".join([b"NIL"] * 10) + b")", _structure(node.children[0]), lines]
    elif main == "text":
        shown.append(lines)
    return b"(" + b" ".join([*shown, b"NIL", disposition, b"NIL", b"NIL"]) + b")"


def _disposition(headers: Message) -> bytes:
    kind = headers.get_content_disposition()
    if kind is None:
        return b"NIL"
    pairs = headers.get_params([], header="Content-Disposition", unquote=True)[1:]
    return b"(%b %b)" % (_string(kind), _pairs(pairs))


def _pairs(pairs: Iterable[tuple[str, str]]) -> bytes:
    words = [_string(word) for pair in pairs for word in pair]
    return b"(" + b" ".join(words) + b")" if words else b"NIL"


def _optional(value: object) -> bytes:
    return b"NIL" if value is None else _string(str(value))


def _string(value: object) -> bytes:
    octets = str(value).encode("utf-8", "surrogateescape")
    quoted = quote(octets)
    return quoted if quoted[:1] in b'"{' else b'"' + quoted + b'"'
