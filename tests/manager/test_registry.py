"""Which handlers there are, and the bits that are nobody else's: entry points, errors that a person opens, the book."""

import sys
import threading
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from provider.errors import InvalidRequest, UnknownItem
from provider.events import ItemStatus, Severity
from provider.manager.handlers.center import SyncCenter
from provider.manager.handlers.handler import HandlerEvent, HandlerId, ItemId, SessionCallback, trigger_of
from provider.manager.handlers.notices import NOTICES_MAX, Notices, Subject
from provider.manager.handlers.progress import NEXT, SessionState
from provider.manager.handlers.registry import GROUP, HandlerRegistry
from provider.manager.handlers.session import Session
from provider.manager.handlers.views import Standing
from provider.manager.mail.items import StoreBook
from provider.request import Trigger
from provider.testing import ManualClock
from store import open_store

from .handlers import GUARD_SECONDS, Good

PLUGIN = """
from tests.manager.handlers import Good
def make():
    return Good(id="plugin")
"""


def test_entry_points_are_handlers_and_nothing_of_them_is_imported_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_plugin.py").write_text(PLUGIN)
    (tmp_path / "a_broken_plugin.py").write_text("raise RuntimeError('no')")
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [
        EntryPoint("plugin", "a_plugin:make", GROUP),
        EntryPoint("broken", "a_broken_plugin:make", GROUP),
        EntryPoint("missing", "nowhere.at_all:make", GROUP),
        EntryPoint("bad\nid", "a_plugin:make", GROUP),
        EntryPoint("plugin", "a_plugin:other", GROUP),
    ]
    registry = HandlerRegistry(found=lambda: iter(points))
    assert registry.ids == ("plugin", "broken", "missing") and "a_plugin" not in sys.modules
    with SyncCenter(registry) as center:
        standing = {one.id: one.standing for one in center.handlers()}
        assert standing == {"plugin": Standing.READY, "broken": Standing.BROKEN, "missing": Standing.BROKEN}
        (session,) = center.sync()
        assert session.wait(GUARD_SECONDS).status is ItemStatus.SUCCEEDED


def test_ids_are_taken_once_and_given_back() -> None:
    registry = HandlerRegistry(discover=False)
    registry.register("one", Good)
    for bad in ("one", "", "x" * 64, "a\tb"):
        with pytest.raises(InvalidRequest):
            registry.register(bad, Good)
    registry.unregister(HandlerId("one"))
    with pytest.raises(UnknownItem):
        registry.unregister(HandlerId("one"))


def test_a_trigger_that_nobody_knows_counts_as_manual() -> None:
    assert trigger_of("idle") is Trigger.IDLE and trigger_of("eclipse") is Trigger.MANUAL


def test_an_error_that_a_person_opens_may_ask_and_is_tried_again_whatever_started_it() -> None:
    class Explains(Good):
        def show_error(self, event: HandlerEvent, ask: object) -> list[ItemId]:
            assert callable(ask)
            return [ItemId("a")] if ask("Again?") == "yes" else []

    def work(session: SessionCallback, item: ItemId) -> None:
        session.report(Severity.ERROR, "Broken", item=item)
        session.progress(item, ItemStatus.FAILED)

    registry = HandlerRegistry(discover=False)
    good = Explains(names=("a",), work=work)
    registry.register("good", lambda: good)
    answers = iter(["no", "yes"])
    with SyncCenter(registry, prompter=lambda question, secret: next(answers)) as center:
        center.sync("good", trigger=Trigger.SCHEDULED, wait=True)
        (event,) = center.events()
        assert center.open_error(event) == ()
        good.work = None
        (session,) = center.open_error(event)
        assert session.wait(GUARD_SECONDS).status is ItemStatus.SUCCEEDED


def test_what_is_remembered_lies_in_the_store_and_is_read_by_other_processes(tmp_path: Path) -> None:
    good = Good()
    registry = HandlerRegistry(discover=False)
    registry.register("good", lambda: good)
    for turn in range(2):
        with open_store(tmp_path / "mail.db") as store, SyncCenter(registry, book=StoreBook(store)) as center:
            if turn == 0:
                center.enable("good", False, "b")
                center.set_policy("good", 0x10, "Not by day.")
                center.sync("good", trigger=Trigger.SCHEDULED, wait=True)
            view = center.handler("good")
            assert [one.enabled for one in view.items] == [True, False]
            assert view.rules[0].reason == "Not by day."
            assert view.items[0].last_sync is not None and view.items[1].last_sync is None


def test_every_state_of_a_session_is_entered_once_and_only_from_where_it_may_be() -> None:
    for first in SessionState:
        for then in SessionState:
            session = Session(1, HandlerId("x"), [ItemId("a")], trigger=Trigger.IDLE, clock=ManualClock())
            way = {
                SessionState.QUEUED: (),
                SessionState.PREPARING: (SessionState.PREPARING,),
                SessionState.SYNCHRONIZING: (SessionState.PREPARING, SessionState.SYNCHRONIZING),
                SessionState.COMPLETED: (),
            }[first]
            assert all(session.advance(state) for state in way)
            if first is SessionState.COMPLETED:
                session.end(ItemStatus.SKIPPED)
            assert session.advance(then) is (then in NEXT[first])


def test_notices_are_merged_bounded_and_say_what_was_missed() -> None:
    notices = Notices()
    for number in range(NOTICES_MAX + 5):
        notices.announce(Subject.SESSION, session=number)
        notices.announce(Subject.HANDLERS)
    found = notices.since(0)
    assert found[0].subject is Subject.MISSED and len(found) <= NOTICES_MAX + 1
    assert [one.number for one in found[1:]] == sorted(one.number for one in found[1:])
    assert notices.since(notices.number - 1)[-1].subject is Subject.HANDLERS


def test_who_waits_for_notices_is_woken() -> None:
    notices = Notices()
    threading.Timer(0.01, lambda: notices.announce(Subject.HANDLERS)).start()
    assert notices.wait(0, GUARD_SECONDS)
