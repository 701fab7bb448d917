"""``kill -9`` at any moment of a real synchronization with a real Dovecot, while its mail goes on changing."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import open_store

from ..conftest import DovecotProfiles
from ..scenarios.rig import account_at, run_to_the_end, server_snapshot, store_snapshot
from ..servers.dovecot import DovecotAccount, Profile
from ..servers.plain_client import PlainClient
from .forks import ForkServer
from .judge import unlike
from .scenes import mail

pytestmark = pytest.mark.servers

FRESH_EVERY = 4
"""So many killed synchronizations of one store, then a new one: first runs are killed too."""
MESSAGES = 60


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


class Campaign:
    """One account that changes between kills."""

    def __init__(self, forks: ForkServer, dovecot: DovecotAccount, client: PlainClient, place: Path, seed: int) -> None:
        self._forks, self._dovecot, self._client, self._place = forks, dovecot, client, place
        self._random = random.Random(seed)
        self._number = 0
        self.killed = self.finished = 0
        client.create("Lists")
        for _ in range(MESSAGES):
            self._append()
        seconds = self._whole_run_seconds()
        self._window = {True: seconds / 2, False: seconds / 10}
        """Within how many seconds a first synchronization (True), or a further one, is killed."""

    def _append(self) -> None:
        self._number += 1
        size = self._random.choice([300, 2_000, 9_000, 90_000])
        flags = self._random.sample(["\\Seen", "\\Flagged", "$Work"], self._random.randrange(3))
        self._client.append(self._random.choice(["INBOX", "Lists"]), mail(self._number, size), flags)

    def _change(self) -> None:
        for _ in range(self._random.randrange(1, 12)):
            self._append()
        folder = self._random.choice(["INBOX", "Lists"])
        self._client.select(folder)
        uids = self._client.uids()
        some = [str(uid) for uid in self._random.sample(uids, min(6, len(uids)))]
        if some:
            self._client.store(folder, ",".join(some), "FLAGS", self._random.choice([["\\Answered"], ["$Later"], []]))
        if len(uids) > MESSAGES // 4:
            self._client.expunge(folder, ",".join(some[:3]))

    def _job(self, path: Path) -> dict[str, object]:
        return {
            "port": self._dovecot.port,
            "user": self._dovecot.user,
            "password": self._dovecot.password,
            "path": str(path),
            "limits": {"whole_octets": 40_000, "part_octets": 20_000},
        }

    def _whole_run_seconds(self) -> float:
        began = time.monotonic()
        assert self._forks.run(self._job(self._place / "whole.db")).code == 0
        return time.monotonic() - began

    def until_killed(self, times: int) -> None:
        """Go on until so many synchronizations were killed before they had finished."""
        for number in range(4 * times + 20):
            self.kill(number)
            if self.killed == times:
                return
        raise AssertionError(f"only {self.killed} were killed, {self.finished} had finished before")

    def kill(self, number: int) -> None:
        """Change the mail, kill a synchronization at a random moment, look at the store, go on, compare."""
        path = self._place / f"{number // FRESH_EVERY}.db"
        first = number % FRESH_EVERY == 0
        self._change()
        pid = self._forks.start(self._job(path))
        threading.Event().wait(self._random.uniform(0, self._window[first]))
        ended = self._forks.kill(pid)
        assert ended.code in (0, -signal.SIGKILL), f"kill {number}"
        self.killed += ended.code < 0
        self.finished += ended.code == 0
        # Whatever the machine's speed: a run that was faster than its killer is met earlier the next time.
        self._window[first] *= 0.6 if ended.code == 0 else 1.15
        account = account_at(self._dovecot.port, self._dovecot.user, self._dovecot.password)
        with open_store(path) as store:
            assert store.check(full=True).problems == (), f"kill {number}"
            result, host = run_to_the_end(store, account)
            assert result.ok and host.errors == (), f"kill {number}: {host.errors}"
            assert store.check(full=True).problems == (), f"kill {number}"
            server = server_snapshot(self._client, self._dovecot.server.separator)
            assert unlike(store_snapshot(store), server) == [], f"kill {number}"


def test_ten_kills_lose_and_double_nothing(
    forks: ForkServer, dovecot_profiles: DovecotProfiles, tmp_path: Path
) -> None:
    dovecot = dovecot_profiles(Profile.FULL)
    with dovecot.client() as client:
        campaign = Campaign(forks, dovecot, client, tmp_path, seed=1)
        for number in range(14):
            campaign.kill(number)
    assert campaign.killed >= 5


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("profile", [Profile.FULL, Profile.NO_QRESYNC, Profile.NO_CONDSTORE, Profile.BARE])
def test_a_thousand_kills_lose_and_double_nothing(
    profile: Profile, forks: ForkServer, dovecot_profiles: DovecotProfiles, tmp_path: Path
) -> None:
    dovecot = dovecot_profiles(profile)
    with dovecot.client() as client:
        campaign = Campaign(forks, dovecot, client, tmp_path, seed=2)
        for number in range(250):
            campaign.kill(number)
    print(f"\n{profile.name}: {campaign.killed} killed, {campaign.finished} were faster")
    assert campaign.killed >= 150
