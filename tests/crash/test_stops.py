"""A synchronization that is stopped at every kind of place loses nothing, doubles nothing and goes on where it was."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from provider import Account, ErrorKind
from store import MailStore, open_store

from ..scenarios.rig import rows_outside_runs, run_to_the_end, synchronize
from ..servers.fakeimap import BARE, FULL, NO_CONDSTORE, NO_QRESYNC, FakeImap
from ..ways import default_way, name_of
from .child import account_of
from .forks import STOPPED, ForkServer
from .judge import Ledger, bodies_in, bodies_on, differences, on_server
from .scenes import SCENES, Scene
from .stopping import KINDS

QUEUE_OCTETS = 3_000
IN_FLIGHT_OCTETS_MAX = 4 * QUEUE_OCTETS
"""What may come down twice beside the message on the wire and the one at the writer: what is asked for ahead, what is
in the pipe, one group more."""
STOPS_OF_A_KIND = 24
"""Six scenes times four kinds times so many, less what a short scene does not have: more than 200 in each test run."""


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


class Stage:
    """One scene on a server of its own, with the store as it is when the stopped synchronization begins."""

    def __init__(self, stack: ExitStack, forks: ForkServer, scene: Scene, place: Path, size: int, able: frozenset[str]):
        self.fake = stack.enter_context(FakeImap(capabilities=able - scene.unable))
        self.able, self.forks, self.path, self._template = able, forks, place / "mail.db", place / "template.db"
        self.job: dict[str, object] = {
            "port": self.fake.port,
            "user": self.fake.user,
            "password": self.fake.password,
            "limits": {"queue_octets": QUEUE_OCTETS, "reconnect_seconds": 0.01, **scene.limits},
            "small_steps": True,
            "path": str(self.path),
            "way": name_of(default_way()),
        }
        self.account = account_of(self.job)
        self._quiet_runs = scene.quiet_runs
        self._each_octet_once = default_way().reuse or not scene.moves
        scene.fill(self.fake, size)
        with open_store(self._template) as store:
            if scene.again:
                synchronize(store, self.account)
        with closing(sqlite3.connect(self._template)) as connection:
            assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        scene.happen(self.fake, size)
        self.server = on_server(self.fake)
        self.ledger = Ledger(self.fake)

    def reset(self) -> None:
        for rest in self.path.parent.glob("mail.db*"):
            rest.unlink()
        shutil.copy(self._template, self.path)
        self.ledger.take()

    def places(self) -> Counter[str]:
        """Return how many places of each kind a whole run comes by."""
        self.reset()
        ended = self.forks.run({**self.job, "kind": KINDS[0], "at": 0})
        assert (ended.code, ended.report["errors"]) == (0, [])
        return Counter(ended.report["counts"])

    def stop_and_go_on(self, kind: str, at: int) -> bool:
        """Stop a run there, go on, compare; False when it ended before it came there."""
        where = f"stopped at {kind} {at}"
        self.reset()
        ended = self.forks.run({**self.job, "kind": kind, "at": at})
        assert ended.code in (0, STOPPED), where
        self.fake.wait_quiet()
        asked = self.ledger.take()
        with open_store(self.path) as store:
            assert store.check(full=True).problems == (), where
            kept = bodies_in(store)
            allowed = bodies_on(self.server) - kept
            complete(store, self.account)
            assert differences(store, self.server) == [], where
            again = self.ledger.take()
            if self._each_octet_once:
                assert again - allowed == Counter(), f"{where}: these bodies were here already"
                self._nothing_but_the_batch_twice(asked & again, where)
            for _ in range(self._quiet_runs):
                synchronize(store, self.account)
            before = rows_outside_runs(self.path)
            synchronize(store, self.account)
            assert self.ledger.take() == Counter(), f"{where}: a further run brought bodies"
            assert rows_outside_runs(self.path) == before, f"{where}: a further run wrote rows"
        return ended.code == STOPPED

    def _nothing_but_the_batch_twice(self, twice: Counter[str], where: str) -> None:
        sizes = sorted(self.ledger.octets_by_digest[digest] for digest in twice.elements())
        assert sum(sizes[:-2]) <= IN_FLIGHT_OCTETS_MAX, f"{where}: {sizes} octets came down twice"


def complete(store: MailStore, account: Account) -> None:
    """Synchronize to a good end, in which a renumbered folder may be told of."""
    result, host = run_to_the_end(store, account)
    assert result.ok, result
    assert {error.kind for error in host.errors} <= {ErrorKind.UIDVALIDITY_CHANGED}, host.errors


def evenly(places: int, count: int) -> list[int]:
    """Return *count* numbers of places from the first to the last, or all of them."""
    if places <= count:
        return list(range(1, places + 1))
    return sorted({1 + step * (places - 1) // (count - 1) for step in range(count)})


@pytest.mark.parametrize("scene", SCENES)
def test_wherever_a_synchronization_is_stopped_the_next_one_completes_it(
    scene: str, forks: ForkServer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        stage = Stage(stack, forks, SCENES[scene], tmp_path, 24, FULL)
        places = stage.places()
        stops = [stage.stop_and_go_on(kind, at) for kind in KINDS for at in evenly(places[kind], STOPS_OF_A_KIND)]
    assert sum(stops) >= 50, f"only {sum(stops)} of {len(stops)} runs were stopped"


@pytest.fixture(scope="module")
def tally() -> Iterator[list[int]]:
    """How many stops each test of the campaign made; their sum is printed at its end (4,000 and more)."""
    stops: list[int] = []
    yield stops
    if stops:
        print(f"\n{sum(stops)} stops in all, every one resumed and equal")


ABLE = {"full": FULL, "no QRESYNC": NO_QRESYNC, "no CONDSTORE": NO_CONDSTORE, "bare": BARE}


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("able", ABLE)
def test_every_single_place_in_every_exactness(
    scene: str, able: str, forks: ForkServer, tally: list[int], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        stage = Stage(stack, forks, SCENES[scene], tmp_path, 72, ABLE[able])
        places = stage.places()
        stops = [stage.stop_and_go_on(kind, at) for kind in KINDS for at in range(1, places[kind] + 1)]
    print(f"\n{scene}, {able}: {sum(stops)} stops at {dict(places)}")
    tally.append(sum(stops))
    assert sum(stops) >= 0.95 * len(stops)
