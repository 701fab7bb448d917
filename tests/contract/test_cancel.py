"""Cancelling a real synchronization over real sockets, wherever it is at that moment; and hosts that misbehave in it.

The memory server's part of this contract is in ``test_provider``. Here the network itself is what hangs: a connect, a
handshake, an answer, a literal. Each run ends CANCELED with one ``done``, leaves a sound store, and the next one
completes it.
"""

import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from provider import (
    Account,
    CancelRequest,
    Event,
    ItemStatus,
    MailStoreProvider,
    ResultStatus,
    Security,
    SyncHandle,
    SyncProgress,
    SyncRequest,
    WaitInsideCallback,
)
from store import MailStore, database, open_store
from tests.contract.playing import GUARD_SECONDS, Host
from tests.crash.child import ME, account_of
from tests.crash.judge import differences, on_server
from tests.crash.scenes import OTHER, SCENES, mail
from tests.servers.certs import CertificateShop
from tests.servers.fake_answer import Answer, Then
from tests.servers.fakeimap import FakeImap
from tests.servers.relay import Fault, Relay, Way

LARGE_OCTETS = 30_000_000
LARGE_GUARD_SECONDS = 30.0


@pytest.fixture
def fake() -> Iterator[FakeImap]:
    with FakeImap() as fake:
        SCENES["first"].fill(fake, 12)
        yield fake


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db") as store:
        yield store


def account_on(fake: FakeImap, **more: object) -> Account:
    job = {"port": fake.port, "user": fake.user, "password": fake.password}
    return replace(account_of(job), **more)  # type: ignore[arg-type]


@dataclass
class Play:
    """One synchronization that a test cancels. *react* may answer each event; it runs in the callback."""

    store: MailStore
    fake: FakeImap
    account: Account
    react: Callable[[Event], Any] = lambda event: None
    silent: threading.Event = field(default_factory=threading.Event)
    """Set when the run tells that it waits for an answer that does not come."""

    @contextmanager
    def running(self) -> Iterator[SyncHandle]:
        """Start; when the test is through, insist on the end of a cancelled run and on the next one's success."""
        host = Host(self._hear)
        with MailStoreProvider(self.store, [self.account]) as provider:
            handle = provider.SynchronizeInBackground(SyncRequest(callback=host))
            yield handle
            result = handle.wait(GUARD_SECONDS)
            assert host.all()[-1] == result  # one done, and the grammar
        assert result.status is ResultStatus.CANCELED, result
        assert result.errors == ()
        assert self.store.check(full=True).problems == ()
        with self.store.read() as view:
            assert [run.status for run in view.runs()] == ["canceled"]
        self.complete()

    def _hear(self, event: Event) -> Any:
        if isinstance(event, SyncProgress) and event.stalled_seconds is not None:
            self.silent.set()
        return self.react(event)

    def wait_silent(self) -> None:
        assert self.silent.wait(GUARD_SECONDS), "the run never said that it waits"

    def complete(self) -> None:
        """Synchronize without disturbance, and compare with the server."""
        self.fake.faults.clear()
        with MailStoreProvider(self.store, [account_on(self.fake)]) as provider:
            result = provider.SynchronizeInBackground().wait(LARGE_GUARD_SECONDS)
        assert result.status is ResultStatus.COMPLETE, result
        assert differences(self.store, on_server(self.fake)) == []


@contextmanager
def nobody_accepts() -> Iterator[int]:
    """A port on which a connect gets no answer: the queue of its listener is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextmanager
def says(greeting: bytes) -> Iterator[int]:
    """A port that accepts, says *greeting*, and then listens for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []

        def accept() -> None:
            sock, _ = listener.accept()
            kept.append(sock)
            sock.sendall(greeting)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(GUARD_SECONDS)
        for sock in kept:
            sock.close()


