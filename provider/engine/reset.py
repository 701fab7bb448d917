"""Surviving a change of UIDVALIDITY: the same messages go on under new numbers.

One transaction moves every row that is proven to be the same message; its key, header, body and flags stay, and not one
octet of it is fetched. What has no counterpart becomes a tombstone, what has no row is listed as new mail by the same
visit. A folder whose UIDVALIDITY changes again and again is left alone, and said to be unstable.
"""

from dataclasses import replace

from store import FolderCursor, FolderState, IdentityOfRow
from store.mail import Role, UidSet, UidValidity

from ..errors import ErrorKind, FolderUnusable
from ..events import Counts
from ..sources.base import IdentityRow
from .context import Visit
from .remap import match

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
    remap = match(_rows_here(visit), _messages_there(visit, existing), drafts=work.folder.role is Role.DRAFTS)
    # Invariant: the cursor says no more than what is committed with it; what has no row yet lies at or above UIDNEXT.
    fresh = existing - UidSet(uid for _, uid in remap.kept)
    uid_next = int(fresh.lowest) if fresh else visit.opened.uid_next
    fresh_start = FolderCursor(epoch=visit.epoch, uid_next=uid_next, listed_from=1, epoch_changes=changes)
    with visit.write("reset", replace(fresh_start, distrust=visit.cursor.distrust)) as tx:
        tx.remap(work.folder.id, old_epoch, remap.kept, visit.epoch)
        removed = tx.remove_messages_by_key(remap.lost)
    work.item.count(Counts(deleted=removed))


def _rows_here(visit: Visit) -> list[IdentityOfRow]:
    rows: list[IdentityOfRow] = []
    with visit.context.store.read() as view:
        while page := view.identities(visit.work.folder.id, after_key=rows[-1].key if rows else 0):
            rows.extend(page)
    return rows


def _messages_there(visit: Visit, existing: UidSet) -> list[IdentityRow]:
    rows: list[IdentityRow] = []
    for page in existing.pages(IDENTITIES_PER_PAGE):
        visit.work.item.stop.checkpoint()
        rows.extend(row for row in visit.session.identities(page) if row.uid in page)
    return rows
