"""A line to the server with a round trip of 50 ms, and what passed on it.

Room: tests/bench. A *flight* is what the client sent while no command was outstanding: it had to wait for the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..servers.relay import Relay
from .mailserver import Address, Mailbox

__all__ = ["ROUND_TRIP_SECONDS", "Line", "Passed", "line_to"]

ROUND_TRIP_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What one or more connections cost. *up* and *down* in octets."""

    flights: int
    up: int
    down: int
    connections: int


class Line:
    """A relay to one mailbox."""

    def __init__(self, relay: Relay, mailbox: Mailbox) -> None:
        self._relay = relay
        self.address: Address = mailbox.at_port(relay.port)

    @property
    def flights(self) -> int:
        """Flights so far, while connections are open."""
        return self._relay.counts.waits

    def take(self) -> Passed:
        """Return what passed since the last call. All connections must have ended, or be about to."""
        if not self._relay.wait_until_ended():
            raise RuntimeError("a connection over the line is still open")
        counts = self._relay.counts
        self._relay.reset_counts()
        return Passed(flights=counts.waits, up=counts.up, down=counts.down, connections=counts.connections)


@contextmanager
def line_to(mailbox: Mailbox, round_trip_seconds: float = ROUND_TRIP_SECONDS) -> Iterator[Line]:
    """Lay a line to *mailbox*; it ends with the context."""
    with Relay(mailbox.account.port, round_trip_seconds=round_trip_seconds) as relay:
        yield Line(relay, mailbox)
