"""WHEN and WHO: schedules of groups, and handlers with their items and sessions. It never speaks to a server.

Every name is imported at its first use (PEP 562): a command that wants the log alone does not load the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .control.group import GroupEvents, GroupState, SyncGroup
    from .handlers.book import Book, Kept, MemoryBook
    from .handlers.bound import BadHandler
    from .handlers.center import IfBusy, Refused, SyncCenter
    from .handlers.conflicts import Abilities, ConflictInfo, ConflictVersion, Feedback, KeepsConflicts, Resolution
    from .handlers.handler import (
        AsksBefore,
        ElsewhereCallback,
        EventId,
        Handler,
        HandlerEvent,
        HandlerId,
        HandlerInfo,
        HandlerKind,
        HearsChanges,
        Item,
        ItemId,
        KeepsEvents,
        SessionCallback,
        SessionCreator,
        ShowsErrors,
        WorksElsewhere,
        trigger_of,
    )
    from .handlers.masks import HandlerCan, HandlerPolicy, HandlerRule, ItemCan, ItemPolicy, ItemRule, Offer, Verb
    from .handlers.notices import Notice, Notices, Subject
    from .handlers.progress import ItemProgress, Patience, SessionResult, SessionState
    from .handlers.registry import HandlerRegistry
    from .handlers.reporting import Prompter, PromptRefused
    from .handlers.session import Session
    from .handlers.views import HandlerView, ItemView, Standing
    from .mail.handler import MailHandler
    from .mail.items import MAIL, StoreBook
    from .manager import SyncManager
    from .ran import Ran
    from .reports.alerts import AlertHook, AlertTeller, CommandHook, HookFailed, WebHook
    from .reports.runlog import RunLog
    from .schedule import BadSchedule, Schedule, next_run, parse
    from .surroundings.environment import Environment
    from .surroundings.online import ChangePending, LinkNotice, LinkPhase, LinkState, OnlineState
    from .surroundings.triggers import Fact, Happening, Link, Power, Surroundings, SurroundingsPolicy

__all__ = [
    "MAIL",
    "Abilities",
    "AlertHook",
    "AlertTeller",
    "AsksBefore",
    "BadHandler",
    "BadSchedule",
    "Book",
    "ChangePending",
    "CommandHook",
    "ConflictInfo",
    "ConflictVersion",
    "ElsewhereCallback",
    "Environment",
    "EventId",
    "Fact",
    "Feedback",
    "GroupEvents",
    "GroupState",
    "Handler",
    "HandlerCan",
    "HandlerEvent",
    "HandlerId",
    "HandlerInfo",
    "HandlerKind",
    "HandlerPolicy",
    "HandlerRegistry",
    "HandlerRule",
    "HandlerView",
    "Happening",
    "HearsChanges",
    "HookFailed",
    "IfBusy",
    "Item",
    "ItemCan",
    "ItemId",
    "ItemPolicy",
    "ItemProgress",
    "ItemRule",
    "ItemView",
    "KeepsConflicts",
    "KeepsEvents",
    "Kept",
    "Link",
    "LinkNotice",
    "LinkPhase",
    "LinkState",
    "MailHandler",
    "MemoryBook",
    "Notice",
    "Notices",
    "Offer",
    "OnlineState",
    "Patience",
    "Power",
    "PromptRefused",
    "Prompter",
    "Ran",
    "Refused",
    "Resolution",
    "RunLog",
    "Schedule",
    "Session",
    "SessionCallback",
    "SessionCreator",
    "SessionResult",
    "SessionState",
    "ShowsErrors",
    "Standing",
    "StoreBook",
    "Subject",
    "Surroundings",
    "SurroundingsPolicy",
    "SyncCenter",
    "SyncGroup",
    "SyncManager",
    "Verb",
    "WebHook",
    "WorksElsewhere",
    "next_run",
    "parse",
    "trigger_of",
]

_HOME = {
    "GroupEvents": "control.group",
    "GroupState": "control.group",
    "SyncGroup": "control.group",
    "Book": "handlers.book",
    "Kept": "handlers.book",
    "MemoryBook": "handlers.book",
    "BadHandler": "handlers.bound",
    "IfBusy": "handlers.center",
    "Refused": "handlers.center",
    "SyncCenter": "handlers.center",
    "Abilities": "handlers.conflicts",
    "ConflictInfo": "handlers.conflicts",
    "ConflictVersion": "handlers.conflicts",
    "Feedback": "handlers.conflicts",
    "KeepsConflicts": "handlers.conflicts",
    "Resolution": "handlers.conflicts",
    "AsksBefore": "handlers.handler",
    "ElsewhereCallback": "handlers.handler",
    "EventId": "handlers.handler",
    "Handler": "handlers.handler",
    "HandlerEvent": "handlers.handler",
    "HandlerId": "handlers.handler",
    "HandlerInfo": "handlers.handler",
    "HandlerKind": "handlers.handler",
    "HearsChanges": "handlers.handler",
    "Item": "handlers.handler",
    "ItemId": "handlers.handler",
    "KeepsEvents": "handlers.handler",
    "SessionCallback": "handlers.handler",
    "SessionCreator": "handlers.handler",
    "ShowsErrors": "handlers.handler",
    "WorksElsewhere": "handlers.handler",
    "trigger_of": "handlers.handler",
    "HandlerCan": "handlers.masks",
    "HandlerPolicy": "handlers.masks",
    "HandlerRule": "handlers.masks",
    "ItemCan": "handlers.masks",
    "ItemPolicy": "handlers.masks",
    "ItemRule": "handlers.masks",
    "Offer": "handlers.masks",
    "Verb": "handlers.masks",
    "Notice": "handlers.notices",
    "Notices": "handlers.notices",
    "Subject": "handlers.notices",
    "ItemProgress": "handlers.progress",
    "Patience": "handlers.progress",
    "SessionResult": "handlers.progress",
    "SessionState": "handlers.progress",
    "HandlerRegistry": "handlers.registry",
    "Prompter": "handlers.reporting",
    "PromptRefused": "handlers.reporting",
    "Session": "handlers.session",
    "HandlerView": "handlers.views",
    "ItemView": "handlers.views",
    "Standing": "handlers.views",
    "MailHandler": "mail.handler",
    "MAIL": "mail.items",
    "StoreBook": "mail.items",
    "SyncManager": "manager",
    "Ran": "ran",
    "AlertHook": "reports.alerts",
    "AlertTeller": "reports.alerts",
    "CommandHook": "reports.alerts",
    "HookFailed": "reports.alerts",
    "WebHook": "reports.alerts",
    "RunLog": "reports.runlog",
    "BadSchedule": "schedule",
    "Schedule": "schedule",
    "next_run": "schedule",
    "parse": "schedule",
    "Environment": "surroundings.environment",
    "ChangePending": "surroundings.online",
    "LinkNotice": "surroundings.online",
    "LinkPhase": "surroundings.online",
    "LinkState": "surroundings.online",
    "OnlineState": "surroundings.online",
    "Fact": "surroundings.triggers",
    "Happening": "surroundings.triggers",
    "Link": "surroundings.triggers",
    "Power": "surroundings.triggers",
    "Surroundings": "surroundings.triggers",
    "SurroundingsPolicy": "surroundings.triggers",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
