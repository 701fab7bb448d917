"""One synchronization in a process of its own: what a host that embeds us would do, and what it cost.

Room: tests/bench. `python -m tests.bench.child sync STORE HOST PORT USER PASSWORD` synchronizes and prints one JSON
object; `... idle STORE` only imports everything a run imports and opens a store, for the memory to subtract. Memory is
the kernel's high-water mark of this process (VmHWM); a parent's size leaks into ru_maxrss, but not into that.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["ChildReport", "main"]

STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildReport:
    """Seconds from the call of SynchronizeInBackground to done; CPU seconds and peak memory of the process."""

    seconds: float
    cpu_seconds: float
    memory_octets_peak: int
    commits: int
    bodies: int
    status: str


def main(arguments: list[str]) -> None:
    """Do what *arguments* say and print a `ChildReport` as JSON."""
    mode, path, *rest = arguments
    report = _idle(Path(path)) if mode == "idle" else _sync(Path(path), *rest)
    print(json.dumps(asdict(report)))


def _sync(path: Path, host: str, port: str, user: str, password: str) -> ChildReport:
    from provider import Account, MailStoreProvider, Password, Security, SyncRequest
    from store import AccountId, open_store

    account = Account(
        id=AccountId("bench"),
        host=host,
        port=int(port),
        security=Security.NONE,
        user=user,
        credentials=Password(password),
    )
    with open_store(path) as store, MailStoreProvider(store, [account]) as provider:
        started = time.perf_counter()
        result = provider.SynchronizeInBackground(SyncRequest(callback=_Listener())).wait()
        seconds = time.perf_counter() - started
        with store.read() as view:
            bodies = sum(folder.counts.bodies for folder in view.folders())
        return _report(seconds, commits=store.commits, bodies=bodies, status=result.status.value)


def _idle(path: Path) -> ChildReport:
    """Import what a run imports, and open a store, without any work."""
    import provider.run
    import provider.sources.imap.source  # noqa: F401
    from provider import MailStoreProvider
    from store import Encoder, open_store

    with open_store(path) as store, MailStoreProvider(store, []):
        Encoder()
        return _report(0.0, commits=store.commits, bodies=0, status="idle")


class _Listener:
    """A callback as a program with a window has one: it takes what comes and is quick."""

    def progress(self, progress: object) -> None:
        return None

    def error(self, error: object) -> None:
        print(error, file=sys.stderr)

    def done(self, result: object) -> None:
        return None


def _report(seconds: float, *, commits: int, bodies: int, status: str) -> ChildReport:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return ChildReport(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        memory_octets_peak=_peak_octets(usage.ru_maxrss),
        commits=commits,
        bodies=bodies,
        status=status,
    )


def _peak_octets(maxrss: int) -> int:
    """Return the high-water mark of this process; outside Linux what getrusage says (octets on macOS)."""
    if not STATUS.exists():
        return maxrss
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(sys.argv[1:])
