"""What every real daemon of the tests shares: a directory and ports of its own, a start that is waited for, an end.

Room: tests/servers. A subclass says what lies in the directory, which command runs, and what its port says first.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

__all__ = ["Daemon", "free_port"]

START_SECONDS_MAX = 10.0
PORTS_TRIED = 5
"""Between choosing a free port and binding it another program may take it."""


def free_port() -> int:
    """Return a loopback port that nobody had a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Daemon(ABC):
    """A daemon in the foreground. A context manager; `port` and `tls_port` are known once it has started."""

    name: ClassVar[str]
    """For people, and for the name of the directory."""
    greeting: ClassVar[bytes]
    """How whatever answers on `port` begins."""

    def __init__(self) -> None:
        self.host, self.port, self.tls_port = "127.0.0.1", 0, 0
        self._process: subprocess.Popen[bytes] | None = None
        self._root: Path | None = None

    @abstractmethod
    def _prepare(self, root: Path) -> None:
        """Put into *root* what does not depend on ports. Raises RuntimeError when the program is not installed."""

    @abstractmethod
    def _command(self, root: Path) -> list[str]:
        """Write the configuration for `port` and `tls_port` below *root*; return the command that runs it."""

    @abstractmethod
    def log(self) -> str:
        """Return what the daemon logged so far (for the text of a failed test)."""

    def start(self) -> Self:
        """Start and wait for the port; raises `RuntimeError` with the daemon's log when it does not come up."""
        # Not below pytest's own directories: those are 0700, and the daemon's users must be able to pass.
        self._root = Path(tempfile.mkdtemp(prefix=f"mdk-{self.name.lower()}-"))
        self._root.chmod(0o755)
        try:
            self._prepare(self._root)
        except BaseException:
            self.stop()
            raise
        for _ in range(PORTS_TRIED):
            self.port, self.tls_port = free_port(), free_port()
            if self._launch(self._root):
                return self
        log = self.log()
        self.stop()
        raise RuntimeError(f"{self.name} did not start:\n{log[-3000:]}")

    def _launch(self, root: Path) -> bool:
        command = self._command(root)
        with (root / "output").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        deadline = time.monotonic() + START_SECONDS_MAX
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1.0) as probe:
                if probe.recv(len(self.greeting)) == self.greeting:
                    return True
            time.sleep(0.02)
        self._end_process()
        return False

    def begin_stop(self) -> None:
        """Tell the daemon to end and do not wait: it takes a second, which several can share."""
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        self._end_process()
        if self._root is not None:
            # One of its processes may still be writing its last file while the tree goes away.
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
            self._process = None

    def _read(self, *names: str) -> str:
        """Return the files *names* below the root that are there, one after the other."""
        assert self._root is not None
        files = [self._root / name for name in names]
        return "\n".join(file.read_text(errors="replace") for file in files if file.exists())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
