"""Folders that people created, renamed, subscribed to or deleted offline. In the order in which they were wanted.

Deletions come last, after all mail was moved out; everything else comes first, so that there is somewhere to move to.
What has to wait for another one (a folder above it, a name that is not free yet) is asked again after the others; where
all wait for each other, one of them goes by way of a name that is made up (``naming``).
"""

from collections.abc import Callable
from dataclasses import replace

from store.mail import FolderId, FolderPath, Role
from store.mail.conflicts import Side, Version
from store.mail.operations import Operation, OperationId, OperationKind

from ..errors import ErrorKind, SourceError
from ..events import Counts
from ..phases import Phase
from ..sources.base import FolderStatus, RemoteFolder, Session
from ..sources.writing import WritingSession
from .answers import Answers
from .collapse import FolderFact
from .conflicts import Here, There, case_of
from .context import ReplayContext, conflict_of
from .facts import account_operations, due, folder_facts
from .guard import whole_folder
from .naming import naming

__all__ = ["renamed_there", "replay_removals", "replay_tree"]

_LAST = frozenset({OperationKind.DELETE_FOLDER})
_FIRST = frozenset(
    {
        OperationKind.CREATE_FOLDER,
        OperationKind.RENAME_FOLDER,
        OperationKind.SUBSCRIBE,
        OperationKind.UNSUBSCRIBE,
    }
)


def replay_tree(context: ReplayContext, session: Session, writer: WritingSession, answers: Answers) -> None:
    """Create, rename, subscribe. *session* and *writer* are one object. Raises what ends the connection."""
    _each(context, _FIRST, answers, lambda one, facts: _do(context, session, writer, one, facts))


def renamed_there(session: Session, folder: FolderFact, object_id: str | None) -> RemoteFolder | None:
    """Return the folder of the server that *folder* is, whatever it is called now; None: it is gone."""
    listing = session.folders()
    if object_id is not None:
        found = [remote for remote in listing.folders if remote.object_id == object_id]
    else:
        found = [remote for remote in listing.folders if _numbers(remote.status) == (folder.epoch, folder.uid_next)]
    return found[0] if len(found) == 1 else None


def _numbers(status: FolderStatus | None) -> tuple[int | None, int | None] | None:
    return None if status is None else (status.uid_validity, status.uid_next)


def replay_removals(context: ReplayContext, session: WritingSession, answers: Answers) -> None:
    """Delete folders. Those that hold mail wait for a person's approval."""
    _each(context, _LAST, answers, lambda one, facts: _remove(context, session, one, facts, answers))


def _each(
    context: ReplayContext,
    kinds: frozenset[OperationKind],
    answers: Answers,
    work: Callable[[Operation, dict[FolderId, FolderFact]], bool],
) -> None:
    asked = [one.id for one in account_operations(context) if one.kind in kinds]
    made_up: set[FolderId] = set()
    while asked:
        waiting = [id for id in asked if _one(context, id, answers, work) is False]
        if len(waiting) == len(asked):
            between = _make_up(context, waiting, made_up)
            if between is None:
                break
            waiting.append(between)
        asked = waiting


def _one(
    context: ReplayContext,
    id: OperationId,
    answers: Answers,
    work: Callable[[Operation, dict[FolderId, FolderFact]], bool],
) -> bool | None:
    """Do one of them. False: it has to wait for another one; None: it is over, or not to be sent now."""
    one = next((one for one in account_operations(context) if one.id == id), None)
    if one is None or not due(context, one):
        return None  # done together with an earlier one
    context.stop.checkpoint()
    facts = folder_facts(context)
    context.item.phase(Phase.UPLOAD_HIERARCHY, "Sending changes of folders")
    try:
        if not work(one, facts):
            return False
        answers.changed = True
        return True
    except SourceError as error:
        if error.drops_connection:
            raise
        if error.kind is ErrorKind.FOLDER_GONE:
            _give_up(context, one, error)
            return None
        fact = facts.get(one.folder_id) or FolderFact(
            id=one.folder_id, name=one.name, path=one.path or FolderPath(("?",))
        )
        answers.refused([one.id], fact, error)
        return None


def _make_up(context: ReplayContext, waiting: list[OperationId], made_up: set[FolderId]) -> OperationId | None:
    """Give one of the folders that wait for each other's names one to go by; None: there is none, or one waits for
    something that is tried later.

    The name is in the log before it is sent: a stop is carried on with it.
    """
    pending = account_operations(context)
    names = naming(folder_facts(context).values(), pending)
    if any(one.kind in _FIRST and not due(context, one) for one in pending):
        return None
    for one in pending:
        folder = names.facts.get(one.folder_id)
        if one.id not in waiting or one.kind is not OperationKind.RENAME_FOLDER or folder is None or not folder.name:
            continue
        if folder.id not in made_up:
            made_up.add(folder.id)
            with context.store.write("a name between", run=context.run) as tx:
                return tx.settle.rename_by_way_of(one, names.made_up(folder))
    return None


