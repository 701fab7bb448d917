"""Groups: what they mean as requests, which of them F9 runs, and the object with start, stop and four events."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provider import InvalidRequest, ResultStatus, SyncFlags, SyncRequest
from provider.entry import MailStoreProvider
from provider.errors import ErrorKind
from provider.grouping import f9_runs, group_run
from provider.manager import GroupState, SyncGroup, SyncManager
from provider.manager.control.desk import LocalDesk
from store import FolderPath, Group, MailStore, UnknownGroup, open_store
from store.mail import AccountId
from store.mail.schedules import ALL_ACCOUNTS
from tests.contract.playing import ALICE, BOB, GUARD_SECONDS, Gate, Host, Play, provider

CAROL = AccountId("carol")


def test_what_a_group_says_is_the_request_and_the_rest_is_the_askers() -> None:
    group = Group(
        name="g", accounts=(ALICE, CAROL), folders=(FolderPath(("a", "b")),), headers_only=True, size_octets_max=7
    )
    meant = group_run(group, [ALICE, BOB], SyncRequest(flags=SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_ON_DEMAND))
    assert meant.request.accounts == (ALICE,)
    assert meant.request.folder_paths == group.folders
    assert meant.request.size_octets_max == 7
    extra = SyncFlags.SYNC_ON_DEMAND | SyncFlags.SYNC_GLOBAL_HEADERS | SyncFlags.SYNC_THESE_FOLDERS
    assert meant.request.flags == SyncFlags.ALL_DIRECTIONS | extra
    assert group_run(ALL_ACCOUNTS, [ALICE]).request.accounts == (ALICE,)
    with pytest.raises(InvalidRequest):
        group_run(group, [BOB])


@pytest.mark.parametrize(
    ("groups", "runs"),
    [
        ([], [("All accounts", (ALICE, BOB, CAROL))]),
        ([Group(name="a", accounts=(ALICE,))], [("a", (ALICE,)), ("All accounts", (BOB, CAROL))]),
        ([Group(name="a", accounts=(ALICE,), on_f9=False)], [("All accounts", (BOB, CAROL))]),
        (
            [Group(name="a", accounts=(ALICE, BOB)), Group(name="b", accounts=(BOB, CAROL), send=False)],
            [("a", (ALICE, BOB)), ("b", (BOB, CAROL))],
        ),
        (
            [
                Group(name="a", accounts=(ALICE,), on_f9=False),
                Group(name="b", accounts=(ALICE,)),
                Group(name="gone", accounts=(AccountId("x"),)),
            ],
            [("b", (ALICE,)), ("All accounts", (BOB, CAROL))],
        ),
    ],
)
def test_f9_is_every_group_of_it_and_who_is_in_none(
    groups: list[Group], runs: list[tuple[str, tuple[AccountId, ...]]]
) -> None:
    found = f9_runs([ALL_ACCOUNTS, *groups], [ALICE, BOB, CAROL])
    assert [(one.group, one.request.accounts) for one in found] == runs


def test_f9_has_another_set_of_groups_while_one_works_offline() -> None:
    groups = [
        Group(name="a", accounts=(ALICE,), on_f9_offline=False),
        Group(name="b", accounts=(BOB,), on_f9=False),
    ]
    assert [one.group for one in f9_runs(groups, [ALICE, BOB])] == ["a"]
    assert [one.group for one in f9_runs(groups, [ALICE, BOB], offline=True)] == ["b"]


def test_f9_without_a_group_of_it_says_so() -> None:
    with pytest.raises(InvalidRequest):
        f9_runs([Group(name="a", accounts=(ALICE,), on_f9=False)], [ALICE])


class Heard:
    """A host that writes down the four events."""

    def __init__(self) -> None:
        self.lines: list[tuple[object, ...]] = []
        self.ended = threading.Event()

    def sync_start(self) -> None:
        self.lines.append(("start",))

    def progress(self, state: GroupState, text: str, value: int, maximum: int) -> None:
        self.lines.append(("progress", state, value, maximum))

    def on_error(self, code: ErrorKind, text: str) -> None:
        self.lines.append(("error", code))

    def sync_end(self) -> None:
        self.lines.append(("end",))
        self.ended.set()


@contextmanager
def house(path: Path, play: Play) -> Iterator[tuple[MailStore, MailStoreProvider, SyncManager]]:
    with open_store(path / "mail.db") as store, provider(play, ALICE, BOB, store=store) as dock:
        store.schedules.put_group(Group(name="B", accounts=(BOB,)))
        manager = SyncManager(store, dock)
        try:
            yield store, dock, manager
        finally:
            manager.stop()


def test_a_group_object_begins_tells_and_ends(tmp_path: Path) -> None:
    heard, play = Heard(), Play()
    with house(tmp_path, play) as (_, dock, manager):
        group = SyncGroup(LocalDesk(dock, manager), "B", heard)
        assert group.state is GroupState.STOPPED
        assert group.start().wait(GUARD_SECONDS).ok
        assert heard.ended.wait(GUARD_SECONDS)
        assert group.state is GroupState.STOPPED
    assert play.runs == [BOB]
    assert heard.lines[0] == ("start",)
    steps = [line for line in heard.lines if line[0] == "progress"]
    values = [line[2] for line in steps]
    assert values == sorted(values)  # type: ignore[type-var]  # they are numbers
    assert steps[-1] == ("progress", GroupState.STOPPED, 1000, 1000)
    assert all(value < 1000 for value in values[:-1])  # type: ignore[operator]
    assert heard.lines.count(("start",)) == heard.lines.count(("end",)) == 1


def test_a_group_stops_at_once_and_a_second_start_joins_the_first(tmp_path: Path) -> None:
    gate = Gate()
    with house(tmp_path, Play(bob=gate)) as (_, dock, manager):
        group = SyncGroup(LocalDesk(dock, manager), "B")
        handle = group.start()
        gate.wait_reached()
        assert group.state is GroupState.STARTED
        assert group.start() is handle
        group.stop()
        assert handle.wait(GUARD_SECONDS).status is ResultStatus.CANCELED


def test_who_asks_for_a_group_that_runs_already_hears_it_whole(tmp_path: Path) -> None:
    gate, late = Gate(), Host()
    with house(tmp_path, Play(bob=gate)) as (_, _, manager):
        first = manager.run_now("B")
        gate.wait_reached()
        assert manager.run_now("B", callback=late) is first
        gate.open()
        assert late.all()[-1] == first.wait(GUARD_SECONDS)


def test_the_provider_and_the_manager_run_groups_by_name_and_by_f9(tmp_path: Path) -> None:
    play = Play()
    with house(tmp_path, play) as (_, dock, manager):
        assert dock.send_and_receive(group="B").wait(GUARD_SECONDS).ok
        assert play.runs == [BOB]
        assert [handle.wait(GUARD_SECONDS).ok for handle in manager.run_f9()] == [True, True]
        assert sorted(play.runs) == [ALICE, BOB, BOB]
        with pytest.raises(UnknownGroup):
            dock.send_and_receive(group="C")
