"""``Environment``: where a host, or the desktop, tells what happens around the mail; the manager asks it how to behave.

    environment = Environment()
    with SyncManager(store, provider, environment=environment):
        environment.tell(Fact(what=Happening.NETWORK_MADE, link=Link(metered=True)))

Facts come from any thread and cost nothing there. What comes in a storm is one fact; what comes again too soon waits.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from .triggers import Answer, Conduct, Fact, Happening, Surroundings, SurroundingsPolicy, after, conduct

__all__ = ["Environment"]

WAITING_MAX = 256
"""Facts that wait, and that are remembered: the oldest go first."""
_AT_ONCE = {
    Happening.MANUAL,
    Happening.INVOKE,
    Happening.SETTINGS,
    Happening.PENDING_DISCONNECT,
    Happening.LOGOFF,
}
"""What somebody asks for, or what has no time to wait."""
_MOOT = {
    Happening.NETWORK_LOST: {Happening.CONNECT, Happening.NETWORK_MADE, Happening.NETWORK_REACHABLE},
    Happening.LOCK: {Happening.UNLOCK, Happening.LOGON},
    Happening.UNLOCK: {Happening.LOCK, Happening.IDLE},
}
"""Happening -> what waits, and means nothing any more after it."""


@dataclass(frozen=True, slots=True)
class _Key:
    """Facts of one key are one."""

    happening: Happening
    about: tuple[str, ...]


class Environment:
    """What is known of the surroundings, what waits to be answered, and the policy. Thread-safe.

    *declines*: is asked before a fact starts something, and returns why not (empty: let it). *answered*: is told what
    came of each fact. Both are called by the manager, on its thread, and must not block; what they raise is passed
    over.
    """

    def __init__(
        self,
        policy: SurroundingsPolicy = SurroundingsPolicy(),  # noqa: B008
        *,
        declines: Callable[[Fact], str] | None = None,
        answered: Callable[[Fact, Answer], object] | None = None,
    ) -> None:
        self.declines = declines
        self.answered = answered
        self._policy = policy
        self._known = Surroundings()
        self._waiting: dict[_Key, Fact] = {}
        self._answered_at: dict[_Key, float] = {}
        self._wakes: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @property
    def policy(self) -> SurroundingsPolicy:
        """What the surroundings may do; may be set at any time."""
        return self._policy

    @policy.setter
    def policy(self, policy: SurroundingsPolicy) -> None:
        with self._lock:
            self._policy = policy
            # What a battery is called depends on the policy: it is looked at anew.
            self._known = after(self._known, Fact(what=Happening.POWER), policy)
        self._wake()

    @property
    def known(self) -> Surroundings:
        """What is known by now."""
        return self._known

    @property
    def conduct(self) -> Conduct:
        """How what starts by itself has to behave at this moment."""
        with self._lock:
            return conduct(self._known, self._policy)

    def tell(self, fact: Fact) -> None:
        """Take a fact, and return at once. The same one that still waits is replaced, and is over."""
        moot: list[Fact] = []
        with self._lock:
            self._known = after(self._known, fact, self._policy)
            for key in [key for key in self._waiting if key.happening in _MOOT.get(fact.happening, ())]:
                moot.append(self._waiting.pop(key))
            replaced = self._waiting.pop(_key(fact), None)
            if replaced is not None:
                moot.append(replaced)
            self._waiting[_key(fact)] = fact
            if len(self._waiting) > WAITING_MAX:
                moot.append(self._waiting.pop(next(iter(self._waiting))))
        for one in moot:
            if one.over is not None:
                one.over()
        self._wake()

    def take(self, now: float) -> list[Fact]:
        """Return what is to be answered at *now* (monotonic seconds), in the order of telling, and forget it."""
        with self._lock:
            ready = [key for key, fact in self._waiting.items() if self._is_ready(key, fact, now)]
            for key in ready:
                self._answered_at.pop(key, None)
                self._answered_at[key] = now
            while len(self._answered_at) > WAITING_MAX:
                del self._answered_at[next(iter(self._answered_at))]
            return [self._waiting.pop(key) for key in ready]

    def advise(self, wake: Callable[[], None]) -> None:
        """Call *wake* whenever something is told, until ``unadvise``. It must not block."""
        with self._lock:
            self._wakes.append(wake)

    def unadvise(self, wake: Callable[[], None]) -> None:
        """Stop calling; one that is not known is passed over."""
        with self._lock:
            self._wakes = [one for one in self._wakes if one != wake]

    def _is_ready(self, key: _Key, fact: Fact, now: float) -> bool:
        last = self._answered_at.get(key)
        return key.happening in _AT_ONCE or last is None or now - last >= self._policy.apart_seconds

    def _wake(self) -> None:
        with self._lock:
            wakes = list(self._wakes)
        for wake in wakes:
            wake()


def _key(fact: Fact) -> _Key:
    return _Key(fact.happening, (fact.destination, fact.cookie.hex(), *fact.accounts))
