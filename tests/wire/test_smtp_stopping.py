"""Stopping, slowness and faults of our own: nothing goes on being delivered, and doubt is told where there is doubt."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from provider import dial
from provider.account import Security
from provider.cancel import Stop
from provider.errors import Cancelled
from provider.limits import Limits
from provider.transport.base import Delivery, Ended
from tests.servers.certs import CertificateShop
from tests.servers.fakesmtp import FakeSmtp, Manners
from tests.wire.smtp_rig import MESSAGE, TO, Watching, in_thread, letter, opened

LARGE = b"Subject: s\r\n\r\n" + b".%078d\r\n" % 7 * 12_000
"""About a megabyte: more than the sockets between take at once with a small window."""


class Clock:
    """What `provider.dial` asks for the time; a test moves it."""

    def __init__(self) -> None:
        self._real, self.ahead = time.monotonic, 0.0

    def monotonic(self) -> float:
        return self._real() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(dial, "time", made)
    return made


def stopping(server: FakeSmtp, state: str, stop: Stop) -> threading.Thread:
    """Stop once the server has reached *state*."""

    def wait_and_stop() -> None:
        server.wait_for(state)
        stop.stop()

    return in_thread(wait_and_stop)


# -- stopped by somebody --------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("block", range(15))
def test_after_a_stop_within_the_message_nothing_is_delivered(block: int, secure: bool, certs: CertificateShop) -> None:
    stop = Stop()
    blocks: list[int] = []

    def count(octets: int) -> None:
        blocks.append(octets)
        if len(blocks) == block + 1:
            stop.stop()

    tls = certs.good().server_context() if secure else None
    with (
        FakeSmtp(tls=tls, implicit_tls=secure) as server,
        opened(
            server.port,
            host="localhost",
            security=Security.TLS if secure else Security.NONE,
            ca_file=certs.authority,
        ) as session,
    ):
        with pytest.raises(Cancelled):
            session.send(letter(LARGE), Watching(stop=stop, at_sent=count))
        again = session.send(letter(), Watching())
        assert (again.ended, again.broken) == (Ended.NOT_SENT, True)
    assert server.delivered == []


@pytest.mark.parametrize("state", ["mail", "rcpt", "data"])
def test_a_stop_wakes_whoever_waits_for_an_answer(state: str) -> None:
    stop, held = Stop(), threading.Event()
    manners = Manners(holds={state: held})
    with FakeSmtp(manners) as server, opened(server.port) as session:
        stopper = stopping(server, state, stop)
        with pytest.raises(Cancelled):
            session.send(letter(), Watching(stop=stop))
        stopper.join()
        held.set()
    assert server.delivered == []


def test_a_stop_before_anything_was_said_says_nothing() -> None:
    stop = Stop()
    stop.stop()
    with FakeSmtp() as server:
        with opened(server.port) as session:
            heard = len(server.commands)
            with pytest.raises(Cancelled):
                session.send(letter(), Watching(stop=stop))
        assert len(server.commands) == heard


def test_a_stop_while_the_dot_is_journaled_keeps_it_from_going_out() -> None:
    stop = Stop()
    with FakeSmtp() as server, opened(server.port) as session, pytest.raises(Cancelled):
        session.send(letter(), Watching(stop=stop, at_end=stop.stop))
    assert server.delivered == []


@pytest.mark.parametrize("delivers", [False, True], ids=["not delivered", "delivered"])
def test_a_stop_after_the_dot_is_doubt(delivers: bool) -> None:
    stop, held = Stop(), threading.Event()
    answers = {} if delivers else {"dot": b"451 no\r\n"}
    with FakeSmtp(Manners(answers=answers, holds={"dot": held})) as server, opened(server.port) as session:
        stopper = stopping(server, "dot", stop)
        delivery = session.send(letter(), Watching(stop=stop))
        stopper.join()
        held.set()
    assert (delivery.ended, delivery.broken) == (Ended.IN_DOUBT, True)
    assert len(server.delivered) == delivers


def test_a_stop_of_the_session_stops_the_sending() -> None:
    stop, held = Stop(), threading.Event()
    with FakeSmtp(Manners(holds={"data": held})) as server, opened(server.port, stop=stop) as session:
        stopper = stopping(server, "data", stop)
        with pytest.raises(Cancelled):
            session.send(letter(), Watching())
        stopper.join()
        held.set()
    assert server.delivered == []


@pytest.mark.parametrize("state", ["greeting", "ehlo", "auth"])
def test_a_stop_wakes_whoever_waits_at_the_door(state: str) -> None:
    stop, held = Stop(), threading.Event()
    with FakeSmtp(Manners(holds={state: held})) as server:
        stopper = stopping(server, state, stop)
        with pytest.raises(Cancelled), opened(server.port, stop=stop):
            pass
        stopper.join()
        held.set()


# -- a server that is slow ------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_server_that_swallows_slowly_has_the_message_once_in_the_end(secure: bool, certs: CertificateShop) -> None:
    """The duplicate trap: giving up within DATA while what was sent still flows, and then sending again."""
    again = threading.Event()

    def stall(octets: int) -> None:
        if octets > 100_000:
            again.wait(5)

    manners = Manners(before_reading=stall, window_octets=8_192, receive_octets=4_096)
    tls = certs.good().server_context() if secure else None
    security = Security.TLS if secure else Security.NONE
    limits = Limits(block_seconds=0.2, octets_per_second=10**9)
    octets = LARGE * 6
    with FakeSmtp(manners, tls=tls, implicit_tls=secure) as server:
        with opened(
            server.port, host="localhost", security=security, ca_file=certs.authority, limits=limits
        ) as session:
            first = session.send(letter(octets), Watching())
        assert (first.ended, first.broken) == (Ended.NOT_SENT, True)
        again.set()  # it reads on, whatever is still there
        server.settle()
        assert server.delivered == []
        server.manners = Manners()
        with opened(server.port, host="localhost", security=security, ca_file=certs.authority) as session:
            assert session.send(letter(octets), Watching()).accepted == set(TO)
    assert [one.octets for one in server.delivered] == [octets]


def send_held_at_dot(clock: Clock, ahead: float, *, answer: bool) -> tuple[Delivery, int]:
    """Let the time jump while the answer to the dot is waited for; return the end, and what was delivered."""
    held, ends = threading.Event(), threading.Event()
    result: list[Delivery] = []
    limits = Limits(command_seconds=5, envelope_seconds=5, data_seconds=5, block_seconds=5)
    with FakeSmtp(Manners(holds={"dot": held})) as server, opened(server.port, limits=limits) as session:

        def send() -> None:
            result.append(session.send(letter(), Watching()))
            ends.set()

        sender = in_thread(send)
        server.wait_for("dot")
        clock.ahead = ahead
        if answer:
            assert not ends.wait(0.5)  # two looks at the clock: it has not given up
            held.set()
        assert ends.wait(5)
        held.set()
        sender.join()
    return result[0], len(server.delivered)


def test_row_95_an_answer_after_nine_minutes_is_an_answer(clock: Clock) -> None:
    delivery, delivered = send_held_at_dot(clock, 9 * 60 + 50, answer=True)
    assert (delivery.ended, delivery.accepted, delivered) == (Ended.ANSWERED, frozenset(TO), 1)


def test_row_95_no_answer_within_ten_minutes_is_doubt(clock: Clock) -> None:
    delivery, delivered = send_held_at_dot(clock, 10 * 60 + 1, answer=False)
    assert (delivery.ended, delivery.broken, delivered) == (Ended.IN_DOUBT, True, 1)


# -- faults of our own ----------------------------------------------------------------------------


class Fault(Exception):
    """Raised by the host's part."""


