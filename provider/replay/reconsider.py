"""A last look before anything is removed for good: what somebody worked on since is kept (U7).

One question a folder, before the deletions of that folder; nothing else waits for it.
"""

from store.mail import UidSet
from store.mail.conflicts import Choice, Side, Version

from ..errors import SourceError
from ..sources.base import Session
from .collapse import FolderJob, Job, ReplayPlan, uids_of
from .conflicts import Here, There, case_of, worked_on
from .context import ReplayContext, conflict_of

__all__ = ["reconsider"]


def reconsider(context: ReplayContext, session: Session, plan: ReplayPlan) -> None:
    """Take out of *plan* the deletions of messages that changed on the server since they were deleted here, or are not
    there any more: the download shows whether somebody moved them.

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
    plan.folders[:] = [job for job in plan.folders if job]


def _look(context: ReplayContext, session: Session, job: FolderJob) -> None:
    opened = session.open(job.folder.name, None)
    if opened.epoch != job.folder.epoch:
        return  # the write will say so, and send nothing
    uids = uids_of(job.deletes)
    now = {row.uid: row.flags for row in session.flags(uids) if row.uid in uids}
    with context.store.read() as view:
        before = dict(view.flags_of(job.folder.id, uids))
    _tell_drafts(context, job, uids - UidSet(now))
    kept = UidSet(uid for uid, flags in now.items() if worked_on(before.get(uid, flags), flags))
    case = case_of(Here.DELETE, There.FLAGS)
    spared: list[Job] = []
    for one in job.deletes:
        if one.place is None or one.place.uid not in kept:
            continue
        flags = tuple(sorted(now[one.place.uid]))
        place = str(job.folder.path)
        mine, theirs = (
            Version(side=Side.MINE, place=place, deleted=True),
            Version(side=Side.THEIRS, place=place, flags=flags),
        )
        found = conflict_of(context, case, one.net.operations[-1], one.net.message, (mine, theirs))
        with context.store.write("deleted here, changed there", run=context.run) as tx:
            tx.settle.flags(job.folder.id, one.place.epoch, {one.place.uid: now[one.place.uid]})
            if found.done is Choice.KEEP_THEIRS:
                tx.settle.refuse(one.net.operations, case.outcome)
                spared.append(one)
            tx.settle.conflict(found)
        context.tell_conflict(found, place)
    job.deletes[:] = [one for one in job.deletes if one not in spared and one.place and one.place.uid in now]


def _tell_drafts(context: ReplayContext, job: FolderJob, gone: UidSet) -> None:
    """What was to be replaced was replaced by somebody else, too: both newer versions stay."""
    with context.store.read() as view:
        rows = {one.id: one for one in view.operations(context.account)}
    for one in job.deletes:
        row = rows.get(one.net.operations[-1])
        if one.place is None or one.place.uid not in gone or row is None or row.origin is None:
            continue
        place = str(job.folder.path)
        mine, theirs = Version(side=Side.MINE, place=place), Version(side=Side.THEIRS, place=place)
        found = conflict_of(context, case_of(Here.DRAFT, There.EXPUNGE), None, row.origin, (mine, theirs))
        with context.store.write("draft edited twice", run=context.run) as tx:
            tx.settle.deleted(one.net.operations)  # it is gone: a run that is stopped here tells it once
            tx.settle.conflict(found)
        context.tell_conflict(found, place)
