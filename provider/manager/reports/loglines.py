"""From the events of a request to the lines of the log: which are worth one, and what it says. Pure.

Rules: a line is a flat JSON object with ``at``, ``level``, ``event`` and ``text``; what runs and ends has ``id``, its
state code. What a server said, subjects, bodies and addresses in texts never come in; names of folders do, made
harmless. A folder that nothing happened to has no line: a quiet look at 5,000 folders is a few lines.
"""

from datetime import datetime

from store.eventlog import without_addresses

from ...backlog import ItemKey, key_of
from ...errors import printable
from ...events import Counts, Event, ItemKind, ItemStatus, Severity, SyncError, SyncProgress, SyncResult
from ...states import code_of_end, code_of_phase

__all__ = ["Line", "LogLines", "share"]

Line = dict[str, object]
STEP_SECONDS = 10.0
"""Between two lines of one item that only goes on."""
_LEVELS = {Severity.INFORMATION: "info", Severity.WARNING: "warning", Severity.ERROR: "error"}
_COUNTED = ("new", "modified", "read", "deleted", "bodies", "sent")


def share(done: int, total: int | None) -> str:
    """Return how far something is, for people.

    >>> share(120, 480), share(3, None), share(0, 0)
    ('120 of 480 (25 %)', '3', '0')
    """
    return f"{done:,} of {total:,} ({100 * done // total} %)" if total else f"{done:,}"


class LogLines:
    """The lines of one request; *trigger* and *group* say why it runs. One thread at a time."""

    def __init__(self, trigger: str, group: str | None = None) -> None:
        self._why = {"trigger": trigger} | ({} if group is None else {"group": printable(group)})
        self._told: dict[ItemKey, SyncProgress] = {}

    def of(self, event: Event) -> Line | None:
        """Return the line that *event* is worth; None: none."""
        if isinstance(event, SyncError):
            return _of_error(event)
        if isinstance(event, SyncResult):
            return self._of_result(event)
        return self._of_end(event) if event.status.terminal else self._of_step(event)

    def _of_step(self, event: SyncProgress) -> Line | None:
        before = self._told.get(key_of(event))
        if before is None:
            self._told[key_of(event)] = event
            begins = event.folder is None
            return _line(event, "begins", f"{_name(event)} begins.", **self._why) if begins else None
        waited = abs((event.at - before.at).total_seconds()) >= STEP_SECONDS
        moved = event.messages_done > before.messages_done or event.octets_done > before.octets_done
        if not (waited and moved) and (event.folder is not None or event.phase is before.phase):
            return None
        self._told[key_of(event)] = event
        done, total = event.messages_done, event.messages_total
        text = f"{_name(event)}: {event.phase.label}, {share(done, total)} messages."
        numbers = {"done": done, "total": total, "percent": 100 * done // total if total else None}
        return _line(event, "goes-on", text, **numbers)

    def _of_end(self, event: SyncProgress) -> Line | None:
        self._told.pop(key_of(event), None)
        counts = (event.counts or Counts()) + (event.uploaded or Counts())
        quiet = event.status is ItemStatus.SUCCEEDED and counts == Counts()
        if event.folder is not None and quiet:
            return None
        numbers = {name: getattr(counts, name) for name in _COUNTED if getattr(counts, name)}
        text = f"{_name(event)} ended: {event.status.value}."
        return _line(event, "ended", text, done=event.messages_done, total=event.messages_total, **numbers)

    def _of_result(self, event: SyncResult) -> Line:
        errors = len(event.errors) + event.errors_dropped
        seconds = round((event.at - event.started_at).total_seconds(), 3)
        return {
            "at": _iso(event.at),
            "level": "error" if errors else "info",
            "event": "request-ended",
            "run": event.run_id,
            **self._why,
            "status": event.status.value,
            "errors": errors,
            "seconds": seconds,
            "octets": event.downloaded.octets,
            "text": f"The request ended: {event.status.value}.",
        }


def _line(event: SyncProgress, what: str, text: str, **more: object) -> Line:
    failed = event.status.terminal and event.status is not ItemStatus.SUCCEEDED
    code = code_of_end(event.status) if event.status.terminal else code_of_phase(event.phase)
    return {
        "at": _iso(event.at),
        "level": "warning" if failed else "info",
        "id": code.value,
        "event": what,
        "run": event.run_id,
        "account": event.account,
        **({} if event.folder is None else {"folder": printable(event.folder)}),
        "item": event.item.value,
        "phase": event.phase.label,
        "status": event.status.value,
        **more,
        "text": text,
    }


def _of_error(event: SyncError) -> Line:
    return {
        "at": _iso(event.at),
        "level": _LEVELS[event.severity],
        "event": "error",
        "run": event.run_id,
        "account": event.account,
        **({} if event.folder is None else {"folder": printable(event.folder)}),
        **({} if event.uid is None else {"uid": event.uid}),
        "kind": event.kind.value,
        "needs": event.needs.value,
        **({} if event.next_try is None else {"next_try": _iso(event.next_try)}),
        "text": printable(without_addresses(event.text)),
    }


def _name(event: SyncProgress) -> str:
    what = "Sending" if event.item is ItemKind.OUTBOX else "Synchronization"
    return f"{what} of {event.account}" + ("" if event.folder is None else f", {printable(event.folder)}")


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
