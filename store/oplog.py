"""The log of operations on the rows they are about: what is queued on a message, and how it is taken back.

Shared by what people do (``store.editing``) and what became of it (``store.settling``): taking back an operation, by a
person or because the server refused it, leaves rows, twins and counters as if it, and what followed from it on the same
message, had never been wanted.
"""

from collections.abc import Callable, Container, Iterable, Sequence

from .folders import FolderState
from .mail import AccountId, FolderId, MessageKey
from .mail.flags import clean_flags
from .mail.merge import applied, delta
from .mail.operations import FOLDER_KINDS, Operation, OperationId, OperationKind, OperationState
from .sql import accounts, conflicts, folders, operations, places, rows
from .sql.places import PENDING, Row
from .sql.values import packed, unpacked
from .sql.writing import Writing

__all__ = ["OpLog", "effective", "wish"]

BESIDE = frozenset({OperationKind.FLAGS, OperationKind.DOWNLOAD})
"""What does not say where a message is."""
End = Callable[[Sequence[OperationId]], None]


def effective(row: Row) -> frozenset[str]:
    """Return the flags that people see."""
    if row.local_flags is None:
        return unpacked(row.server_flags, row.server_keywords)
    return unpacked(row.local_flags, row.local_keywords or "")


def wish(work: Writing, row: Row, wanted: frozenset[str]) -> Row:
    """Write which flags are wanted here; where they are the server's, nothing is left to be sent, and it is done."""
    server = unpacked(row.server_flags, row.server_keywords)
    local: tuple[int | None, str | None] = packed(wanted) if delta(server, wanted) else (None, None)
    if local != (row.local_flags, row.local_keywords):
        row = places.change(work, row, local_flags=local[0], local_keywords=local[1])
    if local[0] is None:
        operations.close_flags(work, [row.key])
    return row


