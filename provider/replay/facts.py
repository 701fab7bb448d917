"""What the store knows that replay needs: operations, wishes, places, folders. Short views; values come out."""

from collections.abc import Iterable
from dataclasses import replace

from store import WriteTransaction
from store.mail import FolderId, MessageKey
from store.mail.operations import Operation, OperationState

from .collapse import FolderFact, Place, Wish
from .context import ReplayContext
from .evidence import Evidence

__all__ = ["account_operations", "doubt_counts", "evidence_of", "folder_facts", "place_of", "wishes_of"]


def account_operations(context: ReplayContext) -> tuple[Operation, ...]:
    """Return the pending operations of the account, in the order in which they were wanted.

    Where only some folders are asked for: all of a message that is to come from one or into one of them, and never a
    part of what is wanted of a message.
    """
    with context.store.read() as view:
        found = view.operations(context.account)
    only = context.only
    if only is None:
        return found
    near = {one.message for one in found if {one.folder_id, one.target_id} & only and one.message is not None}
    return tuple(one for one in found if one.message in near or (one.message is None and one.folder_id in only))


def due(context: ReplayContext, one: Operation) -> bool:
    """Tell whether *one* may be sent now."""
    if one.state is OperationState.LATER:
        return one.next_try_at is None or one.next_try_at <= context.now()
    return one.state is OperationState.QUEUED


def folder_facts(context: ReplayContext) -> dict[FolderId, FolderFact]:
    """Return the folders of the account, those included that are only here, or deleted here and still there."""
    with context.store.read() as view:
        found = {}
        for folder in view.folders(context.account, hidden=True):
            cursor = view.cursor(folder.id)
            found[folder.id] = FolderFact(
                id=folder.id,
                name=folder.name,
                path=folder.path,
                epoch=cursor.epoch,
                mod_seq=cursor.mod_seq,
                uid_next=cursor.uid_next,
                listed=folder.counts.listed,
            )
        return found


def wishes_of(context: ReplayContext) -> list[Wish]:
    """Return what has to be stored in flags."""
    with context.store.read() as view:
        return [
            Wish(
                message=one.message,
                place=Place(folder_id=one.folder_id, epoch=one.epoch, uid=one.uid),
                add=one.add,
                remove=one.remove,
            )
            for one in view.wishes(context.account)
            if context.only is None or one.folder_id in context.only
        ]


def place_of(context: ReplayContext, key: MessageKey) -> Place | None:
    """Return where a message is on the server: its own place, or its twin's."""
    with context.store.read() as view:
        place = view.place(key)
    return None if place is None else Place(folder_id=place.folder_id, epoch=place.epoch, uid=place.uid)


def evidence_of(context: ReplayContext, keys: Iterable[MessageKey]) -> dict[MessageKey, Evidence]:
    """Return what is known of messages, to find them elsewhere; those that are not kept here are left out."""
    with context.store.read() as view:
        told = {key: likeness for key in keys if (likeness := view.likeness(key)) is not None}
    return {
        key: Evidence(message=key, message_id=one.message_id, size=one.size, internal_date=one.internal_date)
        for key, one in told.items()
    }


def doubt_counts(tx: WriteTransaction, folder: FolderId) -> None:
    """Let the next visit compare: a message that stays there, marked as deleted, has no row here any more, and would
    make up in the count for one that somebody removes.
    """
    tx.save_cursor(folder, replace(tx.view.cursor(folder), mod_seq=None, messages=None))
