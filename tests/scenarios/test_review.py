"""What a second reader of the engine found: mail that stayed hidden, folders taken for one another, visits without end.

Every scenario runs through the real provider on the memory server; the store is checked to its last octet at the end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from provider import Account, FolderPolicy, MailStoreProvider, SyncRequest, SyncResult
from provider.errors import ConnectionLost
from provider.events import ItemStatus
from provider.sources.base import Exactness
from provider.testing import ManualClock, MemoryServer
from store import BodyState, Folder, FolderState, MailStore, Message, WriteTransaction, open_store
from store.mail import UidSet

GUARD_SECONDS = 20
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db") as store:
        yield store
        assert store.check(full=True).problems == ()


def synchronize(store: MailStore, account: Account, clock: ManualClock | None = None) -> SyncResult:
    with MailStoreProvider(store, [account], clock=clock) as dock:
        return dock.SynchronizeInBackground(SyncRequest()).wait(GUARD_SECONDS)


def fill(server: MemoryServer, folder: str, count: int, *, octets: int = 60) -> None:
    for number in range(count):
        server.append(folder, b"Subject: %s %d\r\n\r\n" % (folder.encode(), number) + b"x" * octets)


def messages(store: MailStore, path: str = "INBOX") -> list[Message]:
    with store.read() as view:
        found = [folder for folder in view.folders() if str(folder.path) == path]
        return sorted(
            (message for folder in found for message in view.messages(folder.id, limit=5000).messages),
            key=lambda message: message.uid,
        )


def folders(store: MailStore, path: str) -> list[Folder]:
    with store.read() as view:
        return [folder for folder in view.folders() if str(folder.path) == path]


def test_expunges_that_nobody_told_of_do_not_hide_as_many_messages_that_were_not_listed_yet(store: MailStore) -> None:
    server = MemoryServer(exactness=Exactness.FLAGS)
    fill(server, "INBOX", 300)
    # The newest page of 50 is committed, then the line breaks until the run gives up.
    server.faults.refuse("summaries", ConnectionLost("The connection broke."))
    assert not synchronize(store, server.account()).ok
    listed = [message.uid for message in messages(store)]
    assert len(listed) == 50
    server.faults.clear()
    server.expunge("INBOX", *listed)
    assert synchronize(store, server.account()).ok
    assert [message.uid for message in messages(store)] == [one.uid for one in server.messages("INBOX")]


def test_mail_of_a_folder_that_only_holds_folders_now_is_removed(store: MailStore) -> None:
    server = MemoryServer()
    server.add_folder("Work")
    fill(server, "Work", 5)
    synchronize(store, server.account())
    assert len(messages(store, "Work")) == 5
    server.expunge("Work", *(one.uid for one in server.messages("Work")))
    server.folder("Work").selectable = False
    result = synchronize(store, server.account())
    assert result.ok
    assert messages(store, "Work") == []
    assert result.downloaded.deleted == 5
    server.folder("Work").selectable = True
    fill(server, "Work", 2)
    assert synchronize(store, server.account()).ok
    assert [message.uid for message in messages(store, "Work")] == [6, 7]


def test_folders_that_get_other_object_ids_stay_the_same_folders(store: MailStore) -> None:
    server = MemoryServer()
    names = ("INBOX", "a", "b", "c")
    for name in names[1:]:
        server.add_folder(name)
    for name in names:
        fill(server, name, 2)
    synchronize(store, server.account())
    before = {message.key for name in names for message in messages(store, name)}
    for name in names:
        server.folder(name).object_id += "-after-the-move"
        fill(server, name, 1)
    result = synchronize(store, server.account())
    assert result.ok
    assert result.downloaded.bodies == len(names)
    assert before < {message.key for name in names for message in messages(store, name)}


def test_a_missing_folder_is_not_opened_by_a_name_that_another_one_has_now(store: MailStore) -> None:
    server = MemoryServer()
    names = ("a", "b", "c", "d", "e", "f")
    for name in names:
        server.add_folder(name)
        fill(server, name, 3)
    synchronize(store, server.account())
    (old,) = folders(store, "a")
    # Most of the tree is gone at once, which is not believed; and "b" is called "a" now.
    for name in ("a", "c", "d", "e", "f"):
        server.delete_folder(name)
    server.rename_folder("b", "a")
    synchronize(store, server.account())
    with store.read() as view:
        missing = view.folder(old.id)
        assert missing.state is FolderState.MISSING
        assert {message.subject for message in view.messages(old.id).messages} == {f"a {n}" for n in range(3)}


def test_a_trouble_with_a_body_that_no_policy_wants_any_more_does_not_open_the_folder_for_ever(
    store: MailStore,
) -> None:
    clock = ManualClock()
    server = MemoryServer()
    fill(server, "INBOX", 3, octets=100_000)
    server.faults.poison("INBOX", 2)
    synchronize(store, server.account(), clock)
    account = server.account(policy=FolderPolicy(size_octets_max=1_000))
    clock.advance(2 * DAY.total_seconds())
    synchronize(store, account, clock)
    opened = server.calls.count("open INBOX")
    for _ in range(3):
        assert synchronize(store, account, clock).ok
    assert server.calls.count("open INBOX") == opened


def test_a_message_without_octets_still_shows_its_header(store: MailStore) -> None:
    server = MemoryServer()
    fill(server, "INBOX", 300)
    server.faults.poison("INBOX", 7)
    synchronize(store, server.account())
    by_uid = {int(message.uid): message for message in messages(store)}
    assert len(by_uid) == 300
    assert by_uid[7].body is BodyState.HEADERS
    with store.read() as view:
        assert [(trouble.uid, trouble.kind, trouble.tries) for trouble in view.troubles()] == [(7, "poison", 1)]


def test_what_came_and_went_while_nobody_looked_does_not_bring_all_headers_in_one_piece(store: MailStore) -> None:
    server = MemoryServer(exactness=Exactness.FLAGS)
    fill(server, "INBOX", 1500)
    synchronize(store, server.account())
    old = [one.uid for one in server.messages("INBOX")]
    fill(server, "INBOX", 1500)
    server.expunge("INBOX", *old)
    asked = len(server.calls)
    assert synchronize(store, server.account()).ok
    assert len(messages(store)) == 1500
    assert "summaries INBOX" in server.calls[asked:]


def test_a_line_that_breaks_again_and_again_lists_a_large_folder_in_one_run(store: MailStore) -> None:
    server = MemoryServer()
    fill(server, "INBOX", 9_000, octets=1)
    server.faults.cut_after(2_500, times=None)
    account = server.account(policy=FolderPolicy(size_octets_max=0))
    result = synchronize(store, account)
    with store.read() as view:
        assert view.cursor(view.folders()[0].id).listed_from == 1
    assert result.items[0].status is ItemStatus.SUCCEEDED


def test_a_folder_that_was_renamed_between_two_connections_is_opened_by_its_new_name(store: MailStore) -> None:
    server = MemoryServer()
    server.add_folder("old")
    fill(server, "old", 4)
    synchronize(store, server.account())
    fill(server, "old", 4)
    hang = server.faults.hang("open", "old")
    with MailStoreProvider(store, [server.account()]) as dock:
        handle = dock.SynchronizeInBackground(SyncRequest())
        assert hang.entered.wait(5)
        server.faults.refuse("open", ConnectionLost("The connection broke."), times=1)
        server.rename_folder("old", "new")
        hang.release()
        assert handle.wait(GUARD_SECONDS).ok
    assert len(messages(store, "new")) == 8


def test_a_gap_that_is_gone_does_not_hide_a_message_that_was_not_listed_from_a_full_comparison(
    store: MailStore,
) -> None:
    server = MemoryServer()
    fill(server, "INBOX", 4)
    server.faults.omit("INBOX", 2)
    synchronize(store, server.account())
    server.faults.omit("INBOX", 5)
    fill(server, "INBOX", 1)
    server.expunge("INBOX", 2)
    synchronize(store, server.account())
    server.faults.clear()
    with MailStoreProvider(store, [server.account()]) as dock:
        dock.SynchronizeInBackground(SyncRequest(full=True)).wait(GUARD_SECONDS)
    with store.read() as view:
        inbox = view.folders()[0].id
        assert view.uids(inbox) == UidSet([1, 3, 4, 5])
        assert view.troubles() == ()


@pytest.mark.parametrize("deleted", [True, False], ids=["a folder is deleted", "its messages are expunged"])
def test_much_mail_is_removed_in_several_units_of_work(store: MailStore, deleted: bool) -> None:
    server = MemoryServer()
    server.add_folder("Work")
    fill(server, "Work", 4_500, octets=1)
    account = server.account(policy=FolderPolicy(size_octets_max=0))
    synchronize(store, account)
    if deleted:
        server.delete_folder("Work")
    else:
        server.expunge("Work", *(one.uid for one in server.messages("Work")))
    written: list[int] = []
    write = store.write

    @contextmanager
    def counting(name: str, **more: Any) -> Iterator[WriteTransaction]:
        with write(name, **more) as tx:
            before = sum(folder.counts.listed for folder in tx.view.folders())
            yield tx
            written.append(before - sum(folder.counts.listed for folder in tx.view.folders()))

    with patch.object(store, "write", counting):
        result = synchronize(store, account)
    assert result.downloaded.deleted == 4_500
    assert sum(written) == 4_500
    assert max(written) <= 2_000
