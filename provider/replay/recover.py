"""Doubt is resolved by looking: what became of attempts whose answer never came.

An attempt was journaled before its first octet. The target is searched for what it may have brought, the source for
what it may have left; only then is something sent again, or said to be done. A move whose copy came and whose source
stayed is finished. What cannot be told now stays in doubt, and is looked at again in the next run; it holds up nothing
but itself. RFC 4549 §4.2.2; invariants U2, U4 and U5.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from store import Arrival, BodyNotHere, StoreDamaged, StoreError, UnknownMessage
from store.mail import FolderId, MessageKey, Uid, UidSet, UidValidity
from store.mail.operations import Net, OperationId, OperationState, Source, net
from store.mail.submission import Filing

from ..errors import ErrorKind, FolderUnusable, SourceError
from ..phases import Phase
from ..sources.base import BodyWanted, IdentityRow, Notice, Opened, Session
from ..sources.writing import Deleted, FolderWrite, WriteEnded, WritingSession
from .collapse import FolderFact, chains_of
from .context import ReplayContext
from .evidence import Evidence, alike, copies_found, newcomers, same_header, same_mail, worth_reading
from .facts import doubt_counts, evidence_of, folder_facts

__all__ = ["recover"]

COSTS_ONLY_ITSELF = (SourceError, BodyNotHere, StoreDamaged, UnknownMessage)
"""Of a SourceError only what leaves the connection usable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubt:
    """An attempt on one message: what was sent, and where its target stood before."""

    net: Net
    target: FolderId
    epoch: int | None
    uid_next: int | None

    @property
    def key(self) -> MessageKey:
        """The message's."""
        return self.net.message

    @property
    def wanted_at(self) -> int:
        """The last key that was given when it was wanted: a row of what it brought has a higher one."""
        return max(self.net.message, self.net.twin or 0)


@dataclass(slots=True)
class _Found:
    """What looking at targets came to: who came where, and of whom nothing can be told now. Others did not come."""

    places: dict[MessageKey, Arrival] = field(default_factory=dict)
    unsure: set[MessageKey] = field(default_factory=set)
    theirs: set[MessageKey] = field(default_factory=set)
    """Copies of sent mail that the provider filed itself, in octets of its own."""


def recover(context: ReplayContext, session: Session) -> None:
    """Settle every attempt in doubt of this account, or leave it in doubt where nothing can be told now.

    *session* is a WritingSession, too. Raises what ends the connection, and what a write of the store raises.
    """
    doubts, unsent = _doubts(context)
    if not doubts and not unsent:
        return
    context.item.phase(Phase.SYNC, "Looking what became of changes that were on their way")
    facts = folder_facts(context)
    by_target: dict[FolderId, list[_Doubt]] = defaultdict(list)
    for doubt in doubts:
        by_target[doubt.target].append(doubt)
    found = _Found()
    for target, group in by_target.items():
        context.stop.checkpoint()
        try:
            _look(context, session, facts.get(target), group, found)
        except COSTS_ONLY_ITSELF as error:
            _tell(context, error, facts.get(target))
            found.unsure.update(doubt.key for doubt in group if doubt.key not in found.places)
    found.unsure |= _finish_moves(context, session, facts, [doubt for doubt in doubts if doubt.key in found.places])
    known = [doubt for doubt in doubts if doubt.key not in found.unsure]
    if not known and not unsent:
        return
    with context.store.write("doubts", run=context.run, durable=True) as tx:
        tx.settle.unsent(unsent)
        for doubt in known:
            arrival = found.places.get(doubt.key)
            if doubt.key in found.theirs:
                tx.settle.there_already(doubt.net.operations, "the provider filed a copy itself")
            elif arrival is None:
                tx.settle.unsent(doubt.net.operations)
            else:
                tx.settle.arrived(doubt.net.operations, [arrival])
    if found.theirs:
        context.store.outbox.learn_filing(context.account, Filing.PROVIDER)


