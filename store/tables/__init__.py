"""The schema, declared once: SQLModel classes, one concept a file, no queries. See ``base`` for the rules."""

from .accounts import AccountRow
from .alerts import AlertRow
from .base import ASSUMED, DATELESS, OWN, REFUTED, StoreTable, table
from .blobs import BlobRow, ChunkRow, PartialRow
from .conflicts import ConflictRow
from .cursors import CursorRow
from .eventlog import LogRow
from .folders import FolderRow
from .handlers import HandlerRow
from .headers import HeaderRow
from .messages import MessageRow
from .operations import OperationRow
from .outbox import OutboxRow, RecipientRow, SubmissionRow
from .runs import RunRow
from .schedules import GroupRow, ManagerRow, MemberRow, ScheduleRow
from .state import StateRow
from .tombstones import FolderTombstoneRow, TombstoneRow
from .troubles import TroubleRow

__all__ = [
    "ASSUMED",
    "DATELESS",
    "OWN",
    "REFUTED",
    "AccountRow",
    "AlertRow",
    "BlobRow",
    "ChunkRow",
    "ConflictRow",
    "CursorRow",
    "FolderRow",
    "FolderTombstoneRow",
    "GroupRow",
    "HandlerRow",
    "HeaderRow",
    "LogRow",
    "ManagerRow",
    "MemberRow",
    "MessageRow",
    "OperationRow",
    "OutboxRow",
    "PartialRow",
    "RecipientRow",
    "RunRow",
    "ScheduleRow",
    "StateRow",
    "StoreTable",
    "SubmissionRow",
    "TombstoneRow",
    "TroubleRow",
    "table",
]
