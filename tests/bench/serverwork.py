"""What happens on the server between two synchronizations: mail comes, is read, goes away, is numbered anew.

Room: tests/bench. The work of another client of the same mailbox, on a bare connection; deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from .corpus import CorpusMessage, corpus
from .mailserver import Connection, Mailbox, connected

__all__ = ["Work", "do", "newest_uid", "renumber", "touch_folders"]

NEW_SEED, NEW_FIRST = 7, 150_000
"""Mail that comes later is other mail, and newer than all of the corpus."""
FLAGS = ("\\Seen \\Answered \\Flagged", "\\Answered \\Flagged")
"""What a changed message has afterwards: one in a hundred had it before. Keywords are not for every peer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """So many messages come, change a flag, go away for good."""

    new: int
    flagged: int
    expunged: int

    def __str__(self) -> str:
        return f"{self.new} new, {self.flagged} flag changes, {self.expunged} expunged"

    @property
    def more(self) -> int:
        """By how many messages the folder grows."""
        return self.new - self.expunged


def do(mailbox: Mailbox, work: Work, *, turn: int, small: bool = False) -> None:
    """Do *work* in INBOX. Each *turn* takes other messages."""
    _do(mailbox, work, turn, "INBOX", list(_new_mail(work.new, turn, small=small)))


def _do(mailbox: Mailbox, work: Work, turn: int, folder: str, new: list[CorpusMessage]) -> None:
    with connected(mailbox.account) as connection:
        messages = _status(connection, folder, "MESSAGES")
        step = messages // (work.flagged + work.expunged + 1)
        if step < 1:
            raise RuntimeError(f"{folder} is too small for this work")
        numbers = [1 + turn % step + step * number for number in range(work.flagged + work.expunged)]
        gone = numbers[:: max(1, len(numbers) // max(1, work.expunged))][: work.expunged]
        kept = sorted(set(numbers) - set(gone))
        connection.command(f"SELECT {folder}")
        flags = FLAGS[turn % len(FLAGS)]
        for part in _parts(kept):
            connection.command(f"STORE {part} FLAGS.SILENT ({flags})")
        for part in _parts(gone):
            connection.command(f"STORE {part} +FLAGS.SILENT (\\Deleted)")
        if gone:
            connection.command("EXPUNGE")
        connection.command("CLOSE")
        connection.append(folder, new)


def touch_folders(mailbox: Mailbox, folders: int, work: Work, *, turn: int) -> tuple[str, ...]:
    """Do *work* in each of so many *folders*, spread over the mailbox; return which."""
    step = len(mailbox.folders) // folders
    chosen = mailbox.folders[::step][:folders]
    mail = _new_mail(folders * work.new, turn, small=True)
    for name in chosen:
        _do(mailbox, work, turn, name, list(islice(mail, work.new)))
    return chosen


def renumber(mailbox: Mailbox, folder: str, messages: list[CorpusMessage]) -> None:
    """Make *folder* anew with the same *messages*: another UIDVALIDITY, other numbers. Makes it where it is not."""
    with connected(mailbox.account) as connection:
        if connection.command(f'LIST "" {folder}'):
            connection.command(f"DELETE {folder}")
        connection.command(f"CREATE {folder}")
        connection.append(folder, messages)


def _new_mail(count: int, turn: int, *, small: bool) -> Iterator[CorpusMessage]:
    return corpus(count, seed=NEW_SEED + turn, first=NEW_FIRST + turn * count, small=small)


def newest_uid(mailbox: Mailbox) -> int:
    """Return the highest UID of INBOX."""
    with connected(mailbox.account) as connection:
        return _status(connection, "INBOX", "UIDNEXT") - 1


def _status(connection: Connection, folder: str, item: str) -> int:
    (line,) = connection.command(f"STATUS {folder} ({item})")
    return int(line.rpartition(b" ")[2].rstrip(b")\r\n"))


def _parts(numbers: list[int]) -> list[str]:
    """Return sets of so many numbers that a command stays short."""
    return [",".join(map(str, numbers[at : at + 500])) for at in range(0, len(numbers), 500)]
