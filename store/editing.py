"""What a person does to mail, online or not: each verb writes its local effect and its rows of the log, or nothing.

From ``MailStore.edit()``: one durable transaction, one batch. Messages are named by key, folders by id; nothing here
waits for a network, and everything here is sent by the next synchronization that uploads. A verb that changes nothing
writes nothing. Every verb checks all of its arguments before it writes: it raises StoreError, or ValueError for
arguments that make no sense, and then has done nothing.
"""

from collections.abc import Iterable
from datetime import datetime

from .errors import BodyNotHere, FolderNotWritable, NotHere, UnknownFolder, UnknownMessage
from .folderedits import FolderEdits
from .folders import Folder, FolderState
from .instants import from_micros, micros, offset_minutes
from .mail import AccountId, BlobId, FolderId, FolderPath, HeaderId, MessageKey, Role
from .mail.conflicts import Choice, ConflictId, ConflictKind, NewConflict
from .mail.flags import clean_flags
from .mail.merge import applied, delta
from .mail.operations import Operation, OperationId, OperationKind, OperationState
from .oplog import effective, wish
from .resolving import Resolving, recent
from .sql import blobs, folders, operations, places, rows
from .sql.places import PENDING, Row
from .sql.values import unpacked
from .tables import OWN

__all__ = ["Editing"]

_NEW_THERE = (OperationKind.APPEND, OperationKind.COPY)


