"""Copies and moves: MOVE where announced, else COPY, \\Deleted and UID EXPUNGE, each step only behind a confirmed one.

Room: sources/imap. RFC 6851, RFC 4315. Rules:

- A source message is marked as deleted only after the server said that its copy is there.
- Who is left, and who is gone, is seen and not believed: a MOVE that was refused may have moved some, one that was
  accepted may have left some. Where the EXPUNGE or VANISHED answers do not account for all, a search does. It never
  rides behind the removal itself: Dovecot 2.3 searches before it has removed.
- COPYUID counts only where its two sets are ascending, of one length, and the sources are some of those asked for.
- Without UIDPLUS nobody is expunged: what cannot be removed alone stays marked, and is told as *lingering*.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from store.mail import Uid, UidSet, UidValidity

from ...errors import IncompleteAnswer, SourceError, printable
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
    """Return epoch and places by COPYUID, tagged or not; None where it did not come, or cannot be believed.

    *told* may hold those of other commands: they name other sources.
    """
    found: list[tuple[UidValidity, dict[Uid, Uid]]] = []
    for status in told:
        words = status.argument.split()
        if status.code != b"COPYUID" or len(words) != 3:
            continue
        epoch = translate.uid_validity(words[0])
        sources, targets = in_order(words[1], len(asked)), in_order(words[2], len(asked))
        if epoch is None or sources is None or targets is None or len(sources) != len(targets):
            continue
        if all(uid in asked for uid in sources):
            found.append((epoch, dict(zip(sources, targets, strict=True))))
    return found[0] if found and all(one == found[0] for one in found) else None


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
    """Messages that are marked as deleted, and removed where that can be done to them alone.

    Without *expunge* they stay; then *before* asks who is there at all.
    """

    desk: Desk
    uids: UidSet
    store: Command
    expunge: Command | None
    before: Command | None

    @classmethod
    def of(cls, desk: Desk, uids: UidSet) -> "list[Removal]":
        """Return the removal of *uids*, in parts that fit a command."""
        removals = []
        for part in uids.split(SET_OCTETS):
            spelled = str(part).encode()
            store = Command((b"UID STORE", spelled, b"+FLAGS.SILENT", b"(\\Deleted)"))
            expunge = Command((b"UID EXPUNGE", spelled)) if desk.abilities.can("UIDPLUS") else None
            removals.append(cls(desk, part, store, expunge, desk.search(part) if expunge is None else None))
        return removals

    @property
    def commands(self) -> list[Command]:
        return [command for command in (self.before, self.store, self.expunge) if command is not None]

    def expect(self, heard: Heard) -> None:
        """Note what the answers have to account for."""
        if self.expunge is not None:
            heard.expect(self.uids, len(self.uids))

    def marks(self, heard: Heard) -> bool:
        """Tell whether those that are still there are marked."""
        return heard.endings[self.store].ok

    def remaining(self, heard: Heard) -> tuple[UidSet, SourceError | None]:
        """Return who is still there, and why. Raises IncompleteAnswer where that cannot be told."""
        found = None if self.before is None else heard.found.get(self.before)
        if self.expunge is not None and heard.endings[self.expunge].ok and heard.shows_gone(self.uids):
            found = UidSet()
        there = (self.desk.existing(self.uids) if found is None else found) & self.uids
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


@dataclass(slots=True, eq=False)
class _Part:
    """A part of a transfer that fits a command. *before* asks who is there, where nothing else will tell."""

    uids: UidSet
    command: Command
    moves: bool
    before: Command | None
    told: tuple[UidValidity, dict[Uid, Uid]] | None = None

    @property
    def commands(self) -> list[Command]:
        return [*([self.before] if self.before else []), self.command]

    def hear(self, heard: Heard) -> None:
        """Take COPYUID, and note what the answers have to account for."""
        self.told = copied([heard.endings[self.command], *heard.codes], self.uids)
        if self.moves:
            before = None if self.before is None else heard.found.get(self.before)
            removed = self.told[1] if self.told is not None else self.uids if before is None else before
            heard.expect(self.uids, len(removed))


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

    def hear(self, heard: Heard) -> None:
        """Take what was told, before anything of the same run is judged."""
        for job in self._jobs:
            for part in job.parts:
                part.hear(heard)

    def settle(self, heard: Heard, *, last: bool) -> Iterator[Transferred]:
        """Yield how each transfer ended; removes at the source what was copied and had to be moved."""
        for job in self._jobs:
            for part in job.parts:
                self._judge(job, part, heard)
        removals = [(job, removal) for job in self._jobs for removal in Removal.of(self._desk, job.doomed)]
        if removals:
            commands = [command for _, removal in removals for command in removal.commands]
            second = self._desk.run(commands, last=last)
            for _, removal in removals:
                removal.expect(second)
            self._desk.report_excess(second)
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
            asks = not moves or not abilities.can("UIDPLUS")
            yield _Part(
                uids=uids,
                command=Command((verb, str(uids).encode(), String(transfer.target)), len(uids) * 10),
                moves=moves,
                before=self._desk.search(uids) if asks else None,
            )

    def _judge(self, job: _Job, part: _Part, heard: Heard) -> None:
        status, told = heard.endings[part.command], part.told
        if told is not None and job.epoch not in (None, told[0]):
            told = None  # one folder has one epoch: one of them is wrong
        places = told[1] if told is not None else {}
        placed = UidSet(places)
        there = self._there(part, heard, placed, told=told is not None)
        missing = part.uids - there - placed
        if part.moves:
            unplaced = self._moved(part, missing, heard, told=told is not None)
        else:
            unplaced = there if status.ok and told is None else UidSet()
        left = there - placed - unplaced
        job.epoch = told[0] if told is not None else job.epoch
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

    def _there(self, part: _Part, heard: Heard, placed: UidSet, *, told: bool) -> UidSet:
        """Return who of *part* is (still) in the folder; asks where the answers do not tell."""
        if not part.moves:
            found = None if part.before is None else heard.found.get(part.before)
            return (self._desk.existing(part.uids) if found is None else found) & part.uids
        doubtful = part.uids
        if heard.endings[part.command].ok and heard.shows_gone(placed if told else part.uids):
            doubtful = part.uids - placed if told else UidSet()
        return self._desk.existing(doubtful) if doubtful else doubtful

    @staticmethod
    def _moved(part: _Part, missing: UidSet, heard: Heard, *, told: bool) -> UidSet:
        """Return who of the *missing* was moved, though nobody said where to."""
        before = None if part.before is None else heard.found.get(part.before)
        if before is not None:
            return missing & before
        if heard.endings[part.command].ok and told:
            return UidSet()
        # An OK without COPYUID and without a message that went: there was none to move (RFC 6851 §3.3, RFC 4315 §3).
        return missing if heard.expunges else missing & heard.vanished
