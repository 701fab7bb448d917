"""Fifty watched accounts for ten minutes: memory, threads and descriptors stay as they are (`make soak`)."""

from __future__ import annotations

import os
import random
import statistics
import time
from pathlib import Path

import pytest

from tests.bench.household import Household, household
from tests.servers.require import require_dovecot

ACCOUNTS = 50
SECONDS = float(os.environ.get("MAILDOCK_SOAK_SECONDS", "600"))
WINDOWS = 10
GROWTH_MAX = 1.10
"""Of the last window's median over that of the second: in the first one everything is met for the first time."""


def window(house: Household, chance: random.Random, seconds: float) -> tuple[float, int, int]:
    """Deliver for *seconds*; return the median memory, and how many threads and descriptors there were at most."""
    until, memory, threads, files = time.monotonic() + seconds, [], 0, 0
    while time.monotonic() < until:
        house.deliver(chance.choice(house.accounts))
        memory.append(house.memory_octets())
        threads, files = max(threads, house.threads()), max(files, house.open_files())
    return statistics.median(memory), threads, files


@pytest.mark.soak
@pytest.mark.servers
@pytest.mark.timeout(1_200)
def test_a_daemon_with_fifty_watched_accounts_does_not_grow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require_dovecot()
    chance = random.Random(1)
    with household(ACCOUNTS, tmp_path) as house:
        house.start()
        house.wait_until_all_ran()
        windows = [window(house, chance, SECONDS / WINDOWS) for _ in range(WINDOWS)]
    with capsys.disabled():
        for number, (memory, threads, files) in enumerate(windows, 1):
            print(f"\nwindow {number}: {memory / 1e6:.1f} MB, {threads} threads, {files} descriptors", end="")
        print(f"\nat most {house.threads_peak} threads")
    first, last = windows[1], windows[-1]
    assert last[0] <= GROWTH_MAX * first[0], windows
    assert house.threads_peak <= 60
    assert max(files for _, _, files in windows[1:]) <= first[2] + 10, windows
