"""Waits between tries: within their bounds for every seed, and obedient to the server."""

from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.backoff import Backoff
from provider.errors import ConnectionLost, LoginRefused, ServerBusy


@given(failures=st.integers(-3, 10**9), seed=st.integers())
def test_every_wait_is_between_a_second_and_a_quarter_of_an_hour(failures: int, seed: int) -> None:
    assert 1.0 <= Backoff().delay(failures, Random(seed)) <= 900.0


@given(failures=st.integers(2, 10), seed=st.integers())
def test_chance_takes_away_half_of_a_wait_at_most(failures: int, seed: int) -> None:
    longest = 2.0 ** (failures - 1)
    assert longest / 2 <= Backoff().delay(failures, Random(seed)) <= longest


def test_two_clients_do_not_come_back_together() -> None:
    first = list(islice(Backoff().delays(Random(1)), 12))
    second = list(islice(Backoff().delays(Random(2)), 12))
    assert all(a != b for a, b in zip(first[1:], second[1:], strict=True))


def test_one_seed_gives_the_same_waits_again() -> None:
    assert list(islice(Backoff().delays(Random(7)), 20)) == list(islice(Backoff().delays(Random(7)), 20))


@given(seed=st.integers())
def test_an_account_that_refuses_is_asked_once_a_minute_at_most(seed: int) -> None:
    assert Backoff().delay(1, Random(seed), LoginRefused("no")) >= 60.0


def test_what_the_server_asks_for_is_obeyed_even_beyond_our_own_longest_wait() -> None:
    error = ServerBusy("later", retry_after_seconds=1_800.0)
    assert Backoff().delay(1, Random(0), error) == 1_800.0


@pytest.mark.parametrize("asked", [-5.0, 0.0, float("nan"), float("inf"), float("-inf")])
def test_a_senseless_wait_of_the_server_changes_nothing(asked: float) -> None:
    error = ServerBusy("later", retry_after_seconds=asked)
    assert Backoff().delay(3, Random(0), error) == Backoff().delay(3, Random(0))


def test_a_server_that_says_in_a_hundred_years_is_asked_again_tomorrow() -> None:
    assert Backoff().delay(1, Random(0), ServerBusy("later", retry_after_seconds=3e9)) == 86_400.0


def test_a_lost_connection_waits_no_longer_than_usual() -> None:
    assert Backoff().delay(4, Random(3), ConnectionLost("gone")) == Backoff().delay(4, Random(3))
