"""What a handler is given to report to: its session, seen from the other side. Foreign words are checked here.

Every call is a sign of life. Prompts are granted only while the session prepares and only when its trigger allows
them, one at a time in the whole process: ``Doorway`` is that one place.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from ...callback import CancelRequest
from ...errors import Cancelled, ErrorKind, InvalidRequest, Needs, ProviderError, UnknownItem
from ...events import ItemStatus, Severity
from ...request import Trigger
from .bound import checked_id, checked_item, fitting
from .handler import NAME_CHARACTERS_MAX, TEXT_CHARACTERS_MAX, EventId, HandlerEvent, HandlerId, Item, ItemId
from .progress import SessionState
from .session import Session

__all__ = ["Doorway", "Keeper", "PromptRefused", "Prompter", "Reporting"]

LOOK_SECONDS = 0.1
DESCRIPTION_CHARACTERS_MAX = 2_000

Prompter = Callable[[str, bool], str | None]
"""Puts a question to a person; the flag: the answer is a secret, not to be shown. Returns None for no answer."""


class PromptRefused(ProviderError):
    """A person may not be asked now: the trigger does not allow it, or the session prepares no longer."""

    kind = ErrorKind.CREDENTIALS_MISSING
    needs = Needs.USER


class Doorway:
    """The one place where people are asked something, one at a time."""

    def __init__(self, prompter: Prompter | None) -> None:
        self._prompter = prompter
        self._lock = threading.Lock()

    @contextmanager
    def inside(self, stopped: Callable[[], bool]) -> Iterator[None]:
        """Wait for the turn. Raises Cancelled when *stopped* says so meanwhile."""
        while not self._lock.acquire(timeout=LOOK_SECONDS):
            if stopped():
                raise Cancelled("The session was cancelled.")
        try:
            yield
        finally:
            self._lock.release()

    def ask(self, question: str, secret: bool) -> str | None:
        """Put a question; None: no answer, or nobody is there to be asked."""
        return None if self._prompter is None else self._prompter(question, secret)

    @property
    def open(self) -> bool:
        """Whether there is somebody to ask."""
        return self._prompter is not None


class Keeper(Protocol):
    """What of the manager a session's reports need."""

    doorway: Doorway

    def now(self) -> datetime: ...

    def next_event(self) -> EventId: ...

    def keep_event(self, event: HandlerEvent) -> None: ...

    def forget_events(self, handler: HandlerId, event: EventId | None) -> None: ...

    def conflicts_changed(self, handler: HandlerId) -> None: ...

    def has_item(self, handler: HandlerId, item: ItemId) -> bool: ...

    def commit_item(self, handler: HandlerId, item: Item) -> None: ...

    def hand_over(self, session: Session) -> tuple[ItemId, ...]: ...

    def over(self, session: Session) -> None: ...

    def aside(self, work: Callable[[], None]) -> None: ...


class _Hook:
    """A handler's hook: in one call at a time, and once more for what came meanwhile."""

    def __init__(self, hook: Callable[[], None], keeper: Keeper) -> None:
        self._hook, self._keeper = hook, keeper
        self._lock = threading.Lock()
        self._busy = self._again = False

    def call(self) -> None:
        with self._lock:
            self._again = self._busy
            if self._busy:
                return
            self._busy = True
        self._keeper.aside(self._work)

    def _work(self) -> None:
        while True:
            try:
                self._hook()
            except BaseException:
                with self._lock:
                    self._busy = False
                raise
            with self._lock:
                self._busy, self._again = self._again, False
                if not self._busy:
                    return


