"""What the tests of the store share: mail to put in, a folder to put it into, and the whole file as values."""

import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from store import AccountId, Encoder, FolderCursor, FolderId, FolderPath, MailStore, NewMessage, RemoteFolderRow
from store.mail import Uid, UidValidity

ACCOUNT = AccountId("home")
EPOCH = UidValidity(7)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LARGE = 600_000
"""Octets of a message that needs three chunks."""


def listed(name: str, **about: object) -> RemoteFolderRow:
    """A folder as a source lists it."""
    path = FolderPath(tuple(name.split("/")))
    return RemoteFolderRow(name=name.encode(), path=path, delimiter="/", **about)  # type: ignore[arg-type]


def new(uid: int, *flags: str, minutes: int | None = None, **about: object) -> NewMessage:
    """A message as a source lists it; its date rises with *minutes*, else with its UID."""
    date = BEGIN + timedelta(minutes=uid if minutes is None else minutes)
    values: dict[str, object] = {"size": 1000 + uid, "internal_date": date, **about}
    return NewMessage(uid=Uid(uid), flags=frozenset(flags), **values)  # type: ignore[arg-type]


def raw_mail(number: int, octets: int = 400) -> bytes:
    """A message of about *octets* octets, each number another one, hard to compress."""
    block = (
        f"Received: from a by b; {number}\r\nFrom: Ann <ann{number}@example.org>\r\nSubject: number {number}\r\n"
        f"Date: Thu, 01 Jan 2026 10:00:00 +0100\r\nMessage-ID: <{number}@example.org>\r\n\r\n"
    ).encode()
    return block + random.Random(number).randbytes(max(0, octets - len(block)))


def header_of(raw: bytes) -> bytes:
    """The header block of *raw*, its empty line included."""
    return raw[: raw.index(b"\r\n\r\n") + 4]


class Clock:
    """Seconds since 1970 that move only when told to."""

    def __init__(self) -> None:
        self.now = BEGIN.timestamp()

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class Inbox:
    """One folder of one store, and the verbs that a synchronization uses."""

    store: MailStore
    folder: FolderId

    @classmethod
    def made_in(cls, store: MailStore, name: str = "INBOX") -> "Inbox":
        with store.write("make folder") as tx:
            tx.ensure_account(ACCOUNT)
            return cls(store, tx.add_folder(ACCOUNT, listed(name)))

    def list(self, *messages: NewMessage) -> int:
        with self.store.write("list") as tx:
            return tx.add_messages(self.folder, EPOCH, messages)

    def show(self, uids: Iterable[int]) -> int:
        """Give headers to *uids*."""
        encoder = Encoder()
        with self.store.write("headers") as tx:
            found = [(Uid(uid), encoder.header(header_of(raw_mail(uid)))) for uid in uids]
            return tx.add_headers(self.folder, EPOCH, found)

    def bring(self, uids: Iterable[int], octets: int = 400) -> int:
        """Give octets to *uids*."""
        encoder = Encoder()
        with self.store.write("bodies") as tx:
            chunks = [c for uid in uids for c in encoder.start(Uid(uid)).chunk(raw_mail(uid, octets), last=True)]
            return tx.add_chunks(self.folder, EPOCH, chunks).whole

    def fill(self, count: int) -> None:
        """List, show and bring 1 to *count*; the cursor says so."""
        self.list(*(new(uid) for uid in range(1, count + 1)))
        self.bring(range(1, count + 1))
        with self.store.write("cursor") as tx:
            tx.save_cursor(self.folder, FolderCursor(epoch=EPOCH, uid_next=count + 1, listed_from=1, messages=count))


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, read by SQLite itself and not by us."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall() for name in sorted(names)}  # noqa: S608


def raws(store: MailStore, folder: FolderId) -> Iterator[tuple[int, bytes]]:
    """The UID and the octets of every whole message of a folder."""
    with store.read() as view:
        for message in view.messages(folder, limit=1000).messages:
            if message.octets is not None:
                yield message.uid, view.raw(message.key)
