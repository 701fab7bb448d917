"""Folders that people created, renamed, subscribed to or deleted offline. In the order in which they were wanted.

Deletions come last, after all mail was moved out; everything else comes first, so that there is somewhere to move to.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

from store.mail import FolderId, FolderPath, Role
from store.mail.conflicts import Side, Version
from store.mail.operations import Operation, OperationKind

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
    """Create, rename, subscribe. *session* and *writer* are one object. Raises what ends the connection.

    What waits for another one is done once that is done. Where all that is left waits for each other (a folder is to
    lie below a new one that has its old name), one of them goes by way of a name that nobody wants.
    """
    while _each(context, _FIRST, answers, lambda one, facts: _do(context, session, writer, one, facts)) or (
        _untangle(context)
    ):
        continue


def _untangle(context: ReplayContext) -> bool:
    """Give a rename that waits for itself a name to go by, written into the log first; return whether there is one."""
    waiting = [one for one in account_operations(context) if one.kind in _FIRST]
    renames = [one for one in waiting if one.kind is OperationKind.RENAME_FOLDER]
    if not renames or not all(due(context, one) for one in waiting):
        return False  # nothing is wanted, or some of it may go on later
    facts = folder_facts(context)
    one = next((one for one in renames if one.folder_id in facts and facts[one.folder_id].name), None)
    if one is None or sum(other.folder_id == one.folder_id for other in renames) > 1:
        return False
    taken = {fact.path for fact in facts.values()} | {other.path for other in renames}
    leaf = facts[one.folder_id].path.name
    names = (FolderPath((leaf if number == 1 else f"{leaf} {number}",)) for number in count(1))
    with context.store.write("by way of", run=context.run, durable=True) as tx:
        tx.settle.by_way_of(one.id, next(path for path in names if path not in taken))
    return True


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
    _each(context, _LAST, answers, lambda one, facts: _remove(context, session, one, answers))


def _each(
    context: ReplayContext,
    kinds: frozenset[OperationKind],
    answers: Answers,
    work: Callable[[Operation, dict[FolderId, FolderFact]], bool],
) -> bool:
    """Do each that is due; return whether anything was done."""
    done = False
    asked = [one.id for one in account_operations(context) if one.kind in kinds]
    for id in asked:
        one = next((one for one in account_operations(context) if one.id == id), None)
        if one is None or not due(context, one):
            continue  # done together with an earlier one
        context.stop.checkpoint()
        facts = folder_facts(context)
        context.item.phase(Phase.UPLOAD_HIERARCHY, "Sending changes of folders")
        try:
            did = work(one, facts)
            answers.changed |= did
            done |= did
        except SourceError as error:
            if error.drops_connection:
                raise
            if error.kind is ErrorKind.FOLDER_GONE:
                _give_up(context, one, error)
                continue
            fact = facts.get(one.folder_id) or FolderFact(
                id=one.folder_id, name=one.name, path=one.path or FolderPath(("?",))
            )
            answers.refused([one.id], fact, error)
    return done


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
    waiting = [other for other in account_operations(context) if other.folder_id != one.folder_id]
    by_path = {fact.path: fact for fact in facts.values()}
    above = folder.path.parent
    parent = by_path[above].name if above is not None and above in by_path else None
    item = context.item_of(str(folder.path))
    item.phase(Phase.UPLOAD_FOLDER, f"Sending changes of {folder.path}")
    match one.kind:
        case OperationKind.CREATE_FOLDER:
            if any(other.kind is OperationKind.RENAME_FOLDER and other.path == folder.path for other in waiting):
                return False  # the name is still another one's: a rename of that one has to come first
            if parent == b"":
                return False  # the folder above it is not there yet
            name = writer.create(folder.path, parent=parent, role=_role_of(context, folder.id))
            with context.store.write("folder created", run=context.run) as tx:
                tx.settle.folder_created(one.id, name, None)
            context.item.uploaded(Counts(folders_new=1))
        case OperationKind.RENAME_FOLDER:
            if not folder.name:
                return False  # it is created under its new name
            step = _next_step(context, folder, facts)
            if step is None:
                return False  # its names are all another one's still
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
                tx.settle.folder_renamed(one.id, {folder.id: name, **_below(facts, folder, name)}, path)
            context.item.uploaded(Counts(folders_renamed=1))
        case _:
            if not folder.name:
                return False
            writer.subscribe(folder.name, one.kind is OperationKind.SUBSCRIBE)
            with context.store.write("subscribed", run=context.run) as tx:
                tx.settle.folder_done(one.id)
    return True


def _next_step(
    context: ReplayContext, folder: FolderFact, facts: Mapping[FolderId, FolderFact]
) -> tuple[FolderPath, bytes | None] | None:
    """Return what *folder* is to be called next, and the name of the folder above it; None: no such name is free.

    Its last name at once; but where another folder has that name, and waits to be renamed itself, as when two exchange
    their names, the last one that is free of those that a person gave it on the way. Each of them is in the log.
    """
    with context.store.read() as view:
        pending = [one for one in view.operations(context.account) if one.kind is OperationKind.RENAME_FOLDER]
    names: dict[FolderId, list[FolderPath]] = {}
    for one in pending:
        if one.path is not None:
            names.setdefault(one.folder_id, []).append(one.path)
    taken = {was[0] for id, was in names.items() if id != folder.id}
    here = {fact.path: fact.name for fact in facts.values()}
    there = {names[fact.id][0] if fact.id in names else fact.path: fact.name for fact in facts.values() if fact.name}
    waits = folder.path.parent is not None and here.get(folder.path.parent) == b""  # for the folder above it
    last = [] if waits else [(folder.path, here)]
    given = [*last, *((path, there) for path in reversed(names.get(folder.id, [])[1:]))]
    for path, known in given:
        if path not in taken and (path.parent is None or path.parent in known or known is here):
            return path, None if path.parent is None else known.get(path.parent)
    return None


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


def _below(facts: dict[FolderId, FolderFact], folder: FolderFact, name: bytes) -> dict[FolderId, bytes]:
    """Return what the folders below *folder* are called on the server when that is called *name*."""
    depth = len(folder.path.names)
    return {
        fact.id: name + fact.name[len(folder.name) :]
        for fact in facts.values()
        if fact.path.names[:depth] == folder.path.names
        and len(fact.path.names) > depth
        and fact.name.startswith(folder.name)  # else it is there already, or will be moved there only then
        and len(fact.name) > len(folder.name) + 1
    }


def _remove(context: ReplayContext, session: WritingSession, one: Operation, answers: Answers) -> bool:
    told = session.statuses([one.name]).get(one.name)
    with context.store.read() as view:
        removed, leaving = view.removed_with(one.folder_id), view.leaving(one.folder_id)
    listed = max(removed, (told and told.messages) or 0)  # somebody may have added to it
    folder = FolderFact(id=one.folder_id, name=one.name, path=one.path or FolderPath(("?",)), listed=listed)
    why = whole_folder(folder)
    if why and not one.approved:
        answers.hold([one.id], why, folder)
        return False
    if leaving:
        return False  # mail that is moved out of it, or copied, is still there
    session.remove(one.name)
    with context.store.write("folder deleted", run=context.run) as tx:
        tx.settle.folder_done(one.id)
    context.item.uploaded(Counts(folders_deleted=1))
    return True


def _role_of(context: ReplayContext, folder: FolderId) -> Role | None:
    with context.store.read() as view:
        return view.folder(folder).role
