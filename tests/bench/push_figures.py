"""New mail by itself: from its delivery until it is in the store, and what fifty watched accounts cost the daemon.

Room: tests/bench.
"""

from __future__ import annotations

import random

from .figures import Figure, Samples, percentile
from .household import household
from .setting import QUICK, Setting

__all__ = ["push_figures"]

ACCOUNTS, DELIVERIES, DELIVERIES_QUICK = 50, 100, 20
ARRIVE_SECONDS_MAX = 2.0
THREADS_MAX = 60


def push_figures(setting: Setting) -> list[Figure]:
    """Start a daemon with fifty accounts, deliver to one after the other by chance, and count."""
    setting.say(f"push: {ACCOUNTS} accounts, one delivery after the other")
    chance = random.Random(1)
    deliveries = DELIVERIES_QUICK if setting.scale is QUICK else DELIVERIES
    with household(ACCOUNTS, setting.new_place().parent) as house:
        house.start()
        house.wait_until_all_ran()
        arrived = [house.deliver(chance.choice(house.accounts)) for _ in range(deliveries)]
        memory = house.memory_octets()
    return [
        Figure(
            name=f"delivery until in the store, {ACCOUNTS} accounts with push",
            ours=Samples(tuple(arrived)),
            limit=ARRIVE_SECONDS_MAX,
        ),
        Figure(name="the same, p95", ours=Samples((percentile(arrived, 0.95),))),
        Figure(
            name=f"threads of the daemon at most, {ACCOUNTS} accounts with push, its start included",
            ours=Samples((float(house.threads_peak),), "threads"),
            limit=THREADS_MAX,
        ),
        Figure(name="resident memory of the same daemon", ours=Samples((float(memory),), "MB")),
    ]
