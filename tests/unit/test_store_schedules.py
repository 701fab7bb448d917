"""Groups and schedules in the store: what is kept, who gets what is due, and what a killed manager leaves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store import AccountId, FolderPath, Group, LeaseLost, MailStore, UnknownGroup, UnknownSchedule, open_store
from store.mail.schedules import ALL_ACCOUNTS, ScheduleId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOME, WORK = AccountId("home"), AccountId("work")
EVERY = "every 15 min"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db") as opened:
        yield opened


def test_the_group_of_all_accounts_is_there_without_a_row_and_cannot_be_changed(store: MailStore) -> None:
    assert store.schedules.groups() == (ALL_ACCOUNTS,)
    with pytest.raises(ValueError, match="always there"):
        store.schedules.put_group(ALL_ACCOUNTS)
    with pytest.raises(ValueError, match="always there"):
        store.schedules.remove_group("All accounts")


def test_a_group_comes_back_as_it_was_put_and_an_account_may_be_in_several(tmp_path: Path) -> None:
    first = Group(
        name="Büro",
        accounts=(WORK, HOME),
        send=False,
        folders=(FolderPath(("INBOX",)), FolderPath(("A/b", "c"))),
        headers_only=True,
        size_octets_max=5_000,
        on_f9=False,
    )
    second = Group(name="Home", accounts=(HOME,))
    with open_store(tmp_path / "mail.db") as store:
        store.schedules.put_group(first)
        store.schedules.put_group(second)
    with open_store(tmp_path / "mail.db") as store:
        assert store.schedules.groups() == (ALL_ACCOUNTS, first, second)
        with store.write("remove") as tx:
            tx.remove_account(HOME)
        assert store.schedules.group("Büro").accounts == (WORK,)
        assert store.check().problems == ()


@pytest.mark.parametrize("about", [{"name": ""}, {"name": "a\nb"}, {"send": False, "receive": False}])
def test_a_group_that_makes_no_sense_is_refused(about: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="group"):
        Group(**{"name": "x", **about})  # type: ignore[arg-type]


def test_a_removed_group_takes_its_schedules_with_it(store: MailStore) -> None:
    store.schedules.put_group(Group(name="Home", accounts=(HOME,)))
    store.schedules.add("Home", EVERY, zone="UTC", next_run=NOW)
    store.schedules.remove_group("Home")
    assert store.schedules.all() == ()
    for call in (lambda: store.schedules.remove_group("Home"), lambda: store.schedules.group("Home")):
        with pytest.raises(UnknownGroup):
            call()
    with pytest.raises(UnknownSchedule):
        store.schedules.remove(ScheduleId(1))


def test_what_is_due_goes_to_one_of_two_managers_and_the_longest_due_first(tmp_path: Path) -> None:
    with open_store(tmp_path / "mail.db") as one, open_store(tmp_path / "mail.db") as two:
        late = one.schedules.add("All accounts", EVERY, zone="UTC", next_run=NOW)
        early = one.schedules.add("All accounts", EVERY, zone="UTC", next_run=NOW - MINUTE)
        one.schedules.add("All accounts", EVERY, zone="UTC", next_run=NOW + MINUTE)
        got = [store.schedules.claim(NOW, owner=name) for store, name in ((one, "a"), (two, "b"), (one, "a"))]
    assert [record and record.id for record in got] == [early, late, None]


def test_a_lease_that_was_taken_over_writes_nothing_more(store: MailStore) -> None:
    id_ = store.schedules.add("All accounts", EVERY, zone="UTC", next_run=NOW)
    assert store.schedules.claim(NOW, owner="a")
    assert store.schedules.claim(NOW, owner="b") is None
    assert store.schedules.claim(NOW, owner="b", is_gone=lambda owner: owner == "a")
    with pytest.raises(LeaseLost):
        store.schedules.finish(id_, owner="a", outcome="complete", next_run=NOW + MINUTE)
    store.schedules.renew(id_, NOW + MINUTE, owner="b")
    assert store.schedules.claim(NOW + MINUTE * 1.5, owner="c") is None
    assert store.schedules.claim(NOW + MINUTE * 2, owner="c")  # nobody renewed it


def test_what_was_not_finished_is_due_again_and_what_was_is_not(store: MailStore) -> None:
    id_ = store.schedules.add("All accounts", EVERY, zone="UTC", next_run=NOW)
    store.schedules.claim(NOW, owner="a")
    store.schedules.release(id_, owner="a")
    assert store.schedules.claim(NOW, owner="a")
    retry = NOW + 60 * MINUTE
    store.schedules.finish(id_, owner="a", outcome="failed", next_run=NOW + 99 * MINUTE, retry_at=retry)
    (record,) = store.schedules.all()
    assert (record.failures, record.last_outcome, record.last_run, record.running) == (1, "failed", NOW, False)
    assert store.schedules.claim(NOW + MINUTE, owner="a") is None
    assert store.schedules.claim(retry, owner="a")


def test_nothing_is_due_while_paused_or_disabled(store: MailStore) -> None:
    id_ = store.schedules.add("All accounts", EVERY, zone="UTC", next_run=NOW)
    store.schedules.pause()
    assert store.schedules.paused
    assert store.schedules.claim(NOW, owner="a") is None
    store.schedules.resume()
    store.schedules.set_enabled(id_, enabled=False, next_run=None)
    assert store.schedules.claim(NOW, owner="a") is None
    store.schedules.set_enabled(id_, enabled=True, next_run=NOW)
    store.schedules.reschedule(id_, NOW + MINUTE)
    assert store.schedules.claim(NOW, owner="a") is None
    assert store.schedules.claim(NOW + MINUTE, owner="a")
