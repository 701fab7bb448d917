"""The life of a message in the outbox (T30): every answer in every state, whatever it takes until it is sent or not.

Time is turned by hand; the server is a real one on a loopback port. O1 to O5 of the invariants.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest

from provider import ErrorKind, ItemKind, MailStoreProvider, ResultStatus, SyncProgress
from store import LeaseLost, StoreBusy, open_store
from store.mail.submission import Cancelled, Fate, Notify, Priority, SubmissionState
from tests.scenarios.post_rig import ANN, BOB, EVE, House, house
from tests.servers.fakesmtp import Answer, FakeSmtp, Manners
from tests.wire.smtp_rig import sender_at

S = SubmissionState
DAY = 24 * 60.0


@pytest.fixture
def post(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as one:
        yield one


def of_bob(answer: bytes) -> Answer:
    """Answer so to RCPT of Bob, and take everybody else."""
    return lambda line: answer if BOB.encode() in line else b"250 2.1.5 ok\r\n"


@dataclass(frozen=True, kw_only=True)
class Life:
    """What a server answers to a message to Ann and Bob, and where that leaves it."""

    answers: Mapping[str, Answer]
    state: SubmissionState
    minutes: float | None
    """Until the next try."""
    fates: tuple[Fate, Fate]
    delivered: int = 0
    """How often the server delivered something at this first try."""
    in_the_end: tuple[int, int] = (1, 1)
    """How often Ann and Bob have it when the server behaves from then on, and all the time is gone that it takes."""
    last: SubmissionState = S.FILED
    manners: Mapping[str, object] = field(default_factory=dict)


W, A, R, U = Fate.WAITING, Fate.ACCEPTED, Fate.REFUSED, Fate.UNKNOWN
LATER = b"451 4.3.0 not now\r\n"
NEVER = b"550 5.7.1 not with us\r\n"
CLOSING = b"421 4.3.2 shutting down\r\n"

LIVES: dict[str, Life] = {}
for at in ("greeting", "ehlo"):
    LIVES[f"421 at {at}"] = Life(answers={at: CLOSING}, state=S.QUEUED, minutes=5, fates=(W, W))
    LIVES[f"cut at {at}"] = Life(answers={at: None}, state=S.QUEUED, minutes=1, fates=(W, W))
LIVES["421 at auth"] = Life(answers={"auth": CLOSING}, state=S.QUEUED, minutes=5, fates=(W, W))
LIVES["cut at auth"] = Life(answers={"auth": None}, state=S.QUEUED, minutes=1, fates=(W, W))
LIVES["login refused"] = Life(answers={"auth": b"535 5.7.8 no\r\n"}, state=S.QUEUED, minutes=5, fates=(W, W))
LIVES["login refused for now"] = Life(answers={"auth": b"454 4.7.0 later\r\n"}, state=S.QUEUED, minutes=5, fates=(W, W))
LIVES["the host is not wanted"] = Life(answers={"greeting": b"554 no\r\n"}, state=S.QUEUED, minutes=5, fates=(W, W))
for at in ("mail", "data", "dot"):
    LIVES[f"4xx at {at}"] = Life(answers={at: LATER}, state=S.QUEUED, minutes=30, fates=(W, W))
    LIVES[f"5xx at {at}"] = Life(
        answers={at: NEVER}, state=S.REJECTED, minutes=None, fates=(R, R), in_the_end=(0, 0), last=S.REJECTED
    )
    LIVES[f"450 greylisted at {at}"] = Life(
        answers={at: b"450 4.2.0 greylisted\r\n"}, state=S.QUEUED, minutes=30, fates=(W, W)
    )
LIVES["4xx of all recipients"] = Life(answers={"rcpt": LATER}, state=S.QUEUED, minutes=30, fates=(W, W))
LIVES["5xx of all recipients"] = Life(
    answers={"rcpt": NEVER}, state=S.REJECTED, minutes=None, fates=(R, R), in_the_end=(0, 0), last=S.REJECTED
)
LIVES["one is refused"] = Life(
    answers={"rcpt": of_bob(NEVER)}, state=S.FILED, minutes=None, fates=(A, R), delivered=1, in_the_end=(1, 0)
)
LIVES["one is refused for now"] = Life(
    answers={"rcpt": of_bob(LATER)}, state=S.QUEUED, minutes=30, fates=(A, W), delivered=1
)
LIVES["one was too many, and is alone, too"] = Life(  # tried again at once, and then with patience
    answers={"rcpt": of_bob(b"452 4.5.3 too many recipients\r\n")},
    state=S.QUEUED,
    minutes=60,
    fates=(A, W),
    delivered=1,
)
LIVES["one is refused, then the message for now"] = Life(
    answers={"rcpt": of_bob(NEVER), "dot": LATER}, state=S.QUEUED, minutes=30, fates=(W, R), in_the_end=(1, 0)
)
LIVES["one is refused, then the message for good"] = Life(
    answers={"rcpt": of_bob(NEVER), "dot": NEVER},
    state=S.REJECTED,
    minutes=None,
    fates=(R, R),
    in_the_end=(0, 0),
    last=S.REJECTED,
)
LIVES["too large at the dot"] = Life(
    answers={"dot": b"552 5.3.4 too big\r\n"},
    state=S.REJECTED,
    minutes=None,
    fates=(R, R),
    in_the_end=(0, 0),
    last=S.REJECTED,
)
LIVES["mailbox full at the dot"] = Life(
    answers={"dot": b"452 4.2.2 full\r\n"}, state=S.QUEUED, minutes=30, fates=(W, W)
)
for at in ("mail", "rcpt", "data"):
    LIVES[f"421 at {at}"] = Life(answers={at: CLOSING}, state=S.QUEUED, minutes=1, fates=(W, W))
    LIVES[f"cut at {at}"] = Life(answers={at: None}, state=S.QUEUED, minutes=1, fates=(W, W))
    LIVES[f"nonsense at {at}"] = Life(answers={at: b"25\r\n"}, state=S.QUEUED, minutes=1, fates=(W, W))
LIVES["421 at the dot"] = Life(answers={"dot": CLOSING}, state=S.QUEUED, minutes=30, fates=(W, W))
LIVES["the line is cut at the dot, and nothing delivered"] = Life(
    answers={"dot": None}, state=S.IN_DOUBT, minutes=10, fates=(U, U)
)
LIVES["the line is cut at the dot, and it was delivered"] = Life(
    answers={"dot": None},
    manners={"delivers_what_it_cuts": True},
    state=S.IN_DOUBT,
    minutes=10,
    fates=(U, U),
    delivered=1,
    in_the_end=(2, 2),
)
LIVES["nonsense at the dot"] = Life(  # this server takes its own answer for a yes
    answers={"dot": b"250\x00\r\n999 x\r\n"},
    state=S.IN_DOUBT,
    minutes=10,
    fates=(U, U),
    delivered=1,
    in_the_end=(2, 2),
)
LIVES["354 at the dot"] = Life(answers={"dot": b"354 go on\r\n"}, state=S.IN_DOUBT, minutes=10, fates=(U, U))
LIVES["250 to DATA"] = Life(answers={"data": b"250 ok\r\n"}, state=S.QUEUED, minutes=1, fates=(W, W))
LIVES["one is refused, then the line is cut at the dot"] = Life(
    answers={"rcpt": of_bob(NEVER), "dot": None}, state=S.IN_DOUBT, minutes=10, fates=(U, R), in_the_end=(1, 0)
)
LIVES["one is refused for now, then the line is cut at the dot"] = Life(
    answers={"rcpt": of_bob(LATER), "dot": None}, state=S.IN_DOUBT, minutes=10, fates=(U, W)
)
LIVES["SIZE is too small"] = Life(
    answers={},
    manners={"extensions": (b"SIZE 10", b"PIPELINING")},
    state=S.REJECTED,
    minutes=None,
    fates=(R, R),
    in_the_end=(0, 0),
    last=S.REJECTED,
)
LIVES["HELO only, and no login to be had"] = Life(
    answers={"ehlo": b"502 5.5.1 what?\r\n"}, state=S.QUEUED, minutes=5, fates=(W, W)
)


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])
def test_whatever_a_server_answers_a_message_stands_where_that_leaves_it(
    life: Life, pipelining: bool, post: House
) -> None:
    manners = dict(life.manners)
    if not pipelining and "extensions" not in manners:
        manners["extensions"] = (b"SIZE 60000000", b"8BITMIME", b"ENHANCEDSTATUSCODES")
    post.behave(life.answers, **manners)
    made = post.submit(1, ANN, BOB)
    result = post.flush()
    post.server.settle()
    now = post.one(made)
    assert (now.state, tuple(one.fate for one in now.recipients)) == (life.state, life.fates), now.reason
    assert post.minutes(made) == life.minutes
    assert len(post.server.delivered) == life.delivered
    if now.state is not S.FILED:
        assert now.reason, "a message that waits, or was refused, says why"
        assert result.errors or any(one.errors for one in post.events), "and it was told"
    post.behave()
    if life.minutes is not None:
        post.wait(life.minutes - 0.01)
        post.flush()
        assert len(post.server.delivered) == life.delivered, "nothing is tried before its time"
        post.wait(0.01)
    post.flush()
    post.flush()
    assert (post.got(ANN), post.got(BOB)) == life.in_the_end
    assert post.state(made) is life.last


def test_there_are_as_many_lives_as_were_promised() -> None:
    assert 2 * len(LIVES) >= 60


# -- again and again --------------------------------------------------------------------------------------


def test_a_message_refused_for_now_is_tried_less_and_less_often_and_given_up_after_five_days(post: House) -> None:
    post.behave({"rcpt": LATER})
    made, waits, passed = post.submit(), [], 0.0
    while post.state(made) is S.QUEUED:
        post.flush()
        minutes = post.minutes(made)
        if minutes is not None:
            waits.append(minutes)
            passed += minutes
            post.wait(minutes)
    assert waits[:5] == [30, 60, 120, 240, 240]
    assert 4 * DAY < passed <= 5 * DAY
    gone = post.one(made)
    assert (gone.state, gone.next_try, gone.recipients[0].fate) == (S.REJECTED, None, R)
    assert "5 days" in gone.reason
    assert post.server.delivered == []


def test_a_server_that_is_away_is_asked_sooner_and_costs_no_message(post: House) -> None:
    port, made, waits = post.server.port, [post.submit(number) for number in range(3)], []
    post.account = replace(post.account, smtp=replace(post.account.smtp, port=1))  # type: ignore[type-var]
    for _ in range(7):
        assert post.flush().status is ResultStatus.FAILED
        minutes = post.minutes(made[0])
        assert minutes is not None
        waits.append(minutes)
        post.wait(minutes)
        with post.store.read() as view:
            assert {one.state for one in view.submissions()} == {S.QUEUED}
        made = sorted(made, key=lambda one: one.id)
    assert waits[0] == 1
    post.account = replace(post.account, smtp=replace(post.account.smtp, port=port))  # type: ignore[type-var]
    post.wait(60)
    assert post.flush().uploaded.sent == 3
    assert post.got(ANN) == 3


def test_one_that_is_in_doubt_twice_waits_for_a_person(post: House) -> None:
    post.behave({"dot": None}, delivers_what_it_cuts=True)
    made = post.submit()
    post.flush()
    post.wait(10)
    post.flush()
    doubted = post.one(made)
    assert (doubted.state, doubted.doubts, doubted.next_try) == (S.IN_DOUBT, 2, None)
    post.behave()
    post.wait(30 * DAY)
    post.flush()
    assert post.got(ANN) == 2, "one automatic retry, and no more"
    assert post.store.outbox.retry(made.id)
    post.flush()
    assert (post.state(made), post.got(ANN)) == (S.FILED, 3)


def test_who_has_a_message_never_gets_it_again(post: House) -> None:
    post.behave({"rcpt": of_bob(LATER)})
    made = post.submit(1, ANN, BOB, EVE)
    for _ in range(4):
        post.flush()
        post.wait(post.minutes(made) or 0)
    assert (post.got(ANN), post.got(BOB), post.got(EVE)) == (1, 0, 1)
    post.behave()
    post.flush()
    assert (post.got(ANN), post.got(BOB), post.got(EVE)) == (1, 1, 1)
    assert post.state(made) is S.FILED


def test_a_server_that_takes_few_recipients_at_once_gets_the_rest_at_once(post: House) -> None:
    everybody, taken = [f"r{number}@example.org" for number in range(25)], []

    def ten(line: bytes) -> bytes:
        taken.append(line)
        return b"250 2.1.5 ok\r\n" if len(taken) <= 10 else b"452 4.5.3 too many recipients\r\n"

    def mail(line: bytes) -> bytes:
        taken.clear()
        return b"250 2.1.0 ok\r\n"

    post.behave({"rcpt": ten, "mail": mail})
    made = post.submit(1, *everybody)
    post.flush()
    assert post.state(made) is S.FILED
    assert [len(one.recipients) for one in post.server.delivered] == [10, 10, 5]
    assert [post.got(one) for one in everybody] == [1] * 25


def test_reports_are_asked_for_where_the_server_knows_them(post: House) -> None:
    made = post.submit(1, ANN, notify=[Notify.SUCCESS, Notify.DELAY])
    post.submit(2, ANN)
    post.behave({}, extensions=(b"DSN",))
    post.flush()
    said = [line for line in post.server.commands if line.startswith((b"MAIL", b"RCPT"))]
    assert said[0].endswith(b" RET=HDRS ENVID=" + made.message_id.encode())
    assert said[1] == b"RCPT TO:<ann@example.org> NOTIFY=DELAY,SUCCESS"
    assert said[2:] == [b"MAIL FROM:<me@example.org>", b"RCPT TO:<ann@example.org>"]
    post.behave({}, extensions=())
    post.submit(3, ANN, notify=[Notify.NEVER])
    post.flush()
    assert post.server.commands[-2] == b"DATA"
    assert post.server.commands[-3] == b"RCPT TO:<ann@example.org>"
    with pytest.raises(ValueError, match="alone"):
        post.submit(4, ANN, notify=[Notify.NEVER, Notify.SUCCESS])


def test_a_late_answer_is_waited_for(post: House) -> None:
    held = Event()
    post.behave({}, holds={"dot": held})
    made = post.submit()
    Timer(0.5, held.set).start()
    post.flush()
    assert (post.state(made), post.got(ANN)) == (S.FILED, 1)


def test_a_person_who_tries_again_after_days_gives_it_days_again(post: House) -> None:
    post.behave({"rcpt": b"550 5.1.1 nobody\r\n"})
    made = post.submit()
    post.flush()
    post.wait(9 * DAY)
    assert post.store.outbox.retry(made.id)
    post.behave({"rcpt": LATER})
    post.flush()
    assert (post.state(made), post.minutes(made)) == (S.QUEUED, 60)


def test_a_message_whose_octets_are_damaged_is_told_and_holds_up_nobody(tmp_path: Path) -> None:
    with house(tmp_path) as post:
        bad, good = post.submit(1), post.submit(2)
        with sqlite3.connect(tmp_path / "mail.db") as raw:
            raw.execute("UPDATE chunks SET data = zeroblob(8) WHERE blob_id = ?", (int(bad.blob),))
        raw.close()
        result = post.flush()
        assert [error.kind for error in result.errors] == [ErrorKind.STORE]
        assert (post.state(bad), post.minutes(bad)) == (S.QUEUED, 60)
        assert (post.state(good), post.got(ANN)) == (S.FILED, 1)
        assert [one.octets for one in post.server.delivered if b"X-Number: 1\r\n" in one.octets] == []
        assert post.store.outbox.cancel(bad.id) is Cancelled.REMOVED
        post.store.purge()


# -- an answer that was read counts ----------------------------------------------------------------------------


def test_an_answer_that_cannot_be_written_down_at_once_is_written_down_later(
    post: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, busy = post.store.outbox.settle, iter([True, True])

    def sometimes(*about: Any, **more: Any) -> object:
        if next(busy, False):
            raise StoreBusy("another program writes")
        return settle(*about, **more)

    monkeypatch.setattr(post.store.outbox, "settle", sometimes)
    made = post.submit()
    post.flush()
    assert (post.state(made), post.got(ANN), post.one(made).doubts) == (S.FILED, 1, 0)


def test_an_answer_that_comes_after_somebody_took_over_ends_the_doubt(post: House) -> None:
    made = post.submit()
    outbox, me = post.store.outbox, post.account.id
    assert outbox.claim(me, owner="here:1:1") is not None
    outbox.about_to_end(made.id, "here:1:1")
    post.wait(60)
    assert outbox.claim(me, owner="here:2:1") is None, "it is in doubt now, and left alone"
    assert post.state(made) is S.IN_DOUBT
    outbox.settle(made.id, "here:1:1", [replace(one, fate=A) for one in made.recipients])
    assert post.state(made) is S.SENT
    with pytest.raises(LeaseLost):
        outbox.settle(made.id, "here:1:1", [replace(one, fate=A) for one in made.recipients])


def test_a_clock_that_steps_back_a_little_takes_nothing_from_who_holds_it(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    with FakeSmtp() as server, open_store(tmp_path / "mail.db", clock=lambda: now[0]) as store:
        account = sender_at(server.port).id
        store.outbox.submit(account, b"From: a@x.example\r\nTo: b@x.example\r\n\r\nx\r\n")
        assert store.outbox.claim(account, owner="here:1:1", seconds=60) is not None
        now[0] -= 120
        assert store.outbox.claim(account, owner="there:2:1", seconds=60) is None
        now[0] -= 7_200
        assert store.outbox.claim(account, owner="there:2:1", seconds=60) is not None


def test_a_pause_holds_no_message_that_is_begun(post: House) -> None:
    made = [post.submit(number) for number in range(2)]
    with MailStoreProvider(post.store, [post.account], clock=post.clock) as provider:

        def pause(message: bytes) -> bytes:
            handle.pause()
            return b"250 2.0.0 taken\r\n"

        post.behave({"dot": pause})
        handle = provider.send_and_receive(receive=False)
        post.server.wait_for("dot")
        for _ in range(500):
            if post.one(made[0]).recipients[0].fate is A:
                break
            Event().wait(0.01)
        assert post.state(made[0]) is not S.IN_DOUBT
        assert post.one(made[0]).recipients[0].fate is A
        assert post.state(made[1]) is S.QUEUED
        post.behave()
        handle.resume()
        assert handle.wait(10).ok
    assert post.got(ANN) == 2


def test_two_answers_that_say_the_same_are_no_doubt(post: House) -> None:
    post.behave({"dot": b"250 2.0.0 one\r\n250 2.0.0 two\r\n"})
    made = post.submit()
    post.flush()
    assert (post.state(made), post.got(ANN), post.one(made).doubts) == (S.FILED, 1, 0)


def test_a_refused_login_is_not_tried_once_a_message(post: House) -> None:
    post.behave({"auth": b"535 5.7.8 no\r\n"})
    made = [post.submit(number) for number in range(10)]
    for _ in range(4):
        post.flush()
        post.wait(1)
    assert sum(line.startswith(b"AUTH") for line in post.server.commands) <= 2
    assert all(post.one(one).next_try is not None for one in made)
    post.behave()
    for one in made:
        post.store.outbox.retry(one.id)
    post.flush()
    assert post.got(ANN) == 10


# -- order, and times of one's own --------------------------------------------------------------------------


def numbers(post: House) -> list[int]:
    return [int(one.octets.split(b"X-Number: ")[1].split(b"\r\n")[0]) for one in post.server.delivered]


def test_what_was_submitted_first_goes_first_and_what_is_urgent_before(post: House) -> None:
    for number in range(4):
        post.submit(number, priority=Priority.LOW if number == 0 else Priority.NORMAL)
    post.submit(4, priority=Priority.HIGH)
    post.flush()
    assert numbers(post) == [4, 1, 2, 3, 0]
    assert post.server.connections == 1


def test_one_that_waits_does_not_hold_up_the_others(post: House) -> None:
    post.behave({"rcpt": of_bob(LATER)})
    post.submit(1, BOB)
    post.submit(2, ANN)
    post.submit(3, ANN, not_before=post.clock.now() + timedelta(hours=1))
    post.submit(4, ANN)
    post.flush()
    assert numbers(post) == [2, 4]
    post.wait(60)
    post.flush()
    assert numbers(post) == [2, 4, 3]


def test_nothing_of_a_suspended_outbox_goes_out(post: House) -> None:
    made = post.submit()
    assert post.store.outbox.suspend(post.account.id)
    assert post.flush().ok
    assert (post.state(made), post.server.connections) == (S.QUEUED, 0)
    assert post.store.outbox.resume(post.account.id)
    post.flush()
    assert post.state(made) is S.FILED


def test_a_key_that_comes_twice_is_sent_once(post: House) -> None:
    first, second = post.submit(1, key="mine"), post.submit(1, key="mine")
    assert first.id == second.id
    post.flush()
    assert post.submit(1, key="mine").id == first.id
    post.flush()
    assert post.got(ANN) == 1


def test_what_is_taken_back_is_not_sent_and_what_was_sent_cannot_be_taken_back(post: House) -> None:
    one, two = post.submit(1), post.submit(2)
    assert post.store.outbox.cancel(one.id) is Cancelled.REMOVED
    post.flush()
    assert numbers(post) == [2]
    assert post.store.outbox.cancel(two.id) is Cancelled.NOT_IN_QUEUE


def test_what_is_being_sent_cannot_be_taken_back(post: House) -> None:
    made, said = post.submit(), []

    def ask(line: bytes) -> bytes:
        said.append(post.store.outbox.cancel(made.id))
        return b"354 go ahead\r\n"

    post.behave({"data": ask})
    post.flush()
    assert said == [Cancelled.BEING_SENT]
    assert (post.state(made), post.got(ANN)) == (S.FILED, 1)


# -- what a callback hears ------------------------------------------------------------------------------------


def test_a_callback_hears_of_the_outbox_as_an_item_of_its_own(post: House) -> None:
    made = [post.submit(number) for number in range(3)]
    result = post.flush()
    told = [event for event in post.events[-1].events if isinstance(event, SyncProgress)]
    assert {event.item for event in told} == {ItemKind.OUTBOX}
    assert [item.item for item in result.items] == [ItemKind.OUTBOX]
    octets = [event.octets_done for event in told]
    assert octets == sorted(octets)
    assert told[-1].messages_done == told[-1].messages_total == 3
    assert told[-1].octets_done == sum(one.size for one in made)
    assert result.uploaded.sent == 3


def test_an_event_names_no_recipient_and_no_subject(post: House) -> None:
    post.behave({"rcpt": of_bob(NEVER)})
    post.submit(1, ANN, BOB)
    post.flush()
    error = post.events[-1].errors[0]
    assert error.kind is ErrorKind.SEND_REFUSED
    assert BOB not in error.text
    assert "number 1" not in str(post.events[-1].events)


def test_an_account_without_a_way_out_only_receives(post: House) -> None:
    post.account = replace(post.account, smtp=None)
    assert post.flush().items == ()
    assert post.server.connections == 0


def test_nothing_to_send_needs_no_connection(post: House) -> None:
    assert post.flush().ok
    assert post.server.connections == 0


def test_a_server_that_files_nothing_more_than_it_announces_is_told_once(post: House) -> None:
    post.server.manners = Manners(answers={"mail": b"250 ok\r\n250 ok\r\n"})
    post.submit()
    post.flush()
    assert post.got(ANN) <= 1
