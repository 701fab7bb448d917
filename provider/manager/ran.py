"""How one run of a schedule went. A value."""

from dataclasses import dataclass
from datetime import datetime

from store.mail.schedules import ScheduleId

__all__ = ["Ran"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run of a schedule that is over, or was not started."""

    schedule: ScheduleId
    group: str
    began_at: datetime
    ended_at: datetime
    outcome: str
    """ResultStatus value, or why nothing was started."""
    next_run: datetime | None
    retry_at: datetime | None
