"""UIDVALIDITY changes: keys, bodies, flags and counts survive, and not one octet of known mail comes again."""

import re
from collections.abc import Callable, Collection

import pytest

from provider import Counts, ErrorKind, FolderPolicy, ItemStatus, Keep, SyncRequest, SyncResult
from provider.testing import RecordingCallback
from store import FolderState, MailStore
from store.mail import Uid

from ..servers.dovecot import DovecotAccount, Profile
from ..servers.fake_answer import Answer
from ..servers.fakeimap import BARE, FULL, NO_CONDSTORE, NO_QRESYNC, FakeImap
from ..servers.plain_client import NewMessage, PlainClient
from .rig import (
    WireTap,
    account_at,
    bodies_asked,
    folder_of,
    keys_of,
    run_to_the_end,
    server_snapshot,
    store_snapshot,
    synchronize,
)
from .truth_mail import plain, pour

SETS = pytest.mark.parametrize(
    "capabilities", [FULL, NO_QRESYNC, NO_CONDSTORE, BARE], ids=["full", "no-qresync", "no-condstore", "bare"]
)
DATES = ("17-Jul-2023 02:44:25 +0000", "01-Feb-1999 23:59:59 -0930", "03-Mar-2026 07:00:00 +1300")


def letters(count: int) -> list[NewMessage]:
    """Messages of which the first four are the same octets at the same time."""
    return [
        NewMessage(
            octets=plain(max(number, 4), octets=3_000),
            flags=(("\\Seen",), ("$Work", "\\Flagged"), ())[number % 3],
            internal_date=DATES[0] if number <= 4 else DATES[number % 3],
        )
        for number in range(1, count + 1)
    ]


def other_ids_above_five(answer: Answer) -> None:
    above = re.compile(rb"\(UID (?:[6-9]|\d\d) ")
    answer.rows[:] = [row.replace(b"EMAILID (M", b"EMAILID (N") if above.search(row) else row for row in answer.rows]


def only_warned(host: RecordingCallback, result: SyncResult, kind: ErrorKind = ErrorKind.UIDVALIDITY_CHANGED) -> None:
    assert [error.kind for error in host.errors] == [kind], [error.text for error in host.errors]
    assert result.ok


@SETS
def test_after_a_renumbering_everything_is_still_here_and_no_body_is_asked_for(
    capabilities: Collection[str], mail_store: MailStore
) -> None:
    with FakeImap(capabilities=capabilities) as fake, WireTap(fake.port) as tap:
        for folder in ("INBOX", "Lists"):
            if folder != "INBOX":
                fake.add_folder(folder)
            fake.append(folder, plain(999), uid=40)
            for one in letters(30):
                fake.append(folder, one.octets, one.flags, one.internal_date)
            fake.expunge(folder, 40)
        account = account_at(tap.port, fake.user, fake.password)
        synchronize(mail_store, account)
        keys, counts = keys_of(mail_store, "INBOX"), folder_of(mail_store, "INBOX").counts
        tap.forget()
        fake.reset_uid_validity("INBOX")

        result, host = run_to_the_end(mail_store, account)

        only_warned(host, result)
        assert bodies_asked(tap.commands()) == {}
        assert result.downloaded == Counts()
        assert keys_of(mail_store, "INBOX") == keys
        assert folder_of(mail_store, "INBOX").counts == counts
        with PlainClient.login(host=fake.host, port=fake.port, user=fake.user, password=fake.password) as client:
            assert store_snapshot(mail_store) == server_snapshot(client, "/")
        synchronize(mail_store, account)


def test_mail_restored_under_other_object_ids_is_matched_by_what_it_is(
    fake_imap: FakeImap, mail_store: MailStore
) -> None:
    for one in letters(20):
        fake_imap.append("INBOX", one.octets, one.flags, one.internal_date)
    with WireTap(fake_imap.port) as tap:
        account = account_at(tap.port, fake_imap.user, fake_imap.password)
        synchronize(mail_store, account)
        keys = keys_of(mail_store, "INBOX")
        fake_imap.reset_uid_validity("INBOX")
        fake_imap.faults.on("UID FETCH", other_ids_above_five)
        tap.forget()
        result, host = run_to_the_end(mail_store, account)
        asked = [command for command in tap.commands() if b"MESSAGE-ID" in command]
    only_warned(host, result)
    assert result.downloaded == Counts()
    assert keys_of(mail_store, "INBOX") == keys
    assert [command.split()[2] for command in asked] == [b"6:20"], "what its id proves is not asked about again"


