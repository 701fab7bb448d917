"""Flags, changed by what is added and removed, never set as a whole: another client's flag is not ours to clear.

Room: sources/imap. STORE ``.SILENT``, and one FETCH of flags behind all of them in the same flight: that tells the
flags of messages too of which nothing changed (servers are silent about them), and which are not there. Rules:

- UNCHANGEDSINCE only names those that others changed meanwhile (RFC 7162 §3.1.3); they are stored again without it,
  which merges flag by flag. What a STORE of ours has touched already is stored without it at once.
- What is copied or moved in the same visit is stored without it as well: there is no second chance before it goes.
- What counts is what the FETCH shows, not how a STORE ended: a refusal for the sake of a message that is gone costs
  nobody else his flag.
- A message without an answer is gone only when a search says so too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from store.mail import ModSeq, Uid, UidSet

from ...errors import CommandRefused, SourceError, printable
from ..writing import FolderWrite, Mark, Marked
from . import grammar
from .commands import Command
from .desk import Desk, Heard
from .fetching import flag_commands
from .flagnames import flag_lists, keeps, lacks, shows, spellable
from .grammar import Status

__all__ = ["Marking", "refused", "stores"]

_SET_OCTETS = 5_500
"""Beside a list of flags there is less room for UIDs."""


def refused(status: Status, text: str, folder: bytes) -> CommandRefused:
    """Return the error of a step that the server refused."""
    return CommandRefused(
        text,
        folder=printable(folder),
        response_code=status.code.decode("ascii", "replace") or None,
        server_text=status.text,
    )


def stores(uids: UidSet, *, add: Iterable[str], remove: Iterable[str], since: ModSeq | None = None) -> list[Command]:
    """Return the STOREs that change flags of *uids*; *since*: only of those that did not change after it."""
    commands = []
    for part in uids.split(_SET_OCTETS):
        condition = [b"(UNCHANGEDSINCE %d)" % since] if since is not None else []
        for action, flags in ((b"+FLAGS.SILENT", add), (b"-FLAGS.SILENT", remove)):
            for names in flag_lists(flags):
                commands.append(Command((b"UID STORE", str(part).encode(), *condition, action, names)))
                condition = []  # from here on they changed: by us
    return commands


@dataclass(slots=True, eq=False)
class _Job:
    """One mark on its way."""

    mark: Mark
    add: frozenset[str]
    remove: frozenset[str]
    lost: frozenset[str]
    error: SourceError | None = None
    stores: list[Command] = field(default_factory=list)
    changed: UidSet = field(default_factory=UidSet)

    def hear(self, heard: Heard) -> Status | None:
        """Take how the STOREs ended; return a refusal."""
        refusal = None
        for command in self.stores:
            status = heard.endings[command]
            if status.code == b"MODIFIED":
                self.changed |= grammar.uid_ranges(status.argument) & self.mark.uids
            elif not status.ok:
                refusal = status
        return refusal


class Marking:
    """All marks of one folder."""

    def __init__(self, desk: Desk, write: FolderWrite) -> None:
        self._desk = desk
        self._write = write
        self._jobs = [self._job(mark) for mark in write.marks]
        self._uids = UidSet.of_ranges(pair for mark in write.marks for pair in mark.uids.ranges)

    def commands(self) -> list[Command]:
        """Return what goes out first."""
        view = self._desk.view
        since = self._write.unchanged_since if self._desk.abilities.condstore and view.mod_seq is not None else None
        touched = UidSet.of_ranges(pair for transfer in self._write.transfers for pair in transfer.uids.ranges)
        for job in self._jobs:
            fresh, again = job.mark.uids - touched, job.mark.uids & touched
            job.stores = stores(fresh, add=job.add, remove=job.remove, since=since)
            job.stores += stores(again, add=job.add, remove=job.remove)
            if job.stores:
                touched |= job.mark.uids
        return [*(command for job in self._jobs for command in job.stores), *flag_commands(self._uids)]

    def settle(self, heard: Heard, *, last: bool) -> Iterator[Marked]:
        """Yield how each mark ended; asks again where the answers leave something open."""
        told: dict[Uid, frozenset[str]] = dict(heard.flags)
        refusals = {job: job.hear(heard) for job in self._jobs}
        missing = self._uids - UidSet(told)
        there = self._desk.existing(missing) if missing else missing
        gone = missing - there
        again = {job: self._again(job, refusals[job], told, gone) for job in self._jobs}
        doubtful = UidSet.of_ranges(pair for job in self._jobs for pair in self._strange(job, told).ranges)
        if there or doubtful or any(again.values()):
            open_ = [there, doubtful, *again.values()]
            repeated = UidSet.of_ranges(pair for uids in open_ for pair in uids.ranges)
            for job, uids in again.items():
                job.stores = stores(uids, add=job.add, remove=job.remove)
            commands = [command for job in self._jobs for command in job.stores]
            second = self._desk.run([*commands, *flag_commands(repeated)], last=last)
            told.update(second.flags)
            for job, uids in again.items():
                refusals[job] = job.hear(second) if uids else refusals[job]
        for job in self._jobs:
            yield self._marked(job, refusals[job], told, gone)

    def fail(self, error: SourceError) -> Iterator[Marked]:
        """Yield that nothing is known of any mark."""
        for job in self._jobs:
            yield Marked(write=self._write, mark=job.mark, lost=job.lost, error=job.error or error)

    def _job(self, mark: Mark) -> _Job:
        view = self._desk.view
        kept = frozenset(
            flag
            for flag in mark.add
            if spellable(flag) and keeps(flag, view.permanent_flags, new_keywords=view.new_keywords)
        )
        removable = frozenset(flag for flag in mark.remove if spellable(flag))
        error = None
        if removable != mark.remove:
            error = CommandRefused("IMAP cannot spell the name of a flag.", folder=printable(self._write.name))
        return _Job(mark=mark, add=kept, remove=removable, lost=mark.add - kept, error=error)

    def _again(self, job: _Job, refusal: Status | None, told: dict[Uid, frozenset[str]], gone: UidSet) -> UidSet:
        """Return whom to store again: those that others changed, and those that a message that is gone held up."""
        uids = job.changed - gone
        if refusal is not None and job.mark.uids & gone:
            uids |= self._strange(job, told)
        return uids

    def _strange(self, job: _Job, told: dict[Uid, frozenset[str]]) -> UidSet:
        """Return whose flags are not as they should be now: they are read once more before anybody complains."""
        return UidSet(uid for uid in job.mark.uids if uid in told and self._lacks(job, told[uid]))

    @staticmethod
    def _lacks(job: _Job, flags: frozenset[str]) -> bool:
        return lacks(flags, add=job.add, remove=job.remove)

    def _marked(self, job: _Job, refusal: Status | None, told: dict[Uid, frozenset[str]], gone: UidSet) -> Marked:
        flags = {uid: told[uid] for uid in job.mark.uids if uid in told}
        error, lost = job.error, job.lost
        if refusal is not None and any(self._lacks(job, one) for one in flags.values()):
            error = refused(refusal, "The server refused to change the flags of a message.", self._write.name)
        elif flags:
            lost |= {flag for flag in job.add if not any(shows(one, flag) for one in flags.values())}
        return Marked(
            write=self._write,
            mark=job.mark,
            flags=flags,
            changed_elsewhere=job.changed - gone,
            gone=job.mark.uids & gone,
            lost=lost,
            error=error,
        )