class Editing(FolderEdits):
    """One batch of changes, from ``MailStore.edit()``. Not to be kept, nor given to another thread."""

    def set_flags(
        self, keys: Iterable[MessageKey], *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> tuple[OperationId, ...]:
        """Add and remove flags and keywords. Raises UnknownMessage; ValueError for what is no flag."""
        more, less = _flags(add), _flags(remove)
        if _folded(more) & _folded(less):
            raise ValueError("a flag is added or removed, not both")
        made: list[OperationId] = []
        for row in self._rows(keys):
            now = effective(row)
            wanted = clean_flags(applied(now, more, less))
            change = delta(now, wanted)
            if change:
                flags = (change.add, change.remove)
                made.append(self._add(OperationKind.FLAGS, row.folder_id, message=row.key, flags=flags))
                wish(self._w, row, wanted)
        return tuple(made)

    def move(self, keys: Iterable[MessageKey], target: FolderId) -> tuple[OperationId, ...]:
        """Move messages into *target*; they keep their keys. Raises UnknownMessage, UnknownFolder, NotHere (another
        account's folder), FolderNotWritable."""
        found = self._rows(keys)
        self._writable(target, found)
        return tuple(id_ for row in found for id_ in self._move(row, target))

    def copy(self, keys: Iterable[MessageKey], target: FolderId) -> tuple[MessageKey, ...]:
        """Copy messages into *target*; return the keys of the copies, in the order of *keys*.

        Raises as ``move``; BodyNotHere for a message that is neither on the server nor whole here.
        """
        found = self._rows(keys)
        self._writable(target, found)
        on_server = {row.key for row in found if not row.pending or places.twin(self._w.connection, row.key)}
        if any(row.key not in on_server and row.blob_id is None for row in found):
            raise BodyNotHere("this message is on its way, and its octets are not here; synchronize, then copy it")
        copies: list[MessageKey] = []
        for row in found:
            made = places.pending_row(self._w, row, target)
            if row.key in on_server:
                self._add(OperationKind.COPY, target, message=made.key, origin=row.key)
                self._inherit(row, made)
            else:
                self._add(OperationKind.APPEND, target, message=made.key)
                wish(self._w, places.change(self._w, made, server_flags=0, server_keywords=""), effective(made))
            copies.append(made.key)
        return tuple(copies)

    def delete(self, keys: Iterable[MessageKey], *, for_good: bool = False) -> tuple[OperationId, ...]:
        """Move messages to the trash of their account; *for_good*, in the trash, or without one: remove them.

        Also new mail that the server refused. Raises UnknownMessage.
        """
        made: list[OperationId] = []
        for row in self._rows(keys):
            trash = None if for_good else self._trash(row.account_id)
            if trash is None or trash == row.folder_id or self._given_up(row):
                made += self._remove(row)
            else:
                made += self._move(row, trash)
        return tuple(made)

    def append(
        self,
        folder: FolderId,
        octets: bytes,
        *,
        flags: Iterable[str] = (),
        internal_date: datetime | None = None,
        replaces: MessageKey | None = None,
    ) -> MessageKey:
        """Add a message (a draft, a sent copy, an import) and return its key.

        *internal_date*: aware, kept to the second; None: now. *replaces*: the message whose newer version this is (a
        draft that was edited), in the same account; it is deleted for good. Raises UnknownFolder, UnknownMessage,
        FolderNotWritable, NotHere.
        """
        wanted = _flags(flags)
        at = from_micros(self._w.now) if internal_date is None else internal_date
        instant = micros(at) // 1_000_000 * 1_000_000  # as a server will tell it (RFC 9051 §9, date-time)
        old = self._rows([] if replaces is None else [replaces])
        self._writable(folder, old)
        account = folders.account_of(self._w.connection, folder)
        header, blob = blobs.keep(self._w, account, [octets])
        made = self._new(folder, header, blob, len(octets), wanted, instant, offset_minutes(at))
        for one in old:
            earlier = operations.replaced_by(self._w.connection, one.key, self._log.names)
            operations.set_origin(self._w, [*self._remove(one), *(other.id for other in earlier)], made)
        return made

    def _append_kept(
        self, folder: FolderId, header: HeaderId, blob: BlobId, octets: int, flags: frozenset[str]
    ) -> MessageKey:
        """Add a message whose octets are here already, in the same account, now. Raises as ``append``; NotHere."""
        self._writable(folder, [])
        if folders.account_of(self._w.connection, folder) != blobs.account_of(self._w.connection, blob):
            raise NotHere("this folder belongs to another account; append the message there instead")
        return self._new(folder, header, blob, octets, flags, self._w.now // 1_000_000 * 1_000_000, 0)

    def _new(
        self,
        folder: FolderId,
        header: HeaderId,
        blob: BlobId,
        octets: int,
        flags: frozenset[str],
        instant: int,
        offset: int,
    ) -> MessageKey:
        """Write the row of a message that is only here, and what is wanted of it."""
        row = Row(
            key=MessageKey(0),
            account_id=folders.account_of(self._w.connection, folder),
            folder_id=folder,
            epoch=PENDING,
            uid=0,
            server_flags=0,
            server_keywords="",
            local_flags=None,
            local_keywords=None,
            mod_seq=0,
            internal_at=instant,
            internal_offset=offset,
            size=octets,
            header_id=header,
            blob_id=blob,
            email_id="",
            created_seq=0,
            changed_seq=0,
            likeness=OWN,
            twin_of=None,
        )
        made = places.pending_row(self._w, row, folder)
        self._add(OperationKind.APPEND, folder, message=made.key)
        wish(self._w, made, flags)
        return made.key

    def mark_for_download(self, keys: Iterable[MessageKey]) -> tuple[OperationId, ...]:
        """Ask for the octets at the next synchronization, whatever the policy; nothing for those that are here."""
        made: list[OperationId] = []
        for row in self._rows(keys):
            asked = operations.of_message(self._w.connection, row.key, self._log.names)
            if row.blob_id is None and all(one.kind is not OperationKind.DOWNLOAD for one in asked):
                made.append(self._add(OperationKind.DOWNLOAD, row.folder_id, message=row.key))
        return tuple(made)

    def resolve(self, conflict: ConflictId, choice: Choice) -> None:
        """Decide a conflict. What was done by itself is done the other way, where that is chosen; SKIP: not yet.

        Raises UnknownConflict; ValueError for a choice that it does not offer; and as the verbs that follow from it.
        """
        found = Resolving(self._w).resolve(conflict, choice)
        if found is None:
            return
        choice = recent(found) if choice is Choice.KEEP_RECENT else choice
        if choice is not found.found.done:
            self._otherwise(found.found, choice)

    def _otherwise(self, found: NewConflict, choice: Choice) -> None:
        """Do what a person wants instead of what was done by itself; the log may have forgotten what was wanted."""
        one = found.operation and operations.by_id(self._w.connection, found.operation, self._log.names)
        mine, theirs = (FolderPath.parse(version.place) for version in found.versions)
        row = None if found.message is None else places.row(self._w.connection, found.message)
        keys = [] if row is None or not row.visible else [row.key]
        match found.kind:
            case ConflictKind.FOLDER_RENAMED_TWICE:
                self.rename_folder(one.folder_id if one else self._at(found.account, theirs), mine)
            case ConflictKind.MOVED_TWICE if keys:  # else it is gone meanwhile
                self.move(keys, (one and one.target_id) or self._at(found.account, mine))
            case ConflictKind.DELETED_AND_CHANGED | ConflictKind.CHANGED_AND_GONE:
                self.delete(keys, for_good=True)
            case _:
                return  # both are there; which of them goes, a person says by deleting it

    def _at(self, account: AccountId, path: FolderPath) -> FolderId:
        found = self.view.find_folder(account, path)
        if found is None:
            raise UnknownFolder(f"there is no folder {path} any more")
        return found.id

    def _reverse(self, one: Operation) -> None:
        row = None if one.message is None else places.row(self._w.connection, one.message)
        keys = [] if row is None or not row.visible else [row.key]
        match one.kind:
            case OperationKind.FLAGS:
                self.set_flags(keys, add=one.remove, remove=one.add)
            case OperationKind.MOVE:
                self.move(keys, one.folder_id)
            case OperationKind.COPY | OperationKind.APPEND:
                self.delete(keys, for_good=True)
            case OperationKind.CREATE_FOLDER:
                self.delete_folder(one.folder_id)
            case OperationKind.RENAME_FOLDER if one.path is not None:
                self.rename_folder(one.folder_id, one.path)
            case OperationKind.SUBSCRIBE | OperationKind.UNSUBSCRIBE:
                self.subscribe(one.folder_id, one.kind is OperationKind.UNSUBSCRIBE)
            case _:
                return  # octets that came stay; what is removed for good was refused before

    # --- how -----------------------------------------------------------------------------------------------------

    def _rows(self, keys: Iterable[MessageKey]) -> list[Row]:
        found: list[Row] = []
        for key in dict.fromkeys(keys):
            row = places.row(self._w.connection, key)
            if row is None or not row.visible:
                raise UnknownMessage(f"the store has no message {int(key)}")
            found.append(row)
        return found

    def _writable(self, target: FolderId, found: list[Row]) -> Folder:
        """Return the folder, which takes mail of these rows' account. Raises as ``move``."""
        number = folders.account_of(self._w.connection, target)
        if any(row.account_id != number for row in found):
            raise NotHere("this folder belongs to another account; append the message there instead")
        folder = self.view.folder(target)
        if not folder.selectable or folder.state in (FolderState.MISSING, FolderState.DELETING):
            raise FolderNotWritable(f"the folder {folder.path} takes no mail now")
        return folder

    def _trash(self, account: int) -> FolderId | None:
        for folder in self.view.folders(self._log.names[account]):
            usable = folder.selectable and folder.state in (FolderState.ACTIVE, FolderState.LOCAL)
            if folder.role is Role.TRASH and usable:
                return folder.id
        return None

    def _move(self, row: Row, target: FolderId) -> tuple[OperationId, ...]:
        if row.folder_id == target:
            return ()
        self._log.try_again(row.key)
        chain = self._log.chain(row.key)
        twin = places.twin(self._w.connection, row.key)
        unsent = all(one.state is not OperationState.ATTEMPTED for one in chain)
        if chain and twin is not None and twin.folder_id == target and unsent:
            self._log.take_back([chain[0].id], self._log.forget)
            return ()
        places.change(self._w, row, folder_id=target, epoch=PENDING, uid=row.key, mod_seq=0)
        if row.pending:
            key = None if twin is None else twin.key
        else:
            key = places.leave_twin(self._w, row)
        made = self._add(OperationKind.MOVE, row.folder_id, message=row.key, target=target, twin=key)
        return (made,)

    def _given_up(self, row: Row) -> bool:
        """Tell whether the server would not have *row*, which is only here: nor would it in the trash."""
        return (
            row.pending
            and not self._log.chain(row.key)
            and places.twin(self._w.connection, row.key) is None
            and bool(operations.kept(self._w.connection, row.key))
        )

    def _inherit(self, row: Row, made: Row) -> None:
        """Want of a copy, too, what is wanted of the flags of its origin."""
        change = delta(unpacked(row.server_flags, row.server_keywords), effective(row))
        if change:
            self._add(OperationKind.FLAGS, made.folder_id, message=made.key, flags=(change.add, change.remove))

    def _remove(self, row: Row) -> tuple[OperationId, ...]:
        self._log.try_again(row.key)
        chain = self._log.chain(row.key)
        twin = places.twin(self._w.connection, row.key)
        rows.bury(self._w, [row.key])
        only_here = row.pending and twin is None and chain and chain[0].kind in _NEW_THERE
        if only_here and all(one.state is not OperationState.ATTEMPTED for one in chain):
            self._log.forget([*(one.id for one in chain), *self._log.beside(row.key)])
            return ()
        key = places.leave_twin(self._w, row) if not row.pending else None if twin is None else twin.key
        return (self._add(OperationKind.DELETE, row.folder_id, message=row.key, twin=key),)


def _flags(words: Iterable[str]) -> frozenset[str]:
    """Return *words* as flags. Raises ValueError for what a server could never take as one (RFC 9051 §9, flag)."""
    found = clean_flags(words)
    for word in found:
        atom = word[1:] if word.startswith("\\") else word
        if not atom or any(char in '(){ %*"\\]' or not " " < char < "\x7f" for char in atom):
            raise ValueError(f"{word!r} is no flag")
    return found


def _folded(words: frozenset[str]) -> frozenset[str]:
    return frozenset(word.casefold() for word in words)