@pytest.mark.servers
@pytest.mark.parametrize("profile", Profile)
def test_a_folder_recreated_with_its_old_mail_keeps_what_matches_and_brings_the_rest(
    profile: Profile, dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    user = dovecot_profiles(profile)
    mail = letters(40)
    with WireTap(user.port) as tap, user.client() as client:
        account = account_at(tap.port, user.user, user.password)
        client.create("Lists")
        pour(client, "Lists", mail)
        synchronize(mail_store, account)
        keys = keys_of(mail_store, "Lists")
        client.delete("Lists")
        client.create("Lists")
        # Five are gone, three are new, and the order is another one.
        pour(client, "Lists", [NewMessage(octets=plain(number)) for number in (501, 502, 503)])
        pour(client, "Lists", list(reversed(mail[5:])) + mail[:0])
        there = server_snapshot(client, "/")
        tap.forget()

        result, host = run_to_the_end(mail_store, account)
        asked = bodies_asked(tap.commands())

    only_warned(host, result)
    assert store_snapshot(mail_store) == there
    assert asked == {b"Lists": {1, 2, 3}}
    assert keys_of(mail_store, "Lists")[3:] == list(reversed(keys[5:]))
    assert (result.downloaded.new, result.downloaded.bodies, result.downloaded.deleted) == (3, 3, 5)


@pytest.mark.servers
def test_flags_changed_together_with_the_numbers_are_the_servers(
    dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    user = dovecot_profiles(Profile.FULL)
    account = account_at(user.port, user.user, user.password)
    mail = letters(20)
    with user.client() as client:
        client.create("Lists")
        pour(client, "Lists", mail)
        synchronize(mail_store, account)
        client.delete("Lists")
        client.create("Lists")
        pour(
            client,
            "Lists",
            [NewMessage(octets=one.octets, internal_date=one.internal_date, flags=("\\Answered",)) for one in mail],
        )
        there = server_snapshot(client, "/")
    result, host = run_to_the_end(mail_store, account)
    only_warned(host, result)
    assert store_snapshot(mail_store) == there
    assert result.downloaded.bodies == result.downloaded.new == result.downloaded.deleted == 0
    assert result.downloaded.modified == 20


@pytest.mark.servers
def test_a_folder_recreated_with_other_mail_keeps_nothing_of_the_old(
    dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    user = dovecot_profiles(Profile.FULL)
    account = account_at(user.port, user.user, user.password)
    with user.client() as client:
        client.create("Lists")
        pour(client, "Lists", letters(10))
        synchronize(mail_store, account)
        before = keys_of(mail_store, "Lists")
        client.delete("Lists")
        client.create("Lists")
        pour(client, "Lists", [NewMessage(octets=plain(number)) for number in range(700, 710)])
        there = server_snapshot(client, "/")
    result, host = run_to_the_end(mail_store, account)
    only_warned(host, result)
    assert store_snapshot(mail_store) == there
    assert set(keys_of(mail_store, "Lists")).isdisjoint(before)
    assert (result.downloaded.new, result.downloaded.deleted) == (10, 10)


def test_headers_alone_survive_a_renumbering_too(fake_imap: FakeImap, mail_store: MailStore) -> None:
    for one in letters(12):
        fake_imap.append("INBOX", one.octets, one.flags, one.internal_date)
    account = account_at(fake_imap.port, fake_imap.user, fake_imap.password, policy=FolderPolicy(keep=Keep.HEADERS))
    synchronize(mail_store, account)
    before = keys_of(mail_store, "INBOX")
    fake_imap.reset_uid_validity("INBOX")
    result, host = run_to_the_end(mail_store, account)
    only_warned(host, result)
    assert keys_of(mail_store, "INBOX") == before
    assert result.downloaded == Counts()


def test_the_sixth_renumbering_in_a_row_is_not_followed_until_somebody_asks(
    fake_imap: FakeImap, mail_store: MailStore
) -> None:
    for one in letters(6):
        fake_imap.append("INBOX", one.octets, one.flags, one.internal_date)
    account = account_at(fake_imap.port, fake_imap.user, fake_imap.password)
    synchronize(mail_store, account)
    before = keys_of(mail_store, "INBOX")
    for _ in range(5):
        fake_imap.reset_uid_validity("INBOX")
        result, host = run_to_the_end(mail_store, account)
        only_warned(host, result)
    fake_imap.reset_uid_validity("INBOX")

    result, host = run_to_the_end(mail_store, account)

    assert [error.kind for error in host.errors] == [ErrorKind.FOLDER_UNSTABLE]
    assert [item.status for item in result.items if item.folder == "INBOX"] == [ItemStatus.FAILED]
    assert folder_of(mail_store, "INBOX").state is FolderState.UNSTABLE
    assert keys_of(mail_store, "INBOX") == before
    result, host = run_to_the_end(mail_store, account, SyncRequest(full=True))
    only_warned(host, result)
    assert folder_of(mail_store, "INBOX").state is FolderState.ACTIVE
    assert keys_of(mail_store, "INBOX") == before
    with mail_store.read() as view:
        assert view.find_message(folder_of(mail_store, "INBOX").id, Uid(6)) is not None
