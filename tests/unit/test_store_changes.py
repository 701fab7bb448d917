"""The change cursor: what became true since, each thing once, across pages, removals and purges."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from store import (
    Change,
    CursorTooOld,
    FolderAdded,
    FolderChanged,
    FolderRemoved,
    FolderState,
    MailStore,
    MessageAdded,
    MessageChanged,
    MessageRemoved,
    UidSet,
    open_store,
)
from store.mail import Uid

from .store_kit import BEGIN, EPOCH, Clock, Inbox, listed, new

GUARD_SECONDS = 5


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db", clock=clock) as opened:
        yield opened
        assert opened.check().problems == ()


@pytest.fixture
def inbox(store: MailStore) -> Inbox:
    return Inbox.made_in(store)


def told(changes: tuple[Change, ...]) -> list[tuple[type, int]]:
    """Kind and UID of each change; 0 for folders."""
    return [(type(change), getattr(change, "uid", 0)) for change in changes]


def test_an_empty_store_tells_nothing_and_the_cursor_stays(store: MailStore) -> None:
    page = store.changes()
    assert (page.changes, page.cursor, page.more) == ((), 0, False)


def test_a_message_is_told_when_it_becomes_visible_and_again_when_it_differs(inbox: Inbox) -> None:
    cursor = inbox.store.changes().cursor
    inbox.list(new(1), new(2))
    assert inbox.store.changes(cursor).changes == ()
    inbox.show([1])
    page = inbox.store.changes(cursor)
    assert told(page.changes) == [(MessageAdded, 1)]
    inbox.bring([1, 2])
    with inbox.store.write("flags") as tx:
        tx.set_flags(inbox.folder, EPOCH, [(Uid(2), frozenset({"\\Seen"}), None)])
    page = inbox.store.changes(page.cursor)
    assert told(page.changes) == [(MessageChanged, 1), (MessageAdded, 2)]
    assert inbox.store.changes(page.cursor).changes == ()


def test_folders_are_told_when_they_come_differ_and_go(store: MailStore, inbox: Inbox) -> None:
    page = store.changes()
    assert told(page.changes) == [(FolderAdded, 0)]
    with store.write("rename") as tx:
        assert tx.update_folder(inbox.folder, listed("Renamed")) is True
    with store.write("the same") as tx:
        assert tx.update_folder(inbox.folder, listed("Renamed")) is False
    page = store.changes(page.cursor)
    assert told(page.changes) == [(FolderChanged, 0)]
    with store.write("gone") as tx:
        tx.set_folder_state(inbox.folder, FolderState.MISSING, BEGIN, "not listed")
        tx.remove_folder(inbox.folder)
    assert told(store.changes(page.cursor).changes) == [(FolderRemoved, 0)]
    assert store.changes(0).changes == (), "who never heard of it need not hear that it is gone"


def test_removals_are_told_to_those_who_knew_and_to_nobody_else(inbox: Inbox) -> None:
    inbox.fill(3)
    cursor = inbox.store.changes().cursor
    inbox.list(new(4))
    inbox.show([4])
    with inbox.store.write("remove") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet([2, 4]))
    assert told(inbox.store.changes(cursor).changes) == [(MessageRemoved, 2)]
    assert told(inbox.store.changes(0).changes) == [(FolderAdded, 0), (MessageAdded, 1), (MessageAdded, 3)]


def test_removing_a_folder_tells_its_messages_first(inbox: Inbox) -> None:
    inbox.fill(2)
    cursor = inbox.store.changes().cursor
    with inbox.store.write("remove") as tx:
        assert tx.remove_folder(inbox.folder) == 2
    assert told(inbox.store.changes(cursor).changes) == [(MessageRemoved, 1), (MessageRemoved, 2), (FolderRemoved, 0)]


def test_a_message_that_comes_back_is_told_as_added_with_its_old_key(inbox: Inbox) -> None:
    inbox.fill(1)
    (_, added) = inbox.store.changes().changes
    with inbox.store.write("remove") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet([1]))
    cursor = inbox.store.changes().cursor
    with inbox.store.write("revive") as tx:
        tx.revive(inbox.folder, EPOCH, [(added.key, Uid(1))])  # type: ignore[union-attr]
    (again,) = inbox.store.changes(cursor).changes
    assert isinstance(again, MessageAdded)
    assert again.key == added.key  # type: ignore[union-attr]


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 7, 100])
def test_pages_tell_the_same_as_one_page_does(inbox: Inbox, limit: int) -> None:
    inbox.fill(6)
    with inbox.store.write("remove") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet([3]))
    seen: list[Change] = []
    cursor, more = 0, True
    while more:
        page = inbox.store.changes(cursor, limit=limit)
        assert len(page.changes) <= limit
        assert page.cursor >= cursor
        seen += page.changes
        cursor, more = page.cursor, page.more
    known = {change.key for change in seen if isinstance(change, MessageAdded)}
    known -= {change.key for change in seen if isinstance(change, MessageRemoved)}
    with inbox.store.read() as view:
        assert known == {message.key for message in view.messages(inbox.folder).messages}
        assert cursor == view.cursor_seq()
    assert [change.seq for change in seen] == sorted({change.seq for change in seen})


def test_a_cursor_from_before_a_purge_is_refused_and_zero_and_newer_ones_are_not(inbox: Inbox, clock: Clock) -> None:
    inbox.fill(3)
    old = inbox.store.changes().cursor
    with inbox.store.write("remove") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet([2]))
    new_enough = inbox.store.changes().cursor
    clock.now += timedelta(days=6.9).total_seconds()
    assert inbox.store.purge().tombstones == 0
    assert told(inbox.store.changes(old).changes) == [(MessageRemoved, 2)]
    clock.now += timedelta(days=0.2).total_seconds()
    assert inbox.store.purge().tombstones == 1
    with pytest.raises(CursorTooOld):
        inbox.store.changes(old)
    assert inbox.store.changes(new_enough).changes == ()
    assert len(inbox.store.changes(0).changes) == 3


def test_a_cursor_of_another_store_is_refused(inbox: Inbox) -> None:
    with pytest.raises(CursorTooOld):
        inbox.store.changes(10_000)


@pytest.mark.parametrize(("since", "limit"), [(-1, 10), (0, 0), (0, 10_001)])
def test_a_cursor_or_page_that_cannot_be_is_refused(store: MailStore, since: int, limit: int) -> None:
    with pytest.raises(ValueError):
        store.changes(since, limit=limit)


def test_a_transaction_that_fails_tells_nothing_and_uses_no_numbers(inbox: Inbox) -> None:
    inbox.list(new(1), new(2))
    before = inbox.store.changes().cursor

    def fail_after_writing() -> None:
        with inbox.store.write("fails") as tx:
            tx.remove_folder(inbox.folder)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_writing()
    assert inbox.store.changes().cursor == before
    inbox.show([1])
    assert [change.seq for change in inbox.store.changes(before).changes] == [before + 1]


def test_waiting_ends_when_time_is_up_and_returns_at_once_when_there_is_something(inbox: Inbox) -> None:
    cursor = inbox.store.changes().cursor
    assert inbox.store.wait_for_change(cursor - 1, GUARD_SECONDS) is True
    assert inbox.store.wait_for_change(cursor, 0.01) is False


def test_waiting_ends_with_the_commit_of_another_thread(inbox: Inbox) -> None:
    inbox.list(new(1))
    cursor = inbox.store.changes().cursor
    waiting = threading.Event()
    answers: list[bool] = []

    def wait() -> None:
        waiting.set()
        answers.append(inbox.store.wait_for_change(cursor, GUARD_SECONDS))

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(GUARD_SECONDS)
    inbox.show([1])
    thread.join(GUARD_SECONDS)
    assert answers == [True]


def test_closing_ends_the_waiting_of_other_threads(tmp_path: Path) -> None:
    store = open_store(tmp_path / "other.db")
    waiting = threading.Event()
    answers: list[bool] = []

    def wait() -> None:
        waiting.set()
        answers.append(store.wait_for_change(0, 60))

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(GUARD_SECONDS)
    store.close()
    thread.join(GUARD_SECONDS)
    assert answers in ([False], []), "an answer, or the word that the store is closed"
    assert not thread.is_alive()
