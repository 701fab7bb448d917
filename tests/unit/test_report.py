"""A reporter makes a lawful event log of whatever it is told."""

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider.entry import store_failure
from provider.errors import (
    Cancelled,
    ConnectionLost,
    ErrorKind,
    LoginRefused,
    Needs,
    ServerBusy,
)
from provider.events import Counts, Event, ItemStatus, Severity, SyncError, SyncProgress, as_json
from provider.hub import Hub
from provider.phases import Phase
from provider.report import Reporter, Told
from provider.sources.base import Notice
from provider.testing import ManualClock, check_grammar
from store import Leased, StoreBusy, StoreFull
from tests.contract.playing import ALICE

SECRET = "correct horse battery staple"


class Tape(Hub):
    """A hub that keeps everything it passes on, unmerged."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(7, clock)
        self.told: list[Event] = []

    def publish(self, build: Callable[[int, int], Told]) -> Told:
        event = super().publish(build)
        self.told.append(event)
        return event


class Log:
    """A reporter, its clock, and everything it told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.hub = Tape(self.clock)
        self.feed = self.hub.attach()
        self.reporter = Reporter(ALICE, self.hub, clock=self.clock, translate=store_failure)

    @property
    def told(self) -> list[Event]:
        return self.hub.told

    def progress(self, folder: str | None = None) -> list[SyncProgress]:
        return [event for event in self.told if isinstance(event, SyncProgress) and event.folder == folder]

    def last(self, folder: str | None = None) -> SyncProgress:
        return self.progress(folder)[-1]

    def errors(self) -> list[SyncError]:
        return [event for event in self.told if isinstance(event, SyncError)]

    def end(self) -> list[Event]:
        self.reporter.close(ItemStatus.SUCCEEDED)
        self.hub.finish(self.reporter.results, cancelled=False)
        assert self.feed.result is not None
        self.told.append(self.feed.result)
        check_grammar(tuple(self.told))
        return self.told


@pytest.fixture
def log() -> Log:
    return Log()


def test_an_item_starts_once_however_often_it_is_begun(log: Log) -> None:
    inbox = log.reporter.item("INBOX")
    inbox.phase(Phase.DOWNLOAD_TABLE)
    inbox.start(Phase.DOWNLOAD_HEADER)
    inbox.start(Phase.DOWNLOAD_BODIES)
    assert [step.status for step in log.progress("INBOX")] == [
        ItemStatus.STARTED,
        ItemStatus.UPDATING,
        ItemStatus.UPDATING,
    ]
    log.end()


def test_an_item_that_never_began_begins_in_order_to_end(log: Log) -> None:
    log.reporter.item("Spam").finish(ItemStatus.SKIPPED)
    assert [step.status for step in log.progress("Spam")] == [ItemStatus.STARTED, ItemStatus.SKIPPED]
    log.end()


def test_only_the_first_end_counts(log: Log) -> None:
    inbox = log.reporter.item("INBOX")
    inbox.start(Phase.DOWNLOAD_TABLE)
    inbox.finish(ItemStatus.FAILED)
    inbox.finish(ItemStatus.SUCCEEDED)
    inbox.phase(Phase.DOWNLOAD_BODIES)
    inbox.committed(4)
    assert log.last("INBOX").status is ItemStatus.FAILED
    assert inbox.result.status is ItemStatus.FAILED
    log.end()


def test_a_status_that_ends_nothing_is_refused_as_an_end(log: Log) -> None:
    with pytest.raises(ValueError, match="does not end"):
        log.reporter.item(None).finish(ItemStatus.PAUSED)


def test_a_total_grows_and_never_shrinks(log: Log) -> None:
    inbox = log.reporter.item("INBOX")
    inbox.start(Phase.DOWNLOAD_TABLE)
    for total, expected in ((10, 10), (30, 30), (20, 30)):
        inbox.total(messages=total)
        assert log.last("INBOX").messages_total == expected


def test_doing_more_than_was_expected_raises_the_total(log: Log) -> None:
    inbox = log.reporter.item("INBOX")
    inbox.start(Phase.DOWNLOAD_TABLE)
    inbox.total(messages=2, octets=10)
    inbox.received(25)
    inbox.committed(3)
    step = log.last("INBOX")
    assert (step.messages_done, step.messages_total, step.octets_done, step.octets_total) == (3, 3, 25, 25)
    assert (step.index, step.index_max) == (3, 3)


def test_an_unknown_total_is_none_and_moves_no_bar(log: Log) -> None:
    inbox = log.reporter.item("INBOX")
    inbox.start(Phase.DOWNLOAD_TABLE)
    inbox.committed(3)
    step = log.last("INBOX")
    assert (step.messages_total, step.index, step.index_max) == (None, 0, 0)


