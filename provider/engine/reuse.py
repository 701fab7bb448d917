"""Finding UIDs that stand for other messages now: a folder that was replaced without a new UIDVALIDITY.

RFC 9051 §2.3.1.1 forbids it, and restored backups do it. Part of the periodic proof: size and date of every message
are looked at, and where both are others than those here (or the EMAILID is), the header block is asked for and compared
with ours. Two answers, then, for each message that is called another one.
"""

from store import IdentityOfRow
from store.mail import UidSet

from ..errors import ErrorKind
from ..sources.base import Summary
from .context import Visit

__all__ = ["reused_uids"]

HEADERS_PER_QUESTION = 250


def reused_uids(visit: Visit) -> UidSet:
    """Return UIDs whose rows are about other messages than the server's, and tell how many there are."""
    folder, after = visit.work.folder.id, 0
    reused = UidSet()
    while True:
        visit.work.item.stop.checkpoint()
        with visit.context.store.read() as view:
            page = {row.uid: row for row in view.identities(folder, after_key=after)}
        if not page:
            break
        after = max(row.key for row in page.values())
        told = visit.session.summaries(UidSet(page))
        reused |= _confirmed(visit, {row.uid: page[row.uid] for row in told if _seems_another(page.get(row.uid), row)})
    if reused:
        visit.context.warn(
            ErrorKind.UIDVALIDITY_CHANGED,
            f"{len(reused)} messages of {visit.work.path} are others now, under the numbers of those that are here.",
            folder=visit.work.path,
        )
    return reused


def _seems_another(here: IdentityOfRow | None, there: Summary) -> bool:
    if here is None:
        return False
    if here.email_id and there.email_id:
        return here.email_id != there.email_id
    if None in (here.size, there.size, here.internal_date, there.internal_date):
        return False
    return here.size != there.size and here.internal_date != there.internal_date


def _confirmed(visit: Visit, suspects: dict[int, IdentityOfRow]) -> UidSet:
    """Return those of *suspects* whose header block is not the one that is here; one that does not come is kept."""
    others = []
    with visit.context.store.read() as view:
        here = UidSet(suspects) - view.without_header(visit.work.folder.id)
    for uids in here.pages(HEADERS_PER_QUESTION):
        for row in visit.session.headers(uids):
            if row.block is None or row.uid not in uids:
                continue
            with visit.context.store.read() as view:
                ours = view.header_block(suspects[row.uid].key)
            if ours != row.block:
                others.append(row.uid)
    return UidSet(others)
