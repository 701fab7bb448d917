"""Several processes on one store, and processes that die in the middle: nothing lost, nothing half, nobody stuck.

Children are forked, so a death costs milliseconds; they open the store themselves and leave by ``os._exit``.
"""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from store import (
    Leased,
    MailStore,
    StoreBusy,
    StoreError,
    StoreFailed,
    StoreFull,
    database,
    migrate,
    open_store,
    opening,
)
from tests.unit.store_kit import ACCOUNT, LARGE, Clock, Inbox, listed, new, raw_mail, raws
from tests.unit.store_scenario import allowed_states, prepare, scenario, state_of

GUARD_SECONDS = 5
DIED, FAILED = 77, 1


class Child:
    """A forked process running *work*; it hears and says single lines."""

    def __init__(self, work: Callable[["Child"], None]) -> None:
        self._hear, say = os.pipe()
        hear, self._say = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(say)
            os.close(hear)
            return
        os.close(self._hear)
        os.close(self._say)  # else the end of the other side would never be heard
        self._hear, self._say = hear, say
        signal.alarm(12 * GUARD_SECONDS)  # a child that hangs must not outlive its test
        try:
            work(self)
        except BaseException:
            traceback.print_exc()
            os._exit(FAILED)
        os._exit(0)

    def say(self, word: str) -> None:
        os.write(self._say, f"{word}\n".encode())

    def hear(self) -> str:
        """The next word; empty when the other side is gone."""
        word = b""
        while (octet := os.read(self._hear, 1)) not in (b"\n", b""):
            word += octet
        return word.decode()

    def end(self) -> int:
        """Wait for the end and return the exit code; minus the signal when one ended it."""
        os.close(self._say)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._hear)
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with open_store(tmp_path / "mail.db") as store:
        Inbox.made_in(store)
    return tmp_path / "mail.db"


def inbox_of(store: MailStore) -> Inbox:
    with store.read() as view:
        return Inbox(store, view.folders()[0].id)


# --- living side by side ---------------------------------------------------------------------------------------


def test_processes_that_write_and_read_at_once_lose_nothing_and_never_see_a_lock(path: Path) -> None:
    rounds = 40

    def write_from(first: int) -> Callable[[Child], None]:
        def work(child: Child) -> None:
            with open_store(path) as store:
                inbox = inbox_of(store)
                for uid in range(first, first + rounds):
                    inbox.list(new(uid))
                    inbox.bring([uid])

        return work

    def read(child: Child) -> None:
        with open_store(path) as store:
            inbox = inbox_of(store)
            seen = 0
            while seen < 2 * rounds:
                with store.read() as view:
                    shown = view.messages(inbox.folder, limit=1000).messages
                    counts = view.folder(inbox.folder).counts
                    assert len(shown) == counts.messages == counts.bodies >= seen, "a snapshot is one moment"
                    for message in shown[:3]:
                        assert view.raw(message.key) == raw_mail(message.uid)
                seen = len(shown)
                store.wait_for_change(store.changes(0, limit=1000).cursor, 0.05)

    children = [Child(write_from(1)), Child(write_from(1001)), Child(read), Child(read)]
    assert [child.end() for child in children] == [0, 0, 0, 0]
    with open_store(path) as store:
        assert len(dict(raws(store, inbox_of(store).folder))) == 2 * rounds
        assert store.check(full=True).problems == ()


@contextmanager
def another_writer(path: Path) -> Iterator[None]:
    """Another process that is in the middle of a write transaction for as long as this lasts."""

    def work(child: Child) -> None:
        with open_store(path) as store, store.write("long"):
            child.say("writing")
            child.hear()

    child = Child(work)
    assert child.hear() == "writing"
    try:
        yield
    finally:
        assert child.end() == 0


def test_a_store_that_another_process_writes_to_is_busy_after_the_wait_and_readable_all_the_time(path: Path) -> None:
    with open_store(path, wait_seconds=0.05) as store:
        inbox = inbox_of(store)
        with another_writer(path):
            with pytest.raises(StoreBusy) as caught:
                inbox.list(new(1))
            assert caught.value.retryable
            with store.read() as view:
                assert view.folder(inbox.folder).counts.listed == 0
        assert inbox.list(new(1)) == 1


def test_a_store_locked_by_a_program_that_knows_nothing_of_our_lock_is_busy_too(path: Path) -> None:
    with open_store(path, wait_seconds=0.05) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        inbox = inbox_of(store)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            inbox.list(new(1))
        other.execute("ROLLBACK")
        assert inbox.list(new(1)) == 1


def test_a_change_of_another_process_ends_the_waiting(path: Path) -> None:
    def work(child: Child) -> None:
        with open_store(path) as store:
            cursor = store.changes().cursor
            child.say("waiting")
            assert store.wait_for_change(cursor, GUARD_SECONDS)

    child = Child(work)
    assert child.hear() == "waiting"
    with open_store(path) as store:
        inbox = inbox_of(store)
        inbox.list(new(1))
        inbox.show([1])
    assert child.end() == 0


