"""Sets of UIDs kept as ranges, so that ``1:4294967295`` costs one pair and not four thousand million numbers.

Pure and immutable. Spelling follows sequence-set of RFC 9051 §9, without ``*`` (its meaning belongs to the wire).
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from .ids import UID_MAX, Uid

__all__ = ["UidSet"]


class UidSet:
    """An ascending set of UIDs. Iterates upward; ``len`` counts UIDs, ``ranges`` gives inclusive pairs.

    >>> UidSet([1, 2, 3, 7])
    UidSet('1:3,7')
    >>> UidSet.span(1, 10) - UidSet([5])
    UidSet('1:4,6:10')
    """

    __slots__ = ("_lows", "ranges")

    ranges: tuple[tuple[int, int], ...]

    def __init__(self, uids: Iterable[int] = ()) -> None:
        self._adopt(_joined((uid, uid) for uid in sorted(set(uids))))

    def _adopt(self, ranges: tuple[tuple[int, int], ...]) -> None:
        if ranges and (ranges[0][0] < 1 or ranges[-1][1] > UID_MAX):
            raise ValueError(f"a UID lies between 1 and {UID_MAX}")
        self.ranges = ranges
        self._lows = [low for low, _ in ranges]

    @classmethod
    def of_ranges(cls, ranges: Iterable[tuple[int, int]]) -> "UidSet":
        """Return the union of inclusive pairs; a reversed pair means the same range (RFC 9051 allows it)."""
        made = cls.__new__(cls)
        made._adopt(_joined(sorted((min(a, b), max(a, b)) for a, b in ranges)))
        return made

    @classmethod
    def span(cls, low: int, high: int) -> "UidSet":
        """Return all UIDs from *low* to *high*, both included; empty when *high* < *low*."""
        return cls.of_ranges([(low, high)] if low <= high else [])

    @classmethod
    def parse(cls, text: str) -> "UidSet":
        """Read a sequence-set of numbers and ranges.

        Raises ValueError on anything else, ``*``, zero and a trailing comma included.

        >>> UidSet.parse("4,9:7")
        UidSet('4,7:9')
        """
        ranges: list[tuple[int, int]] = []
        for item in text.split(","):
            low, colon, high = item.partition(":")
            if not (low.isascii() and low.isdigit()) or (colon and not (high.isascii() and high.isdigit())):
                raise ValueError("not a set of UIDs")
            if len(low) > 19 or len(high) > 19:
                raise ValueError("a number of this set is too large")
            ranges.append((int(low), int(high) if colon else int(low)))
        return cls.of_ranges(ranges)

    def __iter__(self) -> Iterator[Uid]:
        for low, high in self.ranges:
            yield from map(Uid, range(low, high + 1))

    def __len__(self) -> int:
        return sum(high - low + 1 for low, high in self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __contains__(self, uid: int) -> bool:
        at = bisect_right(self._lows, uid) - 1
        return at >= 0 and uid <= self.ranges[at][1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UidSet) and self.ranges == other.ranges

    def __hash__(self) -> int:
        return hash(self.ranges)

    def __str__(self) -> str:
        return ",".join(f"{low}:{high}" if low != high else str(low) for low, high in self.ranges)

    def __repr__(self) -> str:
        text = str(self)
        return f"UidSet({text!r})" if len(text) < 80 else f"UidSet({len(self)} of {len(self.ranges)} ranges)"

    @property
    def lowest(self) -> Uid:
        """The smallest UID. Raises IndexError when the set is empty."""
        return Uid(self.ranges[0][0])

    @property
    def highest(self) -> Uid:
        """The largest UID. Raises IndexError when the set is empty."""
        return Uid(self.ranges[-1][1])

    def __or__(self, other: "UidSet") -> "UidSet":
        return UidSet.of_ranges([*self.ranges, *other.ranges])

    def __and__(self, other: "UidSet") -> "UidSet":
        met: list[tuple[int, int]] = []
        mine, theirs = list(self.ranges), list(other.ranges)
        at = to = 0
        while at < len(mine) and to < len(theirs):
            low, high = max(mine[at][0], theirs[to][0]), min(mine[at][1], theirs[to][1])
            if low <= high:
                met.append((low, high))
            if mine[at][1] < theirs[to][1]:
                at += 1
            else:
                to += 1
        return UidSet.of_ranges(met)

    def __sub__(self, other: "UidSet") -> "UidSet":
        left: list[tuple[int, int]] = []
        cuts, at = other.ranges, 0
        for low, high in self.ranges:
            while at and cuts[at - 1][1] >= low:
                at -= 1
            while at < len(cuts) and cuts[at][1] < low:
                at += 1
            while at < len(cuts) and cuts[at][0] <= high:
                if cuts[at][0] > low:
                    left.append((low, cuts[at][0] - 1))
                low = cuts[at][1] + 1
                at += 1
            if low <= high:
                left.append((low, high))
        return UidSet.of_ranges(left)

    def newest(self, count: int) -> "UidSet":
        """Return the *count* highest UIDs, fewer when there are fewer.

        >>> UidSet.parse("1:5,9").newest(3)
        UidSet('4:5,9')
        """
        return next(self.pages(count), UidSet()) if count > 0 else UidSet()

    def split(self, octets: int) -> Iterator["UidSet"]:
        """Yield ascending parts whose spelling is at most *octets* long (servers cap a command line).

        >>> [str(part) for part in UidSet.parse("1:3,7,9").split(5)]
        ['1:3,7', '9']
        """
        part: list[tuple[int, int]] = []
        length = 0
        for low, high in self.ranges:
            size = len(str(low)) + (1 + len(str(high)) if high != low else 0) + bool(part)
            if part and length + size > octets:
                yield UidSet.of_ranges(part)
                part, length, size = [], 0, size - 1
            part.append((low, high))
            length += size
        if part:
            yield UidSet.of_ranges(part)

    def pages(self, count: int) -> Iterator["UidSet"]:
        """Yield parts of *count* UIDs, the last part of what is left; the highest part first (newest mail first).

        >>> [str(page) for page in UidSet.parse("1:5,9").pages(4)]
        ['3:5,9', '1:2']
        """
        page: list[tuple[int, int]] = []
        room = count
        for low, high in reversed(self.ranges):
            while low <= high:
                first = max(low, high - room + 1)
                page.append((first, high))
                room -= high - first + 1
                high = first - 1
                if not room:
                    yield UidSet.of_ranges(page)
                    page, room = [], count
        if page:
            yield UidSet.of_ranges(page)


def _joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return ascending ranges with those that touch or overlap made one."""
    out: list[tuple[int, int]] = []
    for low, high in ranges:
        if out and low <= out[-1][1] + 1:
            if high > out[-1][1]:
                out[-1] = (out[-1][0], high)
        else:
            out.append((low, high))
    return tuple(out)
