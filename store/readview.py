"""What can be read: one snapshot, unchanged by what anybody writes meanwhile. Short: a view outlives no page.

Every method is answered by an index; none scans a table, and counts are kept, not counted. Values that come out are
frozen and stay good after the view has ended; iterators do not.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from heapq import merge
from itertools import islice

from .cursors import FolderCursor, Trouble
from .errors import BodyNotHere, StoreClosed, UnknownMessage, UnknownOperation
from .folders import Folder, FolderState
from .instants import micros, micros_or_none
from .mail import AccountId, BlobId, Envelope, FolderId, FolderPath, HeaderId, MessageKey, Uid, UidSet
from .mail.conflicts import Conflict
from .mail.operations import Operation, OperationId, OperationKind
from .mail.submission import Submission, SubmissionId, SubmissionState
from .messages import Assumed, BodyNeed, IdentityOfRow, Message, MessagePage, PageKey
from .mime import scan_header
from .runs import Run
from .sql import (
    accounts,
    blobs,
    conflicts,
    cursors,
    folders,
    headers,
    messages,
    operations,
    outbox,
    outward,
    places,
    runs,
    sharing,
    writing,
)
from .sql.rows import Place
from .wishes import FlagWish, Likeness, OnServer, ToUpload

__all__ = ["ReadView"]

PAGE_ROWS_MAX = 10_000


class ReadView:
    """A snapshot of the store. From ``MailStore.read()``, or as ``view`` of a write transaction (which sees itself)."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._clock = clock
        self._names: dict[int, AccountId] = {}

    def _end(self) -> None:
        self._connection = None

    @property
    def _c(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreClosed("this view has ended; begin another one")
        return self._connection

    def _accounts(self, needed: int | None = None) -> dict[int, AccountId]:
        if not self._names or (needed is not None and needed not in self._names):
            self._names = accounts.account_names(self._c)
        return self._names

    def _of(self, account: AccountId | None) -> tuple[dict[int, AccountId], list[int]]:
        """Return all names, and our number of one account or of all. Raises UnknownAccount."""
        names = accounts.account_names(self._c)
        return names, list(names) if account is None else [accounts.number_of(self._c, account)]

    # --- for everybody -----------------------------------------------------------------------------------------

    def accounts(self) -> tuple[AccountId, ...]:
        """Return the accounts in the order in which the store heard of them."""
        return accounts.known_accounts(self._c)

    def folders(self, account: AccountId | None = None, *, hidden: bool = False) -> tuple[Folder, ...]:
        """Return folders: by account, in it INBOX, then those with a role, then by path. Raises UnknownAccount.

        *hidden*: also those that were deleted here, and are still on the server.
        """
        number = None if account is None else accounts.number_of(self._c, account)
        found = folders.folders_of(self._c, number, accounts.account_names(self._c))
        return tuple(one for one in found if hidden or one.state is not FolderState.DELETING)

    def folder(self, folder_id: FolderId) -> Folder:
        """Return one folder. Raises UnknownFolder."""
        number = folders.account_of(self._c, folder_id)
        return folders.one_folder(self._c, folder_id, self._accounts(number))

    def find_folder(self, account: AccountId, path: FolderPath) -> Folder | None:
        """Return the folder at *path*, the active one where several are; None: there is none. Raises UnknownAccount."""
        number = accounts.number_of(self._c, account)
        found = folders.find_folder(self._c, number, path, self._accounts(number))
        return None if found is None or found.state is FolderState.DELETING else found

    def messages(self, folder_id: FolderId, *, limit: int = 50, before: PageKey | None = None) -> MessagePage:
        """Return a page of the visible messages of a folder, newest first. Raises UnknownFolder.

        *before*: ``next`` of the page before.
        """
        number = folders.account_of(self._c, folder_id)
        start, names = before or messages.FIRST_PAGE, self._accounts(number)
        return _page(messages.page_of_folder(self._c, folder_id, start, _rows(limit) + 1, names), limit)

    def all_messages(
        self, account: AccountId | None = None, *, limit: int = 50, before: PageKey | None = None
    ) -> MessagePage:
        """Return a page of all visible messages of one account or of all, newest first. Raises UnknownAccount."""
        names, numbers = self._of(account)
        start, rows = before or messages.FIRST_PAGE, _rows(limit) + 1
        pages = [messages.page_of_account(self._c, number, start, rows, names) for number in numbers]
        newest_first = merge(*pages, key=lambda row: row[0], reverse=True)
        return _page(list(islice(newest_first, rows)), limit)

    def message(self, key: MessageKey) -> Message:
        """Return one visible message. Raises UnknownMessage."""
        found = messages.one(self._c, key, accounts.account_names(self._c))
        if found is None:
            raise UnknownMessage(f"the store has no message {int(key)}")
        return found

    def find_message(self, folder_id: FolderId, uid: Uid) -> Message | None:
        """Return the visible message with *uid* in the folder's epoch, or None. Raises UnknownFolder."""
        epoch = cursors.epoch_of(self._c, folder_id)
        if epoch is None:
            return None
        return messages.find(self._c, folder_id, epoch, uid, accounts.account_names(self._c))

    def header_block(self, key: MessageKey) -> bytes:
        """Return the raw header block, its empty line included. Raises UnknownMessage, StoreDamaged."""
        header = messages.header_of(self._c, key)
        if header is None:
            raise UnknownMessage(f"the store has no message {int(key)}")
        return headers.raw_header(self._c, header)

    def envelope(self, key: MessageKey) -> Envelope:
        """Return the decoded header fields. Raises UnknownMessage, StoreDamaged."""
        return scan_header(self.header_block(key))

    def open_raw(self, key: MessageKey) -> Iterator[bytes]:
        """Yield the raw octets in pieces of at most 256 kB, while this view lasts.

        Raises UnknownMessage, BodyNotHere, at once; StoreDamaged, at the latest behind the last piece.
        """
        blob = self._parts(key)[1]
        if blob is None:
            raise BodyNotHere("only the header of this message is here; synchronize or fetch it")
        return blobs.raw_octets(self._c, blob)

    def raw(self, key: MessageKey) -> bytes:
        """Return the raw octets, whole in memory. Raises as ``open_raw``."""
        return b"".join(self.open_raw(key))

    def raw_piece(self, key: MessageKey, number: int) -> bytes | None:
        """Return one of the pieces of ``open_raw``, from 0; None behind the last: for who must not keep a view.

        Nothing is compared with its digest here. Raises UnknownMessage, BodyNotHere.
        """
        blob = self._parts(key)[1]
        if blob is None:
            raise BodyNotHere("only the header of this message is here; synchronize or fetch it")
        return blobs.piece_of(self._c, blob, number)

    def _parts(self, key: MessageKey) -> tuple[HeaderId, BlobId | None]:
        found = messages.parts_of(self._c, key)
        if found is None:
            raise UnknownMessage(f"the store has no message {int(key)}")
        return found

    def troubles(self, folder_id: FolderId | None = None) -> tuple[Trouble, ...]:
        """Return the messages that could not be brought, of one folder or of all, by folder and UID."""
        return cursors.all_troubles(self._c) if folder_id is None else cursors.troubles_of(self._c, folder_id)

    def runs(self, account: AccountId | None = None, limit: int = 20) -> tuple[Run, ...]:
        """Return the newest synchronizations, newest first. Raises UnknownAccount."""
        number = None if account is None else accounts.number_of(self._c, account)
        return runs.recent(self._c, number, _rows(limit), accounts.account_names(self._c))

    def one_connection(self, account: AccountId) -> str:
        """Return why *account* is given one connection at a time; empty: it may have a second one, or is not known."""
        return accounts.one_connection(self._c, account)

    def cursor_seq(self) -> int:
        """Return the change number of this snapshot: hand it to ``MailStore.changes`` to hear what comes after."""
        return writing.change_seq(self._c)

    # --- what people changed -----------------------------------------------------------------------------------

    def operations(self, account: AccountId | None = None, *, pending: bool = True) -> tuple[Operation, ...]:
        """Return the log of one account or of all, by account and in order: what is pending, or all that is kept.

        Raises UnknownAccount.
        """
        names, numbers = self._of(account)
        return tuple(
            one for number in numbers for one in operations.of_account(self._c, number, names, pending=pending)
        )

    def operation(self, operation_id: OperationId) -> Operation:
        """Return one operation. Raises UnknownOperation."""
        found = operations.by_id(self._c, operation_id, accounts.account_names(self._c))
        if found is None:
            raise UnknownOperation(f"the log has no operation {int(operation_id)} (any more)")
        return found

    def conflicts(self, account: AccountId | None = None, *, open: bool = True) -> tuple[Conflict, ...]:
        """Return the conflicts of one account or of all, in order: those that wait, or all. Raises UnknownAccount."""
        names, numbers = self._of(account)
        return tuple(one for number in numbers for one in conflicts.of_account(self._c, number, names, open=open))

    def submissions(
        self, account: AccountId | None = None, states: Collection[SubmissionState] | None = None
    ) -> tuple[Submission, ...]:
        """Return the outbox of one account or of all, by account and in order; only *states*. Raises UnknownAccount."""
        names, numbers = self._of(account)
        return tuple(one for number in numbers for one in outbox.of_account(self._c, number, names, states))

    def submission(self, submission_id: SubmissionId) -> Submission:
        """Return one submission. Raises UnknownSubmission."""
        return outbox.by_id(self._c, submission_id, accounts.account_names(self._c))

    def wishes(self, account: AccountId) -> list[FlagWish]:
        """Return the flags that are to be sent, of messages that have a place on the server; ascending by key.

        Raises UnknownAccount.
        """
        return places.wishes(self._c, accounts.number_of(self._c, account))

    def place(self, key: MessageKey) -> OnServer | None:
        """Return where a message, alive or removed here, is on the server; None: nowhere, or it is not known."""
        return places.on_server(self._c, key)

    def upload(self, key: MessageKey) -> ToUpload:
        """Return what an APPEND of a message needs beside its octets. Raises BodyNotHere."""
        found = outward.to_upload(self._c, key)
        if found is None:
            raise BodyNotHere("the octets of this message are not here")
        return found

    def likeness(self, key: MessageKey) -> Likeness | None:
        """Return by what a message is known again on the server, alive or removed here; None: it is not kept."""
        return outward.likeness(self._c, key)

    def kept_header(self, key: MessageKey) -> bytes | None:
        """Return the header block of a message, alive or removed here; None: it is not kept. Raises StoreDamaged."""
        kept = places.row(self._c, key) or places.grave(self._c, key)
        return None if kept is None or kept.header_id is None else headers.raw_header(self._c, HeaderId(kept.header_id))

    def kept_raw(self, key: MessageKey) -> bytes | None:
        """Return the raw octets of a message, alive or removed here; None: they are not kept. Raises StoreDamaged."""
        kept = places.row(self._c, key) or places.grave(self._c, key)
        if kept is None or kept.blob_id is None:
            return None
        return b"".join(blobs.raw_octets(self._c, BlobId(kept.blob_id)))

    def keys_at(self, folder_id: FolderId, uids: UidSet) -> Iterator[tuple[Uid, MessageKey, bool]]:
        """Yield UID and key of the rows of *uids*, ascending by UID; and whether that is accounted for.

        It is when the row is a twin, or was brought by an operation that is done. Raises UnknownFolder.
        """
        epoch = cursors.epoch_of(self._c, folder_id)
        return iter(()) if epoch is None else outward.keys_at(self._c, folder_id, epoch, uids)

    def came_since(self, key: MessageKey, twin: MessageKey) -> Message | None:
        """Return a message on the server that has the header of *key* and was listed after *twin*, its place, was left.

        Where somebody else moved it, that is where it went. None: nowhere that is known.
        """
        found = outward.came_since(self._c, key, twin)
        return None if found is None else messages.one(self._c, found, accounts.account_names(self._c))

    def removed_with(self, folder_id: FolderId) -> int:
        """Return how many messages went with a folder that is deleted here, and not on the server yet.

        Those included that came into it here, and are elsewhere on the server, or only here.
        """
        return outward.removed_with(self._c, folder_id)

    def leaving(self, folder_id: FolderId) -> bool:
        """Tell whether mail is still to be moved or copied out of a folder, so that it has to stay on the server.

        Raises UnknownFolder.
        """
        number = folders.account_of(self._c, folder_id)
        waiting = operations.of_account(self._c, number, self._accounts(number), pending=True)
        over = {one.message for one in waiting if one.kind is OperationKind.DELETE}
        return any(one.message not in over and places.leaves(self._c, one, folder_id) for one in waiting)

    # --- for the engine ----------------------------------------------------------------------------------------

    def awaits(self, folder_id: FolderId) -> bool:
        """Tell whether mail came into the folder from here, nobody knows where to. Raises UnknownFolder."""
        return bool(operations.awaiting(self._c, folders.account_of(self._c, folder_id), folder_id))

    def cursor(self, folder_id: FolderId) -> FolderCursor:
        """Return how far a folder is. Raises UnknownFolder."""
        return cursors.cursor_of(self._c, folder_id)

    def uids(self, folder_id: FolderId) -> UidSet:
        """Return the UIDs of all rows of the folder's epoch, visible or not. Raises UnknownFolder."""
        epoch = cursors.epoch_of(self._c, folder_id)
        return UidSet() if epoch is None else messages.uids_of(self._c, folder_id, epoch)

    def flags_of(self, folder_id: FolderId, uids: UidSet | None = None) -> Iterator[tuple[Uid, frozenset[str]]]:
        """Yield the flags that the server last told, ascending by UID, of *uids* or of all. Raises UnknownFolder."""
        epoch = cursors.epoch_of(self._c, folder_id)
        if epoch is None:
            return iter(())
        return messages.flags_of(self._c, folder_id, epoch, UidSet.span(1, 2**63 - 1) if uids is None else uids)

    def buried(self, folder_id: FolderId, uids: UidSet) -> Iterator[tuple[MessageKey, Uid, int | None]]:
        """Yield key, UID and size (as the server reported it) of removed messages of *uids* that are still kept.

        For ``WriteTransaction.revive``: a message that comes back costs no download. Raises UnknownFolder.
        """
        epoch = cursors.epoch_of(self._c, folder_id)
        return iter(()) if epoch is None else messages.buried(self._c, folder_id, epoch, uids)

    def without_header(self, folder_id: FolderId) -> UidSet:
        """Return the UIDs of the rows that are listed but not visible yet."""
        return messages.without_header(self._c, folder_id)

    def wanted_bodies(
        self,
        folder_id: FolderId,
        *,
        size_max: int | None = None,
        newer_than: datetime | None = None,
        before_uid: int | None = None,
        now: datetime | None = None,
        limit: int = 5000,
    ) -> list[BodyNeed]:
        """Return messages whose octets are not here, newest UID first, below *before_uid*.

        A message in trouble is left out until its next try (*now* None: by the store's clock); an unknown size or
        date excludes nothing.
        """
        return messages.wanted_bodies(
            self._c,
            folder_id,
            size_max=size_max,
            since=micros_or_none(newer_than),
            before_uid=before_uid,
            now=int(self._clock() * 1_000_000) if now is None else micros(now),
            rows=limit,
        )

    def identities(self, folder_id: FolderId, after_key: int = 0, limit: int = 5000) -> list[IdentityOfRow]:
        """Return evidence of which message each row is, of every epoch, ascending by key, after *after_key*."""
        return messages.identities(self._c, folder_id, after_key, limit)

    # --- what is here already ----------------------------------------------------------------------------------

    def twins(self, folder_id: FolderId, uids: UidSet) -> UidSet:
        """Return which of *uids* have the EMAILID of another row, and both lack octets. Raises UnknownFolder."""
        at = self._place(folder_id)
        return UidSet() if at is None else sharing.twins(self._c, at, uids)

    def look_alikes(self, folder_id: FolderId, uids: UidSet) -> UidSet:
        """Return which of *uids* lack a header, and have date and size of a message whose octets are here.

        With their headers ``shareable`` can tell more. Raises UnknownFolder.
        """
        at = self._place(folder_id)
        return UidSet() if at is None else sharing.look_alikes(self._c, at, uids)

    def shareable(self, folder_id: FolderId, uids: UidSet, *, fingerprints: bool = True) -> UidSet:
        """Return which of *uids* would get octets by ``WriteTransaction.share``. Raises UnknownFolder."""
        at = self._place(folder_id)
        return UidSet() if at is None else sharing.shareable(self._c, at, uids, fingerprints=fingerprints)

    def assumed(self, folder_id: FolderId, limit: int = 200) -> list[Assumed]:
        """Return messages whose octets are assumed, not proven, ascending by UID. Raises UnknownFolder."""
        at = self._place(folder_id)
        return [] if at is None else sharing.assumed(self._c, at, limit)

    def _place(self, folder_id: FolderId) -> Place | None:
        epoch = cursors.epoch_of(self._c, folder_id)
        return None if epoch is None else Place(folder_id, folders.account_of(self._c, folder_id), epoch)


def _rows(limit: int) -> int:
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise ValueError(f"a page has between 1 and {PAGE_ROWS_MAX} rows")
    return limit


def _page(rows: list[tuple[PageKey, Message]], limit: int) -> MessagePage:
    """Return *limit* of *rows*, which were asked for with one more to see whether there are older ones."""
    more = len(rows) > limit
    rows = rows[:limit]
    return MessagePage(messages=tuple(message for _, message in rows), next=rows[-1][0] if more else None)
