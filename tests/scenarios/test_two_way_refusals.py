"""What is refused, held, or looked for in a part of the account only: it costs itself, is told, and has an end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from provider import ErrorKind, MailStoreProvider, SyncFlags, SyncResult
from provider.errors import CommandRefused
from provider.replay import runner
from provider.replay.refusals import TRIES_MAX
from provider.sources.memory.model import MemoryFolder
from provider.sources.memory.writing import MemoryWriter
from provider.sources.writing import Deleted, FolderWrite, Mark, Marked, Transfer, WriteEvent
from provider.testing import ManualClock, MemoryServer
from store.mail import FolderPath, Role, UidSet
from store.mail.conflicts import ConflictKind
from store.mail.operations import Operation, OperationState

from .rig import checked_store
from .test_two_way_hosts import UP_CONTENTS, Desk, letter

DONE, HELD, LATER, QUEUED, REFUSED = (
    OperationState.DONE,
    OperationState.HELD,
    OperationState.LATER,
    OperationState.QUEUED,
    OperationState.REFUSED,
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def desk(tmp_path: Path, clock: ManualClock) -> Iterator[Desk]:
    server = MemoryServer()
    for path, role in (("Work", None), ("Other", None), ("Trash", Role.TRASH), ("Drafts", Role.DRAFTS)):
        server.add_folder(path, role=role)
    for number in range(1, 4):
        server.append("INBOX", letter(number))
    with (
        checked_store(tmp_path / "mail.db") as store,
        MailStoreProvider(store, [server.account()], clock=clock) as provider,
    ):
        made = Desk(server, store, provider)
        assert made.synchronize().ok
        yield made


def pending(desk: Desk) -> list[Operation]:
    with desk.store.read() as view:
        return list(view.operations())


def kinds(result: SyncResult) -> list[ErrorKind]:
    return [error.kind for error in result.errors]


def marked(desk: Desk, path: str) -> list[str]:
    """Subjects of what is flagged on the server."""
    mail = [one for one in desk.server.messages(path) if "\\Flagged" in one.flags]
    return sorted(one.octets.split(b"\r\n")[0].decode()[9:] for one in mail)


def calls(desk: Desk, what: str) -> int:
    return sum(call.startswith(what) for call in desk.server.calls)


# -- too much at once ---------------------------------------------------------------------------------


def test_flags_are_sent_in_a_folder_whose_deletions_wait_for_a_person(desk: Desk) -> None:
    for number in range(100, 160):
        desk.server.append("Other", letter(number))
    desk.synchronize()
    with desk.store.read() as view:
        keys = sorted(one.key for one in view.messages(desk.folder("Other"), limit=100).messages)
    with desk.store.edit("much") as edit:
        edit.delete(keys[:55], for_good=True)
        edit.set_flags(keys[55:], add=["\\Flagged"])

    desk.synchronize(flags=UP_CONTENTS)

    assert marked(desk, "Other") == ["155", "156", "157", "158", "159"]
    assert [one.state for one in pending(desk)] == [HELD] * 55
    with desk.store.edit("yes") as edit:
        edit.approve(one.id for one in pending(desk))
    assert desk.synchronize().ok
    assert desk.there("Other") == desk.subjects("Other") == ["155", "156", "157", "158", "159"]


# -- not all was looked at ----------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["asked for", "seen"])
def test_what_is_marked_here_and_moved_there_is_not_taken_for_gone_where_only_a_part_was(desk: Desk, part: str) -> None:
    with desk.store.edit("mark") as edit:
        edit.set_flags(desk.keys("INBOX")[:1], add=["\\Flagged"])
    moved_by_others(desk)

    looked_at_a_part(desk, part)
    assert [one.state for one in pending(desk)] == [QUEUED]

    assert desk.synchronize().ok
    assert (pending(desk), marked(desk, "Work")) == ([], ["1"])


@pytest.mark.parametrize("part", ["asked for", "seen"])
def test_what_was_moved_on_both_sides_is_not_added_again_where_only_a_part_was(desk: Desk, part: str) -> None:
    with desk.store.edit("file it") as edit:
        edit.move(desk.keys("INBOX")[:1], desk.folder("Other"))
    moved_by_others(desk)

    looked_at_a_part(desk, part)
    assert ([one.state for one in pending(desk)], desk.conflicts()) == ([QUEUED], [])

    desk.synchronize()
    assert desk.conflicts() == [ConflictKind.MOVED_TWICE]
    assert (desk.there("Other"), desk.there("Work")) == ([], ["1"])


def moved_by_others(desk: Desk) -> None:
    mail = desk.server.messages("INBOX")[0]
    desk.server.append("Work", mail.octets, internal_date=mail.internal_date)
    desk.server.expunge("INBOX", mail.uid)


def looked_at_a_part(desk: Desk, part: str) -> None:
    """Synchronize without a look at Work: nobody asked for it, or the server would not let it be seen."""
    if part == "asked for":
        flags = SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_THESE_FOLDERS
        desk.synchronize(flags=flags, folders=("INBOX", "Other"))
        return
    desk.server.faults.refuse_folder("Work")
    assert not desk.synchronize().ok
    desk.server.faults.clear()


# -- a server that denies what is there ---------------------------------------------------------------


def denied(what: str) -> CommandRefused:
    return CommandRefused(f"There is no {what}.", response_code="NONEXISTENT", server_text="no such thing")


def come_to_an_end(desk: Desk, clock: ManualClock) -> list[SyncResult]:
    """Synchronize until nothing is pending. Fails when that takes longer than all tries."""
    results: list[SyncResult] = []
    while pending(desk):
        assert len(results) <= TRIES_MAX, "the same is sent for ever"
        results.append(desk.synchronize())
        clock.advance(timedelta(days=1).total_seconds())
    return results


def test_a_target_that_the_server_lists_and_denies_is_not_asked_for_ever(
    desk: Desk, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = MemoryWriter._refusal

    def refusal(self: MemoryWriter, name: bytes, folder: MemoryFolder | None, octets: int) -> CommandRefused | None:
        return denied("folder Work") if name == desk.server.folder("Work").name else real(self, name, folder, octets)

    monkeypatch.setattr(MemoryWriter, "_refusal", refusal)
    with desk.store.edit("file it") as edit:
        edit.move(desk.keys("INBOX")[:1], desk.folder("Work"))
        edit.move(desk.keys("INBOX")[1:2], desk.folder("Other"))

    results = [desk.synchronize()]
    (waits,) = pending(desk)
    assert waits.next_try_at is not None and waits.next_try_at > clock.now()
    clock.advance(timedelta(days=1).total_seconds())
    results += come_to_an_end(desk, clock)

    assert sorted(one.value for one in desk.states()) == ["done", "refused"]
    assert desk.there("INBOX") == desk.subjects("INBOX") == ["1", "3"]
    assert desk.there("Other") == ["2"]
    assert all(ErrorKind.COMMAND_REFUSED in kinds(one) for one in results)
    assert desk.synchronize().ok


@pytest.mark.parametrize("verb", ["delete", "mark"])
def test_a_message_that_the_server_lists_and_denies_is_not_asked_for_ever(
    desk: Desk, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def step(self: MemoryWriter, write: FolderWrite, folder: MemoryFolder, one: Mark | Transfer | UidSet) -> WriteEvent:
        desk.server.note("asked")
        if isinstance(one, Mark):
            return Marked(write=write, mark=one, error=denied("message"))
        return Deleted(write=write, error=denied("message"))

    monkeypatch.setattr(MemoryWriter, "_step", step)
    with desk.store.edit("away") as edit:
        if verb == "delete":
            edit.delete(desk.keys("INBOX")[:1], for_good=True)
        else:
            edit.set_flags(desk.keys("INBOX")[:1], add=["\\Flagged"])

    come_to_an_end(desk, clock)

    assert desk.states() == [REFUSED]
    assert calls(desk, "asked") == TRIES_MAX
    assert desk.there("INBOX") == desk.subjects("INBOX") == ["1", "2", "3"]
    assert desk.synchronize().ok


def test_what_is_gone_is_looked_for_once_in_a_replay(desk: Desk) -> None:
    with desk.store.edit("away, and something that makes another pass") as edit:
        edit.delete(desk.keys("INBOX")[:1], for_good=True)
        edit.append(desk.folder("Drafts"), letter(20))
    desk.server.expunge("INBOX", desk.server.messages("INBOX")[0].uid)
    before = calls(desk, "flags INBOX")

    desk.synchronize(flags=UP_CONTENTS)

    assert calls(desk, "flags INBOX") == before + 1
    assert ([one.state for one in pending(desk)], desk.there("Drafts")) == ([QUEUED], ["20"])


# -- names that are taken -----------------------------------------------------------------------------


@pytest.mark.parametrize("object_ids", [True, False])
def test_a_folder_whose_new_name_was_taken_there_keeps_the_old_one(desk: Desk, object_ids: bool) -> None:
    desk.server.object_ids = object_ids
    desk.server.append("Work", letter(50))
    desk.synchronize()
    work = desk.folder("Work")
    with desk.store.edit("rename") as edit:
        edit.rename_folder(work, FolderPath(("Mine",)))
        edit.append(work, letter(51))
    desk.server.add_folder("Mine")
    desk.server.append("Mine", letter(60))

    result = desk.synchronize()

    assert kinds(result) == [ErrorKind.COMMAND_REFUSED]
    assert (desk.conflicts(), pending(desk)) == ([], [])
    assert desk.folder("Work") == work
    assert desk.there("Work") == desk.subjects("Work") == ["50", "51"]
    assert desk.there("Mine") == desk.subjects("Mine") == ["60"]
    assert desk.synchronize().ok


# -- no room ------------------------------------------------------------------------------------------


def test_a_full_target_is_told_once_for_all_that_wait_and_the_rest_goes_on(
    desk: Desk, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "UPLOADS_PER_ATTEMPT", 4)
    desk.server.quota_octets = desk.server.octets()
    with desk.store.edit("much") as edit:
        for number in range(20, 26):
            edit.append(desk.folder("Drafts"), letter(number))
        edit.move(desk.keys("INBOX")[:2], desk.folder("Work"))
        edit.set_flags(desk.keys("INBOX")[2:], add=["\\Flagged"])

    result = desk.synchronize()

    told = [(one.folder, one.response_code) for one in result.errors]
    assert sorted(told, key=str) == [("Drafts", "OVERQUOTA"), ("Work", "OVERQUOTA")]
    assert marked(desk, "INBOX") == ["3"]
    assert [one.state for one in pending(desk)] == [LATER] * 8
    assert calls(desk, "append Drafts") == 4
    desk.server.quota_octets = None
    clock.advance(timedelta(hours=7).total_seconds())
    assert desk.synchronize().ok
    assert desk.there("Drafts") == ["20", "21", "22", "23", "24", "25"]
    assert (desk.there("Work"), desk.there("INBOX"), pending(desk)) == (["1", "2"], ["3"], [])
