"""Copies and moves: MOVE where announced, else COPY, \\Deleted and UID EXPUNGE, each step only behind a confirmed one.

Room: sources/imap. RFC 6851, RFC 4315. Rules:

- A source message is marked as deleted only after the server said that its copy is there.
- Behind each command rides a search for its UIDs: who is left, and who is gone, is seen, not believed. A MOVE that was
  refused may have moved some, one that was accepted may have left some: both are judged message by message.
- COPYUID counts only where its two sets are ascending, of one length, and the sources are some of those asked for.
- Without UIDPLUS nobody is expunged: what cannot be removed alone stays marked, and is told as *lingering*.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from store.mail import Uid, UidSet, UidValidity

from ...errors import ErrorKind, IncompleteAnswer, SourceError, printable
from ..base import Notice
from ..writing import FolderWrite, Transfer, Transferred
from . import translate
from .commands import Command, String
from .desk import Desk, Heard
from .grammar import UID_LAST, Status
from .marking import refused
from .searching import SET_OCTETS

__all__ = ["Removal", "Transferring", "copied", "in_order", "rounds"]


def in_order(octets: bytes, most: int) -> list[Uid] | None:
    """Return the UIDs that a set spells, which must be ascending and no more than *most*; None: it is none of that.

    >>> in_order(b"3,5:7", 9), in_order(b"7:5", 9), in_order(b"2,1", 9), in_order(b"0", 9)
    ([3, 5, 6, 7], None, None, None)
    """
    uids: list[Uid] = []
    for item in octets.split(b","):
        low, colon, high = item.partition(b":")
        first = translate.number(low, UID_LAST)
        last = translate.number(high, UID_LAST) if colon else first
        if not first or not last or last < first or (uids and first <= uids[-1]) or last - first + len(uids) >= most:
            return None
        uids.extend(map(Uid, range(first, last + 1)))
    return uids


def copied(told: Iterable[Status], asked: UidSet) -> tuple[UidValidity, dict[Uid, Uid]] | None:
    """Return epoch and places by COPYUID, tagged or not; None where it did not come, or cannot be believed."""
    for status in told:
        words = status.argument.split()
        if status.code != b"COPYUID" or len(words) != 3:
            continue
        epoch = translate.uid_validity(words[0])
        sources, targets = in_order(words[1], len(asked)), in_order(words[2], len(asked))
        if epoch is None or sources is None or targets is None or len(sources) != len(targets):
            return None
        return (epoch, dict(zip(sources, targets, strict=True))) if all(uid in asked for uid in sources) else None
    return None


def rounds(transfers: Sequence[Transfer]) -> list[list[Transfer]]:
    """Return *transfers* in order, in groups in which no message comes twice: each waits for what was before it."""
    groups: list[list[Transfer]] = []
    inside = UidSet()
    for transfer in transfers:
        if not groups or inside & transfer.uids:
            groups.append([])
            inside = UidSet()
        groups[-1].append(transfer)
        inside |= transfer.uids
    return groups


@dataclass(slots=True, eq=False)
class Removal:
    """Messages that are marked as deleted, and removed where that can be done to them alone."""

    desk: Desk
    uids: UidSet
    store: Command
    expunge: Command | None
    search: Command

    @classmethod
    def of(cls, desk: Desk, uids: UidSet) -> "list[Removal]":
        """Return the removal of *uids*, in parts that fit a command."""
        removals = []
        for part in uids.split(SET_OCTETS):
            spelled = str(part).encode()
            store = Command((b"UID STORE", spelled, b"+FLAGS.SILENT", b"(\\Deleted)"))
            expunge = Command((b"UID EXPUNGE", spelled)) if desk.abilities.can("UIDPLUS") else None
            removals.append(cls(desk, part, store, expunge, desk.search(part)))
        return removals

    @property
    def commands(self) -> list[Command]:
        return [self.store, *([self.expunge] if self.expunge else []), self.search]

    def remaining(self, heard: Heard) -> tuple[UidSet, SourceError | None]:
        """Return who is still there, and why. Raises IncompleteAnswer where that cannot be told."""
        found = heard.found.get(self.search)
        there = (self.desk.existing(self.uids) if found is None else found) & self.uids
        if self.expunge is not None:
            report_excess(self.desk, heard, self.expunge, self.uids)
        if not there:
            return there, None
        folder = self.desk.view.name
        for command in (self.store, self.expunge):
            if command is not None and not heard.endings[command].ok:
                return there, refused(heard.endings[command], "The server refused to delete a message.", folder)
        if self.expunge is None:
            return there, None
        text = "The server says that it removed a message which is still there."
        return there, IncompleteAnswer(text, folder=printable(folder))


def report_excess(desk: Desk, heard: Heard, command: Command, asked: UidSet) -> None:
    """Tell when more went away than *asked*: others may have removed it at the same moment, or the server erred."""
    strange = heard.vanished.get(command, UidSet()) - asked
    if strange or heard.shrank(command) > len(asked):
        desk.notice(
            Notice(
                kind=ErrorKind.MESSAGE_MISSING.value,
                text="While messages were removed from a folder, more went away than were to be removed.",
                folder=printable(desk.view.name),
            )
        )


@dataclass(slots=True, eq=False)
class _Part:
    """A part of a transfer that fits a command."""

    uids: UidSet
    command: Command
    before: Command | None
    after: Command

    @property
    def commands(self) -> list[Command]:
        return [*([self.before] if self.before else []), self.command, self.after]


@dataclass(slots=True, eq=False)
class _Job:
    """One transfer on its way."""

    transfer: Transfer
    parts: list[_Part]
    epoch: UidValidity | None = None
    places: dict[Uid, Uid] = field(default_factory=dict)
    unplaced: UidSet = field(default_factory=UidSet)
    gone: UidSet = field(default_factory=UidSet)
    left: UidSet = field(default_factory=UidSet)
    lingering: UidSet = field(default_factory=UidSet)
    doomed: UidSet = field(default_factory=UidSet)
    """Of a move: copied, and still there."""
    error: SourceError | None = None


class Transferring:
    """Transfers of one folder, in which no message comes twice."""

    def __init__(self, desk: Desk, write: FolderWrite, transfers: Sequence[Transfer]) -> None:
        self._desk = desk
        self._write = write
        self._jobs = [_Job(transfer, list(self._parts(transfer))) for transfer in transfers]

    @property
    def by_ladder(self) -> bool:
        """Whether something is moved without MOVE: then more has to be said behind the copies."""
        return any(job.transfer.move for job in self._jobs) and not self._desk.abilities.can("MOVE")

    def commands(self) -> list[Command]:
        """Return what goes out first."""
        return [command for job in self._jobs for part in job.parts for command in part.commands]

    def settle(self, heard: Heard, *, last: bool) -> Iterator[Transferred]:
        """Yield how each transfer ended; removes at the source what was copied and had to be moved."""
        for job in self._jobs:
            for part in job.parts:
                self._judge(job, part, heard)
        removals = [(job, removal) for job in self._jobs for removal in Removal.of(self._desk, job.doomed)]
        if removals:
            commands = [command for _, removal in removals for command in removal.commands]
            second = self._desk.run(commands, last=last)
            for job, removal in removals:
                there, error = removal.remaining(second)
                job.lingering |= there
                job.error = job.error or error
        for job in self._jobs:
            yield Transferred(
                write=self._write,
                transfer=job.transfer,
                epoch=job.epoch,
                places=job.places,
                unplaced=job.unplaced,
                gone=job.gone,
                left=job.left,
                lingering=job.lingering,
                error=job.error,
            )

    def fail(self, error: SourceError) -> Iterator[Transferred]:
        """Yield that nothing is known of any transfer beyond what is told already."""
        for job in self._jobs:
            done = UidSet(job.places) | job.unplaced | job.gone
            yield Transferred(
                write=self._write,
                transfer=job.transfer,
                epoch=job.epoch,
                places=job.places,
                unplaced=job.unplaced,
                gone=job.gone,
                left=job.transfer.uids - done,
                lingering=job.doomed,
                error=error,
            )

    def _parts(self, transfer: Transfer) -> Iterator[_Part]:
        abilities = self._desk.abilities
        moves = transfer.move and abilities.can("MOVE")
        for uids in transfer.uids.split(max(200, SET_OCTETS - 2 * len(transfer.target))):
            verb = b"UID MOVE" if moves else b"UID COPY"
            yield _Part(
                uids=uids,
                command=Command((verb, str(uids).encode(), String(transfer.target)), len(uids) * 10),
                before=self._desk.search(uids) if moves and not abilities.can("UIDPLUS") else None,
                after=self._desk.search(uids),
            )

    def _judge(self, job: _Job, part: _Part, heard: Heard) -> None:
        status = heard.endings[part.command]
        told = copied([status, *heard.codes.get(part.command, ())], part.uids)
        epoch, places = told if told is not None else (None, {})
        if job.epoch is not None and epoch is not None and job.epoch != epoch:
            told, epoch, places = None, None, {}  # one folder has one epoch: one of them is wrong
        found = heard.found.get(part.after)
        there = (self._desk.existing(part.uids) if found is None else found) & part.uids
        placed = UidSet(places)
        missing = part.uids - there - placed
        moves = part.command.pieces[0] == b"UID MOVE"
        if moves:
            unplaced = self._moved(part, missing, heard, told_places=told is not None)
            report_excess(self._desk, heard, part.command, part.uids)
        else:
            unplaced = there if status.ok and told is None else UidSet()
        left = there - placed - unplaced
        job.epoch = epoch or job.epoch
        job.places |= places
        job.unplaced |= unplaced
        job.gone |= missing - unplaced
        job.left |= left
        if job.transfer.move:
            job.doomed |= there & (placed | unplaced)
        if left and job.error is None:
            folder = self._write.name
            job.error = (
                IncompleteAnswer("The server did only a part of what it said it did.", folder=printable(folder))
                if status.ok
                else refused(status, "The server refused to copy or move a message.", folder)
            )

    @staticmethod
    def _moved(part: _Part, missing: UidSet, heard: Heard, *, told_places: bool) -> UidSet:
        """Return who of the *missing* was moved, though nobody said where to."""
        before = None if part.before is None else heard.found.get(part.before)
        if before is not None:
            return missing & before
        if heard.endings[part.command].ok:
            return UidSet() if told_places else missing
        return missing if heard.shrank(part.command) else UidSet()
