"""``SyncCenter``: the verbs by which people, pages and programs control handlers and their items (ISyncMgrControl).

    with SyncCenter(registry) as center:
        (session,) = center.sync("maildock", ["account:work"])
        session.wait()

It knows no mail. Nothing a handler does can hold up a verb for longer than its patience. What is refused raises
``Refused`` with the reason, where the thing was named; when all are meant, what may not is left out.
"""

import logging
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

from ...clock import Clock, SystemClock
from ...errors import Closed, ErrorKind, InvalidRequest, Needs, ProviderError, UnknownItem
from ...events import ItemStatus
from ...failure import frames_of
from ...request import Trigger
from .book import Book, MemoryBook
from .bound import Bound
from .crew import Crew
from .handler import (
    ElsewhereCallback,
    HandlerEvent,
    HandlerId,
    ItemId,
)
from .known import KnownHandlers
from .masks import HandlerCan, HandlerPolicy, ItemCan, ItemPolicy, Offer, Verb
from .progress import PEOPLE, Patience
from .registry import HandlerRegistry
from .reporting import Doorway, Prompter
from .session import Session
from .views import HandlerView, Standing, why

__all__ = ["IfBusy", "Refused", "SyncCenter"]

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
STOP_SECONDS = 3.0
IfBusy = Literal["queue", "skip"]
"""SYNCMGR_SCF_NONE: again, even what is at work; SYNCMGR_SCF_IGNORE_IF_ALREADY_SYNCING."""
_QUERIES = {
    Verb.ACTIVATE: (HandlerCan.QUERY_BEFORE_ACTIVATE, ItemCan.NOTHING),
    Verb.DEACTIVATE: (HandlerCan.QUERY_BEFORE_DEACTIVATE, ItemCan.NOTHING),
    Verb.ENABLE: (HandlerCan.QUERY_BEFORE_ENABLE, ItemCan.QUERY_BEFORE_ENABLE),
    Verb.DISABLE: (HandlerCan.QUERY_BEFORE_DISABLE, ItemCan.QUERY_BEFORE_DISABLE),
    Verb.DELETE: (HandlerCan.NOTHING, ItemCan.QUERY_BEFORE_DELETE),
}


class Refused(ProviderError):
    """A policy, or how the thing stands, does not allow it; the text says why."""

    kind = ErrorKind.INVALID_REQUEST
    needs = Needs.USER


