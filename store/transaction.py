"""What can be written: one unit of work, all of it or nothing. Reading happens through ``view``, which sees the writes.

Short: no network wait inside. Every method checks before it writes, so that a unit of work that would change nothing
writes nothing; it keeps the counters of folders and the change numbers right, and never holds a half message visible.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from .cursors import FolderCursor, TroubleKind
from .encode import EncodedChunk, EncodedHeader
from .errors import StoreClosed, WrongEpoch
from .folders import FolderState, RemoteFolderRow
from .instants import micros_or_none
from .mail import AccountId, FolderId, MessageKey, ModSeq, Uid, UidSet, UidValidity
from .messages import BodiesStored, FlagCounts, NewMessage, Shared
from .readview import ReadView
from .settling import Settling
from .sql import (
    accounts,
    adoption,
    alerts,
    blobs,
    conflicts,
    cursors,
    eventlog,
    folders,
    listed,
    operations,
    outbox,
    rows,
    schedules,
    sharing,
)
from .sql.rows import Place
from .sql.writing import Writing

__all__ = ["WriteTransaction"]


class WriteTransaction:
    """One unit of work, from ``MailStore.write()``. Not to be kept, nor given to another thread."""

    view: ReadView
    """What the store holds, this transaction's own writes included."""

    def __init__(self, work: Writing, view: ReadView) -> None:
        self._work: Writing | None = work
        self.view = view
        self._settling: Settling | None = None

    def _finish(self) -> None:
        if self._settling is not None:
            self._settling._finish()

    def _end(self) -> None:
        self._work = None
        self.view._end()

    @property
    def _w(self) -> Writing:
        if self._work is None:
            raise StoreClosed("this write transaction has ended; begin another one")
        return self._work

    @property
    def settle(self) -> Settling:
        """What became of operations that were sent."""
        self._settling = self._settling or Settling(self._w)
        return self._settling

    def _place(self, folder_id: FolderId, epoch: UidValidity) -> Place:
        """Return where to write. Raises UnknownFolder; WrongEpoch where the folder is in another one."""
        current = cursors.epoch_of(self._w.connection, folder_id)
        if current is not None and current != epoch:
            raise WrongEpoch("the rows of this folder belong to another UIDVALIDITY; remap or remove them first")
        return Place(folder_id, folders.account_of(self._w.connection, folder_id), epoch)

    # --- accounts and folders ----------------------------------------------------------------------------------

    def ensure_account(self, account: AccountId) -> None:
        """Make *account* known; nothing when it is. Raises ValueError for an empty name."""
        accounts.ensure_account(self._w, account)

    def set_upstream(self, account: AccountId, identity: str, criteria: str) -> None:
        """Keep where the mail of *account* comes from, and what is wanted of it, as the provider words it.

        Raises UnknownAccount.
        """
        accounts.set_upstream(self._w, account, identity, criteria)

    def set_one_connection(self, account: AccountId, why: str) -> bool:
        """Give *account* one connection at a time from now on, for the reason *why*; empty: it may have a second one.

        False when nothing changed: the first reason stays. Raises UnknownAccount.
        """
        return accounts.set_one_connection(self._w, account, why)

    def remove_account(self, account: AccountId) -> None:
        """Remove an account's folders and messages to tombstones and forget the account. Raises UnknownAccount."""
        number = accounts.number_of(self._w.connection, account)
        operations.forget_account(self._w, number)
        conflicts.forget_account(self._w, number)
        outbox.forget_account(self._w, number)
        eventlog.forget_account(self._w, number)
        alerts.forget_account(self._w, number)
        schedules.forget_account(self._w, number)
        for folder in self.view.folders(account, hidden=True):
            rows.bury(self._w, rows.keys_of_folder(self._w, folder.id))
            self.remove_folder(folder.id)
        blobs.drop_partials(self._w, number)
        accounts.mark_removed(self._w, number)

    def add_folder(self, account: AccountId, row: RemoteFolderRow) -> FolderId:
        """Add a folder as listed; one that was made or deleted here is taken for that one. Raises UnknownAccount."""
        number = accounts.number_of(self._w.connection, account)
        return listed.add_listed(self._w, number, row, accounts.account_names(self._w.connection))

    def update_folder(self, folder_id: FolderId, row: RemoteFolderRow) -> bool:
        """Take over what a listing says now, but for what people here wanted of it meanwhile; False when nothing
        differed. Raises UnknownFolder."""
        return listed.update_listed(self._w, folder_id, row, accounts.account_names(self._w.connection))

    def set_folder_state(
        self, folder_id: FolderId, state: FolderState, missing_since: datetime | None = None, note: str = ""
    ) -> bool:
        """Note whether a folder is in use, and why not; False when nothing differed. Raises UnknownFolder."""
        wanted = (state, micros_or_none(missing_since), note)
        return folders.set_state(self._w, self.view.folder(folder_id), wanted)

    def remove_folder(self, folder_id: FolderId) -> int:
        """Remove a folder and its messages to tombstones; return how many messages. Raises UnknownFolder.

        One that mail from here waits to get into stays, as a folder that is not on the server.
        """
        epoch = cursors.epoch_of(self._w.connection, folder_id)
        if epoch is not None:
            blobs.forget_partials(self._w, self._place(folder_id, epoch), UidSet.span(1, 2**63 - 1))
        return self.settle.remove_folder(folder_id)

    # --- cursors and troubles ----------------------------------------------------------------------------------

    def save_cursor(self, folder_id: FolderId, cursor: FolderCursor) -> bool:
        """Write how far a folder is; False when it is what is there. Raises UnknownFolder.

        Invariant kept by the caller: it covers no more than the rows written until the end of this transaction.
        """
        return cursors.save_cursor(self._w, folder_id, cursor)

    def touch_cursor(self, folder_id: FolderId, checked_at: datetime) -> None:
        """Write when the folder was last looked at, and nothing else."""
        cursors.touch_cursor(self._w, folder_id, checked_at)

    def set_trouble(
        self,
        folder_id: FolderId,
        epoch: UidValidity,
        uid: Uid,
        kind: TroubleKind,
        reason: str,
        next_try_at: datetime,
    ) -> None:
        """Note one more try in vain for a message. *reason*: one sentence for people. Raises as ``add_messages``."""
        at = self._place(folder_id, epoch)
        cursors.set_trouble(self._w, at.account, (folder_id, epoch, uid), (kind, reason), next_try_at)

    def clear_trouble(self, folder_id: FolderId, uid: Uid) -> None:
        """Forget the trouble with a message; nothing when there is none."""
        cursors.clear_trouble(self._w, folder_id, uid)

    # --- messages ----------------------------------------------------------------------------------------------

    def add_messages(self, folder_id: FolderId, epoch: UidValidity, new: Sequence[NewMessage]) -> int:
        """Write rows for listed messages, not visible yet; return how many were new. Others are left alone.

        A folder without an epoch gets this one. Raises UnknownFolder, WrongEpoch.
        """
        at = self._place(folder_id, epoch)
        if new and cursors.epoch_of(self._w.connection, folder_id) is None:
            cursors.set_epoch(self._w, folder_id, epoch)
        return rows.add_messages(self._w, at, new)

    def set_flags(
        self,
        folder_id: FolderId,
        epoch: UidValidity,
        told: Iterable[tuple[Uid, frozenset[str], ModSeq | None]],
    ) -> FlagCounts:
        """Write what the server tells of flags, where it differs. UIDs without a row are passed over.

        Raises UnknownFolder, WrongEpoch.
        """
        return rows.set_flags(self._w, self._place(folder_id, epoch), told)

    def add_headers(self, folder_id: FolderId, epoch: UidValidity, found: Sequence[tuple[Uid, EncodedHeader]]) -> int:
        """Give headers to rows without one, which makes them visible; return how many. Raises as ``add_messages``."""
        at = self._place(folder_id, epoch)
        shown = rows.add_headers(self._w, at, found)
        adoption.adopt(self._w, at)
        return shown

    def add_chunks(self, folder_id: FolderId, epoch: UidValidity, chunks: Sequence[EncodedChunk]) -> BodiesStored:
        """Write pieces of messages, in order for each; a message has its octets once its last piece is written.

        Pieces of messages that are gone or whole already are passed over. Raises as ``add_messages``.
        """
        at = self._place(folder_id, epoch)
        stored = blobs.add_chunks(self._w, at, chunks)
        adoption.adopt(self._w, at)
        return stored

    def drop_partial_blobs(self, account: AccountId) -> int:
        """Drop what is half here of *account*; return of how many messages. ``start_run`` does it too."""
        return blobs.drop_partials(self._w, accounts.number_of(self._w.connection, account))

    def remove_messages(self, folder_id: FolderId, epoch: UidValidity, uids: UidSet) -> int:
        """Remove messages to tombstones, which keep header and octets; return how many. Raises as ``add_messages``."""
        at = self._place(folder_id, epoch)
        gone = rows.bury(self._w, rows.keys_of(self._w, at, uids))
        cursors.forget_troubles(self._w, folder_id, epoch, uids)
        blobs.forget_partials(self._w, at, uids)
        return gone

    def remove_messages_by_key(self, keys: Iterable[MessageKey]) -> int:
        """Remove messages of any epoch to tombstones; return how many. Keys without a row are passed over."""
        return rows.bury(self._w, keys)

    def remap(
        self,
        folder_id: FolderId,
        epoch: UidValidity,
        pairs: Sequence[tuple[MessageKey, Uid]],
        new_epoch: UidValidity,
    ) -> int:
        """Go on under another UIDVALIDITY: rows keep key, header, octets, flags, and get the UID of *new_epoch*.

        Return how many. Rows that are in no pair are to be removed by key in the same transaction. Troubles and half
        messages of the old epoch are forgotten. Raises UnknownFolder, WrongEpoch; ValueError for the same epoch.
        """
        if new_epoch == epoch:
            raise ValueError("the epochs are the same")
        current = cursors.epoch_of(self._w.connection, folder_id)
        if current != new_epoch:  # the caller may have saved the new cursor first
            at = self._place(folder_id, epoch)
            cursors.set_epoch(self._w, folder_id, new_epoch)
        else:
            at = Place(folder_id, folders.account_of(self._w.connection, folder_id), epoch)
        everything = UidSet.span(1, 2**63 - 1)
        cursors.forget_troubles(self._w, folder_id, epoch, everything)
        blobs.forget_partials(self._w, at, everything)
        return rows.remap(self._w, folder_id, pairs, new_epoch)

    def revive(self, folder_id: FolderId, epoch: UidValidity, pairs: Sequence[tuple[MessageKey, Uid]]) -> int:
        """Bring removed messages back from their tombstones, with key, header and octets; return how many came.

        Those whose tombstone is purged, or whose UID has a row, are passed over. Raises as ``add_messages``.
        """
        at = self._place(folder_id, epoch)
        if pairs and cursors.epoch_of(self._w.connection, folder_id) is None:
            cursors.set_epoch(self._w, folder_id, epoch)
        return rows.revive(self._w, at, pairs)

    def share(
        self,
        folder_id: FolderId,
        epoch: UidValidity,
        uids: UidSet,
        *,
        whole: bool = True,
        size_max: int | None = None,
        newer_than: datetime | None = None,
        fingerprints: bool = True,
    ) -> Shared:
        """Give rows of *uids* what is here already of the very same message: header, octets, and a removed one's key.

        *whole*, *size_max*, *newer_than*: whose octets are wanted, as in ``ReadView.wanted_bodies``. *fingerprints*:
        not only on proof (EMAILID), but also where header, date and size are equal; such octets are assumed until
        ``settle_assumed``. Raises as ``add_messages``.
        """
        wish = sharing.Wish(whole, size_max, micros_or_none(newer_than))
        at = self._place(folder_id, epoch)
        shared = sharing.share(self._w, at, uids, wish, fingerprints=fingerprints)
        adoption.adopt(self._w, at)
        return shared

    def settle_assumed(
        self, folder_id: FolderId, epoch: UidValidity, *, proven: Iterable[Uid] = (), refuted: Iterable[Uid] = ()
    ) -> int:
        """Note of messages whose octets were assumed that they were compared. A refuted one loses them for good.

        Return how many lost them. Raises as ``add_messages``.
        """
        return sharing.settle_assumed(self._w, self._place(folder_id, epoch), proven, refuted)