def _doubts(context: ReplayContext) -> tuple[list[_Doubt], list[OperationId]]:
    """Return the attempts of the whole account, whatever folders were asked for; and those that brought nothing
    anywhere: they are simply sent again.
    """
    with context.store.read() as view:
        attempted = [one for one in view.operations(context.account) if one.state is OperationState.ATTEMPTED]
    doubts: list[_Doubt] = []
    unsent: list[OperationId] = []
    for chain in chains_of(attempted).values():
        sent = net(chain)
        if sent.target is None:
            unsent.extend(sent.operations)
            continue
        last = chain[-1]
        doubts.append(_Doubt(net=sent, target=sent.target, epoch=last.epoch_before, uid_next=last.uid_next_before))
    return doubts, unsent


def _tell(context: ReplayContext, error: SourceError | StoreError, folder: FolderFact | None) -> None:
    """Tell what went wrong; raises *error* when it ended the connection."""
    if isinstance(error, SourceError) and error.drops_connection:
        raise error
    context.tell(error, folder=None if folder is None else str(folder.path))


# -- the targets ------------------------------------------------------------------------------------------


def _look(
    context: ReplayContext, session: Session, target: FolderFact | None, doubts: Sequence[_Doubt], found: _Found
) -> None:
    """Look which messages came to *target*, and where. Raises SourceError."""
    if target is None or not target.name:
        return  # the server's list of folders does not have it: what is gone holds nothing
    try:
        opened = session.open(target.name, None)
    except FolderUnusable as error:
        if error.kind is not ErrorKind.FOLDER_GONE:
            raise
        found.unsure.update(doubt.key for doubt in doubts)  # or it has another name: the next listing tells
        return
    if opened.epoch is None or not opened.messages:
        return
    wanted = _evidence(context, target, opened, doubts, found)
    if not wanted:
        return
    since = min(one.since for one in wanted.values())
    room = UidSet.span(since, opened.uid_next - 1) if opened.uid_next else session.existing()
    keys, accounted = _listed(context, target, opened, room)
    rows = [row for row in session.identities(room) if row.uid in room and row.uid not in accounted]
    if before := [doubt.wanted_at for doubt in doubts if _renumbered(doubt, opened)]:
        rows = newcomers(
            rows, _known(context, target, opened, max(before), {(one.message_id, one.size) for one in rows})
        )
    copies = [wanted[doubt.key] for doubt in doubts if doubt.key in wanted and doubt.net.source is not Source.OCTETS]
    uids = copies_found(copies, rows, keys)
    taken, untold = set(uids.values()), 0
    for doubt in doubts:
        one = wanted.get(doubt.key)
        added = doubt.net.source is Source.OCTETS
        if one is None or doubt.key in uids or not (added or not one.message_id):
            continue
        fit = worth_reading(one, rows, keys) if added else alike(one, rows, keys)
        uid, sure = _same(context, session, one, [row for row in fit if row not in taken], rows)
        if uid is not None:
            uids[doubt.key] = uid
            taken.add(uid)
        elif fit and one.message_id and context.store.outbox.is_copy(doubt.key):
            found.theirs.add(doubt.key)
        elif not sure:
            found.unsure.add(doubt.key)
            untold += 1
    if untold:
        _tell_untold(context, target, untold)
    flags = {row.uid: row.flags for row in rows}
    for key, uid in uids.items():
        at = Arrival(message=key, folder_id=target.id, epoch=opened.epoch, uid=uid, flags=flags.get(uid))
        found.places[key] = at