SILENT_DOORS = {
    "connect": (nobody_accepts, Security.NONE),
    "TLS handshake": (lambda: says(b""), Security.TLS),
    "greeting": (lambda: says(b""), Security.NONE),
    "STARTTLS": (lambda: says(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n"), Security.STARTTLS),
    "login": (lambda: says(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n"), Security.NONE),
}


@pytest.mark.parametrize("place", SILENT_DOORS)
def test_cancelling_at_a_door_that_does_not_open(place: str, fake: FakeImap, store: MailStore) -> None:
    door, security = SILENT_DOORS[place]
    with door() as port:
        play = Play(store, fake, account_on(fake, port=port, security=security))
        with play.running() as handle:
            play.wait_silent()
            handle.cancel()


def test_cancelling_in_the_middle_of_a_handshake(certs: CertificateShop, fake: FakeImap, store: MailStore) -> None:
    with ExitStack() as stack:
        secured = stack.enter_context(FakeImap(tls_context=certs.good().server_context(), implicit_tls=True))
        relay = stack.enter_context(Relay(secured.port, fault=Fault.STALL, way=Way.DOWN, at=50))
        play = Play(store, fake, account_on(fake, port=relay.port, security=Security.TLS, ca_file=certs.authority))
        with play.running() as handle:
            play.wait_silent()
            assert relay.struck.is_set()
            handle.cancel()


@pytest.mark.parametrize("command", ["LIST", "EXAMINE", "UID FETCH"])
def test_cancelling_while_the_server_is_silent(command: str, fake: FakeImap, store: MailStore) -> None:
    entered = threading.Event()

    def hush(answer: Answer) -> None:
        answer.rows.clear()
        answer.completion, answer.then = None, Then.SILENCE
        entered.set()

    fake.faults.on(command, hush)
    play = Play(store, fake, account_on(fake))
    with play.running() as handle:
        assert entered.wait(GUARD_SECONDS)
        handle.cancel()


def test_cancelling_at_each_command_of_a_session(fake: FakeImap, tmp_path: Path) -> None:
    statuses: list[ResultStatus] = []
    while ResultStatus.COMPLETE not in statuses:
        with open_store(tmp_path / f"{len(statuses)}.db") as store:
            statuses.append(_cancelled_at_command(len(statuses), fake, store))
    assert len(statuses) >= 8
    assert set(statuses[:-1]) == {ResultStatus.CANCELED}


def _cancelled_at_command(number: int, fake: FakeImap, store: MailStore) -> ResultStatus:
    """Cancel from the server's thread, before it answers: the answer comes to somebody who is leaving."""
    handles: list[SyncHandle] = []
    begun = threading.Event()

    def cancel(answer: Answer) -> None:
        assert begun.wait(GUARD_SECONDS)
        handles[0].cancel()

    play = Play(store, fake, account_on(fake))
    fake.faults.on("*", cancel, skip=number, times=1)
    host = Host()
    with MailStoreProvider(store, [play.account]) as provider:
        handles.append(provider.SynchronizeInBackground(SyncRequest(callback=host)))
        begun.set()
        result = handles[0].wait(GUARD_SECONDS)
        assert host.all()[-1] == result
    assert store.check(full=True).problems == ()
    play.complete()
    return result.status


@pytest.fixture
def with_large_message(fake: FakeImap) -> FakeImap:
    head = b"Subject: large\r\nMessage-ID: <large@x.example>\r\n\r\n"
    fake.append("INBOX", head + b"one of very many lines of this message\r\n" * (LARGE_OCTETS // 40))
    return fake


AS_LITERAL, IN_PARTS = {"whole_octets": 64_000_000}, {"whole_octets": 4_000_000}


@pytest.mark.parametrize("limits", [AS_LITERAL, IN_PARTS], ids=["one literal", "parts"])
def test_cancelling_in_the_middle_of_a_message_of_30_mb(
    limits: dict[str, int], with_large_message: FakeImap, store: MailStore
) -> None:
    fake = with_large_message

    def enough(event: Event) -> CancelRequest | None:
        return CancelRequest.ALL if isinstance(event, SyncProgress) and event.octets_done > 5_000_000 else None

    # The last third waits for the cancel: on a fast machine the whole message would be there before the host answers.
    with Relay(fake.port, fault=Fault.STALL, way=Way.DOWN, at=20_000_000) as relay:
        account = account_on(fake, port=relay.port)
        play = Play(store, fake, replace(account, limits=replace(account.limits, **limits)), enough)
        with play.running():
            pass


@pytest.mark.parametrize("limits", [AS_LITERAL, IN_PARTS], ids=["one literal", "parts"])
def test_cancelling_while_a_message_of_30_mb_has_stopped_coming(
    limits: dict[str, int], with_large_message: FakeImap, store: MailStore
) -> None:
    fake = with_large_message
    with Relay(fake.port, fault=Fault.STALL, way=Way.DOWN, at=10_000_000) as relay:
        account = account_on(fake, port=relay.port)
        play = Play(store, fake, replace(account, limits=replace(account.limits, **limits)))
        with play.running() as handle:
            assert relay.struck.wait(GUARD_SECONDS)
            play.wait_silent()
            handle.cancel()


class Held:
    """Commits of the store wait here once it is armed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.skip = 0
        self.entered, self.go_on = threading.Event(), threading.Event()
        held = self

        class Waiting(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    held.commit()
                return super().execute(sql, parameters)

        monkeypatch.setattr(database, "CONNECTION_CLASS", Waiting)

    def commit(self) -> None:
        self.skip -= 1
        if self.skip == 0:
            self.entered.set()
            assert self.go_on.wait(GUARD_SECONDS)


@pytest.mark.parametrize("number", range(1, 5))
def test_cancelling_during_a_commit(
    number: int, fake: FakeImap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    with open_store(tmp_path / "mail.db") as store:
        held.skip = number
        with Play(store, fake, account_on(fake)).running() as handle:
            assert held.entered.wait(GUARD_SECONDS)
            handle.cancel()
            held.go_on.set()


def test_cancelling_a_paused_run(fake: FakeImap, store: MailStore) -> None:
    paused, handles, begun = threading.Event(), list[SyncHandle](), threading.Event()

    def pause(answer: Answer) -> None:
        assert begun.wait(GUARD_SECONDS)
        handles[0].pause()

    def hear(event: Event) -> None:
        if isinstance(event, SyncProgress) and event.status is ItemStatus.PAUSED:
            paused.set()

    fake.faults.on("EXAMINE", pause, times=1)
    with Play(store, fake, account_on(fake), hear).running() as handle:
        handles.append(handle)
        begun.set()
        assert paused.wait(GUARD_SECONDS)
        handle.cancel()


# --- hosts that misbehave ------------------------------------------------------------------------------------------


def raises(event: Event, provider: MailStoreProvider, store: MailStore, let_go: threading.Event) -> None:
    raise ZeroDivisionError("a bug of the host")


def blocks(event: Event, provider: MailStoreProvider, store: MailStore, let_go: threading.Event) -> None:
    assert let_go.wait(GUARD_SECONDS)


def reads_writes_and_starts_more(
    event: Event, provider: MailStoreProvider, store: MailStore, let_go: threading.Event
) -> None:
    with store.read() as view:
        for folder in view.folders(ME) if ME in view.accounts() else ():
            view.messages(folder.id)
    with store.write("a note of the host") as tx:
        tx.ensure_account(ME)
    more = provider.SynchronizeInBackground(SyncRequest(full=True))
    with pytest.raises(WaitInsideCallback):
        more.wait(0)
    more.pause()
    more.resume()
    more.cancel()


@pytest.mark.parametrize("behave", [raises, blocks, reads_writes_and_starts_more])
def test_whatever_a_host_does_in_its_callback_the_store_equals_the_server(
    behave: Callable[[Event, MailStoreProvider, MailStore, threading.Event], None], fake: FakeImap, store: MailStore
) -> None:
    let_go = threading.Event()
    faults: list[BaseException] = []
    with MailStoreProvider(store, [account_on(fake)]) as provider:

        def react(event: Event) -> None:
            try:
                behave(event, provider, store, let_go)
            except ZeroDivisionError:
                raise
            except BaseException as fault:  # an assertion in here would be isolated like any other bug of a host
                faults.append(fault)

        host = Host(react)
        result = provider.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
        let_go.set()
        assert host.all()[-1] == result
    assert faults == []
    assert result.status is ResultStatus.COMPLETE
    assert differences(store, on_server(fake)) == []


def test_a_callback_that_cancels_one_folder_loses_that_folder_for_this_run_only(
    fake: FakeImap, store: MailStore
) -> None:
    def stop_the_inbox(event: Event) -> CancelRequest | None:
        inbox = isinstance(event, SyncProgress) and event.folder == "INBOX"
        return CancelRequest.ITEM if inbox else None

    def hold_until_the_next_connection(answer: Answer) -> None:
        # Else a quick machine has the whole folder before the host's answer is heard.
        tick = threading.Event()
        if answer.folder == b"INBOX" and b"BODY.PEEK[]" in answer.command.raw:
            assert any(fake.connections > 1 or tick.wait(0.02) for _ in range(int(GUARD_SECONDS / 0.02)))

    for number in range(3):
        fake.append("INBOX", mail(500 + number, 300_000))  # too much for the first visit
    fake.faults.on("UID FETCH", hold_until_the_next_connection)
    host = Host(stop_the_inbox)
    with MailStoreProvider(store, [account_on(fake)]) as provider:
        result = provider.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
    host.all()
    status = {item.folder: item.status for item in result.items}
    assert status == {None: ItemStatus.SUCCEEDED, "INBOX": ItemStatus.CANCELED, OTHER: ItemStatus.SUCCEEDED}
    assert result.status is ResultStatus.COMPLETE_WITH_ERRORS
    assert store.check(full=True).problems == ()
    Play(store, fake, account_on(fake)).complete()
