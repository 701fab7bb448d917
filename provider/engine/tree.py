"""The folder tree of one run: list, compare, write, and say what became of it.

A folder is removed when two listings in a row lack it (this run's second one, or the next run's), never on one answer;
its messages become tombstones. So do the messages of a folder that two listings in a row call not selectable: the
mailbox was deleted, and its name only stays for the folders below it (RFC 9051 §6.3.5); but where INBOX, or most of
what was there, is said to be so, the server's disk is gone rather than the mail, and nothing is removed.
"""

from dataclasses import replace

from store import FolderCursor, FolderState, RemoteFolderRow
from store.mail import FolderId, Role, UidSet, UidValidity
from store.mail.ids import UID_MAX

from ..errors import ErrorKind
from ..events import Counts, ItemStatus, Severity
from ..phases import Phase
from ..sources.base import FolderListing, RemoteFolder, Session
from .context import REMOVED_PER_COMMIT, RunContext
from .foldertree import KnownFolder, TreePlan, plan_tree

__all__ = ["known_folders", "synchronize_tree"]


def synchronize_tree(context: RunContext, session: Session) -> FolderListing:
    """Bring the folder tree in step (if the request wants it) and return the listing with its statuses."""
    known = known_folders(context) if context.hierarchy else []
    listing = _listed(session, known)
    for problem in listing.problems:
        context.tell(problem, folder=problem.folder, severity=Severity.WARNING)
    if not context.hierarchy:
        return listing
    plan = plan_tree(known, listing)
    emptied = _emptied(context, plan)
    if plan.gone or emptied:
        again = plan_tree(known, _listed(session, known))
        gone = set(plan.gone) & set(again.gone)
        plan = replace(plan, gone=tuple(gone), missing=(*plan.missing, *(set(plan.gone) - gone)))
        emptied &= _emptied(context, again)
    if closed := _doubt_closed(known, emptied):
        context.warn(ErrorKind.LISTING_SUSPICIOUS, f"The listing is not believed: {closed}; their mail is kept.")
        emptied = set()
    if plan.suspicious:
        kept = f"{len(plan.missing)} folders are kept as they are"
        context.warn(ErrorKind.LISTING_SUSPICIOUS, f"The listing is not believed: {plan.suspicious}; {kept}.")
    _write(context, plan, emptied)
    return listing


def _listed(session: Session, known: list[KnownFolder]) -> FolderListing:
    """List the folders; an object id that is known need not come again."""
    ids = {old.name: (old.epoch, old.object_id) for old in known if not old.missing and old.object_id}
    listing = session.folders({name: UidValidity(epoch) for name, (epoch, _) in ids.items() if epoch is not None})
    return replace(
        listing,
        folders=tuple(
            replace(remote, object_id=ids[remote.name][1])
            if remote.object_id is None and remote.name in ids and _same_epoch(remote, ids[remote.name][0])
            else remote
            for remote in listing.folders
        ),
    )


def _same_epoch(remote: RemoteFolder, epoch: int | None) -> bool:
    return epoch is not None and remote.status is not None and remote.status.uid_validity == epoch


def _emptied(context: RunContext, plan: TreePlan) -> set[FolderId]:
    """Return folders that hold mail here and cannot be opened any more."""
    closed = [id for id, remote in plan.kept if not remote.selectable]
    with context.store.read() as view:
        return {id for id in closed if view.folder(id).counts.listed}


def _doubt_closed(known: list[KnownFolder], emptied: set[FolderId]) -> str:
    """Return why it is not believed that the mail of the *emptied* folders is gone, or nothing."""
    if any(old.id in emptied and old.role is Role.INBOX for old in known):
        return "it calls INBOX a name without mail"
    if len(emptied) > max(3, len(known) // 2):
        return f"it calls {len(emptied)} of {len(known)} folders names without mail"
    return ""


def known_folders(context: RunContext) -> list[KnownFolder]:
    """Return the folders of the store, as far as identity goes."""
    known: list[KnownFolder] = []
    with context.store.read() as view:
        for folder in view.folders(context.account.id, hidden=True):
            if folder.state is FolderState.LOCAL:
                continue  # made here; the listing knows nothing of it yet
            cursor = view.cursor(folder.id)
            known.append(
                KnownFolder(
                    id=folder.id,
                    name=folder.name,
                    role=folder.role,
                    object_id=folder.object_id,
                    epoch=cursor.epoch,
                    uid_next=cursor.uid_next,
                    messages=cursor.messages,
                    missing=folder.state is FolderState.MISSING,
                )
            )
    return known


def _write(context: RunContext, plan: TreePlan, emptied: set[FolderId]) -> None:
    with context.store.read() as view:
        before = {folder.id: folder for folder in view.folders(context.account.id, hidden=True)}
    gone_paths = [str(before[id].path) for id in plan.gone]
    for id in (*plan.gone, *emptied):
        _remove_mail(context, id)
    deleted = 0
    with context.store.write("folders", run=context.run) as tx:
        for id in plan.gone:
            deleted += tx.remove_folder(id)
        for id in emptied:
            # Whatever is there under this name one day is listed from the beginning.
            tx.save_cursor(id, FolderCursor())
        for id in plan.missing:
            if before[id].state is not FolderState.MISSING:
                tx.set_folder_state(id, FolderState.MISSING, context.clock.now(), plan.suspicious)
        for id, remote in plan.kept:
            tx.update_folder(id, _row(remote))
            if before[id].state is FolderState.MISSING:
                tx.set_folder_state(id, FolderState.ACTIVE, None, "")
        for remote in plan.added:
            tx.add_folder(context.account.id, _row(remote))
    context.reporter.item(None).count(
        Counts(
            folders_new=len(plan.added),
            folders_renamed=len(plan.renamed),
            folders_deleted=len(plan.gone),
            deleted=deleted,
        )
    )
    _tell_removed(context, gone_paths, plan.gone)


def _remove_mail(context: RunContext, folder: FolderId) -> None:
    """Remove all mail of *folder*, some at a time; a run that ends in between leaves the rest to the next one."""
    with context.store.read() as view:
        epoch, uids = view.cursor(folder).epoch, view.uids(folder)
    if epoch is None:
        return
    troubled = UidSet.span(1, UID_MAX)  # what never came has no row, but may be on the gap list
    for page in (*uids.pages(REMOVED_PER_COMMIT), troubled):
        context.stop.checkpoint()
        with context.store.write("folder gone", run=context.run) as tx:
            removed = tx.remove_messages(folder, epoch, page)
        context.reporter.item(None).count(Counts(deleted=removed))


def _tell_removed(context: RunContext, paths: list[str], gone: tuple[FolderId, ...]) -> None:
    for path in paths:
        item = context.reporter.item(path)
        item.start(Phase.DOWNLOAD_TABLE, f"{path} was deleted on the server")
        item.finish(ItemStatus.REMOVED)


def _row(remote: RemoteFolder) -> RemoteFolderRow:
    return RemoteFolderRow(
        name=remote.name,
        path=remote.path,
        delimiter=remote.delimiter,
        role=remote.role,
        attributes=remote.attributes,
        selectable=remote.selectable,
        subscribed=remote.subscribed,
        object_id=remote.object_id,
    )
