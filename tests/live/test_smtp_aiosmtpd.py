"""A second opinion on what goes out: aiosmtpd, written by others, under STARTTLS and implicit TLS, with a login."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from provider.account import Login, Security
from provider.errors import LoginRefused
from tests.servers.certs import CertificateShop
from tests.servers.doorstep import SECRET, Supplier
from tests.wire.smtp_rig import MESSAGE, TO, letter, sent

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")  # it does not see that implicit TLS is TLS

LARGE = b"Subject: s\r\n\r\n" + b"".join(b".%06d" % number + b"x" * 60 + b"\r\n" for number in range(20_000))


class Keeper:
    """Keeps what it is given, and refuses one recipient."""

    def __init__(self) -> None:
        self.kept: list[tuple[str | None, list[str], bytes]] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.kept.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 2.0.0 kept"


def knows(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"somebody", SECRET.encode())
    return AuthResult(success=good, handled=False)


@contextmanager
def serving(keeper: Keeper, context: ssl.SSLContext, security: Security) -> Iterator[int]:
    """Serve on a loop of its own thread; aiosmtpd's own controller wants to know its port before."""
    implicit = security is Security.TLS
    loop = asyncio.new_event_loop()

    def make() -> SMTP:
        return SMTP(
            keeper,
            tls_context=None if implicit else context,
            require_starttls=not implicit,
            auth_required=True,
            auth_require_tls=not implicit,
            authenticator=knows,
            data_size_limit=40_000_000,
            enable_SMTPUTF8=True,
            hostname="mail.example.org",
            loop=loop,
        )

    server = loop.run_until_complete(loop.create_server(make, "127.0.0.1", 0, ssl=context if implicit else None))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS], ids=lambda security: security.value)
@pytest.mark.parametrize("octets", [MESSAGE, LARGE], ids=["small", "large"])
def test_a_message_is_kept_as_it_was_sent(octets: bytes, security: Security, certs: CertificateShop) -> None:
    keeper = Keeper()
    with serving(keeper, certs.good().server_context(), security) as port:
        delivery = sent(
            port,
            letter(octets, *TO, "nobody@example.org"),
            host="localhost",
            security=security,
            ca_file=certs.authority,
        )
    assert delivery.accepted == set(TO)
    assert [(one, reply.code, reply.enhanced) for one, reply in delivery.refused] == [
        ("nobody@example.org", 550, "5.1.1")
    ]
    assert keeper.kept == [("a@example.org", list(TO), octets)]


@pytest.mark.parametrize("login", [Login.PLAIN, Login.LOGIN], ids=lambda login: login.value)
def test_a_wrong_password_is_refused(login: Login, certs: CertificateShop) -> None:
    supplier = Supplier("wrong")
    with serving(Keeper(), certs.good().server_context(), Security.TLS) as port, pytest.raises(LoginRefused):
        sent(
            port,
            host="localhost",
            security=Security.TLS,
            ca_file=certs.authority,
            login=login,
            credentials=supplier,
        )
    assert supplier.asked == [False, True]
