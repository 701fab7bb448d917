"""Who is watched, who is asked, and when which account is synchronized: facts and seconds in, decisions out. Pure.

An account has a parked line, or waits for one: within a budget of lines, in the order of the accounts. What has none is
polled. Rules:

- What the server tells is a *mark*: one run of the account's inbox, however often it was told meanwhile; told while it
  runs, it runs once more. A line that was just parked marks too: what came before is not told.
- A run that failed keeps its mark, and is tried again after a minute, doubling up to an hour. Runs that find nothing,
  several in a row, come less and less often, down to one in five minutes: a server that cries wolf keeps nobody busy.
- A lost line is tried again after seconds, doubling up to a quarter of an hour; only one that stood for two minutes
  begins anew. A refusal, or a server that has no place for it, is asked again after an hour.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from random import Random

from store.mail import AccountId

from ...backoff import Backoff
from ...errors import Cancelled, CommandRefused, FolderUnusable, Needs, ProviderError, TooManyConnections

__all__ = ["Standing", "Watched", "Watchlist"]

LINES_MAX = 100
CONNECTING_MAX = 4
CONNECTING_SECONDS_MAX = 120.0
"""After so long somebody who logs in holds up nobody else: it may be a person who is asked for a password."""
RUNS_MAX = 4
POLL_SECONDS = 900.0
POLL_FIRST_SECONDS = 30.0
"""Whoever has no line by then is asked for the first time."""
REFUSED_SECONDS = 3_600.0
PERSON_SECONDS = 900.0
"""Where a person has to do something first."""
PROVEN_SECONDS = 120.0
SPACING_SECONDS, SPACING_SECONDS_MAX = 1.0, 300.0
EMPTY_RUNS = 3
LINE_BACKOFF = Backoff(first_seconds=2.0, last_seconds=900.0, login_seconds=PERSON_SECONDS)
RUN_BACKOFF = Backoff(first_seconds=60.0, last_seconds=3_600.0)


class Standing(Enum):
    """How an account stands with its line."""

    WAITING = "waiting"
    """It has none, and may get one at ``Watched.line_at``."""
    CONNECTING = "connecting"
    PARKED = "parked"


@dataclass(slots=True, kw_only=True)
class Watched:
    """One account. Times are monotonic seconds."""

    account: AccountId
    standing: Standing = Standing.WAITING
    since: float
    line_at: float
    failures: int = 0
    why: str = ""
    """Why it has no line, for a person; empty: none was lost yet."""
    marked: bool = False
    running: bool = False
    poll_at: float | None
    """When it is asked as a whole; None: its server tells."""
    run_at: float
    """No run begins before."""
    run_failures: int = 0
    empty: int = 0
    """Runs in a row that found nothing."""

    def next_run(self) -> float | None:
        """Return when a run is to begin; None: nothing is to do, or it runs."""
        if self.running:
            return None
        wanted = [self.run_at] if self.marked else []
        if self.poll_at is not None:
            wanted.append(max(self.poll_at, self.run_at))
        return min(wanted, default=None)


class Watchlist:
    """The accounts of one provider, in their order. *lines_max*: how many may have a line at a time."""

    def __init__(self, *, lines_max: int = LINES_MAX, poll_seconds: float = POLL_SECONDS, random: Random) -> None:
        self._lines_max = lines_max
        self._poll_seconds = poll_seconds
        self._random = random
        self.all: dict[AccountId, Watched] = {}

    def add(self, account: AccountId, now: float, *, running: bool = False) -> None:
        """Take an account; *running*: it is set anew, and a run of what it was goes on."""
        first = now + min(POLL_FIRST_SECONDS, self._poll_seconds)
        self.all[account] = Watched(account=account, since=now, line_at=now, poll_at=first, run_at=now, running=running)

    def begin_anew(self, now: float) -> None:
        """Forget what failed before, of all that have no line: the network is another one."""
        for one in self._waiting():
            one.line_at, one.failures = now, 0
            one.run_at, one.run_failures = now, 0

    def let_go(self, account: AccountId, now: float) -> None:
        """Take that the line was given up on purpose, and nothing is wrong with it."""
        one = self.all[account]
        one.standing, one.since, one.line_at = Standing.WAITING, now, now
        one.poll_at = now + min(POLL_FIRST_SECONDS, self._poll_seconds)

    def remove(self, account: AccountId) -> None:
        """Forget an account."""
        self.all.pop(account, None)

    def to_connect(self, now: float) -> list[AccountId]:
        """Return who gets a line now; they are CONNECTING from here on."""
        chosen = [one for one in self._waiting() if one.line_at <= now][: self._room(now)]
        for one in chosen:
            one.standing, one.since = Standing.CONNECTING, now
        return [one.account for one in chosen]

    def parked(self, account: AccountId, now: float) -> None:
        """Take that the server tells from now on."""
        one = self.all[account]
        one.standing, one.since, one.why = Standing.PARKED, now, ""
        one.marked, one.poll_at = True, None

    def changed(self, account: AccountId) -> None:
        """Take that the server told of something."""
        self.all[account].marked = True

    def lost(self, account: AccountId, error: ProviderError | None, now: float) -> None:
        """Take that there is no line, or no more; None: by something that nobody foresaw."""
        one = self.all[account]
        if one.standing is Standing.PARKED:
            one.failures = 0 if now - one.since >= PROVEN_SECONDS else one.failures
            one.poll_at = now + self._poll_delay()
        one.failures += 1
        seconds = LINE_BACKOFF.delay(one.failures, self._random, error)
        if isinstance(error, CommandRefused | FolderUnusable | TooManyConnections | Cancelled):
            seconds = max(seconds, REFUSED_SECONDS)
        elif error is None or error.needs in (Needs.LOGIN, Needs.USER):
            seconds = max(seconds, PERSON_SECONDS)
        one.standing, one.since, one.line_at = Standing.WAITING, now, now + seconds
        one.why = str(error) if error is not None else "Something went wrong that should not."

    def to_run(self, now: float) -> list[tuple[AccountId, bool]]:
        """Return which accounts are synchronized now, and whether as a whole; they are running from here on."""
        due = [(at, one) for one in self.all.values() if (at := one.next_run()) is not None and at <= now]
        chosen = []
        for _, one in sorted(due, key=lambda pair: pair[0])[: RUNS_MAX - self._runs()]:
            whole = one.poll_at is not None and one.poll_at <= now
            one.running, one.marked = True, False
            if whole:
                one.poll_at = now + self._poll_delay()
            chosen.append((one.account, whole))
        return chosen

    def ran(self, account: AccountId, *, ok: bool | None, empty: bool, now: float) -> None:
        """Take how a run ended. *ok* None: somebody stopped it, and it is left at that."""
        one = self.all.get(account)
        if one is None:
            return
        one.running = False
        one.empty = one.empty + 1 if empty and ok else 0
        seconds = min(SPACING_SECONDS * 2.0 ** min(max(0, one.empty - EMPTY_RUNS), 20), SPACING_SECONDS_MAX)
        if ok is False:
            one.run_failures += 1
            one.marked = one.marked or one.poll_at is None
            seconds = RUN_BACKOFF.delay(one.run_failures, self._random)
        else:
            one.run_failures = 0
        one.run_at = now + seconds

    def due(self, now: float) -> float | None:
        """Return when there is something to decide again, *now* or later; None: only when something happens."""
        times: list[float] = []
        if self._runs() < RUNS_MAX:
            times += [at for one in self.all.values() if (at := one.next_run()) is not None]
        if self._room(now):
            times += [one.line_at for one in self._waiting()]
        return max(now, min(times)) if times else None

    def _runs(self) -> int:
        return sum(one.running for one in self.all.values())

    def _room(self, now: float) -> int:
        """Return how many more may be connecting."""
        lines = sum(one.standing is not Standing.WAITING for one in self.all.values())
        fresh = now - CONNECTING_SECONDS_MAX
        busy = sum(one.standing is Standing.CONNECTING and one.since > fresh for one in self.all.values())
        return max(0, min(self._lines_max - lines, CONNECTING_MAX - busy))

    def _waiting(self) -> Iterable[Watched]:
        return (one for one in self.all.values() if one.standing is Standing.WAITING)

    def _poll_delay(self) -> float:
        return self._poll_seconds * self._random.uniform(0.9, 1.1)
