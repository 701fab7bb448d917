"""What was wanted of each message, by anybody: enough to say afterwards what must be there, and how often.

Room: tests/stateful. A message is known by the number in its header, which no copy loses. The ledger knows no order:
it tells bounds that hold in whatever order two clients and a third program were heard by the server.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..servers.plain_client import MessageSnapshot

__all__ = ["Found", "Ledger", "number_in"]

_NUMBER = re.compile(rb"^X-Number: (\d+)\r?$", re.MULTILINE)
FORMS = ("named", "nameless", "namesake")
"""With a Message-ID of its own, without one, with one that others have, too."""


def number_in(octets: bytes) -> int:
    """Return which message this is."""
    found = _NUMBER.search(octets)
    assert found, f"this message is none of ours: {octets[:200]!r}"
    return int(found[1])


@dataclass(frozen=True, slots=True)
class Found:
    """A message as the third program sees it on the server."""

    number: int
    folder: str
    uid: int
    snapshot: MessageSnapshot

    @property
    def thrown_away(self) -> bool:
        """It is marked as deleted: people do not see it any more."""
        return b"\\Deleted" in self.snapshot.flags


@dataclass(slots=True)
class Ledger:
    """Counts by number."""

    made: Counter[int] = field(default_factory=Counter)
    """Appended and copied."""
    appended: Counter[int] = field(default_factory=Counter)
    may_be_lost: Counter[int] = field(default_factory=Counter)
    """Deleted for good, by itself or with its folder, or not told from another one; the same may be counted twice."""
    may_be_doubled: Counter[int] = field(default_factory=Counter)
    """Moved or renumbered by others while it was not known whether it had come: the look for it may be in vain."""
    added: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    removed: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    octets: dict[int, bytes] = field(default_factory=dict)

    def new_mail(self, form: int) -> tuple[int, bytes]:
        """Make a message that was not there before, and count it."""
        number = len(self.octets) + 1
        name = {"named": f"<{number}@x.example>", "namesake": "<same@x.example>"}.get(FORMS[form % len(FORMS)])
        lines = [
            "Received: from a.example by b.example; Mon, 17 Jul 2023 02:44:25 +0000",
            "From: Ann <ann@x.example>",
            f"Subject: number {number}",
            f"X-Number: {number}",
            *([f"Message-ID: {name}"] if name else []),
            "",
            random.Random(number).randbytes(20 + number % 40).hex(),
            "",
        ]
        self.octets[number] = "\r\n".join(lines).encode()
        self.made[number] += 1
        self.appended[number] += 1
        return number, self.octets[number]

    def named(self, number: int) -> bool:
        """It has a Message-ID that no other one has."""
        return f"<{number}@x.example>".encode() in self.octets[number]

    def copied(self, number: int) -> None:
        """One more of it is wanted."""
        self.made[number] += 1

    def dropped(self, numbers: Iterable[int]) -> None:
        """These were thrown away for good."""
        self.may_be_lost.update(numbers)

    def deceived(self, number: int) -> None:
        """Others put it where one more of it was on its way, unseen: that may be taken for ours after a lost line."""
        self.may_be_lost[number] += 1

    def moved_in_doubt(self, number: int) -> None:
        """One was moved, while a client did not know yet what became of one that it sent.

        It is not where it is looked for, and sent again; or it came where one is looked for, and is taken for that.
        """
        self.may_be_doubled[number] += 1
        self.may_be_lost[number] += 1

    def marked(self, number: int, flag: str, on: bool) -> None:
        """Somebody set, or cleared, a flag."""
        (self.added if on else self.removed)[number].add(flag)

    def faults(self, found: Sequence[Found]) -> list[str]:
        """Return what is wrong with an account that came to rest."""
        there: dict[int, list[Found]] = defaultdict(list)
        for one in found:
            if not one.thrown_away:
                there[one.number].append(one)
        marked = Counter(one.number for one in found if one.thrown_away)
        # Where only marking was possible a flag may have gone to the one that is left behind, and a copy of that one
        # is marked, too: those are bounds of servers without UIDPLUS.
        faults: list[str] = []
        for number, made in self.made.items():
            count, least = len(there[number]), max(0, made - self.may_be_lost[number])
            most = made + self.may_be_doubled[number]
            if count > most or count + marked[number] < least:
                where = [f"{one.folder}:{one.uid}" for one in there[number]]
                faults.append(f"message {number} is there {count} times ({where}), not {least} to {most} times")
            if made == 1 and count == 1 and not marked[number]:
                faults += self._flag_faults(number, there[number][0].snapshot)
        return faults

    def _flag_faults(self, number: int, seen: MessageSnapshot) -> list[str]:
        flags = {flag.decode() for flag in seen.flags}
        # Whoever deletes for good gives up what they marked before, also where a move of somebody else wins.
        given_up = self.may_be_lost[number] > 0
        missing = set() if given_up else self.added[number] - self.removed[number] - flags
        alien = flags - self.added[number]
        faults = [f"message {number} has lost {flag}, which nobody removed" for flag in sorted(missing)]
        return faults + [f"message {number} has {flag}, which nobody set" for flag in sorted(alien)]