class Reporting:
    """The ``SessionCallback`` of one session."""

    def __init__(self, session: Session, keeper: Keeper) -> None:
        self._session, self._keeper = session, keeper
        self._proposed: dict[ItemId, Item] = {}

    @property
    def items(self) -> tuple[ItemId, ...]:
        """What is to be synchronized, in order."""
        return tuple(one.item for one in self._session.items)

    @property
    def trigger(self) -> Trigger:
        """Why."""
        return self._session.trigger

    @property
    def cookie(self) -> str:
        """What the caller gave along."""
        return self._session.cookie

    @property
    def may_prompt(self) -> bool:
        """Whether a person may be asked at this moment."""
        preparing = self._session.state is SessionState.PREPARING
        return preparing and self._session.may_prompt and self._keeper.doorway.open

    def progress(
        self,
        item: ItemId,
        status: ItemStatus = ItemStatus.UPDATING,
        *,
        text: str = "",
        step: int | None = None,
        steps: int | None = None,
    ) -> CancelRequest | None:
        """Say how far an item is; return what is to be stopped."""
        self._session.sign()
        numbers = all(one is None or isinstance(one, int) for one in (step, steps))
        if not isinstance(status, ItemStatus) or not numbers:
            raise InvalidRequest("A step is a whole number, and a status an ItemStatus.")
        return self._session.told(item, status, fitting(text, TEXT_CHARACTERS_MAX), step, steps)

    def say(self, text: str) -> None:
        """Say how far the handler is as a whole."""
        self._session.sign()
        self._session.say(fitting(text, TEXT_CHARACTERS_MAX))

    def can_continue(self, item: ItemId | None = None) -> bool:
        """Tell whether to go on."""
        self._session.sign()
        return self._session.answer(item) is None

    def when_cancelled(self, hook: Callable[[], None]) -> None:
        """Call *hook* at each cancel, on a thread of its own: a foreign hook may do anything."""
        self._session.hook(_Hook(hook, self._keeper).call)

    def is_skipped(self, item: ItemId) -> bool:
        """Tell whether a person took an item out."""
        self._session.sign()
        return self._session.known(item).status is ItemStatus.SKIPPED

    def prompt(self, question: str, *, secret: bool = False) -> str | None:
        """Ask a person."""
        with self.modeless():
            return self._keeper.doorway.ask(fitting(question, TEXT_CHARACTERS_MAX), secret)

    @contextmanager
    def modeless(self) -> Iterator[None]:
        """Show a dialog inside."""
        self._session.sign()
        if not self.may_prompt:
            raise PromptRefused("Nobody may be asked now: this was not started by a person, or has begun already.")
        self._session.prompting(True)
        try:
            with self._keeper.doorway.inside(lambda: self._session.cancelled):
                yield
        finally:
            self._session.prompting(False)

    def take_over(self) -> tuple[ItemId, ...]:
        """Take in what was asked for meanwhile."""
        self._session.sign()
        return self._keeper.hand_over(self._session)

    def add_item(self, item: ItemId) -> None:
        """Take one more item in."""
        self._alive()
        if item in self.items:
            raise InvalidRequest("This item is in the session already.")
        if not self._keeper.has_item(self._session.handler, item):
            raise UnknownItem("The handler has no such item.")
        self._session.add([item])

    def propose(self, item: Item) -> None:
        """Announce an item that was found."""
        self._alive()
        known = checked_item(item)
        if known is None:
            raise InvalidRequest("An item has an id of 1 to 63 printable characters.")
        if known.id in self._proposed or self._keeper.has_item(self._session.handler, known.id):
            raise InvalidRequest("There is an item of this id already.")
        self._proposed[known.id] = known

    def commit(self, item: ItemId) -> None:
        """Make a proposed item one like the others."""
        self._alive()
        if item not in self._proposed:
            raise InvalidRequest("This item was not proposed.")
        self._keeper.commit_item(self._session.handler, self._proposed.pop(item))
        self._session.add([item])

    def report(
        self,
        level: Severity,
        name: str,
        description: str = "",
        *,
        item: ItemId | None = None,
        link_text: str = "",
        link: str = "",
        context: str = "",
    ) -> EventId:
        """Log an event."""
        self._alive()
        if not isinstance(level, Severity):
            raise InvalidRequest("A level is a Severity.")
        if item is not None and checked_id(item) is None:
            raise InvalidRequest("An item has an id of 1 to 63 printable characters.")
        event = HandlerEvent(
            id=self._keeper.next_event(),
            handler=self._session.handler,
            item=item,
            level=level,
            at=self._keeper.now(),
            name=fitting(name, NAME_CHARACTERS_MAX),
            description=fitting(description, DESCRIPTION_CHARACTERS_MAX),
            link_text=fitting(link_text, NAME_CHARACTERS_MAX),
            link=link if link.startswith("https://") and fitting(link, TEXT_CHARACTERS_MAX) == link else "",
            context=fitting(context, NAME_CHARACTERS_MAX),
        )
        self._keeper.keep_event(event)
        self._session.count(errors=level is Severity.ERROR)
        return event.id

    def withdraw(self, event: EventId | None = None) -> None:
        """Take an event back, or all of this handler."""
        self._alive()
        self._keeper.forget_events(self._session.handler, event)

    def conflicts_changed(self, added: int = 0) -> None:
        """Say that conflicts came, went or changed."""
        self._alive()
        self._session.count(conflicts=max(0, added))
        self._keeper.conflicts_changed(self._session.handler)

    def manual(self) -> None:
        """Say that a person asked for this."""
        self._session.manual = True

    def _alive(self) -> None:
        """Hear a sign of life. Raises Cancelled after the end: from then on nothing is heard."""
        self._session.sign()
        if self._session.result is not None:
            raise Cancelled("The session is over.")

    def finished(self) -> None:
        """The work is over; for what is done elsewhere."""
        self._keeper.over(self._session)
