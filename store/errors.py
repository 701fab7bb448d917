"""What can go wrong with a store, and what helps.

    StoreError                         every error of this package
    ├── StoreMissing (FileNotFoundError)   there is no store at that path (or it was removed while open)
    ├── StoreNewer                     made by a newer maildock; never touched
    ├── StoreReadOnly (PermissionError)    the file, its directory or this object does not allow writing
    ├── StoreBusy (TimeoutError)       somebody else writes for longer than the wait; try again
    ├── StoreFull                      the disk is full; nothing was lost, go on once there is room
    ├── StoreFailed                    the disk or the system refused; nothing was written
    ├── StoreDamaged                   octets on disk are not what was written
    ├── StoreForeign                   not a store of ours: other format, other owner, a symbolic link
    ├── StoreClosed                    used after close, or after its transaction ended
    ├── Leased                         somebody else synchronizes this account
    ├── LeaseLost                      another run took over; stop, nothing more may be written
    ├── WrongEpoch                     rows of another UIDVALIDITY are refused
    ├── UnknownAccount / UnknownFolder / UnknownMessage / UnknownPart (LookupError)
    ├── UnknownOperation / UnknownConflict (LookupError)
    ├── NotHere                        mail stays within its account; copy it by its octets
    ├── FolderNotWritable              it takes no mail now: missing, deleted here, or a name without mail
    ├── FolderExists                   there is a folder at that path; choose another name
    ├── NotUndoable                    too late: removed for good, forgotten, or sent and not answered yet
    ├── BodyNotHere                    only the header of this message is in the store
    ├── CursorTooOld                   changes between that cursor and now are no longer known; read everything again
    ├── MimeLimit                      a message too deep, too wide or too large to be taken apart
    ├── BadMessage (ValueError)        a message that must not be sent as it is; the text says where, and what helps
    ├── KeyTaken                       another message was submitted under this key
    ├── UnknownGroup / UnknownSchedule (LookupError)
    └── UnknownSubmission (LookupError)    the outbox has no such submission (any more)

``kind`` is for programs, ``str(error)`` is one sentence for a person, ``retryable`` tells whether the same call may
succeed later without anybody's help. No error carries message content or SQL.
"""

from datetime import datetime
from enum import Enum

__all__ = [
    "BadMessage",
    "BodyNotHere",
    "CursorTooOld",
    "FolderExists",
    "FolderNotWritable",
    "KeyTaken",
    "LeaseLost",
    "Leased",
    "MimeLimit",
    "NotHere",
    "NotUndoable",
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
    "UnknownAccount",
    "UnknownConflict",
    "UnknownFolder",
    "UnknownGroup",
    "UnknownMessage",
    "UnknownOperation",
    "UnknownPart",
    "UnknownSchedule",
    "UnknownSubmission",
    "WrongEpoch",
]


class StoreErrorKind(Enum):
    """Stable names of the kinds, for programs."""

    STORE = "store"
    MISSING = "store-missing"
    NEWER = "store-newer"
    READ_ONLY = "store-read-only"
    BUSY = "store-busy"
    FULL = "store-full"
    FAILED = "store-failed"
    DAMAGED = "store-damaged"
    FOREIGN = "store-foreign"
    CLOSED = "store-closed"
    LEASED = "leased"
    LEASE_LOST = "lease-lost"
    WRONG_EPOCH = "wrong-epoch"
    UNKNOWN_ACCOUNT = "unknown-account"
    UNKNOWN_FOLDER = "unknown-folder"
    UNKNOWN_MESSAGE = "unknown-message"
    UNKNOWN_PART = "unknown-part"
    UNKNOWN_OPERATION = "unknown-operation"
    UNKNOWN_CONFLICT = "unknown-conflict"
    NOT_HERE = "not-here"
    FOLDER_NOT_WRITABLE = "folder-not-writable"
    FOLDER_EXISTS = "folder-exists"
    NOT_UNDOABLE = "not-undoable"
    BODY_NOT_HERE = "body-not-here"
    CURSOR_TOO_OLD = "cursor-too-old"
    MIME_LIMIT = "mime-limit"
    BAD_MESSAGE = "bad-message"
    KEY_TAKEN = "key-taken"
    UNKNOWN_SUBMISSION = "unknown-submission"
    UNKNOWN_GROUP = "unknown-group"
    UNKNOWN_SCHEDULE = "unknown-schedule"


