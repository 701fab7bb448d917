"""A way out that ends in memory: what a program sends, without a server."""

import threading
from dataclasses import dataclass

from store.mail.submission import Reply

from ..account import Account
from ..cancel import Stop
from ..transport.base import Delivery, Ended, Outgoing, TransportSession, Watch

__all__ = ["MemoryTransport", "SentMail"]

OK = Reply(code=250, enhanced="2.0.0", text="kept in memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMail:
    """One message that went out."""

    sender: str
    recipients: tuple[str, ...]
    octets: bytes


class MemoryTransport:
    """Keeps what is sent: ``MailStoreProvider(..., transport_of=transport)``. Thread-safe.

    *refuse*: recipients that are refused for good. *later*: those that are refused for now. Both may be changed.
    """

    def __init__(self, *, refuse: frozenset[str] = frozenset(), later: frozenset[str] = frozenset()) -> None:
        self.refuse, self.later = refuse, later
        self._lock = threading.Lock()
        self._sent: list[SentMail] = []

    def __call__(self, account: Account, /) -> "MemoryTransport":
        """Be the way out of *account*, whichever that is."""
        return self

    @property
    def sent(self) -> tuple[SentMail, ...]:
        """What went out, in order."""
        with self._lock:
            return tuple(self._sent)

    def open(self, stop: Stop) -> TransportSession:
        """Open a session; it always opens."""
        stop.checkpoint()
        return _Session(self)


class _Session:
    def __init__(self, transport: MemoryTransport) -> None:
        self._transport = transport

    def send(self, mail: Outgoing, watch: Watch) -> Delivery:
        refused = tuple(
            (one, Reply(code=550, enhanced="5.1.1")) for one in mail.recipients if one in self._transport.refuse
        )
        later = tuple(
            (one, Reply(code=450, enhanced="4.2.0")) for one in mail.recipients if one in self._transport.later
        )
        left = {one for one, _ in (*refused, *later)}
        taken = tuple(one for one in mail.recipients if one not in left)
        if not taken:
            return Delivery(ended=Ended.ANSWERED, later=later, refused=refused)
        octets = bytearray()
        for piece in mail.octets():
            watch.stop.checkpoint()
            octets += piece
            watch.sent(len(octets))
        watch.about_to_end()
        with self._transport._lock:
            self._transport._sent.append(SentMail(sender=mail.sender, recipients=taken, octets=bytes(octets)))
        return Delivery(ended=Ended.ANSWERED, accepted=frozenset(taken), later=later, refused=refused, reply=OK)

    def close(self) -> None:
        """There is nothing to let go of."""
