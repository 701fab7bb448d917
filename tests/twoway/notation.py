"""Two-way scenarios as `fixtures/scenarios/*.toml` write them down: what is there, what is done on both sides, what is
to come of it. Pure: text in, values out.

Room: tests/twoway. The notation:

    base    folder = "messages": both sides in step before anything happens
    local   what a person does here, offline      remote  what another client does on the server meanwhile
    steps   instead of both, where the order matters: a leading ~ marks what is done on the server
    after   what the server has in the end, and the store: folders that are not named are as in base, "-" is gone
    here    as after, for the store, where it has to differ (what is held, or refused and kept)
    conflicts, told     kinds of conflicts in the store, kinds of errors and warnings that the callback heard
    pending             how many operations are left, by state
    subscribed          folders that are subscribed on the server in the end (not looked at where it is not named)
    broken              why it does not hold yet
    server              what the server does not take or keep; only = "memory" and why: where it cannot be played

A message is `m/FS+work`: its label, letters for system flags (Answered is R, as in a Maildir), keywords. A label names
the octets; `x1..x9` are nine messages. Some beginnings mean something: `draft` no Received field, `noid` no Message-ID
either, `big` 60 kB.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "GONE",
    "PLACES",
    "Letter",
    "Scenario",
    "Step",
    "Token",
    "changes_of",
    "grid",
    "letter",
    "scenarios",
    "state_of",
    "tokens",
]

PLACES = Path(__file__).parent.parent.parent / "fixtures" / "scenarios"
GONE = "-"
LETTERS = {"S": "\\Seen", "F": "\\Flagged", "R": "\\Answered", "D": "\\Draft", "T": "\\Deleted"}
_LETTER_OF = {flag.lower(): letter for letter, flag in LETTERS.items()}
_RANGE = re.compile(r"([a-z-]*)(\d+)\.\.\1(\d+)\Z")
KEYS = {"name", "base", "local", "remote", "steps", "after", "here", "conflicts", "told", "pending", "subscribed"}
KEYS |= {"server", "only", "why", "crash", "broken"}

State = dict[str, tuple[str, ...]]
"""By path for people: messages as tokens, sorted."""


@dataclass(frozen=True, slots=True)
class Token:
    """One message as the notation writes it."""

    label: str
    flags: frozenset[str] = frozenset()

    def __str__(self) -> str:
        system = "".join(sorted(_LETTER_OF[f.lower()] for f in self.flags if f.lower() in _LETTER_OF))
        rest = "".join(f"+{f}" for f in sorted(self.flags) if f.lower() not in _LETTER_OF)
        return self.label + (f"/{system}" if system else "") + rest


@dataclass(frozen=True, slots=True)
class Letter:
    """What a label stands for."""

    label: str
    octets: bytes
    arrived: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is done: words, on the far side or here."""

    there: bool
    words: tuple[str, ...]

    def __str__(self) -> str:
        return ("there: " if self.there else "here:  ") + " ".join(self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario; ``str`` is what a failure prints."""

    file: str
    name: str
    base: State
    steps: tuple[Step, ...]
    after: State
    here: State
    conflicts: tuple[str, ...] = ()
    told: frozenset[str] = frozenset()
    pending: tuple[str, ...] = ()
    subscribed: frozenset[str] | None = None
    server: Mapping[str, Any] = field(default_factory=dict)
    only: str = ""
    broken: str = ""
    """Why it does not hold yet: the test is expected to fail."""
    crash: bool = True
    """False: where it stops somewhere, another end is as good; says why in a comment."""

    @property
    def id(self) -> str:
        return f"{self.file}: {self.name}"

    @property
    def differs(self) -> bool:
        """The store is to differ from the server in the end."""
        return self.here != self.after

    def __str__(self) -> str:
        lines = [self.id, "  base:  " + told(self.base), *(f"  {step}" for step in self.steps)]
        lines += ["  after: " + told(self.after)] + (["  here:  " + told(self.here)] if self.differs else [])
        lines += [f"  conflicts {list(self.conflicts)}, told {sorted(self.told)}, pending {list(self.pending)}"]
        return "\n".join(lines)


def told(state: Mapping[str, tuple[str, ...]]) -> str:
    """Return a state as one line."""
    return " | ".join(f"{path}: {' '.join(mail)}".strip() for path, mail in sorted(state.items()))


def tokens(text: str) -> Iterator[Token]:
    """Yield the messages of a folder as the notation writes them."""
    for word in text.split():
        head, *keywords = word.split("+")
        names, _, letters = head.partition("/")
        flags = frozenset([*(LETTERS[letter] for letter in letters), *keywords])
        for label in labels(names):
            yield Token(label, flags)


def labels(text: str) -> Iterator[str]:
    """Yield the labels of ``a,b,x1..x3``."""
    for part in text.split(","):
        if found := _RANGE.match(part):
            yield from (f"{found[1]}{number}" for number in range(int(found[2]), int(found[3]) + 1))
        else:
            yield part


def changes_of(words: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Return what ``+F -S +work`` adds and removes."""
    add = {LETTERS.get(word[1:], word[1:]) for word in words if word[0] == "+"}
    remove = {LETTERS.get(word[1:], word[1:]) for word in words if word[0] == "-"}
    assert len(add) + len(remove) == len(words), words
    return frozenset(add), frozenset(remove)


@cache
def letter(label: str) -> Letter:
    """Return the message that a label stands for: the same octets whenever it is asked for."""
    number = random.Random(label).randrange(300_000)
    at = datetime(2025, 3, 1, 12, tzinfo=UTC) + timedelta(minutes=number)
    lines = [
        f"From: {label}@x.example",
        "To: me@x.example",
        f"Subject: {label}",
        f"Date: {at:%a, %d %b %Y %H:%M:%S} +0000",
    ]
    if not label.startswith("noid"):
        lines.append(f"Message-ID: <{label}@x.example>")
    if not label.startswith(("noid", "draft")):
        lines.insert(
            0, f"Received: from a.example by b.example with ESMTP id {number}; {at:%a, %d %b %Y %H:%M:%S} +0000"
        )
    body = f"This is {label}.\r\n" * (4_000 if label.startswith("big") else 1)
    return Letter(label, ("\r\n".join(lines) + "\r\n\r\n" + body).encode(), at)


def state_of(table: Mapping[str, str]) -> State:
    """Return the state that a table of the notation tells; folders that are gone are left out."""
    return {path: tuple(sorted(map(str, tokens(text)))) for path, text in table.items() if text != GONE}


def scenarios() -> list[Scenario]:
    """Return every scenario of every file but the grid, in order."""
    found: list[Scenario] = []
    for file in sorted(PLACES.glob("*.toml")):
        if file.stem == "grid":
            found.extend(grid())
            continue
        told = tomllib.loads(file.read_text())
        found.extend(_scenario(file.stem, told.get("base", {}), one) for one in told["scenario"])
    names = [one.id for one in found]
    assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
    return found


def _scenario(file: str, common: Mapping[str, str], told: Mapping[str, Any]) -> Scenario:
    assert set(told) <= KEYS, f"{told['name']}: {set(told) - KEYS}"
    base = {"INBOX": "", **told.get("base", common)}
    after = base | told.get("after", {})
    here = after | told.get("here", {})
    if "steps" in told:
        steps = [step for text in told["steps"] for step in _steps(text.lstrip("~ "), there=text.startswith("~"))]
    else:
        steps = [step for text in told.get("local", ()) for step in _steps(text)]
        steps += [step for text in told.get("remote", ()) for step in _steps(text, there=True)]
    assert ("only" in told) <= ("why" in told), told["name"]
    return Scenario(
        file=file,
        name=told["name"],
        base=state_of(base),
        steps=tuple(steps),
        after=state_of(after),
        here=state_of(here),
        conflicts=tuple(sorted(told.get("conflicts", ()))),
        told=frozenset(told.get("told", ())),
        pending=tuple(sorted(state for state, count in told.get("pending", {}).items() for _ in range(count))),
        subscribed=frozenset(told["subscribed"]) if "subscribed" in told else None,
        server=told.get("server", {}),
        only=told.get("only", ""),
        broken=told.get("broken", ""),
        crash=told.get("crash", True),
    )


def _steps(text: str, *, there: bool = False) -> Iterator[Step]:
    """Yield the steps of one line: ``50 x flag m +F | flag m -F`` are a hundred."""
    repeated = re.fullmatch(r"(\d+) x (.*)", text)
    times, words = (int(repeated[1]), repeated[2]) if repeated else (1, text)
    for _ in range(times):
        for part in words.split("|"):
            yield Step(there, tuple(part.split()))


def grid() -> list[Scenario]:
    """Return the cells of `grid.toml`: what was done here and there to the one message m, and around it."""
    told = tomllib.loads((PLACES / "grid.toml").read_text())
    base, found = told["base"], []
    for here, row in told["here"].items():
        for there, cell in row.items():
            mail, _, rest = cell.partition("|")
            after = {**dict.fromkeys(base, ""), "Box": GONE, **dict(_folders(mail))}
            words = rest.split()
            one = {
                "name": f"{here} x {there}",
                "steps": [*told["local"][here], *("~ " + step for step in told["remote"][there])],
                "after": after,
                "conflicts": [word for word in words if not word.startswith("?")],
                "told": [word[1:] for word in words if word.startswith("?")],
            }
            found.append(_scenario("grid", base, one))
    return found


def _folders(text: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, map(str.strip, text.split(","))):
        path, _, mail = part.partition(" ")
        yield path, mail
