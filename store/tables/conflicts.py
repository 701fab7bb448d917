"""Conflicts: what was changed here and on the far side, until somebody decides, and for a while afterwards."""

from typing import Any, ClassVar

from sqlalchemy import Index, text

from .base import StoreTable, identity, integer, reference, words

__all__ = ["ConflictRow"]


class ConflictRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "conflicts"
    __table_args__: ClassVar[Any] = (
        Index("conflicts_open", "account_id", "id", sqlite_where=text("resolved_at IS NULL")),
        Index("conflicts_by_account", "account_id", "id"),
        Index("conflicts_by_operation", "operation", sqlite_where=text("operation IS NOT NULL")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("ConflictId")
    account_id: int = reference("accounts.id", "whose mail")
    kind: str = words("ConflictKind value")
    operation: int | None = integer("OperationId that waits, or waited; NULL: none", None)
    message: int | None = integer("MessageKey; NULL: it is about a folder", None)
    versions: str = words("JSON list of the two versions, mine first", "[]")
    choices: str = words("Choice values that are offered, joined by line feeds, in their order")
    done: str | None = words("Choice that was carried out without asking; NULL: none, it waits", None)
    detected_at: int = integer("when it was found")
    resolved_at: int | None = integer("when it was resolved; NULL: it is open", None)
    resolution: str | None = words("Choice it was resolved by; NULL: none yet", None)
