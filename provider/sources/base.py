"""The seam between the engine and whatever holds mail: IMAP, a Maildir, a server in memory.

A ``Source`` belongs to one account and opens ``Session`` objects; a session belongs to one thread at a time. Folders
are keyed by the source's own octets (``RemoteFolder.name``). What a source knows about changes it says in a
``ChangeReport`` together with how exact that knowledge is, so that the planner reasons about knowledge and never about
protocols. Rules for every source:

- Silence proves nothing: an answer that is not known to be whole raises ``IncompleteAnswer``.
- A row is about a UID that it names itself; rows nobody asked for may come (hints), rows that were asked for may not.
- Iterators stream; they hold at most ``Limits.queue_octets``. Abandoning one in the middle costs the connection.
- Errors are those of ``provider.errors``; after one with ``drops_connection`` the session is dead.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Protocol

from store.mail import FolderPath, ModSeq, Role, Uid, UidSet, UidValidity

from ..account import Account
from ..cancel import Stop

__all__ = [
    "NOTHING_KNOWN",
    "BodyChunk",
    "BodyWanted",
    "ChangeReport",
    "Exactness",
    "FlagRow",
    "FolderListing",
    "FolderStatus",
    "HeaderRow",
    "IdentityRow",
    "Known",
    "Listener",
    "Notice",
    "Opened",
    "RemoteFolder",
    "Session",
    "Source",
    "Summary",
]


NOTHING_KNOWN: Mapping[bytes, UidValidity] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderStatus:
    """What a server says of a folder without opening it (STATUS). None: not told, or not to be believed."""

    messages: int | None = None
    uid_next: int | None = None
    uid_validity: UidValidity | None = None
    mod_seq: ModSeq | None = None
    """HIGHESTMODSEQ: good for "has anything changed", never good as a cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFolder:
    """A folder as listed."""

    name: bytes
    """The source's own octets: the key, and what is sent back to it. ``INBOX`` always in capitals."""
    path: FolderPath
    delimiter: str | None = None
    role: Role | None = None
    attributes: frozenset[str] = frozenset()
    """As told, lower case: ``\\noselect``, ``\\haschildren`` ..."""
    selectable: bool = True
    subscribed: bool | None = None
    object_id: str | None = None
    """MAILBOXID (RFC 8474): the same folder under another name. None: none, or it was known (``Session.folders``)."""
    status: FolderStatus | None = None
    """None: the source could not tell; open the folder to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderListing:
    """All folders. Only a *complete* listing lets absence mean anything; *problems*: names not usable, and why."""

    folders: tuple[RemoteFolder, ...]
    complete: bool
    problems: tuple["Notice", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the store knows of a folder when it is opened again."""

    epoch: UidValidity
    mod_seq: ModSeq | None
    """The cursor; None: none was ever taken, or it is not trusted any more."""
    uids: UidSet
    uid_next: int | None = None


class Exactness(Enum):
    """How much a change report proves."""

    EXACT = "exact"
    """All flags that changed and all messages that vanished since the cursor (QRESYNC, RFC 7162 §3.2)."""
    FLAGS = "flags"
    """All flags that changed; what vanished is not said (CONDSTORE, RFC 7162 §3.1)."""
    NONE = "none"
    """Nothing: compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagRow:
    """Flags of one message now, ``\\Recent`` left out."""

    uid: Uid
    flags: frozenset[str]
    mod_seq: ModSeq | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReport:
    """What changed since ``Known.mod_seq``. *flags* may hold UIDs that the store does not know."""

    exactness: Exactness = Exactness.NONE
    flags: tuple[FlagRow, ...] = ()
    vanished: UidSet = field(default_factory=UidSet)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An open folder."""

    epoch: UidValidity | None
    """None: the source gave none, or an impossible one: this folder cannot be kept."""
    messages: int
    uid_next: int | None = None
    mod_seq: ModSeq | None = None
    """The cursor to keep once everything of this visit is committed; None: keep none."""
    changes: ChangeReport = ChangeReport()
    object_id: str | None = None
    flags_kept: bool = True
    """False: PERMANENTFLAGS is empty; flags set here will not stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One message without its octets."""

    uid: Uid
    flags: frozenset[str]
    size: int | None
    """Octets as the source reports them; may differ from what comes."""
    internal_date: datetime | None
    """Aware, with the offset as told; None when absent or impossible."""
    mod_seq: ModSeq | None = None
    email_id: str | None = None
    """EMAILID (RFC 8474) or X-GM-MSGID: equal only when the octets are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRow:
    """A raw header block, up to and with the empty line; empty is a valid block. None: asked, but NIL came."""

    uid: Uid
    block: bytes | None
    summary: Summary | None = None
    """With a newest page: both in one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRow:
    """The cheapest evidence of which message this is (200 octets or less on the wire)."""

    uid: Uid
    size: int | None
    internal_date: datetime | None
    message_id: str
    """Without angle brackets; empty when there is none."""
    email_id: str | None = None
    flags: frozenset[str] | None = None
    """None: not told, ask for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyWanted:
    """One message to fetch whole, and the size the source reported (None: not known)."""

    uid: Uid
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyChunk:
    """A piece of one message's raw octets. Pieces of one message come in order; *last* closes it.

    ``octets`` None with *last*: the source answered, but has no such octets (NIL, or a literal that contradicts itself
    twice); *reason* says why. A message for which no chunk comes at all was "asked, but not answered".
    """

    uid: Uid
    offset: int
    octets: bytes | None
    last: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something odd that a person may want to know, and that stops nothing: a demotion, an alert, a name not usable."""

    kind: str
    """An ``ErrorKind`` value."""
    text: str
    folder: str | None = None
    uid: int | None = None
    server_text: str = ""


