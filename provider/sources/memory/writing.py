"""Changing the server in memory: the seam of ``sources.writing`` without any wire.

Each step happens at once and whole. A fault may break the line before it (nothing happened) and behind it (it happened,
and nobody heard), as on a wire: ``MemoryFaults.cut_after`` counts both places.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from store.mail import FolderPath, Role, Uid, UidSet
from store.mail.merge import applied

from ...errors import CommandRefused, ErrorKind, FolderUnusable, SourceError, printable
from ..base import FolderStatus
from ..writing import (
    Appended,
    Deleted,
    FolderWrite,
    Mark,
    Marked,
    Transfer,
    Transferred,
    Upload,
    WriteEnded,
    WriteEvent,
    WriteOpened,
)
from .model import MemoryFolder
from .server import MemoryServer

__all__ = ["MemoryWriter"]

Asking = Callable[[str, str], AbstractContextManager[None]]


class MemoryWriter:
    """What one session changes. *asking* enters a place of the faults, *row* lets a row pass (or cuts the line)."""

    def __init__(self, server: MemoryServer, asking: Asking, row: Callable[[], None]) -> None:
        self._server, self._asking, self._row = server, asking, row

    # -- messages -----------------------------------------------------------------------------------

    def write(self, writes: Iterable[FolderWrite]) -> Iterator[WriteEvent]:
        """Change folders, one after the other."""
        for write in writes:
            text = self._text(write.name)
            try:
                with self._asking("write", text):
                    folder = self._usable(write, text)
                    yield self._opened(write, folder)
                    steps: list[Mark | Transfer | UidSet] = [*write.marks, *write.transfers]
                    for step in (*steps, *([write.deletes] if write.deletes else [])):
                        self._row()
                        with self._server.lock:
                            told = self._step(write, folder, step)
                        self._row()
                        yield told
            except SourceError as error:
                if error.drops_connection:
                    raise
                yield WriteEnded(write=write, error=error)
            else:
                yield WriteEnded(write=write)

    def _usable(self, write: FolderWrite, text: str) -> MemoryFolder:
        with self._server.lock:
            folder = self._server.named(write.name)
            if folder is None:
                raise FolderUnusable(f"There is no folder {text} any more.", kind=ErrorKind.FOLDER_GONE, folder=text)
            if not folder.selectable:
                raise FolderUnusable(f"The folder {text} holds folders only, no mail.", folder=text)
            if folder.uid_validity != write.epoch:
                raise FolderUnusable(
                    f"The messages of {text} were renumbered.", kind=ErrorKind.UIDVALIDITY_CHANGED, folder=text
                )
            if folder.read_only:
                raise CommandRefused(f"The server lets nobody change {text}.", folder=text, response_code="READ-ONLY")
            return folder

    def _opened(self, write: FolderWrite, folder: MemoryFolder) -> WriteOpened:
        with self._server.lock:
            return WriteOpened(
                write=write,
                uid_next=folder.uid_next,
                permanent_flags=folder.permanent_flags,
                new_keywords=folder.permanent_flags is None,
            )

    def _step(self, write: FolderWrite, folder: MemoryFolder, step: Mark | Transfer | UidSet) -> WriteEvent:
        text = str(folder.path)
        match step:
            case Mark():
                self._server.note(f"mark {text}")
                return self._mark(write, folder, step)
            case Transfer():
                self._server.note(f"{'move' if step.move else 'copy'} {text}")
                return self._transfer(write, folder, step)
            case UidSet():
                self._server.note(f"delete {text}")
                there = step & UidSet(folder.messages)
                folder.expunge(there)
                return Deleted(write=write, gone=step)

    def _mark(self, write: FolderWrite, folder: MemoryFolder, mark: Mark) -> Marked:
        kept = folder.permanent_flags
        lost = frozenset() if kept is None else frozenset(flag for flag in mark.add if flag not in kept)
        there = mark.uids & UidSet(folder.messages)
        since = write.unchanged_since
        changed = UidSet(uid for uid in there if since is not None and folder.messages[uid].mod_seq > since)
        for uid in there:
            before = folder.messages[uid].flags
            after = applied(before, mark.add - lost, mark.remove)
            if after != before:
                self._server.set_flags(folder.path, uid, after)
        flags = {Uid(uid): folder.messages[uid].flags for uid in there}
        return Marked(write=write, mark=mark, flags=flags, changed_elsewhere=changed, gone=mark.uids - there, lost=lost)

    def _transfer(self, write: FolderWrite, folder: MemoryFolder, transfer: Transfer) -> Transferred:
        there = transfer.uids & UidSet(folder.messages)
        gone = transfer.uids - there
        target = self._server.named(transfer.target)
        error = self._refusal(transfer.target, target, sum(len(folder.messages[uid].octets) for uid in there))
        if target is None or error is not None:
            return Transferred(write=write, transfer=transfer, gone=gone, left=there, error=error)
        places: dict[Uid, Uid] = {}
        for uid in there:
            message = folder.messages[uid]
            places[Uid(uid)] = target.add(
                message.octets,
                flags=message.flags,
                internal_date=message.internal_date,
                size=message.size,
                uid=None,
                email_id=message.email_id,
            )
        if transfer.move:
            folder.expunge(there)
        if not self._server.tells_places:
            return Transferred(write=write, transfer=transfer, unplaced=there, gone=gone)
        return Transferred(write=write, transfer=transfer, epoch=target.uid_validity, places=places, gone=gone)

    def append(self, target: bytes, uploads: Sequence[Upload]) -> Iterator[Appended]:
        """Add messages, one after the other."""
        text = self._text(target)
        for upload in uploads:
            with self._asking("append", text):
                octets = b"".join(upload.octets())
                self._row()
                with self._server.lock:
                    told = self._append(target, upload, octets)
                self._row()
                yield told

    def _append(self, target: bytes, upload: Upload, octets: bytes) -> Appended:
        folder = self._server.named(target)
        error = self._refusal(target, folder, len(octets))
        if folder is None or error is not None:
            return Appended(upload=upload, error=error)
        uid = self._server.append(folder.path, octets, flags=upload.flags, internal_date=upload.internal_date)
        if not self._server.tells_places:
            return Appended(upload=upload)
        return Appended(upload=upload, epoch=folder.uid_validity, uid=uid)

    def _refusal(self, name: bytes, folder: MemoryFolder | None, octets: int) -> CommandRefused | None:
        """Return why nothing is added to *folder*, or None."""
        text = self._text(name)
        if folder is None or not folder.selectable:
            return CommandRefused(f"There is no folder {text}.", folder=text, response_code="TRYCREATE")
        if folder.read_only:
            return CommandRefused(f"The server lets nobody change {text}.", folder=text, response_code="READ-ONLY")
        if self._server.message_octets_max is not None and octets > self._server.message_octets_max:
            return CommandRefused("The message is too large.", folder=text, response_code="TOOBIG")
        if self._server.quota_octets is not None and self._server.octets() + octets > self._server.quota_octets:
            return CommandRefused("The mailbox is full.", folder=text, response_code="OVERQUOTA")
        return None

    # -- folders ------------------------------------------------------------------------------------

    def statuses(self, names: Sequence[bytes]) -> dict[bytes, FolderStatus]:
        """Return how folders stand."""
        found = {}
        with self._asking("statuses", ""), self._server.lock:
            for name in names:
                folder = self._server.named(name)
                if folder is not None and folder.selectable:
                    found[name] = FolderStatus(
                        messages=len(folder.messages), uid_next=folder.uid_next, uid_validity=folder.uid_validity
                    )
        return found

    def create(self, path: FolderPath, *, parent: bytes | None, role: Role | None = None) -> bytes:
        """Create a folder; one that exists is no error."""
        with self._changing("create", str(path)):
            path = self._below(path, parent)
            if path not in self._server.paths:
                self._server.add_folder(path, role=role, subscribed=True)
            return self._server.folder(path).name

    def rename(self, name: bytes, path: FolderPath, *, parent: bytes | None) -> bytes:
        """Rename a folder and all below it."""
        text = self._text(name)
        with self._changing("rename", text):
            folder = self._server.named(name)
            if folder is None:
                raise FolderUnusable(f"There is no folder {text} any more.", kind=ErrorKind.FOLDER_GONE, folder=text)
            path = self._below(path, parent)
            if path == folder.path:
                return name
            if path in self._server.paths:
                raise CommandRefused(f"There is a folder {path} already.", response_code="ALREADYEXISTS", folder=text)
            self._server.rename_folder(folder.path, path)
            return folder.name

    def remove(self, name: bytes) -> None:
        """Delete a folder with its mail; one that is gone is no error."""
        with self._changing("remove", self._text(name)):
            folder = self._server.named(name)
            if folder is not None:
                self._server.delete_folder(folder.path)

    def subscribe(self, name: bytes, on: bool) -> None:
        """Subscribe to a folder, or not any more."""
        with self._changing("subscribe", self._text(name)):
            folder = self._server.named(name)
            if folder is not None:
                folder.subscribed = on

    @contextmanager
    def _changing(self, place: str, text: str) -> Iterator[None]:
        """One change of the tree; the line may break before and behind it."""
        with self._asking(place, text):
            self._row()
            with self._server.lock:
                yield
            self._row()

    def _below(self, path: FolderPath, parent: bytes | None) -> FolderPath:
        """Return *path* as the server would have it: in the folder that is called *parent* now."""
        above = None if parent is None else self._server.named(parent)
        return path if above is None else FolderPath((*above.path.names, path.name))

    def _text(self, name: bytes) -> str:
        with self._server.lock:
            folder = self._server.named(name)
        return printable(name) if folder is None else str(folder.path)
