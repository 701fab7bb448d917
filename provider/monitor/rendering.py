"""Values → HTML. Every value is escaped by the template engine, and made harmless by ``words`` before that."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..words import count
from . import words
from .center import Counted
from .pages import PAGES, Page

__all__ = ["STATIC", "Rendering"]

_HERE = Path(__file__).parent
STATIC = {
    name: (_HERE / "static" / name).read_bytes()  # small, and read once
    for name in ("monitor.css", "monitor.js", "monitor.svg")
}


class Rendering:
    """The templates. Thread-safe."""

    def __init__(self) -> None:
        self._jinja = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters.update(
            clean=words.clean,
            octets=words.octets,
            rate=words.rate,
            span=words.span,
            moment=words.moment,
            day=words.day,
            status=words.status_word,
            trigger=words.trigger_word,
            phase=words.phase_word,
        )
        self._jinja.globals.update(
            many=count, ago=words.ago, key_of=words.key_of, pages=[page for page in PAGES if not page.of]
        )

    def page(self, page: Page, values: Mapping[str, object], **more: object) -> str:
        """Return a whole page. *more*: base, nonce, form_token, counted, said, problem, live."""
        return self._jinja.get_template("page.html").render(page=page, now=datetime.now(UTC), **values, **more)

    def part(self, name: str, page: Page, values: Mapping[str, object], **more: object) -> str:
        """Return what is inside one part of a page; ``nav`` is one of every page."""
        template = self._jinja.get_template(f"parts/{name}.html")
        return template.render(page=page, now=datetime.now(UTC), **values, **more)

    def notice(self, title: str, text: str, **more: object) -> str:
        """Return a page that says one thing, and looks at nothing: it may be that nothing can be looked at."""
        counted = Counted(running=0, errors=0, conflicts=0, outbox=0)
        return self._jinja.get_template("notice.html").render(title=title, text=text, counted=counted, **more)
