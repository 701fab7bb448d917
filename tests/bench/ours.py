"""maildock on a mailbox, in a process of its own.

Room: tests/bench. The store is new for a first run and kept for a second one; the process's whole wall time stands
beside the time from the call to done.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ..servers.dovecot import DovecotAccount
from .child import ChildReport

__all__ = ["OurRun", "idle_octets", "maildock"]

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class OurRun:
    """One process: its own report, and its wall time from start to exit."""

    child: ChildReport
    process_seconds: float


def maildock(account: DovecotAccount, store: Path, *, messages: int) -> OurRun:
    """Synchronize *account* into *store*. Raises RuntimeError when not all *messages* are whole there afterwards."""
    arguments = [str(store), account.host, str(account.port), account.user, account.password]
    ran = _child("sync", *arguments)
    if ran.child.status != "complete" or ran.child.bodies != messages:
        raise RuntimeError(f"maildock ended {ran.child.status} with {ran.child.bodies} messages of {messages}")
    return ran


def idle_octets(directory: Path) -> int:
    """Return the peak memory of a process that only loads the libraries and opens a store."""
    return _child("idle", str(directory / "idle.db")).child.memory_octets_peak


def _child(*arguments: str) -> OurRun:
    started = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench.child", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    seconds = time.perf_counter() - started
    if ended.returncode:
        raise RuntimeError(f"a measured process failed:\n{ended.stderr[-2000:]}")
    return OurRun(child=ChildReport(**json.loads(ended.stdout)), process_seconds=seconds)
