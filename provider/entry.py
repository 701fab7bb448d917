"""The composition root: wires store, sources, scheduler and threads together, and decides nothing.

What is wrong with a request is raised here, before any work starts; whatever goes wrong later comes to the callback
and is in the result.
"""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from store import StoreError, StoreErrorKind, UnknownMessage
from store.mail import AccountId, MessageKey

from .account import Account
from .bridge import Bridge
from .clock import Clock, SystemClock
from .delivery import inside_callback
from .errors import Closed, ErrorKind, InvalidRequest, Needs, ProviderError, UnknownItem
from .events import ItemStatus
from .grouping import group_run
from .handle import SyncHandle
from .job import Leg, Task
from .phases import Phase
from .report import Reporter
from .request import Deliver, SyncFlags, SyncRequest, Trigger
from .scheduler import Scheduler
from .sources.base import Source
from .transport.base import Transport
from .turn import AccountOutcome, Turn

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from store import MailStore

    from .callback import ProgressCallback

__all__ = ["AccountRun", "FetchRun", "MailStoreProvider", "SendRun", "store_failure"]

CONNECTIONS = 4
"""Accounts that are synchronized side by side; each may have a second connection, for single messages."""
CLOSE_SECONDS = 1.5
"""For the runs to end; the threads get the rest of two seconds."""
JOIN_SECONDS = 0.4

_DOWNLOADS = SyncFlags.SYNC_DOWNLOAD_HIERARCHY | SyncFlags.SYNC_DOWNLOAD_CONTENTS

_STORE_KINDS = {
    StoreErrorKind.BUSY: ErrorKind.STORE_BUSY,
    StoreErrorKind.FULL: ErrorKind.STORE_FULL,
    StoreErrorKind.LEASE_LOST: ErrorKind.LEASE_LOST,
    StoreErrorKind.LEASED: ErrorKind.BUSY,
    StoreErrorKind.WRONG_EPOCH: ErrorKind.UIDVALIDITY_CHANGED,
    StoreErrorKind.UNKNOWN_ACCOUNT: ErrorKind.UNKNOWN_ITEM,
    StoreErrorKind.UNKNOWN_FOLDER: ErrorKind.UNKNOWN_ITEM,
    StoreErrorKind.UNKNOWN_MESSAGE: ErrorKind.UNKNOWN_ITEM,
}


class AccountRun(Protocol):
    """Synchronizes one account once. May raise anything: what is still open then ends by it."""

    def __call__(
        self,
        store: "MailStore",
        source: Source,
        account: Account,
        request: SyncRequest,
        reporter: Reporter,
        turn: Turn,
        /,
    ) -> AccountOutcome: ...


class FetchRun(Protocol):
    """Brings single messages of one account whole. May raise anything."""

    def __call__(
        self,
        store: "MailStore",
        source: Source,
        account: Account,
        keys: tuple[MessageKey, ...],
        request: SyncRequest,
        reporter: Reporter,
        turn: Turn,
        /,
    ) -> AccountOutcome: ...


class SendRun(Protocol):
    """Sends what is due in the outbox of one account. May raise anything."""

    def __call__(
        self, store: "MailStore", transport: Transport, account: Account, reporter: Reporter, /
    ) -> AccountOutcome: ...


