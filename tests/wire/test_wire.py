"""The wire itself: pipelining, windows, literals that wait, deadlines, and how it ends."""

from __future__ import annotations

import threading
from collections import deque

import pytest

from provider.cancel import Stop
from provider.channel import Channel
from provider.errors import Cancelled, ConnectionLost, InvalidRequest, LimitExceeded, ServerBusy, TimedOut
from provider.limits import Limits
from provider.sources.base import BodyWanted
from provider.sources.imap.answers import Completion, Line
from provider.sources.imap.commands import Command, LiteralStyle, Streamed, String
from provider.sources.imap.rows import Row
from provider.sources.imap.wire import Wire
from provider.sources.writing import Upload
from store.mail import Uid, UidSet
from tests.servers.fakeimap import BARE, FULL, FakeImap
from tests.wire.canned import canned, ok
from tests.wire.rig import HANG_GUARD_SECONDS, Ear, Scripted, scripted_session, session_to

LIMITS = Limits()


def wire_to(server: Scripted, limits: Limits = LIMITS, seen: list[object] | None = None) -> Wire:
    channel = Channel(server.sock, stop=Stop(), listener=Ear(), limits=limits)
    channel.readline()
    told = seen if seen is not None else []
    return Wire(channel, limits=limits, observer=told.append)


def test_a_batch_leaves_in_one_send_and_its_answers_come_in_order() -> None:
    seen: list[object] = []
    server = Scripted(lambda tag, rest: b"* 7 EXISTS\r\n* X-ODD a b\r\n" + tag + b" OK done\r\n")
    wire = wire_to(server, seen=seen)
    first, second = Command((b"NOOP",)), Command((b"CHECK",))
    told = list(wire.converse(deque([first, second])))
    assert [response.command for response in told if isinstance(response, Completion)] == [first, second]
    assert [response.word for response in told if isinstance(response, Line)] == [b"EXISTS", b"X-ODD"] * 2
    assert len(seen) == 4, "the observer saw each line"
    wire.close()
    server.close()


def test_the_window_of_unanswered_octets_is_kept() -> None:
    waiting: list[bytes] = []
    most = [0]

    def reply(tag: bytes, rest: bytes) -> bytes:
        if rest == b"LOGOUT":
            return tag + b" OK bye\r\n"
        waiting.append(tag + b" " + rest + b"\r\n")
        most[0] = max(most[0], sum(map(len, waiting)))
        if rest.endswith(b"19 (MESSAGES)") or sum(map(len, waiting)) > 500:
            octets = b"".join(line.split(b" ")[0] + b" OK done\r\n" for line in waiting)
            waiting.clear()
            return octets
        return b""

    server = Scripted(reply)
    wire = wire_to(server, Limits(unanswered_octets=600))
    commands = [Command((b"STATUS", b"folder-%02d" % n, b"(MESSAGES)")) for n in range(20)]
    reply_ = wire.run(*commands)
    assert all(status.ok for status in reply_.endings.values()) and len(reply_.endings) == 20
    assert most[0] <= 600
    wire.close()
    server.close()


def test_a_command_that_is_too_long_is_refused_and_nothing_is_sent() -> None:
    server = Scripted(lambda tag, rest: tag + b" OK done\r\n")
    wire = wire_to(server)
    with pytest.raises(InvalidRequest):
        wire.run(Command((b"EXAMINE", String(b"n" * 9_000))))
    assert wire.run(Command((b"NOOP",))).endings
    assert server.commands == [b"NOOP"]
    wire.close()
    server.close()


@pytest.mark.parametrize(
    ("announced", "style"),
    [(BARE, LiteralStyle.WAITING), (BARE | {"LITERAL-"}, LiteralStyle.SMALL), (FULL, LiteralStyle.FREE)],
    ids=lambda value: value.value if isinstance(value, LiteralStyle) else "",
)
def test_a_literal_waits_only_where_the_server_wants_it(announced: frozenset[str], style: LiteralStyle) -> None:
    with FakeImap(capabilities=announced | {"LITERAL+"}, preauth=True) as fake:
        fake.add_folder(b"caf\xc3\xa9")
        session = session_to(fake.connect(), capabilities=frozenset(word.upper() for word in announced))
        session.folders()
        assert session.open(b"caf\xc3\xa9", None).messages == 0
        session.close()
        waits = b"{5}\r\n" in fake.client_octets
        assert waits == (style is LiteralStyle.WAITING)


