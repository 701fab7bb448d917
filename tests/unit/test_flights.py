"""The meter counts a flight for each time a client spoke while no command was outstanding, and for nothing else."""

from __future__ import annotations

import zlib

import pytest

from tests.servers.flights import HEAD_OCTETS, OUTSTANDING_MAX, TAIL_OCTETS, FlightMeter

Said = tuple[str, bytes]

MAIL = b"Subject: x\r\n\r\nA2 OK done\r\n+ go on\r\n* 9 EXISTS {99}\r\n"
FETCHED = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\n" % (len(MAIL), MAIL)

LOGGED_IN: list[Said] = [
    ("S", b"* OK [CAPABILITY IMAP4rev1] hello\r\n"),
    ("C", b"A1 LOGIN u p\r\n"),
    ("S", b"A1 OK\r\n"),
]


def heard(*said: Said, octets: int = 0) -> FlightMeter:
    """Play *said* to a meter, in pieces of so many octets (0: as it was said)."""
    meter = FlightMeter()
    for who, text in said:
        step = octets or len(text)
        for at in range(0, len(text), step):
            (meter.client if who == "C" else meter.server)(text[at : at + step])
    return meter


CASES: dict[str, tuple[int, list[Said]]] = {
    "who waits for each answer flies each time": (
        3,
        [*LOGGED_IN, ("C", b"A2 NOOP\r\n"), ("S", b"A2 OK\r\n"), ("C", b"A3 LOGOUT\r\n"), ("S", b"* BYE\r\nA3 OK\r\n")],
    ),
    "commands together are one flight": (
        2,
        [*LOGGED_IN, ("C", b"A2 NOOP\r\nA3 NOOP\r\n"), ("S", b"A2 OK\r\nA3 OK\r\n")],
    ),
    "a command behind another one that is under way is none": (
        2,
        [*LOGGED_IN, ("C", b"A2 NOOP\r\nA3 NOOP\r\n"), ("S", b"A2 OK\r\n"), ("C", b"A4 NOOP\r\n"), ("S", b"A3 OK\r\n")],
    ),
    "answers in another order": (
        3,
        [
            *LOGGED_IN,
            ("C", b"A2 NOOP\r\nA3 NOOP\r\n"),
            ("S", b"A3 OK\r\n* 3 EXISTS\r\nA2 NO sorry\r\n"),
            ("C", b"A4 NOOP\r\n"),
        ],
    ),
    "mail that looks like an answer is none": (
        2,
        [*LOGGED_IN, ("C", b"A2 UID FETCH 1 BODY.PEEK[]\r\n"), ("S", FETCHED), ("C", b"A3 NOOP\r\n")],
    ),
    "several literals in one answer": (
        2,
        [
            *LOGGED_IN,
            ("C", b"A2 FETCH\r\n"),
            ("S", b"* 1 FETCH (BODY[1] {9}\r\nA2 OK x\r\n BODY[2] {0}\r\n BODY[3] ~{9}\r\nA2 OK y\r\n)\r\n"),
            ("C", b"A3 NOOP\r\n"),
        ],
    ),
    "text for people announces no literal": (
        3,
        [*LOGGED_IN, ("C", b"A2 NOOP\r\n"), ("S", b"* OK see {9}\r\nA2 OK or {9}\r\n"), ("C", b"A3 NOOP\r\n")],
    ),
    "a literal that does not wait is part of its command": (
        2,
        [*LOGGED_IN, ("C", b"A2 APPEND x {9+}\r\nA3 NOOP\r\n {4-}\r\nA4\r\n\r\n"), ("S", b"A2 OK\r\n")],
    ),
    "a literal that waits for the server is a wait": (
        3,
        [
            *LOGGED_IN,
            ("C", b"A2 APPEND x {9}\r\n"),
            ("S", b"+ go on\r\n"),
            ("C", b"A3 NOOP\r\n\r\n"),
            ("S", b"A2 OK\r\n"),
        ],
    ),
    "a refused literal does not come": (
        4,
        [
            *LOGGED_IN,
            ("C", b"A2 APPEND x {9}\r\n"),
            ("S", b"A2 NO\r\n"),
            ("C", b"A3 NOOP\r\n"),
            ("S", b"A3 OK\r\n"),
            ("C", b"A4 NOOP\r\n"),
        ],
    ),
    "the answer to a challenge is a wait, and no command": (
        3,
        [
            ("S", b"* OK\r\n"),
            ("C", b"A1 AUTHENTICATE PLAIN\r\n"),
            ("S", b"+ \r\n"),
            ("C", b"AHUAcA==\r\n"),
            ("S", b"A1 OK\r\n"),
            ("C", b"A2 NOOP\r\n"),
        ],
    ),
    "a client that speaks before the greeting": (1, [("C", b"A1 LOGIN u p\r\n"), ("S", b"* OK\r\nA1 OK\r\n")]),
    "an answer to nobody changes nothing": (
        2,
        [*LOGGED_IN, ("C", b"A2 NOOP\r\n"), ("S", b"B7 OK\r\n"), ("C", b"A3 NOOP\r\n")],
    ),
}


