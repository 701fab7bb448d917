"""``MailStore.alerts``: an account's synchronization fails. Raised by its first error, cleared by its last one's end.

Edge-triggered by the event log, in its transaction: an alert is never lost between an error and its row. Who is to be
told is known to hosts; here stands which hooks (by name) were. An alert that was over before a hook heard of its
beginning is not told to it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from .database import Database
from .instants import from_micros, micros
from .mail import AccountId
from .runs import RunId
from .sql import accounts, alerts
from .sql.alerts import NEVER, Row
from .sql.writing import Unit

__all__ = ["Alert", "AlertId", "Alerts"]

AlertId = NewType("AlertId", int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert. *cleared_at* None: it lasts. The error is the one that raised it; others may have come since."""

    id: AlertId
    account: AccountId
    item: str
    """account or outbox."""
    kind: str
    folder: str | None
    text: str
    run: RunId | None
    raised_at: datetime
    cleared_at: datetime | None
    told: frozenset[str]
    """Hooks that heard of its latest edge: of the end, once it is over."""
    tries: int
    """How often that failed."""


class Alerts:
    """The alerts of all accounts. Thread-safe, as the store is."""

    def __init__(self, database: Database, unit: Unit) -> None:
        self._database = database
        self._unit = unit

    def entries(self, account: AccountId | None = None, *, open: bool = False, limit: int = 100) -> tuple[Alert, ...]:
        """Return the newest alerts, newest first: of one account, only those that last. Raises UnknownAccount."""
        if limit < 1:
            raise ValueError("a list has at least one entry")
        with self._database.reading() as connection:
            names = accounts.account_names(connection)
            numbers = accounts.numbers_of(connection, account)
            rows = [row for number in numbers for row in alerts.of_account(connection, number)]
        found = [_value(row, names) for row in rows if not (open and row.cleared_at is not None)]
        return tuple(sorted(found, key=lambda one: (one.raised_at, one.id), reverse=True)[:limit])

    def any_to_tell(self, now: datetime, hooks: Collection[str]) -> bool:
        """Tell whether ``claim`` would find one. Writes nothing."""
        with self._database.reading() as connection:
            return any(_waiting(row, hooks) for row in alerts.to_tell(connection, micros(now)))

    def claim(self, now: datetime, hooks: Collection[str], *, seconds: float) -> tuple[Alert, frozenset[str]] | None:
        """Take an alert that some of *hooks* are to be told of, and which; None: there is none.

        Nobody else gets it for so many *seconds*: long enough to tell it. Who is killed leaves it to the next one.
        """
        if not self.any_to_tell(now, hooks):
            return None
        with self._unit("claim alert", durable=True) as work:
            names = accounts.account_names(work.connection)
            for row in alerts.to_tell(work.connection, micros(now)):
                if waiting := _waiting(row, hooks):
                    alerts.change(work, row, next_try=micros(now) + int(seconds * 1_000_000))
                    return _value(row, names), waiting
        return None

    def told(self, alert: Alert, hooks: Collection[str], *, again_at: datetime | None, failed: bool = False) -> None:
        """Write that *hooks* were told of the edge that *alert* is at, and when the rest is tried; None: never.

        *failed*: there is a rest. The end of an alert that was cleared meanwhile is to be told at once.
        """
        with self._unit("told of alert", durable=True) as work:
            number = next(n for n, name in accounts.account_names(work.connection).items() if name == alert.account)
            row = next((one for one in alerts.of_account(work.connection, number) if one.id == alert.id), None)
            if row is None:
                return
            column = "told_raised" if alert.cleared_at is None else "told_cleared"
            changed: dict[str, int | str] = {column: " ".join(sorted({*getattr(row, column).split(), *hooks}))}
            if (row.cleared_at is None) != (alert.cleared_at is None):
                changed["next_try"] = 0
            else:
                changed["next_try"] = NEVER if again_at is None else micros(again_at)
                changed["tries"] = row.tries + failed
            alerts.change(work, row, **changed)


def _waiting(row: Row, hooks: Collection[str]) -> frozenset[str]:
    """Return those of *hooks* that are to be told of the edge that a row is at."""
    begun, ended = set(row.told_raised.split()), set(row.told_cleared.split())
    return frozenset(hook for hook in hooks if (hook not in begun if row.cleared_at is None else hook in begun - ended))


def _value(row: Row, names: dict[int, AccountId]) -> Alert:
    return Alert(
        id=AlertId(row.id),
        account=names[row.account_id],
        item=row.item,
        kind=row.kind,
        folder=row.folder or None,
        text=row.text,
        run=None if row.run is None else RunId(row.run),
        raised_at=from_micros(row.raised_at),
        cleared_at=None if row.cleared_at is None else from_micros(row.cleared_at),
        told=frozenset((row.told_raised if row.cleared_at is None else row.told_cleared).split()),
        tries=row.tries,
    )
