"""WHEN and WHO: schedules of groups, and handlers with their items and sessions. It never speaks to a server."""

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
