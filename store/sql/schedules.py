"""Rows of groups and schedules: written, read as values, changed. What they mean: ``store.schedules``."""

import sqlite3
from typing import NamedTuple

from sqlalchemy import delete, insert, select, update

from ..mail import AccountId, FolderPath
from ..mail.schedules import Group
from ..tables import AccountRow, GroupRow, ManagerRow, MemberRow, ScheduleRow, table
from .statements import names, p, sql
from .writing import Writing

__all__ = [
    "Row",
    "add",
    "change",
    "forget",
    "forget_account",
    "forget_group",
    "groups",
    "is_offline",
    "is_paused",
    "put_group",
    "rows",
    "set_offline",
    "set_paused",
]

_g, _m, _t, _one, _a = (table(one) for one in (GroupRow, MemberRow, ScheduleRow, ManagerRow, AccountRow))
_COLUMNS = tuple(column.name for column in _t.c)
_STANDING = "text zone enabled next_run retry_at failures last_run last_outcome owner lease_until lease_seconds"
_ABOUT = "send receive folders headers_only size_max on_f9 on_f9_offline"
GROUPS = sql(select(*(_g.c[name] for name in f"id name {_ABOUT}".split())).order_by(_g.c.id))
MEMBERS = sql(
    select(_a.c.name)
    .join_from(_m, _a, _m.c.account_id == _a.c.id)
    .where(_m.c.group_id == p("of_group"))
    .order_by(_m.c.number),
    "of_group",
)
ADD_GROUP = sql(insert(_g).values(**names(f"name {_ABOUT}")), f"name {_ABOUT}")
SET_GROUP = sql(update(_g).where(_g.c.id == p("of_group")).values(**names(_ABOUT)), f"{_ABOUT} of_group")
FORGET_GROUP = sql(delete(_g).where(_g.c.id == p("of_group")), "of_group")
ADD_MEMBER = sql(insert(_m).values(**names("group_id account_id number")), "group_id account_id number")
FORGET_MEMBERS = sql(delete(_m).where(_m.c.group_id == p("of_group")), "of_group")
FORGET_ACCOUNT = sql(delete(_m).where(_m.c.account_id == p("account")), "account")
ROWS = sql(select(*(_t.c[name] for name in _COLUMNS)).order_by(_t.c.id))
_NEW = "group_id text zone next_run"
ADD = sql(insert(_t).values(**names(_NEW)), _NEW)
CHANGE = sql(update(_t).where(_t.c.id == p("of_id")).values(**names(_STANDING)), f"{_STANDING} of_id")
FORGET = sql(delete(_t).where(_t.c.id == p("of_id")), "of_id")
PAUSED = sql(select(_one.c.paused))
OFFLINE = sql(select(_one.c.offline))
SET_OFFLINE = sql(update(_one).values(**names("offline")), "offline")
SET_PAUSED = sql(update(_one).values(**names("paused")), "paused")


class Row(NamedTuple):
    """A row of ``schedules``, column by column."""

    id: int
    group_id: int | None
    text: str
    zone: str
    enabled: int
    next_run: int | None
    retry_at: int | None
    failures: int
    last_run: int | None
    last_outcome: str
    owner: str
    lease_until: int | None
    lease_seconds: int


def groups(connection: sqlite3.Connection) -> dict[int, Group]:
    """Return the groups that have a row, by our number, in the order of making."""
    return {
        number: Group(
            name=name,
            accounts=tuple(AccountId(member) for (member,) in connection.execute(MEMBERS, (number,))),
            send=bool(send),
            receive=bool(receive),
            folders=tuple(map(FolderPath.parse, folders.split("\n"))) if folders else (),
            headers_only=bool(headers_only),
            size_octets_max=size_max,
            on_f9=bool(on_f9),
            on_f9_offline=bool(on_f9_offline),
        )
        for number, name, send, receive, folders, headers_only, size_max, on_f9, on_f9_offline in connection.execute(
            GROUPS
        ).fetchall()
    }


def put_group(work: Writing, number: int | None, group: Group, accounts: list[int]) -> None:
    """Write a group, a new one when it has no number yet."""
    folders = "\n".join(map(str, group.folders))
    how = (group.send, group.receive, folders, group.headers_only, group.size_octets_max)
    about = (*how, group.on_f9, group.on_f9_offline)
    if number is None:
        number = work.connection.execute(ADD_GROUP, (group.name, *about)).lastrowid
    else:
        work.connection.execute(SET_GROUP, (*about, number))
        work.connection.execute(FORGET_MEMBERS, (number,))
    work.connection.executemany(ADD_MEMBER, [(number, account, place) for place, account in enumerate(accounts)])


def forget_group(work: Writing, number: int) -> None:
    """Remove a group, its members and its schedules."""
    work.connection.execute(FORGET_GROUP, (number,))


def forget_account(work: Writing, account: int) -> None:
    """Take an account out of every group."""
    work.connection.execute(FORGET_ACCOUNT, (account,))


def rows(connection: sqlite3.Connection) -> list[Row]:
    """Return all schedules; there are few."""
    return [Row(*found) for found in connection.execute(ROWS)]


def add(work: Writing, group: int | None, text: str, zone: str, next_run: int | None) -> int:
    """Add a schedule and return its number."""
    number = work.connection.execute(ADD, (group, text, zone, next_run)).lastrowid
    assert number is not None
    return number


def change(work: Writing, row: Row, **changed: int | str | None) -> Row:
    """Write a row with some columns changed, and return it."""
    after = row._replace(**changed)  # type: ignore[arg-type]  # the names are those of Row, and a test writes each
    if after != row:
        work.connection.execute(CHANGE, (*(getattr(after, name) for name in _STANDING.split()), row.id))
    return after


def forget(work: Writing, id_: int) -> None:
    """Remove a schedule."""
    work.connection.execute(FORGET, (id_,))


def is_paused(connection: sqlite3.Connection) -> bool:
    """Tell whether nothing starts by itself."""
    found = connection.execute(PAUSED).fetchone()
    return bool(found and found[0])


def set_paused(work: Writing, *, paused: bool) -> None:
    """Write whether anything starts by itself."""
    work.connection.execute(SET_PAUSED, (int(paused),))


def is_offline(connection: sqlite3.Connection) -> bool:
    """Tell whether one works offline."""
    found = connection.execute(OFFLINE).fetchone()
    return bool(found and found[0])


def set_offline(work: Writing, *, offline: bool) -> None:
    """Write whether one works offline."""
    work.connection.execute(SET_OFFLINE, (int(offline),))
