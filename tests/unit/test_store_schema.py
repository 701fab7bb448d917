"""The schema is declared once, in SQLModel classes; the released SQL makes the very same one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Table, create_engine
from sqlalchemy.pool import StaticPool

from store import Leased, open_store
from store.migrate import APPLICATION_ID, migrate, migrations, schema_of, statements_of
from store.tables import StoreTable

from .store_kit import ACCOUNT

TABLES = sorted(StoreTable.metadata.tables.values(), key=lambda table: table.name)
NO_ACCOUNT = ("accounts", "state", "sync_groups", "schedules", "manager", "sync_items")
"""What is about no single account: a group has members, and they name theirs; a handler knows no accounts."""
Facts = dict[str, object]

FIRST_SCHEMA_DATA = """
INSERT INTO accounts (name, created_at) VALUES ('home', 1);
INSERT INTO folders (account_id, name, path) VALUES (1, x'494e424f58', 'INBOX');
INSERT INTO cursors (folder_id, account_id, epoch) VALUES (1, 1, 7);
INSERT INTO messages (account_id, folder_id, epoch, uid) VALUES (1, 1, 7, 1);
UPDATE folders SET listed = 1, created_seq = 1, changed_seq = 1;
UPDATE state SET change_seq = 1;
INSERT INTO blobs (account_id) VALUES (1);
INSERT INTO partials (blob_id, account_id, folder_id, epoch, uid) VALUES (1, 1, 1, 7, 1);
INSERT INTO runs (account_id, owner, started_at, expires_at, finished_at, status) VALUES (1, 'x', 1, 2, 3, 'succeeded');
INSERT INTO runs (account_id, owner, started_at, expires_at) VALUES (1, 'one', 1, unixepoch() * 1000000 + 50000000);
"""
"""An account with one message that is half here, a run that ended, and one that is under way."""


def facts(connection: sqlite3.Connection) -> Facts:
    """What SQLite itself says about the schema in *connection*."""
    found: Facts = {}
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    for kind, name, owner, text in rows.fetchall():
        if kind == "table":
            # (place, name, type, not null, default, primary key, hidden)
            found[f"{name} columns"] = connection.execute(f"PRAGMA table_xinfo('{name}')").fetchall()
            found[f"{name} keys"] = sorted(connection.execute(f"PRAGMA foreign_key_list('{name}')").fetchall())
            found[f"{name} autoincrement"] = "AUTOINCREMENT" in text
        else:
            of = {row[1]: row[2:] for row in connection.execute(f"PRAGMA index_list('{owner}')")}
            found[f"{name} of {owner}"] = of[name]
            found[f"{name} columns"] = connection.execute(f"PRAGMA index_xinfo('{name}')").fetchall()
            found[f"{name} where"] = text.partition(" WHERE ")[2]
    return found


@pytest.fixture
def migrated() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        yield connection


def test_the_released_sql_makes_the_schema_that_the_classes_declare(migrated: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(":memory:")) as declared:
        engine = create_engine("sqlite://", creator=lambda: declared, poolclass=StaticPool)
        StoreTable.metadata.create_all(engine)
        assert facts(migrated) == facts(declared)
        engine.dispose()


def test_a_migration_that_another_process_commits_meanwhile_does_not_make_the_file_look_foreign(tmp_path: Path) -> None:
    file = tmp_path / "mail.db"
    file.touch()

    class Overtaken(sqlite3.Connection):
        """Between any two of its reads somebody else may bring the schema up to date."""

        def execute(self, statement: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]
            cursor = super().execute(statement, *parameters)  # type: ignore[arg-type]
            if statement.startswith("PRAGMA application_id"):
                with closing(sqlite3.connect(file, isolation_level=None)) as other:
                    migrate(other)
            return cursor

    with closing(sqlite3.connect(file, isolation_level=None)) as first:
        first.execute("PRAGMA journal_mode = WAL")
    with closing(sqlite3.connect(file, isolation_level=None, factory=Overtaken)) as late:
        assert schema_of(late) == 0
        assert schema_of(late) == max(migrations())


def test_the_comparison_sees_a_column_a_default_and_an_index_that_differ(migrated: sqlite3.Connection) -> None:
    before = facts(migrated)
    for statement in (
        "ALTER TABLE messages ADD COLUMN extra INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX extra ON messages (email_id) WHERE email_id > ''",
        "DROP INDEX messages_newest",
    ):
        migrated.execute(statement)
        after = facts(migrated)
        assert after != before
        before = after


def test_a_new_store_has_the_newest_number_and_our_mark(migrated: sqlite3.Connection) -> None:
    assert schema_of(migrated) == max(migrations())
    assert migrated.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_a_store_of_the_first_schema_is_brought_up_to_date_with_all_that_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    path.touch(0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        for statement in statements_of(migrations()[1]):
            old.execute(statement)
        old.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
        old.execute("PRAGMA user_version = 1")
        old.executescript(FIRST_SCHEMA_DATA)
    with open_store(path) as store:
        with store.read() as view:
            assert view.accounts() == (ACCOUNT,)
            assert [(run.lane, run.status) for run in view.runs()] == [("bulk", ""), ("bulk", "succeeded")]
            assert view.one_connection(ACCOUNT) == ""
        with pytest.raises(Leased):
            store.start_run(ACCOUNT, trigger="test", flags=0, owner="two")
        assert store.check(full=True).problems == ()
        store.start_run(ACCOUNT, trigger="test", flags=0, owner="three", lane="quick", is_gone=lambda who: who == "one")
        with store.read() as view:
            assert [run.status for run in view.runs()] == ["", "lost", "succeeded"]
    with closing(sqlite3.connect(path)) as now:
        assert now.execute("SELECT count(*) FROM partials").fetchone() == (0,)
        assert now.execute("PRAGMA user_version").fetchone() == (max(migrations()),)


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    assert list(migrations()) == list(range(1, len(migrations()) + 1))


def test_a_migration_is_cut_into_all_its_statements() -> None:
    text = "-- a comment; with a semicolon\nCREATE TABLE t (\n  a TEXT DEFAULT ';'\n);\nINSERT INTO t VALUES ('x;y');\n"
    assert list(statements_of(text)) == ["CREATE TABLE t (\n  a TEXT DEFAULT ';'\n);", "INSERT INTO t VALUES ('x;y');"]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_is_documented(table: Table) -> None:
    assert [column.name for column in table.columns if not column.comment] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_column_without_default_is_a_key_or_has_a_null_with_a_meaning(table: Table) -> None:
    for column in table.columns:
        if column.primary_key or column.foreign_keys:
            continue
        if column.nullable:
            assert "NULL" in (column.comment or "") or column.comment == "as in messages", column
        else:
            assert column.server_default is not None, column


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_but_the_store_s_own_row_names_the_account(table: Table) -> None:
    assert "account_id" in table.columns or table.name in NO_ACCOUNT


@pytest.mark.parametrize("name", ["accounts", "folders", "messages", "headers", "blobs", "runs"])
def test_ids_are_never_used_twice(name: str, migrated: sqlite3.Connection) -> None:
    text = migrated.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]
    assert "AUTOINCREMENT" in text
