"""The one three-way merge of flags: what the server last told is the base, people's wishes and the server's news meet.

Pure; used when the server tells flags of a message that was changed here (inbound), when such a change is sent
(outbound), and when a person decides a conflict. Flag by flag: what was changed here stays as it was wanted here, all
else is as the server has it. Flags compare without regard to case (RFC 9051 §2.3.2).
"""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["FlagDelta", "applied", "delta", "merged"]


@dataclass(frozen=True, slots=True)
class FlagDelta:
    """Flags to add and flags to remove; no flag is in both. False when there is nothing to do."""

    add: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)


def delta(base: Iterable[str], wanted: Iterable[str]) -> FlagDelta:
    """Return what makes *wanted* of *base*.

    >>> delta({"\\\\Seen", "work"}, {"\\\\Flagged", "Work"})
    FlagDelta(add=frozenset({'\\\\Flagged'}), remove=frozenset({'\\\\Seen'}))
    """
    was, now = _by_fold(base), _by_fold(wanted)
    return FlagDelta(
        add=frozenset(flag for key, flag in now.items() if key not in was),
        remove=frozenset(flag for key, flag in was.items() if key not in now),
    )


def applied(flags: Iterable[str], add: Iterable[str], remove: Iterable[str]) -> frozenset[str]:
    """Return *flags* with *add* and without *remove*; a flag that is there keeps its spelling.

    >>> sorted(applied({"Work"}, {"work", "\\\\Seen"}, {"\\\\Flagged"}))
    ['Work', '\\\\Seen']
    """
    found = _by_fold(flags)
    for flag in remove:
        found.pop(flag.casefold(), None)
    for flag in sorted(add):
        found.setdefault(flag.casefold(), flag)
    return frozenset(found.values())


def merged(base: Iterable[str], local: Iterable[str], remote: Iterable[str]) -> frozenset[str]:
    """Return what a message has after both sides changed it since *base*.

    >>> sorted(merged({"\\\\Seen"}, {"\\\\Seen", "work"}, {"\\\\Flagged"}))
    ['\\\\Flagged', 'work']
    """
    wish = delta(base, local)
    return applied(remote, wish.add, wish.remove)


def _by_fold(flags: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for flag in sorted(flags):
        found.setdefault(flag.casefold(), flag)
    return found
