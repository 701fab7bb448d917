"""Runs and leases: one synchronization of an account at a time, fenced, renewed, survivable by clocks that jump."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from store import AccountId, Leased, LeaseLost, MailStore, RunError, RunId, UnknownAccount, open_store

from .store_kit import ACCOUNT, BEGIN, EPOCH, Clock, Inbox, everything, new


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db", clock=clock) as opened:
        yield opened
        assert opened.check().problems == ()


def start(store: MailStore, owner: str = "one", account: AccountId = ACCOUNT) -> RunId:
    return store.start_run(account, trigger="manual", flags=5, owner=owner, lease_seconds=60)


def fetching(store: MailStore, owner: str = "one", gone: str = "nobody") -> RunId:
    """Start a run in the quick lane."""
    return store.start_run(
        ACCOUNT, trigger="invoke", flags=1, owner=owner, lane="quick", is_gone=lambda other: other == gone
    )


def statuses(store: MailStore) -> list[str]:
    with store.read() as view:
        return [run.status for run in view.runs()]


def test_a_second_run_of_the_account_is_refused_and_told_who_has_it(store: MailStore) -> None:
    start(store)
    with pytest.raises(Leased) as caught:
        start(store, "two")
    assert (caught.value.owner, caught.value.expires_at) == ("one", BEGIN + timedelta(seconds=60))
    assert caught.value.retryable
    start(store, "two", AccountId("work"))


def test_a_finished_run_gives_the_lease_back_and_keeps_how_it_went(store: MailStore) -> None:
    run = start(store)
    errors = [RunError(kind="server-busy", text="come back later", folder="INBOX", uid=7)]
    assert store.finish_run(run, status="failed", counts={"new": 3}, errors=errors) is True
    assert store.finish_run(run, status="again", counts={}) is False
    start(store, "two")
    with store.read() as view:
        newest, finished = view.runs(ACCOUNT)
        assert view.runs(ACCOUNT, limit=1) == (newest,)
    assert (newest.finished_at, newest.owner, newest.flags, newest.trigger) == (None, "two", 5, "manual")
    assert (finished.status, finished.counts, finished.errors) == ("failed", {"new": 3}, tuple(errors))


def test_an_expired_run_is_closed_as_lost_and_writes_nothing_any_more(store: MailStore, clock: Clock) -> None:
    inbox = Inbox.made_in(store)
    late = start(store)
    clock.now += 61
    taken = start(store, "two")
    before = everything(store.path)
    with pytest.raises(LeaseLost), store.write("late", run=late) as tx:
        tx.add_messages(inbox.folder, EPOCH, [new(1)])
    with pytest.raises(LeaseLost):
        store.renew_run(late)
    assert store.finish_run(late, status="done", counts={}) is False
    assert everything(store.path) == before
    with store.write("in time", run=taken) as tx:
        tx.add_messages(inbox.folder, EPOCH, [new(1)])
    assert statuses(store) == ["", "lost"]


def test_an_expired_run_that_nobody_took_over_goes_on(store: MailStore, clock: Clock) -> None:
    run = start(store)
    clock.now += 300
    with store.write("late but alone", run=run):
        pass
    with pytest.raises(Leased):
        start(store, "two")


def test_writing_renews_the_lease_only_when_less_than_half_is_left(store: MailStore, clock: Clock) -> None:
    run = start(store)
    commits = store.commits
    clock.now += 29
    with store.write("early", run=run):
        pass
    assert store.commits == commits
    clock.now += 2
    with store.write("later", run=run):
        pass
    assert store.commits == commits + 1
    with store.read() as view:
        assert view.runs()[0].expires_at == BEGIN + timedelta(seconds=91)


def test_a_run_can_be_renewed_by_itself(store: MailStore, clock: Clock) -> None:
    run = start(store)
    clock.now += 59
    store.renew_run(run)
    clock.now += 59
    with pytest.raises(Leased):
        start(store, "two")


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(days=365 * 10)])
def test_a_clock_that_jumps_blocks_nobody_and_corrupts_nothing(store: MailStore, clock: Clock, jump: timedelta) -> None:
    old = start(store)
    clock.now += jump.total_seconds()
    start(store, "two")
    with pytest.raises(LeaseLost), store.write("old", run=old):
        pass


def test_a_living_run_mends_its_lease_after_the_clock_stepped_back(store: MailStore, clock: Clock) -> None:
    run = start(store)
    clock.now -= 86_400
    with store.write("alive", run=run):
        pass
    with pytest.raises(Leased):
        start(store, "two")


def test_a_lease_shorter_than_a_second_is_refused(store: MailStore) -> None:
    with pytest.raises(ValueError):
        store.start_run(ACCOUNT, trigger="", flags=0, owner="", lease_seconds=0.5)


def test_accounts_are_known_once_they_were_named_until_they_are_removed(store: MailStore) -> None:
    inbox = Inbox.made_in(store)
    inbox.fill(2)
    start(store, account=AccountId("work"))
    with store.read() as view:
        assert view.accounts() == (ACCOUNT, "work")
    with store.write("remove") as tx:
        tx.remove_account(ACCOUNT)
    with store.read() as view:
        assert view.accounts() == ("work",)
        assert view.folders() == ()
        assert view.all_messages().messages == ()
        with pytest.raises(UnknownAccount):
            view.folders(ACCOUNT)
    with store.write("back") as tx:
        tx.ensure_account(ACCOUNT)
        assert tx.view.accounts() == (ACCOUNT, "work")
    with pytest.raises(ValueError), store.write("nameless") as tx:
        tx.ensure_account(AccountId(""))


# --- two lanes -------------------------------------------------------------------------------------------------


def test_an_account_has_one_lease_in_each_lane_and_the_history_shows_both(store: MailStore) -> None:
    bulk, quick = start(store), fetching(store, "two")
    with pytest.raises(Leased):
        start(store, "three")
    with pytest.raises(Leased) as caught:
        fetching(store, "three")
    assert caught.value.owner == "two"
    for run in (bulk, quick):
        with store.write("both write", run=run) as tx:
            tx.ensure_account(ACCOUNT)
    store.finish_run(quick, status="succeeded", counts={"bodies": 1})
    fetching(store, "three")
    with store.read() as view:
        assert [(run.lane, run.status) for run in view.runs(ACCOUNT)] == [
            ("quick", ""),
            ("quick", "succeeded"),
            ("bulk", ""),
        ]


def test_a_run_is_fenced_by_the_next_one_of_its_own_lane_only(store: MailStore, clock: Clock) -> None:
    bulk, quick = start(store), fetching(store)
    clock.now += 61
    fetching(store, "two")
    with pytest.raises(LeaseLost), store.write("too late", run=quick):
        pass
    with store.write("late, but nobody took its lane", run=bulk):
        pass
    with pytest.raises(Leased):
        start(store, "two")


def test_what_a_process_that_is_gone_left_open_in_either_lane_is_closed_by_the_next_run_of_one(
    store: MailStore,
) -> None:
    start(store, "gone")
    fetching(store, "gone", "nobody")
    fetching(store, "here", "gone")
    assert statuses(store) == ["", "lost", "lost"]
    start(store, "here")


def test_a_reason_for_one_connection_is_kept_until_it_is_taken_back(store: MailStore) -> None:
    with store.read() as view:
        assert view.one_connection(ACCOUNT) == ""
    start(store)
    with store.write("first") as tx:
        assert tx.set_one_connection(ACCOUNT, "too many connections")
        assert not tx.set_one_connection(ACCOUNT, "another reason")
    with store.read() as view:
        assert view.one_connection(ACCOUNT) == "too many connections"
    commits = store.commits
    with store.write("again") as tx:
        tx.set_one_connection(ACCOUNT, "the same")
    assert store.commits == commits
    with store.write("back") as tx:
        assert tx.set_one_connection(ACCOUNT, "")
        assert not tx.set_one_connection(ACCOUNT, "")
        assert tx.view.one_connection(ACCOUNT) == ""
    with pytest.raises(UnknownAccount), store.write("nobody") as tx:
        tx.set_one_connection(AccountId("nobody"), "why")
