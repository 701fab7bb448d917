"""Each limit of a submission is a setting of its own: one alone is small, and it is the one that is hit."""

from __future__ import annotations

import threading
from dataclasses import fields, replace

import pytest

from provider.errors import ErrorKind, LimitExceeded
from provider.limits import Limits
from provider.transport.base import Ended
from tests.servers.fakesmtp import FakeSmtp, Manners
from tests.wire.smtp_rig import Watching, letter, opened

LARGE = b"Subject: s\r\n\r\n" + b"x" * 76 + b"\r\n"
LARGE += LARGE[14:] * 80_000


def held_within_the_message(held: threading.Event) -> Manners:
    return Manners(window_octets=8_192, before_reading=lambda octets: octets > 1_000 and held.wait(5) and None)


@pytest.mark.parametrize(
    ("setting", "state", "ends"),
    [
        ("envelope_seconds", "mail", Ended.NOT_SENT),
        ("envelope_seconds", "rcpt", Ended.NOT_SENT),
        ("data_seconds", "data", Ended.NOT_SENT),
        ("block_seconds", "message", Ended.NOT_SENT),
        ("end_seconds", "dot", Ended.IN_DOUBT),
    ],
)
def test_a_deadline_is_that_of_its_state_alone(setting: str, state: str, ends: Ended) -> None:
    held = threading.Event()
    manners = held_within_the_message(held) if state == "message" else Manners(holds={state: held})
    limits = replace(Limits(octets_per_second=10**9), **{setting: 0.2})
    with FakeSmtp(manners) as server, opened(server.port, limits=limits) as session:
        delivery = session.send(letter(LARGE if state == "message" else LARGE[:100]), Watching())
        held.set()
    assert (delivery.ended, delivery.broken) == (ends, True)
    assert "0.2 seconds" in delivery.reason


def test_an_answer_is_as_long_as_the_setting_allows() -> None:
    answer = b"250-" + b"x" * 94 + b"\r\n"
    manners = Manners(answers={"mail": answer * 9 + b"250" + answer[3:].replace(b"-", b" ")})
    with FakeSmtp(manners) as server:
        with opened(server.port, limits=Limits(reply_octets=1_000)) as session:
            assert session.send(letter(), Watching()).accepted
        with opened(server.port, limits=Limits(reply_octets=999)) as session:
            assert session.send(letter(), Watching()).ended is Ended.NOT_SENT
    with (
        FakeSmtp() as server,
        pytest.raises(LimitExceeded) as caught,
        opened(server.port, limits=Limits(reply_octets=20)),
    ):
        pass
    assert caught.value.kind is ErrorKind.LIMIT


def test_the_deadlines_are_not_below_those_of_the_standard() -> None:
    """RFC 5321 §4.5.3.2."""
    known = {field.name: getattr(Limits(), field.name) for field in fields(Limits)}
    least = {"envelope_seconds": 300, "data_seconds": 120, "block_seconds": 180, "end_seconds": 600}
    assert {name: known[name] for name in least if known[name] < least[name]} == {}
