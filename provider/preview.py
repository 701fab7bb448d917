"""A dry run: what a synchronization would do, both ways, as counts of the result. Nothing is written, here or there.

Folders are opened for reading and asked what changed; what is known of them stays as it is. Numbers are those of this
moment: a real run may find more. Flags that a server tells only by comparison are compared.
"""

from dataclasses import replace

from store import Folder, FolderState
from store.mail import UidSet
from store.mail.operations import OperationKind

from .account import Keep
from .engine.context import RunContext
from .engine.foldertree import plan_tree
from .engine.resume import known_for, visit_reason
from .engine.tree import known_folders
from .errors import ErrorKind, SourceError
from .events import Counts, ItemStatus
from .phases import Phase
from .replay.collapse import plan_replay
from .replay.context import ReplayContext
from .replay.facts import account_operations, due, folder_facts, place_of, wishes_of
from .replay.guard import too_many_deletions
from .sources.base import Exactness, FolderListing, Notice, Opened, Session

__all__ = ["preview"]


def preview(context: RunContext, session: Session, sending: ReplayContext | None, folders: list[Folder]) -> None:
    """Count what would be sent (*sending* None: nothing is asked for) and what would come to *folders*."""
    if sending is not None:
        _preview_up(sending)
    if not (context.hierarchy or context.contents):
        return
    item = context.reporter.item(None)
    item.phase(Phase.DOWNLOAD_HIERARCHY, "Looking at the folders")
    listing = session.folders()
    if context.hierarchy:
        tree = plan_tree(known_folders(context), listing)
        counts = Counts(folders_new=len(tree.added), folders_renamed=len(tree.renamed), folders_deleted=len(tree.gone))
        item.count(counts)
        for remote in tree.added:
            fresh = context.reporter.item(str(remote.path))
            fresh.start(Phase.DOWNLOAD_TABLE, f"{remote.path} is new")
            fresh.count(Counts(new=(remote.status and remote.status.messages) or 0))
            fresh.finish(ItemStatus.SUCCEEDED)
    if context.contents:
        item.phase(Phase.CONTENTS, "Looking for mail")
        for folder in folders:
            context.stop.checkpoint()
            _preview_folder(context, session, folder, listing)


def _preview_folder(context: RunContext, session: Session, folder: Folder, listing: FolderListing) -> None:
    status = next((remote.status for remote in listing.folders if remote.name == folder.name), None)
    policy = context.account.policy_of(str(folder.path))
    usable = folder.selectable and folder.state is not FolderState.MISSING and folder.name
    if policy.keep is Keep.NONE or not usable:
        return
    with context.store.read() as view:
        cursor, local = view.cursor(folder.id), view.uids(folder.id)
    now = context.clock.now()
    if visit_reason(cursor, status, work_left=False, full=context.compares, now=now) is None:
        return
    item = context.reporter.item(str(folder.path))
    item.start(Phase.DOWNLOAD_TABLE, f"Looking at {folder.path}")
    known = known_for(cursor, local, compare=context.compares, now=now)
    try:
        opened = session.open(folder.name, known)
        if known is None or opened.epoch != cursor.epoch:
            item.count(Counts(new=max(0, opened.messages - (0 if known is None else len(local)))))
        else:
            item.count(_changes(context, session, folder, opened, local))
    except SourceError as error:
        if error.drops_connection:
            raise
        item.finish(ItemStatus.FAILED, context.tell(error, folder=str(folder.path)))
        return
    item.finish(ItemStatus.SUCCEEDED)


def _changes(context: RunContext, session: Session, folder: Folder, opened: Opened, local: UidSet) -> Counts:
    report = opened.changes
    if report.exactness is Exactness.EXACT:
        gone, rows = report.vanished & local, report.flags
    else:
        gone = local - session.existing(within=local) if local else UidSet()
        rows = report.flags if report.exactness is Exactness.FLAGS else tuple(session.flags(local - gone))
    with context.store.read() as view:
        here = dict(view.flags_of(folder.id, UidSet(row.uid for row in rows)))
    modified = sum(row.uid in here and here[row.uid] != row.flags for row in rows)
    return Counts(new=max(0, opened.messages - len(local - gone)), modified=modified, deleted=len(gone))


def _preview_up(context: ReplayContext) -> None:
    operations = [one for one in account_operations(context) if due(context, one)]
    # A folder that is created on the way takes mail as if it were there.
    facts = {id: replace(fact, name=fact.name or b"?") for id, fact in folder_facts(context).items()}
    kinds = [one.kind for one in operations]
    if context.hierarchy:
        context.item.uploaded(
            Counts(
                folders_new=kinds.count(OperationKind.CREATE_FOLDER),
                folders_renamed=kinds.count(OperationKind.RENAME_FOLDER),
                folders_deleted=kinds.count(OperationKind.DELETE_FOLDER),
            )
        )
    if not context.contents:
        return
    keys = {key for one in operations for key in (one.message, one.origin) if key is not None}
    places = {key: place for key in keys if (place := place_of(context, key)) is not None}
    plan = plan_replay(operations, wishes_of(context), places, facts)
    for job, why in too_many_deletions(plan.folders):
        text = f"{why} It would wait for an approval."
        context.warn(Notice(kind=ErrorKind.MASS_DELETION.value, text=text, folder=str(job.folder.path)))
    for job in plan.folders:
        copied = sum(map(len, job.copies.values()))
        moved = sum(map(len, job.moves.values()))
        marked = sum(map(len, job.marks.values()))
        item = context.item_of(str(job.folder.path))
        item.phase(Phase.UPLOAD_TABLE, f"Changes of {job.folder.path}")
        item.uploaded(Counts(new=copied + moved, modified=marked, deleted=moved + len(job.deletes)))
    for target, jobs in plan.appends.items():
        item = context.item_of(str(facts[target].path))
        item.phase(Phase.UPLOAD_MESSAGE, f"Mail for {facts[target].path}")
        item.uploaded(Counts(new=len(jobs)))
