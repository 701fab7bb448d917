"""Runs and the lease: the one unfinished run of an account and lane *is* the lease. Rows: ``store.sql.runs``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NewType

from .mail import AccountId

__all__ = ["Lane", "Run", "RunError", "RunId"]

RunId = NewType("RunId", int)
"""Names a run and fences it: once another run of its account and lane is open, nothing is written under this one."""

Lane = Literal["bulk", "quick"]
"""``bulk`` synchronizes an account, ``quick`` brings single messages beside it; one of each at a time."""


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
    """One run. ``finished_at`` None: it runs until ``expires_at``, unless it renews."""

    id: RunId
    account: AccountId
    trigger: str
    flags: int
    owner: str
    started_at: datetime
    expires_at: datetime
    finished_at: datetime | None
    status: str
    lane: Lane = "bulk"
    counts: Mapping[str, int] = field(default_factory=dict)
    errors: tuple[RunError, ...] = ()
    phase: str = ""
    """Label of the phase at its last commit; empty: it began."""
    done: int = 0
    """Messages, by then."""
    total: int | None = None
    """None: not known then."""
