"""Octets of messages: header blocks and whole bodies, newest first, each once, whatever one bad message does.

Page by page: headers of the large ones at once, then the small ones whole, then the large ones. A message that was
asked for and did not come goes on the gap list; one whose octets contradict themselves is quarantined; both are tried
again with a growing delay, and neither is ever taken for deleted. Between two messages a more urgent one goes first.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from store import BodyNeed, EncodedHeader, Encoder, ReadView, TroubleKind
from store.mail import Uid, UidSet, UidValidity

from ..errors import ErrorKind, ServerBusy, SourceError
from ..events import Counts
from ..sources.base import BodyWanted, HeaderRow, Session
from .context import FolderWork, RunContext, Visit, Yielded
from .pipe import Pipe, Target
from .sharing import first_copies, not_here, settle_shared, share_in

__all__ = [
    "PAGE_MESSAGES",
    "bring_bodies",
    "bring_headers",
    "fetch_bodies",
    "outstanding",
    "read_headers",
    "settle_headers",
    "still_wanted",
    "tell_trouble",
]

SMALL_OCTETS = 64_000
"""Up to here a message comes whole in one pass; above, its header comes first."""
PAGE_MESSAGES = 2_000
HEADERS_PER_COMMIT = 500
RETRY_FIRST = timedelta(hours=1)
RETRY_LAST = timedelta(days=7)


def still_wanted(work: FolderWork, view: ReadView, now: datetime, before: int | None, limit: int) -> list[BodyNeed]:
    """Return whole messages that the policy wants and that are not here, newest first, below UID *before*."""
    if not work.wants_bodies:
        return []
    return view.wanted_bodies(
        work.folder.id,
        size_max=work.size_octets_max,
        newer_than=work.oldest(now),
        before_uid=before,
        now=now,
        limit=limit,
    )


def bring_headers(
    context: RunContext,
    session: Session,
    work: FolderWork,
    epoch: UidValidity,
    uids: UidSet,
    *,
    in_trouble: bool = False,
    last: bool = True,
) -> UidSet:
    """Fetch and commit the header blocks of *uids*, newest first; return those whose octets are here by that.

    *in_trouble*: what does not come was told already. *last*: as in ``settle_headers``.
    """
    whole = UidSet()
    suspects = UidSet(uid for uid in uids if uid in work.portion.suspects)
    pages = (uids - suspects).pages(min(HEADERS_PER_COMMIT, work.portion.messages))
    for page in (*pages, *suspects.pages(1)):
        work.item.stop.checkpoint()
        try:
            came = read_headers(work, page, session.headers(page))
        except SourceError as error:
            if error.drops_connection:
                _suspect(context, work, epoch, error, error.uid, list(page))
            raise
        work.portion.went_well()
        with context.store.write("headers", run=context.run) as tx:
            tx.add_headers(work.folder.id, epoch, came.blocks)
            shared = share_in(tx, context, work, epoch, page)
        whole |= settle_shared(work, shared)
        if in_trouble:
            work.item.count(Counts(octets=came.octets))
        else:
            settle_headers(context, work, epoch, page, came, last=last)
    return whole


@dataclass(frozen=True, slots=True)
class Headers:
    """Header blocks that came, ready to be written; the UIDs whose server has none; octets received."""

    blocks: list[tuple[Uid, EncodedHeader]]
    empty: UidSet
    octets: int


def read_headers(work: FolderWork, asked: UidSet, rows: Iterable[HeaderRow]) -> Headers:
    """Take what *rows* bring of the *asked* messages, the first row of each."""
    encoder = Encoder()
    blocks: dict[Uid, EncodedHeader] = {}
    empty: list[Uid] = []
    octets = 0
    for row in rows:
        if row.uid not in asked or row.uid in blocks:
            continue
        if row.block is None:
            empty.append(row.uid)
        else:
            blocks[row.uid] = encoder.header(row.block)
            octets += len(row.block)
            work.received(len(row.block))
    return Headers(list(blocks.items()), UidSet(empty), octets)


def settle_headers(
    context: RunContext, work: FolderWork, epoch: UidValidity, asked: UidSet, came: Headers, *, last: bool
) -> None:
    """Count headers that are committed now, and note what of the *asked* did not come.

    Unless this is the *last* question of the visit, a message without a header block is no trouble yet: the block may
    be too large by itself, and come with the octets.
    """
    work.item.count(Counts(octets=came.octets))
    if not work.wants_bodies:
        work.committed(len(came.blocks))
    missing = asked - UidSet(uid for uid, _ in came.blocks) - came.empty
    if last:
        tell_trouble(context, work, epoch, [(uid, "poison", "its header does not come") for uid in came.empty])
    tell_trouble(context, work, epoch, [(uid, "missing", "asked for, but not answered") for uid in missing])


def bring_bodies(context: RunContext, session: Session, work: FolderWork, epoch: UidValidity, pipe: Pipe) -> None:
    """Fetch every body the policy wants, newest first, into the *pipe*.

    Raises as ``fetch_bodies``.
    """
    before: int | None = None
    while True:
        with context.store.read() as view:
            needs = still_wanted(work, view, context.clock.now(), before, PAGE_MESSAGES)
        if not needs:
            break
        before = needs[-1].uid
        # The first of several copies is fetched, the others have its octets then, unless it does not come.
        while needs := not_here(context, work, epoch, pipe, needs):
            once = first_copies(context, needs)
            _bring_page(context, session, work, epoch, pipe, once)
            asked = {need.uid for need in once}
            needs = [need for need in needs if need.uid not in asked]


def _bring_page(
    context: RunContext, session: Session, work: FolderWork, epoch: UidValidity, pipe: Pipe, needs: list[BodyNeed]
) -> None:
    """Fetch *needs*: headers of the large ones, the small ones whole, then the large ones. Raises Yielded."""
    large = [need for need in needs if (need.size or 0) > SMALL_OCTETS]
    headerless = UidSet(need.uid for need in large if not need.has_header)
    whole = bring_headers(context, session, work, epoch, headerless, last=False)
    large = [need for need in large if need.uid not in whole]
    small = [need for need in needs if (need.size or 0) <= SMALL_OCTETS]
    for group in chain(_groups(small, work), _groups(large, work)):
        fetch_bodies(context, session, work, epoch, pipe, group)


def outstanding(visit: Visit, pipe: Pipe) -> tuple[int, int]:
    """Return how many messages, and how many octets of them, have to be fetched; one page in memory.

    What is here already is taken on the way; for that, headers of messages that look like others are fetched.
    """
    context, work = visit.context, visit.work
    messages = octets = 0
    before: int | None = None
    now = context.clock.now()
    while True:
        work.item.stop.checkpoint()
        with context.store.read() as view:
            needs = still_wanted(work, view, now, before, PAGE_MESSAGES)
            headerless = UidSet(need.uid for need in needs if not need.has_header)
            alike = view.look_alikes(work.folder.id, headerless) if context.fingerprints and headerless else UidSet()
        if not needs:
            return messages, octets
        before = needs[-1].uid
        whole = bring_headers(context, visit.session, work, visit.epoch, alike, last=False)
        left = not_here(context, work, visit.epoch, pipe, [need for need in needs if need.uid not in whole])
        messages += len(left)
        octets += sum(need.size or 0 for need in left)


def fetch_bodies(
    context: RunContext,
    session: Session,
    work: FolderWork,
    epoch: UidValidity,
    pipe: Pipe,
    group: Sequence[BodyNeed],
) -> None:
    """Fetch one group into the pipe, and note what did not come.

    Raises Yielded between two messages, with the pipe drained, when somebody more urgent waits; the connection, on
    which more is under way, is given up then.
    """

    def committed(messages: int) -> None:
        work.committed(messages)
        work.item.count(Counts(bodies=messages))

    target = Target(work.folder.id, epoch, committed)
    left = {need.uid: None for need in group}
    poison: list[tuple[Uid, TroubleKind, str]] = []
    half: Uid | None = None
    octets = 0
    try:
        for chunk in session.bodies([BodyWanted(uid=need.uid, size=need.size) for need in group]):
            work.item.stop.checkpoint()
            if chunk.uid not in left:
                continue
            half = None if chunk.last else chunk.uid
            if chunk.last:
                del left[chunk.uid]
            if chunk.octets is None:
                pipe.drop(target, chunk.uid)
                poison.append((chunk.uid, "poison", chunk.reason))
                continue
            octets += len(chunk.octets)
            work.received(len(chunk.octets))
            pipe.put(target, chunk)
            if chunk.last and context.turn.wanted():
                pipe.drain()
                raise Yielded
    except SourceError as error:
        if error.drops_connection:
            _suspect(context, work, epoch, error, half if half is not None else error.uid, list(left))
        raise
    finally:
        if half is not None:
            pipe.drop(target, half)
        work.item.count(Counts(octets=octets))
    work.portion.went_well()
    tell_trouble(context, work, epoch, poison)
    tell_trouble(context, work, epoch, [(uid, "missing", "asked for, but not answered") for uid in left])


def tell_trouble(
    context: RunContext, work: FolderWork, epoch: UidValidity, troubles: Sequence[tuple[Uid, TroubleKind, str]]
) -> None:
    """Keep (UID, kind, reason) in the store with the time of the next try, and tell the callback."""
    if not troubles:
        return
    with context.store.write("troubles", run=context.run) as tx:
        tries = {(t.uid, t.kind): t.tries for t in tx.view.troubles(work.folder.id)}
        for uid, kind, reason in troubles:
            delay = min(RETRY_FIRST * 4 ** min(tries.get((uid, kind), 0), 8), RETRY_LAST)
            tx.set_trouble(work.folder.id, epoch, uid, kind, reason, context.clock.now() + delay)
    for uid, kind, reason in troubles:
        if kind == "poison":
            context.warn(
                ErrorKind.MESSAGE_QUARANTINED,
                f"A message was set aside: {reason.rstrip('.')}.",
                folder=work.path,
                uid=uid,
            )
        else:
            context.warn(ErrorKind.MESSAGE_MISSING, f"A message did not come: {reason}.", folder=work.path, uid=uid)


def _suspect(
    context: RunContext, work: FolderWork, epoch: UidValidity, error: SourceError, culprit: int | None, left: list[Uid]
) -> None:
    """Remember which messages were on their way when *error* ended the connection: *culprit*, if known, or *left*.

    See ``portion``. A server that wants to be left alone says nothing about them.
    """
    if isinstance(error, ServerBusy):
        return
    aside = work.portion.broke(left, culprit)
    if aside is not None:
        work.breaks = 0
        tell_trouble(context, work, epoch, [(Uid(aside), "poison", "the connection broke twice while it came")])


def _groups(needs: Sequence[BodyNeed], work: FolderWork) -> Iterator[list[BodyNeed]]:
    """Yield *needs*: all at once while nothing went wrong, for the session knows how much to ask ahead; else in
    portions. Suspects come alone and last.
    """
    alone = [need for need in needs if need.uid in work.portion.suspects]
    rest = [need for need in needs if need.uid not in work.portion.suspects]
    while rest:
        count = len(rest) if work.portion.usual else work.portion.messages
        yield rest[:count]
        rest = rest[count:]
    yield from ([need] for need in alone)
