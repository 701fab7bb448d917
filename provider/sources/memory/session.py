"""The source whose server lies in memory: the seam of ``sources.base`` without any wire.

Behaves as a server does that others change meanwhile: each answer is about the moment it was asked for, and a row about
a message that went meanwhile does not come. An answer that is abandoned in the middle costs the connection.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from store.mail import ModSeq, UidSet, UidValidity

from ...account import Account
from ...cancel import Stop
from ...errors import ConnectionLost, ErrorKind, FolderUnusable, InvalidRequest, LoginRefused, SourceError, printable
from ...rawmail import header_block, message_id, pieces
from ..base import (
    NOTHING_KNOWN,
    BodyChunk,
    BodyWanted,
    ChangeReport,
    Exactness,
    FlagRow,
    FolderListing,
    FolderStatus,
    HeaderRow,
    IdentityRow,
    Known,
    Listener,
    Notice,
    Opened,
    RemoteFolder,
    Session,
    Source,
    Summary,
)
from .model import MemoryFolder, MemoryMessage
from .server import MemoryServer
from .writing import MemoryWriter

__all__ = ["MemorySession", "MemorySource", "memory_source"]


def memory_source(account: Account) -> Source:
    """Return the source of an account with the option ``server``. Raises InvalidRequest without one."""
    server = account.option("server")
    if not isinstance(server, MemoryServer):
        raise InvalidRequest(f"Account {account.id} needs a MemoryServer as its option 'server'.")
    return MemorySource(account, server)


class MemorySource:
    """One account on one server."""

    def __init__(self, account: Account, server: MemoryServer) -> None:
        self._account = account
        self._server = server

    def connect(self, stop: Stop, listener: Listener) -> Session:
        """Log in. Raises LoginRefused, Cancelled, or what the faults say."""
        self._server.note("connect")
        self._server.faults.enter("connect", "", stop, listener.waiting)
        if self._server.password is not None and not self._knows_password():
            raise LoginRefused(f"The server refused the password of account {self._account.id}.")
        return MemorySession(self._server, self._account, stop, listener)

    def _knows_password(self) -> bool:
        supplier = self._account.credentials
        if supplier is None:
            raise LoginRefused(f"Account {self._account.id} has no password.", kind=ErrorKind.CREDENTIALS_MISSING)
        # A supplier that has a fresh one is asked once more.
        return any(
            supplier(self._account, refused=refused).secret == self._server.password for refused in (False, True)
        )


class MemorySession:
    """One connection. See ``sources.base.Session`` for what each method promises."""

    def __init__(self, server: MemoryServer, account: Account, stop: Stop, listener: Listener) -> None:
        self._server = server
        self._limits = account.limits
        self._stop = stop
        self._listener = listener
        self._folder: MemoryFolder | None = None
        self._lost = False
        writer = MemoryWriter(server, self._asking, self._row)
        self.write, self.append, self.statuses = writer.write, writer.append, writer.statuses
        self.create, self.rename = writer.create, writer.rename
        self.remove, self.subscribe = writer.remove, writer.subscribe

    def folders(self, known: Mapping[bytes, UidValidity] = NOTHING_KNOWN) -> FolderListing:
        """List every folder."""
        with self._asking("folders"):
            if self._server.faults.lies_empty():
                return FolderListing(folders=(), complete=True)
            with self._server.lock:
                self._folder = None
                folders = tuple(self._listed(self._server.folder(path)) for path in self._server.paths)
            return FolderListing(folders=folders, complete=True)

    def _listed(self, folder: MemoryFolder) -> RemoteFolder:
        status = FolderStatus(
            messages=len(folder.messages),
            uid_next=folder.uid_next,
            uid_validity=folder.uid_validity,
            mod_seq=None if self._server.exactness is Exactness.NONE else ModSeq(folder.mod_seq),
        )
        return RemoteFolder(
            name=folder.name,
            path=folder.path,
            delimiter="/",
            role=folder.role,
            attributes=frozenset() if folder.selectable else frozenset({"\\noselect"}),
            selectable=folder.selectable,
            subscribed=folder.subscribed,
            object_id=folder.object_id if self._server.object_ids else None,
            status=status if self._server.statuses and folder.selectable else None,
        )

    def open(self, name: bytes, known: Known | None) -> Opened:
        """Open a folder and tell what changed since *known*, as exactly as the server can."""
        with self._server.lock:
            folder = self._server.named(name)
        text = str(folder.path) if folder else printable(name)
        with self._asking("open", text):
            self._folder = None
            if folder is None:
                raise FolderUnusable(f"There is no folder {text} any more.", kind=ErrorKind.FOLDER_GONE, folder=text)
            if not folder.selectable:
                raise FolderUnusable(f"The folder {text} holds folders only, no mail.", folder=text)
            self._folder = folder
            with self._server.lock:
                return Opened(
                    epoch=folder.uid_validity,
                    messages=len(folder.messages),
                    uid_next=folder.uid_next,
                    mod_seq=None if self._server.exactness is Exactness.NONE else ModSeq(folder.mod_seq),
                    changes=self._changes(folder, known),
                    object_id=folder.object_id if self._server.object_ids else None,
                )

    def _changes(self, folder: MemoryFolder, known: Known | None) -> ChangeReport:
        exactness = self._server.exactness
        if known is None or known.mod_seq is None or known.epoch != folder.uid_validity:
            return ChangeReport()
        if exactness is Exactness.NONE:
            return ChangeReport()
        since = known.mod_seq
        changed = (message for message in folder.messages.values() if message.mod_seq > since)
        vanished = UidSet()
        if exactness is Exactness.EXACT:
            lie = self._server.faults.lies_vanished(str(folder.path))
            vanished = known.uids if lie else folder.vanished_since(since) & known.uids
        return ChangeReport(exactness=exactness, flags=tuple(map(self._flag_row, changed)), vanished=vanished)

    def existing(self, within: UidSet | None = None) -> UidSet:
        """Return which UIDs exist now."""
        with self._asking("existing"):
            uids = UidSet(message.uid for message in self._now(None))
            return uids if within is None else uids & within

    def summaries(self, uids: UidSet) -> Iterator[Summary]:
        """Yield what is known of *uids*, by UID."""
        with self._asking("summaries"):
            for message in self._answer(uids):
                yield self._summary(message)

    def flags(self, uids: UidSet) -> Iterator[FlagRow]:
        """Yield the flags of *uids*, by UID."""
        with self._asking("flags"):
            for message in self._answer(uids):
                yield self._flag_row(message)

    def headers(self, uids: UidSet, *, with_summary: bool = False) -> Iterator[HeaderRow]:
        """Yield raw header blocks, by UID."""
        with self._asking("headers"):
            for message in self._answer(uids):
                block: bytes | None = header_block(message.octets)
                if block is not None and len(block) > self._limits.header_octets:
                    text = f"The header block of a message has {len(block):,} octets; that is too many."
                    self._listener.notice(
                        Notice(kind=ErrorKind.LIMIT.value, text=text, folder=self._text, uid=message.uid)
                    )
                    block = None
                self._listener.received(len(block or b""))
                yield HeaderRow(uid=message.uid, block=block, summary=self._summary(message) if with_summary else None)

    def identities(self, uids: UidSet, *, by_id: bool = False) -> Iterator[IdentityRow]:
        """Yield evidence for matching, by UID."""
        with self._asking("identities"):
            for message in self._answer(uids):
                yield IdentityRow(
                    uid=message.uid,
                    size=message.size,
                    internal_date=message.internal_date,
                    message_id=message_id(message.octets),
                    email_id=message.email_id if self._server.object_ids else None,
                    flags=message.flags,
                )

    def bodies(self, wanted: Sequence[BodyWanted]) -> Iterator[BodyChunk]:
        """Yield raw octets in chunks, in the order wanted."""
        with self._asking("bodies"):
            messages = {message.uid: message for message in self._now(UidSet(want.uid for want in wanted))}
            for want in wanted:
                message = messages.get(want.uid)
                if message is None or self._server.faults.omits(self._text, want.uid):
                    continue
                reason = self._server.faults.poisoned(self._text, want.uid)
                if reason is None and len(message.octets) > self._limits.message_octets:
                    reason = f"it has more than {self._limits.message_octets} octets"
                if reason is not None:
                    yield BodyChunk(uid=want.uid, offset=0, octets=None, last=True, reason=reason)
                    continue
                for offset, octets, last in pieces(message.octets):
                    self._row()
                    self._listener.received(len(octets))
                    yield BodyChunk(uid=want.uid, offset=offset, octets=octets, last=last)

    def close(self) -> None:
        """End the connection."""
        self._lost, self._folder = True, None

    # -- within -------------------------------------------------------------------------------------

    @property
    def _text(self) -> str:
        """The path of the open folder."""
        if self._folder is None:
            raise FolderUnusable("No folder is open.")
        return str(self._folder.path)

    @contextmanager
    def _asking(self, place: str, text: str | None = None) -> Iterator[None]:
        """Ask the server something; whatever breaks in the middle breaks the connection, as on a wire."""
        if self._lost:
            raise ConnectionLost("This connection is closed.")
        if text is None:
            text = "" if place == "folders" else self._text
        self._server.note(f"{place} {text}".rstrip())
        try:
            self._server.faults.enter(place, text, self._stop, self._listener.waiting)
            yield
        except BaseException as error:  # GeneratorExit included: the answer was abandoned
            self._lost = not isinstance(error, SourceError) or error.drops_connection
            raise

    def _now(self, uids: UidSet | None) -> list[MemoryMessage]:
        """Return the messages of the open folder (those of *uids*), by UID."""
        folder = self._folder
        if folder is None:
            raise FolderUnusable("No folder is open.")
        with self._server.lock:
            found = [message for uid, message in folder.messages.items() if uids is None or uid in uids]
        return sorted(found, key=lambda message: message.uid)

    def _answer(self, uids: UidSet) -> Iterator[MemoryMessage]:
        for message in self._now(uids):
            if not self._server.faults.omits(self._text, message.uid):
                self._row()
                yield message

    def _row(self) -> None:
        self._stop.checkpoint()
        self._server.faults.row(self._stop)

    def _mod_seq(self, message: MemoryMessage) -> ModSeq | None:
        return None if self._server.exactness is Exactness.NONE else message.mod_seq

    def _flag_row(self, message: MemoryMessage) -> FlagRow:
        return FlagRow(uid=message.uid, flags=message.flags, mod_seq=self._mod_seq(message))

    def _summary(self, message: MemoryMessage) -> Summary:
        return Summary(
            uid=message.uid,
            flags=message.flags,
            size=message.size,
            internal_date=message.internal_date,
            mod_seq=self._mod_seq(message),
            email_id=message.email_id if self._server.object_ids else None,
        )
