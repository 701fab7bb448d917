"""Conflicts of any handler, as values, and how a person decides a set of them. Pure.

Nothing is assumed to be resolved because a synchronization went by: a handler's conflicts are there until it says that
they are not (ISyncMgrConflictStore).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntFlag
from typing import Protocol, runtime_checkable

from .handler import ItemId

__all__ = ["Abilities", "ConflictInfo", "ConflictVersion", "Feedback", "KeepsConflicts", "Resolution", "resolve_all"]


class Abilities(IntFlag):
    """In which ways a conflict may be resolved (SYNCMGR_RESOLUTION_ABILITIES): one bit a way, each by its name."""

    NOTHING = 0
    KEEP_OTHER = 0x1
    """What the handler merged of all versions."""
    KEEP_RECENT = 0x2
    REMOVE = 0x4
    """Out of the sync set."""
    KEEP_SINGLE = 0x8
    KEEP_MULTIPLE = 0x10


class Feedback(Enum):
    """What a handler answers to a decision (SYNCMGR_RESOLUTION_FEEDBACK)."""

    CONTINUE = 0
    REFRESH = 1
    """Not resolved, and it looks otherwise by now: ask again; apply-to-all ends here."""
    CANCEL = 2
    """Stop with the whole set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictVersion:
    """How one side has it. *name* and *place* may come from outside: show them as text."""

    name: str
    place: str = ""
    deleted: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictInfo:
    """One conflict (ISyncMgrConflict). *id*: the handler's own, stable."""

    id: str
    item: ItemId | None
    name: str
    description: str = ""
    detected_at: datetime
    versions: tuple[ConflictVersion, ...]
    abilities: Abilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A person's decision. *keep*: numbers of the versions to keep, from 0; for KEEP_SINGLE and KEEP_MULTIPLE."""

    way: Abilities
    keep: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.way not in list(Abilities) or not self.way:
            raise ValueError("a conflict is resolved in one way")
        wanted = {Abilities.KEEP_SINGLE: 1, Abilities.KEEP_MULTIPLE: 2}.get(self.way, 0)
        if (wanted == 0 and self.keep) or (wanted == 1 and len(self.keep) != 1) or len(self.keep) < wanted:
            raise ValueError("the versions to keep do not go with this way to resolve a conflict")

    def fits(self, conflict: ConflictInfo) -> bool:
        """Tell whether *conflict* offers this."""
        return bool(self.way & conflict.abilities) and all(0 <= one < len(conflict.versions) for one in self.keep)


@runtime_checkable
class KeepsConflicts(Protocol):
    """Optional, with CONFLICT_STORE: the conflicts of a handler."""

    def conflicts(self) -> Iterable[ConflictInfo]:
        """Return those that wait for a decision."""
        ...

    def resolve(self, conflict: str, resolution: Resolution) -> Feedback:
        """Carry a decision out. Raises UnknownItem where there is no such conflict any more."""
        ...


def resolve_all(
    conflicts: Iterable[ConflictInfo],
    resolution: Resolution,
    resolve: Callable[[str, Resolution], Feedback],
) -> tuple[str, ...]:
    """Apply one decision to all that offer it, in order; return the ids of those that were resolved.

    REFRESH and CANCEL end it: what is left is to be asked about again.
    """
    done = []
    for conflict in conflicts:
        if not resolution.fits(conflict):
            continue
        if resolve(conflict.id, resolution) is not Feedback.CONTINUE:
            break
        done.append(conflict.id)
    return tuple(done)
