"""Account names to our numbers and back."""

import sqlite3

from sqlalchemy import insert, select, update

from ..errors import UnknownAccount
from ..mail import AccountId
from ..tables import AccountRow, table
from .statements import names, p, sql
from .values import storable
from .writing import Writing

__all__ = [
    "account_names",
    "ensure_account",
    "known_accounts",
    "mark_removed",
    "number_of",
    "numbers_of",
    "one_connection",
    "set_one_connection",
    "set_upstream",
    "upstream",
]

_t = table(AccountRow)

ALL = sql(select(_t.c.id, _t.c.name, _t.c.removed).order_by(_t.c.id))
BY_NAME = sql(select(_t.c.id, _t.c.removed).where(_t.c.name == p("named")), "named")
ADD = sql(insert(_t).values(**names("name created_at")), "name created_at")
ONE_CONNECTION = sql(select(_t.c.one_connection).where(_t.c.name == p("named")), "named")
SET_ONE_CONNECTION = sql(
    update(_t).where(_t.c.id == p("number")).values(**names("one_connection")), "one_connection number"
)
UPSTREAM = sql(select(_t.c.upstream, _t.c.criteria).where(_t.c.name == p("named")), "named")
SET_UPSTREAM = sql(
    update(_t).where(_t.c.id == p("number")).values(**names("upstream criteria")), "upstream criteria number"
)
SET_REMOVED = sql(update(_t).where(_t.c.id == p("number")).values(**names("removed")), "removed number")


def account_names(connection: sqlite3.Connection) -> dict[int, AccountId]:
    """Return the name of every account by our number, removed ones included."""
    return {number: AccountId(name) for number, name, _ in connection.execute(ALL)}


def known_accounts(connection: sqlite3.Connection) -> tuple[AccountId, ...]:
    """Return the accounts in the order in which the store heard of them, removed ones left out."""
    return tuple(AccountId(name) for _, name, removed in connection.execute(ALL) if not removed)


def number_of(connection: sqlite3.Connection, account: AccountId) -> int:
    """Return our number of *account*. Raises UnknownAccount."""
    row = connection.execute(BY_NAME, (account,)).fetchone()
    if row is None or row[1]:
        raise UnknownAccount(f"the store knows no account {str(account)!r}")
    return int(row[0])


def numbers_of(connection: sqlite3.Connection, account: AccountId | None) -> tuple[int, ...]:
    """Return our number of *account*; None: of each one that was not removed. Raises UnknownAccount."""
    if account is not None:
        return (number_of(connection, account),)
    return tuple(number for number, _, removed in connection.execute(ALL) if not removed)


def ensure_account(work: Writing, account: AccountId) -> int:
    """Return our number of *account*, which is added when it is new or was removed."""
    if not account:
        raise ValueError("an account needs a name")
    row = work.connection.execute(BY_NAME, (account,)).fetchone()
    if row is None:
        number = work.connection.execute(ADD, (account, work.now)).lastrowid
        assert number is not None
        return number
    if row[1]:
        work.connection.execute(SET_REMOVED, (0, row[0]))
    return int(row[0])


def mark_removed(work: Writing, number: int) -> None:
    """Leave the account out from now on; its row stays, since its tombstones speak of it."""
    work.connection.execute(SET_REMOVED, (1, number))


def one_connection(connection: sqlite3.Connection, account: AccountId) -> str:
    """Return why *account* is given one connection at a time; empty when it may have a second one, or is unknown."""
    row = connection.execute(ONE_CONNECTION, (account,)).fetchone()
    return "" if row is None else str(row[0])


def set_one_connection(work: Writing, account: AccountId, why: str) -> bool:
    """Write *why*; False, and nothing, when there is a reason already and this would be another one.

    Raises UnknownAccount.
    """
    number = number_of(work.connection, account)
    if bool(one_connection(work.connection, account)) == bool(why):
        return False
    work.connection.execute(SET_ONE_CONNECTION, (storable(why), number))
    return True


def upstream(connection: sqlite3.Connection, account: AccountId) -> tuple[str, str]:
    """Return where the mail of *account* came from last, and what was wanted of it; empty: nothing yet."""
    row = connection.execute(UPSTREAM, (account,)).fetchone()
    return ("", "") if row is None else (str(row[0]), str(row[1]))


def set_upstream(work: Writing, account: AccountId, identity: str, criteria: str) -> None:
    """Write both. Raises UnknownAccount."""
    work.connection.execute(SET_UPSTREAM, (storable(identity), storable(criteria), number_of(work.connection, account)))
