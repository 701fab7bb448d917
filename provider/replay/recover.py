"""Doubt is resolved by looking: what became of attempts whose answer never came.

An attempt was journaled before its first octet. The target is searched for what it may have brought, the source for
what it may have left; only then is something sent again, or said to be done. A move whose copy came and whose source
stayed is finished. RFC 4549 §4.2.2; invariants U2, U4 and U5.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from store import Arrival
from store.mail import FolderId, MessageKey, Uid, UidSet, UidValidity
from store.mail.operations import Net, Operation, OperationKind, OperationState, Source, net

from ..errors import CommandRefused, FolderUnusable
from ..phases import Phase
from ..sources.base import BodyWanted, IdentityRow, Session
from ..sources.writing import Deleted, FolderWrite, WriteEnded, WritingSession
from .collapse import FolderFact, Place
from .context import ReplayContext
from .evidence import Evidence, copies_found, same_mail, worth_reading
from .facts import account_operations, doubt_counts, evidence_of, folder_facts, place_of

__all__ = ["recover"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubt:
    """An attempt on one message: what was sent, and where its target stood before."""

    net: Net
    target: FolderId
    epoch: int | None
    uid_next: int | None


def recover(context: ReplayContext, session: Session) -> None:
    """Settle every attempt in doubt of this account, or leave it in doubt where the server cannot be asked.

    *session* is a WritingSession, too. Raises what ends the connection.
    """
    doubts = _doubts(context)
    if not doubts:
        return
    context.item.phase(Phase.SYNC, "Looking what became of changes that were on their way")
    facts = folder_facts(context)
    by_target: dict[FolderId, list[_Doubt]] = defaultdict(list)
    for doubt in doubts:
        by_target[doubt.target].append(doubt)
    places: dict[MessageKey, Arrival] = {}
    unasked: set[MessageKey] = set()
    for target, group in by_target.items():
        context.stop.checkpoint()
        try:
            places.update(_found(context, session, facts.get(target), group))
        except CommandRefused as error:
            context.tell(error, folder=error.folder)
            unasked.update(doubt.net.message for doubt in group)
    known = [doubt for doubt in doubts if doubt.net.message not in unasked]
    _finish_moves(context, session, facts, [d for d in known if d.net.message in places])
    with context.store.write("doubts", run=context.run, durable=True) as tx:
        for doubt in known:
            arrival = places.get(doubt.net.message)
            if arrival is None:
                tx.settle.unsent(doubt.net.operations)
            else:
                tx.settle.arrived(doubt.net.operations, [arrival])


def _doubts(context: ReplayContext) -> list[_Doubt]:
    chains: dict[MessageKey, list[Operation]] = defaultdict(list)
    for one in account_operations(context):
        if one.state is OperationState.ATTEMPTED and one.message is not None and one.kind is not OperationKind.FLAGS:
            chains[one.message].append(one)
    doubts = []
    for chain in chains.values():
        sent = net(chain)
        if sent.target is None:
            continue  # a deletion: it is simply sent again
        last = chain[-1]
        doubts.append(_Doubt(net=sent, target=sent.target, epoch=last.epoch_before, uid_next=last.uid_next_before))
    return doubts


def _found(
    context: ReplayContext, session: Session, target: FolderFact | None, doubts: Sequence[_Doubt]
) -> dict[MessageKey, Arrival]:
    """Return which messages came to *target*, and where."""
    if target is None or not target.name:
        return {}
    try:
        opened = session.open(target.name, None)
    except FolderUnusable:
        return {}  # what is gone holds nothing
    if opened.epoch is None or not opened.messages:
        return {}
    since = min((d.uid_next or 1) if d.epoch == opened.epoch else 1 for d in doubts)
    room = UidSet.span(since, opened.uid_next - 1) if opened.uid_next else session.existing()
    rows = [row for row in session.identities(room) if row.uid in room and row.uid not in _settled(context, target)]
    copies = [d for d in doubts if d.net.source is not Source.OCTETS]
    wanted = [one for d in copies if (one := evidence_of(context, d.net.message)) is not None]
    uids = copies_found(wanted, rows)
    for doubt in doubts:
        if doubt.net.source is Source.OCTETS:
            left = [row for row in rows if row.uid not in uids.values()]
            uid = _appended(context, session, doubt, left)
            if uid is not None:
                uids[doubt.net.message] = uid
    flags = {row.uid: row.flags for row in rows}
    return {
        key: Arrival(message=key, folder_id=target.id, epoch=opened.epoch, uid=uid, flags=flags.get(uid))
        for key, uid in uids.items()
    }


def _settled(context: ReplayContext, target: FolderFact) -> set[Uid]:
    """Return the UIDs of *target* that earlier operations are known to have brought."""
    with context.store.read() as view:
        done = [one for one in view.operations(context.account, pending=False) if one.state is OperationState.DONE]
        keys = {one.message for one in done if one.message is not None}
        places = [place for key in keys if (place := view.place(key)) is not None]
    return {place.uid for place in places if place.folder_id == target.id}


def _appended(context: ReplayContext, session: Session, doubt: _Doubt, rows: Iterable[IdentityRow]) -> Uid | None:
    """Return which of *rows* is the message that was added: its octets are compared."""
    one: Evidence | None = evidence_of(context, doubt.net.message)
    if one is None:
        return None
    candidates = worth_reading(one, rows)
    if not candidates:
        return None
    with context.store.read() as view:
        ours = view.raw(doubt.net.message)
    for uid in candidates:
        chunks = session.bodies([BodyWanted(uid=uid, size=None)])
        theirs = b"".join(chunk.octets or b"" for chunk in chunks if chunk.uid == uid)
        if same_mail(ours, theirs):
            return uid
    return None


def _finish_moves(
    context: ReplayContext, session: Session, facts: dict[FolderId, FolderFact], moved: Sequence[_Doubt]
) -> None:
    """Remove the sources of moves whose copies came."""
    sources: dict[tuple[FolderId, UidValidity], list[Uid]] = defaultdict(list)
    for doubt in moved:
        place: Place | None = place_of(context, doubt.net.message)
        if doubt.net.source is Source.SERVER and place is not None:
            sources[place.folder_id, place.epoch].append(place.uid)
    writes = []
    for (folder, epoch), uids in sources.items():
        fact = facts.get(folder)
        if fact is None or not fact.name:
            continue
        opened = session.open(fact.name, None)
        if opened.epoch != epoch:
            continue  # renumbered: the next listing shows what is there
        left = session.existing(within=UidSet(uids))
        if left:
            writes.append(FolderWrite(name=fact.name, epoch=epoch, deletes=left))
    if writes and isinstance(session, WritingSession):
        ids = {facts[folder].name: folder for folder, _ in sources if folder in facts}
        for event in session.write(writes):
            if isinstance(event, Deleted) and event.left:
                with context.store.write("left behind", run=context.run) as tx:
                    doubt_counts(tx, ids[event.write.name])
            if isinstance(event, WriteEnded) and event.error is not None:
                context.tell(event.error, folder=event.error.folder)
