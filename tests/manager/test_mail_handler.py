"""maildock's own handler: items, requests, events, and what others begin."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from provider import MailStoreProvider, Smtp, SyncRequest
from provider.errors import InvalidRequest
from provider.events import ItemStatus, ResultStatus
from provider.handle import SyncHandle
from provider.manager.handlers.book import Kept
from provider.manager.handlers.center import Refused, SyncCenter
from provider.manager.handlers.handler import ItemId
from provider.manager.handlers.registry import HandlerRegistry
from provider.manager.handlers.session import Session
from provider.manager.mail.handler import MailHandler
from provider.manager.mail.items import (
    MAIL,
    MailItems,
    StoreBook,
    account_item,
    folder_item,
    keep_nothing_of,
    outbox_item,
)
from provider.manager.manager import SyncManager
from provider.phases import Phase
from provider.report import Reporter
from provider.request import Trigger
from provider.testing import MemoryServer, MemoryTransport
from provider.turn import AccountOutcome, Turn
from store import AccountId, MailStore, open_store
from tests.contract.playing import DONE, Gate, Play, account

GUARD_SECONDS = 10.0
MAIL_BYTES = b"From: a@example.org\r\nSubject: hi\r\n\r\nx\r\n"


@dataclass
class House:
    store: MailStore
    provider: MailStoreProvider
    center: SyncCenter
    server: MemoryServer

    def names(self) -> dict[str, str]:
        return {one.item.name: one.id for one in self.center.handler(MAIL).items}

    def run(self, *names: str, **named: Any) -> dict[str, str]:
        (session,) = self.center.sync(MAIL, [self.names()[name] for name in names] or None, **named)
        return self.ends(session)

    def ends(self, session: Session) -> dict[str, str]:
        result = session.wait(GUARD_SECONDS)
        self.center.refresh(MAIL)
        names = {id: name for name, id in self.names().items()}
        return {names[one.item]: one.status.value for one in result.items}


@contextmanager
def house(path: Path, *, play: Play | None = None) -> Iterator[House]:
    server = MemoryServer()
    server.add_folder("Archive")
    for folder in ("INBOX", "Archive"):
        server.append(folder, MAIL_BYTES)
    with open_store(path / "mail.db") as store:
        if play is None:
            made = MailStoreProvider(store, [server.account("work")])
        else:
            made = MailStoreProvider(
                store,
                [account("alice"), account("bob")],
                run=play,
                source_of=lambda one: None,  # type: ignore[arg-type,return-value]
            )
        registry = HandlerRegistry(discover=False)
        registry.register(MAIL, lambda: MailHandler(store, made))
        with made, SyncCenter(registry, book=StoreBook(store)) as center:
            yield House(store, made, center, server)


def test_an_account_joins_its_folders_as_they_are_found_and_each_ends_with_a_status(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        assert one.names() == {"work": "account:work"}
        assert one.run() == {"work": "succeeded", "work: Archive": "succeeded", "work: INBOX": "succeeded"}
        view = one.center.handler(MAIL)
        assert view.last_sync is not None and view.info.comment == "1 accounts"
        comments = {item.item.name: item.item.comment for item in view.items}
        assert comments["work: INBOX"] == "1 messages, 1 unread"
        assert one.run("work: INBOX") == {"work: INBOX": "succeeded"}


def test_ids_survive_a_rename_on_the_server(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        one.run()
        before = one.names()
        one.server.rename_folder("Archive", "Old")
        one.run()
        assert one.names()["work: Old"] == before["work: Archive"]


def test_account_ids_that_are_too_long_for_an_item_are_told_apart() -> None:
    long = [account_item(AccountId("x" * 63 + end)) for end in "ab"]
    assert len(set(long)) == 2 and all(len(one) <= 63 for one in long)


def test_a_folder_that_is_switched_off_or_removed_is_not_brought_by_anybody_and_comes_back(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        one.run()
        archive = one.names()["work: Archive"]
        one.center.enable(MAIL, False, archive)
        one.server.append("Archive", MAIL_BYTES)
        one.provider.SynchronizeInBackground().wait(GUARD_SECONDS)
        assert messages(one.store, "Archive") == 1
        with pytest.raises(Refused, match="switched off"):
            one.center.sync(MAIL, [archive])
        one.center.enable(MAIL, True, archive)
        one.provider.SynchronizeInBackground().wait(GUARD_SECONDS)
        assert messages(one.store, "Archive") == 2
        one.center.remove(MAIL, archive)
        assert one.center.handler(MAIL).item(ItemId(archive)).hidden
        one.server.append("Archive", MAIL_BYTES)
        one.run()
        assert messages(one.store, "Archive") == 2
        one.center.restore(MAIL, archive)
        one.run()
        assert messages(one.store, "Archive") == 3


def test_what_people_chose_outlives_the_process(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        one.run()
        one.center.enable(MAIL, False, one.names()["work: Archive"])
    with house(tmp_path) as one:
        one.server.append("Archive", MAIL_BYTES)
        one.center.refresh(MAIL)
        one.provider.SynchronizeInBackground().wait(GUARD_SECONDS)
        assert messages(one.store, "Archive") == 1


def test_a_schedule_leaves_out_an_account_that_is_switched_off(tmp_path: Path) -> None:
    play = Play()
    with house(tmp_path, play=play) as one, SyncManager(one.store, one.provider) as manager:
        one.center.enable(MAIL, False, account_item(AccountId("alice")))
        manager.run_now().wait(GUARD_SECONDS)
        assert play.runs == ["bob"]
        one.center.enable(MAIL, False)
        with pytest.raises(InvalidRequest):
            manager.run_now()


def test_a_schedule_brings_nothing_of_a_folder_that_is_switched_off_with_no_handler_there(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        one.run()
        one.center.enable(MAIL, False, one.names()["work: Archive"])
    with open_store(tmp_path / "mail.db") as store:
        server = one.server
        server.append("Archive", MAIL_BYTES)
        made = MailStoreProvider(store, [server.account("work")])
        with made, SyncManager(store, made) as manager:
            manager.run_now().wait(GUARD_SECONDS)
            assert messages(store, "Archive") == 1
            StoreBook(store).keep(MAIL, ItemId(archive_of(store)), Kept())
            manager.run_now().wait(GUARD_SECONDS)
            assert messages(store, "Archive") == 2
            assert made.accounts[0].policies == ()


def archive_of(store: MailStore) -> str:
    with store.read() as view:
        return next(folder_item(one.id) for one in view.folders() if str(one.path) == "Archive")


def test_nothing_is_started_while_there_is_no_network(tmp_path: Path) -> None:
    online = [False]
    with open_store(tmp_path / "mail.db") as store, MailStoreProvider(store, [MemoryServer().account("work")]) as made:
        registry = HandlerRegistry(discover=False)
        registry.register(MAIL, lambda: MailHandler(store, made, online=lambda: online[0]))
        with SyncCenter(registry) as center:
            with pytest.raises(Refused, match="not connected"):
                center.sync(MAIL)
            assert center.sync() == ()
            online[0] = True
            center.refresh(MAIL)
            assert center.sync(MAIL)[0].wait(GUARD_SECONDS).status is ItemStatus.SUCCEEDED


def test_an_account_that_was_added_meanwhile_can_be_named_at_once(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        one.center.handlers()
        one.provider.add_account(one.server.account("late"))
        (session,) = one.center.sync(MAIL, [account_item(AccountId("late"))])
        assert one.ends(session)["late"] == "succeeded"


def test_what_somebody_else_began_is_a_session_that_can_be_stopped(tmp_path: Path) -> None:
    gate = Gate()
    with house(tmp_path, play=Play(alice=gate)) as one:
        one.center.handlers()
        handle = one.provider.SynchronizeInBackground(SyncRequest(trigger=Trigger.SCHEDULED))
        gate.wait_reached()
        (session,) = until(one.center.sessions)
        assert session.elsewhere and session.trigger is Trigger.SCHEDULED and not session.manual
        one.center.cancel(MAIL, [account_item(AccountId("alice"))])
        assert one.ends(session) == {"alice": "canceled", "bob": "succeeded"}
        assert handle.wait(GUARD_SECONDS).items


def test_a_session_is_not_taken_for_one_that_somebody_else_began(tmp_path: Path) -> None:
    gate = Gate()
    with house(tmp_path, play=Play(alice=gate)) as one:
        (session,) = one.center.sync(MAIL)
        gate.wait_reached()
        threading.Event().wait(0.6)
        assert one.center.sessions() == (session,)
        one.center.cancel()
        assert session.wait(GUARD_SECONDS).status is ItemStatus.CANCELED


def test_accounts_are_synchronized_side_by_side_in_two_sessions(tmp_path: Path) -> None:
    gates = {"alice": Gate(), "bob": Gate()}
    with house(tmp_path, play=Play(**gates)) as one:
        (first,) = one.center.sync(MAIL, [account_item(AccountId("alice"))])
        (second,) = one.center.sync(MAIL, [account_item(AccountId("bob"))])
        for gate in gates.values():
            gate.wait_reached()
        for gate in gates.values():
            gate.open()
        assert one.ends(first) == {"alice": "succeeded"} and one.ends(second) == {"bob": "succeeded"}


def test_the_outbox_is_an_item_of_its_own(tmp_path: Path) -> None:
    server = MemoryServer()
    sender = replace(server.account("work"), smtp=Smtp(host="smtp.example.org"))
    out = MemoryTransport()
    with open_store(tmp_path / "mail.db") as store:
        made = MailStoreProvider(store, [sender], transport_of=lambda one: out)
        registry = HandlerRegistry(discover=False)
        registry.register(MAIL, lambda: MailHandler(store, made))
        with made, SyncCenter(registry, book=StoreBook(store)) as center:
            one = House(store, made, center, server)
            assert set(one.names()) == {"work", "work: outbox"}
            assert one.run("work: outbox") == {"work: outbox": "succeeded"}
            assert one.run()["work: outbox"] == "succeeded"


def messages(store: MailStore, folder: str) -> int:
    with store.read() as view:
        return next(one.counts.listed for one in view.folders() if str(one.path) == folder)


def until(look: Any) -> Any:
    for _ in range(500):
        if found := look():
            return found
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


def test_an_account_that_is_removed_in_the_midst_ends_its_session_and_harms_nobody_else(tmp_path: Path) -> None:
    removed = threading.Event()

    def goes_on(reporter: Reporter, turn: Turn, request: SyncRequest) -> AccountOutcome:
        reporter.item(None).start(Phase.SYNC)
        gate.reached.set()
        assert removed.wait(GUARD_SECONDS)
        reporter.item("INBOX").start(Phase.DOWNLOAD_TABLE)  # nobody knows the folder, and who looks finds no account
        reporter.stop.checkpoint()
        return DONE

    gate = Gate()
    with house(tmp_path, play=Play(alice=goes_on)) as one:
        for begun_here in (True, False):
            gate.reached.clear()
            removed.clear()
            known = len(one.center.sessions(over=True))
            if begun_here:
                one.center.sync(MAIL, [account_item(AccountId("alice"))])
            else:
                one.provider.add_account(account("alice"))
                one.center.refresh(MAIL)
                one.provider.send_and_receive(SyncRequest(accounts=(AccountId("alice"),)))
            gate.wait_reached()
            session = until(lambda known=known: one.center.sessions(over=True)[known:])[0]
            until(lambda: session.items[0].status is ItemStatus.STARTED)  # noqa: B023
            one.provider.remove_account(AccountId("alice"))
            removed.set()
            assert session.wait(GUARD_SECONDS).items[0].status is ItemStatus.CANCELED
        assert one.center.events() == ()
        one.provider.send_and_receive(SyncRequest(accounts=(AccountId("bob"),)))


@pytest.mark.parametrize("gone", [True, False])
def test_an_account_that_is_set_anew_while_people_are_obeyed_keeps_its_new_facts(tmp_path: Path, gone: bool) -> None:
    with house(tmp_path) as one:
        one.run()
        places = MailItems(one.store, one.provider.accounts).places
        work = one.provider.accounts[0]
        off = {ItemId(one.names()["work: Archive"])}

        class Late:
            """Looked at, it is overtaken by somebody who changes the account."""

            @property
            def places(self) -> Any:
                one.provider.remove_account(work.id)
                if not gone:
                    one.provider.add_account(replace(work, user="another"))
                return places

        keep_nothing_of(one.provider, Late(), off)  # type: ignore[arg-type]
        assert [account.user for account in one.provider.accounts] == ([] if gone else ["another"])


def test_a_session_of_which_a_part_cannot_be_begun_stops_the_other_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    with house(tmp_path, play=Play(alice=gate)) as one:
        one.provider.replace_account(replace(account("bob"), smtp=Smtp(host="smtp.example.org")))
        one.center.refresh(MAIL)
        begin, handles = one.provider.SynchronizeInBackground, list[SyncHandle]()

        def goes_just_then(request: SyncRequest) -> Any:
            handles.append(handle := begin(request))
            gate.wait_reached()
            one.provider.remove_account(AccountId("bob"))
            return handle

        monkeypatch.setattr(one.provider, "SynchronizeInBackground", goes_just_then)
        (session,) = one.center.sync(MAIL, [account_item(AccountId("alice")), outbox_item(AccountId("bob"))])
        assert session.wait(GUARD_SECONDS).status is ItemStatus.FAILED
        assert handles[0].wait(GUARD_SECONDS).status is ResultStatus.CANCELED
