"""What the conformance suite of handlers needs: a subject to try, and a witness of all that its handler says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast
from unittest import SkipTest

from ..callback import CancelRequest
from ..events import ItemStatus
from ..manager.handlers.center import SyncCenter
from ..manager.handlers.handler import Handler, ItemId, SessionCallback
from ..manager.handlers.progress import Patience
from ..manager.handlers.registry import HandlerRegistry
from ..manager.handlers.reporting import Prompter

__all__ = ["Step", "Subject", "Witness", "at_work"]


class Subject:
    """A handler on ground of its own. Subclass it: ``make`` is needed; what else it is able to, the suite tries, too.

    Each check gets a subject of its own, with two items at least that can be synchronized and one that succeeds. What
    is not overridden is skipped (SkipTest, which pytest knows).
    """

    patience = Patience(answer_seconds=5, prepare_seconds=20, prompt_seconds=20, silence_seconds=20, stop_seconds=5)
    """How long the manager waits for this handler; 20 seconds are the guard of every check."""
    guard_seconds = 20.0

    def make(self) -> Handler:
        """Return a new handler on the same ground, as another process would have one."""
        raise NotImplementedError("a subject says how its handler is made")

    def change(self) -> None:
        """Let there be something to do again."""

    def hold(self) -> None:
        """Let the next synchronization wait in its first item, obeying cancels, until ``let_go``."""
        raise SkipTest("this subject cannot hold a synchronization")

    def wait_held(self) -> ItemId:
        """Return, once it waits, in which item it does."""
        raise SkipTest("this subject cannot hold a synchronization")

    def let_go(self) -> None:
        """Let what is held go on."""

    def fail(self) -> ItemId:
        """Let the next synchronization of one item fail; return which."""
        raise SkipTest("this subject cannot let an item fail")

    def grow(self) -> None:
        """Let there be an item that only a synchronization finds."""
        raise SkipTest("this subject finds no new items")

    def lose(self) -> ItemId:
        """Let an item be gone that was there a moment ago; return which."""
        raise SkipTest("this subject keeps its items")

    def ask(self) -> None:
        """Let the next preparation have a question for a person."""
        raise SkipTest("this subject never asks")

    def conflict(self) -> None:
        """Let there be two conflicts at least that wait, and can be decided in one way."""
        raise SkipTest("this subject has no conflicts")

    def close(self) -> None:
        """Clean up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call of ``progress``, and what it was answered."""

    item: ItemId
    status: ItemStatus
    text: str
    step: int | None
    steps: int | None
    answer: CancelRequest | None


@dataclass
class Witness:
    """Hears what a handler is called with, and what it says."""

    calls: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def watched(self, inner: Handler) -> Handler:
        """Return a handler that is *inner*, and is listened to; what is optional in it stays discoverable."""
        names = [name for name in dir(inner) if not name.startswith("_") and callable(getattr(inner, name, None))]
        methods = {name: self._forward(inner, name) for name in names}
        return cast(Handler, type("Watched", (), {**methods, "id": inner.id})())

    def of(self, item: ItemId) -> list[Step]:
        """Return the steps of one item."""
        return [one for one in self.steps if one.item == item]

    def _forward(self, inner: Handler, name: str) -> Callable[..., object]:
        def forward(_self: object, *given: object, **named: object) -> object:
            if name in ("accepts", "prepare", "synchronize"):
                self.calls.append(name)
            if name in ("prepare", "synchronize"):
                given = (_Spy(cast(SessionCallback, given[0]), self), *given[1:])
            return getattr(inner, name)(*given, **named)

        return forward


class _Spy:
    """A session that is listened to."""

    def __init__(self, session: SessionCallback, witness: Witness) -> None:
        self._session, self._witness = session, witness

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    def progress(
        self,
        item: ItemId,
        status: ItemStatus = ItemStatus.UPDATING,
        *,
        text: str = "",
        step: int | None = None,
        steps: int | None = None,
    ) -> CancelRequest | None:
        answer = self._session.progress(item, status, text=text, step=step, steps=steps)
        self._witness.steps.append(Step(item=item, status=status, text=text, step=step, steps=steps, answer=answer))
        return answer


@contextmanager
def at_work(subject: Subject, *, prompter: Prompter | None = None) -> Iterator[tuple[SyncCenter, str, Witness]]:
    """Yield a center with the subject's handler, its id, and a witness of it."""
    witness = Witness()
    handler = witness.watched(subject.make())
    registry = HandlerRegistry(discover=False)
    registry.register(handler.id, lambda: handler)
    with SyncCenter(registry, patience=subject.patience, prompter=prompter) as center:
        try:
            yield center, handler.id, witness
        finally:
            subject.let_go()
