"""What the manager and a plug-in know of each other: handlers, items, and what a handler is given to report to. Pure.

A handler is anything that keeps things in step: mail accounts, a folder of files. The manager knows no mail, and no
protocol. The sequence is fixed: ``accepts`` → ``prepare`` (the only place to ask a person) → ``synchronize`` → its
return is the end (SyncMgr: Initialize, PrepareForSync, Synchronize, SynchronizeCompleted). Each session calls on a
thread of its own; the handler may work there until it is done. What is optional is discovered, not assumed
(GetObject): a handler has it when it has the method and its capability.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NewType, Protocol, runtime_checkable

from ...callback import CancelRequest
from ...events import ItemStatus, Severity
from ...request import Trigger
from .masks import HandlerCan, HandlerRule, ItemCan, ItemRule, Verb

__all__ = [
    "ID_CHARACTERS_MAX",
    "NAME_CHARACTERS_MAX",
    "TEXT_CHARACTERS_MAX",
    "AsksBefore",
    "ElsewhereCallback",
    "EventId",
    "Handler",
    "HandlerEvent",
    "HandlerId",
    "HandlerInfo",
    "HandlerKind",
    "HearsChanges",
    "Item",
    "ItemId",
    "KeepsEvents",
    "SessionCallback",
    "SessionCreator",
    "ShowsErrors",
    "WorksElsewhere",
    "trigger_of",
]

ID_CHARACTERS_MAX, NAME_CHARACTERS_MAX, TEXT_CHARACTERS_MAX = 63, 127, 259
"""MAX_SYNCMGR_ID, MAX_SYNCMGR_NAME and MAX_SYNCMGR_PROGRESSTEXT, without their terminators."""

HandlerId = NewType("HandlerId", str)
ItemId = NewType("ItemId", str)
"""Stable: the same thing has the same id in every process, for ever. Ids are a handler's own affair."""
EventId = NewType("EventId", int)


