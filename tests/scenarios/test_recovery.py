"""Doubt after a line that broke: what was sent is looked for, and nothing is lost, doubled, or waited for by others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provider import ErrorKind, MailStoreProvider, SyncFlags, SyncRequest, SyncResult
from provider.errors import CommandRefused, IncompleteAnswer, LoginRefused
from provider.sources.memory.writing import MemoryWriter
from provider.sources.writing import Deleted
from provider.testing import ManualClock, MemoryServer
from store import NotUndoable
from store.mail import Role
from store.mail.operations import OperationState

from .rig import HANG_SECONDS, checked_store
from .test_two_way_hosts import DOWN, UP_CONTENTS, Desk, letter

BEFORE, BEHIND = 0, 1
"""Where the line breaks: nothing happened yet, or it did and nobody heard of it."""
ATTEMPTED, DONE = OperationState.ATTEMPTED, OperationState.DONE


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    server = MemoryServer()
    for path, role in (("Work", None), ("Other", None), ("Trash", Role.TRASH), ("Drafts", Role.DRAFTS)):
        server.add_folder(path, role=role)
    for number in range(1, 4):
        server.append("INBOX", letter(number))
    with (
        checked_store(tmp_path / "mail.db") as store,
        MailStoreProvider(store, [server.account()], clock=ManualClock()) as provider,
    ):
        made = Desk(server, store, provider)
        assert made.synchronize().ok
        yield made


def interrupt(desk: Desk, where: int) -> None:
    """Send what is pending over a line that breaks, and stays bad."""
    desk.server.faults.cut_after(where)
    desk.server.faults.refuse("open", LoginRefused("Nor is there another one."))
    assert not desk.synchronize(flags=UP_CONTENTS).ok
    desk.server.faults.clear()
    assert ATTEMPTED in desk.states()


def add(desk: Desk, path: str, octets: bytes) -> None:
    with desk.store.edit("add") as edit:
        edit.append(desk.folder(path), octets)


def move(desk: Desk, source: str, target: str) -> None:
    with desk.store.edit("move") as edit:
        edit.move(desk.keys(source)[:1], desk.folder(target))


def copied_by_others(desk: Desk, source: str, target: str, index: int = 0) -> None:
    mail = desk.server.messages(source)[index]
    desk.server.append(target, mail.octets, internal_date=mail.internal_date)


def kinds(result: SyncResult) -> list[ErrorKind]:
    return [error.kind for error in result.errors]


def told(desk: Desk) -> list[str]:
    """Kinds of all that the last run told, warnings included."""
    with desk.store.read() as view:
        return [error.kind for error in view.runs()[0].errors]


def test_a_move_whose_source_folder_was_deleted_meanwhile_is_done(desk: Desk) -> None:
    desk.server.append("Work", letter(9))
    desk.synchronize()
    move(desk, "Work", "Other")
    interrupt(desk, BEHIND)
    desk.server.delete_folder("Work")

    assert desk.synchronize().ok
    assert (desk.there("Other"), desk.subjects("Other")) == (["9"], ["9"])
    assert desk.states() == [DONE]


def test_a_draft_that_came_and_was_deleted_here_meanwhile_is_deleted_there(desk: Desk) -> None:
    add(desk, "Drafts", letter(20))
    interrupt(desk, BEHIND)
    with desk.store.edit("away") as edit:
        edit.delete(desk.keys("Drafts"), for_good=True)

    assert desk.synchronize().ok
    assert (desk.there("Drafts"), desk.subjects("Drafts")) == ([], [])
    assert desk.states() == [DONE, DONE]


@pytest.mark.parametrize("error", [CommandRefused("Not now."), IncompleteAnswer("Half of it.")])
def test_what_cannot_be_looked_at_stays_in_doubt_and_the_rest_goes_on(
    desk: Desk, error: CommandRefused | IncompleteAnswer
) -> None:
    add(desk, "Work", letter(20))
    interrupt(desk, BEHIND)
    add(desk, "Other", letter(21))
    desk.server.append("INBOX", letter(22))
    desk.server.faults.refuse("identities", error, folder="Work", times=1)

    result = desk.synchronize()

    assert kinds(result) == [error.kind]
    assert desk.states() == [ATTEMPTED, DONE]
    assert (desk.there("Other"), desk.subjects("INBOX")) == (["21"], ["1", "2", "22", "3"])
    assert desk.synchronize().ok
    assert (desk.there("Work"), desk.subjects("Work")) == (["20"], ["20"])


def test_the_version_of_another_device_is_not_ours(desk: Desk) -> None:
    draft = b"Subject: %s\r\nMessage-ID: <draft@x>\r\n\r\nsame text\r\n"
    desk.server.append("Drafts", draft % b"old")
    desk.synchronize()
    with desk.store.edit("edit the draft") as edit:
        edit.append(desk.folder("Drafts"), draft % b"mine", replaces=desk.keys("Drafts")[0])
    interrupt(desk, BEFORE)
    desk.server.append("Drafts", draft % b"theirs")

    desk.synchronize()

    assert {"mine", "theirs"} <= set(desk.there("Drafts"))
    assert {"mine", "theirs"} <= set(desk.subjects("Drafts"))


def test_mail_without_a_message_id_is_not_taken_for_mail_that_looks_like_it(desk: Desk) -> None:
    for word in (b"one", b"two"):
        desk.server.append("Other", b"Subject: %s\r\nReceived: by y\r\n\r\nbody %s\r\n" % (word, word))
    desk.synchronize()
    move(desk, "Other", "Work")
    interrupt(desk, BEFORE)
    copied_by_others(desk, "Other", "Work", 1)
    desk.server.expunge("Other", 2)

    assert desk.synchronize().ok
    assert desk.there("Other") == []
    assert desk.there("Work") == desk.subjects("Work") == ["one", "two"]


def test_mail_without_a_message_id_is_found_where_it_came(desk: Desk) -> None:
    desk.server.append("Other", b"Subject: one\r\nReceived: by y\r\n\r\nbody\r\n")
    desk.synchronize()
    move(desk, "Other", "Work")
    interrupt(desk, BEHIND)

    assert desk.synchronize().ok
    assert desk.there("Work") == desk.subjects("Work") == ["one"]


@pytest.mark.parametrize("happened", [BEFORE, BEHIND])
@pytest.mark.parametrize(("verb", "matched_first"), [("move", False), ("move", True), ("copy", False)])
def test_an_identical_message_of_a_renumbered_folder_is_not_the_copy(
    desk: Desk, verb: str, happened: int, matched_first: bool
) -> None:
    copied_by_others(desk, "INBOX", "Work")
    desk.synchronize()
    with desk.store.edit("into a folder that has it") as edit:
        getattr(edit, verb)(desk.keys("INBOX")[:1], desk.folder("Work"))
    interrupt(desk, happened)
    desk.server.reset_uid_validity("Work")

    if matched_first:
        desk.synchronize(flags=DOWN)

    assert desk.synchronize().ok
    assert desk.states() == [DONE]
    assert desk.there("Work") == desk.subjects("Work") == ["1", "1"]
    left = ["2", "3"] if verb == "move" else ["1", "2", "3"]
    assert desk.there("INBOX") == desk.subjects("INBOX") == left


def test_where_not_all_is_known_of_a_renumbered_folder_the_next_listing_is_waited_for(desk: Desk) -> None:
    copied_by_others(desk, "INBOX", "Work")
    desk.server.faults.omit("Work", 1)
    desk.synchronize(flags=DOWN)
    move(desk, "INBOX", "Work")
    interrupt(desk, BEFORE)
    desk.server.reset_uid_validity("Work")

    desk.synchronize()  # it is waited for, and then the same run looks once more

    assert desk.states() == [DONE]
    assert "1" in desk.there("Work")
    assert desk.there("Work") == desk.subjects("Work")
    assert desk.there("INBOX") == desk.subjects("INBOX") == ["2", "3"]


def test_a_source_that_was_renumbered_is_removed_once_its_numbers_are_known(desk: Desk) -> None:
    move(desk, "INBOX", "Work")
    interrupt(desk, BEFORE)
    copied_by_others(desk, "INBOX", "Work")
    desk.server.reset_uid_validity("INBOX")

    desk.synchronize()
    desk.synchronize()

    assert desk.there("INBOX") == desk.subjects("INBOX") == ["2", "3"]
    assert desk.there("Work") == desk.subjects("Work") == ["1"]


def test_what_came_into_a_folder_that_was_renamed_meanwhile_is_found_there(desk: Desk) -> None:
    add(desk, "Work", letter(20))
    interrupt(desk, BEHIND)
    desk.server.rename_folder("Work", "Renamed")

    assert desk.synchronize().ok
    assert desk.synchronize().ok
    assert desk.there("Renamed") == desk.subjects("Renamed") == ["20"]
    assert desk.states() == [DONE]


def test_what_waited_for_a_folder_that_is_gone_is_sent_into_a_new_one(desk: Desk) -> None:
    add(desk, "Work", letter(20))
    interrupt(desk, BEHIND)
    desk.server.delete_folder("Work")

    desk.synchronize()
    desk.synchronize()

    assert desk.there("Work") == desk.subjects("Work") == ["20"]


def test_what_was_given_a_message_id_on_arrival_is_found(desk: Desk) -> None:
    draft = b"Subject: 20\r\n\r\nhello\r\n"
    add(desk, "Drafts", draft)
    interrupt(desk, BEFORE)
    desk.server.append("Drafts", b"Subject: 20\r\nMessage-ID: <by@server>\r\n\r\nhello\r\n")

    assert desk.synchronize().ok
    assert desk.there("Drafts") == desk.subjects("Drafts") == ["20"]


def test_what_cannot_be_read_is_neither_taken_for_ours_nor_sent_again(desk: Desk) -> None:
    add(desk, "Drafts", letter(20))
    interrupt(desk, BEHIND)
    desk.server.faults.poison("Drafts", 1)

    for _ in range(2):
        assert desk.synchronize().ok
        assert ErrorKind.MESSAGE_MISSING.value in told(desk)
        assert desk.states() == [ATTEMPTED]
        assert desk.there("Drafts") == ["20"]
    desk.server.faults.clear()
    desk.synchronize()

    assert desk.states() == [DONE]
    assert desk.there("Drafts") == desk.subjects("Drafts") == ["20"]


def half_moved(desk: Desk) -> None:
    """A move whose copy came, and whose source stayed."""
    move(desk, "INBOX", "Work")
    interrupt(desk, BEFORE)
    copied_by_others(desk, "INBOX", "Work")


def test_a_half_move_is_finished(desk: Desk) -> None:
    half_moved(desk)

    assert desk.synchronize().ok
    assert desk.there("INBOX") == desk.subjects("INBOX") == ["2", "3"]
    assert desk.there("Work") == desk.subjects("Work") == ["1"]


def test_a_source_whose_removal_is_refused_stays_in_doubt(desk: Desk) -> None:
    half_moved(desk)
    desk.server.folder("INBOX").read_only = True

    assert kinds(desk.synchronize()) == [ErrorKind.COMMAND_REFUSED]
    assert desk.states() == [ATTEMPTED]
    desk.server.folder("INBOX").read_only = False
    assert desk.synchronize().ok
    assert desk.there("INBOX") == desk.subjects("INBOX") == ["2", "3"]
    assert desk.there("Work") == desk.subjects("Work") == ["1"]


@pytest.mark.parametrize("refused", [True, False])
def test_how_a_source_was_removed_is_what_the_server_said(
    desk: Desk, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed(self: MemoryWriter, write: object, folder: object, step: object) -> Deleted:
        if refused:
            return Deleted(write=write, error=CommandRefused("Not now."))  # type: ignore[arg-type]
        return Deleted(write=write, left=step)  # type: ignore[arg-type]

    half_moved(desk)
    monkeypatch.setattr(MemoryWriter, "_step", removed)
    desk.synchronize()

    assert told(desk) == [ErrorKind.COMMAND_REFUSED.value if refused else ErrorKind.LEFT_MARKED.value]
    assert desk.states() == [ATTEMPTED if refused else DONE]


def test_a_deletion_in_doubt_is_sent_again(desk: Desk) -> None:
    with desk.store.edit("away") as edit:
        edit.delete(desk.keys("INBOX")[:1], for_good=True)
    with desk.store.read() as view:
        ids = [one.id for one in view.operations()]
    with desk.store.write("as an older version did") as tx:
        tx.settle.attempt(ids, None, None)

    assert desk.synchronize().ok
    assert desk.there("INBOX") == ["2", "3"]
    assert desk.states() == [DONE]


def test_doubts_of_other_folders_are_resolved_whatever_folders_are_asked_for(desk: Desk) -> None:
    add(desk, "Work", letter(20))
    interrupt(desk, BEHIND)
    add(desk, "Drafts", letter(21))

    desk.synchronize(flags=SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_THESE_FOLDERS, folders=("Drafts",))

    assert desk.states() == [DONE, DONE]
    assert (desk.there("Work"), desk.there("Drafts")) == (["20"], ["21"])


# -- second thoughts while it is sent -----------------------------------------------------------------


@contextmanager
def halted(desk: Desk, place: str) -> Iterator[None]:
    """Synchronize, and do inside what a person does while the server is busy at *place* in INBOX."""
    hang = desk.server.faults.hang(place, "INBOX")
    handle = desk.provider.SynchronizeInBackground(SyncRequest(flags=UP_CONTENTS))
    assert hang.entered.wait(HANG_SECONDS)
    yield
    desk.server.faults.clear()
    assert handle.wait(HANG_SECONDS).ok


def test_what_is_taken_back_before_it_is_written_down_is_not_sent(desk: Desk) -> None:
    first, second, third = desk.keys("INBOX")
    with desk.store.edit("away") as edit:
        edit.delete([first], for_good=True)
        edit.move([second], desk.folder("Work"))
        edit.delete([third], for_good=True)

    with halted(desk, "flags"):  # the last look before a removal: the plan is made
        with desk.store.read() as view:
            ids = [one.id for one in view.operations() if one.message != third]
        with desk.store.edit("after all not") as edit:
            assert edit.cancel(ids) == 2

    assert desk.there("INBOX") == desk.subjects("INBOX") == ["1", "2"]
    assert (desk.there("Work"), desk.states()) == ([], [DONE])


def test_a_removal_that_is_on_its_way_cannot_be_taken_back(desk: Desk) -> None:
    with desk.store.edit("away") as edit:
        (made,) = edit.delete(desk.keys("INBOX")[:1], for_good=True)
        batch = edit.batch

    with halted(desk, "write"):
        with desk.store.edit("too late") as edit:
            assert edit.cancel([made]) == 0
        with desk.store.edit("too late") as edit, pytest.raises(NotUndoable):
            edit.undo(batch)

    assert desk.there("INBOX") == desk.subjects("INBOX") == ["2", "3"]
    assert desk.states() == [DONE]
