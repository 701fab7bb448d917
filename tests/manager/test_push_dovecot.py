"""Push on a real Dovecot: what is delivered arrives, whatever became of the line meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provider import Account, MailStoreProvider, Security
from provider.manager.manager import SyncManager
from provider.manager.pushing.push import Push
from provider.manager.pushing.runs import Pushed
from provider.manager.surroundings.online import LinkState
from provider.sources.imap.watching import ANSWER_SECONDS, RENEW_SECONDS, WatchState
from provider.testing import ManualClock
from store import FolderPath, MailStore, open_store
from store.mail import AccountId
from tests.crash.scenes import mail
from tests.scenarios.rig import account_at, mail_of
from tests.servers.certs import CertificateShop
from tests.servers.dovecot import Dovecot, DovecotAccount
from tests.servers.relay import Relay
from tests.servers.require import require_dovecot

pytestmark = pytest.mark.servers
GUARD_SECONDS = 20.0


class House:
    """A store and a push on its thread; what is waited for is looked at whenever a run ended, or a moment passed."""

    def __init__(self, path: Path, *accounts: Account, **more: object) -> None:
        self.store: MailStore = open_store(path / "mail.db")
        self.provider = MailStoreProvider(self.store, accounts)
        self.ran: list[Pushed] = []
        self._heard = threading.Condition()
        self.push = Push(self.store, self.provider, heard=self._hear, **more)  # type: ignore[arg-type]
        self.push.start()

    def _hear(self, pushed: Pushed) -> None:
        with self._heard:
            self.ran.append(pushed)
            self._heard.notify_all()

    def until(self, what: Callable[[], bool]) -> None:
        with self._heard:
            for _ in range(int(GUARD_SECONDS / 0.05)):
                if what():
                    return
                self._heard.wait(0.05)
        raise AssertionError(f"it never came: watching {self.push.watching}, ran {self.ran}")

    def messages(self, account: str) -> int:
        with self.store.read() as view:
            known = AccountId(account) in view.accounts()
            known = known and view.find_folder(AccountId(account), FolderPath(("INBOX",))) is not None
        return len(mail_of(self.store, "INBOX", AccountId(account))) if known else 0

    def close(self) -> None:
        self.push.stop()
        self.provider.close()
        self.store.close()


@contextmanager
def house(path: Path, *accounts: Account, **more: object) -> Iterator[House]:
    made = House(path, *accounts, **more)
    try:
        yield made
    finally:
        made.close()


def watched(dovecot: DovecotAccount, name: str = "a", port: int | None = None) -> Account:
    return account_at(port or dovecot.port, dovecot.user, dovecot.password, id=AccountId(name))


def test_what_is_delivered_arrives_and_what_was_there_before_too(dovecot: DovecotAccount, tmp_path: Path) -> None:
    with dovecot.client() as client:
        client.append("INBOX", mail(1, 500), [])
        with house(tmp_path, watched(dovecot)) as one:
            one.until(lambda: one.messages("a") == 1)
            assert one.push.watching == (AccountId("a"),)
            for number in (2, 3):
                client.append("INBOX", mail(number, 500), [])
                one.until(lambda number=number: one.messages("a") == number)
            client.select("INBOX")
            client.store("INBOX", "1:*", "FLAGS", ["\\Flagged"])
            one.until(lambda: all("\\Flagged" in m.flags for m in mail_of(one.store, "INBOX", AccountId("a"))))
            assert {ran.folder for ran in one.ran} == {"INBOX"}
        with open_store(tmp_path / "mail.db") as store, store.read() as view:
            assert {run.trigger for run in view.runs(AccountId("a"))} == {"push"}


def test_it_works_below_tls(dovecot: DovecotAccount, certs: CertificateShop, tmp_path: Path) -> None:
    account = account_at(
        dovecot.tls_port,
        dovecot.user,
        dovecot.password,
        id=AccountId("a"),
        host="localhost",
        security=Security.TLS,
        ca_file=dovecot.certificate_authority,
    )
    with dovecot.client() as client, house(tmp_path, account) as one:
        one.until(lambda: bool(one.push.watching))
        client.append("INBOX", mail(1, 500), [])
        one.until(lambda: one.messages("a") == 1)
        for number in range(2, 40):
            client.append("INBOX", mail(number, 500), [])
        one.until(lambda: one.messages("a") == 39)


def test_a_line_that_breaks_is_made_anew_and_what_came_meanwhile_is_there(
    dovecot: DovecotAccount, relay: Callable[..., Relay], tmp_path: Path
) -> None:
    line = relay(dovecot.port)
    with dovecot.client() as client, house(tmp_path, watched(dovecot, port=line.port)) as one:
        one.until(lambda: bool(one.push.watching) and bool(one.ran))
        line.cut()
        one.until(lambda: not one.push.watching)
        client.append("INBOX", mail(1, 500), [])
        one.until(lambda: one.messages("a") == 1 and bool(one.push.watching))


def test_a_server_that_has_one_place_gives_it_to_the_runs(tmp_path: Path) -> None:
    require_dovecot()
    with Dovecot(extra="mail_max_userip_connections = 1\n") as server:
        dovecot = server.add_user("alone")
        with house(tmp_path, watched(dovecot)) as one:
            one.until(lambda: [ran.outcome for ran in one.ran] == ["complete"])
            one.until(lambda: not one.push.watching)
            assert one.push.why_not(AccountId("a"))
            assert one.provider.SynchronizeInBackground().wait(GUARD_SECONDS).ok
            with one.store.read() as view:
                assert view.one_connection(AccountId("a")) == ""


def test_a_renewed_line_goes_on_telling(dovecot: DovecotAccount, tmp_path: Path) -> None:
    clock = ManualClock()
    with dovecot.client() as client, house(tmp_path, watched(dovecot), clock=clock) as one:
        one.until(lambda: bool(one.push.watching) and bool(one.ran))
        watch = one.push._lines[AccountId("a")].line._watch  # type: ignore[attr-defined]
        for number in range(1, 9):
            clock.advance(watch.due - clock.monotonic())
            one.push._wake()
            one.until(lambda: watch.due > clock.monotonic() + ANSWER_SECONDS and watch.state is WatchState.PARKED)
            client.append("INBOX", mail(number, 500), [])
            one.until(lambda number=number: clock.advance(0.1) or one.messages("a") == number)  # type: ignore[func-returns-value]
        assert one.push._lines[AccountId("a")].line._watch is watch  # type: ignore[attr-defined]
        assert clock.monotonic() > RENEW_SECONDS and watch._sent == 1 + 1 + 8


def test_a_manager_watches_when_it_is_told_to_and_ends_with_it(dovecot: DovecotAccount, tmp_path: Path) -> None:
    came = threading.Event()
    with (
        dovecot.client() as client,
        open_store(tmp_path / "mail.db") as store,
        MailStoreProvider(store, [watched(dovecot)]) as provider,
        SyncManager(store, provider, push=True, pushed=lambda _: came.set()) as manager,
    ):
        client.append("INBOX", mail(1, 500), [])
        assert came.wait(GUARD_SECONDS)
        manager.stop()
        assert manager.push is not None and manager.push.watching == ()
        assert SyncManager(store, provider).push is None


def test_offline_no_line_stands_and_online_all_do_again(dovecot: DovecotAccount, tmp_path: Path) -> None:
    account = watched(dovecot)
    with (
        open_store(tmp_path / "mail.db") as store,
        MailStoreProvider(store, [account]) as provider,
        SyncManager(store, provider, push=True) as manager,
    ):
        assert manager.push is not None
        for state, there in (
            (LinkState.OFFLINE, ()),
            (LinkState.ONLINE, (account.id,)),
        ):
            manager.link.set_state(state, wait=GUARD_SECONDS)
            for _ in range(int(GUARD_SECONDS / 0.05)):
                if manager.push.watching == there and bool(manager.push._lines) is bool(there):
                    break
                threading.Event().wait(0.05)
            assert manager.push.watching == there
