"""``MailStore.schedules``: groups of accounts, when they run by themselves, and who runs them at this moment.

The store knows instants, not rules: whoever adds or finishes a schedule says when it is due next. ``claim`` is the one
door to a run: one transaction in which one manager of any number gets what is due, as the outbox's lease does.
"""

from datetime import datetime

from .database import Database
from .dispatch import IsGone
from .errors import LeaseLost, UnknownGroup, UnknownSchedule
from .instants import from_micros, micros, micros_or_none
from .mail import AccountId
from .mail.schedules import ALL_ACCOUNTS, Group, ScheduleId, ScheduleRecord
from .sql import accounts, schedules
from .sql.schedules import Row
from .sql.values import storable
from .sql.writing import Unit, Writing

__all__ = ["Schedules"]

_SECOND = 1_000_000


class Schedules:
    """Groups and schedules. Thread-safe; any number of processes. Every change is durable when it returns."""

    def __init__(self, database: Database, unit: Unit) -> None:
        self._database = database
        self._unit = unit

    # --- groups --------------------------------------------------------------------------------------------------

    def groups(self) -> tuple[Group, ...]:
        """Return all groups; the one of all accounts first."""
        with self._database.reading() as connection:
            return (ALL_ACCOUNTS, *schedules.groups(connection).values())

    def group(self, name: str) -> Group:
        """Return a group. Raises UnknownGroup."""
        found = next((one for one in self.groups() if one.name == name), None)
        if found is None:
            raise _no_group(name)
        return found

    def put_group(self, group: Group) -> None:
        """Write a group, in place of the one of this name; its accounts are made known. Raises ValueError."""
        if group.name == ALL_ACCOUNTS.name:
            raise ValueError("the group of all accounts is always there, and as it is")
        if not group.accounts:
            raise ValueError("a group has an account at least")
        with self._unit("group", durable=True) as work:
            numbers = [accounts.ensure_account(work, one) for one in dict.fromkeys(group.accounts)]
            schedules.put_group(work, _numbers(work).get(group.name), group, numbers)

    def remove_group(self, name: str) -> None:
        """Remove a group with its schedules. Raises UnknownGroup; ValueError for that of all accounts."""
        if name == ALL_ACCOUNTS.name:
            raise ValueError("the group of all accounts is always there")
        with self._unit("remove group", durable=True) as work:
            number = _numbers(work).get(name)
            if number is None:
                raise _no_group(name)
            schedules.forget_group(work, number)

    # --- schedules -----------------------------------------------------------------------------------------------

    def all(self) -> tuple[ScheduleRecord, ...]:
        """Return all schedules in the order of adding."""
        with self._database.reading() as connection:
            names = {number: one.name for number, one in schedules.groups(connection).items()}
            return tuple(_value(row, names) for row in schedules.rows(connection))

    def next_run(self, account: AccountId) -> datetime | None:
        """Return when *account* runs by itself next, a retry included; None: never, or all is paused."""
        if self.paused:
            return None
        groups = {one.name for one in self.groups() if not one.accounts or account in one.accounts}
        mine = (one.due_at for one in self.all() if one.enabled and one.group in groups)
        return min((at for at in mine if at is not None), default=None)

    def add(self, group: str, text: str, *, zone: str, next_run: datetime | None) -> ScheduleId:
        """Add a schedule, checked by the caller. Raises UnknownGroup."""
        with self._unit("add schedule", durable=True) as work:
            number = None if group == ALL_ACCOUNTS.name else _numbers(work).get(group)
            if number is None and group != ALL_ACCOUNTS.name:
                raise _no_group(group)
            return ScheduleId(schedules.add(work, number, storable(text), storable(zone), micros_or_none(next_run)))

    def change(self, id_: ScheduleId, text: str, *, zone: str, next_run: datetime | None) -> None:
        """Say anew when a schedule runs, checked by the caller; what runs goes on. Raises UnknownSchedule."""
        with self._unit("change schedule", durable=True) as work:
            words = {"text": storable(text), "zone": storable(zone)}
            due = micros_or_none(next_run)
            schedules.change(work, _row(work, id_), **words, next_run=due, retry_at=None, failures=0)

    def remove(self, id_: ScheduleId) -> None:
        """Remove a schedule; what runs goes on. Raises UnknownSchedule."""
        with self._unit("remove schedule", durable=True) as work:
            schedules.forget(work, _row(work, id_).id)

    def set_enabled(self, id_: ScheduleId, *, enabled: bool, next_run: datetime | None) -> None:
        """Let a schedule run, from *next_run* on, or not. Raises UnknownSchedule."""
        with self._unit("enable schedule", durable=True) as work:
            row = _row(work, id_)
            due = micros_or_none(next_run)
            schedules.change(work, row, enabled=int(enabled), next_run=due, retry_at=None, failures=0)

    def reschedule(self, id_: ScheduleId, next_run: datetime | None, *, retry_at: datetime | None = None) -> None:
        """Say anew when a schedule is due, and is tried again (None: it is not). Raises UnknownSchedule."""
        with self._unit("reschedule", durable=True) as work:
            due, again = micros_or_none(next_run), micros_or_none(retry_at)
            schedules.change(work, _row(work, id_), next_run=due, retry_at=again)

    def pause(self) -> None:
        """Let nothing start by itself, in any process, until ``resume``; what runs goes on."""
        with self._unit("pause", durable=True) as work:
            schedules.set_paused(work, paused=True)

    def resume(self) -> None:
        """Let what is due start again."""
        with self._unit("resume", durable=True) as work:
            schedules.set_paused(work, paused=False)

    @property
    def paused(self) -> bool:
        """True when nothing starts by itself."""
        with self._database.reading() as connection:
            return schedules.is_paused(connection)

    @property
    def offline(self) -> bool:
        """True when one works offline."""
        with self._database.reading() as connection:
            return schedules.is_offline(connection)

    def set_offline(self, offline: bool) -> None:
        """Write down whether one works offline: managers that begin from now on begin so."""
        with self._unit("offline", durable=True) as work:
            schedules.set_offline(work, offline=offline)

    # --- who runs them -------------------------------------------------------------------------------------------

    def claim(
        self, now: datetime, *, owner: str, seconds: int = 60, is_gone: IsGone | None = None
    ) -> ScheduleRecord | None:
        """Take the schedule that is due the longest, for so many *seconds* of *now*'s clock; None: nothing is due.

        What another one holds is taken over once its lease has expired, or its owner *is_gone* for certain; it is
        still due then, since only ``finish`` moves it on. Nothing is due while paused.
        """
        if not (owner and owner.isprintable()) or seconds < 1:
            raise ValueError("a lease has an owner with a printable name, and lasts a second at least")
        at = micros(now)
        with self._database.reading() as connection:
            if schedules.is_paused(connection) or not _due(schedules.rows(connection), at, is_gone):
                return None
        with self._unit("claim schedule", durable=True) as work:
            found = _due(schedules.rows(work.connection), at, is_gone)
            if not found or schedules.is_paused(work.connection):
                return None
            until = at + seconds * _SECOND
            row = schedules.change(work, found[0], owner=owner, lease_until=until, lease_seconds=seconds, last_run=at)
            return _value(row, {number: name for name, number in _numbers(work).items()})

    def renew(self, id_: ScheduleId, now: datetime, *, owner: str) -> None:
        """Hold a schedule for as long again. Raises LeaseLost, UnknownSchedule."""
        with self._unit("renew schedule", durable=True) as work:
            row = _held(work, id_, owner)
            schedules.change(work, row, lease_until=micros(now) + row.lease_seconds * _SECOND)

    def finish(
        self,
        id_: ScheduleId,
        *,
        owner: str,
        outcome: str,
        next_run: datetime | None,
        retry_at: datetime | None = None,
    ) -> None:
        """Give a schedule back, and say how it went and when it is due next. *retry_at*: it failed.

        Raises LeaseLost (and writes nothing), UnknownSchedule.
        """
        with self._unit("finish schedule", durable=True) as work:
            row = _held(work, id_, owner)
            schedules.change(
                work,
                row,
                owner="",
                lease_until=None,
                last_outcome=storable(outcome),
                next_run=micros_or_none(next_run),
                retry_at=micros_or_none(retry_at),
                failures=0 if retry_at is None else row.failures + 1,
            )

    def release(self, id_: ScheduleId, *, owner: str) -> None:
        """Give a schedule back as if it had not begun: it stays due. Raises LeaseLost, UnknownSchedule."""
        with self._unit("release schedule", durable=True) as work:
            schedules.change(work, _held(work, id_, owner), owner="", lease_until=None)


