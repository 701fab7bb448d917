"""The center: its verbs, its sessions, and what a handler that does not behave can do to it: nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from provider.callback import CancelRequest
from provider.errors import Cancelled, InvalidRequest, UnknownItem
from provider.events import ItemStatus, Severity
from provider.manager.handlers.center import Refused, SyncCenter
from provider.manager.handlers.handler import HandlerId, HandlerInfo, Item, ItemId, SessionCallback
from provider.manager.handlers.masks import HandlerCan, HandlerPolicy, HandlerRule, ItemCan, ItemPolicy, Verb
from provider.manager.handlers.notices import Subject
from provider.manager.handlers.progress import Patience, SessionState
from provider.manager.handlers.registry import HandlerRegistry
from provider.manager.handlers.reporting import PromptRefused
from provider.manager.handlers.views import Standing
from provider.request import Trigger
from provider.testing import ManualClock

from .handlers import GUARD_SECONDS, Gate, Good

SOON = Patience(answer_seconds=0.2)


@contextmanager
def center(*handlers: Any, **named: Any) -> Iterator[SyncCenter]:
    registry = HandlerRegistry(discover=False)
    for one in handlers:
        registry.register(one.id, lambda one=one: one)
    made = SyncCenter(registry, **{"patience": SOON, **named})
    try:
        yield made
    finally:
        made.stop()


def ends(session: Any) -> dict[str, str]:
    return {one.item: one.status.value for one in session.wait(GUARD_SECONDS).items}


def test_a_session_prepares_then_synchronizes_and_tells_its_result_once() -> None:
    good = Good()
    with center(good) as one:
        (session,) = one.sync("good")
        result = session.wait(GUARD_SECONDS)
        assert (result.status, result.errors, result.conflicts, result.faults) == (ItemStatus.SUCCEEDED, 0, 0, ())
        assert good.prepared == [("a", "b")] and good.began == ["a", "b"]
        assert [(item.step, item.steps) for item in session.items] == [(2, 2), (2, 2)]
        assert session.state is SessionState.COMPLETED and session.end(ItemStatus.FAILED) is False


def test_chosen_items_run_and_the_others_do_not() -> None:
    good = Good()
    with center(good) as one:
        assert ends(one.sync("good", ["b"])[0]) == {"b": "succeeded"}
        assert good.began == ["b"]


def test_what_is_asked_for_while_a_handler_works_waits_in_one_session() -> None:
    gate = Gate()
    good = Good(work=gate)
    with center(good) as one:
        (first,) = one.sync("good", ["a"])
        gate.wait_reached()
        (second,), (third,) = one.sync("good", ["a"]), one.sync("good", ["b"])
        assert second is third and second.state is SessionState.QUEUED
        gate.open()
        assert ends(first) == {"a": "succeeded"}
        assert ends(second) == {"a": "succeeded", "b": "succeeded"}
        assert good.began == ["a", "a", "b"]


def test_what_is_at_work_is_left_out_when_the_caller_wants_to_skip_it() -> None:
    gate = Gate()
    good = Good(work=gate)
    with center(good) as one:
        (first,) = one.sync("good", ["a"])
        gate.wait_reached()
        assert one.sync("good", ["a"], if_busy="skip") == ()
        (second,) = one.sync("good", if_busy="skip")
        gate.open()
        assert ends(first) == {"a": "succeeded"} and ends(second) == {"b": "succeeded"}


def test_a_handler_takes_over_what_is_asked_for_meanwhile_and_both_askers_hear_how_it_went() -> None:
    gate = Gate()

    def work(session: SessionCallback, item: ItemId) -> None:
        gate(session, item)
        for other in session.take_over():
            session.progress(other, ItemStatus.SUCCEEDED, step=7, steps=7)
        assert session.take_over() == ()

    good = Good(work=work)
    with center(good) as one:
        (first,) = one.sync("good", ["a"])
        gate.wait_reached()
        (second,) = one.sync("good", ["b"])
        gate.open()
        assert ends(first) == {"a": "succeeded", "b": "succeeded"} and ends(second) == {"b": "succeeded"}
        assert len(good.prepared) == 1
        assert second.items[0].step == 7


def test_a_handler_that_can_has_several_sessions_at_once_and_never_two_with_one_item() -> None:
    gates = {"a": Gate(), "b": Gate()}
    good = Good(can=HandlerCan.CONCURRENT_SESSIONS, work=lambda session, item: gates[item](session, item))
    with center(good) as one:
        (first,), (second,) = one.sync("good", ["a"]), one.sync("good", ["b"])
        for gate in gates.values():
            gate.wait_reached()
        (third,) = one.sync("good", ["a"])
        assert third.state is SessionState.QUEUED
        for gate in gates.values():
            gate.open()
        assert [ends(session) for session in (first, second, third)] == [
            {"a": "succeeded"},
            {"b": "succeeded"},
            {"a": "succeeded"},
        ]


def test_one_item_is_cancelled_and_the_others_go_on_and_all_is_cancelled_when_all_is_meant() -> None:
    gate = Gate()
    with center(Good(work=gate)) as one:
        (session,) = one.sync("good")
        gate.wait_reached()
        gate.reached.clear()
        one.cancel("good", ["a"])
        gate.wait_reached()
        one.cancel()
        assert ends(session) == {"a": "canceled", "b": "canceled"}
        (session,) = one.sync("good")
        gate.reached.clear()
        one.cancel("good", ["b"])
        gate.open()
        assert ends(session)["b"] == "canceled"


def test_what_waits_is_cancelled_without_ever_beginning() -> None:
    gate = Gate()
    good = Good(work=gate)
    with center(good) as one:
        one.sync("good", ["a"])
        gate.wait_reached()
        (second,) = one.sync("good", ["b"])
        second.cancel(["b"])
        assert ends(second) == {"b": "canceled"} and second.result.status is ItemStatus.CANCELED
        gate.open()
        assert "b" not in good.began


def test_an_item_that_a_person_skips_while_it_prepares_is_left_alone() -> None:
    gate = Gate()
    good = Good(ready=lambda session: (gate.reached.set(), gate._go.wait(GUARD_SECONDS), None)[2])
    with center(good) as one:
        (session,) = one.sync("good")
        gate.wait_reached()
        session.skip(["a"])
        gate.open()
        assert ends(session) == {"a": "skipped", "b": "succeeded"} and good.began == ["b"]
        assert session.result.status is ItemStatus.SUCCEEDED


def test_a_question_is_put_while_a_session_prepares_and_only_when_a_person_started_it() -> None:
    heard: list[str] = []

    def ready(session: SessionCallback) -> None:
        heard.append(str(session.prompt("Your name?")) if session.may_prompt else "nobody")

    def work(session: SessionCallback, item: ItemId) -> None:
        with pytest.raises(PromptRefused):
            session.prompt("Too late?")
        session.progress(item, ItemStatus.SUCCEEDED)

    with center(Good(ready=ready, work=work), prompter=lambda question, secret: question.lower()) as one:
        for named in ({}, {"no_ui": True}, {"trigger": Trigger.SCHEDULED}):
            assert one.sync("good", **named)[0].wait(GUARD_SECONDS).status is ItemStatus.SUCCEEDED
    assert heard == ["your name?", "nobody", "nobody"]


def test_a_handler_that_asks_without_permission_fails_cleanly_and_says_why() -> None:
    with center(Good(ready=lambda session: void(session.prompt("?")))) as one:
        result = one.sync("good", trigger=Trigger.IDLE)[0].wait(GUARD_SECONDS)
        assert (result.status, result.errors) == (ItemStatus.FAILED, 1)
        assert "Nobody may be asked" in one.events()[0].description


def test_one_question_at_a_time_in_the_whole_process() -> None:
    asking, most, lock = [0], [0], threading.Lock()

    def prompter(question: str, secret: bool) -> str | None:
        with lock:
            asking[0] += 1
            most[0] = max(most[0], asking[0])
        threading.Event().wait(0.02)
        with lock:
            asking[0] -= 1
        return None

    handlers = [Good(id=HandlerId(f"h{n}"), ready=lambda session: void(session.prompt("?"))) for n in range(4)]
    with center(*handlers, prompter=prompter) as one:
        for session in one.sync():
            assert session.wait(GUARD_SECONDS).status is ItemStatus.SUCCEEDED
    assert most == [1]


def test_a_handler_declines_an_event_and_is_not_told_of_those_it_has_no_interest_in() -> None:
    declines = Good(takes=frozenset({Trigger.MANUAL}))
    deaf = Good(id=HandlerId("deaf"), info_=HandlerInfo(name="Deaf", triggers=frozenset({Trigger.MANUAL})))
    with center(declines, deaf) as one:
        (session,) = one.sync(trigger=Trigger.IDLE)
        assert session.handler == "good" and session.wait(GUARD_SECONDS).status is ItemStatus.SKIPPED
        assert declines.prepared == deaf.prepared == []


def test_a_cookie_goes_with_invoke_and_reaches_the_handler() -> None:
    seen: list[str] = []
    with center(Good(ready=lambda session: seen.append(session.cookie))) as one:
        one.sync("good", trigger=Trigger.INVOKE, cookie="7", wait=True)
        with pytest.raises(InvalidRequest):
            one.sync("good", cookie="7")
    assert seen == ["7"]


def test_new_items_are_proposed_then_committed_and_each_once() -> None:
    new = Item(id=ItemId("new"), name="New")

    def work(session: SessionCallback, item: ItemId) -> None:
        with pytest.raises(InvalidRequest):
            session.commit(new.id)
        with pytest.raises(InvalidRequest):
            session.propose(Item(id=item, name="again"))
        session.propose(new)
        assert one.handler("good").item(new.id) is None
        session.commit(new.id)
        with pytest.raises(InvalidRequest):
            session.add_item(new.id)
        with pytest.raises(UnknownItem):
            session.add_item(ItemId("nowhere"))
        session.progress(new.id, ItemStatus.SUCCEEDED)
        session.progress(item, ItemStatus.SUCCEEDED)
        known.append(one.handler("good").item(new.id))

    known: list[Any] = []
    with center(Good(names=("a",), work=work)) as one:
        assert ends(one.sync("good")[0]) == {"a": "succeeded", "new": "succeeded"}
        assert known[0].item == new


def test_a_policy_refuses_people_with_its_reason_and_lets_what_runs_by_itself_go_on() -> None:
    rule = HandlerRule(mask=HandlerPolicy.BACKGROUND_SYNC_ONLY, reason="By night only.")
    with center(Good(info_=HandlerInfo(name="Good", rules=(rule,)))) as one:
        for call in (lambda: one.sync("good"), lambda: one.cancel("good"), lambda: one.sync("good", ["a"])):
            with pytest.raises(Refused, match="By night only"):
                call()
        assert one.sync() == ()
        one.cancel()
        assert ends(one.sync("good", trigger=Trigger.SCHEDULED)[0]) == {"a": "succeeded", "b": "succeeded"}


def test_an_administrators_policy_is_kept_and_says_why() -> None:
    with center(Good()) as one:
        one.set_policy("good", ItemPolicy.PREVENT_START_SYNC | ItemPolicy.PREVENT_DISABLE, "It costs money.", "a")
        with pytest.raises(Refused, match="costs money"):
            one.sync("good", ["a"])
        with pytest.raises(Refused, match="costs money"):
            one.enable("good", False, "a")
        assert ends(one.sync("good")[0]) == {"b": "succeeded"}
        offer = one.handler("good").offer(Verb.START, one.handler("good").item(ItemId("a")))
        assert (offer.allowed, offer.shown, offer.reason) == (False, False, "It costs money.")
        with pytest.raises(InvalidRequest):
            one.set_policy("good", ItemPolicy.PREVENT_ENABLE, "", "a")
        with pytest.raises(InvalidRequest):
            one.set_policy("good", 0x40, "No such bit.")
        one.set_policy("good", 0, item="a")
        assert ends(one.sync("good", ["a"])[0]) == {"a": "succeeded"}


def test_inactive_is_not_set_up_and_disabled_is_shown_and_not_synchronized() -> None:
    with center(Good()) as one:
        one.activate("good", False)
        assert one.handler("good").standing is Standing.INACTIVE
        one.activate("good", True)
        one.enable("good", False)
        assert one.handler("good").standing is Standing.DISABLED
        with pytest.raises(Refused):
            one.sync("good")
        one.enable("good", True)
        one.enable("good", False, "a")
        assert ends(one.sync("good")[0]) == {"b": "succeeded"}
        with pytest.raises(Refused):
            one.sync("good", ["a"])
        with pytest.raises(Refused, match="cannot leave"):
            one.remove("good", "b")


def test_disabling_stops_what_runs() -> None:
    gate = Gate()
    with center(Good(work=gate)) as one:
        (session,) = one.sync("good")
        gate.wait_reached()
        one.enable("good", False)
        assert ends(session) == {"a": "canceled", "b": "canceled"}


def test_synchronizations_that_began_elsewhere_are_sessions_too() -> None:
    with center(Good()) as one:
        away = one.create_session(HandlerId("good"), [ItemId("a")], trigger=Trigger.SCHEDULED)
        (session,) = one.sessions()
        assert session.elsewhere and not session.manual
        away.manual()
        assert session.manual
        assert away.progress(ItemId("a"), step=1, steps=2) is None
        session.cancel(["a"])
        assert away.progress(ItemId("a")) is CancelRequest.ITEM
        away.progress(ItemId("a"), ItemStatus.CANCELED)
        away.finished()
        assert ends(session) == {"a": "canceled"} and one.sessions() == ()
        with pytest.raises(UnknownItem):
            one.create_session(HandlerId("good"), [ItemId("nowhere")])


def test_events_stay_until_the_next_synchronization_and_an_error_is_tried_again() -> None:
    fails = [True]

    def work(session: SessionCallback, item: ItemId) -> None:
        if fails[0]:
            session.report(Severity.ERROR, "Broken", "It\nbroke \x1b[31m", item=item, link="javascript:x")
            session.report(Severity.INFORMATION, "By the way", item=item)
        session.progress(item, ItemStatus.FAILED if fails[0] else ItemStatus.SUCCEEDED)

    with center(Good(names=("a",), work=work)) as one:
        assert one.sync("good")[0].wait(GUARD_SECONDS).errors == 1
        (error,) = one.events("good", level=Severity.ERROR)
        assert (error.item, error.description, error.link) == ("a", "It broke [31m", "")
        fails[0] = False
        (session,) = one.retry([error])
        assert ends(session) == {"a": "succeeded"} and one.events() == ()


def test_what_changed_is_announced_merged_and_pulled() -> None:
    with center(Good()) as one:
        one.sync("good", wait=True)
        before = one.notices.number
        (session,) = one.sync("good")
        session.wait(GUARD_SECONDS)
        assert one.notices.wait(before, GUARD_SECONDS)
        mine = [notice for notice in one.notices.since(before) if notice.subject is Subject.SESSION]
        assert [notice.session for notice in mine] == [session.number]
        assert one.notices.since(one.notices.number) == () or not one.notices.wait(one.notices.number, 0)


def test_a_handler_that_hangs_loses_its_session_and_holds_up_nobody_else() -> None:
    hang = threading.Event()
    clock = ManualClock()
    bad = Good(id=HandlerId("bad"), work=lambda session, item: void(reached.set(), hang.wait(GUARD_SECONDS)))
    reached = threading.Event()
    with center(bad, Good(), clock=clock) as one:
        hanging, good = one.sync()
        assert ends(good) == {"a": "succeeded", "b": "succeeded"}
        assert reached.wait(GUARD_SECONDS)
        (waits,) = one.sync("bad")
        clock.advance(SOON.silence_seconds + 1)
        one.step()
        assert ends(hanging) == {"a": "failed", "b": "failed"}
        assert ends(waits) == {"a": "failed", "b": "failed"}
        assert "hangs" in one.events("bad")[0].description
        with pytest.raises(Refused, match="still hangs"):
            one.sync("bad")
        hang.set()
        bad.work = None
        while one._bounds[HandlerId("bad")].given_up:
            threading.Event().wait(0.01)
        assert ends(one.sync("bad")[0]) == {"a": "succeeded", "b": "succeeded"}
        assert ends(hanging) == {"a": "failed", "b": "failed"}


def test_a_handler_that_does_not_stop_is_given_up_as_cancelled() -> None:
    hang, reached, clock = threading.Event(), threading.Event(), ManualClock()
    with center(Good(work=lambda session, item: void(reached.set(), hang.wait(GUARD_SECONDS))), clock=clock) as one:
        (session,) = one.sync("good")
        assert reached.wait(GUARD_SECONDS)
        one.cancel("good")
        clock.advance(SOON.stop_seconds + 1)
        one.step()
        assert ends(session) == {"a": "canceled", "b": "canceled"}
        hang.set()


def test_a_handler_that_raises_fails_its_items_and_its_words_are_not_told() -> None:
    def work(session: SessionCallback, item: ItemId) -> None:
        raise RuntimeError("password=hunter2")

    with center(Good(work=work), Good(id=HandlerId("other"))) as one:
        first, second = one.sync()
        assert ends(first) == {"a": "failed", "b": "failed"} and ends(second) == {"a": "succeeded", "b": "succeeded"}
        assert "hunter2" not in str(one.events()) + str(first.result)


def test_a_handler_that_lies_about_progress_is_not_believed() -> None:
    def work(session: SessionCallback, item: ItemId) -> None:
        session.progress(item, step=5, steps=10)
        session.progress(item, step=2, steps=3)
        assert session_of().items[0].step == 5 and session_of().items[0].steps == 10
        session.progress(item, step=99, steps=10)
        session.progress(item, ItemStatus.PENDING)
        session.progress(item, ItemStatus.SUCCEEDED)
        session.progress(item, ItemStatus.FAILED)
        with pytest.raises(UnknownItem):
            session.progress(ItemId("nowhere"))

    with center(Good(names=("a",), work=work)) as one:

        def session_of() -> Any:
            return one.sessions()[0]

        result = one.sync("good")[0].wait(GUARD_SECONDS)
        assert (result.items[0].status, result.items[0].step) == (ItemStatus.SUCCEEDED, 10)
        assert len(result.faults) == 3


def test_a_handler_that_returns_without_a_word_about_an_item_has_failed_it() -> None:
    with center(Good(work=lambda session, item: None)) as one:
        result = one.sync("good")[0].wait(GUARD_SECONDS)
        assert result.status is ItemStatus.FAILED and result.faults


def test_handlers_that_cannot_be_made_or_asked_are_listed_with_their_fault() -> None:
    registry = HandlerRegistry(discover=False)
    registry.register("raises", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    registry.register("lacks", object)  # type: ignore[arg-type]
    hang = threading.Event()
    registry.register("hangs", lambda: void(hang.wait(GUARD_SECONDS)))  # type: ignore[arg-type]
    registry.register("other", lambda: Good(id=HandlerId("somebody else")))
    registry.register("twice", lambda: Good(id=HandlerId("twice"), names=("a", "a")))
    registry.register("good", Good)
    one = SyncCenter(registry, patience=SOON)
    try:
        standing = {view.id: view.standing for view in one.handlers()}
        assert standing.pop(HandlerId("good")) is Standing.READY
        assert set(standing.values()) == {Standing.BROKEN}
        assert all(view.fault for view in one.handlers() if view.id != "good")
        (session,) = one.sync()
        assert ends(session) == {"a": "succeeded", "b": "succeeded"}
        with pytest.raises(Refused, match="ZeroDivisionError"):
            one.sync("raises")
    finally:
        hang.set()
        one.stop()


def test_a_hook_that_hangs_or_raises_holds_up_nobody_who_cancels() -> None:
    hang, reached = threading.Event(), threading.Event()

    def work(session: SessionCallback, item: ItemId) -> None:
        session.when_cancelled(lambda: void(hang.wait(GUARD_SECONDS)))
        session.when_cancelled(lambda: void(1 / 0))
        reached.set()
        while session.progress(item) is None:
            pass
        session.progress(item, ItemStatus.CANCELED)

    with center(Good(names=("a",), work=work)) as one:
        (session,) = one.sync("good")
        assert reached.wait(GUARD_SECONDS)
        one.cancel()
        assert ends(session) == {"a": "canceled"} and not hang.is_set()
        hang.set()


def test_after_the_end_of_a_session_its_handler_is_not_heard() -> None:
    kept: list[SessionCallback] = []
    with center(Good(names=("a",), ready=kept.append)) as one:
        one.sync("good", wait=True)
        (late,) = kept
        assert late.progress(ItemId("a"), ItemStatus.FAILED) is CancelRequest.ALL and not late.can_continue()
        for call in (
            lambda: late.report(Severity.ERROR, "late"),
            lambda: late.propose(Item(id=ItemId("late"), name="late")),
            lambda: late.add_item(ItemId("late")),
        ):
            with pytest.raises(Cancelled):
                call()
        assert late.take_over() == () and one.events() == ()


def test_a_handler_that_is_asked_first_may_say_no() -> None:
    class Asked(Good):
        def query_before(self, verb: Verb, item: ItemId | None) -> bool:
            asked.append((verb, item))
            return verb is not Verb.DISABLE

        def items(self) -> list[Item]:
            return [Item(id=ItemId("a"), name="A", can=ItemCan.QUERY_BEFORE_DELETE | ItemCan.CAN_DELETE)]

    asked: list[tuple[Verb, ItemId | None]] = []
    with center(Asked(can=HandlerCan.QUERY_BEFORE_DISABLE)) as one:
        with pytest.raises(Refused, match="does not want"):
            one.enable("good", False)
        assert one.handler("good").enabled
        one.remove("good", "a")
        one.enable("good", True)
        assert asked == [(Verb.DISABLE, None), (Verb.DELETE, "a")]


def test_what_a_handler_tells_of_events_and_conflicts_may_be_rubbish_or_without_an_end() -> None:
    class Rubbish(Good):
        def events(self) -> Iterator[Any]:
            while True:
                yield "no event"

        def remove_events(self, ids: object) -> None:
            raise KeyError

        def conflicts(self) -> Iterator[Any]:
            yield None
            raise ZeroDivisionError

        def resolve(self, conflict: str, resolution: object) -> Any:
            return "done"

    with center(Rubbish(can=HandlerCan.EVENT_STORE | HandlerCan.CONFLICT_STORE), Good(id=HandlerId("other"))) as one:
        assert one.events() == () and one.conflicts() == ()
        assert ends(one.sync("other")[0]) == {"a": "succeeded", "b": "succeeded"}


def void(*_values: object) -> None:
    """Take what lambdas make, and return nothing."""
