"""Single messages on demand: what a policy left behind comes now, whatever its size (MAPI: SyncHdrBeg / SyncHdrEnd).

A synchronization of the account may be at work beside it, and bring, renumber or remove the very messages: what counts
in the end is what the store has.
"""

from collections import defaultdict
from collections.abc import Sequence

from store import BodyNeed, BodyState, Message, UnknownFolder, UnknownMessage, WrongEpoch
from store.mail import FolderId, MessageKey, UidSet
from store.mail.operations import OperationKind

from ..account import Keep
from ..errors import Cancelled, FolderUnusable, SourceError, UnknownItem
from ..events import Counts, ItemStatus
from ..phases import Phase
from ..sources.base import Session, Source
from .bodies import fetch_bodies
from .connections import Lifeline, Reconnect, over_connections
from .context import FolderWork, RunContext
from .pipe import Pipe

__all__ = ["fetch_marked", "fetch_messages"]

LOOKS_MAX = 3
"""So often a fetch looks anew where its messages are, when a synchronization moves them meanwhile."""


def fetch_messages(context: RunContext, source: Source, keys: Sequence[MessageKey]) -> None:
    """Bring the messages *keys* whole, folder by folder; those that are here already cost nothing.

    Raises UnknownItem when one is not in the store any more (the others came), and what ends a run.
    """
    for looks_left in reversed(range(LOOKS_MAX)):
        try:
            if context.account.shortcuts.reuse:
                _take_what_is_here(context, _missing(context, keys)[0])
            if _missing(context, keys)[0]:
                _fetch(context, source, keys)
            break
        except (WrongEpoch, UnknownFolder):
            if not looks_left:
                raise
    if gone := _missing(context, keys)[1]:
        raise UnknownItem(f"{gone} of {len(keys)} messages asked for are not there any more.")


def fetch_marked(context: RunContext, session: Session, pipe: Pipe, lifeline: Lifeline) -> None:
    """Bring the messages that people marked for download, on a connection that is there (MSGSTATUS_REMOTE_DOWNLOAD).

    Those that did not come stay marked. Raises what ends the connection.
    """
    with context.store.read() as view:
        marks = [one for one in view.operations(context.account.id) if one.kind is OperationKind.DOWNLOAD]
    if not marks:
        return
    missing, _ = _missing(context, [one.message for one in marks if one.message is not None])
    for folder, messages in missing.items():
        _fetch_of_folder(context, session, pipe, lifeline, folder, messages)
    pipe.drain()
    with context.store.write("marked for download", run=context.run) as tx:
        tx.settle.downloaded(one.id for one in marks)


def _fetch(context: RunContext, source: Source, keys: Sequence[MessageKey]) -> None:
    pipe = Pipe.of(context)
    lifeline = Lifeline(context)
    cancelled: set[FolderId] = set()

    def work(session: Session) -> None:
        context.reporter.item(None).phase(Phase.CONTENTS)
        for folder, messages in _missing(context, keys)[0].items():
            if folder in cancelled:
                continue
            try:
                _fetch_of_folder(context, session, pipe, lifeline, folder, messages)
            except (Cancelled, SourceError):
                context.stop.checkpoint()
                item = lifeline.item
                if not item.stop.stopped:
                    raise
                cancelled.add(folder)
                item.finish(ItemStatus.CANCELED)
                raise Reconnect from None

    kept = False
    try:
        over_connections(context, source, lifeline, work, lambda: context.reporter.item(None).counts.bodies)
        kept = True
    finally:
        pipe.close(abandon=not kept)


def _missing(context: RunContext, keys: Sequence[MessageKey]) -> tuple[dict[FolderId, list[Message]], int]:
    """Return which messages are not whole, by folder, and how many are not there at all."""
    missing: dict[FolderId, list[Message]] = defaultdict(list)
    gone = 0
    with context.store.read() as view:
        for key in keys:
            try:
                message = view.message(key)
            except UnknownMessage:
                gone += 1
                continue
            if message.body is not BodyState.FULL and message.uid is not None:
                missing[message.folder_id].append(message)
    return missing, gone


def _take_what_is_here(context: RunContext, missing: dict[FolderId, list[Message]]) -> None:
    for folder, messages in missing.items():
        uids = UidSet(message.uid for message in messages if message.uid is not None)
        with context.store.read() as view:
            ready = view.shareable(folder, uids)
        if ready:
            with context.store.write("shared", run=context.run) as tx:
                shared = tx.share(folder, messages[0].epoch, ready)
            context.reporter.item(None).count(Counts(reused=len(shared.whole)))


def _fetch_of_folder(
    context: RunContext,
    session: Session,
    pipe: Pipe,
    lifeline: Lifeline,
    folder_id: FolderId,
    messages: list[Message],
) -> None:
    with context.store.read() as view:
        folder = view.folder(folder_id)
    item = context.reporter.item(str(folder.path))
    work = FolderWork(folder=folder, item=item, keep=Keep.FULL)
    item.start(Phase.DOWNLOAD_BODIES, f"Downloading from {folder.path}")
    work.expect(messages=len(messages), octets=sum(message.size or 0 for message in messages))
    try:
        with lifeline.at_work(item):
            opened = session.open(folder.name, None)
            if opened.epoch != messages[0].epoch:
                with context.store.read() as view:
                    if view.cursor(folder_id).epoch == opened.epoch:
                        raise WrongEpoch("the messages were renumbered meanwhile; they have to be read again")
                raise FolderUnusable(
                    f"The server renumbered {folder.path}; synchronize it first, then fetch again.",
                    folder=str(folder.path),
                )
            needs = [
                BodyNeed(key=m.key, uid=m.uid, size=m.size, has_header=True) for m in messages if m.uid is not None
            ]
            fetch_bodies(context, session, work, opened.epoch, pipe, needs)
            pipe.drain()
    except SourceError as error:
        if error.drops_connection or item.stop.stopped:
            raise
        item.finish(ItemStatus.FAILED, context.tell(error, folder=work.path))
    else:
        missing, gone = _missing(context, [message.key for message in messages])
        item.finish(ItemStatus.FAILED if missing or gone else ItemStatus.SUCCEEDED)
