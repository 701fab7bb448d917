"""A callback that comes later hears a run that somebody else began, from its first event on."""

from typing import TYPE_CHECKING

from ..callback import CancelRequest
from ..clock import Clock
from ..delivery import Delivery
from ..events import ItemKind, SyncProgress
from ..handle import SyncHandle
from ..turn import Spawn

if TYPE_CHECKING:
    from ..callback import ProgressCallback

__all__ = ["join"]


def join(handle: SyncHandle, callback: "ProgressCallback", *, clock: Clock, spawn: Spawn) -> None:
    """Let *callback* hear the run of *handle*, on a thread of its own; what it answers is done."""

    def answer(event: SyncProgress, said: CancelRequest) -> None:
        if said is CancelRequest.ALL:
            handle.cancel()
        else:
            handle.cancel_item(event.account, event.folder, outbox=event.item is ItemKind.OUTBOX)

    delivery = Delivery(callback, deliver=None, clock=clock, answer=answer)
    backlog = handle.listen(delivery.ready.set)
    spawn("delivery", lambda: delivery.run(backlog))
