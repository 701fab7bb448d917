"""How long a cancelled synchronization takes to end: the real provider and store, against servers that hold it up.

Room: tests/bench. The time from `handle.cancel()` to `done_event`, at random moments within five situations: a connect
that nobody answers, a TLS handshake that nobody answers, a server gone silent, the middle of a 30 MB message, a commit.
Every store is checked afterwards: a quick end that leaves damage is no figure.
"""

from __future__ import annotations

import itertools
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from provider import Account, MailStoreProvider, Password, ResultStatus, Security, SyncRequest
from store import AccountId, open_store

from ..servers.fake_answer import Answer, Then
from ..servers.fakeimap import FakeImap

if TYPE_CHECKING:
    from store import MailStore

__all__ = ["MOMENTS", "cancel_seconds"]

PATIENCE_SECONDS = 30.0
DELAY_SECONDS_MAX = 0.03
COMMIT_DELAY_SECONDS_MAX = 0.002
TRIES_MAX = 20
LARGE_OCTETS = 30_000_000
SMALL_MESSAGES = 300
_MAIL = b"Subject: hold on\r\nFrom: a@example.org\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n\r\n"

Prepared = tuple[Account, "MailStore", threading.Event, float]
Moment = Callable[[ExitStack, "MailStore", random.Random], Prepared]
"""Sets a situation up; the event is set when it is there, and the cancel comes up to so many seconds later."""


def cancel_seconds(times: int, directory: Path, *, seed: int = 1) -> dict[str, list[float]]:
    """Return the latencies of *times* cancels in each of `MOMENTS`. Stores are made in *directory*.

    Raises RuntimeError when a run cannot be brought to its moment, does not end, or leaves a damaged store.
    """
    chance = random.Random(seed)
    found: dict[str, list[float]] = {}
    for name, moment in MOMENTS.items():
        paths = (directory / f"{name.replace(' ', '-')}-{number}.db" for number in range(times * TRIES_MAX))
        latencies = (_once(moment, path, chance) for path in paths)
        found[name] = list(itertools.islice((seconds for seconds in latencies if seconds is not None), times))
        if len(found[name]) < times:
            raise RuntimeError(f"too many runs were over before they could be cancelled: {name}")
    return found


def _once(moment: Moment, path: Path, chance: random.Random) -> float | None:
    """Return the latency of one cancel; None when the run was over before it."""
    with ExitStack() as stack:
        store = stack.enter_context(open_store(path))
        account, watched, there, delay = moment(stack, store, chance)
        provider = stack.enter_context(MailStoreProvider(watched, [account]))
        handle = provider.SynchronizeInBackground(SyncRequest())
        if not there.wait(PATIENCE_SECONDS):
            raise RuntimeError(f"the run did not come to its moment: {handle.result}")
        time.sleep(chance.random() * delay)
        started = time.perf_counter()
        handle.cancel()
        if not handle.done_event.wait(PATIENCE_SECONDS):
            raise RuntimeError("a cancelled synchronization did not end")
        seconds = time.perf_counter() - started
        provider.close()
        report = store.check()
        if not report.ok:
            raise RuntimeError(f"a cancelled synchronization left damage: {report.problems}")
        return seconds if handle.result is not None and handle.result.status is ResultStatus.CANCELED else None


def _account(port: int, *, security: Security = Security.NONE, user: str = "u", password: str = "p") -> Account:
    return Account(
        id=AccountId("bench"),
        host="127.0.0.1",
        port=port,
        security=security,
        user=user,
        credentials=Password(password),
    )


def _connecting(stack: ExitStack, store: MailStore, chance: random.Random) -> Prepared:
    """A listener whose backlog is full: Linux drops the SYN, and connect waits."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    for _ in range(3):
        filler = stack.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    return _account(port), store, _always(), DELAY_SECONDS_MAX


def _handshake(stack: ExitStack, store: MailStore, chance: random.Random) -> Prepared:
    """A listener that accepts and says nothing: TLS waits for its first record."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    there = threading.Event()

    def accept() -> None:
        sock, _ = listener.accept()
        stack.callback(sock.close)
        there.set()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    stack.callback(thread.join, PATIENCE_SECONDS)
    return _account(listener.getsockname()[1], security=Security.TLS), store, there, DELAY_SECONDS_MAX


def _silence(stack: ExitStack, store: MailStore, chance: random.Random) -> Prepared:
    """A server that stops answering at a command of chance."""
    fake, there = _fake(stack), threading.Event()
    fake.append("INBOX", _MAIL + b"text\r\n")

    def stop(answer: Answer) -> None:
        answer.raw, answer.then = b"", Then.SILENCE
        there.set()

    fake.faults.on(chance.choice(("LIST", "EXAMINE", "UID FETCH")), stop)
    return _account(fake.port, user=fake.user, password=fake.password), store, there, DELAY_SECONDS_MAX


def _literal(stack: ExitStack, store: MailStore, chance: random.Random) -> Prepared:
    """A message of 30 MB on its way, at a part of chance."""
    fake, there = _fake(stack), threading.Event()
    fake.append("INBOX", _MAIL + chance.randbytes(1_000_000).hex().encode() * (LARGE_OCTETS // 2_000_000))
    parts = chance.randrange(1, 25)

    def count(answer: Answer) -> None:
        nonlocal parts
        if sum(map(len, answer.rows)) > 100_000:
            parts -= 1
            if not parts:
                there.set()

    fake.faults.on("UID FETCH", count)
    return _account(fake.port, user=fake.user, password=fake.password), store, there, DELAY_SECONDS_MAX


def _commit(stack: ExitStack, store: MailStore, chance: random.Random) -> Prepared:
    """A transaction of chance, all written and about to be committed."""
    fake, there = _fake(stack), threading.Event()
    for number in range(SMALL_MESSAGES):
        fake.append("INBOX", _MAIL + b"%d\r\n" % number + chance.randbytes(500).hex().encode() + b"\r\n")
    watched = _WatchedStore(store, there, chance.randrange(1, 6))
    return (
        _account(fake.port, user=fake.user, password=fake.password),
        cast("MailStore", watched),
        there,
        COMMIT_DELAY_SECONDS_MAX,
    )


class _WatchedStore:
    """The store itself, but it tells when the *number*-th transaction is about to be committed."""

    def __init__(self, store: MailStore, there: threading.Event, number: int) -> None:
        self._store, self._there, self._left = store, there, number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def write(self, *arguments: Any, **options: Any) -> Iterator[Any]:
        with self._store.write(*arguments, **options) as tx:
            yield tx
            self._left -= 1
            if not self._left:
                self._there.set()


def _fake(stack: ExitStack) -> FakeImap:
    return stack.enter_context(FakeImap())


def _always() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


MOMENTS: dict[str, Moment] = {
    "connect": _connecting,
    "TLS handshake": _handshake,
    "silence of the server": _silence,
    "a 30 MB message": _literal,
    "a commit": _commit,
}