def _give_up(context: ReplayContext, one: Operation, error: SourceError) -> None:
    with context.store.write("folder gone", run=context.run) as tx:
        tx.settle.refuse([one.id], str(error), error.server_text)
    context.tell(error, folder=error.folder)


def _do(
    context: ReplayContext,
    session: Session,
    writer: WritingSession,
    one: Operation,
    facts: dict[FolderId, FolderFact],
) -> bool:
    folder = facts.get(one.folder_id)
    if folder is None:
        return False
    names = naming(facts.values(), account_operations(context))
    by_path = {fact.path: fact for fact in facts.values()}
    above = folder.path.parent
    parent = by_path[above].name if above is not None and above in by_path else None
    item = context.item_of(str(folder.path))
    item.phase(Phase.UPLOAD_FOLDER, f"Sending changes of {folder.path}")
    match one.kind:
        case OperationKind.CREATE_FOLDER:
            if not names.may_be_created(folder):
                return False
            name = writer.create(folder.path, parent=parent, role=_role_of(context, folder.id))
            with context.store.write("folder created", run=context.run) as tx:
                tx.settle.folder_created(one.id, name, None)
            context.item.uploaded(Counts(folders_new=1))
        case OperationKind.RENAME_FOLDER:
            if not folder.name:
                return False  # it is created under its new name
            step = names.next_step(folder)
            if step is None:
                return False
            path, parent = step
            try:
                name = writer.rename(folder.name, path, parent=parent)
            except SourceError as error:
                if error.drops_connection:
                    raise
                found = _after_refusal(context, session, one, replace(folder, path=path), parent, error)
                if found is None:
                    return False
                name = found
            with context.store.write("folder renamed", run=context.run) as tx:
                below = {fact.id: name + fact.name[len(folder.name) :] for fact in names.below(folder)}
                tx.settle.folder_renamed(one.id, {folder.id: name, **below}, path)
            context.item.uploaded(Counts(folders_renamed=1))
        case _:
            if not folder.name:
                return False
            writer.subscribe(folder.name, one.kind is OperationKind.SUBSCRIBE)
            with context.store.write("subscribed", run=context.run) as tx:
                tx.settle.folder_done(one.id)
    return True


def _after_refusal(
    context: ReplayContext,
    session: Session,
    one: Operation,
    folder: FolderFact,
    parent: bytes | None,
    error: SourceError,
) -> bytes | None:
    """Return what the folder is called now where our own RENAME was heard after all, or somebody did the same.

    None: somebody else gave it another name, which stays. Raises *error* where it is still called as before, or gone.
    """
    with context.store.read() as view:
        object_id = view.folder(folder.id).object_id
    there = renamed_there(session, folder, object_id)
    if there is None or there.name == folder.name:
        raise error
    above = there.path.parent
    if there.path.name == folder.path.name and (above is None if parent is None else there.name.startswith(parent)):
        return there.name
    case = case_of(Here.RENAME, There.FOLDER_RENAMED)
    mine = Version(side=Side.MINE, place=str(folder.path))
    theirs = Version(side=Side.THEIRS, place=str(there.path))
    found = conflict_of(context, case, one.id, None, (mine, theirs))
    with context.store.write("folder renamed twice", run=context.run) as tx:
        tx.settle.refuse([one.id], case.outcome)
        tx.settle.conflict(found)
    context.tell_conflict(found, str(there.path))
    return None


def _remove(
    context: ReplayContext,
    session: WritingSession,
    one: Operation,
    facts: dict[FolderId, FolderFact],
    answers: Answers,
) -> bool:
    # By the name that it has by now: the one that it had when that was wanted may be another folder's.
    name = facts[one.folder_id].name if one.folder_id in facts else one.name
    if not name:
        with context.store.write("folder gone", run=context.run) as tx:
            tx.settle.folder_done(one.id)
        return True
    told = session.statuses([name]).get(name)
    with context.store.read() as view:
        removed, leaving = view.removed_with(one.folder_id), view.leaving(one.folder_id)
    listed = max(removed, (told and told.messages) or 0)  # somebody may have added to it
    folder = FolderFact(id=one.folder_id, name=name, path=one.path or FolderPath(("?",)), listed=listed)
    why = whole_folder(folder)
    if why and not one.approved:
        answers.hold([one.id], why, folder)
        return False
    if leaving:
        return False  # mail that is moved out of it, or copied, is still there
    session.remove(name)
    with context.store.write("folder deleted", run=context.run) as tx:
        tx.settle.folder_done(one.id)
    context.item.uploaded(Counts(folders_deleted=1))
    return True


def _role_of(context: ReplayContext, folder: FolderId) -> Role | None:
    with context.store.read() as view:
        return view.folder(folder).role
