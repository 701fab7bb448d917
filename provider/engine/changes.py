"""Applying what changed: flags and removals with the server's cursor, and the proof that it all adds up.

Nothing is removed on one weak answer. VANISHED, a complete search, flags that do not come: each is one answer; when it
would remove much of a folder, a second and different question is asked, and what it contradicts stays.
"""

from collections.abc import Iterable
from dataclasses import replace

from store.mail import UidSet

from ..errors import ErrorKind
from ..events import Counts
from ..sources.base import Exactness, FlagRow
from .context import REMOVED_PER_COMMIT, Visit
from .listing import list_uids
from .plan import ApplyFlags, CompareFlags, FindGone, ListNew, RemoveTold, plan_changes, plan_proof, suspicious
from .resume import new_uids, proof_due
from .reuse import reused_uids

__all__ = ["COMPARE_MESSAGES", "apply_changes", "prove", "write_flags"]

COMPARE_MESSAGES = 10_000


def apply_changes(visit: Visit) -> UidSet:
    """Carry out the delta of the open folder; return the span in which new mail may lie."""
    local = visit.local()
    new = UidSet()
    flags: tuple[FlagRow, ...] = ()
    gone = UidSet()
    now = visit.context.clock.now()
    cursor = replace(visit.cursor, mod_seq=visit.opened.mod_seq)
    room = new_uids(visit.cursor, local, visit.opened)
    for action in plan_changes(local, visit.opened, room):
        match action:
            case ApplyFlags(rows):
                flags = rows
            case RemoveTold(uids):
                gone = _believed(visit, uids, local, room)
                if gone != uids:  # what else this delta says, or leaves out, is worth as little
                    gone = gone | _compare(visit, local - gone)
            case CompareFlags() if visit.work.compared_in == visit.epoch:
                # What changed since is the next run's: the cursor stays where that comparison left it.
                cursor = replace(cursor, mod_seq=visit.cursor.mod_seq if cursor.mod_seq is not None else None)
            case CompareFlags(uids):
                gone = _compare(visit, uids)
                # Where every visit compares, the time would be the only thing that each of them writes.
                if visit.context.request.full or proof_due(cursor, now):
                    cursor = replace(cursor, proven_at=now)
                    gone = gone | reused_uids(visit)  # the count, which does not add up then, lists them anew
                visit.work.compared_in = visit.epoch
            case ListNew(uids):
                new = uids
            case FindGone():
                raise AssertionError("the proof comes after the changes")
    cursor = replace(cursor, distrust=visit.cursor.distrust)
    write_flags(visit, flags)
    _remove(visit, gone)
    if cursor != visit.cursor:
        # Without a count, which the end of the visit writes: one that is broken off before is not taken for whole.
        visit.save("changes", replace(cursor, messages=None))
    return new


def prove(visit: Visit, *, doubt_gaps: bool) -> None:
    """Compare the count here with the server's; where they differ, search, then remove and list.

    *doubt_gaps*: search although they are equal, if there are gaps.
    """
    for _ in plan_proof(visit.local(), _gaps(visit), visit.opened, doubt_gaps=doubt_gaps):
        existing = visit.session.existing()
        quiet = len(existing) == visit.opened.messages
        # What came since the folder was opened is the next visit's; a UIDNEXT below mail that was there is no border.
        below = None if quiet else visit.opened.uid_next
        local = visit.local()
        lost = local - existing
        absent = (existing if below is None else existing & UidSet.span(1, below - 1)) - local
        # What never came is no lie of the delta; what it forgot to tell is, and what it told to be gone and is not.
        lied = lost or absent & visit.opened.changes.vanished
        if quiet and lied and visit.opened.changes.exactness is Exactness.EXACT:
            visit.distrust("its QRESYNC delta did not add up with its own count")
        if suspicious(lost, local):
            lost = lost - _contradicted(visit, lost, UidSet(row.uid for row in visit.session.flags(lost)))
        _remove(visit, lost)
        if over := _gaps(visit) - local - existing:
            with visit.write("gaps that are over") as tx:
                for uid in over:
                    tx.clear_trouble(visit.work.folder.id, uid)
        list_uids(visit, absent)


def _believed(visit: Visit, told: UidSet, local: UidSet, room: UidSet) -> UidSet:
    """Return which of the messages that are *told* to have vanished may be removed; new ones can only lie in *room*."""
    adds_up = len((local | _gaps(visit)) - told) + len(room) >= visit.opened.messages
    if adds_up and not suspicious(told, local):
        return told
    return told - _contradicted(visit, told, visit.session.existing(within=told))


def _contradicted(visit: Visit, told: UidSet, found: UidSet) -> UidSet:
    """Return *found* of the messages *told* to be gone: a contradiction, after which deltas are not trusted."""
    found = found & told
    if found:
        text = (
            f"The server said that {len(told)} messages of {visit.work.path} are gone, but {len(found)} of them "
            "answer: these stay."
        )
        visit.context.warn(ErrorKind.MASS_DELETION, text, folder=visit.work.path)
        visit.distrust("it told messages to be gone that are there")
    return found


def _compare(visit: Visit, uids: UidSet) -> UidSet:
    """Compare the flags of *uids* with the server's; return those that are gone by two questions."""
    silent = UidSet()
    for page in uids.pages(COMPARE_MESSAGES):
        visit.work.item.stop.checkpoint()
        with visit.context.store.read() as view:
            here = dict(view.flags_of(visit.work.folder.id, page))
        there = {row.uid: row for row in visit.session.flags(page) if row.uid in page}
        other = [row for uid, row in there.items() if row.flags != here.get(uid, row.flags)]
        cursor = visit.cursor.mod_seq
        if cursor is not None and any(row.mod_seq is not None and row.mod_seq <= cursor for row in other):
            visit.distrust("flags changed without a higher modification sequence")
        write_flags(visit, other)
        silent = silent | (page - UidSet(there))
    return silent - visit.session.existing(within=silent) if silent else silent


def write_flags(visit: Visit, rows: Iterable[FlagRow]) -> None:
    """Write the server's flags of messages that are here, and count them."""
    listed = [(row.uid, row.flags, row.mod_seq) for row in rows]
    if listed:
        with visit.write("flags") as tx:
            counts = tx.set_flags(visit.work.folder.id, visit.epoch, listed)
        visit.work.item.count(Counts(modified=counts.modified, read=counts.read))


def _remove(visit: Visit, gone: UidSet) -> None:
    """Remove messages, some at a time: whoever is told of them again after a crash finds them gone already."""
    for page in gone.pages(REMOVED_PER_COMMIT):
        visit.work.item.stop.checkpoint()
        with visit.write("gone") as tx:
            removed = tx.remove_messages(visit.work.folder.id, visit.epoch, page)
        visit.removed(page)
        visit.work.item.count(Counts(deleted=removed))


def _gaps(visit: Visit) -> UidSet:
    """Return the UIDs that were asked for and never came."""
    with visit.context.store.read() as view:
        troubles = view.troubles(visit.work.folder.id)
    return UidSet(trouble.uid for trouble in troubles if trouble.epoch == visit.epoch)
