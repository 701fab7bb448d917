"""Alerts: an account's synchronization fails. One open row an account; kept as history once it is over."""

from typing import Any, ClassVar

from sqlalchemy import Index, text

from .base import StoreTable, identity, integer, reference, words

__all__ = ["AlertRow"]


class AlertRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "alerts"
    __table_args__: ClassVar[Any] = (
        Index("alerts_open", "account_id", unique=True, sqlite_where=text("cleared_at IS NULL")),
        Index("alerts_by_account", "account_id", "id"),
        Index("alerts_to_tell", "next_try"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("AlertId")
    account_id: int = reference("accounts.id", "whose synchronization fails")
    item: str = words("account: it was synchronized; outbox: it was sent", "account")
    kind: str = words("ErrorKind value of the error that raised it")
    folder: str = words("path for people of that error; empty: the account as a whole")
    text: str = words("of that error, for people; without secrets, addresses and message content")
    run: int | None = integer("RunId of that error; NULL: none", None)
    raised_at: int = integer("when the account's first error came")
    cleared_at: int | None = integer("when its last error was over; NULL: it lasts", None)
    told_raised: str = words("names of the hooks that were told of its beginning, joined by spaces")
    told_cleared: str = words("names of the hooks that were told of its end, joined by spaces")
    tries: int = integer("how often it was told in vain, of the beginning or, once it is over, of the end")
    next_try: int = integer("not to be told before: somebody tells it now, or it failed")
