"""The pipe to the disk cannot lock up, however small it is and whatever is left unfinished in it."""

import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from provider.cancel import Stop
from provider.engine.pipe import Pipe, Target
from provider.sources.base import BodyChunk
from store import MailStore, open_store
from store.mail import Uid

from ..unit.store_kit import ACCOUNT, EPOCH, Inbox, new, raws

GUARD_SECONDS = 5.0
SMALL, CHUNK = 4_000, 100_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db") as store:
        yield store


@pytest.fixture
def inbox(store: MailStore) -> Inbox:
    inbox = Inbox.made_in(store)
    inbox.list(*(new(uid) for uid in range(1, 30)))
    return inbox


def spawn(name: str, work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


def octets_of(uid: int, count: int) -> bytes:
    return b"Subject: s\r\n\r\n" + random.Random(uid).randbytes(count)


def play(store: MailStore, inbox: Inbox, work: Callable[[Pipe, Target], None]) -> int:
    """Do *work* with a small pipe on a thread of its own, so that a lock-up fails; return what was committed."""
    run = store.start_run(ACCOUNT, trigger="invoke", flags=0, owner="test")
    committed: list[int] = []
    pipe = Pipe(store, run, spawn, stop := Stop(), budget_octets=SMALL)
    target = Target(inbox.folder, EPOCH, committed.append)

    def whole() -> None:
        work(pipe, target)
        pipe.drain()

    thread = spawn("connection", whole)
    thread.join(GUARD_SECONDS)
    stop.stop()
    locked_up = thread.is_alive()
    pipe.close(abandon=True)
    assert not locked_up, "the pipe locked up"
    return sum(committed)


def put(pipe: Pipe, target: Target, uid: int, octets: bytes, *, whole: bool = True) -> None:
    for at in range(0, len(octets), CHUNK):
        last = whole and at + CHUNK >= len(octets)
        pipe.put(target, BodyChunk(uid=Uid(uid), offset=at, octets=octets[at : at + CHUNK], last=last))


def put_all(mail: dict[int, bytes], pipe: Pipe, target: Target) -> None:
    for uid, octets in mail.items():
        put(pipe, target, uid, octets)


def test_chunks_larger_than_the_whole_pipe_pass_one_by_one(store: MailStore, inbox: Inbox) -> None:
    mail = {uid: octets_of(uid, count) for uid, count in [(1, 550_000), (2, 300), (3, 262_144), (4, 120_000)]}

    committed = play(store, inbox, partial(put_all, mail))

    assert committed == len(mail)
    assert dict(raws(store, inbox.folder)) == mail


def test_a_batch_that_is_too_small_to_be_written_makes_room_when_a_chunk_waits_for_it(
    store: MailStore, inbox: Inbox
) -> None:
    mail = {1: octets_of(1, 200), 2: octets_of(2, SMALL - 50), 3: octets_of(3, 200)}

    play(store, inbox, partial(put_all, mail))

    assert dict(raws(store, inbox.folder)) == mail


def test_messages_that_break_off_again_and_again_do_not_fill_the_pipe(store: MailStore, inbox: Inbox) -> None:
    def work(pipe: Pipe, target: Target) -> None:
        for uid in range(1, 20):
            put(pipe, target, uid, octets_of(uid, 150_000), whole=False)
            pipe.drop(target, Uid(uid))
        put(pipe, target, 5, octets_of(5, 150_000))
        pipe.drop(target, Uid(5))  # finished: there is nothing to forget

    assert play(store, inbox, work) == 1
    assert dict(raws(store, inbox.folder)) == {5: octets_of(5, 150_000)}
    assert store.check(full=True).problems == ()
