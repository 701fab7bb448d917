"""``maildock status --watch``: a live table on a terminal; elsewhere one line for each account that changed."""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from .output import moment, one_line, put_json, put_now

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["HEADS", "RIGHT", "cells_of", "changed", "drawn", "watching"]

Row = dict[str, object]
LOOK_SECONDS = 1.0
"""How often it is looked: a run that begins moves no change number, and one under way moves many."""
HEADS = (
    "account",
    "state",
    "since",
    "last success",
    "messages",
    "unseen",
    "bodies",
    "to send",
    "version",
    "last error",
)
RIGHT = (4, 5, 6, 7, 8)


def cells_of(row: Row) -> tuple[str, ...]:
    """Return the cells of an account's facts under ``HEADS``, made harmless."""
    return (
        one_line(str(row["account"])),
        f"{_state(row)}, alert" if row["alert_since"] else _state(row),
        _moment(row["state_at"]),
        _moment(row["last_success"]),
        f"{row['messages']:,}",
        f"{row['unseen']:,}",
        f"{row['bodies']:,}",
        f"{row['pending']:,}",
        str(row["store_version"]),
        one_line(str(row["last_error"] or "")),
    )


def changed(before: Sequence[Row], after: Sequence[Row]) -> list[Row]:
    """Return the rows of *after* that are new or other than *before*; the version, which all share, is no change.

    >>> changed([{"account": "a", "state": "never"}], [{"account": "a", "state": "success"}])
    [{'account': 'a', 'state': 'success'}]
    """
    known = [_own(row) for row in before]
    return [row for row in after if _own(row) not in known]


def watching(rows: Callable[[], list[Row]], *, json: bool) -> None:
    """Show *rows* until Ctrl-C."""
    if sys.stdout.isatty() and not json:
        _live(rows)
        return
    shown: list[Row] = []
    while True:
        now = rows()
        for row in changed(shown, now):
            if json:
                put_json(row)
            else:
                put_now("  ".join(cell or "-" for cell in cells_of(row)))
        sys.stdout.flush()
        shown = now
        time.sleep(LOOK_SECONDS)


def _live(rows: Callable[[], list[Row]]) -> None:
    from rich.live import Live

    with Live(auto_refresh=False) as live:
        while True:
            live.update(drawn(rows()), refresh=True)
            time.sleep(LOOK_SECONDS)


def drawn(rows: Sequence[Row]) -> "Table":
    """Return the table of *rows* for a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for at, head in enumerate(HEADS):
        # The last one, an error's text, gives way before a figure does: only what may wrap is made narrower first.
        last = at == len(HEADS) - 1
        shown.add_column(head, justify="right" if at in RIGHT else "left", overflow="ellipsis", no_wrap=not last)
    for row in rows:
        shown.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells_of(row)))
    return shown


def _own(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "store_version"}


def _state(row: Row) -> str:
    """Return the state, and of what runs its phase and how far it is."""
    if not row["phase"]:
        return str(row["state"])
    return f"{row['state']}: {row['phase']}" + (f", {row['done']:,} of {row['total']:,}" if row["total"] else "")


def _moment(text: object) -> str:
    return moment(datetime.fromisoformat(text) if isinstance(text, str) else None)
