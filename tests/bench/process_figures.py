"""The figures that need no mail: how fast a cancel ends a run, and what it costs to start.

Room: tests/bench.
"""

from __future__ import annotations

from .cancelling import cancel_seconds
from .figures import Figure, Samples, percentile
from .setting import QUICK, Setting
from .startup import import_seconds, version_seconds

__all__ = ["cancel_figures", "start_figures"]

CANCELS_EACH, CANCELS_EACH_QUICK = 20, 5
CANCEL_SECONDS_P99, CANCEL_SECONDS_MAX = 0.250, 1.0
STARTS = 11
IMPORT_SECONDS_MAX, VERSION_SECONDS_MAX = 0.060, 0.250


def cancel_figures(setting: Setting) -> list[Figure]:
    """Cancel at random moments."""
    setting.say("cancelling at random moments")
    directory = setting.new_place().parent
    by_moment = cancel_seconds(CANCELS_EACH_QUICK if setting.scale is QUICK else CANCELS_EACH, directory)
    every = [seconds for latencies in by_moment.values() for seconds in latencies]
    figures = [
        Figure(name=f"cancel, {len(every)} random moments, {name}", ours=Samples((value,), "ms"), limit=limit)
        for name, value, limit in (
            ("p50", percentile(every, 0.5), CANCEL_SECONDS_P99),
            ("p99", percentile(every, 0.99), CANCEL_SECONDS_P99),
            ("worst", max(every), CANCEL_SECONDS_MAX),
        )
    ]
    return figures + [
        Figure(name=f"cancel during {name}", ours=Samples(tuple(latencies), "ms"))
        for name, latencies in by_moment.items()
    ]


def start_figures(setting: Setting) -> list[Figure]:
    """Start processes."""
    setting.say("starting processes")
    figures = [
        Figure(
            name=f"`import {name}` over a bare interpreter", ours=Samples(tuple(runs), "ms"), limit=IMPORT_SECONDS_MAX
        )
        for name, runs in import_seconds(STARTS).items()
    ]
    version = Samples(tuple(version_seconds(STARTS)), "ms")
    return [*figures, Figure(name="`maildock --version`, whole process", ours=version, limit=VERSION_SECONDS_MAX)]
