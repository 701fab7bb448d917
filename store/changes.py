"""What became true in the store, told after commit and pulled by cursor. Values only; rows: ``store.sql.changes``.

A change says that something differs, not what it is now: read the row. Several changes of one row since a cursor are
told as the last one, so a reader that comes late is not told more than it needs. ``seq`` is unique and ascending. A
reader that pages may hear of a change of something it was never told of (it was added on an earlier page's stretch and
changed since): then it is new to that reader, and a removal of something unknown is nothing.
"""

from dataclasses import dataclass

from .mail import AccountId, FolderId, MessageKey, Uid

__all__ = [
    "Change",
    "ChangePage",
    "FolderAdded",
    "FolderChanged",
    "FolderRemoved",
    "MessageAdded",
    "MessageChanged",
    "MessageRemoved",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderAdded:
    """A folder appeared."""

    seq: int
    account: AccountId
    folder_id: FolderId


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderChanged:
    """A folder was renamed, or its role, attributes or state differ. Counts are not told here: messages are."""

    seq: int
    account: AccountId
    folder_id: FolderId


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRemoved:
    """A folder is gone; its messages were told as removed before."""

    seq: int
    account: AccountId
    folder_id: FolderId


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAdded:
    """A message became visible: its header is here. ``uid`` None, here and below: it has no place on the server yet."""

    seq: int
    account: AccountId
    folder_id: FolderId
    key: MessageKey
    uid: Uid | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageChanged:
    """Flags, folder, UID or body of a visible message differ."""

    seq: int
    account: AccountId
    folder_id: FolderId
    key: MessageKey
    uid: Uid | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRemoved:
    """A message that was visible is gone."""

    seq: int
    account: AccountId
    folder_id: FolderId
    key: MessageKey
    uid: Uid | None


Change = FolderAdded | FolderChanged | FolderRemoved | MessageAdded | MessageChanged | MessageRemoved


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePage:
    """Changes in the order of ``seq``. Hand ``cursor`` back as *since*; ``more``: do so at once."""

    changes: tuple[Change, ...]
    cursor: int
    more: bool
