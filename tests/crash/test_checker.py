"""The checker is checked: planted faults of a synchronization are found by the comparison that the crash tests use."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provider import Account
from provider.engine import bodies
from store import BodyNeed, MailStore, NewMessage, ReadView, WriteTransaction, open_store
from store.mail import FolderId, ModSeq, Uid, UidValidity

from ..scenarios.rig import folder_of, run_to_the_end
from ..servers.fakeimap import FakeImap
from .child import account_of
from .judge import Ledger, bodies_in, bodies_on, differences, on_server
from .scenes import SCENES

Plant = Callable[[pytest.MonkeyPatch], None]
Judged = Callable[[Plant], list[str]]
SIZE = 12


def account_on(fake: FakeImap) -> Account:
    return account_of({"port": fake.port, "user": fake.user, "password": fake.password})


@pytest.fixture
def fake() -> Iterator[FakeImap]:
    with FakeImap() as fake:
        yield fake


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db") as store:
        yield store


@pytest.fixture
def judged(fake: FakeImap, store: MailStore, monkeypatch: pytest.MonkeyPatch) -> Judged:
    """Two synchronizations with a lot happening in between, the second one with a fault planted; what is found."""
    scene = SCENES["second"]
    scene.fill(fake, SIZE)
    run_to_the_end(store, account_on(fake))
    assert differences(store, on_server(fake)) == []
    scene.happen(fake, SIZE)

    def play(plant: Plant) -> list[str]:
        plant(monkeypatch)
        run_to_the_end(store, account_on(fake))
        return differences(store, on_server(fake))

    return play


def skips_a_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    real = WriteTransaction.set_flags

    def set_flags(self: WriteTransaction, folder: FolderId, epoch: UidValidity, rows: Any) -> Any:
        return real(self, folder, epoch, list(rows)[1:])

    monkeypatch.setattr(WriteTransaction, "set_flags", set_flags)


def loses_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    real = WriteTransaction.add_messages

    def add_messages(self: WriteTransaction, folder: FolderId, epoch: UidValidity, rows: list[NewMessage]) -> int:
        return real(self, folder, epoch, [row for row in rows if row.uid != SIZE + 3])

    monkeypatch.setattr(WriteTransaction, "add_messages", add_messages)


def keeps_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WriteTransaction, "remove_messages", lambda self, folder, epoch, uids: 0)


def forgets_a_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WriteTransaction, "update_folder", lambda self, id, row: False)


def brings_the_wrong_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    real = bodies.fetch_bodies

    def fetch_bodies(context: Any, session: Any, *rest: Any) -> None:
        class Swapped:
            def bodies(self, wanted: Any) -> Any:
                for chunk in session.bodies(wanted):
                    yield replace(chunk, octets=(chunk.octets or b"").swapcase())

        real(context, Swapped(), *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(bodies, "fetch_bodies", fetch_bodies)


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (skips_a_flag, "but the server says"),
        (loses_a_row, f"message {SIZE + 3} is lost"),
        (keeps_what_is_gone, "is too much"),
        (forgets_a_rename, "should not be here"),
        (brings_the_wrong_octets, "but the server says"),
    ],
)
def test_a_planted_fault_of_the_synchronization_is_found(judged: Judged, plant: Plant, says: str) -> None:
    found = judged(plant)

    assert any(says in line for line in found), found


def test_without_a_fault_nothing_is_found(judged: Judged) -> None:
    assert judged(lambda monkeypatch: None) == []


def test_a_cursor_that_ran_ahead_of_its_rows_is_found(fake: FakeImap, store: MailStore) -> None:
    SCENES["first"].fill(fake, SIZE)
    run_to_the_end(store, account_on(fake))
    fake.set_flags("INBOX", 2, ["\\Deleted"])
    inbox = folder_of(store, "INBOX").id
    with store.write("the planted fault") as tx:
        ahead = ModSeq(fake.folder("INBOX").highest_modseq)
        tx.save_cursor(inbox, replace(tx.view.cursor(inbox), mod_seq=ahead))

    run_to_the_end(store, account_on(fake))

    assert [line for line in differences(store, on_server(fake)) if "message 2 is" in line]


def test_a_message_that_is_here_twice_is_found(fake: FakeImap, store: MailStore) -> None:
    SCENES["first"].fill(fake, SIZE)
    run_to_the_end(store, account_on(fake))
    inbox = folder_of(store, "INBOX").id
    with store.write("the planted fault") as tx:
        tx.add_messages(inbox, tx.view.cursor(inbox).epoch or UidValidity(1), [NewMessage(uid=Uid(900), size=1)])

    assert "INBOX: 1 rows without a header" in differences(store, on_server(fake))


def test_bodies_that_come_down_again_are_in_the_ledger(
    fake: FakeImap, store: MailStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    SCENES["large"].fill(fake, SIZE)
    ledger = Ledger(fake)
    run_to_the_end(store, account_on(fake))
    assert ledger.take() == bodies_on(on_server(fake)) == bodies_in(store)
    fake.append("INBOX", b"Subject: new\r\n\r\nnew\r\n")

    def everything(self: ReadView, folder: FolderId, *, before_uid: int | None = None, **limits: Any) -> list[BodyNeed]:
        page = self.messages(folder, limit=500).messages if before_uid is None else ()
        needs = [BodyNeed(uid=row.uid, size=row.size, has_header=True, key=row.key) for row in page]
        return sorted(needs, key=lambda need: -need.uid)

    monkeypatch.setattr(ReadView, "wanted_bodies", everything)
    run_to_the_end(store, account_on(fake))

    assert ledger.take() - (bodies_on(on_server(fake)) - bodies_in(store)) != Counter()
