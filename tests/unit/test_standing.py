"""How an account stands: what its newest runs say, as a value."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from provider.standing import BROKEN, DEGRADED, HEALTHY, Standing, stand, standing_of
from store import AccountId, Run, RunError, RunId, open_store

from .store_kit import ACCOUNT, BEGIN, Clock

LETTER = b"From: me@example.org\nTo: you@example.org\n\nHi\n"
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


def test_what_runs_is_running_as_long_as_its_lease_holds() -> None:
    assert codes(run(2, ""), run(1), now=BEGIN + timedelta(minutes=2)) == (6701, HEALTHY)
    assert codes(run(2, ""), run(1)) == (6702, HEALTHY)


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
