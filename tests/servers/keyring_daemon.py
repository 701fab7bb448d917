"""A real GNOME Keyring on a bus of its own: private home, private runtime directory, unlocked, gone with the context.

Room: tests/servers. The bus ends with the process that `dbus-run-session` runs, and the daemon with the bus.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

__all__ = ["PROGRAMS", "KeyringDaemon"]

PROGRAMS = ("dbus-run-session", "gnome-keyring-daemon")
START_SECONDS_MAX = 20.0
_SCRIPT = """
printf 'password of the test keyring' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
echo "$DBUS_SESSION_BUS_ADDRESS"
cat >/dev/null
"""


class KeyringDaemon:
    """A context manager; `environment` is what a process needs to reach the keyring."""

    def __init__(self) -> None:
        self._root = Path()
        self.environment: dict[str, str] = {}

    def __enter__(self) -> KeyringDaemon:
        self._root = Path(tempfile.mkdtemp(prefix="mdk-keyring-"))
        (self._root / "run").mkdir(mode=0o700)
        own = {"HOME": str(self._root), "XDG_RUNTIME_DIR": str(self._root / "run"), "PATH": "/usr/bin:/bin"}
        self._process = subprocess.Popen(
            ["dbus-run-session", "--", "sh", "-c", _SCRIPT],
            env=own | {"XDG_DATA_HOME": str(self._root / "data")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        if not address:
            self.__exit__(None, None, None)
            raise RuntimeError("the private bus of the keyring did not start")
        self.environment = {"DBUS_SESSION_BUS_ADDRESS": address}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=START_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        shutil.rmtree(self._root, ignore_errors=True)