def test_octets_that_fail_are_not_delivered_and_the_fault_comes_through() -> None:
    def pieces() -> Iterator[bytes]:
        yield MESSAGE
        raise Fault

    with FakeSmtp() as server, opened(server.port) as session:
        with pytest.raises(Fault):
            session.send(letter(pieces(), size=len(MESSAGE)), Watching())
        assert session.send(letter(), Watching()).broken
    assert server.delivered == []


@pytest.mark.parametrize("place", ["at_end", "at_sent"])
def test_a_journal_that_fails_keeps_the_dot_from_going_out(place: str) -> None:
    def fail(*_: object) -> None:
        raise Fault

    with FakeSmtp() as server, opened(server.port) as session, pytest.raises(Fault):
        session.send(letter(), Watching(**{place: fail}))  # type: ignore[arg-type]
    assert server.delivered == []


@pytest.mark.parametrize("size", [len(MESSAGE) - 1, len(MESSAGE) + 1])
def test_a_message_of_another_size_than_announced_is_not_delivered(size: int) -> None:
    with FakeSmtp() as server, opened(server.port) as session:
        delivery = session.send(letter([MESSAGE], size=size), Watching())
    assert (delivery.ended, delivery.broken) == (Ended.NOT_SENT, True)
    assert server.delivered == []


@pytest.mark.parametrize(
    "bare", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"a\n\r\n", b"a\r\n.\n", b"a\r\n.\rb\r\n", b"a\r"]
)
@pytest.mark.parametrize("cut", range(4))
def test_a_bare_line_end_never_goes_out(bare: bytes, cut: int) -> None:
    """SMTP smuggling: CVE-2023-51764, 51765, 51766."""
    octets = b"Subject: s\r\n\r\n" + bare
    with FakeSmtp() as server, opened(server.port) as session:
        at = len(octets) - 3 + cut
        delivery = session.send(letter([octets[:at], octets[at:]], size=len(octets)), Watching())
    assert {one for one, _ in delivery.refused} == set(TO)
    assert (delivery.ended, delivery.broken) == (Ended.ANSWERED, True)
    assert server.delivered == []


def test_progress_tells_every_block_and_never_goes_back() -> None:
    watch = Watching()
    with FakeSmtp() as server, opened(server.port) as session:
        session.send(letter(LARGE), watch)
    assert watch.told == sorted(set(watch.told))
    assert watch.told[-1] == len(LARGE)
    assert max(b - a for a, b in zip([0, *watch.told], watch.told, strict=False)) <= 65_537
    assert server.delivered[0].octets == LARGE