class SyncCenter(KnownHandlers):
    """Handlers, their items and their sessions. Thread-safe; ``start`` and ``stop``, or a context manager.

    *prompter* puts questions to a person, for as long as it takes; None: nobody can be asked. Without ``start`` the
    watch over hanging handlers is the host's: ``step``.
    """

    def __init__(
        self,
        registry: HandlerRegistry,
        *,
        book: Book | None = None,
        clock: Clock | None = None,
        patience: Patience = Patience(),  # noqa: B008
        prompter: Prompter | None = None,
    ) -> None:
        super().__init__(registry, book if book is not None else MemoryBook(), patience)
        self._clock = clock if clock is not None else SystemClock()
        self._creator = self
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._crew = Crew(
            bound_of=self._bound,
            clock=self._clock,
            patience=patience,
            spawn=self._bridge.spawn,
            doorway=Doorway(prompter),
            notices=self.notices,
            events=self._events,
            heard=self._heard,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Watch, on a thread of its own, and make all handlers known. Twice is fine. Raises Closed after ``stop``."""
        with self._lock:
            if self._stopping:
                raise Closed("This center was stopped.")
            if self._thread is None:
                self._thread = self._bridge.spawn("center", self._loop)

    def stop(self) -> None:
        """Cancel every session, and take nothing any more; handlers that do not come back are left behind."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
            bounds = list(self._bounds.values())
        self._wake.set()
        for bound in bounds:
            with suppress(ProviderError):  # it is given up anyway
                if bound.parts.elsewhere is not None:
                    bound.ask("let go", bound.parts.elsewhere.detach)
        self._crew.close(STOP_SECONDS)
        self._bridge.join(STOP_SECONDS if not any(bound.away for bound in bounds) else 0.0)

    def step(self) -> None:
        """Give up what has had its time, and begin what may begin."""
        self._crew.watch()

    def sessions(self, *, over: bool = False) -> tuple[Session, ...]:
        """Return the sessions that run and wait; with *over* the latest that ended, before them."""
        return self._crew.sessions(over=over)

    # --- start and stop ------------------------------------------------------------------------------------------

    def sync(
        self,
        handler: str | None = None,
        items: Iterable[str] | None = None,
        *,
        trigger: Trigger = Trigger.MANUAL,
        cookie: str = "",
        if_busy: IfBusy = "queue",
        no_ui: bool = False,
        wait: bool = False,
    ) -> tuple[Session, ...]:
        """Start all (StartSyncAll), a handler (StartHandlerSync) or some of its items (StartItemSync).

        Returns at once, or with *wait* when it is over; handlers that do not want to hear of *trigger*, and those
        without anything to do, have no session. Requests that wait for the same handler become one session.
        *cookie*: for the handler, with INVOKE. Raises Refused, UnknownItem, InvalidRequest, Closed.
        """
        if self._stopping:
            raise Closed("This center was stopped.")
        if items is not None and handler is None:
            raise InvalidRequest("Items belong to a handler.")
        if cookie and trigger is not Trigger.INVOKE:
            raise InvalidRequest("A cookie goes with INVOKE only.")
        named = None if items is None else [ItemId(one) for one in items]
        started = []
        for id in self._named(handler):
            try:
                wanted = self._startable(self._view(id, anew=handler is not None), named, trigger)
            except Refused:
                if handler is not None:
                    raise
                continue
            session = self._crew.submit(
                self._bound(id),
                wanted,
                trigger=trigger,
                cookie=cookie,
                may_prompt=trigger in PEOPLE and not no_ui,
                skip_busy=if_busy == "skip",
            )
            if session is not None:
                started.append(session)
        if wait:
            for session in started:
                session.wait()
        return tuple(started)

    def cancel(self, handler: str | None = None, items: Iterable[str] | None = None) -> None:
        """Stop all, a handler or some of its items; what waits, too. Returns at once. Raises Refused, UnknownItem."""
        named = None if items is None else [ItemId(one) for one in items]
        for id in self._named(handler):
            view = self._view(id)
            offers = [view.offer(Verb.STOP)] if named is None else [self._offer(view, Verb.STOP, one) for one in named]
            refused = next((offer.reason for offer in offers if not offer.allowed), None)
            if refused is not None and handler is not None:
                raise Refused(refused)
            if refused is None:
                for session in self._crew.sessions():
                    if session.handler == id:
                        session.cancel(named)

    def create_session(
        self, handler: HandlerId, items: Iterable[ItemId], *, trigger: Trigger = Trigger.INVOKE
    ) -> ElsewhereCallback:
        """Take notice of a synchronization that began by itself, here or in an engine outside (CreateSession).

        Raises UnknownItem for items that the handler does not have.
        """
        wanted, bound = list(items), self._bound(self._id(handler))
        if any(item not in bound.items for item in wanted):
            self._refresh([bound.id])
        if any(item not in bound.items for item in wanted):
            raise UnknownItem("The handler has no such item.")
        return self._crew.create(handler, wanted, trigger)

    # --- refresh, enable, activate, policies -----------------------------------------------------------------------

    def enable(self, handler: str, enabled: bool, item: str | None = None) -> None:
        """Let a handler or an item be synchronized, or not; kept. Raises Refused, UnknownItem."""
        self._change(Verb.ENABLE if enabled else Verb.DISABLE, handler, item, enabled=enabled)

    def activate(self, handler: str, active: bool) -> None:
        """Set a handler up here, or not; kept. Raises Refused, UnknownItem."""
        self._change(Verb.ACTIVATE if active else Verb.DEACTIVATE, handler, None, active=active)

    def remove(self, handler: str, item: str) -> None:
        """Let an item leave the sync set; kept. Raises Refused, UnknownItem."""
        self._change(Verb.DELETE, handler, item, removed=True)

    def restore(self, handler: str, item: str) -> None:
        """Take an item back into the sync set. Raises Refused, UnknownItem."""
        self._change(Verb.ENABLE, handler, item, removed=False, enabled=True)

    def set_policy(self, handler: str, mask: int, reason: str = "", item: str | None = None) -> None:
        """Refuse people something, as an administrator; kept. *mask*: bits of HandlerPolicy or ItemPolicy, 0: none.

        Raises UnknownItem, and InvalidRequest for bits that are none, or without a reason.
        """
        bits = ItemPolicy if item is not None else HandlerPolicy
        if mask & ~sum(bits):
            raise InvalidRequest("There are bits in this policy that are not defined.")
        view = self._view(self._id(handler))
        one = None if item is None else self._item(view, item).id
        try:
            self._keep(view.id, one, policies=mask, reason=reason)
        except ValueError:
            raise InvalidRequest("A policy says why.") from None

    def retry(self, events: Iterable[HandlerEvent]) -> tuple[Session, ...]:
        """Synchronize again what *events* are about: their items, or the whole handler. Raises Refused, UnknownItem."""
        wanted: dict[HandlerId, list[str] | None] = {}
        for event in events:
            before = wanted.get(event.handler, [])
            wanted[event.handler] = None if event.item is None or before is None else [*before, event.item]
        return tuple(one for id, items in wanted.items() for one in self.sync(id, items))

    def open_error(self, event: HandlerEvent) -> tuple[Session, ...]:
        """Let a handler explain an error that a person opened; it may ask, and want another try (ShowError).

        Waits for the person. Raises BadHandler, Refused, UnknownItem.
        """
        bound = self._bound(self._id(event.handler))
        shows = bound.parts.shows
        if shows is None:
            return ()
        doorway = self._crew.doorway
        with doorway.inside(lambda: self._stopping):
            patient = Bound(
                bound.id, lambda: bound.handler, spawn=self._bridge.spawn, answer_seconds=self._patience.prompt_seconds
            )
            items = patient.ask("explain", lambda: list(shows.show_error(event, lambda text: doorway.ask(text, False))))
        return self.sync(bound.id, items) if items else ()

    # --- how -----------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        for id in self._registry.ids:
            self._bound(id)
        while not self._stopping:
            self.step()
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()

    def _offer(self, view: HandlerView, verb: Verb, item: ItemId) -> Offer:
        return view.offer(verb, self._item(view, item))

    def _startable(self, view: HandlerView, named: list[ItemId] | None, trigger: Trigger) -> list[ItemId]:
        """Return the items that may be started; raises Refused for the handler, and for a named one."""
        if view.standing is not Standing.READY:
            raise Refused(why(view.standing, view.fault))
        if self._bound(view.id).given_up:
            raise Refused("The handler still hangs in an earlier session.")
        if trigger not in view.info.triggers:
            return []
        wanted = []
        for one in view.items if named is None else [self._item(view, id) for id in named]:
            reason = why(one.standing)
            if not reason and trigger in PEOPLE:
                reason = view.offer(Verb.START, one).reason
            if reason and named is not None:
                raise Refused(reason)
            if not reason:
                wanted.append(one.id)
        if not wanted and trigger in PEOPLE and not view.offer(Verb.START).allowed:
            raise Refused(view.offer(Verb.START).reason)
        return wanted

    def _change(self, verb: Verb, handler: str, item: str | None, **kept: bool) -> None:
        view = self._view(self._id(handler))
        one = None if item is None else self._item(view, item)
        offer = view.offer(verb, one)
        if not offer.allowed:
            raise Refused(offer.reason)
        bound, id = self._bound(view.id), None if one is None else one.id
        bits = _QUERIES[verb]
        asked = bits[0] & view.info.can if one is None else bits[1] & one.item.can
        asks, hears = bound.parts.asks, bound.parts.hears
        if asked and asks is not None and not bound.ask("answer", lambda: asks.query_before(verb, id)):
            raise Refused("The handler does not want it.")
        self._keep(view.id, id, **kept)
        if hears is not None:
            bound.ask("hear", lambda: hears.changed(verb, id))
        if verb in (Verb.DISABLE, Verb.DEACTIVATE, Verb.DELETE):
            for session in self._crew.sessions():
                if session.handler == view.id:
                    session.cancel(None if id is None else [id])

    def _heard(self, session: Session) -> None:
        assert session.result is not None
        done = [one.item for one in session.result.items if one.status is ItemStatus.SUCCEEDED]
        known = self._bound(session.handler).items
        mine = [one for one in done if one in known and known[one].last_sync is None]
        if not mine:
            return
        try:
            self._book.synced(session.handler, mine, session.result.ended_at)
        except Exception as error:  # a book of the host's own: it costs a date, and no session
            log.error(
                "When items were synchronized could not be kept (%s).\n%s", type(error).__name__, frames_of(error)
            )
