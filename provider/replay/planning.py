"""The plan of one pass, from what the store knows now: what is pending and due, wishes about flags, places, folders."""

from collections.abc import Sequence
from dataclasses import replace

from store.mail import FolderId, MessageKey
from store.mail.operations import Operation, OperationKind, OperationState

from .collapse import FolderFact, ReplayPlan, plan_replay
from .context import ReplayContext
from .facts import account_operations, due, folder_facts, place_of, wishes_of

__all__ = ["plan_now", "something_to_send"]


def plan_now(
    context: ReplayContext, deferred: frozenset[MessageKey] = frozenset()
) -> tuple[ReplayPlan, dict[FolderId, FolderFact], list[Operation]]:
    """Return what may be sent now, the folders that were looked at, and the operations that are due.

    *deferred*: messages that are left alone for now.
    """
    operations = account_operations(context)
    barred = {one.message for one in operations if one.message is not None and not due(context, one)}
    coming = {one.message for one in operations if one.kind is OperationKind.APPEND}
    for one in operations:  # a newer version comes first
        if one.kind is OperationKind.DELETE and one.message is not None and one.origin in coming:
            barred.add(one.message)
    # What is still to be copied, and cannot be yet, stays where it is; it may be marked.
    copied = {one.origin for one in operations if one.kind is OperationKind.COPY and one.message in barred}
    keys = {key for one in operations for key in (one.message, one.origin) if key is not None}
    places = {key: place for key in keys if (place := place_of(context, key)) is not None}
    facts = folder_facts(context)
    ready = [
        one
        for one in operations
        if due(context, one) and (one.message not in copied or one.kind is OperationKind.FLAGS or not one.message)
    ]
    plan = plan_replay(_as_queued(ready), wishes_of(context), places, facts, deferred | barred)
    return plan, facts, ready


def something_to_send(context: ReplayContext) -> bool:
    """Tell whether another replay would find something to do in a folder that the server has.

    Or could settle a doubt: the listing showed where the folder of an attempt is now, or that it is gone.
    """
    plan, _, _ = plan_now(context)
    attempted = {one.message for one in account_operations(context) if one.state is OperationState.ATTEMPTED}
    return bool(plan.folders or plan.appends or attempted & context.unclear)


def _as_queued(operations: Sequence[Operation]) -> list[Operation]:
    """Return *operations*, which are due, as if they had never been tried."""
    return [replace(one, state=OperationState.QUEUED) for one in operations]
