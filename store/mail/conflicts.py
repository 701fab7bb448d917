"""Conflicts: the same thing changed here and on the far side, in ways that a person may want to decide. Values only.

A conflict is told as versions: ours and theirs. It stays until it is resolved; nothing is assumed to be resolved
because a synchronization went by. Rows: the store's.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NewType

from .ids import AccountId, MessageKey
from .operations import OperationId

__all__ = ["Choice", "Conflict", "ConflictId", "ConflictKind", "NewConflict", "Side", "Version"]

ConflictId = NewType("ConflictId", int)


class ConflictKind(Enum):
    """What met. The table of ``provider.replay.conflicts`` says what is done by itself in each case."""

    CHANGED_AND_GONE = "changed-and-gone"
    """Moved here, or marked; removed there."""
    DELETED_AND_CHANGED = "deleted-and-changed"
    """Deleted here; changed there since."""
    MOVED_TWICE = "moved-twice"
    """Moved here and there, to different folders."""
    FOLDER_GONE = "folder-gone"
    """Something was to be done in a folder that is gone there."""
    FOLDER_RENAMED_TWICE = "folder-renamed-twice"
    DRAFT_EDITED_TWICE = "draft-edited-twice"
    """A draft was replaced on two devices; both are kept."""


class Side(Enum):
    """Whose version."""

    MINE = "mine"
    THEIRS = "theirs"


class Choice(Enum):
    """How a conflict may be resolved (the RA_* abilities of contracts 2.4, and SKIP)."""

    KEEP_MINE = "keep-mine"
    KEEP_THEIRS = "keep-theirs"
    KEEP_BOTH = "keep-both"
    KEEP_RECENT = "keep-recent"
    REMOVE = "remove"
    """Out of the set: this copy is forgotten, nothing is sent."""
    SKIP = "skip"
    """Leave it as it is, and ask again another time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One side of a conflict. ``place``: a folder's path for people. ``deleted``: it is gone on this side."""

    side: Side
    place: str = ""
    deleted: bool = False
    flags: tuple[str, ...] = ()
    at: datetime | None = None
    """When this side changed it, as far as is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConflict:
    """A conflict as it was just found. ``choices``: in which ways it may be resolved; SKIP always."""

    kind: ConflictKind
    account: AccountId
    operation: OperationId | None
    message: MessageKey | None
    versions: tuple[Version, Version]
    choices: tuple[Choice, ...]
    done: Choice | None = None
    """What was done by itself, and can be decided otherwise for 30 days; None: the operation waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A conflict in the store. ``resolved_at`` None: open."""

    id: ConflictId
    found: NewConflict
    detected_at: datetime
    resolved_at: datetime | None = None
    resolution: Choice | None = None
