"""Folders that people created, renamed, subscribed to or deleted offline. In the order in which they were wanted.

Deletions come last, after all mail was moved out; everything else comes first, so that there is somewhere to move to.
"""

from collections.abc import Callable

from store.mail import FolderId, FolderPath, Role
from store.mail.operations import Operation, OperationKind

from ..errors import ErrorKind, SourceError
from ..events import Counts
from ..phases import Phase
from ..sources.writing import WritingSession
from .answers import Answers
from .collapse import FolderFact
from .context import ReplayContext
from .facts import account_operations, due, folder_facts
from .guard import whole_folder

__all__ = ["replay_removals", "replay_tree"]

_LAST = frozenset({OperationKind.DELETE_FOLDER})
_FIRST = frozenset(
    {
        OperationKind.CREATE_FOLDER,
        OperationKind.RENAME_FOLDER,
        OperationKind.SUBSCRIBE,
        OperationKind.UNSUBSCRIBE,
    }
)


def replay_tree(context: ReplayContext, session: WritingSession, answers: Answers) -> None:
    """Create, rename, subscribe. Raises what ends the connection."""
    _each(context, _FIRST, answers, lambda one, facts: _do(context, session, one, facts))


def replay_removals(context: ReplayContext, session: WritingSession, answers: Answers) -> None:
    """Delete folders. Those that hold mail wait for a person's approval."""
    _each(context, _LAST, answers, lambda one, facts: _remove(context, session, one, answers))


def _each(
    context: ReplayContext,
    kinds: frozenset[OperationKind],
    answers: Answers,
    work: Callable[[Operation, dict[FolderId, FolderFact]], bool],
) -> None:
    for one in account_operations(context):
        if one.kind not in kinds or not due(context, one):
            continue
        context.stop.checkpoint()
        facts = folder_facts(context)
        context.item.phase(Phase.UPLOAD_HIERARCHY, "Sending changes of folders")
        try:
            answers.changed |= work(one, facts)
        except SourceError as error:
            if error.drops_connection:
                raise
            if error.kind is ErrorKind.FOLDER_GONE:
                with context.store.write("folder gone", run=context.run) as tx:
                    tx.settle.refuse([one.id], str(error), error.server_text)
                context.tell(error, folder=error.folder)
                continue
            fact = facts.get(one.folder_id) or FolderFact(
                id=one.folder_id, name=one.name, path=one.path or FolderPath(("?",))
            )
            answers.refused([one.id], fact, error)


def _do(context: ReplayContext, session: WritingSession, one: Operation, facts: dict[FolderId, FolderFact]) -> bool:
    folder = facts.get(one.folder_id)
    if folder is None:
        return False
    by_path = {fact.path: fact for fact in facts.values()}
    above = folder.path.parent
    parent = by_path[above].name if above is not None and above in by_path else None
    item = context.item_of(str(folder.path))
    item.phase(Phase.UPLOAD_FOLDER, f"Sending changes of {folder.path}")
    match one.kind:
        case OperationKind.CREATE_FOLDER:
            name = session.create(folder.path, parent=parent, role=_role_of(context, folder.id))
            with context.store.write("folder created", run=context.run) as tx:
                tx.settle.folder_created(one.id, name, None)
            context.item.uploaded(Counts(folders_new=1))
        case OperationKind.RENAME_FOLDER:
            if not folder.name:
                return False  # it is created under its new name
            name = session.rename(folder.name, folder.path, parent=parent)
            names = {folder.id: name}
            for fact in facts.values():
                if fact.id != folder.id and fact.name and _below(fact.path, folder.path):
                    names[fact.id] = name + fact.name[len(folder.name) :]
            with context.store.write("folder renamed", run=context.run) as tx:
                tx.settle.folder_renamed(one.id, names)
            context.item.uploaded(Counts(folders_renamed=1))
        case _:
            if not folder.name:
                return False
            session.subscribe(folder.name, one.kind is OperationKind.SUBSCRIBE)
            with context.store.write("subscribed", run=context.run) as tx:
                tx.settle.folder_done(one.id)
    return True


def _remove(context: ReplayContext, session: WritingSession, one: Operation, answers: Answers) -> bool:
    with context.store.read() as view:
        listed = view.removed_with(one.folder_id)
    there = session.statuses([one.name]).get(one.name)
    if there is not None:
        listed = max(listed, there.messages or 0)  # mail may have come that nobody saw here
    folder = FolderFact(id=one.folder_id, name=one.name, path=one.path or FolderPath(("?",)), listed=listed)
    why = whole_folder(folder)
    if why and not one.approved:
        answers.hold([one.id], why, folder)
        return False
    session.remove(one.name)
    with context.store.write("folder deleted", run=context.run) as tx:
        tx.settle.folder_done(one.id)
    context.item.uploaded(Counts(folders_deleted=1))
    return True


def _below(path: FolderPath, parent: FolderPath) -> bool:
    depth = len(parent.names)
    return len(path.names) > depth and path.names[:depth] == parent.names


def _role_of(context: ReplayContext, folder: FolderId) -> Role | None:
    with context.store.read() as view:
        return view.folder(folder).role
