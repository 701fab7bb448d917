"""Ground under the tables: a registry of our own, and how a column is spelled.

A registry of our own, because a host may use SQLModel too and call a table of its own ``messages``. Rules of the room:
one concept a file, no queries, every column documented, ``NOT NULL DEFAULT`` unless NULL has a meaning (then the
document says which), ids AUTOINCREMENT (never reused), instants as microseconds since 1970 UTC.
"""

from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, Table, Text, text
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel

__all__ = [
    "ASSUMED",
    "DATELESS",
    "OWN",
    "REFUTED",
    "StoreTable",
    "identity",
    "integer",
    "raw",
    "reference",
    "table",
    "words",
]

DATELESS = -(2**62)
"""``internal_at`` of a message without an internal date: sorts behind every date (and keeps the column NOT NULL)."""


OWN, ASSUMED, REFUTED = 0, 1, 2
"""``likeness`` of a message: its octets came for it, or are proven; are taken from one that looks the same; were
taken so, and were others."""


class StoreTable(SQLModel, registry=registry()):
    """Root of the table classes; its ``metadata`` holds our tables and nobody else's."""


def _field(doc: str, default: object, kind: type[TypeEngine[Any]], literal: str | None, **column: Any) -> Any:
    """Declare a column by itself: one that SQLModel makes has defaults in Python, which Core would add to inserts."""
    server_default = text(literal) if literal is not None else None
    made: Column[Any] = Column(kind, server_default=server_default, comment=doc, **column)
    return Field(default=default, description=doc, sa_column=made)


def identity(doc: str) -> Any:
    """Declare an id of our own: INTEGER PRIMARY KEY AUTOINCREMENT."""
    return _field(doc, None, Integer, None, primary_key=True)


def integer(doc: str, default: int | None = 0, *, primary_key: bool = False) -> Any:
    """Declare a 64-bit integer; *default* None makes it nullable."""
    literal = None if default is None or primary_key else str(default)
    return _field(doc, default, Integer, literal, nullable=default is None, primary_key=primary_key)


def words(doc: str, default: str | None = "", *, unique: bool = False) -> Any:
    """Declare a text (UTF-8); *default* None makes it nullable."""
    literal = None if default is None else f"'{default}'"
    return _field(doc, default, Text, literal, nullable=default is None, unique=unique)


def raw(doc: str, default: bytes | None = b"") -> Any:
    """Declare raw octets; *default* None makes it nullable."""
    return _field(doc, default, LargeBinary, None if default is None else "x''", nullable=default is None)


def reference(
    target: str, doc: str, *, nullable: bool = False, cascade: bool = False, primary_key: bool = False
) -> Any:
    """Declare a foreign key to *target* (``table.column``). It has no default: a row without it makes no sense."""
    key = ForeignKey(target, ondelete="CASCADE" if cascade else None)
    column: Column[Any] = Column(Integer, key, nullable=nullable, primary_key=primary_key, comment=doc)
    return Field(default=None, description=doc, sa_column=column)


def table(model: type[StoreTable]) -> Table:
    """Return the Core table of *model*: what statements are built from."""
    return StoreTable.metadata.tables[str(model.__tablename__)]
