"""From the events of a synchronization to the reports of a session: one ``Relay`` for one request."""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from store.mail import AccountId

from ...backlog import Backlog
from ...callback import CancelRequest
from ...errors import InvalidRequest, UnknownItem
from ...events import ItemKind, ItemStatus, ResultStatus, SyncError, SyncProgress, SyncResult
from ...handle import SyncHandle
from ..handlers.handler import ItemId, SessionCallback
from .items import MailItems, Place

__all__ = ["Relay"]

_ENDS = {
    ResultStatus.COMPLETE: ItemStatus.SKIPPED,
    ResultStatus.COMPLETE_WITH_ERRORS: ItemStatus.SKIPPED,
    ResultStatus.CANCELED: ItemStatus.CANCELED,
    ResultStatus.FAILED: ItemStatus.FAILED,
}
"""How a request ended -> what becomes of items of it that it said nothing about."""


class Relay:
    """Tells a session what a request tells, and the request what the session says to stop. For one thread.

    *mine*: the items of the session that this request is about. Of an account that is one of them, what turns up on
    the way joins. *look* gives all items anew: folders that are found on the way are not in the old ones.
    """

    def __init__(
        self,
        handle: SyncHandle,
        session: SessionCallback,
        mine: Iterable[ItemId],
        *,
        look: Callable[[], MailItems],
        wake: Callable[[], None],
    ) -> None:
        self.handle = handle
        self.over = False
        self._session, self._look, self._items = session, look, look()
        self._open = set(mine)
        self._places = dict(self._items.places)
        """Where each item is or, when its account or its folder went meanwhile, was."""
        places = [self._places[one] for one in self._open if one in self._places]
        self._whole = {one.account for one in places if one == Place(account=one.account)}
        self._missing: set[tuple[AccountId, str | None, bool]] = set()
        self._ended: set[ItemId] = set()
        self._stopped: set[ItemId] = set()
        self._wake, self._cancelled = wake, threading.Event()
        session.when_cancelled(self._hear_cancel)
        self._backlog: Backlog = handle.listen(wake)

    def move(self) -> None:
        """Pass on what there is to pass on."""
        while not self.over and (event := self._backlog.pop()) is not None:
            match event:
                case SyncProgress():
                    self._progress(event)
                case SyncError():
                    item = None if event.account is None else self._item(event.account, event.folder, False)
                    self._session.report(event.severity, event.kind.value, event.text, item=item)
                case SyncResult():
                    self._end(event)

    def stop_what_is_cancelled(self) -> None:
        """Give a sign of life, and ask the request to stop what the session does not want any more."""
        if not self._session.can_continue():
            self.handle.cancel()
        elif self._cancelled.is_set():
            for item in self._open - self._stopped:
                if not self._session.can_continue(item):
                    self._stop(item)

    def _hear_cancel(self) -> None:
        self._cancelled.set()
        self._wake()

    def _progress(self, event: SyncProgress) -> None:
        item = self._item(event.account, event.folder, event.item is ItemKind.OUTBOX)
        if item is None or item in self._ended or not self._joined(item, event.account):
            return
        answer = self._session.progress(
            item, event.status, text=event.text or "", step=event.messages_done, steps=event.messages_total
        )
        if event.status.terminal:
            self._ended.add(item)
            self._open.discard(item)
        elif answer is CancelRequest.ALL:
            self.handle.cancel()
        elif answer is CancelRequest.ITEM and item not in self._stopped:
            self._stop(item)

    def _stop(self, item: ItemId) -> None:
        place = self._places.get(item)
        if place is None:
            return
        folder = None if place.folder is None else str(place.folder)
        self.handle.cancel_item(place.account, folder, outbox=place.outbox)
        if any((one.account, one.folder) == (place.account, folder) for one in self.handle.items):
            self._stopped.add(item)  # before it was heard of, asking changes nothing: then it is asked again

    def _item(self, account: AccountId, folder: str | None, outbox: bool) -> ItemId | None:
        place = (account, folder, outbox)
        found = self._items.id_of(*place)
        if found is None and place not in self._missing:
            self._items = self._look()
            self._places |= self._items.places
            found = self._items.id_of(*place)
            if found is None:
                self._missing.add(place)
        return found

    def _joined(self, item: ItemId, account: AccountId) -> bool:
        """Take an item into the session; one that the manager does not know is proposed first: it is in the store."""
        if item in self._open:
            return True
        if account not in self._whole:
            return False
        with suppress(InvalidRequest):  # it is in the session, or was found by another one meanwhile
            try:
                self._session.add_item(item)
            except UnknownItem:
                self._session.propose(self._items.items[item])
                self._session.commit(item)
        self._open.add(item)
        return True

    def _end(self, result: SyncResult) -> None:
        self.over = True
        ends = {(one.account, one.folder, one.item is ItemKind.OUTBOX): one.status for one in result.items}
        for item in self._open:
            status = None
            if (place := self._places.get(item)) is not None:
                folder = None if place.folder is None else str(place.folder)
                status = ends.get((place.account, folder, place.outbox))
                if status is None and not place.outbox:
                    # A folder in which nothing can have changed is not visited: it stands as its account does.
                    status = ends.get((place.account, None, False))
            if status is None or not status.terminal:
                status = _ENDS[result.status]
            self._session.progress(item, status)
