"""Where the time of a run goes: which thread was where, looked at every few milliseconds from within.

Room: tests/bench. A thread in the measured process notes the innermost place of ours in each ``maildock-...`` thread.
A thread that waits for the interpreter lock is counted where it stands, so shares are of wall time, not of work; the
processor time of each thread, which the kernel keeps, stands beside them.
"""

from __future__ import annotations

import linecache
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

__all__ = ["PARTS", "Place", "Profile", "ProfileRow", "as_shares", "part_of", "role_of"]

EVERY_SECONDS = 0.005
TASKS = Path("/proc/self/task")

PARTS = ("waiting", "wire", "parse", "encode", "SQLite", "engine", "events", "other")
_ROOMS = (
    ("/store/encode.py", "encode"),
    ("/store/mime/", "encode"),
    ("/store/", "SQLite"),
    ("/provider/sources/imap/channel.py", "wire"),
    ("/provider/sources/imap/dial.py", "wire"),
    ("/provider/sources/", "parse"),
    ("/provider/engine/", "engine"),
    ("/provider/run.py", "engine"),
    ("/provider/", "events"),
)
_WAITS = re.compile(r"\.(?:get|wait|wait_for|acquire|join|select|poll|recv)\(|wait_ready\(")
_THREAD = re.compile(r"maildock-([a-z]+)")


@dataclass(frozen=True, slots=True)
class Place:
    """One frame: file, function, the text of the line that runs."""

    file: str
    function: str
    line: str


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """Looks at threads of one *role* that were in one *part*; *cpu_seconds* is the role's, the same in all its rows."""

    role: str
    part: str
    looks: int
    cpu_seconds: float


def role_of(thread: str) -> str | None:
    """Return the role in a thread's name; None: not a thread of ours.

    >>> role_of("maildock-encoder-1-12"), role_of("MainThread")
    ('encoder', None)
    """
    match = _THREAD.match(thread)
    return match[1] if match else None


def part_of(places: Sequence[Place]) -> str:
    """Say what a thread does whose frames are *places*, innermost first."""
    if places and _WAITS.search(places[0].line) and "recv_into" not in places[0].line:
        return "waiting"
    for place in places:
        for room, part in _ROOMS:
            if room in place.file:
                return part
    return "other"


def as_shares(rows: Iterable[ProfileRow]) -> str:
    """Return a table in Markdown: a role a line, shares of its looks, its processor time."""
    looks: dict[str, Counter[str]] = {}
    cpu: dict[str, float] = {}
    for row in rows:
        looks.setdefault(row.role, Counter())[row.part] += row.looks
        cpu[row.role] = row.cpu_seconds
    shown = [part for part in PARTS if any(counter[part] for counter in looks.values())]
    lines = [f"| threads | {' | '.join(shown)} | processor |", "|---" * (len(shown) + 2) + "|"]
    for role, counter in sorted(looks.items()):
        total = counter.total()
        shares = (f"{counter[part] / total:.0%}" for part in shown)
        lines.append(f"| {role} | {' | '.join(shares)} | {cpu[role]:.2f} s |")
    working = sum((Counter({p: n for p, n in c.items() if p != "waiting"}) for c in looks.values()), Counter())
    if total := working.total():
        shares = (f"{working[part] / total:.0%}" if part != "waiting" else "—" for part in shown)
        lines.append(f"| all, without waiting | {' | '.join(shares)} | {sum(cpu.values()):.2f} s |")
    return "\n".join(lines) + "\n"


class Profile:
    """Looks at all threads while its context lasts."""

    def __init__(self) -> None:
        self._looks: Counter[tuple[str, str]] = Counter()
        self._cpu: dict[tuple[str, int], float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bench-profile", daemon=True)

    def __enter__(self) -> Profile:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def rows(self) -> list[tuple[str, str, int, float]]:
        """Return the fields of a `ProfileRow` for each role and part."""
        cpu: Counter[str] = Counter()
        for (role, _), seconds in self._cpu.items():
            cpu[role] += seconds  # type: ignore[assignment]
        return [(role, part, looks, cpu[role]) for (role, part), looks in sorted(self._looks.items())]

    def _run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            frames = sys._current_frames()
            for thread in threading.enumerate():
                role = role_of(thread.name)
                frame = frames.get(thread.ident or 0)
                if role is None or frame is None:
                    continue
                self._looks[role, part_of(_places(frame))] += 1
                if thread.native_id is not None:
                    self._cpu[role, thread.native_id] = _cpu_seconds(thread.native_id)


def _places(frame: FrameType | None) -> list[Place]:
    found: list[Place] = []
    while frame is not None:
        code = frame.f_code
        # Only the innermost line is looked at for a wait.
        line = "" if found else linecache.getline(code.co_filename, frame.f_lineno)
        found.append(Place(code.co_filename, code.co_name, line))
        frame = frame.f_back
    return found


def _cpu_seconds(task: int) -> float:
    """Return the processor time of one thread so far; 0 where the kernel does not tell (outside Linux)."""
    try:
        return int((TASKS / str(task) / "schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0
