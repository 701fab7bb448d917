"""What replay decides without a server: nets, merges, plans, refusals, guards, evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from provider.errors import CommandRefused, ErrorKind, FolderUnusable
from provider.replay.collapse import FolderFact, Place, Wish, plan_replay, uids_of
from provider.replay.conflicts import TABLE, Here, There, worked_on
from provider.replay.evidence import Evidence, alike, copies_found, newcomers, same_mail, worth_reading
from provider.replay.guard import too_many_deletions, whole_folder
from provider.replay.naming import naming
from provider.replay.refusals import Verdict, ruling
from provider.sources.base import IdentityRow
from store.mail import AccountId, FolderId, FolderPath, MessageKey, Uid, UidSet, UidValidity
from store.mail.merge import FlagDelta, applied, delta, merged
from store.mail.operations import Operation, OperationId, OperationKind, OperationState, Source, net

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
INBOX, WORK, TRASH, NEW = (FolderId(n) for n in (1, 2, 3, 4))
FOLDERS = {
    INBOX: FolderFact(id=INBOX, name=b"INBOX", path=FolderPath(("INBOX",)), epoch=UidValidity(7), listed=100),
    WORK: FolderFact(id=WORK, name=b"Work", path=FolderPath(("Work",)), epoch=UidValidity(8)),
    TRASH: FolderFact(id=TRASH, name=b"Trash", path=FolderPath(("Trash",)), epoch=UidValidity(9)),
    NEW: FolderFact(id=NEW, name=b"", path=FolderPath(("New",))),
}


def wanted(kind: OperationKind, key: int = 10, *, id: int = 1, folder: FolderId = INBOX, **more: object) -> Operation:
    values: dict[str, object] = {
        "id": OperationId(id),
        "account": AccountId("me"),
        "batch": 1,
        "kind": kind,
        "state": OperationState.QUEUED,
        "message": MessageKey(key),
        "folder_id": folder,
        "created_at": NOW,
    }
    return Operation(**(values | more))  # type: ignore[arg-type]


def place(uid: int, folder: FolderId = INBOX) -> Place:
    return Place(folder_id=folder, epoch=UidValidity(7), uid=Uid(uid))


def test_a_move_of_a_move_is_one_move() -> None:
    first = wanted(OperationKind.MOVE, target_id=WORK, twin=MessageKey(99))
    second = wanted(OperationKind.MOVE, id=2, folder=WORK, target_id=TRASH)

    both = net([first, second])

    assert (both.target, both.twin, both.operations) == (TRASH, MessageKey(99), (1, 2))


def test_a_move_back_to_where_it_was_is_nothing() -> None:
    there = wanted(OperationKind.MOVE, target_id=WORK)
    back = wanted(OperationKind.MOVE, id=2, folder=WORK, target_id=INBOX)

    assert net([there, back]).target is None


def test_an_append_that_was_moved_is_an_append_there() -> None:
    sent = net([wanted(OperationKind.APPEND), wanted(OperationKind.MOVE, id=2, target_id=WORK)])

    assert (sent.source, sent.target) == (Source.OCTETS, WORK)


def test_what_never_reached_the_server_and_is_deleted_again_is_nothing() -> None:
    chain = [wanted(OperationKind.APPEND), wanted(OperationKind.DELETE, id=2)]

    plan = plan_replay(chain, [], {}, FOLDERS)

    assert [job.net.operations for job in plan.idle] == [(1, 2)]
    assert not plan.folders and not plan.appends


def test_operations_of_two_messages_have_no_net() -> None:
    with pytest.raises(ValueError, match="one message"):
        net([wanted(OperationKind.MOVE, 1), wanted(OperationKind.MOVE, 2)])


def test_flags_are_grouped_by_what_is_added_and_removed() -> None:
    seen, flagged = frozenset({"\\Seen"}), frozenset({"\\Flagged"})
    wishes = [Wish(message=MessageKey(n), place=place(n), add=seen if n % 2 else flagged) for n in range(1, 101)]

    plan = plan_replay([], wishes, {}, FOLDERS)

    (job,) = plan.folders
    assert {add: len(uids_of(found)) for (add, _), found in job.marks.items()} == {seen: 50, flagged: 50}


def test_a_move_into_a_folder_that_is_not_there_yet_waits() -> None:
    move = wanted(OperationKind.MOVE, target_id=NEW)

    assert not plan_replay([move], [], {MessageKey(10): place(5)}, FOLDERS)


def test_nothing_is_sent_of_a_message_whose_first_operation_has_to_wait() -> None:
    move = wanted(OperationKind.MOVE, target_id=WORK)
    wish = Wish(message=MessageKey(10), place=place(5), add=frozenset({"\\Seen"}))

    assert not plan_replay([move], [wish], {MessageKey(10): place(5)}, FOLDERS, frozenset({MessageKey(10)}))


def test_a_copy_is_made_where_its_origin_lies() -> None:
    copy = wanted(OperationKind.COPY, 11, folder=WORK, origin=MessageKey(10))

    plan = plan_replay([copy], [], {MessageKey(10): place(5)}, FOLDERS)

    assert plan.folders[0].folder.id == INBOX
    assert uids_of(plan.folders[0].copies[WORK]) == UidSet([5])


def test_a_message_without_a_place_is_lost() -> None:
    plan = plan_replay([wanted(OperationKind.MOVE, target_id=WORK)], [], {}, FOLDERS)

    assert len(plan.lost) == 1


@pytest.mark.parametrize(("deletions", "held"), [(50, False), (51, True)])
def test_more_than_fifty_deletions_of_a_small_folder_wait_for_a_person(deletions: int, held: bool) -> None:
    operations = [wanted(OperationKind.DELETE, n, id=n) for n in range(1, deletions + 1)]
    places = {MessageKey(n): place(n) for n in range(1, deletions + 1)}

    plan = plan_replay(operations, [], places, FOLDERS)

    assert bool(too_many_deletions(plan.folders)) is held


def test_the_deletion_of_a_folder_with_mail_waits_for_a_person() -> None:
    assert "100" in whole_folder(FOLDERS[INBOX])
    assert whole_folder(FOLDERS[WORK]) == ""


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("TRYCREATE", Verdict.CREATE_TARGET),
        ("OVERQUOTA", Verdict.LATER),
        ("TOOBIG", Verdict.NEVER),
        ("READ-ONLY", Verdict.NEVER),
        ("NOPERM", Verdict.NEVER),
        ("EXPUNGEISSUED", Verdict.GONE),
    ],
)
def test_a_response_code_rules(code: str, verdict: Verdict) -> None:
    assert ruling(CommandRefused("no", response_code=code), 1).verdict is verdict


def test_a_refusal_that_says_nothing_is_tried_again_with_growing_pauses_and_then_final() -> None:
    pauses = [ruling(CommandRefused("no"), tries).after for tries in (1, 2, 3, 4)]

    assert pauses == sorted(pauses) and pauses[0] > timedelta()
    assert ruling(CommandRefused("no"), 5).verdict is Verdict.NEVER


def test_what_was_wanted_in_a_folder_that_is_gone_is_gone() -> None:
    assert ruling(FolderUnusable("gone", kind=ErrorKind.FOLDER_GONE), 1).verdict is Verdict.GONE


def row(uid: int, message_id: str = "a@x", size: int | None = 10, date: datetime | None = NOW) -> IdentityRow:
    return IdentityRow(uid=Uid(uid), message_id=message_id, size=size, internal_date=date, flags=frozenset())


def evidence(key: int, message_id: str = "a@x", size: int | None = 10) -> Evidence:
    return Evidence(message=MessageKey(key), message_id=message_id, size=size, internal_date=NOW)


def test_copies_are_found_one_for_one_though_they_are_alike() -> None:
    found = copies_found([evidence(1), evidence(2), evidence(3)], [row(5), row(6)])

    assert found == {1: 5, 2: 6}


def test_a_copy_of_another_size_or_date_is_none() -> None:
    assert copies_found([evidence(1)], [row(5, size=11), row(6, date=NOW + timedelta(seconds=1))]) == {}


def test_a_message_without_a_message_id_is_told_by_its_octets_only() -> None:
    one = evidence(1, message_id="")

    assert copies_found([one], [row(5, "")]) == {}
    assert alike(one, [row(6, ""), row(5, ""), row(7), row(8, "", 11)]) == [5, 6]


def test_a_copy_is_looked_for_among_what_is_new_and_was_not_listed_before() -> None:
    late = replace(evidence(1), since=6)
    listed = replace(evidence(2), after=20)

    assert copies_found([evidence(3), late], [row(5), row(6)]) == {1: 6, 3: 5}
    assert copies_found([late], [row(5)]) == {}
    assert copies_found([listed], [row(5), row(6)], {Uid(5): MessageKey(20), Uid(6): MessageKey(21)}) == {2: 6}
    assert worth_reading(late, [row(5), row(7)]) == [7]


def test_of_messages_that_look_alike_so_many_as_were_known_are_no_newcomers() -> None:
    found = newcomers([row(7), row(6), row(5), row(8, size=11)], {("a@x", 10): 2, ("b@x", 10): 1})

    assert [one.uid for one in found] == [7, 8]


def test_what_was_rewritten_on_arrival_is_read_and_so_is_what_was_given_a_name() -> None:
    assert worth_reading(evidence(1), [row(5, size=99), row(6)]) == [6, 5]
    nameless = evidence(1, message_id="")
    assert worth_reading(nameless, [row(5, "new@y", 99), row(6, "")]) == [6, 5]
    assert worth_reading(nameless, [row(5, "", 9), row(6, "", 2_011)]) == []


@pytest.mark.parametrize(
    ("theirs", "same"),
    [
        (b"A: b\r\nC: d\r\n\r\nhello", True),
        (b"X: y\nA: b\nC: d\n\nhello\n", True),
        (b"A:\n b\nC: d\n\nhello", True),
        (b"A: b\r\nC: d\r\n\r\nhallo", False),
        (b"A: b\r\nC: other\r\n\r\nhello", False),
        (b"A: b\r\n\r\nhello", False),
    ],
)
def test_ours_is_what_has_every_field_of_ours_and_the_same_text(theirs: bytes, same: bool) -> None:
    assert same_mail(b"A: b\r\nC: d\r\n\r\nhello", theirs) is same


def test_a_message_without_a_header_may_be_given_one() -> None:
    assert same_mail(b"\r\nhello", b"X: y\r\n\r\nhello")
    assert not same_mail(b"\r\nhello", b"X: y\r\n\r\nhallo")


def test_flags_merge_one_by_one() -> None:
    assert merged({"\\Seen"}, {"\\Seen", "work"}, {"\\Flagged"}) == {"\\Flagged", "work"}
    assert delta({"a"}, {"A"}) == FlagDelta()
    assert applied({"Work"}, {"WORK"}, ()) == {"Work"}


def test_reading_is_no_work() -> None:
    assert not worked_on(frozenset(), frozenset({"\\Seen"}))
    assert worked_on(frozenset({"\\Seen"}), frozenset({"\\Seen", "\\Answered"}))


def test_every_case_that_leaves_a_choice_says_which_and_names_its_conflict() -> None:
    for (here, there), case in TABLE.items():
        assert case.outcome.endswith("."), (here, there)
        assert case.kind is not None or not case.choices, (here, there)
        assert case.done not in case.choices
    assert {here for here, _ in TABLE} == set(Here)
    assert {there for _, there in TABLE} == set(There)


def named(id: int, name: str, path: str) -> FolderFact:
    return FolderFact(id=FolderId(id), name=name.encode(), path=FolderPath.parse(path))


def renamed(id: int, folder: int, was: str) -> Operation:
    kind, path = OperationKind.RENAME_FOLDER, FolderPath.parse(was)
    return wanted(kind, id=id, folder=FolderId(folder), message=None, path=path)


def test_names_on_the_server_are_those_here_with_all_renames_undone() -> None:
    facts = [named(1, "A", "B"), named(2, "B", "A"), named(3, "A/x", "C"), named(4, "A/x/y", "C/y"), named(5, "", "D")]
    names = naming(facts, [renamed(1, 1, "A"), renamed(2, 2, "B"), renamed(3, 1, "Tmp"), renamed(4, 3, "B/x")])

    assert {int(id): str(path) for id, path in names.there.items()} == {1: "A", 2: "B", 3: "A/x", 4: "A/x/y"}
    assert [int(fact.id) for fact in names.below(facts[0])] == [3, 4]


def test_a_folder_waits_for_a_name_that_another_one_is_to_give_up_and_goes_by_the_one_it_had_between() -> None:
    facts = [named(1, "A", "B"), named(2, "B", "A")]

    assert naming(facts, [renamed(1, 1, "A"), renamed(2, 2, "B")]).next_step(facts[0]) is None
    step = naming(facts, [renamed(1, 1, "A"), renamed(2, 2, "B"), renamed(3, 1, "Tmp")]).next_step(facts[0])
    assert step == (FolderPath(("Tmp",)), None)


def test_a_name_that_stays_another_ones_is_asked_for_and_the_server_says_no() -> None:
    facts = [named(1, "A", "B"), named(2, "B", "B")]

    assert naming(facts, [renamed(1, 1, "A")]).next_step(facts[0]) == (FolderPath(("B",)), None)
    between = naming(
        [named(1, "A", "C"), named(2, "B", "B"), named(3, "C", "D")], [renamed(1, 1, "A"), renamed(2, 1, "B")]
    )
    assert between.next_step(between.facts[FolderId(1)]) == (FolderPath(("C",)), None)


def test_nothing_goes_below_itself_or_below_what_is_not_there_yet() -> None:
    facts = [named(1, "Work", "Work/Old/in"), named(4, "", "Work/Old"), named(5, "", "Work")]
    names = naming(facts, [renamed(1, 1, "Work")])

    assert names.next_step(facts[0]) is None
    assert not any(names.may_be_created(fact) for fact in facts[1:])
    assert str(names.made_up(facts[0])) == "Work~"
    swapped = [named(1, "A", "A/x"), named(2, "A/x", "A")]
    assert naming(swapped, [renamed(1, 2, "A/x"), renamed(2, 1, "A")]).next_step(swapped[0]) is None
