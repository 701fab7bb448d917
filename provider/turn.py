"""One account's turn: what a run is handed by whoever schedules it, and what it hands back.

Requests for one account take turns. A run whose turn is *wanted* by somebody more urgent ends early, after a commit,
with ``yielded``; it gets another turn afterwards, on the same reporter, and its callback hears neither an end nor a
second start in between. Single messages have a lane of their own, where the server takes two connections: there they
run *beside* the account's synchronization, and nobody yields.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .events import ItemStatus

__all__ = ["AccountOutcome", "Spawn", "Turn", "Worker"]


class Worker(Protocol):
    """A thread that somebody else started: all that may be done with it is to wait for its end."""

    @property
    def name(self) -> str:
        """``maildock-`` and what it is for."""
        ...

    def is_alive(self) -> bool:
        """Return True until the work has returned."""
        ...

    def join(self, timeout: float | None = None) -> None:
        """Wait until the work has returned, or for *timeout* seconds."""
        ...


class Spawn(Protocol):
    """Starts a daemon thread ``maildock-<name>`` and gives it back. Raises RuntimeError when there is none to have."""

    def __call__(self, name: str, work: Callable[[], None], /) -> Worker: ...


class Turn(Protocol):
    """What a run may ask of its scheduler. Thread-safe, never blocks."""

    def wanted(self) -> bool:
        """Return True while a more urgent request waits for this turn: finish the group, commit, return ``yielded``."""
        ...

    @property
    def quick(self) -> bool:
        """True: this turn is in the quick lane."""
        ...

    @property
    def alone(self) -> bool:
        """True: this leg was *crowded* before, and has the account for itself now."""
        ...

    def beside(self) -> bool:
        """Return True while the account's other lane is at work too, and when it was as this turn began."""
        ...

    def make_room(self) -> bool:
        """Let go of a connection that only watches this account; False: there was none."""
        ...

    def spawn(self, name: str, work: Callable[[], None], /) -> Worker:
        """Start a thread that belongs to this run; it is joined when the provider closes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOutcome:
    """How a turn ended. Counts and errors are with the reporter."""

    status: ItemStatus
    """The account's terminal status; without meaning when *yielded*."""
    yielded: bool = False
    """True: stopped at a commit for somebody more urgent; items still open stay open for the next turn."""
    crowded: bool = False
    """Beside *yielded*. True: the server takes one connection of this account; from now on its requests take turns."""
    run: int | None = None
    """Its row in the history of the store; None: it has none."""
