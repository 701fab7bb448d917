"""A vault in a file of our own, for machines without a keyring, and only for those who ask for it.

The secrets are not encrypted: whoever can read the owner's files can read them (docs/security.md). The file is 0600
and is refused when others could read it, or when it is not ours. It is written aside, synced and renamed, and the
directory is synced: a reader, a crash and a power cut find the old file or the new one.
"""

import json
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from ..errors import VaultUnusable
from .locks import Locks, make_private

__all__ = ["FileVault"]

VERSION = 1
OCTETS_MAX = 4_000_000
Secrets = dict[str, dict[str, str]]


class FileVault:
    """The vault in the file *path*; its locks lie in ``<path>.locks``. Nothing is made before the first ``put``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._locks = Locks(path.with_name(f"{path.name}.locks"))

    def __repr__(self) -> str:
        return f"FileVault({os.fspath(self.path)!r})"

    def get(self, account: str, name: str) -> str | None:
        """Return a secret, None when there is none."""
        return self._read().get(account, {}).get(name)

    def put(self, account: str, name: str, secret: str) -> None:
        """Keep a secret in the place of an older one. It is on the disk when this returns."""
        self._change(lambda secrets: secrets.setdefault(account, {}).update({name: secret}))

    def delete(self, account: str, name: str) -> None:
        """Forget a secret; nothing happens when there is none."""
        if self.get(account, name) is not None:
            self._change(lambda secrets: secrets.get(account, {}).pop(name, None))

    def alone(self, account: str) -> AbstractContextManager[object]:
        """While inside, nobody else is for that account, in any thread or process."""
        return self._locks.alone(f"account {account}")

    def _change(self, change: Callable[[Secrets], object]) -> None:
        with self._locks.alone("file"):
            secrets = self._read()
            change(secrets)
            try:
                self._write({account: kept for account, kept in secrets.items() if kept})
            except OSError as error:
                raise VaultUnusable(f"The vault {self.path} cannot be written: {error.strerror}.") from None

    def _read(self) -> Secrets:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            with open(os.open(self.path, flags), "rb") as file:
                self._check(os.fstat(file.fileno()))
                told = json.loads(file.read(OCTETS_MAX))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise VaultUnusable(f"The vault {self.path} cannot be read: {error.strerror}.") from None
        except ValueError:  # its text quotes the file
            told = None
        secrets = told.get("secrets") if isinstance(told, dict) and told.get("version") == VERSION else None
        if not isinstance(secrets, dict) or not all(isinstance(kept, dict) for kept in secrets.values()):
            raise VaultUnusable(f"The vault {self.path} is damaged, or of a newer version; it is left as it is.")
        return secrets

    def _check(self, state: os.stat_result) -> None:
        if not stat.S_ISREG(state.st_mode):
            raise VaultUnusable(f"The vault {self.path} is no file.")
        if os.name != "posix":
            return
        if state.st_uid != os.geteuid():
            raise VaultUnusable(f"The vault {self.path} belongs to somebody else.")
        if stat.S_IMODE(state.st_mode) & 0o077:
            raise VaultUnusable(
                f"The vault {self.path} could be read by others: change the passwords in it, and chmod 600 it."
            )

    def _write(self, secrets: Secrets) -> None:
        """Put the file in place whole or not at all; only under its lock."""
        make_private(self.path.parent)
        aside = self.path.with_name(f"{self.path.name}.new")
        aside.unlink(missing_ok=True)  # of one who died while writing
        try:
            with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(json.dumps({"version": VERSION, "secrets": secrets}, indent=1).encode("ascii"))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.path)
        finally:
            aside.unlink(missing_ok=True)
        if os.name == "posix":  # elsewhere a directory cannot be opened, and renames are durable by themselves
            directory = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
