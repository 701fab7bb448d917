"""HTML to plain text, for reading and for the search index. Not a sanitizer: nothing of it may be shown as HTML.

Room: store.mime. Pure. One pass without a tree or recursion. The stdlib's ``HTMLParser`` is not used: what it does with
tags, comments and declarations that never end is quadratic in Python before 3.11.14 (CVE-2025-6069).
"""

import re
from html import unescape

__all__ = ["html_to_text"]

_NAME = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)")
_ATTRIBUTES = re.compile(r"(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>")
_ALT = re.compile(r"(?i)(?:^|\s)alt\s*=\s*(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++))")
_SPACE = re.compile(r"[ \t\r\n\f]+")
_BIG_REFERENCE = re.compile(r"&#(?:[0-9]{9,}|[xX][0-9a-fA-F]{9,});?")
_BLANK_LINES = re.compile(r"\n{3,}")

_HIDDEN = frozenset({"script", "style", "head", "title", "template", "noscript", "svg", "math", "object", "select"})
_ENDS = {name: re.compile(rf"(?i)</{name}(?=[\s/>])") for name in _HIDDEN}
_BLOCKS = frozenset(
    [
        *("address", "article", "aside", "center", "dd", "div", "dl", "dt", "fieldset", "figcaption", "figure"),
        *("footer", "form", "header", "li", "main", "nav", "section", "tr", "body", "html"),
    ]
)
_PARAGRAPHS = frozenset({"blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "ol", "p", "pre", "table", "ul"})
_CELLS = frozenset({"td", "th"})

BULLET = "* "
TAG_CHARACTERS_MAX = 10_000
ODD_TAGS_MAX = 100
"""Tags whose quotes do not close within TAG_CHARACTERS_MAX; after so many, quotes are not looked at any more."""


def html_to_text(html: str) -> str:
    """Return what a reader of *html* would see, as lines: blocks apart, scripts and styles gone, entities resolved.

    Linear in its input, whatever it is.

    >>> html_to_text("<p>Dear&nbsp;<b>all</b>,<br>see you<style>p{}</style></p><ul><li>a<li>b</ul>")
    'Dear all,\\nsee you\\n\\n* a\\n* b'
    """
    return _Reader(html).text()


class _Reader:
    """Where we are in the HTML, and the lines so far."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.out: list[str] = []
        self.odd = 0
        self.missing: set[str] = set()  # marks that do not come any more
        self.preformatted = 0
        self.fresh = True  # at the start of a line

    def text(self) -> str:
        html, at = self.html, 0
        while (start := html.find("<", at)) >= 0:
            self.words(html[at:start])
            if html.startswith("<!--", start):
                at = self.after("-->", start + 4)
            elif html.startswith(("<!", "<?"), start):
                at = self.after(">", start)
            elif (name := _NAME.match(html, start)) is not None:
                end = self.tag_end(name)
                if end < 0:
                    at = start
                    break  # no tag ends after this: the rest is text
                at = self.element(name[1].lower(), name.end(), end)
            else:
                self.words("<")
                at = start + 1
        self.words(html[at:])
        lines = (line.rstrip() for line in "".join(self.out).replace("\u00a0", " ").split("\n"))
        return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n ")

    def after(self, mark: str, start: int) -> int:
        """Return where *mark* ends; where it never comes, where the next ">" does, or the end."""
        for each in (mark, ">"):
            if each not in self.missing:
                end = self.html.find(each, start)
                if end >= 0:
                    return end + len(each)
                self.missing.add(each)  # Invariant: nothing is looked for twice to the end
        return len(self.html)

    def tag_end(self, name: re.Match[str]) -> int:
        """Return where the tag ends that starts with *name*, or -1 when it does not."""
        if self.odd < ODD_TAGS_MAX:
            end = _ATTRIBUTES.match(self.html, name.end(), name.end() + TAG_CHARACTERS_MAX)
            if end is not None:
                return end.end()
            self.odd += 1
        return self.html.find(">", name.end()) + 1 or -1

    def element(self, name: str, start: int, end: int) -> int:
        """Write what the tag means whose attributes are ``html[start:end]``; return where to go on."""
        opening = self.html[start - len(name) - 1] != "/"
        if name in _HIDDEN and opening:
            close = _ENDS[name].search(self.html, end)
            return self.after(">", close.end()) if close else len(self.html)
        if name == "br":
            self.out.append("\n")
            self.fresh = True
        elif name in _PARAGRAPHS:
            self.line(2)
            if name == "pre":
                self.preformatted = max(0, self.preformatted + (1 if opening else -1))
            elif name == "hr":
                self.out.append("---\n")
        elif name in _BLOCKS:
            self.line(1)
            if name == "li" and opening and self.out[-1:] != [BULLET]:
                self.out.append(BULLET)
        elif name in _CELLS and opening and not self.fresh:
            self.out.append(" ")
            self.fresh = True
        elif name == "img" and (alt := _ALT.search(self.html, start, end)):
            self.words(next(words for words in alt.groups() if words is not None))
        return end

    def line(self, count: int) -> None:
        """Go to the start of a line, *count* - 1 empty lines between; what follows a bullet stays beside it."""
        if self.out and self.out[-1] == BULLET:
            return
        self.out.append("\n" * count if not self.fresh or count > 1 else "")
        self.fresh = True

    def words(self, text: str) -> None:
        if not text:
            return
        if "&" in text:
            text = unescape(_BIG_REFERENCE.sub("\ufffd", text))
        if not self.preformatted:
            text = _SPACE.sub(" ", text)
            if self.fresh:
                text = text.lstrip(" ")
        if text:
            self.out.append(text)
            self.fresh = text[-1] in " \n"
