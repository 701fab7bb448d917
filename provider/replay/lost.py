"""Operations whose message is not where it was: decided after the download, which shows where it is now, or that it is
gone. Writes to the store only; what has to be sent because of it, the next pass sends.
"""

from store import Arrival, Message, UnknownMessage
from store.mail import FolderId, MessageKey, Role, UidSet
from store.mail.conflicts import Choice, NewConflict, Side, Version
from store.mail.operations import Net, Operation, OperationKind, Source, net

from ..errors import ErrorKind
from ..sources.base import Notice
from .collapse import chains_of
from .conflicts import Case, Here, There, case_of
from .context import ReplayContext, conflict_of
from .facts import account_operations, due, place_of
from .planning import something_to_send

__all__ = ["decide_lost"]


def decide_lost(context: ReplayContext, *, everywhere: bool) -> bool:
    """Settle what is pending for messages that are gone, or are elsewhere; True when something may be sent now.

    *everywhere*: the download looked at every folder, and well; else nothing is taken for gone. What is wanted of one
    message is judged as a whole, or not at all.
    """
    ready = False
    if everywhere:
        pending = account_operations(context)
        chains = chains_of(pending)
        for one in pending:
            if one.kind is OperationKind.FLAGS and one.message not in chains and due(context, one):
                _flags(context, one)
        for chain in chains.values():
            if all(due(context, one) for one in chain):
                ready |= _job(context, net(chain))
    return ready or something_to_send(context)


def _flags(context: ReplayContext, one: Operation) -> None:
    """What was marked was moved there, and the mark follows it; or is gone: the mark goes with it, and that is told."""
    assert one.message is not None
    with context.store.read() as view:
        try:
            view.message(one.message)
            return
        except UnknownMessage:
            path = _path(context, one)
        elsewhere = view.came_since(one.message, MessageKey(one.key_before))
    if elsewhere is not None:
        with context.store.edit("a mark follows") as editing:
            editing.set_flags([elsewhere.key], add=one.add, remove=one.remove)
    case = case_of(Here.FLAGS, There.EXPUNGE if elsewhere is None else There.MOVE)
    with context.store.write("marked and gone", run=context.run) as tx:
        tx.settle.gone([one.id], case.outcome)
    if elsewhere is not None:
        return
    text = "A message whose flags were changed here is gone on the server."
    context.warn(Notice(kind=ErrorKind.MESSAGE_MISSING.value, text=text, folder=path))


def _job(context: ReplayContext, wanted: Net) -> bool:
    source = wanted.origin if wanted.source is Source.ORIGIN and wanted.origin else wanted.message
    place = place_of(context, source)
    if wanted.source is Source.OCTETS or (place and not (wanted.deleted and place.folder_id != wanted.folder_id)):
        return False
    if wanted.source is Source.ORIGIN:
        return _keep(context, wanted, case_of(Here.COPY, There.EXPUNGE))
    elsewhere = _elsewhere(context, wanted) if place is None else _seen(context, wanted.message)
    if place is not None and elsewhere is None:
        return False
    if wanted.deleted:
        return _deleted(context, wanted, elsewhere)
    if wanted.target is None:  # moved away here and back again, and taken from there meanwhile: as if never touched
        with context.store.write("moved back, and gone", run=context.run) as tx:
            tx.settle.gone(wanted.operations, "it was moved back to where it is not any more")
        return False
    here = Here.TRASH if _is_trash(context, wanted.target) else Here.MOVE
    if elsewhere is not None:
        same = elsewhere.folder_id == wanted.target
        return _adopt(context, wanted, elsewhere, case_of(here, There.MOVE_SAME if same else There.MOVE))
    if here is Here.TRASH:
        with context.store.write("thrown away on both sides", run=context.run) as tx:
            tx.settle.gone(wanted.operations, case_of(here, There.EXPUNGE).outcome)
        return False
    return _keep(context, wanted, case_of(here, There.EXPUNGE))


