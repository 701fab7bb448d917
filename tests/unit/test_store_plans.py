"""Reading at scale: every public read is planned as a search by index, and costs do not grow with the folder."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from store import (
    Fate,
    LogId,
    MailStore,
    MessageKey,
    OperationId,
    PageKey,
    ReadView,
    Recipient,
    RunError,
    SubmissionId,
    SubmissionState,
    UidSet,
    database,
    open_store,
)
from store.mail import FolderId, FolderPath, Uid

from .store_kit import ACCOUNT, EPOCH, Inbox, listed, new, raw_mail

LARGE_TABLES = ("messages", "headers", "blobs", "chunks", "tombstones", "partials", "troubles", "operations")
LARGE_TABLES += ("submissions", "recipients", "eventlog", "alerts")
INBOX = FolderId(1)
LETTER = b"From: me@example.org\nTo: you@example.org\n\nHi\n"
PAGE = PageKey(10**15, 10**6)

READS: dict[str, Callable[[ReadView], object]] = {
    "accounts": lambda view: view.accounts(),
    "folders": lambda view: view.folders(),
    "folders of an account": lambda view: view.folders(ACCOUNT),
    "folder": lambda view: view.folder(INBOX),
    "find_folder": lambda view: view.find_folder(ACCOUNT, FolderPath(("INBOX",))),
    "messages": lambda view: view.messages(INBOX),
    "messages, later page": lambda view: view.messages(INBOX, before=PAGE),
    "all_messages": lambda view: view.all_messages(before=PAGE),
    "all_messages of an account": lambda view: view.all_messages(ACCOUNT),
    "message": lambda view: view.message(MessageKey(1)),
    "find_message": lambda view: view.find_message(INBOX, Uid(1)),
    "header_block": lambda view: view.header_block(MessageKey(1)),
    "envelope": lambda view: view.envelope(MessageKey(1)),
    "open_raw": lambda view: list(view.open_raw(MessageKey(1))),
    "raw_piece": lambda view: view.raw_piece(MessageKey(1), 0),
    "raw": lambda view: view.raw(MessageKey(1)),
    "troubles": lambda view: view.troubles(INBOX),
    "runs": lambda view: view.runs(),
    "runs of an account": lambda view: view.runs(ACCOUNT),
    "one_connection": lambda view: view.one_connection(ACCOUNT),
    "operations": lambda view: view.operations(ACCOUNT),
    "operations of all, and those that are over": lambda view: view.operations(pending=False),
    "operation": lambda view: view.operation(OperationId(1)),
    "conflicts": lambda view: view.conflicts(ACCOUNT),
    "conflicts, all": lambda view: view.conflicts(open=False),
    "submissions": lambda view: view.submissions(ACCOUNT),
    "submissions, unfinished, of all": lambda view: view.submissions(states=[SubmissionState.QUEUED]),
    "submission": lambda view: view.submission(SubmissionId(1)),
    "wishes": lambda view: view.wishes(ACCOUNT),
    "place": lambda view: view.place(MessageKey(3)),
    "upload": lambda view: view.upload(MessageKey(3)),
    "likeness": lambda view: view.likeness(MessageKey(3)),
    "kept_header": lambda view: view.kept_header(MessageKey(3)),
    "kept_raw": lambda view: view.kept_raw(MessageKey(3)),
    "keys_at": lambda view: list(view.keys_at(INBOX, UidSet.parse("1:2,5"))),
    "came_since": lambda view: view.came_since(MessageKey(3), MessageKey(1)),
    "awaits": lambda view: view.awaits(INBOX),
    "removed_with": lambda view: view.removed_with(INBOX),
    "leaving": lambda view: view.leaving(INBOX),
    "cursor_seq": lambda view: view.cursor_seq(),
    "cursor": lambda view: view.cursor(INBOX),
    "uids": lambda view: view.uids(INBOX),
    "flags_of": lambda view: list(view.flags_of(INBOX)),
    "flags_of some": lambda view: list(view.flags_of(INBOX, UidSet.parse("1:2,5"))),
    "buried": lambda view: list(view.buried(INBOX, UidSet.parse("1:2,5"))),
    "without_header": lambda view: view.without_header(INBOX),
    "wanted_bodies": lambda view: view.wanted_bodies(INBOX, size_max=9, newer_than=datetime(2026, 1, 1, tzinfo=UTC)),
    "identities": lambda view: view.identities(INBOX, after_key=1),
    "twins": lambda view: view.twins(INBOX, UidSet.parse("1:10")),
    "look_alikes": lambda view: view.look_alikes(INBOX, UidSet.parse("1:10")),
    "shareable": lambda view: view.shareable(INBOX, UidSet.parse("1:10")),
    "shareable by proof": lambda view: view.shareable(INBOX, UidSet.parse("1:10"), fingerprints=False),
    "assumed": lambda view: view.assumed(INBOX),
}


class Recording(sqlite3.Connection):
    """Remembers what was executed, in the order of execution."""

    seen: list[str]

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]
        seen.append(sql)
        return super().execute(sql, *parameters)  # type: ignore[arg-type]

    def executemany(self, sql: str, rows: object) -> sqlite3.Cursor:  # type: ignore[override]
        seen.append(sql)
        return super().executemany(sql, rows)  # type: ignore[arg-type]


seen: list[str] = []


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailStore]:
    monkeypatch.setattr(database, "CONNECTION_CLASS", Recording)
    with open_store(tmp_path / "mail.db") as opened:
        inbox = Inbox.made_in(opened)
        inbox.fill(5)
        inbox.list(new(6))
        with opened.edit("flags, and a move") as edit:
            edit.set_flags([MessageKey(2)], add=["\\Seen"])
            edit.move([MessageKey(3)], edit.create_folder(ACCOUNT, FolderPath(("Other",))))
        opened.outbox.submit(ACCOUNT, LETTER)
        opened.start_run(ACCOUNT, trigger="test", flags=0, owner="test")
        seen.clear()
        yield opened


def scans(store: MailStore, statements: list[str]) -> list[str]:
    """Return steps of the plans of *statements* that read a whole large table or sort one."""
    found = []
    connection = sqlite3.connect(store.path)
    for statement in statements:
        if not statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
            continue
        places = (None,) * statement.count("?")
        for *_, step in connection.execute("EXPLAIN QUERY PLAN " + statement, places):
            whole = step.startswith("SCAN") and any(name in step.split() for name in LARGE_TABLES)
            if whole or ("TEMP B-TREE" in step and any(f"FROM {name}" in statement for name in LARGE_TABLES)):
                found.append(f"{step}: {statement}")
    connection.close()
    return found


def test_every_public_read_has_its_plan_looked_at() -> None:
    public = {name for name in vars(ReadView) if not name.startswith("_")}
    assert {name.partition(" ")[0].rstrip(",") for name in READS} == public


@pytest.mark.parametrize("name", READS)
def test_no_public_read_scans_a_table(store: MailStore, name: str) -> None:
    with store.read() as view:
        READS[name](view)
    assert [statement for statement in seen if statement.startswith("SELECT")] != []
    assert scans(store, seen) == []


def test_changes_and_waiting_scan_no_table(store: MailStore) -> None:
    store.changes(2)
    store.wait_for_change(0, 0)
    assert scans(store, seen) == []


def test_writing_scans_no_table(store: MailStore) -> None:
    inbox = Inbox(store, INBOX)
    inbox.list(new(7), new(8))
    inbox.show([7])
    inbox.bring([6, 8], 600_000)
    with store.write("all the rest") as tx:
        tx.set_flags(INBOX, EPOCH, [(Uid(1), frozenset({"x"}), None)])
        tx.set_trouble(INBOX, EPOCH, Uid(9), "missing", "why", datetime(2026, 1, 1, tzinfo=UTC))
        tx.clear_trouble(INBOX, Uid(9))
        tx.remove_messages(INBOX, EPOCH, UidSet([1, 2]))
        tx.revive(INBOX, EPOCH, [(MessageKey(1), Uid(1))])
        tx.update_folder(INBOX, listed("Other"))
        tx.drop_partial_blobs(ACCOUNT)
        tx.remove_folder(INBOX)
    assert len(seen) > 50
    assert scans(store, seen) == []


def test_changing_and_settling_scan_no_table(store: MailStore) -> None:
    with store.edit("all") as edit:
        other = edit.create_folder(ACCOUNT, FolderPath(("Another",)))
        edit.copy([MessageKey(1)], other)
        edit.append(other, raw_mail(50), flags=["\\Draft"])
        edit.delete([MessageKey(4)])
        edit.rename_folder(other, FolderPath(("Renamed",)))
        batch = edit.batch
    with store.edit("second thoughts") as edit:
        edit.undo(batch)
        edit.move([MessageKey(1)], FolderId(2))
    with store.read() as view:
        ids = [one.id for one in view.operations()]
    seen.clear()
    with store.write("settle") as tx:
        tx.settle.attempt(ids, None, None)
        tx.settle.flags(INBOX, EPOCH, {Uid(2): frozenset({"\\Seen"})})
        tx.settle.arrived_somewhere(ids[:2])
        tx.settle.refuse(ids, "no")
        tx.add_folder(ACCOUNT, listed("New"))
        tx.update_folder(INBOX, listed("INBOX"))
    store.clean_due()
    store.purge()
    assert len(seen) > 50
    assert scans(store, [one for one in seen if "DISTINCT partials" not in one]) == []  # as many as runs had half


def test_sending_scans_no_table(store: MailStore) -> None:
    outbox = store.outbox
    for key in ("a", "b", "b"):
        outbox.submit(ACCOUNT, LETTER, key=key)
    for owner in ("me", "me", "you"):
        assert outbox.claim(ACCOUNT, owner=owner, is_gone=lambda owner: owner == "nobody")
    list(outbox.octets(SubmissionId(1)))
    outbox.renew(SubmissionId(1), "me")
    outbox.about_to_end(SubmissionId(1), "me")
    outbox.settle(SubmissionId(1), "me", [Recipient(address="you@example.org", fate=Fate.ACCEPTED)])
    assert outbox.claim(ACCOUNT, owner="me")
    outbox.filed(SubmissionId(1), "me", folder=INBOX)
    outbox.release(SubmissionId(2), "me")
    outbox.retry(SubmissionId(2))
    outbox.cancel(SubmissionId(2))
    outbox.suspend(ACCOUNT)
    assert len(seen) > 50
    assert scans(store, seen) == []


def test_the_look_for_scans_sees_a_scan_and_a_sort(store: MailStore) -> None:
    assert len(scans(store, ["SELECT * FROM messages WHERE size = 3", "SELECT uid FROM messages ORDER BY size"])) == 3


def test_a_page_and_the_counts_cost_the_same_in_a_large_folder_as_in_a_small_one(store: MailStore) -> None:
    """Counted in steps of SQLite's machine, not in time."""

    def steps(read: Callable[[ReadView], object]) -> int:
        ticks = 0

        def tick() -> int:
            nonlocal ticks
            ticks += 1
            return 0

        with store.read() as view:
            view._c.set_progress_handler(tick, 10)
            read(view)
            view._c.set_progress_handler(None, 0)
        return ticks

    def all_of_them() -> list[int]:
        middle = PageKey(1_767_225_600_000_000 + 60_000_000 * 150, 0)
        reads: list[Callable[[ReadView], object]] = [
            lambda view: view.messages(INBOX, limit=50),
            lambda view: view.messages(INBOX, limit=50, before=middle),
            lambda view: view.all_messages(limit=50, before=middle),
            lambda view: view.folder(INBOX),
        ]
        return [steps(read) for read in reads]

    inbox = Inbox(store, INBOX)
    inbox.list(*(new(uid) for uid in range(7, 301)))
    inbox.show(range(6, 301))
    small = all_of_them()
    inbox.list(*(new(uid) for uid in range(301, 5001)))
    inbox.show(range(301, 5001))
    for few, many in zip(small, all_of_them(), strict=True):
        assert many <= few * 1.5 + 5


