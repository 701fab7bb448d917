"""What happens on the server between two synchronizations: mail comes, is read, goes away, is numbered anew.

Room: tests/bench. The work of another client of the same mailbox, on a bare connection; deterministic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .corpus import CorpusMessage, corpus
from .mailserver import Connection, Mailbox, connected

__all__ = ["Work", "do", "renumber", "touch_folders"]

NEW_SEED = 7
_NUMBER = re.compile(rb"(MESSAGES|UIDNEXT) (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """So many messages come, change a flag, go away for good."""

    new: int
    flagged: int
    expunged: int

    @property
    def more(self) -> int:
        """By how many messages the folder grows."""
        return self.new - self.expunged


def do(mailbox: Mailbox, work: Work, *, turn: int, small: bool = False, folder: str = "INBOX") -> None:
    """Do *work* in *folder*. Each *turn* takes other messages; more turns than the folder has room for fail."""
    with connected(mailbox.account) as connection:
        known = _counts(connection, folder)
        messages = known[b"MESSAGES"]
        step = messages // (work.flagged + work.expunged + 1)
        if step < 1:
            raise RuntimeError(f"{folder} is too small for this work")
        numbers = [1 + turn % step + step * number for number in range(work.flagged + work.expunged)]
        share = max(1, len(numbers) // work.expunged) if work.expunged else len(numbers) + 1
        gone = numbers[::share][: work.expunged]
        kept = sorted(set(numbers) - set(gone))[: work.flagged]
        connection.command(f"SELECT {folder}")
        sign = "+" if turn % 2 == 0 else "-"
        for part in _parts(kept):
            connection.command(f"STORE {part} {sign}FLAGS.SILENT ($Bench{turn // 2})")
        for part in _parts(gone):
            connection.command(f"STORE {part} +FLAGS.SILENT (\\Deleted)")
        if gone:
            connection.command("EXPUNGE")
        connection.command("CLOSE")
        connection.append(folder, _later(work.new, seed=NEW_SEED + turn, first=known[b"UIDNEXT"], small=small))


def touch_folders(mailbox: Mailbox, folders: int, work: Work, *, turn: int) -> tuple[str, ...]:
    """Do *work* in each of so many *folders*, spread over the mailbox; return which."""
    step = len(mailbox.folders) // folders
    chosen = mailbox.folders[::step][:folders]
    for name in chosen:
        do(mailbox, work, turn=turn, folder=name)
    return chosen


def renumber(mailbox: Mailbox, folder: str, messages: list[CorpusMessage]) -> None:
    """Make *folder* anew with the same *messages*: another UIDVALIDITY, other numbers. Makes it where it is not."""
    with connected(mailbox.account) as connection:
        if connection.command(f'LIST "" {folder}'):
            connection.command(f"DELETE {folder}")
        connection.command(f"CREATE {folder}")
        connection.append(folder, messages)


def _later(count: int, *, seed: int, first: int, small: bool) -> list[CorpusMessage]:
    return list(corpus(count, seed=seed, first=first, small=small))


def _counts(connection: Connection, folder: str) -> dict[bytes, int]:
    lines = connection.command(f"STATUS {folder} (MESSAGES UIDNEXT)")
    return {name: int(number) for line in lines for name, number in _NUMBER.findall(line)}


def _parts(numbers: list[int]) -> list[str]:
    """Return sets of so many numbers that a command stays short."""
    return [",".join(map(str, numbers[at : at + 500])) for at in range(0, len(numbers), 500)]
