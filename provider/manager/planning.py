"""When a stored schedule runs next, whatever its text and the clock did meanwhile. Pure."""

from datetime import datetime, timedelta
from random import Random

from store import ScheduleRecord

from .schedule import BadSchedule, Every, next_run, parse

__all__ = ["following", "sooner"]


def following(record: ScheduleRecord, after: datetime, random: Random) -> datetime | None:
    """Return when a schedule runs next *after* an instant; None: never, or its text makes no sense."""
    try:
        return next_run(parse(record.text, record.zone), after, random)
    except BadSchedule:
        return None


def sooner(record: ScheduleRecord, now: datetime) -> datetime | None:
    """Return when a schedule runs next: as it was planned, if that is not further away than it can be by *now*."""
    try:
        schedule = parse(record.text, record.zone)
    except BadSchedule:
        return record.next_run
    soon = next_run(schedule, now)
    if record.next_run is None or soon is None or soon >= record.next_run:
        return record.next_run
    if isinstance(schedule.spec, Every):
        far = record.next_run > soon + timedelta(seconds=schedule.spec.seconds)
    else:  # a time of the day may have run before the clock was set back by less: it is not run twice
        far = record.last_run is None
    far = far or (record.last_run is not None and record.last_run > now + timedelta(days=1))
    return soon if far else record.next_run
