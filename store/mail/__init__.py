"""Floor 0: what mail is, as frozen values that know no SQL, no I/O and no clock.

Every other room of both packages may import this one; this one imports nothing of them.
"""

from .envelope import Address, Envelope
from .flags import SYSTEM_FLAGS, clean_flags, is_keyword
from .folderpath import FolderPath, Role
from .ids import (
    AccountId,
    BlobId,
    FolderId,
    HeaderId,
    MessageKey,
    ModSeq,
    Uid,
    UidValidity,
)
from .uidset import UidSet

__all__ = [
    "SYSTEM_FLAGS",
    "AccountId",
    "Address",
    "BlobId",
    "Envelope",
    "FolderId",
    "FolderPath",
    "HeaderId",
    "MessageKey",
    "ModSeq",
    "Role",
    "Uid",
    "UidSet",
    "UidValidity",
    "clean_flags",
    "is_keyword",
]
