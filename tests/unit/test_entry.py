"""The front door: what it refuses at once, what it takes without effect, and which accounts and messages it knows."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from provider.account import Account, Password
from provider.entry import MailStoreProvider
from provider.errors import Closed, ErrorKind, InvalidRequest, UnknownItem
from provider.events import ItemStatus, ResultStatus, Severity, SyncError
from provider.request import SyncFlags, SyncRequest
from store import open_store
from store.mail import AccountId, MessageKey
from tests.contract.playing import ALICE, BOB, GUARD_SECONDS, Gate, Host, Play, account, provider


def test_an_unknown_account_is_refused_at_once() -> None:
    with provider(Play()) as dock, pytest.raises(UnknownItem):
        dock.SynchronizeInBackground(SyncRequest(accounts=(AccountId("nobody"),)))


@pytest.mark.parametrize("request_", ["now", None, 3, SyncFlags.ALL_DIRECTIONS])
def test_what_is_no_request_is_refused(request_: Any) -> None:
    with provider(Play()) as dock, pytest.raises(InvalidRequest):
        dock.SynchronizeInBackground(request_)


def test_a_deliver_that_can_deliver_nothing_is_refused() -> None:
    with provider(Play()) as dock, pytest.raises(InvalidRequest):
        dock.SynchronizeInBackground(SyncRequest(deliver=7))  # type: ignore[arg-type]


def test_a_closed_provider_refuses_everything() -> None:
    dock = provider(Play())
    dock.close()
    dock.close()
    for call in (
        dock.SynchronizeInBackground,
        lambda: dock.add_account(account("carol")),
        lambda: dock.remove_account(ALICE),
        lambda: dock.fetch([MessageKey(1)]),
    ):
        with pytest.raises(Closed):
            call()


def test_the_alias_is_the_same_call() -> None:
    with provider(Play()) as dock:
        assert dock.synchronize_in_background().wait(GUARD_SECONDS).ok


def test_a_provider_without_accounts_completes_with_nothing_done() -> None:
    host = Host()
    with MailStoreProvider(None, []) as dock:  # type: ignore[arg-type]
        result = dock.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
        assert host.all() == [result]
    assert (result.status, result.items) == (ResultStatus.COMPLETE, ())


def test_outgoing_mail_is_a_warning_and_nothing_else() -> None:
    host = Host()
    with provider(Play()) as dock:
        request = SyncRequest(flags=SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_OUTGOING_MAIL, callback=host)
        assert dock.SynchronizeInBackground(request).wait(GUARD_SECONDS).status is ResultStatus.COMPLETE
        errors = [event for event in host.all() if isinstance(event, SyncError)]
    assert [error.severity for error in errors] == [Severity.WARNING]


def test_a_request_to_upload_only_connects_nowhere_while_nothing_is_pending(tmp_path: Path) -> None:
    play, host = Play(), Host()
    flags = SyncFlags.SYNC_UPLOAD_CONTENTS | SyncFlags.SYNC_UPLOAD_HIERARCHY
    with open_store(tmp_path / "mail.db") as store, MailStoreProvider(store, [account("alice")], run=play) as dock:
        assert dock.SynchronizeInBackground(SyncRequest(flags=flags, callback=host)).wait(GUARD_SECONDS).ok
    assert play.runs == []
    assert host.statuses() == [ItemStatus.STARTED, ItemStatus.SUCCEEDED]


def test_a_source_that_cannot_be_made_fails_the_account_and_not_the_call() -> None:
    def source_of(account: object) -> Any:
        raise InvalidRequest("There is no such kind of account.")

    with MailStoreProvider(None, [account("alice")], source_of=source_of, run=Play()) as dock:  # type: ignore[arg-type]
        result = dock.SynchronizeInBackground().wait(GUARD_SECONDS)
    assert (result.status, result.errors[0].kind) == (ResultStatus.FAILED, ErrorKind.INVALID_REQUEST)


def test_two_accounts_of_one_id_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        provider(Play(), ALICE, ALICE)
    with provider(Play(), ALICE) as dock:
        dock.add_account(account(BOB))
        with pytest.raises(InvalidRequest):
            dock.add_account(account(BOB))
        assert [known.id for known in dock.accounts] == [ALICE, BOB]


def test_removing_an_account_cancels_its_work_and_leaves_the_rest() -> None:
    gates = {"alice": Gate(), "bob": Gate()}
    with provider(Play(**gates), ALICE, BOB) as dock:
        handle = dock.SynchronizeInBackground()
        for gate in gates.values():
            gate.wait_reached()
        dock.remove_account(ALICE)
        gates["bob"].open()
        result = handle.wait(GUARD_SECONDS)
        with pytest.raises(UnknownItem):
            dock.remove_account(ALICE)
        with pytest.raises(UnknownItem):
            dock.SynchronizeInBackground(SyncRequest(accounts=(ALICE,)))
    ends = {item.account: item.status for item in result.items if item.folder is None}
    assert ends == {ALICE: ItemStatus.CANCELED, BOB: ItemStatus.SUCCEEDED}


def test_fetching_no_message_is_refused(tmp_path: Path) -> None:
    with open_store(tmp_path / "mail.db") as store, provider(Play(), store=store) as dock:
        with pytest.raises(InvalidRequest):
            dock.fetch([])
        with pytest.raises(UnknownItem):
            dock.fetch([MessageKey(1)])


def test_importing_the_front_door_loads_nothing_heavy() -> None:
    look = "import sys; from provider import MailStoreProvider, SyncHandle, SyncRequest; print(*sys.modules)"
    root = Path(__file__).parent.parent.parent
    ran = subprocess.run([sys.executable, "-c", look], cwd=root, capture_output=True, text=True, check=True, timeout=60)
    assert "provider.entry" in ran.stdout.split()
    assert {"asyncio", "imapclient", "sqlmodel", "sqlite3", "ssl"} & set(ran.stdout.split()) == set()


def test_no_repr_of_ours_shows_a_credential() -> None:
    secret = "correct horse battery staple"
    known = Account(id=ALICE, host="mail.example", user="alice", credentials=Password(secret))
    with MailStoreProvider(None, [known], source_of=lambda account: None, run=Play()) as dock:  # type: ignore[arg-type, return-value]
        handle = dock.SynchronizeInBackground(SyncRequest())
        handle.wait(GUARD_SECONDS)
        assert secret not in repr(dock) + repr(handle) + repr(dock.accounts) + repr(handle.request) + repr(
            handle.result
        )
