"""A handler as the manager holds it: asked on threads of its own, with a time limit, and never believed unseen.

A handler that raises is at fault for that call; one that does not answer is asked nothing more until it has. What was
known last stays known (E_NOTIMPL keeps last). Texts and ids of a plug-in are checked here, once, for everybody behind.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from ...errors import ErrorKind, Needs, ProviderError
from ...failure import frames_of
from .conflicts import KeepsConflicts
from .handler import (
    ID_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    TEXT_CHARACTERS_MAX,
    AsksBefore,
    Handler,
    HandlerId,
    HandlerInfo,
    HearsChanges,
    Item,
    ItemId,
    KeepsEvents,
    ShowsErrors,
    WorksElsewhere,
)

__all__ = ["BadHandler", "Bound", "Spawn", "checked_id", "fitting"]

log = logging.getLogger(__name__)

METHODS = ("info", "items", "accepts", "prepare", "synchronize")
ITEMS_MAX = 100_000
T = TypeVar("T")
Spawn = Callable[[str, Callable[[], None]], object]


class BadHandler(ProviderError):
    """A plug-in raised, did not answer, or said what cannot be. Nothing of it is believed until it is asked again."""

    kind = ErrorKind.INTERNAL
    needs = Needs.USER


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What of the optional a handler has (GetObject): itself, or None (E_NOTIMPL)."""

    asks: AsksBefore | None = None
    hears: HearsChanges | None = None
    conflicts: KeepsConflicts | None = None
    events: KeepsEvents | None = None
    shows: ShowsErrors | None = None
    elsewhere: WorksElsewhere | None = None


class Bound:
    """One handler, made at its first use. Thread-safe. *make* is its factory, as foreign as the handler itself."""

    def __init__(self, id: HandlerId, make: Callable[[], Handler], *, spawn: Spawn, answer_seconds: float) -> None:
        self.id = id
        self._make, self._spawn, self._seconds = make, spawn, answer_seconds
        self.binding = threading.RLock()
        """Held while it is made known; who needs it meanwhile waits for that."""
        self.tried = False
        self._turn, self._marks = threading.Lock(), threading.Lock()
        self._silent = False
        self._handler: Handler | None = None
        self.info = HandlerInfo(name=id)
        """As last said, and checked."""
        self.items: dict[ItemId, Item] = {}
        self.parts = Parts()
        self.fault = ""
        """What is wrong with it; empty: nothing that is known."""
        self.given_up: set[int] = set()
        """Sessions that were ended although their thread still is in the handler."""

    @property
    def handler(self) -> Handler:
        """The plug-in itself. Raises BadHandler until it was bound."""
        if self._handler is None:
            raise BadHandler(self.fault or "The handler is not there yet.")
        return self._handler

    def bind(self) -> None:
        """Make the handler, and ask what it is and has. Raises BadHandler."""
        made = self.ask("be made", self._make)
        missing = [name for name in METHODS if not hasattr(made, name)]
        if missing:
            raise self._bad(f"The handler lacks {', '.join(missing)}.")
        self._handler = made
        try:
            self.refresh()
        except BadHandler:
            self._handler = None
            raise

    @property
    def away(self) -> bool:
        """True while a thread of ours is in the handler and not expected back."""
        return self._silent or bool(self.given_up)

    @property
    def made(self) -> bool:
        """True once it was bound."""
        return self._handler is not None

    def refresh(self) -> None:
        """Ask anew what it is and has. Raises BadHandler; what was known stays known then."""
        handler = self.handler
        info, items, parts, its_id = self.ask(
            "say what it has", lambda: (handler.info(), _listed(handler), _parts(handler), handler.id)
        )
        if its_id != self.id:
            raise self._bad("The handler says that it is another one.")
        if not isinstance(info, HandlerInfo):
            raise self._bad("The handler does not say what it is.")
        known: dict[ItemId, Item] = {}
        for item in items:
            one = checked_item(item)
            if one is None or one.id in known:
                raise self._bad("The handler has an item without a proper id, or two of one id.")
            before = self.items.get(one.id)
            if one.connected is None and before is not None:
                one = replace(one, connected=before.connected)
            known[one.id] = one
        self.info = replace(
            info,
            name=fitting(info.name, NAME_CHARACTERS_MAX),
            type_label=fitting(info.type_label, NAME_CHARACTERS_MAX),
            comment=fitting(info.comment, TEXT_CHARACTERS_MAX),
            connected=self.info.connected if info.connected is None else info.connected,
        )
        self.items, self.parts, self.fault = known, parts, ""

    def ask(self, what: str, question: Callable[[], T]) -> T:
        """Return the answer to *question*, put on a thread of its own. Raises BadHandler, and its ProviderErrors."""
        if self._silent or not self._turn.acquire(timeout=self._seconds):
            raise self._bad(f"The handler still has not answered an earlier question, and cannot {what}.")
        answers: list[T] = []
        errors: list[BaseException] = []
        answered = threading.Event()

        def work() -> None:
            try:
                answers.append(question())
            except BaseException as error:
                errors.append(error)
            finally:
                with self._marks:
                    self._silent = False
                    answered.set()
                self._turn.release()

        try:
            self._spawn("handler", work)
        except RuntimeError:
            self._turn.release()
            raise self._bad("The system has no thread left to ask the handler on.") from None
        if not answered.wait(self._seconds):
            with self._marks:
                self._silent = not answered.is_set()
            raise self._bad(f"The handler did not {what} in time.")
        if errors:
            if isinstance(errors[0], ProviderError):
                raise errors[0]
            name = type(errors[0]).__name__
            log.error("The handler %s raised %s.\n%s", self.id, name, frames_of(errors[0]))
            raise self._bad(f"The handler could not {what} ({name}).")
        return answers[0]

    def _bad(self, text: str) -> BadHandler:
        self.fault = text
        return BadHandler(text)