def _numbers(work: Writing) -> dict[str, int]:
    return {one.name: number for number, one in schedules.groups(work.connection).items()}


def _row(work: Writing, id_: ScheduleId) -> Row:
    found = next((row for row in schedules.rows(work.connection) if row.id == id_), None)
    if found is None:
        raise UnknownSchedule(f"there is no schedule {int(id_)}")
    return found


def _held(work: Writing, id_: ScheduleId, owner: str) -> Row:
    row = _row(work, id_)
    if row.lease_until is None or row.owner != owner:
        raise LeaseLost("somebody else runs this schedule by now")
    return row


def _due(rows: list[Row], now: int, is_gone: IsGone | None) -> list[Row]:
    """Return what may be taken, the longest due first."""
    found = []
    for row in rows:
        due = min((at for at in (row.next_run, row.retry_at) if at is not None), default=None)
        if not row.enabled or due is None or due > now:
            continue
        # A lease that reaches further than it was given for is from before the clock stepped back.
        holds = row.lease_until is not None and now < row.lease_until <= now + row.lease_seconds * _SECOND
        if not holds or (is_gone is not None and is_gone(row.owner)):
            found.append((due, row.id, row))
    return [row for *_, row in sorted(found)]


def _value(row: Row, names: dict[int, str]) -> ScheduleRecord:
    return ScheduleRecord(
        id=ScheduleId(row.id),
        group=ALL_ACCOUNTS.name if row.group_id is None else names[row.group_id],
        text=row.text,
        zone=row.zone,
        enabled=bool(row.enabled),
        next_run=_instant(row.next_run),
        retry_at=_instant(row.retry_at),
        failures=row.failures,
        last_run=_instant(row.last_run),
        last_outcome=row.last_outcome,
        running=row.lease_until is not None,
    )


def _instant(value: int | None) -> datetime | None:
    return None if value is None else from_micros(value)


def _no_group(name: str) -> UnknownGroup:
    return UnknownGroup(f"there is no group {name!r}")
