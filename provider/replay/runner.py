"""One replay on one connection, in the order of RFC 4549: doubts, folders, flags and places, new mail, folders that go.

Invariants: an attempt is durable before its first octet (U4); what the server answered is settled before the next wait;
a refusal costs its own rows only, and rows of other messages go on (U8); nothing is dropped in silence (U9). A pass may
make more work (flags of a copy that has a UID now, a target that had to be created): it is repeated, a few times.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from store import Arrival, StoreError
from store.mail import FolderId, MessageKey, Uid
from store.mail.operations import Operation, OperationId, OperationKind

from ..errors import ErrorKind, SourceError
from ..phases import Phase
from ..sources.base import Notice, Session
from ..sources.writing import (
    Deleted,
    FolderWrite,
    Mark,
    Marked,
    Transfer,
    Transferred,
    Upload,
    WriteEnded,
    WriteOpened,
    WritingSession,
)
from .answers import Answers
from .collapse import FolderFact, FolderJob, Job, ReplayPlan, uids_of
from .context import ReplayContext
from .facts import account_operations, wishes_of
from .guard import too_many_deletions
from .planning import plan_now
from .reconsider import reconsider
from .recover import recover
from .tree import renamed_there, replay_removals, replay_tree
from .uploading import upload_of

__all__ = ["replay"]

PASSES_MAX = 3
UPLOADS_PER_ATTEMPT = 200


def replay(context: ReplayContext, session: Session) -> bool:
    """Send what is pending and due; return True when something was changed on the server.

    Raises what ends the connection, StoreError, Cancelled; what is journaled then is looked at next time.
    """
    pending = account_operations(context)
    wishes = wishes_of(context) if context.contents else []
    if not wishes and all(one.kind is OperationKind.DOWNLOAD for one in pending):
        return False
    if not isinstance(session, WritingSession):
        text = "This account can only be read: what was changed here stays here."
        context.warn(Notice(kind=ErrorKind.COMMAND_REFUSED.value, text=text))
        return False
    try:
        return _Replay(context, session, session).whole()
    except SourceError as error:
        if error.drops_connection:
            raise
        context.tell(error, folder=error.folder)  # whatever it is: mail still comes
        return False


class _Replay:
    """*session* and *writer* are one object, seen as what reads and as what writes."""

    def __init__(self, context: ReplayContext, session: Session, writer: WritingSession) -> None:
        self._context, self._session, self._writer = context, session, writer
        self._answers = Answers(context)

    def whole(self) -> bool:
        context = self._context
        if context.contents:
            recover(context, self._session)
        if context.hierarchy:
            replay_tree(context, self._session, self._writer, self._answers)
        for _ in range(PASSES_MAX if context.contents else 0):
            plan = self._plan()
            if not plan:
                break
            self._answers.again = False
            self._settle_idle(plan)
            self._write(plan.folders)
            for target, jobs in plan.appends.items():
                self._append(target, jobs)
            for missing in self._answers.to_create():
                self._create_again(missing)
            if not self._answers.again:
                break
        if context.hierarchy:
            replay_removals(context, self._writer, self._answers)
        return self._answers.changed

    # -- planning -------------------------------------------------------------------------------------

    def _plan(self) -> ReplayPlan:
        context, answers = self._context, self._answers
        plan, self._facts, ready = plan_now(context, frozenset(answers.deferred))
        plan.lost.clear()  # decided after the download, which may show where they are
        self._hold_masses(plan, ready)
        before = _deleted_by(plan)
        reconsider(context, self._session, plan)
        answers.deferred |= before - _deleted_by(plan)  # gone: the download shows where they are, if anywhere
        return plan

    def _hold_masses(self, plan: ReplayPlan, operations: Sequence[Operation]) -> None:
        approved = {one.id for one in operations if one.approved}
        for job, why in too_many_deletions(plan.folders):
            asked = [id for one in job.deletes for id in one.net.operations if id not in approved]
            if not asked:
                continue
            self._answers.hold(asked, why, job.folder)
            job.deletes.clear()
        plan.folders[:] = [job for job in plan.folders if job]

    def _settle_idle(self, plan: ReplayPlan) -> None:
        if not plan.idle:
            return
        with self._context.store.write("nothing to send", run=self._context.run) as tx:
            for job in plan.idle:
                if job.net.deleted or job.place is None:
                    tx.settle.deleted(job.net.operations)
                    continue
                at = job.place  # it was moved back to where it never left
                back = Arrival(message=job.net.message, folder_id=at.folder_id, epoch=at.epoch, uid=at.uid)
                tx.settle.arrived(job.net.operations, [back])

    # -- folders ----------------------------------------------------------------------------------------

    def _write(self, jobs: Sequence[FolderJob]) -> None:
        if not jobs:
            return
        self._journal(jobs)
        for event in self._writer.write(self._writes([job for job in jobs if job])):
            job = self._job_of[event.write]
            item = self._context.item_of(str(job.folder.path))
            match event:
                case WriteOpened():
                    item.phase(Phase.UPLOAD_TABLE, f"Sending changes of {job.folder.path}")
                case Marked():
                    read = event.mark.add | event.mark.remove == {"\\Seen"}
                    item.phase(Phase.UPLOAD_MESSAGE_READ if read else Phase.UPLOAD_MESSAGE)
                    self._answers.marked(job, event)
                case Transferred():
                    item.phase(Phase.UPLOAD_MESSAGE)
                    self._answers.transferred(job, self._jobs_of[event.transfer], event)
                case Deleted():
                    item.phase(Phase.UPLOAD_MESSAGE_DEL)
                    self._answers.deleted(job, event)
                case WriteEnded():
                    self._answers.ended(job, event)
            self._context.stop.checkpoint()

    def _writes(self, jobs: Sequence[FolderJob]) -> Iterator[FolderWrite]:
        """Yield what each folder is asked; remembers which answer belongs to what."""
        self._job_of: dict[FolderWrite, FolderJob] = {}
        self._jobs_of: dict[Transfer, list[Job]] = {}
        for job in jobs:
            folder = job.folder
            if folder.epoch is None:
                continue
            transfers = []
            for groups, move in ((job.copies, False), (job.moves, True)):
                for target, several in groups.items():
                    for once in _each_once(several):
                        transfer = Transfer(uids=uids_of(once), target=self._facts[target].name, move=move)
                        self._jobs_of[transfer] = once
                        transfers.append(transfer)
            write = FolderWrite(
                name=folder.name,
                epoch=folder.epoch,
                unchanged_since=folder.mod_seq,
                marks=tuple(Mark(uids=uids_of(w), add=add, remove=remove) for (add, remove), w in job.marks.items()),
                transfers=tuple(transfers),
                deletes=uids_of(job.deletes),
            )
            self._job_of[write] = job
            yield write

    def _journal(self, jobs: Iterable[FolderJob]) -> None:
        """Write down what is about to be moved, copied and removed, before it is; what a person took back in the last
        moment is left out.
        """
        jobs = list(jobs)
        by_target: dict[FolderId, list[OperationId]] = {}
        for job in jobs:
            for groups in (job.copies, job.moves):
                for target, several in groups.items():
                    by_target.setdefault(target, []).extend(_rows(several))
        taken = self._attempt(by_target, [id for job in jobs for id in _rows(job.deletes)])
        for job in jobs:
            for several in (*job.copies.values(), *job.moves.values(), job.deletes):
                several[:] = [one for one in several if taken.issuperset(one.net.operations)]

    def _attempt(
        self, by_target: dict[FolderId, list[OperationId]], deletes: Sequence[OperationId] = ()
    ) -> frozenset[OperationId]:
        """Journal durably; return what was, and may be sent."""
        if not by_target and not deletes:
            return frozenset()
        facts = self._facts
        unknown = [facts[target].name for target in by_target if facts[target].uid_next is None]
        told = self._writer.statuses(unknown) if unknown else {}
        with self._context.store.write("attempt", run=self._context.run, durable=True) as tx:
            taken = tx.settle.attempt(deletes, None, None)
            for target, ids in by_target.items():
                fact = facts[target]
                status = told.get(fact.name)
                epoch, uid_next = (
                    (fact.epoch, fact.uid_next) if status is None else (status.uid_validity, status.uid_next)
                )
                taken |= tx.settle.attempt(ids, epoch, uid_next)
        return taken

    # -- new mail ---------------------------------------------------------------------------------------

    def _append(self, target: FolderId, jobs: Sequence[Job]) -> None:
        fact = self._facts[target]
        item = self._context.item_of(str(fact.path))
        for at in range(0, len(jobs), UPLOADS_PER_ATTEMPT):
            self._context.stop.checkpoint()
            if target in self._answers.full:
                self._answers.no_room(fact, jobs[at:])
                return
            item.phase(Phase.UPLOAD_MESSAGE, f"Uploading to {fact.path}: {at:,} of {len(jobs):,}")
            page = jobs[at : at + UPLOADS_PER_ATTEMPT]
            job_of = self._uploads(fact, page)
            if not job_of:
                continue
            taken = self._attempt({target: _rows(job_of.values())})
            uploads = tuple(upload for upload, job in job_of.items() if taken.issuperset(job.net.operations))
            for told in self._writer.append(fact.name, uploads) if uploads else ():
                self._answers.appended(fact, job_of[told.upload], told)
            self._answers.flush()

    def _uploads(self, target: FolderFact, jobs: Sequence[Job]) -> dict[Upload, Job]:
        """Return what can be sent; a message that was taken back meanwhile, or is damaged here, is left out."""
        found: dict[Upload, Job] = {}
        for job in jobs:
            try:
                found[upload_of(self._context.store, job.net.message)] = job
            except StoreError as error:
                self._answers.unreadable(target, job, error)
        return found

    def _create_again(self, target: FolderFact) -> None:
        """The server says that a folder is not there, and that it may be created: unless somebody renamed it."""
        with self._context.store.read() as view:
            object_id = view.folder(target.id).object_id
        found = renamed_there(self._session, self._facts[target.id], object_id)
        if found is not None and found.name != target.name:
            self._answers.renamed_there(target)
            return
        if found is not None:
            self._answers.is_there(target)
            return
        parent = next((f.name for f in self._facts.values() if f.path == target.path.parent), None)
        try:
            name = self._writer.create(target.path, parent=parent)
        except SourceError as error:
            if error.drops_connection:
                raise
            self._answers.target_refused(target, error)
        else:
            self._answers.created_again(target, name)


def _deleted_by(plan: ReplayPlan) -> set[MessageKey]:
    return {one.net.message for job in plan.folders for one in job.deletes}


def _rows(jobs: Iterable[Job]) -> list[OperationId]:
    return [id for one in jobs for id in one.net.operations]


def _each_once(jobs: Sequence[Job]) -> list[list[Job]]:
    """Return *jobs* in groups in which no place comes twice: two copies of one message are two commands."""
    groups: list[list[Job]] = []
    met: Counter[Uid] = Counter()
    for job in jobs:
        assert job.place is not None
        if met[job.place.uid] == len(groups):
            groups.append([])
        groups[met[job.place.uid]].append(job)
        met[job.place.uid] += 1
    return groups
