"""Maildir and mbox through the provider: the store and the stdlib's own reading of the files agree."""

import hashlib
import mailbox
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from provider import Account, Counts, FolderPolicy, Keep
from store import BodyState, MailStore
from store.mail import AccountId

from .rig import ME, bodies_got, fetch, folder_of, keys_of, mail_of, rows_outside_runs, store_snapshot, synchronize
from .truth_mail import mail, plain

LETTERS = {"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F", "\\Draft": "D", "\\Deleted": "T"}
ARRIVED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def maildir(path: Path, count: int) -> list[Path]:
    """Deliver *count* messages with every set of flags and return their files."""
    box = mailbox.Maildir(path)
    files: list[Path] = []
    for number, message in enumerate(mail(count, keywords=False)):
        name = box.add(message.octets)
        file = path / "cur" / f"{name}:2,{''.join(sorted(LETTERS[flag] for flag in message.flags))}"
        (path / "new" / name).rename(file)
        os.utime(file, (ARRIVED.timestamp() + number, ARRIVED.timestamp() + number))
        files.append(file)
    return files


def read(path: Path) -> "Counter[tuple[frozenset[bytes], str, str]]":
    """Read a Maildir as it lies: flags, time of arrival and sha256 of each message."""
    flags = {letter: flag.encode() for flag, letter in LETTERS.items()}
    return Counter(
        (
            frozenset(flags[letter] for letter in file.name.partition(":2,")[2]),
            datetime.fromtimestamp(int(file.stat().st_mtime), UTC).isoformat(),
            hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for part in ("cur", "new")
        for file in (path / part).iterdir()
    )


def kept(store: MailStore, name: bytes) -> "Counter[tuple[frozenset[bytes], str, str]]":
    messages = store_snapshot(store)[name].messages.values()
    return Counter((message.flags, message.arrived, message.octets) for message in messages)


def test_a_maildir_comes_whole_and_later_only_what_changed(tmp_path: Path, mail_store: MailStore) -> None:
    path = tmp_path / "Maildir"
    files = maildir(path, 80)
    sub = path / ".Lists.Gr&APwA3w-e"
    maildir(sub, 20)
    account = Account(id=ME, kind="maildir", path=path)

    result, _ = synchronize(mail_store, account)

    assert (result.downloaded.new, bodies_got(result)) == (100, 100)
    assert kept(mail_store, b"INBOX") == read(path)
    assert folder_of(mail_store, "Lists/Grüße").counts.bodies == 20
    assert kept(mail_store, folder_of(mail_store, "Lists/Grüße").name) == read(sub)
    before, keys = rows_outside_runs(mail_store.path), keys_of(mail_store, "INBOX")
    again, _ = synchronize(mail_store, account)
    assert again.downloaded == Counts()
    assert rows_outside_runs(mail_store.path) == before

    flagged = [file for file in files if "F" not in file.name.partition(":2,")[2]][:7]
    for file in flagged:
        name, _, letters = file.name.partition(":2,")
        file.rename(file.with_name(f"{name}:2,{''.join(sorted(letters + 'F'))}"))
    for file in [file for file in files if file not in flagged][:5]:
        file.unlink()
    for number in (1, 2, 3):
        mailbox.Maildir(path).add(plain(9_000 + number))
    result, _ = synchronize(mail_store, account)
    assert kept(mail_store, b"INBOX") == read(path)
    counts = result.downloaded
    assert (counts.new, counts.bodies, counts.modified, counts.deleted) == (3, 3, 7, 5)
    assert len(set(keys) & set(keys_of(mail_store, "INBOX"))) == 75


def test_an_mbox_comes_whole_and_what_is_appended_comes_later(tmp_path: Path, mail_store: MailStore) -> None:
    root = tmp_path / "Mail"
    root.mkdir()
    write_mbox(root / "INBOX", range(1, 41))
    write_mbox(root / "Archive 2023", range(41, 61))
    account = Account(id=ME, kind="mbox", path=root)

    result, _ = synchronize(mail_store, account)

    assert (result.downloaded.new, result.downloaded.bodies) == (60, 60)
    for name in ("INBOX", "Archive 2023"):
        assert octets_of(mail_store, name) == sorted(octets_in(root / name))
    before = rows_outside_runs(mail_store.path)
    again, _ = synchronize(mail_store, account)
    assert again.downloaded == Counts()
    assert rows_outside_runs(mail_store.path) == before
    keys = keys_of(mail_store, "INBOX")

    write_mbox(root / "INBOX", [*range(3, 41), 70, 71, 72])
    result, _ = synchronize(mail_store, account)

    counts = result.downloaded
    assert (counts.new, counts.bodies, counts.deleted) == (3, 3, 2)
    assert octets_of(mail_store, "INBOX") == sorted(octets_in(root / "INBOX"))
    assert len(set(keys) & set(keys_of(mail_store, "INBOX"))) == 38


def write_mbox(path: Path, numbers: "range | list[int]") -> None:
    path.write_bytes(
        b"".join(b"From jo@example.org Mon Jul 17 02:44:25 2023\n" + _lf(plain(n, octets=900)) + b"\n" for n in numbers)
    )


def _lf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n")


def octets_in(path: Path) -> Iterator[bytes]:
    """Read an mbox with the stdlib."""
    box = mailbox.mbox(path, create=False)
    try:
        yield from (box.get_bytes(key) for key in box.iterkeys())
    finally:
        box.close()


def octets_of(store: MailStore, folder: str) -> list[bytes]:
    with store.read() as view:
        return sorted(view.raw(message.key) for message in mail_of(store, folder))


def test_policies_and_fetching_are_the_same_for_local_files(tmp_path: Path, mail_store: MailStore) -> None:
    path = tmp_path / "Maildir"
    maildir(path, 10)
    account = Account(id=ME, kind="maildir", path=path, policy=FolderPolicy(keep=Keep.HEADERS))
    synchronize(mail_store, account)
    messages = mail_of(mail_store, "INBOX")
    assert {message.body for message in messages} == {BodyState.HEADERS}
    result, _ = fetch(mail_store, account, messages[3].key)
    assert (result.ok, result.downloaded.bodies) == (True, 1)
    assert [m.body for m in mail_of(mail_store, "INBOX")].count(BodyState.FULL) == 1


def test_two_accounts_with_the_same_mail_share_nothing_that_shows(tmp_path: Path, mail_store: MailStore) -> None:
    path = tmp_path / "Maildir"
    maildir(path, 12)
    other = AccountId("other")
    synchronize(mail_store, Account(id=ME, kind="maildir", path=path))
    synchronize(mail_store, Account(id=other, kind="maildir", path=path))
    assert store_snapshot(mail_store, ME) == store_snapshot(mail_store, other)
    assert set(keys_of(mail_store, "INBOX", ME)).isdisjoint(keys_of(mail_store, "INBOX", other))
