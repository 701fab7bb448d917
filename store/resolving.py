"""Conflicts in a write transaction: kept, and carried out as a person or a resolver chose. Base of `settling`."""

from collections.abc import Iterable

from .errors import UnknownConflict
from .mail import FolderId, MessageKey
from .mail.conflicts import Choice, Conflict, ConflictId, NewConflict
from .mail.flags import clean_flags
from .mail.merge import applied
from .mail.operations import Operation, OperationId, OperationKind, OperationState
from .oplog import OpLog, effective, wish
from .sql import accounts, conflicts, operations, places, rows
from .sql.places import PENDING, Row
from .sql.values import unpacked
from .sql.writing import Writing

__all__ = ["Resolving", "recent"]


class Resolving:
    """Writes of the replay in one write transaction: the conflicts."""

    def __init__(self, work: Writing) -> None:
        self._w = work
        self._log = OpLog(work)

    def _finish(self) -> None:
        self._log.tidy()

    def _row(self, key: MessageKey) -> Row | None:
        return places.row(self._w.connection, key)

    def _end(self, ids: Iterable[OperationId], reason: str = "") -> None:
        ids = list(ids)
        conflicts.close_of(self._w, ids)
        operations.close(self._w, ids, reason)

    def conflict(self, found: NewConflict) -> ConflictId:
        """Keep a conflict; with ``done`` None its operation is CONFLICT until it is resolved."""
        number = accounts.number_of(self._w.connection, found.account)
        if found.operation is not None and found.done is None:
            for one in self._log.pending([found.operation]):
                operations.put(self._w, [one.id], OperationState.CONFLICT, reason="the server has it otherwise")
        return conflicts.add(self._w, number, found)

    def resolve(self, id: ConflictId, choice: Choice) -> Conflict | None:
        """Close a conflict by a person's choice, and carry that out where its operation waits for it; SKIP: not yet.

        Return the conflict where nothing waits, for something was done by itself. Raises UnknownConflict, ValueError
        for a choice that it does not offer.
        """
        conflict = conflicts.by_id(self._w.connection, id, self._log.names)
        if conflict is None or conflict.resolved_at is not None:
            raise UnknownConflict("there is no such conflict, or it is resolved")
        if choice is Choice.SKIP:
            return None
        if choice not in conflict.found.choices:
            raise ValueError(f"this conflict does not offer to {choice.value}")
        operation = conflict.found.operation
        waiting = [] if operation is None else self._log.pending([operation])
        conflicts.close(self._w, id, choice)
        if not waiting:
            return conflict
        self._carry_out(waiting[0], recent(conflict) if choice is Choice.KEEP_RECENT else choice)
        return None

    def _carry_out(self, one: Operation, choice: Choice) -> None:
        match choice:
            case Choice.KEEP_THEIRS:
                self._log.take_back([one.id], self._forget, attempted=True)
            case Choice.REMOVE if one.message is not None:
                self._out_of_the_set(one.message)
            case Choice.KEEP_MINE | Choice.KEEP_BOTH:
                if one.message is None or not self._again(one.message):
                    operations.put(self._w, [one.id], OperationState.QUEUED)
            case _:
                self._forget([one.id])

    def _forget(self, ids: Iterable[OperationId]) -> None:
        operations.forget(self._w, ids)

    def _again(self, message: MessageKey) -> bool:
        """Let a message that has no place on the server any more be added from its octets; False: it has one."""
        row = self._row(message)
        if row is None or not row.pending or row.blob_id is None or places.twin(self._w.connection, message):
            return False
        chain = operations.chain(self._w.connection, message)
        first = operations.by_id(self._w.connection, chain[0], self._log.names) if chain else None
        if first is not None and first.kind is OperationKind.APPEND:
            return False
        self._end(chain, "it was added again instead")
        bare = places.change(self._w, row, server_flags=0, server_keywords="", epoch=PENDING, uid=row.key)
        batch = self._w.next_id("operations")
        operations.add(self._w, row.account_id, batch, OperationKind.APPEND, row.folder_id, message=row.key)
        wish(self._w, bare, effective(row))
        return True

    def move_on(self, message: MessageKey, target: FolderId) -> None:
        """Want a message that is on the server moved to *target*, as a person would."""
        row = self._row(message)
        if row is None or row.pending or row.folder_id == target:
            return
        places.change(self._w, row, folder_id=target, epoch=PENDING, uid=row.key, mod_seq=0)
        twin, batch = places.leave_twin(self._w, row), self._w.next_id("operations")
        kind = OperationKind.MOVE
        operations.add(self._w, row.account_id, batch, kind, row.folder_id, message=row.key, target=target, twin=twin)

    def upload_instead(self, ids: Iterable[OperationId]) -> bool:
        """A message that was moved here is gone on the server: it is to be added again where it is wanted.

        False when that cannot be, for its octets are not here.
        """
        messages = {one.message for one in self._log.pending(ids) if one.message is not None}
        return all(self._again(message) for message in messages)

    def copy_from(self, ids: Iterable[OperationId], origin: MessageKey) -> None:
        """What these copy is another row now: the same message, under another number or elsewhere."""
        copies = [one.id for one in self._log.pending(ids) if one.kind is OperationKind.COPY]
        operations.set_origin(self._w, copies, origin)

    def unmark(self, keys: Iterable[MessageKey], lost: frozenset[str], reason: str) -> None:
        """The server does not let the flags *lost* be changed: they are as it has them; who wanted it is REFUSED."""
        folded = {flag.casefold() for flag in lost}
        for key in keys:
            row = self._row(key)
            if row is None:
                continue
            flags = [one for one in self._log.pending(self._log.beside(key)) if one.kind is OperationKind.FLAGS]
            asked = [one.id for one in flags if folded & {flag.casefold() for flag in one.add | one.remove}]
            operations.put(self._w, asked, OperationState.REFUSED, reason=reason)
            there = unpacked(row.server_flags, row.server_keywords)
            kept = frozenset(flag for flag in there if flag.casefold() in folded)
            wish(self._w, row, clean_flags(applied(effective(row), kept, lost - kept)))

    def _out_of_the_set(self, message: MessageKey) -> None:
        """Forget this copy: nothing is sent, and what the server has is listed again as another message."""
        places.drop_twin(self._w, message)
        self._end([*operations.chain(self._w.connection, message), *self._log.beside(message)], "it was given up")
        rows.bury(self._w, [message])


def recent(conflict: Conflict) -> Choice:
    """Return whose version is the later one; theirs, where nobody knows."""
    mine, theirs = conflict.found.versions
    if mine.at is not None and (theirs.at is None or mine.at >= theirs.at):
        return Choice.KEEP_MINE
    return Choice.KEEP_THEIRS
