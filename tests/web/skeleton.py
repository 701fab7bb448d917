"""HTML as its bones: elements and the names of their attributes, apart from all text. Two pages that differ in nothing
but what people wrote have the same bones, unless something that they wrote became an element.

Room: tests/web. Parsed as browsers do it, as far as the stdlib's parser goes; nothing of ours is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

__all__ = ["Bones", "bones_of"]

_ADDRESSES = frozenset({"href", "src", "action", "formaction", "data", "poster", "srcset", "data-live"})


@dataclass(slots=True)
class Bones:
    """What a page is made of."""

    shape: list[tuple[str, ...]] = field(default_factory=list)
    """Of each tag, in order: its name, then the names of its attributes."""
    texts: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    handlers: list[str] = field(default_factory=list)
    """Attributes that are code."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.bones = Bones()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.bones.shape.append((tag, *(name for name, _ in attrs)))
        for name, value in attrs:
            self.bones.values.append(value or "")
            if name in _ADDRESSES:
                self.bones.addresses.append(value or "")
            if name.startswith("on") or name in ("style", "srcdoc"):
                self.bones.handlers.append(f"{tag} {name}")

    def handle_endtag(self, tag: str) -> None:
        self.bones.shape.append((f"/{tag}",))

    def handle_comment(self, data: str) -> None:
        self.bones.shape.append(("!", data))

    def handle_decl(self, decl: str) -> None:
        self.bones.shape.append(("!decl", decl))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.bones.texts.append(data.strip())


def bones_of(html: str) -> Bones:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.bones
