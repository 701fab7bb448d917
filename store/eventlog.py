"""``MailStore.eventlog``: what went wrong, for people. One entry for as long as a thing lasts, with a count.

Edge-triggered: an error that comes again in the next run counts its entry up and makes no new one; a success clears
it, and it stays as history. Bounded for each account. Texts lose their addresses here, whoever wrote them.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType

from .database import Database
from .mail import AccountId
from .runs import RunError, RunId
from .sql import accounts, alerts, eventlog
from .sql.values import storable
from .sql.writing import Unit

__all__ = ["EventLog", "LogEntry", "LogId", "LogItem", "Recorded", "without_addresses"]

LogId = NewType("LogId", int)
LogItem = Literal["account", "outbox"]
ENTRIES_MAX = 500
"""Entries of one account; the oldest that are over go first."""
TEXT_CHARACTERS_MAX = 500
LEVELS = {"information": 1, "warning": 2, "error": 3}
"""Severity -> SYNCMGRLOGLEVEL."""
_NAMES = {level: name for name, level in LEVELS.items()}
_ADDRESS = re.compile(r"[^\s<>\"'(),;:]{1,256}@[^\s<>\"'(),;:]{1,256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry. *cleared_at* None: it lasts. *count*: how often it was seen, from *first_at* to *last_at*."""

    id: LogId
    account: AccountId
    item: LogItem
    severity: str
    """information, warning or error."""
    kind: str
    folder: str | None
    uid: int | None
    text: str
    run: RunId | None
    first_at: datetime
    last_at: datetime
    count: int
    cleared_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a record changed: the edge that an alert goes by."""

    raised: bool = False
    """The account had no open error, and has one now."""
    cleared: bool = False
    """The account had an open error, and has none now."""


class EventLog:
    """The log of all accounts. Thread-safe, as the store is."""

    def __init__(self, database: Database, unit: Unit) -> None:
        self._database = database
        self._unit = unit

    def record(
        self,
        account: AccountId,
        errors: Sequence[RunError],
        *,
        item: LogItem = "account",
        run: RunId | None = None,
        succeeded: Collection[str | None] = (),
        whole: bool = False,
        lasting: Collection[str] = (),
    ) -> Recorded:
        """Write down how a run of *account* ended; nothing is written where nothing changes.

        *succeeded*: the folders that are in step now, None for the account as a whole: what was open of them and did
        not come again is cleared. *whole*: everything is in step or in *errors*: what else is
        open is about folders that are no more, and is cleared, too. *lasting*: kinds that no success clears.
        """
        wanted = [
            (LEVELS.get(one.severity, 3), one.kind, one.folder or "", one.uid, without_addresses(one.text))
            for one in errors
        ]
        done = frozenset("" if folder is None else folder for folder in succeeded)
        if not wanted and not self._any_open(account):
            return Recorded()
        with self._unit("event log") as work:
            number = accounts.ensure_account(work, account)
            before = eventlog.open_errors(work.connection, number)
            seen = {eventlog.note(work, number, item, run, *one) for one in wanted}
            for id_, kind, folder in eventlog.open_of(work.connection, number, item):
                over = folder in done or (whole and "" in done)
                if id_ not in seen and over and kind not in lasting:
                    eventlog.clear(work, id_)
            eventlog.bound(work, number, ENTRIES_MAX)
            after = eventlog.open_errors(work.connection, number)
            if after > 0 == before:
                _, kind, folder, _, text = next(one for one in wanted if one[0] == LEVELS["error"])
                alerts.raise_(work, number, item, kind, storable(folder), storable(text), run)
            elif before > 0 == after:
                alerts.clear(work, number)
        return Recorded(raised=after > 0 == before, cleared=before > 0 == after)

    def entries(
        self, account: AccountId | None = None, *, severity: str | None = None, open: bool = False, limit: int = 100
    ) -> tuple[LogEntry, ...]:
        """Return the newest entries, newest first: of one account, of one severity, only those that last.

        Raises UnknownAccount; ValueError for a severity that is none.
        """
        if limit < 1:
            raise ValueError("a list has at least one entry")
        level = None if severity is None else _level(severity)
        with self._database.reading() as connection:
            names = accounts.account_names(connection)
            numbers = accounts.numbers_of(connection, account)
            rows = [row for number in numbers for row in eventlog.of_account(connection, number)]
        found = (LogEntry(account=names[number], severity=_NAMES[of], **rest) for number, of, rest in rows)
        chosen = (
            one
            for one in found
            if (level is None or LEVELS[one.severity] == level) and not (open and one.cleared_at is not None)
        )
        return tuple(sorted(chosen, key=lambda one: (one.last_at, one.id), reverse=True)[:limit])

    def counts(self, account: AccountId | None = None) -> dict[str, int]:
        """Return how many entries last, by severity. Raises UnknownAccount."""
        lasting = self.entries(account, open=True, limit=2**31)
        return {name: sum(one.severity == name for one in lasting) for name in LEVELS}

    def remove(self, ids: Iterable[LogId]) -> int:
        """Forget entries; return how many there were. One that comes again begins anew.

        The alert of an account of which no error is left is over.
        """
        with self._unit("forget events") as work:
            removed = eventlog.remove(work, ids)
            for number in accounts.account_names(work.connection):
                if not eventlog.open_errors(work.connection, number):
                    alerts.clear(work, number)
            return removed

    def _any_open(self, account: AccountId) -> bool:
        with self._database.reading() as connection:
            numbers = [number for number, name in accounts.account_names(connection).items() if name == account]
            return any(eventlog.any_open(connection, number) for number in numbers)


def _level(severity: str) -> int:
    if severity not in LEVELS:
        raise ValueError(f"a severity is one of {', '.join(LEVELS)}")
    return LEVELS[severity]


def without_addresses(text: str) -> str:
    """Return *text* without addresses, and not too long.

    >>> without_addresses("Nobody answers to jo@example.org.")
    'Nobody answers to (an address)'
    """
    return _ADDRESS.sub("(an address)", text)[:TEXT_CHARACTERS_MAX]
