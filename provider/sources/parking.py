"""Connections on which a server tells by itself that something changed. The optional half of ``sources.base``.

A run asks; a parked line listens. It belongs to one thread, which may own any number of them: nothing on a line blocks,
so each is given a turn when its socket can be read or written, when it is *due*, and while it is *hungry*.
"""

from typing import Protocol, runtime_checkable

from ..cancel import Stop
from .base import Listener

__all__ = ["ParkedLine", "WatchableSource"]


class ParkedLine(Protocol):
    """One connection that watches one folder."""

    @property
    def parked(self) -> bool:
        """True from the moment on at which the server tells by itself."""
        ...

    @property
    def due(self) -> float:
        """Monotonic seconds at which it needs a turn, whatever comes until then."""
        ...

    @property
    def hungry(self) -> bool:
        """True: more came than one turn takes; it needs another one without waiting for the socket."""
        ...

    @property
    def wants_write(self) -> bool:
        """True: it has something to send that did not go yet."""
        ...

    def fileno(self) -> int:
        """Return the socket's descriptor, the same for life."""
        ...

    def turn(self, now: float) -> bool:
        """Take what came, send what is to be sent, and return whether something in the folder changed.

        Raises what ended the line: CommandRefused or FolderUnusable where this server will not watch this folder;
        ServerBusy and its kind where it wants to be left alone; TimedOut, ConnectionLost, ProtocolBroken,
        LimitExceeded where another connection may do; Cancelled.
        """
        ...

    def prove(self, now: float) -> None:
        """Ask with the next turn whether anybody is there: the machine slept, or its network is another one."""
        ...

    def close(self) -> None:
        """Say goodbye without waiting for an answer, and close. Never raises, never blocks."""
        ...


@runtime_checkable
class WatchableSource(Protocol):
    """A source whose server may tell by itself. Optional: the others are asked now and then."""

    def park(self, stop: Stop, listener: Listener, now: float) -> ParkedLine:
        """Connect, log in, and return a line that is about to watch the account's inbox. Blocks, as ``connect`` does.

        *now*: monotonic seconds of the clock that will give it turns. *stop* ends the line, from any thread.
        Raises as ``Source.connect``, and CommandRefused where the server says at once that it never tells.
        """
        ...
