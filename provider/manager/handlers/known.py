"""Handlers as they are known: made at their first use, asked, remembered; and what they tell beside their sessions.

Base of ``SyncCenter``. A handler is tried once, and then at each ``refresh``.
"""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

from ...bridge import Bridge
from ...errors import InvalidRequest, ProviderError, UnknownItem
from ...events import Severity
from .book import Book, Kept
from .bound import BadHandler, Bound, checked_id
from .conflicts import Abilities, ConflictInfo, Resolution, resolve_all
from .handler import EventId, HandlerEvent, HandlerId, ItemId, SessionCreator
from .masks import HandlerCan, Verb
from .notices import EventBook, Notices, Subject
from .progress import Patience
from .registry import HandlerRegistry
from .views import HandlerView, ItemView, view_of

__all__ = ["KnownHandlers"]

TOLD_MAX = 10_000
"""Events or conflicts of one handler that are listed."""
T = TypeVar("T")


class KnownHandlers:
    """The handlers of a registry. Thread-safe."""

    def __init__(self, registry: HandlerRegistry, book: Book, patience: Patience) -> None:
        self._registry, self._book, self._patience = registry, book, patience
        self._bridge = Bridge()
        self._lock = threading.RLock()
        self._bounds: dict[HandlerId, Bound] = {}
        self._events = EventBook()
        self._creator: SessionCreator | None = None
        self.notices = Notices()
        """What changed, to be pulled."""

    def handlers(self, *, hidden: bool = False) -> tuple[HandlerView, ...]:
        """Return how all handlers stand, as last heard; *hidden* ones only when asked for."""
        views = [self._view(id) for id in self._registry.ids]
        return tuple(view for view in views if hidden or not view.hidden)

    def handler(self, handler: str) -> HandlerView:
        """Return how one handler stands. Raises UnknownItem."""
        return self._view(self._id(handler))

    def refresh(self, handler: str | None = None, *, wait: bool = True) -> None:
        """Ask one handler or all what they are and have (UpdateHandler, UpdateItem, UpdateHandlerCollection).

        *wait*: be back when they have answered. Raises UnknownItem. One that does not answer has a fault from then on.
        """
        ids = self._named(handler)
        if not wait:
            self._bridge.spawn("refresh", lambda: self._refresh(ids))
        else:
            self._refresh(ids)

    # --- events --------------------------------------------------------------------------------------------------

    def events(
        self, handler: str | None = None, item: str | None = None, level: Severity | None = None
    ) -> tuple[HandlerEvent, ...]:
        """Return what handlers logged, newest first; those that keep their events themselves are asked."""
        found = list(self._events.all(None if handler is None else self._id(handler), _item_id(item), level))
        for id in self._named(handler):
            bound = self._bound(id)
            keeper = bound.parts.events
            if keeper is not None and bound.info.can & HandlerCan.EVENT_STORE:
                with suppress(ProviderError):
                    told = bound.ask("tell its events", partial(_taken, keeper.events))
                    found += [
                        one
                        for one in told
                        if _is_event(one, id) and item in (None, one.item) and level in (None, one.level)
                    ]
        return tuple(sorted(found, key=lambda one: one.at, reverse=True))

    def remove_events(self, handler: str, ids: Iterable[EventId]) -> None:
        """Forget events of a handler. Raises UnknownItem, BadHandler."""
        bound, ids = self._bound(self._id(handler)), list(ids)
        keeper = bound.parts.events
        if keeper is not None and bound.info.can & HandlerCan.EVENT_STORE:
            bound.ask("forget events", lambda: keeper.remove_events([one for one in ids if one > 0]))
        self._events.remove([one.id for one in self._events.all(bound.id) if one.id in ids])
        self.notices.announce(Subject.EVENTS, bound.id)

    # --- conflicts -----------------------------------------------------------------------------------------------

    def conflicts(
        self, handler: str | None = None, item: str | None = None
    ) -> tuple[tuple[HandlerId, ConflictInfo], ...]:
        """Return what waits for a decision, handler by handler; one that does not answer has none."""
        found: list[tuple[HandlerId, ConflictInfo]] = []
        for id in self._named(handler):
            bound = self._bound(id)
            keeper = bound.parts.conflicts
            if keeper is not None and bound.info.can & HandlerCan.CONFLICT_STORE:
                with suppress(ProviderError):
                    told = bound.ask("tell its conflicts", partial(_taken, keeper.conflicts))
                    found += [(id, one) for one in told if _is_conflict(one) and item in (None, one.item)]
        return tuple(found)

    def resolve(self, handler: str, conflict: str, resolution: Resolution, *, to_all: bool = False) -> tuple[str, ...]:
        """Decide a conflict; *to_all*: and those after it that can be decided so. Returns the ids of what is resolved.

        Raises UnknownItem, InvalidRequest when the conflict does not offer this, BadHandler.
        """
        bound = self._bound(self._id(handler))
        keeper = bound.parts.conflicts
        listed = [one for _, one in self.conflicts(handler)]
        numbers = [number for number, one in enumerate(listed) if one.id == conflict]
        if not numbers or keeper is None:
            raise UnknownItem("There is no such conflict any more.")
        if not resolution.fits(listed[numbers[0]]):
            raise InvalidRequest("This conflict cannot be resolved in this way.")
        chosen = listed[numbers[0] :] if to_all else [listed[numbers[0]]]
        done = resolve_all(
            chosen, resolution, lambda id, way: bound.ask("resolve a conflict", lambda: keeper.resolve(id, way))
        )
        self.notices.announce(Subject.CONFLICTS, bound.id)
        return done

    # --- how -----------------------------------------------------------------------------------------------------

    def _id(self, handler: str) -> HandlerId:
        if handler not in self._registry.ids:
            raise UnknownItem("There is no handler of this id.")
        return HandlerId(handler)

    def _named(self, handler: str | None) -> tuple[HandlerId, ...]:
        return self._registry.ids if handler is None else (self._id(handler),)

    def _bound(self, id: HandlerId) -> Bound:
        """Return a handler, made if it can be; it is tried once, and then at each ``refresh``."""
        with self._lock:
            bound = self._bounds.get(id)
            if bound is None:
                make = self._registry.make_of(id)
                seconds = self._patience.answer_seconds
                bound = self._bounds[id] = Bound(id, make, spawn=self._bridge.spawn, answer_seconds=seconds)
        if not bound.tried:
            self._bind(bound)
        return bound

    def _bind(self, bound: Bound, *, again: bool = False) -> None:
        with bound.binding:
            if not bound.made and (again or not bound.tried):
                self._make_known(bound)
                bound.tried = True

    def _make_known(self, bound: Bound) -> None:
        try:
            bound.bind()
            hears, elsewhere = bound.parts.hears, bound.parts.elsewhere
            for item, kept in self._book.kept(bound.id).items() if hears is not None else ():
                verb = Verb.DELETE if kept.removed else Verb.DISABLE if kept.enabled is False else None
                if hears is not None and verb is not None:
                    bound.ask("hear", partial(hears.changed, verb, _item_id(item)))
            if elsewhere is not None and self._creator is not None:
                bound.ask("attach", partial(elsewhere.attach, self._creator))
        except ProviderError as error:
            bound.fault = str(error)
        self.notices.announce(Subject.HANDLERS, bound.id)

    def _refresh(self, ids: Iterable[HandlerId]) -> None:
        for id in ids:
            bound = self._bound(id)
            self._bind(bound, again=True)
            with suppress(BadHandler):  # its fault says it
                bound.refresh()
            self.notices.announce(Subject.HANDLER, id)

    def _view(self, id: HandlerId, *, anew: bool = False) -> HandlerView:
        bound = self._bound(id)
        if anew and bound.fault and not bound.given_up:
            self._refresh([id])
        return view_of(id, bound.info, bound.items, self._book.kept(id), bound.fault)

    def _item(self, view: HandlerView, item: str) -> ItemView:
        found = view.item(ItemId(item))
        if found is None:  # it may be new
            self._refresh([view.id])
            found = self._view(view.id).item(ItemId(item))
        if found is None:
            raise UnknownItem("The handler has no such item.")
        return found

    def _keep(self, handler: HandlerId, item: ItemId | None, **changed: bool | int | str) -> None:
        before = self._book.kept(handler).get(item or "", Kept())
        self._book.keep(handler, item, replace(before, **changed))  # type: ignore[arg-type]  # the names are those of Kept
        self.notices.announce(Subject.HANDLER if item is None else Subject.ITEM, handler, item)


def _taken(tell: Callable[[], Iterable[T]]) -> list[T]:
    """Return what a handler tells, and no more of it than one can use: it may tell without an end."""
    return list(islice(tell(), TOLD_MAX))


def _is_event(one: object, handler: HandlerId) -> bool:
    if not isinstance(one, HandlerEvent):
        return False
    return one.handler == handler and isinstance(one.level, Severity) and one.at.tzinfo is not None


def _is_conflict(one: object) -> bool:
    return isinstance(one, ConflictInfo) and checked_id(one.id) is not None and isinstance(one.abilities, Abilities)


def _item_id(item: str | None) -> ItemId | None:
    return ItemId(item) if item else None
