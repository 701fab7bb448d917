"""From any released schema to the newest: numbered SQL, forward only, each number one transaction.

``PRAGMA user_version`` is the number, and changes in the same transaction as the schema; so a process that is killed in
the middle leaves the schema before or after a number, never between. ``application_id`` marks the file as ours.
"""

import sqlite3
from collections.abc import Iterator
from importlib.resources import files

from .errors import StoreForeign, StoreNewer

__all__ = ["APPLICATION_ID", "migrate", "migrations", "schema_of", "statements_of"]

APPLICATION_ID = 0x6D646F63
"""``mdoc``, big-endian at octet 68 of the file."""


def migrations() -> dict[int, str]:
    """Return the SQL of each migration by its number, ascending from 1 without gaps."""
    found = {
        int(entry.name.partition("_")[0]): entry.read_text(encoding="utf-8")
        for entry in files(__package__).joinpath("migrations").iterdir()
        if entry.name.endswith(".sql")
    }
    return dict(sorted(found.items()))


def statements_of(script: str) -> Iterator[str]:
    """Yield the statements of an SQL script one by one."""
    held = ""
    for line in script.splitlines():
        if line.lstrip().startswith("--"):
            continue
        held += line + "\n"
        if sqlite3.complete_statement(held):
            yield held.strip()
            held = ""


def schema_of(connection: sqlite3.Connection) -> int:
    """Return the schema's number; 0: an empty file, to become a store. Raises StoreForeign, StoreNewer.

    Must be called outside of a transaction.
    """
    application, version, objects = _marks(connection)
    if application != APPLICATION_ID:
        if application or version or objects:
            raise StoreForeign("this is a database of another program, not a mail store; nothing was changed")
        return 0
    newest = max(migrations())
    if version > newest:
        raise StoreNewer(f"this store was made by a newer maildock (schema {version}, known here: {newest}); update it")
    return int(version)


def _marks(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Return application id, user version and how many objects there are, all of one moment.

    Read one by one they may be those of before and after somebody else's migration.
    """
    connection.execute("BEGIN")
    try:
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return application, version, objects


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an open store to the newest schema. Must be called under the write lock, outside of a transaction.

    Continues where a killed process stopped; on an error the schema is what it was before that number.
    """
    for number, script in migrations().items():
        if number <= schema_of(connection):
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements_of(script):
                connection.execute(statement)
            # Pragmas take no parameters; both numbers are ours.
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
            connection.execute(f"PRAGMA user_version = {number:d}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
