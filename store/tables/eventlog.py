"""The event log: what went wrong, one row for as long as it lasts, kept as history once it is over."""

from typing import Any, ClassVar

from sqlalchemy import Index, text

from .base import StoreTable, identity, integer, reference, words

__all__ = ["LogRow"]


class LogRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "eventlog"
    __table_args__: ClassVar[Any] = (
        Index(
            "eventlog_open",
            "account_id",
            "item",
            "kind",
            "folder",
            "severity",
            unique=True,
            sqlite_where=text("cleared_at IS NULL"),
        ),
        Index("eventlog_by_account", "account_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("LogId")
    account_id: int = reference("accounts.id", "whose synchronization")
    item: str = words("account: it was synchronized; outbox: it was sent", "account")
    severity: int = integer("SYNCMGRLOGLEVEL: 1 information, 2 warning, 3 error", 3)
    kind: str = words("ErrorKind value")
    folder: str = words("path for people; empty: the account as a whole")
    uid: int | None = integer("the message it was last about; NULL: none", None)
    text: str = words("for people; without secrets, addresses and message content")
    run: int | None = integer("RunId in which it was last seen; NULL: none", None)
    first_at: int = integer("when it was first seen")
    last_at: int = integer("when it was last seen")
    count: int = integer("how often it was seen", 1)
    cleared_at: int | None = integer("when a success ended it; NULL: it lasts", None)
