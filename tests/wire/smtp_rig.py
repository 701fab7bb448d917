"""What the tests of the way out share: an account at a fake server, a watch that remembers, one message."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from provider.account import Account, CredentialSupplier, Login, Security, Smtp
from provider.cancel import Stop
from provider.limits import Limits
from provider.transport.base import Delivery, Outgoing, TransportSession
from provider.transport.smtp import smtp_transport
from store.mail import AccountId
from tests.servers.doorstep import Supplier

__all__ = ["MESSAGE", "Watching", "letter", "opened", "sender_at", "sent"]

MESSAGE = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: s\r\n\r\none\r\n.two\r\n..\r\n.\r\nthree\r\n"
TO = ("b@example.org", "c@example.org")


class Watching:
    """A `Watch` that remembers; *at_end* and *at_sent* are called when it is told."""

    def __init__(
        self,
        *,
        stop: Stop | None = None,
        at_end: Callable[[], None] = lambda: None,
        at_sent: Callable[[int], None] = lambda octets: None,
    ) -> None:
        self.stop = stop or Stop()
        self.told: list[int] = []
        self.ends = 0
        self._at_end, self._at_sent = at_end, at_sent

    def sent(self, octets: int) -> None:
        self.told.append(octets)
        self._at_sent(octets)

    def about_to_end(self) -> None:
        self.ends += 1
        self._at_end()


def letter(
    octets: bytes | Iterable[bytes] = MESSAGE, *recipients: str, size: int | None = None, **more: object
) -> Outgoing:
    pieces = [octets] if isinstance(octets, bytes) else octets
    if size is None:
        assert isinstance(octets, bytes)
        size = len(octets)
    given: dict[str, object] = {"sender": "a@example.org", "recipients": recipients or TO, **more}
    return Outgoing(octets=lambda: iter(pieces), size=size, **given)  # type: ignore[arg-type]


def sender_at(
    port: int,
    *,
    security: Security = Security.NONE,
    host: str = "127.0.0.1",
    authenticate: bool = True,
    user: str = "somebody",
    login: Login = Login.AUTO,
    credentials: CredentialSupplier | None = None,
    ca_file: Path | None = None,
    limits: Limits | None = None,
    plaintext_host: str | None = None,
) -> Account:
    smtp = Smtp(
        host=host,
        port=port,
        security=security,
        authenticate=authenticate,
        user=user,
        login=login,
        credentials=credentials or Supplier(),
        ca_file=ca_file,
        plaintext_host=plaintext_host,
    )
    return Account(id=AccountId("out"), kind="memory", smtp=smtp, limits=limits or Limits())


@contextmanager
def opened(port: int, *, stop: Stop | None = None, name: str = "", **changes: object) -> Iterator[TransportSession]:
    account = sender_at(port, **changes)  # type: ignore[arg-type]
    with closing(smtp_transport(account, name=name).open(stop or Stop())) as session:
        yield session


def sent(port: int, mail: Outgoing | None = None, watch: Watching | None = None, **changes: object) -> Delivery:
    """Open, send one message, close."""
    with opened(port, **changes) as session:  # type: ignore[arg-type]
        return session.send(mail or letter(), watch or Watching())


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
