"""States, steps and ends of sessions, as values, and which state may follow which. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from ...events import ItemStatus
from ...request import Trigger
from .handler import ItemId

__all__ = [
    "NEXT",
    "PEOPLE",
    "ItemProgress",
    "Overdue",
    "Patience",
    "SessionResult",
    "SessionState",
    "overall",
]

PEOPLE = frozenset({Trigger.MANUAL, Trigger.INVOKE, Trigger.SETTINGS})
"""Triggers behind which a person sits, who may be asked something."""
WELL = frozenset({ItemStatus.SUCCEEDED, ItemStatus.SKIPPED, ItemStatus.REMOVED})


class SessionState(Enum):
    """Where a session is."""

    QUEUED = "queued"
    PREPARING = "preparing"
    SYNCHRONIZING = "synchronizing"
    COMPLETED = "completed"


NEXT = {
    SessionState.QUEUED: {SessionState.PREPARING, SessionState.SYNCHRONIZING, SessionState.COMPLETED},
    SessionState.PREPARING: {SessionState.SYNCHRONIZING, SessionState.COMPLETED},
    SessionState.SYNCHRONIZING: {SessionState.COMPLETED},
    SessionState.COMPLETED: set[SessionState](),
}
"""State -> what may follow it. Straight to SYNCHRONIZING goes what began elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a handler may take before it is given up. Seconds."""

    answer_seconds: float = 5.0
    """For a question such as ``info``."""
    prepare_seconds: float = 60.0
    """The time in which a person is asked something does not count."""
    prompt_seconds: float = 180.0
    silence_seconds: float = 120.0
    """Without any sign while it synchronizes."""
    stop_seconds: float = 10.0
    """From a cancel to the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemProgress:
    """How one item of a session stands. *steps* None: nobody knows."""

    item: ItemId
    status: ItemStatus
    text: str = ""
    step: int = 0
    steps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    """How a session ended (ISyncMgrSyncResult::Result). *status*: of all items together."""

    status: ItemStatus
    errors: int
    """Events of level ERROR."""
    conflicts: int
    items: tuple[ItemProgress, ...]
    began_at: datetime
    ended_at: datetime
    text: str = ""
    """Why, where it is not as it should be."""
    faults: tuple[str, ...] = ()
    """What the handler said that could not be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """Somebody's patience is over."""

    status: ItemStatus
    """For the items that are open."""
    text: str


def overall(items: Sequence[ItemStatus], stopped: bool) -> ItemStatus:
    """Return how a session ended, by the ends of its items; *stopped*: all of it was to stop."""
    if not items or all(one in WELL for one in items):
        return ItemStatus.SKIPPED if items and all(one is ItemStatus.SKIPPED for one in items) else ItemStatus.SUCCEEDED
    if stopped and ItemStatus.CANCELED in items:
        return ItemStatus.CANCELED
    bad = {one for one in items if one not in WELL}
    return bad.pop() if len(bad) == 1 else ItemStatus.FAILED
