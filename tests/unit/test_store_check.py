"""The check: a sound store passes; every planted fault and every flipped bit is found, by the right invariant."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from store import Encoder, MailStore, StoreError, UidSet, open_store
from store.check import INVARIANTS
from store.mail import Uid

from .store_kit import ACCOUNT, EPOCH, LARGE, Inbox, new

FAULTS = {
    "references_lead_somewhere": "UPDATE messages SET header_id = 999 WHERE uid = 1",
    "counters_equal_counts": "UPDATE folders SET unseen = unseen + 1",
    "bodies_have_headers": "UPDATE messages SET header_id = NULL WHERE uid = 1",
    "assumed_octets_are_here": "UPDATE messages SET likeness = 1 WHERE uid = 5",
    "visible_messages_were_told": "UPDATE messages SET created_seq = 0 WHERE uid = 2",
    "chunks_are_contiguous": "UPDATE chunks SET number = 7 WHERE number = 1",
    "blob_lengths_add_up": "UPDATE chunks SET octets = octets + 1 WHERE number = 1",
    "half_blobs_are_hidden": "UPDATE blobs SET digest = NULL WHERE id = 1",
    "uids_are_unique": "DROP INDEX messages_by_uid; UPDATE messages SET uid = 2 WHERE uid = 1",
    "epochs_are_current": "UPDATE messages SET epoch = 6 WHERE uid = 1",
    "cursors_make_sense": "UPDATE cursors SET listed_from = 0",
    "uids_are_positive": "UPDATE messages SET uid = -1 WHERE uid = 1",
    "tombstones_are_not_alive": "UPDATE tombstones SET key = 1",
    "change_numbers_are_given_once": "UPDATE state SET change_seq = change_seq - 1",
    "flags_are_canonical": "UPDATE messages SET server_keywords = 'b' || char(10) || 'a' WHERE uid = 1",
    "folders_are_listed_once": "INSERT INTO folders (account_id, name) SELECT account_id, name FROM folders",
    "one_run_an_account_and_lane": "DROP INDEX runs_open; UPDATE runs SET finished_at = NULL",
    "twins_keep_places": "UPDATE messages SET twin_of = 2, header_id = NULL WHERE uid = 1",
    "pending_messages_are_wanted": "UPDATE messages SET epoch = 0, uid = key WHERE uid = 1",
    "wishes_differ": "UPDATE messages SET local_flags = server_flags, local_keywords = server_keywords WHERE uid = 1",
    "operations_have_their_subject": "INSERT INTO operations (account_id, message) VALUES (1, 999)",
    "submissions_stand_by_their_recipients": "UPDATE recipients SET fate = 'accepted'",
    "submissions_are_held_or_free": "UPDATE submissions SET owner = 'nobody'",
    "doubts_are_counted": "UPDATE submissions SET state = 'in doubt'",
    "submissions_are_whole": "UPDATE submissions SET size = 9999",
}
MORE_FAULTS = [
    (
        "twins_keep_places",
        (
            "INSERT INTO operations (account_id, message) VALUES (1, 1), (1, 2); "
            "UPDATE messages SET twin_of = 2 WHERE uid = 1"
        ),
    ),
    (
        "twins_keep_places",
        (
            "INSERT INTO operations (account_id, message) VALUES (1, 1), (1, 2); "
            "UPDATE messages SET twin_of = 2, epoch = 0 WHERE uid IN (1, 3)"
        ),
    ),
    (
        "pending_messages_are_wanted",
        (
            "INSERT INTO operations (account_id, message) VALUES (1, 1), (1, 2); "
            "UPDATE messages SET epoch = 0, uid = 99 WHERE uid = 1"
        ),
    ),
    (
        "pending_messages_are_wanted",
        (
            "INSERT INTO operations (account_id, message, kind) SELECT 1, key, 'flags' FROM messages WHERE uid = 1; "
            "UPDATE messages SET epoch = 0, uid = key WHERE uid = 1"
        ),
    ),
    ("wishes_differ", "UPDATE messages SET local_flags = 16 WHERE uid = 1"),
    ("submissions_stand_by_their_recipients", "DELETE FROM recipients"),
    ("submissions_stand_by_their_recipients", "DELETE FROM recipients WHERE number = 0"),
    ("submissions_stand_by_their_recipients", "UPDATE recipients SET fate = 'unknown' WHERE number = 1"),
    ("submissions_stand_by_their_recipients", "UPDATE submissions SET state = 'sent'"),
    ("submissions_stand_by_their_recipients", "UPDATE recipients SET fate = 'refused'"),
    ("submissions_stand_by_their_recipients", "UPDATE submissions SET finished_at = 1"),
    ("submissions_are_held_or_free", "UPDATE submissions SET state = 'sending'"),
    ("submissions_are_held_or_free", "UPDATE submissions SET dot = 1"),
    ("submissions_are_held_or_free", "UPDATE submissions SET lease_until = 1, owner = 'me'"),
    (
        "submissions_are_held_or_free",
        (
            "UPDATE submissions SET lease_until = 1, owner = 'me', dot = 1, state = 'sent'; "
            "UPDATE recipients SET fate = 'accepted'"
        ),
    ),
    ("doubts_are_counted", "UPDATE submissions SET state = 'in doubt', doubts = 1"),
    ("submissions_are_whole", "UPDATE submissions SET blob_id = (SELECT blob_id FROM partials)"),
    (
        "operations_have_their_subject",
        "INSERT INTO operations (account_id, message) VALUES (1, 1), (1, 2); UPDATE operations SET state = 'done'",
    ),
    ("operations_have_their_subject", "UPDATE folders SET state = 'local'"),
    ("change_numbers_are_given_once", "UPDATE messages SET changed_seq = 3, created_seq = 3 WHERE uid IN (1, 2)"),
    ("change_numbers_are_given_once", "UPDATE messages SET created_seq = changed_seq + 1 WHERE uid = 1"),
    ("chunks_are_contiguous", "DELETE FROM chunks WHERE number = 2"),
    ("half_blobs_are_hidden", "INSERT INTO blobs (account_id) VALUES (1)"),
    ("half_blobs_are_hidden", "DELETE FROM partials"),
    ("cursors_make_sense", "UPDATE cursors SET mod_seq = 0"),
    ("cursors_make_sense", "UPDATE cursors SET epoch = NULL"),
    ("counters_equal_counts", "UPDATE messages SET server_flags = 8 WHERE uid = 1"),
    ("flags_are_canonical", "UPDATE messages SET server_keywords = '\\Recent' WHERE uid = 1"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    """A store with a bit of everything: whole, half, removed, listed and large messages, two runs."""
    with open_store(tmp_path / "mail.db") as opened:
        for _ in range(2):
            run = opened.start_run(ACCOUNT, trigger="test", flags=0, owner="test")
            opened.finish_run(run, status="done", counts={})
        inbox = Inbox.made_in(opened)
        inbox.fill(4)
        inbox.list(new(5, "work"), new(6), new(7))
        inbox.show([5])
        inbox.bring([6], LARGE)
        opened.outbox.submit(ACCOUNT, b"From: a@example.org\nTo: b@example.org, c@example.org\n\nHi\n")
        inbox.store.start_run(ACCOUNT, trigger="test", flags=0, owner="test")
        with opened.write("half, and a removal") as tx:
            half = Encoder().start(Uid(7)).chunk(bytes(LARGE), last=False)
            tx.add_chunks(inbox.folder, EPOCH, half[:1])
            tx.remove_messages(inbox.folder, EPOCH, UidSet([4]))
        yield opened


def plant(store: MailStore, script: str) -> None:
    """Change the file behind the store's back."""
    with closing(sqlite3.connect(store.path)) as connection:
        connection.executescript(script)


