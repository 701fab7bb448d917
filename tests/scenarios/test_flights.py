"""Waits, octets and commits, exactly: what a run may cost on any line, whatever the machine's speed.

The same on the fake server and on Dovecot; flights are counted with the login and LOGOUT (``flights.py``).
"""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import store.sql.messages
from provider import (
    Counts,
    ErrorKind,
    FolderPolicy,
    Keep,
    MailStoreProvider,
    Shortcuts,
    SyncRequest,
)
from provider.limits import Limits
from provider.testing import ManualClock
from store import BodyState, MailStore
from store.mail import AccountId

from ..servers.fake_answer import Answer, Then
from ..servers.fakeimap import FakeImap
from ..servers.plain_client import NewMessage
from .flights import Flights
from .places import SERVERS, WITHOUT_LIST_STATUS, Place, fill, letters, names
from .rig import HANG_SECONDS, account_at, mail_of, run_to_the_end, synchronize
from .truth_mail import plain

FOLDERS = 200


@SERVERS
def test_two_hundred_folders_in_which_nothing_changed_take_four_flights_and_few_octets(
    place: Place, flights: Flights, mail_store: MailStore
) -> None:
    synchronize(mail_store, place.account)
    flights.take()
    synchronize(mail_store, place.account)
    alone = flights.received
    fill(place, FOLDERS)
    synchronize(mail_store, place.account)
    flights.take()
    result, _ = synchronize(mail_store, place.account)
    assert result.downloaded == Counts()
    octets = flights.received - alone
    assert flights.take() <= 4
    assert octets <= sum(105 + 2 * len(name) for name in names(FOLDERS)[1:]), octets / (FOLDERS - 1)


@WITHOUT_LIST_STATUS
def test_without_list_status_it_takes_one_flight_more(place: Place, flights: Flights, mail_store: MailStore) -> None:
    fill(place, FOLDERS)
    synchronize(mail_store, place.account)
    flights.take()
    result, _ = synchronize(mail_store, place.account)
    assert result.downloaded == Counts()
    assert flights.take() <= 5


@SERVERS
def test_what_changed_in_a_large_inbox_takes_six_flights(place: Place, flights: Flights, mail_store: MailStore) -> None:
    with place.client() as client:
        client.create("Other")
        place.pour(client, "INBOX", letters(1, 3_000))
        synchronize(mail_store, place.account)
        flights.take()
        client.store("INBOX", "1001:1500", "+FLAGS", ["\\Flagged"])
        client.expunge("INBOX", "2001:2050")
        place.pour(client, "INBOX", letters(5_001, 100, octets=9_000))
    with patch.object(store.sql.messages, "uids_of", wraps=store.sql.messages.uids_of) as passes:
        result, _ = synchronize(mail_store, place.account)
    assert passes.call_count == 1, "the rows of a folder that changed are gone through once, those of others never"
    done = result.downloaded
    assert (done.new, done.bodies, done.modified, done.deleted) == (100, 100, 500, 50)
    assert flights.take() <= 6


@SERVERS
def test_fifty_changed_folders_of_two_hundred_take_eight_flights(
    place: Place, flights: Flights, mail_store: MailStore
) -> None:
    fill(place, FOLDERS, 3)
    synchronize(mail_store, place.account)
    flights.take()
    with place.client() as client:
        for at, name in enumerate(names(50)):
            place.pour(client, name, letters(900_000 + at, 1))
            client.store(name, "2", "+FLAGS", ["\\Seen", "\\Answered"])
            client.expunge(name, "1")
    result, _ = synchronize(mail_store, place.account)
    done = result.downloaded
    assert (done.new, done.bodies, done.modified, done.deleted) == (50, 50, 50, 50)
    assert flights.take() <= 8


@SERVERS
def test_beyond_each_folders_first_page_two_hundred_small_messages_share_a_commit(
    place: Place, flights: Flights, mail_store: MailStore
) -> None:
    folders, messages = 5, 700
    fill(place, folders, messages)
    before = mail_store.commits
    result, _ = synchronize(mail_store, place.account)
    assert result.downloaded.bodies == folders * messages
    # The run's begin and end, the tree, each folder's first page; all else is shared.
    assert mail_store.commits - before <= 4 + 2 * folders + folders * messages / 200


