"""maildock's own handler: accounts, their folders and their outboxes as items, by ``SynchronizeInBackground``.

It decides nothing that the provider decides: it turns items into requests, and events into reports. What is begun by
others - a schedule, a push, a program's own call - is announced as a session, too. A folder that people switched off,
or took out of the sync set, gets a policy that keeps nothing of it, so that no way of synchronizing brings it.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from store import StoreError, UnknownConflict
from store.eventlog import LogId
from store.mail.conflicts import ConflictId

from ...bridge import Bridge
from ...errors import ProviderError, UnknownItem
from ...events import ItemStatus, Severity
from ...handle import SyncHandle
from ...request import SyncFlags, Trigger
from ..handlers.conflicts import ConflictInfo, Feedback, Resolution
from ..handlers.handler import (
    ElsewhereCallback,
    EventId,
    HandlerEvent,
    HandlerInfo,
    HandlerKind,
    Item,
    ItemId,
    SessionCallback,
    SessionCreator,
)
from ..handlers.masks import HandlerCan, Verb
from .items import MAIL, MailItems, account_item, keep_nothing_of
from .orders import Order, choice_of, conflict_of, orders
from .relay import Relay

if TYPE_CHECKING:
    from store import MailStore

    from ...entry import MailStoreProvider

__all__ = ["MailHandler"]

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""How often it looks for what others began."""
SIGN_SECONDS = 1.0
_FETCH = SyncFlags.SYNC_DOWNLOAD_CONTENTS | SyncFlags.SYNC_ON_DEMAND
_LEVELS = {"information": Severity.INFORMATION, "warning": Severity.WARNING, "error": Severity.ERROR}


