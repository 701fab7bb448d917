"""The outbox, stopped at every commit and at every step of the wire: nothing lost, doubled only behind a final dot.

A small sender goes the way of the real one; its server is a file that outlives the process, written whole or not at
all. Wherever it stops, the store is sound and lawful, the host submits what it is not sure of again under the same
keys, and the next sender carries on.
"""

import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store import (
    Fate,
    MailStore,
    OperationKind,
    Recipient,
    Submission,
    SubmissionId,
    SubmissionState,
    database,
    open_store,
)
from store.mail import FolderId, MessageKey, Role
from store.mail.submission import DOUBTS_MAX

from ..contract.test_store_processes import DIED, Child
from ..unit.outbox_kit import HER, YOU, letter
from ..unit.store_kit import ACCOUNT, Clock, everything, listed

MESSAGES = 3
SENT, DRAFTS = FolderId(1), FolderId(2)
Place = Callable[[str], None]


class Wire:
    """A server whose answer may be lost: what it took is a line of a file, one write for each final dot."""

    def __init__(self, path: Path, place: Place, files: bool) -> None:
        self.path = path
        self.files = files
        """It puts a copy into Sent by itself, where it can be found."""
        self._place = place

    def send(self, pieces: list[bytes], about_to_end: Callable[[], None], to: tuple[str, ...]) -> None:
        for number, _ in enumerate(pieces):
            self._place(f"piece {number}")
        about_to_end()
        self._place("before the dot")
        octets = b"".join(pieces)
        (mark,) = (line for line in octets.split(b"\r\n") if line.startswith(b"Message-ID: "))
        assert b"\r\nbcc:" not in octets.lower()
        line = b"".join(mark[12:] + b" " + one.encode() + b"\n" for one in to)
        with open(self.path, "ab", buffering=0) as file:
            file.write(line)
        self._place("behind the dot")

    def taken(self) -> Counter[tuple[str, str]]:
        """How often each (Message-ID, recipient) was delivered."""
        text = self.path.read_text() if self.path.exists() else ""
        return Counter((mark, to) for mark, to in (line.split() for line in text.splitlines()))

    def in_sent(self, message_id: str) -> bool:
        return self.files and any(mark == message_id for mark, _ in self.taken())


def send_all(store: MailStore, wire: Wire, owner: str) -> None:
    """Send and file all that is due, as a sender does."""
    while (one := store.outbox.claim(ACCOUNT, owner=owner, is_gone=lambda other: other != owner)) is not None:
        if one.state is SubmissionState.SENT:
            store.outbox.filed(one.id, owner, folder=None if wire.files else SENT)
        elif one.state is SubmissionState.IN_DOUBT and wire.in_sent(one.message_id):
            store.outbox.settle(one.id, owner, taken(one), tried=False, reason="found in Sent")
        else:
            pieces = list(store.outbox.octets(one.id))
            wire.send(pieces, lambda id_=one.id: store.outbox.about_to_end(id_, owner), one.waiting)  # type: ignore[misc]
            store.outbox.settle(one.id, owner, taken(one))


def taken(one: Submission) -> list[Recipient]:
    return [Recipient(address=address, fate=Fate.ACCEPTED) for address in one.waiting]


def submit_all(store: MailStore) -> None:
    for number in range(1, MESSAGES + 1):
        draft = MessageKey(number) if number > 1 else None
        gone = draft is not None and not alive(store, draft)
        store.outbox.submit(ACCOUNT, letter(number, bcc=[HER]), key=str(number), draft=None if gone else draft)


def alive(store: MailStore, key: MessageKey) -> bool:
    with store.read() as view:
        return any(one.key == key for one in view.messages(DRAFTS).messages)


