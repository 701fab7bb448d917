"""Processes that stop where a test wants them to: one server that has imported everything forks a child for each job.

Room: tests/crash. A fork costs 10 ms where a new interpreter costs a second. The server never opens a store and has one
thread; a child opens the store, synchronizes, and either ends or is stopped by ``stopping``. Jobs and reports are lines
of JSON.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["STOPPED", "Ended", "ForkServer", "serve"]

ROOT = Path(__file__).parent.parent.parent
STOPPED = 77
"""Exit code of a child that came to the place where it was to stop."""
FAILED = 70


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended. *code*: its exit code, or minus the signal. *report*: what it said before, {} if nothing."""

    code: int
    report: dict[str, Any]


class ForkServer:
    """The test's end of the server, which is *module*. A context manager; one thread at a time."""

    def __init__(self, module: str = "tests.crash.child") -> None:
        self._module = module

    def __enter__(self) -> "ForkServer":
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=10)

    def start(self, job: Mapping[str, object]) -> int:
        """Begin a job in a child of its own; return its process id."""
        return int(self._ask({"start": dict(job)})["pid"])

    def wait(self, pid: int) -> Ended:
        """Wait for the end of a child; it is no zombie afterwards."""
        told = self._ask({"wait": pid})
        return Ended(told["code"], told["report"])

    def run(self, job: Mapping[str, object]) -> Ended:
        """Do a job to its end."""
        return self.wait(self.start(job))

    def kill(self, pid: int) -> Ended:
        """End a child as ``kill -9`` does."""
        os.kill(pid, signal.SIGKILL)
        return self.wait(pid)

    def _ask(self, question: dict[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the fork server is gone"
        told: dict[str, Any] = json.loads(answer)
        return told


def serve(work: Callable[[dict[str, Any]], dict[str, object]]) -> None:
    """Be the server: fork for each job, in which *work* is done and what it returns is reported."""
    reports: dict[int, int] = {}
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if "start" in asked:
            pid, reports_of_child = _fork(work, asked["start"])
            reports[pid] = reports_of_child
            answer: dict[str, object] = {"pid": pid}
        else:
            answer = _end_of(asked["wait"], reports.pop(asked["wait"]))
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def _fork(work: Callable[[dict[str, Any]], dict[str, object]], job: dict[str, Any]) -> tuple[int, int]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = FAILED
    try:
        os.close(reading)
        os.write(writing, json.dumps(work(job)).encode())
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # no cleanup of the server's, whose memory this is


def _end_of(pid: int, reading: int) -> dict[str, object]:
    with open(reading, "rb") as pipe:
        report = pipe.read()
    _, status = os.waitpid(pid, 0)
    return {"code": os.waitstatus_to_exitcode(status), "report": json.loads(report) if report else {}}