def test_a_sound_store_has_no_problems_and_the_report_says_what_was_looked_at(store: MailStore) -> None:
    quick, full = store.check(), store.check(full=True)
    assert quick.problems == full.problems == ()
    assert quick.ok
    assert full.ok
    assert (quick.blobs_read, quick.octets_read) == (0, 0)
    assert full.blobs_read == 6
    assert full.octets_read > LARGE
    assert full.messages == 6
    assert set(full.invariants) - set(quick.invariants) == {"header_digests_match", "blob_digests_match"}


def test_every_invariant_has_a_planted_fault_and_says_what_it_holds() -> None:
    assert list(FAULTS) == [invariant.__name__ for invariant in INVARIANTS]
    assert all(invariant.__doc__ for invariant in INVARIANTS)


@pytest.mark.parametrize(("invariant", "script"), [*FAULTS.items(), *MORE_FAULTS])
def test_a_planted_fault_is_found_by_the_invariant_it_breaks(store: MailStore, invariant: str, script: str) -> None:
    plant(store, script)
    report = store.check()
    assert not report.ok
    assert invariant in {problem.invariant for problem in report.problems}


def test_a_check_writes_nothing(store: MailStore) -> None:
    before, commits = store.path.read_bytes(), store.commits
    store.check(full=True)
    assert (store.path.read_bytes(), store.commits) == (before, commits)


