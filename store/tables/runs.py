"""Runs: their history, and the lease. The one unfinished run of an account and lane *is* the lease."""

from typing import Any, ClassVar

from sqlalchemy import Index, text

from .base import StoreTable, identity, integer, reference, words

__all__ = ["RunRow"]


class RunRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "runs"
    __table_args__: ClassVar[Any] = (
        Index("runs_by_account", "account_id", "id"),
        Index("runs_open", "account_id", "lane", unique=True, sqlite_where=text("finished_at IS NULL")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("RunId: the fencing token")
    account_id: int = reference("accounts.id", "whose run")
    trigger: str = words("what started it")
    flags: int = integer("SyncFlags of the request")
    owner: str = words("who runs it, for people: host and process")
    started_at: int = integer("when it started")
    expires_at: int = integer("until when the lease holds unless renewed")
    lease_seconds: int = integer("for how long it is renewed", 60)
    finished_at: int | None = integer("when it ended; NULL: it runs, and holds the lease", None)
    status: str = words("how it ended; empty: it runs; lost: another run found it expired")
    counts: str = words("JSON object of counts", "{}")
    errors: str = words("JSON list of errors", "[]")
    lane: str = words("bulk: a synchronization; quick: single messages beside it", "bulk")
    phase: str = words("label of the phase it was in at its last commit; empty: it began")
    done: int = integer("messages done by then")
    total: int = integer("messages it was about by then; 0: not known")