class MailStoreProvider:
    """Keeps a mail store in step with its accounts' servers, in the background. A context manager; thread-safe.

    *clock*, *source_of*, *transport_of*, *run* and *run_messages* are for tests, and for sources and transports of the
    host's own. Raises InvalidRequest when two accounts have one id.
    """

    def __init__(
        self,
        store: "MailStore",
        accounts: Iterable[Account] = (),
        *,
        clock: Clock | None = None,
        connections: int = CONNECTIONS,
        source_of: Callable[[Account], Source] | None = None,
        transport_of: Callable[[Account], Transport] | None = None,
        run: AccountRun | None = None,
        run_messages: FetchRun | None = None,
    ) -> None:
        if connections < 1:
            raise InvalidRequest("A provider needs at least one connection.")
        self._store = store
        self._source_of = source_of
        self._transport_of = transport_of
        self._run = run
        self._run_messages = run_messages
        self._accounts: dict[AccountId, Account] = {}
        self._accounts_lock = threading.Lock()
        self._closed = False
        self._bridge = Bridge()
        self._scheduler = Scheduler(
            self._run_leg,
            spawn=self._bridge.spawn,
            clock=clock if clock is not None else SystemClock(),
            connections=connections,
            translate=store_failure,
        )
        for account in accounts:
            self.add_account(account)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<MailStoreProvider {len(self._accounts)} accounts{', closed' if self._closed else ''}>"

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The accounts, in the order in which they were given."""
        return tuple(self._accounts.values())

    @property
    def running(self) -> tuple[SyncHandle, ...]:
        """A handle of each request that is not over, whoever asked for it, oldest first.

        For who watches or governs: unlike the one that the asker holds, what it is told to do (cancel, cancel_item,
        pause, resume) is done for everybody who shares the request.
        """
        return self._scheduler.running()

    def source_of(self, account: AccountId) -> Source:
        """Return the source of an account, as runs use it: for who watches it beside them.

        Raises UnknownItem, Closed, and InvalidRequest for an account that lacks something.
        """
        self._check_open()
        return (self._source_of or _source_of())(self._account(account))

    def watched(self, account: AccountId, let_go: Callable[[], None] | None) -> None:
        """Tell that a connection watches *account* beside the runs; None: it is no more.

        *let_go* ends it, without blocking, on a run's thread: where the server takes no further connection, the run
        is what the last one is for.
        """
        self._scheduler.watched(account, let_go)

    def add_account(self, account: Account) -> None:
        """Take one more account. Raises InvalidRequest when its id is taken, Closed."""
        self._check_open()
        with self._accounts_lock:
            if account.id in self._accounts:
                raise InvalidRequest(f"There is an account {account.id} already; remove it first.")
            self._accounts[account.id] = account

    def replace_account(self, account: Account, *, before: Account | None = None) -> None:
        """Take other facts of an account, its next request on; what runs keeps those it began with.

        *before*: only if the account is still this very one; else nothing is changed: somebody else was faster. Raises
        UnknownItem when there is none of this id, Closed.
        """
        self._check_open()
        with self._accounts_lock:
            if before is not None and self._accounts.get(account.id) is not before:
                return
            self._account(account.id)
            self._accounts[account.id] = account

    def remove_account(self, account: AccountId) -> None:
        """Let go of an account and cancel its work; what is in the store stays there. Raises UnknownItem, Closed."""
        self._check_open()
        with self._accounts_lock:
            if self._accounts.pop(account, None) is None:
                raise UnknownItem("There is no account with this id.")
        self._scheduler.stop_account(account)

    def SynchronizeInBackground(self, request: SyncRequest = SyncRequest()) -> SyncHandle:  # noqa: B008
        """Start to synchronize, and return at once (MAPI: IMAPISync::SynchronizeInBackground).

        Raises InvalidRequest, UnknownItem (an account) and Closed; everything later comes to the callback.
        """
        return self._scheduler.submit(Task(request=request, accounts=self._accounts_of(request)))

    synchronize_in_background = SynchronizeInBackground

    def send_and_receive(
        self,
        request: SyncRequest = SyncRequest(),  # noqa: B008
        *,
        send: bool = True,
        receive: bool = True,
        group: str | None = None,
    ) -> SyncHandle:
        """Send what is due in the outboxes, then synchronize as *request* says; return at once.

        Either half alone, too (IMAPIStatus::FlushQueues, NameSpace.SendAndReceive). Each account's halves fail without
        each other; an account without a way out only receives, and a dry run sends nothing. *group*: accounts, folders,
        size and the halves are those of this group of the store. Raises as ``SynchronizeInBackground``, InvalidRequest
        when neither half is wanted or no account of the group is here, and UnknownGroup.
        """
        if group is not None:
            self._check_open()
            meant = group_run(self._store.schedules.group(group), self._accounts, request)
            request, send, receive = meant.request, send and meant.send, receive and meant.receive
        if not send and not receive:
            raise InvalidRequest("Neither to send nor to receive is nothing to do.")
        accounts = self._accounts_of(request)
        ways_out = {one.id for one in accounts if one.smtp is not None and send and not request.dry_run}
        return self._scheduler.submit(
            Task(request=request, accounts=accounts, sending=frozenset(ways_out), receive=receive)
        )

    def fetch(
        self,
        keys: Iterable[MessageKey],
        *,
        callback: "ProgressCallback | None" = None,
        deliver: "Deliver | AbstractEventLoop | None" = None,
    ) -> SyncHandle:
        """Bring whole messages that policy left behind, beside what runs or ahead of it.

        An account's single messages have a connection of their own, unless its shortcuts or its server say otherwise:
        then they wait for the turn of the account. Messages that are whole already cost nothing. Raises InvalidRequest
        (no key), UnknownItem (a message, or its account), Closed and StoreError.
        """
        self._check_open()
        _check_deliver(deliver)
        by_account: dict[AccountId, dict[MessageKey, None]] = {}
        with self._store.read() as view:
            for key in keys:
                try:
                    account = view.message(key).account
                except UnknownMessage:
                    raise UnknownItem("There is no message with this id.") from None
                by_account.setdefault(account, {})[key] = None
            reasons = {account: view.one_connection(account) for account in by_account}
        if not by_account:
            raise InvalidRequest("This request names no message.")
        request = SyncRequest(
            flags=SyncFlags.SYNC_DOWNLOAD_CONTENTS | SyncFlags.SYNC_ON_DEMAND,
            accounts=tuple(by_account),
            callback=callback,
            deliver=deliver,
            trigger=Trigger.INVOKE,
        )
        wanted = tuple((account, tuple(keys)) for account, keys in by_account.items())
        accounts = tuple(map(self._account, by_account))
        quick = frozenset(one.id for one in accounts if one.shortcuts.quick_lane and not reasons[one.id])
        return self._scheduler.submit(Task(request=request, accounts=accounts, keys=wanted, quick=quick))

    def close(self) -> None:
        """Cancel what runs, wait for it, and take nothing any more: two seconds at most. A second call does nothing.

        Every handle is done afterwards. A callback that still blocks is left to itself.
        """
        if self._closed:
            return
        self._closed = True
        self._scheduler.close(CLOSE_SECONDS)
        if not inside_callback():
            self._bridge.join(JOIN_SECONDS, but=self._scheduler.elsewhere)

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("This provider was closed.")

    def _accounts_of(self, request: SyncRequest) -> tuple[Account, ...]:
        self._check_open()
        if not isinstance(request, SyncRequest):
            raise InvalidRequest("A request is a SyncRequest.")
        _check_deliver(request.deliver)
        if request.accounts is None:
            return self.accounts
        return tuple(map(self._account, dict.fromkeys(request.accounts)))

    def _account(self, account: AccountId) -> Account:
        found = self._accounts.get(account)
        if found is None:
            raise UnknownItem("There is no account with this id.")
        return found

    def _store_has_work(self, account: AccountId) -> bool:
        with self._store.read() as view:
            return account in view.accounts() and bool(view.operations(account) or view.wishes(account))

    def _run_leg(self, leg: Leg, turn: Turn) -> AccountOutcome:
        request = leg.job.task.request
        if leg.sending:
            transport = (self._transport_of or _transport_of())(leg.account)
            return _send_run()(self._store, transport, leg.account, leg.reporter)
        if not request.flags & _DOWNLOADS and not self._store_has_work(leg.account.id):
            # Only uploads are asked for, and nothing is pending: there is nothing to connect for.
            leg.reporter.item(None).start(Phase.SYNC)
            return AccountOutcome(status=ItemStatus.SUCCEEDED)
        store, account, reporter = self._store, leg.account, leg.reporter
        source = (self._source_of or _source_of())(account)
        if leg.keys:
            fetch = self._run_messages or _runs()[1]
            return fetch(store, source, account, leg.keys, request, reporter, turn)
        run = self._run or _runs()[0]
        outcome = run(store, source, account, request, reporter, turn)
        if account.smtp is not None and outcome.status is ItemStatus.SUCCEEDED and not request.dry_run:
            _learn()(store, account, reporter.clock.now())
        return outcome


def _runs() -> tuple[AccountRun, FetchRun]:
    """Import the engine at its first use, on a run's own thread: the call that started it is back long before."""
    from .run import run_account, run_fetch

    return run_account, run_fetch


def _send_run() -> SendRun:
    from .transport.sender import run_sending

    return run_sending


def _learn() -> Callable[["MailStore", Account, datetime], None]:
    from .transport.filing import learn

    return learn


def _transport_of() -> Callable[[Account], Transport]:
    from .transport.smtp import smtp_transport

    return smtp_transport


def _source_of() -> Callable[[Account], Source]:
    from .sources.registry import source_of

    return source_of


def store_failure(error: BaseException) -> ProviderError | None:
    """Say an error of the store in our words; None: it is not one."""
    if not isinstance(error, StoreError):
        return None
    return ProviderError(
        str(error),
        kind=_STORE_KINDS.get(error.kind, ErrorKind.STORE),
        needs=Needs.RETRY if error.retryable else Needs.USER,
    )


def _check_deliver(deliver: object) -> None:
    if deliver is not None and not callable(deliver) and not hasattr(deliver, "call_soon_threadsafe"):
        raise InvalidRequest("deliver is an asyncio loop, or takes a function and calls it.")