def test_folders_add_up_to_their_account(log: Log) -> None:
    log.reporter.item(None).start(Phase.SYNC)
    for folder, messages in (("INBOX", 3), ("Sent", 4)):
        item = log.reporter.item(folder)
        item.start(Phase.DOWNLOAD_TABLE)
        item.total(messages=messages, octets=100)
        item.received(60)
        item.committed(messages - 1)
        item.count(Counts(new=messages))
        item.finish(ItemStatus.SUCCEEDED)
    step = log.last(None)
    assert (step.messages_done, step.messages_total, step.octets_done, step.octets_total) == (5, 7, 120, 200)
    log.end()
    assert log.last(None).counts == Counts(new=7)


def test_what_was_announced_for_the_account_is_not_added_twice(log: Log) -> None:
    account = log.reporter.item(None)
    account.start(Phase.SYNC)
    account.total(messages=50)
    inbox = log.reporter.item("INBOX")
    inbox.start(Phase.DOWNLOAD_TABLE)
    inbox.total(messages=20)
    inbox.committed(20)
    assert (log.last(None).messages_done, log.last(None).messages_total) == (20, 50)


def test_octets_are_told_twenty_times_a_second_at_most_and_always_in_the_end(log: Log) -> None:
    inbox = log.reporter.item("INBOX")
    inbox.start(Phase.DOWNLOAD_BODIES)
    log.clock.advance(1)
    before = len(log.told)
    for _ in range(1_000):
        log.clock.advance(0.001)
        inbox.received(10)
    assert len(log.progress("INBOX")) <= before + 21
    inbox.finish(ItemStatus.SUCCEEDED)
    assert log.last("INBOX").octets_done == 10_000


def test_rate_and_remaining_time_come_from_the_last_ten_seconds(log: Log) -> None:
    inbox = log.reporter.item("INBOX")
    inbox.start(Phase.DOWNLOAD_BODIES)
    inbox.total(octets=1_000_000)
    for _ in range(60):  # slowly for a minute, then ten times as fast
        log.clock.advance(1)
        inbox.received(100)
    for _ in range(20):
        log.clock.advance(1)
        inbox.received(1_000)
    step = log.last("INBOX")
    assert step.octets_per_second == pytest.approx(1_000, rel=0.11)
    left = 1_000_000 - 26_000
    assert step.eta_seconds == pytest.approx(left / (step.octets_per_second or 1))


def test_silence_is_told_as_a_stall_and_ends_with_the_next_octet(log: Log) -> None:
    inbox = log.reporter.item("INBOX")
    inbox.start(Phase.DOWNLOAD_BODIES)
    log.clock.advance(0.3)
    inbox.waiting(0.3)
    assert log.last("INBOX").stalled_seconds is None
    log.clock.advance(2)
    inbox.waiting(2.3)
    assert log.last("INBOX").stalled_seconds == 2.3
    log.clock.advance(0.1)
    inbox.received(1)
    assert log.last("INBOX").stalled_seconds is None


def test_the_next_try_is_told_until_a_phase_begins(log: Log) -> None:
    account = log.reporter.item(None)
    account.start(Phase.SYNC)
    when = log.clock.now() + timedelta(seconds=30)
    account.retry_at(when)
    assert log.last().next_try == when
    account.phase(Phase.SYNC)
    assert log.last().next_try is None


def test_a_pause_is_a_status_and_not_an_end(log: Log) -> None:
    log.reporter.item(None).start(Phase.SYNC)
    log.reporter.stop.pause()
    log.reporter.pausing()
    assert log.last().status is ItemStatus.PAUSED
    log.reporter.stop.resume()
    log.reporter.pausing()
    assert log.last().status is ItemStatus.UPDATING
    log.end()


def test_the_end_of_an_account_ends_its_open_folders_with_it(log: Log) -> None:
    log.reporter.item("INBOX").start(Phase.DOWNLOAD_TABLE)
    log.reporter.item("Sent").finish(ItemStatus.SUCCEEDED)
    status = log.reporter.fail(ConnectionLost("The line broke."))
    assert status is ItemStatus.DISCONNECTED
    assert [result.status for result in log.reporter.results] == [
        ItemStatus.DISCONNECTED,
        ItemStatus.DISCONNECTED,
        ItemStatus.SUCCEEDED,
    ]
    assert log.reporter.results[0].error == log.errors()[0]
    log.end()


def test_an_error_of_ours_is_told_with_all_its_facts(log: Log) -> None:
    error = ServerBusy(
        "Come back later.",
        folder="INBOX",
        uid=4,
        response_code="INUSE",
        server_text=b"wait\x1b",
        retry_after_seconds=30,
    )
    told = log.reporter.error(error)
    assert log.errors() == [told]
    assert (told.severity, told.kind, told.needs) == (Severity.ERROR, ErrorKind.SERVER_BUSY, Needs.RETRY)
    assert (told.account, told.folder, told.uid, told.response_code) == (ALICE, "INBOX", 4, "INUSE")
    assert (told.text, told.server_text) == ("Come back later.", "wait")
    assert told.next_try == log.clock.now() + timedelta(seconds=30)


