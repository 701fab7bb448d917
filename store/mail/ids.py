"""The names of things, as types that cannot be mixed up.

Two families. Ours: local ids, never reused, meaningless to a server. Theirs: numbers of a source, meaningless
without the folder and its epoch (IMAP: UIDVALIDITY, RFC 9051 §2.3.1.1).
"""

from typing import NewType

__all__ = [
    "MODSEQ_MAX",
    "UID_MAX",
    "AccountId",
    "BlobId",
    "FolderId",
    "HeaderId",
    "MessageKey",
    "ModSeq",
    "Uid",
    "UidValidity",
]

AccountId = NewType("AccountId", str)
"""The host's own name of an account; the store knows nothing else of it."""

FolderId = NewType("FolderId", int)
"""A folder of the store. Survives renames on the server."""

MessageKey = NewType("MessageKey", int)
"""One message in one folder, for ever: survives UIDVALIDITY resets and moves, and is never reused."""

HeaderId = NewType("HeaderId", int)
"""A raw header block, stored once however many messages carry it."""

BlobId = NewType("BlobId", int)
"""Raw octets of a whole message, stored once however many folders hold it."""

Uid = NewType("Uid", int)
"""A source's number of a message in one folder and epoch: 1 to 2**63-1 (IMAP itself stops at 2**32-1)."""

UidValidity = NewType("UidValidity", int)
"""The epoch of a folder's UIDs. Compared by "different", never by "greater" (servers go backwards)."""

ModSeq = NewType("ModSeq", int)
"""A modification sequence, 1 to 2**63-1 (RFC 7162)."""

UID_MAX = 2**63 - 1
MODSEQ_MAX = 2**63 - 1
