"""Who goes next: requests take turns, one at a time for an account, a few accounts side by side.

Rules: SYNC_ON_DEMAND first, SYNC_BACKGROUND last, else first come, first served. A run whose turn is wanted by a more
urgent leg may yield; its leg comes back to its old place. Legs in the quick lane run beside all that, one an account,
take no place and ask nobody to yield, until a server shows that it takes one connection only (decision 8). So do legs
that send; the account's synchronization in the same request begins when they are over. Only a request that waits as a
whole is shared. Whatever a run does - return, raise, hang while the provider closes - its job hears an end.
"""

import itertools
import logging
import threading
from collections.abc import Callable
from functools import partial
from weakref import WeakSet

from store.mail import AccountId

from .backlog import ItemKey
from .clock import Clock
from .delivery import Delivery
from .errors import Closed, ErrorKind, Needs
from .events import ItemStatus, Severity, SyncError
from .failure import Translate
from .handle import SyncHandle
from .hub import Feed
from .job import Job, Leg, Task
from .request import SyncFlags, SyncRequest
from .turn import AccountOutcome, Spawn, Turn, Worker

__all__ = ["LegRun", "Scheduler"]

log = logging.getLogger(__name__)

LegRun = Callable[[Leg, Turn], AccountOutcome]
"""Does one leg's work, on a thread of its own. May raise anything."""

URGENT = 0


class _Turn:
    """The turn of one leg."""

    def __init__(self, scheduler: "Scheduler", leg: Leg) -> None:
        self._scheduler = scheduler
        self._leg = leg
        self._began_beside = scheduler.beside(leg)
        self.quick, self.alone = leg.quick, leg.alone

    def beside(self) -> bool:
        return self._began_beside or self._scheduler.beside(self._leg)

    def make_room(self) -> bool:
        return self._scheduler.make_room(self._leg.account.id)

    def wanted(self) -> bool:
        return self._scheduler.wanted(self._leg)

    def spawn(self, name: str, work: Callable[[], None], /) -> Worker:
        return self._scheduler.spawn(name, work)


