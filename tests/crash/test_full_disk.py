"""A disk that fills up in a synchronization: a typed error, nothing lost, and on it goes with more room."""

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from provider import (
    Account,
    ErrorKind,
    MailStoreProvider,
    Needs,
    ResultStatus,
    SyncRequest,
    SyncResult,
)
from provider.testing import RecordingCallback
from store import MailStore, open_store

from ..servers.fake_answer import Answer
from ..servers.fakeimap import FakeImap
from .child import account_of
from .judge import Ledger, bodies_in, bodies_on, differences, on_server
from .scenes import mail

GUARD_SECONDS = 30.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"not tested: no small file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def fake() -> Iterator[FakeImap]:
    with FakeImap() as fake:
        fake.add_folder("Lists")
        for number in range(24):
            fake.append("INBOX" if number % 3 else "Lists", mail(number, 60_000))
        yield fake


def run_once(store: MailStore, account: Account) -> tuple[SyncResult, RecordingCallback]:
    host = RecordingCallback()
    with MailStoreProvider(store, [account]) as provider:
        result = provider.SynchronizeInBackground(SyncRequest(callback=host)).wait(GUARD_SECONDS)
    assert host.wait_done(GUARD_SECONDS)
    host.grammar()
    return result, host


def account_on(fake: FakeImap) -> Account:
    return account_of(
        {"port": fake.port, "user": fake.user, "password": fake.password, "limits": {"queue_octets": 300_000}}
    )


def take_all_but(ballast: Path, octets: int) -> None:
    """Let *ballast* take all room of its disk but so much."""
    room = os.statvfs(ballast.parent)
    with ballast.open("ab") as file:
        file.write(bytes(max(0, room.f_bavail * room.f_frsize - octets)))


def test_a_synchronization_onto_a_full_disk_says_so_keeps_what_it_has_and_goes_on_with_more_room(
    small_disk: Path, fake: FakeImap
) -> None:
    account, ledger, ballast = account_on(fake), Ledger(fake), small_disk / "ballast"
    with open_store(small_disk / "mail.db") as store:
        take_all_but(ballast, 1_500_000)
        for _ in range(3):  # again and again, as a schedule would
            result, host = run_once(store, account)
            assert result.status is ResultStatus.FAILED
            assert {(error.kind, error.needs) for error in host.errors} == {(ErrorKind.STORE_FULL, Needs.RETRY)}
            assert store.check(full=True).problems == ()
        kept = bodies_in(store)
        assert kept
        ledger.take()

        ballast.unlink()
        assert run_once(store, account)[0].ok
        assert differences(store, on_server(fake)) == []
        assert ledger.take() - (bodies_on(on_server(fake)) - kept) == Counter(), "bodies came down again"


def test_a_run_whose_end_could_not_be_written_down_does_not_keep_its_account_busy(
    small_disk: Path, fake: FakeImap
) -> None:
    ballast = small_disk / "ballast"

    def fill(answer: Answer) -> None:
        if b"BODY.PEEK[]" in answer.command.raw:
            with suppress(OSError):
                take_all_but(ballast, 0)

    fake.faults.on("UID FETCH", fill)
    with open_store(small_disk / "mail.db") as store:
        result, _ = run_once(store, account_on(fake))
        assert next(error.kind for error in result.errors) is ErrorKind.STORE_FULL
        with store.read() as view:
            assert [run.finished_at for run in view.runs()] == [None]

        fake.faults.clear()
        ballast.unlink()
        assert run_once(store, account_on(fake))[0].ok
        assert differences(store, on_server(fake)) == []
