"""The kit for embedders: the grammar finds each fault that it names, the clock stands still, faults do as they say."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from provider.callback import CancelRequest
from provider.cancel import Stop
from provider.errors import Cancelled, CommandRefused, ConnectionLost, ErrorKind, LoginRefused, Needs
from provider.events import (
    Counts,
    Event,
    ItemResult,
    ItemStatus,
    ResultStatus,
    Severity,
    SyncError,
    SyncProgress,
    SyncResult,
)
from provider.phases import Phase
from provider.sources.base import BodyWanted, Known, Notice, Session
from provider.sources.registry import source_of
from provider.testing import ManualClock, MemoryServer, RecordingCallback, check_grammar
from store.mail import AccountId, ModSeq, UidSet

AT = datetime(2026, 1, 1, tzinfo=UTC)
GUARD_SECONDS = 5.0
ME = AccountId("me")


def progress(seq: int, status: ItemStatus, phase: Phase, **more: object) -> SyncProgress:
    event = SyncProgress(run_id=1, seq=seq, at=AT, account=ME, folder="INBOX", status=status, phase=phase)
    return replace(event, **more)  # type: ignore[arg-type]


GOOD: tuple[Event, ...] = (
    progress(1, ItemStatus.STARTED, Phase.DOWNLOAD_TABLE),
    progress(2, ItemStatus.UPDATING, Phase.DOWNLOAD_BODIES, messages_done=1, messages_total=2, octets_done=10),
    SyncError(run_id=1, seq=3, at=AT, severity=Severity.WARNING, kind=ErrorKind.LIMIT, needs=Needs.NOTHING, text="odd"),
    progress(
        4, ItemStatus.SUCCEEDED, Phase.DONE, messages_done=2, messages_total=2, octets_done=20, counts=Counts(new=2)
    ),
    SyncResult(
        run_id=1,
        seq=5,
        at=AT,
        started_at=AT,
        status=ResultStatus.COMPLETE,
        items=(ItemResult(account=ME, folder="INBOX", status=ItemStatus.SUCCEEDED),),
    ),
)


def changed(number: int, **changes: object) -> tuple[Event, ...]:
    events = list(GOOD)
    events[number] = replace(events[number], **changes)  # type: ignore[arg-type]
    return tuple(events)


FAULTY = {
    "nothing at all": ((), "done never came"),
    "no done": (GOOD[:-1], "done never came"),
    "done twice": ((*GOOD, replace(GOOD[-1], seq=6)), "not the last"),
    "seq stands still": (changed(2, seq=2), "seq 2 comes after 2"),
    "another run": (changed(1, run_id=2), "another run"),
    "a naive time": (changed(1, at=datetime(2026, 1, 1)), "no zone"),
    "no started": (GOOD[1:], "before started"),
    "started twice": (changed(1, status=ItemStatus.STARTED), "started twice"),
    "never ended": ((*GOOD[:3], GOOD[4]), "never ended"),
    "ended twice": ((*GOOD[:4], replace(GOOD[3], seq=5), replace(GOOD[4], seq=6)), "after the terminal"),
    "messages go down": (changed(3, messages_done=0), "messages_done goes down"),
    "octets go down": (changed(3, octets_done=9), "octets_done goes down"),
    "more than all": (changed(1, messages_done=3), "more than the total"),
    "a total goes down": (changed(3, messages_total=None), "messages_total goes down"),
    "index beyond": (changed(1, index=1), "index_max"),
    "a phase that may not follow": (changed(1, phase=Phase.CONTENTS), "cannot follow"),
    "the end in the middle of a phase": (changed(3, phase=Phase.DOWNLOAD_BODIES), "ends in phase"),
    "done but going on": (changed(1, phase=Phase.DONE), "has not ended"),
    "no counts at the end": (changed(3, counts=None), "without counts"),
    "the result says otherwise": (changed(4, items=()), "the result says None"),
    "the result says it twice": (changed(4, items=2 * GOOD[-1].items), "twice"),  # type: ignore[union-attr]
}


def test_a_good_log_passes() -> None:
    check_grammar(GOOD)


@pytest.mark.parametrize(("events", "words"), FAULTY.values(), ids=FAULTY)
def test_the_grammar_names_each_fault_and_shows_the_log(events: tuple[Event, ...], words: str) -> None:
    with pytest.raises(AssertionError, match=words) as raised:
        check_grammar(events)

    assert "The log:" in str(raised.value)


def test_a_recording_callback_keeps_order_and_answers() -> None:
    callback = RecordingCallback(lambda event: CancelRequest.ALL if event.seq == 2 else None)
    answers: list[object] = []

    for event in GOOD:
        match event:
            case SyncProgress():
                answers.append(callback.progress(event))
            case SyncError():
                callback.error(event)
            case SyncResult():
                assert not callback.wait_done(0)
                callback.done(event)

    assert callback.events == GOOD and callback.wait_done(0)
    assert answers == [None, CancelRequest.ALL, None]
    assert [event.seq for event in callback.of_item("me", "INBOX")] == [1, 2, 4]
    assert len(callback.errors) == 1 and callback.result is GOOD[-1]
    callback.grammar()


def test_a_manual_clock_moves_when_it_is_turned() -> None:
    clock = ManualClock(AT)
    clock.advance(90)

    assert (clock.now() - AT).total_seconds() == clock.monotonic() == 90
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="zone"):
        ManualClock(datetime(2026, 1, 1))


class Ear:
    def __init__(self) -> None:
        self.octets = 0
        self.waited = threading.Event()
        self.notices: list[Notice] = []

    def received(self, octets: int) -> None:
        self.octets += octets

    def waiting(self, seconds: float) -> None:
        self.waited.set()

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice)


def connected(server: MemoryServer, stop: Stop | None = None) -> Session:
    return source_of(server.account()).connect(stop or Stop(), Ear())


@pytest.fixture
def server() -> MemoryServer:
    server = MemoryServer()
    for number in range(1, 6):
        server.append("INBOX", b"Subject: %d\r\n\r\n%d" % (number, number))
    return server


def test_what_is_omitted_does_not_come_but_exists(server: MemoryServer) -> None:
    server.faults.omit("INBOX", 2, 3)
    session = connected(server)
    session.open(b"INBOX", None)

    uids = session.existing()
    assert len(uids) == 5
    for answer in (session.summaries(uids), session.flags(uids), session.headers(uids), session.identities(uids)):
        assert [row.uid for row in answer] == [1, 4, 5]
    assert {chunk.uid for chunk in session.bodies([BodyWanted(uid=uid, size=None) for uid in uids])} == {1, 4, 5}


def test_a_poisoned_body_is_answered_without_octets(server: MemoryServer) -> None:
    server.faults.poison("INBOX", 2, "because")
    session = connected(server)
    session.open(b"INBOX", None)

    (chunk,) = session.bodies([BodyWanted(uid=server.messages("INBOX")[1].uid, size=None)])
    assert (chunk.octets, chunk.last, chunk.reason) == (None, True, "because")


def test_a_cut_line_breaks_after_so_many_rows_and_for_good(server: MemoryServer) -> None:
    server.faults.cut_after(3, times=1)
    session = connected(server)
    session.open(b"INBOX", None)
    rows = session.summaries(UidSet.span(1, 10))

    assert [next(rows).uid for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ConnectionLost):
        next(rows)
    with pytest.raises(ConnectionLost):
        session.existing()
    again = connected(server)
    again.open(b"INBOX", None)
    assert len(list(again.summaries(UidSet.span(1, 10)))) == 5


def test_an_empty_listing_is_told_once(server: MemoryServer) -> None:
    server.faults.empty_listing()
    session = connected(server)

    lie = session.folders()
    assert lie.folders == () and lie.complete
    assert [str(folder.path) for folder in session.folders().folders] == ["INBOX"]


def test_vanishing_is_told_once_and_contradicted_by_what_exists(server: MemoryServer) -> None:
    server.faults.vanish_all("INBOX")
    inbox = server.folder("INBOX")
    known = Known(epoch=inbox.uid_validity, mod_seq=ModSeq(inbox.mod_seq), uids=UidSet.span(1, 5))
    session = connected(server)

    assert session.open(b"INBOX", known).changes.vanished == known.uids
    assert session.existing() == known.uids
    assert not session.open(b"INBOX", known).changes.vanished


def test_a_login_is_refused_as_often_as_was_said(server: MemoryServer) -> None:
    server.faults.refuse_login(times=1)

    with pytest.raises(LoginRefused):
        connected(server)
    connected(server).close()


def test_a_refused_folder_leaves_the_connection_good(server: MemoryServer) -> None:
    server.faults.refuse_folder("INBOX", times=1)
    session = connected(server)

    with pytest.raises(CommandRefused) as refused:
        session.open(b"INBOX", None)
    assert refused.value.folder == "INBOX"
    assert session.open(b"INBOX", None).messages == 5


@pytest.mark.parametrize("end", ["release", "stop"])
def test_who_hangs_goes_on_when_released_and_ends_when_stopped(server: MemoryServer, end: str) -> None:
    hang = server.faults.hang("summaries", "INBOX")
    stop, ended = Stop(), threading.Event()
    outcome: list[object] = []

    def work() -> None:
        try:
            session = connected(server, stop)
            session.open(b"INBOX", None)
            outcome.append(len(list(session.summaries(UidSet.span(1, 9)))))
        except Cancelled as cancelled:
            outcome.append(cancelled)
        ended.set()

    threading.Thread(target=work, daemon=True).start()
    assert hang.entered.wait(GUARD_SECONDS) and not ended.is_set()
    hang.release() if end == "release" else stop.stop()

    assert ended.wait(GUARD_SECONDS)
    assert outcome == [5] if end == "release" else isinstance(outcome[0], Cancelled)


def test_clearing_the_faults_releases_and_forgets(server: MemoryServer) -> None:
    server.faults.hang("open")
    server.faults.refuse_login()
    server.faults.omit("INBOX", 1)
    server.faults.clear()

    session = connected(server)
    session.open(b"INBOX", None)
    assert len(list(session.flags(UidSet.span(1, 9)))) == 5


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no such place"):
        MemoryServer().faults.hang("nowhere")


def test_an_answer_abandoned_in_the_middle_costs_the_connection(server: MemoryServer) -> None:
    session = connected(server)
    session.open(b"INBOX", None)
    rows = session.summaries(UidSet.span(1, 9))
    next(rows)
    rows.close()  # type: ignore[attr-defined]

    with pytest.raises(ConnectionLost):
        session.existing()
