"""One run of one account, in the order of RFC 4549: connect, folders, newest pages, mail, bodies, done.

The run holds the account's lease from beginning to end. A lost connection costs a new one and nothing else, since every
step is committed; three losses in one folder without progress cost that folder; one bad folder never stops the others.
"""

from collections.abc import Callable

from store import Folder, FolderState, MailStore, StoreError
from store.mail import FolderId, FolderPath, MessageKey

from .account import Account, Keep
from .engine.connections import Lifeline, Reconnect, over_connections
from .engine.context import FolderWork, RunContext, Yielded
from .engine.folderrun import Depth, settle, visit_folder, work_left
from .engine.ondemand import fetch_marked, fetch_messages
from .engine.pipe import Pipe
from .engine.portion import Portion
from .engine.resume import visit_reason
from .engine.tours import TourReport, tour_folders
from .engine.tree import synchronize_tree
from .errors import Cancelled, ErrorKind, SourceError, TooManyConnections, UnknownItem
from .events import ItemStatus, Severity
from .owner import is_gone, owning
from .phases import Phase
from .preview import preview
from .replay.context import ReplayContext
from .replay.lost import decide_lost
from .replay.runner import replay
from .report import Reporter
from .request import SyncFlags, SyncRequest
from .sources.base import FolderListing, FolderStatus, Notice, Session, Source
from .sources.legs import TouringSession
from .turn import AccountOutcome, Turn

__all__ = ["run_account", "run_fetch"]

BREAKS_IN_A_FOLDER_MAX = 3
ROUNDS_MAX = 2
SETTLING_SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""For a server that takes one connection to notice that the last one has ended."""


def run_account(
    store: MailStore, source: Source, account: Account, request: SyncRequest, reporter: Reporter, turn: Turn
) -> AccountOutcome:
    """Synchronize *account* once. Never raises: how it ended is in the outcome and with the *reporter*."""
    with owning() as owner:
        return _held(owner, store, account, request, reporter, turn, lambda context: _Run(context, source).whole())


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
) -> AccountOutcome:
    """Do *work* while *owner* holds the lease of *account*, and write the run's history whatever happens."""
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
    outcome = AccountOutcome(status=ItemStatus.SUCCEEDED)
    try:
        _settled(context, work)
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
        if outcome.status is ItemStatus.SUCCEEDED and idle and store.purge_due():
            store.purge()
    except StoreError as error:
        reporter.error(error)
    return outcome


class _Crowded(Exception):
    """The server takes one connection of this account: this run has to wait until the other lane is empty."""


def _settled(context: RunContext, work: Callable[[RunContext], None]) -> None:
    """Do *work*; where the server refuses a connection beside the other lane's, see that it is the last time.

    Raises _Crowded, and what *work* raises.
    """
    patience = iter(SETTLING_SECONDS if context.turn.alone else ())
    while True:
        try:
            return work(context)
        except TooManyConnections as error:
            context.stop.checkpoint()
            if context.turn.beside():
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


