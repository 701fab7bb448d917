"""What reaches the terminal: text made harmless, tables, JSON lines, raw octets.

Invariant: everything that a server or a message wrote passes ``one_line`` or ``many_lines`` before it is printed for a
person, and is never read as markup.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from unicodedata import combining, east_asian_width

from ..words import count, octets

__all__ = [
    "cells",
    "column",
    "count",
    "hint",
    "iso",
    "many_lines",
    "moment",
    "octets",
    "one_line",
    "put",
    "put_json",
    "put_now",
    "put_octets",
    "table",
]

# Embedding, override and isolate controls reorder what stands around them (Unicode TR 9); marks alone do no harm.
BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str, characters_max: int = 0) -> str:
    """Return hostile *text* as one harmless line; capped with an ellipsis when *characters_max* is given.

    >>> one_line("a\\x1b[31m\\r\\nb")
    'a[31m b'
    """
    words = text.split()
    clean = " ".join(word for word in ("".join(filter(str.isprintable, word)) for word in words) if word)
    return clean[: characters_max - 1] + "…" if 0 < characters_max < len(clean) else clean


def many_lines(text: str) -> str:
    """Return hostile *text* with its lines and tabs kept and every other control character gone.

    >>> many_lines("a\\x1b]0;x\\x07\\r\\nb\\tc")
    'a]0;x\\nb\\tc'
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return (
        "".join(
            char
            for char in lines
            if char in "\n\t" or (char not in BIDI_CONTROLS and (char.isprintable() or not char.isascii()))
            if not "\x7f" <= char <= "\x9f"
        )
        .encode("utf-8", "replace")
        .decode()
    )


def cells(text: str) -> int:
    """Return how many columns of a terminal *text* takes: Chinese, Japanese, Korean and emoji are two wide.

    >>> cells("abc"), cells("会議")
    (3, 4)
    """
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def column(text: str, width: int, *, right: bool = False) -> str:
    """Return hostile *text* as exactly *width* columns: padded, or shortened with an ellipsis.

    >>> column("会議の資料", 6) + "|", column("ab", 4, right=True)
    ('会議… |', '  ab')
    """
    line = one_line(text)
    if cells(line) > width:
        while cells(line) > width - 1:
            line = line[:-1]
        line += "…"
    space = " " * (width - cells(line))
    return space + line if right else line + space


def put(text: str = "") -> None:
    """Print one line for a person."""
    sys.stdout.write(text + "\n")


def put_now(text: str) -> None:
    """Print one line for a person of what goes on: whoever reads along, a journal too, has it at once."""
    put(text)
    sys.stdout.flush()


def hint(text: str) -> None:
    """Print one line to stderr: a remark beside the answer."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def put_json(value: object) -> None:
    """Print *value* as one line of JSON in ASCII, and flush: somebody may be reading along."""
    sys.stdout.write(json.dumps(value, separators=(", ", ": ")) + "\n")
    sys.stdout.flush()


def put_octets(chunks: Iterable[bytes]) -> None:
    """Write octets exactly where the output is a file or a pipe; made harmless where it is a terminal."""
    if sys.stdout.isatty():
        for chunk in chunks:
            sys.stdout.write(many_lines(chunk.decode("utf-8", "replace")))
        sys.stdout.flush()
        return
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    for chunk in chunks:
        if binary is None:  # a host that replaced stdout by a text stream
            sys.stdout.write(chunk.decode("utf-8", "surrogateescape"))
        else:
            binary.write(chunk)
    sys.stdout.flush()


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Print aligned columns; numbers of the columns *right* to the right. On a terminal long cells are shortened."""
    if sys.stdout.isatty():
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        shown = Table(box=SIMPLE_HEAD, pad_edge=False)
        for at, head in enumerate(heads):
            shown.add_column(head, justify="right" if at in right else "left", overflow="ellipsis", no_wrap=True)
        for row in rows:
            shown.add_row(*map(Text, row))
        Console().print(shown)
        return
    widths = [max(map(cells, texts)) for texts in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        line = [
            column(cell, width, right=at in right) for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        put("  ".join(line).rstrip())


def iso(at: "datetime | None") -> str | None:
    """Return a moment as JSON has it."""
    return at.isoformat() if at is not None else None


def moment(at: datetime | None) -> str:
    """Return *at* in local time for a person, a dash for None."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M") if at else "-"
