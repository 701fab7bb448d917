"""``HandlerDesk``: the verbs of a ``SyncCenter`` for whoever governs it, in this process or beside a daemon.

What handlers and items are is told as plain values (``handler_facts``), so that both sides of the control socket show
the same. ``LocalHandlers`` is the one of this process; ``remote_handlers.RemoteHandlers`` asks that of a daemon.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from ...errors import InvalidRequest
from ...events import Severity
from ..handlers.masks import Verb

if TYPE_CHECKING:
    from ..handlers.center import SyncCenter
    from ..handlers.session import Session
    from ..handlers.views import HandlerView, ItemView

__all__ = ["VERBS", "Facts", "HandlerDesk", "HandlerRun", "LocalHandlers", "handler_facts"]

Facts = dict[str, object]
VERBS = ("enable", "disable", "activate", "deactivate", "remove", "restore", "refresh", "stop")
"""What ``HandlerDesk.tell`` knows; the first four of a handler, two of its items too."""


class HandlerRun(Protocol):
    """Sessions on their way."""

    def wait(self) -> list[Facts]:
        """Return how each session ended, when all have. Raises DaemonGone beside a daemon."""
        ...

    def cancel(self) -> None:
        """Ask all of them to stop."""
        ...


class HandlerDesk(Protocol):
    """Governs the handlers of one process. Thread-safe. Raises what ``SyncCenter`` raises; beside a daemon DaemonGone.

    ``Refused`` of a daemon comes as InvalidRequest with the same text.
    """

    def handlers(self) -> list[Facts]:
        """Ask all handlers what they are and have, and return ``handler_facts`` of each, hidden ones too."""
        ...

    def tell(self, verb: str, handler: str | None = None, items: Sequence[str] = ()) -> None:
        """Do one of ``VERBS``: to a handler, or to these items; without a handler (refresh, stop) to all."""
        ...

    def set_policy(self, handler: str, mask: int, reason: str = "", item: str | None = None) -> None:
        """Refuse people something, as ``SyncCenter.set_policy``."""
        ...

    def start(self, handler: str | None = None, items: Sequence[str] = (), *, no_ui: bool = False) -> HandlerRun:
        """Synchronize all, a handler, or these items of it."""
        ...


class LocalHandlers:
    """The handlers of this process."""

    def __init__(self, center: "SyncCenter") -> None:
        self._center = center

    def handlers(self) -> list[Facts]:
        """Ask all handlers what they are and have, and return ``handler_facts`` of each, hidden ones too."""
        self._center.refresh()
        return [handler_facts(view) for view in self._center.handlers(hidden=True)]

    def tell(self, verb: str, handler: str | None = None, items: Sequence[str] = ()) -> None:
        """Do one of ``VERBS``: to a handler, or to these items; without a handler (refresh, stop) to all."""
        if verb == "refresh":
            self._center.refresh(handler)
        elif verb == "stop":
            self._center.cancel(handler, items or None)
        elif handler is None:
            raise InvalidRequest("This is done to a handler, or to an item of it.")
        else:
            self._change(verb, handler, items)

    def set_policy(self, handler: str, mask: int, reason: str = "", item: str | None = None) -> None:
        """Refuse people something, as ``SyncCenter.set_policy``."""
        self._center.set_policy(handler, mask, reason, item)

    def start(self, handler: str | None = None, items: Sequence[str] = (), *, no_ui: bool = False) -> "LocalRun":
        """Synchronize all, a handler, or these items of it."""
        self._center.refresh(handler)
        return LocalRun(self._center, self._center.sync(handler, items or None, no_ui=no_ui))

    def _change(self, verb: str, handler: str, items: Sequence[str]) -> None:
        center = self._center
        if verb in ("enable", "disable"):
            for item in items or (None,):
                center.enable(handler, verb == "enable", item)
        elif verb in ("activate", "deactivate") and not items:
            center.activate(handler, verb == "activate")
        elif verb in ("remove", "restore") and items:
            for item in items:
                (center.remove if verb == "remove" else center.restore)(handler, item)
        else:
            raise InvalidRequest("This cannot be done here.")


class LocalRun:
    """Sessions of this process."""

    def __init__(self, center: "SyncCenter", sessions: Sequence["Session"]) -> None:
        self._center, self._sessions = center, sessions

    def wait(self) -> list[Facts]:
        """Return how each session ended, when all have."""
        for session in self._sessions:
            session.wait()
        return [self._ended(session) for session in self._sessions]

    def cancel(self) -> None:
        """Ask all of them to stop."""
        for session in self._sessions:
            session.cancel()

    @property
    def done(self) -> bool:
        """True when all of them are over."""
        return all(session.done_event.is_set() for session in self._sessions)

    def listen(self, wake: Callable[[], None]) -> None:
        """Let *wake* be called when one of them ends, or is told to."""
        for session in self._sessions:
            session.hook(wake)

    def _ended(self, session: "Session") -> Facts:
        result = session.wait()
        view = self._center.handler(session.handler)
        errors = self._center.events(session.handler, level=Severity.ERROR) if result.errors else ()
        return {
            "handler": session.handler,
            "name": view.info.name,
            "result": result.status.value,
            "errors": result.errors,
            "conflicts": result.conflicts,
            "text": result.text,
            "items": [{"item": one.item, "status": one.status.value, "text": one.text} for one in result.items],
            "names": {one.id: one.item.name for one in view.items},
            "told": [{"name": one.name, "text": one.description} for one in errors],
        }


def handler_facts(view: "HandlerView") -> Facts:
    """Return a handler and its items as plain values; *refused*: what administrators and it refuse people, and why."""
    return {
        "handler": view.id,
        "name": view.info.name,
        "type": view.info.kind.name.lower(),
        "state": view.standing.value,
        "active": view.active,
        "enabled": view.enabled,
        "hidden": view.hidden,
        "connected": view.info.connected,
        "last_sync": None if view.last_sync is None else view.last_sync.isoformat(),
        "comment": view.info.comment,
        "fault": view.fault,
        "refused": _refused(view, None),
        "items": [
            {
                "item": one.id,
                "name": one.item.name,
                "type": one.item.type_label,
                "state": one.standing.value,
                "enabled": one.enabled,
                "hidden": one.hidden,
                "last_sync": None if one.last_sync is None else one.last_sync.isoformat(),
                "comment": one.item.comment,
                "refused": _refused(view, one),
            }
            for one in view.items
        ],
    }


def _refused(view: "HandlerView", item: "ItemView | None") -> dict[str, str]:
    """Return what its own rules refuse, verb by verb; what an item's handler refuses is told of that."""
    rules = view.rules if item is None else item.rules
    offers = {verb.value: view.offer(verb, item) for verb in Verb} if rules else {}
    return {verb: offer.reason for verb, offer in offers.items() if not offer.allowed}