def test_a_command_refused_before_its_literal_leaves_the_session_in_step() -> None:
    with scripted_session(canned({})) as (session, server):
        server.asked = lambda tag, rest: b"* 1 EXISTS\r\n" + tag + b" NO [NONEXISTENT] not that one\r\n"
        with pytest.raises(Exception, match="does not exist"):
            session.open(b"caf\xc3\xa9", None)
        assert session.open(b"INBOX", None).messages == 3
    assert not any(b"caf" in line for line in server.commands)


@pytest.mark.parametrize("pieces", [[b"abc"], [b"abcd", b"efg"], []], ids=["short", "long", "nothing"])
def test_a_streamed_literal_that_is_not_as_long_as_announced_ends_the_connection(pieces: list[bytes]) -> None:
    server = Scripted(lambda tag, rest: tag + b" OK done\r\n")
    wire = wire_to(server)
    wire.style = LiteralStyle.FREE
    with pytest.raises(InvalidRequest):
        wire.run(Command((b"APPEND", b"INBOX", Streamed(lambda: pieces, 5))))
    with pytest.raises(ConnectionLost):
        wire.run(Command((b"NOOP",)))
    server.close()
    assert not server.commands, "half a message is no message"


def test_streamed_literals_leave_back_to_back_whatever_they_weigh() -> None:
    with FakeImap(preauth=True) as fake:
        session = session_to(fake.connect(), limits=Limits(unanswered_octets=500))
        heavy = Upload(octets=lambda: [b"x" * 100_000] * 5, size=500_000)
        assert [one.uid for one in session.append(b"INBOX", [heavy] * 4)] == [1, 2, 3, 4]
        session.close()


def test_an_iterator_left_in_the_middle_costs_the_connection() -> None:
    rows = b"".join(b"* %d FETCH (UID %d FLAGS ())\r\n" % (n, n) for n in range(1, 4))
    with scripted_session(canned({"UID FETCH": ok(rows)})) as (session, _):
        session.open(b"INBOX", None)
        flags = session.flags(UidSet.span(1, 3))
        assert next(flags).uid == 1
        flags.close()  # type: ignore[attr-defined]
        with pytest.raises(ConnectionLost):
            session.existing()


def test_chunks_nobody_takes_are_read_over() -> None:
    server = Scripted(
        lambda tag, rest: (
            b"* 1 FETCH (UID 1 BODY[] {600000}\r\n"
            + b"x" * 600_000
            + b" FLAGS (a))\r\n* 2 EXISTS\r\n"
            + tag
            + b" OK x\r\n"
        )
    )
    wire = wire_to(server)
    told = list(wire.converse(deque([Command((b"UID FETCH", b"1", b"(UID BODY.PEEK[])"))])))
    assert isinstance(told[0], Row) and told[0].remaining == 0 and told[0].flags == {"a"}
    assert isinstance(told[1], Line) and isinstance(told[2], Completion)
    wire.close()
    server.close()


@pytest.mark.parametrize("size", [10, 300_000, 700_000])
def test_the_last_chunk_comes_only_after_the_row_has_ended_well(size: int) -> None:
    octets = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % size + b"x" * size + b"no bracket\r\n<T> OK done\r\n"
    with scripted_session(canned({"UID FETCH": octets})) as (session, _):
        session.open(b"INBOX", None)
        last = []
        with pytest.raises(Exception, match="longer than the server announced"):
            last.extend(chunk.last for chunk in session.bodies([BodyWanted(uid=Uid(1), size=size)]))
        assert not any(last)


def test_a_literal_over_the_cap_is_refused_before_it_is_read() -> None:
    octets = b"* 1 FETCH (UID 1 BODY[] {99000000}\r\n"
    with scripted_session(canned({"UID FETCH": octets})) as (session, _):
        session.open(b"INBOX", None)
        with pytest.raises(LimitExceeded) as caught:
            list(session.bodies([BodyWanted(uid=Uid(1), size=10)]))
        assert (caught.value.uid, caught.value.folder) == (1, "INBOX")


def test_many_small_literals_in_one_answer_are_capped() -> None:
    literal = b"{200000}\r\n" + b"x" * 200_000
    answer = ok(b"* LIST () NIL " + literal * 9 + b"\r\n")
    with scripted_session(canned({"LIST": answer})) as (session, _), pytest.raises(LimitExceeded):
        session.folders()


