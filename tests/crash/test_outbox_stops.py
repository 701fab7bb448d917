"""A program that ends at any place of its sending: nothing is lost, nothing is doubled outside the final dot (O2, O3).

A child process sends two messages to a server that behaves and ends at once, as with ``kill -9``: before or behind each
commit, behind each line that went out, behind each answer that was read. Another program sends what is left an hour
later, and again the next days.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provider import MailStoreProvider, SyncRequest
from provider.testing import ManualClock, MemoryServer
from store import open_store
from store.mail.submission import Fate, SubmissionId, SubmissionState

from ..servers.fakesmtp import FakeSmtp, Manners
from .child import ME, sender_of
from .forks import STOPPED, ForkServer

KINDS = ("command", "line", "before commit", "commit")
EXTENSIONS = (b"SIZE 60000000", b"8BITMIME")
HOUR = 3_600.0
PLAYED: Counter[str] = Counter()


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


@dataclass(frozen=True, slots=True)
class Case:
    """One outbox of two messages, and what the server has of it."""

    path: Path
    server: FakeSmtp
    far: MemoryServer
    ids: tuple[SubmissionId, ...]

    def job(self, **stop: object) -> dict[str, object]:
        return {"path": str(self.path), "smtp": self.server.port, **stop}

    def press_after(self, seconds: float) -> None:
        """Be the program that comes later, and presses Send/Receive."""
        at = time.time() + seconds
        account = sender_of(self.server.port, self.far)
        with open_store(self.path, clock=lambda: at) as store:
            assert store.check(full=True).problems == ()
            with MailStoreProvider(store, [account], clock=ManualClock(datetime.fromtimestamp(at, UTC))) as provider:
                assert provider.send_and_receive(SyncRequest()).wait(30).ok

    def copies(self, number: int) -> int:
        """Return how often the server answers for a message."""
        return sum(f"X-Number: {number}\r\n".encode() in one.octets for one in self.server.delivered)


def begin(path: Path, server: FakeSmtp) -> Case:
    with open_store(path) as store:
        ids = []
        for number in (1, 2):
            octets = f"From: a@x.example\r\nTo: b@x.example, c@x.example\r\nX-Number: {number}\r\n\r\n.\r\nx\r\n"
            ids.append(store.outbox.submit(ME, octets.encode()).id)
    return Case(path, server, MemoryServer(), tuple(ids))


def judge(case: Case, where: str) -> Counter[str]:
    """Send what is left, then hold the outbox against the server; return what the cases were."""
    for hours in (1, 30, 60, 61):
        case.press_after(hours * HOUR)
    seen: Counter[str] = Counter()
    with open_store(case.path) as store:
        assert store.check(full=True).problems == (), where
        with store.read() as view:
            ends = [view.submission(id_) for id_ in case.ids]
    filed = [message.octets for message in case.far.messages("Sent")]
    for number, one in enumerate(ends, 1):
        copies = case.copies(number)
        assert one.state is SubmissionState.FILED, (where, number, one)
        assert {recipient.fate for recipient in one.recipients} == {Fate.ACCEPTED}, (where, number)
        assert sum(one.message_id.encode() in octets for octets in filed) == 1, (where, number, "copies in Sent")
        assert copies >= 1, (where, number, "lost")
        assert copies == 1 or (copies == 2 and one.doubts == 1), (where, number, f"{copies} copies")
        seen["doubled in doubt" if copies == 2 else "in doubt, once" if one.doubts else "once"] += 1
    return seen


def places(forks: ForkServer, path: Path) -> dict[str, int]:
    """Return how many places of each kind an undisturbed sending has."""
    with FakeSmtp(Manners(extensions=EXTENSIONS)) as server:
        case = begin(path, server)
        ended = forks.run(case.job(kind="", at=0))
        assert ended.code == 0
        assert ended.report["status"] == "complete"
        assert judge(case, "undisturbed") == {"once": 2}
    return {kind: ended.report["counts"][kind] for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_that_ends_while_it_sends_loses_nothing(kind: str, forks: ForkServer, tmp_path: Path) -> None:
    count = places(forks, tmp_path / "whole.db")[kind]
    seen: Counter[str] = Counter()
    for at in range(1, count + 1):
        with FakeSmtp(Manners(extensions=EXTENSIONS)) as server:
            case = begin(tmp_path / f"{at}.db", server)
            assert forks.run(case.job(kind=kind, at=at)).code == STOPPED, f"{kind} {at}"
            server.settle()
            seen += judge(case, f"{kind} {at} of {count}")
    PLAYED[kind] = count
    # The window of the final dot is met, too, and only there something is told to be in doubt.
    assert seen["once"] > 0
    if kind in ("command", "before commit"):
        assert seen["doubled in doubt"] + seen["in doubt, once"] > 0, seen
    assert seen["doubled in doubt"] <= 4, seen


def test_there_were_as_many_places_as_were_promised() -> None:
    if set(PLAYED) != set(KINDS):
        pytest.skip("only a part was played: how many places there are was not counted")
    assert sum(PLAYED.values()) >= 70
