"""A parked connection's socket: what came is read without waiting, what is to be said is sent as far as it goes.

Room: sources/imap. What is said and what it means is ``watching``'s. One thread owns a line; nothing here blocks.
"""

from contextlib import suppress

from ...channel import Channel
from ...errors import ProviderError
from .watching import Watch

__all__ = ["INBOX", "ImapLine"]

INBOX = b"INBOX"
TURN_OCTETS = 64_000
"""Read in one turn: a server that floods one line leaves the others their turns."""


class ImapLine:
    """See ``parking.ParkedLine``."""

    def __init__(self, channel: Channel, watch: Watch) -> None:
        self._channel = channel
        self._watch = watch
        self.hungry = False

    @property
    def parked(self) -> bool:
        """True once the server tells by itself."""
        return self._watch.parked

    @property
    def due(self) -> float:
        """When a turn is wanted."""
        return self._watch.due

    @property
    def wants_write(self) -> bool:
        """True while something did not go yet."""
        return bool(self._watch.out)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._channel.fileno()

    def turn(self, now: float) -> bool:
        """Read, let time pass, send."""
        changed = self._read(now)
        self._watch.tick(now)
        if self._watch.out:
            del self._watch.out[: self._channel.offer(bytes(self._watch.out))]
        return changed

    def prove(self, now: float) -> None:
        """Leave IDLE with the next turn, and enter it again if there is an answer."""
        self._watch.prove(now)

    def close(self) -> None:
        """Say goodbye if it goes at once, and close."""
        with suppress(ProviderError):  # it is gone already, which may be why it is closed
            self._channel.offer(self._watch.farewell())
        self._channel.close()

    def _read(self, now: float) -> bool:
        """Read what is here, up to ``TURN_OCTETS``: TLS may hold octets of which the socket knows nothing any more."""
        changed, left = False, TURN_OCTETS
        while self._channel.arrived():
            if left <= 0:
                self.hungry = True
                return changed
            octets = self._channel.reader.read1(left)
            left -= len(octets)
            changed = self._watch.heard(octets, now) or changed
        self.hungry = False
        return changed
