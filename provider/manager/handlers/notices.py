"""What the manager announces: pulled by whoever wants to know, so that nobody who listens can hold anybody up.

Notices of one thing are merged: the latest counts. Events of handlers that keep none themselves are kept here, until
the next synchronization of their item, as the documented default store does; bounded for each handler.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ...events import Severity
from .handler import EventId, HandlerEvent, HandlerId, ItemId

__all__ = ["EventBook", "Notice", "Notices", "Subject"]

NOTICES_MAX = 1_000
EVENTS_MAX = 500
"""Of one handler."""


class Subject(Enum):
    """What a notice is about (the Update verbs of ISyncMgrControl)."""

    HANDLERS = "handlers"
    """One came or went."""
    HANDLER = "handler"
    ITEM = "item"
    SESSION = "session"
    EVENTS = "events"
    CONFLICTS = "conflicts"
    MISSED = "missed"
    """More happened than is remembered: look at everything anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something is not as it was; *number* goes up."""

    number: int
    subject: Subject
    handler: HandlerId | None = None
    item: ItemId | None = None
    session: int | None = None


class Notices:
    """The latest notice of each thing. Thread-safe; never blocks whoever announces."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0
        self._forgotten = 0
        self._kept: OrderedDict[tuple[object, ...], Notice] = OrderedDict()

    @property
    def number(self) -> int:
        """The number of the latest one."""
        return self._number

    def announce(
        self,
        subject: Subject,
        handler: HandlerId | None = None,
        item: ItemId | None = None,
        session: int | None = None,
    ) -> None:
        """Tell everybody."""
        with self._changed:
            self._number += 1
            key = (subject, handler, item, session)
            self._kept.pop(key, None)
            self._kept[key] = Notice(number=self._number, subject=subject, handler=handler, item=item, session=session)
            while len(self._kept) > NOTICES_MAX:
                self._forgotten = self._kept.popitem(last=False)[1].number
            self._changed.notify_all()

    def since(self, number: int) -> tuple[Notice, ...]:
        """Return what came after *number*, in order; a first one MISSED where some are not remembered any more."""
        with self._changed:
            found = tuple(one for one in self._kept.values() if one.number > number)
            if number < self._forgotten:
                return (Notice(number=self._forgotten, subject=Subject.MISSED), *found)
            return found

    def wait(self, number: int, timeout_seconds: float) -> bool:
        """Wait until something comes after *number*; False: nothing did in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._number > number, timeout_seconds)


class EventBook:
    """Events of handlers. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: OrderedDict[EventId, HandlerEvent] = OrderedDict()
        self._number = 0

    def number(self) -> EventId:
        """Return the number of the next event: below 0, those above are of handlers that keep theirs."""
        with self._lock:
            self._number += 1
            return EventId(-self._number)

    def add(self, event: HandlerEvent) -> None:
        """Keep an event; the oldest of its handler goes when there are too many."""
        with self._lock:
            self._events[event.id] = event
            mine = [one.id for one in self._events.values() if one.handler == event.handler]
            for old in mine[:-EVENTS_MAX]:
                del self._events[old]

    def all(
        self, handler: HandlerId | None = None, item: ItemId | None = None, level: Severity | None = None
    ) -> tuple[HandlerEvent, ...]:
        """Return events, newest first."""
        with self._lock:
            return tuple(
                one
                for one in reversed(self._events.values())
                if (handler is None or one.handler == handler)
                and (item is None or one.item == item)
                and (level is None or one.level is level)
            )

    def remove(self, ids: Iterable[EventId]) -> None:
        """Forget some."""
        with self._lock:
            for one in ids:
                self._events.pop(one, None)

    def begin(self, handler: HandlerId, items: Iterable[ItemId]) -> bool:
        """Forget what an earlier synchronization of *items* said, or of the handler; True: there was something."""
        anew = {None, *items}
        with self._lock:
            old = [one.id for one in self._events.values() if one.handler == handler and one.item in anew]
            for one in old:
                del self._events[one]
        return bool(old)
