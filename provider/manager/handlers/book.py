"""What the manager remembers of handlers and items beyond a process: people's choices, and an administrator's. Pure.

A ``Book`` keeps it. The one of ``provider.manager.mail.items`` writes to a mail store; this one keeps it in memory.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from .handler import HandlerId, ItemId

__all__ = ["Book", "Kept", "MemoryBook"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is remembered of one item, or of a handler as a whole. Raises ValueError for a policy without a reason."""

    enabled: bool | None = None
    """None: nobody chose; it is as the handler says."""
    active: bool = True
    """Of a handler: it is set up."""
    removed: bool = False
    """Of an item: it left the sync set."""
    policies: int = 0
    """An administrator's bits, of HandlerPolicy or ItemPolicy."""
    reason: str = ""
    synced_at: datetime | None = None
    """When the manager last saw it succeed."""

    def __post_init__(self) -> None:
        if self.policies and not self.reason.strip():
            raise ValueError("a policy says why")


class Book(Protocol):
    """Keeps what is remembered. Thread-safe."""

    def kept(self, handler: HandlerId) -> Mapping[str, Kept]:
        """Return what is remembered of a handler, by item; under "" that of the handler as a whole."""
        ...

    def keep(self, handler: HandlerId, item: ItemId | None, kept: Kept) -> None:
        """Remember it in place of what was remembered; None: of the handler as a whole."""
        ...

    def synced(self, handler: HandlerId, items: Iterable[ItemId], at: datetime) -> None:
        """Remember that items, and with them the handler, were synchronized."""
        ...


class MemoryBook:
    """Remembers for as long as the process lives."""

    def __init__(self) -> None:
        self._kept: dict[tuple[HandlerId, str], Kept] = {}

    def kept(self, handler: HandlerId) -> Mapping[str, Kept]:
        """Return what is remembered, by item."""
        return {item: kept for (of, item), kept in list(self._kept.items()) if of == handler}

    def keep(self, handler: HandlerId, item: ItemId | None, kept: Kept) -> None:
        """Remember it."""
        self._kept[handler, item or ""] = kept

    def synced(self, handler: HandlerId, items: Iterable[ItemId], at: datetime) -> None:
        """Remember when."""
        for item in ("", *items):
            self._kept[handler, item] = replace(self._kept.get((handler, item), Kept()), synced_at=at)
