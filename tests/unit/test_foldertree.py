"""The folder tree: which listed folder is which known one."""

from dataclasses import replace

import pytest

from provider.engine.foldertree import KnownFolder, plan_tree
from provider.sources.base import FolderListing, FolderStatus, RemoteFolder
from store.mail import FolderId, FolderPath, Role, UidValidity


def known(id: int, name: str, epoch: int = 1, uid_next: int = 5, messages: int = 4, **more: object) -> KnownFolder:
    made = KnownFolder(id=FolderId(id), name=name.encode(), epoch=epoch, uid_next=uid_next, messages=messages)
    return replace(made, **more)  # type: ignore[arg-type]


def listed(
    name: str, epoch: int = 1, uid_next: int = 5, messages: int = 4, object_id: str | None = None
) -> RemoteFolder:
    status = FolderStatus(uid_validity=UidValidity(epoch), uid_next=uid_next, messages=messages)
    return RemoteFolder(name=name.encode(), path=FolderPath((name,)), status=status, object_id=object_id)


def listing(*folders: RemoteFolder, complete: bool = True) -> FolderListing:
    return FolderListing(folders=folders, complete=complete)


INBOX = known(1, "INBOX", epoch=100, role=Role.INBOX)
INBOX_THERE = listed("INBOX", epoch=100)


def test_the_same_names_are_the_same_folders_and_new_ones_are_added() -> None:
    plan = plan_tree([INBOX, known(2, "a", epoch=7)], listing(INBOX_THERE, listed("a", epoch=7), listed("b", epoch=9)))
    assert [id for id, _ in plan.kept] == [1, 2]
    assert [remote.name for remote in plan.added] == [b"b"]
    assert plan.renamed == frozenset()


def test_a_renamed_folder_is_found_by_its_object_id_whatever_its_numbers_say() -> None:
    plan = plan_tree(
        [INBOX, known(2, "a", epoch=7, object_id="F1")], listing(INBOX_THERE, listed("b", epoch=99, object_id="F1"))
    )
    assert plan.renamed == {2}
    assert plan.added == ()
    assert plan.gone == ()


def test_a_renamed_folder_is_found_by_a_unique_match_of_its_numbers() -> None:
    plan = plan_tree(
        [INBOX, known(2, "old", epoch=7, uid_next=31, messages=12)],
        listing(INBOX_THERE, listed("new", epoch=7, uid_next=31, messages=12)),
    )
    assert [(id, remote.name) for id, remote in plan.kept] == [(1, b"INBOX"), (2, b"new")]


def test_numbers_that_two_folders_share_prove_nothing() -> None:
    plan = plan_tree([INBOX, known(2, "x", epoch=7)], listing(INBOX_THERE, listed("y", epoch=7), listed("z", epoch=7)))
    assert {remote.name for remote in plan.added} == {b"y", b"z"}
    assert plan.gone == (2,)


def test_two_folders_that_swapped_their_names_are_told_apart_by_their_numbers() -> None:
    plan = plan_tree(
        [INBOX, known(2, "a", epoch=7), known(3, "b", epoch=8)],
        listing(INBOX_THERE, listed("a", epoch=8), listed("b", epoch=7)),
    )
    assert {(id, remote.name) for id, remote in plan.kept} == {(1, b"INBOX"), (2, b"b"), (3, b"a")}


def test_a_folder_recreated_under_its_name_stays_the_folder_and_survives_by_content() -> None:
    plan = plan_tree(
        [INBOX, known(2, "a", epoch=7)], listing(INBOX_THERE, listed("a", epoch=8, uid_next=1, messages=0))
    )
    assert [id for id, _ in plan.kept] == [1, 2]
    assert plan.renamed == frozenset()


def test_names_that_differ_in_case_only_are_two_folders() -> None:
    plan = plan_tree(
        [INBOX, known(2, "work", epoch=7)], listing(INBOX_THERE, listed("Work", epoch=9), listed("work", epoch=7))
    )
    assert [remote.name for remote in plan.added] == [b"Work"]


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (listing(), "INBOX"),
        (listing(listed("a")), "INBOX"),
        (listing(INBOX_THERE, complete=False), "whole"),
        (listing(INBOX_THERE), "8 of 9"),
    ],
)
def test_a_listing_that_forgets_too_much_is_not_believed(there: FolderListing, why: str) -> None:
    folders = [INBOX, *(known(id, f"f{id}", epoch=id) for id in range(2, 10))]
    plan = plan_tree(folders, there)
    assert plan.gone == ()
    assert why in plan.suspicious
    assert len(plan.missing) >= 8


def test_a_folder_missed_by_two_runs_is_gone_even_when_much_is_missing() -> None:
    folders = [INBOX, *(known(id, f"f{id}", epoch=id, missing=True) for id in range(2, 10))]
    assert len(plan_tree(folders, listing(INBOX_THERE)).gone) == 8


def test_one_deleted_folder_is_gone() -> None:
    plan = plan_tree(
        [INBOX, known(2, "a", epoch=7), known(3, "b", epoch=8)], listing(INBOX_THERE, listed("b", epoch=8))
    )
    assert plan.gone == (2,)
    assert plan.suspicious == ""
