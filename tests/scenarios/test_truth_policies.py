"""What a policy or a request leaves out stays out; what is asked for later comes then, and nothing comes twice."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from provider import Account, Counts, ErrorKind, FolderPolicy, Keep, ResultStatus, SyncFlags, SyncRequest
from store import BodyState, MailStore

from ..servers.fakeimap import FakeImap
from ..servers.plain_client import PlainClient
from .rig import (
    WireTap,
    account_at,
    bodies_asked,
    fetch,
    folders_opened,
    keys_of,
    mail_of,
    run_to_the_end,
    server_snapshot,
    store_snapshot,
    synchronize,
)
from .truth_mail import giant, plain

HEADERS, FULL = BodyState.HEADERS, BodyState.FULL
LARGE = 200_000


class Place:
    """A fake server with three folders of ten messages, every fifth large, and a tap before it."""

    def __init__(self, fake: FakeImap, tap: WireTap) -> None:
        self.fake, self.tap = fake, tap
        for at, folder in enumerate(("INBOX", "Lists", "Lists/Grüße")):
            if at:
                fake.add_folder(folder)
            for number in range(1, 11):
                # No two are the same: what is here already would not come again.
                octets = giant(LARGE + at) if number % 5 == 0 else plain(100 * at + number, octets=2_000)
                fake.append(folder, octets, internal_date=self.date(days_ago=10 * number))

    @staticmethod
    def date(*, days_ago: int) -> str:
        return (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%d-%b-%Y %H:%M:%S +0000")

    def account(self, **changes: object) -> Account:
        return account_at(self.tap.port, self.fake.user, self.fake.password, **changes)

    def truth(self, store: MailStore) -> None:
        """Insist that the store has all that the server has."""
        fake = self.fake
        with PlainClient.login(host=fake.host, port=fake.port, user=fake.user, password=fake.password) as client:
            assert store_snapshot(store) == server_snapshot(client, "/")

    def headers_asked(self) -> list[bytes]:
        return [command for command in self.tap.commands() if b"BODY.PEEK[HEADER]" in command]


@pytest.fixture
def place(fake_imap: FakeImap) -> Iterator[Place]:
    with WireTap(fake_imap.port) as tap:
        yield Place(fake_imap, tap)


def states(store: MailStore, folder: str = "INBOX") -> list[BodyState]:
    return [message.body for message in mail_of(store, folder)]


def test_headers_only_asks_for_no_body_and_full_later_asks_for_no_header_again(
    place: Place, mail_store: MailStore
) -> None:
    result, _ = synchronize(mail_store, place.account(policy=FolderPolicy(keep=Keep.HEADERS)))
    assert bodies_asked(place.tap.commands()) == {}
    assert states(mail_store) == [HEADERS] * 10
    assert (result.downloaded.new, result.downloaded.bodies) == (30, 0)
    keys = keys_of(mail_store, "INBOX")
    place.tap.forget()

    result, _ = synchronize(mail_store, place.account())

    assert place.headers_asked() == []
    assert (result.downloaded.new, result.downloaded.bodies) == (0, 30)
    assert keys_of(mail_store, "INBOX") == keys
    place.truth(mail_store)


def test_global_headers_do_the_same_for_one_request(place: Place, mail_store: MailStore) -> None:
    flags = SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_GLOBAL_HEADERS
    result, _ = synchronize(mail_store, place.account(), SyncRequest(flags=flags))
    assert result.downloaded.bodies == 0
    assert states(mail_store, "Lists/Grüße") == [HEADERS] * 10
    place.tap.forget()
    result, _ = synchronize(mail_store, place.account())
    assert result.downloaded.bodies == 30
    assert place.headers_asked() == []
    place.truth(mail_store)


@pytest.mark.parametrize("by", ["policy", "request"])
def test_larger_messages_keep_their_headers_until_the_limit_is_gone(
    by: str, place: Place, mail_store: MailStore
) -> None:
    account, request = place.account(), SyncRequest()
    if by == "policy":
        account = place.account(policy=FolderPolicy(size_octets_max=100_000))
    else:
        request = SyncRequest(size_octets_max=100_000)
    small = [HEADERS if uid % 5 == 0 else FULL for uid in range(1, 11)]
    result, _ = synchronize(mail_store, account, request)
    assert states(mail_store) == states(mail_store, "Lists") == small
    assert (result.downloaded.new, result.downloaded.bodies) == (30, 24)
    assert all(uids.isdisjoint({5, 10}) for uids in bodies_asked(place.tap.commands()).values())
    place.tap.forget()
    again, _ = synchronize(mail_store, account, request)
    assert again.downloaded == Counts()
    place.tap.forget()

    result, _ = synchronize(mail_store, place.account())

    assert bodies_asked(place.tap.commands()) == {
        folder: {5, 10} for folder in (b"INBOX", b"Lists", b"Lists/Gr&APwA3w-e")
    }
    assert result.downloaded.bodies == 6
    place.truth(mail_store)


def test_older_messages_keep_their_headers_until_the_limit_is_gone(place: Place, mail_store: MailStore) -> None:
    result, _ = synchronize(mail_store, place.account(policy=FolderPolicy(age_days_max=35)))
    assert states(mail_store) == [FULL] * 3 + [HEADERS] * 7
    assert result.downloaded.bodies == 9
    result, _ = synchronize(mail_store, place.account())
    assert result.downloaded.bodies == 21
    place.truth(mail_store)


def test_every_folder_may_have_a_policy_of_its_own(place: Place, mail_store: MailStore) -> None:
    policies = (("Lists", FolderPolicy(keep=Keep.NONE)), ("Lists/Grüße", FolderPolicy(keep=Keep.HEADERS)))
    result, _ = synchronize(mail_store, place.account(policies=policies))
    assert states(mail_store) == [FULL] * 10
    assert states(mail_store, "Lists") == []
    assert states(mail_store, "Lists/Grüße") == [HEADERS] * 10
    assert result.downloaded.new == 20
    assert folders_opened(place.tap.commands()) == {b"INBOX", b"Lists/Gr&APwA3w-e"}
    synchronize(mail_store, place.account())
    place.truth(mail_store)


def test_a_narrower_policy_takes_nothing_away(place: Place, mail_store: MailStore) -> None:
    synchronize(mail_store, place.account())
    result, _ = synchronize(mail_store, place.account(policy=FolderPolicy(keep=Keep.HEADERS)))
    assert result.downloaded == Counts()
    place.truth(mail_store)


def test_these_folders_and_nothing_else(place: Place, mail_store: MailStore) -> None:
    these = SyncRequest(flags=SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_THESE_FOLDERS, folders=("Lists/Grüße",))
    result, _ = synchronize(mail_store, place.account(), these)
    assert folders_opened(place.tap.commands()) == {b"Lists/Gr&APwA3w-e"}
    assert states(mail_store, "Lists/Grüße") == [FULL] * 10
    assert states(mail_store) == states(mail_store, "Lists") == []
    assert {item.folder for item in result.items} == {None, "Lists/Grüße"}

    result, host = run_to_the_end(mail_store, place.account(), replace(these, folders=("INBOX", "Nowhere")))

    assert [(error.kind, error.folder) for error in host.errors] == [(ErrorKind.UNKNOWN_ITEM, "Nowhere")]
    assert result.status is ResultStatus.COMPLETE_WITH_ERRORS
    assert states(mail_store) == [FULL] * 10
    synchronize(mail_store, place.account())
    place.truth(mail_store)


def test_fetching_a_message_that_was_left_behind_brings_it_and_nothing_else(
    place: Place, mail_store: MailStore
) -> None:
    account = place.account(policy=FolderPolicy(keep=Keep.HEADERS))
    synchronize(mail_store, account)
    key = mail_of(mail_store, "Lists")[4].key
    place.tap.forget()

    result, host = fetch(mail_store, account, key)

    assert result.ok
    assert host.errors == ()
    assert bodies_asked(place.tap.commands()) == {b"Lists": {5}}
    assert place.headers_asked() == []
    assert result.downloaded.bodies == 1
    assert result.downloaded.octets == LARGE + 1
    with mail_store.read() as view:
        assert view.raw(key) == giant(LARGE + 1)
    assert states(mail_store, "Lists").count(FULL) == 1
    place.tap.forget()
    result, _ = fetch(mail_store, account, key)
    assert (result.ok, result.downloaded, place.tap.commands()) == (True, Counts(), [])


def test_fetching_a_message_that_is_gone_meanwhile_says_so_and_keeps_the_header(
    place: Place, mail_store: MailStore
) -> None:
    account = place.account(policy=FolderPolicy(keep=Keep.HEADERS))
    synchronize(mail_store, account)
    key = mail_of(mail_store, "INBOX")[2].key
    place.fake.expunge("INBOX", 3)
    result, host = fetch(mail_store, account, key)
    assert not result.ok
    assert [(error.kind, error.uid) for error in host.errors] == [(ErrorKind.MESSAGE_MISSING, 3)]
    with mail_store.read() as view:
        assert view.message(key).body is HEADERS
    synchronize(mail_store, account)
    assert key not in keys_of(mail_store, "INBOX")


def test_the_hierarchy_alone_brings_folders_and_opens_none(place: Place, mail_store: MailStore) -> None:
    tree = SyncRequest(flags=SyncFlags.SYNC_DOWNLOAD_HIERARCHY)
    result, _ = synchronize(mail_store, place.account(), tree)
    assert result.downloaded == Counts(folders_new=3)
    place.fake.add_folder("Later")
    place.fake.rename_folder("Lists", "Moved")
    place.tap.forget()
    result, _ = synchronize(mail_store, place.account(), tree)
    assert result.downloaded == Counts(folders_new=1, folders_renamed=2)
    assert folders_opened(place.tap.commands()) == set()
    assert {name: len(folder.messages) for name, folder in store_snapshot(mail_store).items()} == {
        b"INBOX": 0,
        b"Moved": 0,
        b"Moved/Gr&APwA3w-e": 0,
        b"Later": 0,
    }
    synchronize(mail_store, place.account())
    place.truth(mail_store)


def test_contents_alone_leave_the_tree_as_it_is(place: Place, mail_store: MailStore) -> None:
    synchronize(mail_store, place.account())
    place.fake.add_folder("Later")
    place.fake.append("Later", plain(1))
    place.fake.append("INBOX", plain(901))
    result, _ = synchronize(mail_store, place.account(), SyncRequest(flags=SyncFlags.SYNC_DOWNLOAD_CONTENTS))
    assert (result.downloaded.new, result.downloaded.folders_new) == (1, 0)
    assert b"Later" not in store_snapshot(mail_store)
    synchronize(mail_store, place.account())
    place.truth(mail_store)
