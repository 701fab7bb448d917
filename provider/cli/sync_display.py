"""What a running synchronization shows: bars on a terminal, a line a folder elsewhere, a JSON object an event.

Each display is a ``ProgressCallback``. It is called on a thread of the provider, never twice at once; ``close`` comes
from the main thread and silences it.
"""

import sys
import threading
from typing import TYPE_CHECKING

from .. import Counts, ItemKind, ItemStatus, Severity, as_json
from .exits import hint_of
from .output import count, hint, octets, one_line, put, put_json

if TYPE_CHECKING:
    from rich.progress import TaskID

    from .. import SyncError, SyncProgress, SyncResult

__all__ = ["BarsDisplay", "ErrorsToStderr", "JsonDisplay", "LinesDisplay", "counters", "put_summary", "sent"]

NOTHING = ("unchanged", "nothing to send")
DELIVERY_SECONDS_MAX = 5.0
"""How long the last event may take from the run to the display."""


class ErrorsToStderr:
    """Says errors and warnings, each with what helps the first time; ignores progress. Base of the others."""

    def __init__(self) -> None:
        self._finished = threading.Event()
        self._lock = threading.Lock()
        self._closed = False
        self._hinted: set[tuple[str, str | None]] = set()
        self._last_said = ""

    def progress(self, progress: "SyncProgress", /) -> None:
        """Show a step forward, unless the display is closed."""
        with self._lock:
            if not self._closed:
                self._show(progress)

    def error(self, error: "SyncError", /) -> None:
        """Say an error or a warning, unless the display is closed."""
        with self._lock:
            if not self._closed:
                self._say(error)

    def done(self, result: "SyncResult", /) -> None:
        """Hear the end."""
        self._finished.set()

    def close(self, result: "SyncResult") -> None:
        """Wait until everything was said, then show how it ended; nothing is shown after it."""
        self._finished.wait(DELIVERY_SECONDS_MAX)
        with self._lock:
            self._closed = True
            self._end(result)

    def _show(self, progress: "SyncProgress") -> None:
        """Show nothing: others override it."""

    def _end(self, result: "SyncResult") -> None:
        """Show nothing: others override it."""

    def _say(self, error: "SyncError") -> None:
        if error.severity is Severity.INFORMATION:
            return  # told for the record: it stays in --json
        where = ": ".join(one_line(part) for part in (error.account, error.folder) if part)
        mild = "warning: " if error.severity is Severity.WARNING else ""
        line = f"maildock: {mild}{where and where + ': '}{one_line(error.text)}"
        if line == self._last_said:
            return  # every new try of a connection meets the same trouble
        self._last_said = line
        hint(line)
        if error.server_text:
            hint(f"  The server says: {one_line(error.server_text)}")
        helps = hint_of(error.kind, error.account)
        if helps and error.severity is Severity.ERROR and (error.kind.value, error.account) not in self._hinted:
            self._hinted.add((error.kind.value, error.account))
            hint(f"  {one_line(helps)}")


class JsonDisplay(ErrorsToStderr):
    """One event a line; the result is the last line. Errors stand on stderr too, for whoever looks on."""

    def _show(self, progress: "SyncProgress") -> None:
        put_json(as_json(progress))

    def _say(self, error: "SyncError") -> None:
        put_json(as_json(error))
        super()._say(error)

    def _end(self, result: "SyncResult") -> None:
        put_json(as_json(result))


class LinesDisplay(ErrorsToStderr):
    """For files and pipes: one line when a folder ends, one for each account at the end."""

    def _show(self, progress: "SyncProgress") -> None:
        if progress.item is not ItemKind.ACCOUNT and progress.status.terminal:
            put(f"{_name(progress)}: {_ending(progress)}")
            sys.stdout.flush()

    def _end(self, result: "SyncResult") -> None:
        put_summary(result)


