"""Many folders changed back to back: what ``sources.writing`` asks for, step by step and folder by folder.

Room: sources/imap. All first commands of a folder's steps leave in one flight, in the order of the steps; what must
wait for their answers follows (``desk`` says how the next folder rides along). A deletion of messages that are also
copied or moved waits until that is settled, and is not done to those whose copy failed. RFC 4549 §3.
"""

from collections.abc import Iterator

from store.mail import UidSet

from ...errors import CommandRefused, SourceError, printable
from ..writing import Deleted, FolderWrite, Transferred, WriteEnded, WriteEvent, WriteOpened
from .desk import Desk, Heard
from .marking import Marking
from .transferring import Removal, Transferring, rounds

__all__ = ["write_folders"]


def write_folders(desk: Desk) -> Iterator[WriteEvent]:
    """Change the folders that *desk* has before it."""
    while (entered := desk.enter()) is not None:
        write, error = entered
        if error is None:
            view = desk.view
            yield WriteOpened(
                write=write,
                uid_next=view.uid_next,
                mod_seq=view.mod_seq if desk.abilities.condstore else None,
                permanent_flags=view.permanent_flags,
                new_keywords=view.new_keywords,
            )
            yield from _steps(desk, write)
        yield WriteEnded(write=write, error=error)


def _steps(desk: Desk, write: FolderWrite) -> Iterator[WriteEvent]:
    marking = Marking(desk, write)
    groups = [Transferring(desk, write, group) for group in rounds(write.transfers)]
    moving = UidSet.of_ranges(pair for transfer in write.transfers for pair in transfer.uids.ranges)
    waits = bool(write.deletes & moving)
    removals = [] if waits else Removal.of(desk, write.deletes)
    first = marking.commands()
    for group in groups[:1]:
        first += group.commands()
    first += [command for removal in removals for command in removal.commands]
    more = waits or len(groups) > 1 or any(group.by_ladder for group in groups)
    heard = first_heard = desk.run(first, last=not more)
    for group in groups[:1]:
        group.hear(heard)
    for removal in removals:
        removal.expect(heard)
    desk.report_excess(heard)
    copied: list[Transferred] = []
    try:
        yield from marking.settle(heard, last=not more)
    except SourceError as error:
        yield from marking.fail(_bearable(error))
    for number, group in enumerate(groups):
        ends = number == len(groups) - 1 and not waits
        try:
            if number:
                heard = desk.run(group.commands(), last=ends and not group.by_ladder)
                group.hear(heard)
                desk.report_excess(heard)
            events = list(group.settle(heard, last=ends))
        except SourceError as error:
            events = list(group.fail(_bearable(error)))
        copied += events
        yield from events
    if write.deletes:
        yield _deleted(desk, write, removals, first_heard, copied)


def _deleted(
    desk: Desk, write: FolderWrite, removals: list[Removal], heard: Heard, copied: list[Transferred]
) -> Deleted:
    """Return how the deletions ended; those without *removals* yet are done now.

    Who is neither gone nor left is there as before.
    """
    held = UidSet.of_ranges(pair for event in copied for pair in event.left.ranges) & write.deletes
    gone, left = UidSet(), UidSet()
    error: SourceError | None = None
    if held:
        text = "A message is not deleted, because what was to be done with it before was not done."
        error = CommandRefused(text, folder=printable(write.name))
    try:
        if not removals:
            removals = Removal.of(desk, write.deletes - held)
            heard = desk.run([command for removal in removals for command in removal.commands], last=True)
            for removal in removals:
                removal.expect(heard)
            desk.report_excess(heard)
        for removal in removals:
            there, refusal = removal.remaining(heard)
            gone, error = gone | (removal.uids - there), error or refusal
            if removal.marks(heard):
                left |= there
    except SourceError as fault:
        return Deleted(write=write, gone=gone, left=left, error=_bearable(fault))
    return Deleted(write=write, gone=gone, left=left, error=error)


def _bearable(error: SourceError) -> SourceError:
    """Return an error that costs a step only; raise one that ends the connection."""
    if error.drops_connection:
        raise error
    return error
