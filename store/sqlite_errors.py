"""The one place where ``sqlite3``'s exceptions become ``StoreError``: no caller of the store ever sees one."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import (
    StoreBusy,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFailed,
    StoreForeign,
    StoreFull,
    StoreMissing,
    StoreReadOnly,
)

__all__ = ["is_busy", "translated"]

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_CLASSES: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreBusy, "somebody else is writing to this store; try again"),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "somebody else is writing to this store; try again"),
    sqlite3.SQLITE_FULL: (StoreFull, "the disk is full; make room, then go on: nothing was lost"),
    sqlite3.SQLITE_READONLY: (StoreReadOnly, "this store cannot be written: its file or directory is read-only"),
    sqlite3.SQLITE_PERM: (StoreReadOnly, "this store cannot be written: its file or directory is read-only"),
    sqlite3.SQLITE_CORRUPT: (
        StoreDamaged,
        "the file of this store is damaged; run a check, then restore or rebuild it",
    ),
    sqlite3.SQLITE_NOTADB: (StoreForeign, "this file is not a mail store"),
}


def _code(error: sqlite3.Error) -> int | None:
    """Return SQLite's primary result code; None: the error came from Python's side of the driver."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether waiting may help."""
    return _code(error) in _BUSY


def _as_store_error(error: sqlite3.Error, path: Path) -> StoreError:
    code = _code(error)
    if code == sqlite3.SQLITE_CANTOPEN:
        if not path.exists():
            return StoreMissing(f"there is no store at {path}")
        return StoreReadOnly(f"the store {path} cannot be opened: look at the permissions of it and its directory")
    if code in _CLASSES:
        kind, text = _CLASSES[code]
        return kind(text)
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return StoreClosed("this store was closed")
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return StoreFailed(f"the store could not do this ({name}); nothing of it was written")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Let no exception of ``sqlite3`` out: raise the ``StoreError`` that says what it means for the store at *path*."""
    try:
        yield
    except sqlite3.Error as error:
        raise _as_store_error(error, path) from error
