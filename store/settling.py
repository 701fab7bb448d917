"""What became of operations, written by the replay: ``WriteTransaction.settle``. The far half of ``store.editing``.

Each method takes what the server said and leaves rows, twins, log and counters as if it had always been so. Operations
that are settled become DONE (kept for the grace period) and let go of their twin. Ids that are not pending any more are
passed over: a replay that comes twice does nothing twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from .mail import FolderId, FolderPath, MessageKey, Uid, UidValidity
from .mail.conflicts import Choice, ConflictId, NewConflict
from .mail.operations import OperationId

__all__ = ["Arrival", "Settling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A message that is at a place on the server now. ``flags``: as the server has them there; None: as its source."""

    message: MessageKey
    folder_id: FolderId
    epoch: UidValidity
    uid: Uid
    flags: frozenset[str] | None = None


class Settling:
    """Writes of the replay in one write transaction."""

    def attempt(self, ids: Iterable[OperationId], epoch: UidValidity | None, uid_next: int | None) -> None:
        """Journal that these are about to be sent, with what their target had before. Must be durable before they are.

        QUEUED and LATER become ATTEMPTED, ``tries`` counts.
        """
        raise NotImplementedError

    def flags(self, folder: FolderId, epoch: UidValidity, told: Mapping[Uid, frozenset[str]]) -> int:
        """Take the flags that the server has now (rows and twins alike), after a STORE of ours.

        Where nothing differs from what is wanted any more, the FLAGS rows of the message are done. Return how many
        messages were settled.
        """
        raise NotImplementedError

    def arrived(self, ids: Iterable[OperationId], arrivals: Sequence[Arrival]) -> None:
        """Moves, copies, appends are done, and where they came to is known. A row that was listed there already gives
        way to the message (the key of the person stays)."""
        raise NotImplementedError

    def arrived_somewhere(self, ids: Iterable[OperationId]) -> None:
        """Moves, copies, appends are done, and the UID is not known: the next listing of the target adopts them."""
        raise NotImplementedError

    def deleted(self, ids: Iterable[OperationId]) -> None:
        """Deletions are done, or were done already: the twins go."""
        raise NotImplementedError

    def gone(self, ids: Iterable[OperationId], reason: str) -> None:
        """Their message is gone on the server: the rows are closed, the message is removed here, too."""
        raise NotImplementedError

    def folder_created(self, id: OperationId, name: bytes, delimiter: str | None) -> None:
        """The folder exists on the server, under *name*."""
        raise NotImplementedError

    def folder_renamed(self, id: OperationId, names: Mapping[FolderId, bytes]) -> None:
        """It, and what lies below it, has these names on the server now."""
        raise NotImplementedError

    def folder_done(self, id: OperationId) -> None:
        """A deletion or a subscription is done."""
        raise NotImplementedError

    def later(self, ids: Iterable[OperationId], when: datetime, reason: str, server_text: str = "") -> None:
        """Not now: LATER, with the reason for people. Counts a try."""
        raise NotImplementedError

    def refuse(self, ids: Iterable[OperationId], reason: str, server_text: str = "", *, keep: bool = False) -> None:
        """Never: REFUSED, and rolled back (or kept as it is here, with *keep*); also what was wanted of the same
        message afterwards and depends on it."""
        raise NotImplementedError

    def hold(self, ids: Iterable[OperationId], reason: str) -> None:
        """Nothing is sent until a person approves: HELD."""
        raise NotImplementedError

    def unsent(self, ids: Iterable[OperationId]) -> None:
        """It is certain that the attempt had no effect: QUEUED again."""
        raise NotImplementedError

    # --- conflicts ---------------------------------------------------------------------------------------------

    def conflict(self, found: NewConflict) -> ConflictId:
        """Keep a conflict; with ``done`` None its operation is CONFLICT until it is resolved."""
        raise NotImplementedError

    def resolve(self, id: ConflictId, choice: Choice) -> None:
        """Carry out a person's choice, as operations where something has to be sent. SKIP leaves it open.

        Raises UnknownConflict, ValueError for a choice that it does not offer.
        """
        raise NotImplementedError

    # --- what is wanted of a folder that is gone ---------------------------------------------------------------

    def recreate(self, folder: FolderId, path: FolderPath) -> OperationId:
        """The folder is gone on the server, and mail waits to get into it: it is to be created again."""
        raise NotImplementedError
