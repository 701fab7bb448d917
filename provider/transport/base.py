"""What the sender asks of a transport: open a session, send one message, tell exactly how far it got.

A transport never sees the database and decides nothing about trying again; it tells what happened in terms that leave
no doubt where there is none. Blocking calls, on the thread of whoever sends; ``Watch`` is how they are stopped.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from store.mail.submission import Notify, Reply

from ..cancel import Stop

__all__ = ["Delivery", "Ended", "Outgoing", "Transport", "TransportSession", "Watch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message with its envelope, as it is to go out."""

    sender: str
    recipients: tuple[str, ...]
    """Those that are still to be sent to, at least one."""
    octets: Callable[[], Iterator[bytes]]
    """Gives the message in pieces, CRLF line ends, no Bcc, not dot-stuffed. May be asked for once only.

    Asked for only when the server waits for it. What it raises comes out of ``send``; nothing is delivered then.
    """
    size: int
    """Octets of all the pieces."""
    eight_bit: bool = False
    utf8: bool = False
    notify: frozenset[Notify] = frozenset()
    """What is to be reported; asked where the server knows DSN (RFC 3461)."""
    name: str = ""
    """What a report calls this message (ENVID); printable ASCII."""


class Watch(Protocol):
    """What a transport tells while it sends, and asks."""

    @property
    def stop(self) -> Stop:
        """Set: nothing more may go out, at once; the connection is torn down without flushing."""
        ...

    def sent(self, octets: int) -> None:
        """Take note that so many octets of the message are out. Never goes down within one message."""
        ...

    def about_to_end(self) -> None:
        """Called once, before the octets of the final dot are handed to the socket: journal it durably.

        May raise; then the dot does not go out, the message is not delivered, and what was raised comes out of
        ``send``. NOT_SENT and Cancelled may still follow: when the line had broken, or the stop had come, before an
        octet of it was out.
        """
        ...


class Ended(Enum):
    """How the sending of one message ended."""

    ANSWERED = "answered"
    """The server said, of every recipient, what became of it: nothing is in doubt."""
    NOT_SENT = "not sent"
    """It broke off before the final dot was out: nothing was delivered, whatever was answered for recipients."""
    IN_DOUBT = "in doubt"
    """The final dot may be out and the answer did not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of one message. ``replies`` has an entry for each recipient that the server answered about."""

    ended: Ended
    accepted: frozenset[str] = frozenset()
    """Recipients the server answers for: only with ANSWERED."""
    later: tuple[tuple[str, Reply], ...] = ()
    """Refused for now (4xx), by recipient; also every one when the message as a whole was refused for now. With
    IN_DOUBT: those that were never in doubt; so in ``refused``."""
    refused: tuple[tuple[str, Reply], ...] = ()
    """Refused for good (5xx, or a need that this server does not meet), by recipient."""
    reply: Reply | None = None
    """The server's answer about the message as a whole."""
    reason: str = ""
    """With NOT_SENT and IN_DOUBT: what happened, one sentence for people."""
    broken: bool = False
    """True: the session cannot be used again (421, a cut, a stop)."""


class TransportSession(Protocol):
    """One open, authenticated session. Not thread-safe."""

    def send(self, mail: Outgoing, watch: Watch) -> Delivery:
        """Send one message. Raises Canceled when stopped before the final dot; everything else is in the Delivery."""
        ...

    def close(self) -> None:
        """Say QUIT if that is possible, and let go. Never raises."""
        ...


class Transport(Protocol):
    """The way out of one account."""

    def open(self, stop: Stop) -> TransportSession:
        """Connect, protect, authenticate.

        Raises SourceError or a subclass (LoginRefused, ...): with ``needs`` saying whether later, or a person, helps.
        """
        ...
