"""Waits of a session that sends what was changed offline, exactly, login and LOGOUT counted (acceptance line 6).

The same on the fake server and on Dovecot.
"""

from __future__ import annotations

from provider import Counts
from store import MailStore
from store.mail import FolderId, MessageKey

from ..servers.fakeimap import FULL, FakeImap
from .flights import Flights
from .places import SERVERS, Place, fill, letters, names
from .rig import account_at, synchronize

FLAG_CHANGES, FLAG_FOLDERS = 1_000, 10


def keys_in(store: MailStore, path: str) -> tuple[FolderId, list[MessageKey]]:
    with store.read() as view:
        folder = next(one for one in view.folders() if str(one.path) == path)
        return folder.id, [one.key for one in view.messages(folder.id, limit=5_000).messages]


@SERVERS
def test_a_thousand_flag_changes_in_ten_folders_take_eighteen_flights(
    place: Place,
    flights: Flights,
    mail_store: MailStore,
) -> None:
    fill(place, FLAG_FOLDERS, FLAG_CHANGES // FLAG_FOLDERS)
    synchronize(mail_store, place.account)
    with mail_store.edit("read it all") as edit:
        for name in names(FLAG_FOLDERS):
            edit.set_flags(keys_in(mail_store, name)[1], add=["\\Flagged"])
    flights.take()

    result, _ = synchronize(mail_store, place.account)

    assert result.uploaded == Counts(modified=FLAG_CHANGES)
    assert flights.take() <= 18
    with place.client() as client:
        flagged = [one for folder in client.snapshot().values() for one in folder.messages.values()]
    assert sum(b"\\Flagged" in one.flags for one in flagged) == FLAG_CHANGES


@SERVERS
def test_five_hundred_moves_in_one_folder_take_six_flights(
    place: Place,
    flights: Flights,
    mail_store: MailStore,
) -> None:
    with place.client() as client:
        client.create("Other")
        place.pour(client, "INBOX", letters(1, 600))
    synchronize(mail_store, place.account)
    target, _ = keys_in(mail_store, "Other")
    with mail_store.edit("tidy up") as edit:
        edit.move(keys_in(mail_store, "INBOX")[1][:500], target)
    flights.take()

    result, _ = synchronize(mail_store, place.account)

    assert (result.uploaded.new, result.uploaded.deleted) == (500, 500)
    assert flights.take() <= 6
    assert len(keys_in(mail_store, "Other")[1]) == 500


@SERVERS
def test_two_hundred_new_messages_take_eight_flights(
    place: Place,
    flights: Flights,
    mail_store: MailStore,
) -> None:
    synchronize(mail_store, place.account)
    inbox, _ = keys_in(mail_store, "INBOX")
    with mail_store.edit("import") as edit:
        for one in letters(1, 200, octets=5_000):
            edit.append(inbox, one.octets)
    flights.take()

    result, _ = synchronize(mail_store, place.account)

    assert result.uploaded.new == 200
    assert flights.take() <= 8
    with place.client() as client:
        assert sum(len(folder.messages) for folder in client.snapshot().values()) == 200


def test_without_literal_plus_each_new_message_takes_one_flight(flights: Flights, mail_store: MailStore) -> None:
    with FakeImap(capabilities=FULL - {"LITERAL+", "LITERAL-", "MULTIAPPEND"}) as fake:
        account = account_at(fake.port, fake.user, fake.password)
        synchronize(mail_store, account)
        inbox, _ = keys_in(mail_store, "INBOX")
        with mail_store.edit("import") as edit:
            for one in letters(1, 50, octets=5_000):
                edit.append(inbox, one.octets)
        flights.take()

        result, _ = synchronize(mail_store, account)

    assert result.uploaded.new == 50
    assert flights.take() <= 50 + 6
