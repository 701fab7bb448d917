"""One suite for every handler: what the manager may expect of a plug-in, tried through the manager itself.

    from provider.testing.conformance import CHECKS, Subject, check

    class Notes(Subject):
        def make(self): return NotesHandler(self.folder)

    @pytest.mark.parametrize("name", CHECKS)
    def test_the_notes_handler_conforms(name, tmp_path):
        check(name, Notes(tmp_path))

A check raises AssertionError with what is wrong, SkipTest where the subject is not able to do what it takes.
"""

from collections.abc import Callable
from datetime import datetime

from ..callback import CancelRequest
from ..errors import UnknownItem
from ..events import ItemStatus, Severity
from ..manager.handlers.conflicts import Abilities, ConflictInfo, Resolution
from ..manager.handlers.handler import (
    ID_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    TEXT_CHARACTERS_MAX,
    HandlerInfo,
    Item,
    ItemId,
)
from ..manager.handlers.notices import Subject as About
from ..manager.handlers.progress import SessionResult
from ..manager.handlers.session import Session
from ..manager.handlers.views import Standing
from ..request import Trigger
from .handler_rig import Step, Subject, Witness, at_work

__all__ = ["CHECKS", "Subject", "check"]

ENDS = {
    ItemStatus.SUCCEEDED,
    ItemStatus.FAILED,
    ItemStatus.CANCELED,
    ItemStatus.SKIPPED,
    ItemStatus.DISCONNECTED,
    ItemStatus.REMOVED,
}


def check(name: str, subject: Subject) -> None:
    """Try one of ``CHECKS`` on *subject*, and close it."""
    try:
        _CHECKS[name](subject)
    finally:
        subject.close()


def _tells_what_it_is(subject: Subject) -> None:
    info = subject.make().info()
    assert isinstance(info, HandlerInfo), "info() returns a HandlerInfo"
    assert info.name, "a handler without a name is hidden, and never invoked"
    assert _fits(info.name, NAME_CHARACTERS_MAX), "its name is not fit to be shown"
    assert all(rule.reason for rule in info.rules)


def _items_are_stable(subject: Subject) -> None:
    first, second = ([*subject.make().items()] for _ in range(2))
    assert all(isinstance(one, Item) for one in first), "items() returns Items"
    ids = [one.id for one in first]
    assert ids == [one.id for one in second], "another process sees other ids, or another order"
    assert len(set(ids)) == len(ids), "two items have one id"
    for one in first:
        assert _fits(one.id, ID_CHARACTERS_MAX), f"{one.id!r} is no id"
        assert _fits(one.name, NAME_CHARACTERS_MAX), f"{one.id} has no name that is fit to be shown"


def _goes_through_its_sequence(subject: Subject) -> None:
    with at_work(subject) as (center, id, witness):
        result = _run(center.sync(id), subject)
        assert witness.calls == ["accepts", "prepare", "synchronize"], (
            f"it was called in another order: {witness.calls}"
        )
        assert ItemStatus.SUCCEEDED in {one.status for one in result.items}, f"nothing succeeded: {_ends(result)}"
        _proper(result, witness)


def _runs_again(subject: Subject) -> None:
    with at_work(subject) as (center, id, witness):
        first = _run(center.sync(id), subject)
        subject.change()
        witness.steps.clear()
        second = _run(center.sync(id), subject)
        assert {one.item for one in first.items} <= {one.item for one in second.items}
        _proper(second, witness)


def _leaves_alone_what_was_not_chosen(subject: Subject) -> None:
    with at_work(subject) as (center, id, witness):
        _run(center.sync(id), subject)
        chosen = center.handler(id).items[-1].id
        witness.steps.clear()
        result = _run(center.sync(id, [chosen]), subject)
        assert {one.item for one in result.items} == {chosen}, "it took in what nobody chose"
        _proper(result, witness)


def _hears_every_trigger(subject: Subject) -> None:
    with at_work(subject) as (center, id, witness):
        for trigger in Trigger:
            sessions = center.sync(id, trigger=trigger)
            if sessions:
                _proper(_run(sessions, subject), witness)
            witness.steps.clear()


def _never_asks_without_permission(subject: Subject) -> None:
    subject.ask()
    asked: list[str] = []

    def prompter(question: str, secret: bool) -> str | None:
        asked.append(question)
        return None

    with at_work(subject, prompter=prompter) as (center, id, _):
        result = _run(center.sync(id, trigger=Trigger.SCHEDULED), subject)
        assert asked == [], "it asked a person although nobody started it"
        assert result.status in ENDS


