"""``SyncManager``: starts what is due, once, and writes down what came of it. It decides when; the provider does.

    with SyncManager(store, provider) as manager:
        manager.run_now("All accounts").wait()

Everything that has to survive is in the store before it matters: next runs, failures, and who runs what. A manager
that is killed leaves a lease whose owner is known to be gone; the next one takes it over, and the run is due again.
Any number of managers on one store: ``store.schedules.claim`` gives each due schedule to one of them.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Self

from store import Group, LeaseLost, ScheduleRecord, StoreError, UnknownSchedule
from store.mail import AccountId
from store.mail.schedules import ALL_ACCOUNTS, ScheduleId

from ..backoff import Backoff
from ..bridge import Bridge
from ..clock import Clock, SystemClock
from ..errors import Closed, InvalidRequest, ProviderError
from ..events import ResultStatus
from ..failure import frames_of
from ..grouping import f9_runs, group_run
from ..handle import SyncHandle
from ..owner import is_gone, owning
from ..request import SyncFlags, SyncRequest, Trigger
from .joining import join
from .mail.items import wanted
from .planning import following, sooner
from .pushing.push import Push
from .pushing.runs import Pushed
from .ran import Ran
from .reports.alerts import AlertHook
from .reports.chores import Chores
from .reports.runlog import RunLog
from .schedule import BadSchedule, parse
from .surroundings.environment import Environment
from .surroundings.online import LinkState, OnlineState
from .surroundings.waking import Waking

if TYPE_CHECKING:
    from store import MailStore

    from ..callback import ProgressCallback
    from ..entry import MailStoreProvider

__all__ = ["SyncManager"]

log = logging.getLogger(__name__)

RETRY_SECONDS = 3_600.0
"""After a failure; it doubles with each in a row, up to a day, and chance takes up to half of it away."""
RETRY_SECONDS_MAX = 86_400.0
LEASE_SECONDS = 120
RENEW_SECONDS = 30.0
LOOK_SECONDS = 1.0
"""How often a manager looks: a schedule that another process adds is heard of that soon."""
STOP_SECONDS = 3.0
BUSY, NOBODY, BAD = "skipped: it runs already", "skipped: none of its accounts is here", "not started: "
OTHER_LINK = {LinkState.OFFLINE: "skipped: offline", LinkState.ONLINE: "skipped: online"}


@dataclass(slots=True, kw_only=True)
class _Running:
    record: ScheduleRecord
    handle: SyncHandle
    began_at: datetime
    renewed: float


class SyncManager:
    """Runs the schedules of a store by a provider. Thread-safe; ``start`` and ``stop``, or a context manager.

    *retry_seconds*: after the first failure. *heard*: is told of each run that ended, on the manager's thread.
    *callback*: hears the events of every run. *environment*: tells what happens around it. *push*: let servers tell
    of new mail, and poll those who do not (``push``); *pushed* is told of each run that came of it. *hooks*: are told
    of alerts, whoever's run raised them. *log_to*: has a line for whatever happens. *random* is for tests.
    """

    def __init__(
        self,
        store: "MailStore",
        provider: "MailStoreProvider",
        *,
        clock: Clock | None = None,
        retry_seconds: float = RETRY_SECONDS,
        heard: Callable[[Ran], object] | None = None,
        callback: "ProgressCallback | None" = None,
        environment: Environment | None = None,
        push: bool = False,
        pushed: Callable[[Pushed], object] | None = None,
        hooks: Sequence[AlertHook] = (),
        log_to: RunLog | None = None,
        random: Random | None = None,
    ) -> None:
        if not 1 <= retry_seconds <= RETRY_SECONDS_MAX:
            raise InvalidRequest("A failed run is tried again after a second at least, and a day at most.")
        self._store = store
        self._provider = provider
        self._clock = clock if clock is not None else SystemClock()
        self._backoff = Backoff(first_seconds=retry_seconds, last_seconds=RETRY_SECONDS_MAX)
        self._heard = heard
        self._callback = callback
        self._log = log_to
        self._random = random if random is not None else Random()
        self._running: dict[ScheduleId, _Running] = {}
        self._by_group: dict[str, SyncHandle] = {}
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._stopping = False
        self._bridge = Bridge()
        self._chores = Chores(store, provider, hooks, spawn=self._bridge.spawn, clock=self._clock, random=self._random)
        self._life = ExitStack()
        self._owner = self._life.enter_context(owning())
        self._thread: threading.Thread | None = None
        self.link = OnlineState(provider, store.schedules, clock=self._clock, accounts=self._here)
        """Online or offline, for what starts by itself; kept."""
        self.environment = environment if environment is not None else Environment()
        """What happens around: facts told here start what they ask for, or hold it back."""
        self.environment.advise(self._wake.set)
        self._waking = Waking(self.environment, provider, self._woken, self._rests, self._clock)
        self.push: Push | None = None
        """Who watches the servers; None: nobody does."""
        if push:
            self.push = Push(
                store, provider, clock=clock, heard=pushed, callback=callback, log_to=log_to, random=random
            )
            self.link.advise(partial(self._waking.follow, self.push))
            if self.link.state is LinkState.OFFLINE:
                self.push.rest()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to look for what is due, on a thread of its own. Twice is fine. Raises Closed after ``stop``."""
        with self._lock:
            if self._stopping:
                raise Closed("This manager was stopped.")
            if self._thread is None:
                self._thread = self._bridge.spawn("manager", self._loop)
            if self.push is not None:
                self.push.start()

    def stop(self) -> None:
        """Cancel what this manager runs by schedule, and start nothing any more; what was cut off stays due."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
            self._chores.stop()
            handles = [one.handle for one in self._running.values()]
            self._waking.stop()
        self.environment.unadvise(self._wake.set)
        self._wake.set()
        if self.push is not None:
            self.push.stop()
        for handle in handles:
            handle.cancel()
        deadline = self._clock.monotonic() + STOP_SECONDS
        for handle in handles:
            handle.done_event.wait(max(0.0, deadline - self._clock.monotonic()))
        self._bridge.join(STOP_SECONDS)
        with self._lock:
            try:
                self._collect()  # what ended at the last moment did run
                for id_ in list(self._running):
                    self._release(id_)
            except StoreError as error:
                log.warning("A schedule could not be given back (%s); whoever is next takes it over.", error.kind.value)
            self._running.clear()
        self._life.close()

    def pause(self) -> None:
        """Let nothing start by itself, in any process, until ``resume``; what runs goes on."""
        self._store.schedules.pause()

    def resume(self) -> None:
        """Let what is due start again: one run for all that were missed."""
        self._store.schedules.resume()
        self._wake.set()

    def run_now(self, group: str = ALL_ACCOUNTS.name, *, callback: "ProgressCallback | None" = None) -> SyncHandle:
        """Run a group at once, paused or not; a group that runs already gives its handle, and *callback* hears it all.

        Raises UnknownGroup; InvalidRequest when none of its accounts is here; Closed.
        """
        with self._lock:
            if self._stopping:
                raise Closed("This manager was stopped.")
            chosen = self._store.schedules.group(group)
            handle, new = self._start(chosen, Trigger.MANUAL, callback or self._callback)
            self._waking.wanted(handle)
        if callback is not None and not new:
            join(handle, callback, clock=self._clock, spawn=self._bridge.spawn)
        return handle

    def run_f9(self, *, callback: "ProgressCallback | None" = None) -> tuple[SyncHandle, ...]:
        """Send/Receive All: run each group that is part of it, and the accounts that are in no group.

        *callback* hears every one of these runs. Raises InvalidRequest when there is none, and Closed.
        """
        offline = self.link.state is LinkState.OFFLINE
        runs = f9_runs(self._store.schedules.groups(), self._here(), offline=offline)
        hears = callback or self._callback
        requests = [replace(one.request, callback=self.logged(hears, Trigger.MANUAL, one.group)) for one in runs]
        return tuple(
            self._provider.send_and_receive(request, send=one.send, receive=one.receive)
            for request, one in zip(requests, runs, strict=True)
        )

    def logged(
        self, callback: "ProgressCallback | None", trigger: Trigger, group: str | None = None
    ) -> "ProgressCallback | None":
        """Return what hears one request for *callback* and for the log."""
        return self._log.follow(trigger=trigger.value, group=group, then=callback) if self._log else callback

    def step(self) -> float:
        """Do what is to do at this moment; return after how many seconds to look again. For hosts without a thread."""
        with self._lock:
            self.link.look()
            self._collect()
            self._repair()
            automatic = [one for one in self._by_group.values() if one.request.trigger is not Trigger.MANUAL]
            may_start = self._waking.step(automatic)
            if self.push is not None:
                self._waking.mind(self.push, online=self.link.state is LinkState.ONLINE)
            while may_start and not self._stopping:
                now = self._clock.now()
                record = self._store.schedules.claim(now, owner=self._owner, seconds=LEASE_SECONDS, is_gone=is_gone)
                if record is None:
                    break
                self._begin(record, now)
            if not self._stopping:
                self._chores.step()
        return LOOK_SECONDS

    # --- how -----------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._stopping:
            try:
                seconds = self.step()
            except Exception as error:  # the store, or what nobody foresaw: one that only looks alive would be worse
                log.warning("The manager met %s, and tries again.\n%s", type(error).__name__, frames_of(error))
                seconds = LOOK_SECONDS
            self._wake.wait(seconds)
            self._wake.clear()

    def _here(self) -> list[AccountId]:
        """The accounts, less what people switched off."""
        return list(wanted(self._store, self._provider))

    def _start(self, group: Group, trigger: Trigger, callback: "ProgressCallback | None") -> tuple[SyncHandle, bool]:
        """Return the handle of a run of *group*, and whether it is a new one."""
        before = self._by_group.get(group.name)
        if before is not None and not before.done and not self._waking.stopped(before):
            return before, False
        flags = SyncFlags.ALL_DIRECTIONS
        if trigger is Trigger.SCHEDULED:
            flags |= SyncFlags.SYNC_BACKGROUND
        callback = self.logged(callback, trigger, group.name)
        if trigger is not Trigger.MANUAL and self.environment.conduct.headers_only:
            group = replace(group, headers_only=True)
        asked = SyncRequest(flags=flags, callback=callback, trigger=trigger)
        meant = group_run(group, self._here(), asked)
        handle = self._provider.send_and_receive(meant.request, send=meant.send, receive=meant.receive)
        self._by_group[group.name] = handle
        return handle, True

    def _woken(self, group: Group, trigger: Trigger) -> tuple[SyncHandle, bool]:
        return self._start(group, trigger, self._callback)

    def _rests(self) -> str:
        """Return why nothing is to start by itself now; empty: it may."""
        if self._stopping or self._store.schedules.paused:
            return "all is paused"
        return "one works offline" if self.link.state is LinkState.OFFLINE else ""

    def _begin(self, record: ScheduleRecord, now: datetime) -> None:
        try:
            if parse(record.text, record.zone).offline is not (self.link.state is LinkState.OFFLINE):
                self._finish(record, now, OTHER_LINK[self.link.state])
                return
            handle, new = self._start(self._store.schedules.group(record.group), Trigger.SCHEDULED, self._callback)
        except BadSchedule as error:
            self._finish(record, now, f"{BAD}{error}")
        except Closed:
            self._release(record.id)
            self._stopping = True
        except InvalidRequest:
            self._finish(record, now, NOBODY)
        except (ProviderError, StoreError) as error:
            log.warning("A schedule could not be started (%s).", error.kind.value)
            self._finish(record, now, ResultStatus.FAILED.value, failed=True)
        else:
            if not new:
                self._finish(record, now, BUSY)
                return
            self._running[record.id] = _Running(
                record=record, handle=handle, began_at=now, renewed=self._clock.monotonic()
            )

    def _collect(self) -> None:
        """Write down what ended, and hold on to what runs."""
        for id_, one in list(self._running.items()):
            result = one.handle.result
            if result is not None:
                if self._running.pop(id_, None) is None:
                    continue  # who heard of the one before it stopped us
                cut_off = self._stopping or self._waking.stopped(one.handle)
                if result.status is ResultStatus.CANCELED and cut_off:
                    self._release(id_)
                    continue
                failed = result.status in (ResultStatus.FAILED, ResultStatus.COMPLETE_WITH_ERRORS)
                try:
                    self._finish(one.record, one.began_at, result.status.value, failed=failed)
                except StoreError:
                    self._running[id_] = one  # it did run: that is written down at the next look
                    raise
            elif self._clock.monotonic() - one.renewed >= RENEW_SECONDS:
                one.renewed = self._clock.monotonic()
                with self._still_ours():
                    self._store.schedules.renew(id_, self._clock.now(), owner=self._owner)

    def _finish(self, record: ScheduleRecord, began: datetime, outcome: str, *, failed: bool = False) -> None:
        now = self._clock.now()
        # From the instant that was due, or from now when that is later: what was missed is one run, not many.
        base = max(now, record.next_run) if record.next_run is not None and record.next_run <= began else now
        coming = following(record, base, self._random)
        retry = None
        if failed:
            retry = now + timedelta(seconds=self._backoff.delay(record.failures + 1, self._random))
        with self._still_ours():
            self._store.schedules.finish(record.id, owner=self._owner, outcome=outcome, next_run=coming, retry_at=retry)
        ran = Ran(
            schedule=record.id,
            group=record.group,
            began_at=began,
            ended_at=now,
            outcome=outcome,
            next_run=coming,
            retry_at=retry,
        )
        if self._log is not None:
            self._log.ran(ran)
        if self._heard is not None:
            try:
                self._heard(ran)
            except Exception as error:  # a host's own: it costs what it heard, and no run
                log.error("What hears of runs raised %s.\n%s", type(error).__name__, frames_of(error))

    def _repair(self) -> None:
        """Bring forward what a clock that was ahead, and was set back, would leave waiting for too long."""
        now = self._clock.now()
        for record in self._store.schedules.all():
            if record.running or not record.enabled:
                continue
            latest = now + timedelta(seconds=self._backoff.longest(record.failures))
            planned, retry = sooner(record, now), None if record.retry_at is None else min(record.retry_at, latest)
            if (planned, retry) != (record.next_run, record.retry_at):
                with self._still_ours():
                    self._store.schedules.reschedule(record.id, planned, retry_at=retry)

    def _release(self, id_: ScheduleId) -> None:
        """Give a schedule back as it was: it stays due."""
        with self._still_ours():
            self._store.schedules.release(id_, owner=self._owner)

    @contextmanager
    def _still_ours(self) -> Iterator[None]:
        """Write inside; whether somebody took the schedule over, or removed it meanwhile, makes no difference."""
        try:
            yield
        except (LeaseLost, UnknownSchedule):
            log.info("A schedule was removed, or taken over by another manager.")
