"""One store object among threads: readers, writers and waiters at once, each sees one moment, none sees a lock."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from store import MailStore, StoreBusy, open_store

from .store_kit import EPOCH, Inbox, new, raw_mail, raws

GUARD_SECONDS = 5
ROUNDS = 15


def run_all(*work: Callable[[], None]) -> list[BaseException]:
    """Run each of *work* in a thread of its own; return what they raised."""
    raised: list[BaseException] = []

    def guarded(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(one,), daemon=True) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(6 * GUARD_SECONDS)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return raised


@pytest.fixture
def store(tmp_path: Path) -> MailStore:
    return open_store(tmp_path / "mail.db")


def test_threads_that_read_and_write_one_store_at_once_neither_fail_nor_see_half_a_change(store: MailStore) -> None:
    inbox = Inbox.made_in(store)
    done = threading.Event()

    def write_from(first: int) -> Callable[[], None]:
        def work() -> None:
            for uid in range(first, first + ROUNDS):
                inbox.list(new(uid))
                inbox.bring([uid])

        return work

    def read() -> None:
        seen = 0
        while True:
            last_look = done.is_set()
            with store.read() as view:
                shown = view.messages(inbox.folder, limit=100).messages
                assert len(shown) == view.folder(inbox.folder).counts.bodies >= seen
                seen = len(shown)
                for message in shown[:2]:
                    assert view.raw(message.key) == raw_mail(message.uid)
            if last_look:
                assert seen == 3 * ROUNDS
                return

    def write_all() -> None:
        try:
            assert run_all(*(write_from(first) for first in (1, 101, 201))) == []
        finally:
            done.set()

    assert run_all(write_all, *[read] * 6) == []
    assert len(dict(raws(store, inbox.folder))) == 3 * ROUNDS
    assert store.check(full=True).problems == ()
    store.close()


def test_a_second_writer_waits_for_the_first_and_gives_up_when_it_takes_too_long(tmp_path: Path) -> None:
    with open_store(tmp_path / "mail.db", wait_seconds=0.05) as store:
        inbox = Inbox.made_in(store)
        inside, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with store.write("long") as tx:
                tx.add_messages(inbox.folder, EPOCH, [new(1)])
                inside.set()
                assert leave.wait(GUARD_SECONDS)

        holder = threading.Thread(target=hold)
        holder.start()
        assert inside.wait(GUARD_SECONDS)
        with pytest.raises(StoreBusy):
            inbox.list(new(2))
        leave.set()
        holder.join(GUARD_SECONDS)
        assert inbox.list(new(2)) == 1
        with store.read() as view:
            assert view.folder(inbox.folder).counts.listed == 2


def test_two_objects_of_one_store_in_one_process_take_turns(store: MailStore) -> None:
    inbox = Inbox.made_in(store)
    with open_store(store.path) as other:
        same = Inbox(other, inbox.folder)

        def write(place: Inbox, first: int) -> Callable[[], None]:
            return lambda: [place.list(new(uid)) for uid in range(first, first + ROUNDS)].clear()

        assert run_all(write(inbox, 1), write(same, 101)) == []
        with other.read() as view:
            assert view.folder(inbox.folder).counts.listed == 2 * ROUNDS
    store.close()


def test_the_log_stays_short_while_a_reader_holds_an_old_snapshot_and_after_it(store: MailStore) -> None:
    inbox = Inbox.made_in(store)
    log = Path(f"{store.path}-wal")

    def bring(uids: range) -> int:
        inbox.list(*(new(uid) for uid in uids))
        for uid in uids:
            inbox.bring([uid], 2_000_000)
        return log.stat().st_size

    longest = bring(range(1, 20))
    with store.read() as view:
        while_reading = bring(range(20, 26))
        assert view.folder(inbox.folder).counts.bodies == 19
    afterwards = bring(range(26, 45))
    assert max(longest, while_reading, afterwards) < 64_000_000
    assert store.check().ok
    store.close()
    assert not log.exists()
