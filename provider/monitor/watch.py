"""What runs, for a page: each request with its items, and those from here that have just ended, for a little longer.

The desk knows what runs; who pressed a button wants to see the end of it, too.
"""

import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from store.mail import AccountId

from .. import ItemKind, ItemStatus, ResultStatus, SyncError, SyncProgress, SyncRequest

if TYPE_CHECKING:
    from ..manager.control.desk import Desk, DeskHandle

__all__ = ["Task", "Watch"]

ENDED_MAX = 6
STEPS_MAX = 400
"""Items of one run that a page shows: those at work first."""
ERRORS_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One request as a page shows it. *ended* None: it is under way."""

    run_id: int
    trigger: str
    accounts: tuple[AccountId, ...] | None
    """None: all."""
    steps: tuple[SyncProgress, ...]
    """The account of each first, then its items in the order in which they came up."""
    hidden: int = 0
    """Items beside those."""
    ended: ResultStatus | None = None
    ended_at: datetime | None = None
    errors: tuple[SyncError, ...] = ()

    @property
    def paused(self) -> bool:
        """True when it waits because somebody asked for it."""
        return any(step.status is ItemStatus.PAUSED for step in self.steps)

    @property
    def done(self) -> int:
        """Messages committed, of all items that are not sums of others."""
        return sum(step.messages_done for step in self._parts)

    @property
    def total(self) -> int | None:
        """Messages to come; None: not known of any item."""
        known = [step.messages_total for step in self._parts if step.messages_total is not None]
        return max(sum(known), self.done) if known else None

    @property
    def at_work(self) -> int:
        """Items that are not over."""
        return sum(not step.status.terminal for step in self.steps)

    @property
    def _parts(self) -> tuple[SyncProgress, ...]:
        return tuple(step for step in self.steps if step.item is not ItemKind.ACCOUNT)


class Watch:
    """Looks at a desk. Thread-safe."""

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._ours: deque[tuple[DeskHandle, SyncRequest]] = deque(maxlen=ENDED_MAX)

    def start(self, request: SyncRequest, *, send: bool = True, receive: bool = True, group: str | None = None) -> int:
        """Start a request, and remember it; return its number. Raises as ``Desk.start``."""
        handle = self._desk.start(request, send=send, receive=receive, group=group)
        with self._lock:
            if all(known.run_id != handle.run_id for known, _ in self._ours):
                self._ours.append((handle, request))
        return handle.run_id

    def running(self) -> tuple[Task, ...]:
        """Return what is not over, oldest first."""
        return tuple(_task(one.run_id, one.trigger.value, one.accounts, one.items) for one in self._desk.running())

    def ended(self) -> tuple[Task, ...]:
        """Return what was started from here and is over, newest first."""
        with self._lock:
            ours = tuple(self._ours)
        found = []
        for handle, request in reversed(ours):
            result = handle.result
            if result is None:
                continue
            told = [item.error for item in result.items if item.error is not None]
            errors = tuple(dict.fromkeys([*result.errors, *told]))[:ERRORS_MAX]
            task = _task(handle.run_id, request.trigger.value, request.accounts, handle.items)
            found.append(
                Task(
                    run_id=task.run_id,
                    trigger=task.trigger,
                    accounts=task.accounts,
                    steps=task.steps,
                    hidden=task.hidden,
                    ended=result.status,
                    ended_at=result.at,
                    errors=errors,
                )
            )
        return tuple(found)

    def runs_of(self, account: AccountId) -> tuple[int, ...]:
        """Return the numbers of the requests that *account* is part of."""
        return tuple(one.run_id for one in self._desk.running() if one.accounts is None or account in one.accounts)


def _task(run_id: int, trigger: str, accounts: tuple[AccountId, ...] | None, items: tuple[SyncProgress, ...]) -> Task:
    order = {account: at for at, account in enumerate(dict.fromkeys(step.account for step in items))}
    found = sorted(items, key=lambda step: (step.status.terminal and len(items) > STEPS_MAX, order[step.account]))
    shown = sorted(found[:STEPS_MAX], key=lambda step: (order[step.account], step.item is not ItemKind.ACCOUNT))
    return Task(
        run_id=run_id,
        trigger=trigger,
        accounts=accounts,
        steps=tuple(shown),
        hidden=len(items) - len(shown),
    )