class OpLog:
    """The log in one write transaction."""

    def __init__(self, work: Writing) -> None:
        self.work = work
        self._names: dict[int, AccountId] = {}

    @property
    def names(self) -> dict[int, AccountId]:
        """The accounts by number."""
        if not self._names:
            self._names = accounts.account_names(self.work.connection)
        return self._names

    def pending(self, ids: Iterable[OperationId]) -> list[Operation]:
        """Return those of *ids* that are pending, in their own order."""
        return sorted(operations.pending(self.work.connection, ids, self.names), key=lambda one: one.id)

    def chain(self, message: MessageKey) -> list[Operation]:
        """Return the pending operations that say where *message* is, in order."""
        found = operations.of_message(self.work.connection, message, self.names)
        return [one for one in found if one.kind not in BESIDE]

    def beside(self, message: MessageKey) -> list[OperationId]:
        """Return the other pending ones: flags, downloads."""
        found = operations.of_message(self.work.connection, message, self.names)
        return [one.id for one in found if one.kind in BESIDE]

    def of_folder(self, folder: FolderId, kind: OperationKind) -> list[Operation]:
        """Return the pending operations of one *kind* about a folder, in order."""
        found = operations.of_folder(self.work.connection, folder, self.names)
        return [one for one in found if one.kind is kind]

    def going_with(self, folder: FolderId) -> list[Operation]:
        """Return the pending deletions of mail that came from elsewhere into a folder, which is deleted with it."""
        return [one for one in self.of_folder(folder, OperationKind.DELETE) if one.target_id == folder]

    def try_again(self, message: MessageKey) -> None:
        """Queue what was refused and kept of *message*: what is wanted of it now builds on that."""
        operations.put(self.work, operations.kept(self.work.connection, message), OperationState.QUEUED)

    def only_here(self, one: Operation) -> tuple[bool, list[OperationId], list[OperationId]]:
        """Tell whether new mail, which is nowhere but here, would be lost by taking back *one*.

        And which operations have to stay because of it, and which can be taken back nevertheless.
        """
        if one.kind is OperationKind.CREATE_FOLDER:
            return self._folder_only_here(one.folder_id)
        chain = [] if one.message is None or one.kind in BESIDE else self.chain(one.message)
        alive = one.message is not None and places.row(self.work.connection, one.message) is not None
        with_folder = bool(chain) and chain[-1].kind is OperationKind.DELETE and chain[-1].target_id is not None
        if not chain or chain[0].kind is not OperationKind.APPEND or one.id not in {other.id for other in chain}:
            return False, [], []
        if not alive and not with_folder:
            return False, [], []
        assert one.message is not None
        back = [other.id for other in operations.replaced_by(self.work.connection, one.message, self.names)]
        return True, [other.id for other in chain if other.kind is not OperationKind.DELETE], back

    def _folder_only_here(self, folder: FolderId) -> tuple[bool, list[OperationId], list[OperationId]]:
        stay = [one.id for one in self.of_folder(folder, OperationKind.CREATE_FOLDER)]
        new, back = False, list[OperationId]()
        for below in folders.below(self.work.connection, folder):
            back += [one.id for one in self.of_folder(below, OperationKind.RENAME_FOLDER)]
            more, *rest = self._folder_only_here(below)
            new, stay, back = new or more, stay + rest[0], back + rest[1]
        for message in self._touching(folder):
            for first in self.chain(message)[:1]:
                more, *rest = self.only_here(first)
                new, stay, back = new or more, stay + rest[0], back + (rest[1] if more else [first.id])
        return new, stay, back

    def _touching(self, folder: FolderId) -> list[MessageKey]:
        """Return the messages that are to come into *folder*, also those that were moved on since."""
        moved_on = (one.message for one in operations.of_folder(self.work.connection, folder, self.names))
        here = places.pending_of_folder(self.work.connection, folder)
        return list(dict.fromkeys([*here, *(key for key in moved_on if key is not None)]))

    # --- taking back -------------------------------------------------------------------------------------------

    def forget(self, ids: Sequence[OperationId]) -> None:
        """Let rows be as if they had never been written."""
        conflicts.close_of(self.work, ids)
        operations.forget(self.work, ids)

    def take_back(self, ids: Iterable[OperationId], end: End, *, attempted: bool = False) -> int:
        """Undo the local effect of pending operations and of what was wanted of the same message afterwards.

        *end* is given the ids of all of them. Those that were sent, with no answer known, are left alone, unless
        *attempted*. Return how many rows that were.
        """
        over: dict[OperationId, None] = {}
        for one in self.pending(ids):
            if one.id not in over:
                over.update(dict.fromkeys(self._back(one, attempted, over)))
        end(list(over))
        return len(over)

    def _back(self, one: Operation, attempted: bool, so_far: Container[OperationId] = ()) -> list[OperationId]:
        if one.kind in FOLDER_KINDS:
            return self._folder_back(one, attempted, so_far)
        assert one.message is not None
        if one.kind in BESIDE:
            if one.kind is OperationKind.FLAGS:
                self._flags_back(one, one.message)
            return [one.id]
        if one.kind is OperationKind.DELETE and one.target_id is not None:
            for whole in self.of_folder(one.target_id, OperationKind.DELETE_FOLDER):
                return self._folder_back(whole, attempted, so_far)  # both, or none
        return self._chain_back(one, one.message, attempted)

    def _chain_back(self, one: Operation, message: MessageKey, attempted: bool) -> list[OperationId]:
        chain = self.chain(message)
        rest = [other for other in chain if other.id < one.id]
        back = [other for other in chain if other.id >= one.id]
        if not attempted and any(other.state is OperationState.ATTEMPTED for other in back):
            return []
        over = [*(other.id for other in back), *self._place_back(message, rest, back[0])]
        if back[0].kind is OperationKind.APPEND:  # what it was to replace comes back
            for old in operations.replaced_by(self.work.connection, message, self.names):
                over += self._back(old, attempted)
        return over

    def _flags_back(self, one: Operation, message: MessageKey) -> None:
        row = places.row(self.work.connection, message)
        if row is not None:
            wish(self.work, row, clean_flags(applied(effective(row), one.remove, one.add)))

    def _place_back(self, message: MessageKey, rest: Sequence[Operation], first: Operation) -> list[OperationId]:
        """Bring *message* to where *rest*, the pending operations that stay, leave it; *first* is taken back first.

        Return what else is over with it: where it is nowhere any more, all that was wanted of it.
        """
        work = self.work
        twin = places.twin(work.connection, message)
        if rest:
            moves = [one.target_id for one in rest if one.target_id is not None]
            self.put(message, moves[-1] if moves else rest[0].folder_id, PENDING, message)
        elif twin is not None:
            places.remove(work, twin)
            row = self.put(message, twin.folder_id, twin.epoch, twin.uid)
            if row is not None and row.mod_seq != twin.mod_seq:
                places.change(work, row, mod_seq=twin.mod_seq)
        elif first.twin is None and first.kind in (OperationKind.MOVE, OperationKind.DELETE):
            # It came to a place that is not known yet, and waits there.
            self.put(message, first.folder_id, PENDING, message)
        else:  # it was only here, or it is gone on the server
            rows.bury(work, [message])
            return self.beside(message)
        return []

    def put(self, message: MessageKey, folder: FolderId, epoch: int, uid: int) -> Row | None:
        """Bring a message, from its folder or its tombstone, to a place; None: it is nowhere any more."""
        row = places.row(self.work.connection, message)
        if row is None:
            return places.rise(self.work, message, folder, epoch, uid)
        if (row.folder_id, row.epoch, row.uid) == (folder, epoch, uid):
            return row
        return places.change(self.work, row, folder_id=folder, epoch=epoch, uid=uid)

    def tidy(self) -> None:
        """Remove folders that are gone on the server, and were kept for mail that does not want to get into them now.

        At the end of a transaction: until then something may still want to.
        """
        for folder in folders.kept_for_nothing(self.work.connection):
            folders.bury_folder(self.work, folder)

    def _folder_back(self, one: Operation, attempted: bool, so_far: Container[OperationId] = ()) -> list[OperationId]:
        work, folder = self.work, one.folder_id
        match one.kind:
            case OperationKind.CREATE_FOLDER:
                return [one.id, *self._uncreate(folder, attempted)]
            case OperationKind.RENAME_FOLDER:
                back = [other for other in self.of_folder(folder, one.kind) if other.id >= one.id]
                if one.path is not None:
                    folders.move_tree(work, folder, one.path)
                return [*(other.id for other in back), *self._made_for_it(folder)]
            case OperationKind.DELETE_FOLDER:
                self.undelete(one)
                over = [one.id]
                for other in self.going_with(folder):
                    if other.id not in so_far and other.message is not None:
                        over += self._chain_back(other, other.message, attempted=True)
                return over
            case _:
                folders.set_subscribed(work, folder, one.kind is OperationKind.UNSUBSCRIBE)
        return [one.id]

    def _uncreate(self, folder: FolderId, attempted: bool) -> list[OperationId]:
        """Take a folder of ours away, those below it first, and what was to come into it."""
        over: list[OperationId] = []
        for below in folders.below(self.work.connection, folder):
            for rename in self.of_folder(below, OperationKind.RENAME_FOLDER)[:1]:  # it is on the server, and stays
                over += self._folder_back(rename, attempted)
        lower = [
            folders.one_folder(self.work.connection, id, self.names)
            for id in folders.below(self.work.connection, folder)
        ]
        for found in sorted(lower, key=lambda found: -len(found.path.names)):
            if found.state is FolderState.LOCAL:
                over += [one.id for one in self.of_folder(found.id, OperationKind.CREATE_FOLDER)]
                over += self._uncreate(found.id, attempted)
        for message in self._touching(folder):
            self.try_again(message)
            coming = [one for one in self.chain(message) if folder in (one.folder_id, one.target_id)]
            if coming:
                over += self._back(coming[0], attempted=True)
        for rest in operations.of_folder(self.work.connection, folder, self.names):
            over.append(rest.id)
        rows.bury(self.work, rows.keys_of_folder(self.work, folder))
        folders.bury_folder(self.work, folder)
        return over

    def _made_for_it(self, folder: FolderId) -> list[OperationId]:
        """*folder*, and what lies below it, came back to names under which others were to be created: it is those.

        What was to come into them comes into it. Return what is over with that.
        """
        work, over = self.work, list[OperationId]()
        back = [folder, *folders.below(work.connection, folder)]
        for found in [folders.one_folder(work.connection, id, self.names) for id in back]:
            made = None if found.state is FolderState.LOCAL else folders.made_at(work.connection, found, self.names)
            if made is None:
                continue
            for message in places.pending_of_folder(work.connection, made):
                row = places.row(work.connection, message)
                if row is not None:
                    places.change(work, row, folder_id=found.id)
            asked = operations.of_folder(work.connection, made, self.names)
            over += [one.id for one in asked if one.kind in FOLDER_KINDS]
            operations.go_over(work, made, found.id)
            folders.bury_folder(work, made)
        return over

    def undelete(self, one: Operation) -> None:
        """Show a folder again, with the mail that was removed together with it."""
        work = self.work
        folder = folders.one_folder(work.connection, one.folder_id, self.names)
        folders.set_state(work, folder, (FolderState.ACTIVE, None, ""))
        folders.show_again(work, folder.id)
        for key in rows.buried_with(work, one.folder_id, one.created_at):
            dead = places.grave(work.connection, key)
            if dead is not None and places.at(work.connection, dead.folder_id, dead.epoch, dead.uid) is None:
                places.rise(work, key, dead.folder_id, dead.epoch, dead.uid)
