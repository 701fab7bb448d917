"""What is changed here and there comes together as the tables of `fixtures/scenarios` say, on every server."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ..servers.dovecot import DovecotAccount, Profile
from .notation import Scenario, grid, scenarios
from .play import play
from .servers import DovecotFar, MemoryFar

ALL = scenarios()


def played_on(server: str) -> list[object]:
    """Return the scenarios that are played on *server*, as parameters; what is known not to hold has to fail."""
    return [
        pytest.param(one, id=one.id, marks=[pytest.mark.xfail(reason=one.broken, strict=True)] if one.broken else [])
        for one in ALL
        if one.only in ("", server)
    ]


@pytest.mark.parametrize("scenario", played_on("memory"))
def test_both_sides_end_as_the_table_says_on_a_server_in_memory(scenario: Scenario, tmp_path: Path) -> None:
    play(scenario, MemoryFar(), tmp_path / "mail.db")


@pytest.mark.servers
@pytest.mark.parametrize("scenario", played_on("dovecot"))
def test_both_sides_end_as_the_table_says_on_a_dovecot(
    scenario: Scenario, dovecot_profiles: Callable[..., DovecotAccount], tmp_path: Path
) -> None:
    far = DovecotFar(dovecot_profiles())
    try:
        play(scenario, far, tmp_path / "mail.db")
    finally:
        far.close()


ABLE = (Profile.NO_CONDSTORE, Profile.NO_MOVE, Profile.NO_UIDPLUS, Profile.BARE)
ON_LESS = (
    "append: a draft replaced",
    "append: twenty, of which five are removed and five moved before they are sent",
    "append: twice the same without a Message-ID",
    "chains: copied, and the origin moved",
    "chains: mail that others marked as deleted stays when its neighbour is removed",
    "chains: two of the same, both moved",
    "grid: flag-move-a x answer",
    "grid: move-a x remove",
    "grid: remove x keyword",
)


@pytest.mark.servers
@pytest.mark.parametrize("able", ABLE, ids=lambda able: able.name)
@pytest.mark.parametrize("id", ON_LESS)
def test_a_dovecot_that_can_do_less_ends_the_same_but_for_what_it_cannot_remove(
    id: str, able: Profile, dovecot_profiles: Callable[..., DovecotAccount], tmp_path: Path
) -> None:
    far = DovecotFar(dovecot_profiles(able))
    scenario = next(one for one in ALL if one.id == id)
    try:
        play(scenario, far, tmp_path / "mail.db", marked_stay=able in (Profile.NO_UIDPLUS, Profile.BARE))
    finally:
        far.close()


def test_the_grid_is_whole_and_there_are_scenarios_enough() -> None:
    cells = grid()
    assert len({one.name for one in cells}) == 144
    assert len(ALL) >= 120 + len(cells)
