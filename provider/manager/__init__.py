"""WHEN and WHO: schedules of groups, and handlers with their items and sessions. It never speaks to a server."""

from .alerts import AlertHook, AlertTeller, CommandHook, HookFailed, WebHook
from .book import Book, Kept, MemoryBook
from .bound import BadHandler
from .center import IfBusy, Refused, SyncCenter
from .conflicts import Abilities, ConflictInfo, ConflictVersion, Feedback, KeepsConflicts, Resolution
from .environment import Environment
from .group import GroupEvents, GroupState, SyncGroup
from .handler import (
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
from .mail_handler import MailHandler
from .mail_items import MAIL, StoreBook
from .manager import SyncManager
from .masks import HandlerCan, HandlerPolicy, HandlerRule, ItemCan, ItemPolicy, ItemRule, Offer, Verb
from .notices import Notice, Notices, Subject
from .online import ChangePending, LinkNotice, LinkPhase, LinkState, OnlineState
from .progress import ItemProgress, Patience, SessionResult, SessionState
from .ran import Ran
from .registry import HandlerRegistry
from .reporting import Prompter, PromptRefused
from .runlog import RunLog
from .schedule import BadSchedule, Schedule, next_run, parse
from .session import Session
from .triggers import Fact, Happening, Link, Power, Surroundings, SurroundingsPolicy
from .views import HandlerView, ItemView, Standing

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