class HandlerKind(IntEnum):
    """SYNCMGR_HANDLER_TYPE."""

    UNSPECIFIED = 0
    APPLICATION = 1
    DEVICE = 2
    FOLDER = 3
    SERVICE = 4
    COMPUTER = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerInfo:
    """What a handler says of itself (ISyncMgrHandler and ISyncMgrHandlerInfo)."""

    name: str
    """Empty: hidden, and never invoked."""
    kind: HandlerKind = HandlerKind.UNSPECIFIED
    type_label: str = ""
    comment: str = ""
    last_sync: datetime | None = None
    """Aware; None: the manager's own memory is good enough."""
    connected: bool | None = None
    """None: as it was last said."""
    can: HandlerCan = HandlerCan.NOTHING
    rules: tuple[HandlerRule, ...] = ()
    triggers: frozenset[Trigger] = frozenset(Trigger)
    """Of which triggers it wants to hear at all (ISyncMgrRegister's event interest)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that can be kept in step (ISyncMgrSyncItem and its Info)."""

    id: ItemId
    name: str
    type_label: str = ""
    comment: str = ""
    """For example "12 messages"."""
    last_sync: datetime | None = None
    connected: bool | None = None
    can: ItemCan = ItemCan.NOTHING
    rules: tuple[ItemRule, ...] = ()
    enabled: bool = True
    """At first; people's own choice is the manager's to keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerEvent:
    """Something worth knowing (ISyncMgrEvent). *name* and *description* may quote the outside: show them as text."""

    id: EventId
    handler: HandlerId
    item: ItemId | None
    level: Severity
    at: datetime
    name: str
    description: str = ""
    link_text: str = ""
    link: str = ""
    context: str = ""


class SessionCallback(Protocol):
    """What a handler reports to. Thread-safe; no method blocks but ``prompt`` and entering ``modeless``.

    After the end of the session nothing is heard any more: every answer is "stop", or Cancelled is raised. Items that
    are not in it raise UnknownItem.
    """

    @property
    def items(self) -> tuple[ItemId, ...]:
        """What is to be synchronized, in order; it grows."""
        ...

    @property
    def trigger(self) -> Trigger:
        """Why."""
        ...

    @property
    def cookie(self) -> str:
        """What the caller of ``start`` gave along; with INVOKE only."""
        ...

    @property
    def may_prompt(self) -> bool:
        """Whether a person may be asked at this moment (SYNCMGRFLAG_MAYBOTHERUSER, and only while preparing)."""
        ...

    def progress(
        self,
        item: ItemId,
        status: ItemStatus = ItemStatus.UPDATING,
        *,
        text: str = "",
        step: int | None = None,
        steps: int | None = None,
    ) -> CancelRequest | None:
        """Say how far an item is: before it begins, as it goes, and once with a terminal status.

        *step* None: as far as before; *steps* None: nobody knows (UPDATING_INDETERMINATE). Returns what is to be
        stopped as soon as possible.
        """
        ...

    def say(self, text: str) -> None:
        """Say how far the handler is as a whole (SetHandlerProgressText)."""
        ...

    def can_continue(self, item: ItemId | None = None) -> bool:
        """Tell whether to go on, with one item or at all: ask before each item, and every second in a long one."""
        ...

    def when_cancelled(self, hook: Callable[[], None]) -> None:
        """Call *hook* whenever something is cancelled, on a thread of its own."""
        ...

    def is_skipped(self, item: ItemId) -> bool:
        """Tell whether a person took an item out while it was prepared (SetItemStatus SKIPPED)."""
        ...

    def prompt(self, question: str, *, secret: bool = False) -> str | None:
        """Ask a person, one question at a time in the whole process; None: no answer. Raises PromptRefused."""
        ...

    def modeless(self) -> AbstractContextManager[None]:
        """Show a dialog of your own inside, one at a time (EnableModeless). Raises PromptRefused."""
        ...

    def take_over(self) -> tuple[ItemId, ...]:
        """Take what was asked for meanwhile into this session, and return it (QueryForAdditionalItems)."""
        ...

    def add_item(self, item: ItemId) -> None:
        """Take one more item in (AddItemToSession). Raises InvalidRequest when it is in already, UnknownItem."""
        ...

    def propose(self, item: Item) -> None:
        """Announce an item that was found just now. Raises InvalidRequest when there is one of this id."""
        ...

    def commit(self, item: ItemId) -> None:
        """Make a proposed item one like the others, and part of this session. Raises InvalidRequest: not proposed."""
        ...

    def report(
        self,
        level: Severity,
        name: str,
        description: str = "",
        *,
        item: ItemId | None = None,
        link_text: str = "",
        link: str = "",
        context: str = "",
    ) -> EventId:
        """Log an event; only errors are counted in the result (ReportEvent, LogError)."""
        ...

    def withdraw(self, event: EventId | None = None) -> None:
        """Take an event back, or all of this handler (DeleteLogError)."""
        ...

    def conflicts_changed(self, added: int = 0) -> None:
        """Say that conflicts came, went or changed; *added* ones count in the result (UpdateConflict)."""
        ...

    def manual(self) -> None:
        """Say that a person asked for this, somewhere else (ReportManualSync)."""
        ...


class Handler(Protocol):
    """A plug-in. Whatever it does - raise, hang, lie - costs it its own items, and nobody else anything."""

    @property
    def id(self) -> HandlerId:
        """The name of its entry point; it never changes."""
        ...

    def info(self) -> HandlerInfo:
        """Say what you are, quickly."""
        ...

    def items(self) -> Iterable[Item]:
        """List what can be kept in step, quickly; hidden ones included."""
        ...

    def accepts(self, trigger: Trigger, cookie: str) -> bool:
        """Take part, or decline (Initialize: S_FALSE)."""
        ...

    def prepare(self, session: SessionCallback) -> None:
        """Get ready for ``session.items``; raise, and there is no synchronization."""
        ...

    def synchronize(self, session: SessionCallback) -> None:
        """Do it, and return when it is over. Each item ends with one terminal status."""
        ...


@runtime_checkable
class HearsChanges(Protocol):
    """Optional: a handler that has to know what people chose. The manager remembers it, and says it at binding."""

    def changed(self, verb: Verb, item: ItemId | None) -> None:
        """Hear that a handler (None) or an item was enabled, disabled, activated, deactivated or removed."""
        ...


@runtime_checkable
class AsksBefore(Protocol):
    """Optional, with a QUERY_BEFORE capability: may veto."""

    def query_before(self, verb: Verb, item: ItemId | None) -> bool:
        """Return False, and it is not done (S_FALSE)."""
        ...


@runtime_checkable
class KeepsEvents(Protocol):
    """Optional, with EVENT_STORE: keeps its events itself, beyond the life of a process."""

    def events(self) -> Iterable[HandlerEvent]:
        """Return what is worth knowing, newest first."""
        ...

    def remove_events(self, ids: Iterable[EventId]) -> None:
        """Forget some."""
        ...


@runtime_checkable
class ShowsErrors(Protocol):
    """Optional: explains an error that a person opened, and may want another try."""

    def show_error(self, event: HandlerEvent, ask: Callable[[str], str | None]) -> Iterable[ItemId]:
        """Return the items to try again (S_SYNCMGR_RETRYSYNC); *ask* puts a question whatever the trigger was."""
        ...


class SessionCreator(Protocol):
    """Takes reports of synchronizations that began by themselves."""

    def create_session(
        self,
        handler: HandlerId,
        items: Iterable[ItemId],
        *,
        trigger: Trigger = Trigger.INVOKE,
    ) -> "ElsewhereCallback":
        """Say that the synchronization of *items* began; report to what comes back, and end it (CreateSession)."""
        ...


class ElsewhereCallback(SessionCallback, Protocol):
    """A session whose work is done elsewhere: it has to say itself when it is over."""

    def finished(self) -> None:
        """The work is over. Items without a terminal status count as failed."""
        ...


@runtime_checkable
class WorksElsewhere(Protocol):
    """Optional: synchronizations of this handler begin by themselves, too."""

    def attach(self, creator: SessionCreator) -> None:
        """From now on tell *creator* of each one. Return at once."""
        ...

    def detach(self) -> None:
        """Tell nobody any more. Return at once."""
        ...


def trigger_of(word: str) -> Trigger:
    """Return the trigger called *word*; one that nobody knows counts as manual (Initialize).

    >>> trigger_of("full-moon")
    <Trigger.MANUAL: 'manual'>
    """
    return next((one for one in Trigger if one.value == word), Trigger.MANUAL)
