"""``Push``: servers tell of new mail on parked connections, all of them on one thread, and each telling is a run.

The thread looks at sockets and gives lines their turns; it never waits for a server. Connecting and logging in, which
does, is done on threads of its own, a few at a time, and the line is handed over. Who gets one, and what is to run
when, is ``watchlist``'s. A pause holds runs back too; the lines stay, and what they told is run afterwards.
"""

import logging
import queue
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from store import StoreError
from store.mail import AccountId

from ...account import Account
from ...bridge import Bridge
from ...cancel import Stop
from ...channel import Deaf
from ...clock import Clock, SystemClock
from ...errors import Closed, CommandRefused, ProviderError, TooManyConnections
from ...failure import frames_of
from ...sources.parking import ParkedLine, WatchableSource
from ..mail.items import wanted
from ..reports.runlog import RunLog
from ..surroundings.online import LinkNotice, LinkPhase, LinkState
from .runs import Pushed, PushRuns
from .watchlist import LINES_MAX, POLL_SECONDS, Standing, Watchlist

if TYPE_CHECKING:
    from store import MailStore

    from ...callback import ProgressCallback
    from ...entry import MailStoreProvider

__all__ = ["Push"]

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Accounts that come and go, and a pause that ends, are seen that soon."""
RUN_LOOK_SECONDS = 0.1
"""While something runs: how soon its end is seen."""
STOP_SECONDS = 2.0
SLEPT_SECONDS = 20.0
"""By which the wall clock got ahead between two looks: spans do not count while a machine sleeps."""


@dataclass(slots=True, kw_only=True)
class _Line:
    line: ParkedLine
    events: int
    parked: bool = False


class Push:
    """Watches the accounts of a provider. ``start`` and ``stop``, or ``step`` for who has a thread of his own.

    *lines_max*: connections that are kept for watching, one an account. *poll_seconds*: how often the others are asked.
    *heard*: is told of each run that ended, on this thread. *callback*: hears the events of every run; *log_to* has a
    line for them.
    """

    def __init__(
        self,
        store: "MailStore",
        provider: "MailStoreProvider",
        *,
        clock: Clock | None = None,
        lines_max: int = LINES_MAX,
        poll_seconds: float = POLL_SECONDS,
        heard: Callable[[Pushed], object] | None = None,
        callback: "ProgressCallback | None" = None,
        log_to: RunLog | None = None,
        random: Random | None = None,
    ) -> None:
        self._store, self._provider = store, provider
        self._clock = clock if clock is not None else SystemClock()
        self._list = Watchlist(lines_max=lines_max, poll_seconds=poll_seconds, random=random or Random())
        self._accounts: dict[AccountId, Account] = {}
        self._lines: dict[AccountId, _Line] = {}
        self._stops: dict[AccountId, Stop] = {}
        self.headers_only = False
        """Whether the runs bring no bodies: the link is metered, or slow."""
        self._runs = PushRuns(provider, self._clock, heard=heard, callback=callback, log_to=log_to)
        self._come: queue.SimpleQueue[tuple[AccountId, Stop, ParkedLine | Exception]] = queue.SimpleQueue()
        self._bridge = Bridge()
        self._selector = selectors.DefaultSelector()
        self._ears, self._mouth = socket.socketpair()
        for end in (self._ears, self._mouth):
            end.setblocking(False)
        self._selector.register(self._ears, selectors.EVENT_READ, None)
        self._paused = self._resting = self._nudged = self._stopping = False
        self._wall_ahead = self._wall(self._clock.monotonic())
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch, on a thread of its own. Twice is fine."""
        if self._thread is None and not self._stopping:
            self._thread = self._bridge.spawn("push", self._loop)

    def stop(self) -> None:
        """Give up every line and cancel what was started; two seconds at most. Twice is fine."""
        if self._stopping:
            return
        self._stopping = True
        self._wake()
        for account, stop in list(self._stops.items()):
            if account not in self._lines:  # who has a line says goodbye on it
                stop.stop()
        self._bridge.join(STOP_SECONDS)
        self._end()

    @property
    def watching(self) -> tuple[AccountId, ...]:
        """The accounts whose servers tell by themselves, at this moment."""
        return tuple(one.account for one in list(self._list.all.values()) if one.standing is Standing.PARKED)

    def why_not(self, account: AccountId) -> str:
        """Return why an account is asked now and then instead; empty: it is watched, or will be in a moment."""
        one = self._list.all.get(account)
        return one.why if one is not None else ""

    def look_again(self) -> None:
        """Try every line at once, and those that were lost too: the machine slept, or its network is another one.

        From any thread; a step sees to it. Goes on after ``rest``.
        """
        self._resting, self._nudged = False, True
        self._wake()

    def rest(self) -> None:
        """Give up every line and begin nothing until ``look_again``: there is no network, or none that may be used.

        From any thread; a step sees to it. What runs goes on.
        """
        self._resting = True
        self._wake()

    def follow(self, notice: LinkNotice) -> None:
        """Let no line stand while one works offline (``OnlineState.advise``)."""
        if notice.new is LinkState.OFFLINE and notice.phase is LinkPhase.CHANGING:
            self.rest()
        elif notice.new is LinkState.ONLINE and notice.phase is LinkPhase.CHANGED:
            self.look_again()

    def step(self, seconds: float = 0.0) -> None:
        """Do what is to do, and wait for servers *seconds* at most."""
        now = self._clock.monotonic()
        self._compare_accounts(now)
        self._take_lines(now)
        for ended in self._runs.ended():
            self._list.ran(ended.account, ok=ended.ok, empty=ended.empty, now=now)
        self._see_what_happened(now)
        if not self._resting:
            self._begin(now)
        ready = {key.data for key, _ in self._selector.select(self._patience(seconds, now))}
        if None in ready:
            with suppress(BlockingIOError):
                self._ears.recv(4_096)
        now = self._clock.monotonic()
        for account, one in list(self._lines.items()):
            if account in ready or one.line.hungry or one.line.due <= now:
                self._turn(account, one, now)

    # --- the thread ----------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._stopping:
            try:
                self.step(LOOK_SECONDS)
            except StoreError as error:
                log.warning("What servers tell cannot be looked up in the store (%s).", error.kind.value)
                self._selector.select(LOOK_SECONDS)
            except Closed:
                return
            except Exception as error:  # a daemon that looks alive and hears nothing would be worse
                log.error("Hearing what servers tell met %s; it goes on.\n%s", type(error).__name__, frames_of(error))
                threading.Event().wait(LOOK_SECONDS)

    def _end(self) -> None:
        self._runs.cancel()
        while not self._come.empty():
            _, stop, came = self._come.get()
            stop.stop()
            if not isinstance(came, Exception):
                came.close()
        for account in list(self._lines):
            self._close(account)
            self._list.let_go(account, self._clock.monotonic())
        if self._thread is None or not self._thread.is_alive():
            self._selector.close()
            self._ears.close()
            self._mouth.close()

    def _wake(self) -> None:
        with suppress(OSError):  # full: it will wake all the same; closed: nobody sleeps any more
            self._mouth.send(b"!")

    def _patience(self, seconds: float, now: float) -> float:
        if any(one.line.hungry for one in self._lines.values()):
            return 0.0
        if self._runs:
            seconds = min(seconds, RUN_LOOK_SECONDS)
        times = [one.line.due for one in self._lines.values()]
        if not (self._paused or self._resting) and (due := self._list.due(now)) is not None:
            times.append(due)
        return max(0.0, min(seconds, min(times, default=now + seconds) - now))

    def _wall(self, now: float) -> float:
        return self._clock.now().timestamp() - now

    def _see_what_happened(self, now: float) -> None:
        """Obey ``rest`` and ``look_again``; a wall clock that ran away tells that the machine slept."""
        if self._resting:
            for account in list(self._stops):
                if account not in self._lines:
                    self._stops[account].stop()
                self._close(account)
                self._list.let_go(account, now)
            return
        ahead = self._wall(now)
        if self._nudged or ahead - self._wall_ahead > SLEPT_SECONDS:
            self._nudged = False
            self._list.begin_anew(now)
            for one in self._lines.values():
                one.line.prove(now)
        self._wall_ahead = ahead

    # --- accounts and lines --------------------------------------------------------------------------------------

    def _compare_accounts(self, now: float) -> None:
        """See who came and who went; an account that was set anew is both."""
        here = {one.id: one for one in self._provider.accounts}
        for account, before in list(self._accounts.items()):
            if here.get(account) is not before:
                if account not in self._lines and account in self._stops:
                    self._stops[account].stop()
                self._close(account)
                self._list.remove(account)
                del self._accounts[account]
        for account, value in here.items():
            if account not in self._accounts:
                self._accounts[account] = value
                self._list.add(account, now, running=account in self._runs)

    def _begin(self, now: float) -> None:
        for account in self._list.to_connect(now):
            stop = self._stops[account] = Stop()
            self._provider.watched(account, stop.stop)
            try:
                self._bridge.spawn("push-connect", partial(self._connect, account, stop, now))
            except RuntimeError:
                self._lose(account, None, now)
        if self._list.due(now) != now:
            return
        self._paused = self._store.schedules.paused
        if self._paused:
            return
        here = wanted(self._store, self._provider)  # may raise: whoever is to run is not yet taken for running
        for account, whole in self._list.to_run(now):
            if account not in here:  # people switched it off: what was told waits until it is on again
                self._list.ran(account, ok=True, empty=True, now=now)
                if not whole:
                    self._list.changed(account)
            elif not self._runs.start(account, whole=whole, headers_only=self.headers_only):
                self._list.ran(account, ok=False, empty=True, now=now)

    def _connect(self, account: AccountId, stop: Stop, now: float) -> None:
        """Connect and log in; on a thread of its own."""
        came: ParkedLine | Exception
        try:
            with self._store.read() as view:
                taken = view.one_connection(account)
            if taken:
                raise TooManyConnections("The server takes one connection of this account: it is asked instead.")
            source = self._provider.source_of(account)
            if not isinstance(source, WatchableSource):
                raise CommandRefused("Accounts of this kind do not tell by themselves what changes.")
            came = source.park(stop, Deaf(), now)
        except Exception as error:  # a source or a supplier of the host's own may raise anything
            came = error
        self._come.put((account, stop, came))
        self._wake()

    def _take_lines(self, now: float) -> None:
        while not self._come.empty():
            account, stop, came = self._come.get()
            if self._stops.get(account) is not stop:  # the account went meanwhile
                if not isinstance(came, Exception):
                    came.close()
            elif isinstance(came, Exception):
                self._lose(account, came, now)
            else:
                self._take(account, came, now)

    def _take(self, account: AccountId, line: ParkedLine, now: float) -> None:
        self._lines[account] = one = _Line(line=line, events=selectors.EVENT_READ)
        try:
            self._selector.register(line.fileno(), one.events, account)
        except (OSError, ValueError, KeyError) as error:  # it is closed already
            self._lose(account, error, now)
        else:
            self._turn(account, one, now)

    def _turn(self, account: AccountId, one: _Line, now: float) -> None:
        try:
            changed = one.line.turn(now)
            parked, events = one.line.parked, selectors.EVENT_READ
            if one.line.wants_write:
                events |= selectors.EVENT_WRITE
            if events != one.events:
                self._selector.modify(one.line.fileno(), events, account)
                one.events = events
        except Exception as error:  # a line of a host's own source may raise anything: it costs that line
            self._lose(account, error, now)
            return
        if parked and not one.parked:
            self._list.parked(account, now)
        one.parked = one.parked or parked
        if changed:
            self._list.changed(account)

    def _lose(self, account: AccountId, error: Exception | None, now: float) -> None:
        if error is not None and not isinstance(error, ProviderError | StoreError):
            log.error("A line that watches an account ended by %s.\n%s", type(error).__name__, frames_of(error))
        self._close(account)
        self._list.lost(account, error if isinstance(error, ProviderError) else None, now)

    def _close(self, account: AccountId) -> None:
        self._stops.pop(account, None)
        self._provider.watched(account, None)
        one = self._lines.pop(account, None)
        if one is not None:
            for key in [key for key in self._selector.get_map().values() if key.data == account]:
                self._selector.unregister(key.fd)
            one.line.close()
