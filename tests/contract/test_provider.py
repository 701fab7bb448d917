"""The provider as a host has it: a real store, the engine, and a mail server in memory with faults."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provider import (
    Account,
    ErrorKind,
    Event,
    FolderPolicy,
    ItemStatus,
    Keep,
    MailStoreProvider,
    Needs,
    Password,
    ResultStatus,
    SyncFlags,
    SyncRequest,
    SyncResult,
    UnknownItem,
)
from provider.testing import MemoryServer, RecordingCallback
from store import BodyState, MailStore, Message, open_store
from store.mail import AccountId, MessageKey
from tests.contract.playing import GUARD_SECONDS, Host

ME = AccountId("memory")
ALL = SyncFlags.ALL_DIRECTIONS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db") as store:
        yield store


@pytest.fixture
def server() -> MemoryServer:
    server = MemoryServer()
    server.add_folder("Lists/python")
    for number in range(12):
        server.append("INBOX", raw(number))
    server.append("Lists/python", raw(99))
    return server


@pytest.fixture
def dock(store: MailStore, server: MemoryServer) -> Iterator[MailStoreProvider]:
    with MailStoreProvider(store, [server.account()]) as dock:
        yield dock


def raw(number: int) -> bytes:
    """A message of 100 kB: its header block and its body come in two steps."""
    return b"Message-ID: <%d@example.org>\r\nSubject: number %d\r\n\r\n" % (number, number) + b"0123456789\r\n" * 8_000


def mail(store: MailStore, folder: str = "INBOX") -> tuple[Message, ...]:
    with store.read() as view:
        found = next(known for known in view.folders(ME) if str(known.path) == folder)
        return view.messages(found.id, limit=500).messages


def synchronize(dock: MailStoreProvider, flags: SyncFlags = ALL, *folders: str) -> RecordingCallback:
    """Synchronize to the end and return a checked log."""
    host = RecordingCallback()
    dock.SynchronizeInBackground(SyncRequest(flags=flags, folders=folders, callback=host)).wait(GUARD_SECONDS)
    assert host.wait_done(GUARD_SECONDS)
    host.grammar()
    return host


@pytest.mark.parametrize("place", ["connect", "folders", "open", "headers", "bodies"])
def test_cancelling_while_the_server_is_silent_ends_the_run_and_the_next_one_completes(
    place: str, dock: MailStoreProvider, server: MemoryServer, store: MailStore
) -> None:
    hang, host = server.faults.hang(place), RecordingCallback()
    handle = dock.SynchronizeInBackground(SyncRequest(callback=host))
    assert hang.entered.wait(GUARD_SECONDS)
    handle.cancel()
    assert handle.wait(GUARD_SECONDS).status is ResultStatus.CANCELED
    assert host.wait_done(GUARD_SECONDS)
    host.grammar()
    assert host.errors == ()
    assert store.check(full=True).ok
    server.faults.clear()
    result = synchronize(dock).result
    assert result is not None
    assert result.status is ResultStatus.COMPLETE
    assert len(mail(store)) == 12
    assert {message.body for message in mail(store)} == {BodyState.FULL}


def test_closing_while_the_server_is_silent_leaves_a_store_in_order(server: MemoryServer, store: MailStore) -> None:
    hang = server.faults.hang("bodies")
    with MailStoreProvider(store, [server.account()]) as dock:
        handle = dock.SynchronizeInBackground()
        assert hang.entered.wait(GUARD_SECONDS)
    assert handle.wait(0).status is ResultStatus.CANCELED
    assert store.check(full=True).ok


def test_fetch_brings_what_policy_left_behind_and_nothing_else(server: MemoryServer, store: MailStore) -> None:
    with MailStoreProvider(store, [server.account(policy=FolderPolicy(keep=Keep.HEADERS))]) as dock:
        synchronize(dock)
        assert {message.body for message in mail(store)} == {BodyState.HEADERS}
        wanted, host = mail(store)[3], RecordingCallback()
        assert dock.fetch([wanted.key], callback=host).wait(GUARD_SECONDS).ok
        assert host.wait_done(GUARD_SECONDS)
        host.grammar()
        with store.read() as view:
            assert view.raw(wanted.key) == raw(int(wanted.subject.split()[-1]))
        assert [message.key for message in mail(store) if message.body is BodyState.FULL] == [wanted.key]
        assert dock.fetch([wanted.key]).wait(GUARD_SECONDS).downloaded.bodies == 0
        with pytest.raises(UnknownItem):
            dock.fetch([MessageKey(123_456)])


def test_fetch_of_messages_of_two_accounts_is_one_request(server: MemoryServer, store: MailStore) -> None:
    policy, other = FolderPolicy(keep=Keep.HEADERS), MemoryServer()
    other.append("INBOX", raw(500))
    accounts = [server.account(policy=policy), other.account("other", policy=policy)]
    with MailStoreProvider(store, accounts) as dock:
        synchronize(dock)
        with store.read() as view:
            keys = [view.all_messages(account.id, limit=1).messages[0].key for account in accounts]
        result = dock.fetch([*keys, keys[0]]).wait(GUARD_SECONDS)
    assert (result.status, result.downloaded.bodies) == (ResultStatus.COMPLETE, 2)
    assert {item.account for item in result.items} == {account.id for account in accounts}


def test_a_message_is_not_fetched_for_an_account_that_was_removed(dock: MailStoreProvider, store: MailStore) -> None:
    synchronize(dock)
    dock.remove_account(ME)
    with pytest.raises(UnknownItem):
        dock.fetch([mail(store)[0].key])


def test_fetch_overtakes_a_synchronization_that_is_at_its_bodies(
    dock: MailStoreProvider, server: MemoryServer, store: MailStore
) -> None:
    hang, host = server.faults.hang("bodies"), RecordingCallback()
    long = dock.SynchronizeInBackground(SyncRequest(callback=host))
    assert hang.entered.wait(GUARD_SECONDS)
    urgent = dock.fetch([mail(store)[-1].key])
    server.faults.clear()
    assert urgent.wait(GUARD_SECONDS).ok
    assert long.wait(GUARD_SECONDS).ok
    assert host.wait_done(GUARD_SECONDS)
    host.grammar()
    assert {message.body for message in mail(store)} == {BodyState.FULL}


def test_an_unknown_folder_is_an_error_event_and_the_known_ones_are_synchronized(
    dock: MailStoreProvider, store: MailStore
) -> None:
    host = synchronize(dock, ALL | SyncFlags.SYNC_THESE_FOLDERS, "INBOX", "No such folder")
    assert [(error.kind, error.folder) for error in host.errors] == [(ErrorKind.UNKNOWN_ITEM, "No such folder")]
    assert host.result is not None
    assert host.result.status is ResultStatus.COMPLETE_WITH_ERRORS
    assert host.of_item(ME, "INBOX")[-1].status is ItemStatus.SUCCEEDED
    assert host.of_item(ME, "Lists/python") == ()


def test_a_wrong_password_fails_the_account_and_asks_for_a_login(store: MailStore) -> None:
    server = MemoryServer(password="right")
    with MailStoreProvider(store, [server.account(credentials=Password("wrong-and-secret"))]) as dock:
        host = synchronize(dock)
    assert [(error.kind, error.needs) for error in host.errors] == [(ErrorKind.LOGIN_REFUSED, Needs.LOGIN)]
    assert host.result is not None
    assert host.result.status is ResultStatus.FAILED
    assert "wrong-and-secret" not in repr(host.events)


def test_an_account_that_another_provider_synchronizes_is_busy(
    dock: MailStoreProvider, server: MemoryServer, store: MailStore
) -> None:
    hang = server.faults.hang("folders")
    first = dock.SynchronizeInBackground()
    assert hang.entered.wait(GUARD_SECONDS)
    with MailStoreProvider(store, [server.account()]) as other:
        host = synchronize(other)
    assert [(error.kind, error.needs) for error in host.errors] == [(ErrorKind.BUSY, Needs.RETRY)]
    server.faults.clear()
    assert first.wait(GUARD_SECONDS).ok


def test_an_account_of_an_unknown_kind_fails_by_itself(server: MemoryServer, store: MailStore) -> None:
    odd = Account(id=AccountId("odd"), kind="carrier-pigeon")
    with MailStoreProvider(store, [server.account(), odd]) as dock:
        host = synchronize(dock)
    assert [(error.kind, error.account) for error in host.errors] == [(ErrorKind.INVALID_REQUEST, odd.id)]
    assert host.of_item(ME, None)[-1].status is ItemStatus.SUCCEEDED
    assert len(mail(store)) == 12


def raises(event: Event, dock: MailStoreProvider, let_go: threading.Event) -> None:
    raise ZeroDivisionError


def blocks(event: Event, dock: MailStoreProvider, let_go: threading.Event) -> None:
    assert let_go.wait(GUARD_SECONDS)


def re_enters(event: Event, dock: MailStoreProvider, let_go: threading.Event) -> None:
    if not isinstance(event, SyncResult):
        dock.SynchronizeInBackground(SyncRequest(flags=ALL | SyncFlags.SYNC_BACKGROUND)).cancel()


@pytest.mark.parametrize("behave", [raises, blocks, re_enters])
def test_whatever_a_host_does_in_every_callback_the_mail_comes_down_whole(
    behave: Callable[[Event, MailStoreProvider, threading.Event], None],
    dock: MailStoreProvider,
    server: MemoryServer,
    store: MailStore,
) -> None:
    let_go = threading.Event()
    host = Host(lambda event: behave(event, dock, let_go))
    result = dock.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
    assert result.status is ResultStatus.COMPLETE
    let_go.set()
    assert host.all()[-1] == result
    with store.read() as view:
        ours = sorted(view.raw(message.key) for message in mail(store))
    assert ours == sorted(message.octets for message in server.messages("INBOX"))
    assert store.check(full=True).ok
