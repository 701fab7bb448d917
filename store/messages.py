"""Messages as the store knows them, and what a source tells of new ones. Values only; rows: ``store.sql.messages``."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from .mail import AccountId, Address, BlobId, FolderId, MessageKey, ModSeq, Uid, UidSet, UidValidity

__all__ = [
    "Assumed",
    "BodiesStored",
    "BodyNeed",
    "BodyState",
    "FlagCounts",
    "IdentityOfRow",
    "Message",
    "MessagePage",
    "NewMessage",
    "PageKey",
    "Shared",
]


class BodyState(Enum):
    """How much of a message is here."""

    HEADERS = "headers"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message as a source lists it: not visible until its header is here.

    ``size``: octets as the source reports them; ``internal_date``: aware, or None.
    """

    uid: Uid
    flags: frozenset[str] = frozenset()
    size: int | None = None
    internal_date: datetime | None = None
    mod_seq: ModSeq | None = None
    email_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One visible message in one folder.

    ``internal_date`` keeps the offset as told; ``size`` is what the source reported, ``octets`` the length of the raw
    octets here (None: not here); they may differ, since servers count as they like.
    """

    key: MessageKey
    account: AccountId
    folder_id: FolderId
    epoch: UidValidity
    uid: Uid | None
    """None: pending, it has no place on the server yet."""
    flags: frozenset[str]
    """As people want them."""
    internal_date: datetime | None
    size: int | None
    octets: int | None
    subject: str
    from_: tuple[Address, ...]
    date: datetime | None
    message_id: str
    body: BodyState
    email_id: str | None

    @property
    def pending(self) -> bool:
        """True while it has no place on the server yet: appended, copied or moved here."""
        return self.uid is None


@dataclass(frozen=True, slots=True, order=True)
class PageKey:
    """Where a page ends: hand it back to get the next one. Valid for ever, also after that message is gone."""

    internal_at: int
    key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """Newest first: by internal date, then key, both descending; messages without a date at the end, by key.

    ``next`` None: nothing is older.
    """

    messages: tuple[Message, ...]
    next: PageKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyNeed:
    """A message whose raw octets are not here."""

    key: MessageKey
    uid: Uid
    size: int | None
    has_header: bool
    identity: tuple[str, int] | None = None
    """EMAILID and internal date (microseconds), which all copies of one message share; None: no EMAILID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityOfRow:
    """What is known here of which message this is, to match it after the epoch changed."""

    key: MessageKey
    uid: Uid
    size: int | None
    internal_date: datetime | None
    message_id: str
    email_id: str | None
    received: bool
    """Its header has a Received field; False also when the header is not here."""
    blob_id: BlobId | None
    """Equal only for equal octets."""

    @property
    def has_body(self) -> bool:
        """True when the raw octets are here."""
        return self.blob_id is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagCounts:
    """Messages whose flags really differed: ``read`` where nothing but ``\\Seen`` did, ``modified`` the others."""

    modified: int = 0
    read: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BodiesStored:
    """What ``add_chunks`` did."""

    whole: int = 0
    """Messages whose raw octets are here now and were not before."""
    shared: int = 0
    """Those of them whose octets were here already, in another message."""
    lost: tuple[Uid, ...] = ()
    """Messages whose earlier chunks are not here any more (dropped by a purge): fetch them again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What ``share`` found here already."""

    shown: int = 0
    """Messages that are visible now and were not before."""
    whole: UidSet = field(default_factory=UidSet)
    """Messages whose raw octets are here now and were not before."""
    octets: int = 0
    """Octets of those, as the source reports them: what did not have to be fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """A message that has the octets of one that looks the same: ``digest`` (blake2b-256) and length of what it has."""

    uid: Uid
    size: int | None
    octets: int
    digest: bytes
