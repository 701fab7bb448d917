"""A run that was cancelled or cut goes on where it was: nothing lost, nothing doubled, nothing downloaded twice."""

from collections.abc import Callable

import pytest

from provider import (
    Account,
    CancelRequest,
    ErrorKind,
    FolderPolicy,
    ItemStatus,
    Keep,
    Phase,
    ResultStatus,
    SyncProgress,
)
from store import BodyState, MailStore
from store.mail import Uid

from ..servers.dovecot import DovecotAccount, Profile
from ..servers.plain_client import NewMessage, PlainClient
from ..servers.relay import Fault, Way
from .rig import (
    WireTap,
    account_at,
    bodies_asked,
    mail_of,
    run_to_the_end,
    server_snapshot,
    store_snapshot,
    synchronize,
)
from .truth_mail import giant, plain, pour

pytestmark = pytest.mark.servers

COUNT = 120
OCTETS = 120_000
"""Large enough that bodies go in groups."""
SILENT_AT = 9_000_000
"""In the bodies of INBOX, behind the first group: from here on the server says nothing on that connection."""


def populate(client: PlainClient) -> None:
    client.create("Lists")
    for folder, first in (("INBOX", 1), ("Lists", 1_001)):
        pour(client, folder, [NewMessage(octets=plain(first + at, octets=OCTETS)) for at in range(COUNT)])


def whole(store: MailStore, folder: str) -> set[Uid]:
    return {message.uid for message in mail_of(store, folder) if message.body is BodyState.FULL}


def in_the_silence(tap: WireTap, what: CancelRequest) -> Callable[[SyncProgress], CancelRequest | None]:
    """Return a callback that cancels INBOX or all, when *tap* has fallen silent and some of INBOX is committed."""

    def answer(progress: SyncProgress) -> CancelRequest | None:
        here = progress.folder == "INBOX" and progress.phase is Phase.DOWNLOAD_BODIES
        return what if here and tap.struck.is_set() and progress.messages_done else None

    return answer


def complete(store: MailStore, account: Account, tap: WireTap, user: DovecotAccount) -> dict[bytes, set[int]]:
    """Synchronize to the end, compare with the server, and return which bodies were asked for in this run."""
    tap.forget()
    synchronize(store, account)
    asked = bodies_asked(tap.commands())
    with user.client() as client:
        assert store_snapshot(store) == server_snapshot(client, "/")
    return asked


@pytest.mark.parametrize("profile", [Profile.FULL, Profile.BARE])
def test_after_a_cancel_only_what_is_missing_comes(
    profile: Profile, dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    user = dovecot_profiles(profile)
    with user.client() as client:
        populate(client)
    with WireTap(user.port, fault=Fault.STALL, at=SILENT_AT) as tap:
        account = account_at(tap.port, user.user, user.password)

        result, host = run_to_the_end(mail_store, account, answer=in_the_silence(tap, CancelRequest.ALL))

        assert result.status is ResultStatus.CANCELED
        assert host.errors == ()
        kept = whole(mail_store, "INBOX")
        assert 0 < len(kept) < COUNT
        assert result.downloaded.bodies == len(kept)
        missing = set(range(1, COUNT + 1)) - kept
        assert max(missing) - len(missing) < 20, "the newest come first, but for the order within one answer"
        asked = complete(mail_store, account, tap, user)

    assert asked == {b"INBOX": set(range(1, COUNT + 1)) - kept, b"Lists": set(range(1, COUNT + 1))}


def test_cancelling_one_folder_leaves_the_others_alone(
    dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    user = dovecot_profiles(Profile.FULL)
    with user.client() as client:
        populate(client)
    with WireTap(user.port, fault=Fault.STALL, at=SILENT_AT) as tap:
        account = account_at(tap.port, user.user, user.password)

        result, _ = run_to_the_end(mail_store, account, answer=in_the_silence(tap, CancelRequest.ITEM))

        status = {item.folder: item.status for item in result.items}
        assert (status["INBOX"], status["Lists"]) == (ItemStatus.CANCELED, ItemStatus.SUCCEEDED)
        assert len(whole(mail_store, "Lists")) == COUNT
        kept = whole(mail_store, "INBOX")
        assert 0 < len(kept) < COUNT
        asked = complete(mail_store, account, tap, user)
    assert asked == {b"INBOX": set(range(1, COUNT + 1)) - kept}


@pytest.mark.parametrize("share", [0.02, 0.3, 0.55, 0.9])
def test_a_connection_cut_in_the_middle_costs_a_new_one_and_the_batch_in_flight(
    share: float, dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    user = dovecot_profiles(Profile.FULL)
    with user.client() as client:
        populate(client)
        there = server_snapshot(client, "/")
    total = 2 * COUNT * OCTETS
    with WireTap(user.port, fault=Fault.CUT, way=Way.DOWN, at=int(share * total)) as tap:
        account = account_at(tap.port, user.user, user.password)

        result, host = run_to_the_end(mail_store, account)

        assert tap.struck.is_set()
        assert tap.counts.connections == 2
        down = tap.counts.down
    assert result.ok, [error.text for error in host.errors]
    assert [error.kind for error in host.errors] == [ErrorKind.CONNECTION_LOST]
    assert store_snapshot(mail_store) == there
    assert result.downloaded.bodies == result.downloaded.new == 2 * COUNT
    assert down < total + 2 * 8_000_000, "more than the group in flight came twice"


def test_cancelling_one_folder_of_a_fetch_leaves_the_other_alone(
    dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    user = dovecot_profiles(Profile.FULL)
    with user.client() as client:
        client.create("Lists")
        for folder in ("INBOX", "Lists"):
            pour(client, folder, [NewMessage(octets=giant(1_000_000))])
    with WireTap(user.port) as tap:
        account = account_at(tap.port, user.user, user.password, policy=FolderPolicy(keep=Keep.HEADERS))
        synchronize(mail_store, account)
        keys = [mail_of(mail_store, folder)[0].key for folder in ("INBOX", "Lists")]
        tap.forget()
        tap.arm(Fault.STALL, at=500_000)

        def answer(progress: SyncProgress) -> CancelRequest | None:
            return CancelRequest.ITEM if progress.folder == "INBOX" and tap.struck.is_set() else None

        result, _ = run_to_the_end(mail_store, account, keys=(keys[0], keys[1]), answer=answer)
    status = {item.folder: item.status for item in result.items}
    assert (status["INBOX"], status["Lists"]) == (ItemStatus.CANCELED, ItemStatus.SUCCEEDED)
    assert (whole(mail_store, "INBOX"), whole(mail_store, "Lists")) == (set(), {1})


def test_a_large_message_that_was_cancelled_half_way_comes_whole_next_time(
    dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    user = dovecot_profiles(Profile.FULL)
    with user.client() as client:
        pour(client, "INBOX", [NewMessage(octets=giant(12_000_000)), NewMessage(octets=plain(1))])
    with WireTap(user.port, fault=Fault.STALL, at=SILENT_AT) as tap:
        account = account_at(tap.port, user.user, user.password)
        result, _ = run_to_the_end(mail_store, account, answer=in_the_silence(tap, CancelRequest.ALL))
        assert result.status is ResultStatus.CANCELED
        assert whole(mail_store, "INBOX") == {2}
        asked = complete(mail_store, account, tap, user)
    assert asked == {b"INBOX": {1}}
