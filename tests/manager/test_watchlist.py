"""Who is watched and when which account runs, as facts and seconds: rows without a thread, a socket or a wait."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from provider.errors import (
    Cancelled,
    CommandRefused,
    ConnectionLost,
    FolderUnusable,
    LoginRefused,
    ProviderError,
    ServerBusy,
    TimedOut,
    TlsRefused,
    TooManyConnections,
    Unreachable,
)
from provider.manager.pushing.watchlist import (
    CONNECTING_MAX,
    CONNECTING_SECONDS_MAX,
    EMPTY_RUNS,
    PROVEN_SECONDS,
    REFUSED_SECONDS,
    RUNS_MAX,
    SPACING_SECONDS,
    SPACING_SECONDS_MAX,
    Standing,
    Watchlist,
)
from store.mail import AccountId

A, B, C = (AccountId(name) for name in "abc")


def listed(*accounts: AccountId, **more: float) -> Watchlist:
    made = Watchlist(random=Random(1), **more)  # type: ignore[arg-type]
    for account in accounts:
        made.add(account, 0.0)
    return made


def all_parked(*accounts: AccountId) -> Watchlist:
    """Return a list whose accounts all have a line, and ran once."""
    made = listed(*accounts)
    for account in accounts:
        made.to_connect(0.0)
        made.parked(account, 0.0)
    while runs := made.to_run(0.0):
        for account, _ in runs:
            made.ran(account, ok=True, empty=False, now=0.0)
    return made


def test_lines_are_given_in_the_order_of_the_accounts_and_within_the_budget() -> None:
    made = listed(A, B, C, lines_max=2)
    assert made.to_connect(0.0) == [A, B]
    assert made.to_connect(0.0) == []
    made.lost(A, CommandRefused("no"), 1.0)
    assert made.to_connect(1.0) == [C]
    made.parked(B, 1.0), made.parked(C, 1.0)
    assert made.to_connect(REFUSED_SECONDS * 2) == [], "the place of the one who was refused is taken"


def test_a_few_log_in_at_a_time_and_one_that_hangs_holds_up_nobody_for_long() -> None:
    many = [AccountId(f"a{number}") for number in range(20)]
    made = listed(*many)
    assert len(made.to_connect(0.0)) == CONNECTING_MAX
    assert made.to_connect(1.0) == []
    assert len(made.to_connect(CONNECTING_SECONDS_MAX)) == CONNECTING_MAX


def test_whoever_has_no_line_is_polled_as_a_whole_and_whoever_gets_one_is_not() -> None:
    made = listed(A, B, lines_max=1, poll_seconds=100.0)
    made.to_connect(0.0)
    made.parked(A, 0.0)
    assert made.to_run(0.0) == [(A, False)]
    made.ran(A, ok=True, empty=True, now=1.0)
    runs = []
    for second in range(1_000):
        for account, whole in made.to_run(float(second)):
            runs.append((account, whole))
            made.ran(account, ok=True, empty=True, now=float(second))
    assert set(runs) == {(B, True)}
    assert 9 <= len(runs) <= 11


def test_what_is_told_while_a_run_is_under_way_is_one_more_run() -> None:
    made = all_parked(A)
    for _ in range(50):
        made.changed(A)
    assert made.to_run(5.0) == [(A, False)]
    for _ in range(50):
        made.changed(A)
    assert made.to_run(5.0) == [] and made.due(5.0) is None
    made.ran(A, ok=True, empty=False, now=6.0)
    assert made.to_run(6.0) == []
    assert made.due(6.0) == 6.0 + SPACING_SECONDS
    assert made.to_run(6.0 + SPACING_SECONDS) == [(A, False)]
    made.ran(A, ok=True, empty=False, now=8.0)
    assert made.due(8.0) is None


def test_a_few_run_at_a_time() -> None:
    many = [AccountId(f"a{number}") for number in range(10)]
    made = all_parked(*many)
    for account in reversed(many):
        made.changed(account)
    first = [account for account, _ in made.to_run(9.0)]
    assert len(first) == RUNS_MAX and made.to_run(9.0) == []
    made.ran(first[0], ok=True, empty=False, now=9.0)
    assert len(made.to_run(9.0)) == 1


def test_a_server_that_cries_wolf_is_believed_less_and_less() -> None:
    made, now, runs = all_parked(A), 0.0, []
    while now < 3_600:
        made.changed(A)
        if made.to_run(now):
            runs.append(now)
            made.ran(A, ok=True, empty=True, now=now)
        now += 0.5
    assert 12 <= len(runs) <= 25
    assert runs[EMPTY_RUNS] - runs[0] < 10
    assert all(after - before <= SPACING_SECONDS_MAX for before, after in pairwise(runs))
    made.changed(A)
    assert made.to_run(now + SPACING_SECONDS_MAX)
    made.ran(A, ok=True, empty=False, now=now)
    made.changed(A)
    assert made.to_run(now + SPACING_SECONDS), "one that brought something is believed at once"


def test_a_run_that_failed_is_tried_again_and_one_that_was_stopped_is_not() -> None:
    made = all_parked(A)
    made.changed(A)
    now, waits = 5.0, []
    for _ in range(8):
        assert made.to_run(now) == [(A, False)]
        made.ran(A, ok=False, empty=True, now=now)
        due = made.due(now)
        assert due is not None
        waits.append(due - now)
        now = due
    assert 60 <= waits[0] <= waits[3] <= 3_600 and max(waits) <= 3_600
    assert made.to_run(now) == [(A, False)]
    made.ran(A, ok=None, empty=True, now=now)
    assert made.due(now) is None


ERRORS: dict[str, tuple[ProviderError | None, float, float]] = {
    "lost": (ConnectionLost("x"), 1, 2),
    "timed out": (TimedOut("x"), 1, 2),
    "unreachable": (Unreachable("x"), 1, 2),
    "busy": (ServerBusy("x", retry_after_seconds=333.0), 333, 333),
    "no IDLE": (CommandRefused("x"), REFUSED_SECONDS, REFUSED_SECONDS),
    "no folder": (FolderUnusable("x"), REFUSED_SECONDS, REFUSED_SECONDS),
    "one too many": (TooManyConnections("x", retry_after_seconds=1.0), REFUSED_SECONDS, REFUSED_SECONDS),
    "a run needed the place": (Cancelled("x"), REFUSED_SECONDS, REFUSED_SECONDS),
    "wrong password": (LoginRefused("x"), 900, 900),
    "certificate": (TlsRefused("x"), 900, 900),
    "a fault of the source": (None, 900, 900),
}


@pytest.mark.parametrize(("error", "least", "most"), ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("stood", [False, True])
def test_a_line_is_tried_again_when_it_may_help(
    error: ProviderError | None, least: float, most: float, stood: bool
) -> None:
    made = listed(A)
    made.to_connect(0.0)
    if stood:
        made.parked(A, 0.0)
    made.lost(A, error, 10.0)
    assert made.all[A].standing is Standing.WAITING and made.all[A].why
    assert least <= made.all[A].line_at - 10.0 <= most
    assert made.to_connect(10.0) == []
    assert made.to_connect(10.0 + most) == [A]


def lost_at_once(made: Watchlist, now: float, stands: float) -> float:
    """Let a line come and go after *stands* seconds; return how long it takes until the next one is tried."""
    assert made.to_connect(now) == [A]
    made.parked(A, now)
    made.lost(A, ConnectionLost("x"), now + stands)
    return made.all[A].line_at - now - stands


@pytest.mark.parametrize(
    ("stands", "judge"), [(1.0, lambda wait: 450 <= wait <= 900), (PROVEN_SECONDS, lambda wait: wait <= 2)]
)
def test_only_a_line_that_stood_begins_anew(stands: float, judge: Callable[[float], bool]) -> None:
    made, now, wait = listed(A), 0.0, 0.0
    for _ in range(15):
        wait = lost_at_once(made, now, stands)
        now += stands + wait
    assert judge(wait)


def test_an_account_that_goes_takes_everything_with_it() -> None:
    made = all_parked(A)
    made.changed(A)
    made.to_run(2.0)
    made.remove(A)
    made.ran(A, ok=True, empty=True, now=3.0)
    assert (made.to_connect(9.0), made.to_run(9.0), made.due(9.0)) == ([], [], None)
