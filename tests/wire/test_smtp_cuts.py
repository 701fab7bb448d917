"""A submission that breaks at any octet, in either direction: what is told is the truth about what was delivered.

The truth table is the test. A fixed sample is played in `make test`, every octet in `make soak`. The place is in
the text of a failure.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import closing

import pytest

from provider.cancel import Stop
from provider.errors import ConnectionLost, ProviderError
from provider.transport.base import Delivery, Ended
from provider.transport.smtp import smtp_transport
from tests.servers.fakesmtp import FakeSmtp, Manners
from tests.servers.relay import Fault, Relay, Way
from tests.wire.smtp_rig import MESSAGE, TO, Watching, letter, sender_at

SAMPLE = 300
FAULTS = (Fault.CUT, Fault.RESET)
EXTENSIONS = (b"SIZE 60000000", b"8BITMIME", b"ENHANCEDSTATUSCODES")
BOTH_WAYS = {"pipelining": (*EXTENSIONS, b"PIPELINING"), "one by one": EXTENSIONS}


def whole(extensions: tuple[bytes, ...]) -> dict[Way, int]:
    """Return how many octets an undisturbed submission has in each direction."""
    with FakeSmtp(Manners(extensions=extensions)) as server, Relay(server.port) as relay:
        assert submit(relay.port)[0] is not None
    assert len(server.delivered) == 1
    return {Way.UP: relay.counts.up, Way.DOWN: relay.counts.down}


def submit(port: int) -> tuple[Delivery | None, Watching]:
    """Submit one message; no delivery: the door stayed shut."""
    watch = Watching()
    try:
        session = smtp_transport(sender_at(port)).open(Stop())
    except ConnectionLost:
        return None, watch
    with closing(session):
        return session.send(letter(), watch), watch


def judge(delivery: Delivery | None, watch: Watching, server: FakeSmtp, where: str) -> str:
    """Hold what was told against what was delivered; return what the case was."""
    delivered = len(server.delivered)
    assert delivered <= 1, where
    assert all(one.octets == MESSAGE and one.recipients == TO for one in server.delivered), where
    if delivery is None:
        assert (delivered, watch.ends) == (0, 0), where
        return "shut"
    match delivery.ended:
        case Ended.NOT_SENT:
            assert delivered == 0, where
            assert delivery.broken, where
        case Ended.ANSWERED:
            assert delivered == 1, where
            assert delivery.accepted == set(TO), where
        case Ended.IN_DOUBT:
            assert (delivery.broken, watch.ends) == (True, 1), where
    assert not (delivered and watch.ends == 0), where
    return f"{delivery.ended.value}, {delivered}"


def play(way: Way, at: int, fault: Fault, extensions: tuple[bytes, ...]) -> str:
    where = f"{fault} {way.value} at octet {at}"
    with FakeSmtp(Manners(extensions=extensions)) as server:
        with Relay(server.port, fault=fault, way=way, at=at) as relay:
            delivery, watch = submit(relay.port)
        server.settle()
        outcome = judge(delivery, watch, server, where)
        # What was not delivered is sent again, and is there once.
        if delivery is None or delivery.ended is Ended.NOT_SENT:
            again, _ = submit(server.port)
            assert again is not None, where
            assert again.accepted == set(TO), where
            assert len(server.delivered) == 1, where
    return outcome


def cuts(extensions: tuple[bytes, ...]) -> list[tuple[Way, int, Fault]]:
    lengths = whole(extensions)
    return [(way, at, fault) for way, octets in lengths.items() for at in range(octets) for fault in FAULTS]


@pytest.mark.parametrize("speaking", BOTH_WAYS)
def test_a_submission_cut_at_any_octet_is_told_as_it_was(speaking: str) -> None:
    every = cuts(BOTH_WAYS[speaking])
    chosen = random.Random(5).sample(every, SAMPLE // 2)
    outcomes = Counter(play(*one, BOTH_WAYS[speaking]) for one in chosen)
    # A run that met no fault proves nothing: the kinds of ends are all there.
    assert set(outcomes) >= {"shut", "not sent, 0", "in doubt, 1", "answered, 1"}, outcomes


@pytest.mark.soak
@pytest.mark.parametrize("speaking", BOTH_WAYS)
def test_every_octet_of_a_submission_is_a_place_to_cut(speaking: str) -> None:
    every = cuts(BOTH_WAYS[speaking])
    outcomes = Counter(play(*one, BOTH_WAYS[speaking]) for one in every)
    print(f"\ncuts of a submission, {speaking}: {len(every)}: {dict(outcomes)}")
    assert set(outcomes) >= {"shut", "not sent, 0", "in doubt, 0", "in doubt, 1", "answered, 1"}, outcomes


def test_the_whole_of_it_breaks_as_an_error_of_ours() -> None:
    with FakeSmtp() as server:
        port = server.port
    with pytest.raises(ProviderError):
        smtp_transport(sender_at(port)).open(Stop())