@pytest.mark.parametrize(("table", "row"), [("headers", "id = 2"), ("chunks", "blob_id = 2"), ("chunks", "number = 1")])
def test_every_flipped_octet_of_stored_mail_is_found_and_names_its_message(
    store: MailStore, table: str, row: str
) -> None:
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        where = f"FROM {table} WHERE {row}"
        (good,) = connection.execute(f"SELECT data {where}").fetchone()
        places = range(len(good)) if len(good) < 1000 else random.Random(1).sample(range(len(good)), 150)
        for at in places:
            flipped = bytearray(good)
            flipped[at] ^= 0x01
            connection.execute(f"UPDATE {table} SET data = ? WHERE {row}", (bytes(flipped),))  # noqa: S608
            report = store.check(full=True)
            assert len(report.problems) == 1, f"octet {at} of {len(good)}"
            assert report.problems[0].keys != ()
        connection.execute(f"UPDATE {table} SET data = ? WHERE {row}", (good,))  # noqa: S608
    assert store.check(full=True).ok


def test_a_message_whose_digest_is_another_is_found_though_its_octets_decompress(store: MailStore) -> None:
    plant(store, "UPDATE blobs SET digest = randomblob(32) WHERE id = 2")
    (problem,) = store.check(full=True).problems
    assert (problem.invariant, problem.keys) == ("blob_digests_match", (2,))


def test_damage_on_any_page_is_reported_or_harmless_and_never_a_wrong_octet(tmp_path: Path) -> None:
    good = tmp_path / "good.db"
    with open_store(good) as store:
        inbox = Inbox.made_in(store)
        inbox.fill(25)
        with store.read() as view:
            mail = {m.key: view.raw(m.key) for m in view.messages(inbox.folder).messages}
    octets = good.read_bytes()
    chance = random.Random(7)
    silent = 0
    for page in range(len(octets) // 16384):
        damaged = bytearray(octets)
        at = page * 16384 + chance.randrange(16384)
        damaged[at] ^= 1 << chance.randrange(8)
        silent += _damage_is_silent(tmp_path / f"{page}.db", bytes(damaged), inbox, mail)
    assert silent < len(octets) // 16384, "most damage is somewhere that matters"


def _damage_is_silent(path: Path, octets: bytes, inbox: Inbox, mail: dict[int, bytes]) -> bool:
    """Open, check and read a damaged store; True when nobody noticed, which must mean that nothing is wrong."""
    path.write_bytes(octets)
    path.chmod(0o600)
    try:
        with open_store(path) as store:
            noticed = not store.check(full=True).ok
            with store.read() as view:
                for message in view.messages(inbox.folder).messages:
                    assert view.raw(message.key) == mail[message.key]
    except StoreError:
        return False
    return not noticed
