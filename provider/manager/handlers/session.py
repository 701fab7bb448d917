"""``Session``: one synchronization of chosen items of one handler, from its request to its result. Starts no thread.

    QUEUED → PREPARING → SYNCHRONIZING → COMPLETED        (from each state to COMPLETED, too)

Rules: a state is entered once; an item has one terminal status, and no progress runs backwards, whatever a handler
says; the result is told once. What a handler says that cannot be is left out and remembered as a *fault*. After the end
nothing is heard any more: a handler that was given up may go on talking.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...callback import CancelRequest
from ...clock import Clock
from ...errors import InvalidRequest, UnknownItem
from ...events import ItemStatus
from ...request import Trigger
from .handler import HandlerId, ItemId
from .progress import NEXT, PEOPLE, ItemProgress, Overdue, Patience, SessionResult, SessionState, overall

__all__ = ["Session"]

FAULTS_MAX = 20


@dataclass(slots=True)
class _Item:
    progress: ItemProgress
    cancelled: bool = False


class Session:
    """One session, as people and the manager see it. Thread-safe. Its handler sees a ``Reporting``."""

    def __init__(
        self,
        number: int,
        handler: HandlerId,
        items: Iterable[ItemId],
        *,
        trigger: Trigger,
        clock: Clock,
        cookie: str = "",
        may_prompt: bool = False,
        elsewhere: bool = False,
        changed: Callable[["Session"], None] = lambda _session: None,
        ending: Callable[["Session"], None] = lambda _session: None,
    ) -> None:
        self.number, self.handler, self.trigger, self.cookie = number, handler, trigger, cookie
        self.elsewhere = elsewhere
        """True: the work is done elsewhere, and was only announced here."""
        self.may_prompt = may_prompt
        self.manual = trigger in PEOPLE
        """A person asked for it."""
        self.done_event = threading.Event()
        self._clock, self._changed, self._ending = clock, changed, ending
        self._lock = threading.RLock()
        self._state = SessionState.QUEUED
        self._items: dict[ItemId, _Item] = {}
        self._hooks: list[Callable[[], None]] = []
        self._cancelled_at: float | None = None
        self._phase_at = self._sign_at = clock.monotonic()
        self._prompt_at: float | None = None
        self._began = clock.now()
        self._text, self._errors, self._conflicts = "", 0, 0
        self._faults: list[str] = []
        self._result: SessionResult | None = None
        self.add(items)

    def __repr__(self) -> str:
        return f"<Session {self.number} of {self.handler}, {self.state.value}>"

    # --- for people ----------------------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """Where it is."""
        return self._state

    @property
    def result(self) -> SessionResult | None:
        """How it ended; None until then."""
        return self._result

    @property
    def text(self) -> str:
        """What the handler says of itself as a whole."""
        return self._text

    @property
    def items(self) -> tuple[ItemProgress, ...]:
        """How each item stands, in the order in which they came in."""
        with self._lock:
            return tuple(one.progress for one in self._items.values())

    def wait(self, timeout: float | None = None) -> SessionResult:
        """Return the result; raises TimeoutError when it is not there in so many seconds."""
        self.done_event.wait(timeout)
        if self._result is None:
            raise TimeoutError("The session was not over in time; it goes on.")
        return self._result

    def cancel(self, items: Iterable[ItemId] | None = None) -> None:
        """Ask to stop some items, or all of it; returns at once. Items that are not in it change nothing."""
        with self._lock:
            if self._result is not None:
                return
            if items is None:
                if self._cancelled_at is None:
                    self._cancelled_at = self._clock.monotonic()
            else:
                for item in items:
                    if item in self._items:
                        self._items[item].cancelled = True
                        if self._state is SessionState.QUEUED:
                            self._close(item, ItemStatus.CANCELED)
                if self._state is SessionState.QUEUED and not self.open_items():
                    self._cancelled_at = self._clock.monotonic()
            hooks = list(self._hooks)
        for hook in hooks:
            hook()
        self._changed(self)

    def skip(self, items: Iterable[ItemId]) -> None:
        """Leave items out that have not begun (SetItemStatus SKIPPED)."""
        with self._lock:
            for item in items:
                known = self._items.get(item)
                if known is not None and known.progress.status is ItemStatus.PENDING:
                    self._close(item, ItemStatus.SKIPPED)
        self._changed(self)

    # --- for the manager -----------------------------------------------------------------------------------------

    def add(self, items: Iterable[ItemId]) -> None:
        """Take items in that are not in it yet."""
        with self._lock:
            for item in items:
                if item not in self._items:
                    self._items[item] = _Item(ItemProgress(item=item, status=ItemStatus.PENDING))

    def join(self, items: Iterable[ItemId]) -> bool:
        """Take items in while it waits; False: it does not wait any more, or one of them was taken back already."""
        with self._lock:
            wanted = list(items)
            back = {item for item, one in self._items.items() if one.progress.status.terminal}
            if self.cancelled or self._state is not SessionState.QUEUED or back & set(wanted):
                return False
            self.add(wanted)
            return True

    def advance(self, state: SessionState) -> bool:
        """Enter *state*; False: it may not be entered from where it is (it ended meanwhile)."""
        with self._lock:
            if state not in NEXT[self._state]:
                return False
            self._state = state
            self._phase_at = self._sign_at = self._clock.monotonic()
        self._changed(self)
        return True

    def open_items(self) -> tuple[ItemId, ...]:
        """Return the items without a terminal status."""
        with self._lock:
            return tuple(item for item, one in self._items.items() if not one.progress.status.terminal)

    @property
    def cancelled(self) -> bool:
        """True when all of it is to stop, or it is over."""
        return self._cancelled_at is not None or self._result is not None

    def overdue(self, patience: Patience, now: float) -> Overdue | None:
        """Return why it is to be given up at *now* (monotonic); None: it has time."""
        with self._lock:
            if self._state in (SessionState.QUEUED, SessionState.COMPLETED):
                return None
            if self._cancelled_at is not None and now - self._cancelled_at > patience.stop_seconds:
                return Overdue(status=ItemStatus.CANCELED, text="The handler did not stop when it was told to.")
            if self._prompt_at is not None:
                if now - self._prompt_at > patience.prompt_seconds:
                    return Overdue(status=ItemStatus.FAILED, text="Nobody answered a question in time.")
                return None
            if self._state is SessionState.PREPARING and now - self._phase_at > patience.prepare_seconds:
                return Overdue(status=ItemStatus.FAILED, text="The handler hangs: it was not ready in time.")
            if self._state is SessionState.SYNCHRONIZING and now - self._sign_at > patience.silence_seconds:
                return Overdue(status=ItemStatus.FAILED, text="The handler hangs: it gave no sign for too long.")
            return None

    def end(self, status: ItemStatus, text: str = "") -> bool:
        """End it, once; False: it was over. *status* for the items that are open, unless they were cancelled.

        Whoever waits hears it when *ending* is through.
        """
        with self._lock:
            if self._result is not None:
                return False
            for item in self.open_items():
                stopped = self._cancelled_at is not None or self._items[item].cancelled
                self._close(item, ItemStatus.CANCELED if stopped else status)
            self._state = SessionState.COMPLETED
            self._result = SessionResult(
                status=overall([one.progress.status for one in self._items.values()], self._cancelled_at is not None),
                errors=self._errors,
                conflicts=self._conflicts,
                items=self.items,
                began_at=self._began,
                ended_at=self._clock.now(),
                text=text,
                faults=tuple(self._faults),
            )
            hooks, self._hooks = self._hooks, []
        self._ending(self)
        self.done_event.set()
        for hook in hooks:
            hook()
        self._changed(self)
        return True

    def end_as(self, other: SessionResult) -> None:
        """End it as another session did that took its items over."""
        with self._lock:
            ends = {one.item: one for one in other.items}
            for item in self.open_items():
                if item in ends:
                    self._items[item].progress = ends[item]
        self.end(other.status, other.text)

    # --- for the handler, through its ``Reporting`` ---------------------------------------------------------------

    def sign(self) -> None:
        """Hear a sign of life."""
        self._sign_at = self._clock.monotonic()

    def fault(self, text: str) -> None:
        """Remember that the handler said what cannot be."""
        with self._lock:
            if len(self._faults) < FAULTS_MAX and text not in self._faults:
                self._faults.append(text)

    def known(self, item: ItemId) -> ItemProgress:
        """Return how *item* stands. Raises UnknownItem."""
        with self._lock:
            if item not in self._items:
                raise UnknownItem("This item is not part of the session.")
            return self._items[item].progress

    def told(
        self, item: ItemId, status: ItemStatus, text: str, step: int | None, steps: int | None
    ) -> CancelRequest | None:
        """Hear how far an item is; return what is to be stopped. Raises UnknownItem."""
        with self._lock:
            before = self.known(item)
            if self._result is not None:
                return CancelRequest.ALL
            if before.status.terminal:
                if before.status is not ItemStatus.SKIPPED and not self._items[item].cancelled:
                    self.fault("An item went on after its end.")
                return self.answer(item)
            if self._state is SessionState.QUEUED:
                raise InvalidRequest("The session has not begun.")
            if status is ItemStatus.PENDING and before.status is not ItemStatus.PENDING:
                self.fault("An item went back to its beginning.")
                status = before.status
            top = _highest(before.steps, steps)
            step = before.step if step is None else step
            if step < before.step or step < 0 or (top is not None and step > top):
                self.fault("The progress of an item ran backwards, or past its end.")
            step = max(before.step, step)
            if top is not None and top < before.step:
                top = before.step  # a total that is known late, and is less than what was done
            if top is not None:
                step = min(step, top)
            if status is ItemStatus.SUCCEEDED and top is not None:
                step = top
            self._items[item].progress = ItemProgress(
                item=item, status=status, text=text or before.text, step=step, steps=top
            )
            answer = self.answer(item)
        self._changed(self)
        return answer

    def answer(self, item: ItemId | None) -> CancelRequest | None:
        """Return what the handler is to stop; None: go on. Raises UnknownItem."""
        with self._lock:
            if item is not None:
                progress = self.known(item)
            if self.cancelled:
                return CancelRequest.ALL
            if item is None:
                return None
            stopped = self._items[item].cancelled or progress.status is ItemStatus.SKIPPED
            return CancelRequest.ITEM if stopped else None

    def say(self, text: str) -> None:
        """Hear what the handler says of itself as a whole."""
        if self._result is None:
            self._text = text
            self._changed(self)

    def count(self, *, errors: int = 0, conflicts: int = 0) -> None:
        """Count what the result will tell."""
        with self._lock:
            if self._result is None:
                self._errors += errors
                self._conflicts += conflicts

    def hook(self, call: Callable[[], None]) -> None:
        """Call *call* at each cancel and at the end; at once when that was already."""
        with self._lock:
            late = self.cancelled or any(one.cancelled for one in self._items.values())
            if self._result is None:
                self._hooks.append(call)
        if late:
            call()

    def prompting(self, asks: bool) -> None:
        """Hear that a person is asked, or was: until then no deadline but that of the question runs."""
        with self._lock:
            now = self._clock.monotonic()
            if not asks and self._prompt_at is not None:
                self._phase_at += now - self._prompt_at
            self._prompt_at = now if asks else None
            self._sign_at = now

    def _close(self, item: ItemId, status: ItemStatus) -> None:
        before = self._items[item].progress
        if before.status.terminal:
            return
        self._items[item].progress = ItemProgress(
            item=item, status=status, text=before.text, step=before.step, steps=before.steps
        )


def _highest(before: int | None, now: int | None) -> int | None:
    """Return the total: it may grow, and once known it is never unknown again."""
    if now is None or now < 0:
        return before
    return now if before is None else max(before, now)
