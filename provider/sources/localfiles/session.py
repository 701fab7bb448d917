"""Local mail behind the seam of ``sources.base``: a session over boxes that know how to look and how to read.

Room: sources/localfiles. Rules: nothing is ever written, locked or re-flagged; octets come exactly as they lie on disk;
there is no cursor (``Exactness.NONE``), so the engine compares. UIDs are hashes of what identifies a message (62 bits),
so they do not rise with time; ``UID_ABOVE`` lies above them all.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from store.mail import Uid, UidSet, UidValidity

from ...account import Account
from ...cancel import Stop
from ...errors import (
    CommandRefused,
    ConnectionLost,
    ErrorKind,
    FolderUnusable,
    Needs,
    Unreachable,
    WrongProtocol,
    printable,
)
from ...limits import Limits
from ...rawmail import CHUNK_OCTETS, header_block, message_id
from ..base import (
    NOTHING_KNOWN,
    BodyChunk,
    BodyWanted,
    FlagRow,
    FolderListing,
    HeaderRow,
    IdentityRow,
    Known,
    Listener,
    Notice,
    Opened,
    RemoteFolder,
    Session,
    Summary,
)

__all__ = ["UID_ABOVE", "Box", "Found", "LocalMessage", "LocalSession", "LocalSource", "Octets", "Shelf", "uid_of"]

UID_ABOVE = 2**62
EPOCH = UidValidity(1)
HEADER_STEP_OCTETS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMessage:
    """A message where it lies; *key* means something to its box only."""

    uid: Uid
    key: str
    flags: frozenset[str]
    size: int
    internal_date: datetime | None


class Octets(Protocol):
    """A message opened for reading."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Box(Protocol):
    """One folder on disk."""

    def look(self, stop: Stop) -> dict[int, LocalMessage]:
        """Return all messages as they lie there now, by UID. Raises OSError, ProtocolBroken, Cancelled."""
        ...

    def open(self, message: LocalMessage) -> Octets:
        """Open the octets of a message. Raises KeyError when it went, OSError when it cannot be read."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The folders below a path, with where each lies; *problems*: what could not be read."""

    folders: tuple[tuple[RemoteFolder, Path], ...]
    problems: tuple[Notice, ...] = ()


class Shelf(Protocol):
    """One kind of mailbox."""

    wanted: str
    """What a path of this kind is, as the end of a sentence."""

    def find(self, path: Path, limits: Limits) -> Found:
        """Return the folders at *path*, INBOX first; none when it is no mailbox of this kind."""
        ...

    def box(self, path: Path) -> Box: ...


def uid_of(octets: bytes) -> Uid:
    """Return the UID of what *octets* identify: 1 to 2**62-1, the same for ever."""
    return Uid(int.from_bytes(blake2b(octets, digest_size=8).digest()) % (UID_ABOVE - 1) + 1)


class LocalSource:
    """Mail at one path."""

    def __init__(self, account: Account, path: Path, shelf: Shelf) -> None:
        self._account = account
        self._path = path
        self._shelf = shelf

    def connect(self, stop: Stop, listener: Listener) -> Session:
        """Look whether there is a mailbox. Raises Unreachable when nothing is there, WrongProtocol when it is none."""
        stop.checkpoint()
        if not self._path.exists():
            raise Unreachable(f"There is no {self._path}.", needs=Needs.USER)
        found = self._shelf.find(self._path, self._account.limits)
        if not found.folders:
            why = f" ({found.problems[0].text})" if found.problems else ""
            raise WrongProtocol(f"{self._path} is no mailbox: it is not {self._shelf.wanted}{why}.")
        return LocalSession(self._path, self._shelf, self._account.limits, stop, listener)


