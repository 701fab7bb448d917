"""Rows of the log: written, read as values, moved on from state to state. What they mean: ``store.oplog``."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, literal_column, select, update

from ..instants import from_micros
from ..mail import AccountId, FolderId, FolderPath, MessageKey
from ..mail.operations import Operation, OperationId, OperationKind, OperationState
from ..tables import OperationRow, table
from .statements import names, p, sql
from .values import storable
from .writing import Writing

__all__ = [
    "add",
    "approve",
    "attempt",
    "awaiting",
    "by_id",
    "chain",
    "close",
    "close_flags",
    "finish",
    "forget",
    "forget_account",
    "go_over",
    "kept",
    "of_account",
    "of_batch",
    "of_folder",
    "of_message",
    "pending",
    "put",
    "replaced_by",
    "set_origin",
    "set_twin",
]

_t = table(OperationRow)
_COLUMNS = (
    "id account_id batch kind state message folder_id target_id twin origin added removed path name tries next_try_at"
    " reason server_text created_at finished_at epoch_before uid_next_before awaits kept approved key_before"
)
_NEW = "account_id batch kind message folder_id target_id twin origin added removed path name created_at key_before id"
_read = select(*(_t.c[name] for name in _COLUMNS.split()))
_pending = _t.c.finished_at.is_(None)
_in_order = _t.c.id.asc()

ONE = sql(_read.where(_t.c.id == p("of_id")), "of_id")
PENDING = sql(_read.where(_t.c.account_id == p("account"), _pending).order_by(_in_order), "account")
OF_ACCOUNT = sql(_read.where(_t.c.account_id == p("account")).order_by(_in_order), "account")
OF_MESSAGE = sql(_read.where(_t.c.message == p("of_message"), _pending).order_by(_in_order), "of_message")
KEPT = sql(
    select(_t.c.id).where(_t.c.message == p("of_message"), _t.c.kept == literal_column("1")).order_by(_in_order),
    "of_message",
)
OF_FOLDER = sql(_read.where(_t.c.folder_id == p("folder"), _pending).order_by(_in_order), "folder")
REPLACED_BY = sql(
    _read.where(_t.c.origin == p("of_origin"), _t.c.kind == literal_column("'delete'"), _pending).order_by(_in_order),
    "of_origin",
)
SET_ORIGIN = sql(update(_t).where(_t.c.id == p("of_id")).values(**names("origin")), "origin of_id")
OF_BATCH = sql(_read.where(_t.c.batch == p("of_batch")).order_by(_in_order), "of_batch")
ADD = sql(insert(_t).values(**names(_NEW)), " ".join(c for c in _COLUMNS.split() if c in _NEW.split()))
STATE = sql(
    update(_t).where(_t.c.id == p("of_id")).values(**names("state next_try_at reason server_text finished_at kept")),
    "state next_try_at reason server_text finished_at kept of_id",
)
TRY = sql(update(_t).where(_t.c.id == p("of_id")).values(tries=_t.c.tries + p("more")), "more of_id")
ATTEMPT = sql(
    update(_t).where(_t.c.id == p("of_id")).values(**names("epoch_before uid_next_before")),
    "epoch_before uid_next_before of_id",
)
AWAIT = sql(update(_t).where(_t.c.id == p("of_id")).values(**names("awaits twin")), "twin awaits of_id")
APPROVE = sql(update(_t).where(_t.c.id == p("of_id")).values(approved=1), "of_id")
SET_TWIN = sql(update(_t).where(_t.c.id == p("of_id")).values(**names("twin")), "twin of_id")
GO_OVER = [
    sql(update(_t).where(_t.c[name] == p("folder")).values({name: p("other")}), "other folder")
    for name in ("folder_id", "target_id")
]
FORGET = sql(delete(_t).where(_t.c.id == p("of_id")), "of_id")
FORGET_ACCOUNT = sql(delete(_t).where(_t.c.account_id == p("account")), "account")
AWAITING = sql(
    select(_t.c.message, _t.c.epoch_before, _t.c.uid_next_before).where(
        _t.c.account_id == p("account"),
        _t.c.awaits == literal_column("1"),
        func.coalesce(_t.c.target_id, _t.c.folder_id) == p("folder"),
    ),
    "account folder",
)
AWAITED = sql(
    update(_t).where(_t.c.message == p("of_message"), _t.c.awaits == literal_column("1")).values(awaits=0),
    "of_message",
)


def _operation(row: tuple[Any, ...], accounts: dict[int, AccountId]) -> Operation:
    (id_, account, batch, kind, state, message, folder, target, twin, origin, added, removed, path, name) = row[:14]
    tries, next_try_at, reason, server_text, created_at, finished_at, epoch_before, uid_next_before = row[14:22]
    awaits, kept, approved, key_before = row[22:]
    return Operation(
        id=OperationId(id_),
        account=accounts[account],
        batch=batch,
        kind=OperationKind(kind),
        state=OperationState(state),
        message=None if message is None else MessageKey(message),
        folder_id=FolderId(folder),
        target_id=None if target is None else FolderId(target),
        twin=None if twin is None else MessageKey(twin),
        origin=None if origin is None else MessageKey(origin),
        add=_words(added),
        remove=_words(removed),
        path=None if path is None else FolderPath.parse(path),
        name=name or b"",
        tries=tries,
        next_try_at=None if next_try_at is None else from_micros(next_try_at),
        reason=reason,
        server_text=server_text,
        created_at=from_micros(created_at),
        finished_at=None if finished_at is None else from_micros(finished_at),
        epoch_before=epoch_before,
        uid_next_before=uid_next_before,
        awaits=bool(awaits),
        kept=bool(kept),
        approved=bool(approved),
        key_before=key_before,
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split("\n")) if text else frozenset()


def _all(rows: Iterable[tuple[Any, ...]], accounts: dict[int, AccountId]) -> tuple[Operation, ...]:
    return tuple(_operation(row, accounts) for row in rows)


def by_id(connection: sqlite3.Connection, id_: OperationId, accounts: dict[int, AccountId]) -> Operation | None:
    """Return one row, or None."""
    row = connection.execute(ONE, (id_,)).fetchone()
    return None if row is None else _operation(row, accounts)


def of_account(
    connection: sqlite3.Connection, account: int, accounts: dict[int, AccountId], *, pending: bool
) -> tuple[Operation, ...]:
    """Return the rows of an account, in order; only those that are not over yet, or all."""
    return _all(connection.execute(PENDING if pending else OF_ACCOUNT, (account,)), accounts)


def of_message(
    connection: sqlite3.Connection, message: MessageKey, accounts: dict[int, AccountId]
) -> tuple[Operation, ...]:
    """Return the pending rows of a message, in order."""
    return _all(connection.execute(OF_MESSAGE, (message,)), accounts)


def of_folder(
    connection: sqlite3.Connection, folder: FolderId, accounts: dict[int, AccountId]
) -> tuple[Operation, ...]:
    """Return the pending rows whose folder is *folder*, in order."""
    return _all(connection.execute(OF_FOLDER, (folder,)), accounts)


def replaced_by(
    connection: sqlite3.Connection, message: MessageKey, accounts: dict[int, AccountId]
) -> tuple[Operation, ...]:
    """Return the pending deletions of what *message* replaces."""
    return _all(connection.execute(REPLACED_BY, (message,)), accounts)


def of_batch(connection: sqlite3.Connection, batch: int, accounts: dict[int, AccountId]) -> tuple[Operation, ...]:
    """Return all rows of a batch, in order."""
    return _all(connection.execute(OF_BATCH, (batch,)), accounts)


def pending(
    connection: sqlite3.Connection, ids: Iterable[OperationId], accounts: dict[int, AccountId]
) -> Iterator[Operation]:
    """Yield those of *ids* that are pending, in the order of *ids*."""
    for id_ in dict.fromkeys(ids):
        found = by_id(connection, id_, accounts)
        if found is not None and found.state.pending:
            yield found


def add(
    work: Writing,
    account: int,
    batch: int,
    kind: OperationKind,
    folder: FolderId,
    *,
    message: MessageKey | None = None,
    target: FolderId | None = None,
    twin: MessageKey | None = None,
    origin: MessageKey | None = None,
    flags: tuple[Iterable[str], Iterable[str]] = ((), ()),
    path: FolderPath | None = None,
    name: bytes | None = None,
) -> OperationId:
    """Write a row, QUEUED; *flags*: added and removed. Return its id."""
    id_ = work.next_id("operations")
    added, removed = ("\n".join(sorted(words)) for words in flags)
    what = (message, folder, target, twin, origin, storable(added), storable(removed))
    where = (None if path is None else storable(str(path)), name)
    work.connection.execute(
        ADD, (id_, account, batch, kind.value, *what, *where, work.now, work.next_id("messages") - 1)
    )
    return OperationId(id_)


def put(
    work: Writing,
    ids: Iterable[OperationId],
    state: OperationState,
    *,
    reason: str = "",
    server_text: str = "",
    next_try_at: int | None = None,
    tried: bool = False,
    kept: bool = False,
) -> None:
    """Bring rows into *state*; with *tried* a try is counted; *kept*: refused, and what it did here stays."""
    finished = None if state.pending else work.now
    values = (state.value, next_try_at, storable(reason), storable(server_text), finished, int(kept))
    for id_ in ids:
        work.connection.execute(STATE, (*values, id_))
        if tried:
            work.connection.execute(TRY, (1, id_))


def approve(work: Writing, ids: Iterable[OperationId]) -> None:
    """Note that a person let these be sent."""
    work.connection.executemany(APPROVE, ((id_,) for id_ in ids))


def attempt(work: Writing, id_: OperationId, epoch: int | None, uid_next: int | None) -> None:
    """Note what the target had before an attempt."""
    work.connection.execute(ATTEMPT, (epoch, uid_next, id_))


def close(work: Writing, ids: Iterable[OperationId], reason: str = "", *, awaits: bool = False) -> None:
    """Note that these are done, and let go of their twins; *awaits*: where the last led to is to be found."""
    ids = list(ids)
    put(work, ids, OperationState.DONE, reason=reason)
    work.connection.executemany(AWAIT, ((None, int(awaits and id_ == ids[-1]), id_) for id_ in ids))


def finish(work: Writing, message: MessageKey) -> None:
    """Note that it is known now where *message* came to."""
    work.connection.execute(AWAITED, (message,))


def close_flags(work: Writing, messages: Iterable[MessageKey]) -> int:
    """Close the pending FLAGS rows of *messages*, of which nothing is left to be sent; return of how many."""
    closed = 0
    for message in messages:
        rows = work.connection.execute(OF_MESSAGE, (message,)).fetchall()
        ids = [OperationId(row[0]) for row in rows if row[3] == OperationKind.FLAGS.value]
        close(work, ids)
        closed += bool(ids)
    return closed


def set_twin(work: Writing, ids: Iterable[OperationId], twin: MessageKey | None) -> None:
    """Write which row keeps the place of their message."""
    work.connection.executemany(SET_TWIN, ((twin, id_) for id_ in ids))


def set_origin(work: Writing, ids: Iterable[OperationId], origin: MessageKey) -> None:
    """Write which message replaces what is deleted, or is copied."""
    work.connection.executemany(SET_ORIGIN, ((origin, id_) for id_ in ids))


def go_over(work: Writing, folder: FolderId, other: FolderId) -> None:
    """Let all that was wanted of *folder*, and of mail in it, be wanted of *other*."""
    for statement in GO_OVER:
        work.connection.execute(statement, (other, folder))


def forget(work: Writing, ids: Iterable[OperationId]) -> None:
    """Remove rows that were taken back before anything was sent."""
    work.connection.executemany(FORGET, ((id_,) for id_ in ids))


def forget_account(work: Writing, account: int) -> None:
    """Remove the whole log of an account that is removed."""
    work.connection.execute(FORGET_ACCOUNT, (account,))


def awaiting(
    connection: sqlite3.Connection, account: int, folder: FolderId
) -> Sequence[tuple[MessageKey, int | None, int | None]]:
    """Return the messages that came into *folder*, nobody knows where: key, epoch and UIDNEXT before the attempt."""
    return connection.execute(AWAITING, (account, folder)).fetchall()


def kept(connection: sqlite3.Connection, message: MessageKey) -> list[OperationId]:
    """Return the operations on *message* that were refused, and whose effect here was kept."""
    return [OperationId(id_) for (id_,) in connection.execute(KEPT, (message,))]


def chain(connection: sqlite3.Connection, message: MessageKey) -> list[OperationId]:
    """Return the pending operations that say where *message* is, in order."""
    beside = (OperationKind.FLAGS.value, OperationKind.DOWNLOAD.value)
    return [OperationId(row[0]) for row in connection.execute(OF_MESSAGE, (message,)) if row[3] not in beside]
