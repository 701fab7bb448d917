"""Opening a store: is it there, is it ours, may we, is its schema the newest one. The file is 0600, its directory 0700.

A file is made by us before SQLite opens it, since SQLite would take the mode that the umask leaves (reliability M20).
An existing file is never opened by anything but SQLite: closing another descriptor of it would drop SQLite's locks.
"""

import os
import sqlite3
import stat
import time
from collections.abc import Callable
from pathlib import Path

from .database import Database
from .errors import StoreError, StoreForeign, StoreMissing, StoreReadOnly
from .mailstore import MailStore
from .migrate import migrate, migrations, schema_of

__all__ = ["open_store"]

SQLITE_OLDEST = (3, 34, 0)


def open_store(
    path: str | os.PathLike[str],
    *,
    create: bool = True,
    read_only: bool = False,
    wait_seconds: float = 5.0,
    clock: Callable[[], float] = time.time,
) -> MailStore:
    """Open the store at *path*; make it, and its directory, when missing and *create*; bring its schema up to date.

    ``read_only`` writes nothing at all, and works on a read-only medium too, as long as nobody writes there.
    *wait_seconds*: how long a writer waits for another one. *clock*: seconds since 1970 UTC, for leases and ages.
    Raises StoreMissing, StoreForeign, StoreNewer (never touched), StoreReadOnly, StoreBusy, StoreDamaged.
    """
    if sqlite3.sqlite_version_info < SQLITE_OLDEST:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; 3.34 or newer is needed")
    file = Path(path).absolute()
    _prepare(file, create=create and not read_only, read_only=read_only)
    database = _open_to_read(file, wait_seconds) if read_only else _open_to_write(file, wait_seconds)
    return MailStore(database, clock)


def _prepare(file: Path, *, create: bool, read_only: bool) -> None:
    """Make sure that there is a file of ours, with a mode that keeps others out."""
    try:
        status = os.lstat(file)
    except FileNotFoundError:
        if not create:
            raise StoreMissing(f"there is no store at {file}") from None
        _create(file)
        return
    except OSError as error:
        raise StoreReadOnly(f"{file} cannot be reached: {error.strerror}") from error
    if stat.S_ISLNK(status.st_mode):
        raise StoreForeign(f"{file} is a symbolic link; name the file itself")
    if not stat.S_ISREG(status.st_mode):
        raise StoreForeign(f"{file} is not a file")
    if read_only or not hasattr(os, "geteuid"):
        return
    if status.st_uid != os.geteuid():
        raise StoreForeign(f"{file} belongs to another user")
    if stat.S_IMODE(status.st_mode) & 0o077:
        os.chmod(file, stat.S_IMODE(status.st_mode) & ~0o077)


def _create(file: Path) -> None:
    try:
        missing = [folder for folder in (file.parent, *file.parent.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600))
    except FileExistsError:
        return  # another process made it at this very moment
    except OSError as error:
        raise StoreReadOnly(f"no store can be made at {file}: {error.strerror}") from error


def _open_to_write(file: Path, wait_seconds: float) -> Database:
    database = Database(file, read_only=False, wait_seconds=wait_seconds)
    try:
        with database.inspecting() as connection:
            schema = schema_of(connection)
        if schema < max(migrations()):
            with database.maintaining("migrate") as connection:
                migrate(connection)
    except BaseException:
        database.close()
        raise
    return database


def _open_to_read(file: Path, wait_seconds: float) -> Database:
    database = Database(file, read_only=True, wait_seconds=wait_seconds)
    try:
        schema = _schema_to_read(database)
    except StoreReadOnly:
        # The log's index cannot be made on a read-only medium. Without a log nothing is missing from the file itself.
        log = Path(f"{file}-wal")
        if log.exists() and log.stat().st_size:
            raise
        database = Database(file, read_only=True, wait_seconds=wait_seconds, immutable=True)
        schema = _schema_to_read(database)
    if schema < max(migrations()):
        raise StoreReadOnly("this store has an older schema; open it once for writing, then it can be read")
    return database


def _schema_to_read(database: Database) -> int:
    with database.inspecting() as connection:
        return schema_of(connection)
