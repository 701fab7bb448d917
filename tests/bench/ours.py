"""maildock on a mailbox, in a process of its own.

Room: tests/bench. The store is new for a first run and kept for a second one; the process's whole wall time stands
beside the time from the call to done.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .child import ChildReport, Question
from .mailserver import Address

__all__ = ["Maildock", "OurRun", "idle_octets", "maildock", "running"]

EVERYTHING = Question()
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class OurRun:
    """One process: its own report, and its wall time from start to exit."""

    child: ChildReport
    process_seconds: float


class Maildock:
    """A running process with an open store."""

    def __init__(self, process: subprocess.Popen[str], error_text: Callable[[], str]) -> None:
        self._process, self._error_text = process, error_text

    def synchronize(
        self,
        question: Question = EVERYTHING,
        *,
        readable: Callable[[], None] | None = None,
    ) -> ChildReport:
        """Synchronize once. *readable* is called at the moment at which the newest page is.

        Raises RuntimeError when it does not end complete (with *newest*: cancelled).
        """
        self.ask(question)
        return self.answer(canceled=bool(question.newest), readable=readable)

    def ask(self, question: Question) -> None:
        """Start one synchronization and do not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(question)) + "\n")
        self._process.stdin.flush()

    def answer(self, *, canceled: bool = False, readable: Callable[[], None] | None = None) -> ChildReport:
        """Wait for the end of what was asked for. Raises as ``synchronize``."""
        said = self._line()
        if "readable" in said:
            if readable is not None:
                readable()
            said = self._line()
        report = ChildReport(**said)  # type: ignore[arg-type]
        if report.status != ("canceled" if canceled else "complete"):
            raise RuntimeError(f"maildock ended {report.status}:\n{self._error_text()}")
        return report

    def _line(self) -> dict[str, object]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a measured process failed:\n{self._error_text()}")
        said: dict[str, object] = json.loads(line)
        return said


@contextmanager
def running(address: Address, store: Path) -> Iterator[Maildock]:
    """Start a process with *store* open; it ends, and has closed the store, with the context."""
    arguments = ["serve", str(store), address.host, str(address.port), address.user, address.password]
    with _started(*arguments) as child:
        yield child


def maildock(address: Address, store: Path, *, messages: int, question: Question = EVERYTHING) -> OurRun:
    """Synchronize into *store*. Raises RuntimeError when not all *messages* are whole there afterwards."""
    started = time.perf_counter()
    with running(address, store) as child:
        report = child.synchronize(question)
    seconds = time.perf_counter() - started
    if report.bodies != messages:
        raise RuntimeError(f"maildock has {report.bodies} messages of {messages}")
    return OurRun(child=report, process_seconds=seconds)


def idle_octets(directory: Path) -> int:
    """Return the peak memory of a process that only loads the libraries and opens a store."""
    with tempfile.TemporaryDirectory(dir=directory) as place, _started("idle", str(Path(place) / "idle.db")) as child:
        return ChildReport(**child._line()).memory_octets_peak  # type: ignore[arg-type]


@contextmanager
def _started(*arguments: str) -> Iterator[Maildock]:
    with tempfile.TemporaryFile("w+") as errors:

        def error_text() -> str:
            errors.seek(0)
            return errors.read()[-2000:]

        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.child", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield Maildock(process, error_text)
            assert process.stdin is not None
            process.stdin.close()
            if process.wait(60):
                raise RuntimeError(f"a measured process failed:\n{error_text()}")
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