def _deleted(context: ReplayContext, wanted: Net, there: Message | None) -> bool:
    """What was to be removed is gone, or was moved meanwhile: then it stays where it is now."""
    trashed = there is not None and _is_trash(context, there.folder_id)
    case = case_of(Here.DELETE, There.EXPUNGE if there is None else There.TRASH if trashed else There.MOVE)
    place = ""
    if there is not None:
        with context.store.read() as view:
            place = str(view.folder(there.folder_id).path)
    found = None if case.kind is None else _conflict(context, wanted, case, place)
    with context.store.write("deleted on both sides", run=context.run) as tx:
        tx.settle.deleted(wanted.operations)
        if found is not None:
            tx.settle.conflict(found)
    if found is not None:
        context.tell_conflict(found, place)
    return False


def _is_trash(context: ReplayContext, folder: FolderId | None) -> bool:
    if folder is None:
        return False
    with context.store.read() as view:
        return view.folder(folder).role is Role.TRASH


def _elsewhere(context: ReplayContext, wanted: Net) -> Message | None:
    """Return the message that came to another folder since, and is the same.

    One without a twin came to the server in a place that was never learned: then since it was made.
    """
    with context.store.read() as view:
        return view.came_since(wanted.message, wanted.message if wanted.twin is None else wanted.twin)


def _seen(context: ReplayContext, key: MessageKey) -> Message | None:
    with context.store.read() as view:
        try:
            return view.message(key)
        except UnknownMessage:
            return None


def _adopt(context: ReplayContext, wanted: Net, there: Message, case: Case) -> bool:
    """Let a message be where somebody else moved it, or move it on from there: the host wants it so, or
    it never left its folder, which was renumbered."""
    assert there.uid is not None
    with context.store.read() as view:
        place = str(view.folder(there.folder_id).path)
        flags = dict(view.flags_of(there.folder_id, UidSet((there.uid,)))).get(there.uid)
    at = Arrival(message=wanted.message, folder_id=there.folder_id, epoch=there.epoch, uid=there.uid, flags=flags)
    stayed = there.folder_id == wanted.folder_id  # only its number is another one: it can go where it was to go
    found = None if stayed or case.kind is None else _conflict(context, wanted, case, place)
    again = stayed or (found is not None and found.done is Choice.KEEP_MINE)
    with context.store.write("moved there", run=context.run) as tx:
        tx.settle.arrived(wanted.operations, [at])
        if again and wanted.target is not None:
            tx.settle.move_on(wanted.message, wanted.target)
        if found is not None:
            tx.settle.conflict(found)
    if found is not None:
        context.tell_conflict(found, place)
    return again


def _keep(context: ReplayContext, wanted: Net, case: Case) -> bool:
    """Add a message again that was moved here and removed there; where its octets are not here, it is gone.

    A copy without octets is made of its origin, where that is known by another number or in another folder now.
    """
    found = None if case.kind is None else _conflict(context, wanted, case, "")
    wished = found is None or found.done is Choice.KEEP_MINE
    elsewhere = None
    if wanted.origin is not None:
        with context.store.read() as view:
            elsewhere = view.came_since(wanted.origin, wanted.message)
    with context.store.write("moved here, removed there", run=context.run) as tx:
        kept = wished and tx.settle.upload_instead(wanted.operations)
        if not kept and elsewhere is not None:
            tx.settle.copy_from(wanted.operations, elsewhere.key)
            kept = True
        if not kept:
            tx.settle.gone(wanted.operations, "It was removed on the server.")
        if found is not None and (kept or not wished):
            tx.settle.conflict(found)
    if found is not None and (kept or not wished):
        context.tell_conflict(found, found.versions[0].place)
    elif kept:
        return True
    else:
        text = "A message that was moved here is gone on the server, and only its header is here."
        context.warn(Notice(kind=ErrorKind.MESSAGE_MISSING.value, text=text))
    return kept


def _conflict(context: ReplayContext, wanted: Net, case: Case, place: str) -> NewConflict:
    with context.store.read() as view:
        mine = "" if wanted.target is None else str(view.folder(wanted.target).path)
    versions = (Version(side=Side.MINE, place=mine), Version(side=Side.THEIRS, place=place, deleted=not place))
    return conflict_of(context, case, wanted.operations[-1], wanted.message, versions)


def _path(context: ReplayContext, one: Operation) -> str:
    with context.store.read() as view:
        return next((str(f.path) for f in view.folders(context.account) if f.id == one.folder_id), "")
