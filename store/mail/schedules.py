"""Groups of accounts and their schedules, as values. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from .folderpath import FolderPath
from .ids import AccountId

__all__ = ["ALL_ACCOUNTS", "Group", "ScheduleId", "ScheduleRecord"]

ScheduleId = NewType("ScheduleId", int)
"""Our number of a schedule; never given twice."""
NAME_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Accounts that are sent and received together, and how. Raises ValueError for what makes no sense."""

    name: str
    accounts: tuple[AccountId, ...] = ()
    """Empty in the group of all accounts only."""
    send: bool = True
    receive: bool = True
    folders: tuple[FolderPath, ...] = ()
    """Only these; empty: all."""
    headers_only: bool = False
    size_octets_max: int | None = None
    """Larger messages stay header-only."""
    on_f9: bool = True
    """Part of Send/Receive All."""
    on_f9_offline: bool = True
    """Part of it while one works offline."""

    def __post_init__(self) -> None:
        if not (self.name.strip() == self.name != "" and self.name.isprintable() and len(self.name) <= NAME_MAX):
            raise ValueError(f"a group has a printable name of at most {NAME_MAX} characters")
        if not (self.send or self.receive):
            raise ValueError("a group sends, receives, or both")
        if self.size_octets_max is not None and not 0 <= self.size_octets_max < 2**63:
            raise ValueError("a size limit is not negative")


ALL_ACCOUNTS = Group(name="All accounts")
"""The group that is always there: whatever accounts the provider has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecord:
    """A schedule as it stands. Instants are aware, UTC."""

    id: ScheduleId
    group: str
    text: str
    zone: str
    enabled: bool
    next_run: datetime | None
    """When it is due; None: never again."""
    retry_at: datetime | None
    """When it is tried again after a failure; None: it did not fail."""
    failures: int
    last_run: datetime | None
    last_outcome: str
    running: bool
    """Somebody holds it."""

    @property
    def due_at(self) -> datetime | None:
        """When it runs next, a retry included; None: never again."""
        return min((at for at in (self.next_run, self.retry_at) if at is not None), default=None)
