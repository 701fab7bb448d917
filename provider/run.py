"""One run of one account: the lease from beginning to end, the rounds within it, and its history afterwards."""

from collections.abc import Callable
from dataclasses import replace

from store import MailStore, RunId, StoreError
from store.mail import MessageKey

from .account import Account
from .engine.context import RunContext, Yielded
from .engine.ondemand import fetch_messages
from .errors import ErrorKind, TooManyConnections
from .events import ItemStatus, Severity, SyncProgress
from .owner import is_gone, owning
from .phases import Phase
from .recording import record
from .report import Reporter
from .request import SyncFlags, SyncRequest
from .rounds import Rounds
from .sources.base import Notice, Source
from .states import StateCode, code_of_phase
from .turn import AccountOutcome, Turn
from .upstream import criteria_changes, upstream_of, why_full

__all__ = ["run_account", "run_fetch"]

SETTLING_SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""For a server that takes one connection to notice that the last one has ended."""

CLEAN_SECONDS = 2.0
"""For cleaning the store before the run's end is told; what is left, the next run does, or a manager."""


def run_account(
    store: MailStore, source: Source, account: Account, request: SyncRequest, reporter: Reporter, turn: Turn
) -> AccountOutcome:
    """Synchronize *account* once. Never raises: how it ended is in the outcome and with the *reporter*."""
    with owning() as owner:
        return _held(
            owner, store, account, request, reporter, turn, lambda context: Rounds(context, source).whole(), request
        )


def run_fetch(
    store: MailStore,
    source: Source,
    account: Account,
    keys: tuple[MessageKey, ...],
    request: SyncRequest,
    reporter: Reporter,
    turn: Turn,
) -> AccountOutcome:
    """Bring the whole messages *keys* of *account*, whatever its policy. Never raises."""
    with owning() as owner:
        return _held(
            owner, store, account, request, reporter, turn, lambda context: fetch_messages(context, source, keys)
        )


def _held(
    owner: str,
    store: MailStore,
    account: Account,
    request: SyncRequest,
    reporter: Reporter,
    turn: Turn,
    work: Callable[[RunContext], None],
    whole: SyncRequest | None = None,
) -> AccountOutcome:
    """Do *work* while *owner* holds the lease of *account*, and write its history and the event log whatever happens.

    *whole*: the request, where it is about folders, and not single messages.
    """
    reporter.item(None).start(Phase.SYNC, f"Connecting to {account.host or account.kind}")
    try:
        run = store.start_run(
            account.id,
            trigger=request.trigger.value,
            flags=int(request.flags),
            owner=owner,
            lane="quick" if turn.quick else "bulk",
            is_gone=is_gone,
        )
    except Exception as error:
        return AccountOutcome(status=reporter.fail(error))
    before, wanted = ("", "") if whole is None or whole.dry_run else store.upstream(account.id)
    reason = why_full(before, account)
    if reason:
        request = replace(request, full=True)
    context = RunContext(
        store=store,
        run=run,
        account=account,
        request=request,
        reporter=reporter,
        stop=reporter.item(None).stop,
        turn=turn,
        clock=reporter.clock,
    )
    if reason:
        _inform(context, ErrorKind.FULL_RUN, f"Everything of this account is compared: {reason}.")
    if whole is not None and (changes := criteria_changes(wanted, account)):
        _inform(context, ErrorKind.CRITERIA_CHANGED, f"What is wanted of this account changed: {'; '.join(changes)}.")
    outcome = AccountOutcome(status=ItemStatus.SUCCEEDED)
    reporter.heard = _whereabouts(store, run)
    try:
        _settled(context, work)
        complete = all(one.status is ItemStatus.SUCCEEDED for one in reporter.results if one.folder is not None)
        if whole is not None and complete and _everything(whole) and (before, wanted) != upstream_of(account):
            with store.write("upstream", run=run) as tx:
                tx.set_upstream(account.id, *upstream_of(account))
        reporter.close(ItemStatus.SUCCEEDED)
    except Yielded:
        outcome = AccountOutcome(status=ItemStatus.SUCCEEDED, yielded=True)
    except _Crowded:
        outcome = AccountOutcome(status=ItemStatus.SUCCEEDED, yielded=True, crowded=True)
    except Exception as error:
        outcome = AccountOutcome(status=reporter.fail(error))
        context.remember(reporter.item(None).result.error)
    try:
        store.finish_run(
            run,
            status="yielded" if outcome.yielded else outcome.status.value,
            counts=context.counts(),
            errors=context.history,
        )
        idle = not turn.quick and not outcome.yielded
        if outcome.status is ItemStatus.SUCCEEDED and idle and store.clean_due():
            until = context.clock.monotonic() + CLEAN_SECONDS
            store.purge(go_on=lambda: context.clock.monotonic() < until and not context.stop.stopped)
    except StoreError as error:
        reporter.error(error)
    outcome = replace(outcome, run=run)
    record(store, reporter, outcome, whole)
    return outcome


def _whereabouts(store: MailStore, run: RunId) -> Callable[[SyncProgress], None]:
    """Return what tells the store where *run* is: the account's phase, and what is sent of a folder before that."""

    def hear(told: SyncProgress) -> None:
        if told.status.terminal:
            return
        if told.folder is None:
            store.run_at(run, told.phase.label, done=told.messages_done, total=told.messages_total)
        elif code_of_phase(told.phase) is StateCode.SENDING:
            store.run_at(run, told.phase.label)

    return hear


def _everything(request: SyncRequest) -> bool:
    """Tell whether what the server has in all folders is known after *request*."""
    wanted = SyncFlags.SYNC_DOWNLOAD_HIERARCHY | SyncFlags.SYNC_DOWNLOAD_CONTENTS
    return request.flags & (wanted | SyncFlags.SYNC_THESE_FOLDERS) == wanted and not request.dry_run


def _inform(context: RunContext, kind: ErrorKind, text: str) -> None:
    """Tell the callback and the history what is no trouble."""
    context.tell(Notice(kind=kind.value, text=text), severity=Severity.INFORMATION)


class _Crowded(Exception):
    """The server takes one connection of this account: this run has to wait until the other lane is empty."""


def _settled(context: RunContext, work: Callable[[RunContext], None]) -> None:
    """Do *work*; where the server refuses a connection beside the other lane's, see that it is the last time.

    A connection that only watches the account makes room first. Raises _Crowded, and what *work* raises.
    """
    patience = iter(SETTLING_SECONDS if context.turn.alone else ())
    while True:
        try:
            return work(context)
        except TooManyConnections as error:
            context.stop.checkpoint()
            if context.turn.make_room():
                patience = iter(SETTLING_SECONDS)
            elif context.turn.beside():
                _allow_one_connection(context, error)
                raise _Crowded from None
            seconds = next(patience, None)
            if seconds is None:
                raise
            context.stop.wait(seconds)


def _allow_one_connection(context: RunContext, error: TooManyConnections) -> None:
    """Keep in the store that the account's server takes one connection only, and tell it the first time."""
    why = error.server_text or str(error)
    with context.store.write("one connection", run=context.run) as tx:
        fresh = tx.set_one_connection(context.account.id, why)
    if fresh:
        text = (
            "The server takes one connection of this account only: single messages wait for their turn from now on. "
            "Setting the account anew tries two again."
        )
        notice = Notice(kind=ErrorKind.SERVER_DEMOTED.value, text=text, server_text=error.server_text)
        context.tell(notice, severity=Severity.WARNING)
