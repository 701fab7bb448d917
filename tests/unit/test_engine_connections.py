"""How a run survives its connections: which errors a new one mends, how often, and what is told meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from provider import ErrorKind, ItemStatus, MailStoreProvider, Needs, Severity, SyncRequest, SyncResult
from provider.errors import CommandRefused, ConnectionLost, ProtocolBroken, ProviderError, ServerBusy, TimedOut
from provider.limits import Limits
from provider.phases import Phase, legal
from provider.report import ItemReporter
from provider.testing import MemoryServer, RecordingCallback
from store import MailStore, open_store

HANG_SECONDS = 5.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db") as opened:
        yield opened
        assert opened.check(full=True).problems == ()


@pytest.fixture
def server() -> MemoryServer:
    server = MemoryServer()
    server.add_folder("Lists")
    for number in range(6):
        for folder in ("INBOX", "Lists"):
            server.append(folder, b"Subject: %d\r\n\r\n%b" % (number, folder.encode()))
    return server


def run(store: MailStore, server: MemoryServer) -> tuple[SyncResult, RecordingCallback]:
    host = RecordingCallback()
    account = replace(server.account(), limits=Limits(reconnect_seconds=0.001))
    with MailStoreProvider(store, [account]) as provider:
        result = provider.SynchronizeInBackground(SyncRequest(callback=host)).wait(HANG_SECONDS)
        assert host.wait_done(HANG_SECONDS)
    host.grammar()
    return result, host


def status(result: SyncResult) -> dict[str | None, ItemStatus]:
    return {item.folder: item.status for item in result.items}


BREAKS = [ConnectionLost("gone"), TimedOut("silent"), ProtocolBroken("nonsense")]


@pytest.mark.parametrize("error", BREAKS, ids=lambda error: type(error).__name__)
def test_two_breaks_cost_two_connections_and_nothing_else(
    error: ProviderError, store: MailStore, server: MemoryServer
) -> None:
    server.faults.refuse("folders", error, times=2)
    result, host = run(store, server)
    assert result.ok and result.downloaded.bodies == 12
    assert server.calls.count("connect") == 3
    assert {(told.kind, told.severity) for told in host.errors} == {(error.kind, Severity.WARNING)}
    assert all(told.next_try is not None for told in host.errors)


@pytest.mark.parametrize("error", BREAKS, ids=lambda error: type(error).__name__)
def test_a_third_break_without_progress_ends_the_run_by_its_error(
    error: ProviderError, store: MailStore, server: MemoryServer
) -> None:
    server.faults.refuse("folders", error)
    result, host = run(store, server)
    assert server.calls.count("connect") == 3
    assert status(result)[None] in (ItemStatus.FAILED, ItemStatus.DISCONNECTED)
    assert host.errors[-1].kind is error.kind
    assert host.errors[-1].severity is Severity.ERROR


def test_a_new_connection_takes_the_account_back_to_the_phase_of_connecting(
    store: MailStore, server: MemoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    phases: list[Phase] = []
    note = ItemReporter.phase

    def noting(item: ItemReporter, phase: Phase, text: str | None = None) -> None:
        if item.folder is None:
            phases.append(phase)
        note(item, phase, text)

    monkeypatch.setattr(ItemReporter, "phase", noting)
    server.faults.refuse("open", ConnectionLost("gone"), times=1)
    run(store, server)
    assert phases.count(Phase.DOWNLOAD_HIERARCHY) == 2
    assert [pair for pair in pairwise(phases) if not legal(*pair)] == []


def test_what_was_committed_between_two_breaks_starts_the_count_anew(store: MailStore, server: MemoryServer) -> None:
    for folder in ("a", "b", "c", "d"):
        server.add_folder(folder)
        for number in range(30):
            server.append(folder, b"Subject: %d\r\n\r\n%b" % (number, folder.encode()))
    server.faults.cut_after(rows=31, times=None)
    result, _ = run(store, server)
    assert result.ok and result.downloaded.bodies == 132
    assert server.calls.count("connect") > 3


@pytest.mark.parametrize(
    ("error", "needs"),
    [
        (ServerBusy("come back later"), Needs.RETRY),
        (CommandRefused("no"), Needs.RETRY),
    ],
    ids=["busy", "refused"],
)
def test_what_no_new_connection_mends_ends_the_run_at_once(
    error: ProviderError, needs: Needs, store: MailStore, server: MemoryServer
) -> None:
    server.faults.refuse("folders", error)
    result, host = run(store, server)
    assert server.calls.count("connect") == 1
    assert status(result) == {None: ItemStatus.FAILED}
    assert [told.needs for told in host.errors] == [needs]


def test_a_folder_in_which_three_connections_broke_fails_and_the_others_come_down(
    store: MailStore, server: MemoryServer
) -> None:
    server.faults.refuse("open", ConnectionLost("gone"), folder="INBOX")
    result, host = run(store, server)
    assert status(result) == {
        None: ItemStatus.SUCCEEDED,
        "INBOX": ItemStatus.FAILED,
        "Lists": ItemStatus.SUCCEEDED,
    }
    assert result.downloaded.bodies == 6
    assert {told.kind for told in host.errors} == {ErrorKind.CONNECTION_LOST}
    assert server.calls.count("connect") == 4
