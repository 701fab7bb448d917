"""A scenario of changes on both sides on a real Dovecot, stopped by ending the process: prepared once, and copied.

Room: tests/crash. One user is brought to where the last synchronization begins; for each stop its mail is copied, as
files, to a user of its own, and the store with it. A child process synchronizes that user and ends where it is told
to; then this process goes on, as the next one would, and the judge of the scenarios compares.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from provider.testing import ManualClock

from ..servers.dovecot import Dovecot, DovecotAccount, Profile
from ..twoway.notation import Scenario
from ..twoway.play import Played, begin, judge, opened, take_steps
from ..twoway.servers import DovecotFar
from ..ways import default_way, name_of
from .forks import STOPPED, ForkServer
from .stopping import KINDS

__all__ = ["Prepared"]

PASSWORD = "pass word"


class Prepared:
    """One scenario on one Dovecot, where its last synchronization begins."""

    def __init__(self, scenario: Scenario, dovecot: Dovecot, name: str, forks: ForkServer, room: Path) -> None:
        self.scenario, self._dovecot, self._forks, self._room = scenario, dovecot, forks, room
        self._name = name.lower()  # as Dovecot has all names
        self._clock = datetime.now(UTC)  # the children live by the clock on the wall
        self._stops = 0
        self._template = room / "template.db"
        far = DovecotFar(dovecot.add_user(self._name, PASSWORD))
        clock = ManualClock(self._clock)
        with opened(self._template, clock) as store:
            played = Played(scenario, far, store, self._template, clock)
            begin(played)
            take_steps(played, scenario.steps)
        far.close()

    def places(self) -> Counter[str]:
        """Return how many places of each kind a whole run comes by."""
        user, path = self._copied()
        ended = self._forks.run({**self._job(user, path), "kind": KINDS[0], "at": 0})
        assert ended.code == 0, f"{ended}\n\n{self.scenario}"
        return Counter(ended.report["counts"])

    def stop_and_go_on(self, kind: str, at: int, *, whole: bool) -> bool:
        """Stop a run there, go on, compare; False when it ended before it came there."""
        user, path = self._copied()
        ended = self._forks.run({**self._job(user, path), "kind": kind, "at": at})
        where = f"{self._dovecot.profile.name}, stopped at {kind} {at}"
        assert ended.code in (0, STOPPED), f"{where}: {ended}"
        far, clock = DovecotFar(user), ManualClock(datetime.now(UTC))
        try:
            with opened(path, clock) as store:
                played = Played(self.scenario, far, store, path, clock)
                assert store.check().problems == ()
                played.synchronize()
                marked_stay = self._dovecot.profile in (Profile.NO_UIDPLUS, Profile.BARE)
                judge(played, once=False, again=whole, marked_stay=marked_stay)
        except Exception as error:
            raise AssertionError(f"{where}: {error}\n\n{self.scenario}") from error
        finally:
            far.close()
        shutil.rmtree(path.parent)
        return ended.code == STOPPED

    def _job(self, user: DovecotAccount, path: Path) -> dict[str, object]:
        return {
            "port": user.port,
            "user": user.user,
            "password": user.password,
            "limits": {"reconnect_seconds": 0.01},
            "path": str(path),
            "way": name_of(default_way()),
        }

    def _copied(self) -> tuple[DovecotAccount, Path]:
        self._stops += 1
        name = f"{self._name}-{self._stops}"
        home = self._dovecot.home(self._name)
        shutil.copytree(home, self._dovecot.home(name), copy_function=_owned)
        _own(home, self._dovecot.home(name))
        room = self._room / name
        room.mkdir()
        shutil.copy(self._template, room / "mail.db")
        return self._dovecot.add_user(name, PASSWORD), room / "mail.db"


def _owned(source: str, target: str) -> None:
    shutil.copy2(source, target)
    told = os.stat(source)
    os.chown(target, told.st_uid, told.st_gid)


def _own(source: Path, target: Path) -> None:
    """Give the directories of a copy to whom those of *source* belong."""
    told = source.stat()
    for directory in (target, *(one for one in target.rglob("*") if one.is_dir())):
        os.chown(directory, told.st_uid, told.st_gid)