def _evidence(
    context: ReplayContext, target: FolderFact, opened: Opened, doubts: Iterable[_Doubt], found: _Found
) -> dict[MessageKey, Evidence]:
    """Return by what those can be known that can be looked for now.

    Once the messages were renumbered, UIDs do not tell what is new. What is known to have been there before does; where
    not all of that is known, nothing can be told before the next listing.
    """
    with context.store.read() as view:
        cursor = view.cursor(target.id)
        whole = cursor.listed_from == 1
        if whole and cursor.epoch != opened.epoch:
            whole = not view.without_header(target.id) and not view.troubles(target.id)
    told = evidence_of(context, [doubt.key for doubt in doubts])
    wanted = {}
    for doubt in doubts:
        if _renumbered(doubt, opened) and not whole:
            found.unsure.add(doubt.key)
        elif doubt.key in told:
            since = (doubt.uid_next or 1) if doubt.epoch == opened.epoch else 1
            wanted[doubt.key] = replace(told[doubt.key], since=since, after=doubt.wanted_at)
    return wanted


def _renumbered(doubt: _Doubt, opened: Opened) -> bool:
    return doubt.epoch is not None and doubt.epoch != opened.epoch


def _known(
    context: ReplayContext, target: FolderFact, opened: Opened, before: int, looks: Set[tuple[str, int | None]]
) -> Counter[tuple[str, int | None]]:
    """Return how many messages of *target* with these Message-IDs and sizes are known by numbers that are not good any
    more; up to the key *before*. Empty once the download has matched them all.
    """
    known: Counter[tuple[str, int | None]] = Counter()
    with context.store.read() as view:
        if view.cursor(target.id).epoch == opened.epoch:
            return known
        after = 0
        while page := view.identities(target.id, after):
            after = page[-1].key
            known.update((one.message_id, one.size) for one in page if one.key <= before)
    return Counter({look: count for look, count in known.items() if look in looks})


def _listed(
    context: ReplayContext, target: FolderFact, opened: Opened, room: UidSet
) -> tuple[dict[Uid, MessageKey], set[Uid]]:
    """Return the keys of the rows of *room*, and which UIDs are accounted for: nothing in doubt can have come there."""
    with context.store.read() as view:
        if view.cursor(target.id).epoch != opened.epoch:
            return {}, set()
        rows = list(view.keys_at(target.id, room))
    return {uid: key for uid, key, _ in rows}, {uid for uid, _, accounted in rows if accounted}


def _tell_untold(context: ReplayContext, target: FolderFact, count: int) -> None:
    mail = "a message" if count == 1 else f"{count:,} messages"
    text = (
        f"Whether {mail} came to {target.path} cannot be told yet: the server does not give its octets. "
        "Nothing is sent twice; the next synchronization looks again."
    )
    context.warn(Notice(kind=ErrorKind.MESSAGE_MISSING.value, text=text, folder=str(target.path)))


# -- octets -----------------------------------------------------------------------------------------------


def _same(
    context: ReplayContext, session: Session, one: Evidence, uids: Sequence[Uid], rows: Iterable[IdentityRow]
) -> tuple[Uid | None, bool]:
    """Return which of *uids* is the message, the likeliest first; and whether there is an answer about all of them.

    Where its octets are not here, the header block has to do, and the size.
    """
    if not uids:
        return None, True
    with context.store.read() as view:
        ours = view.kept_raw(one.message)
        header = view.kept_header(one.message) if ours is None else None
    if ours is None:
        fit = {row.uid for row in rows if row.size == one.size}
        uids = [uid for uid in uids if uid in fit]
    answered = True
    for part in (uids[:1], uids[1:]):
        if not part:
            continue
        told: Mapping[Uid, bool]
        if ours is not None:
            told = _octets_like(session, part, ours)
        else:
            told = _headers_like(session, part, header or b"")
        for uid in part:
            if told.get(uid):
                return uid, True
        answered &= told.keys() >= set(part)
    return None, answered


def _octets_like(session: Session, uids: Sequence[Uid], ours: bytes) -> dict[Uid, bool]:
    """Tell of each of *uids* whether it is *ours*; those whose octets do not come are left out."""
    told: dict[Uid, bool] = {}
    parts: dict[Uid, bytearray] = {}
    for chunk in session.bodies([BodyWanted(uid=uid, size=None) for uid in uids]):
        if chunk.octets is not None:
            parts.setdefault(chunk.uid, bytearray()).extend(chunk.octets)
        if chunk.last:
            octets = parts.pop(chunk.uid, b"")
            if octets:  # an empty answer is none
                told[chunk.uid] = same_mail(ours, bytes(octets))
    return told


