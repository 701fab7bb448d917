"""UidSet behaves like a set of numbers, and never counts them one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.mail import UidSet

uids = st.sets(st.integers(1, 60), max_size=40)


@given(uids, uids)
def test_union_intersection_and_difference_agree_with_plain_sets(a: set[int], b: set[int]) -> None:
    left, right = UidSet(a), UidSet(b)
    assert set(left | right) == a | b
    assert set(left & right) == a & b
    assert set(left - right) == a - b


@given(uids)
def test_spelling_is_read_back_and_is_ascending_ranges_that_do_not_touch(a: set[int]) -> None:
    made = UidSet(a)
    assert list(made) == sorted(a)
    assert len(made) == len(a)
    if a:
        assert UidSet.parse(str(made)) == made
        assert made.lowest == min(a)
        assert made.highest == max(a)
    assert all(high + 1 < low for (_, high), (low, _) in zip(made.ranges, made.ranges[1:], strict=False))


@given(uids, st.integers(1, 70))
def test_a_uid_is_in_the_set_or_not(a: set[int], uid: int) -> None:
    assert (uid in UidSet(a)) == (uid in a)


@given(uids, st.integers(1, 10))
def test_pages_are_newest_first_and_lose_nothing(a: set[int], count: int) -> None:
    pages = list(UidSet(a).pages(count))
    assert [uid for page in pages for uid in reversed(list(page))] == sorted(a, reverse=True)
    assert all(len(page) == count for page in pages[:-1])


@given(uids, st.integers(5, 30))
def test_split_parts_fit_their_octets_and_lose_nothing(a: set[int], octets: int) -> None:
    parts = list(UidSet(a).split(octets))
    assert all(len(str(part)) <= octets for part in parts)
    assert [uid for part in parts for uid in part] == sorted(a)


def test_the_whole_number_space_costs_one_range() -> None:
    everything = UidSet.span(1, 2**63 - 1)
    assert len(everything.ranges) == 1
    assert 2**40 in everything
    assert str(everything - UidSet([2**40])) == f"1:{2**40 - 1},{2**40 + 1}:{2**63 - 1}"


@pytest.mark.parametrize("text", ["", "0", "1:", ":5", "*", "1,", "9223372036854775808", "1:*", "-1", "a", "1 2", "١"])
def test_what_is_no_set_of_uids_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        UidSet.parse(text)