def checked_item(item: object) -> Item | None:
    """Return an item with texts that are safe to carry; None: it is none, or its id is not good."""
    if not isinstance(item, Item) or checked_id(item.id) is None:
        return None
    return replace(
        item,
        name=fitting(item.name, NAME_CHARACTERS_MAX) or item.id,
        type_label=fitting(item.type_label, NAME_CHARACTERS_MAX),
        comment=fitting(item.comment, TEXT_CHARACTERS_MAX),
    )


def checked_id(id: object) -> str | None:
    """Return an id that may be one: 1 to 63 printable characters, no space at either end; else None.

    >>> checked_id("folder:7"), checked_id("x" * 64), checked_id("a\\nb")
    ('folder:7', None, None)
    """
    good = isinstance(id, str) and 0 < len(id) <= ID_CHARACTERS_MAX and id.isprintable() and id == id.strip()
    return str(id) if good else None


def fitting(text: object, characters_max: int) -> str:
    """Return foreign text on one line, without control characters, and not too long.

    >>> fitting("two\\nlines \\x1b[31m", 20), fitting(None, 20), fitting("abcdef", 3)
    ('two lines [31m', '', 'abc')
    """
    if not isinstance(text, str):
        return ""
    words = text[: 4 * characters_max].split()
    return " ".join("".join(char for char in word if char.isprintable()) for word in words)[:characters_max]


def _parts(handler: Handler) -> Parts:
    """Look what a handler has; on a thread that may hang, for looking may call it."""
    it: object = handler
    return Parts(
        asks=it if isinstance(it, AsksBefore) else None,
        hears=it if isinstance(it, HearsChanges) else None,
        conflicts=it if isinstance(it, KeepsConflicts) else None,
        events=it if isinstance(it, KeepsEvents) else None,
        shows=it if isinstance(it, ShowsErrors) else None,
        elsewhere=it if isinstance(it, WorksElsewhere) else None,
    )


def _listed(handler: Handler) -> list[Item]:
    return list(islice(handler.items(), ITEMS_MAX))
