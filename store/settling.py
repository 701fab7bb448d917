"""What became of operations, written by the replay: ``WriteTransaction.settle``. The far half of ``store.editing``.

Each method takes what the server said and leaves rows, twins, log and counters as if it had always been so. Operations
that are settled become DONE (kept for the grace period) and let go of their twin. Ids that are not pending any more are
passed over: a replay that comes twice does nothing twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from .folders import FolderState
from .instants import micros
from .mail import FolderId, FolderPath, MessageKey, Uid, UidValidity
from .mail.flags import clean_flags
from .mail.operations import FOLDER_KINDS, Operation, OperationId, OperationKind, OperationState
from .oplog import effective
from .resolving import Resolving
from .sql import adoption, conflicts, cursors, folders, operations, places, rows
from .sql.rows import Place
from .sql.values import packed, unpacked

__all__ = ["Arrival", "Settling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A message that is at a place on the server now. ``flags``: as the server has them there; None: as its source."""

    message: MessageKey
    folder_id: FolderId
    epoch: UidValidity
    uid: Uid
    flags: frozenset[str] | None = None


class Settling(Resolving):
    """Writes of the replay in one write transaction."""

    # --- before and after sending --------------------------------------------------------------------------------

    def attempt(
        self, ids: Iterable[OperationId], epoch: UidValidity | None, uid_next: int | None
    ) -> frozenset[OperationId]:
        """Journal that these are about to be sent, with what their target had before. Must be durable before they are.

        QUEUED and LATER become ATTEMPTED, ``tries`` counts; return those: nobody can cancel them any more, and others
        were cancelled meanwhile and must not be sent. New mail has on the server, from now on, the flags that it has
        here now: what is changed meanwhile is wanted beyond that.
        """
        taken = [one for one in self._log.pending(ids) if one.state in (OperationState.QUEUED, OperationState.LATER)]
        for one in taken:
            operations.put(self._w, [one.id], OperationState.ATTEMPTED, tried=True)
            operations.attempt(self._w, one.id, epoch, uid_next)
            self._base(one, sent=True)
        return frozenset(one.id for one in taken)

    def unsent(self, ids: Iterable[OperationId]) -> None:
        """It is certain that the attempt had no effect: QUEUED again."""
        for one in self._log.pending(ids):
            if one.state is OperationState.ATTEMPTED:
                operations.put(self._w, [one.id], OperationState.QUEUED)
                self._base(one, sent=False)

    def _base(self, one: Operation, *, sent: bool) -> None:
        """Write what new mail has on the server: what it shows here, once it is *sent*; nothing before that."""
        row = None if one.message is None else self._row(one.message)
        if row is None or one.kind is not OperationKind.APPEND:
            return
        shown = effective(row)
        bits, words = packed(shown)
        base = (bits, words, None, None) if sent else (0, "", *((bits, words) if shown else (None, None)))
        if base != (row.server_flags, row.server_keywords, row.local_flags, row.local_keywords):
            columns = ("server_flags", "server_keywords", "local_flags", "local_keywords")
            places.change(self._w, row, **dict(zip(columns, base, strict=True)))

    def later(self, ids: Iterable[OperationId], when: datetime, reason: str, server_text: str = "") -> None:
        """Not now: LATER, with the reason for people. Counts a try, unless it was journaled as attempted."""
        at = micros(when)
        for one in self._log.pending(ids):
            self._base(one, sent=False)
            operations.put(
                self._w,
                [one.id],
                OperationState.LATER,
                reason=reason,
                server_text=server_text,
                next_try_at=at,
                tried=one.state is not OperationState.ATTEMPTED,
            )

    def hold(self, ids: Iterable[OperationId], reason: str) -> None:
        """Nothing is sent until a person approves: HELD."""
        held = [one.id for one in self._log.pending(ids) if one.state is not OperationState.ATTEMPTED]
        operations.put(self._w, held, OperationState.HELD, reason=reason)

    def refuse(self, ids: Iterable[OperationId], reason: str, server_text: str = "", *, keep: bool = False) -> None:
        """Never: REFUSED, and rolled back (or kept as it is here, with *keep*); also what was wanted of the same
        message afterwards and depends on it. New mail is only here, and is kept in any case."""

        def end(over: Sequence[OperationId], kept: bool = False) -> None:
            conflicts.close_of(self._w, over)
            state = OperationState.REFUSED
            operations.put(self._w, over, state, reason=reason, server_text=server_text, kept=kept)

        for one in self._log.pending(ids):
            self._base(one, sent=False)
        if keep:
            end([one.id for one in self._log.pending(ids)], True)
            return
        for one in self._log.pending(ids):
            new, stay, back = self._log.only_here(one)
            if new:
                self._log.take_back(back, end, attempted=True)
                end(stay, True)
        self._log.take_back(ids, end, attempted=True)

    # --- messages ------------------------------------------------------------------------------------------------

    def flags(self, folder: FolderId, epoch: UidValidity, told: Mapping[Uid, frozenset[str]]) -> int:
        """Take the flags that the server has now (rows and twins alike), after a STORE of ours.

        Where nothing differs from what is wanted any more, the FLAGS rows of the message are done. Return how many
        messages were settled. Flags of another epoch are passed over.
        """
        if cursors.epoch_of(self._w.connection, folder) != epoch:
            return 0
        at = Place(folder, folders.account_of(self._w.connection, folder), epoch)
        waiting: list[MessageKey] = []
        for uid in told:
            there = places.at(self._w.connection, folder, epoch, uid)
            row = there if there is None or there.twin_of is None else self._row(MessageKey(there.twin_of))
            if row is not None and (row.local_flags is not None or self._log.beside(row.key)):
                waiting.append(row.key)
        rows.set_flags(self._w, at, [(uid, clean_flags(flags), None) for uid, flags in told.items()])
        settled = 0
        for key in waiting:
            row = self._row(key)
            if row is not None and row.local_flags is None:
                operations.close_flags(self._w, [key])
                settled += 1
        return settled

    def arrived(self, ids: Iterable[OperationId], arrivals: Sequence[Arrival]) -> None:
        """Moves, copies, appends are done, and where they came to is known. A row that was listed there already gives
        way to the message (the key of the person stays).

        A place of another epoch than the folder is in is taken as not known. Raises UnknownFolder.
        """
        pending = self._log.pending(ids)
        for arrival in arrivals:
            mine = [one for one in pending if one.message == arrival.message]
            if not mine:
                continue
            epoch = cursors.epoch_of(self._w.connection, arrival.folder_id)
            if epoch is not None and epoch != arrival.epoch:
                self._arrived_somewhere(arrival.message, mine)
                continue
            if epoch is None:
                cursors.set_epoch(self._w, arrival.folder_id, arrival.epoch)
            self._end([one.id for one in mine])
            place = Place(arrival.folder_id, folders.account_of(self._w.connection, arrival.folder_id), arrival.epoch)
            flags = arrival.flags
            if flags is None:
                flags = self._as_source(arrival.message, mine[0])
            rest = operations.chain(self._w.connection, arrival.message)
            adoption.settle_at(self._w, arrival.message, place, arrival.uid, flags, rest)

    def _as_source(self, message: MessageKey, first: Operation) -> frozenset[str]:
        """Return the flags that a message came with, when nobody told them."""
        origin = None if first.origin is None else self._row(first.origin)
        row = self._row(message)
        if first.kind is OperationKind.APPEND and row is not None and first.state is not OperationState.ATTEMPTED:
            return effective(row)
        source = origin or row or places.grave(self._w.connection, message)
        return frozenset() if source is None else unpacked(source.server_flags, source.server_keywords)

    def arrived_somewhere(self, ids: Iterable[OperationId]) -> None:
        """Moves, copies, appends are done, and the UID is not known: the next listing of the target adopts them."""
        pending = self._log.pending(ids)
        for message in dict.fromkeys(one.message for one in pending if one.message is not None):
            self._arrived_somewhere(message, [one for one in pending if one.message == message])

    def _arrived_somewhere(self, message: MessageKey, mine: Sequence[Operation]) -> None:
        places.drop_twin(self._w, message)
        rest = [one for one in self._log.chain(message) if all(one.id != other.id for other in mine)]
        operations.set_twin(self._w, [one.id for one in rest], None)
        conflicts.close_of(self._w, [one.id for one in mine])
        operations.close(self._w, [one.id for one in mine], awaits=True)
        row = self._row(message)
        if row is not None and not rest:
            epoch = cursors.epoch_of(self._w.connection, row.folder_id)
            if epoch is not None:
                adoption.adopt(self._w, Place(row.folder_id, row.account_id, epoch))

    def never_found(self, folder: FolderId) -> int:
        """All of *folder* is listed, and some that came into it, nobody knew where, are not there: they were moved on,
        or removed, by somebody else. They go here, too; return how many that were.
        """
        lost = 0
        account = folders.account_of(self._w.connection, folder)
        for message, _, _ in operations.awaiting(self._w.connection, account, folder):
            row = self._row(message)
            if row is not None and row.pending and not operations.chain(self._w.connection, message):
                operations.finish(self._w, message)
                self._end(self._log.beside(message))
                rows.bury(self._w, [message])
                lost += 1
        return lost

    def deleted(self, ids: Iterable[OperationId]) -> None:
        """Deletions are done, or were done already: the twins go."""
        for one in self._log.pending(ids):
            if one.message is not None:
                places.drop_twin(self._w, one.message)
            self._end([one.id, *([] if one.message is None else self._log.beside(one.message))])

    def gone(self, ids: Iterable[OperationId], reason: str) -> None:
        """Their message is gone on the server: the rows are closed, the message is removed here, too.

        New mail stays, and so does what is wanted of the place of a message when only flags are given.
        """
        asked = self._log.pending(ids)
        for one in self._log.pending(ids):  # some may be over by now, with others
            if one.message is None:
                continue
            if self._log.only_here(one)[0]:
                self.refuse([one.id], reason)
                continue
            chain = self._log.chain(one.message)
            kept = operations.kept(self._w.connection, one.message)
            if kept or (chain and all(other.id != mine.id for other in chain for mine in asked)):
                self._end([one.id], reason)
                continue
            places.drop_twin(self._w, one.message)
            over = [*(other.id for other in self._log.chain(one.message)), *self._log.beside(one.message)]
            self._end(over, reason)
            rows.bury(self._w, [one.message])

    def there_already(self, ids: Iterable[OperationId], reason: str) -> None:
        """What these were to add is there by another hand: ours goes, and the next listing brings the other one."""
        for one in self._log.pending(ids):
            if one.message is not None:
                self._end(
                    [*(other.id for other in self._log.chain(one.message)), *self._log.beside(one.message)], reason
                )
                rows.bury(self._w, [one.message])

    def unplaced(self, messages: Iterable[MessageKey]) -> None:
        """They are not where they were when they, or their folders, were taken away here: their place is forgotten."""
        for message in messages:
            places.unplace(self._w, message)

    def downloaded(self, ids: Iterable[OperationId]) -> None:
        """The octets that were asked for are here, or never will be."""
        self._end([one.id for one in self._log.pending(ids) if one.kind is OperationKind.DOWNLOAD])

    # --- folders -------------------------------------------------------------------------------------------------

    def folder_created(self, id: OperationId, name: bytes, delimiter: str | None) -> None:
        """The folder exists on the server, under *name*."""
        for one in self._log.pending([id]):
            folder = folders.one_folder(self._w.connection, one.folder_id, self._log.names)
            if folder.state is FolderState.LOCAL:
                folders.set_name(self._w, folder.id, name, delimiter, FolderState.ACTIVE)
            self._end([one.id])

    def folder_named(self, id: FolderId, name: bytes) -> None:
        """The server calls a folder so now."""
        folder = folders.one_folder(self._w.connection, id, self._log.names)
        if folder.name != name:
            folders.set_name(self._w, id, name, folder.delimiter, folder.state)

    def folder_renamed(self, id: OperationId, names: Mapping[FolderId, bytes], path: FolderPath | None = None) -> None:
        """It, and what lies below it, has these names on the server now.

        *path*: what was sent. Renames that led to it are done with this one; a later one is still to be sent.
        """
        for one in self._log.pending([id]):
            for folder_id, name in names.items():
                self.folder_named(folder_id, name)
            renames = self._log.of_folder(one.folder_id, OperationKind.RENAME_FOLDER)
            now = folders.one_folder(self._w.connection, one.folder_id, self._log.names).path
            after = [*(other.path for other in renames[1:]), now]
            last = max((other.id for other, led in zip(renames, after, strict=True) if led == path), default=one.id)
            self._end([other.id for other in renames if other.id <= last])

    def rename_by_way_of(self, one: Operation, path: FolderPath) -> OperationId:
        """A rename can only be done by way of another name, *path*: that is written down, in the same batch."""
        number = folders.account_of(self._w.connection, one.folder_id)
        kind = OperationKind.RENAME_FOLDER
        return operations.add(self._w, number, one.batch, kind, one.folder_id, path=path, name=one.name)

    def folder_done(self, id: OperationId) -> None:
        """A deletion or a subscription is done."""
        for one in self._log.pending([id]):
            if one.kind is OperationKind.DELETE_FOLDER:
                self._end_inside(one.folder_id)
                self.remove_folder(one.folder_id)
            self._end([one.id])

    def _end_inside(self, folder: FolderId) -> None:
        """Close what was wanted of messages that were removed together with their folder."""
        for one in operations.of_folder(self._w.connection, folder, self._log.names):
            twin = None if one.message is None else places.twin(self._w.connection, one.message)
            inside = one.message is not None and (twin is None or twin.folder_id == folder)
            if inside and one.kind in (OperationKind.FLAGS, OperationKind.DOWNLOAD, OperationKind.DELETE):
                self._end([one.id], "its folder was deleted")
            if inside and one.kind is OperationKind.DELETE and one.message is not None:
                self._end([other.id for other in self._log.chain(one.message)], "its folder was deleted")

    def remove_folder(self, folder: FolderId) -> int:
        """Remove the rows and the row of a folder that is gone; return how many messages that were.

        What waits to get into it keeps it: it is LOCAL then, and is to be created again, or to be given up. What was
        wanted of the folder itself is over. Raises UnknownFolder.
        """
        work = self._w
        folders.account_of(work.connection, folder)
        over = FOLDER_KINDS - {OperationKind.CREATE_FOLDER}
        asked = operations.of_folder(work.connection, folder, self._log.names)
        self._end([one.id for one in asked if one.kind in over], "the folder is gone on the server")
        for one in self._log.going_with(folder):
            if one.state is OperationState.HELD and one.message is not None:  # nobody approved it: it is where it was
                self._log.take_back(
                    [self._log.chain(one.message)[0].id],
                    lambda ids: self._end(ids, "the folder is gone on the server"),
                    attempted=True,
                )
        self.never_found(folder)
        waiting = set(places.pending_of_folder(work.connection, folder))
        gone = rows.bury(work, [key for key in rows.keys_of_folder(work, folder) if key not in waiting])
        if waiting:
            path = folders.one_folder(work.connection, folder, self._log.names).path
            self.recreate(folder, path)
        else:
            folders.bury_folder(work, folder)
        return gone

    def recreate(self, folder: FolderId, path: FolderPath) -> OperationId:
        """The folder is gone on the server, and mail waits to get into it: it is to be created again.

        Twice is fine.
        """
        found = folders.one_folder(self._w.connection, folder, self._log.names)
        number = folders.account_of(self._w.connection, folder)
        if found.path != path:
            folders.move_tree(self._w, folder, path)
        if found.state is not FolderState.LOCAL:
            cursors.empty(self._w, folder)
            folders.set_name(self._w, folder, b"", None, FolderState.LOCAL)
        for one in self._log.of_folder(folder, OperationKind.CREATE_FOLDER):
            return one.id
        batch = self._w.next_id("operations")
        return operations.add(self._w, number, batch, OperationKind.CREATE_FOLDER, folder, path=path)
