"""The relay does what its faults say, at the octet they name, and counts what passed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from tests.servers.fakeimap import FakeImap
from tests.servers.plain_client import PlainClient
from tests.servers.relay import Fault, Relay, Way

GUARD_SECONDS = 5.0


def knock(relay: Relay) -> socket.socket:
    return socket.create_connection((relay.host, relay.port), GUARD_SECONDS)


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(4096), b""))


def test_a_session_through_the_relay_is_counted_in_flights_and_octets(
    fake_imap: FakeImap, relay: Callable[..., Relay]
) -> None:
    between = relay(fake_imap.port)
    client = PlainClient.login(host=between.host, port=between.port, user=fake_imap.user, password=fake_imap.password)
    client.folders()
    client.close()
    assert between.wait_until_ended()  # a count rises after its octets were delivered
    # imaplib waits for each answer: CAPABILITY, LOGIN, LIST, LOGOUT.
    assert between.counts.flights == between.counts.waits == 4
    assert between.counts.connections == 1
    assert between.counts.up == len(fake_imap.client_octets)


def test_commands_sent_behind_one_that_is_under_way_are_no_further_wait(
    fake_imap: FakeImap, relay: Callable[..., Relay]
) -> None:
    between = relay(fake_imap.port)
    with knock(between) as sock:
        greeting = sock.recv(4096)
        while between.counts.down < len(greeting):
            time.sleep(0.001)
        between.arm(Fault.STALL, at=3)
        sock.sendall(b"A1 NOOP\r\n")
        assert between.struck.wait(GUARD_SECONDS)
        assert sock.recv(4096) == b"A1 "
        sock.sendall(b"A2 NOOP\r\n")
        while between.counts.flights < 2:
            time.sleep(0.001)
        between.release()
        sock.recv(4096)
    assert (between.counts.flights, between.counts.waits) == (2, 1)


@pytest.mark.parametrize("slice_octets", [1, 7])
def test_slices_and_delay_change_no_octet(fake_imap: FakeImap, relay: Callable[..., Relay], slice_octets: int) -> None:
    octets = b"Subject: x\r\n\r\n" + bytes(range(1, 256)) * 4
    fake_imap.append("INBOX", octets)
    between = relay(fake_imap.port, slice_octets=slice_octets, round_trip_seconds=0.002)
    with PlainClient.login(
        host=between.host, port=between.port, user=fake_imap.user, password=fake_imap.password
    ) as client:
        assert client.octets("INBOX", 1) == octets


@pytest.mark.parametrize("at", [0, 1, 17])
def test_a_cut_delivers_exactly_the_octets_before_it(fake_imap: FakeImap, relay: Callable[..., Relay], at: int) -> None:
    between = relay(fake_imap.port, fault=Fault.CUT, at=at)
    with knock(between) as sock:
        assert len(read_all(sock)) == at
    with knock(between) as again:
        assert again.recv(4) == b"* OK"  # a fault strikes once


def test_a_cut_upwards_reaches_the_server_up_to_its_octet(fake_imap: FakeImap, relay: Callable[..., Relay]) -> None:
    between = relay(fake_imap.port, fault=Fault.CUT, way=Way.UP, at=5)
    with knock(between) as sock:
        sock.sendall(b"A1 NOOP\r\n")
        read_all(sock)
    assert between.counts.up == 5


def test_a_reset_is_seen_as_one(fake_imap: FakeImap, relay: Callable[..., Relay]) -> None:
    between = relay(fake_imap.port, fault=Fault.RESET, way=Way.UP, at=0)
    with knock(between) as sock:
        sock.recv(4096)
        sock.sendall(b"A1 NOOP\r\n")
        with pytest.raises(ConnectionResetError):
            read_all(sock)


def test_a_stall_holds_the_rest_until_it_is_released(fake_imap: FakeImap, relay: Callable[..., Relay]) -> None:
    between = relay(fake_imap.port, fault=Fault.STALL, at=4)
    with knock(between) as sock:
        assert sock.recv(4096) == b"* OK"
        assert between.struck.wait(GUARD_SECONDS)
        assert between.counts.down == 4
        between.release()
        assert sock.recv(4096).startswith(b" [CAPABILITY")


def test_a_half_closed_way_leaves_the_other_open(fake_imap: FakeImap, relay: Callable[..., Relay]) -> None:
    between = relay(fake_imap.port, fault=Fault.HALF_CLOSE, way=Way.UP, at=9)
    with knock(between) as sock:
        sock.sendall(b"A1 NOOP\r\nA2 NOOP\r\n")
        heard = read_all(sock)
    assert b"A1 OK" in heard
    assert b"A2" not in heard


def test_a_relay_to_nobody_closes_the_connection(relay: Callable[..., Relay]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with knock(relay(port)) as sock:
        assert sock.recv(1) == b""
