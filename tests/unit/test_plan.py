"""What to do about a folder: the delta, and the proof that it adds up."""

from datetime import UTC, datetime, timedelta

import pytest

from provider.engine.plan import (
    ApplyFlags,
    CompareFlags,
    FindGone,
    ListNew,
    RemoveTold,
    plan_changes,
    plan_proof,
    suspicious,
)
from provider.engine.resume import PROOF_EVERY, known_for, left_to_list, new_uids, visit_reason, windows
from provider.sources.base import ChangeReport, Exactness, FlagRow, FolderStatus, Opened
from store import FolderCursor
from store.mail import ModSeq, Uid, UidSet, UidValidity

NOW = datetime(2026, 11, 21, tzinfo=UTC)
EPOCH = UidValidity(7)


def opened(messages: int = 10, uid_next: int | None = 11, **changes: object) -> Opened:
    return Opened(epoch=EPOCH, messages=messages, uid_next=uid_next, changes=ChangeReport(**changes))  # type: ignore[arg-type]


def row(uid: int) -> FlagRow:
    return FlagRow(uid=Uid(uid), flags=frozenset({"\\Seen"}))


TEN = UidSet.span(1, 10)


def test_an_exact_report_is_applied_as_told() -> None:
    there = opened(9, exactness=Exactness.EXACT, flags=(row(3),), vanished=UidSet([5]))
    assert list(plan_changes(TEN, there, UidSet())) == [ApplyFlags((row(3),)), RemoveTold(UidSet([5]))]


def test_vanished_mail_that_was_never_here_is_not_removed() -> None:
    there = opened(exactness=Exactness.EXACT, vanished=UidSet.span(11, 4_294_967_295))
    assert list(plan_changes(TEN, there, UidSet())) == []


def test_a_row_of_a_uid_wins_over_its_vanishing() -> None:
    there = opened(exactness=Exactness.EXACT, flags=(row(5),), vanished=UidSet([5]))
    assert list(plan_changes(TEN, there, UidSet())) == [ApplyFlags((row(5),))]


def test_flags_of_unknown_messages_are_left_to_the_listing() -> None:
    assert list(plan_changes(TEN, opened(exactness=Exactness.FLAGS, flags=(row(99),)), UidSet())) == []


def test_without_any_report_everything_here_is_compared() -> None:
    assert list(plan_changes(TEN, opened(), UidSet.span(11, 12))) == [CompareFlags(TEN), ListNew(UidSet.span(11, 12))]


def test_an_empty_folder_is_normal_and_asks_nothing() -> None:
    assert list(plan_changes(UidSet(), opened(messages=0), UidSet.span(1, 5))) == []


def test_a_count_that_adds_up_needs_no_search_and_gaps_count_as_there() -> None:
    assert list(plan_proof(TEN, UidSet(), opened(10))) == []
    assert list(plan_proof(TEN - UidSet([4]), UidSet([4]), opened(10))) == []
    assert list(plan_proof(TEN, UidSet(), opened(9))) == [FindGone(expected=9, counted=10)]


@pytest.mark.parametrize(
    ("removing", "of", "doubt"), [(50, 50, False), (51, 60, True), (60, 300, False), (61, 300, True), (1, 1, False)]
)
def test_a_large_removal_is_suspicious(removing: int, of: int, doubt: bool) -> None:
    assert suspicious(UidSet.span(1, removing), UidSet.span(1, of)) is doubt


QUIET = FolderCursor(
    epoch=EPOCH, mod_seq=ModSeq(40), uid_next=11, messages=10, listed_from=1, proven_at=NOW - timedelta(days=1)
)
STATUS = FolderStatus(messages=10, uid_next=11, uid_validity=EPOCH, mod_seq=ModSeq(40))


def reason(cursor: FolderCursor, status: FolderStatus | None, **more: bool) -> str:
    work_left, full = more.get("work_left", False), more.get("full", False)
    return visit_reason(cursor, status, work_left=work_left, full=full, now=NOW) or ""


def test_a_folder_in_which_nothing_can_have_changed_is_not_visited() -> None:
    assert reason(QUIET, STATUS) == ""


def changed(cursor: FolderCursor, **fields: object) -> FolderCursor:
    from dataclasses import replace

    return replace(cursor, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cursor", "status", "why"),
    [
        (FolderCursor(), STATUS, "never"),
        (QUIET, None, "status"),
        (changed(QUIET, listed_from=200), STATUS, "did not finish"),
        (QUIET, FolderStatus(messages=10, uid_next=11, uid_validity=UidValidity(8), mod_seq=ModSeq(40)), "UIDVALIDITY"),
        (QUIET, FolderStatus(messages=11, uid_next=12, uid_validity=EPOCH, mod_seq=ModSeq(40)), "came or went"),
        (QUIET, FolderStatus(messages=10, uid_next=11, uid_validity=EPOCH, mod_seq=ModSeq(41)), "flags"),
        (QUIET, FolderStatus(messages=10, uid_next=11, uid_validity=EPOCH), "flags"),
        (changed(QUIET, distrust="it lied"), STATUS, "not trusted"),
        (changed(QUIET, proven_at=NOW - PROOF_EVERY - timedelta(seconds=1)), STATUS, "due"),
    ],
)
def test_a_folder_is_visited_for_a_reason(cursor: FolderCursor, status: FolderStatus | None, why: str) -> None:
    assert why in reason(cursor, status)


def test_missing_bodies_and_a_full_run_are_reasons_too() -> None:
    assert "did not finish" in reason(QUIET, STATUS, work_left=True)
    assert "full" in reason(QUIET, STATUS, full=True)


def test_a_distrusted_server_a_proof_that_is_due_and_a_full_run_get_no_cursor() -> None:
    def mod_seq(cursor: FolderCursor, compare: bool = False) -> int | None:
        known = known_for(cursor, TEN, compare=compare, now=NOW)
        assert known is not None
        return known.mod_seq

    assert mod_seq(QUIET) == 40
    assert mod_seq(QUIET, compare=True) is None
    assert mod_seq(changed(QUIET, distrust="it lied")) is None
    assert mod_seq(changed(QUIET, proven_at=None)) is None
    assert known_for(FolderCursor(), UidSet(), compare=False, now=NOW) is None


def test_new_mail_lies_between_the_two_uidnexts() -> None:
    assert str(new_uids(QUIET, TEN, opened(uid_next=14))) == "11:13"
    assert not new_uids(QUIET, TEN, opened(uid_next=11))


def test_a_uidnext_that_is_missing_or_went_down_leaves_the_span_open() -> None:
    assert str(new_uids(QUIET, TEN, opened(uid_next=None))) == "11:4294967295"
    assert str(new_uids(QUIET, TEN, opened(uid_next=3))) == "11:4294967295"


def test_what_has_a_row_already_is_not_new() -> None:
    after_reset = changed(QUIET, uid_next=4)  # 4 was not matched, 5 to 10 were
    assert str(new_uids(after_reset, TEN - UidSet([4]), opened(uid_next=12))) == "4,11"


def test_an_interrupted_listing_goes_on_below_where_it_stopped() -> None:
    assert str(left_to_list(changed(QUIET, listed_from=200), opened())) == "1:199"
    assert not left_to_list(changed(QUIET, listed_from=1), opened())
    assert str(left_to_list(FolderCursor(epoch=EPOCH), opened(uid_next=50))) == "1:49"


def test_a_count_that_is_a_lie_does_not_make_windows_of_single_uids() -> None:
    assert len(next(windows(UidSet.span(1, 1000), messages=4_294_967_295, rows=100))) == 100
