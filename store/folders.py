"""Folders as the store knows them. Values only; the rows are written and read in ``store.sql.folders``."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from .mail import AccountId, FolderId, FolderPath, Role

__all__ = ["Folder", "FolderCounts", "FolderState", "RemoteFolderRow"]


class FolderState(Enum):
    """Whether a folder is in use."""

    ACTIVE = "active"
    MISSING = "missing"
    """Not in the last complete listing; kept until its absence is proven or people decide."""
    UNSTABLE = "unstable"
    """Cannot be kept in step (its UIDVALIDITY changes all the time, or it has none)."""
    LOCAL = "local"
    """Made here, not on the server yet; its ``name`` is empty."""
    DELETING = "deleting"
    """Deleted here, still on the server: hidden, its mail in the tombstones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderCounts:
    """Kept as counters in the folder's row: reading them costs the same for ten and for a million messages."""

    messages: int = 0
    """Visible messages: their header is here."""
    unseen: int = 0
    """Visible messages without ``\\Seen``."""
    bodies: int = 0
    """Messages whose raw octets are here."""
    listed: int = 0
    """All rows, those not visible yet included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFolderRow:
    """A folder as a source lists it. ``name``: the source's own octets, the key."""

    name: bytes
    path: FolderPath
    delimiter: str | None = None
    role: Role | None = None
    attributes: frozenset[str] = frozenset()
    selectable: bool = True
    subscribed: bool | None = None
    object_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of the store. ``id`` survives renames; ``name`` is the source's own octets."""

    id: FolderId
    account: AccountId
    name: bytes
    path: FolderPath
    delimiter: str | None
    role: Role | None
    attributes: frozenset[str]
    selectable: bool
    subscribed: bool | None
    object_id: str | None
    state: FolderState
    missing_since: datetime | None
    note: str
    counts: FolderCounts
