"""What a manager does beside runs: it cleans the store, on a thread of its own, and never for long at its end."""

import threading
import time
from pathlib import Path
from typing import Any

from store import PurgeReport
from tests.contract.playing import GUARD_SECONDS, Gate, Play

from .test_manager import Desk, desk


class Cleaned:
    """A store's cleaning, as long as it is let; counts how often it was asked for."""

    def __init__(self, store: Any, monkeypatch: Any) -> None:
        self.due, self.times = True, 0
        self.begun, self.endless = threading.Event(), False
        monkeypatch.setattr(store, "clean_due", lambda: self.due)
        monkeypatch.setattr(store, "purge", self.purge)

    def purge(self, *, go_on: Any) -> PurgeReport:
        self.times += 1
        self.begun.set()
        while self.endless and go_on():
            time.sleep(0.001)
        self.due = False
        return PurgeReport(finished=not self.endless)


def ended(one: Desk) -> None:
    """Wait until no cleaning is at work."""
    worker = one.manager._chores._cleaning
    assert isinstance(worker, threading.Thread)
    worker.join(GUARD_SECONDS)
    assert not worker.is_alive()


def test_the_store_is_cleaned_at_the_start_and_then_looked_after_once_a_minute(
    tmp_path: Path, monkeypatch: Any
) -> None:
    with desk(tmp_path) as one:
        cleaned = Cleaned(one.store, monkeypatch)
        one.manager.step()
        ended(one)
        cleaned.due = True
        one.after(30)
        assert cleaned.times == 1
        one.after(31)
        ended(one)
        assert cleaned.times == 2


def test_it_is_not_begun_while_something_runs(tmp_path: Path, monkeypatch: Any) -> None:
    gate = Gate()
    with desk(tmp_path, Play(alice=gate)) as one:
        cleaned = Cleaned(one.store, monkeypatch)
        one.manager.run_now()
        gate.wait_reached()
        one.manager.step()
        assert cleaned.times == 0
        gate.open()
        one.settle()
        ended(one)
        assert cleaned.times == 1


def test_it_ends_after_45_minutes_and_with_the_manager(tmp_path: Path, monkeypatch: Any) -> None:
    with desk(tmp_path) as one:
        cleaned = Cleaned(one.store, monkeypatch)
        cleaned.endless = True
        one.manager.step()
        assert cleaned.begun.wait(GUARD_SECONDS)
        one.clock.advance(45 * 60)
        ended(one)
        cleaned.due = True
        cleaned.begun.clear()
        one.manager.step()
        assert cleaned.begun.wait(GUARD_SECONDS)
    ended(one)
