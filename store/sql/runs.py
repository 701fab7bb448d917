"""Run rows: the history of synchronizations, and the lease that keeps two of one account and lane apart.

Invariant: at most one row of an account and lane is unfinished (a unique index says so). The id of that row fences:
whoever writes under another one is refused. Expiry is by wall clock, since processes share no other; a clock that jumps
can make a lease change hands too early, which fencing makes harmless.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import insert, select, update

from ..errors import Leased, LeaseLost
from ..instants import from_micros
from ..mail import AccountId
from ..runs import Lane, Run, RunError, RunId
from ..tables import RunRow, table
from .statements import names, p, sql
from .values import storable
from .writing import Writing

__all__ = ["finish", "note", "open_accounts", "recent", "require", "start"]

_t = table(RunRow)
_COLUMNS = "id account_id trigger flags owner started_at expires_at finished_at status counts errors lane"
_AT = "phase done total"
_NEW = "account_id trigger flags owner started_at expires_at lease_seconds lane"
_read = select(*(_t.c[name] for name in f"{_COLUMNS} {_AT}".split()))
_SECOND = 1_000_000

RECENT = sql(_read.order_by(_t.c.id.desc()).limit(p("rows")), "rows")
RECENT_OF = sql(_read.where(_t.c.account_id == p("account")).order_by(_t.c.id.desc()).limit(p("rows")), "account rows")
OPEN = sql(
    select(_t.c.id, _t.c.lane, _t.c.owner, _t.c.expires_at, _t.c.lease_seconds).where(
        _t.c.account_id == p("account"), _t.c.finished_at.is_(None)
    ),
    "account",
)
OPEN_ACCOUNTS = sql(select(_t.c.account_id).where(_t.c.finished_at.is_(None)))
LEASE = sql(
    select(_t.c.account_id, _t.c.expires_at, _t.c.lease_seconds).where(_t.c.id == p("run"), _t.c.finished_at.is_(None)),
    "run",
)
START = sql(insert(_t).values(**names(_NEW)), _NEW)
RENEW = sql(update(_t).where(_t.c.id == p("run")).values(**names("expires_at")), "expires_at run")
NOTE = sql(update(_t).where(_t.c.id == p("run")).values(**names(_AT)), f"{_AT} run")
FINISH = sql(
    update(_t).where(_t.c.id == p("run")).values(**names("finished_at status counts errors")),
    "finished_at status counts errors run",
)


def _micros(seconds: int) -> int:
    return seconds * _SECOND


def _holds(now: int, expires_at: int, lease_seconds: int) -> bool:
    """Tell whether a lease holds. One that reaches further than it may was given before the clock stepped back."""
    return now < expires_at <= now + _micros(lease_seconds)


def start(
    work: Writing,
    account: int,
    *,
    trigger: str,
    flags: int,
    owner: str,
    lease_seconds: int,
    lane: Lane,
    is_gone: Callable[[str], bool] | None = None,
) -> RunId:
    """Open a run, which is the lease of *lane*. Raises Leased.

    A lease whose owner *is_gone* is not waited for, and is closed as lost in the other lane, too. One that is only
    expired there is left alone: its owner may have slept, and goes on.
    """
    for run, its_lane, holder, expires_at, seconds in work.connection.execute(OPEN, (account,)).fetchall():
        gone = is_gone is not None and is_gone(holder)
        if its_lane == lane and not gone and _holds(work.now, expires_at, seconds):
            raise Leased(holder, from_micros(expires_at))
        if its_lane == lane or gone:
            work.connection.execute(FINISH, (work.now, "lost", "{}", "[]", run))
    until = work.now + _micros(lease_seconds)
    values = (account, storable(trigger), flags, storable(owner), work.now, until, lease_seconds, lane)
    number = work.connection.execute(START, values).lastrowid
    assert number is not None
    return RunId(number)


def require(work: Writing, run: RunId, *, renew: bool = False) -> int:
    """Return our number of the account that *run* holds. Raises LeaseLost when it holds it no longer.

    The lease is renewed when less than half of it is left, or *renew* says so. An expired one that nobody took is
    still good.
    """
    row = work.connection.execute(LEASE, (run,)).fetchone()
    if row is None:
        raise LeaseLost("another synchronization of this account took over; nothing more is written by this one")
    account, expires_at, seconds = row
    whole = _micros(seconds)
    if renew or not whole // 2 <= expires_at - work.now <= whole:
        work.connection.execute(RENEW, (work.now + whole, run))
    return int(account)


def note(work: Writing, run: RunId, phase: str, done: int, total: int) -> None:
    """Write where a run is, beside what else is written."""
    work.connection.execute(NOTE, (storable(phase), done, total, run))


def finish(work: Writing, run: RunId, status: str, counts: Mapping[str, int], errors: Sequence[RunError]) -> bool:
    """Close a run, which gives the lease back; False when it was closed already."""
    if work.connection.execute(LEASE, (run,)).fetchone() is None:
        return False
    told = storable(json.dumps([asdict(error) for error in errors]))
    work.connection.execute(FINISH, (work.now, storable(status), json.dumps(dict(counts)), told, run))
    return True


def open_accounts(connection: sqlite3.Connection) -> set[int]:
    """Return our numbers of the accounts that have an unfinished run."""
    return {account for (account,) in connection.execute(OPEN_ACCOUNTS)}


def _run(row: tuple[Any, ...], accounts: dict[int, AccountId]) -> Run:
    id_, account, trigger, flags, owner, started_at, expires_at, finished_at, status, counts, errors, lane, *at = row
    phase, done, total = at
    return Run(
        id=RunId(id_),
        account=accounts[account],
        trigger=trigger,
        flags=flags,
        owner=owner,
        started_at=from_micros(started_at),
        expires_at=from_micros(expires_at),
        finished_at=None if finished_at is None else from_micros(finished_at),
        status=status,
        lane=lane,
        counts=json.loads(counts),
        errors=tuple(RunError(**error) for error in json.loads(errors)),
        phase=phase,
        done=done,
        total=total or None,
    )


def recent(
    connection: sqlite3.Connection, account: int | None, limit: int, accounts: dict[int, AccountId]
) -> tuple[Run, ...]:
    """Return the newest runs, newest first."""
    if account is None:
        rows = connection.execute(RECENT, (limit,))
    else:
        rows = connection.execute(RECENT_OF, (account, limit))
    return tuple(_run(row, accounts) for row in rows)
