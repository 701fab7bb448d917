"""Real XOAUTH2 and OAUTHBEARER: our refreshing supplier between an authorization server and a real Dovecot."""

import random
import threading
from collections.abc import Callable, Iterator

import pytest

from provider import Account, ErrorKind, Login, MailStoreProvider, Security, SyncRequest, SyncResult
from provider.access.oauth import Grant
from provider.access.tokens import OAuthCredentials
from provider.access.web import HttpClient
from provider.testing import MemoryVault
from store import open_store
from store.mail import AccountId
from tests.servers.dovecot import DovecotAccount
from tests.servers.oauth_server import OAuthServer
from tests.servers.plain_client import NewMessage
from tests.servers.relay import Fault, Relay

pytestmark = pytest.mark.servers
MECHANISMS = pytest.mark.parametrize("login", [Login.XOAUTH2, Login.OAUTHBEARER], ids=lambda login: login.value)


class Rig:
    """A user of Dovecot who signed in at the authorization server."""

    def __init__(self, server: OAuthServer, dovecot: DovecotAccount) -> None:
        assert dovecot.server.introspection is not None
        self.server, self.dovecot, self.good = server, dovecot, dovecot.server.introspection.tokens
        server.issued = lambda token, user: self.good.update({token: user})
        self.sign_in = server.sign_in(dovecot.user)
        self.credentials = OAuthCredentials(MemoryVault(), server.client(), HttpClient())
        self.first = "access-token-of-the-sign-in"
        self.good[self.first] = dovecot.user
        grant = Grant(access_token=self.first, refresh_token=self.sign_in.refresh)
        self.credentials.keep(AccountId("work"), grant)

    def sync(self, login: Login, place: object, port: int = 0) -> SyncResult:
        account = Account(
            id=AccountId("work"),
            host="127.0.0.1",
            port=port or self.dovecot.tls_port,
            security=Security.TLS,
            ca_file=self.dovecot.certificate_authority,
            user=self.dovecot.user,
            login=login,
            credentials=self.credentials,
        )
        with open_store(f"{place}/mail.db") as store, MailStoreProvider(store, [account]) as provider:
            return provider.SynchronizeInBackground(SyncRequest()).wait(timeout=30)


@pytest.fixture
def rig(dovecot: DovecotAccount) -> Iterator[Rig]:
    with OAuthServer() as server:
        yield Rig(server, dovecot)


@MECHANISMS
def test_a_good_token_is_taken_and_nobody_is_asked(rig: Rig, login: Login, tmp_path: object) -> None:
    result = rig.sync(login, tmp_path)

    assert (result.status.value, rig.sign_in.refreshed) == ("complete", 0)


@MECHANISMS
def test_a_token_that_expired_or_was_revoked_is_refreshed_once_and_works(
    rig: Rig, login: Login, tmp_path: object
) -> None:
    del rig.good[rig.first]

    first, second = rig.sync(login, tmp_path), rig.sync(login, tmp_path)

    assert (first.status.value, second.status.value) == ("complete", "complete")
    assert rig.sign_in.refreshed == 1


@MECHANISMS
def test_a_sign_in_that_was_taken_back_asks_for_a_person(rig: Rig, login: Login, tmp_path: object) -> None:
    del rig.good[rig.first]
    rig.sign_in.revoked = True

    result = rig.sync(login, tmp_path)

    told = {error.kind for error in result.errors} | {item.error.kind for item in result.items if item.error}
    assert ErrorKind.SIGN_IN_AGAIN in told
    assert rig.sign_in.asked == 1


@pytest.mark.parametrize("refused", [False, True], ids=["refreshed", "refused"])
def test_a_token_that_dies_in_the_middle_costs_one_refresh(
    rig: Rig, tmp_path: object, relay: Callable[..., Relay], refused: bool
) -> None:
    """E53: the line breaks while mail comes, and the token is not good any more for the next one."""
    body = b"From: a@x.example\r\nSubject: large\r\n\r\n" + random.Random(1).randbytes(300_000).hex().encode()
    with rig.dovecot.client() as client:
        client.populate("INBOX", [NewMessage(octets=body), NewMessage(octets=body + b"2")])
    line = relay(rig.dovecot.tls_port, fault=Fault.STALL, at=400_000)

    rig.sign_in.revoked = refused
    dying = threading.Thread(target=lambda: (line.struck.wait(30), rig.good.pop(rig.first), line.cut()))
    dying.start()
    result = rig.sync(Login.XOAUTH2, tmp_path, line.port)
    dying.join(5)

    assert line.struck.is_set()
    if refused:
        told = {error.kind for error in result.errors} | {item.error.kind for item in result.items if item.error}
        assert ErrorKind.SIGN_IN_AGAIN in told
        assert rig.sign_in.asked == 1, "no hammering"
    else:
        assert (result.status.value, rig.sign_in.refreshed) == ("complete", 1)