def test_messages_of_one_and_the_same_date_are_paged_by_key_without_walking_over_them(store: MailStore) -> None:
    date = datetime(2026, 5, 5, tzinfo=UTC)
    inbox = Inbox(store, INBOX)
    inbox.list(*(new(uid, internal_date=date) for uid in range(7, 2001)))
    inbox.show(range(7, 2001))
    ticks = 0

    def tick() -> int:
        nonlocal ticks
        ticks += 1
        return 0

    with store.read() as view:
        first = view.messages(INBOX, limit=1900)
        assert first.next is not None
        view._c.set_progress_handler(tick, 100)
        view.messages(INBOX, limit=1, before=first.next)
        view._c.set_progress_handler(None, 0)
    assert ticks < 10


def test_the_event_log_scans_no_table(store: MailStore) -> None:
    error = RunError(kind="login-refused", text="no")
    store.eventlog.record(ACCOUNT, [error])
    store.eventlog.record(ACCOUNT, [error])
    claimed = store.alerts.claim(datetime.now(UTC), {"command"}, seconds=9)
    assert claimed is not None
    store.alerts.told(claimed[0], {"command"}, again_at=None)
    store.eventlog.record(ACCOUNT, [], succeeded=[None], whole=True)
    store.eventlog.entries()
    store.eventlog.counts(ACCOUNT)
    store.eventlog.remove([LogId(1)])
    store.alerts.entries(open=True)
    # Its rows of one account are at most 500: what is over goes first is a sort of those.
    assert scans(store, [one for one in seen if "ORDER BY eventlog.cleared_at IS NULL" not in one]) == []
