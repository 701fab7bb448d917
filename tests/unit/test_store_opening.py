"""Opening: what is made, what is refused and left untouched, who may read."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from store import (
    MailStore,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreMissing,
    StoreNewer,
    StoreReadOnly,
    open_store,
)
from store.filelock import FileLock
from store.migrate import APPLICATION_ID

from .store_kit import Inbox, everything, new, raw_mail, raws

OTHER_USER = 65_534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_store_keeps_others_out_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with open_store(tmp_path / "a" / "b" / "mail.db") as store:
            Inbox.made_in(store)
            files = sorted(store.path.parent.iterdir())
            assert [file.name for file in files] == ["mail.db", "mail.db-shm", "mail.db-wal", "mail.db.lock"]
            assert {mode(file) for file in files} == {0o600}
    finally:
        os.umask(before)
    assert {mode(tmp_path / "a"), mode(tmp_path / "a" / "b")} == {0o700}


def test_a_store_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    open_store(tmp_path / "mail.db").close()
    (tmp_path / "mail.db").chmod(0o644)
    open_store(tmp_path / "mail.db").close()
    assert mode(tmp_path / "mail.db") == 0o600


def test_the_file_is_set_up_for_large_values_and_crashes(tmp_path: Path) -> None:
    with open_store(tmp_path / "mail.db"):
        pass
    with closing(sqlite3.connect(tmp_path / "mail.db")) as connection:
        values = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "journal_mode")}
        assert values == {"page_size": 16384, "journal_mode": "wal"}
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)


def test_what_was_written_is_there_after_closing_and_no_log_is_left(tmp_path: Path) -> None:
    with open_store(tmp_path / "mail.db") as store:
        inbox = Inbox.made_in(store)
        inbox.fill(3)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mail.db", "mail.db.lock"]
    with open_store(tmp_path / "mail.db", create=False) as store:
        assert dict(raws(store, inbox.folder)) == {uid: raw_mail(uid) for uid in (1, 2, 3)}


def test_a_missing_store_is_made_only_when_asked_for(tmp_path: Path) -> None:
    for options in ({"create": False}, {"read_only": True}):
        with pytest.raises(StoreMissing):
            open_store(tmp_path / "mail.db", **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def _a_text(path: Path) -> None:
    path.write_bytes(b"From a@b Thu Jan  1 00:00:00 2026\n" * 1000)


def _another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


def _marked_by_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 1")
        connection.execute("CREATE TABLE messages (url TEXT)")


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
        connection.execute("PRAGMA user_version = 9999")
        connection.execute("CREATE TABLE messages (url TEXT)")


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (_a_text, StoreForeign),
        (_another_program, StoreForeign),
        (_marked_by_another_program, StoreForeign),
        (_newer, StoreNewer),
    ],
)
@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_not_ours_or_newer_than_we_are_is_refused_and_left_as_it_is(
    tmp_path: Path, make: Callable[[Path], None], error: type[StoreError], read_only: bool
) -> None:
    path = tmp_path / "mail.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(error):
        open_store(path, read_only=read_only)
    assert path.read_bytes() == before


def test_a_directory_and_a_symbolic_link_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreForeign):
        open_store(tmp_path)
    open_store(tmp_path / "real.db").close()
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    with pytest.raises(StoreForeign):
        open_store(tmp_path / "link.db")
    (tmp_path / "real.db.lock").unlink()
    (tmp_path / "real.db.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreForeign):
        open_store(tmp_path / "real.db")
    assert not (tmp_path / "elsewhere").exists()


def test_a_truncated_file_is_named_as_damaged_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    with open_store(path) as store:
        Inbox.made_in(store).fill(30)
    path.write_bytes(path.read_bytes()[: 16384 * 3])
    before = path.read_bytes()
    with pytest.raises(StoreDamaged):
        open_store(path)
    assert path.read_bytes() == before


def test_a_store_opened_for_reading_reads_and_never_writes(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    with open_store(path) as store:
        inbox = Inbox.made_in(store)
        inbox.fill(2)
        with open_store(path, read_only=True) as reader:
            inbox.list(new(3))
            inbox.show([3])
            with reader.read() as view:
                assert [message.uid for message in view.messages(inbox.folder).messages] == [3, 2, 1]
            with pytest.raises(StoreReadOnly), reader.write("refused"):
                pass
    before = path.read_bytes()
    with open_store(path, read_only=True) as reader:
        assert len(dict(raws(reader, inbox.folder))) == 2
    assert path.read_bytes() == before


def as_other_user(directory: Path, work: Callable[[], None]) -> str:
    """Run *work* in a child that is nobody in particular; return the name of the error it ended with, or "fine"."""
    if os.geteuid() != 0:
        try:
            work()
        except StoreError as error:
            return type(error).__name__
        return "fine"
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        outcome = "crashed"
        try:
            os.chdir(directory)
            os.setgroups([])
            os.setuid(OTHER_USER)
            work()
            outcome = "fine"
        except StoreError as error:
            outcome = type(error).__name__
        finally:
            os.write(write_end, outcome.encode())
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        told = answer.read()
    os.waitpid(child, 0)
    return told


@pytest.fixture
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that any user of this machine can reach, with a store of two messages that they own."""
    directory = tmp_path_factory.mktemp("shared")
    with open_store(directory / "mail.db") as store:
        Inbox.made_in(store).fill(2)
    for folder in (directory, *directory.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    if os.geteuid() == 0:
        for path in (directory, *directory.iterdir()):
            os.chown(path, OTHER_USER, OTHER_USER)
    return directory


def count_messages(store: MailStore) -> int:
    with store.read() as view:
        return sum(folder.counts.messages for folder in view.folders())


def write_something() -> None:
    with open_store("mail.db") as store, store.write("something") as tx:
        tx.ensure_account("more")  # type: ignore[arg-type]


def read_all() -> None:
    with open_store("mail.db", read_only=True) as store:
        assert count_messages(store) == 2


@pytest.fixture
def there(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shared)
    return shared


def test_a_read_only_file_and_a_read_only_directory_can_be_read_and_say_so_when_written(there: Path) -> None:
    before = everything(there / "mail.db")
    (there / "mail.db").chmod(0o400)
    assert as_other_user(there, write_something) == "StoreReadOnly"
    assert as_other_user(there, read_all) == "fine"
    (there / "mail.db").chmod(0o600)
    for log in there.glob("mail.db-*"):
        log.unlink()  # empty ones, which a reader cannot take away
    there.chmod(0o511)
    assert as_other_user(there, write_something) == "StoreReadOnly"
    assert as_other_user(there, read_all) == "fine"
    there.chmod(0o711)
    assert everything(there / "mail.db") == before
    assert as_other_user(there, write_something) == "fine"


def test_a_store_without_permission_to_read_says_so(there: Path) -> None:
    (there / "mail.db").chmod(0o000)
    assert as_other_user(there, read_all) == "StoreReadOnly"
    assert as_other_user(there, write_something) == "StoreReadOnly"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a store of another user")
def test_a_store_of_another_user_is_refused(there: Path) -> None:
    with pytest.raises(StoreForeign):
        open_store(there / "mail.db")


def test_a_directory_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError):
        open_store(tmp_path / "file" / "mail.db")