class MailHandler:
    """The handler ``maildock`` of one provider. Thread-safe.

    *online* tells whether there is a network, None where nobody knows; without one nothing is started. It is asked
    with everything else, after each session and at ``SyncCenter.refresh``.
    """

    id = MAIL

    def __init__(
        self,
        store: "MailStore",
        provider: "MailStoreProvider",
        *,
        online: Callable[[], bool | None] = lambda: None,
    ) -> None:
        self._store, self._provider, self._online = store, provider, online
        self._bridge = Bridge()
        self._lock = threading.Lock()
        self._mine: set[int] = set()
        """Runs that a session of ours asked for."""
        self._off: set[ItemId] = set()
        self._detached = threading.Event()

    def info(self) -> HandlerInfo:
        """Say what it is."""
        accounts = self._provider.accounts
        with self._store.read() as view:
            last = [run.finished_at for run in view.runs() if run.status == "succeeded" and run.finished_at is not None]
        return HandlerInfo(
            name="Mail",
            kind=HandlerKind.APPLICATION,
            type_label="Mail accounts",
            comment=f"{len(accounts):,} accounts",
            last_sync=last[0] if last else None,
            connected=self._online(),
            can=HandlerCan.CONCURRENT_SESSIONS
            | HandlerCan.EVENT_STORE
            | HandlerCan.CONFLICT_STORE
            | HandlerCan.SHOW_SCHEDULE,
        )

    def items(self) -> Iterable[Item]:
        """List accounts, folders and outboxes."""
        items = self._look()
        with self._lock:
            keep_nothing_of(self._provider, items, self._off)
        return items.items.values()

    def accepts(self, trigger: Trigger, cookie: str) -> bool:
        """Take part in whatever it is."""
        return True

    def prepare(self, session: SessionCallback) -> None:
        """Nothing to ask: secrets come from each account's own supplier."""

    def synchronize(self, session: SessionCallback) -> None:
        """Ask the provider for what the items come to, and report until it is over."""
        wake = threading.Event()
        items = self._look()
        for gone in [one for one in session.items if one not in items.places]:
            session.progress(gone, ItemStatus.REMOVED)
        before = self._conflicts_now()
        relays: list[Relay] = []
        try:
            for order in orders(items, session):
                with self._lock:  # so that nobody takes it for a run of others
                    self._mine &= {one.run_id for one in self._provider.running}
                    handle = self._start(order)
                    self._mine.add(handle.run_id)
                relays.append(Relay(handle, session, order.items, look=self._look, wake=wake.set))
            while relays:
                for relay in relays:
                    relay.move()
                    relay.stop_what_is_cancelled()
                relays = [one for one in relays if not one.over]
                if relays:
                    wake.wait(SIGN_SECONDS)
                    wake.clear()
        finally:
            for relay in relays:  # of a session that fails nobody hears any more, nor could stop it
                relay.handle.cancel()
        if self._conflicts_now() > before:
            session.conflicts_changed(self._conflicts_now() - before)

    # --- what people chose ---------------------------------------------------------------------------------------

    def changed(self, verb: Verb, item: ItemId | None) -> None:
        """Let a folder be kept, or nothing of it; accounts as a whole are left out by whoever starts them."""
        if item is not None:
            with self._lock:
                (self._off.discard if verb is Verb.ENABLE else self._off.add)(item)
                keep_nothing_of(self._provider, self._look(), self._off)

    # --- what others began ---------------------------------------------------------------------------------------

    def attach(self, creator: SessionCreator) -> None:
        """Tell *creator* of each run that somebody else began."""
        self._detached.set()
        detached = self._detached = (
            threading.Event()
        )  # its own: the one before it may not have seen yet that it is over
        self._bridge.spawn("mail-watch", lambda: self._watch(creator, detached))

    def detach(self) -> None:
        """Tell nobody any more."""
        self._detached.set()

    def _watch(self, creator: SessionCreator, detached: threading.Event) -> None:
        relays: dict[int, tuple[Relay, ElsewhereCallback]] = {}
        seen: set[int] = set()
        wake = threading.Event()
        while not detached.is_set():
            with self._lock:
                handles = {one.run_id: one for one in self._provider.running}
                self._mine &= handles.keys()
                strange = [one for run, one in handles.items() if run not in self._mine and run not in seen]
            seen = (seen & handles.keys()) | {one.run_id for one in strange}
            for handle in strange:
                with self._of_no_consequence():
                    if (begun := self._announce(handle, creator, wake)) is not None:
                        relays[handle.run_id] = begun
            for run, (relay, session) in list(relays.items()):
                with self._of_no_consequence():
                    relay.move()
                    relay.stop_what_is_cancelled()
                    if not relay.over:
                        continue
                    session.finished()
                del relays[run]
            wake.wait(LOOK_SECONDS)
            wake.clear()

    @contextmanager
    def _of_no_consequence(self) -> Iterator[None]:
        """Show inside what others began; where that fails, it is not shown any more, and goes on."""
        try:
            yield
        except (ProviderError, StoreError) as error:
            log.info("A run that others began cannot be shown (%s).", error.kind.value)

    def _announce(
        self, handle: SyncHandle, creator: SessionCreator, wake: threading.Event
    ) -> tuple[Relay, ElsewhereCallback] | None:
        request = handle.request
        if request.flags == _FETCH and request.trigger is Trigger.INVOKE:
            return None  # single messages: nothing is kept in step by them
        items = self._look()
        accounts = request.accounts or tuple(one.id for one in self._provider.accounts)
        paths: list[str | None] = [str(path) for path in request.folder_paths]
        found = [items.id_of(account, path) for account in accounts for path in paths or [None]]
        mine = [one for one in found if one is not None]
        if not mine:
            return None
        session = creator.create_session(MAIL, mine, trigger=request.trigger)
        return Relay(handle, session, mine, look=self._look, wake=wake.set), session

    # --- events and conflicts ------------------------------------------------------------------------------------

    def events(self) -> Iterable[HandlerEvent]:
        """Return what lasts of the store's event log."""
        return [
            HandlerEvent(
                id=EventId(int(one.id)),
                handler=MAIL,
                item=account_item(one.account),
                level=_LEVELS[one.severity],
                at=one.last_at,
                name=one.kind,
                description=one.text,
                context=one.folder or "",
            )
            for one in self._store.eventlog.entries(open=True, limit=1_000)
        ]

    def remove_events(self, ids: Iterable[EventId]) -> None:
        """Forget some."""
        self._store.eventlog.remove([LogId(int(one)) for one in ids])

    def conflicts(self) -> Iterable[ConflictInfo]:
        """Return what waits for a decision."""
        with self._store.read() as view:
            return [conflict_of(one) for one in view.conflicts()]

    def resolve(self, conflict: str, resolution: Resolution) -> Feedback:
        """Carry a decision out; REFRESH when it is not offered any more."""
        with self._store.read() as view:
            found = next((one for one in view.conflicts() if str(int(one.id)) == conflict), None)
        if found is None:
            raise UnknownItem("There is no such conflict any more.")
        choice = choice_of(resolution)
        if choice not in found.found.choices:
            return Feedback.REFRESH
        try:
            with self._store.edit("resolve conflict") as edit:
                edit.resolve(ConflictId(int(conflict)), choice)
        except UnknownConflict:
            raise UnknownItem("There is no such conflict any more.") from None
        return Feedback.CONTINUE

    # --- how -----------------------------------------------------------------------------------------------------

    def _look(self) -> MailItems:
        return MailItems(self._store, self._provider.accounts, off=frozenset(self._off))

    def _conflicts_now(self) -> int:
        with self._store.read() as view:
            return len(view.conflicts())

    def _start(self, order: Order) -> SyncHandle:
        if order.send:
            return self._provider.send_and_receive(order.request, receive=order.receive)
        return self._provider.SynchronizeInBackground(order.request)
