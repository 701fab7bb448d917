"""The desk of this process: what runs is seen, and governed for everybody."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provider import MailStoreProvider, ResultStatus, SyncRequest, Trigger
from provider.manager.control.desk import LocalDesk
from provider.manager.manager import SyncManager
from store import Group, UnknownGroup, open_store
from tests.contract.playing import ALICE, BOB, GUARD_SECONDS, Gate, Play, provider


@contextmanager
def desk(path: Path, play: Play) -> Iterator[tuple[LocalDesk, MailStoreProvider]]:
    with open_store(path / "mail.db") as store, provider(play, ALICE, BOB, store=store) as dock:
        manager = SyncManager(store, dock)
        try:
            yield LocalDesk(dock, manager), dock
        finally:
            manager.stop()


def test_what_runs_is_seen_with_its_items_and_is_cancelled_by_its_number(tmp_path: Path) -> None:
    gate = Gate()
    with desk(tmp_path, Play(alice=gate)) as (one, dock):
        assert one.running() == ()
        handle = dock.send_and_receive(SyncRequest(accounts=(ALICE,), trigger=Trigger.INVOKE))
        gate.wait_reached()
        (seen,) = one.running()
        assert (seen.run_id, seen.trigger, seen.accounts, seen.folders) == (handle.run_id, Trigger.INVOKE, (ALICE,), ())
        assert one.cancel(seen.run_id + 1) is False
        assert one.cancel(seen.run_id) is True
        assert handle.wait(GUARD_SECONDS).status is ResultStatus.CANCELED
        assert one.running() == ()


def test_a_group_is_started_by_its_name_and_pause_holds_the_schedules(tmp_path: Path) -> None:
    play = Play()
    with desk(tmp_path, play) as (one, dock):
        store = dock._store
        store.schedules.put_group(Group(name="B", accounts=(BOB,)))
        assert one.start(group="B").wait(GUARD_SECONDS).ok
        assert play.runs == [BOB]
        with pytest.raises(UnknownGroup):
            one.start(group="C")
        assert one.pause()
        assert [store.schedules.paused, one.resume(), store.schedules.paused] == [True, True, False]
        assert one.pause(77) is False