class _Everybody:
    """Does to a job what a handle asks for, without asking the handles that share it."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def cancel(self, feed: Feed, /) -> None:
        self._job.cancel_all()

    def cancel_item(self, feed: Feed, item: ItemKey, /) -> None:
        self._job.stop_item(item)

    def pause(self, feed: Feed, /) -> None:
        self._job.hold(pause=True)

    def resume(self, feed: Feed, /) -> None:
        self._job.hold(pause=False)


class Scheduler:
    """Gives turns. Thread-safe; no method but ``close`` blocks."""

    def __init__(
        self,
        run: LegRun,
        *,
        spawn: Spawn,
        clock: Clock,
        connections: int,
        translate: Translate | None = None,
    ) -> None:
        self.spawn = spawn
        self._run = run
        self._clock = clock
        self._connections = connections
        self._translate = translate
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: list[Leg] = []
        self._running: dict[AccountId, Leg] = {}
        self._quick: dict[AccountId, Leg] = {}
        """What runs in the quick lane."""
        self._sending: dict[AccountId, Leg] = {}
        self._jobs: dict[Job, SyncHandle] = {}
        self._watching: dict[AccountId, Callable[[], None]] = {}
        self._fewer = threading.Condition(self._lock)
        self._closed = False
        self.elsewhere: WeakSet[Worker] = WeakSet()
        """Threads that wait for the host to run a callback; nobody can know when it will."""

    def submit(self, task: Task) -> SyncHandle:
        """Queue *task*, or share one that waits and is equal; start what may start. Raises Closed, and nothing else."""
        with self._lock:
            if self._closed:
                raise Closed("This provider was closed.")
            job, feed = self._shared(task)
            if job is None or feed is None:
                job, feed = self._queued(task)
        handle = SyncHandle(job.hub.run_id, task.request, feed, job)
        if task.request.callback is not None:
            self._deliver(task.request, job, feed)
        if not job.legs:
            self._forget(job)
        self._pump()
        return handle

    def running(self) -> tuple[SyncHandle, ...]:
        """Return a handle of each request that is not over, oldest first: what it asks for is done to everybody's."""
        with self._lock:
            return tuple(self._jobs.values())

    def wanted(self, leg: Leg) -> bool:
        """Return True when somebody urgent waits for the turn of *leg*: for its account, or for any place to run."""
        with self._lock:
            if leg.rank == URGENT or leg.sending:
                return False
            queue = (other for other in self._waiting if not (other.quick or other.sending))
            waiting = [other for other in queue if not other.stop.paused]
            urgent = {other.account.id for other in waiting if other.rank == URGENT}
            if leg.account.id in urgent:
                return True
            if len(self._running) < self._connections or not urgent - self._running.keys():
                return False
            # One of those who run makes room: the one that started last, if it is not urgent itself.
            return leg is [other for other in self._running.values() if other.rank != URGENT][-1]

    def beside(self, leg: Leg) -> bool:
        """Return True while the other lane of the account of *leg* is at work."""
        with self._lock:
            return leg.account.id in (self._running if leg.quick else self._quick)

    def watched(self, account: AccountId, let_go: Callable[[], None] | None) -> None:
        """Hear that a connection watches *account*, and how it is made to end; None: it is no more."""
        with self._lock:
            self._watching.pop(account, None)
            if let_go is not None:
                self._watching[account] = let_go

    def make_room(self, account: AccountId) -> bool:
        """End the connection that watches *account*; False: there is none."""
        with self._lock:
            let_go = self._watching.pop(account, None)
        if let_go is not None:
            let_go()
        return let_go is not None

    def stop_account(self, account: AccountId) -> None:
        """Cancel what runs or waits for one account."""
        with self._lock:
            legs = [leg for job in self._jobs for leg in job.legs if leg.account.id == account]
        for leg in legs:
            leg.stop.stop()
        self._pump()

    def close(self, timeout_seconds: float) -> None:
        """Cancel everything and take nothing any more; whoever has not ended in time is not waited for, nor heard."""
        with self._lock:
            self._closed = True
            jobs = list(self._jobs)
        for job in jobs:
            job.cancel_all()
        with self._lock:
            self._fewer.wait_for(lambda: not (self._running or self._quick or self._sending), timeout_seconds)
        for job in jobs:
            for leg in job.legs:
                leg.reporter.close(ItemStatus.CANCELED)
            job.end()

    def _shared(self, task: Task) -> tuple[Job | None, Feed | None]:
        for job in self._jobs:
            if not job.started and job.task.share_key == task.share_key and not job.stop.stopped:
                return job, job.attach()
        return None, None

    def _queued(self, task: Task) -> tuple[Job, Feed]:
        job = Job(next(self._ids), task, clock=self._clock, changed=self._pump, translate=self._translate)
        feed = job.attach()
        assert feed is not None
        self._jobs[job] = SyncHandle(job.hub.run_id, task.request, job.hub.attach(), _Everybody(job))
        self._waiting.extend(job.legs)
        if task.request.flags & SyncFlags.SYNC_OUTGOING_MAIL:
            job.hub.publish(partial(_outgoing_mail, self._clock))
        return job, feed

    def _deliver(self, request: SyncRequest, job: Job, feed: Feed) -> None:
        delivery = Delivery(
            request.callback, deliver=request.deliver, clock=self._clock, answer=partial(job.answer, feed)
        )
        backlog = feed.listen(delivery.ready.set)
        try:
            worker = self.spawn("delivery", lambda: delivery.run(backlog))
        except RuntimeError:
            log.error("A callback cannot be called: the system has no thread left to call it on.")
            return
        if not delivery.on_own_thread:
            self.elsewhere.add(worker)

    def _pump(self) -> None:
        """Let go what was cancelled while it waited, and start what may start."""
        with self._lock:
            over = [leg for leg in self._waiting if leg.stop.stopped]
            self._waiting = [leg for leg in self._waiting if leg not in over]
            for gone in over:
                gone.over = True
            starting = []
            while (leg := self._next()) is not None:
                self._waiting.remove(leg)
                self._lane_of(leg)[leg.account.id] = leg
                leg.job.started = True
                starting.append(leg)
        for leg in over:
            self._over(leg, ItemStatus.CANCELED)
        for leg in starting:
            try:
                self.spawn("account", partial(self._work, leg))
            except RuntimeError as error:
                leg.reporter.fail(error)
                self._leave(leg)
                self._over(leg, ItemStatus.FAILED)

    def _next(self) -> Leg | None:
        ready = [leg for leg in self._waiting if not leg.stop.paused and self._may_start(leg)]
        return min(ready, key=lambda leg: leg.order, default=None)

    def _may_start(self, leg: Leg) -> bool:
        account = leg.account.id
        if account in self._lane_of(leg) or (leg.alone and account in self._quick):
            return False
        if leg.after is not None and not leg.after.over:
            return False
        return leg.quick or leg.sending or len(self._running) < self._connections

    def _lane_of(self, leg: Leg) -> dict[AccountId, Leg]:
        if leg.sending:
            return self._sending
        return self._quick if leg.quick else self._running

    def _work(self, leg: Leg) -> None:
        status = ItemStatus.FAILED
        again = crowded = False
        try:
            outcome = self._run(leg, _Turn(self, leg))
            again, crowded = outcome.yielded and not leg.stop.stopped, outcome.crowded
            status = ItemStatus.CANCELED if outcome.yielded else outcome.status
        except BaseException as error:  # whatever it was: the job must hear its end
            status = leg.reporter.fail(error)
        finally:
            self._leave(leg, again=again, crowded=crowded)
            if not again:
                self._over(leg, status)
            self._pump()

    def _leave(self, leg: Leg, *, again: bool = False, crowded: bool = False) -> None:
        with self._lock:
            del self._lane_of(leg)[leg.account.id]
            leg.over = not again
            if again:
                self._waiting.append(leg)
            if crowded:
                leg.alone = True
                for other in self._waiting:
                    other.quick = other.quick and other.account.id != leg.account.id
            self._fewer.notify_all()

    def _over(self, leg: Leg, status: ItemStatus) -> None:
        leg.reporter.close(status)
        if leg.job.leg_ended():
            self._forget(leg.job)

    def _forget(self, job: Job) -> None:
        job.end()
        with self._lock:
            self._jobs.pop(job, None)


def _outgoing_mail(clock: Clock, run_id: int, seq: int) -> SyncError:
    return SyncError(
        run_id=run_id,
        seq=seq,
        at=clock.now(),
        severity=Severity.WARNING,
        kind=ErrorKind.INVALID_REQUEST,
        needs=Needs.NOTHING,
        text="SYNC_OUTGOING_MAIL is without effect: outgoing mail is never part of a synchronization.",
    )
