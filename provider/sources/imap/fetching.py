"""What messages are, without their bodies: summaries, flags, header blocks, evidence of identity.

Room: sources/imap. Newest first, in pages, pipelined; rows are matched by UID only. Rules: a row that nobody asked for
is read over; items of one UID that come in several rows are put together; a UID without a row was "asked, but not
answered". A page that is refused (``NO Some messages could not be FETCHed``) is halved down to the single message that
the server cannot give, which then simply does not come.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from store.mail import Uid, UidSet

from ...errors import ErrorKind, printable
from ...limits import Limits
from ..base import FlagRow, HeaderRow, IdentityRow, Notice, Summary
from . import translate
from .answers import Completion
from .busy import refuse_if_busy
from .changes import View
from .commands import Command
from .listing import Abilities
from .rows import Row
from .searching import SET_OCTETS, existing
from .wire import Wire

__all__ = [
    "FetchRoom",
    "flag_commands",
    "flags",
    "header_block",
    "headers",
    "identities",
    "summaries",
    "summary_items",
    "summary_of",
]

_SUMMARY_PAGE, _FLAGS_PAGE, _HEADERS_PAGE, _IDENTITY_PAGE = 2_000, 10_000, 250, 2_000
_SUMMARY_OCTETS, _FLAGS_OCTETS, _HEADERS_OCTETS, _IDENTITY_OCTETS = 200, 80, 4_000, 250
_SPARSE_UIDS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRoom:
    """All that a fetch needs of its session."""

    wire: Wire
    abilities: Abilities
    view: View
    limits: Limits
    notice: Callable[[Notice], None]

    def dense(self, uids: UidSet) -> UidSet:
        """Return *uids*, or those of them that exist where most cannot: a gap is never asked for one by one."""
        if len(uids) <= _SPARSE_UIDS + 4 * (self.view.exists or 0):
            return uids
        return existing(self.wire, self.abilities, self.view, uids)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked of each message, and how much answer that makes."""

    items: bytes
    page: int
    octets: int

    def commands(self, uids: UidSet) -> Iterator[tuple[Command, UidSet]]:
        """Yield the commands for *uids*, newest first."""
        for page in uids.pages(self.page):
            for part in page.split(SET_OCTETS):
                yield self.command(part), part

    def command(self, uids: UidSet) -> Command:
        return Command((b"UID FETCH", str(uids).encode(), b"(%b)" % self.items), self.octets * len(uids))


_FLAGS = _Question(items=b"UID FLAGS", page=_FLAGS_PAGE, octets=_FLAGS_OCTETS)