@pytest.mark.parametrize("octets", [0, 1, 7])
@pytest.mark.parametrize(("flights", "said"), CASES.values(), ids=CASES.keys())
def test_flights_are_what_the_client_waited_for(flights: int, said: list[Said], octets: int) -> None:
    assert heard(*said, octets=octets).flights == flights


def test_a_line_that_comes_in_pieces_is_one_flight() -> None:
    meter = heard(*LOGGED_IN)
    for piece in (b"A2 NO", b"OP", b"\r", b"\n"):
        meter.client(piece)
    assert (meter.flights, meter.outstanding) == (2, 1)
    meter.server(b"A2 O")
    assert meter.outstanding == 1
    meter.server(b"K\r\n")
    assert meter.outstanding == 0


def test_compression_is_followed() -> None:
    up, down = (zlib.compressobj(wbits=-zlib.MAX_WBITS) for _ in range(2))

    def deflated(stream: zlib._Compress, octets: bytes) -> bytes:
        return stream.compress(octets) + stream.flush(zlib.Z_SYNC_FLUSH)

    # The answer to COMPRESS and the first compressed octets may come in one piece.
    meter = heard(
        *LOGGED_IN, ("C", b"A2 COMPRESS DEFLATE\r\n"), ("S", b"A2 OK\r\n" + deflated(down, b"* 1 EXISTS\r\n"))
    )
    meter.client(deflated(up, b"A3 NOOP\r\nA4 UID FETCH 1 BODY.PEEK[]\r\n"))
    meter.server(deflated(down, b"A3 OK\r\n" + FETCHED))
    meter.client(deflated(up, b"A5 NOOP\r\n"))
    assert meter.flights == 3
    meter.server(deflated(down, b"A4 OK\r\nA5 OK\r\n"))
    assert meter.outstanding == 0
    meter.client(deflated(up, b"A6 LOGOUT\r\n"))
    assert (meter.flights, meter.opaque) == (4, False)


def test_what_cannot_be_inflated_makes_it_opaque_and_raises_nothing() -> None:
    meter = heard(*LOGGED_IN, ("C", b"A2 COMPRESS DEFLATE\r\n"), ("S", b"A2 OK\r\n"), ("C", b"\xff\xff\xff\xff"))
    assert meter.opaque
    meter.server(b"* 1 EXISTS\r\n")


def test_behind_tls_nothing_is_counted() -> None:
    assert heard(("C", b"\x16\x03\x01\x00"), ("S", b"\x16\x03\x03"), ("C", b"\x17\x03")).flights == 0
    upgraded = heard(("C", b"A1 STARTTLS\r\n"), ("S", b"A1 OK\r\n"), ("C", b"\x16\x03"), ("C", b"\x17\x03"))
    assert (upgraded.flights, upgraded.opaque) == (1, True)


def test_it_holds_little_whatever_passes() -> None:
    meter = heard(*LOGGED_IN)
    meter.client(b"".join(b"T%d NOOP\r\n" % number for number in range(OUTSTANDING_MAX + 500)))
    assert meter.outstanding == OUTSTANDING_MAX
    for _ in range(100):
        meter.server(b"x" * 10_000)
    assert len(meter._down._head) <= HEAD_OCTETS
    assert len(meter._down._tail) <= TAIL_OCTETS
