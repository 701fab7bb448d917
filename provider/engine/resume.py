"""Where to go on: which folders need a visit, what to tell the source we know, which UIDs to list next. Pure.

A folder is listed from its newest UID downward, page by page; ``FolderCursor.listed_from`` says how far down every
existing UID has a row. New mail lies at or above ``FolderCursor.uid_next``, which moves only when all below it is here.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from store import FolderCursor
from store.mail import UidSet

from ..sources.base import FolderStatus, Known, Opened

__all__ = ["PROOF_EVERY", "known_for", "left_to_list", "new_uids", "proof_due", "visit_reason", "windows"]

PROOF_EVERY = timedelta(days=7)
"""How often a folder is compared in full although its deltas look right: finds servers that lie."""

ROWS_PER_PAGE = 2_000
"""Messages of one listing page, about: small enough to commit often, large enough to hide the wait."""


def visit_reason(
    cursor: FolderCursor, status: FolderStatus | None, *, work_left: bool, full: bool, now: datetime
) -> str | None:
    """Return why a folder must be opened, or None when nothing can have changed.

    Without a modification sequence flags may have changed unseen (RFC 4549 §3): then every folder is opened.
    """
    if cursor.epoch is None:
        return "never visited"
    if full:
        return "a full comparison was asked for"
    if status is None:
        return "its status is not known"
    if cursor.listed_from != 1 or work_left:
        return "the last visit did not finish"
    if status.uid_validity != cursor.epoch:
        return "its UIDVALIDITY is another"
    if status.messages != cursor.messages or status.uid_next != cursor.uid_next:
        return "mail came or went"
    if cursor.distrust:
        return "its server's deltas are not trusted"
    if status.mod_seq is None or cursor.mod_seq is None or status.mod_seq != cursor.mod_seq:
        return "flags may have changed"
    if proof_due(cursor, now):
        return "a full comparison is due"
    return None


def known_for(cursor: FolderCursor, uids: UidSet, *, compare: bool, now: datetime) -> Known | None:
    """Return what to tell the source; *compare*, or a proof that is due, keeps the cursor back: all is looked at."""
    if cursor.epoch is None:
        return None
    believed = not compare and not cursor.distrust and not proof_due(cursor, now)
    return Known(epoch=cursor.epoch, mod_seq=cursor.mod_seq if believed else None, uids=uids, uid_next=cursor.uid_next)


def proof_due(cursor: FolderCursor, now: datetime) -> bool:
    """Tell whether the last full comparison of the folder is too long ago."""
    return cursor.proven_at is None or now - cursor.proven_at > PROOF_EVERY


def new_uids(cursor: FolderCursor, local: UidSet, opened: Opened) -> UidSet:
    """Return the UIDs, *local* ones left out, where mail may have come since the cursor; empty when none can have.

    A missing UIDNEXT leaves the span open above; one below what we know proves nothing and is not used.
    """
    first = max(cursor.uid_next or 1, local.highest + 1 if local and cursor.uid_next is None else 1)
    if opened.uid_next is not None and opened.uid_next >= first:
        return UidSet.span(first, opened.uid_next - 1) - local
    return UidSet.span(first, _UID_OF_IMAP_MAX) - local


_UID_OF_IMAP_MAX = 2**32 - 1


def left_to_list(cursor: FolderCursor, opened: Opened) -> UidSet:
    """Return the span below which nothing has been listed yet; empty when the folder is listed down to its end."""
    if cursor.listed_from is not None:
        return UidSet.span(1, cursor.listed_from - 1)
    top = opened.uid_next - 1 if opened.uid_next is not None else _UID_OF_IMAP_MAX
    return UidSet.span(1, top)


def windows(span: UidSet, messages: int, rows: int = ROWS_PER_PAGE) -> Iterator[UidSet]:
    """Yield parts of *span*, newest first, each holding about *rows* of its *messages* if they lie evenly.

    >>> [str(part) for part in windows(UidSet.span(1, 100), messages=50, rows=20)]
    ['61:100', '21:60', '1:20']
    """
    share = min(1.0, max(1, messages) / max(1, len(span)))
    yield from span.pages(max(1, int(rows / share)))