class _Run:
    """The order of one run; survives its connections."""

    def __init__(self, context: RunContext, source: Source) -> None:
        self._context, self._source = context, source
        self._lifeline = Lifeline(context)
        self._works: dict[FolderId, FolderWork] = {}
        self._finished: set[FolderId] = set()
        self._touring = True
        self._sent = 0
        """Replays that changed something on the server."""

    def whole(self) -> None:
        """Run to the end, over as many connections as it takes. Raises what ends the run."""
        pipe = Pipe.of(self._context)
        abandon = True
        try:
            over_connections(
                self._context, self._source, self._lifeline, lambda session: self._work(session, pipe), self._progress
            )
            abandon = False
        except (Yielded, SourceError):
            abandon = False
            raise
        finally:
            pipe.close(abandon=abandon)

    def _progress(self) -> int:
        return (
            self._sent
            + len(self._finished)
            + sum(work.messages_done + work.rows_new + work.portion.set_aside for work in self._works.values())
        )

    def _work(self, session: Session, pipe: Pipe) -> None:
        """Everything that one connection does; on a further one, what the last left undone.

        Up, then down; and once more where the download showed that something has to be sent in another way.
        """
        pipe.drain()
        self._lifeline.item = self._context.reporter.item(None)
        sending = self._replay_context()
        if self._context.request.dry_run:
            with self._context.store.read() as view:
                folders = self._asked_for(view.folders(self._context.account.id))
            preview(self._context, session, sending, folders)
            return
        for _ in range(ROUNDS_MAX):
            if sending is not None:
                self._sent += replay(sending, session)
            if self._context.hierarchy or self._context.contents:
                self._download(session, pipe)
                pipe.drain()
            if sending is None or not decide_lost(sending):
                break
            self._finished.clear()
            self._context.reporter.item(None).phase(Phase.SYNC, "Sending what had to wait for the download")

    def _replay_context(self) -> ReplayContext | None:
        """Return what replay works with; None: nothing is to be sent in this run."""
        context, flags = self._context, self._context.request.flags
        hierarchy = bool(flags & SyncFlags.SYNC_UPLOAD_HIERARCHY)
        contents = bool(flags & SyncFlags.SYNC_UPLOAD_CONTENTS)
        if not (hierarchy or contents):
            return None
        only = None
        if flags & SyncFlags.SYNC_THESE_FOLDERS:
            with context.store.read() as view:
                only = frozenset(folder.id for folder in self._asked_for(view.folders(context.account.id)))
        return ReplayContext(
            store=context.store,
            run=context.run,
            account=context.account.id,
            hierarchy=hierarchy,
            contents=contents,
            only=only,
            resolver=context.request.resolver,
            stop=context.stop,
            clock=context.clock,
            item=context.reporter.item(None),
            item_of=context.reporter.item,
            tell=context.tell,
        )

    def _download(self, session: Session, pipe: Pipe) -> None:
        context, item = self._context, self._context.reporter.item(None)
        item.phase(Phase.DOWNLOAD_HIERARCHY, "Looking at the folders")
        listing = synchronize_tree(context, session)
        if not context.contents:
            return
        item.phase(Phase.CONTENTS, "Looking for mail")
        todo = self._chosen(listing)
        if isinstance(session, TouringSession) and self._touring and context.account.shortcuts.tours:
            todo = self._tour(session, pipe, todo, listing)
        elif len(todo) > 1:
            todo = [work for work in todo if not self._visit(session, pipe, work, Depth.NEWEST)]
        for work in todo:
            self._visit(session, pipe, work, Depth.FULL)
        pipe.drain()
        fetch_marked(context, session, pipe, self._lifeline)

    def _tour(
        self, session: TouringSession, pipe: Pipe, todo: list[FolderWork], listing: FolderListing
    ) -> list[FolderWork]:
        """Visit what can be visited without waiting in between; return what has to be visited by itself.

        A tour that loses its connection is the last of this run: one by one it shows which folder it is.
        """
        status_by_name = {remote.name: remote.status for remote in listing.folders}
        with_status = [(work, status_by_name.get(work.folder.name)) for work in todo]
        report = TourReport()
        self._touring = False
        try:
            tour_folders(self._context, session, with_status, pipe, self._lifeline, report)
            self._touring = True
        except Reconnect:
            self._touring = True
            raise
        finally:
            if not self._context.stop.stopped:
                pipe.drain()
                settle(self._context, report.finished)
                for work in (*(finished.work for finished in report.finished), *report.cancelled):
                    self._finish(work, ItemStatus.CANCELED if work.item.stop.stopped else ItemStatus.SUCCEEDED)
        return report.rest

    def _chosen(self, listing: FolderListing) -> list[FolderWork]:
        """Return the folders to visit, INBOX first; tell of those that need no visit, and of unknown ones."""
        context = self._context
        status_by_name = {remote.name: remote.status for remote in listing.folders}
        with context.store.read() as view:
            known = view.folders(context.account.id)
        # A folder that is missing may have lost its name to another one: that one's mail must not come into it.
        named = {folder.name for folder in known if folder.state is not FolderState.MISSING}
        folders = tuple(one for one in known if one.state is not FolderState.MISSING or one.name not in named)
        chosen: list[FolderWork] = []
        quiet: list[FolderId] = []
        for folder in self._asked_for(folders):
            if folder.id in self._finished or folder.name not in status_by_name or not folder.selectable:
                continue
            work = self._works.get(folder.id) or self._work_of(folder)
            work.folder = folder  # it may have been renamed between two connections
            work.uids = None  # or emptied
            if work.keep is Keep.NONE:
                continue
            self._works[folder.id] = work
            if self._needs_visit(work, status_by_name[folder.name]):
                chosen.append(work)
            else:
                quiet.append(folder.id)
                work.item.start(Phase.DOWNLOAD_TABLE)
                self._finish(work, ItemStatus.SUCCEEDED)
        if quiet:
            with context.store.write("checked", run=context.run) as tx:
                for id in quiet:
                    tx.touch_cursor(id, context.clock.now())
        return chosen

    def _asked_for(self, folders: tuple[Folder, ...]) -> list[Folder]:
        request = self._context.request
        if not request.flags & SyncFlags.SYNC_THESE_FOLDERS:
            return list(folders)
        by_path: dict[FolderPath, Folder] = {folder.path: folder for folder in folders}
        for path in request.folder_paths:
            if path not in by_path:
                self._context.tell(UnknownItem(f"There is no folder {path} in this account."), folder=str(path))
        return [by_path[path] for path in request.folder_paths if path in by_path]

    def _work_of(self, folder: Folder) -> FolderWork:
        """Return the folder with what the account's policy and the request want of it."""
        context = self._context
        policy = context.account.policy_of(str(folder.path))
        headers_only = bool(context.request.flags & SyncFlags.SYNC_GLOBAL_HEADERS)
        sizes = [size for size in (policy.size_octets_max, context.request.size_octets_max) if size is not None]
        return FolderWork(
            folder=folder,
            item=context.reporter.item(str(folder.path)),
            keep=Keep.HEADERS if headers_only and policy.keep is Keep.FULL else policy.keep,
            size_octets_max=min(sizes, default=None),
            age_days_max=policy.age_days_max,
            portion=Portion(grows=context.account.shortcuts.adaptive),
        )

    def _needs_visit(self, work: FolderWork, status: FolderStatus | None) -> bool:
        context = self._context
        with context.store.read() as view:
            cursor = view.cursor(work.folder.id)
        reason = visit_reason(
            cursor, status, work_left=work_left(context, work), full=context.compares, now=context.clock.now()
        )
        return reason is not None or work.folder.state is not FolderState.ACTIVE

    def _visit(self, session: Session, pipe: Pipe, work: FolderWork, depth: Depth) -> bool:
        """Visit one folder; return True when it has ended, well or not."""
        context = self._context
        try:
            with self._lifeline.at_work(work.item):
                finished = visit_folder(context, session, work, pipe, depth)
                if finished is None:
                    return False
                pipe.drain()
                settle(context, [finished])
        except (Cancelled, SourceError) as error:
            context.stop.checkpoint()
            if work.item.stop.stopped:
                self._finish(work, ItemStatus.CANCELED)
                raise Reconnect from None
            if isinstance(error, Cancelled):
                # The folder before was cancelled just as it ended, and took the connection with it.
                raise Reconnect from None
            if error.drops_connection:
                work.breaks += 1
                if work.breaks >= BREAKS_IN_A_FOLDER_MAX:
                    self._fail(work, error)
                raise
            self._fail(work, error)
            return True
        self._finish(work, ItemStatus.SUCCEEDED)
        return True

    def _fail(self, work: FolderWork, error: SourceError) -> None:
        self._finished.add(work.folder.id)
        work.item.finish(ItemStatus.FAILED, self._context.tell(error, folder=work.path))

    def _finish(self, work: FolderWork, status: ItemStatus) -> None:
        self._finished.add(work.folder.id)
        work.item.finish(status)
