"""An offline mail store: messages, folders, changes, in one SQLite file. No network, no asyncio, no threads.

    with open_store("mail.db") as store:
        with store.read() as view:
            for folder in view.folders():
                print(folder.path, folder.counts.unseen)

Names are loaded when first asked for, so that ``import store`` stays cheap; SQLModel is loaded by ``open_store`` only.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .alerts import Alert, AlertId, Alerts
    from .changes import (
        Change,
        ChangePage,
        FolderAdded,
        FolderChanged,
        FolderRemoved,
        MessageAdded,
        MessageChanged,
        MessageRemoved,
    )
    from .cursors import FolderCursor, Trouble, TroubleKind
    from .editing import Editing
    from .encode import BodyEncoder, EncodedChunk, EncodedHeader, Encoder
    from .errors import (
        BadMessage,
        BodyNotHere,
        CursorTooOld,
        FolderExists,
        FolderNotWritable,
        KeyTaken,
        Leased,
        LeaseLost,
        MimeLimit,
        NotHere,
        NotUndoable,
        StoreBusy,
        StoreClosed,
        StoreDamaged,
        StoreError,
        StoreErrorKind,
        StoreFailed,
        StoreForeign,
        StoreFull,
        StoreMissing,
        StoreNewer,
        StoreReadOnly,
        UnknownAccount,
        UnknownConflict,
        UnknownFolder,
        UnknownGroup,
        UnknownMessage,
        UnknownOperation,
        UnknownPart,
        UnknownSchedule,
        UnknownSubmission,
        WrongEpoch,
    )
    from .eventlog import EventLog, LogEntry, LogId, LogItem, Recorded
    from .folders import Folder, FolderCounts, FolderState, RemoteFolderRow
    from .handlers import HandlerRecord, Handlers
    from .mail import AccountId, Address, Envelope, FolderId, FolderPath, MessageKey, Role, Uid, UidSet, UidValidity
    from .mail.conflicts import Choice, Conflict, ConflictId, ConflictKind, NewConflict, Side, Version
    from .mail.operations import Operation, OperationId, OperationKind, OperationState
    from .mail.schedules import Group, ScheduleId, ScheduleRecord
    from .mail.submission import (
        Cancelled,
        Fate,
        Filing,
        Notify,
        Priority,
        Recipient,
        Reply,
        Submission,
        SubmissionId,
        SubmissionState,
    )
    from .mailstore import MailStore
    from .messages import (
        Assumed,
        BodiesStored,
        BodyNeed,
        BodyState,
        FlagCounts,
        IdentityOfRow,
        Message,
        MessagePage,
        NewMessage,
        PageKey,
        Shared,
    )
    from .opening import open_store
    from .outbox import Outbox
    from .readview import ReadView
    from .reports import CheckReport, Problem, PurgeReport
    from .runs import Lane, Run, RunError, RunId
    from .schedules import Schedules
    from .settling import Arrival, Settling
    from .transaction import WriteTransaction
    from .wishes import FlagWish, OnServer, ToUpload

_ROOMS = {
    "alerts": "Alert AlertId Alerts",
    "changes": "Change ChangePage FolderAdded FolderChanged FolderRemoved MessageAdded MessageChanged MessageRemoved",
    "cursors": "FolderCursor Trouble TroubleKind",
    "editing": "Editing",
    "encode": "BodyEncoder EncodedChunk EncodedHeader Encoder",
    "errors": "BadMessage BodyNotHere CursorTooOld FolderExists FolderNotWritable KeyTaken LeaseLost Leased MimeLimit "
    "NotHere NotUndoable StoreBusy StoreClosed StoreDamaged StoreError StoreErrorKind StoreFailed StoreForeign "
    "StoreFull StoreMissing StoreNewer StoreReadOnly UnknownAccount UnknownConflict UnknownFolder "
    "UnknownMessage UnknownOperation UnknownPart UnknownSubmission WrongEpoch "
    "UnknownGroup UnknownSchedule",
    "eventlog": "EventLog LogEntry LogId LogItem Recorded",
    "handlers": "HandlerRecord Handlers",
    "folders": "Folder FolderCounts FolderState RemoteFolderRow",
    "mail": "AccountId Address Envelope FolderId FolderPath MessageKey Role Uid UidSet UidValidity",
    "mail.conflicts": "Choice Conflict ConflictId ConflictKind NewConflict Side Version",
    "mail.operations": "Operation OperationId OperationKind OperationState",
    "mail.schedules": "Group ScheduleId ScheduleRecord",
    "schedules": "Schedules",
    "mail.submission": "Cancelled Fate Filing Notify Priority Recipient Reply Submission SubmissionId SubmissionState",
    "mailstore": "MailStore",
    "messages": "Assumed BodiesStored BodyNeed BodyState FlagCounts IdentityOfRow Message MessagePage NewMessage "
    "PageKey Shared",
    "opening": "open_store",
    "outbox": "Outbox",
    "readview": "ReadView",
    "reports": "CheckReport Problem PurgeReport",
    "runs": "Lane Run RunError RunId",
    "settling": "Arrival Settling",
    "transaction": "WriteTransaction",
    "wishes": "FlagWish OnServer ToUpload",
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names.split()}

__all__ = [
    "AccountId",
    "Address",
    "Alert",
    "AlertId",
    "Alerts",
    "Arrival",
    "Assumed",
    "BadMessage",
    "BodiesStored",
    "BodyEncoder",
    "BodyNeed",
    "BodyNotHere",
    "BodyState",
    "Cancelled",
    "Change",
    "ChangePage",
    "CheckReport",
    "Choice",
    "Conflict",
    "ConflictId",
    "ConflictKind",
    "CursorTooOld",
    "Editing",
    "EncodedChunk",
    "EncodedHeader",
    "Encoder",
    "Envelope",
    "EventLog",
    "Fate",
    "Filing",
    "FlagCounts",
    "FlagWish",
    "Folder",
    "FolderAdded",
    "FolderChanged",
    "FolderCounts",
    "FolderCursor",
    "FolderExists",
    "FolderId",
    "FolderNotWritable",
    "FolderPath",
    "FolderRemoved",
    "FolderState",
    "Group",
    "HandlerRecord",
    "Handlers",
    "IdentityOfRow",
    "KeyTaken",
    "Lane",
    "LeaseLost",
    "Leased",
    "LogEntry",
    "LogId",
    "LogItem",
    "MailStore",
    "Message",
    "MessageAdded",
    "MessageChanged",
    "MessageKey",
    "MessagePage",
    "MessageRemoved",
    "MimeLimit",
    "NewConflict",
    "NewMessage",
    "NotHere",
    "NotUndoable",
    "Notify",
    "OnServer",
    "Operation",
    "OperationId",
    "OperationKind",
    "OperationState",
    "Outbox",
    "PageKey",
    "Priority",
    "Problem",
    "PurgeReport",
    "ReadView",
    "Recipient",
    "Recorded",
    "RemoteFolderRow",
    "Reply",
    "Role",
    "Run",
    "RunError",
    "RunId",
    "ScheduleId",
    "ScheduleRecord",
    "Schedules",
    "Settling",
    "Shared",
    "Side",
    "StoreBusy",
    "StoreClosed",
    "StoreDamaged",
    "StoreError",
    "StoreErrorKind",
    "StoreFailed",
    "StoreForeign",
    "StoreFull",
    "StoreMissing",
    "StoreNewer",
    "StoreReadOnly",
    "Submission",
    "SubmissionId",
    "SubmissionState",
    "ToUpload",
    "Trouble",
    "TroubleKind",
    "Uid",
    "UidSet",
    "UidValidity",
    "UnknownAccount",
    "UnknownConflict",
    "UnknownFolder",
    "UnknownGroup",
    "UnknownMessage",
    "UnknownOperation",
    "UnknownPart",
    "UnknownSchedule",
    "UnknownSubmission",
    "Version",
    "WriteTransaction",
    "WrongEpoch",
    "open_store",
]


def __getattr__(name: str) -> object:
    """Load the room that defines *name* (PEP 562)."""
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{room}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