def _asks_while_it_prepares(subject: Subject) -> None:
    subject.ask()
    asked: list[tuple[str, bool]] = []

    def prompter(question: str, secret: bool) -> str | None:
        asked.append((question, "synchronize" in witness.calls))
        return "yes"

    with at_work(subject, prompter=prompter) as (center, id, witness):
        result = _run(center.sync(id), subject)
        assert [late for _, late in asked[:1]] == [False], "it did not ask, or not while it prepared"
        assert ItemStatus.SUCCEEDED in {one.status for one in result.items}


def _stops_when_all_is_cancelled(subject: Subject) -> None:
    subject.hold()
    with at_work(subject) as (center, id, witness):
        sessions = center.sync(id)
        subject.wait_held()
        center.cancel()
        result = _run(sessions, subject)
        assert result.status is ItemStatus.CANCELED, f"it went on: {_ends(result)}"
        assert "stop" not in result.text, "it had to be given up"
        _proper(result, witness)


def _stops_one_item_and_goes_on_with_the_others(subject: Subject) -> None:
    subject.hold()
    with at_work(subject) as (center, id, witness):
        sessions = center.sync(id)
        held = subject.wait_held()
        center.cancel(id, [held])
        subject.let_go()
        result = _run(sessions, subject)
        ends = _ends(result)
        assert ends.pop(held) is ItemStatus.CANCELED, "the cancelled item went on"
        assert ItemStatus.SUCCEEDED in ends.values(), f"the others were stopped, too: {ends}"
        _proper(result, witness)


def _takes_over_or_leaves_what_is_asked_for_meanwhile(subject: Subject) -> None:
    subject.hold()
    with at_work(subject) as (center, id, _):
        everything = [one.id for one in center.handler(id).items]
        first = center.sync(id, everything[:1])
        subject.wait_held()
        second = center.sync(id, everything[1:])
        subject.let_go()
        assert _run(first, subject).status is ItemStatus.SUCCEEDED
        assert set(_ends(_run(second, subject))) >= set(everything[1:]), "what was asked for meanwhile got lost"


def _skips_what_a_person_took_out(subject: Subject) -> None:
    with at_work(subject) as (center, id, witness):
        _run(center.sync(id), subject)
        chosen = center.handler(id).items[-1].id
        center.enable(id, False, chosen)
        subject.change()
        witness.steps.clear()
        result = _run(center.sync(id), subject)
        assert all(one.item != chosen or one.status is ItemStatus.SKIPPED for one in result.items), (
            "it was not left alone"
        )
        center.enable(id, True, chosen)
        assert chosen in _ends(_run(center.sync(id), subject))


def _outlives_an_item_that_is_gone(subject: Subject) -> None:
    with at_work(subject) as (center, id, _):
        _run(center.sync(id), subject)
        lost = subject.lose()
        ends = _ends(_run(center.sync(id), subject))
        assert lost not in ends or ends[lost] in ENDS - {ItemStatus.SUCCEEDED}, "it succeeded with what is not there"
        assert ItemStatus.SUCCEEDED in ends.values(), "what is gone took the others along"


def _fails_one_item_and_says_so(subject: Subject) -> None:
    broken = subject.fail()
    with at_work(subject) as (center, id, witness):
        result = _run(center.sync(id), subject)
        ends = _ends(result)
        assert ends.pop(broken) in (ItemStatus.FAILED, ItemStatus.DISCONNECTED), "what failed is not told as failed"
        assert ItemStatus.SUCCEEDED in ends.values(), f"one failure took the others along: {ends}"
        assert result.errors > 0, "no event says why"
        events = center.events(id, level=Severity.ERROR)
        assert any(one.name for one in events), "the error cannot be looked up"
        _proper(result, witness)


def _finds_new_items(subject: Subject) -> None:
    with at_work(subject) as (center, id, witness):
        _run(center.sync(id), subject)
        before = {one.id for one in center.handler(id).items}
        subject.grow()
        witness.steps.clear()
        result = _run(center.sync(id), subject)
        new = {one.id for one in center.handler(id).items} - before
        assert new, "what is new did not become an item"
        assert new & set(_ends(result)), "what is new did not join the session that found it"
        _proper(result, witness)


def _tells_when_it_was_in_step(subject: Subject) -> None:
    with at_work(subject) as (center, id, _):
        result = _run(center.sync(id), subject)
        view = center.handler(id)
        assert view.standing is Standing.READY, f"it stands as {view.standing}: {view.fault}"
        for one in result.items:
            item = view.item(one.item)
            if one.status is ItemStatus.SUCCEEDED and item is not None:
                assert _aware(item.last_sync), "nobody knows when it was in step"


