"""Accounts: a name the host gave, and a number for the other tables. Never a host, a command or a secret."""

from typing import Any, ClassVar

from .base import StoreTable, identity, integer, words

__all__ = ["AccountRow"]


class AccountRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "accounts"
    __table_args__: ClassVar[Any] = {"sqlite_autoincrement": True}

    id: int | None = identity("our number of the account")
    name: str = words("the host's own name of the account (AccountId)", unique=True)
    created_at: int = integer("when the store first heard of it")
    removed: int = integer("1: the host removed it; its mail is in the tombstones")
    one_connection: str = words("why only one connection at a time is made; empty: a second one may be tried")
    upstream: str = words("digests of where its mail came from in its last whole synchronization; empty: none yet")
    criteria: str = words("JSON of what was wanted of it then; empty: none yet")