def test_a_file_removed_or_replaced_while_open_is_noticed_by_the_next_writer(tmp_path: Path) -> None:
    with open_store(tmp_path / "mail.db") as store:
        inbox = Inbox.made_in(store)
        (tmp_path / "mail.db").rename(tmp_path / "gone.db")
        with pytest.raises(StoreMissing):
            inbox.list(new(1))
        (tmp_path / "mail.db").write_bytes(b"")
        with pytest.raises(StoreMissing):
            inbox.list(new(1))


def test_a_closed_store_says_that_it_is_closed(tmp_path: Path) -> None:
    store = open_store(tmp_path / "mail.db")
    store.close()
    store.close()
    with pytest.raises(StoreClosed), store.read():
        pass
    with pytest.raises(StoreClosed), store.write("late"):
        pass
    with pytest.raises(StoreClosed):
        store.changes()


def test_a_view_that_is_open_while_the_store_closes_still_ends_well(tmp_path: Path) -> None:
    store = open_store(tmp_path / "mail.db")
    inbox = Inbox.made_in(store)
    inbox.fill(1)
    with store.read() as view:
        store.close()
        assert len(view.messages(inbox.folder).messages) == 1


def test_importing_the_packages_loads_no_database_library() -> None:
    lookup = "import sys, store, store.mail; from store import FolderCursor, Encoder, StoreError, NewMessage; "
    check = "print(sorted({'sqlmodel', 'sqlalchemy', 'sqlite3', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", lookup + check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_lock_whose_directory_was_removed_keeps_its_own_file_and_closes_no_other(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    lock = FileLock(home / "mail.db.lock")
    (home / "mail.db.lock").unlink()
    home.rmdir()
    with pytest.raises(FileNotFoundError):
        lock.try_acquire()
    with (tmp_path / "of somebody else").open("wb") as other:  # it would have been given the number of a closed file
        lock.close()
        other.write(b"whole")
    assert (tmp_path / "of somebody else").read_bytes() == b"whole"