class Listener(Protocol):
    """Who hears of a session's doings while it works. Called on the session's thread; must return at once."""

    def received(self, octets: int) -> None:
        """Hear that so many octets came from the source."""
        ...

    def waiting(self, seconds: float) -> None:
        """Hear that something was asked for and nothing has come for so long (called about four times a second)."""
        ...

    def notice(self, notice: Notice) -> None:
        """Hear of something odd."""
        ...


class Session(Protocol):
    """A connection, logged in. Methods after ``open`` speak of the folder opened last; all of them block."""

    def folders(self, known: Mapping[bytes, UidValidity] = NOTHING_KNOWN) -> FolderListing:
        """List every folder, with its status where that costs no wait of its own. Raises SourceError.

        *known*: folders whose object id the caller has, with their epoch: while that holds it need not be told again.
        """
        ...

    def open(self, name: bytes, known: Known | None) -> Opened:
        """Open a folder for reading and tell what changed since *known*.

        Raises FolderUnusable (kind FOLDER_GONE when it does not exist), CommandRefused, or an error that ends the
        session. A source that finds *known.epoch* different reports no changes.
        """
        ...

    def existing(self, within: UidSet | None = None) -> UidSet:
        """Return which UIDs (of *within*, or of all) exist now. Whole, or IncompleteAnswer is raised."""
        ...

    def summaries(self, uids: UidSet) -> Iterator[Summary]:
        """Yield what is known of *uids*, in any order."""
        ...

    def flags(self, uids: UidSet) -> Iterator[FlagRow]:
        """Yield the flags of *uids*: a second, independent way to see which exist."""
        ...

    def headers(self, uids: UidSet, *, with_summary: bool = False) -> Iterator[HeaderRow]:
        """Yield raw header blocks, with what ``summaries`` says in the same row where asked."""
        ...

    def identities(self, uids: UidSet, *, by_id: bool = False) -> Iterator[IdentityRow]:
        """Yield evidence for matching messages after the epoch changed.

        *by_id*: where the source gives messages ids of their own (EMAILID), these and the flags are enough.
        """
        ...

    def bodies(self, wanted: Sequence[BodyWanted]) -> Iterator[BodyChunk]:
        """Yield raw octets, in chunks of at most 256 kB, in any order of messages.

        A message refused on its own (``NO Some messages could not be FETCHed``) simply does not come; the source
        halves the request until only that one is missing.
        """
        ...

    def close(self) -> None:
        """Say goodbye and close; never raises, never waits longer than a second."""
        ...


class Source(Protocol):
    """Where one account's mail lives."""

    def connect(self, stop: Stop, listener: Listener) -> Session:
        """Connect, secure, log in. Raises SourceError or Cancelled; a refused login asks the supplier once more."""
        ...


class SourceFactory(Protocol):
    """Makes the source of an account; raises InvalidRequest when the account lacks something."""

    def __call__(self, account: Account) -> Source: ...
