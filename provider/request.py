"""What a host asks for: one frozen value, checked before any work starts (MAPI: MAPISIB).

Flag values are the documented MAPISIB bits; the mask is read bit by bit, as MAPI's own text means it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntFlag
from typing import TYPE_CHECKING

from store.mail import AccountId, FolderPath

from .errors import InvalidRequest

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from .callback import ProgressCallback
    from .resolver import Resolver

__all__ = ["Deliver", "SyncFlags", "SyncRequest", "Trigger"]


class SyncFlags(IntFlag):
    """Kinds of synchronization (MAPISIB.ulFlags). A request needs at least one of the four directions."""

    SYNC_UPLOAD_HIERARCHY = 0x00000001
    SYNC_DOWNLOAD_HIERARCHY = 0x00000002
    SYNC_UPLOAD_CONTENTS = 0x00000040
    SYNC_DOWNLOAD_CONTENTS = 0x00000080
    SYNC_OUTGOING_MAIL = 0x00000200
    """Accepted and without effect, with a warning: outbound mail never is part of a synchronization."""
    SYNC_BACKGROUND = 0x00001000
    """Nobody is waiting: lowest priority."""
    SYNC_THESE_FOLDERS = 0x00020000
    """Only ``SyncRequest.folders``."""
    SYNC_GLOBAL_HEADERS = 0x02000000
    """Headers only, no bodies."""
    SYNC_ON_DEMAND = 0x20000000
    """A person is waiting: overtakes queued background work."""

    ALL_DIRECTIONS = 0x000000C3


class Trigger(Enum):
    """Why a run was asked for (SYNCMGRFLAG_*)."""

    MANUAL = "manual"
    SCHEDULED = "scheduled"
    CONNECT = "connect"
    PENDING_DISCONNECT = "pending-disconnect"
    IDLE = "idle"
    INVOKE = "invoke"
    SETTINGS = "settings"
    PUSH = "push"
    """The server told that something changed (no SYNCMGRFLAG: that contract only knows of being asked)."""


Deliver = Callable[[Callable[[], None]], object]
"""Runs a function where the host wants its callbacks: ``loop.call_soon_threadsafe``, a Qt or Tk trampoline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """One request to synchronize. Raises InvalidRequest when it makes no sense."""

    flags: SyncFlags = SyncFlags.ALL_DIRECTIONS
    accounts: tuple[AccountId, ...] | None = None
    """None: all accounts of the provider."""
    folders: tuple[FolderPath | str, ...] = ()
    """With SYNC_THESE_FOLDERS: which ones, by path; they and nothing else."""
    callback: "ProgressCallback | None" = None
    trigger: Trigger = Trigger.MANUAL
    full: bool = False
    """Compare everything, as if no cursor were there (the periodic proof, now)."""
    dry_run: bool = False
    """Write nothing, here or there: the result counts what a synchronization would do, both ways."""
    size_octets_max: int | None = None
    """Messages larger than this stay header-only in this run."""
    resolver: "Resolver | None" = None
    """Decides about refusals and conflicts of what was changed offline; None: the defaults."""
    deliver: "Deliver | AbstractEventLoop | None" = None
    """Where the callback runs: an asyncio loop, or any ``call(fn)``; None: a thread of the provider."""

    def __post_init__(self) -> None:
        try:
            flags = SyncFlags(self.flags)
        except ValueError:
            raise InvalidRequest("This request has flags that are not defined.") from None
        if int(flags) & ~sum(SyncFlags):
            raise InvalidRequest("This request has flags that are not defined.")
        if not flags & SyncFlags.ALL_DIRECTIONS:
            raise InvalidRequest("This request names no direction: add SYNC_DOWNLOAD_CONTENTS or another of the four.")
        if bool(flags & SyncFlags.SYNC_THESE_FOLDERS) != bool(self.folders):
            raise InvalidRequest("SYNC_THESE_FOLDERS and a list of folders go together.")
        if self.accounts is not None and not self.accounts:
            raise InvalidRequest("This request names no account.")
        if self.size_octets_max is not None and self.size_octets_max < 0:
            raise InvalidRequest("A size limit is not negative.")

    @property
    def folder_paths(self) -> tuple[FolderPath, ...]:
        """The folders as paths, in the order given."""
        return tuple(f if isinstance(f, FolderPath) else FolderPath.parse(f) for f in self.folders)
