"""A process that ends while it changes mail on a real Dovecot is followed by one that finishes the work, once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..servers.dovecot import Dovecot, Profile
from ..twoway.notation import Scenario, scenarios
from ..twoway.stops import evenly
from .forks import ForkServer
from .stopping import KINDS
from .test_two_way_stops import INDISTINCT
from .two_way_dovecot import Prepared

pytestmark = pytest.mark.servers

CRASH = {
    one.id: one
    for one in scenarios()
    if one.only in ("", "dovecot") and one.crash and not (one.pending or one.broken or one.id in INDISTINCT)
}
ABLE = (Profile.FULL, Profile.NO_CONDSTORE, Profile.NO_MOVE, Profile.NO_UIDPLUS)
SAMPLE = (
    "append: twenty, of which five are removed and five moved before they are sent",
    "chains: many flags of many messages",
    "chains: folders exchange their mail",
    "chains: mail that others marked as deleted stays when its neighbour is moved",
    "folders: created here, and mail moved into it",
    "grid: flag-move-a x answer",
)
STOPS_OF_A_KIND = 2
BESIDE = ("append: a draft replaced", "folders: two names exchanged here")
"""In several steps, of which each is looked for in another way."""
SOAK = {id: one for number, (id, one) in enumerate(CRASH.items()) if id in SAMPLE + BESIDE or number % 14 == 0}
"""All of them would take a night; in memory all are stopped everywhere."""


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


@pytest.mark.parametrize("able", ABLE, ids=lambda able: able.name)
@pytest.mark.parametrize("id", SAMPLE)
def test_a_process_that_ends_anywhere_is_followed_by_one_that_finishes(
    id: str, able: Profile, dovecot_daemon: Callable[..., Dovecot], forks: ForkServer, tmp_path: Path
) -> None:
    prepared = Prepared(CRASH[id], dovecot_daemon(able), f"{able.name}-{SAMPLE.index(id)}", forks, tmp_path)
    places = prepared.places()
    for kind in KINDS:
        for at in evenly(places[kind], STOPS_OF_A_KIND + 2)[1:-1]:
            prepared.stop_and_go_on(kind, at + 1, whole=kind == "command")


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("able", [*ABLE, Profile.BARE], ids=lambda able: able.name)
@pytest.mark.parametrize("scenario", SOAK.values(), ids=SOAK)
def test_every_single_place_on_every_dovecot(
    scenario: Scenario, able: Profile, dovecot_daemon: Callable[..., Dovecot], forks: ForkServer, tmp_path: Path
) -> None:
    number = list(CRASH).index(scenario.id)
    prepared = Prepared(scenario, dovecot_daemon(able), f"all-{able.name}-{number}", forks, tmp_path)
    places = prepared.places()
    for kind in KINDS:
        for at in range(1, places[kind] + 1):
            prepared.stop_and_go_on(kind, at, whole=True)
