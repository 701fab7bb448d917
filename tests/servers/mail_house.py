"""A whole mail house for tests: Exim takes mail from users who log in, Dovecot keeps it; by LMTP from one to the other.

Room: tests/servers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from provider import Account, Password, Security, Smtp

from .certs import CertificateShop
from .dovecot import Dovecot, DovecotAccount
from .exim import Exim, with_lmtp

__all__ = ["DOMAIN", "MailHouse", "mail_house"]

DOMAIN = "example.org"
PASSWORD = "pass word"
DELIVERY_SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MailHouse:
    """Both servers, running."""

    dovecot: Dovecot
    exim: Exim

    def add_user(self, user: str) -> DovecotAccount:
        """Add a user with an empty mailbox; their address is `user@example.org`."""
        return self.dovecot.add_user(user, PASSWORD)

    def account(self, user: DovecotAccount, **smtp: object) -> Account:
        """Return *user* as an account that receives in the clear on loopback, and sends under TLS."""
        values: dict[str, object] = {
            "host": "localhost",
            "port": self.exim.tls_port,
            "ca_file": self.exim.certificate_authority,
            "user": user.user,
        }
        return Account(
            id=user.user,  # type: ignore[arg-type]
            host=user.host,
            port=user.port,
            security=Security.NONE,
            user=user.user,
            credentials=Password(user.password),
            smtp=Smtp(**(values | smtp)),  # type: ignore[arg-type]
        )

    def deliver_all(self) -> None:
        """Wait until everything that was accepted has been delivered."""
        deadline = time.monotonic() + DELIVERY_SECONDS_MAX
        while self.exim.waiting():
            if time.monotonic() > deadline:
                raise RuntimeError(f"Exim does not get rid of its mail:\n{self.exim.log()[-3000:]}")
            time.sleep(0.1)


@contextmanager
def mail_house(certs: CertificateShop) -> Iterator[MailHouse]:
    """Start both; they end together."""
    dovecot, port = with_lmtp()
    with (
        dovecot,
        Exim(
            lmtp_port=port, certificate=certs.good(), certificate_authority=certs.authority, password=PASSWORD
        ) as exim,
    ):
        yield MailHouse(dovecot=dovecot, exim=exim)
