"""One at a time: a lock by name across threads and processes, for the few moments in which a secret is replaced.

A lock is a file of its own, 0600, in a directory, 0700. Names never become paths: a file is called after the hash of
the name. Each holder opens the file anew, so that threads exclude each other just as processes do.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from store.errors import StoreForeign
from store.filelock import FileLock

from ..errors import ErrorKind, Needs, VaultUnusable

__all__ = ["Locks", "make_private"]

TRY_SECONDS = 0.02


def make_private(directory: Path) -> None:
    """Make *directory*, and what is missing above it, for the owner alone. Raises OSError."""
    if not directory.is_dir():
        make_private(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


class Locks:
    """The locks of one directory, which is made when the first lock is taken."""

    def __init__(self, directory: Path, *, wait_seconds: float = 90.0) -> None:
        self.directory = directory
        self._wait_seconds = wait_seconds
        """Longer than a slow token server is waited for: its answer is what the other one has the lock for."""

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """While inside, nobody else is, in any thread or process, for *name*. Not for one who is inside already.

        Raises VaultUnusable: kind BUSY when the lock did not come free in time, kind VAULT when it cannot be made.
        """
        file = self.directory / f"{blake2b(name.encode(), digest_size=16).hexdigest()}.lock"
        try:
            make_private(self.directory)
            lock = FileLock(file)
        except (OSError, StoreForeign) as error:
            told = error.strerror if isinstance(error, OSError) else "it is a symbolic link"
            raise VaultUnusable(f"The lock file {file} cannot be used: {told}.") from None
        try:
            self._take(lock)
            yield
        finally:
            lock.close()  # gives it back, too

    def _take(self, lock: FileLock) -> None:
        until = time.monotonic() + self._wait_seconds
        while not lock.try_acquire():
            if time.monotonic() >= until:
                raise VaultUnusable(
                    f"Another process has held a lock in {self.directory} for {self._wait_seconds:g} seconds.",
                    kind=ErrorKind.BUSY,
                    needs=Needs.RETRY,
                )
            time.sleep(TRY_SECONDS)

    def __repr__(self) -> str:
        return f"Locks({os.fspath(self.directory)!r})"
