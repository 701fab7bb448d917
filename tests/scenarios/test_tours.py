"""Many folders cost a few waits on the network, whatever their number; and a tour changes nothing else."""

from collections.abc import Iterator

import pytest

from provider import Counts, Shortcuts, SyncFlags, SyncRequest
from store import MailStore
from tests.scenarios.flights import Flights
from tests.scenarios.rig import account_at, run_to_the_end, server_snapshot, store_snapshot, synchronize
from tests.servers.fake_answer import Answer, refuse
from tests.servers.fakeimap import BARE, FULL, NO_CONDSTORE, NO_QRESYNC, FakeImap
from tests.servers.plain_client import PlainClient

FOLDERS = 30
MESSAGES = 8


@pytest.fixture
def fake() -> Iterator[FakeImap]:
    with FakeImap() as fake:
        fill(fake)
        yield fake


def fill(fake: FakeImap) -> None:
    for folder in names():
        if folder != "INBOX":
            fake.add_folder(folder)
        for number in range(MESSAGES):
            fake.append(folder, mail(folder, number))


def names() -> list[str]:
    return ["INBOX", *(f"F{number:02}" for number in range(FOLDERS - 1))]


def mail(folder: str, number: int) -> bytes:
    return f"Subject: {number} of {folder}\r\nMessage-ID: <{number}.{folder}@x.example>\r\n\r\nbody\r\n".encode()


def test_a_first_synchronization_waits_as_often_for_thirty_folders_as_for_one(
    fake: FakeImap, flights: Flights, mail_store: MailStore
) -> None:
    account = account_at(fake.port, fake.user, fake.password)
    result, _ = synchronize(mail_store, account)
    assert result.downloaded.bodies == FOLDERS * MESSAGES
    assert flights.take() <= 5
    # One commit shows each folder's first page; all bodies share the rest.
    assert mail_store.commits <= FOLDERS + FOLDERS * MESSAGES / 200 + 6

    synchronize(mail_store, account)
    assert flights.take() <= 3


def test_changes_in_many_folders_are_brought_in_two_tours(
    fake: FakeImap, flights: Flights, mail_store: MailStore
) -> None:
    account = account_at(fake.port, fake.user, fake.password)
    synchronize(mail_store, account)
    flights.take()
    for folder in names()[:20]:
        fake.append(folder, mail(folder, 99))
        fake.set_flags(folder, 2, [b"\\Flagged"])
        fake.expunge(folder, 1)
    before = len(fake.commands)
    result, _ = synchronize(mail_store, account)
    assert flights.take() <= 5
    done = result.downloaded
    assert (done.new, done.modified, done.deleted, done.bodies) == (20, 20, 20, 20)
    opened = {command.arguments[0] for command in fake.commands[before:] if command.name == "EXAMINE"}
    assert opened == {name.encode() for name in names()[:20]}


def test_a_folder_that_is_refused_in_a_tour_costs_only_itself(fake: FakeImap, mail_store: MailStore) -> None:
    fake.faults.on("EXAMINE", refuse(b"F07"))
    result, host = run_to_the_end(mail_store, account_at(fake.port, fake.user, fake.password))
    assert [item.folder for item in result.items if item.error is not None] == ["F07"]
    assert result.downloaded.bodies == (FOLDERS - 1) * MESSAGES
    assert [error.folder for error in host.errors] == ["F07"]


def test_mail_that_came_between_the_listing_and_the_tour_comes_too(fake: FakeImap, mail_store: MailStore) -> None:
    account = account_at(fake.port, fake.user, fake.password)
    synchronize(mail_store, account)
    fake.append("F03", mail("F03", 50))

    def one_more(answer: Answer) -> None:
        fake.append("F03", mail("F03", 51))

    fake.faults.on("EXAMINE", one_more, times=1)
    result, _ = synchronize(mail_store, account)
    assert result.downloaded.bodies + synchronize(mail_store, account)[0].downloaded.bodies == 2


