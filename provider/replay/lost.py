"""Operations whose message is not where it was: decided after the download, which shows where it is now, or that it is
gone. Writes to the store only; what has to be sent because of it, the next pass sends.
"""

from collections import defaultdict

from store import Arrival, Message, UnknownMessage
from store.mail import MessageKey
from store.mail.conflicts import Choice, NewConflict, Side, Version
from store.mail.operations import FOLDER_KINDS, Net, Operation, OperationKind, Source, net

from ..errors import ErrorKind
from ..sources.base import Notice
from .conflicts import Case, Here, There, case_of
from .context import ReplayContext, conflict_of
from .facts import account_operations, due, place_of

__all__ = ["decide_lost"]


def decide_lost(context: ReplayContext) -> bool:
    """Settle what is pending for messages that are gone, or are elsewhere; True when something may be sent now."""
    chains: dict[MessageKey, list[Operation]] = defaultdict(list)
    flags: list[Operation] = []
    for one in account_operations(context):
        if one.message is None or one.kind in FOLDER_KINDS or not due(context, one):
            continue
        if one.kind is OperationKind.FLAGS:
            flags.append(one)
        elif one.kind is not OperationKind.DOWNLOAD:
            chains[one.message].append(one)
    for one in flags:
        if one.message is not None and one.message not in chains:
            _flags(context, one)
    ready = [_job(context, net(chain)) for chain in chains.values()]
    return any(ready)


def _flags(context: ReplayContext, one: Operation) -> None:
    """What was marked is gone (deleted there): the mark goes with it, and that is told."""
    assert one.message is not None
    with context.store.read() as view:
        try:
            view.message(one.message)
            return
        except UnknownMessage:
            path = _path(context, one)
    case = case_of(Here.FLAGS, There.EXPUNGE)
    with context.store.write("marked and gone", run=context.run) as tx:
        tx.settle.gone([one.id], case.outcome)
    text = "A message whose flags were changed here is gone on the server."
    context.warn(Notice(kind=ErrorKind.MESSAGE_MISSING.value, text=text, folder=path))


def _job(context: ReplayContext, wanted: Net) -> bool:
    source = wanted.origin if wanted.source is Source.ORIGIN and wanted.origin else wanted.message
    if wanted.source is Source.OCTETS or place_of(context, source) is not None:
        return False
    if wanted.deleted:
        with context.store.write("deleted on both sides", run=context.run) as tx:
            tx.settle.deleted(wanted.operations)
        return False
    elsewhere = _elsewhere(context, wanted)
    if elsewhere is not None and wanted.source is Source.SERVER:
        same = elsewhere.folder_id == wanted.target
        return _adopt(context, wanted, elsewhere, case_of(Here.MOVE, There.MOVE_SAME if same else There.MOVE))
    return _keep(context, wanted, case_of(Here.MOVE, There.EXPUNGE))


def _elsewhere(context: ReplayContext, wanted: Net) -> Message | None:
    """Return the message that came to another folder since, and is the same."""
    if wanted.twin is None:
        return None
    with context.store.read() as view:
        return view.came_since(wanted.message, wanted.twin)


def _adopt(context: ReplayContext, wanted: Net, there: Message, case: Case) -> bool:
    """Let a message be where somebody else moved it, or (so the host wants it) move it on from there."""
    assert there.uid is not None
    at = Arrival(message=wanted.message, folder_id=there.folder_id, epoch=there.epoch, uid=there.uid)
    with context.store.read() as view:
        place = str(view.folder(there.folder_id).path)
    found = None if case.kind is None else _conflict(context, wanted, case, place)
    again = found is not None and found.done is Choice.KEEP_MINE
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
    """Add a message again that was moved here and removed there; where its octets are not here, it is gone."""
    found = _conflict(context, wanted, case, "")
    with context.store.write("moved here, removed there", run=context.run) as tx:
        kept = found.done is Choice.KEEP_MINE and tx.settle.upload_instead(wanted.operations)
        if not kept:
            tx.settle.gone(wanted.operations, "It was removed on the server.")
        if found.done is not Choice.KEEP_MINE or kept:
            tx.settle.conflict(found)
    if kept or found.done is not Choice.KEEP_MINE:
        context.tell_conflict(found, found.versions[0].place)
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
