"""Alerts: one for as long as an account has an open error, and each hook hears of its beginning and its end once."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from store import AccountId, Alert, MailStore, RunError, UnknownAccount, open_store

from .store_kit import ACCOUNT, BEGIN, Clock

REFUSED = RunError(kind="login-refused", text="The password of jo@example.org was refused.")
UNREADABLE = RunError(kind="folder-unusable", text="It cannot be opened.", folder="Lists")
WARNING = RunError(kind="message-missing", text="One is gone.", folder="INBOX", severity="warning")
HOOKS = frozenset({"command", "webhook"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db", clock=clock) as opened:
        yield opened
        assert opened.check().problems == ()


def only(store: MailStore) -> Alert:
    (alert,) = store.alerts.entries()
    return alert


def fail(store: MailStore) -> None:
    store.eventlog.record(ACCOUNT, [REFUSED])


def succeed(store: MailStore) -> None:
    store.eventlog.record(ACCOUNT, [], succeeded=[None], whole=True)


def take(store: MailStore, at: datetime = BEGIN, hooks: frozenset[str] = HOOKS) -> tuple[Alert, frozenset[str]]:
    claimed = store.alerts.claim(at, hooks, seconds=60)
    assert claimed is not None
    return claimed


def test_the_first_error_raises_it_and_the_end_of_the_last_one_clears_it(store: MailStore, clock: Clock) -> None:
    store.eventlog.record(ACCOUNT, [WARNING])
    assert store.alerts.entries() == ()
    fail(store)
    clock.now += 60
    store.eventlog.record(ACCOUNT, [REFUSED, UNREADABLE])
    raised = only(store)
    assert (raised.raised_at, raised.cleared_at, raised.kind, raised.folder) == (BEGIN, None, "login-refused", None)
    assert "example.org" not in raised.text
    store.eventlog.record(ACCOUNT, [UNREADABLE], succeeded=[None])
    assert only(store).cleared_at is None
    succeed(store)
    assert only(store).cleared_at == BEGIN + timedelta(seconds=60)
    assert store.alerts.entries(open=True) == ()
    fail(store)
    assert [one.cleared_at is None for one in store.alerts.entries()] == [True, False]


def test_who_removes_the_last_error_by_hand_ends_the_alert(store: MailStore) -> None:
    store.eventlog.record(ACCOUNT, [REFUSED, UNREADABLE])
    first, second = store.eventlog.entries()
    store.eventlog.remove([first.id])
    assert only(store).cleared_at is None
    store.eventlog.remove([second.id])
    assert only(store).cleared_at == BEGIN


def test_each_hook_is_told_once_of_the_beginning_and_once_of_the_end(store: MailStore) -> None:
    fail(store)
    alert, hooks = take(store)
    assert (alert.cleared_at, hooks) == (None, HOOKS)
    store.alerts.told(alert, hooks, again_at=None)
    assert store.alerts.claim(BEGIN + timedelta(days=9), HOOKS, seconds=60) is None
    succeed(store)
    alert, hooks = take(store)
    assert (alert.cleared_at, hooks) == (BEGIN, HOOKS)
    store.alerts.told(alert, hooks, again_at=None)
    assert store.alerts.claim(BEGIN + timedelta(days=9), HOOKS, seconds=60) is None


def test_what_one_tells_nobody_else_tells_until_its_time_is_over(store: MailStore) -> None:
    fail(store)
    take(store)
    assert store.alerts.claim(BEGIN + timedelta(seconds=59), HOOKS, seconds=60) is None
    assert take(store, BEGIN + timedelta(seconds=60))[1] == HOOKS  # the first one was killed


def test_a_hook_that_failed_is_tried_again_and_the_other_one_is_left_alone(store: MailStore) -> None:
    fail(store)
    alert, _ = take(store)
    store.alerts.told(alert, {"command"}, again_at=BEGIN + timedelta(minutes=5), failed=True)
    assert store.alerts.claim(BEGIN + timedelta(minutes=4), HOOKS, seconds=60) is None
    alert, hooks = take(store, BEGIN + timedelta(minutes=5))
    assert (hooks, alert.tries, alert.told) == ({"webhook"}, 1, {"command"})


def test_what_was_over_before_anybody_could_be_told_is_not_told(store: MailStore) -> None:
    fail(store)
    succeed(store)
    assert store.alerts.claim(BEGIN, HOOKS, seconds=60) is None


def test_the_end_that_came_while_the_beginning_was_told_is_told_next(store: MailStore) -> None:
    fail(store)
    alert, _ = take(store)
    succeed(store)
    store.alerts.told(alert, {"command"}, again_at=BEGIN + timedelta(minutes=5), failed=True)
    ended, hooks = take(store)
    assert (ended.cleared_at, hooks) == (BEGIN, {"command"})


def test_they_are_chosen_by_account_bounded_and_go_with_their_account(store: MailStore) -> None:
    for _ in range(110):
        fail(store)
        succeed(store)
    assert len(store.alerts.entries(limit=1000)) == 100
    store.eventlog.record(AccountId("other"), [UNREADABLE])
    assert [one.folder for one in store.alerts.entries(AccountId("other"))] == ["Lists"]
    assert len(store.alerts.entries(limit=2)) == 2
    with pytest.raises(UnknownAccount):
        store.alerts.entries(AccountId("nobody"))
    with pytest.raises(ValueError, match="one entry"):
        store.alerts.entries(limit=0)
    alert, hooks = take(store, hooks=frozenset({"command"}))
    with store.write("remove") as tx:
        tx.remove_account(alert.account)
    store.alerts.told(alert, hooks, again_at=None)
    assert {one.account for one in store.alerts.entries()} == {ACCOUNT}
