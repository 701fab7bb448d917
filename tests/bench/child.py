"""Synchronizations in a process of their own: what a host that embeds us would do, and what they cost.

Room: tests/bench. `python -m tests.bench.child serve STORE HOST PORT USER PASSWORD` opens the store, then takes one
question (JSON) a line and synchronizes for each: a first one is a fresh process's, later ones a running program's.
`... idle STORE` only imports everything a run imports and opens a store, for the memory to subtract. Memory is the
kernel's high-water mark of this process (VmHWM); a parent's size leaks into ru_maxrss, but not into that.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .offline import change_offline
from .profiling import Profile

if TYPE_CHECKING:
    from provider import MailStoreProvider, SyncHandle
    from store import MailStore

__all__ = ["ChildReport", "Question", "main"]

STATUS = Path("/proc/self/status")
WAL_EVERY_SECONDS = 0.02
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One synchronization. *folders*: only these. *newest*: say when so many of INBOX are visible, then cancel.

    *offline*: what is changed in the store before, and *count*: how much of it (see ``offline``).
    """

    folders: tuple[str, ...] = ()
    newest: int = 0
    profile: bool = False
    offline: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildReport:
    """Seconds from the call of SynchronizeInBackground to done (with *newest*: to that page); CPU seconds of the call.

    *memory_octets_peak* is the process's own so far, *wal_octets_peak* the size of the store's -wal file while it ran.
    """

    seconds: float
    cpu_seconds: float
    memory_octets_peak: int
    wal_octets_peak: int
    commits: int
    messages: int
    bodies: int
    status: str
    newest_uid: int = 0
    """With *newest*: the first of that page."""
    changed: dict[str, int] = field(default_factory=dict)
    uploaded: int = 0
    """Messages changed, moved, added or removed on the server."""
    profile: list[list[object]] = field(default_factory=list)


def main(arguments: list[str]) -> None:
    """Do what *arguments* say; print each `ChildReport` as a line of JSON."""
    mode, path, *rest = arguments
    if mode == "idle":
        _say(asdict(_idle(Path(path))))
    else:
        _serve(Path(path), *rest)


def _serve(path: Path, host: str, port: str, user: str, password: str) -> None:
    from provider import Account, MailStoreProvider, Password, Security
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
        for line in sys.stdin:
            asked = json.loads(line)
            question = Question(**{**asked, "folders": tuple(asked["folders"])})
            _say(asdict(_answer(provider, store, question)))


def _answer(provider: MailStoreProvider, store: MailStore, question: Question) -> ChildReport:
    from provider import SyncFlags, SyncRequest

    flags = SyncFlags.ALL_DIRECTIONS | (SyncFlags.SYNC_THESE_FOLDERS if question.folders else SyncFlags(0))
    request = SyncRequest(flags=flags, folders=question.folders, callback=_Listener())
    if question.offline:
        change_offline(store, question.offline, question.count)
    commits, cpu = store.commits, _cpu_seconds()
    profile = Profile() if question.profile else None
    with _wal_watched(store.path) as wal, profile or nullcontext():
        started, newest_uid = time.perf_counter(), 0
        handle = provider.SynchronizeInBackground(request)
        if question.newest:
            moment, newest_uid = _until_readable(store, handle, question.newest)
            seconds = moment - started
            _say({"readable": seconds})
            handle.cancel()
        result = handle.wait()
        if not question.newest:
            seconds = time.perf_counter() - started
    with store.read() as view:
        counts = [folder.counts for folder in view.folders()]
    return ChildReport(
        seconds=seconds,
        cpu_seconds=_cpu_seconds() - cpu,
        memory_octets_peak=_peak_octets(),
        wal_octets_peak=wal(),
        commits=store.commits - commits,
        messages=sum(one.messages for one in counts),
        bodies=sum(one.bodies for one in counts),
        status=result.status.value,
        newest_uid=newest_uid,
        changed=asdict(result.downloaded),
        uploaded=result.uploaded.new + result.uploaded.modified + result.uploaded.read + result.uploaded.deleted,
        profile=[list(row) for row in profile.rows()] if profile is not None else [],
    )


def _until_readable(store: MailStore, handle: SyncHandle, newest: int) -> tuple[float, int]:
    """Return the moment at which a page of so many messages of INBOX is visible, and the first of its UIDs."""
    from store import AccountId, FolderPath

    until, seen, inbox = time.monotonic() + PATIENCE_SECONDS, 0, FolderPath(("INBOX",))
    while time.monotonic() < until:
        store.wait_for_change(seen, 0.25)
        with store.read() as view:
            seen = view.cursor_seq()
            folder = view.find_folder(AccountId("bench"), inbox) if view.accounts() else None
            if folder is not None and folder.counts.messages >= newest:
                page = view.messages(folder.id, limit=newest).messages
                return time.perf_counter(), page[0].uid
        if handle.done_event.is_set():
            break
    raise RuntimeError("the newest page of INBOX did not come")


def _idle(path: Path) -> ChildReport:
    """Import what a run imports, and open a store, without any work."""
    import provider.run
    import provider.sources.imap.source  # noqa: F401
    from provider import MailStoreProvider
    from store import Encoder, open_store

    with open_store(path) as store, MailStoreProvider(store, []):
        Encoder()
        return ChildReport(
            seconds=0.0,
            cpu_seconds=_cpu_seconds(),
            memory_octets_peak=_peak_octets(),
            wal_octets_peak=0,
            commits=store.commits,
            messages=0,
            bodies=0,
            status="idle",
        )


class _Listener:
    """A callback as a program with a window has one: it takes what comes and is quick."""

    def progress(self, progress: object) -> None:
        return None

    def error(self, error: object) -> None:
        print(error, file=sys.stderr)

    def done(self, result: object) -> None:
        return None


@contextmanager
def _wal_watched(store: Path) -> Iterator[Callable[[], int]]:
    """Look at the size of the -wal file all the time; the value tells the largest that was seen."""
    wal, ended, peak = store.with_name(store.name + "-wal"), threading.Event(), 0

    def look() -> None:
        nonlocal peak
        while not ended.wait(WAL_EVERY_SECONDS):
            try:
                peak = max(peak, wal.stat().st_size)
            except FileNotFoundError:
                continue  # not written to yet

    thread = threading.Thread(target=look, name="bench-wal", daemon=True)
    thread.start()
    try:
        yield lambda: peak
    finally:
        ended.set()
        thread.join()


def _say(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak_octets() -> int:
    """Return the high-water mark of this process; outside Linux what getrusage says (octets on macOS)."""
    if not STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(sys.argv[1:])
