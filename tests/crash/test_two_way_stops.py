"""What was changed offline reaches the server exactly once, wherever the synchronization that brings it is stopped."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..twoway.notation import Scenario, scenarios
from ..twoway.stops import Stops, evenly

INDISTINCT = frozenset(
    {f"grid: {here} x copy-a" for here in ("move-a", "copy-a", "flag-move-a")}
    | {f"grid: copy-a x {there}" for there in ("move-a", "answer-move-a")}
)
"""Others put the very same message where ours is to go: after a lost line it cannot be told from ours, and is there
once where both were wanted. Nothing is lost by it."""
CRASH = {
    one.id: one
    for one in scenarios()
    if one.only in ("", "memory") and one.crash and not (one.pending or one.broken or one.id in INDISTINCT)
}
SAMPLE = [
    "append: an import of twenty",
    "append: twice the same",
    "append: twice the same without a Message-ID",
    "append: without a Message-ID",
    "append: what is there already, in the same folder",
    "append: a draft replaced",
    "append: a draft replaced twice",
    "append: others add mail meanwhile",
    "append: into a folder that others renumbered",
    "append: twenty, of which five are removed and five moved before they are sent",
    "chains: copied, and the origin removed",
    "chains: copied, and the copy marked",
    "chains: marked, moved and unmarked",
    "chains: folders exchange their mail",
    "chains: two of the same without a Message-ID, both moved",
    "chains: mail that others marked as deleted stays when its neighbour is moved",
    "chains: many flags of many messages",
    "chains: sixty moved, others marked and copied meanwhile",
    "chains: everything at once, on both sides",
    "chains: moved, and the other folder renumbered there",
    "folders: created here, with the folders above it",
    "folders: created here, and mail moved into it",
    "folders: created on both sides with mail in both",
    "folders: renamed here with folders below it",
    "folders: renamed here to lie below a new one of its old name",
    "folders: renamed here, and mail inside changed before and after",
    "folders: two names exchanged here",
    "folders: deleted here while it is empty",
    "folders: deleted here after its mail was moved out",
    "grid: flag-move-a x answer",
    "grid: move-b x copy-a",
    "grid: move-a x remove",
    "grid: move-b x move-a",
    "grid: remove x keyword",
    "grid: copy-a x nothing",
    "grid: rename x answer",
    "guards: fifty removed are not held",
    "guards: all of a folder removed, and approved",
    "refusals: a server that does not tell places: new mail",
    "refusals: a server that does not tell places: moves and copies",
]
STOPS, CUTS = 12, 4
"""Of each scenario of the sample, where it has so many places."""
PLAYED: dict[str, int] = {}
"""How many stops of each scenario were carried on by this process."""


@pytest.mark.parametrize("id", SAMPLE)
def test_wherever_a_replay_is_stopped_the_next_one_completes_it(id: str, tmp_path: Path) -> None:
    stops = Stops(CRASH[id], tmp_path)
    pictures = stops.pictures()
    places, cuts = list(evenly(len(pictures), STOPS)), list(evenly(stops.rows(), CUTS))
    for at in places:
        stops.carry_on(pictures[at], whole=at % 3 == 0)
    for at in cuts:
        stops.cut(at, whole=at % 3 == 0)
    PLAYED[id] = len(places) + len(cuts)


def test_the_sample_is_large_enough() -> None:
    if set(PLAYED) != set(SAMPLE):
        pytest.skip("only a part of the sample was played: how many stops there are was not counted")
    assert sum(PLAYED.values()) >= 500


@pytest.fixture(scope="module")
def tally() -> Iterator[list[int]]:
    """How many stops each scenario had; their sum is printed at the end of the campaign."""
    stops: list[int] = []
    yield stops
    if stops:
        print(f"\n{sum(stops)} stops of replays in all, every one completed")


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", CRASH.values(), ids=CRASH)
def test_every_single_place_of_every_replay(scenario: Scenario, tally: list[int], tmp_path: Path) -> None:
    stops = Stops(scenario, tmp_path)
    pictures, rows = stops.pictures(), stops.rows()
    for picture in pictures:
        stops.carry_on(picture, whole=True)
        shutil.rmtree(picture.files)
    for at in range(rows):
        stops.cut(at, whole=True)
    tally.append(len(pictures) + rows)
