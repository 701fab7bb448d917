"""A person's outbox and a submission server that behaves, or not; time is turned by hand.

Room: tests/scenarios.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from provider import Account, MailStoreProvider, SyncRequest, SyncResult
from provider.testing import ManualClock, RecordingCallback
from store import MailStore, open_store
from store.mail.submission import Submission, SubmissionState
from tests.servers.fakesmtp import Answer, FakeSmtp, Manners
from tests.wire.smtp_rig import sender_at

__all__ = ["ANN", "BOB", "EVE", "ME", "House", "house"]

ME, ANN, BOB, EVE = "me@example.org", "ann@example.org", "bob@example.org", "eve@example.org"
HANG_SECONDS = 20.0


@dataclass(slots=True)
class House:
    """See above. *results*: how each flush ended; each log was checked against the callback's grammar."""

    server: FakeSmtp
    store: MailStore
    clock: ManualClock
    account: Account
    results: list[SyncResult] = field(default_factory=list)
    events: list[RecordingCallback] = field(default_factory=list)

    def submit(self, number: int = 1, *to: str, **about: object) -> Submission:
        """Queue a letter to *to* (Ann, when nobody is named)."""
        head = f"From: {ME}\r\nTo: {', '.join(to or (ANN,))}\r\nSubject: number {number}\r\n"
        octets = f"{head}X-Number: {number}\r\n\r\n.\r\n..dots\r\n".encode()
        return self.store.outbox.submit(self.account.id, octets, **about)  # type: ignore[arg-type]

    def flush(self) -> SyncResult:
        """Send what is due."""
        heard = RecordingCallback()
        with MailStoreProvider(self.store, [self.account], clock=self.clock) as provider:
            result = provider.send_and_receive(SyncRequest(callback=heard), receive=False).wait(HANG_SECONDS)
            assert heard.wait_done(HANG_SECONDS)
        heard.grammar()
        self.results.append(result)
        self.events.append(heard)
        return result

    def wait(self, minutes: float) -> None:
        """Let time pass."""
        self.clock.advance(minutes * 60)

    def behave(self, answers: Mapping[str, Answer] = {}, **manners: object) -> None:
        """Let the server answer so from now on."""
        self.server.manners = replace(Manners(), answers=dict(answers), **manners)  # type: ignore[arg-type]

    def one(self, made: Submission) -> Submission:
        """Return how a submission stands."""
        with self.store.read() as view:
            return view.submission(made.id)

    def state(self, made: Submission) -> SubmissionState:
        """Return in which state it is."""
        return self.one(made).state

    def minutes(self, made: Submission) -> float | None:
        """Return in how many minutes it is tried next."""
        when = self.one(made).next_try
        return None if when is None else (when - self.clock.now()) / timedelta(minutes=1)

    def got(self, address: str) -> int:
        """Return how many messages the server answers for to *address*."""
        with self.server.lock:
            return sum(address in one.recipients for one in self.server.delivered)


@contextmanager
def house(path: Path) -> Iterator[House]:
    """An empty outbox, and a server that takes everything."""
    clock = ManualClock()
    with FakeSmtp() as server, open_store(path / "mail.db", clock=lambda: clock.now().timestamp()) as store:
        yield House(server=server, store=store, clock=clock, account=sender_at(server.port))
        assert store.check(full=True).problems == ()