def test_announced_octets_buy_time_and_silence_does_not() -> None:
    limits = Limits(command_seconds=0.3, octets_per_second=1_000_000_000)
    with scripted_session(canned({"UID FETCH": b"* 1 FETCH (UID 1 BODY[] {9000}\r\nabc"}), limits=limits) as (
        session,
        _,
    ):
        session.open(b"INBOX", None)
        with pytest.raises(TimedOut):
            list(session.bodies([BodyWanted(uid=Uid(1), size=10)]))


def test_the_time_of_a_slow_reader_is_not_the_server_s() -> None:
    limits = Limits(command_seconds=0.25, octets_per_second=1_000_000_000)
    body = b"x" * 600_000  # more than any buffer on the way: the rest is received after the reader was slow
    rows = b"".join(b"* %d FETCH (UID %d BODY[] {600000}\r\n%b)\r\n" % (n, n, body) for n in (1, 2))
    reader_is_slow = threading.Event()
    with scripted_session(canned({"UID FETCH": ok(rows)}), limits=limits) as (session, _):
        session.open(b"INBOX", None)
        octets = 0
        for chunk in session.bodies([BodyWanted(uid=Uid(uid), size=600_000) for uid in (1, 2)]):
            octets += len(chunk.octets or b"")
            reader_is_slow.wait(0.15)  # nobody sets it: all of these together are far more than the deadline
        assert octets == 1_200_000


def test_cancelling_ends_a_silent_answer() -> None:
    stop, asked = Stop(), threading.Event()

    def reply(tag: bytes, rest: bytes) -> bytes | None:
        if rest.startswith(b"UID SEARCH"):
            asked.set()
            return b""
        return canned({})(tag, rest)

    server = Scripted(reply)
    session = session_to(server.sock, capabilities=frozenset({"IMAP4REV1"}), stop=stop)
    session.open(b"INBOX", None)
    ended: list[BaseException] = []

    def search() -> None:
        try:
            session.existing()
        except Cancelled as error:
            ended.append(error)

    thread = threading.Thread(target=search, daemon=True)
    thread.start()
    assert asked.wait(HANG_GUARD_SECONDS)
    stop.stop()
    thread.join(HANG_GUARD_SECONDS)
    assert not thread.is_alive() and ended
    session.close()
    server.close()


@pytest.mark.parametrize(
    ("bye", "expected", "seconds"),
    [
        (b"* BYE Suggested Backoff Time: 2500 milliseconds\r\n", ServerBusy, 2.5),
        (b"* BYE [UNAVAILABLE] later\r\n", ServerBusy, 300.0),
        (b"* BYE shutting down\r\n", ConnectionLost, None),
    ],
)
def test_a_goodbye_says_what_helps(bye: bytes, expected: type[Exception], seconds: float | None) -> None:
    with scripted_session(canned({"EXAMINE": bye})) as (session, _):
        with pytest.raises(expected) as caught:
            session.open(b"INBOX", None)
        assert getattr(caught.value, "retry_after_seconds", None) == seconds


def test_row_12_a_session_without_its_mailbox_is_given_up() -> None:
    book = {
        "LIST": b"<T> BAD User is authenticated but not connected.\r\n",
        "LSUB": b"<T> BAD User is not connected\r\n",
    }
    with scripted_session(canned(book)) as (session, _), pytest.raises(ServerBusy):
        session.folders()


def test_closing_twice_and_closing_a_dead_session_never_raise() -> None:
    with scripted_session(canned({"EXAMINE": lambda tag: None})) as (session, _):
        with pytest.raises(ConnectionLost):
            session.open(b"INBOX", None)
        session.close()
        session.close()


def test_the_debug_log_holds_no_quoted_text_and_no_literal(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    rows = b'* 1 FETCH (UID 1 X-WORD "quoted mail" BODY[HEADER] {12}\r\nSubject: hi\n)\r\n'
    with scripted_session(canned({"UID FETCH": ok(rows)})) as (session, _):
        session.open(b"INBOX", None)
        assert [row.block for row in session.headers(UidSet([1]))] == [b"Subject: hi\n"]
    assert "UID FETCH 1" in caplog.text and "EXISTS" in caplog.text
    assert "quoted mail" not in caplog.text and "Subject" not in caplog.text
