"""What is changed here and there comes together as the tables of `fixtures/scenarios` say, on every server."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ..servers.dovecot import DovecotAccount
from .notation import Scenario, grid, scenarios
from .play import play
from .servers import DovecotFar, MemoryFar

ALL = scenarios()
IN_MEMORY = [one for one in ALL if one.only in ("", "memory")]
ON_DOVECOT = [one for one in ALL if one.only in ("", "dovecot")]


@pytest.mark.parametrize("scenario", IN_MEMORY, ids=lambda one: one.id)
def test_both_sides_end_as_the_table_says_on_a_server_in_memory(scenario: Scenario, tmp_path: Path) -> None:
    play(scenario, MemoryFar(), tmp_path / "mail.db")


@pytest.mark.servers
@pytest.mark.parametrize("scenario", ON_DOVECOT, ids=lambda one: one.id)
def test_both_sides_end_as_the_table_says_on_a_dovecot(
    scenario: Scenario, dovecot_profiles: Callable[..., DovecotAccount], tmp_path: Path
) -> None:
    far = DovecotFar(dovecot_profiles())
    try:
        play(scenario, far, tmp_path / "mail.db")
    finally:
        far.close()


def test_the_grid_is_whole_and_there_are_scenarios_enough() -> None:
    cells = grid()
    assert len({one.name for one in cells}) == 144
    assert len(ALL) >= 120 + len(cells)
