"""An account on an IMAP server, as the seam of ``sources.base`` wants it.

Room: sources/imap. The door (``connect``) gives a channel that is logged in; the session owns it until ``close``. A
session belongs to one thread; everything it knows of the server is in ``Abilities``, of the open folder in ``View``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TypeVar

from store.mail import UidSet, UidValidity

from ...account import Account
from ...cancel import Stop
from ...errors import ErrorKind, InvalidRequest, SourceError, printable
from ...limits import Limits
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
    Session,
    Source,
    Summary,
)
from ..legs import Leg, LegEvent
from . import fetching
from .answers import Line, answers_understood
from .bodies import small_bodies
from .changes import View, leaving, open_folder
from .channel import Channel
from .commands import String
from .connect import open_door
from .grammar import Status
from .listing import Abilities, list_folders, prepare
from .parts import large_body
from .searching import existing
from .tour import tour
from .wire import Wire

__all__ = ["ImapSession", "ImapSource", "imap_source", "session_on"]

T = TypeVar("T")


class ImapSession:
    """One connection, logged in. See ``sources.base.Session`` for what each method promises."""

    def __init__(self, channel: Channel, abilities: Abilities, *, limits: Limits, listener: Listener) -> None:
        self._limits = limits
        self._listener = listener
        self._abilities = abilities
        self._view: View | None = None
        self._opening: View | None = None
        self._left: View | None = None
        """The last folder of a tour: nobody speaks of it any more, but the server has it open."""
        self._wire = Wire(channel, limits=limits, observer=self._observe)

    def folders(self, known: Mapping[bytes, UidValidity] = NOTHING_KNOWN) -> FolderListing:
        """List every folder with its status, in one flight where the server can."""
        with self._guarded():
            view, self._view, self._left = self._view or self._left, None, None
            return list_folders(
                self._wire,
                self._abilities,
                limits=self._limits,
                known=known,
                leave=lambda: leaving(view, self._abilities, implicit=False),
            )

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


def imap_source(account: Account) -> Source:
    """Return the source of an account of kind ``imap``."""
    if account.kind != "imap":
        raise InvalidRequest(f"Account {account.id} is of kind {account.kind}, not imap.")
    return ImapSource(account)
