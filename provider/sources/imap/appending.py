"""Messages added to a folder: APPEND back to back, several in one command where the server takes that.

Room: sources/imap. RFC 9051 §6.3.12, RFC 7888, RFC 3502 (MULTIAPPEND), RFC 4315 (APPENDUID), RFC 7889. Rules:

- No more than 64 commands are unanswered; they are made when their turn comes, so that nothing is held.
- What cannot be sent (NUL, a wrong count of octets) or is too large by APPENDLIMIT is refused before anything of it is.
- A refused MULTIAPPEND has added nothing (RFC 3502 §6.3.11): its messages are sent one by one, unless the refusal is
  about the folder.
- APPENDUID counts only where its numbers are as many as messages, and grow; else the message is there, nobody knows
  where.
- A line that breaks in the middle of all that leaves in doubt what arrived: who asked must look.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from store.mail import Uid, UidValidity

from ...errors import CommandRefused, SourceError, printable
from ..writing import Appended, Upload
from . import translate
from .answers import Completion
from .busy import refuse_step_if_busy
from .commands import Command, Streamed, String
from .flagnames import flag_lists, keeps, spellable
from .grammar import Status
from .listing import Abilities
from .marking import refused
from .transferring import in_order
from .wire import Wire

__all__ = ["append", "spelled_date"]

_COMMANDS_AHEAD = 64
_BATCH_OCTETS = 1_000_000
_BATCH_MESSAGES = 40
_AHEAD_OCTETS = 2**50
"""Answers to APPEND are tiny: what is expected in time (``Pace``) is what is sent, and needs no room here."""
_ABOUT_THE_FOLDER = frozenset({b"TRYCREATE", b"NONEXISTENT", b"NOPERM", b"READ-ONLY"})
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def spelled_date(date: datetime) -> bytes:
    """Return *date* as IMAP spells it (RFC 9051 §9, date-time).

    >>> from datetime import timedelta, timezone
    >>> spelled_date(datetime(2021, 2, 7, 1, 2, 3, tzinfo=timezone(-timedelta(hours=3, minutes=30))))
    b'" 7-Feb-2021 01:02:03 -0330"'
    """
    aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    offset = aware.utcoffset()
    minutes = 0 if offset is None else round(offset.total_seconds() / 60)
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    day = f"{aware.day:2}-{_MONTHS[aware.month - 1]}-{aware.year:04}"
    return f'"{day} {aware.hour:02}:{aware.minute:02}:{aware.second:02} {zone}"'.encode("ascii")


@dataclass(slots=True, eq=False)
class _Uploads:
    """Uploads on their way, by their place in the order."""

    abilities: Abilities
    target: bytes
    uploads: Sequence[Upload]
    waiting: deque[int]
    singly: set[int] = field(default_factory=set)
    under_way: dict[Command, list[int]] = field(default_factory=dict)
    done: dict[int, Appended] = field(default_factory=dict)
    epoch: UidValidity | None = None
    told: Uid = Uid(0)
    """The highest number that was told for a message of ours."""

    def next(self) -> Command | None:
        """Return the next command, None when nothing is left."""
        batch: list[int] = []
        octets = 0
        while self.waiting:
            at = self.waiting[0]
            upload = self.uploads[at]
            together = self.abilities.can("MULTIAPPEND") and at not in self.singly
            if batch and (not together or octets + upload.size > _BATCH_OCTETS or len(batch) >= _BATCH_MESSAGES):
                break
            self.waiting.popleft()
            error = self._refusal(upload)
            if error is not None:
                self.done[at] = Appended(upload=upload, error=error)
                continue
            batch.append(at)
            octets += upload.size
            if not together:
                break
        if not batch:
            return None
        command = self._command(batch)
        self.under_way[command] = batch
        return command

    def complete(self, completion: Completion) -> None:
        """Take how a command ended."""
        batch, status = self.under_way.pop(completion.command), completion.status
        if status.ok:
            epoch, uids = self._places(status, len(batch))
            for at, uid in zip(batch, uids, strict=True):
                self.done[at] = Appended(upload=self.uploads[at], epoch=epoch if uid else None, uid=uid)
            return
        refuse_step_if_busy(status)
        if len(batch) > 1 and status.code not in _ABOUT_THE_FOLDER:
            if status.word == b"BAD":
                self.abilities.demote("MULTIAPPEND")
            self.singly.update(batch)
            self.waiting.extendleft(reversed(batch))
            return
        for at in batch:
            error = refused(status, "The server refused to take a message.", self.target)
            self.done[at] = Appended(upload=self.uploads[at], error=error)

    def _command(self, batch: list[int]) -> Command:
        pieces: list[bytes | String | Streamed] = [b"APPEND", String(self.target)]
        for at in batch:
            upload = self.uploads[at]
            flags = (flag for flag in upload.flags if spellable(flag) and keeps(flag, None, new_keywords=True))
            pieces += list(flag_lists(flags))[:1]
            if upload.internal_date is not None:
                pieces.append(spelled_date(upload.internal_date))
            pieces.append(Streamed(upload.octets, upload.size))
        return Command(tuple(pieces), sum(self.uploads[at].size for at in batch))

    def _refusal(self, upload: Upload) -> SourceError | None:
        folder = printable(self.target)
        limit = next((word[12:] for word in self.abilities.capabilities if word.startswith("APPENDLIMIT=")), "")
        if limit.isascii() and limit.isdigit() and upload.size > int(limit):
            text = f"A message of {upload.size:,} octets is larger than the server takes ({int(limit):,})."
            return CommandRefused(text, folder=folder, response_code="TOOBIG")
        count = 0
        for piece in upload.octets():
            count += len(piece)
            if b"\0" in piece:
                text = "A message with a NUL in it needs a literal8 (RFC 3516), which is not supported."
                return CommandRefused(text, folder=folder, response_code="UNKNOWN-CTE")
        if count != upload.size:
            text = f"A message of {upload.size:,} octets was to be sent, and has {count:,}."
            return CommandRefused(text, folder=folder)
        return None

    def _places(self, status: Status, count: int) -> "tuple[UidValidity | None, Sequence[Uid | None]]":
        nowhere: Sequence[Uid | None] = [None] * count
        words = status.argument.split()
        if status.code != b"APPENDUID" or len(words) != 2:
            return None, nowhere
        epoch, uids = translate.uid_validity(words[0]), in_order(words[1], count)
        if epoch is None or uids is None or len(uids) != count or uids[0] <= self.told:
            return None, nowhere
        if self.epoch not in (None, epoch):
            return None, nowhere
        self.epoch, self.told = epoch, uids[-1]
        return epoch, uids


def append(wire: Wire, abilities: Abilities, target: bytes, uploads: Sequence[Upload]) -> Iterator[Appended]:
    """Add *uploads* to the folder called *target*, and yield how each ended, in order. Raises ServerBusy."""
    work = _Uploads(abilities, target, uploads, deque(range(len(uploads))))
    commands: deque[Command] = deque()
    at = 0

    def top_up() -> None:
        while len(work.under_way) < _COMMANDS_AHEAD and (command := work.next()) is not None:
            commands.append(command)

    top_up()
    for response in wire.converse(commands, ahead_octets=_AHEAD_OCTETS):
        if isinstance(response, Completion):
            work.complete(response)
            top_up()
            while at in work.done:
                yield work.done.pop(at)
                at += 1
    while at in work.done:
        yield work.done.pop(at)
        at += 1