def test_headers_only_needs_a_single_tour(fake: FakeImap, flights: Flights, mail_store: MailStore) -> None:
    request = SyncRequest(flags=SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_GLOBAL_HEADERS)
    result, _ = synchronize(mail_store, account_at(fake.port, fake.user, fake.password), request)
    assert (result.downloaded.new, result.downloaded.bodies) == (FOLDERS * MESSAGES, 0)
    assert flights.take() <= 4
    assert not any(b"BODY.PEEK[]" in command.raw for command in fake.commands)


PLAIN = {
    "list-status": (NO_CONDSTORE, 4, 5),
    "status": (NO_CONDSTORE - {"LIST-STATUS"}, 5, 6),
    # No UNSELECT: the first folder is visited alone, and shows that CLOSE is a border. Two more: CAPABILITY, and a
    # login in two steps.
    "bare": (BARE, 8, 9),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_a_server_without_mod_sequences_is_compared_in_one_tour(
    kind: str, flights: Flights, mail_store: MailStore
) -> None:
    capabilities, quiet, stirred = PLAIN[kind]
    with FakeImap(capabilities=capabilities) as fake:
        fill(fake)
        account = account_at(fake.port, fake.user, fake.password)
        result, _ = synchronize(mail_store, account)
        assert result.downloaded.bodies == FOLDERS * MESSAGES
        assert flights.take() <= stirred
        before = mail_store.commits

        result, _ = synchronize(mail_store, account)
        assert result.downloaded == Counts()
        assert flights.take() <= quiet
        assert mail_store.commits - before <= 5, "what is compared and equal is not written"

        for folder in names()[:20]:
            fake.append(folder, mail(folder, 99))
            fake.set_flags(folder, 2, [b"\\Flagged"])
            fake.expunge(folder, 1)
        fake.expunge("F25", 3, 4)
        fake.commands.clear()
        result, _ = synchronize(mail_store, account)
        done = result.downloaded
        assert (done.new, done.modified, done.deleted, done.bodies) == (20, 20, 22, 20)
        assert flights.take() <= stirred
        assert fake.command_names().count("UID SEARCH") == 21, "asked where something went, and nowhere else"
        with PlainClient.login(host=fake.host, port=fake.port, user=fake.user, password=fake.password) as client:
            assert store_snapshot(mail_store) == server_snapshot(client, "/")


OFF = Shortcuts(tours=False, deltas=False, reuse=False, adaptive=False, quick_lane=False)


@pytest.mark.parametrize("shortcuts", [Shortcuts(), Shortcuts(deltas=False), Shortcuts(tours=False), OFF])
@pytest.mark.parametrize("capabilities", [FULL, NO_QRESYNC, NO_CONDSTORE, BARE])
def test_whatever_is_switched_off_the_store_is_the_same(
    capabilities: frozenset[str], shortcuts: Shortcuts, mail_store: MailStore
) -> None:
    with FakeImap(capabilities=capabilities) as fake:
        for folder in ("INBOX", "Lists", "Sent"):
            if folder != "INBOX":
                fake.add_folder(folder)
            for number in range(120):
                fake.append(folder, mail(folder, number), [b"\\Seen"] if number % 3 else [])
        account = account_at(fake.port, fake.user, fake.password, shortcuts=shortcuts)
        synchronize(mail_store, account)
        for folder in ("INBOX", "Lists"):
            fake.append(folder, mail(folder, 500))
            fake.expunge(folder, 3, *range(20, 90))  # so many that one answer is not enough
            fake.set_flags(folder, 100, [b"\\Flagged", b"$Work"])
        fake.expunge("Sent", 1)
        synchronize(mail_store, account)
        with PlainClient.login(host=fake.host, port=fake.port, user=fake.user, password=fake.password) as client:
            assert store_snapshot(mail_store) == server_snapshot(client, "/")
        result, _ = synchronize(mail_store, account)
        assert result.downloaded == Counts()
