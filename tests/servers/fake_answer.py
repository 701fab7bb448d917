"""Answers of the fake IMAP server as values that a test can bend before they are sent.

Room: tests/servers. `Bends` holds the hooks; the ready-made ones below are the usual lies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from .fake_wire import Command

__all__ = [
    "Answer",
    "Bends",
    "Then",
    "add_rows",
    "bye_in_the_middle",
    "drop_rows_without_uid",
    "nil_bodies",
    "omit_uids",
    "refuse",
    "shift_uid_validity",
    "vanish_everything",
]


class Then(Enum):
    """What the server does once the answer is out."""

    GO_ON = "go on"
    CLOSE = "close"
    RESET = "reset"
    SILENCE = "silence"


@dataclass(slots=True, kw_only=True)
class Answer:
    """One answer: untagged *rows* (each without its last CRLF, literals inside), then the tagged *completion*.

    *completion* lacks tag and CRLF; None sends none. *raw*, when set, replaces rows and completion octet by octet.
    """

    command: Command
    folder: bytes | None = None
    rows: list[bytes] = field(default_factory=list)
    completion: bytes | None = b"OK done"
    raw: bytes | None = None
    then: Then = Then.GO_ON

    def octets(self) -> bytes:
        if self.raw is not None:
            return self.raw
        lines = list(self.rows)
        if self.completion is not None:
            lines.append(self.command.tag + b" " + self.completion)
        return b"".join(line + b"\r\n" for line in lines)


Bend = Callable[[Answer], None]
"""A hook: changes the answer in place. `answer.command` tells what was asked, `answer.folder` what is selected."""


class Bends:
    """Hooks by command name ("UID FETCH", "SELECT", ... or "*" for all), called in order of registration."""

    def __init__(self) -> None:
        self._hooks: list[tuple[str, Bend, list[int]]] = []

    def on(self, name: str, hook: Bend, *, times: int | None = None, skip: int = 0) -> None:
        """Bend the answers to *name*: the first *skip* ones stay whole, then *times* are bent (None = all)."""
        self._hooks.append((name, hook, [skip, -1 if times is None else times]))

    def clear(self) -> None:
        self._hooks.clear()

    def apply(self, answer: Answer) -> None:
        for name, hook, counters in list(self._hooks):
            if name not in ("*", answer.command.name):
                continue
            if counters[0] > 0:
                counters[0] -= 1
            elif counters[1] != 0:
                counters[1] -= 1
                hook(answer)


_UID = re.compile(rb"(?<=[( ])UID (\d+) ?")


def _uid_of(row: bytes) -> int | None:
    match = _UID.search(row.partition(b"\r\n")[0]) if b" FETCH (" in row[:40] else None
    return int(match[1]) if match else None


def omit_uids(*uids: int) -> Bend:
    """FETCH forgets these UIDs, and says OK."""

    def bend(answer: Answer) -> None:
        answer.rows[:] = [row for row in answer.rows if _uid_of(row) not in uids]

    return bend


def drop_rows_without_uid(answer: Answer) -> None:
    """FETCH rows lose their UID item."""
    answer.rows[:] = [_UID.sub(b"", row, count=1) if _uid_of(row) else row for row in answer.rows]


def nil_bodies(*uids: int) -> Bend:
    """BODY[...] of these UIDs (all when none is named) is NIL."""

    def bend(answer: Answer) -> None:
        body = re.compile(rb"(BODY\[[^\]]*\](?:<\d+>)?) \{(\d+)\}\r\n")
        for index, row in enumerate(answer.rows):
            match = body.search(row)
            if match and (not uids or _uid_of(row) in uids):
                answer.rows[index] = row[: match.start()] + match[1] + b" NIL" + row[match.end() + int(match[2]) :]

    return bend


def shift_uid_validity(start: int = 1) -> Bend:
    """Every SELECT tells another UIDVALIDITY, *start* and upwards."""
    state = [start]

    def bend(answer: Answer) -> None:
        fresh = b"[UIDVALIDITY %d]" % state[0]
        state[0] += 1
        answer.rows[:] = [re.sub(rb"\[UIDVALIDITY \d+\]", fresh, row) for row in answer.rows]

    return bend


def vanish_everything(highest_uid: int) -> Bend:
    """The answer claims that 1:*highest_uid* went away earlier (RFC 7162 VANISHED)."""

    def bend(answer: Answer) -> None:
        answer.rows.append(b"* VANISHED (EARLIER) 1:%d" % highest_uid)

    return bend


def refuse(folder: bytes, completion: bytes = b"NO [NOPERM] not today") -> Bend:
    """Commands that name *folder* (wire name) first, or run while it is selected, are refused."""

    def bend(answer: Answer) -> None:
        selected = answer.folder == folder and answer.command.name.startswith("UID ")
        if selected or folder in answer.command.arguments[:1]:
            answer.rows.clear()
            answer.completion = completion

    return bend


def add_rows(rows: Iterable[bytes]) -> Bend:
    """The answer begins with rows that nobody asked for."""
    extra = list(rows)

    def bend(answer: Answer) -> None:
        answer.rows[:0] = extra

    return bend


def bye_in_the_middle(after_rows: int = 1) -> Bend:
    """After so many rows the server says BYE and closes; the command is never completed."""

    def bend(answer: Answer) -> None:
        answer.rows[after_rows:] = [b"* BYE going down"]
        answer.completion = None
        answer.then = Then.CLOSE

    return bend
