"""An account on an IMAP server, as the seam of ``sources.base`` wants it.

Room: sources/imap. The door (``connect``) gives a channel that is logged in; the session owns it until ``close``. A
session belongs to one thread; everything it knows of the server is in ``Abilities``, of the open folder in ``View``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TypeVar

from store.mail import FolderPath, Role, UidSet, UidValidity

from ...account import Account
from ...cancel import Stop
from ...channel import Channel
from ...errors import ErrorKind, InvalidRequest, SourceError, printable
from ...limits import Limits
from ..base import (
    NOTHING_KNOWN,
    BodyChunk,
    BodyWanted,
    FlagRow,
    FolderListing,
    FolderStatus,
    HeaderRow,
    IdentityRow,
    Known,
    Listener,
    Notice,
    Opened,
    Session,
    Source,
    Summary,
)
from ..legs import Leg, LegEvent
from ..parking import ParkedLine
from ..writing import Appended, FolderWrite, Upload, WriteEvent
from . import appending, fetching
from .answers import Line, answers_understood
from .bodies import small_bodies
from .changes import View, leaving, open_folder
from .commands import Command, String
from .connect import open_door
from .desk import Desk
from .foldering import Folderer
from .grammar import Status
from .listing import Abilities, ask_statuses, list_folders, prepare, status_items
from .parking import INBOX, ImapLine
from .parts import large_body
from .searching import existing
from .tour import tour
from .watching import Watch
from .wire import Wire
from .writing import write_folders

__all__ = ["ImapSession", "ImapSource", "imap_source", "session_on"]

T = TypeVar("T")


class ImapSession:
    """One connection, logged in. See ``base.Session`` and ``writing.WritingSession`` for what each method promises."""

    def __init__(self, channel: Channel, abilities: Abilities, *, limits: Limits, listener: Listener) -> None:
        self._limits = limits
        self._listener = listener
        self._abilities = abilities
        self._view: View | None = None
        self._opening: View | None = None
        self._left: View | None = None
        """The last folder of a tour, or of writing: nobody speaks of it any more, but the server has it open."""
        self._wire = Wire(channel, limits=limits, observer=self._observe)

    def folders(self, known: Mapping[bytes, UidValidity] = NOTHING_KNOWN) -> FolderListing:
        """List every folder with its status, in one flight where the server can."""
        with self._guarded():
            return list_folders(self._wire, self._abilities, limits=self._limits, known=known, leave=self._leave)

    def open(self, name: bytes, known: Known | None) -> Opened:
        """EXAMINE the folder and tell what changed since *known*."""
        String(name)  # refused here, before anything is sent
        with self._guarded(name):
            prepare(self._wire, self._abilities, limits=self._limits)
            leave = leaving(self._view or self._left, self._abilities, implicit=True)
            self._view, self._left, self._opening = None, None, View(name)
            try:
                opened, notices = open_folder(self._wire, self._abilities, self._opening, known, leave=leave)
                self._view = self._opening
            finally:
                self._opening = None
        for notice in notices:
            self._listener.notice(notice)
        return opened

    def tour(self, legs: Iterable[Leg]) -> Iterator[LegEvent]:
        """Visit many folders back to back; none is open afterwards."""
        with self._guarded():
            prepare(self._wire, self._abilities, limits=self._limits)
            before, self._view, self._left = self._view or self._left, None, None
            try:
                self._left = yield from tour(self._room_of, self._abilities, map(_sendable, legs), before, self._at)
            finally:
                self._opening = None

    def write(self, writes: Iterable[FolderWrite]) -> Iterator[WriteEvent]:
        """Change many folders back to back; none is open afterwards."""
        with self._guarded():
            desk = Desk(
                self._wire,
                self._abilities,
                map(_changeable, writes),
                before=self._view or self._left,
                at=self._at,
                notice=self._listener.notice,
            )
            self._view = self._left = None
            try:
                desk.greet(self._limits)
                yield from write_folders(desk)
            finally:
                self._opening, self._left = None, desk.open

    def append(self, target: bytes, uploads: Sequence[Upload]) -> Iterator[Appended]:
        """Add messages to a folder, back to back."""
        String(target)
        with self._guarded(target):
            prepare(self._wire, self._abilities, limits=self._limits)
            yield from appending.append(self._wire, self._abilities, target, uploads)

    def statuses(self, names: Sequence[bytes]) -> dict[bytes, FolderStatus]:
        """Ask how folders stand, back to back; none is open afterwards: STATUS of an open one may be stale."""
        with self._guarded():
            prepare(self._wire, self._abilities, limits=self._limits)
            items = status_items(self._abilities, with_ids=False)
            told = ask_statuses(self._wire, names, items, self._limits, self._leave())
            found = ((name, told[name][0]) for name in names if name in told)
            return {name: status for name, status in found if status is not None}

    def create(self, path: FolderPath, *, parent: bytes | None, role: Role | None = None) -> bytes:
        """CREATE a folder."""
        with self._guarded():
            return self._folderer().create(path, parent, role)

    def rename(self, name: bytes, path: FolderPath, *, parent: bytes | None) -> bytes:
        """RENAME a folder."""
        with self._guarded(name):
            return self._folderer().rename(name, path, parent)

    def remove(self, name: bytes) -> None:
        """DELETE a folder."""
        with self._guarded(name):
            self._folderer().remove(name)

    def subscribe(self, name: bytes, on: bool) -> None:
        """SUBSCRIBE to a folder, or UNSUBSCRIBE from it."""
        with self._guarded(name):
            self._folderer().subscribe(name, on)

    def existing(self, within: UidSet | None = None) -> UidSet:
        """Ask which UIDs exist, by SEARCH."""
        room = self._room()
        with self._guarded():
            return existing(room.wire, room.abilities, room.view, within)

    def summaries(self, uids: UidSet) -> Iterator[Summary]:
        """Yield flags, size, date and what else identifies *uids*."""
        return self._stream(fetching.summaries(self._room(), uids))

    def flags(self, uids: UidSet) -> Iterator[FlagRow]:
        """Yield the flags of *uids*."""
        return self._stream(fetching.flags(self._room(), uids))

    def headers(self, uids: UidSet, *, with_summary: bool = False) -> Iterator[HeaderRow]:
        """Yield raw header blocks."""
        return self._stream(fetching.headers(self._room(), uids, with_summary=with_summary))

    def identities(self, uids: UidSet, *, by_id: bool = False) -> Iterator[IdentityRow]:
        """Yield size, date and Message-ID of *uids*."""
        return self._stream(fetching.identities(self._room(), uids, by_id=by_id))

    def bodies(self, wanted: Sequence[BodyWanted]) -> Iterator[BodyChunk]:
        """Yield raw octets: small messages in groups first, then each large one in parts."""
        room, whole = self._room(), self._limits.whole_octets
        small = [one for one in wanted if one.size is None or one.size <= whole]
        large = (large_body(room, one.uid, one.size) for one in wanted if one.size is not None and one.size > whole)
        return self._stream(chain(small_bodies(room, small), chain.from_iterable(large)))

    def close(self) -> None:
        """LOGOUT, and close."""
        self._wire.close()

    def _at(self, view: View | None) -> None:
        self._opening = view

    def _leave(self) -> list[Command]:
        """Return what leaves the folder that is open; nobody speaks of it any more."""
        view, self._view, self._left = self._view or self._left, None, None
        return leaving(view, self._abilities, implicit=False)

    def _folderer(self) -> Folderer:
        prepare(self._wire, self._abilities, limits=self._limits)
        return Folderer(self._wire, self._abilities, self._limits, self._leave())

    def _room(self) -> fetching.FetchRoom:
        if self._view is None:
            raise InvalidRequest("No folder is open.")
        return self._room_of(self._view)

    def _room_of(self, view: View) -> fetching.FetchRoom:
        return fetching.FetchRoom(
            wire=self._wire,
            abilities=self._abilities,
            view=view,
            limits=self._limits,
            notice=self._listener.notice,
        )

    def _stream(self, rows: Iterator[T]) -> Iterator[T]:
        with self._guarded():
            yield from rows

    @contextmanager
    def _guarded(self, folder: bytes | None = None) -> Iterator[None]:
        """Let nothing foreign out, let errors say in which folder they came, and keep no session that has to end."""
        try:
            with answers_understood():
                yield
        except SourceError as error:
            name = self._view.name if folder is None and self._view is not None else folder
            if error.folder is None and name is not None:
                error.folder = printable(name)
            if error.drops_connection:
                self._wire.give_up()
            raise

    def _observe(self, told: Line | Status) -> None:
        """Hear every untagged line before anybody else does."""
        if isinstance(told, Status) and told.code == b"ALERT":
            # RFC 9051 §7.1: an alert has to reach the person. It is the server's text, and marked as such.
            self._listener.notice(
                Notice(
                    kind=ErrorKind.SERVER_ALERT.value,
                    text="The server has a message for you.",
                    server_text=printable(told.text),
                )
            )
        view = self._opening or self._view
        if view is not None:
            view.note(told)


def _sendable(leg: Leg) -> Leg:
    """Refuse a name that is never sent before anything of its folder is."""
    String(leg.name)
    return leg


def _changeable(write: FolderWrite) -> FolderWrite:
    """Refuse names that are never sent before anything of the folder is."""
    String(write.name)
    for transfer in write.transfers:
        String(transfer.target)
    return write


def session_on(
    channel: Channel, capabilities: frozenset[str] | None, *, limits: Limits, listener: Listener
) -> ImapSession:
    """Return a session on a channel that is logged in already; *capabilities* None: it asks for them."""
    abilities = Abilities(capabilities=capabilities or frozenset(), fresh=capabilities is not None)
    return ImapSession(channel, abilities, limits=limits, listener=listener)


class ImapSource:
    """Opens sessions for one account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def connect(self, stop: Stop, listener: Listener) -> Session:
        """Go through the door and take the channel over."""
        door = open_door(self._account, stop, listener)
        return session_on(
            door.channel,
            door.capabilities if door.capabilities_fresh else None,
            limits=self._account.limits,
            listener=listener,
        )

    def park(self, stop: Stop, listener: Listener, now: float) -> ParkedLine:
        """Go through the door and let the server tell about INBOX."""
        door = open_door(self._account, stop, listener)
        try:
            capabilities = door.capabilities if door.capabilities_fresh else None
            watch = Watch(INBOX, capabilities, now=now, answer_seconds=self._account.limits.command_seconds)
        except BaseException:
            door.channel.close()
            raise
        return ImapLine(door.channel, watch)


def imap_source(account: Account) -> Source:
    """Return the source of an account of kind ``imap``."""
    if account.kind != "imap":
        raise InvalidRequest(f"Account {account.id} is of kind {account.kind}, not imap.")
    return ImapSource(account)
