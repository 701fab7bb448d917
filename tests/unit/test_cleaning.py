"""Cleaning: not before three hours are over, cut off at any step and gone on with, and never what somebody uses."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import store.purge as purging
from store import BodyState, MailStore, open_store
from store.mail import UidSet

from .store_kit import ACCOUNT, EPOCH, LARGE, Clock, Inbox, everything, new, raw_mail, raws

LETTER = b"From: me@example.org\nTo: you@example.org\n\nHi\n"
HOUR, DAY = 3_600.0, 86_400.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db", clock=clock) as opened:
        yield opened
        assert opened.check(full=True).problems == ()


@pytest.fixture
def inbox(store: MailStore) -> Inbox:
    return Inbox.made_in(store)


def remove(inbox: Inbox, *uids: int) -> None:
    with inbox.store.write("remove") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet(uids))


def steps(count: int) -> Callable[[], bool]:
    """Say yes so many times."""
    left = iter(range(count))
    return lambda: next(left, None) is not None


def test_it_is_due_when_something_is_old_and_the_last_one_was_three_hours_ago(inbox: Inbox, clock: Clock) -> None:
    store = inbox.store
    inbox.fill(3)
    assert not store.clean_due()
    remove(inbox, 1)
    clock.now += HOUR
    remove(inbox, 2)
    clock.now += 7 * DAY - HOUR
    assert store.clean_due()
    assert store.purge().tombstones == 1
    clock.now += HOUR
    assert store.purge_due()
    assert not store.clean_due()
    clock.now += 1.9 * HOUR
    assert not store.clean_due()
    clock.now += 0.2 * HOUR
    assert store.clean_due()
    assert store.purge().tombstones == 1
    assert not store.clean_due()


def test_a_clock_set_back_does_not_put_it_off(inbox: Inbox, clock: Clock) -> None:
    inbox.fill(1)
    remove(inbox, 1)
    clock.now += 400 * DAY
    inbox.store.purge()
    clock.now -= 300 * DAY
    inbox.fill(1)
    remove(inbox, 1)
    clock.now += 8 * DAY
    assert inbox.store.clean_due()


def test_cut_off_after_any_number_of_steps_it_goes_on_and_comes_to_the_same_end(
    inbox: Inbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "IDS_A_STEP", 2)
    monkeypatch.setattr(purging, "TOMBSTONES_A_STEP", 2)
    inbox.fill(12)
    remove(inbox, *range(1, 10))
    clock.now += 8 * DAY
    times, finished = 0, False
    while not finished:
        assert inbox.store.clean_due()
        finished = inbox.store.purge(go_on=steps(7 + times % 3)).finished
        times += 1
        assert times < 100
    assert times > 2
    assert dict(raws(inbox.store, inbox.folder)) == {uid: raw_mail(uid) for uid in (10, 11, 12)}
    rows = everything(inbox.store.path)
    assert (len(rows["tombstones"]), len(rows["blobs"]), len(rows["headers"])) == (0, 3, 3)
    assert not inbox.store.clean_due()


def test_no_time_at_all_removes_nothing(inbox: Inbox, clock: Clock) -> None:
    inbox.fill(2)
    remove(inbox, 1)
    clock.now += 8 * DAY
    report = inbox.store.purge(go_on=lambda: False)
    assert (report.finished, report.tombstones, report.blobs) == (False, 0, 0)
    assert inbox.store.clean_due()


def test_it_never_touches_what_is_in_a_folder_flagged_unsent_open_or_marked(inbox: Inbox, clock: Clock) -> None:
    store = inbox.store
    inbox.list(*(new(uid, *(["\\Flagged"] if uid == 1 else [])) for uid in range(1, 7)))
    inbox.bring([1, 2, 3])
    inbox.bring([6], LARGE)
    inbox.show([4, 5])
    with store.read() as view:
        keys = {int(one.uid): one.key for one in view.messages(inbox.folder).messages if one.uid}
    with store.edit("people") as edit:
        edit.set_flags([keys[2]], add=["\\Flagged"])
        edit.mark_for_download([keys[4]])
        edit.delete([keys[3]], for_good=True)
    store.outbox.submit(ACCOUNT, LETTER)
    clock.now += 1
    with store.read() as reader:
        opened = reader.open_raw(keys[6])
        begun = next(opened)
        remove(inbox, 6)
        clock.now += 400 * DAY
        before = everything(store.path)
        assert store.purge().tombstones == 1
        assert begun + b"".join(opened) == raw_mail(6, LARGE)  # somebody reads it still
    after = everything(store.path)
    for kept in ("messages", "operations", "submissions", "recipients"):
        assert after[kept] == before[kept]
    assert dict(raws(store, inbox.folder)) == {1: raw_mail(1), 2: raw_mail(2)}
    assert {row[0] for row in before["tombstones"]} - {row[0] for row in after["tombstones"]} == {keys[6]}
    with store.read() as view:
        assert view.message(keys[4]).body is BodyState.HEADERS
        assert len(view.operations(ACCOUNT)) == 3
        assert len(view.submissions(ACCOUNT)) == 1
