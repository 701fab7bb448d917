"""Rows of conflicts: written, read as values, closed."""

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from sqlalchemy import insert, select, update

from ..instants import from_micros, micros_or_none
from ..mail import AccountId, MessageKey
from ..mail.conflicts import Choice, Conflict, ConflictId, ConflictKind, NewConflict, Side, Version
from ..mail.operations import OperationId
from ..tables import ConflictRow, table
from .statements import names, p, sql
from .values import storable
from .writing import Writing

__all__ = ["add", "by_id", "close", "close_of", "forget_account", "of_account"]

_t = table(ConflictRow)
_COLUMNS = "id account_id kind operation message versions choices done detected_at resolved_at resolution"
_read = select(*(_t.c[name] for name in _COLUMNS.split()))
_open = _t.c.resolved_at.is_(None)

ONE = sql(_read.where(_t.c.id == p("of_id")), "of_id")
OPEN = sql(_read.where(_t.c.account_id == p("account"), _open).order_by(_t.c.id), "account")
OF_ACCOUNT = sql(_read.where(_t.c.account_id == p("account")).order_by(_t.c.id), "account")
ADD = sql(insert(_t).values(**names(_COLUMNS)), _COLUMNS)
CLOSE = sql(
    update(_t).where(_t.c.id == p("of_id")).values(**names("resolved_at resolution")), "resolved_at resolution of_id"
)
CLOSE_OF = sql(
    update(_t).where(_t.c.operation == p("of_operation"), _open, _t.c.done.is_(None)).values(**names("resolved_at")),
    "resolved_at of_operation",
)
FORGET_ACCOUNT = sql(_t.delete().where(_t.c.account_id == p("account")), "account")


def _conflict(row: tuple[Any, ...], accounts: dict[int, AccountId]) -> Conflict:
    id_, account, kind, operation, message, versions, choices, done, detected_at, resolved_at, resolution = row
    mine, theirs = (_version(one) for one in json.loads(versions))
    return Conflict(
        id=ConflictId(id_),
        found=NewConflict(
            kind=ConflictKind(kind),
            account=accounts[account],
            operation=None if operation is None else OperationId(operation),
            message=None if message is None else MessageKey(message),
            versions=(mine, theirs),
            choices=tuple(Choice(one) for one in choices.split("\n") if one),
            done=None if done is None else Choice(done),
        ),
        detected_at=from_micros(detected_at),
        resolved_at=None if resolved_at is None else from_micros(resolved_at),
        resolution=None if resolution is None else Choice(resolution),
    )


def _version(told: dict[str, Any]) -> Version:
    return Version(
        side=Side(told["side"]),
        place=told["place"],
        deleted=told["deleted"],
        flags=tuple(told["flags"]),
        at=None if told["at"] is None else from_micros(told["at"]),
    )


def _as_json(version: Version) -> dict[str, object]:
    return {
        "side": version.side.value,
        "place": storable(version.place),
        "deleted": version.deleted,
        "flags": [storable(flag) for flag in version.flags],
        "at": micros_or_none(version.at),
    }


def add(work: Writing, account: int, found: NewConflict) -> ConflictId:
    """Write a conflict; open, also where something was done by itself: a person may want it otherwise."""
    id_ = work.next_id("conflicts")
    versions = json.dumps([_as_json(version) for version in found.versions])
    done = None if found.done is None else found.done.value
    about = (found.kind.value, found.operation, found.message, versions)
    choices = "\n".join(choice.value for choice in found.choices)
    work.connection.execute(ADD, (id_, account, *about, choices, done, work.now, None, None))
    return ConflictId(id_)


def by_id(connection: sqlite3.Connection, id_: ConflictId, accounts: dict[int, AccountId]) -> Conflict | None:
    """Return one conflict, or None."""
    row = connection.execute(ONE, (id_,)).fetchone()
    return None if row is None else _conflict(row, accounts)


def of_account(
    connection: sqlite3.Connection, account: int, accounts: dict[int, AccountId], *, open: bool
) -> tuple[Conflict, ...]:
    """Return the conflicts of an account, in order; the open ones, or all."""
    rows = connection.execute(OPEN if open else OF_ACCOUNT, (account,))
    return tuple(_conflict(row, accounts) for row in rows)


def close(work: Writing, id_: ConflictId, choice: Choice) -> None:
    """Note how a conflict was resolved."""
    work.connection.execute(CLOSE, (work.now, choice.value, id_))


def close_of(work: Writing, operations: Iterable[OperationId]) -> None:
    """Close the conflicts that wait and whose operations are over; one settled by itself may be wanted otherwise."""
    work.connection.executemany(CLOSE_OF, ((work.now, id_) for id_ in operations))


def forget_account(work: Writing, account: int) -> None:
    """Remove the conflicts of an account that is removed."""
    work.connection.execute(FORGET_ACCOUNT, (account,))