class StoreError(Exception):
    """The root."""

    kind: StoreErrorKind = StoreErrorKind.STORE
    retryable: bool = False

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return self.text


class StoreMissing(StoreError, FileNotFoundError):
    kind = StoreErrorKind.MISSING


class StoreNewer(StoreError):
    kind = StoreErrorKind.NEWER


class StoreReadOnly(StoreError, PermissionError):
    kind = StoreErrorKind.READ_ONLY


class StoreBusy(StoreError, TimeoutError):
    kind = StoreErrorKind.BUSY
    retryable = True


class StoreFull(StoreError):
    kind = StoreErrorKind.FULL
    retryable = True


class StoreFailed(StoreError):
    kind = StoreErrorKind.FAILED
    retryable = True


class StoreDamaged(StoreError):
    kind = StoreErrorKind.DAMAGED


class StoreForeign(StoreError):
    kind = StoreErrorKind.FOREIGN


class StoreClosed(StoreError):
    kind = StoreErrorKind.CLOSED


class Leased(StoreError):
    """``owner`` as given to ``start_run``; ``expires_at`` aware UTC: after it the lease may be taken over."""

    kind = StoreErrorKind.LEASED
    retryable = True

    def __init__(self, owner: str, expires_at: datetime) -> None:
        super().__init__(f"this account is being synchronized by {owner}, who holds it until {expires_at:%H:%M:%S} UTC")
        self.owner = owner
        self.expires_at = expires_at


class LeaseLost(StoreError):
    kind = StoreErrorKind.LEASE_LOST


class WrongEpoch(StoreError):
    kind = StoreErrorKind.WRONG_EPOCH


class UnknownAccount(StoreError, LookupError):
    kind = StoreErrorKind.UNKNOWN_ACCOUNT


class UnknownFolder(StoreError, LookupError):
    kind = StoreErrorKind.UNKNOWN_FOLDER


class UnknownMessage(StoreError, LookupError):
    kind = StoreErrorKind.UNKNOWN_MESSAGE


class UnknownPart(StoreError, LookupError):
    kind = StoreErrorKind.UNKNOWN_PART


class UnknownOperation(StoreError, LookupError):
    kind = StoreErrorKind.UNKNOWN_OPERATION


class UnknownConflict(StoreError, LookupError):
    kind = StoreErrorKind.UNKNOWN_CONFLICT


class NotHere(StoreError):
    kind = StoreErrorKind.NOT_HERE


class FolderNotWritable(StoreError):
    kind = StoreErrorKind.FOLDER_NOT_WRITABLE


class FolderExists(StoreError):
    kind = StoreErrorKind.FOLDER_EXISTS


class NotUndoable(StoreError):
    kind = StoreErrorKind.NOT_UNDOABLE


class BodyNotHere(StoreError, LookupError):
    kind = StoreErrorKind.BODY_NOT_HERE


class CursorTooOld(StoreError):
    kind = StoreErrorKind.CURSOR_TOO_OLD


class MimeLimit(StoreError):
    kind = StoreErrorKind.MIME_LIMIT


class BadMessage(StoreError, ValueError):
    """``line``: in which line of the message as it was given, from 1; None: it is about no one line."""

    kind = StoreErrorKind.BAD_MESSAGE

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text if line is None else f"line {line}: {text}")
        self.line = line


class KeyTaken(StoreError):
    kind = StoreErrorKind.KEY_TAKEN


class UnknownSubmission(StoreError, LookupError):
    kind = StoreErrorKind.UNKNOWN_SUBMISSION


class UnknownGroup(StoreError, LookupError):
    kind = StoreErrorKind.UNKNOWN_GROUP


class UnknownSchedule(StoreError, LookupError):
    kind = StoreErrorKind.UNKNOWN_SCHEDULE
