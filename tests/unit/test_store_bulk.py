"""Statements for many rows: what they write and find is what one row at a time would, in steps that hardly grow."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import insert, select

from store.migrate import migrate
from store.sql.bulk import all_of, find_many, in_one_row, page_in_one_row, update_many, write_many
from store.sql.statements import names, p, sql
from store.tables import MessageRow, table

_t = table(MessageRow)
ADD = sql(insert(_t).values(**names("account_id folder_id uid")), "account_id folder_id uid")
FIND = sql(select(in_one_row(_t.c.uid, _t.c.size)).where(_t.c.folder_id == p("f"), _t.c.uid.in_([p("u")])), "f u")
NEWEST = sql(page_in_one_row(select(_t.c.uid).order_by(_t.c.uid.desc()).limit(p("rows"))), "rows")
COUNTS = (0, 1, 2, 255, 256, 257, 700)


class Counting(sqlite3.Connection):
    """Counts what is executed."""

    executed = 0

    def execute(self, *arguments: object) -> sqlite3.Cursor:  # type: ignore[override]
        self.executed += 1
        return super().execute(*arguments)  # type: ignore[arg-type]


@pytest.fixture
def connection() -> Iterator[Counting]:
    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=Counting)) as opened:
        migrate(opened)
        opened.execute("INSERT INTO accounts (name) VALUES ('a')")
        opened.execute("INSERT INTO folders (account_id, name, path) VALUES (1, x'61', 'a')")
        opened.executed = 0
        yield opened


@pytest.mark.parametrize("count", COUNTS)
def test_every_row_is_written_and_found_once_in_a_handful_of_steps(connection: Counting, count: int) -> None:
    write_many(connection, ADD, [(1, 1, uid) for uid in range(1, count + 1)])
    assert [uid for (uid,) in all_of(connection, NEWEST, (1000,))] == list(range(count, 0, -1))
    assert sorted(find_many(connection, FIND, (1,), range(1, count + 50))) == [[u, None] for u in range(1, count + 1)]
    assert connection.executed <= 2 * (count // 32 + 7)  # full statements, and powers of two for the rest


def test_rows_are_changed_by_key_and_others_left_alone(connection: Counting) -> None:
    write_many(connection, ADD, [(1, 1, uid) for uid in range(1, 11)])
    write_many(connection, update_many(_t, "size"), [(key, key * 10) for key in (2, 5, 99)])
    assert dict(find_many(connection, FIND, (1,), [1, 2, 5])) == {1: None, 2: 20, 5: 50}
