"""Messages that were taken away in error come back without a download."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from provider import MailStoreProvider, SyncRequest, SyncResult
from provider.sources.base import Exactness
from provider.testing import MemoryServer
from store import MailStore, MessageKey, open_store

GUARD_SECONDS = 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db") as store:
        yield store


def synchronize(dock: MailStoreProvider) -> SyncResult:
    return dock.SynchronizeInBackground(SyncRequest()).wait(GUARD_SECONDS)


def keys(store: MailStore) -> list[MessageKey]:
    with store.read() as view:
        return sorted(message.key for message in view.all_messages(limit=500).messages)


@pytest.mark.parametrize("exactness", list(Exactness))
def test_a_message_that_vanished_and_is_listed_again_comes_back_with_key_and_octets(
    store: MailStore, exactness: Exactness
) -> None:
    server = MemoryServer(exactness=exactness)
    for number in range(10):
        server.append("INBOX", b"Subject: %d\r\n\r\nbody\r\n" % number)
    with MailStoreProvider(store, [server.account()]) as dock:
        synchronize(dock)
        before = keys(store)
        # The store is told that three are gone, as a server in error would; the server still has them.
        with store.read() as view:
            folder = view.folders()[0]
            epoch, uids = view.cursor(folder.id).epoch, view.uids(folder.id).newest(3)
        assert epoch is not None
        with store.write("a server in error") as tx:
            assert tx.remove_messages(folder.id, epoch, uids) == 3
        server.append("INBOX", b"Subject: new\r\n\r\nbody\r\n")
        result = synchronize(dock)
    assert result.ok
    assert result.downloaded.new == 4
    assert result.downloaded.bodies == 1
    assert set(before) < set(keys(store))
    assert store.check(full=True).problems == ()


def test_a_run_purges_what_was_removed_a_week_ago_and_nothing_younger(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    server = MemoryServer()
    for number in range(3):
        server.append("INBOX", b"Subject: %d\r\n\r\nbody\r\n" % number)

    def tombstones() -> int:
        with closing(sqlite3.connect(tmp_path / "mail.db")) as connection:
            return int(connection.execute("SELECT count(*) FROM tombstones").fetchone()[0])

    with (
        open_store(tmp_path / "mail.db", clock=lambda: now[0]) as store,
        MailStoreProvider(store, [server.account()]) as dock,
    ):
        synchronize(dock)
        server.expunge("INBOX", server.messages("INBOX")[0].uid)
        synchronize(dock)
        now[0] += 6.9 * 86_400
        synchronize(dock)
        assert tombstones() == 1
        now[0] += 0.2 * 86_400
        synchronize(dock)
        assert tombstones() == 0
        server.expunge("INBOX", server.messages("INBOX")[0].uid)
        synchronize(dock)
        now[0] += 1.9 * 3_600
        server.expunge("INBOX", server.messages("INBOX")[0].uid)
        synchronize(dock)
        for hours, left in ((7 * 24 - 1.8, 1), (1.9, 1), (1.2, 0)):  # three hours after the last time, and not before
            now[0] += hours * 3_600
            synchronize(dock)
            assert tombstones() == left
        assert store.check(full=True).ok