def _shows_conflicts_and_resolves_them(subject: Subject) -> None:
    subject.conflict()
    with at_work(subject) as (center, id, _):
        found = center.conflicts(id)
        assert len(found) >= 2, "there are no two conflicts"
        assert found == center.conflicts(id), "conflicts come and go by themselves"
        assert len({one.id for _, one in found}) == len(found)
        first = found[0][1]
        assert len(first.versions) >= 2
        assert first.detected_at.tzinfo
        assert first.name
        for _, one in found[1:]:
            assert one.abilities & first.abilities, "the subject's conflicts cannot be decided in one way"
        way = _way(first)
        before = center.notices.number
        done = center.resolve(id, first.id, way)
        assert done == (first.id,), "it was not resolved"
        assert any(one.subject is About.CONFLICTS for one in center.notices.since(before)), "nobody was told"
        left = [one.id for _, one in center.conflicts(id)]
        assert left == [one.id for _, one in found[1:]], "another one is gone, or this one stays"
        center.resolve(id, left[0], way, to_all=True)
        assert center.conflicts(id) == ()
        try:
            center.resolve(id, first.id, way)
        except UnknownItem:
            return
        raise AssertionError("a conflict that is gone was resolved again")


def _way(conflict: ConflictInfo) -> Resolution:
    for way, keep in (
        (Abilities.KEEP_SINGLE, (0,)),
        (Abilities.KEEP_RECENT, ()),
        (Abilities.KEEP_MULTIPLE, (0, 1)),
        (Abilities.REMOVE, ()),
        (Abilities.KEEP_OTHER, ()),
    ):
        if way & conflict.abilities:
            return Resolution(way=way, keep=keep)
    raise AssertionError("a conflict can be decided in some way")


def _run(sessions: tuple[Session, ...], subject: Subject) -> SessionResult:
    assert len(sessions) == 1, "nothing was started"
    return sessions[0].wait(subject.guard_seconds)


def _ends(result: SessionResult) -> dict[ItemId, ItemStatus]:
    return {one.item: one.status for one in result.items}


def _proper(result: SessionResult, witness: Witness) -> None:
    """Everything ended, and was told as the grammar wants it: before it began, upwards, one end."""
    assert not result.faults, f"the manager did not believe it: {result.faults}"
    assert not [one for one in result.items if one.status not in ENDS], f"not everything ended: {_ends(result)}"
    for item in {one.item for one in witness.steps}:
        steps = witness.of(item)
        said = [number for number, one in enumerate(steps) if one.status in ENDS]
        assert said in ([], [len(steps) - 1]), f"{item} went on after its end: {_said(steps)}"
        done = [one.step for one in steps if one.step is not None]
        assert done == sorted(done), f"{item} ran backwards: {done}"
        totals = [one.steps for one in steps if one.steps is not None]
        assert totals == sorted(totals), f"the total of {item} shrinks: {totals}"
        assert all((one.step or 0) <= one.steps for one in steps if one.steps is not None), f"{item} passed its end"
        assert all(len(one.text) <= TEXT_CHARACTERS_MAX for one in steps), f"a text of {item} is too long"
        stopped = [number for number, one in enumerate(steps) if one.answer is CancelRequest.ALL]
        assert not stopped or len(steps) - stopped[0] <= 50, f"{item} went on for long after it was told to stop"


def _fits(text: str, characters_max: int) -> bool:
    return 0 < len(text) <= characters_max and text.isprintable()


def _aware(at: datetime | None) -> bool:
    return at is not None and at.tzinfo is not None


def _said(steps: list[Step]) -> list[str]:
    return [one.status.value for one in steps]


_CHECKS: dict[str, Callable[[Subject], None]] = {
    one.__name__.strip("_").replace("_", " "): one
    for one in (
        _tells_what_it_is,
        _items_are_stable,
        _goes_through_its_sequence,
        _runs_again,
        _leaves_alone_what_was_not_chosen,
        _hears_every_trigger,
        _never_asks_without_permission,
        _asks_while_it_prepares,
        _stops_when_all_is_cancelled,
        _stops_one_item_and_goes_on_with_the_others,
        _takes_over_or_leaves_what_is_asked_for_meanwhile,
        _skips_what_a_person_took_out,
        _outlives_an_item_that_is_gone,
        _fails_one_item_and_says_so,
        _finds_new_items,
        _tells_when_it_was_in_step,
        _shows_conflicts_and_resolves_them,
    )
}

CHECKS = tuple(_CHECKS)
"""The names of all checks, each a sentence about a handler that behaves."""
