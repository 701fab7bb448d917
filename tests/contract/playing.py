"""What the contract tests play with: a host that listens and reacts, and runs that do as they are told."""

import threading
from collections.abc import Callable
from typing import Any

from provider.account import Account
from provider.callback import CancelRequest
from provider.entry import MailStoreProvider
from provider.events import Event, ItemStatus, SyncError, SyncProgress, SyncResult
from provider.phases import Phase
from provider.report import Reporter
from provider.request import SyncRequest
from provider.testing import ManualClock, check_grammar
from provider.turn import AccountOutcome, Turn
from store.mail import AccountId

GUARD_SECONDS = 5.0
"""How long a test waits for what must happen; never a measure of anything."""

ALICE, BOB = AccountId("alice"), AccountId("bob")
DONE = AccountOutcome(status=ItemStatus.SUCCEEDED)


class Host:
    """A callback that records; ``react`` may do anything with each event, and answer."""

    def __init__(self, react: Callable[[Event], Any] = lambda event: None) -> None:
        self.events: list[Event] = []
        self.threads: list[str] = []
        self.finished = threading.Event()
        self._react = react

    def progress(self, progress: SyncProgress) -> CancelRequest | None:
        answer = self._hear(progress)
        return answer if isinstance(answer, CancelRequest) else None

    def error(self, error: SyncError) -> None:
        self._hear(error)

    def done(self, result: SyncResult) -> None:
        try:
            self._hear(result)
        finally:
            self.finished.set()

    def _hear(self, event: Event) -> Any:
        self.events.append(event)
        self.threads.append(threading.current_thread().name)
        return self._react(event)

    def all(self) -> list[Event]:
        """Wait for ``done`` and return everything heard, checked against the grammar."""
        assert self.finished.wait(GUARD_SECONDS), f"done never came: {self.events}"
        check_grammar(tuple(self.events))
        return self.events

    def statuses(self, folder: str | None = None, account: AccountId = ALICE) -> list[ItemStatus]:
        return [
            e.status for e in self.all() if isinstance(e, SyncProgress) and (e.account, e.folder) == (account, folder)
        ]


Script = Callable[[Reporter, Turn, SyncRequest], AccountOutcome]


class Play:
    """A run whose behaviour a test sets, by account; the default walks one folder and succeeds."""

    def __init__(self, **scripts: Script) -> None:
        self.scripts: dict[str, Script] = scripts
        self.runs: list[str] = []

    def __call__(
        self, store: Any, source: Any, account: Account, request: Any, reporter: Any, turn: Any
    ) -> AccountOutcome:
        self.runs.append(account.id)
        return self.scripts.get(account.id, walk)(reporter, turn, request)


def walk(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
    """Synchronize INBOX of ten messages, in every phase."""
    account, inbox = reporter.item(None), reporter.item("INBOX")
    account.start(Phase.SYNC, "Connecting")
    account.phase(Phase.DOWNLOAD_HIERARCHY)
    account.phase(Phase.CONTENTS)
    inbox.start(Phase.DOWNLOAD_TABLE)
    inbox.total(messages=10, octets=1_000)
    inbox.phase(Phase.DOWNLOAD_HEADER)
    inbox.phase(Phase.DOWNLOAD_BODIES)
    for _ in range(10):
        inbox.received(100)
        inbox.committed(1)
    inbox.finish(ItemStatus.SUCCEEDED)
    account.finish(ItemStatus.SUCCEEDED)
    return DONE


class Gate:
    """A place in a run where it waits, obeying its stop, until the test opens."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def wait_reached(self) -> None:
        assert self.reached.wait(GUARD_SECONDS), "the run never came here"

    def pass_through(self, reporter: Reporter) -> None:
        """Wait as a run does: cancel opens the gate too, by raising Cancelled."""
        self.reached.set()
        with reporter.stop.waking(self._open.set):
            assert self._open.wait(GUARD_SECONDS), "nobody opened the gate"
        reporter.stop.checkpoint()

    def __call__(self, reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        """Be a whole run: begin, wait, walk."""
        reporter.item(None).start(Phase.SYNC)
        self.pass_through(reporter)
        return walk(reporter, turn, request)


def account(name: str) -> Account:
    return Account(id=AccountId(name), host="mail.example", user=name)


def provider(
    play: Play, *names: str, clock: ManualClock | None = None, connections: int = 4, **more: Any
) -> MailStoreProvider:
    """A provider of these accounts whose runs are *play*; its store and sources are never touched by it."""
    return MailStoreProvider(
        more.pop("store", None),
        [account(name) for name in names or (ALICE,)],
        clock=clock,
        connections=connections,
        source_of=lambda account: None,  # type: ignore[arg-type, return-value]
        run=play,
        **more,
    )