class Stops:
    """Places of one kind, counted; the process ends at the chosen one. 0: none."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0
        self.names: list[str] = []

    def place(self, name: str) -> None:
        self.seen += 1
        self.names.append(name)
        if self.seen == self.at:
            os._exit(DIED)

    def watch_commits(self) -> None:
        place = self.place

        class Watched(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                if sql != "COMMIT":
                    return super().execute(sql, parameters)
                place("before commit")
                cursor = super().execute(sql, parameters)
                place("behind commit")
                return cursor

        database.CONNECTION_CLASS = Watched


def prepare(path: Path) -> None:
    with open_store(path, clock=Clock()) as store:
        with store.write("folders") as tx:
            tx.ensure_account(ACCOUNT)
            assert tx.add_folder(ACCOUNT, listed("Sent", role=Role.SENT)) == SENT
            assert tx.add_folder(ACCOUNT, listed("Drafts", role=Role.DRAFTS)) == DRAFTS
        with store.edit("drafts") as edit:
            for number in range(1, MESSAGES + 1):
                assert edit.append(DRAFTS, letter(number), flags=["\\Draft"]) == number


def lawful(one: Submission) -> bool:
    """Tell whether a submission is in a state in which a crash may leave it."""
    fates = {recipient.fate for recipient in one.recipients}
    match one.state:
        case SubmissionState.QUEUED | SubmissionState.SENDING:
            return fates == {Fate.WAITING} and (one.state is SubmissionState.SENDING) == (one.lease_until is not None)
        case SubmissionState.IN_DOUBT:
            return fates == {Fate.UNKNOWN} and one.doubts in (1, DOUBTS_MAX)
        case SubmissionState.SENT | SubmissionState.FILED:
            return fates == {Fate.ACCEPTED}
        case _:
            return False


@pytest.mark.parametrize("files", [False, True], ids=["we file copies", "the provider files copies"])
def test_wherever_sending_stops_each_message_arrives_once_and_twice_only_behind_its_dot(
    tmp_path: Path, files: bool
) -> None:
    prepare(tmp_path / "prepared.db")
    stops, at, window = 0, 1, 0
    while True:
        path, taken = tmp_path / "mail.db", tmp_path / "taken"
        shutil.copy(tmp_path / "prepared.db", path)
        taken.unlink(missing_ok=True)

        def work(child: Child, at: int = at, path: Path = path, taken: Path = taken) -> None:
            counted = Stops(at)
            counted.watch_commits()
            with open_store(path, clock=Clock()) as store:
                submit_all(store)
                send_all(store, Wire(taken, counted.place, files), "first:1:1")

        code = Child(work).end()
        assert code in (0, DIED), at
        doubted = carry_on(path, Wire(taken, lambda _: None, files), f"stopped at {at}")
        window += doubted
        for rest in tmp_path.glob("mail.db*"):
            rest.unlink()
        if code == 0:
            break
        stops, at = stops + 1, at + 1
    assert stops >= MESSAGES * (2 * 6 + 3)
    assert window >= MESSAGES * 3, "at least behind the journal, before and behind the dot"


def carry_on(path: Path, wire: Wire, where: str) -> bool:
    """Open the store anew, judge it, let another sender go on, judge again; tell whether one was in doubt."""
    with open_store(path, clock=Clock()) as store:
        assert store.check(full=True).problems == (), where
        with store.read() as view:
            assert all(lawful(one) for one in view.submissions()), where
        submit_all(store)
        before = wire.taken()
        send_all(store, wire, "second:2:1")
        with store.read() as view:
            doubted = {one.message_id for one in view.submissions(states=[SubmissionState.IN_DOUBT])}
        assert len(doubted) <= 1, where
    later = Clock()
    later.now += 601
    with open_store(path, clock=later) as store:
        send_all(store, wire, "third:3:1")
        assert store.check(full=True).problems == (), where
        with store.read() as view:
            found = view.submissions()
            assert [one.state for one in found] == [SubmissionState.FILED] * MESSAGES, where
            assert [one.subject for one in found] == [f"number {number}" for number in range(1, MESSAGES + 1)], where
            copies = [view.raw(one.key) for one in view.messages(SENT).messages]
            appended = [one for one in view.operations() if one.folder_id == SENT]
            drafts = [one.key for one in view.messages(DRAFTS).messages]
        wanted = 0 if wire.files else MESSAGES
        assert len(copies) == len(set(copies)) == len(appended) == wanted, where
        assert all(one.kind is OperationKind.APPEND for one in appended), where
        assert drafts == [1], f"{where}: what was a draft of what was sent is gone"
        rows = everything(path)
        submit_all(store)
        send_all(store, wire, "fourth:4:1")
        assert everything(path) == rows, f"{where}: something was left to be done"
    for one in found:
        twice = one.message_id in doubted and not wire.files and before[one.message_id, YOU] > 0
        for to in (YOU, HER):
            assert wire.taken()[one.message_id, to] == 1 + twice, f"{where}: {one.id}"
        assert one.doubts == (one.message_id in doubted), where
    return bool(doubted)


def test_of_many_senders_at_once_each_message_has_one(tmp_path: Path) -> None:
    path, count = tmp_path / "mail.db", 24
    with open_store(path) as store:
        for number in range(count):
            store.outbox.submit(ACCOUNT, letter(number))

    def work(child: Child) -> None:
        with open_store(path) as store:
            child.hear()
            while (one := store.outbox.claim(ACCOUNT, owner=f"here:{os.getpid()}:1", filing=False)) is not None:
                child.say(str(one.id))
                store.outbox.about_to_end(one.id, f"here:{os.getpid()}:1")
                store.outbox.settle(one.id, f"here:{os.getpid()}:1", taken(one))

    children = [Child(work) for _ in range(3)]
    for child in children:
        child.say("go")
    claimed: list[int] = []
    for child in children:
        while word := child.hear():
            claimed.append(int(word))
        assert child.end() == 0
    assert sorted(claimed) == list(range(1, count + 1))
    with open_store(path) as store, store.read() as view:
        assert {one.state for one in view.submissions()} == {SubmissionState.SENT}


def test_what_was_submitted_before_a_kill_is_there(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"

    def work(child: Child) -> None:
        with open_store(path) as store:
            for number in range(1000):
                child.say(str(int(store.outbox.submit(ACCOUNT, letter(number)).id)))

    child = Child(work)
    while child.hear() != "7":
        continue
    os.kill(child.pid, 9)
    assert child.end() == -9
    with open_store(path) as store:
        assert store.check(full=True).problems == ()
        with store.read() as view:
            found = view.submissions()
        assert len(found) >= 7
        for one in found:
            assert len(b"".join(store.outbox.octets(SubmissionId(one.id)))) == one.size
