"""Folders, cursors and troubles: taken over from listings, ordered for people, kept when they are missing."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from store import (
    FolderCursor,
    FolderPath,
    FolderState,
    MailStore,
    Role,
    UidSet,
    UnknownAccount,
    UnknownFolder,
    open_store,
)
from store.mail import FolderId, ModSeq, Uid, UidValidity

from .store_kit import ACCOUNT, BEGIN, EPOCH, Inbox, everything, listed, new


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db") as opened:
        yield opened
        assert opened.check().problems == ()


def test_folders_come_as_people_expect_them(store: MailStore) -> None:
    with store.write("folders") as tx:
        tx.ensure_account(ACCOUNT)
        for name in ("work/b", "Zoo", "apple", "work"):
            tx.add_folder(ACCOUNT, listed(name))
        for name, role in (("Bin", Role.TRASH), ("Entwürfe", Role.DRAFTS), ("INBOX", Role.INBOX)):
            tx.add_folder(ACCOUNT, listed(name, role=role))
    with store.read() as view:
        names = [str(folder.path) for folder in view.folders(ACCOUNT)]
    assert names == ["INBOX", "Entwürfe", "Bin", "apple", "work", "work/b", "Zoo"]


def test_a_folder_keeps_all_that_the_listing_tells(store: MailStore) -> None:
    row = listed(
        'a/ b\\&"ü',
        role=Role.JUNK,
        attributes=frozenset({"\\haschildren", "\\junk"}),
        selectable=False,
        subscribed=True,
        object_id="F1",
    )
    with store.write("folder") as tx:
        tx.ensure_account(ACCOUNT)
        folder_id = tx.add_folder(ACCOUNT, row)
    with store.read() as view:
        folder = view.folder(folder_id)
        assert view.find_folder(ACCOUNT, row.path) == folder
        assert view.find_folder(ACCOUNT, FolderPath(("no such",))) is None
    kept = (folder.name, folder.path, folder.delimiter, folder.role, folder.attributes, folder.selectable)
    assert kept == (row.name, row.path, "/", Role.JUNK, row.attributes, False)
    assert (folder.subscribed, folder.object_id, folder.state) == (True, "F1", FolderState.ACTIVE)


def test_a_renamed_folder_keeps_its_id_and_its_messages(store: MailStore) -> None:
    inbox = Inbox.made_in(store, "Old")
    inbox.fill(2)
    with store.write("rename") as tx:
        assert tx.update_folder(inbox.folder, listed("New")) is True
        assert tx.update_folder(inbox.folder, listed("New")) is False
    with store.read() as view:
        found = view.find_folder(ACCOUNT, FolderPath(("New",)))
        assert found is not None
        assert (found.id, found.counts.messages) == (inbox.folder, 2)


def test_two_folders_can_swap_their_names(store: MailStore) -> None:
    one, two = Inbox.made_in(store, "one"), Inbox.made_in(store, "two")
    with store.write("swap") as tx:
        tx.update_folder(one.folder, listed("two"))
        tx.update_folder(two.folder, listed("one"))
    with store.read() as view:
        assert {str(folder.path): folder.id for folder in view.folders()} == {"two": one.folder, "one": two.folder}


def test_a_missing_folder_keeps_everything_and_gives_way_to_one_of_its_name(store: MailStore) -> None:
    missing = Inbox.made_in(store, "Lists")
    missing.fill(2)
    with store.write("missing") as tx:
        assert tx.set_folder_state(missing.folder, FolderState.MISSING, BEGIN, "not in the last listing") is True
        assert tx.set_folder_state(missing.folder, FolderState.MISSING, BEGIN, "not in the last listing") is False
    with store.read() as view:
        folder = view.folder(missing.folder)
        assert (folder.state, folder.missing_since, folder.counts.messages) == (FolderState.MISSING, BEGIN, 2)
        assert view.find_folder(ACCOUNT, folder.path) == folder
    successor = Inbox.made_in(store, "Lists")
    with store.read() as view:
        found = view.find_folder(ACCOUNT, folder.path)
        assert found is not None
        assert found.id == successor.folder


def test_a_removed_folder_takes_its_messages_cursor_and_troubles_with_it(store: MailStore) -> None:
    inbox = Inbox.made_in(store)
    inbox.fill(2)
    inbox.list(new(3))
    with store.write("trouble") as tx:
        tx.set_trouble(inbox.folder, EPOCH, Uid(3), "missing", "not answered", BEGIN)
    with store.write("remove") as tx:
        assert tx.remove_folder(inbox.folder) == 3
    rows = everything(store.path)
    assert [len(rows[name]) for name in ("folders", "messages", "cursors", "troubles")] == [0, 0, 0, 0]
    assert [len(rows[name]) for name in ("tombstones", "folder_tombstones")] == [2, 1]


def test_a_cursor_comes_back_as_it_was_saved(store: MailStore) -> None:
    inbox = Inbox.made_in(store)
    cursor = FolderCursor(
        epoch=UidValidity(2**32 - 1),
        mod_seq=ModSeq(2**63 - 1),
        uid_next=10,
        messages=3,
        listed_from=1,
        distrust="it lost a deletion",
        epoch_changes=2,
        proven_at=BEGIN,
        checked_at=BEGIN + timedelta(hours=1),
    )
    with store.read() as view:
        assert view.cursor(inbox.folder) == FolderCursor()
    with store.write("cursor") as tx:
        assert tx.save_cursor(inbox.folder, cursor) is True
        assert tx.save_cursor(inbox.folder, cursor) is False
        assert tx.view.cursor(inbox.folder) == cursor


def test_looking_at_a_folder_again_writes_the_time_and_nothing_else(store: MailStore) -> None:
    inbox = Inbox.made_in(store)
    inbox.fill(2)
    before = everything(store.path)
    with store.write("checked") as tx:
        tx.touch_cursor(inbox.folder, BEGIN + timedelta(hours=2))
    after = everything(store.path)
    assert {name for name, rows in after.items() if rows != before[name]} == {"cursors"}
    with store.read() as view:
        assert view.cursor(inbox.folder).checked_at == BEGIN + timedelta(hours=2)


def test_a_cursor_and_its_rows_are_written_together_or_not_at_all(store: MailStore) -> None:
    inbox = Inbox.made_in(store)

    def write_here_and_nowhere() -> None:
        with store.write("fails") as tx:
            for folder in (inbox.folder, FolderId(99)):
                tx.add_messages(folder, EPOCH, [new(1)])
                tx.save_cursor(folder, FolderCursor(epoch=EPOCH, uid_next=2, listed_from=1))

    with pytest.raises(UnknownFolder):
        write_here_and_nowhere()
    with store.read() as view:
        assert (view.cursor(inbox.folder), view.uids(inbox.folder)) == (FolderCursor(), UidSet())


def test_troubles_count_their_tries_until_they_are_cleared_or_their_message_goes(store: MailStore) -> None:
    inbox = Inbox.made_in(store)
    inbox.list(new(1), new(2))
    for hour in (1, 2):
        with store.write("trouble") as tx:
            for uid in (1, 2):
                due = BEGIN + timedelta(hours=hour)
                tx.set_trouble(inbox.folder, EPOCH, Uid(uid), "missing", f"asked {hour} times", due)
    with store.read() as view:
        assert view.troubles() == view.troubles(inbox.folder)
        found = [(trouble.uid, trouble.tries, trouble.reason, trouble.next_try_at) for trouble in view.troubles()]
    assert found == [(uid, 2, "asked 2 times", BEGIN + timedelta(hours=2)) for uid in (1, 2)]
    with store.write("clear") as tx:
        tx.clear_trouble(inbox.folder, Uid(1))
        tx.remove_messages(inbox.folder, EPOCH, UidSet([2]))
        assert tx.view.troubles() == ()


def test_an_account_nobody_named_is_unknown(store: MailStore) -> None:
    with store.read() as view, pytest.raises(UnknownAccount):
        view.folders(ACCOUNT)
    with pytest.raises(UnknownAccount), store.write("folder") as tx:
        tx.add_folder(ACCOUNT, listed("INBOX"))
