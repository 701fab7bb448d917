"""Doubt is resolved by looking: what became of attempts whose answer never came.

An attempt was journaled before its first octet. The target is searched for what it may have brought, the source for
what it may have left; only then is something sent again, or said to be done. A move whose copy came and whose source
stayed is finished. What cannot be told now stays in doubt, and is looked at again in the next run; it holds up nothing
but itself. RFC 4549 §4.2.2; invariants U2, U4 and U5.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from store import Arrival, BodyNotHere, StoreDamaged, UnknownMessage
from store.mail import FolderId, MessageKey, Uid, UidSet
from store.mail.operations import Net, OperationId, OperationState, Source, net
from store.mail.submission import Filing
from store.mime import was_on_the_way

from ..errors import ErrorKind, FolderUnusable, SourceError
from ..phases import Phase
from ..sources.base import BodyWanted, IdentityRow, Notice, Opened, Session
from .collapse import FolderFact, chains_of
from .context import ReplayContext
from .departures import finish_moves, look_for_removed, tell_doubt
from .evidence import Evidence, alike, copies_found, newcomers, same_header, same_mail, worth_reading
from .facts import evidence_of, folder_facts

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
    context.unclear.clear()
    doubts, removals, unsent = _doubts(context)
    if not (doubts or removals or unsent):
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
            tell_doubt(context, error, facts.get(target))
            found.unsure.update(doubt.key for doubt in group if doubt.key not in found.places)
    found.unsure |= finish_moves(context, session, facts, [doubt.net for doubt in doubts if doubt.key in found.places])
    known = [doubt for doubt in doubts if doubt.key not in found.unsure]
    removed, again = look_for_removed(context, session, facts, removals)
    if not (known or removed or again or unsent):
        return
    with context.store.write("doubts", run=context.run, durable=True) as tx:
        tx.settle.unsent([*again, *unsent])
        tx.settle.deleted(removed)
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


def _doubts(context: ReplayContext) -> tuple[list[_Doubt], list[Net], list[OperationId]]:
    """Return the attempts of the whole account, whatever folders were asked for: those that bring something somewhere,
    those that remove something, and those that do neither: they are simply sent again.
    """
    with context.store.read() as view:
        attempted = [one for one in view.operations(context.account) if one.state is OperationState.ATTEMPTED]
    doubts: list[_Doubt] = []
    removals: list[Net] = []
    unsent: list[OperationId] = []
    for chain in chains_of(attempted).values():
        sent = net(chain)
        if sent.deleted and sent.source is Source.SERVER:
            removals.append(sent)
            continue
        if sent.target is None:
            unsent.extend(sent.operations)
            continue
        last = chain[-1]
        doubts.append(_Doubt(net=sent, target=sent.target, epoch=last.epoch_before, uid_next=last.uid_next_before))
    return doubts, removals, unsent


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
        with context.store.read() as view:
            if not view.folder(target.id).selectable:
                return  # deleted, and only its name is left, for the folders below it: that holds nothing
        if error.kind is not ErrorKind.FOLDER_GONE:
            raise
        found.unsure.update(doubt.key for doubt in doubts)  # or it has another name: the next listing tells
        context.unclear.update(doubt.key for doubt in doubts)
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
    unlike: dict[MessageKey, list[Uid]] = {}
    for doubt in doubts:
        one = wanted.get(doubt.key)
        added = doubt.net.source is Source.OCTETS
        if one is None or doubt.key in uids or not (added or not one.message_id):
            continue
        fit = worth_reading(one, rows, keys) if added else alike(one, rows, keys)
        sent = bool(one.message_id) and context.store.outbox.is_copy(doubt.key)
        if sent and fit:
            fit = _on_no_way(session, fit)
        uid, sure = _same(context, session, one, [row for row in fit if row not in taken], rows)
        if uid is not None:
            uids[doubt.key] = uid
            taken.add(uid)
        elif sent and fit:
            unlike[doubt.key] = fit
        elif not sure:
            found.unsure.add(doubt.key)
            untold += 1
    found.theirs.update(key for key, fit in unlike.items() if not taken.issuperset(fit))
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
            context.unclear.add(doubt.key)
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


def _on_no_way(session: Session, uids: Iterable[Uid]) -> list[Uid]:
    """Return which of *uids* can be the copy of something sent: what was delivered came by a list, or a rule."""
    rows = session.headers(UidSet(uids))
    return [row.uid for row in rows if row.block is not None and not was_on_the_way(row.block)]


def _headers_like(session: Session, uids: Iterable[Uid], ours: bytes) -> dict[Uid, bool]:
    """Tell of each of *uids* whether its header block is *ours*; those whose block does not come are left out."""
    rows = session.headers(UidSet(uids))
    return {row.uid: same_header(ours, row.block) for row in rows if row.block is not None}
