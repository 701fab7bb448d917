"""A last look before anything is removed for good: what somebody worked on since is kept (U7).

One question a folder, before the deletions of that folder; nothing else waits for it.
"""

from store.mail import UidSet
from store.mail.conflicts import Choice, NewConflict, Side, Version

from ..errors import SourceError
from ..sources.base import Session
from .collapse import FolderJob, Job, ReplayPlan, uids_of
from .conflicts import Here, There, case_of, worked_on
from .context import ReplayContext

__all__ = ["reconsider"]


def reconsider(context: ReplayContext, session: Session, plan: ReplayPlan) -> None:
    """Take out of *plan* the deletions of messages that changed on the server since they were deleted here.

    Raises what ends the connection.
    """
    for folder_job in plan.folders:
        if folder_job.deletes:
            try:
                _look(context, session, folder_job)
            except SourceError as error:
                if error.drops_connection:
                    raise
                folder_job.deletes.clear()  # what cannot be looked at is not removed either
    plan.folders[:] = [job for job in plan.folders if job.marks or any(True for _ in job.jobs())]


def _look(context: ReplayContext, session: Session, job: FolderJob) -> None:
    opened = session.open(job.folder.name, None)
    if opened.epoch != job.folder.epoch:
        return  # the write will say so, and send nothing
    uids = uids_of(job.deletes)
    now = {row.uid: row.flags for row in session.flags(uids) if row.uid in uids}
    with context.store.read() as view:
        before = dict(view.flags_of(job.folder.id, uids))
    kept = UidSet(uid for uid, flags in now.items() if worked_on(before.get(uid, flags), flags))
    if not kept:
        return
    case = case_of(Here.DELETE, There.FLAGS)
    assert case.kind is not None
    spared = [one for one in job.deletes if one.place is not None and one.place.uid in kept]
    with context.store.write("deleted here, changed there", run=context.run) as tx:
        for one in spared:
            assert one.place is not None
            flags = now[one.place.uid]
            tx.settle.flags(job.folder.id, one.place.epoch, {one.place.uid: flags})
            place = str(job.folder.path)
            mine = Version(side=Side.MINE, place=place, deleted=True)
            theirs = Version(side=Side.THEIRS, place=place, flags=tuple(sorted(flags)))
            tx.settle.refuse(one.net.operations, case.outcome)
            tx.settle.conflict(
                NewConflict(
                    kind=case.kind,
                    account=context.account,
                    operation=one.net.operations[-1],
                    message=one.net.message,
                    versions=(mine, theirs),
                    choices=(Choice.KEEP_THEIRS, *case.choices),
                    done=case.done,
                )
            )
    _leave_out(job, spared)


def _leave_out(job: FolderJob, spared: list[Job]) -> None:
    job.deletes[:] = [one for one in job.deletes if one not in spared]
