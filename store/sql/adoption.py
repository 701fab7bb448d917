"""Messages that came to a place on the server: the row that was listed there gives way, the person's key stays."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, exists, func, literal_column, or_, select

from ..mail import MessageKey, Uid
from ..mail.flags import clean_flags
from ..mail.merge import delta, merged
from ..mail.operations import BRINGING, OperationId, OperationState
from ..tables import HeaderRow, MessageRow, OperationRow, table
from . import operations, places
from .places import Row
from .rows import Place, bury
from .statements import p, sql
from .values import packed, unpacked
from .writing import Writing

__all__ = ["adopt", "settle_at"]

_t, _headers, _log = table(MessageRow), table(HeaderRow), table(OperationRow)
_EMPTY: ColumnElement[str] = literal_column("''")
MESSAGE_ID = sql(select(_headers.c.message_id).where(_headers.c.id == p("header")), "header")
BROUGHT = exists().where(
    _log.c.message == _t.c.key,
    _log.c.state == literal_column(f"'{OperationState.DONE.value}'"),
    _log.c.awaits == literal_column("0"),
    or_(*(_log.c.kind == literal_column(f"'{kind.value}'") for kind in BRINGING)),
    func.coalesce(_log.c.target_id, _log.c.folder_id) == _t.c.folder_id,
)
"""The row is a message that another operation brought here: it cannot be one that still looks for its place."""
_same_block = or_(_t.c.header_id == p("of_header"), (_t.c.email_id == p("of_id")) & (_t.c.email_id != _EMPTY))
LIKE_IT = sql(
    select(_t.c.uid)
    .join_from(_t, _headers, _headers.c.id == _t.c.header_id)
    .where(
        _t.c.folder_id == p("folder"),
        _t.c.epoch == p("at_epoch"),
        _t.c.uid >= p("low"),
        or_(_t.c.created_seq > p("seq"), and_(literal_column("1") == p("listed_since"), ~BROUGHT)),
        or_(
            _same_block,
            and_(
                _headers.c.message_id == p("of_message_id"),
                _headers.c.message_id != _EMPTY,
                _t.c.size == p("of_size"),
            ),
        ),
    )
    .order_by(_same_block.desc(), (_t.c.size == p("of_size")).desc(), _t.c.uid)
    .limit(1),
    "folder at_epoch low seq listed_since of_header of_id of_message_id of_size of_header of_id of_size",
)
"""A Message-ID alone tells nothing: the versions of a draft share one."""


def adopt(work: Writing, at: Place) -> int:
    """Give places to messages that came into the folder, nobody knew where, by rows that are identified now.

    The same header block, EMAILID, or Message-ID and size tell; and the UID, where it is known which one came next, or
    else that the row was not there before this transaction. Return how many found theirs.
    """
    found = 0
    for message, epoch, uid_next in operations.awaiting(work.connection, at.account, at.folder):
        waits = places.row(work.connection, message) or places.grave(work.connection, message)
        if waits is None:
            operations.finish(work, message)
            continue
        low = uid_next if uid_next is not None and epoch == at.epoch else None
        (message_id,) = work.connection.execute(MESSAGE_ID, (waits.header_id,)).fetchone()
        since = (1, work.seq_before, 0) if low is None else (low, work.seq_before, 1)
        block, size = (waits.header_id, waits.email_id), waits.size
        looks = (at.folder, at.epoch, *since, *block, message_id, size, *block, size)
        row = work.connection.execute(LIKE_IT, looks).fetchone()
        if row is not None:
            settle_at(work, message, at, Uid(row[0]), None, operations.chain(work.connection, message))
            found += 1
    return found


def settle_at(
    work: Writing, message: MessageKey, at: Place, uid: Uid, flags: frozenset[str] | None, rest: Sequence[OperationId]
) -> None:
    """Give *message* a place, or where it was moved on or deleted meanwhile (*rest*: those operations), its twin.

    *flags*: what it has there; None: as the row that is listed there.
    """
    operations.finish(work, message)
    alive, twin = places.row(work.connection, message), places.twin(work.connection, message)
    like = alive or places.grave(work.connection, message)
    if like is None or (alive is None and not rest):
        return
    there = places.at(work.connection, at.folder, at.epoch, uid)
    if there is not None and there.twin_of not in (None, message):
        return  # somebody's message was here, and is on its way elsewhere
    if there is not None and there.key not in (message, None if twin is None else twin.key):
        _give_way(work, there)
    told = _told(there) if flags is None and there is not None else clean_flags(flags or frozenset())
    listed = {} if there is None else _listed(there, like)
    bits, others = packed(told)
    facts = {"server_flags": bits, "server_keywords": others, **_wanted(like, told)}
    where = {"folder_id": at.folder, "epoch": at.epoch, "uid": uid}
    if rest:
        base = like._replace(**where, **{**listed, **facts})  # type: ignore[arg-type]  # the names are Row's
        if twin is not None:
            places.remove(work, twin)
        operations.set_twin(work, rest, places.leave_twin(work, base))
        if alive is not None:
            places.change(work, alive, **facts)
    elif alive is not None:
        if twin is not None:
            places.remove(work, twin)
        places.change(work, alive, **where, **listed, **facts)
    if facts["local_flags"] is None:
        operations.close_flags(work, [message])


def _give_way(work: Writing, there: Row) -> None:
    """Remove the row that was listed; who heard of it is told that it is gone."""
    if 0 < there.created_seq <= work.seq_before:
        bury(work, [there.key])
    else:
        places.remove(work, there)


def _told(there: Row) -> frozenset[str]:
    return unpacked(there.server_flags, there.server_keywords)


def _listed(there: Row, like: Row) -> dict[str, object]:
    """Return what the listing said of the message; where it has another header block, also that and its octets."""
    found: dict[str, object] = {
        "mod_seq": there.mod_seq,
        "internal_at": there.internal_at,
        "internal_offset": there.internal_offset,
        "size": there.size,
        "email_id": there.email_id,
    }
    if there.header_id not in (None, like.header_id):
        found |= {"header_id": there.header_id, "blob_id": there.blob_id, "likeness": there.likeness}
    return found


def _wanted(like: Row, told: frozenset[str]) -> dict[str, object]:
    if like.local_flags is None:
        return {"local_flags": None, "local_keywords": None}
    wanted = merged(
        unpacked(like.server_flags, like.server_keywords), unpacked(like.local_flags, like.local_keywords or ""), told
    )
    local = packed(wanted) if delta(told, wanted) else (None, None)
    return {"local_flags": local[0], "local_keywords": local[1]}
