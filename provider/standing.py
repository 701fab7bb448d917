"""How an account stands, as a value: the ten fields of ConfigMgr's status table, and what came of its runs. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from .states import StateCode, code_of_label

if TYPE_CHECKING:
    from store import ReadView, Run
    from store.mail import AccountId

__all__ = ["BROKEN", "DEGRADED", "HEALTHY", "Standing", "failures", "stand", "standing_of"]

NEVER, SUCCESS, FAILED = (StateCode.NEVER, "never"), (StateCode.SUCCESS, "success"), (StateCode.FAILED, "failed")
OUT_OF_STEP = (StateCode.OUT_OF_STEP, "out-of-step")
"""A run that ended with errors or was cancelled leaves us out of step."""
RUNNING = "running"
HEALTHY, DEGRADED, BROKEN = 0, 1, 2
"""ReplicationLinkStatus."""
_BY_STATUS = {"failed": FAILED, "disconnected": FAILED, "lost": FAILED}
"""How a run ended -> state; every other end (with errors, cancelled) leaves us out of step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one account stands. *last* fields are of the newest whole run, open or ended; times are aware."""

    last_trigger: str | None = None
    """What started it; None: nothing ran yet."""
    started_manually: bool = False
    last_start: datetime | None = None
    last_end: datetime | None = None
    """None: it runs."""
    state_code: int = NEVER[0].value
    """6701 running, and by its phase 6704, 6705, 6706; 6702 success, 6703 failed, 6707 out of step; 0 never."""
    state: str = NEVER[1]
    state_at: datetime | None = None
    phase: str | None = None
    """Of what runs, at its last commit; None: nothing runs, or it has committed nothing yet."""
    done: int = 0
    """Messages, of what runs; 0 when nothing does."""
    total: int | None = None
    """Messages that it is about; None: nothing runs, or that is not known."""
    last_success: datetime | None = None
    last_error: str | None = None
    """Of the newest run that ended."""
    alert_since: datetime | None = None
    """Since when an error lasts; None: none does."""
    link_status: int = HEALTHY
    link_checked_at: datetime | None = None
    store_version: int = 0
    """Only grows."""
    next_run: datetime | None = None
    """None: no schedule."""
    folders: int = 0
    messages: int = 0
    unseen: int = 0
    bodies: int = 0
    pending: int = 0
    """Operations that wait to be sent."""
    conflicts: int = 0
    outbox: Mapping[str, int] = field(default_factory=dict)
    """Submissions by state; a state that none is in is left out."""
    one_connection: str | None = None
    """Why the account is given one connection at a time; None: it may have a second one."""


def standing_of(
    view: "ReadView",
    account: "AccountId",
    now: datetime,
    next_run: datetime | None = None,
    alert_since: datetime | None = None,
) -> Standing:
    """Return how *account* stands in one snapshot of the store; one that it does not know never ran.

    *next_run*: of its schedules (``store.schedules.next_run``). *alert_since*: of its open alert (``store.alerts``).
    """
    known = account in view.accounts()
    folders = view.folders(account) if known else ()
    return stand(
        view.runs(account) if known else (),
        now,
        store_version=view.cursor_seq(),
        folders=len(folders),
        messages=sum(folder.counts.messages for folder in folders),
        unseen=sum(folder.counts.unseen for folder in folders),
        bodies=sum(folder.counts.bodies for folder in folders),
        pending=len(view.operations(account)) if known else 0,
        conflicts=len(view.conflicts(account)) if known else 0,
        outbox=dict(Counter(str(one.state.value) for one in view.submissions(account))) if known else {},
        one_connection=view.one_connection(account) or None,
        next_run=next_run,
        alert_since=alert_since,
    )


def stand(
    runs: "Sequence[Run]",
    now: datetime,
    *,
    store_version: int = 0,
    folders: int = 0,
    messages: int = 0,
    unseen: int = 0,
    bodies: int = 0,
    pending: int = 0,
    conflicts: int = 0,
    outbox: Mapping[str, int] | None = None,
    one_connection: str | None = None,
    next_run: datetime | None = None,
    alert_since: datetime | None = None,
) -> Standing:
    """Return what the *runs* of one account, newest first, say at *now*, beside what was counted."""
    whole = [run for run in runs if run.status != "yielded"]  # a yielded run is the first half of the one after it
    last = whole[0] if whole else None
    ended = next((run for run in whole if run.finished_at is not None), None)
    good = next((run for run in whole if run.finished_at is not None and not failures(run)), None)
    open_ones = [run for run in runs if run.finished_at is None and run.expires_at > now]
    now_runs = next((run for run in open_ones if run.lane == "bulk"), next(iter(open_ones), None))
    if now_runs is not None:
        code, state, at = code_of_label(now_runs.phase), RUNNING, now_runs.started_at
    elif ended is None:
        code, state, at = *NEVER, None
    else:
        code, state = SUCCESS if ended is good else _BY_STATUS.get(ended.status, OUT_OF_STEP)
        at = ended.finished_at
    return Standing(
        last_trigger=last.trigger if last else None,
        started_manually=last is not None and last.trigger == "manual",
        last_start=last.started_at if last else None,
        last_end=last.finished_at if last else None,
        state_code=code.value,
        state=state,
        state_at=at,
        phase=(now_runs.phase or None) if now_runs else None,
        done=now_runs.done if now_runs else 0,
        total=now_runs.total if now_runs else None,
        last_success=good.finished_at if good else None,
        last_error=next(iter(failures(ended)), None) if ended is not None else None,
        link_status=HEALTHY if ended is good else BROKEN if ended and ended.status in _BY_STATUS else DEGRADED,
        link_checked_at=ended.finished_at if ended else None,
        store_version=store_version,
        folders=folders,
        messages=messages,
        unseen=unseen,
        bodies=bodies,
        pending=pending,
        conflicts=conflicts,
        outbox=outbox or {},
        one_connection=one_connection,
        next_run=next_run,
        alert_since=alert_since,
    )


_ENDED = {"canceled": "It was stopped before its end.", "lost": "Its process ended before it did."}


def failures(run: "Run") -> list[str]:
    """Return what went wrong in *run*, the first first; empty when it did what it was asked for."""
    told = [error.text for error in run.errors if error.severity == "error"]
    return told or ([_ENDED.get(run.status, f"The run ended as {run.status}.")] if run.status != "succeeded" else [])
