"""A connection to real Dovecot that breaks at any octet, or behaves in other bad ways, costs time and nothing else.

Room: tests/live. A relay stands between; what it did at which octet is in the text of a failure.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from provider import Account, ErrorKind, Limits
from store import open_store
from tests.scenarios.rig import FolderSeen, account_at, run_to_the_end, server_snapshot, store_snapshot, synchronize
from tests.servers.dovecot import DovecotAccount
from tests.servers.relay import Fault, Relay, Way

pytestmark = pytest.mark.servers

OCTETS_MAX = 16_000
LIMITS = Limits(reconnect_seconds=0.001, whole_octets=2_000, part_octets=700)
"""Reconnects come at once; the one large message comes in four parts."""


def mail(number: int, octets: int) -> bytes:
    head = f"From: a{number}@x.example\r\nSubject: number {number}\r\nMessage-ID: <{number}@x.example>\r\n\r\n".encode()
    line = b"%d of the lines that make up this message\r\n" % number
    return (head + line * (octets // len(line) + 1))[: max(octets, len(head)) - 2] + b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """A Dovecot account with two folders, a relay in front of it, and what the account holds."""

    relay: Relay
    account: Account
    server: dict[bytes, FolderSeen]
    place: Path

    def play(self, name: str, fault: Fault | None = None, way: Way = Way.DOWN, at: int = 0) -> set[ErrorKind]:
        """Synchronize into a new store with that fault on the way; go on once more if it has to be; compare."""
        where = f"{fault} {way.value} at octet {at}"
        path = self.place / f"{name}.db"
        self.relay.reset_counts()
        if fault is not None:
            self.relay.arm(fault, way=way, at=at)
        with open_store(path) as store:
            result, host = run_to_the_end(store, self.account)
            if not result.ok:
                synchronize(store, self.account)
            assert store.check(full=True).problems == (), where
            assert store_snapshot(store) == self.server, where
        for rest in self.place.glob(f"{name}.db*"):
            rest.unlink()
        return {error.kind for error in host.errors}


@pytest.fixture
def between(dovecot: DovecotAccount, tmp_path: Path) -> Iterator[Between]:
    with dovecot.client() as client, ExitStack() as stack:
        client.create("Lists")
        for number in range(5):
            client.append("INBOX", mail(number, 250), ["\\Seen", "$Label1"] if number % 2 else [])
        client.append("Lists", mail(5, 2_500))
        client.append("Lists", mail(6, 300), ["\\Flagged"])
        relay = stack.enter_context(Relay(dovecot.port))
        yield Between(
            relay=relay,
            account=account_at(relay.port, dovecot.user, dovecot.password, limits=LIMITS),
            server=server_snapshot(client, dovecot.server.separator),
            place=tmp_path,
        )


def lengths(between: Between) -> dict[Way, int]:
    """Return how many octets of each direction an undisturbed session has."""
    assert between.play("whole") == set()
    counts = between.relay.counts
    assert counts.up + counts.down <= OCTETS_MAX
    return {Way.UP: counts.up, Way.DOWN: counts.down}


def cut_everywhere(between: Between, step: int) -> int:
    cuts = 0
    for way, length in lengths(between).items():
        for at in range(0, length, step):
            between.play(f"{way.value}-{at}", Fault.CUT, way, at)
            cuts += between.relay.struck.is_set()
    return cuts


def test_a_session_that_is_cut_at_every_64th_octet_ends_equal_to_the_server(between: Between) -> None:
    assert cut_everywhere(between, 64) >= 100


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_session_that_is_cut_at_every_octet_ends_equal_to_the_server(between: Between) -> None:
    cuts = cut_everywhere(between, 1)
    print(f"\n{cuts} cuts, every one resumed and equal")
    assert cuts >= 6_000


def test_octets_that_come_one_by_one_are_understood_as_well(dovecot: DovecotAccount, between: Between) -> None:
    with Relay(dovecot.port, slice_octets=1) as relay:
        account = account_at(relay.port, dovecot.user, dovecot.password, limits=LIMITS)
        sliced = Between(relay=relay, account=account, server=between.server, place=between.place)
        assert sliced.play("sliced") == set()


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.STALL, ErrorKind.TIMED_OUT),
        (Fault.RESET, ErrorKind.CONNECTION_LOST),
        (Fault.HALF_CLOSE, ErrorKind.CONNECTION_LOST),
    ],
)
def test_a_connection_that_goes_bad_in_the_middle_is_replaced(
    between: Between, fault: Fault, kind: ErrorKind, way: Way
) -> None:
    middle = lengths(between)[way] * 2 // 3
    impatient = replace(LIMITS, command_seconds=0.3, octets_per_second=1_000_000)
    hasty = replace(between, account=replace(between.account, limits=impatient))

    assert kind in hasty.play("bad", fault, way, middle)
    assert between.relay.struck.is_set()
    assert between.relay.counts.connections >= 2
