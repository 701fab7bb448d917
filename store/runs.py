"""Synchronizations and the lease: the one unfinished run of an account *is* the lease. Rows: ``store.sql.runs``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType

from .mail import AccountId

__all__ = ["Run", "RunError", "RunId"]

RunId = NewType("RunId", int)
"""Names a run and fences it: once another run of the account is open, nothing is written under this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunError:
    """What went wrong in a run, for the history. Text for people, without secrets and without message content."""

    kind: str
    text: str
    folder: str | None = None
    uid: int | None = None
    severity: str = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One synchronization. ``finished_at`` None: it runs until ``expires_at``, unless it renews."""

    id: RunId
    account: AccountId
    trigger: str
    flags: int
    owner: str
    started_at: datetime
    expires_at: datetime
    finished_at: datetime | None
    status: str
    counts: Mapping[str, int] = field(default_factory=dict)
    errors: tuple[RunError, ...] = ()