def test_one_account_is_synchronized_by_one_process_at_a_time(path: Path) -> None:
    def work(child: Child) -> None:
        with open_store(path) as store:
            try:
                store.start_run(ACCOUNT, trigger="test", flags=0, owner="child")
            except Leased as error:
                child.say(error.owner)

    with open_store(path) as store:
        run = store.start_run(ACCOUNT, trigger="test", flags=0, owner="parent")
        child = Child(work)
        assert (child.hear(), child.end()) == ("parent", 0)
        store.finish_run(run, status="done", counts={})
        child = Child(work)
        assert (child.hear(), child.end()) == ("", 0)


def test_processes_that_make_a_store_at_the_same_moment_make_one(tmp_path: Path) -> None:
    def work(child: Child) -> None:
        child.hear()
        with open_store(tmp_path / "new.db") as store, store.write("account") as tx:
            tx.ensure_account(ACCOUNT)

    children = [Child(work) for _ in range(4)]
    for child in children:
        child.say("go")
    assert [child.end() for child in children] == [0] * 4
    with open_store(tmp_path / "new.db") as store:
        assert store.check().ok


# --- dying -----------------------------------------------------------------------------------------------------


class Deadly(sqlite3.Connection):
    """A connection on which the process dies at the chosen call, before it or after it."""

    calls = 0
    at = 0
    after = False

    def _count(self) -> bool:
        Deadly.calls += 1
        if Deadly.calls == Deadly.at and not Deadly.after:
            os._exit(DIED)
        return Deadly.calls == Deadly.at

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]
        last = self._count()
        cursor = super().execute(sql, *parameters)  # type: ignore[arg-type]
        if last:
            os._exit(DIED)
        return cursor

    def executemany(self, sql: str, rows: object) -> sqlite3.Cursor:  # type: ignore[override]
        last = self._count()
        cursor = super().executemany(sql, rows)  # type: ignore[arg-type]
        if last:
            os._exit(DIED)
        return cursor


def die_at(call: int, *, after: bool, work: Callable[[], None]) -> int:
    """Run *work* in a child that dies at its *call*-th call of SQLite; return the exit code."""

    def lethal(child: Child) -> None:
        database.CONNECTION_CLASS = Deadly
        Deadly.calls, Deadly.at, Deadly.after = 0, call, after
        work()

    return Child(lethal).end()


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.soak)])
def test_a_process_that_dies_at_any_statement_leaves_a_sound_store_between_two_transactions(
    tmp_path: Path, step: int
) -> None:
    prepare(tmp_path / "prepared.db")
    shutil.copy(tmp_path / "prepared.db", tmp_path / "clean.db")
    states = allowed_states(tmp_path / "clean.db")
    path = tmp_path / "mail.db"

    def run_through() -> None:
        with open_store(path, clock=Clock()) as store:
            for _ in scenario(store):
                continue

    deaths, call = 0, 1
    while True:
        shutil.copy(tmp_path / "prepared.db", path)
        code = die_at(call, after=bool(call % 2), work=run_through)
        if code != DIED:
            break
        deaths += 1
        with open_store(path, clock=Clock()) as store:
            assert state_of(path) in states, f"died at call {call}"
            assert store.check(full=True).problems == ()
            later = Clock()
            later.now += 61
        with open_store(path, clock=later) as store:
            store.start_run(ACCOUNT, trigger="test", flags=0, owner="after the crash")
        path.unlink()
        call += step
    assert code == 0
    assert deaths * step > 150


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.soak)])
def test_a_store_whose_making_died_at_any_statement_is_made_whole_by_the_next_opening(
    tmp_path: Path, step: int
) -> None:
    call, deaths = 1, 0
    while True:
        path = tmp_path / f"{call}.db"
        code = die_at(call, after=bool(call % 2), work=lambda path=path: open_store(path).close())  # type: ignore[misc]
        if code != DIED:
            break
        deaths += 1
        with open_store(path) as store:
            Inbox.made_in(store).fill(1)
            assert store.check(full=True).problems == ()
        call += step
    assert code == 0
    assert deaths * step > 50


