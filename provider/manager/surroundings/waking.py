"""What the manager does about its surroundings: starts what a fact asks for, and stops what may not run in them.

Stopped, not held: a run that waits keeps its account from a person who asks for it. What it has is committed; it is
due again, and goes on where it was, when the surroundings are better.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store import Group, StoreError
from store.mail.schedules import ALL_ACCOUNTS

from ...clock import Clock
from ...errors import InvalidRequest, ProviderError
from ...failure import frames_of
from ...request import Trigger
from .environment import Environment
from .online import LinkNotice, LinkState
from .triggers import Answer, Fact, Happening, answer

if TYPE_CHECKING:
    from ...entry import MailStoreProvider
    from ...handle import SyncHandle
    from ..pushing.push import Push

__all__ = ["Waking"]

log = logging.getLogger(__name__)

MARGIN_SECONDS, MARGIN_SHARE = 2.0, 0.25
"""Before a deadline a run is told to stop: what it has is to be committed when the deadline comes."""
STOPPED_MAX = 1_000
"""Runs of which it is remembered that they were stopped here; each is asked about within seconds."""
NOBODY = "none of the accounts is meant"


@dataclass(slots=True, kw_only=True)
class _Woken:
    fact: Fact
    handle: "SyncHandle"
    stop_at: float | None


class Waking:
    """Answers the facts of an *environment* by *start* (a group, why, and whether it is new). The manager's lock holds.

    *rests*: why nothing is to start by itself, whatever the surroundings say; empty: it may.
    """

    def __init__(
        self,
        environment: Environment,
        provider: "MailStoreProvider",
        start: Callable[[Group, Trigger], tuple["SyncHandle", bool]],
        rests: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._environment = environment
        self._provider = provider
        self._start = start
        self._rests = rests
        self._clock = clock
        self._woken: list[_Woken] = []
        self._stopped: deque[int] = deque(maxlen=STOPPED_MAX)
        self._wanted: set[int] = set()
        self._watches = True
        self._missed = False
        """Something was to start, or was stopped, while nothing might run: it is made up for once."""

    def step(self, automatic: Iterable["SyncHandle"]) -> bool:
        """Answer what was told, stop of *automatic* what may not go on; return whether something may start."""
        now = self._clock.monotonic()
        self._look_after(now)
        facts = self._environment.take(now)
        paused = self._environment.conduct.paused
        if self._missed and not paused:
            self._missed = False
            facts.append(Fact(what=Happening.CONNECT))
        for fact in facts:
            said = self._answer(fact, now)
            if said.declined:
                log.info("Nothing starts by %s: %s.", fact.happening.value, said.declined)
                _call(fact.over)
            self._tell(fact, said)
        self._stop_of(list(automatic), paused)
        return not paused

    def mind(self, push: "Push", *, online: bool) -> None:
        """Let no line to a server stand while nothing may start by itself, and its runs be as the link is."""
        now = self._environment.conduct
        push.headers_only = bool(now.headers_only)
        if self._watches is not bool(now.paused):
            return
        self._watches = not now.paused
        if now.paused:
            push.rest()
        elif online:
            push.look_again()

    def follow(self, push: "Push", notice: LinkNotice) -> None:
        """Let *push* go online and offline, unless the surroundings hold it back anyhow."""
        if notice.new is LinkState.OFFLINE or not self._environment.conduct.paused:
            push.follow(notice)

    def wanted(self, handle: "SyncHandle") -> None:
        """A person waits for *handle* now: it goes on, whatever the surroundings are."""
        self._wanted.add(handle.run_id)

    def stopped(self, handle: "SyncHandle") -> bool:
        """Tell whether *handle* was stopped because of the surroundings."""
        return handle.run_id in self._stopped

    def stop(self) -> None:
        """Cancel what was started here, and wait for nothing."""
        for one in self._woken:
            one.handle.cancel()
            _call(one.fact.over)
        self._woken.clear()

    def _look_after(self, now: float) -> None:
        for one in list(self._woken):
            if one.handle.done:
                self._woken.remove(one)
                _call(one.fact.over)
            elif one.stop_at is not None and now >= one.stop_at:
                one.stop_at = None
                one.handle.cancel()

    def _answer(self, fact: Fact, now: float) -> Answer:
        known, policy = self._environment.known, self._environment.policy
        said = answer(known, fact, policy)
        if said.trigger is None:
            self._missed |= said.missed
            return said
        rests = "" if said.trigger is Trigger.MANUAL else self._rests() or self._declined(fact)
        if rests:
            return Answer(declined=rests)
        group = self._group(fact)
        if group is None:
            return Answer(declined=NOBODY)
        try:
            handle, new = self._start(group, said.trigger)
        except InvalidRequest:
            return Answer(declined=NOBODY)
        except (ProviderError, StoreError) as error:
            return Answer(declined=f"it could not be started ({error.kind.value})")
        stop_at = None
        if new and fact.deadline_seconds is not None:
            stop_at = now + fact.deadline_seconds - min(MARGIN_SECONDS, MARGIN_SHARE * fact.deadline_seconds)
        self._woken.append(_Woken(fact=fact, handle=handle, stop_at=stop_at))
        log.info("A synchronization was started by %s.", fact.happening.value)
        return said

    def _declined(self, fact: Fact) -> str:
        if self._environment.declines is None:
            return ""
        try:
            return self._environment.declines(fact)
        except Exception as error:  # a host's own: its mistake is no reason to leave the mail where it is
            log.error("What may decline a fact raised %s.\n%s", type(error).__name__, frames_of(error))
            return ""

    def _group(self, fact: Fact) -> Group | None:
        """Return whom *fact* is about; None: nobody who is here."""
        if not fact.destination and not fact.accounts:
            return ALL_ACCOUNTS
        there = fact.destination.rstrip(".").casefold()
        meant = tuple(
            one.id
            for one in self._provider.accounts
            if (not fact.accounts or one.id in fact.accounts)
            and (not there or there in (one.host.casefold(), one.smtp.host.casefold() if one.smtp else ""))
        )
        # The name is not shown: two facts about the same accounts are one run.
        name = hashlib.blake2b("\0".join(meant).encode(errors="surrogatepass"), digest_size=16).hexdigest()
        return Group(name=f"by itself {name}", accounts=meant) if meant else None

    def _stop_of(self, automatic: list["SyncHandle"], paused: str) -> None:
        known = {one.run_id for one in automatic}
        self._wanted &= known
        for one in automatic if paused else ():
            if not one.done and one.run_id not in self._wanted and one.run_id not in self._stopped:
                log.info("Run %d is stopped, and goes on later: %s.", one.run_id, paused)
                self._stopped.append(one.run_id)
                self._missed |= any(woken.handle is one for woken in self._woken)
                one.cancel()

    def _tell(self, fact: Fact, said: Answer) -> None:
        heard = self._environment.answered
        if heard is not None:
            try:
                heard(fact, said)
            except Exception as error:  # a host's own: it costs what it heard
                log.error("What hears of facts raised %s.\n%s", type(error).__name__, frames_of(error))


def _call(one: Callable[[], object] | None) -> None:
    if one is None:
        return
    try:
        one()
    except Exception as error:  # a host's own: it costs what it heard
        log.error("What hears of facts raised %s.\n%s", type(error).__name__, frames_of(error))
