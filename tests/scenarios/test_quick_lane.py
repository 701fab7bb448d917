"""The quick lane in whole runs: a fetch beside a synchronization, both on one message, and servers that take only one.

The server in memory hangs where a test wants a lane to stand still; over real sockets the relay stalls the connection
of the synchronization, and later connections run free of it.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest

import provider.run
from provider import (
    Account,
    ErrorKind,
    FolderPolicy,
    Keep,
    MailStoreProvider,
    Needs,
    ResultStatus,
    ServerBusy,
    Severity,
    Shortcuts,
    SyncHandle,
    SyncRequest,
    TooManyConnections,
)
from provider.testing import MemoryServer, RecordingCallback
from store import BodyState, MailStore, Message
from store.mail import AccountId

from ..servers.dovecot import Dovecot, DovecotAccount
from ..servers.fake_answer import Answer
from ..servers.fakeimap import FakeImap
from ..servers.plain_client import NewMessage
from ..servers.relay import Fault, Relay
from ..servers.require import require_dovecot
from .rig import HANG_SECONDS, account_at, mail_of, synchronize

MEMORY = AccountId("memory")
LISTS = "Lists"
LARGE = 600_000
"""Octets of a message that needs several chunks, and so is half here for a while."""
REFUSED = TooManyConnections("One too many.", server_text="Too many simultaneous connections.")


def letter(number: int, octets: int = 2_000) -> bytes:
    head = b"Message-ID: <%d@x.example>\r\nFrom: a@x.example\r\nSubject: number %d\r\n\r\n" % (number, number)
    return head + b"%d lines\r\n" % number * (octets // 8)


class Scene:
    """INBOX with headers only, Lists to be brought whole, and one listener for each request."""

    def __init__(self, store: MailStore, account: Account) -> None:
        self.store, self.account = store, account
        self.dock = MailStoreProvider(store, [account])
        self.hosts: list[RecordingCallback] = []

    def heard(self) -> RecordingCallback:
        self.hosts.append(RecordingCallback())
        return self.hosts[-1]

    def synchronize(self) -> SyncHandle:
        return self.dock.SynchronizeInBackground(SyncRequest(callback=self.heard()))

    def fetch(self, *messages: Message) -> SyncHandle:
        return self.dock.fetch([message.key for message in messages], callback=self.heard())

    def mail(self, folder: str = "INBOX") -> list[Message]:
        return mail_of(self.store, folder, self.account.id)

    def runs(self) -> list[tuple[str, str]]:
        """Return lane and status of each run, oldest first."""
        with self.store.read() as view:
            return [(run.lane, run.status) for run in reversed(view.runs(self.account.id))]

    def reason(self) -> str:
        with self.store.read() as view:
            return view.one_connection(self.account.id)

    def again(self) -> None:
        """Begin anew with another provider, as the next process would."""
        self.dock.close()
        self.dock = MailStoreProvider(self.store, [self.account])

    def end(self) -> None:
        """Close, and look at every log."""
        self.dock.close()
        for host in self.hosts:
            assert host.wait_done(HANG_SECONDS)
            host.grammar()


@pytest.fixture
def server() -> MemoryServer:
    server = MemoryServer()
    server.add_folder(LISTS)
    for number in range(1, 5):
        server.append("INBOX", letter(number))
    server.append("INBOX", letter(9, LARGE))
    return server


@pytest.fixture
def scene(mail_store: MailStore, server: MemoryServer) -> Iterator[Scene]:
    """The account was synchronized; since then Lists got mail."""
    policies = (("INBOX", FolderPolicy(keep=Keep.HEADERS)),)
    scene = Scene(mail_store, replace(server.account(), policies=policies))
    assert scene.synchronize().wait(HANG_SECONDS).ok
    for number in range(20, 26):
        server.append(LISTS, letter(number))
    yield scene
    server.faults.clear()
    scene.end()


def connects(server: MemoryServer) -> int:
    return server.calls.count("connect")


def body(scene: Scene, message: Message) -> bytes:
    with scene.store.read() as view:
        return view.raw(message.key)


# -- side by side -------------------------------------------------------------------------------------


def test_a_fetch_comes_back_while_the_synchronization_stands_still(scene: Scene, server: MemoryServer) -> None:
    hang, before = server.faults.hang("bodies", LISTS), connects(server)
    long = scene.synchronize()
    assert hang.entered.wait(HANG_SECONDS)
    for message in scene.mail()[:2]:
        assert scene.fetch(message).wait(HANG_SECONDS).ok
        assert body(scene, message) == letter(int(message.uid))
    assert not long.done
    assert connects(server) == before + 3  # the synchronization kept its own
    assert scene.runs()[1:] == [("bulk", ""), ("quick", "succeeded"), ("quick", "succeeded")]
    hang.release()
    assert long.wait(HANG_SECONDS).ok
    assert {message.body for message in scene.mail(LISTS)} == {BodyState.FULL}
    assert connects(server) == before + 3


def test_without_the_quick_lane_a_fetch_takes_its_turn_and_the_store_is_the_same(
    scene: Scene, server: MemoryServer
) -> None:
    scene.account = replace(scene.account, shortcuts=Shortcuts(quick_lane=False))
    scene.again()
    hang, before = server.faults.hang("bodies", LISTS), connects(server)
    long = scene.synchronize()
    assert hang.entered.wait(HANG_SECONDS)
    fetch = scene.fetch(scene.mail()[0])
    assert connects(server) == before + 1
    hang.release()
    assert fetch.wait(HANG_SECONDS).ok and long.wait(HANG_SECONDS).ok
    assert connects(server) == before + 3  # it yielded, and connected again
    assert {lane for lane, _ in scene.runs()} == {"bulk"}
    assert {message.body for message in scene.mail(LISTS)} == {BodyState.FULL}


def test_both_lanes_may_bring_the_same_message_at_once(scene: Scene, server: MemoryServer) -> None:
    server.append(LISTS, letter(9, LARGE))
    server.faults.hang("bodies", LISTS).release()
    policy = (("INBOX", FolderPolicy(keep=Keep.HEADERS)), (LISTS, FolderPolicy(keep=Keep.HEADERS)))
    whole, scene.account = scene.account, replace(scene.account, policies=policy)
    scene.again()
    assert scene.synchronize().wait(HANG_SECONDS).ok
    scene.account = whole
    scene.again()
    server.faults.clear()
    hang = server.faults.hang("bodies", LISTS)
    long = scene.synchronize()
    assert hang.entered.wait(HANG_SECONDS)
    there = server.calls.count(f"bodies {LISTS}")
    fetch = scene.fetch(*scene.mail(LISTS))
    until(lambda: server.calls.count(f"bodies {LISTS}") > there)
    hang.release()
    assert fetch.wait(HANG_SECONDS).ok and long.wait(HANG_SECONDS).ok
    assert sorted(map(len, (body(scene, message) for message in scene.mail(LISTS))))[-1] > LARGE - 100
    assert {message.body for message in scene.mail(LISTS)} == {BodyState.FULL}
    with closing(sqlite3.connect(scene.store.path)) as connection:
        # one lane's half of it may be left, until the next run of this account
        assert connection.execute("SELECT count(*) FROM blobs WHERE digest IS NULL").fetchone() <= (1,)
    assert scene.synchronize().wait(HANG_SECONDS).ok
    with closing(sqlite3.connect(scene.store.path)) as connection:
        assert connection.execute("SELECT count(*) FROM partials").fetchone() == (0,)


def test_a_folder_that_is_renumbered_under_a_fetch_is_read_again(scene: Scene, server: MemoryServer) -> None:
    hang = server.faults.hang("bodies", "INBOX")
    message = scene.mail()[2]
    fetch = scene.fetch(message)
    assert hang.entered.wait(HANG_SECONDS)
    server.expunge("INBOX", 1)
    server.reset_uid_validity("INBOX")
    assert scene.synchronize().wait(HANG_SECONDS).ok
    hang.release()
    assert fetch.wait(HANG_SECONDS).ok
    (now,) = [one for one in scene.mail() if one.key == message.key]
    assert now.uid != message.uid
    assert body(scene, now) == letter(3)


@pytest.mark.parametrize("what", ["message", "folder"])
def test_a_message_that_is_removed_under_a_fetch_is_a_clean_failure_and_the_others_come(
    what: str, scene: Scene, server: MemoryServer
) -> None:
    assert scene.synchronize().wait(HANG_SECONDS).ok
    server.add_folder("Short")
    for number in (31, 32):
        server.append("Short", letter(number))
    scene.account = replace(
        scene.account, policies=(*scene.account.policies, ("Short", FolderPolicy(keep=Keep.HEADERS)))
    )
    scene.again()
    assert scene.synchronize().wait(HANG_SECONDS).ok
    wanted, other = scene.mail("Short")[0], scene.mail()[0]
    hang = server.faults.hang("bodies", "Short")
    fetch = scene.fetch(wanted, other)
    assert hang.entered.wait(HANG_SECONDS)
    if what == "message":
        server.expunge("Short", int(wanted.uid))
    else:
        server.delete_folder("Short")
    for _ in range(2):  # a folder goes when two listings lack it
        scene.synchronize().wait(HANG_SECONDS)
    hang.release()
    result = fetch.wait(HANG_SECONDS)
    assert result.status is ResultStatus.FAILED
    assert ErrorKind.UNKNOWN_ITEM in {error.kind for error in result.errors}
    assert body(scene, other) == letter(1)
    assert scene.synchronize().wait(HANG_SECONDS).ok


# -- stopping -----------------------------------------------------------------------------------------


def test_cancelling_a_fetch_touches_its_own_connection_only(scene: Scene, server: MemoryServer) -> None:
    hangs, before = [server.faults.hang("bodies", folder) for folder in (LISTS, "INBOX")], connects(server)
    long = scene.synchronize()
    assert hangs[0].entered.wait(HANG_SECONDS)
    fetch = scene.fetch(scene.mail()[0])
    assert hangs[1].entered.wait(HANG_SECONDS)
    fetch.cancel()
    assert fetch.wait(HANG_SECONDS).status is ResultStatus.CANCELED
    assert not long.done
    hangs[0].release()
    assert long.wait(HANG_SECONDS).ok
    assert connects(server) == before + 2
    assert scene.mail()[0].body is BodyState.HEADERS


def test_a_paused_synchronization_does_not_pause_a_fetch_and_neither_outlives_the_provider(
    scene: Scene, server: MemoryServer
) -> None:
    before = set(threading.enumerate())
    hangs = [server.faults.hang("bodies", folder) for folder in (LISTS, "INBOX")]
    long = scene.synchronize()
    assert hangs[0].entered.wait(HANG_SECONDS)
    long.pause()
    fetch = scene.fetch(scene.mail()[0])
    assert hangs[1].entered.wait(HANG_SECONDS)
    hangs[1].release()
    assert fetch.wait(HANG_SECONDS).ok
    server.faults.clear()
    for folder in (LISTS, "INBOX"):
        server.faults.hang("bodies", folder)
    other = scene.fetch(scene.mail()[1])
    scene.dock.close()
    assert [handle.wait(0).status for handle in (long, other)] == [ResultStatus.CANCELED] * 2
    left = set(threading.enumerate()) - before
    assert [thread.name for thread in left if thread.name.startswith("maildock-")] == []


# -- servers that take one connection -----------------------------------------------------------------


def test_a_second_connection_that_is_refused_is_the_last_one_and_the_fetch_waits_for_its_turn(
    scene: Scene, server: MemoryServer
) -> None:
    hang, before = server.faults.hang("bodies", LISTS), connects(server)
    long = scene.synchronize()
    assert hang.entered.wait(HANG_SECONDS)
    server.faults.refuse("connect", REFUSED, times=1)
    fetch = scene.fetch(scene.mail()[0])
    told = scene.hosts[-1]
    until(lambda: told.errors != ())
    assert not fetch.done
    assert scene.reason() == "Too many simultaneous connections."
    later = scene.fetch(scene.mail()[1])
    assert connects(server) == before + 2
    hang.release()
    assert fetch.wait(HANG_SECONDS).ok and later.wait(HANG_SECONDS).ok and long.wait(HANG_SECONDS).ok
    assert {message.body for message in scene.mail(LISTS)} == {BodyState.FULL}
    (warning,) = told.errors
    assert (warning.kind, warning.severity, warning.needs) == (
        ErrorKind.SERVER_DEMOTED,
        Severity.WARNING,
        Needs.NOTHING,
    )
    assert "Setting the account anew" in warning.text
    assert warning.server_text == REFUSED.server_text
    assert [host.errors for host in scene.hosts if host is not told] == [()] * (len(scene.hosts) - 1)
    lanes = [lane for lane, _ in scene.runs()]
    assert lanes.count("quick") == 1


def test_the_next_process_knows_that_only_one_is_taken_until_it_is_told_otherwise(
    scene: Scene, server: MemoryServer
) -> None:
    with scene.store.write("one") as tx:
        tx.set_one_connection(MEMORY, "too many")
    scene.again()
    first, second, third = scene.mail()[:3]
    assert scene.fetch(first).wait(HANG_SECONDS).ok
    assert scene.runs()[-1] == ("bulk", "succeeded")
    with scene.store.write("two") as tx:
        tx.set_one_connection(MEMORY, "")
    for message in (second, third):
        assert scene.fetch(message).wait(HANG_SECONDS).ok
        assert scene.runs()[-1] == ("quick", "succeeded")


def test_a_synchronization_that_is_refused_beside_a_fetch_waits_for_it(scene: Scene, server: MemoryServer) -> None:
    hang = server.faults.hang("bodies", "INBOX")
    fetch = scene.fetch(scene.mail()[0])
    assert hang.entered.wait(HANG_SECONDS)
    server.faults.refuse("connect", REFUSED, times=1)
    long = scene.synchronize()
    until(lambda: scene.reason() != "")
    assert not long.done
    hang.release()
    assert fetch.wait(HANG_SECONDS).ok and long.wait(HANG_SECONDS).ok
    assert {message.body for message in scene.mail(LISTS)} == {BodyState.FULL}
    assert [error.kind for error in scene.hosts[-1].errors] == [ErrorKind.SERVER_DEMOTED]


@pytest.mark.parametrize("times", [3, 7])
def test_a_server_that_counts_the_last_connection_for_some_time_is_given_that_time(
    times: int, scene: Scene, server: MemoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider.run, "SETTLING_SECONDS", (0.001,) * 5)
    hang = server.faults.hang("bodies", LISTS)
    scene.synchronize()
    assert hang.entered.wait(HANG_SECONDS)
    server.faults.refuse("connect", REFUSED, times=times)
    fetch = scene.fetch(scene.mail()[0])
    until(lambda: scene.reason() != "")
    hang.release()
    result = fetch.wait(HANG_SECONDS)
    if times == 3:
        assert result.ok
    else:
        assert [error.kind for error in result.errors] == [ErrorKind.SERVER_BUSY]
    server.faults.clear()


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside"])
def test_a_refusal_that_says_nothing_of_a_second_connection_changes_nothing(
    beside: bool, scene: Scene, server: MemoryServer
) -> None:
    hang = server.faults.hang("bodies", LISTS)
    if beside:
        scene.synchronize()
        assert hang.entered.wait(HANG_SECONDS)
    server.faults.refuse("connect", ServerBusy("Later.") if beside else REFUSED, times=1)
    result = scene.fetch(scene.mail()[0]).wait(HANG_SECONDS)
    assert [error.kind for error in result.errors] == [ErrorKind.SERVER_BUSY]
    assert scene.reason() == ""
    hang.release()


# -- over real sockets --------------------------------------------------------------------------------


class OneAtATime(FakeImap):
    """Takes one connection, and greets a second one with a goodbye where *greets* says so."""

    goodbye = b""

    @property
    def living(self) -> int:
        return sum(not session.ended.is_set() for session in self._sessions)

    def greeting_line(self) -> bytes:
        if self.goodbye and self.living > 1:
            return self.goodbye + b"\r\n"
        return super().greeting_line()

    def refuse_logins(self, completion: bytes) -> None:
        def hook(answer: Answer) -> None:
            if self.living > 1:
                answer.completion = completion

        self.faults.on("AUTHENTICATE", hook)


REFUSALS: dict[str, Callable[[OneAtATime], None]] = {
    "a goodbye": lambda fake: setattr(fake, "goodbye", b"* BYE too many connections"),
    "the code LIMIT": lambda fake: fake.refuse_logins(b"NO [LIMIT] come back with fewer"),
    "words with an alert": lambda fake: fake.refuse_logins(b"NO [ALERT] Too many simultaneous connections. (Failure)"),
    "Dovecot's words": lambda fake: fake.refuse_logins(
        b"NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=1)"
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_each_way_to_say_too_many_connections_is_understood(
    name: str, mail_store: MailStore, relay: Callable[..., Relay]
) -> None:
    with OneAtATime() as fake:
        fake.add_folder(LISTS)
        for number in range(1, 4):
            fake.append("INBOX", letter(number))
        scene, line = over(relay, mail_store, fake.port, fake.user, fake.password)
        for number in range(20, 40):
            fake.append(LISTS, letter(number, 20_000))
        REFUSALS[name](fake)
        line.arm(Fault.STALL, at=100_000)
        long = scene.synchronize()
        assert line.struck.wait(HANG_SECONDS)
        fetch = scene.fetch(scene.mail()[0])
        until(lambda: scene.hosts[-1].errors != ())
        line.release()
        assert fetch.wait(HANG_SECONDS).ok and long.wait(HANG_SECONDS).ok
        assert [error.kind for error in scene.hosts[-1].errors] == [ErrorKind.SERVER_DEMOTED]
        assert body(scene, scene.mail()[0]) == letter(1)
        assert {message.body for message in scene.mail(LISTS)} == {BodyState.FULL}
        scene.end()


def over(relay: Callable[..., Relay], store: MailStore, port: int, user: str, password: str) -> tuple[Scene, Relay]:
    """An account behind a relay, INBOX with headers only, synchronized once."""
    line = relay(port)
    policies = (("INBOX", FolderPolicy(keep=Keep.HEADERS)),)
    scene = Scene(store, account_at(line.port, user, password, policies=policies))
    synchronize(store, scene.account)
    return scene, line


def filled(account: DovecotAccount) -> None:
    with account.client() as client:
        client.create(LISTS)
        client.populate("INBOX", (NewMessage(octets=letter(number)) for number in (1, 2)))


@pytest.mark.servers
def test_on_a_real_dovecot_one_message_comes_over_one_more_connection_while_hundreds_are_under_way(
    dovecot: DovecotAccount, mail_store: MailStore, relay: Callable[..., Relay]
) -> None:
    filled(dovecot)
    scene, line = over(relay, mail_store, dovecot.port, dovecot.user, dovecot.password)
    with dovecot.client() as client:
        client.populate(LISTS, (NewMessage(octets=letter(number, 4_000)) for number in range(100, 400)))
    before = line.counts.connections
    line.arm(Fault.STALL, at=200_000)
    long = scene.synchronize()
    assert line.struck.wait(HANG_SECONDS)
    assert scene.fetch(scene.mail()[0]).wait(HANG_SECONDS).ok
    assert body(scene, scene.mail()[0]) == letter(1)
    assert not long.done
    assert line.counts.connections == before + 2
    line.release()
    assert long.wait(HANG_SECONDS).ok
    assert line.counts.connections == before + 2
    assert [message.body for message in scene.mail(LISTS)] == [BodyState.FULL] * 300
    scene.end()


@pytest.mark.servers
def test_a_real_dovecot_that_takes_one_connection_of_a_user_is_not_asked_for_two_again(
    mail_store: MailStore, relay: Callable[..., Relay]
) -> None:
    require_dovecot()
    with Dovecot(extra="mail_max_userip_connections = 1") as daemon:
        account = daemon.add_user("narrow", "pass: word")
        filled(account)
        scene, line = over(relay, mail_store, account.port, account.user, account.password)
        with account.client() as client:
            client.populate(LISTS, (NewMessage(octets=letter(number, 4_000)) for number in range(100, 400)))
        before = line.counts.connections
        line.arm(Fault.STALL, at=200_000)
        long = scene.synchronize()
        assert line.struck.wait(HANG_SECONDS)
        fetch = scene.fetch(scene.mail()[0])
        until(lambda: scene.reason() != "")
        assert "Maximum number of connections" in scene.reason()
        line.release()
        assert fetch.wait(HANG_SECONDS).ok and long.wait(HANG_SECONDS).ok
        assert line.counts.connections > before + 2
        assert [message.body for message in scene.mail(LISTS)] == [BodyState.FULL] * 300
        assert scene.fetch(scene.mail()[1]).wait(HANG_SECONDS).ok
        assert [lane for lane, _ in scene.runs()].count("quick") == 1
        scene.end()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    tick = threading.Event()
    for _ in range(1_000):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("it never became true")