class BarsDisplay(ErrorsToStderr):
    """For terminals: a bar for each account and for each folder at work."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._bars = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[facts]}", markup=False),
            console=Console(markup=False, highlight=False, emoji=False),
            redirect_stderr=sys.stderr.isatty(),
            refresh_per_second=10,
            transient=True,
        )
        self._tasks: dict[tuple[str, str | None, ItemKind], TaskID] = {}

    def _show(self, progress: "SyncProgress") -> None:
        """Move a bar. A folder that ends gives its bar back; its line stays when something came."""
        self._bars.start()  # at the first event: a request that is refused at once leaves the terminal as it was
        item = (progress.account, progress.folder, progress.item)
        if progress.item is not ItemKind.ACCOUNT and progress.status.terminal:
            task = self._tasks.pop(item, None)
            if task is not None:
                self._bars.remove_task(task)
            if _ending(progress) not in NOTHING:
                self._bars.console.print(f"{_name(progress)}: {_ending(progress)}", soft_wrap=True)
            return
        if item not in self._tasks:
            name = _name(progress) if progress.folder is None else "  " + one_line(progress.folder, 34)
            self._tasks[item] = self._bars.add_task(name, total=None, facts="")
        self._bars.update(
            self._tasks[item],
            completed=progress.index,
            total=progress.index_max or None,
            facts=_facts(progress),
        )

    def _end(self, result: "SyncResult") -> None:
        self._bars.stop()
        put_summary(result)


def put_summary(result: "SyncResult") -> None:
    """Print how each account ended, and what was kept of a cancelled run."""
    for item in result.items:
        if item.item is ItemKind.ACCOUNT:
            line = f"{one_line(item.account)}: {item.status.value}; {counters(item.counts)}"
            put(f"{line}; {sent(item.uploaded)}" if item.uploaded != Counts() else line)
    stopped = sum(item.item is ItemKind.FOLDER and item.status is ItemStatus.CANCELED for item in result.items)
    if stopped and result.status.value != "canceled":
        put(f"Stopped: {count(stopped, 'folder')}; the next sync goes on from there.")
    if result.status.value == "canceled":
        kept = result.downloaded
        put(
            f"Cancelled. Kept: {count(kept.new, 'new message')}, {count(kept.bodies, 'body', 'bodies')}; "
            "the next sync goes on from there."
        )


def counters(counts: Counts) -> str:
    """Return counts as a compact line: + new, * flags changed, . read, - deleted, bodies and octets.

    >>> counters(Counts(new=12, read=3, bodies=12, octets=1_234_567))
    '+12 *0 .3 -0, 12 bodies, 1.2 MB'
    >>> counters(Counts(new=5, deleted=5, bodies=1, reused=4, octets=4_000))
    '+5 *0 .0 -5, 1 body and 4 that were here, 4.0 kB'
    """
    line = f"+{counts.new:,} *{counts.modified:,} .{counts.read:,} -{counts.deleted:,}"
    line += f", {count(counts.bodies, 'body', 'bodies')}"
    line += f" and {counts.reused:,} that were here" if counts.reused else ""
    line += f", {octets(counts.octets)}"
    moved = _folders(counts)
    return f"{line}, folders {moved}" if moved else line


def sent(counts: Counts) -> str:
    """Return what was changed on the server as a compact line: + added, * marked, - removed.

    >>> sent(Counts(new=2, modified=5, deleted=1, folders_new=1))
    'sent +2 *5 -1, folders +1'
    """
    if counts.sent:
        return f"{count(counts.sent, 'message')} sent"
    line = f"sent +{counts.new:,} *{counts.modified + counts.read:,} -{counts.deleted:,}"
    moved = _folders(counts)
    return f"{line}, folders {moved}" if moved else line


def _folders(counts: Counts) -> str:
    signs = ((counts.folders_new, "+"), (counts.folders_renamed, "~"), (counts.folders_deleted, "-"))
    return " ".join(f"{sign}{number}" for number, sign in signs if number)


def _name(progress: "SyncProgress") -> str:
    """Return what an item is called on a line of its own."""
    account = one_line(progress.account, 34)
    if progress.item is ItemKind.OUTBOX:
        return f"{account}: outbox"
    return account if progress.folder is None else f"{account}: {one_line(progress.folder)}"


def _ending(progress: "SyncProgress") -> str:
    came, went = progress.counts or Counts(), progress.uploaded or Counts()
    parts = [counters(came)] if came != Counts() else []
    parts += [sent(went)] if went != Counts() else []
    line = "; ".join(parts) or ("nothing to send" if progress.item is ItemKind.OUTBOX else "unchanged")
    return line if progress.status is ItemStatus.SUCCEEDED else f"{progress.status.value}; {line}"


def _facts(progress: "SyncProgress") -> str:
    """Return what stands behind a bar: messages, octets, rate, time left, or why nothing moves."""
    if progress.stalled_seconds:
        return f"waiting for the server, {progress.stalled_seconds:.0f} s"
    facts = []
    if progress.messages_total is not None:
        facts.append(f"{progress.messages_done:,} of {progress.messages_total:,}")
    elif progress.messages_done:
        facts.append(f"{progress.messages_done:,}")
    if progress.octets_done:
        facts.append(octets(progress.octets_done))
    if progress.octets_per_second:
        facts.append(f"{octets(round(progress.octets_per_second))}/s")
    if progress.eta_seconds:
        facts.append(_left(progress.eta_seconds))
    return " · ".join(facts) or progress.phase.label.replace("-", " ")


def _left(seconds: float) -> str:
    return f"{seconds:.0f} s left" if seconds < 90 else f"{seconds / 60:.0f} min left"
