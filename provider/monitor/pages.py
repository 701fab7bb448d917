"""The pages: what each looks at, as the values that its template shows. Reading only; nothing here changes anything.

A page is made of parts, and a part is what is sent again when something changed (``live``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from store.mail import AccountId
from store.mail.conflicts import Choice

from ..manager.schedule import BadSchedule, parse
from .center import OVER, Center, Counted, subject_of
from .chart import HEIGHT, bars, went_well

__all__ = ["PAGES", "Look", "NotThere", "Page"]

EVENTS_MAX = 200
CONFLICTS_MAX = 100
RUNS_SHOWN = 60
RUNS_MAX = 2_000
SUBMISSIONS_MAX = 300

Query = Mapping[str, str]
Look = Callable[[Center, Query], dict[str, object]]


class NotThere(Exception):
    """The address names something that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page. *live*: its parts come anew while it is open; forms that people fill in do not."""

    name: str
    path: str
    title: str
    look: Look
    parts: tuple[str, ...]
    live: bool = True
    count: Callable[[Counted], int] | None = None
    """What the navigation says beside its title."""
    alarming: bool = False
    """The count is about something that went wrong."""
    of: str = ""
    """The page that the navigation marks instead; empty: this one."""


def _partnerships(center: Center, _query: Query) -> dict[str, object]:
    return {"partners": center.partners(), **_resting(center)}


def _account(center: Center, query: Query) -> dict[str, object]:
    found = center.partner(query.get("name", ""))
    if found is None:
        raise NotThere
    return {"partner": found, "places": center.places(found.name)}


def _running(center: Center, _query: Query) -> dict[str, object]:
    tasks = center.watch.running()
    busy = {step.account for task in tasks for step in task.steps}
    now = datetime.now(UTC)
    with center.store.read() as view:
        elsewhere = [
            run
            for run in view.runs(limit=100)
            if run.finished_at is None and run.expires_at > now and run.account not in busy
        ]
    return {"tasks": tasks, "ended": center.watch.ended(), "elsewhere": elsewhere}


def _results(center: Center, query: Query) -> dict[str, object]:
    everything = query.get("show") == "all"
    entries = center.store.eventlog.entries(open=not everything, limit=EVENTS_MAX)
    return {"entries": entries, "everything": everything, "local": set(center.here)}


def _conflicts(center: Center, _query: Query) -> dict[str, object]:
    with center.store.read() as view:
        found = view.conflicts()
        shown = [(one, subject_of(view, one.found.message)) for one in found[:CONFLICTS_MAX]]
    alike: dict[object, int] = {}
    for one in found:
        alike[one.found.kind] = alike.get(one.found.kind, 0) + 1
    return {"conflicts": shown, "alike": alike, "rest": len(found) - len(shown), "choices": tuple(Choice)}


def _history(center: Center, query: Query) -> dict[str, object]:
    with center.store.read() as view:
        names = view.accounts()
        account = query.get("account")
        chosen = AccountId(account) if account in names and account is not None else None
        runs = view.runs(chosen, RUNS_MAX)
    return {
        "runs": runs[:RUNS_SHOWN],
        "bars": bars(runs, datetime.now().astimezone()),
        "height": HEIGHT,
        "names": names,
        "chosen": chosen,
        "went_well": went_well,
    }


def _schedules(center: Center, _query: Query) -> dict[str, object]:
    found = center.store.schedules.all()
    with center.store.read() as view:
        names = center.names(view)
    return {
        "schedules": found,
        "groups": center.store.schedules.groups(),
        "names": names,
        **_resting(center),
        "bad": {one.id for one in found if not _understood(one.text, one.zone)},
    }


def _outbox(center: Center, query: Query) -> dict[str, object]:
    everything = query.get("show") == "all"
    with center.store.read() as view:
        found = [one for one in view.submissions() if everything or one.state not in OVER]
        known = view.accounts()
    resting = [name for name in known if center.store.outbox.suspended(name)]
    return {
        "submissions": found[-SUBMISSIONS_MAX:],
        "rest": max(0, len(found) - SUBMISSIONS_MAX),
        "everything": everything,
        "resting": resting,
        "senders": list(dict.fromkeys([*resting, *(one.account for one in found)])),
    }


def _resting(center: Center) -> dict[str, object]:
    return {"paused": center.store.schedules.paused, "offline": center.store.schedules.offline}


def _understood(text: str, zone: str) -> bool:
    try:
        parse(text, zone)
    except BadSchedule:
        return False
    return True


PAGES = (
    Page(name="partnerships", path="/", title="Partnerships", look=_partnerships, parts=("partnerships",)),
    Page(
        name="running",
        path="/running",
        title="Running now",
        look=_running,
        parts=("running", "ended"),
        count=lambda counted: counted.running,
    ),
    Page(
        name="results",
        path="/results",
        title="Results",
        look=_results,
        parts=("results",),
        count=lambda counted: counted.errors,
        alarming=True,
    ),
    Page(
        name="conflicts",
        path="/conflicts",
        title="Conflicts",
        look=_conflicts,
        parts=("conflicts",),
        live=False,
        count=lambda counted: counted.conflicts,
        alarming=True,
    ),
    Page(name="history", path="/history", title="History", look=_history, parts=("history",), live=False),
    Page(
        name="schedules",
        path="/schedules",
        title="Schedules and groups",
        look=_schedules,
        parts=("schedules", "groups"),
        live=False,
    ),
    Page(
        name="outbox",
        path="/outbox",
        title="Outbox",
        look=_outbox,
        parts=("outbox",),
        count=lambda counted: counted.outbox,
    ),
    Page(name="account", path="/account", title="Account", look=_account, parts=("account",), of="partnerships"),
)
"""In the order of the navigation; what has *of* is not in it."""
