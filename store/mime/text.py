"""What a person reads of a message: its text, and the first words of it.

Room: store.mime. Pure. Attachments and attached messages are not part of the text. RFC 2046 §5.1.4 (alternatives),
RFC 3676 (flowed lines).
"""

import re

from ..errors import MimeLimit
from .charset import decode_text
from .html import html_to_text
from .limits import DEFAULT_LIMITS, MimeLimits
from .parts import Entity, walk
from .transfer import decode_transfer

__all__ = ["preview", "text"]

_META = re.compile(rb"""(?i)<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}["']?([a-z0-9_:.-]{1,40})""")
# Everything below space but TAB and LF, DEL and C1: a text may be shown in a terminal.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_PREVIEW_SOURCE_FACTOR = 100
"""How many times its own length a preview looks into the text for words that are not quoted."""


def text(raw: bytes, limits: MimeLimits = DEFAULT_LIMITS) -> str:
    """Return the text of a message: lines end with LF; no control characters but TAB.

    Of alternatives the plain text is taken where it says anything, else HTML as text; other text parts that are not
    attachments follow each other. At most ``limits.text_octets`` are read. Empty when there is no text. Raises
    MimeLimit when the message cannot be taken apart.
    """
    entities = walk(raw, limits)
    chosen: dict[int, list[tuple[str, str]]] = {}  # by the outermost alternative, or by the part itself
    room = limits.text_octets
    for index, entity in enumerate(entities):
        kind = entity.header.content_type
        if not kind.startswith("text/") or entity.header.disposition == "attachment" or room <= 0:
            continue
        place = _place(entities, index)
        if place is not None:
            octets = decode_transfer(
                raw[entity.start : min(entity.end, entity.start + 2 * room)], entity.header.transfer_encoding
            )
            chosen.setdefault(place, []).append((kind, _readable(entity, octets[:room])))
            room -= len(octets)
    return "\n\n".join(filter(None, (_best(found) for found in chosen.values())))


def preview(source: bytes | str, characters: int = 140, limits: MimeLimits = DEFAULT_LIMITS) -> str:
    """Return the first words of a message (or of its text) on one line, at most *characters* long.

    Quoted lines are left out unless there is nothing else. A message that cannot be taken apart has no preview.

    >>> preview("> old\\nHello  there,\\nhow are you?", 12)
    'Hello there…'
    """
    if isinstance(source, bytes):
        try:
            source = text(source, limits)
        except MimeLimit:
            return ""
    source = source[: characters * _PREVIEW_SOURCE_FACTOR]
    own = " ".join(line for line in source.split("\n") if not line.startswith(">"))
    words = " ".join(own.split()) or " ".join(source.split())
    words = "".join(char for char in words if char.isprintable())
    return words if len(words) <= characters else words[: max(characters - 1, 0)].rstrip(" ,.;:") + "…"


def _place(entities: list[Entity], index: int) -> int | None:
    """Return the outermost alternative around a part, else the part itself; None within an attached message."""
    place, at = index, entities[index].parent
    while at >= 0:
        kind = entities[at].header.content_type
        if kind.startswith("message/"):
            return None
        if kind == "multipart/alternative":
            place = at
        at = entities[at].parent
    return place


def _best(found: list[tuple[str, str]]) -> str:
    """Return the text of one place: plain where it says anything, else HTML, else any other kind of text."""
    for wanted in ("text/plain", "text/html", ""):
        said = [content for kind, content in found if content.strip() and kind.startswith(wanted)]
        if said:
            return "\n\n".join(said)
    return ""


def _readable(entity: Entity, octets: bytes) -> str:
    header = entity.header
    charset = header.charset
    if header.content_type == "text/html" and not charset and (meta := _META.search(octets[:2_000])):
        charset = meta[1].decode("ascii")
    content = decode_text(octets, charset).removeprefix("\ufeff")
    if header.content_type == "text/html":
        content = html_to_text(content)
    content = content.replace("\r\n", "\n").replace("\r", "\n")
    if header.flowed:
        content = _unflowed(content, delsp=header.delsp)
    return _CONTROL.sub("", content).strip("\n")


def _unflowed(content: str, *, delsp: bool) -> str:
    """Join soft-broken lines of the same quote depth (RFC 3676 §4.1)."""
    out: list[str] = []
    open_depth = -1  # quote depth of a line that goes on, or -1
    for line in content.split("\n"):
        body = line.lstrip(">")
        depth = len(line) - len(body)
        body = body.removeprefix(" ")
        signature = body == "-- "
        if open_depth == depth and not signature:
            out.append(body)
        else:
            out.append(("\n" if out else "") + ">" * depth + (" " if depth else "") + body)
        soft = body.endswith(" ") and not signature
        if soft and delsp:
            out[-1] = out[-1][:-1]
        open_depth = depth if soft else -1
    return "".join(out)
