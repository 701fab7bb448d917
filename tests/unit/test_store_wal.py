"""The log is measured by what is in it, not by its file, and is folded into the store before it gets long."""

import sqlite3
from contextlib import closing
from pathlib import Path

from store.wal import log_octets

PAGE = 4096
FRAME = 24 + PAGE


def test_a_log_that_begins_anew_counts_from_its_beginning_though_its_file_stays_long(tmp_path: Path) -> None:
    file, log = tmp_path / "x.db", tmp_path / "x.db-wal"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for pragma in (f"page_size = {PAGE}", "journal_mode = WAL", "wal_autocheckpoint = 0"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE t (a)")
        for _ in range(50):
            connection.execute("INSERT INTO t VALUES (zeroblob(20000))")
        frames = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
        assert log_octets(log) == log.stat().st_size == 32 + frames * FRAME
        connection.execute("INSERT INTO t VALUES (1)")
        assert log_octets(log) < 10 * FRAME
        assert log.stat().st_size == 32 + frames * FRAME


def test_no_log_an_empty_one_and_something_else_hold_nothing(tmp_path: Path) -> None:
    log = tmp_path / "x.db-wal"
    log.write_bytes(b"")
    assert log_octets(log) == 0
    log.write_bytes(b"not a log" * 20)
    assert log_octets(log) == 0