def test_a_migration_that_died_at_any_statement_goes_on_from_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path / "prepared.db")
    before = state_of(tmp_path / "prepared.db")
    newest = max(migrate.migrations())
    more = {
        **migrate.migrations(),
        newest + 1: "CREATE TABLE one (a INTEGER);\nINSERT INTO one VALUES (1);\nUPDATE folders SET note = 'one';\n",
        newest + 2: "ALTER TABLE one ADD COLUMN b INTEGER;\nUPDATE one SET b = a;\n",
    }
    monkeypatch.setattr(migrate, "migrations", lambda: more)
    monkeypatch.setattr(opening, "migrations", lambda: more)
    call, deaths = 1, 0
    while True:
        path = tmp_path / f"{call}.db"
        shutil.copy(tmp_path / "prepared.db", path)
        code = die_at(call, after=bool(call % 2), work=lambda path=path: open_store(path).close())  # type: ignore[misc]
        if code != DIED:
            break
        deaths += 1
        with closing(sqlite3.connect(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        assert ("one" in tables) == (version > newest)
        assert version > newest or state_of(path) == before
        open_store(path).close()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT * FROM one").fetchall() == [(1, 1)]
            assert connection.execute("PRAGMA user_version").fetchone() == (newest + 2,)
        call += 1
    assert code == 0
    assert deaths > 15


@pytest.mark.parametrize("acknowledged", [1, 2, 3, 5, 8, 13, 21, 34])
def test_what_was_committed_before_a_kill_is_there_and_nothing_of_what_was_not(path: Path, acknowledged: int) -> None:
    def work(child: Child) -> None:
        with open_store(path) as store:
            inbox = inbox_of(store)
            for uid in range(1, 1000):
                inbox.list(new(uid))
                inbox.bring([uid], 30_000)
                child.say(str(uid))

    child = Child(work)
    last = ""
    while last != str(acknowledged):
        last = child.hear()
    os.kill(child.pid, signal.SIGKILL)
    assert child.end() == -signal.SIGKILL
    with open_store(path) as store:
        found = dict(raws(store, inbox_of(store).folder))
        assert set(range(1, acknowledged + 1)) <= found.keys()
        assert all(raw == raw_mail(uid, 30_000) for uid, raw in found.items())
        assert store.check(full=True).problems == ()


@pytest.mark.parametrize("acknowledged", [1, 2, 5, 13])
def test_what_a_person_did_before_a_kill_is_there_with_its_row_of_the_log(path: Path, acknowledged: int) -> None:
    def work(child: Child) -> None:
        with open_store(path) as store:
            inbox = inbox_of(store)
            for number in range(1, 1000):
                with store.edit("append") as edit:
                    edit.append(inbox.folder, raw_mail(number, 30_000), flags=["\\Draft"])
                child.say(str(number))

    child = Child(work)
    last = ""
    while last != str(acknowledged):
        last = child.hear()
    os.kill(child.pid, signal.SIGKILL)
    assert child.end() == -signal.SIGKILL
    with open_store(path) as store, store.read() as view:
        found = view.operations()
        assert len(found) >= acknowledged
        assert [view.raw(one.message) for one in found if one.message is not None] == [
            raw_mail(number, 30_000) for number in range(1, len(found) + 1)
        ]
        assert store.check(full=True).problems == ()


def test_a_process_killed_inside_a_write_holds_up_nobody(path: Path) -> None:
    def work(child: Child) -> None:
        with open_store(path) as store, store.write("never ends") as tx:
            tx.add_folder(ACCOUNT, listed("Half"))
            child.say("writing")
            child.hear()

    child = Child(work)
    assert child.hear() == "writing"
    os.kill(child.pid, signal.SIGKILL)
    child.end()
    with open_store(path, wait_seconds=GUARD_SECONDS) as store:
        assert inbox_of(store).list(new(1)) == 1
        with store.read() as view:
            assert len(view.folders()) == 1


# --- no room ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def fill_up(inbox: Inbox, first: int) -> int:
    """Bring large messages until the store refuses; return the UID that was refused."""
    for uid in range(first, first + 100):
        inbox.list(new(uid))
        inbox.bring([uid], LARGE)
    raise AssertionError("the disk is too large for this test")


def refused_uid(inbox: Inbox, error: type[StoreError]) -> int:
    with inbox.store.read() as view:
        first = len(view.uids(inbox.folder)) + 1
    with pytest.raises(error):
        fill_up(inbox, first)
    with inbox.store.read() as view:
        return len(view.uids(inbox.folder)) + 1


def test_a_full_disk_is_named_loses_nothing_and_the_store_goes_on_once_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(3_000_000))
    with open_store(small_disk / "mail.db") as store:
        inbox = Inbox.made_in(store)
        inbox.fill(2)
        for _ in range(3):  # again and again, as a synchronization would try
            next_uid = refused_uid(inbox, StoreFull)
        before = dict(raws(store, inbox.folder))
        assert len(before) >= 3
        assert store.check(full=True).problems == ()
        ballast.unlink()
        inbox.list(new(next_uid))
        inbox.bring([next_uid])
        assert dict(raws(store, inbox.folder)) == {**before, next_uid: raw_mail(next_uid)}
        assert store.check(full=True).problems == ()


def test_a_file_that_may_not_grow_is_an_error_of_the_store_and_loses_nothing(path: Path) -> None:
    def work(child: Child) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with open_store(path) as store:
            inbox = inbox_of(store)
            inbox.list(new(1))
            inbox.bring([1])
            resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
            refused_uid(inbox, StoreFailed)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            inbox.list(new(90))
            assert inbox.bring([90], LARGE) == 1
            assert store.check(full=True).problems == ()

    assert Child(work).end() == 0
