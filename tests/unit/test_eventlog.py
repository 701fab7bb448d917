"""The event log: one entry for as long as a thing lasts, cleared by a success, bounded, without addresses."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from store import AccountId, LogEntry, MailStore, Recorded, RunError, UnknownAccount, eventlog, open_store

from .store_kit import ACCOUNT, BEGIN, Clock

REFUSED = RunError(kind="login-refused", text="The password was refused.")
MISSING = RunError(kind="message-missing", text="One message is gone.", folder="INBOX", uid=7, severity="warning")
UNREADABLE = RunError(kind="folder-unusable", text="It cannot be opened.", folder="Lists")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db", clock=clock) as opened:
        yield opened
        assert opened.check().problems == ()


def only(store: MailStore) -> LogEntry:
    (entry,) = store.eventlog.entries()
    return entry


def test_an_error_that_persists_is_one_entry_with_a_count_and_both_times(store: MailStore, clock: Clock) -> None:
    run = store.start_run(ACCOUNT, trigger="manual", flags=0, owner="one")
    assert store.eventlog.record(ACCOUNT, [REFUSED]) == Recorded(raised=True)
    clock.now += 60
    assert store.eventlog.record(ACCOUNT, [REFUSED], run=run) == Recorded()
    entry = only(store)
    assert (entry.count, entry.first_at, entry.last_at, entry.run) == (2, BEGIN, BEGIN + timedelta(seconds=60), run)
    assert (entry.severity, entry.kind, entry.folder, entry.cleared_at) == ("error", "login-refused", None, None)


def test_a_success_clears_and_keeps_it_and_the_next_failure_is_a_new_entry(store: MailStore, clock: Clock) -> None:
    store.eventlog.record(ACCOUNT, [REFUSED])
    clock.now += 60
    assert store.eventlog.record(ACCOUNT, [], succeeded=[None]) == Recorded(cleared=True)
    assert only(store).cleared_at == BEGIN + timedelta(seconds=60)
    assert store.eventlog.entries(open=True) == ()
    assert store.eventlog.record(ACCOUNT, [REFUSED]) == Recorded(raised=True)
    assert [one.cleared_at is None for one in store.eventlog.entries()] == [True, False]


def test_a_success_of_one_folder_clears_nothing_of_another(store: MailStore) -> None:
    store.eventlog.record(ACCOUNT, [MISSING, UNREADABLE])
    store.eventlog.record(ACCOUNT, [], succeeded=["INBOX", None])
    assert [one.folder for one in store.eventlog.entries(open=True)] == ["Lists"]
    store.eventlog.record(ACCOUNT, [], succeeded=["INBOX", None], whole=True)  # Lists is no more
    assert store.eventlog.entries(open=True) == ()


def test_what_came_again_in_a_run_that_succeeded_lasts(store: MailStore) -> None:
    store.eventlog.record(ACCOUNT, [MISSING])
    store.eventlog.record(ACCOUNT, [MISSING], succeeded=["INBOX", None], whole=True)
    assert (only(store).count, only(store).cleared_at) == (2, None)


def test_a_success_of_the_synchronization_clears_nothing_of_the_outbox_nor_what_lasts(store: MailStore) -> None:
    refused = RunError(kind="send-refused", text="Refused.")
    store.eventlog.record(ACCOUNT, [refused], item="outbox")
    store.eventlog.record(ACCOUNT, [], succeeded=[None], whole=True)
    store.eventlog.record(ACCOUNT, [], succeeded=[None], whole=True, item="outbox", lasting=["send-refused"])
    assert (only(store).item, only(store).cleared_at) == ("outbox", None)


def test_a_success_with_nothing_to_clear_writes_nothing(store: MailStore) -> None:
    store.eventlog.record(ACCOUNT, [], succeeded=[None])
    store.eventlog.record(ACCOUNT, [REFUSED])
    store.eventlog.record(ACCOUNT, [], succeeded=[None])
    before = store.commits
    store.eventlog.record(ACCOUNT, [], succeeded=[None], whole=True)
    assert store.commits == before


def test_no_address_is_in_it_whoever_wrote_the_text(store: MailStore) -> None:
    text = '550 <jo@example.org> unknown, see "a.b+c@bücher.example"'
    store.eventlog.record(ACCOUNT, [RunError(kind="send-refused", text=text), RunError(kind="x", text="é" * 9000)])
    texts = {one.kind: one.text for one in store.eventlog.entries()}
    assert texts["send-refused"] == '550 <(an address)> unknown, see "(an address)"'
    assert len(texts["x"]) == eventlog.TEXT_CHARACTERS_MAX


def test_it_is_bounded_and_what_is_over_goes_first(store: MailStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.eventlog.ENTRIES_MAX", 3)
    store.eventlog.record(ACCOUNT, [REFUSED])
    store.eventlog.record(ACCOUNT, [UNREADABLE], succeeded=[None])
    store.eventlog.record(ACCOUNT, [RunError(kind=f"kind-{n}", text="x") for n in range(2)])
    assert {one.kind for one in store.eventlog.entries()} == {"folder-unusable", "kind-0", "kind-1"}


def test_entries_are_chosen_by_account_severity_and_number_and_counted(store: MailStore) -> None:
    other = AccountId("other")
    store.eventlog.record(ACCOUNT, [REFUSED, MISSING])
    store.eventlog.record(other, [UNREADABLE])
    assert [one.kind for one in store.eventlog.entries(other)] == ["folder-unusable"]
    assert [one.kind for one in store.eventlog.entries(severity="warning")] == ["message-missing"]
    assert len(store.eventlog.entries(limit=2)) == 2
    assert store.eventlog.counts() == {"information": 0, "warning": 1, "error": 2}
    assert store.eventlog.counts(other) == {"information": 0, "warning": 0, "error": 1}
    with pytest.raises(UnknownAccount):
        store.eventlog.entries(AccountId("nobody"))
    with pytest.raises(ValueError, match="severity"):
        store.eventlog.entries(severity="loud")


def test_removed_entries_are_gone_and_come_anew(store: MailStore) -> None:
    store.eventlog.record(ACCOUNT, [REFUSED])
    store.eventlog.record(ACCOUNT, [REFUSED])
    assert store.eventlog.remove([only(store).id, only(store).id]) == 1
    assert store.eventlog.remove([only(store).id for _ in store.eventlog.entries()]) == 0
    store.eventlog.record(ACCOUNT, [REFUSED])
    assert only(store).count == 1


def test_an_account_that_is_removed_takes_its_entries_along(store: MailStore) -> None:
    store.eventlog.record(ACCOUNT, [REFUSED])
    with store.write("remove") as tx:
        tx.remove_account(ACCOUNT)
    store.eventlog.record(ACCOUNT, [])
    assert store.eventlog.entries() == ()
