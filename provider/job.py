"""One request at work: its accounts' legs, the handles that share it, and what they may do to it.

A leg sends an account's outbox, or synchronizes it. Rules: a job is cancelled, and waits, when all of its handles ask
for it; one handle of several that cancels leaves with an end of its own. Its hub is told the end once, after its last
leg.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from store.mail import AccountId, MessageKey

from .account import Account
from .backlog import ItemKey, key_of
from .callback import CancelRequest
from .cancel import Stop
from .clock import Clock
from .events import ItemKind, ItemResult, SyncProgress
from .failure import Translate
from .hub import Feed, Hub
from .report import Reporter
from .request import SyncFlags, SyncRequest

__all__ = ["Job", "Leg", "ShareKey", "Task"]

ShareKey = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be done: a request, with the accounts it comes down to."""

    request: SyncRequest
    accounts: tuple[Account, ...]
    keys: tuple[tuple[AccountId, tuple[MessageKey, ...]], ...] = ()
    """Single messages to bring whole, by account; empty: what the request's flags say."""

    quick: frozenset[AccountId] = frozenset()
    """Accounts whose single messages may come beside whatever runs."""
    sending: frozenset[AccountId] = frozenset()
    """Accounts whose outbox is to be sent, each before it is synchronized."""
    receive: bool = True
    """False: the outboxes alone."""

    @property
    def share_key(self) -> ShareKey:
        """Equal for two tasks when one can stand for both: callback, trigger and delivery are each handle's own."""
        request = self.request
        ids = frozenset(account.id for account in self.accounts)
        folders = frozenset(request.folder_paths)
        wanted = request.flags, folders, request.size_octets_max, request.full, frozenset(self.keys)
        return ids, self.sending, self.receive, *wanted

    @property
    def rank(self) -> int:
        """Lower goes first: a person waits, the usual, nobody waits."""
        if self.request.flags & SyncFlags.SYNC_ON_DEMAND:
            return 0
        return 2 if self.request.flags & SyncFlags.SYNC_BACKGROUND else 1


class Leg:
    """One account's part of a job. ``order`` is its place in the queue, kept when it comes back after yielding.

    *sending*: it sends the outbox; else it synchronizes, once *after* is over, however that ended. ``quick``, ``alone``
    and ``over`` belong to the scheduler's lock.
    """

    def __init__(
        self,
        job: "Job",
        account: Account,
        place: int,
        translate: Translate | None,
        *,
        sending: bool = False,
        after: "Leg | None" = None,
    ) -> None:
        self.job = job
        self.account = account
        self.sending = sending
        self.after = after
        self.over = False
        self.rank = job.task.rank
        self.order = (self.rank, job.hub.run_id, place)
        self.keys = dict(job.task.keys).get(account.id, ())
        self.quick = bool(self.keys) and account.id in job.task.quick
        """True: it goes in the quick lane."""
        self.alone = False
        """True: the server refused it beside another one of its account."""
        self.stop: Stop = job.stop.child()
        kind = ItemKind.OUTBOX if sending else ItemKind.ACCOUNT
        self.reporter = Reporter(account.id, job.hub, kind=kind, stop=self.stop, clock=job.clock, translate=translate)


class Job:
    """A task, its legs and its feeds. *changed* is called when a leg may have to leave the queue or may go on."""

    def __init__(
        self, run_id: int, task: Task, *, clock: Clock, changed: Callable[[], None], translate: Translate | None
    ) -> None:
        self.task = task
        self.clock = clock
        self.hub = Hub(run_id, clock)
        self.stop = Stop()
        self.started = False
        """True once a leg got a turn; then it is too late to share. Belongs to the scheduler's lock."""
        self.legs = tuple(self._legs(translate))
        self._changed = changed
        self._lock = threading.Lock()
        self._pausing: dict[Feed, bool] = {}
        self._given_up = False
        self._votes: dict[ItemKey, set[Feed]] = {}
        self._legs_left = len(self.legs)

    @property
    def items(self) -> Sequence[ItemResult]:
        """How each item of each account stands."""
        return tuple(result for leg in self.legs for result in leg.reporter.results)

    def _legs(self, translate: Translate | None) -> Iterator[Leg]:
        for place, account in enumerate(self.task.accounts):
            sending = None
            if account.id in self.task.sending:
                sending = Leg(self, account, place, translate, sending=True)
                yield sending
            if self.task.receive:
                yield Leg(self, account, place, translate, after=sending)

    def attach(self) -> Feed | None:
        """Return a feed for one more handle; None when the last one has just cancelled."""
        with self._lock:
            if self._given_up:
                return None
            feed = self.hub.attach()
            self._pausing[feed] = False
            return feed

    def leg_ended(self) -> bool:
        """Take note that one more leg is over. True: it was the last."""
        with self._lock:
            self._legs_left -= 1
            return self._legs_left == 0

    def end(self) -> None:
        """Tell the end. Legs that still run are not heard any more."""
        self.hub.finish(self.items, cancelled=self.stop.stopped)

    def cancel(self, feed: Feed) -> None:
        """Stop for one handle; for the last one, stop the work itself."""
        with self._lock:
            if feed not in self._pausing:
                return
            self._given_up = len(self._pausing) == 1
            if not self._given_up:
                del self._pausing[feed]
        if self._given_up:
            self.stop.stop()
        else:
            self.hub.detach(feed, self.items)
            self._follow()
        self._changed()

    def cancel_all(self) -> None:
        """Stop for every handle."""
        with self._lock:
            self._given_up = True
        self.stop.stop()
        self._changed()

    def pause(self, feed: Feed) -> None:
        """Wait, once every handle asked for it."""
        self._ask(feed, pause=True)

    def resume(self, feed: Feed) -> None:
        """Go on."""
        self._ask(feed, pause=False)

    def hold(self, *, pause: bool) -> None:
        """Wait, or go on, for every handle."""
        with self._lock:
            self._pausing = dict.fromkeys(self._pausing, pause)
        self._follow()
        self._changed()

    def answer(self, feed: Feed, event: SyncProgress, answer: CancelRequest) -> None:
        """Do what a callback returned: stop everything, or the item that *event* was about."""
        if answer is CancelRequest.ALL:
            self.cancel(feed)
            return
        self.cancel_item(feed, key_of(event))

    def cancel_item(self, feed: Feed, item: ItemKey) -> None:
        """Stop *item*, once every handle asked for it."""
        with self._lock:
            votes = self._votes.setdefault(item, set())
            votes.add(feed)
            agreed = votes >= self._pausing.keys()
        if agreed:
            self.stop_item(item)

    def stop_item(self, item: ItemKey) -> None:
        """Stop one item for every handle; what is not part of this job stays as it is."""
        account, folder, kind = item
        for leg in self.legs:
            if leg.account.id == account and leg.sending is (kind is ItemKind.OUTBOX):
                leg.reporter.stop_item(folder)
        self._changed()

    def _ask(self, feed: Feed, *, pause: bool) -> None:
        with self._lock:
            if feed not in self._pausing:
                return
            self._pausing[feed] = pause
        self._follow()
        self._changed()

    def _follow(self) -> None:
        with self._lock:
            pause = all(self._pausing.values())
        if pause == self.stop.paused or self.stop.stopped:
            return
        if pause:
            self.stop.pause()
        else:
            self.stop.resume()
        for leg in self.legs:
            leg.reporter.pausing()
