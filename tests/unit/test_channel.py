"""The channel by itself, on socketpairs: framing, caps, deadlines, cancellation, counts.

TLS on a channel is met in tests/wire (connect, tls_matrix, starttls), with real certificates.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from provider.cancel import Stop
from provider.channel import Channel
from provider.errors import Cancelled, ConnectionLost, ErrorKind, LimitExceeded, TimedOut, TlsRefused
from provider.limits import Limits
from provider.sources.base import Notice
from provider.tls import make_context

GUARD_SECONDS = 5


class Ear:
    """A listener that remembers, and tells when somebody began to wait."""

    def __init__(self) -> None:
        self.octets = 0
        self.idle = threading.Event()

    def received(self, octets: int) -> None:
        self.octets += octets

    def waiting(self, seconds: float) -> None:
        self.idle.set()

    def notice(self, notice: Notice) -> None:
        raise AssertionError("a channel has nothing to remark")


class PausingStop(Stop):
    """Tells when somebody meets the pause."""

    def __init__(self) -> None:
        super().__init__()
        self.met = threading.Event()

    def checkpoint(self) -> None:
        if self.paused:
            self.met.set()
        super().checkpoint()


class Line:
    """Both ends: the channel under test and the far socket."""

    def __init__(self, limits: Limits) -> None:
        near, self.far = socket.socketpair()
        self.stop, self.ear = PausingStop(), Ear()
        self.channel = Channel(near, stop=self.stop, listener=self.ear, limits=limits)

    def close(self) -> None:
        self.channel.close()
        self.far.close()


@pytest.fixture
def line() -> Iterator[Line]:
    with contextlib.closing(Line(Limits(line_octets=1_000))) as made:
        yield made


def end_of(call: object, line: Line, before_end: object = None) -> BaseException:
    """Run *call* in a thread, wait until it blocks, do *before_end*, and return the error it ended with."""
    errors: list[BaseException] = []
    over = threading.Event()

    def run() -> None:
        try:
            call()  # type: ignore[operator]
        except BaseException as error:
            errors.append(error)
        over.set()

    threading.Thread(target=run, daemon=True).start()
    assert line.ear.idle.wait(GUARD_SECONDS)
    if before_end is not None:
        before_end()  # type: ignore[operator]
    assert over.wait(GUARD_SECONDS)
    return errors[0]


def test_lines_come_one_by_one_with_their_ends(line: Line) -> None:
    line.far.sendall(b"* OK hello\r\nbare\n\r\n")
    assert [line.channel.readline() for _ in range(3)] == [b"* OK hello\r\n", b"bare\n", b"\r\n"]


def test_a_line_in_pieces_is_one_line(line: Line) -> None:
    def dribble() -> None:
        for octet in b"* OK slow\r\n":
            line.far.sendall(bytes([octet]))

    writer = threading.Thread(target=dribble)
    writer.start()
    assert line.channel.readline() == b"* OK slow\r\n"
    writer.join(GUARD_SECONDS)


def test_a_line_of_the_greatest_length_passes_and_one_octet_more_does_not(line: Line) -> None:
    line.far.sendall(b"x" * 999 + b"\n" + b"y" * 1_000 + b"\n")
    assert len(line.channel.readline()) == 1_000
    with pytest.raises(LimitExceeded, match="1,000 octets"):
        line.channel.readline()


def test_an_endless_line_ends_at_the_cap(line: Line) -> None:
    line.far.sendall(b"x" * 5_000)
    with pytest.raises(LimitExceeded) as caught:
        line.channel.readline()
    assert caught.value.kind is ErrorKind.LIMIT
    assert caught.value.drops_connection


def test_read_gives_exactly_what_was_asked_across_packets(line: Line) -> None:
    line.far.sendall(b"abc")
    writer = threading.Timer(0, line.far.sendall, [b"defgh"])
    writer.start()
    assert line.channel.read(6) == b"abcdef"
    assert line.channel.read(0) == b""
    assert line.channel.read(2) == b"gh"
    writer.join(GUARD_SECONDS)


@pytest.mark.parametrize("sent", [b"", b"half a line"], ids=["between lines", "in the middle of a line"])
def test_the_end_of_the_stream_is_a_lost_connection(line: Line, sent: bytes) -> None:
    line.far.sendall(sent)
    line.far.close()
    with pytest.raises(ConnectionLost):
        line.channel.readline()


def test_the_end_of_the_stream_in_the_middle_of_a_read_is_a_lost_connection(line: Line) -> None:
    line.far.sendall(b"abc")
    line.far.close()
    with pytest.raises(ConnectionLost):
        line.channel.read(4)


def test_what_came_before_the_end_is_still_read(line: Line) -> None:
    line.far.sendall(b"* BYE\r\n")
    line.far.close()
    assert line.channel.readline() == b"* BYE\r\n"


def test_sending_to_a_closed_peer_is_a_lost_connection(line: Line) -> None:
    line.far.close()
    with pytest.raises(ConnectionLost, match="broke"):
        line.channel.send(b"A1 NOOP\r\n")


def test_octets_are_counted_both_ways_and_told(line: Line) -> None:
    line.channel.send(b"A1 NOOP\r\n")
    line.far.sendall(b"A1 OK done\r\nrest")
    assert line.far.recv(100) == b"A1 NOOP\r\n"
    line.channel.readline()
    assert (line.channel.sent_octets, line.channel.received_octets, line.ear.octets) == (9, 16, 16)


def test_buffered_tells_what_was_received_but_not_read_without_waiting(line: Line) -> None:
    assert line.channel.buffered() == 0
    line.far.sendall(b"one\r\ntwo\r\n")
    line.channel.readline()
    assert line.channel.buffered() == 5
    assert line.channel.readline() == b"two\r\n"
    assert line.channel.buffered() == 0


def test_arrived_looks_into_the_socket_and_waits_for_nothing(line: Line) -> None:
    assert not line.channel.arrived()
    line.far.sendall(b"unasked")
    assert line.channel.arrived()
    assert line.channel.read(7) == b"unasked"
    assert not line.channel.arrived()


def test_arrived_tells_the_end_of_the_stream(line: Line) -> None:
    line.far.close()
    with pytest.raises(ConnectionLost):
        line.channel.arrived()


def test_arrived_on_a_closed_channel_is_a_lost_connection(line: Line) -> None:
    line.channel.close()
    with pytest.raises(ConnectionLost):
        line.channel.arrived()


def test_what_has_not_left_is_thrown_away_when_a_channel_is_discarded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
        channel = Channel(near, stop=Stop(), listener=Ear(), limits=Limits())
        assert channel.local_host() == "127.0.0.1"
        channel.send(b"x" * 1_000)
        channel.discard()
        with far, pytest.raises(ConnectionResetError):
            list(iter(lambda: far.recv(65_536), b""))
        channel.discard()  # twice harms nobody


def test_a_silent_peer_meets_the_deadline(line: Line) -> None:
    line.channel.deadline(0.05)
    with pytest.raises(TimedOut, match=r"0\.05 seconds"):
        line.channel.readline()


def test_a_dribbling_peer_meets_the_same_deadline(line: Line) -> None:
    """M8: an octet does not restart the clock."""
    over = threading.Event()

    def dribble() -> None:
        with contextlib.suppress(OSError):
            while not over.wait(0.01):
                line.far.sendall(b"x")

    writer = threading.Thread(target=dribble)
    writer.start()
    line.channel.deadline(0.2)
    with pytest.raises(TimedOut):
        line.channel.readline()
    over.set()
    writer.join(GUARD_SECONDS)


def test_a_peer_that_does_not_read_meets_the_deadline(line: Line) -> None:
    line.channel.deadline(0.1)
    with pytest.raises(TimedOut):
        line.channel.send(bytes(50_000_000))


def test_a_deadline_can_be_lifted(line: Line) -> None:
    line.channel.deadline(0.0)
    with pytest.raises(TimedOut):
        line.channel.send(b"x")
    line.channel.deadline(None)
    line.channel.send(b"y")
    assert line.far.recv(10) == b"y"


def test_a_pause_holds_the_reader_and_does_not_count_against_the_deadline(line: Line) -> None:
    line.channel.deadline(60)
    before = line.channel._countdown._until
    line.stop.pause()
    line.far.sendall(b"later\r\n")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(line.channel.readline()))
    reader.start()
    assert line.stop.met.wait(GUARD_SECONDS)
    assert got == []
    line.stop.resume()
    reader.join(GUARD_SECONDS)
    assert got == [b"later\r\n"]
    assert before is not None
    assert line.channel._countdown._until is not None
    assert line.channel._countdown._until > before


def test_cancel_ends_a_silent_read(line: Line) -> None:
    assert isinstance(end_of(line.channel.readline, line, line.stop.stop), Cancelled)


def test_cancel_ends_a_send_nobody_reads(line: Line) -> None:
    assert isinstance(end_of(lambda: line.channel.send(bytes(50_000_000)), line, line.stop.stop), Cancelled)


def test_cancel_ends_a_silent_tls_handshake(line: Line) -> None:
    context = make_context(None, "a")
    assert isinstance(end_of(lambda: line.channel.start_tls(context, "localhost"), line, line.stop.stop), Cancelled)


def test_cancel_while_octets_keep_coming_is_seen(line: Line) -> None:
    over = threading.Event()

    def flood() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                line.far.sendall(b"* 1 EXISTS\r\n" * 1_000)

    writer = threading.Thread(target=flood)
    writer.start()

    def drain() -> None:
        count = 0
        while True:
            line.channel.readline()
            count += 1
            if count == 50_000:
                line.stop.stop()

    with pytest.raises(Cancelled):
        drain()
    over.set()
    line.channel.close()
    writer.join(GUARD_SECONDS)
    assert not writer.is_alive()


def test_a_channel_on_a_stopped_run_is_refused_and_its_socket_closed() -> None:
    near, far = socket.socketpair()
    stop = Stop()
    stop.stop()
    with pytest.raises(Cancelled):
        Channel(near, stop=stop, listener=Ear(), limits=Limits())
    assert far.recv(1) == b""
    assert near.fileno() == -1
    far.close()


def test_closing_twice_and_aborting_afterwards_harm_nobody(line: Line) -> None:
    line.channel.close()
    line.channel.close()
    line.stop.stop()
    with pytest.raises(OSError):
        line.channel.abort()


def test_a_closed_channel_leaves_no_hook_behind(line: Line) -> None:
    line.channel.close()
    assert line.stop._hooks == {}


def test_tls_is_refused_when_octets_came_before_it(line: Line) -> None:
    context = make_context(None, "a")
    line.far.sendall(b"A1 OK begin\r\n* CAPABILITY EVIL\r\n")
    line.channel.readline()
    with pytest.raises(TlsRefused) as caught:
        line.channel.start_tls(context, "localhost")
    assert caught.value.kind is ErrorKind.STARTTLS_INJECTION
    assert line.channel.sent_octets == 0


def test_plain_text_in_place_of_a_handshake_is_named_and_shown(line: Line) -> None:
    context = make_context(None, "a")
    line.far.sendall(b"220 mail.example ESMTP\r\n")
    with pytest.raises(TlsRefused) as caught:
        line.channel.start_tls(context, "localhost")
    assert caught.value.kind is ErrorKind.TLS_NOT_SPOKEN
    assert caught.value.server_text == "220 mail.example ESMTP"
