"""What the replay asks: which flags are to be sent, where a message is, what is to be uploaded. Values only."""

from dataclasses import dataclass
from datetime import datetime

from .mail import FolderId, MessageKey, Uid, UidValidity

__all__ = ["FlagWish", "Likeness", "OnServer", "ToUpload"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnServer:
    """The place of a message on the server: its own, or its twin's. ``flags``: as the server last told them."""

    folder_id: FolderId
    epoch: UidValidity
    uid: Uid
    flags: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagWish:
    """Flags that a message on the server is to get and to lose; not both are empty."""

    message: MessageKey
    folder_id: FolderId
    """Where it is on the server."""
    epoch: UidValidity
    uid: Uid
    add: frozenset[str]
    remove: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToUpload:
    """What an APPEND of a message needs beside its octets (``ReadView.open_raw``)."""

    size: int
    """Octets, exactly."""
    flags: frozenset[str]
    internal_date: datetime | None
    message_id: str
    digest: bytes
    """blake2b-256 of the octets."""
    header_octets: int
    """Length of the header block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """By what a message is found again on the server, be it alive here or removed."""

    message_id: str
    size: int | None
    """As the server reports it; of one that was only here, its octets."""
    internal_date: datetime | None
