"""What a person wants done to mail: operations as values, addressed by local ids, and what several of them come to.

Pure. An operation is an intent; its local effect and its row in the log are one transaction (``store.oplog``), its
effect on the server is the replay's (``provider.replay``). The definition of what a row of operations on one message
comes to is ``net``, and both sides use it: the store to undo, the planner to send as little as can be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NewType

from .folderpath import FolderPath
from .ids import AccountId, FolderId, MessageKey

__all__ = [
    "BRINGING",
    "FOLDER_KINDS",
    "Net",
    "Operation",
    "OperationId",
    "OperationKind",
    "OperationState",
    "Source",
    "net",
]

OperationId = NewType("OperationId", int)
"""A row of the log; ascending in the order in which things were wanted, never reused."""


class OperationKind(Enum):
    """What is wanted. Flags are a state of the message (``local`` beside ``server``); their rows tell who wanted it."""

    FLAGS = "flags"
    """Add and remove flags and keywords."""
    MOVE = "move"
    """To another folder; also to the trash, where a folder has that role."""
    COPY = "copy"
    """The message is the copy."""
    DELETE = "delete"
    """For good."""
    APPEND = "append"
    """The message is new: a draft, a sent copy, an import."""
    DOWNLOAD = "download"
    """Bring the octets at the next synchronization, whatever the policy says (MSGSTATUS_REMOTE_DOWNLOAD)."""
    CREATE_FOLDER = "create-folder"
    RENAME_FOLDER = "rename-folder"
    """Also a move to another parent. What lies below comes along."""
    DELETE_FOLDER = "delete-folder"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"


FOLDER_KINDS = frozenset(
    {
        OperationKind.CREATE_FOLDER,
        OperationKind.RENAME_FOLDER,
        OperationKind.DELETE_FOLDER,
        OperationKind.SUBSCRIBE,
        OperationKind.UNSUBSCRIBE,
    }
)

BRINGING = (OperationKind.APPEND, OperationKind.COPY, OperationKind.MOVE)
"""What gives a message a place on the server."""


class OperationState(Enum):
    """How far an operation is."""

    QUEUED = "queued"
    """Not sent yet: it can be cancelled, and merged with what follows."""
    ATTEMPTED = "attempted"
    """Sent, or about to be, and no answer known: the server is looked at before anything is sent again."""
    LATER = "later"
    """Refused for now; not before ``next_try_at``."""
    HELD = "held"
    """Too much would be deleted: a person has to approve it."""
    CONFLICT = "conflict"
    """The far side changed the same thing; a conflict tells how, and waits for a person or a resolver."""
    REFUSED = "refused"
    """The server will never do it; its local effect is rolled back, or was kept by the request's resolver."""
    DONE = "done"
    """Done, and kept for the grace period in which it can be undone."""

    @property
    def pending(self) -> bool:
        """True while something is still to happen."""
        return self not in (OperationState.REFUSED, OperationState.DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of the log.

    ``batch``: operations of one call of a person share it; they are undone together. ``folder_id`` is where the message
    was (APPEND, COPY: where it is to be; folder kinds: the folder itself), ``target_id`` where it goes (MOVE; DELETE:
    the folder that it goes together with, and which has to be approved first). ``twin``
    is the key of the row that keeps the message's place on the server meanwhile (MOVE, DELETE), ``origin`` the message
    that is copied (DELETE: the one that replaces it, and is sent first). ``path``: of a folder, before; of one to be
    made: when it was wanted. ``server_text`` is hostile.
    """

    id: OperationId
    account: AccountId
    batch: int
    kind: OperationKind
    state: OperationState
    message: MessageKey | None
    folder_id: FolderId
    target_id: FolderId | None = None
    twin: MessageKey | None = None
    origin: MessageKey | None = None
    add: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()
    path: FolderPath | None = None
    name: bytes = b""
    """Folder kinds: what the server called the folder when it was wanted; empty: it was not there yet."""
    tries: int = 0
    next_try_at: datetime | None = None
    reason: str = ""
    server_text: str = ""
    created_at: datetime
    finished_at: datetime | None = None
    epoch_before: int | None = None
    """UIDVALIDITY of the target when the attempt began; None: no attempt, or not known."""
    uid_next_before: int | None = None
    """UIDNEXT of the target when the attempt began: what it brought there has this UID or a higher one."""
    key_before: int = 0
    """The last key that a message had been given when it was wanted: one with a higher key came later."""
    awaits: bool = False
    """DONE, and where the message came to is not known yet: the next listing of its folder tells."""
    kept: bool = False
    """REFUSED, and its effect here was kept: it can be tried again."""
    approved: bool = False
    """A person let it be sent, however much it removes."""


class Source(Enum):
    """Where the octets of a message come from, as the server sees it."""

    SERVER = "server"
    """It has a place on the server: the twin's, or its own."""
    OCTETS = "octets"
    """It is only here."""
    ORIGIN = "origin"
    """It is a copy of a message that has a place on the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """What the pending operations on one message come to. ``target`` None with ``deleted``: it goes, wherever it is.

    Nothing has to be sent when ``target`` is None and it is not deleted, nor when something that never reached the
    server is deleted (``source`` not SERVER).
    """

    message: MessageKey
    source: Source
    operations: tuple[OperationId, ...]
    """Settled together; in order."""
    folder_id: FolderId
    """Where it lies on the server; where nothing does yet, the folder of its first operation."""
    twin: MessageKey | None = None
    origin: MessageKey | None = None
    target: FolderId | None = None
    deleted: bool = False


def net(operations: Sequence[Operation]) -> Net:
    """Return what *operations* on one message come to; they are in order and pending, FLAGS and DOWNLOAD left out.

    A move of a move is one move, back to where it was none; an append that is moved is an append there. Raises
    ValueError for an empty sequence, or for operations on several messages or folders.
    """
    if not operations:
        raise ValueError("nothing was wanted of this message")
    first, message = operations[0], operations[0].message
    if message is None or any(one.message != message or one.kind in FOLDER_KINDS for one in operations):
        raise ValueError("these operations are not about one message")
    source = {OperationKind.APPEND: Source.OCTETS, OperationKind.COPY: Source.ORIGIN}.get(first.kind, Source.SERVER)
    target = None if source is Source.SERVER else first.folder_id
    deleted = False
    for one in operations:
        if one.kind is OperationKind.MOVE:
            target = one.target_id
        elif one.kind is OperationKind.DELETE:
            deleted = True
    if source is Source.SERVER and target == first.folder_id:
        target = None
    twins = [one.twin for one in operations if one.twin is not None]
    return Net(
        message=message,
        source=source,
        operations=tuple(one.id for one in operations),
        folder_id=first.folder_id,
        twin=twins[0] if twins else None,
        origin=first.origin,
        target=None if deleted else target,
        deleted=deleted,
    )
