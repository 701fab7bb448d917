"""Connections to the one SQLite file: who may write when, snapshots for readers, checkpoints, what is waited for.

Rules of the room: WAL; every write is an explicit ``BEGIN IMMEDIATE`` under an OS file lock that is held for that
transaction only; nobody waits longer than ``wait_seconds``, then ``StoreBusy``; readers never wait for a writer. We
checkpoint ourselves, under the same lock, so the log stays small and no two processes ever do it at once (SQLite before
3.51.3 can corrupt a file when they do).
"""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import StoreBusy, StoreClosed, StoreError, StoreMissing, StoreReadOnly
from .filelock import FileLock
from .sqlite_errors import is_busy, translated
from .wal import log_octets

__all__ = ["Database"]

_log = logging.getLogger(__name__)

WAL_OCTETS = 36_000_000
"""Above this the log is folded into the file after a commit, without waiting for readers."""
WAL_OCTETS_MAX = 48_000_000
"""Above this readers are waited for (at most ``_BRIEFLY``), so that the log can start from its beginning again."""
SLOW_SECONDS = 1.0
_BRIEFLY = 0.1
_POLL_SECONDS = 0.002
_IDLE_READERS_MAX = 8

CONNECTION_CLASS: type[sqlite3.Connection] = sqlite3.Connection
"""What connections are made of; the fault tests put one here that fails."""


