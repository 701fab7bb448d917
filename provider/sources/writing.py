"""Changing what a source holds: the optional half of ``sources.base`` that replay speaks. Others are read-only.

What is done in one folder is a ``FolderWrite``; many are written back to back, so that ten folders cost about eleven
waits. Rules for every source:

- Nothing is changed before the folder's epoch was seen to be the one that the UIDs belong to.
- A source message is removed only after its copy was confirmed. A plain EXPUNGE, or a CLOSE that expunges, is never
  sent: without a way to remove certain UIDs only, they are marked, left, and told in ``Deleted.left``.
- Every step is answered by exactly one event of its own, whatever went wrong; a refused step costs only itself.
- UIDs that are not there are no error: they are told as ``gone``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from store.mail import FolderPath, ModSeq, Role, Uid, UidSet, UidValidity

from ..errors import SourceError
from .base import FolderStatus

__all__ = [
    "Appended",
    "Deleted",
    "FolderWrite",
    "Mark",
    "Marked",
    "Transfer",
    "Transferred",
    "Upload",
    "WriteEnded",
    "WriteEvent",
    "WriteOpened",
    "WritingSession",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mark:
    """Add and remove flags of some messages. *add* and *remove* never meet."""

    uids: UidSet
    add: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transfer:
    """Copy some messages into the folder called *target*, or move them there."""

    uids: UidSet
    target: bytes
    move: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FolderWrite:
    """What is to be done in one folder, in this order: flags, copies, moves, deletions."""

    name: bytes
    epoch: UidValidity
    unchanged_since: ModSeq | None = None
    """Up to here the flags of the folder are known: what others changed since is told (RFC 7162 §3.1.3)."""
    marks: tuple[Mark, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    """Copies before moves."""
    deletes: UidSet = field(default_factory=UidSet)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOpened:
    """The folder is open for writing, and its epoch is the one that was expected."""

    write: FolderWrite
    uid_next: int | None = None
    mod_seq: ModSeq | None = None
    permanent_flags: frozenset[str] | None = None
    """Flags that stay; None: the server did not say, so all do."""
    new_keywords: bool = True
    """Keywords that are not there yet may be made (``\\*``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """How one ``Mark`` ended. *error*: it was refused, and nothing is known to have changed.

    *flags*: what the server has now, of every message that it told of (asked for where it did not tell). *lost*: flags
    that the server does not keep, of those that were to be added.
    """

    write: FolderWrite
    mark: Mark
    flags: dict[Uid, frozenset[str]] = field(default_factory=dict)
    changed_elsewhere: UidSet = field(default_factory=UidSet)
    """MODIFIED: others changed these meanwhile; they were read again, merged flag by flag, and stored."""
    gone: UidSet = field(default_factory=UidSet)
    lost: frozenset[str] = frozenset()
    error: SourceError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transferred:
    """How one ``Transfer`` ended. Every UID of it is in *places*, *unplaced*, *gone* or *left*, and in one only.

    *error*: why some are *left*; ``response_code`` TRYCREATE: the target does not exist.
    """

    write: FolderWrite
    transfer: Transfer
    epoch: UidValidity | None = None
    """Of the target, for *places*."""
    places: dict[Uid, Uid] = field(default_factory=dict)
    """Done: where each came to."""
    unplaced: UidSet = field(default_factory=UidSet)
    """Done; the server did not tell where they are now."""
    gone: UidSet = field(default_factory=UidSet)
    """Were not there (any more)."""
    left: UidSet = field(default_factory=UidSet)
    """Still there, and not (known to be) in the target."""
    lingering: UidSet = field(default_factory=UidSet)
    """Of a move: copied, and marked as deleted in the source, where only a plain EXPUNGE could remove them. Also in
    *places* or *unplaced*."""
    error: SourceError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """How the deletions ended. *gone*: not there any more, whoever did it; *left*: marked, and still there.

    *error*: why those that are in neither were not even marked, or why some are *left* that could have been removed.
    """

    write: FolderWrite
    gone: UidSet = field(default_factory=UidSet)
    left: UidSet = field(default_factory=UidSet)
    error: SourceError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteEnded:
    """Nothing more comes of this folder. *error*: it could not be opened, is read-only, or its epoch is another one;
    then no step was sent."""

    write: FolderWrite
    error: SourceError | None = None


WriteEvent = WriteOpened | Marked | Transferred | Deleted | WriteEnded


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Upload:
    """A message to be added. *octets* may be called again when an attempt was refused; at most 256 kB a piece."""

    octets: Callable[[], Iterable[bytes]]
    size: int
    """Octets, exactly."""
    flags: frozenset[str] = frozenset()
    internal_date: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """How one upload ended. *uid* None without *error*: it is there, and the server did not tell where."""

    upload: Upload
    epoch: UidValidity | None = None
    uid: Uid | None = None
    error: SourceError | None = None


@runtime_checkable
class WritingSession(Protocol):
    """A session that can change things. All methods raise what ends the connection; a refusal is in the event."""

    def write(self, writes: Iterable[FolderWrite]) -> Iterator[WriteEvent]:
        """Change folders, in order; *writes* are taken as room allows. No folder is open afterwards.

        For each: WriteOpened, one event a step in the order of the steps, WriteEnded; or WriteEnded with an error.
        """
        ...

    def append(self, target: bytes, uploads: Sequence[Upload]) -> Iterator[Appended]:
        """Add messages to the folder called *target*: one event each, in order. No folder need be open."""
        ...

    def statuses(self, names: Sequence[bytes]) -> dict[bytes, FolderStatus]:
        """Return how folders stand, asked in one go; those that are not there, or cannot be asked, are left out."""
        ...

    def create(self, path: FolderPath, *, parent: bytes | None, role: Role | None = None) -> bytes:
        """Create a folder and return its name; *parent*: the name of the folder above it, None at the top.

        One that exists already is no error. Raises CommandRefused.
        """
        ...

    def rename(self, name: bytes, path: FolderPath, *, parent: bytes | None) -> bytes:
        """Rename a folder and all below it; return its new name. Raises FolderUnusable (gone), CommandRefused."""
        ...

    def remove(self, name: bytes) -> None:
        """Delete a folder with its mail; one that is gone is no error. Raises CommandRefused."""
        ...

    def subscribe(self, name: bytes, on: bool) -> None:
        """Subscribe to a folder, or not any more. Raises CommandRefused."""
        ...
