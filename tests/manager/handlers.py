"""Handlers for tests: one that behaves, and one that does not."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from provider.events import ItemStatus
from provider.manager.handlers.handler import HandlerId, HandlerInfo, Item, ItemId, SessionCallback
from provider.manager.handlers.masks import HandlerCan
from provider.request import Trigger

GUARD_SECONDS = 5.0


@dataclass
class Good:
    """Does what *work* says for each item; by default each succeeds in two steps."""

    id: HandlerId = HandlerId("good")
    names: tuple[str, ...] = ("a", "b")
    can: HandlerCan = HandlerCan.NOTHING
    work: Callable[[SessionCallback, ItemId], None] | None = None
    ready: Callable[[SessionCallback], None] | None = None
    takes: frozenset[Trigger] = frozenset(Trigger)
    info_: HandlerInfo | None = None
    prepared: list[tuple[ItemId, ...]] = field(default_factory=list)
    began: list[ItemId] = field(default_factory=list)

    def info(self) -> HandlerInfo:
        return self.info_ or HandlerInfo(name="Good", can=self.can)

    def items(self) -> Iterable[Item]:
        return [Item(id=ItemId(name), name=name.upper()) for name in self.names]

    def accepts(self, trigger: Trigger, cookie: str) -> bool:
        return trigger in self.takes

    def prepare(self, session: SessionCallback) -> None:
        self.prepared.append(session.items)
        if self.ready is not None:
            self.ready(session)

    def synchronize(self, session: SessionCallback) -> None:
        for item in session.items:
            if session.is_skipped(item):
                continue
            if not session.can_continue(item):
                if not session.can_continue():
                    return
                session.progress(item, ItemStatus.CANCELED)
                continue
            self.began.append(item)
            if self.work is not None:
                self.work(session, item)
                continue
            session.progress(item, step=1, steps=2)
            session.progress(item, ItemStatus.SUCCEEDED, step=2, steps=2)


class Gate:
    """Work that waits until it is let go, or stopped."""

    def __init__(self) -> None:
        self.reached, self._go = threading.Event(), threading.Event()

    def __call__(self, session: SessionCallback, item: ItemId) -> None:
        session.progress(item)
        self.reached.set()
        while not self._go.wait(0.01) and session.can_continue(item):
            pass
        stop = session.progress(item)
        session.progress(item, ItemStatus.CANCELED if stop else ItemStatus.SUCCEEDED)

    def open(self) -> None:
        self._go.set()

    def wait_reached(self) -> None:
        assert self.reached.wait(GUARD_SECONDS)
