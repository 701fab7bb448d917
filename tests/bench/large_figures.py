"""A large folder beside a small one of the same mail: memory does not grow with it, and the cost follows the change.

Room: tests/bench. The first *n* messages of a corpus are the same whatever its length.
"""

from __future__ import annotations

import statistics

from .corpus import corpus
from .figures import Figure, Samples
from .line import line_to
from .line_figures import FLIGHTS_OF_CHANGES_MAX, Runs
from .mail_figures import MEMORY_OCTETS_MAX, WAL_OCTETS_MAX
from .mailserver import Mailbox, fill_inbox, mailserver
from .ours import OurRun, idle_octets, maildock, running
from .serverwork import do
from .setting import Setting

__all__ = ["large_figures"]

GROWTH_MAX = 1.1
CHANGES_RATIO_MAX = 1.5
LARGE_RUNS_MAX = 2


def large_figures(setting: Setting) -> list[Figure]:
    """Measure both folders, on a server of their own."""
    scale = setting.scale
    with mailserver() as server, setting.place() as small_store, setting.place() as large_store:
        setting.say(f"filling a folder with {scale.large:,} messages")
        small = fill_inbox(server, "small", corpus(scale.messages, attachments=False))
        large = fill_inbox(server, "large", corpus(scale.large, attachments=False))
        setting.say(f"{large.octets / 1e6:,.0f} MB loaded in {large.load_seconds:.1f} s")
        idle = idle_octets(setting.directory)
        small_runs: list[OurRun] = []
        large_runs: list[OurRun] = []
        for number in range(setting.rounds):
            setting.say(f"large folder, round {number + 1} of {setting.rounds}: first synchronization")
            small_store.unlink(missing_ok=True)
            small_runs.append(maildock(small.address, small_store, messages=small.messages))
            if number < LARGE_RUNS_MAX:
                large_store.unlink(missing_ok=True)
                large_runs.append(maildock(large.address, large_store, messages=large.messages))
        figures = _memory(setting, small, large, small_runs, large_runs, idle)
        setting.say("large folder, over the line: some changes")
        small_work, large_work = Runs(), Runs()
        with (
            line_to(small) as small_line,
            line_to(large) as large_line,
            running(small_line.address, small_store) as small_child,
            running(large_line.address, large_store) as large_child,
        ):
            sides = (
                (small, small_child, small_line, small_work),
                (large, large_child, large_line, large_work),
            )
            for _, child, line, _ in sides:
                child.synchronize()
                line.take()
            for turn in range(setting.rounds):
                for mailbox, child, line, runs in sides:
                    do(mailbox, scale.work, turn=turn, small=True)
                    report = child.synchronize()
                    runs.add(report.seconds, line.take())
                    if report.bodies != mailbox.messages + (turn + 1) * scale.work.more:
                        raise RuntimeError(f"maildock has {report.bodies} messages after turn {turn + 1}")
    name = f"{large.messages:,} messages: {scale.work}, round trip 50 ms"
    return [
        *figures,
        Figure(
            name=name,
            ours=large_work.times,
            peer=f"maildock, the same work on {small.messages:,}",
            theirs=small_work.times,
            limit=CHANGES_RATIO_MAX,
        ),
        Figure(name=f"{name}, flights", ours=large_work.flights, limit=FLIGHTS_OF_CHANGES_MAX),
    ]


def _memory(
    setting: Setting, small: Mailbox, large: Mailbox, small_runs: list[OurRun], large_runs: list[OurRun], idle: int
) -> list[Figure]:
    what = f"{large.messages:,} messages without attachments, {large.octets / 1e6:,.0f} MB: first synchronization"
    peaks = Samples(tuple(float(run.child.memory_octets_peak) for run in large_runs), "MB")
    over = Samples(tuple(peak - idle for peak in peaks.runs), "MB")
    beside = statistics.median(run.child.memory_octets_peak for run in small_runs)
    return [
        Figure(
            name=what,
            ours=Samples(tuple(run.child.seconds for run in large_runs)),
            whole=Samples(tuple(run.process_seconds for run in large_runs)),
            peer=f"maildock, {small.messages:,} of them",
            theirs=Samples(tuple(run.child.seconds for run in small_runs)),
        ),
        Figure(name=f"{what}, peak memory over an idle interpreter", ours=over, limit=MEMORY_OCTETS_MAX),
        Figure(
            name=f"{what}, peak memory",
            ours=peaks,
            peer=f"maildock, {small.messages:,} of them",
            theirs=Samples((beside,), "MB"),
            limit=setting.at_scale(GROWTH_MAX),
        ),
        Figure(
            name=f"{what}, largest write-ahead log",
            ours=Samples(tuple(float(run.child.wal_octets_peak) for run in large_runs), "MB"),
            limit=WAL_OCTETS_MAX,
        ),
    ]
