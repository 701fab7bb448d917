"""The scenarios see what they are there to see: each fault that is planted into the product makes one of them fail."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from provider import rounds
from provider.replay import answers, collapse, lost, planning, reconsider, recover, runner, tree, uploading
from provider.replay.context import ReplayContext
from provider.replay.naming import Naming
from provider.sources.imap import transferring
from provider.sources.imap.commands import Command
from provider.sources.memory.writing import MemoryWriter
from store.editing import Editing
from store.settling import Settling
from store.sql import outward, rows

from ..servers.dovecot import DovecotAccount
from .notation import scenarios
from .play import play
from .servers import DovecotFar, MemoryFar
from .stops import Stops

BY_ID = {one.id: one for one in scenarios()}
Patch = Callable[[pytest.MonkeyPatch], None]


def instead(room: object, name: str, fault: Any) -> Patch:
    """Put *fault* where *name* is. Raises AttributeError for what is not there any more."""
    return lambda patch: patch.setattr(room, name, fault)


def around(room: object, name: str, fault: Callable[..., Any]) -> Patch:
    """Let *fault* be called in place of *name*, with that before its arguments."""

    def planted(patch: pytest.MonkeyPatch) -> None:
        real = getattr(room, name)
        patch.setattr(room, name, lambda *arguments, **more: fault(real, *arguments, **more))

    return planted


def nothing(*arguments: object, **more: object) -> None:
    """Do nothing."""


def without(**changes: Any) -> Callable[..., Any]:
    """Build a value with some of its fields changed."""
    return lambda real, **told: real(**{**told, **changes})


def twice(real: Callable[..., Any], *arguments: Any) -> Any:
    list(real(*arguments))
    return real(*arguments)


def first_target(real: Callable[..., Any], operations: Any) -> Any:
    found = real(operations)
    moves = [one.target_id for one in operations if one.target_id is not None]
    return replace(found, target=moves[0]) if moves and not found.deleted else found


@dataclass(frozen=True, slots=True)
class Fault:
    """What is planted, and the scenario that has to see it; *stopped*: where it is stopped at every place."""

    plant: Patch
    scenario: str
    stopped: bool = False


FAULTS = {
    "no flag is sent": Fault(around(planning, "wishes_of", lambda real, context: []), "grid: flag x nothing"),
    "no flag is taken away": Fault(around(runner, "Mark", without(remove=frozenset())), "grid: unread x nothing"),
    "flags are set, not merged": Fault(
        instead(rows, "merged", lambda base, local, told: frozenset(local)), "grid: flag x answer"
    ),
    "a message is added twice": Fault(around(MemoryWriter, "append", twice), "append: a draft"),
    "what was added is sent without its date": Fault(
        around(uploading, "Upload", without(internal_date=None)), "append: a sent copy"
    ),
    "a move is a copy": Fault(around(runner, "Transfer", without(move=False)), "grid: move-a x nothing"),
    "a move goes where it was wanted first": Fault(
        around(collapse, "net", first_target),
        "chains: a move of a move",
    ),
    "two copies of one message are one": Fault(
        instead(runner, "_each_once", lambda jobs: [list(jobs)]), "chains: copied twice into the same folder"
    ),
    "what arrived is taken for gone": Fault(
        instead(Settling, "arrived", lambda self, ids, arrivals: self.gone(ids, "gone")), "grid: move-a x nothing"
    ),
    "an answer is not settled": Fault(instead(Settling, "arrived", nothing), "append: an import of twenty"),
    "the guard sleeps": Fault(
        instead(runner, "too_many_deletions", lambda jobs: []), "guards: fifty-one removed are held"
    ),
    "the guard of folders sleeps": Fault(
        instead(tree, "whole_folder", lambda folder: ""), "guards: a folder with mail deleted is held"
    ),
    "nobody looks before a removal": Fault(instead(runner, "reconsider", nothing), "grid: remove x answer"),
    "reading counts as work": Fault(
        instead(reconsider, "worked_on", lambda before, now: before != now), "grid: remove x unread"
    ),
    "what is lost is not decided": Fault(
        instead(rounds, "decide_lost", lambda context: False), "grid: move-a x remove"
    ),
    "where a message went is not looked for": Fault(
        instead(outward, "came_since", lambda connection, key, after: None), "grid: move-a x move-b"
    ),
    "a conflict is not kept": Fault(instead(Settling, "conflict", nothing), "grid: move-a x move-b"),
    "nothing is told": Fault(instead(ReplayContext, "warn", nothing), "grid: flag x remove"),
    "a refusal is not rolled back": Fault(
        around(Settling, "refuse", lambda real, *told, **more: real(*told, **{**more, "keep": True})),
        "refusals: a folder that nobody may change: what was moved out of it comes back",
    ),
    "what is refused for now is refused for good": Fault(
        instead(Settling, "later", lambda self, ids, when, reason, text="": self.refuse(ids, reason, text)),
        "refusals: no room for new mail, then there is",
    ),
    "a target that is gone is not created again": Fault(
        instead(answers.Answers, "to_create", lambda self: []), "append: into a folder that others deleted"
    ),
    "a target that is gone is not looked for": Fault(
        instead(runner, "renamed_there", lambda *about: None), "append: into a folder that others renamed"
    ),
    "a folder is renamed to its last name at once": Fault(
        instead(Naming, "next_step", lambda names, folder: (folder.path, None)),
        "folders: two names exchanged here",
    ),
    "no name is made up for folders that wait for each other's": Fault(
        instead(tree, "_make_up", nothing), "folders: renamed here to lie below a new one of its old name"
    ),
    "a removal in doubt is taken for failed": Fault(
        instead(recover, "look_for_removed", lambda *about: ([], [id for one in about[-1] for id in one.operations])),
        "append: a draft replaced",
        stopped=True,
    ),
    "undo does nothing": Fault(instead(Editing, "undo", nothing), "chains: a move taken back"),
    "the trash is a folder like others": Fault(
        instead(lost, "_is_trash", lambda *about: False), "grid: trash x remove"
    ),
    "flags that the server does not keep stay here": Fault(
        instead(Settling, "unmark", nothing), "refusals: a keyword that the folder does not keep is taken back"
    ),
    "an attempt is not journaled": Fault(
        instead(Settling, "attempt", lambda self, ids, epoch, uid_next: frozenset(ids)),
        "append: a sent copy",
        stopped=True,
    ),
    "doubt is taken for failure": Fault(
        instead(recover, "worth_reading", lambda *about: []), "append: an import of twenty", stopped=True
    ),
    "doubt is not resolved": Fault(instead(runner, "recover", nothing), "grid: move-a x nothing", stopped=True),
    "a copy that came is not found": Fault(
        instead(recover, "copies_found", lambda *about: {}), "grid: copy-a x nothing", stopped=True
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_seen(fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.plant(monkeypatch)
    with pytest.raises(AssertionError):
        meet(fault, tmp_path)


def meet(fault: Fault, room: Path) -> None:
    """Play what has to see the fault."""
    if not fault.stopped:
        return play(BY_ID[fault.scenario], MemoryFar(), room / "mail.db")
    stops = Stops(BY_ID[fault.scenario], room)
    for picture in stops.pictures():
        stops.carry_on(picture, whole=False)
    return None


@pytest.mark.servers
def test_a_plain_expunge_is_seen_on_a_dovecot(
    dovecot_profiles: Callable[..., DovecotAccount], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = transferring.Removal.of

    def plain(desk: Any, uids: Any) -> Any:
        return [replace(one, expunge=Command((b"EXPUNGE",))) for one in real(desk, uids)]

    monkeypatch.setattr(transferring.Removal, "of", plain)
    far = DovecotFar(dovecot_profiles())
    scenario = BY_ID["chains: mail that others marked as deleted stays when its neighbour is removed"]
    with pytest.raises(AssertionError):
        play(scenario, far, tmp_path / "mail.db")
    far.close()


def test_there_are_faults_enough() -> None:
    assert len(FAULTS) + 1 >= 20
