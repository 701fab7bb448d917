"""One batch of changes under way: the transaction, its log, and second thoughts about what is in the log."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from .errors import NotUndoable, StoreClosed, UnknownOperation
from .instants import micros
from .mail.operations import Operation, OperationId, OperationKind, OperationState
from .oplog import OpLog
from .readview import ReadView
from .sql import folders, operations
from .sql.writing import Writing

__all__ = ["UNDO_DAYS", "Batch"]

UNDO_DAYS = 1.0
"""How long what was done can be taken back."""
_DAY = 86_400_000_000
_UNSENT = (OperationState.QUEUED, OperationState.LATER, OperationState.HELD, OperationState.CONFLICT)
_FOR_EVER = frozenset({OperationKind.DELETE, OperationKind.DELETE_FOLDER})


class Batch(ABC):
    """What every verb needs, and undo, cancel, retry, approve."""

    view: ReadView
    """What the store holds, this batch included."""
    batch: int
    """Names what is done here, for ``undo``; unused when nothing was done."""

    def __init__(self, work: Writing, view: ReadView) -> None:
        self._work: Writing | None = work
        self._log = OpLog(work)
        self.view = view
        self.batch = work.next_id("operations")

    def _finish(self) -> None:
        self._log.tidy()

    def _end(self) -> None:
        self._work = None
        self.view._end()

    @property
    def _w(self) -> Writing:
        if self._work is None:
            raise StoreClosed("this batch has ended; begin another one")
        return self._work

    def _add(self, kind: OperationKind, folder: Any, **about: Any) -> OperationId:
        number = folders.account_of(self._w.connection, folder)
        return operations.add(self._w, number, self.batch, kind, folder, **about)

    def _found(self, ids: Iterable[OperationId]) -> list[Operation]:
        found: list[Operation] = []
        for id_ in dict.fromkeys(ids):
            one = operations.by_id(self._w.connection, id_, self._log.names)
            if one is None:
                raise UnknownOperation(f"the log has no operation {int(id_)} (any more)")
            found.append(one)
        return found

    def undo(self, batch: int) -> None:
        """Take a batch back: what was not sent yet is cancelled, what was done is done the other way round.

        Raises NotUndoable (an unknown batch; the grace period is over; removed for good; sent, and no answer yet).
        """
        found = operations.of_batch(self._w.connection, batch, self._log.names)
        todo = [one for one in found if one.state is not OperationState.REFUSED]
        if not todo:
            raise NotUndoable("nothing of this is left to be taken back")
        for one in todo:
            if one.state is OperationState.ATTEMPTED:
                raise NotUndoable("this was sent, and no answer came yet; synchronize, then take it back")
            if one.state is OperationState.DONE:
                self._undoable(one)
        self.cancel(one.id for one in todo if one.state in _UNSENT)
        for one in reversed(todo):
            if one.state is OperationState.DONE:
                self._reverse(one)

    def _undoable(self, one: Operation) -> None:
        old = one.finished_at is not None and micros(one.finished_at) < self._w.now - UNDO_DAYS * _DAY
        if old or one.kind in _FOR_EVER:
            raise NotUndoable("this was done too long ago" if old else "what was removed for good cannot come back")

    @abstractmethod
    def _reverse(self, one: Operation) -> None:
        """Want the opposite of what was done."""

    def cancel(self, ids: Iterable[OperationId]) -> int:
        """Take back operations that were not sent, and what was wanted of the same message afterwards.

        What was refused and kept is given up. Return how many rows that were. ATTEMPTED ones are left alone. Raises
        UnknownOperation.
        """
        found = self._found(ids)
        operations.put(self._w, [one.id for one in found if one.kept], OperationState.QUEUED)
        wanted = [one.id for one in found if one.kept or one.state in _UNSENT]
        return self._log.take_back(wanted, self._log.forget)

    def retry(self, ids: Iterable[OperationId]) -> int:
        """Let LATER, and REFUSED ones whose effect was kept, be sent by the next synchronization; return how many.

        Raises UnknownOperation.
        """
        wanted = [one.id for one in self._found(ids) if one.state is OperationState.LATER or one.kept]
        operations.put(self._w, wanted, OperationState.QUEUED)
        return len(wanted)

    def approve(self, ids: Iterable[OperationId]) -> int:
        """Let HELD ones be sent; return how many. Raises UnknownOperation.

        What goes together with a folder is approved by that folder's deletion.
        """
        wanted: dict[OperationId, None] = {}
        for one in self._found(ids):
            if one.state is not OperationState.HELD or (one.target_id is not None and self._with_folder(one)):
                continue
            wanted[one.id] = None
            if one.kind is OperationKind.DELETE_FOLDER:
                wanted |= dict.fromkeys(other.id for other in self._log.going_with(one.folder_id))
        operations.approve(self._w, wanted)
        operations.put(self._w, wanted, OperationState.QUEUED)
        return len(wanted)

    def _with_folder(self, one: Operation) -> bool:
        """Tell whether *one*, the deletion of a message, waits for the deletion of its folder."""
        return one.kind is OperationKind.DELETE and bool(
            self._log.of_folder(one.folder_id, OperationKind.DELETE_FOLDER)
        )
