"""Fail call N: whatever SQLite refuses, the store is as it was before or after a transaction (S2, T12)."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from store import MailStore, StoreBusy, StoreDamaged, StoreError, StoreFailed, StoreFull, database, open_store

from .store_kit import ACCOUNT, Clock
from .store_scenario import States, allowed_states, prepare, scenario, state_of

FAULTS = {
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_IOERR_WRITE: StoreFailed,
    sqlite3.SQLITE_INTERRUPT: StoreFailed,
    sqlite3.SQLITE_NOMEM: StoreFailed,
    sqlite3.SQLITE_BUSY: StoreBusy,
    sqlite3.SQLITE_CORRUPT: StoreDamaged,
}


class Faults:
    """Which call fails: the one numbered *at* (from 1), and with *lasting* all after it too."""

    def __init__(self) -> None:
        self.calls = 0
        self.at = 0
        self.lasting = False
        self.code = sqlite3.SQLITE_FULL

    def call(self) -> None:
        self.calls += 1
        if self.at and (self.calls == self.at or (self.lasting and self.calls > self.at)):
            error = sqlite3.OperationalError("planted")
            error.sqlite_errorcode = self.code
            raise error


faults = Faults()


class Failing(sqlite3.Connection):
    """A connection on which the chosen call fails instead of being carried out."""

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]
        faults.call()
        return super().execute(sql, *parameters)  # type: ignore[arg-type]

    def executemany(self, sql: str, rows: object) -> sqlite3.Cursor:  # type: ignore[override]
        faults.call()
        return super().executemany(sql, rows)  # type: ignore[arg-type]


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    prepare(tmp_path / "prepared.db")
    return tmp_path / "prepared.db"


@pytest.fixture
def states(prepared: Path, tmp_path: Path) -> States:
    shutil.copy(prepared, tmp_path / "clean.db")
    return allowed_states(tmp_path / "clean.db")


def run_through(store: MailStore) -> None:
    for _ in scenario(store):
        continue


@pytest.mark.parametrize(
    ("lasting", "step"),
    [
        pytest.param(False, 7, id="once"),
        pytest.param(True, 17, id="from then on"),
        pytest.param(False, 1, id="once, every call", marks=pytest.mark.soak),
        pytest.param(True, 1, id="from then on, every call", marks=pytest.mark.soak),
    ],
)
def test_whichever_call_fails_nothing_is_half_done_and_the_store_goes_on_afterwards(
    prepared: Path, states: States, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasting: bool, step: int
) -> None:
    monkeypatch.setattr(database, "CONNECTION_CLASS", Failing)
    monkeypatch.setattr(faults, "lasting", lasting)
    path, clock = tmp_path / "mail.db", Clock()
    outcomes: list[str] = []
    at = 1 - step
    while not outcomes or outcomes[-1] != "no call left to fail":
        at += step
        shutil.copy(prepared, path)
        monkeypatch.setattr(faults, "code", list(FAULTS)[at % len(FAULTS)])
        with open_store(path, clock=clock, wait_seconds=0) as store:
            monkeypatch.setattr(faults, "calls", 0)
            monkeypatch.setattr(faults, "at", at)
            try:
                run_through(store)
                outcomes.append("survived" if faults.calls >= at else "no call left to fail")
            except FAULTS[faults.code]:
                outcomes.append("refused")
            monkeypatch.setattr(faults, "at", 0)
            found = state_of(path)
            assert found in states, f"call {at} failed and left something half done"
            assert store.check(full=True).problems == ()
            with store.write("goes on") as tx:
                tx.ensure_account(ACCOUNT)
        path.unlink()
    assert outcomes.count("refused") * step > 100


def test_an_exception_of_the_caller_undoes_everything(prepared: Path) -> None:
    before = state_of(prepared)

    def fail(store: MailStore) -> None:
        with store.write("fails") as tx:
            for folder in tx.view.folders():
                tx.remove_folder(folder.id)
            raise KeyboardInterrupt

    with open_store(prepared, clock=Clock()) as store:
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                fail(store)
            assert state_of(prepared) == before


def test_a_write_inside_a_write_of_the_same_thread_is_refused_and_does_not_hang(prepared: Path) -> None:
    with open_store(prepared) as store, store.write("outer"), pytest.raises(StoreError), store.write("inner"):
        pass
