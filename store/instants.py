"""Instants as the tables keep them: microseconds since 1970 UTC, the offset apart. Pure.

Years 1 to 9999 with any offset survive the way there and back, since no step passes through a datetime in UTC.
"""

from datetime import UTC, datetime, timedelta, timezone

__all__ = ["from_micros", "from_micros_at", "micros", "micros_or_none", "offset_minutes"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)


def micros(instant: datetime) -> int:
    """Return *instant*, which must be aware, as microseconds since 1970 UTC.

    >>> micros(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    0
    """
    if instant.tzinfo is None:
        raise ValueError("an instant needs its offset from UTC")
    return (instant - _EPOCH) // _MICROSECOND


def micros_or_none(instant: datetime | None) -> int | None:
    """Return ``micros``, or None for None."""
    return None if instant is None else micros(instant)


def offset_minutes(instant: datetime) -> int:
    """Return how far *instant*'s clock is ahead of UTC, in whole minutes."""
    offset = instant.utcoffset()
    return offset // _MINUTE if offset is not None else 0


def from_micros(value: int) -> datetime:
    """Return the instant in UTC."""
    return _EPOCH + timedelta(microseconds=value)


def from_micros_at(value: int, offset: int) -> datetime:
    """Return the instant on a clock *offset* minutes ahead of UTC.

    >>> str(from_micros_at(0, -90))
    '1969-12-31 22:30:00-01:30'
    """
    local = _NAIVE_EPOCH + timedelta(microseconds=value, minutes=offset)
    return local.replace(tzinfo=timezone(timedelta(minutes=offset)))
