"""One lock among processes: held around each write transaction and each checkpoint, for milliseconds.

SQLite has locks of its own; this one adds a bounded, fair enough wait and closes the race of two checkpointers in
SQLite before 3.51.3. ``flock`` and not ``fcntl`` locks: those vanish when any descriptor of the file is closed.
"""

import os
import sys
from pathlib import Path

from .errors import StoreForeign

__all__ = ["FileLock"]

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class FileLock:
    """An exclusive lock on a file beside the store, made when missing (0600). Not for two threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._opened()

    def _opened(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            return os.open(self._path, flags, 0o600)
        except OSError as error:
            if self._path.is_symlink():
                raise StoreForeign("the lock file beside this store is a symbolic link; remove it") from error
            raise

    def try_acquire(self) -> bool:
        """Take the lock if nobody holds it. Never waits."""
        try:
            _try_lock(self._descriptor)
        except (BlockingIOError, PermissionError):
            return False
        if self._is_the_file():
            return True
        # Somebody removed the lock file: what we hold excludes nobody. Take the new one, at the next try. Opened first:
        # where that fails, the number of a closed file would soon be that of another one.
        opened = self._opened()
        self.close()
        self._descriptor = opened
        return False

    def _is_the_file(self) -> bool:
        try:
            named = os.stat(self._path)
        except FileNotFoundError:
            return False
        held = os.fstat(self._descriptor)
        return (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)

    def release(self) -> None:
        """Give the lock back."""
        _unlock(self._descriptor)

    def close(self) -> None:
        """Close the file; gives the lock back too."""
        os.close(self._descriptor)
