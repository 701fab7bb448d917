"""A submission that breaks at any octet, in either direction: what is told is the truth about what was delivered.

The truth table is the test. A fixed sample is played in `make test`, every octet in `make soak`. The place is in
the text of a failure.
"""

from __future__ import annotations

import random
import ssl
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from provider.account import Security
from provider.cancel import Stop
from provider.errors import ConnectionLost, ProviderError, TlsRefused
from provider.transport.base import Delivery, Ended
from provider.transport.smtp import smtp_transport
from tests.servers.certs import CertificateShop
from tests.servers.fakesmtp import FakeSmtp, Manners
from tests.servers.relay import Fault, Relay, Way
from tests.wire.smtp_rig import MESSAGE, TO, Watching, letter, sender_at


@dataclass(frozen=True)
class Protection:
    """A server's TLS, and what a client trusts."""

    context: ssl.SSLContext
    authority: Path


SAMPLE = 300
FAULTS = (Fault.CUT, Fault.RESET, Fault.HALF_CLOSE)
EXTENSIONS = (b"SIZE 60000000", b"8BITMIME", b"ENHANCEDSTATUSCODES")
BOTH_WAYS = {"pipelining": (*EXTENSIONS, b"PIPELINING"), "one by one": EXTENSIONS}


def whole(extensions: tuple[bytes, ...], tls: Protection | None = None) -> dict[Way, int]:
    """Return how many octets an undisturbed submission has in each direction."""
    with _serving(extensions, tls) as server, Relay(server.port) as relay:
        assert submit(relay.port, tls)[0] is not None
    assert len(server.delivered) == 1
    return {Way.UP: relay.counts.up, Way.DOWN: relay.counts.down}


def _serving(extensions: tuple[bytes, ...], tls: Protection | None) -> FakeSmtp:
    manners = Manners(extensions=extensions)
    return FakeSmtp(manners) if tls is None else FakeSmtp(manners, tls=tls.context, implicit_tls=True)


def submit(port: int, tls: Protection | None = None) -> tuple[Delivery | None, Watching]:
    """Submit one message; no delivery: the door stayed shut."""
    watch = Watching()
    security = Security.NONE if tls is None else Security.TLS
    try:
        account = sender_at(port, security=security, ca_file=None if tls is None else tls.authority)
        session = smtp_transport(account).open(Stop())
    except (ConnectionLost, TlsRefused):
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


def play(way: Way, at: int, fault: Fault, extensions: tuple[bytes, ...], tls: Protection | None = None) -> str:
    where = f"{fault} {way.value} at octet {at}"
    with _serving(extensions, tls) as server:
        with Relay(server.port, fault=fault, way=way, at=at) as relay:
            delivery, watch = submit(relay.port, tls)
        server.settle()
        outcome = judge(delivery, watch, server, where)
        # What was not delivered is sent again, and is there once.
        if delivery is None or delivery.ended is Ended.NOT_SENT:
            again, _ = submit(server.port, tls)
            assert again is not None, where
            assert again.accepted == set(TO), where
            assert len(server.delivered) == 1, where
    return outcome


def cuts(extensions: tuple[bytes, ...], tls: Protection | None = None) -> list[tuple[Way, int, Fault]]:
    lengths = whole(extensions, tls)
    return [(way, at, fault) for way, octets in lengths.items() for at in range(octets) for fault in FAULTS]


@pytest.mark.parametrize("speaking", BOTH_WAYS)
def test_a_submission_cut_at_any_octet_is_told_as_it_was(speaking: str) -> None:
    every = cuts(BOTH_WAYS[speaking])
    chosen = random.Random(5).sample(every, SAMPLE // 2)
    outcomes = Counter(play(*one, BOTH_WAYS[speaking]) for one in chosen)
    # A run that met no fault proves nothing: the kinds of ends are all there.
    assert set(outcomes) >= {"shut", "not sent, 0", "in doubt, 1", "answered, 1"}, outcomes


def test_a_submission_under_tls_cut_anywhere_is_told_as_it_was(certs: CertificateShop) -> None:
    tls = Protection(certs.good().server_context(), certs.authority)
    extensions = BOTH_WAYS["pipelining"]
    chosen = random.Random(6).sample(cuts(extensions, tls), 100)
    outcomes = Counter(play(*one, extensions, tls) for one in chosen)
    assert set(outcomes) >= {"shut", "not sent, 0"}, outcomes


@pytest.mark.parametrize("octets", [1, 7])
def test_a_line_that_carries_an_octet_at_a_time_carries_all(octets: int) -> None:
    with FakeSmtp() as server, Relay(server.port, slice_octets=octets) as relay:
        delivery, _ = submit(relay.port)
    assert delivery is not None
    assert delivery.accepted == set(TO)
    assert server.delivered[0].octets == MESSAGE


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
