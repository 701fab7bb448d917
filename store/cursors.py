"""How far a folder was synchronized, and which messages make trouble. Values only; rows: ``store.sql.cursors``."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .mail import FolderId, ModSeq, Uid, UidValidity

__all__ = ["FolderCursor", "Trouble", "TroubleKind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderCursor:
    """Where to go on. Never ahead of the rows: it is saved in the transaction that writes what it covers."""

    epoch: UidValidity | None = None
    """UIDVALIDITY of every row of the folder; None: never opened."""
    mod_seq: ModSeq | None = None
    """HIGHESTMODSEQ that is wholly here; None: none, or not trusted."""
    uid_next: int | None = None
    messages: int | None = None
    listed_from: int | None = None
    """Every existing UID from here to below ``uid_next`` has a row; None: nothing is listed yet; 1: all."""
    distrust: str = ""
    """Why change reports about this folder are not believed; empty: they are."""
    epoch_changes: int = 0
    """Changes of UIDVALIDITY in a row without a quiet visit between."""
    proven_at: datetime | None = None
    """When it was last compared in full."""
    checked_at: datetime | None = None


TroubleKind = Literal["missing", "poison"]
"""missing: asked for, but not answered (the gap list; never a proof of deletion). poison: answered with something that
cannot be kept (the quarantine)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A message that could not be brought. Not asked for again before ``next_try_at``."""

    folder_id: FolderId
    epoch: UidValidity
    uid: Uid
    kind: TroubleKind
    reason: str
    tries: int
    next_try_at: datetime