def _headers_like(session: Session, uids: Iterable[Uid], ours: bytes) -> dict[Uid, bool]:
    """Tell of each of *uids* whether its header block is *ours*; those whose block does not come are left out."""
    rows = session.headers(UidSet(uids))
    return {row.uid: same_header(ours, row.block) for row in rows if row.block is not None}


# -- the sources ------------------------------------------------------------------------------------------


def _finish_moves(
    context: ReplayContext, session: Session, facts: Mapping[FolderId, FolderFact], moved: Sequence[_Doubt]
) -> set[MessageKey]:
    """Remove the sources of moves whose copies came; return of which ones that could not be done, or told."""
    sources: dict[tuple[FolderId, UidValidity], dict[Uid, MessageKey]] = defaultdict(dict)
    with context.store.read() as view:
        for doubt in moved:
            place = view.place(doubt.key)
            if doubt.net.source is Source.SERVER and place is not None:
                sources[place.folder_id, place.epoch][place.uid] = doubt.key
    unsure: set[MessageKey] = set()
    writes: dict[FolderWrite, tuple[FolderFact, dict[Uid, MessageKey]]] = {}
    for (folder, epoch), keys in sources.items():
        fact = facts.get(folder)
        if fact is None or not fact.name:
            continue
        try:
            left = _left(session, fact, epoch, UidSet(keys))
        except SourceError as error:
            _tell(context, error, fact)
            left = None
        if left is None:
            unsure.update(keys.values())
        elif left:
            writes[FolderWrite(name=fact.name, epoch=epoch, deletes=left)] = fact, keys
    return unsure | _remove(context, session, writes)


def _remove(
    context: ReplayContext, session: Session, writes: Mapping[FolderWrite, tuple[FolderFact, dict[Uid, MessageKey]]]
) -> set[MessageKey]:
    """Remove sources; return of which messages that could not be done."""
    unsure: set[MessageKey] = set()
    if not writes or not isinstance(session, WritingSession):
        return unsure
    waiting = dict(writes)
    try:
        for event in session.write(list(writes)):
            fact, keys = writes[event.write]
            if isinstance(event, Deleted | WriteEnded):
                unsure.update(keys[uid] for uid in _not_removed(context, fact, event))
            if isinstance(event, WriteEnded):
                waiting.pop(event.write, None)
    except SourceError as error:
        _tell(context, error, None)
        unsure.update(key for _, keys in waiting.values() for key in keys.values())
    return unsure


def _left(session: Session, source: FolderFact, epoch: UidValidity, uids: UidSet) -> UidSet | None:
    """Return which of *uids* are still in *source*; None: they have other numbers, which the next listing tells."""
    try:
        opened = session.open(source.name, None)
    except FolderUnusable as error:
        if error.kind is not ErrorKind.FOLDER_GONE:
            raise
        return UidSet()
    if opened.epoch != epoch:
        return UidSet() if opened.epoch == source.epoch else None
    return session.existing(within=uids)


def _not_removed(context: ReplayContext, source: FolderFact, event: Deleted | WriteEnded) -> UidSet:
    """Return which sources are there and not even marked; tells why."""
    left = event.write.deletes
    if isinstance(event, WriteEnded):
        if event.error is None or event.error.kind is ErrorKind.FOLDER_GONE:
            return UidSet()
    else:
        left = left - event.gone - event.left
        if event.left:
            with context.store.write("left behind", run=context.run) as tx:
                doubt_counts(tx, source.id)
            context.tell_left_marked(str(source.path), len(event.left))
    if left and event.error is not None:
        _tell(context, event.error, source)
    return left
