"""Which handlers there are: those that a host registers, and those that installed packages offer by entry points.

    [project.entry-points."maildock.handlers"]
    notes = "my_package:NotesHandler"         # called without arguments when it is first used

The name of the entry point is the handler's id. Nothing of a plug-in is imported before it is used, and one that
cannot be imported is a handler with a fault: listed, and not synchronized.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points

from ...errors import InvalidRequest, UnknownItem
from .bound import checked_id
from .handler import Handler, HandlerId

__all__ = ["GROUP", "HandlerRegistry", "Make"]

log = logging.getLogger(__name__)

GROUP = "maildock.handlers"
Make = Callable[[], Handler]


class HandlerRegistry:
    """Ids of handlers, and how each is made. Thread-safe. *discover*: look at entry points, too."""

    def __init__(self, *, discover: bool = True, found: "Callable[[], Iterator[EntryPoint]] | None" = None) -> None:
        self._lock = threading.Lock()
        self._makes: dict[HandlerId, Make] = {}
        if discover:
            for point in (found or _installed)():
                if checked_id(point.name) is None or point.name in self._makes:
                    log.warning(
                        "An entry point of %s has an id that cannot be one, or is taken; it is left out.", GROUP
                    )
                    continue
                self._makes[HandlerId(point.name)] = _late(point)

    def register(self, id: str, make: Make) -> HandlerId:
        """Add a handler (ISyncMgrRegister). Raises InvalidRequest when its id is no id, or taken."""
        with self._lock:
            if checked_id(id) is None:
                raise InvalidRequest("The id of a handler is 1 to 63 printable characters.")
            if id in self._makes:
                raise InvalidRequest("There is a handler of this id already.")
            self._makes[HandlerId(id)] = make
            return HandlerId(id)

    def unregister(self, id: HandlerId) -> None:
        """Take a handler out; what runs goes on. Raises UnknownItem."""
        with self._lock:
            if self._makes.pop(id, None) is None:
                raise UnknownItem("There is no handler of this id.")

    @property
    def ids(self) -> tuple[HandlerId, ...]:
        """All ids, in the order of registering."""
        with self._lock:
            return tuple(self._makes)

    def make_of(self, id: HandlerId) -> Make:
        """Return how the handler is made. Raises UnknownItem."""
        with self._lock:
            if id not in self._makes:
                raise UnknownItem("There is no handler of this id.")
            return self._makes[id]


def _installed() -> Iterator[EntryPoint]:
    yield from entry_points(group=GROUP)


def _late(point: EntryPoint) -> Make:
    def make() -> Handler:
        handler: Handler = point.load()()
        return handler

    return make
