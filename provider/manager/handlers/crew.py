"""Who works: sessions that wait, sessions that run, and the watch over handlers that do not come back.

Rules: one session of a handler at a time, more where it is able to (never two with one item); what is asked for
meanwhile waits in one session and may be taken over. Each session runs on a thread of its own. A handler that hangs
loses its session when its time is over, and gets no other until its thread has come back: it holds up nobody else.
"""

import itertools
import logging
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from ...clock import Clock
from ...errors import ErrorKind, ProviderError
from ...events import ItemStatus, Severity
from ...failure import describe, status_after
from ...request import Trigger
from .bound import BadHandler, Bound, Spawn
from .handler import EventId, HandlerEvent, HandlerId, Item, ItemId
from .masks import HandlerCan
from .notices import EventBook, Notices, Subject
from .progress import PEOPLE, Patience, SessionState
from .reporting import Doorway, Reporting
from .session import Session

__all__ = ["Crew"]

log = logging.getLogger(__name__)

SESSIONS_MAX = 4
"""Of one handler that is able to have several at once."""
ELSEWHERE_MAX = 1_000
OVER_MAX = 100
"""Sessions that are over and still shown."""


class Crew:
    """Runs the sessions of all handlers. Thread-safe; nothing here blocks."""

    def __init__(
        self,
        *,
        bound_of: Callable[[HandlerId], Bound],
        clock: Clock,
        patience: Patience,
        spawn: Spawn,
        doorway: Doorway,
        notices: Notices,
        events: EventBook,
        heard: Callable[[Session], None],
    ) -> None:
        self.doorway, self.events, self.notices = doorway, events, notices
        self._bound_of, self._clock, self._patience, self._spawn, self._heard = bound_of, clock, patience, spawn, heard
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._waiting: list[Session] = []
        self._running: list[Session] = []
        self._over: list[Session] = []
        self._followers: dict[int, list[Session]] = {}
        self._closed = False

    # --- sessions ------------------------------------------------------------------------------------------------

    def submit(
        self, bound: Bound, items: Iterable[ItemId], *, trigger: Trigger, cookie: str, may_prompt: bool, skip_busy: bool
    ) -> Session | None:
        """Ask for a session; None: with *skip_busy* all of its items are at work or wait already."""
        with self._lock:
            mine = [one for one in (*self._running, *self._waiting) if one.handler == bound.id]
            busy = {item for one in mine for item in one.open_items()} if skip_busy else set()
            wanted = [item for item in items if item not in busy]
            if not wanted or self._closed:
                return None
            waiting = [one for one in self._waiting if one.handler == bound.id and one.cookie == cookie]
            session = next((one for one in waiting if one.join(wanted)), None)
            if session is None:
                session = self._new(bound.id, wanted, trigger, cookie=cookie, may_prompt=may_prompt)
                self._waiting.append(session)
            else:
                session.may_prompt = session.may_prompt or may_prompt
                if trigger in PEOPLE:
                    session.trigger, session.manual = trigger, True
        self._announce(session)
        self.pump()
        return session

    def create(self, handler: HandlerId, items: Iterable[ItemId], trigger: Trigger) -> Reporting:
        """Take notice of a synchronization that began elsewhere. Raises ProviderError when there are too many."""
        with self._lock:
            if self._closed or sum(one.elsewhere for one in self._running) >= ELSEWHERE_MAX:
                raise ProviderError("The manager takes no more sessions.", kind=ErrorKind.LIMIT)
            session = self._new(handler, items, trigger, elsewhere=True)
            session.advance(SessionState.SYNCHRONIZING)
            self._running.append(session)
        self._announce(session)
        return Reporting(session, self)

    def _new(
        self,
        handler: HandlerId,
        items: Iterable[ItemId],
        trigger: Trigger,
        *,
        cookie: str = "",
        may_prompt: bool = False,
        elsewhere: bool = False,
    ) -> Session:
        return Session(
            next(self._numbers),
            handler,
            items,
            trigger=trigger,
            clock=self._clock,
            cookie=cookie,
            may_prompt=may_prompt,
            elsewhere=elsewhere,
            changed=self._changed,
            ending=self._heard,
        )

    def sessions(self, *, over: bool = False) -> tuple[Session, ...]:
        """Return what runs and what waits, in order; with *over* the latest that ended, before them."""
        with self._lock:
            return (*(self._over if over else ()), *self._running, *self._waiting)

    def pump(self) -> None:
        """Begin what may begin, and end what was cancelled while it waited."""
        starting: list[tuple[Session, Bound]] = []
        ending: list[tuple[Session, str]] = []
        with self._lock:
            for session in list(self._waiting):
                bound = self._bound_of(session.handler)
                if session.cancelled:
                    ending.append((session, ""))
                elif bound.given_up:
                    ending.append((session, "The handler still hangs in an earlier session."))
                elif self._may_run(session, bound):
                    self._running.append(session)
                    starting.append((session, bound))
                else:
                    continue
                self._waiting.remove(session)
        for session, text in ending:
            self._ended(session, ItemStatus.FAILED, text)
        for session, bound in starting:
            try:
                self._spawn("session", partial(self._work, session, bound))
            except RuntimeError:
                self._ended(session, ItemStatus.FAILED, "The system has no thread left to work on.")

    def _may_run(self, session: Session, bound: Bound) -> bool:
        mine = [one for one in self._running if one.handler == session.handler and not one.elsewhere]
        if not mine:
            return True
        if not bound.info.can & HandlerCan.CONCURRENT_SESSIONS or len(mine) >= SESSIONS_MAX:
            return False
        wanted = set(session.open_items())
        return not any(wanted & set(one.open_items()) for one in mine)

    def watch(self) -> None:
        """Give up what has had its time."""
        now = self._clock.monotonic()
        with self._lock:
            overdue = [(one, one.overdue(self._patience, now)) for one in self._running]
            for session, why in overdue:
                if why is not None and not session.elsewhere:
                    self._bound_of(session.handler).given_up.add(session.number)
        for session, why in overdue:
            if why is None:
                continue
            if session.elsewhere:
                self._ended(session, ItemStatus.DISCONNECTED, "Nobody reports about it any more.")
                continue
            log.warning("A session of the handler %s was given up: %s", session.handler, why.text)
            self._complain(session, why.text)
            self._ended(session, why.status, why.text)
        self.pump()

    def close(self, timeout_seconds: float) -> None:
        """Cancel everything and take nothing any more; who does not come back in time is given up."""
        with self._lock:
            self._closed = True
            left = list(self._running)
            waiting = list(self._waiting)
        for session in (*waiting, *left):
            session.cancel()
        self.pump()
        deadline = self._clock.monotonic() + timeout_seconds
        for session in left:
            session.done_event.wait(max(0.0, deadline - self._clock.monotonic()) if not session.elsewhere else 0.0)
            self._ended(session, ItemStatus.CANCELED, "")

    # --- on the session's thread ---------------------------------------------------------------------------------

    def _work(self, session: Session, bound: Bound) -> None:
        reporting = Reporting(session, self)
        status, text = ItemStatus.FAILED, ""
        try:
            if self.events.begin(session.handler, session.open_items()):
                self.notices.announce(Subject.EVENTS, session.handler)
            status, text = self._play(session, bound, reporting)
        except BaseException as error:  # whatever a plug-in raises: its session has to end
            failure = describe(error)
            status, text = status_after(failure), failure.text
            if not session.cancelled:
                self._complain(session, text)
        finally:
            late = session.result is not None
            with self._lock:
                bound.given_up.discard(session.number)
            self._refresh(bound)
            self._ended(session, status, text)
            if late:
                log.warning("The handler %s came back from a session that was given up.", session.handler)
            self.pump()

    def _play(self, session: Session, bound: Bound, reporting: Reporting) -> tuple[ItemStatus, str]:
        """Take a handler through its sequence; return what becomes of the items that are left open."""
        handler = bound.handler
        if not session.advance(SessionState.PREPARING):
            return ItemStatus.CANCELED, ""
        if not handler.accepts(session.trigger, session.cookie):
            return ItemStatus.SKIPPED, "The handler does not take part."
        handler.prepare(reporting)
        if session.cancelled or not session.open_items() or not session.advance(SessionState.SYNCHRONIZING):
            return ItemStatus.CANCELED, ""
        handler.synchronize(reporting)
        left = session.open_items()
        if left and not session.cancelled:
            session.fault("The handler ended, and did not say what became of all its items.")
            return ItemStatus.FAILED, "The handler did not say how it went."
        return ItemStatus.FAILED, ""

    def _ended(self, session: Session, status: ItemStatus, text: str) -> None:
        """End a session and those that went along with it."""
        if not session.end(status, text):
            return
        with self._lock:
            followers = self._followers.pop(session.number, [])
            self._running = [one for one in self._running if one is not session]
            self._over = [*self._over, session][-OVER_MAX:]
        assert session.result is not None
        for follower in followers:
            follower.end_as(session.result)

    def _complain(self, session: Session, text: str) -> None:
        self.events.add(
            HandlerEvent(
                id=self.next_event(),
                handler=session.handler,
                item=None,
                level=Severity.ERROR,
                at=self.now(),
                name="The synchronization failed.",
                description=text,
            )
        )
        session.count(errors=1)
        self.notices.announce(Subject.EVENTS, session.handler)

    def _refresh(self, bound: Bound) -> None:
        if bound.given_up:
            return
        try:
            bound.refresh()
        except ProviderError as error:
            log.warning("The handler %s does not say how it stands (%s).", bound.id, error.kind.value)
        self.notices.announce(Subject.HANDLER, bound.id)

    def _changed(self, session: Session) -> None:
        self._announce(session)
        if session.state is SessionState.QUEUED and session.cancelled:
            self.pump()

    def _announce(self, session: Session) -> None:
        self.notices.announce(Subject.SESSION, session.handler, session=session.number)

    # --- what reports need (``Keeper``) --------------------------------------------------------------------------

    def now(self) -> datetime:
        """Return the time."""
        return self._clock.now()

    def next_event(self) -> EventId:
        """Return the number of the next event."""
        return self.events.number()

    def keep_event(self, event: HandlerEvent) -> None:
        """Keep an event, unless its handler does."""
        if not self._bound_of(event.handler).info.can & HandlerCan.EVENT_STORE:
            self.events.add(event)
        self.notices.announce(Subject.EVENTS, event.handler, event.item)

    def forget_events(self, handler: HandlerId, event: EventId | None) -> None:
        """Forget one event of a handler, or all."""
        self.events.remove([one.id for one in self.events.all(handler) if event in (None, one.id)])
        self.notices.announce(Subject.EVENTS, handler)

    def conflicts_changed(self, handler: HandlerId) -> None:
        """Tell that conflicts came, went or changed."""
        self.notices.announce(Subject.CONFLICTS, handler)

    def has_item(self, handler: HandlerId, item: ItemId) -> bool:
        """Tell whether a handler has an item."""
        return item in self._bound_of(handler).items

    def commit_item(self, handler: HandlerId, item: Item) -> None:
        """Add an item that was found."""
        bound = self._bound_of(handler)
        bound.items = {**bound.items, item.id: item}
        self.notices.announce(Subject.ITEM, handler, item.id)

    def hand_over(self, session: Session) -> tuple[ItemId, ...]:
        """Give a running session what waits for its handler; a waiting session that shares an item with it waits on."""
        taken: list[ItemId] = []
        with self._lock:
            if session.cancelled:
                return ()
            mine = {one.item for one in session.items}
            for other in list(self._waiting):
                wanted = other.open_items()
                if other.handler != session.handler or other.cookie or other.cancelled or mine & set(wanted):
                    continue
                self._waiting.remove(other)
                self._followers.setdefault(session.number, []).append(other)
                mine |= set(wanted)
                taken += wanted
            session.add(taken)
        return tuple(taken)

    def aside(self, work: Callable[[], None]) -> None:
        """Do foreign work where it holds up nobody."""
        try:
            self._spawn("hook", work)
        except RuntimeError:
            log.warning("A handler could not be told of a cancel: the system has no thread left.")

    def over(self, session: Session) -> None:
        """End a session that runs elsewhere. Raises BadHandler for another one: that ends by itself."""
        if not session.elsewhere:
            raise BadHandler("A session of the manager's ends when its handler returns.")
        self._ended(session, ItemStatus.FAILED, "")
