"""How much is asked for at once: by what the line showed, and less after a connection broke."""

from __future__ import annotations

import itertools

import pytest

from provider.engine.portion import GROUP_MESSAGES, NEWEST_PAGE, SUSPECTS_MAX, Line, Portion, at_once, first_page


def line(*, octets: int, seconds: float, pieces: int = 20) -> Line:
    line = Line()
    line.begin(100.0)
    for at in range(1, pieces + 1):
        line.received(100.0 + at * seconds / pieces, octets // pieces)
    return line


@pytest.mark.parametrize(
    ("octets", "seconds", "page"),
    [
        (3_000_000, 0.4, NEWEST_PAGE),  # too short a time to know
        (0, 0.0, NEWEST_PAGE),
        (20_000, 4.0, 10),
        (300_000, 1.0, 100),
        (90_000_000, 1.0, 200),
    ],
)
def test_the_first_page_takes_about_a_second(octets: int, seconds: float, page: int) -> None:
    assert first_page(line(octets=octets, seconds=seconds).octets_per_second) == page


def test_a_pause_in_which_nobody_asked_is_not_the_lines_fault() -> None:
    slept = line(octets=3_000_000, seconds=1.0)
    slept.received(10_000.0, 1_000)
    assert slept.seconds < 10


def test_only_a_slow_line_cuts_a_small_folder_into_pages() -> None:
    assert [at_once(first_page(rate)) for rate in (None, 1_000_000.0, 20_000.0)] == [200, 200, 10]


def test_after_two_breaks_each_message_that_was_under_way_comes_alone() -> None:
    portion = Portion()
    assert portion.broke(range(1, 401)) is None
    assert portion.messages == SUSPECTS_MAX
    assert portion.broke(range(1, 33)) is None
    assert portion.suspects == set(range(1, 33))
    assert portion.broke([7]) == 7
    assert 7 not in portion.suspects


def test_a_second_message_in_a_row_is_not_blamed_for_a_line_that_brings_nothing() -> None:
    portion = Portion()
    portion.broke([1, 2, 3])
    assert portion.broke([1]) == 1
    assert portion.broke([2]) is None
    portion.came_since = True
    assert portion.broke([3]) == 3


def test_groups_that_go_well_grow_to_the_usual_size_again_and_a_break_makes_them_small() -> None:
    portion = Portion()
    portion.broke(range(1, 1_001))
    sizes = []
    for _ in range(30):
        portion.went_well()
        sizes.append(portion.messages)
    assert sizes == sorted(sizes) and sizes[0] == SUSPECTS_MAX and sizes[-1] == GROUP_MESSAGES
    assert {later // earlier for earlier, later in itertools.pairwise(sizes)} <= {1, 2}
    portion.broke(range(1, 501))
    assert portion.messages == SUSPECTS_MAX


def test_where_nothing_adapts_groups_stay_as_small_as_a_break_made_them() -> None:
    portion = Portion(grows=False)
    portion.broke(range(1, 1_001))
    for _ in range(30):
        portion.went_well()
    assert portion.messages == SUSPECTS_MAX


def test_a_culprit_that_is_known_keeps_the_groups_as_they_are() -> None:
    portion = Portion()
    assert portion.broke(range(1, 401), culprit=9) is None
    assert (portion.messages, portion.suspects) == (GROUP_MESSAGES, {9})


def test_pages_of_rows_are_halved_when_one_does_not_come_and_grow_again() -> None:
    portion = Portion()
    pages = []
    for _ in range(3):
        portion.halve()
        pages.append(portion.rows(2_000))
    assert pages == [1_000, 500, 250]
    for _ in range(12):
        portion.went_well()
    assert portion.rows(2_000) == 2_000
    steady = Portion(grows=False)
    steady.halve()
    assert steady.rows(2_000) == 2_000
