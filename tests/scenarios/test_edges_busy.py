"""E54: a server that has enough of us. What it asks for is told to the instant, it is left alone, and others run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from provider import ErrorKind, ItemStatus, MailStoreProvider, Needs, ResultStatus, Severity, SyncRequest
from provider.testing import ManualClock, RecordingCallback
from store.mail import AccountId

from ..servers.fakeimap import FakeImap
from .edge import MAIL, QUICK, ends, letter
from .rig import HANG_SECONDS, account_at, checked_store

OTHER = AccountId("other")
LATER, QUOTA = 300.0, 3_600.0
"""How long we stay away when a server does not say for how long: from one that is busy, from one with a quota."""


def greets(line: bytes) -> Callable[[FakeImap], None]:
    def lie(fake: FakeImap) -> None:
        fake.greeting = line

    return lie


def refuses(command: str, completion: bytes) -> Callable[[FakeImap], None]:
    return lambda fake: fake.faults.on(command, ends(completion))


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """One way to say it, and for how long we stay away."""

    title: str
    lie: Callable[[FakeImap], None]
    seconds: float
    says: str
    row: str = "E54"
    kinds: tuple[ErrorKind, ...] = (ErrorKind.SERVER_BUSY,)

    def __str__(self) -> str:
        return f"{self.row} {self.title}"


THROTTLED = b"Request is throttled. Suggested Backoff Time: 299961 milliseconds"
BANDWIDTH = b"Account exceeded command or bandwidth limits. (Failure)"
ROWS = [
    Busy(
        title="too many connections, at the greeting",
        lie=greets(b"* BYE too many connections"),
        seconds=LATER,
        says="too many connections",
    ),
    Busy(
        title="too many connections, an alert at the login",
        lie=refuses("AUTHENTICATE", b"NO [ALERT] Too many simultaneous connections. (Failure)"),
        seconds=LATER,
        says="[ALERT] Too many simultaneous connections. (Failure)",
    ),
    Busy(
        title="the code LIMIT",
        lie=refuses("AUTHENTICATE", b"NO [LIMIT] fewer, please"),
        seconds=LATER,
        says="[LIMIT] fewer, please",
    ),
    Busy(
        title="a backoff time at the greeting",
        lie=greets(b"* BYE " + THROTTLED),
        seconds=299.961,
        says=THROTTLED.decode(),
    ),
    Busy(
        title="a backoff time at the login",
        lie=refuses("AUTHENTICATE", b"NO " + THROTTLED),
        seconds=299.961,
        says=THROTTLED.decode(),
    ),
    Busy(
        title="a backoff time among the bodies",
        lie=refuses("UID FETCH", b"NO Suggested Backoff Time: 2500 milliseconds"),
        seconds=2.5,
        says="Suggested Backoff Time: 2500 milliseconds",
    ),
    Busy(
        title="a quota by its code",
        lie=refuses("AUTHENTICATE", b"NO [OVERQUOTA] come back tomorrow"),
        seconds=QUOTA,
        says="[OVERQUOTA] come back tomorrow",
    ),
    Busy(
        title="a quota in words, with an alert",
        lie=refuses("AUTHENTICATE", b"NO [ALERT] " + BANDWIDTH),
        seconds=QUOTA,
        says="[ALERT] " + BANDWIDTH.decode(),
    ),
    Busy(
        title="a quota that says for how long",
        lie=refuses("AUTHENTICATE", b"NO [OVERQUOTA] Suggested Backoff Time: 7200000 milliseconds"),
        seconds=7_200.0,
        says="[OVERQUOTA] Suggested Backoff Time: 7200000 milliseconds",
    ),
]


@pytest.fixture
def servers() -> Iterator[tuple[FakeImap, FakeImap]]:
    """A server that is about to be busy, and another one."""
    with FakeImap() as busy, FakeImap() as other:
        for fake in (busy, other):
            for folder, count in MAIL.items():
                if folder != "INBOX":
                    fake.add_folder(folder)
                for number in range(1, count + 1):
                    fake.append(folder, letter(number, folder))
        yield busy, other


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_busy_server_is_left_alone_for_as_long_as_it_says_and_other_accounts_run(
    row: Busy, servers: tuple[FakeImap, FakeImap], tmp_path: Path
) -> None:
    busy, other = servers
    clock, host = ManualClock(), RecordingCallback()
    accounts = [
        account_at(busy.port, busy.user, busy.password, limits=QUICK),
        account_at(other.port, other.user, other.password, limits=QUICK, id=OTHER),
    ]
    row.lie(busy)
    with checked_store(tmp_path / "mail.db") as store, MailStoreProvider(store, accounts, clock=clock) as dock:
        result = dock.SynchronizeInBackground(SyncRequest(callback=host)).wait(HANG_SECONDS)
        assert host.wait_done(HANG_SECONDS)
        host.grammar()
        assert result.status is ResultStatus.COMPLETE_WITH_ERRORS
        ends_of = {item.account: item.status for item in result.items if item.folder is None}
        assert ends_of == {accounts[0].id: ItemStatus.FAILED, OTHER: ItemStatus.SUCCEEDED}
        assert tuple(error.kind for error in host.errors) == row.kinds
        told = host.errors[-1]
        assert (told.account, told.needs, told.severity) == (accounts[0].id, Needs.RETRY, Severity.ERROR)
        assert told.next_try == clock.now() + timedelta(seconds=row.seconds)
        assert told.server_text == row.says
        assert busy.connections == 1, "it was asked to leave, and came back"
        busy.faults.clear()
        busy.greeting = None
        clock.advance(row.seconds)
        assert dock.SynchronizeInBackground(SyncRequest()).wait(HANG_SECONDS).ok


@pytest.mark.parametrize(
    "answer",
    [
        b"* OK [ALERT] Down at noon\r\n<T> OK in\r\n",
        b"* NO [ALERT] Down at noon\r\n<T> OK in\r\n",
        b"<T> OK [ALERT] Down at noon\r\n",
    ],
    ids=["untagged OK", "untagged NO", "with the completion"],
)
def test_e54_an_alert_at_the_login_reaches_the_person_and_stops_nothing(
    answer: bytes, servers: tuple[FakeImap, FakeImap], tmp_path: Path
) -> None:
    fake, host = servers[0], RecordingCallback()

    def hook(bent: object) -> None:
        bent.raw = answer.replace(b"<T>", bent.command.tag)  # type: ignore[attr-defined]

    fake.faults.on("AUTHENTICATE", hook)
    with checked_store(tmp_path / "mail.db") as store:
        account = account_at(fake.port, fake.user, fake.password)
        with MailStoreProvider(store, [account]) as dock:
            assert dock.SynchronizeInBackground(SyncRequest(callback=host)).wait(HANG_SECONDS).ok
            assert host.wait_done(HANG_SECONDS)
    (alert,) = host.errors
    assert (alert.kind, alert.severity, alert.server_text) == (
        ErrorKind.SERVER_ALERT,
        Severity.WARNING,
        "[ALERT] Down at noon",
    )