@SERVERS
def test_a_renumbered_folder_costs_two_hundred_octets_a_message_and_no_body(
    place: Place, flights: Flights, mail_store: MailStore
) -> None:
    messages = 1_000 if place.fake else 10_000
    mail = [
        NewMessage(octets=plain(number), flags=("\\Seen", "\\Answered") if number % 2 else ("$Work", "\\Flagged"))
        for number in range(messages)
    ]
    with place.client() as client:
        client.create("Lists")
        place.pour(client, "Lists", mail)
        synchronize(mail_store, place.account)
        client.delete("Lists")
        client.create("Lists")
        place.pour(client, "Lists", mail)
        client.store("Lists", "1:100", "FLAGS", ["\\Deleted"])
    flights.take()
    result, host = run_to_the_end(mail_store, place.account)
    assert result.ok and len(host.errors) == 1
    done = result.downloaded
    assert (done.new, done.bodies, done.deleted, done.modified) == (0, 0, 0, 100)
    assert flights.received <= 200 * messages, flights.received / messages


@SERVERS
def test_the_newest_page_of_inbox_can_be_read_after_five_flights_while_the_rest_still_loads(
    place: Place, flights: Flights, mail_store: MailStore
) -> None:
    messages = 1_500
    with place.client() as client:
        client.create("Other")
        place.pour(client, "INBOX", letters(1, messages, octets=20_000 if place.fake is None else 0))
    readable: list[tuple[int, int]] = []

    def look(over: int) -> None:
        with mail_store.read() as view:
            for folder in view.folders():
                newest = view.messages(folder.id, limit=50).messages
                if str(folder.path) == "INBOX" and [int(one.uid) for one in newest] == [
                    *range(messages, messages - 50, -1)
                ]:
                    readable.append((over, sum(one.body is BodyState.FULL for one in newest)))

    flights.before = look
    synchronize(mail_store, place.account)
    first, bodies = readable[0]
    assert first <= 5 and bodies == 0
    assert len(mail_of(mail_store, "INBOX")) == messages
    assert flights.count > first, "and then the rest came"


def test_on_a_slow_line_the_first_page_is_small(mail_store: MailStore) -> None:
    clock = ManualClock()
    with FakeImap() as fake:
        for number in range(100):
            fake.append("INBOX", plain(number))
        fake.faults.on("LIST", lambda answer: clock.advance(4.0))  # some hundred octets in four seconds
        for adaptive, page in ((True, b"91:100"), (False, b"1:100")):
            account = account_at(fake.port, fake.user, fake.password, shortcuts=Shortcuts(adaptive=adaptive))
            fake.commands.clear()
            with MailStoreProvider(
                mail_store, [replace(account, id=AccountId(f"{adaptive}"))], clock=clock
            ) as provider:
                assert provider.SynchronizeInBackground(SyncRequest()).wait(HANG_SECONDS).ok
            fetches = [command for command in fake.commands if command.name == "UID FETCH"]
            assert fetches[0].arguments[0] == page
            assert {command.name for command in fake.commands} >= {"LIST", "UID FETCH", "LOGOUT"}
    with mail_store.read() as view:
        assert [folder.counts.messages for folder in view.folders()] == [100, 100]


def test_a_page_of_rows_that_breaks_the_connection_is_asked_again_in_smaller_ones(mail_store: MailStore) -> None:
    with FakeImap() as fake:
        for number in range(3_000):
            fake.append("INBOX", plain(number))
        asked: list[int] = []

        def too_much(answer: Answer) -> None:
            first, _, last = answer.command.arguments[0].partition(b":")
            if b"BODY" in answer.command.raw:
                return
            asked.append(int(last or first) - int(first) + 1)
            if asked[-1] > 1_200:
                answer.raw, answer.then = b"", Then.CLOSE

        fake.faults.on("UID FETCH", too_much)
        headers = FolderPolicy(keep=Keep.HEADERS)
        account = account_at(
            fake.port, fake.user, fake.password, policy=headers, limits=Limits(reconnect_seconds=0.001)
        )
        result, host = run_to_the_end(mail_store, account)
    assert result.ok and {error.kind for error in host.errors} == {ErrorKind.CONNECTION_LOST}
    assert asked[0] > 1_200 and max(asked[1:]) == 1_000
    assert result.downloaded.new == 3_000
