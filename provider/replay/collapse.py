"""How little has to be sent: pending operations, wishes about flags and places on the server come to a plan. Pure.

One message, one job (``store.mail.operations.net``): a move of a move is one move, an append that was moved is an
append there, what never reached the server and is deleted again is nothing. One folder, one visit; in it flags are
grouped by what is added and removed, copies and moves by where they go. What waits for a folder that is not on the
server yet, or for a message that is not, is left for the next pass.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from store.mail import FolderId, FolderPath, MessageKey, ModSeq, Uid, UidSet, UidValidity
from store.mail.operations import FOLDER_KINDS, Net, Operation, OperationKind, OperationState, Source, net

__all__ = ["FolderFact", "FolderJob", "Job", "Place", "ReplayPlan", "Wish", "chains_of", "plan_replay", "uids_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFact:
    """What replay has to know of a folder. ``name`` empty: it is not on the server yet."""

    id: FolderId
    name: bytes
    path: FolderPath
    epoch: UidValidity | None = None
    mod_seq: ModSeq | None = None
    uid_next: int | None = None
    listed: int = 0
    """Messages that it has on the server, as far as is known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message is on the server."""

    folder_id: FolderId
    epoch: UidValidity
    uid: Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Flags of a message that shall differ from the server's."""

    message: MessageKey
    place: Place
    add: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One message and what is to become of it; *place*: where it (or its origin) is on the server."""

    net: Net
    place: Place | None = None


@dataclass(slots=True)
class FolderJob:
    """All that is to be done in one folder of the server."""

    folder: FolderFact
    marks: dict[tuple[frozenset[str], frozenset[str]], list[Wish]] = field(default_factory=lambda: defaultdict(list))
    """By what is added and what is removed."""
    copies: dict[FolderId, list[Job]] = field(default_factory=lambda: defaultdict(list))
    """By target."""
    moves: dict[FolderId, list[Job]] = field(default_factory=lambda: defaultdict(list))
    deletes: list[Job] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.marks) or any(True for _ in self.jobs())

    def jobs(self) -> Iterable[Job]:
        """Yield everything but flags."""
        for group in (*self.copies.values(), *self.moves.values()):
            yield from group
        yield from self.deletes


@dataclass(slots=True)
class ReplayPlan:
    """What one pass sends. *idle*: jobs that are done without a word; *lost*: their message is gone on the server."""

    folders: list[FolderJob] = field(default_factory=list)
    appends: dict[FolderId, list[Job]] = field(default_factory=lambda: defaultdict(list))
    idle: list[Job] = field(default_factory=list)
    lost: list[Job] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.folders or self.appends or self.idle or self.lost)


def plan_replay(
    operations: Sequence[Operation],
    wishes: Sequence[Wish],
    places: Mapping[MessageKey, Place],
    folders: Mapping[FolderId, FolderFact],
    barred: frozenset[MessageKey] = frozenset(),
) -> ReplayPlan:
    """Plan one pass over *operations* (pending ones of one account, by id).

    *places*: of messages and origins. *barred*: messages that have to wait (their operation is not due, in doubt, held
    or in conflict): nothing that comes later on the same message is sent before it.
    """
    plan = ReplayPlan()
    jobs: dict[FolderId, FolderJob] = {}

    def job_in(folder: FolderId) -> FolderJob:
        if folder not in jobs:
            jobs[folder] = FolderJob(folders[folder])
        return jobs[folder]

    for key, chain in chains_of(operations).items():
        if key in barred or any(one.state is not OperationState.QUEUED for one in chain):
            continue
        _place_job(plan, job_in, net(chain), places, folders)
    # What is copied is marked in the next pass: a copy is to have the marks that its origin had when it was made.
    origins = {one.net.origin for job in jobs.values() for group in job.copies.values() for one in group}
    for wish in wishes:
        known = folders.get(wish.place.folder_id)
        if (
            wish.message not in barred | origins
            and known is not None
            and known.name
            and known.epoch == wish.place.epoch
        ):
            job_in(known.id).marks[wish.add, wish.remove].append(wish)
    plan.folders.extend(jobs.values())
    return plan


def chains_of(operations: Iterable[Operation]) -> dict[MessageKey, list[Operation]]:
    """Return what says where a message is to be, by message, in the order of *operations*."""
    chains: dict[MessageKey, list[Operation]] = defaultdict(list)
    for one in operations:
        if one.message is not None and one.kind not in FOLDER_KINDS | {OperationKind.FLAGS, OperationKind.DOWNLOAD}:
            chains[one.message].append(one)
    return chains


def _place_job(
    plan: ReplayPlan,
    job_in: Callable[[FolderId], FolderJob],
    wanted: Net,
    places: Mapping[MessageKey, Place],
    folders: Mapping[FolderId, FolderFact],
) -> None:
    place = places.get(wanted.origin if wanted.source is Source.ORIGIN and wanted.origin else wanted.message)
    job = Job(net=wanted, place=place)
    if wanted.deleted and wanted.source is not Source.SERVER:
        plan.idle.append(job)
        return
    if wanted.target is None and not wanted.deleted:  # it is back where it was
        (plan.idle if place is not None else plan.lost).append(job)
        return
    if wanted.target is not None:
        target = folders.get(wanted.target)
        if target is None or not target.name:
            return  # not there yet: its creation comes first
    if wanted.source is Source.OCTETS and wanted.target is not None:
        plan.appends[wanted.target].append(job)
    elif place is None or folders[place.folder_id].epoch != place.epoch:
        plan.lost.append(job)  # gone, or its folder is about to be numbered anew
    elif wanted.deleted and place.folder_id != wanted.folder_id:
        plan.lost.append(job)  # gone, or moved there: it is not removed where nobody saw it
    elif wanted.deleted:
        job_in(place.folder_id).deletes.append(job)
    elif wanted.target is not None:
        at = job_in(place.folder_id)
        (at.copies if wanted.source is Source.ORIGIN else at.moves)[wanted.target].append(job)


def uids_of(jobs: Iterable[Job | Wish]) -> UidSet:
    """Return the UIDs at the places of *jobs*."""
    return UidSet(one.place.uid for one in jobs if one.place is not None)
