"""Memory does not grow with the mailbox (limit M-b; `make soak`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.memory import memory_of_first_synchronization
from tests.servers.require import require_dovecot

SMALL, LARGE = 2_000, 20_000
GROWTH_MAX = 1.20
RUNS = 5


@pytest.mark.soak
@pytest.mark.servers
@pytest.mark.timeout(600)
def test_a_first_synchronization_of_ten_times_the_mail_takes_no_more_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_dovecot()
    small = memory_of_first_synchronization(SMALL, tmp_path, runs=RUNS)
    large = memory_of_first_synchronization(LARGE, tmp_path, runs=RUNS)
    with capsys.disabled():
        print(f"\n{small}\n{large}")
    assert large.over_idle_octets <= GROWTH_MAX * small.over_idle_octets, (small, large)
