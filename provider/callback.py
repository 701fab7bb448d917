"""The three verbs that a host implements (MAPI: IMAPISyncProgressCallback), and what it may answer."""

from enum import Enum
from typing import Protocol

from .events import SyncError, SyncProgress, SyncResult

__all__ = ["CancelRequest", "ProgressCallback"]


class CancelRequest(Enum):
    """What ``progress`` may return in place of None ("go on"): S_SYNCMGR_CANCELITEM, S_SYNCMGR_CANCELALL."""

    ITEM = 1
    """Stop the item that this progress is about; the others go on."""
    ALL = 2
    """Stop the whole request."""


class ProgressCallback(Protocol):
    """Called off the synchronization's own threads, one call at a time, in order.

    It may be slow, raise, call back into the provider or cancel: nothing but its own calls suffers. Missing methods
    are tolerated (MAPI discovers the interface, it does not assume it).
    """

    def progress(self, progress: SyncProgress, /) -> CancelRequest | None:
        """Hear a step forward. At most 20 a second for one request; the last one of each item always comes."""
        ...

    def error(self, error: SyncError, /) -> None:
        """Hear an error or a warning; any number of times."""
        ...

    def done(self, result: SyncResult, /) -> None:
        """Hear the end: exactly once, and last."""
        ...
