"""What the server answered, settled: the one place where replay writes what became of operations.

Each event of the session is one short transaction; answers to new mail are gathered, since they come by the hundred.
"""

from collections.abc import Iterable, Sequence

from store import Arrival, FolderState, StoreError, WriteTransaction
from store.mail import FolderId, MessageKey, Uid, UidSet
from store.mail.merge import applied, delta
from store.mail.operations import Operation, OperationId, OperationKind, OperationState

from ..errors import CommandRefused, ErrorKind, ProviderError, SourceError
from ..events import Counts
from ..sources.base import Notice
from ..sources.writing import Appended, Deleted, Marked, Transferred, WriteEnded
from .collapse import FolderFact, FolderJob, Job, uids_of
from .context import ReplayContext
from .facts import account_operations, doubt_counts
from .refusals import TABLE, Ruling, Verdict, ruling

__all__ = ["Answers"]

ANSWERS_PER_COMMIT = 100


class Answers:
    """Settles answers, and remembers what the rest of this replay has to know."""

    def __init__(self, context: ReplayContext) -> None:
        self._context = context
        self.changed = False
        """Something became different on the server."""
        self.again = False
        """Another pass may find something to do."""
        self.deferred: set[MessageKey] = set()
        """Messages left alone until the download has shown where they are."""
        self._to_create: dict[FolderId, FolderFact] = {}
        self._waiting: dict[FolderId, set[MessageKey]] = {}
        """For which folder, that was not there, which messages wait."""
        self._created: set[FolderId] = set()
        self.full: dict[FolderId, SourceError] = {}
        """Targets that take nothing for now."""
        self._came: list[tuple[Job, FolderFact, Appended]] = []

    # -- folders that are open --------------------------------------------------------------------------

    def marked(self, job: FolderJob, told: Marked) -> None:
        """Settle one STORE."""
        context, folder = self._context, job.folder
        wishes = job.marks[told.mark.add, told.mark.remove]
        keys = {wish.place.uid: wish.message for wish in wishes}
        if told.error is not None:
            self._refused(self._flag_rows(keys.values()), folder, told.error)
            return
        assert folder.epoch is not None
        with context.store.write("flags stored", run=context.run) as tx:
            tx.settle.flags(folder.id, folder.epoch, told.flags)
            lost = {keys[uid]: flags for uid, flags in _without_effect(told).items() if uid in keys}
            for flags in set(lost.values()):
                which = ", ".join(sorted(flags))
                reason = f"The server does not let these flags be changed in {folder.path}: {which}."
                tx.settle.unmark([key for key, one in lost.items() if one == flags], flags, reason)
        self.deferred.update(keys[uid] for uid in told.gone if uid in keys)
        self.changed |= bool(told.flags)
        wanted = told.mark.add | told.mark.remove
        done = sum(uid in keys and lost.get(keys[uid]) != wanted for uid in told.flags)
        counts = Counts(read=done) if wanted == {"\\Seen"} else Counts(modified=done)
        context.item_of(str(folder.path)).uploaded(counts)
        if lost:
            text = f"The server does not let some flags be changed in {folder.path}; that was taken back."
            context.warn(Notice(kind=ErrorKind.FLAG_WITHOUT_EFFECT.value, text=text, folder=str(folder.path)))

    def transferred(self, job: FolderJob, jobs: Sequence[Job], told: Transferred) -> None:
        """Settle one copy or move of several messages."""
        context = self._context
        target = jobs[0].net.target
        assert target is not None
        with context.store.write("transferred", run=context.run) as tx:
            if told.lingering:
                doubt_counts(tx, job.folder.id)
            for one in self._at(jobs, UidSet(told.places)):
                assert one.place is not None
                assert told.epoch is not None
                at = Arrival(
                    message=one.net.message, folder_id=target, epoch=told.epoch, uid=told.places[one.place.uid]
                )
                tx.settle.arrived(one.net.operations, [at])
            for one in self._at(jobs, told.unplaced):
                tx.settle.arrived_somewhere(one.net.operations)
            gone = self._at(jobs, told.gone)
            for one in gone:
                tx.settle.unsent(one.net.operations)
                self.deferred.add(one.net.message)
            if gone and tx.view.folder(job.folder.id).state is FolderState.DELETING:  # no listing will tell
                tx.settle.unplaced(one.net.origin or one.net.message for one in gone)
        done = len(told.places) + len(told.unplaced)
        self.changed |= bool(done)
        self.again |= bool(done)  # a copy whose flags shall differ can be marked now, and so can its origin
        counts = Counts(new=done) if not told.transfer.move else Counts(new=done, deleted=done)
        context.item_of(str(job.folder.path)).uploaded(counts)
        if told.lingering:
            context.tell_left_marked(str(job.folder.path), len(told.lingering))
        left = list(self._at(jobs, told.left))
        if left and told.error is not None:
            self._refused_jobs(left, target, told.error)
        elif left:
            with context.store.write("not transferred", run=context.run) as tx:
                tx.settle.unsent(id for one in left for id in one.net.operations)

    def deleted(self, job: FolderJob, told: Deleted) -> None:
        """Settle deletions."""
        context = self._context
        with context.store.write("deleted", run=context.run) as tx:
            if told.left:
                doubt_counts(tx, job.folder.id)
            tx.settle.deleted(id for one in self._at(job.deletes, told.gone | told.left) for id in one.net.operations)
        self.changed = True
        context.item_of(str(job.folder.path)).uploaded(Counts(deleted=len(told.gone)))
        if told.left:
            context.tell_left_marked(str(job.folder.path), len(told.left))
        rest = [one for one in job.deletes if one.place and one.place.uid not in told.gone | told.left]
        ids = [id for one in rest for id in one.net.operations]
        if rest and told.error is not None:
            self._refused(ids, job.folder, told.error)
        elif rest:
            with context.store.write("not removed", run=context.run) as tx:
                tx.settle.unsent(ids)

    def ended(self, job: FolderJob, told: WriteEnded) -> None:
        """A folder is through; or it could not be opened, and nothing was sent."""
        error = told.error
        if error is None:
            return
        ids = [id for one in job.jobs() for id in one.net.operations]
        self.deferred.update(one.net.message for one in job.jobs())
        wished = [wish.message for wishes in job.marks.values() for wish in wishes]
        self.deferred.update(wished)
        if error.kind in (ErrorKind.FOLDER_GONE, ErrorKind.UIDVALIDITY_CHANGED):
            with self._context.store.write("not sent", run=self._context.run) as tx:
                tx.settle.unsent(ids)
                if tx.view.folder(job.folder.id).state is FolderState.DELETING and job.folder.epoch is not None:
                    # Nobody visits it any more, to find that these places are gone.
                    tx.remove_messages(job.folder.id, job.folder.epoch, uids_of(job.jobs()))
                    tx.settle.unplaced(one.net.origin or one.net.message for one in job.jobs())
            return
        self._refused([*ids, *self._flag_rows(wished)], job.folder, error)

    # -- new mail ---------------------------------------------------------------------------------------

    def appended(self, target: FolderFact, job: Job, told: Appended) -> None:
        """Gather one answer; ``flush`` settles the last ones."""
        self._came.append((job, target, told))
        if len(self._came) >= ANSWERS_PER_COMMIT:
            self.flush()

    def unreadable(self, target: FolderFact, job: Job, error: StoreError) -> None:
        """Leave a message for another run whose octets cannot be read; told, unless it was taken back meanwhile."""
        self.deferred.add(job.net.message)
        if self._rows(job.net.operations):
            self._context.tell(error, folder=str(target.path))

    def no_room(self, target: FolderFact, jobs: Sequence[Job]) -> None:
        """Leave *jobs* unsent, for *target* takes nothing for now; why was told already, of those before them."""
        self.deferred.update(job.net.message for job in jobs)
        error = self.full[target.id]
        rule = TABLE.get(error.response_code or "")
        if rule is None:
            return  # it may be about those alone that were sent
        with self._context.store.write("not sent", run=self._context.run) as tx:
            ids = [id for one in jobs for id in one.net.operations]
            tx.settle.later(ids, self._context.now() + rule.after, str(error), error.server_text)

    def flush(self) -> None:
        """Settle the answers to new mail that were gathered."""
        came, self._came = self._came, []
        if not came:
            return
        context = self._context
        with context.store.write("uploaded", run=context.run) as tx:
            for job, target, told in came:
                if told.error is None:
                    self._arrived(tx, job, target, told)
        fine = [one for one in came if one[2].error is None]
        self.changed |= bool(fine)
        self.again |= bool(fine)  # what they replace can go now
        for _, target, _ in fine:
            context.item_of(str(target.path)).uploaded(Counts(new=1))
        refused: dict[tuple[FolderId, str, str], list[tuple[Job, SourceError]]] = {}
        for job, target, told in came:
            if told.error is not None:
                alike = (target.id, told.error.response_code or "", str(told.error))
                refused.setdefault(alike, []).append((job, told.error))
        for (folder, _, _), several in refused.items():
            self._refused_jobs([job for job, _ in several], folder, several[0][1])

    def _arrived(self, tx: WriteTransaction, job: Job, target: FolderFact, told: Appended) -> None:
        if told.uid is None or told.epoch is None:
            tx.settle.arrived_somewhere(job.net.operations)
            return
        at = Arrival(
            message=job.net.message, folder_id=target.id, epoch=told.epoch, uid=told.uid, flags=told.upload.flags
        )
        tx.settle.arrived(job.net.operations, [at])

    # -- targets that are not there ---------------------------------------------------------------------

    def to_create(self) -> list[FolderFact]:
        """Return, once, the folders that have to be created before what was refused is sent again."""
        found = list(self._to_create.values())
        self._to_create.clear()
        return found

    def renamed_there(self, target: FolderFact) -> None:
        """The folder is there under another name: who waits for it goes on after the download, which learns it."""
        self.deferred |= self._waiting.pop(target.id, set())

    def is_there(self, target: FolderFact) -> None:
        """The folder is there, whatever the server says: the next such refusal is one like any other."""
        self._created.add(target.id)
        self.again = True

    def created_again(self, target: FolderFact, name: bytes) -> None:
        """The folder is there again, under *name*: whoever waits for it goes on."""
        with self._context.store.write("folder created again", run=self._context.run) as tx:
            tx.settle.folder_named(target.id, name)
        self._created.add(target.id)
        self.changed = self.again = True
        text = f"The folder {target.path} was gone on the server, and was created again for mail that waits for it."
        self._context.warn(Notice(kind=ErrorKind.FOLDER_GONE.value, text=text, folder=str(target.path)))

    def target_refused(self, target: FolderFact, error: SourceError) -> None:
        """It cannot be created: what waits for it is refused like anything else."""
        self._created.add(target.id)
        self._context.tell(error, folder=str(target.path))
        self.again = True

    # -- refusals ---------------------------------------------------------------------------------------

    def hold(self, ids: Sequence[OperationId], why: str, folder: FolderFact) -> None:
        """Let a person decide."""
        context = self._context
        with context.store.write("held", run=context.run) as tx:
            tx.settle.hold(ids, why)
        text = f"{why} Approve it, or cancel it."
        context.warn(Notice(kind=ErrorKind.MASS_DELETION.value, text=text, folder=str(folder.path)))

    def refused(self, ids: Sequence[OperationId], folder: FolderFact, error: ProviderError) -> Verdict:
        """Settle a refusal of operations about *folder*; return what it was taken for."""
        return self._refused(ids, folder, error)

    def _refused_jobs(self, jobs: Sequence[Job], target: FolderId, error: SourceError) -> None:
        ids = [id for one in jobs for id in one.net.operations]
        rule, facts = self._rule(error, ids), self._facts_of(target)
        if rule.verdict in (Verdict.CREATE_TARGET, Verdict.GONE) and target not in self._created:
            self._to_create[target] = facts
            self._waiting.setdefault(target, set()).update(one.net.message for one in jobs)
            with self._context.store.write("target missing", run=self._context.run) as tx:
                tx.settle.unsent(ids)
            return
        self.deferred.update(one.net.message for one in jobs)
        if rule.verdict is Verdict.LATER:
            self.full[target] = error
        if rule.verdict is Verdict.GONE:  # it was just created, and still is not there
            error = CommandRefused(str(error), folder=str(facts.path), server_text=error.server_text)
        self._refused(ids, facts, error)

    def _refused(self, ids: Sequence[OperationId], folder: FolderFact, error: ProviderError) -> Verdict:
        context = self._context
        if not ids:
            context.tell(error, folder=str(folder.path))
            return Verdict.NEVER
        rule = self._rule(error, ids)
        later = rule.verdict is Verdict.LATER
        when = context.now() + rule.after if later else None
        context.tell(error, folder=str(folder.path), next_try=when)
        if rule.verdict is Verdict.GONE:
            self.deferred.update(one.message for one in self._rows(ids) if one.message is not None)
        with context.store.write("refused", run=context.run) as tx:
            if when is not None:
                tx.settle.later(ids, when, str(error), error.server_text)
            elif rule.verdict is Verdict.GONE:  # a try counts: the server may say so of what is there
                tx.settle.later(ids, context.now(), str(error), error.server_text)
            else:
                tx.settle.refuse(ids, str(error), error.server_text, keep=context.keeps(self._rows(ids), error))
        return rule.verdict

    def _rule(self, error: ProviderError, ids: Iterable[OperationId]) -> Ruling:
        counted = OperationState.ATTEMPTED  # others are counted when it is settled
        tries = (one.tries + (one.state is not counted) for one in self._rows(ids))
        return ruling(error, max(tries, default=1))

    def _rows(self, ids: Iterable[OperationId]) -> list[Operation]:
        wanted = set(ids)
        return [one for one in account_operations(self._context) if one.id in wanted]

    # -- within -----------------------------------------------------------------------------------------

    def _flag_rows(self, keys: Iterable[MessageKey]) -> list[OperationId]:
        wanted = set(keys)
        rows = account_operations(self._context)
        return [one.id for one in rows if one.kind is OperationKind.FLAGS and one.message in wanted]

    def _at(self, jobs: Iterable[Job], uids: UidSet) -> list[Job]:
        return [one for one in jobs if one.place is not None and one.place.uid in uids]

    def _facts_of(self, folder: FolderId) -> FolderFact:
        with self._context.store.read() as view:
            found = view.folder(folder)
        return FolderFact(id=found.id, name=found.name, path=found.path)


def _without_effect(told: Marked) -> dict[Uid, frozenset[str]]:
    """Return which flags of which messages are not as they were to be, although nothing was refused."""
    found: dict[Uid, frozenset[str]] = {}
    for uid, flags in told.flags.items():
        missing = delta(flags, applied(flags, told.mark.add, told.mark.remove))
        lost = told.lost | missing.add | missing.remove
        if lost:
            found[uid] = lost
    return found
