"""Counts waits exactly: a *flight* is client octets sent while no command is outstanding.

Room: tests/scenarios. Everything is counted, the login and LOGOUT included; TCP and TLS are not. A relay cannot read
commands and counts each run of client octets behind server octets, which says more where answers and commands overlap;
so the count is taken where the commands are known: at the wire, and before the wire at the channel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from provider.channel import Channel
from provider.sources.imap.commands import Command
from provider.sources.imap.wire import Wire

__all__ = ["Flights", "counting_flights"]


@dataclass
class Flights:
    """How often the program has waited. Not thread-safe: one account at work."""

    count: int = 0
    received: int = 0
    """Octets that came, without TLS."""
    before: Callable[[int], None] | None = None
    """Hears, before a flight begins, how many are over."""

    def take(self) -> int:
        """Return the flights so far and begin at zero, as the octets do."""
        taken, self.count, self.received = self.count, 0, 0
        return taken


@contextmanager
def counting_flights() -> Iterator[Flights]:
    """Count while inside."""
    counted = Flights()
    fill: Callable[..., None] = Wire._fill
    send: Callable[[Channel, bytes], None] = Channel.send
    receive: Callable[..., int | None] = Channel._receive
    behind: list[bool] = []
    """Inside ``_fill``: whether other commands were under way already."""

    def filling(wire: Wire, commands: deque[Command], ahead_octets: int) -> None:
        behind.append(bool(wire._outstanding))
        try:
            fill(wire, commands, ahead_octets)
        finally:
            behind.pop()

    def sending(channel: Channel, octets: bytes) -> None:
        if octets and not any(behind):
            if counted.before is not None:
                counted.before(counted.count)
            counted.count += 1
            if behind:
                behind[-1] = True
        send(channel, octets)

    def receiving(channel: Channel, buffer: object) -> int | None:
        before = channel.received_octets
        told = receive(channel, buffer)
        counted.received += channel.received_octets - before
        return told

    with (
        patch.object(Wire, "_fill", filling),
        patch.object(Channel, "send", sending),
        patch.object(Channel, "_receive", receiving),
    ):
        yield counted