class Database:
    """One store file, opened. Thread-safe. Raises nothing but StoreError."""

    def __init__(self, path: Path, *, read_only: bool, wait_seconds: float, immutable: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self.commits = 0
        self.committed = threading.Condition()
        self.closed = False
        self._wait_seconds = wait_seconds
        self._immutable = immutable
        self._readers: list[sqlite3.Connection] = []
        self._pool = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._writing = threading.Lock()
        self._writing_thread: int | None = None
        self._durable = False
        with self._os_errors():
            self._lock = None if read_only else FileLock(path.with_name(path.name + ".lock"))
            self._identity = self._file_identity()

    # --- connections -------------------------------------------------------------------------------------------

    def connect(self) -> sqlite3.Connection:
        """Return a new connection, set up. Never creates the file (that happened before, with its mode)."""
        mode = "ro" if self.read_only else "rw"
        uri = f"{self.path.absolute().as_uri()}?mode={mode}" + ("&immutable=1" if self._immutable else "")
        connection = sqlite3.connect(
            uri,
            uri=True,
            timeout=_BRIEFLY,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=CONNECTION_CLASS,
        )
        try:
            for pragma in (
                "trusted_schema = OFF",
                "cell_size_check = ON",
                "foreign_keys = ON",
                "mmap_size = 0",
                "temp_store = MEMORY",
                "cache_size = -512",  # many readers, short views: what they read again the system still has
            ):
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_writer(self) -> sqlite3.Connection:
        connection = self.connect()
        try:
            for pragma in (
                "page_size = 16384",  # both only count while the file is empty
                "auto_vacuum = INCREMENTAL",
                "journal_mode = WAL",
                "wal_autocheckpoint = 0",
                f"journal_size_limit = {WAL_OCTETS_MAX}",  # what was longer once is cut when it starts again
                "secure_delete = FAST",
                "synchronous = NORMAL",
                "cache_size = -8000",
            ):
                self._patiently(connection, f"PRAGMA {pragma}", time.monotonic() + self._wait_seconds)
        except BaseException:
            connection.close()
            raise
        self._durable = False
        return connection

    def _patiently(self, connection: sqlite3.Connection, statement: str, deadline: float) -> None:
        """Execute *statement*; while somebody else holds SQLite's own locks, again, until *deadline*."""
        while True:
            try:
                connection.execute(statement).fetchall()
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL_SECONDS)

    @contextmanager
    def _os_errors(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except FileNotFoundError as error:
            raise StoreMissing(f"there is no store at {self.path} any more") from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StoreReadOnly(f"the store {self.path} cannot be opened for writing: {reason}") from error

    def _file_identity(self) -> tuple[int, int]:
        status = os.stat(self.path)
        return status.st_dev, status.st_ino

    # --- reading -----------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection with a snapshot that no writer can change. Any thread, many at once."""
        with translated(self.path):
            connection = self._borrow()
            try:
                self._patiently(connection, "BEGIN", time.monotonic() + self._wait_seconds)
                # The snapshot is taken by the first read; take it now and not at some later one.
                self._patiently(connection, "SELECT 1 FROM state", time.monotonic() + self._wait_seconds)
                yield connection
            finally:
                self._give_back(connection)

    @contextmanager
    def inspecting(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection without a snapshot and without any lock: the schema may not be ours yet."""
        with translated(self.path):
            connection = self._borrow()
            try:
                yield connection
            finally:
                self._give_back(connection)

    def _borrow(self) -> sqlite3.Connection:
        with self._pool:
            if self.closed:
                raise StoreClosed("this store was closed")
            if self._readers:
                return self._readers.pop()
        return self.connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        """Keep the connection for the next reader, unless its snapshot cannot be ended or there are enough."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            _log.warning("A read view could not be ended; its connection is closed instead.", exc_info=True)
            connection.close()
            return
        with self._pool:
            if not self.closed and len(self._readers) < _IDLE_READERS_MAX:
                self._readers.append(connection)
                return
        connection.close()

    # --- writing -----------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, name: str, *, durable: bool) -> Iterator[sqlite3.Connection]:
        """Lend the writing connection inside a transaction: committed at the end, undone by any exception."""
        with translated(self.path), self._locked(name) as waited:
            connection = self._ready_writer()
            if durable != self._durable:
                connection.execute("PRAGMA synchronous = FULL" if durable else "PRAGMA synchronous = NORMAL")
                self._durable = durable
            self._patiently(connection, "BEGIN IMMEDIATE", time.monotonic() + self._wait_seconds)
            began = time.monotonic()
            before = connection.total_changes
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._undo(connection)
                raise
            if connection.total_changes != before:
                self.commits += 1
                self.tell()
            self._fold_log(connection)
            took = time.monotonic() - began
            if took > SLOW_SECONDS:
                _log.warning("The write transaction %r took %.1f s, after %.1f s of waiting.", name, took, waited)

    @contextmanager
    def _locked(self, name: str) -> Iterator[float]:
        """Hold the lock of this object, then the lock among processes; yield how long that took, in seconds."""
        if self._lock is None:
            raise StoreReadOnly("this store was opened for reading only")
        if self._writing_thread == threading.get_ident():
            raise StoreError(f"the write transaction {name!r} was begun inside another one of the same thread")
        began = time.monotonic()
        if not self._writing.acquire(timeout=self._wait_seconds):
            raise StoreBusy("another thread is writing to this store for too long; try again")
        try:
            self._writing_thread = threading.get_ident()
            if self.closed:
                raise StoreClosed("this store was closed")
            with self._os_errors():
                while not self._lock.try_acquire():
                    if time.monotonic() - began >= self._wait_seconds:
                        raise StoreBusy("another program is writing to this store for too long; try again")
                    time.sleep(_POLL_SECONDS)
            try:
                yield time.monotonic() - began
            finally:
                self._lock.release()
        finally:
            self._writing_thread = None
            self._writing.release()

    def _ready_writer(self) -> sqlite3.Connection:
        with self._os_errors():
            if self._file_identity() != self._identity:
                raise StoreMissing(f"the file {self.path} was replaced while it was open; open it again")
        if self._writer is None:
            self._writer = self._connect_writer()
        return self._writer

    def _undo(self, connection: sqlite3.Connection) -> None:
        """Roll back; where even that fails, drop the connection, which does the same."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            _log.warning("A transaction could not be rolled back; its connection is closed instead.", exc_info=True)
            self._writer = None
            connection.close()

    def _fold_log(self, connection: sqlite3.Connection) -> None:
        """Bring the write-ahead log into the file when it is long. A failure costs nothing but a longer log."""
        log = Path(f"{self.path}-wal")
        try:
            if os.stat(log).st_size < WAL_OCTETS or (size := log_octets(log)) < WAL_OCTETS:
                return
        except OSError:
            return  # no log, nothing to fold
        try:
            if size < WAL_OCTETS_MAX:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            else:
                connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        except sqlite3.Error as error:
            _log.warning("The write-ahead log could not be folded into the store yet (%s).", type(error).__name__)

    @contextmanager
    def maintaining(self, name: str) -> Iterator[sqlite3.Connection]:
        """Lend the writing connection under the locks, but outside of a transaction: for migrations and pragmas."""
        with translated(self.path), self._locked(name):
            yield self._ready_writer()

    # --- waiting and closing -----------------------------------------------------------------------------------

    def tell(self) -> None:
        """Wake whoever waits for a commit of this object."""
        with self.committed:
            self.committed.notify_all()

    def wait_until(self, condition: Callable[[sqlite3.Connection], bool], timeout_seconds: float) -> bool:
        """Wait until *condition* holds, looking again whenever any process has committed; False when time is up."""
        deadline = time.monotonic() + timeout_seconds
        pause = 0.02
        version = None
        with self.inspecting() as connection:
            while True:
                (now,) = connection.execute("PRAGMA data_version").fetchone()
                if now != version:
                    version, pause = now, 0.02
                    if condition(connection):
                        return True
                left = deadline - time.monotonic()
                if left <= 0 or self.closed:
                    return False
                with self.committed:
                    self.committed.wait(min(pause, left))
                pause = min(pause * 1.5, 0.25)

    def close(self) -> None:
        """Fold the log into the file and close; views that are still open end on their own. Never raises."""
        with self._pool:
            if self.closed:
                return
        try:
            if self._lock is not None and self._writer is not None:
                with translated(self.path), self._locked("close"):
                    self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except StoreError as error:
            _log.info("The write-ahead log stays beside the store until it is opened again: %s.", error)
        with self._pool:
            self.closed = True
            readers, self._readers = self._readers, []
        self.tell()
        with self._writing:
            for connection in (*readers, *([self._writer] if self._writer is not None else [])):
                connection.close()
            self._writer = None
            if self._lock is not None:
                self._lock.close()
