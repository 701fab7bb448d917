"""Listing: rows for messages that are not here yet, newest first, and the newest page with its headers at once."""

from collections.abc import Iterable
from dataclasses import replace

from store import FolderCursor, NewMessage, WriteTransaction
from store.mail import Uid, UidSet

from ..errors import ServerBusy, SourceError
from ..phases import Phase
from ..sources.base import Exactness, Summary
from .bodies import read_headers, settle_headers, tell_trouble
from .context import Visit
from .resume import ROWS_PER_PAGE, left_to_list, windows
from .sharing import settle_shared, share_in

__all__ = ["list_new", "list_rest", "list_uids"]

SPARSE = 20
"""With fewer messages than one in so many UIDs it is cheaper to ask first which exist."""
SEARCHABLE_MESSAGES = 200_000


def list_new(visit: Visit, new: UidSet) -> None:
    """List mail that came since the cursor; UIDNEXT moves in the transaction that completes it."""
    cursor = replace(visit.cursor, uid_next=visit.opened.uid_next)
    coming = visit.opened.messages - len(visit.local()) if new else 0
    if len(new) > visit.context.at_once and _may_be_gone(visit):
        new = visit.session.existing(within=new)
        coming = len(new)
    if not new:
        if cursor != visit.cursor:
            visit.save("cursor", cursor)
    elif coming <= visit.context.at_once and visit.opened.uid_next is not None:
        _page_with_headers(visit, new, cursor)
    else:
        if visit.opened.uid_next is None:
            new = visit.session.existing(within=new)
            coming = len(new)
        pages = list(windows(new, coming, visit.context.first_page))[:1]
        for page in pages:
            _page_with_headers(visit, page, visit.cursor)
            new = new - page
        for page in windows(new, coming, visit.work.portion.rows(ROWS_PER_PAGE)):
            _add_rows(visit, visit.session.summaries(page), page, visit.cursor)
        if visit.opened.uid_next is None:
            cursor = replace(cursor, uid_next=visit.local().highest + 1 if visit.local() else None)
        visit.save("cursor", cursor)


def list_rest(visit: Visit, *, all_of_it: bool) -> bool:
    """List a folder that was never listed to its end; return True when it now is.

    The first page comes with headers and is committed at once, with the cursors of this visit; without *all_of_it*
    nothing more is done.
    """
    if visit.cursor.listed_from == 1:
        return True
    left = left_to_list(visit.cursor, visit.opened)
    messages = visit.opened.messages - len(visit.local())
    if messages <= 0 and not _may_be_gone(visit):
        left = UidSet()
    elif (visit.opened.uid_next is None or len(left) > SPARSE * messages) and messages <= SEARCHABLE_MESSAGES:
        left = visit.session.existing(within=left)
        messages = len(left)
    if visit.cursor.listed_from is None:
        left = _newest(visit, left, messages)
    if left and not all_of_it:
        return False
    if visit.cursor.listed_from == 1:
        return True
    visit.work.item.phase(Phase.DOWNLOAD_TABLE, f"Listing {visit.work.path}")
    for page in windows(left, messages, visit.work.portion.rows(ROWS_PER_PAGE)):
        visit.work.item.stop.checkpoint()
        _add_rows(visit, visit.session.summaries(page), page, replace(visit.cursor, listed_from=int(page.lowest)))
    visit.save("cursor", replace(visit.cursor, listed_from=1))
    return True


def _may_be_gone(visit: Visit) -> bool:
    """Tell whether rows here may be of messages that went unheard of: then counts do not tell how many are to come."""
    return visit.opened.changes.exactness is Exactness.FLAGS and bool(visit.local())


