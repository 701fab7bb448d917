"""How an account stands: what its newest runs say, as a value."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from provider import MailStoreProvider, SyncFlags, SyncRequest
from provider.standing import BROKEN, DEGRADED, HEALTHY, Standing, stand, standing_of
from provider.testing import MemoryServer
from store import AccountId, MailStore, Run, RunError, RunId, open_store

from .store_kit import ACCOUNT, BEGIN, Clock

LETTER = b"From: me@example.org\nTo: you@example.org\n\nHi\n"
GUARD_SECONDS = 30
LATER = BEGIN + timedelta(hours=1)
REFUSED = RunError(kind="login-refused", text="The password was refused.")


def run(number: int, status: str = "succeeded", *errors: RunError, trigger: str = "scheduled") -> Run:
    at = BEGIN + timedelta(minutes=number)
    return Run(
        id=RunId(number),
        account=ACCOUNT,
        trigger=trigger,
        flags=0,
        owner="one",
        started_at=at,
        expires_at=at + timedelta(minutes=1),
        finished_at=at + timedelta(seconds=9) if status else None,
        status=status,
        errors=errors,
    )


def codes(*newest_first: Run, now: datetime = LATER) -> tuple[int, int]:
    found = stand(newest_first, now)
    return found.state_code, found.link_status


def test_an_account_that_never_ran_stands_at_never() -> None:
    assert stand((), LATER) == Standing()
    assert codes() == (0, HEALTHY)


def test_each_end_of_a_run_has_its_code() -> None:
    assert codes(run(1)) == (6702, HEALTHY)
    assert codes(run(2, "failed", REFUSED), run(1)) == (6703, BROKEN)
    assert codes(run(2, "lost"), run(1)) == (6703, BROKEN)
    assert codes(run(2, "canceled"), run(1)) == (6707, DEGRADED)
    assert codes(run(2, "succeeded", REFUSED), run(1)) == (6707, DEGRADED)


def test_a_run_that_was_cut_off_says_how_in_words() -> None:
    assert stand([run(1, "canceled")], LATER).last_error == "It was stopped before its end."
    assert stand([run(1, "lost")], LATER).last_error == "Its process ended before it did."


def test_what_runs_is_running_as_long_as_its_lease_holds() -> None:
    assert codes(run(2, ""), run(1), now=BEGIN + timedelta(minutes=2)) == (6701, HEALTHY)
    assert codes(run(2, ""), run(1)) == (6702, HEALTHY)


@pytest.mark.parametrize(
    ("phase", "code"),
    [("", 6701), ("sync", 6701), ("download-hierarchy", 6704), ("contents", 6705), ("upload-message", 6706)],
)
def test_what_runs_has_the_code_of_its_phase_and_how_far_it_is(phase: str, code: int) -> None:
    at_work = replace(run(2, ""), phase=phase, done=120, total=480)
    found = stand((at_work, run(1)), BEGIN + timedelta(minutes=2))
    assert (found.state_code, found.state, found.phase) == (code, "running", phase or None)
    assert (found.done, found.total) == (120, 480)
    idle = stand((replace(run(2), phase="contents", done=120, total=480),), LATER)
    assert (idle.state_code, idle.phase, idle.done, idle.total) == (6702, None, 0, None)


def test_beside_a_synchronization_single_messages_do_not_show() -> None:
    both = (replace(run(3, ""), lane="quick"), replace(run(2, ""), phase="contents"))
    assert codes(*both, now=BEGIN + timedelta(minutes=2.5)) == (6705, HEALTHY)


def test_where_a_run_is_is_written_with_what_it_commits_and_costs_no_commit(tmp_path: Path) -> None:
    with open_store(tmp_path / "mail.db", clock=Clock()) as store:
        number = store.start_run(ACCOUNT, trigger="manual", flags=0, owner="one")
        commits = store.commits
        store.run_at(number, "download-hierarchy")
        with store.write("nothing", run=number):
            pass
        assert (store.commits, at(store)) == (commits, ("", 0, None))
        store.run_at(number, "contents", done=1, total=2)
        with store.write("something", run=number) as tx:
            tx.set_one_connection(ACCOUNT, "why")
        assert (store.commits, at(store)) == (commits + 1, ("contents", 1, 2))
        store.run_at(number, "contents", done=2, total=2)
        store.finish_run(number, status="succeeded", counts={})
        assert store.commits == commits + 2


def at(store: MailStore, account: AccountId = ACCOUNT) -> tuple[str, int, int | None]:
    with store.read() as view:
        newest = view.runs(account)[0]
    return newest.phase, newest.done, newest.total


def test_a_synchronization_tells_where_it_is(tmp_path: Path) -> None:
    server = MemoryServer()
    for number in range(3):
        server.append("INBOX", b"Subject: %d\r\n\r\nHello" % number)
    account = server.account()
    upload = SyncFlags.SYNC_UPLOAD_HIERARCHY | SyncFlags.SYNC_UPLOAD_CONTENTS
    with open_store(tmp_path / "mail.db") as store, MailStoreProvider(store, [account]) as provider:
        asked = SyncRequest(flags=SyncFlags.SYNC_DOWNLOAD_HIERARCHY)
        assert provider.SynchronizeInBackground(asked).wait(GUARD_SECONDS).ok
        assert at(store, account.id) == ("download-hierarchy", 0, None)
        assert provider.SynchronizeInBackground().wait(GUARD_SECONDS).ok
        assert at(store, account.id)[0] == "contents"
        with store.read() as view:
            keys = [row.key for row in view.messages(view.folders(account.id)[0].id).messages]
        with store.edit("read") as batch:
            batch.set_flags(keys, add=["\\Seen"])
        assert provider.SynchronizeInBackground(SyncRequest(flags=upload)).wait(GUARD_SECONDS).ok
        assert at(store, account.id)[0].startswith("upload-")


def test_the_last_run_is_told_with_its_trigger_and_both_times_and_the_last_error() -> None:
    found = stand((run(3, "failed", REFUSED, trigger="manual"), run(2, "yielded"), run(1)), LATER)
    assert (found.last_trigger, found.started_manually) == ("manual", True)
    assert (found.last_start, found.last_end) == (
        BEGIN + timedelta(minutes=3),
        BEGIN + timedelta(minutes=3, seconds=9),
    )
    assert (found.last_error, found.last_success) == (REFUSED.text, BEGIN + timedelta(minutes=1, seconds=9))
    assert stand((run(3, "", trigger="manual"), run(1)), LATER).last_end is None


def test_the_counts_are_those_of_the_store_and_its_version_only_grows(tmp_path: Path) -> None:
    with open_store(tmp_path / "mail.db", clock=Clock()) as store:
        with store.read() as view:
            assert standing_of(view, AccountId("nobody"), LATER) == replace(Standing(), store_version=0)
        store.outbox.submit(ACCOUNT, LETTER)
        with store.read() as view:
            found = standing_of(view, ACCOUNT, LATER)
    assert dict(found.outbox) == {"queued": 1}
    assert (found.messages, found.pending, found.next_run) == (0, 0, None)
