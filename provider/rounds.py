"""The rounds of one run: up, then down; a second one where the download showed that something is to be sent otherwise.

In the order of RFC 4549: connect, what people changed here, folders, newest pages, mail, bodies. A lost connection
costs a new one and nothing else, since every step is committed; three losses in one folder without progress cost that
folder; one bad folder never stops the others.
"""

from store import Folder, FolderState
from store.mail import FolderId, FolderPath

from .account import Keep
from .engine.connections import Lifeline, Reconnect, over_connections
from .engine.context import FolderWork, RunContext, Yielded
from .engine.folderrun import Depth, settle, visit_folder, work_left
from .engine.ondemand import fetch_marked
from .engine.pipe import Pipe
from .engine.portion import Portion
from .engine.resume import visit_reason
from .engine.tours import TourReport, tour_folders
from .engine.tree import synchronize_tree
from .errors import Cancelled, ErrorKind, SourceError, UnknownItem
from .events import ItemStatus
from .phases import Phase
from .preview import preview
from .replay.context import ReplayContext
from .replay.lost import decide_lost
from .replay.runner import replay
from .request import SyncFlags
from .sources.base import FolderListing, FolderStatus, Session, Source
from .sources.legs import TouringSession

__all__ = ["Rounds"]

BREAKS_IN_A_FOLDER_MAX = 3
ROUNDS_MAX = 2


class Rounds:
    """The order of one run; survives its connections. Used once."""

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
            if not (self._context.hierarchy or self._context.contents):
                break
            self._download(session, pipe)
            pipe.drain()
            if sending is None or not decide_lost(sending, everywhere=self._looked_everywhere()):
                break
            self._finished.clear()
            self._context.reporter.item(None).phase(Phase.SYNC, "Sending what had to wait for the download")

    def _looked_everywhere(self) -> bool:
        """Tell whether this run has seen all mail of the account that is kept here."""
        context = self._context
        whole = context.hierarchy and context.contents and not context.request.folders
        return whole and all(one.item.result.status is ItemStatus.SUCCEEDED for one in self._works.values())

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
                paths = set(context.request.folder_paths)
                only = frozenset(one.id for one in view.folders(context.account.id) if one.path in paths)
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
        if status is ItemStatus.SUCCEEDED:
            self._lay_ghosts(work.folder)
        work.item.finish(status)

    def _lay_ghosts(self, folder: Folder) -> None:
        """All of *folder* is listed: what we brought there, and did not find there, was taken away by somebody."""
        with self._context.store.read() as view:
            if not view.awaits(folder.id):
                return
        with self._context.store.write("not found", run=self._context.run) as tx:
            lost = tx.settle.never_found(folder.id)
        if lost:
            mail = "1 message" if lost == 1 else f"{lost:,} messages"
            text = f"The server took {mail} from here into {folder.path}, and has them no more: they go here, too."
            self._context.warn(ErrorKind.MESSAGE_MISSING, text, folder=str(folder.path))
