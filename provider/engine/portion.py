"""How much is asked for at once: what the line can bring in a second, and less where asking for much went wrong. Pure.

Two questions. *How large is the first page of a folder?* About a second of what the line showed so far, since it is
what a person waits for. *How many messages go in one group?* The usual number; after a connection broke, so few that
the one it broke on can be found by asking for each alone after one more break; then more again, as groups go well.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

__all__ = ["GROUP_MESSAGES", "NEWEST_PAGE", "SUSPECTS_MAX", "Line", "Portion", "at_once", "first_page"]

NEWEST_PAGE = 50
"""The first page where nothing is known of the line."""
NEW_AT_ONCE = 200
"""So many new messages come with their headers in one answer."""
NEWEST_PAGE_LEAST, NEWEST_PAGE_MOST = 10, 200
HEADER_OCTETS = 3_000
"""A header block with its summary, about."""
KNOWN_SECONDS = 0.5
"""A rate over less time than this says nothing."""
PAUSE_SECONDS = 5.0
"""Nobody was asked anything when nothing came for longer."""
GROUP_MESSAGES = 1_000
SUSPECTS_MAX = 32
"""From so few messages the one that breaks connections is found by asking for each alone."""
WELL_BEFORE_MORE = 4
"""So many groups in a row go well before the next ones are twice as large."""


@dataclass(slots=True)
class Line:
    """What a connection showed so far. Times are handed in, of a monotonic clock."""

    octets: int = 0
    seconds: float = 0.0
    last: float | None = None

    def begin(self, now: float) -> None:
        """Count from here: a connection was made."""
        self.last = now

    def received(self, now: float, octets: int) -> None:
        """Count *octets* that came, and the time since the last ones."""
        if self.last is not None:
            self.seconds += min(now - self.last, PAUSE_SECONDS)
            self.octets += octets
        self.last = now

    @property
    def octets_per_second(self) -> float | None:
        """None: not known yet."""
        return self.octets / self.seconds if self.seconds >= KNOWN_SECONDS else None


def first_page(octets_per_second: float | None) -> int:
    """Return how many messages the first page of a folder holds.

    >>> first_page(None), first_page(5_000.0), first_page(240_000.0), first_page(90_000_000.0)
    (50, 10, 80, 200)
    """
    if octets_per_second is None:
        return NEWEST_PAGE
    return max(NEWEST_PAGE_LEAST, min(int(octets_per_second / HEADER_OCTETS), NEWEST_PAGE_MOST))


def at_once(first_page: int) -> int:
    """Return up to how many messages all come with their headers in one answer: only a slow line cuts them up.

    >>> at_once(50), at_once(200), at_once(10)
    (200, 200, 10)
    """
    return NEW_AT_ONCE if first_page >= NEWEST_PAGE else first_page


@dataclass(slots=True, kw_only=True)
class Portion:
    """The size of the groups of one folder, and what comes alone; it outlives connections, and ends with the run."""

    grows: bool = True
    """False: what was made smaller stays so."""
    messages: int = GROUP_MESSAGES
    suspects: set[int] = field(default_factory=set)
    """UIDs in flight when a connection broke: asked for last, one at a time."""
    set_aside: int = 0
    """Messages that broke two connections: finding each of them is progress."""
    came_since: bool = False
    """Whether a message came since the last one was set aside."""
    well: int = 0
    """Groups in a row that went well."""

    @property
    def usual(self) -> bool:
        """True while nothing went wrong, or all of it is made up for."""
        return self.messages == GROUP_MESSAGES

    def went_well(self) -> None:
        """A group came to its end: the next ones may be larger, up to the usual size."""
        self.well += 1
        if self.grows and self.messages < GROUP_MESSAGES and self.well >= WELL_BEFORE_MORE:
            self.messages, self.well = min(2 * self.messages, GROUP_MESSAGES), 0

    def rows(self, usual: int) -> int:
        """Return how many rows one page of a listing holds where *usual* are usual: its share of what is asked for.

        >>> Portion().rows(2_000), Portion(messages=500).rows(2_000), Portion(messages=32).rows(200)
        (2000, 1000, 32)
        """
        return usual if self.usual else max(SUSPECTS_MAX, usual * self.messages // GROUP_MESSAGES)

    def halve(self) -> None:
        """A page of rows did not come, for which no message can be blamed: the next ones are smaller."""
        self.well = 0
        if self.grows:
            self.messages = max(SUSPECTS_MAX, self.messages // 2)

    def broke(self, left: Collection[int], culprit: int | None = None) -> int | None:
        """A connection broke while *left* were on their way. Return the UID that is to be set aside, or None.

        *culprit*, if known, is suspected, else what was left. One that breaks the connection again, alone, is set
        aside, but a second one only when others came in between: else it is hardly the messages.

        >>> portion = Portion()
        >>> portion.broke(range(1, 1001)), portion.messages, portion.broke(range(1, 33)), len(portion.suspects)
        (None, 32, None, 32)
        >>> portion.broke([7]), 7 in portion.suspects
        (7, False)
        """
        self.well = 0
        if len(left) == 1 and (alone := next(iter(left))) in self.suspects:
            if self.set_aside and not self.came_since:
                return None
            self.suspects.discard(alone)
            self.came_since = False
            self.set_aside += 1
            return alone
        if culprit is not None and culprit in left:
            self.suspects.add(culprit)
        elif len(left) <= SUSPECTS_MAX:
            self.suspects.update(left)
        else:
            self.messages = min(SUSPECTS_MAX, len(left) // 2)
        return None