def _rows(room: FetchRoom, uids: UidSet, question: _Question, whole: Callable[[Row], bool]) -> Iterator[Row]:
    """Yield one row for each UID that the server answered; see the rules of this room.

    *whole* tells whether a row has all that was asked for. A row that never got whole is yielded when its command is
    done. A row may come with its literal still on the way.
    """
    asked: dict[Command, UidSet] = dict(question.commands(room.dense(uids)))
    commands = deque(asked)
    finished = UidSet()
    done: set[Uid] = set()
    """UIDs of the pages under way: what is kept here must not grow with the folder."""
    partial: dict[Uid, Row] = {}
    for response in room.wire.converse(commands, ahead_octets=room.limits.queue_octets // 2):
        if isinstance(response, Row):
            uid = response.uid
            if uid is None or uid not in uids or uid in done or uid in finished:
                continue
            row = _joined(partial.pop(uid), response) if uid in partial else response
            if whole(row):
                done.add(uid)
                yield row
            else:
                partial[uid] = row
        elif isinstance(response, Completion):
            part = asked.pop(response.command)
            for uid in [uid for uid in partial if uid in part]:
                done.add(uid)
                yield partial.pop(uid)
            again = []
            if not response.status.ok:
                refuse_if_busy(response.status)
                again = halves(part, done)
            for half in again:
                command = question.command(half)
                asked[command] = half
                commands.append(command)
                part -= half
            finished |= part
            done = {uid for uid in done if uid not in part}


def halves(part: UidSet, done: set[Uid]) -> list[UidSet]:
    """Return what to ask again after *part* was refused: its unanswered UIDs in two halves; none for a single one."""
    if len(part) == 1:
        return []
    missing = part - UidSet(uid for uid in done if uid in part)
    return list(missing.pages((len(missing) + 1) // 2)) if missing else []


def _joined(first: Row, second: Row) -> Row:
    """Return *second* with what only *first* told."""
    for name in ("flags", "internal_date", "size", "mod_seq", "email_id", "section", "origin", "octets"):
        if getattr(second, name) is None:
            setattr(second, name, getattr(first, name))
    return second


def summary_items(room: FetchRoom) -> bytes:
    items = [b"UID FLAGS INTERNALDATE RFC822.SIZE"]
    if room.abilities.condstore and room.view.mod_seq is not None:
        items.append(b"MODSEQ")
    identity = _identity_item(room.abilities)
    return b" ".join([*items, identity] if identity else items)


def _identity_item(abilities: Abilities) -> bytes:
    if abilities.can("OBJECTID"):
        return b"EMAILID"
    return b"X-GM-MSGID" if abilities.can("X-GM-EXT-1") else b""


def _has_summary(row: Row) -> bool:
    return row.flags is not None and row.size is not None and row.internal_date is not None


def summary_of(row: Row, uid: Uid) -> Summary | None:
    """Return what *row* tells; None when it does not tell the flags: a guess would be taken for the server's word."""
    if row.flags is None:
        return None
    return Summary(
        uid=uid,
        flags=row.flags,
        size=row.size,
        internal_date=translate.internal_date(row.internal_date),
        mod_seq=row.mod_seq,
        email_id=row.email_id,
    )


def summaries(room: FetchRoom, uids: UidSet) -> Iterator[Summary]:
    """Yield flags, size, date, mod-sequence and EMAILID of *uids*."""
    question = _Question(items=summary_items(room), page=_SUMMARY_PAGE, octets=_SUMMARY_OCTETS)
    for row in _rows(room, uids, question, _has_summary):
        summary = None if row.uid is None else summary_of(row, row.uid)
        if summary is not None:
            yield summary


def flag_commands(uids: UidSet) -> list[Command]:
    """Return the questions for the flags of *uids*, in pages."""
    return [command for command, _ in _FLAGS.commands(uids)]


def flags(room: FetchRoom, uids: UidSet) -> Iterator[FlagRow]:
    """Yield the flags of *uids*."""
    for row in _rows(room, uids, _FLAGS, lambda row: row.flags is not None):
        if row.uid is not None and row.flags is not None:
            yield FlagRow(uid=row.uid, flags=row.flags, mod_seq=row.mod_seq)


def headers(room: FetchRoom, uids: UidSet, *, with_summary: bool) -> Iterator[HeaderRow]:
    """Yield raw header blocks; one larger than ``Limits.header_octets`` comes as None, and is told of."""
    items = b"BODY.PEEK[HEADER]"
    items = b"%b %b" % (summary_items(room), items) if with_summary else b"UID " + items
    question = _Question(items=items, page=_HEADERS_PAGE, octets=_HEADERS_OCTETS)

    def whole(row: Row) -> bool:
        return row.section == b"BODY[HEADER]" and (not with_summary or _has_summary(row))

    for row in _rows(room, uids, question, whole):
        if row.uid is None or row.section != b"BODY[HEADER]":
            continue
        block = header_block(room, row, row.uid)
        summary = summary_of(row, row.uid) if with_summary else None
        if summary is not None or not with_summary:
            yield HeaderRow(uid=row.uid, block=block, summary=summary)


def header_block(room: FetchRoom, row: Row, uid: Uid) -> bytes | None:
    octets = row.remaining or len(row.octets or b"")
    if octets <= room.limits.header_octets:
        return b"".join(room.wire.chunks(row)) if row.remaining else row.octets
    room.notice(
        Notice(
            kind=ErrorKind.LIMIT.value,
            text=f"The header block of a message has {octets:,} octets; the cap is {room.limits.header_octets:,}.",
            folder=printable(room.view.name),
            uid=uid,
        )
    )
    return None  # the wire reads over what is still to come


def identities(room: FetchRoom, uids: UidSet, *, by_id: bool) -> Iterator[IdentityRow]:
    """Yield flags, size, date, Message-ID and EMAILID of *uids*; with *by_id* flags and EMAILID are enough."""
    identity = _identity_item(room.abilities)
    alone = by_id and bool(identity)
    items = b"UID FLAGS %b" % identity
    if not alone:
        items += b" INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
    question = _Question(items=b" ".join(items.split()), page=_IDENTITY_PAGE, octets=_IDENTITY_OCTETS)

    def whole(row: Row) -> bool:
        if alone:
            return row.email_id is not None and row.flags is not None
        named = row.section is not None and row.section.startswith(b"BODY[HEADER.FIELDS")
        return named and row.size is not None and row.flags is not None

    for row in _rows(room, uids, question, whole):
        if row.uid is not None:
            yield IdentityRow(
                uid=row.uid,
                size=row.size,
                internal_date=translate.internal_date(row.internal_date),
                message_id=translate.message_id(_small_block(room, row)),
                email_id=row.email_id,
                flags=row.flags,
            )


def _small_block(room: FetchRoom, row: Row) -> bytes:
    """Return the fields that came; what is too long to be one Message-ID is read over."""
    return (row.octets or b"") if not row.remaining else b""
