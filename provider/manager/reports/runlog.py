"""``RunLog``: what synchronizations do, as JSON lines in a file that is bounded: ``maildock.log``, ``.1``, ``.2`` ...

    with RunLog(path) as log, log.listening():
        provider.SynchronizeInBackground(SyncRequest(callback=log.follow(trigger="manual", then=window)))

Rules: one object a line, ASCII, so that no name can begin a line of its own or move a terminal; for the owner alone
(0600); any number of processes and threads write one file, a lock beside it keeps rotation whole. A log that cannot be
written costs its lines and nothing else.
"""

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from store import StoreError
from store.eventlog import without_addresses
from store.filelock import FileLock

from ...callback import CancelRequest, ProgressCallback
from ...errors import printable
from ...events import Event, SyncError, SyncProgress, SyncResult
from .loglines import Line, LogLines

if TYPE_CHECKING:
    from ..ran import Ran

__all__ = ["RunLog"]

log = logging.getLogger(__name__)

OCTETS_MAX = 2_000_000
FILES_KEPT = 5
LOCK_SECONDS_MAX = 1.0
LOCK_POLL_SECONDS = 0.005
_OURS = ("provider", "store")
"""Loggers whose words go into the log."""


class RunLog:
    """A log file. Thread-safe; several may have one path. A context manager.

    *octets_max*: a file that would become larger is put aside, of which *files_kept* remain.
    """

    def __init__(self, path: Path, *, octets_max: int = OCTETS_MAX, files_kept: int = FILES_KEPT) -> None:
        self._file = _SharedFile(path, octets_max, files_kept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what is written afterwards opens it again."""
        self._file.close()

    def write(self, line: Line) -> None:
        """Add a line. Never raises."""
        record = logging.makeLogRecord({"name": __name__, "levelno": logging.INFO, "msg": line})
        self._file.handle(record)

    def follow(
        self, *, trigger: str, group: str | None = None, then: ProgressCallback | None = None
    ) -> ProgressCallback:
        """Return the callback of one request: its events become lines, and go to *then* as well."""
        return _Follower(self, LogLines(trigger, group), then)

    def ran(self, ran: "Ran") -> None:
        """Add that a schedule ran, and when it runs again; one that failed says when it is tried again."""
        again = ran.retry_at or ran.next_run
        when = "It does not run again." if again is None else f"Next at {again:%Y-%m-%d %H:%M} UTC."
        failed = " It is tried again." if ran.retry_at is not None else ""
        self.write(
            {
                "at": ran.ended_at.isoformat(timespec="milliseconds"),
                "level": "warning" if ran.retry_at is not None else "info",
                "event": "schedule-ran",
                "schedule": ran.schedule,
                "group": printable(ran.group),
                "outcome": printable(ran.outcome),
                "next_run": None if ran.next_run is None else ran.next_run.isoformat(),
                "retry_at": None if ran.retry_at is None else ran.retry_at.isoformat(),
                "text": f"The schedule of {printable(ran.group)} ran: {printable(ran.outcome)}.{failed} {when}",
            }
        )

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While inside, what this library logs (INFO and above) goes into the file, beside wherever it went before."""
        loggers = [logging.getLogger(name) for name in _OURS]
        before = [(one, one.level) for one in loggers]
        # Without any handler Python prints warnings; with ours it would not any more.
        aside = logging.lastResort if not logging.getLogger().handlers else None
        for one in loggers:
            one.addHandler(self._file)
            if aside is not None and not any(handler is not self._file for handler in one.handlers):
                one.addHandler(aside)
            if one.getEffectiveLevel() > logging.INFO:
                one.setLevel(logging.INFO)
        try:
            yield
        finally:
            for one, level in before:
                one.removeHandler(self._file)
                if aside is not None:
                    one.removeHandler(aside)
                one.setLevel(level)


class _Follower:
    """The callback of one request: writes, then passes on."""

    def __init__(self, file: RunLog, lines: LogLines, then: ProgressCallback | None) -> None:
        self._file, self._lines, self._then = file, lines, then

    def progress(self, progress: SyncProgress, /) -> CancelRequest | None:
        """Hear a step; answers what the other one answers."""
        self._write(progress)
        hears = getattr(self._then, "progress", None)
        return None if hears is None else hears(progress)

    def error(self, error: SyncError, /) -> None:
        """Hear an error or a warning."""
        self._write(error)
        if (hears := getattr(self._then, "error", None)) is not None:
            hears(error)

    def done(self, result: SyncResult, /) -> None:
        """Hear the end."""
        self._write(result)
        if (hears := getattr(self._then, "done", None)) is not None:
            hears(result)

    def _write(self, event: Event) -> None:
        line = self._lines.of(event)
        if line is not None:
            self._file.write(line)


class _SharedFile(RotatingFileHandler):
    """A rotating file that several processes write. Each line is written, and each rotation done, under one lock."""

    def __init__(self, path: Path, octets_max: int, files_kept: int) -> None:
        self._lock_path = path.with_name(path.name + ".lock")
        self._between: FileLock | None = None
        self._held = self._failing = False
        super().__init__(path, maxBytes=octets_max, backupCount=files_kept, encoding="ascii", delay=True)
        self.setFormatter(_JsonLines())
        self.setLevel(logging.INFO)  # of the loggers it is at: what goes over the wire is DEBUG

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="ascii", newline="\n", opener=_private)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; what fails is told once."""
        try:
            self._acquire()
            try:
                self._reopen_if_moved()
                if self.shouldRollover(record):
                    self.doRollover()
                if self.stream is None:
                    self.stream = self._open()
                self.stream.write(self.format(record) + "\n")
                self.stream.flush()
                self._failing = False
            finally:
                self._release()
        except (OSError, ValueError, StoreError) as error:
            if not self._failing:
                self._failing = True  # before it is told: the telling may come back here
                log.warning("The log cannot be written (%s); lines are lost.", type(error).__name__)

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        """Tell whether the line would make the file too large; who has no lock does not rotate."""
        return self._held and bool(super().shouldRollover(record))

    def close(self) -> None:
        """Close the file and the lock."""
        super().close()
        if self._between is not None:
            self._between.close()
            self._between = None

    def _acquire(self) -> None:
        if self._between is None:
            self._between = FileLock(self._lock_path)
        until = time.monotonic() + LOCK_SECONDS_MAX
        while not (held := self._between.try_acquire()) and time.monotonic() < until:
            time.sleep(LOCK_POLL_SECONDS)
        self._held = held

    def _release(self) -> None:
        if self._held and self._between is not None:
            self._held = False
            self._between.release()

    def _reopen_if_moved(self) -> None:
        """Another process may have put the file aside: then ours is the old one."""
        if self.stream is None:
            return
        ours = os.fstat(self.stream.fileno())
        try:
            named = os.stat(self.baseFilename)
        except FileNotFoundError:
            named = None
        if named is None or (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino):
            self.stream.close()
            self.stream = self._open()


class _JsonLines(logging.Formatter):
    """A line of ours as it is; what a logger says as a line with its words, and of an exception its name alone."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of ASCII."""
        line = record.msg if isinstance(record.msg, dict) else _of_record(record)
        return json.dumps(line, ensure_ascii=True, default=str)


def _of_record(record: logging.LogRecord) -> Line:
    error = record.exc_info[0] if record.exc_info else None
    return {
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": "log",
        "logger": record.name,
        **({} if error is None else {"error": error.__name__}),
        "text": printable(without_addresses(record.getMessage())),
    }


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0), 0o600)
