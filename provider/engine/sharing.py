"""Mail that is here already, in another folder or under a tombstone: its octets are taken, and not fetched.

What counts as the same message is the store's to know (docs/decisions/0009). What was taken on a fingerprint alone is
assumed, and compared with the server's octets whenever the folder's full proof is due; one that was mistaken is told,
fetched, and ends the use of fingerprints for the run. (``reuse`` is about UIDs that stand for other mail.)
"""

from hashlib import blake2b

from store import Assumed, BodyNeed, Shared, WriteTransaction
from store.mail import Uid, UidSet, UidValidity

from ..errors import ErrorKind
from ..events import Counts
from ..phases import Phase
from ..sources.base import BodyWanted
from .context import FolderWork, RunContext, Visit
from .pipe import Pipe

__all__ = ["compare_assumed", "first_copies", "not_here", "settle_shared", "share_in"]

COMPARED_MESSAGES = 200
COMPARED_OCTETS = 20_000_000
"""So much is compared in one visit."""


def share_in(tx: WriteTransaction, context: RunContext, work: FolderWork, epoch: UidValidity, uids: UidSet) -> Shared:
    """Give rows of *uids* what is here of the same messages, as far as the policy wants them."""
    if not context.account.shortcuts.reuse:
        return Shared()
    return tx.share(
        work.folder.id,
        epoch,
        uids,
        whole=work.wants_bodies,
        size_max=work.size_octets_max,
        newer_than=work.oldest(context.clock.now()),
        fingerprints=context.fingerprints,
    )


def settle_shared(work: FolderWork, shared: Shared) -> UidSet:
    """Count what is committed now; return the messages whose octets are here."""
    done = len(shared.whole) if work.wants_bodies else shared.shown
    if done:
        work.committed(done)
        work.item.count(Counts(reused=len(shared.whole)))
    return shared.whole


def not_here(
    context: RunContext, work: FolderWork, epoch: UidValidity, pipe: Pipe, needs: list[BodyNeed]
) -> list[BodyNeed]:
    """Take what is here of *needs*, the *pipe*'s contents included; return what has to be fetched."""
    if not context.account.shortcuts.reuse or not needs:
        return needs
    folder, known_by_id = work.folder.id, UidSet(need.uid for need in needs if need.identity)
    if known_by_id:
        with context.store.read() as view:
            copies = view.twins(folder, known_by_id)
        if copies:
            pipe.drain()
    with context.store.read() as view:
        ready = view.shareable(folder, UidSet(need.uid for need in needs), fingerprints=context.fingerprints)
    if not ready:
        return needs
    with context.store.write("shared", run=context.run) as tx:
        shared = share_in(tx, context, work, epoch, ready)
    whole = settle_shared(work, shared)
    return [need for need in needs if need.uid not in whole]


def first_copies(context: RunContext, needs: list[BodyNeed]) -> list[BodyNeed]:
    """Return *needs* without those that have the identity of one before them."""
    if not context.account.shortcuts.reuse:
        return needs
    first: list[BodyNeed] = []
    seen: set[tuple[str, int]] = set()
    for need in needs:
        if need.identity not in seen:
            first.append(need)
        if need.identity:
            seen.add(need.identity)
    return first


def compare_assumed(visit: Visit, *, octets_max: int | None) -> bool:
    """Fetch some of the messages whose octets are assumed, and compare; False when that is left for another visit.

    It is when they have more than *octets_max*. Nothing of it is stored. What does not come stays assumed.
    """
    work, context = visit.work, visit.context
    with context.store.read() as view:
        assumed = _bounded(view.assumed(work.folder.id, COMPARED_MESSAGES))
    if octets_max is not None and sum(one.octets for one in assumed) > octets_max:
        return False
    work.comparing = False  # one of them that breaks the connection is not asked for a second time
    if not assumed:
        return True
    work.item.phase(Phase.DOWNLOAD_BODIES, f"Comparing {work.path}")
    proven, mistaken = _compared(visit, assumed)
    with visit.write("compared") as tx:
        tx.settle_assumed(work.folder.id, visit.epoch, proven=proven, refuted=mistaken)
    if mistaken:
        context.refuted.append(work.path)
        text = f"{len(mistaken)} messages of {work.path} looked like others that are here, and are not; they come now."
        context.warn(ErrorKind.MESSAGE_MISTAKEN, text, folder=work.path)
    return True


def _bounded(assumed: list[Assumed]) -> list[Assumed]:
    chosen: list[Assumed] = []
    octets = 0
    for one in assumed:
        octets += one.octets
        if chosen and octets > COMPARED_OCTETS:
            break
        chosen.append(one)
    return chosen


def _compared(visit: Visit, assumed: list[Assumed]) -> tuple[list[Uid], list[Uid]]:
    """Return which of *assumed* have the server's octets, and which have others."""
    ours = {one.uid: one.digest for one in assumed}
    running = {one.uid: blake2b(digest_size=len(one.digest)) for one in assumed}
    proven: list[Uid] = []
    mistaken: list[Uid] = []
    octets = 0
    for chunk in visit.session.bodies([BodyWanted(uid=one.uid, size=one.size) for one in assumed]):
        visit.work.item.stop.checkpoint()
        digest = running.get(chunk.uid)
        if digest is None:
            continue
        if chunk.octets is None:
            del running[chunk.uid]
            continue
        octets += len(chunk.octets)
        visit.work.received(len(chunk.octets))
        digest.update(chunk.octets)
        if chunk.last:
            del running[chunk.uid]
            (proven if digest.digest() == ours[chunk.uid] else mistaken).append(chunk.uid)
    visit.work.item.count(Counts(octets=octets))
    return proven, mistaken