@pytest.mark.parametrize("asked", [float("inf"), float("nan"), -1.0, 1e300])
def test_a_server_cannot_ask_for_a_wait_that_no_calendar_holds(log: Log, asked: float) -> None:
    assert log.reporter.error(ServerBusy("Later.", retry_after_seconds=asked)).next_try is None


def test_what_the_caller_says_goes_before_what_the_error_carries(log: Log) -> None:
    told = log.reporter.error(
        ServerBusy("Later.", folder="INBOX", uid=1),
        folder="Sent",
        uid=2,
        severity=Severity.WARNING,
        kind=ErrorKind.BUSY,
    )
    assert (told.folder, told.uid, told.severity, told.kind) == ("Sent", 2, Severity.WARNING, ErrorKind.BUSY)


@pytest.mark.parametrize(
    ("error", "kind", "needs"),
    [
        (StoreBusy("Somebody writes."), ErrorKind.STORE_BUSY, Needs.RETRY),
        (StoreFull("The disk is full."), ErrorKind.STORE_FULL, Needs.RETRY),
        (Leased("other:1", ManualClock().now()), ErrorKind.BUSY, Needs.RETRY),
    ],
)
def test_errors_of_the_store_keep_their_words(log: Log, error: Exception, kind: ErrorKind, needs: Needs) -> None:
    told = log.reporter.error(error)
    assert (told.kind, told.needs, told.text) == (kind, needs, str(error))


def test_a_notice_is_a_warning_of_its_kind_and_an_unknown_kind_is_not_lost(log: Log) -> None:
    known = log.reporter.error(Notice(kind="server-demoted", text="It lies.", folder="INBOX"))
    unknown = log.reporter.error(Notice(kind="no such kind", text="It\x00 lies."))
    assert (known.severity, known.kind, known.folder) == (Severity.WARNING, ErrorKind.SERVER_DEMOTED, "INBOX")
    assert (unknown.kind, unknown.text) == (ErrorKind.PROTOCOL, "It lies.")


def test_an_unexpected_error_tells_its_class_and_nothing_of_its_text(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        raise RuntimeError(f"LOGIN alice {SECRET}") from ValueError(SECRET)
    except RuntimeError as error:
        status = log.reporter.fail(error)
    told = log.errors()[0]
    assert status is ItemStatus.FAILED
    assert told.kind is ErrorKind.INTERNAL
    assert "RuntimeError" in told.text
    assert SECRET not in str(as_json(told)) + repr(told) + caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "test_report.py" in caplog.text


def test_a_refused_login_fails_the_account_and_asks_for_a_login(log: Log) -> None:
    assert log.reporter.fail(LoginRefused("No.")) is ItemStatus.FAILED
    assert log.errors()[0].needs is Needs.LOGIN


def test_being_cancelled_is_an_end_and_no_error(log: Log) -> None:
    assert log.reporter.fail(Cancelled("Stop.")) is ItemStatus.CANCELED
    assert log.errors() == []


def test_after_a_stop_every_error_is_its_consequence(log: Log) -> None:
    log.reporter.stop.stop()
    assert log.reporter.fail(ConnectionLost("The socket was shut down.")) is ItemStatus.CANCELED
    assert log.errors() == []


def test_stopping_one_folder_leaves_the_others_alone_and_stopping_the_account_stops_all(log: Log) -> None:
    inbox, sent = log.reporter.item("INBOX"), log.reporter.item("Sent")
    inbox.stop.stop()
    assert (inbox.stop.stopped, sent.stop.stopped, log.reporter.stop.stopped) == (True, False, False)
    log.reporter.stop.stop()
    assert sent.stop.stopped
    assert log.reporter.item("Drafts").stop.stopped


def test_a_hostile_folder_name_does_not_reach_the_text(log: Log) -> None:
    log.reporter.item("INBOX").start(Phase.DOWNLOAD_TABLE, "Opening a\r\nb\x1b[2J\u202e")
    assert log.last("INBOX").text == "Opening a b[2J"


deeds = st.one_of(
    st.tuples(st.just("start"), st.sampled_from([Phase.DOWNLOAD_TABLE, Phase.DOWNLOAD_HEADER])),
    st.tuples(st.just("total"), st.integers(-5, 50)),
    st.tuples(st.just("committed"), st.integers(-5, 50)),
    st.tuples(st.just("received"), st.integers(-5, 50)),
    st.tuples(st.just("waiting"), st.floats(0, 9)),
    st.tuples(st.just("finish"), st.sampled_from([ItemStatus.SUCCEEDED, ItemStatus.FAILED])),
)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(["INBOX", "Sent"]), deeds), max_size=40))
def test_whatever_is_told_in_whatever_order_makes_a_lawful_log(told: list[tuple[str, tuple[str, object]]]) -> None:
    log = Log()
    for folder, (verb, value) in told:
        item = log.reporter.item(folder)
        log.clock.advance(0.06)
        if verb == "total":
            item.total(messages=value, octets=value)  # type: ignore[arg-type]
        else:
            getattr(item, verb)(value)
    log.end()
