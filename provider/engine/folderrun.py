"""One visit to one folder: open it, apply what changed, list what is new, prove the count, bring what is wanted.

Every step commits before the next wait, and leaves cursors that say no more than what is committed; so a visit may end
anywhere, and the next one goes on there. Two depths: NEWEST makes the newest page of a folder visible soon and finishes
small work, FULL does the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from store import BodyState, FolderCursor, FolderState, Message
from store.mail import Uid, UidSet

from ..errors import FolderUnusable
from ..phases import Phase
from ..sources.base import Session
from .bodies import bring_bodies, bring_headers, outstanding, still_wanted
from .changes import apply_changes, prove
from .context import FolderWork, RunContext, Visit
from .listing import list_new, list_rest, list_uids
from .pipe import Pipe
from .reset import survive_reset
from .resume import known_for, proof_due
from .sharing import compare_assumed

__all__ = ["Depth", "Finished", "settle", "visit_folder", "work_left"]

SMALL_WORK_OCTETS = 500_000
"""Bodies up to so many octets are brought on the first visit, which saves opening the folder twice."""


class Depth(Enum):
    """How much one visit does."""

    NEWEST = "newest"
    """The newest page; small work to its end."""
    LOOK = "look"
    """Everything but bodies."""
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Finished:
    """A folder in which nothing is left to do in this run; ``settle`` writes it, for any number of folders at once."""

    work: FolderWork
    cursor: FolderCursor
    over: tuple[Uid, ...]
    """UIDs whose trouble is over."""


def work_left(context: RunContext, work: FolderWork) -> bool:
    """Tell whether the store alone shows that something is missing here: headers, bodies, a retry that is due."""
    now = context.clock.now()
    with context.store.read() as view:
        waiting = UidSet(t.uid for t in view.troubles(work.folder.id) if t.next_try_at > now)
        due = any(t.next_try_at <= now for t in view.troubles(work.folder.id))
        return (
            due or bool(view.without_header(work.folder.id) - waiting) or bool(still_wanted(work, view, now, None, 1))
        )


def visit_folder(context: RunContext, session: Session, work: FolderWork, pipe: Pipe, depth: Depth) -> Finished | None:
    """Visit one folder; return how it is to be left when nothing is left to do there in this run, else None.

    Bodies may still be in the *pipe*: drain it before ``settle``.

    Raises SourceError (of this folder, or of the connection), StoreError, Cancelled, Yielded.
    """
    work.item.stop.checkpoint()
    work.item.phase(Phase.DOWNLOAD_TABLE, f"Looking at {work.path}")
    with context.store.read() as view:
        cursor = view.cursor(work.folder.id)
        known = known_for(cursor, view.uids(work.folder.id), compare=context.compares, now=context.clock.now())
    opened = session.open(work.folder.name, known)
    if opened.epoch is None:
        raise FolderUnusable(f"{work.path} has no usable UIDVALIDITY, so nothing of it can be kept.", folder=work.path)
    first = FolderCursor(epoch=opened.epoch, mod_seq=opened.mod_seq, uid_next=opened.uid_next)
    if cursor.epoch is None:
        cursor = replace(first, proven_at=context.clock.now())  # saved with the first page
    visit = Visit(context=context, session=session, work=work, opened=opened, epoch=opened.epoch, cursor=cursor)
    if known is not None:
        work.comparing |= context.request.full or proof_due(cursor, context.clock.now())
        if known.epoch != opened.epoch:
            survive_reset(visit, known.epoch)
        list_new(visit, apply_changes(visit))
    if not list_rest(visit, all_of_it=depth is not Depth.NEWEST):
        return None
    due = _due_gaps(visit)
    list_uids(visit, due)
    prove(visit, doubt_gaps=bool(due) or context.request.full)
    if not _compare(visit, depth) or not _bring(visit, pipe, depth):
        return None
    return _finished(visit, renumbered=known is not None and known.epoch != opened.epoch)


def settle(context: RunContext, folders: Sequence[Finished]) -> None:
    """Save what lets the next run skip *folders*, and forget troubles that are over; in one transaction."""
    with context.store.write("visited", run=context.run) as tx:
        for finished in folders:
            folder = finished.work.folder
            tx.save_cursor(folder.id, finished.cursor)
            for uid in finished.over:
                tx.clear_trouble(folder.id, uid)
            if folder.state is not FolderState.ACTIVE:
                tx.set_folder_state(folder.id, FolderState.ACTIVE, None, "")


def _compare(visit: Visit, depth: Depth) -> bool:
    """Compare octets that are assumed, when it is time; return False when that was left for a FULL visit."""
    if not visit.work.comparing or depth is Depth.LOOK:
        return not visit.work.comparing
    return compare_assumed(visit, octets_max=None if depth is Depth.FULL else SMALL_WORK_OCTETS)


def _bring(visit: Visit, pipe: Pipe, depth: Depth) -> bool:
    """Bring bodies and headers as far as the policy wants them; return False when that was left for a FULL visit."""
    context, work = visit.context, visit.work
    messages, octets = outstanding(visit, pipe)
    headers = _missing_headers(visit)
    work.expect(messages=messages if work.wants_bodies else len(headers), octets=octets if work.wants_bodies else None)
    if (depth is Depth.NEWEST and octets > SMALL_WORK_OCTETS) or (depth is Depth.LOOK and messages):
        return False
    if messages:
        work.item.phase(Phase.DOWNLOAD_BODIES, f"Downloading {work.path}")
        bring_bodies(context, visit.session, work, visit.epoch, pipe)
        if _headerless(visit):
            pipe.drain()  # headers of small messages come with their bodies
    left = _missing_headers(visit)
    # A message whose octets did not come just now may still show its header.
    troubled = (headers & _headerless(visit)) - left
    if left or troubled:
        work.item.phase(Phase.DOWNLOAD_HEADER, f"Headers of {work.path}")
        bring_headers(context, visit.session, work, visit.epoch, left)
        bring_headers(context, visit.session, work, visit.epoch, troubled, in_trouble=True)
    return True


def _missing_headers(visit: Visit) -> UidSet:
    with visit.context.store.read() as view:
        now = visit.context.clock.now()
        waiting = UidSet(t.uid for t in view.troubles(visit.work.folder.id) if t.next_try_at > now)
        return view.without_header(visit.work.folder.id) - waiting


def _headerless(visit: Visit) -> UidSet:
    with visit.context.store.read() as view:
        return view.without_header(visit.work.folder.id)


def _due_gaps(visit: Visit) -> UidSet:
    """Return UIDs on the gap list that have no row and are to be tried again now."""
    with visit.context.store.read() as view:
        now = visit.context.clock.now()
        due = UidSet(t.uid for t in view.troubles(visit.work.folder.id) if t.next_try_at <= now)
    return due - visit.local() if due else due


def _finished(visit: Visit, *, renumbered: bool) -> Finished:
    work, now = visit.work, visit.context.clock.now()
    with visit.context.store.read() as view:
        # One that is due still was not tried by this visit: the policy does not want that message any more.
        over = tuple(
            t.uid
            for t in view.troubles(work.folder.id)
            if t.next_try_at <= now or _is_over(work, view.find_message(work.folder.id, t.uid))
        )
    cursor = replace(
        visit.cursor,
        messages=visit.opened.messages,
        epoch_changes=visit.cursor.epoch_changes if renumbered else 0,
        checked_at=now,
    )
    return Finished(work=work, cursor=cursor, over=over)


def _is_over(work: FolderWork, message: Message | None) -> bool:
    return message is not None and (message.body is BodyState.FULL or not work.wants_bodies)
