"""Working online or offline: a state of a process, with three notices of each change (MAPI: IMAPIOfflineMgr).

Offline nothing starts by itself but schedules that are meant for it, and what runs is cancelled; what a person asks
for is done all the same. Back online, everything is synchronized once and the outboxes are sent. A change takes as
long as the runs need to stop; whoever asks for another one meanwhile is told that it is pending. What another process
wrote down is a change here, too, with the same notices: ``look`` sees it.
"""

import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING

from store import StoreError
from store.mail import AccountId

from ...bridge import Bridge
from ...clock import Clock, SystemClock
from ...errors import Busy, Closed, ProviderError
from ...failure import frames_of
from ...request import SyncFlags, SyncRequest, Trigger

if TYPE_CHECKING:
    from store import Schedules

    from ...entry import MailStoreProvider

__all__ = ["ChangePending", "LinkNotice", "LinkPhase", "LinkState", "OnlineState"]

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
"""For the runs to end when it goes offline; what takes longer is left to end by itself."""


class LinkState(IntEnum):
    """MAPIOFFLINE_STATE_*."""

    OFFLINE = 1
    ONLINE = 2


class LinkPhase(IntEnum):
    """MAPIOFFLINE_CALLBACK_TYPE: a change is about to begin, takes place, is done."""

    PENDING = 1
    CHANGING = 2
    CHANGED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkNotice:
    """One of the three notices of a change."""

    phase: LinkPhase
    old: LinkState
    new: LinkState
    at: datetime


class ChangePending(Busy):
    """Another change goes on (MAPI: E_PENDING)."""


class OnlineState:
    """Whether the runs of *provider* start by themselves. Thread-safe. It begins as *kept* says, and is kept there.

    *accounts*: which may be started by themselves; None: all.
    """

    def __init__(
        self,
        provider: "MailStoreProvider",
        kept: "Schedules",
        *,
        clock: Clock | None = None,
        accounts: Callable[[], Sequence[AccountId]] | None = None,
    ) -> None:
        self._provider = provider
        self._kept = kept
        self._accounts = accounts
        self._clock = clock if clock is not None else SystemClock()
        self._lock = threading.Lock()
        self._state = LinkState.OFFLINE if kept.offline else LinkState.ONLINE
        self._change: threading.Event | None = None
        self._sinks: dict[int, Callable[[LinkNotice], object]] = {}
        self._tokens = itertools.count(1)
        self._bridge = Bridge()

    @property
    def state(self) -> LinkState:
        """The state; during a change: the old one."""
        return self._state

    @property
    def changing(self) -> bool:
        """True from the first notice of a change to its last."""
        return self._change is not None

    def advise(self, sink: Callable[[LinkNotice], object]) -> int:
        """Let *sink* hear the notices, on a thread of ours, until ``unadvise``; return a token, never 0."""
        with self._lock:
            token = next(self._tokens)
            self._sinks[token] = sink
            return token

    def unadvise(self, token: int) -> None:
        """Stop telling; a token that is not known is passed over."""
        with self._lock:
            self._sinks.pop(token, None)

    def set_state(self, new: LinkState, *, wait: float | None = 0.0) -> None:
        """Go online or offline; *wait* so many seconds for the end of it, None: as long as it takes.

        The state that it has already is no change. Raises ChangePending while another change goes on.
        """
        with self._lock:
            if self._change is not None:
                raise ChangePending("It goes online or offline at this moment: ask again when that is done.")
            if new is self._state:
                return
            change = self._begin(new)
        change.wait(wait)

    def look(self) -> None:
        """Follow what is written down, when another process changed it. Returns at once. Raises StoreError."""
        with self._lock:  # so that no change of our own is written down meanwhile
            if self._change is None:
                kept = LinkState.OFFLINE if self._kept.offline else LinkState.ONLINE
                if kept is not self._state:
                    self._begin(kept)

    def _begin(self, new: LinkState) -> threading.Event:
        """Begin a change; within the lock."""
        change = self._change = threading.Event()
        try:
            self._bridge.spawn("online", lambda: self._go(new, change))
        except RuntimeError:
            self._change = None
            raise
        return change

    def _go(self, new: LinkState, change: threading.Event) -> None:
        old = self._state
        try:
            self._tell(LinkPhase.PENDING, old, new)
            if new is LinkState.OFFLINE:
                self._stop_runs()
            self._tell(LinkPhase.CHANGING, old, new)
            self._kept.set_offline(new is LinkState.OFFLINE)
            self._state = new
            if new is LinkState.OFFLINE:
                self._stop_runs()  # what was due while the others stopped
            if new is LinkState.ONLINE:
                self._catch_up()
        except StoreError as error:
            log.warning("It stays as it was: that could not be written down (%s).", error.kind.value)
        finally:
            self._tell(LinkPhase.CHANGED, old, self._state)
            self._change = None
            change.set()

    def _stop_runs(self) -> None:
        running = self._provider.running
        for handle in running:
            handle.cancel()
        deadline = self._clock.monotonic() + STOP_SECONDS
        for handle in running:
            handle.done_event.wait(max(0.0, deadline - self._clock.monotonic()))

    def _catch_up(self) -> None:
        try:
            if not self._kept.paused:
                flags = SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_BACKGROUND
                accounts = None if self._accounts is None else tuple(self._accounts())
                if accounts is None or accounts:
                    request = SyncRequest(flags=flags, accounts=accounts, trigger=Trigger.CONNECT)
                    self._provider.send_and_receive(request)
        except Closed:
            log.info("The provider was closed while it went online.")
        except ProviderError as error:
            log.warning("Nothing could be synchronized after it went online (%s).", error.kind.value)

    def _tell(self, phase: LinkPhase, old: LinkState, new: LinkState) -> None:
        notice = LinkNotice(phase=phase, old=old, new=new, at=self._clock.now())
        with self._lock:
            sinks = list(self._sinks.values())
        for sink in sinks:
            try:
                sink(notice)
            except Exception as error:  # a host's own: the others hear it, and the change goes on
                log.error("Who hears of being online raised %s.\n%s", type(error).__name__, frames_of(error))
