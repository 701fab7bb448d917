"""Mail that is here already is not fetched again: moves, copies, labels; and what was assumed wrongly is put right."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from provider import Account, Counts, ErrorKind, FolderPolicy, Keep, Limits, MailStoreProvider, Shortcuts, SyncRequest
from provider.testing import ManualClock, RecordingCallback
from store import MailStore, MessageKey, database

from ..servers.dovecot import DovecotAccount
from ..servers.fake_answer import Answer, Then
from ..servers.fakeimap import FULL, FakeImap
from ..servers.plain_client import NewMessage, PlainClient
from ..servers.pymap_server import PymapServer
from .edge import swap
from .rig import (
    HANG_SECONDS,
    WireTap,
    account_at,
    bodies_asked,
    checked_store,
    fetch,
    folder_of,
    keys_of,
    mail_of,
    run_to_the_end,
    server_snapshot,
    store_snapshot,
    synchronize,
)
from .truth_mail import plain, pour

NO_IDS = FULL - {"OBJECTID"}
GMAIL = NO_IDS | {"X-GM-EXT-1"}
IDS = pytest.mark.parametrize("capabilities", [FULL, NO_IDS, GMAIL], ids=["EMAILID", "fingerprints", "X-GM-MSGID"])
STEPS = pytest.mark.parametrize("tours", [True, False], ids=["tours", "one by one"])


def date(number: int) -> str:
    return f"{number % 27 + 1:02}-Jul-2023 02:{number // 60 % 60:02}:{number % 60:02} +0200"


@dataclass
class Play:
    """A fake server with mail, an account on it, a store."""

    fake: FakeImap
    store: MailStore
    account: Account

    @classmethod
    def on(cls, fake: FakeImap, store: MailStore, *folders: str, **about: object) -> Play:
        for folder in folders:
            fake.add_folder(folder)
        return cls(fake, store, account_at(fake.port, fake.user, fake.password, **about))

    def append(self, folder: str, *numbers: int, octets: int = 0) -> None:
        for number in numbers:
            self.fake.append(folder, plain(number, octets=octets), ["\\Seen"] if number % 2 else [], date(number))

    def move(self, source: str, target: str, *uids: int) -> None:
        for uid in uids:
            message = self.fake.folder(source).messages[uid]
            self.fake.append(target, message.octets, message.flags, message.internal_date)
        self.fake.expunge(source, *uids)

    def copy(self, source: str, target: str) -> None:
        for message in list(self.fake.folder(source).messages.values()):
            self.fake.append(target, message.octets, message.flags, message.internal_date)

    def bodies_fetched(self) -> int:
        """Commands that asked for whole messages since the last look."""
        asked = [command for command in self.fake.commands if b"BODY.PEEK[]" in command.raw]
        self.fake.commands.clear()
        return len(asked)

    def equals_server(self) -> None:
        fake = self.fake
        with PlainClient.login(host=fake.host, port=fake.port, user=fake.user, password=fake.password) as client:
            assert store_snapshot(self.store) == server_snapshot(client, "/")


@pytest.fixture
def fakes() -> Iterator[Callable[..., FakeImap]]:
    started: list[FakeImap] = []

    def start(capabilities: object = FULL) -> FakeImap:
        started.append(FakeImap(capabilities=capabilities).start())  # type: ignore[arg-type]
        return started[-1]

    yield start
    for fake in started:
        fake.stop()


@IDS
@STEPS
@pytest.mark.parametrize("count", [40, 260])
def test_mail_that_moved_keeps_its_keys_and_costs_no_body(
    count: int, tours: bool, capabilities: object, fakes: Callable[..., FakeImap], mail_store: MailStore
) -> None:
    play = Play.on(fakes(capabilities), mail_store, "Archive", "Drafts", shortcuts=Shortcuts(tours=tours))
    play.append("INBOX", *range(1, count + 11))
    play.append("Archive", 900, 901)
    assert synchronize(mail_store, play.account)[0].downloaded.reused == 0
    keys = keys_of(mail_store, "INBOX")
    play.bodies_fetched()
    play.move("INBOX", "Archive", *range(1, count + 1))

    result, _ = synchronize(mail_store, play.account)

    assert play.bodies_fetched() == 0
    play.equals_server()
    done = result.downloaded
    assert (done.new, done.reused, done.bodies, done.deleted) == (count, count, 0, count)
    assert keys_of(mail_store, "Archive")[2:] == keys[:count]
    assert synchronize(mail_store, play.account)[0].downloaded == Counts()


@IDS
def test_a_folder_that_is_visited_before_the_one_its_mail_left_costs_no_body_either(
    capabilities: object, fakes: Callable[..., FakeImap], mail_store: MailStore
) -> None:
    play = Play.on(fakes(capabilities), mail_store, "Archive")
    play.append("Archive", *range(1, 31))
    synchronize(mail_store, play.account)
    play.bodies_fetched()
    play.move("Archive", "INBOX", *range(1, 31))
    result, _ = synchronize(mail_store, play.account)
    assert (play.bodies_fetched(), result.downloaded.reused) == (0, 30)
    play.equals_server()


@IDS
@STEPS
def test_a_copied_folder_costs_no_body(
    tours: bool, capabilities: object, fakes: Callable[..., FakeImap], mail_store: MailStore
) -> None:
    play = Play.on(fakes(capabilities), mail_store, shortcuts=Shortcuts(tours=tours))
    play.append("INBOX", *range(1, 301))
    play.append("INBOX", 500, octets=100_000)
    synchronize(mail_store, play.account)
    play.fake.add_folder("Copy")
    play.copy("INBOX", "Copy")
    play.bodies_fetched()
    result, _ = synchronize(mail_store, play.account)
    assert (play.bodies_fetched(), result.downloaded.reused, result.downloaded.bodies) == (0, 301, 0)
    play.equals_server()


@STEPS
@pytest.mark.parametrize("capabilities", [FULL, GMAIL], ids=["EMAILID", "X-GM-MSGID"])
@pytest.mark.parametrize("count", [30, 250])
def test_E28_the_first_synchronization_fetches_mail_of_many_labels_once(
    count: int, capabilities: object, tours: bool, fakes: Callable[..., FakeImap], mail_store: MailStore
) -> None:
    labels = ("Work", "Later", "All Mail")
    play = Play.on(fakes(capabilities), mail_store, *labels, shortcuts=Shortcuts(tours=tours))
    play.append("INBOX", *range(1, count + 1))
    play.append("INBOX", 1, 1)  # several copies in one folder
    for label in labels:
        play.copy("INBOX", label)
    result, _ = synchronize(mail_store, play.account)
    done = result.downloaded
    assert (done.new, done.bodies, done.reused) == (4 * (count + 2), count, 4 * (count + 2) - count)
    assert folder_of(mail_store, "INBOX").counts.bodies == count + 2
    play.equals_server()
    assert synchronize(mail_store, play.account)[0].downloaded == Counts()


def test_where_the_one_that_was_asked_for_does_not_come_the_others_do(
    fakes: Callable[..., FakeImap], mail_store: MailStore
) -> None:
    play = Play.on(fakes(), mail_store, "Work", "Later")
    play.append("INBOX", 1, 2)
    play.copy("INBOX", "Work")
    play.copy("INBOX", "Later")

    def hides_the_second(answer: Answer) -> None:
        if answer.folder == b"INBOX" and b"BODY.PEEK[]" in answer.command.raw:
            answer.rows[:] = [row for row in answer.rows if not row.startswith(b"* 2 FETCH")]

    play.fake.faults.on("UID FETCH", hides_the_second)
    result, host = run_to_the_end(mail_store, play.account)
    assert {error.kind for error in host.errors} == {ErrorKind.MESSAGE_MISSING}
    assert (result.downloaded.bodies, result.downloaded.reused) == (2, 3)
    assert folder_of(mail_store, "Later").counts.bodies == folder_of(mail_store, "Work").counts.bodies == 2


@STEPS
def test_a_server_that_gives_one_id_to_all_mail_is_not_believed(
    tours: bool, fakes: Callable[..., FakeImap], mail_store: MailStore
) -> None:
    play = Play.on(fakes(), mail_store, "Archive", shortcuts=Shortcuts(tours=tours))
    play.append("INBOX", *range(1, 251))
    play.append("Archive", *range(301, 330))
    play.fake.faults.on("UID FETCH", swap(rb"EMAILID \(M[0-9a-f]+\)", b"EMAILID (Mone)"))
    result, _ = synchronize(mail_store, play.account)
    assert (result.downloaded.bodies, result.downloaded.reused) == (279, 0)
    play.equals_server()


@IDS
def test_switched_off_every_message_comes_by_itself_and_the_store_is_the_same(
    capabilities: object, fakes: Callable[..., FakeImap], mail_store: MailStore
) -> None:
    play = Play.on(fakes(capabilities), mail_store, "Archive", shortcuts=Shortcuts(reuse=False))
    play.append("INBOX", *range(1, 31))
    play.append("Archive", 1, 2)
    assert synchronize(mail_store, play.account)[0].downloaded.bodies == 32
    play.bodies_fetched()
    play.move("INBOX", "Archive", *range(1, 31))
    result, _ = synchronize(mail_store, play.account)
    assert play.bodies_fetched() > 0
    assert (result.downloaded.bodies, result.downloaded.reused) == (30, 0)
    play.equals_server()


def test_a_tour_that_would_need_headers_to_know_mail_again_leaves_that_to_a_visit(
    fakes: Callable[..., FakeImap], mail_store: MailStore
) -> None:
    play = Play.on(fakes(NO_IDS), mail_store, "Archive", limits=Limits(reconnect_seconds=0.001))
    play.append("INBOX", *range(1, 261))
    synchronize(mail_store, play.account)
    play.bodies_fetched()
    play.move("INBOX", "Archive", *range(1, 261))

    def closes_at_headers(answer: Answer) -> None:
        if answer.folder == b"Archive" and b"BODY.PEEK[HEADER]" in answer.command.raw:
            answer.raw, answer.then = b"", Then.CLOSE

    play.fake.faults.on("UID FETCH", closes_at_headers)
    result, _ = run_to_the_end(mail_store, play.account)
    assert not result.ok
    counts = folder_of(mail_store, "Archive").counts
    assert (counts.listed, counts.messages) == (260, 0)
    play.fake.faults.clear()
    assert play.bodies_fetched() == 0
    result, _ = synchronize(mail_store, play.account)
    assert (play.bodies_fetched(), result.downloaded.reused) == (0, 260)
    play.equals_server()


def test_a_policy_that_keeps_headers_takes_no_octets_and_still_keeps_the_key(
    fakes: Callable[..., FakeImap], mail_store: MailStore
) -> None:
    policies = (("Archive", FolderPolicy(keep=Keep.HEADERS)),)
    play = Play.on(fakes(), mail_store, "Archive", policies=policies)
    play.append("INBOX", *range(1, 301))
    synchronize(mail_store, play.account)
    keys = keys_of(mail_store, "INBOX")
    play.move("INBOX", "Archive", *range(1, 301))
    result, _ = synchronize(mail_store, play.account)
    assert (result.downloaded.bodies, result.downloaded.reused) == (0, 0)
    assert folder_of(mail_store, "Archive").counts.bodies == 0
    assert keys_of(mail_store, "Archive") == keys


def test_a_message_that_is_asked_for_by_itself_is_taken_from_where_it_is(
    fakes: Callable[..., FakeImap], mail_store: MailStore
) -> None:
    policies = (("Archive", FolderPolicy(keep=Keep.HEADERS)),)
    play = Play.on(fakes(), mail_store, "Archive", policies=policies)
    play.append("INBOX", 1)
    play.append("Archive", 1)
    synchronize(mail_store, play.account)
    (key,) = keys_of(mail_store, "Archive")
    play.bodies_fetched()
    result, _ = fetch(mail_store, play.account, MessageKey(key))
    assert (play.bodies_fetched(), result.downloaded.reused) == (0, 1)
    assert folder_of(mail_store, "Archive").counts.bodies == 1


@pytest.mark.parametrize("tours", [True, False], ids=["tours", "one by one"])
def test_a_first_synchronization_of_mail_without_copies_writes_not_one_statement_more(
    tours: bool, fakes: Callable[..., FakeImap], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: Counter[str] = Counter()

    class Counting(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            if not sql.startswith(
                "UPDATE runs SET phase"
            ):  # where a run is: as often as its phases and its commits happen to meet
                told[sql.split(" ")[0]] += 1
            return super().execute(sql, parameters)

        def executemany(self, sql: str, rows: Any, /) -> sqlite3.Cursor:
            rows = list(rows)
            told[f"rows of {sql.split(' ')[0]}"] += len(rows)
            return super().executemany(sql, rows)

    fake = fakes(NO_IDS)
    for at, folder in enumerate(("INBOX", "Lists", "Archive")):
        if at:
            fake.add_folder(folder)
        for number in range(1, 301):
            fake.append(folder, plain(1_000 * at + number), (), date(at * 300 + number))
    monkeypatch.setattr(database, "CONNECTION_CLASS", Counting)
    costs = []
    for reuse in (False, True):
        account = account_at(fake.port, fake.user, fake.password, shortcuts=Shortcuts(reuse=reuse, tours=tours))
        with checked_store(tmp_path / f"{reuse}.db") as store:
            told.clear()
            result, _ = synchronize(store, account)
            assert result.downloaded.bodies == 900
            costs.append(Counter(told))
    plainly, sharing = costs
    looks = sharing.pop("SELECT") - plainly.pop("SELECT")
    for ends_of_reads in ("ROLLBACK", "PRAGMA", "BEGIN"):
        plainly.pop(ends_of_reads, None)
        sharing.pop(ends_of_reads, None)
    assert sharing == plainly
    assert looks <= 900 * 1.5


# -- assumed, and compared ----------------------------------------------------------------------------


def liar(fakes: Callable[..., FakeImap], store: MailStore) -> Play:
    """Two messages of equal header, date and size, with different bodies, in two folders; one of them is here."""
    play = Play.on(fakes(NO_IDS), store, "Archive", "Later")
    play.append("INBOX", 1, 2)
    synchronize(store, play.account)
    octets = plain(1)
    play.fake.append("Archive", octets[:-9] + b"Xx" + octets[-7:], [], date(1))
    play.append("Archive", 2)
    return play


def a_week_later(play: Play) -> RecordingCallback:
    host = RecordingCallback()
    clock = ManualClock(datetime.now(UTC) + timedelta(days=8))
    with MailStoreProvider(play.store, [play.account], clock=clock) as provider:
        provider.SynchronizeInBackground(SyncRequest(callback=host)).wait(HANG_SECONDS)
        assert host.wait_done(HANG_SECONDS)
    host.grammar()
    return host


@pytest.mark.parametrize("request_", [SyncRequest(), SyncRequest(full=True)], ids=["in its time", "asked for"])
def test_two_messages_that_look_the_same_are_told_apart_by_the_full_proof(
    request_: SyncRequest, fakes: Callable[..., FakeImap], mail_store: MailStore
) -> None:
    play = liar(fakes, mail_store)
    result, _ = synchronize(mail_store, play.account)
    assert (result.downloaded.reused, result.downloaded.bodies) == (2, 0)
    with pytest.raises(AssertionError):
        play.equals_server()

    if request_.full:
        result, host = run_to_the_end(mail_store, play.account, request_)
        assert result.downloaded.bodies == 1
    else:
        host = a_week_later(play)

    assert [error.kind for error in host.errors] == [ErrorKind.MESSAGE_MISTAKEN]
    play.equals_server()
    with mail_store.read() as view:
        assert view.assumed(folder_of(mail_store, "Archive").id) == []
    # What is ambiguous now is fetched, and what was proven is believed.
    play.copy("Archive", "Later")
    result, _ = synchronize(mail_store, play.account)
    assert (result.downloaded.reused, result.downloaded.bodies) == (1, 1)
    play.equals_server()


def test_after_a_mistake_fingerprints_are_not_used_in_that_run(
    fakes: Callable[..., FakeImap], mail_store: MailStore
) -> None:
    play = liar(fakes, mail_store)
    synchronize(mail_store, play.account)
    play.append("Later", 2)
    result, host = run_to_the_end(mail_store, replace_tours(play.account), SyncRequest(full=True))
    assert {error.kind for error in host.errors} == {ErrorKind.MESSAGE_MISTAKEN}
    assert (result.downloaded.bodies, result.downloaded.reused) == (2, 0)
    play.equals_server()


def replace_tours(account: Account) -> Account:
    return replace(account, shortcuts=replace(account.shortcuts, tours=False))


def test_what_is_compared_in_one_visit_is_bounded_and_the_rest_comes_next_time(
    fakes: Callable[..., FakeImap], mail_store: MailStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play.on(fakes(NO_IDS), mail_store)
    play.append("INBOX", *range(1, 31))
    synchronize(mail_store, play.account)
    play.fake.add_folder("Copy")
    play.copy("INBOX", "Copy")
    synchronize(mail_store, play.account)
    left = []
    monkeypatch.setattr("provider.engine.sharing.COMPARED_MESSAGES", 20)
    for _ in range(2):
        synchronize(mail_store, play.account, SyncRequest(full=True))
        with mail_store.read() as view:
            left.append(len(view.assumed(folder_of(mail_store, "Copy").id)))
    assert left == [10, 0]


# -- real servers -------------------------------------------------------------------------------------

MOVED = 1_000


@pytest.mark.servers
def test_a_thousand_messages_moved_on_pymap_cost_no_body_and_keep_their_keys(
    pymap_server: PymapServer, mail_store: MailStore
) -> None:
    with WireTap(pymap_server.port) as tap, pymap_server.client() as client:
        client.create("Archive")
        pour(client, "INBOX", [NewMessage(octets=plain(number), internal_date=date(number)) for number in range(MOVED)])
        thousand_move(tap, client, mail_store, account_at(tap.port, pymap_server.user, pymap_server.password))
    with mail_store.read() as view:
        assert view.assumed(folder_of(mail_store, "Archive").id) == []


@pytest.mark.servers
@pytest.mark.parametrize("how", ["MOVE", "COPY"])
def test_a_thousand_messages_moved_on_dovecot_cost_no_body_and_keep_their_keys(
    how: str, dovecot: DovecotAccount, mail_store: MailStore
) -> None:
    with WireTap(dovecot.port) as tap, dovecot.client() as client:
        client.create("Archive")
        pour(client, "INBOX", [NewMessage(octets=plain(number), internal_date=date(number)) for number in range(MOVED)])
        account = account_at(tap.port, dovecot.user, dovecot.password)
        thousand_move(tap, client, mail_store, account, copied=how == "COPY")
        with mail_store.read() as view:
            assert len(view.assumed(folder_of(mail_store, "Archive").id, MOVED)) == MOVED
        synchronize(mail_store, account, SyncRequest(full=True))
        with mail_store.read() as view:
            assert len(view.assumed(folder_of(mail_store, "Archive").id, MOVED)) == MOVED - 200


def thousand_move(
    tap: WireTap, client: PlainClient, store: MailStore, account: Account, *, copied: bool = False
) -> None:
    synchronize(store, account)
    keys = keys_of(store, "INBOX")
    tap.forget()
    if copied:
        client.copy("INBOX", "1:*", "Archive")
        client.store("INBOX", "1:*", "+FLAGS", ["\\Deleted"])
        client.expunge("INBOX", "1:*")
    else:
        client.move("INBOX", "1:*", "Archive")
    result, _ = synchronize(store, account)
    assert bodies_asked(tap.commands()) == {}
    done = result.downloaded
    assert (done.new, done.reused, done.bodies, done.deleted) == (MOVED, MOVED, 0, MOVED)
    assert store_snapshot(store) == server_snapshot(client, "/")
    assert keys_of(store, "Archive") == keys
    assert mail_of(store, "INBOX") == []