def list_uids(visit: Visit, uids: UidSet) -> None:
    """List messages that are known to exist; one that does not come goes on the gap list."""
    for page in uids.pages(ROWS_PER_PAGE):
        visit.work.item.stop.checkpoint()
        came = _add_rows(visit, visit.session.summaries(page), page, visit.cursor)
        missing = page - came
        tell_trouble(
            visit.context,
            visit.work,
            visit.epoch,
            [(uid, "missing", "it exists, but does not come") for uid in missing],
        )


def _newest(visit: Visit, left: UidSet, messages: int) -> UidSet:
    """List the newest page with headers, or all of a small folder; return what is left below it.

    Empty windows grow until mail is met.
    """
    first = visit.context.first_page
    rows, listed = messages if messages <= visit.context.at_once else first, 0
    while left and listed < min(first, messages):
        page = next(windows(left, messages, rows))
        below = left - page
        cursor = replace(visit.cursor, listed_from=int(page.lowest) if below else 1)
        came = _page_with_headers(visit, page, cursor)
        left, listed, rows = below, listed + came, rows if came else rows * 4
    return left


def _page_with_headers(visit: Visit, page: UidSet, cursor: FolderCursor) -> int:
    """List *page* with header blocks and commit it at once, with *cursor*; return how many messages it had."""
    work = visit.work
    if work.breaks:  # one of these headers may have broken the connection: each comes by itself, after the rows
        return len(_add_rows(visit, visit.session.summaries(page), page, cursor))
    work.item.phase(Phase.DOWNLOAD_HEADER, f"Newest mail of {work.path}")
    rows = [row for row in visit.session.headers(page, with_summary=True) if row.uid in page]
    messages = {row.uid: _new_message(row.summary) for row in rows if row.summary is not None}
    listed = UidSet(messages)
    came = read_headers(work, listed, rows)
    with visit.write("newest page", cursor) as tx:
        new = _write_rows(visit, tx, messages)
        tx.add_headers(work.folder.id, visit.epoch, came.blocks)
        shared = share_in(tx, visit.context, work, visit.epoch, listed)
    visit.added(listed)
    work.listed(new)
    settle_shared(work, shared)
    settle_headers(visit.context, work, visit.epoch, listed, came, last=False)
    return len(listed)


def _add_rows(visit: Visit, summaries: Iterable[Summary], page: UidSet, cursor: FolderCursor) -> UidSet:
    """Write a row for each of *summaries* within *page*, with *cursor*; return the UIDs that came."""
    try:
        rows = {summary.uid: _new_message(summary) for summary in summaries if summary.uid in page}
    except SourceError as error:
        if error.drops_connection and not isinstance(error, ServerBusy):
            visit.work.portion.halve()
        raise
    visit.work.portion.went_well()
    with visit.write("rows", cursor) as tx:
        new = _write_rows(visit, tx, rows)
        shared = share_in(tx, visit.context, visit.work, visit.epoch, UidSet(rows))
    visit.added(UidSet(rows))
    visit.work.listed(new)
    settle_shared(visit.work, shared)
    return UidSet(rows)


def _write_rows(visit: Visit, tx: WriteTransaction, messages: dict[Uid, NewMessage]) -> int:
    """Write rows for *messages* that have none; return how many.

    A message that was removed and is listed again under its old number and size was removed in error: it comes back
    with its key, header and octets.
    """
    folder = visit.work.folder.id
    known = [
        (key, uid)
        for key, uid, size in tx.view.buried(folder, UidSet(messages))
        if uid in messages and size == messages[uid].size
    ]
    back = tx.revive(folder, visit.epoch, known) if known else 0
    if back:
        tx.set_flags(folder, visit.epoch, [(uid, messages[uid].flags, messages[uid].mod_seq) for _, uid in known])
    return back + tx.add_messages(folder, visit.epoch, list(messages.values()))


def _new_message(summary: Summary) -> NewMessage:
    return NewMessage(
        uid=summary.uid,
        flags=summary.flags,
        size=summary.size,
        internal_date=summary.internal_date,
        mod_seq=summary.mod_seq,
        email_id=summary.email_id,
    )