class LocalSession:
    """See ``sources.base.Session`` for what each method promises."""

    def __init__(self, path: Path, shelf: Shelf, limits: Limits, stop: Stop, listener: Listener) -> None:
        self._path = path
        self._shelf = shelf
        self._limits = limits
        self._stop = stop
        self._listener = listener
        self._folder = ""
        self._box: Box | None = None
        self._seen: dict[int, LocalMessage] = {}
        self._told = UidSet()  # whose flags were told since the last look
        self._closed = False

    def folders(self, known: Mapping[bytes, UidValidity] = NOTHING_KNOWN) -> FolderListing:
        """List every folder; not complete when some of the path could not be read."""
        found = self._find()
        return FolderListing(
            folders=tuple(folder for folder, _ in found.folders),
            complete=not found.problems,
            problems=found.problems,
        )

    def _find(self) -> Found:
        self._stop.checkpoint()
        if self._closed:
            raise ConnectionLost("This session is closed.")
        return self._shelf.find(self._path, self._limits)

    def open(self, name: bytes, known: Known | None) -> Opened:
        """Look at a folder; what changed is not told."""
        self._leave()
        # A name is only ever looked up among those that are there: it never becomes a path.
        places = {folder.name: (folder, path) for folder, path in self._find().folders}
        if name not in places:
            text = printable(name)
            raise FolderUnusable(f"There is no folder {text} any more.", kind=ErrorKind.FOLDER_GONE, folder=text)
        folder, path = places[name]
        self._folder, self._box = str(folder.path), self._shelf.box(path)
        messages = self._look()
        return Opened(epoch=EPOCH, messages=len(messages), uid_next=UID_ABOVE, flags_kept=False)

    def existing(self, within: UidSet | None = None) -> UidSet:
        """Return which messages lie there now."""
        uids = UidSet(self._look())
        return uids if within is None else uids & within

    def summaries(self, uids: UidSet) -> Iterator[Summary]:
        """Yield what the file names and the file system say."""
        for message in self._asked(uids):
            yield _summary(message)

    def flags(self, uids: UidSet) -> Iterator[FlagRow]:
        """Yield the flags; a message that is asked for again, or was not seen, is looked for anew."""
        self._opened()
        if uids & self._told or any(uid not in self._seen for uid in uids):
            self._look()
        self._told = self._told | uids
        for message in self._asked(uids):
            yield FlagRow(uid=message.uid, flags=message.flags)

    def headers(self, uids: UidSet, *, with_summary: bool = False) -> Iterator[HeaderRow]:
        """Yield raw header blocks; no more of a message is read."""
        for message in self._asked(uids):
            with self._reading(message) as octets:
                if octets is not None:
                    block = self._header(message, octets)
                    yield HeaderRow(uid=message.uid, block=block, summary=_summary(message) if with_summary else None)

    def identities(self, uids: UidSet, *, by_id: bool = False) -> Iterator[IdentityRow]:
        """Yield evidence for matching."""
        for message in self._asked(uids):
            with self._reading(message) as octets:
                if octets is not None:
                    yield IdentityRow(
                        uid=message.uid,
                        size=message.size,
                        internal_date=message.internal_date,
                        message_id=message_id(self._header(message, octets) or b""),
                        flags=message.flags,
                    )

    def bodies(self, wanted: Sequence[BodyWanted]) -> Iterator[BodyChunk]:
        """Yield raw octets, read as they are yielded."""
        for message in self._asked(UidSet(want.uid for want in wanted)):
            if message.size > self._limits.message_octets:
                reason = f"it has more than {self._limits.message_octets} octets"
                yield BodyChunk(uid=message.uid, offset=0, octets=None, last=True, reason=reason)
                continue
            with self._reading(message) as octets:
                if octets is not None:
                    yield from self._chunks(message, octets)

    def close(self) -> None:
        """Close what is open."""
        self._leave()
        self._closed = True

    # -- within -------------------------------------------------------------------------------------

    def _leave(self) -> None:
        if self._box is not None:
            self._box.close()
        self._box, self._seen, self._told, self._folder = None, {}, UidSet(), ""

    def _opened(self) -> Box:
        if self._closed:
            raise ConnectionLost("This session is closed.")
        if self._box is None:
            raise FolderUnusable("No folder is open.")
        return self._box

    def _look(self) -> dict[int, LocalMessage]:
        box = self._opened()
        try:
            self._seen, self._told = box.look(self._stop), UidSet()
        except FileNotFoundError:
            raise FolderUnusable(
                f"There is no folder {self._folder} any more.", kind=ErrorKind.FOLDER_GONE, folder=self._folder
            ) from None
        except OSError as error:
            raise CommandRefused(
                f"The folder {self._folder} cannot be read: {error.strerror}.", folder=self._folder
            ) from None
        return self._seen

    def _asked(self, uids: UidSet) -> Iterator[LocalMessage]:
        self._opened()
        seen = self._seen
        known = [uid for uid in uids if uid in seen] if len(uids) < len(seen) else [uid for uid in seen if uid in uids]
        for uid in known:
            self._stop.checkpoint()
            yield seen[uid]

    @contextmanager
    def _reading(self, message: LocalMessage) -> Iterator[Octets | None]:
        """Open a message; None when it went meanwhile, or cannot be read, which is told."""
        try:
            octets = self._opened().open(message)
        except (KeyError, FileNotFoundError):
            yield None
            return
        except OSError as error:
            text = f"A message cannot be read: {error.strerror}."
            kind = ErrorKind.MESSAGE_MISSING.value
            self._listener.notice(Notice(kind=kind, text=text, folder=self._folder, uid=message.uid))
            yield None
            return
        try:
            yield octets
        finally:
            octets.close()

    def _header(self, message: LocalMessage, octets: Octets) -> bytes | None:
        read = bytearray()
        while len(read) <= self._limits.header_octets:
            step = octets.read(HEADER_STEP_OCTETS)
            read += step
            block = header_block(bytes(read))
            if not step or len(block) < len(read):
                break
        if len(block) > self._limits.header_octets:
            text = f"The header block of a message has more than {self._limits.header_octets:,} octets."
            self._listener.notice(Notice(kind=ErrorKind.LIMIT.value, text=text, folder=self._folder, uid=message.uid))
            return None
        self._listener.received(len(block))
        return block

    def _chunks(self, message: LocalMessage, octets: Octets) -> Iterator[BodyChunk]:
        offset, chunk = 0, octets.read(CHUNK_OCTETS)
        while True:
            self._stop.checkpoint()
            after = octets.read(CHUNK_OCTETS) if chunk else b""
            self._listener.received(len(chunk))
            yield BodyChunk(uid=message.uid, offset=offset, octets=chunk, last=not after)
            if not after:
                return
            offset, chunk = offset + len(chunk), after


def _summary(message: LocalMessage) -> Summary:
    return Summary(uid=message.uid, flags=message.flags, size=message.size, internal_date=message.internal_date)
