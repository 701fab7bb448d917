"""The second run after much has changed: exactly that arrives, with exact counts, and no body comes again."""

from collections.abc import Callable

import pytest

from provider import Counts, SyncProgress
from store import FolderAdded, FolderChanged, FolderRemoved, MailStore, MessageAdded, MessageChanged, MessageRemoved

from ..servers.dovecot import DovecotAccount, Profile
from ..servers.plain_client import NewMessage, PlainClient
from .rig import (
    WireTap,
    account_at,
    bodies_asked,
    keys_of,
    mail_of,
    run_to_the_end,
    server_snapshot,
    store_snapshot,
    synchronize,
)
from .truth_mail import plain, pour

pytestmark = pytest.mark.servers

NEW = {b"INBOX": set(range(401, 461)), b"Lists/a": set(range(301, 341)), b"Fresh &AOQ-": set(range(1, 8))}


def messages(first: int, count: int, flags: tuple[str, ...] = ()) -> list[NewMessage]:
    return [NewMessage(octets=plain(number, octets=1_500), flags=flags) for number in range(first, first + count)]


def populate(client: PlainClient) -> None:
    client.create("Lists/a", "To rename", "To delete", "Quiet")
    pour(client, "INBOX", messages(1, 400))
    pour(client, "Lists/a", messages(1_001, 300, ("\\Seen",)))
    pour(client, "To rename", messages(2_001, 60, ("$Work",)))
    pour(client, "To delete", messages(3_001, 30))
    pour(client, "Quiet", messages(4_001, 50))


def change(client: PlainClient) -> None:
    """100 new, 500 flag changes (200 of `\\Seen` and nothing else), 50 expunged; a folder renamed, deleted, new."""
    client.store("INBOX", "1:100", "+FLAGS", ["\\Seen"])
    client.store("INBOX", "101:200", "+FLAGS", ["\\Flagged"])
    client.store("INBOX", "201:300", "+FLAGS", ["\\Seen", "$Work"])
    client.store("Lists/a", "1:100", "-FLAGS", ["\\Seen"])
    client.store("Lists/a", "101:200", "FLAGS", ["\\Answered"])
    client.expunge("INBOX", "371:400")
    client.expunge("Lists/a", "281:300")
    pour(client, "INBOX", messages(5_001, 60))
    pour(client, "Lists/a", messages(6_001, 40))
    client.connection.close()
    client.rename("To rename", "Lists/renamed")
    client.delete("To delete")
    client.create("Fresh ä")
    pour(client, "Fresh ä", messages(7_001, 7))


@pytest.mark.parametrize("profile", Profile)
def test_exactly_what_changed_arrives_with_exact_counts(
    profile: Profile, dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    user = dovecot_profiles(profile)
    with WireTap(user.port) as tap:
        account = account_at(tap.port, user.user, user.password)
        with user.client() as client:
            populate(client)
        first, _ = synchronize(mail_store, account)
        assert (first.downloaded.new, first.downloaded.folders_new) == (840, 6)
        kept = {path: keys_of(mail_store, path) for path in ("INBOX", "Lists/a", "To rename", "Quiet")}
        with mail_store.read() as view:
            seq = view.cursor_seq()
        with user.client() as client:
            change(client)
            there = server_snapshot(client, "/")
        tap.forget()

        result, host = synchronize(mail_store, account)
        asked = bodies_asked(tap.commands())

    assert store_snapshot(mail_store) == there
    new = [one for name, uids in NEW.items() for uid, one in there[name].messages.items() if uid in uids]
    assert result.downloaded == Counts(
        new=107,
        modified=300,
        read=200,
        deleted=50 + 30,
        bodies=107,
        octets=result.downloaded.octets,
        folders_new=1,
        folders_renamed=1,
        folders_deleted=1,
    )
    assert asked == NEW
    assert result.downloaded.octets < 1.5 * sum(one.size or 0 for one in new)
    assert keys_of(mail_store, "INBOX")[:370] == kept["INBOX"][:370]
    assert keys_of(mail_store, "Lists/a")[:280] == kept["Lists/a"][:280]
    assert keys_of(mail_store, "Lists/renamed") == kept["To rename"]
    assert keys_of(mail_store, "Quiet") == kept["Quiet"]
    by_folder = {item.folder: item.counts for item in result.items}
    assert (by_folder["INBOX"].new, by_folder["INBOX"].modified, by_folder["INBOX"].read) == (60, 200, 100)
    assert (by_folder["Lists/a"].new, by_folder["Lists/a"].modified, by_folder["Lists/a"].read) == (40, 100, 100)
    assert (by_folder["INBOX"].deleted, by_folder["Lists/a"].deleted) == (30, 20)
    assert by_folder["Quiet"] == by_folder["Lists/renamed"] == Counts()
    assert by_folder["Fresh ä"].new == by_folder["Fresh ä"].bodies == 7
    told = [event.status.value for event in host.events if isinstance(event, SyncProgress) and event.status.terminal]
    assert sorted(set(told)) == ["removed", "succeeded"]
    heard = [type(change) for change in mail_store.changes(seq, limit=5_000).changes]
    assert {kind: heard.count(kind) for kind in set(heard) - {FolderChanged}} == {
        MessageAdded: 107,
        MessageChanged: 500,
        MessageRemoved: 80,
        FolderAdded: 1,
        FolderRemoved: 1,
    }


@pytest.mark.parametrize("profile", [Profile.FULL, Profile.BARE])
def test_every_message_of_a_folder_expunged_at_once_is_believed_after_a_second_question(
    profile: Profile, dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    user = dovecot_profiles(profile)
    account = account_at(user.port, user.user, user.password)
    with user.client() as client:
        pour(client, "INBOX", messages(1, 120))
        client.create("Kept")
        pour(client, "Kept", messages(201, 5))
        synchronize(mail_store, account)
        client.expunge("INBOX", "1:120")
    result, host = run_to_the_end(mail_store, account)
    assert host.errors == ()
    assert result.ok
    assert result.downloaded.deleted == 120
    assert mail_of(mail_store, "INBOX") == []
    assert len(mail_of(mail_store, "Kept")) == 5


@pytest.mark.parametrize("profile", Profile)
def test_folders_that_swap_their_names_keep_their_mail(
    profile: Profile, dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    user = dovecot_profiles(profile)
    account = account_at(user.port, user.user, user.password)
    with user.client() as client:
        client.create("One", "Two", "One/below")
        pour(client, "One", messages(1, 5))
        pour(client, "Two", messages(11, 8))
        pour(client, "One/below", messages(21, 3))
        synchronize(mail_store, account)
        one, two, below = (keys_of(mail_store, path) for path in ("One", "Two", "One/below"))
        client.rename("One", "aside")
        client.rename("Two", "One")
        client.rename("aside", "Two")
        there = server_snapshot(client, "/")
    result, _ = synchronize(mail_store, account)
    assert store_snapshot(mail_store) == there
    assert (keys_of(mail_store, "Two"), keys_of(mail_store, "One"), keys_of(mail_store, "Two/below")) == (
        one,
        two,
        below,
    )
    assert result.downloaded == Counts(folders_renamed=3)
