"""What was to leave its folder, and no answer came: moves whose copies came, and deletions.

A move whose source stayed is finished. A deletion whose message is gone is done, whoever removed it; one whose message
is still there is sent again, after the same look as any other.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from store import StoreError
from store.mail import FolderId, MessageKey, Uid, UidSet, UidValidity
from store.mail.operations import Net, OperationId, Source

from ..errors import ErrorKind, FolderUnusable, SourceError
from ..sources.base import Session
from ..sources.writing import Deleted, FolderWrite, WriteEnded, WritingSession
from .collapse import FolderFact
from .context import ReplayContext
from .facts import doubt_counts, place_of

__all__ = ["finish_moves", "look_for_removed", "tell_doubt"]

Keys = dict[Uid, MessageKey]


def tell_doubt(context: ReplayContext, error: SourceError | StoreError, folder: FolderFact | None) -> None:
    """Tell why something stays in doubt; raises *error* when it ended the connection."""
    if isinstance(error, SourceError) and error.drops_connection:
        raise error
    context.tell(error, folder=None if folder is None else str(folder.path))


def look_for_removed(
    context: ReplayContext, session: Session, facts: Mapping[FolderId, FolderFact], removals: Sequence[Net]
) -> tuple[list[OperationId], list[OperationId]]:
    """Return which deletions are done, and which are to be sent again; of others nothing can be told now.

    Raises what ends the connection.
    """
    there: set[MessageKey] = set()
    unsure: set[MessageKey] = set()
    for _, _, keys, left in _sources(context, session, facts, [one.message for one in removals]):
        if left is None:
            unsure.update(keys.values())
        elif left:
            there.update(keys[uid] for uid in left)
    known = [one for one in removals if one.message not in unsure]
    gone = [id for one in known if one.message not in there for id in one.operations]
    return gone, [id for one in known if one.message in there for id in one.operations]


def finish_moves(
    context: ReplayContext, session: Session, facts: Mapping[FolderId, FolderFact], moved: Sequence[Net]
) -> set[MessageKey]:
    """Remove the sources of moves whose copies came; return of which ones that could not be done, or told."""
    unsure: set[MessageKey] = set()
    writes: dict[FolderWrite, tuple[FolderFact, Keys]] = {}
    moves = [one.message for one in moved if one.source is Source.SERVER]
    for fact, epoch, keys, left in _sources(context, session, facts, moves):
        if left is None:
            unsure.update(keys.values())
        elif left:
            writes[FolderWrite(name=fact.name, epoch=epoch, deletes=left)] = fact, keys
    return unsure | _remove(context, session, writes)


def _sources(
    context: ReplayContext, session: Session, facts: Mapping[FolderId, FolderFact], messages: Iterable[MessageKey]
) -> Iterator[tuple[FolderFact, UidValidity, Keys, UidSet | None]]:
    """Yield the folders that *messages* were to leave, who of them by UID, and who is still there; None: not known.

    Messages and folders without a place on the server, as far as is known here, are left out.
    """
    sources: dict[tuple[FolderId, UidValidity], Keys] = defaultdict(dict)
    for message in messages:
        place = place_of(context, message)
        if place is not None:
            sources[place.folder_id, place.epoch][place.uid] = message
    for (folder, epoch), keys in sources.items():
        fact = facts.get(folder)
        if fact is None or not fact.name:
            continue  # the server's list of folders does not have it: what is gone holds nothing
        context.stop.checkpoint()
        left: UidSet | None
        try:
            left = _left(session, fact, epoch, UidSet(keys))
        except SourceError as error:
            tell_doubt(context, error, fact)
            left = None
        else:
            if left is None:
                context.unclear.update(keys.values())
        yield fact, epoch, keys, left


def _left(session: Session, source: FolderFact, epoch: UidValidity, uids: UidSet) -> UidSet | None:
    """Return which of *uids* are still in *source*; None: it has another name, or they have other numbers, which the
    next listing tells."""
    try:
        opened = session.open(source.name, None)
    except FolderUnusable as error:
        if error.kind is not ErrorKind.FOLDER_GONE:
            raise
        return None
    if opened.epoch != epoch:
        return UidSet() if opened.epoch == source.epoch else None
    return session.existing(within=uids)


def _remove(
    context: ReplayContext, session: Session, writes: Mapping[FolderWrite, tuple[FolderFact, Keys]]
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
        tell_doubt(context, error, None)
        unsure.update(key for _, keys in waiting.values() for key in keys.values())
    return unsure


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
        tell_doubt(context, event.error, source)
    return left
