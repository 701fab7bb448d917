"""Surviving a change of UIDVALIDITY: the same messages go on under new numbers.

One transaction moves every row that is proven to be the same message; its key, header, body and flags stay, and not one
octet of it is fetched. Flags come with the evidence, so nothing is asked twice. What has no counterpart becomes a
tombstone, what has no row is listed as new mail by the same visit. A folder whose UIDVALIDITY changes again and again
is left alone, and said to be unstable.
"""

from collections.abc import Sequence
from dataclasses import replace

from store import FolderCursor, FolderState, IdentityOfRow
from store.mail import Role, UidSet, UidValidity

from ..errors import ErrorKind, FolderUnusable
from ..events import Counts
from ..sources.base import ChangeReport, Exactness, FlagRow, IdentityRow
from .changes import COMPARE_MESSAGES, write_flags
from .context import Visit
from .remap import Remap, match

__all__ = ["survive_reset"]

CHANGES_IN_A_ROW_MAX = 5
IDENTITIES_PER_PAGE = 5_000


def survive_reset(visit: Visit, old_epoch: UidValidity) -> None:
    """Carry the rows of *old_epoch* over to the open epoch. Raises FolderUnusable when it happens too often."""
    work, context = visit.work, visit.context
    changes = 1 if context.request.full else visit.cursor.epoch_changes + 1
    if changes > CHANGES_IN_A_ROW_MAX:
        with visit.write("unstable") as tx:
            tx.set_folder_state(work.folder.id, FolderState.UNSTABLE, None, "its UIDVALIDITY keeps changing")
        raise FolderUnusable(
            f"The UIDVALIDITY of {work.path} changed {changes} times in a row; what is here stays, and nothing is "
            "fetched until a full synchronization is asked for.",
            kind=ErrorKind.FOLDER_UNSTABLE,
            folder=work.path,
        )
    context.warn(
        ErrorKind.UIDVALIDITY_CHANGED,
        f"The server renumbered {work.path}; its messages are matched with those that are here.",
        folder=work.path,
    )
    existing = visit.session.existing()
    remap, there = _matched(visit, existing)
    # Invariant: the cursor says no more than what is committed with it; what has no row yet lies at or above UIDNEXT.
    kept = UidSet(uid for _, uid in remap.kept)
    fresh = existing - kept
    uid_next = int(fresh.lowest) if fresh else visit.opened.uid_next
    fresh_start = FolderCursor(epoch=visit.epoch, uid_next=uid_next, listed_from=1, epoch_changes=changes)
    with visit.write("reset", replace(fresh_start, distrust=visit.cursor.distrust)) as tx:
        tx.remap(work.folder.id, old_epoch, remap.kept, visit.epoch)
        removed = tx.remove_messages_by_key(remap.lost)
    work.uids = None
    work.item.count(Counts(deleted=removed))
    _take_flags(visit, kept, there)


def _take_flags(visit: Visit, kept: UidSet, there: Sequence[IdentityRow]) -> None:
    """Write the flags that came with the evidence; where all came, this look was a full comparison."""
    told = {row.uid: row.flags for row in there if row.flags is not None}
    if kept - UidSet(told):
        return  # the visit compares, as it does where nothing was told
    for page in kept.pages(COMPARE_MESSAGES):
        visit.work.item.stop.checkpoint()
        with visit.context.store.read() as view:
            here = dict(view.flags_of(visit.work.folder.id, page))
        write_flags(visit, [FlagRow(uid=uid, flags=told[uid]) for uid in page if told[uid] != here.get(uid)])
    visit.work.compared_in = visit.epoch
    visit.opened = replace(visit.opened, changes=ChangeReport(exactness=Exactness.FLAGS))
    visit.save("compared", replace(visit.cursor, proven_at=visit.context.clock.now()))


def _matched(visit: Visit, existing: UidSet) -> tuple[Remap, list[IdentityRow]]:
    """Match what is here with what exists there: by ids alone where all have one, else, or for the rest, by all."""
    here = _rows_here(visit)
    drafts = visit.work.folder.role is Role.DRAFTS
    there = _messages_there(visit, existing, by_id=bool(here) and all(row.email_id for row in here))
    first = match(here, there, drafts=drafts)
    lost, fresh = set(first.lost), UidSet(first.fresh)
    bare = UidSet(row.uid for row in there if not row.message_id and row.size is None) & fresh
    if not lost or not bare:
        return first, there
    there = [row for row in there if row.uid not in bare] + _messages_there(visit, bare)
    rest = [row for row in here if row.key in lost]
    second = match(rest, [row for row in there if row.uid in fresh], drafts=drafts)
    return replace(second, kept=tuple(sorted(first.kept + second.kept))), there


def _rows_here(visit: Visit) -> list[IdentityOfRow]:
    rows: list[IdentityOfRow] = []
    with visit.context.store.read() as view:
        while page := view.identities(visit.work.folder.id, after_key=rows[-1].key if rows else 0):
            rows.extend(page)
    return rows


def _messages_there(visit: Visit, existing: UidSet, *, by_id: bool = False) -> list[IdentityRow]:
    rows: list[IdentityRow] = []
    for page in existing.pages(IDENTITIES_PER_PAGE):
        visit.work.item.stop.checkpoint()
        rows.extend(row for row in visit.session.identities(page, by_id=by_id) if row.uid in page)
    return rows
