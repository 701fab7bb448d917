"""Where the command keeps its things: one directory, 0700, with the store, the accounts and the log in it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from .exits import ExitCode, Trouble

__all__ = ["Home"]

# Later rooms of this directory are named already, so that it still counts as ours when they are there.
OUR_NAMES = ("mail.db", "accounts.toml", "maildock.log", "vault", "socket", "monitor")


@dataclass(frozen=True, slots=True)
class Home:
    """The directory of one user's mail."""

    path: Path

    @classmethod
    def find(cls, given: str | None) -> "Home":
        """Return the home: *given*, else MAILDOCK_HOME, else the platform's folder for a user's data."""
        chosen = given or os.environ.get("MAILDOCK_HOME")
        if chosen:
            return cls(Path(chosen).expanduser().absolute())
        from platformdirs import user_data_dir

        return cls(Path(user_data_dir("maildock", appauthor=False)))

    @property
    def store_path(self) -> Path:
        """The store's file."""
        return self.path / "mail.db"

    @property
    def accounts_path(self) -> Path:
        """The accounts' file."""
        return self.path / "accounts.toml"

    @property
    def log_path(self) -> Path:
        """The log's file; what was put aside lies beside it."""
        return self.path / "maildock.log"

    def prepare(self) -> None:
        """Make the directory, for its owner alone. Raises Trouble when that cannot be.

        A directory that is there already is closed to others only when nothing but our own files lies in it:
        ``--home .`` must not lock a whole project away.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            state = self.path.stat()
            ours = all(name.startswith(OUR_NAMES) for name in os.listdir(self.path))
            open_to_others = os.name == "posix" and stat.S_IMODE(state.st_mode) & 0o077
            if ours and open_to_others and state.st_uid == os.geteuid():
                self.path.chmod(0o700)
        except OSError as error:
            raise Trouble(
                f"The directory {self.path} cannot be used: {error.strerror}.",
                ExitCode.STORE,
                "Choose another one with --home DIR or MAILDOCK_HOME.",
            ) from error
