"""How long an answer may take: a total deadline that grows with what comes, and rests while we do not read.

Room: sources/imap. One command has ``command_seconds`` and one second more for each ``octets_per_second`` expected or
announced: octets that dribble in slower than that buy no time.
"""

import time

from ...channel import Channel
from ...limits import Limits

__all__ = ["Pace"]

_CREDIT_OCTETS = 64 * 1024
"""Announced octets are added in steps of this many: asking the system clock for each small row costs too much."""
_AWAY_SECONDS = 0.05


class Pace:
    """The deadline of the command that is due, kept on its channel."""

    def __init__(self, channel: Channel, limits: Limits) -> None:
        self._channel = channel
        self._limits = limits
        self._until = self._left = 0.0
        self._credit = 0

    def start(self, expected_octets: int) -> None:
        """Begin anew: another command is due now."""
        self._left = time.monotonic()
        self._until = self._left + self._limits.command_seconds + expected_octets / self._limits.octets_per_second
        self._credit = 0
        self._arm()

    def announce(self, octets: int) -> None:
        """Give time for a literal that is about to come."""
        self._credit += octets
        if self._credit >= _CREDIT_OCTETS:
            self._until += self._credit / self._limits.octets_per_second
            self._credit = 0
            self._arm()

    def leave(self) -> None:
        """Somebody else has the thread now: the deadline stands still."""
        self._left = time.monotonic()

    def wake(self) -> None:
        """We read again. A slow writer on our side is not a slow server."""
        away = time.monotonic() - self._left
        if away > _AWAY_SECONDS:
            self._until += away
            self._arm()

    def _arm(self) -> None:
        self._channel.deadline(self._until - time.monotonic())
