"""Folders made, renamed, removed and subscribed to; and how a path becomes a name that the server understands.

Room: sources/imap. RFC 9051 §6.3.4 to §6.3.8, RFC 6154 §3 (CREATE-SPECIAL-USE), RFC 2342. Rules: a name is that of the
folder above, its delimiter, and the last name of the path in the server's spelling; at the top the personal namespace
stands before it. INBOX is never renamed nor removed: both mean something else there. What is wanted and is so already
is no error.
"""

from imapclient import imap_utf7

from store.mail import FolderPath, Role

from ...errors import CommandRefused, ErrorKind, FolderUnusable, printable
from ...limits import Limits
from . import quirks
from .busy import refuse_step_if_busy
from .commands import Command, String
from .folderlines import INBOX, key
from .grammar import Status
from .listing import Abilities
from .marking import refused
from .wire import Wire

__all__ = ["Folderer", "spelled"]

_USES = {
    Role.ALL: b"\\All",
    Role.ARCHIVE: b"\\Archive",
    Role.DRAFTS: b"\\Drafts",
    Role.FLAGGED: b"\\Flagged",
    Role.IMPORTANT: b"\\Important",
    Role.JUNK: b"\\Junk",
    Role.SENT: b"\\Sent",
    Role.TRASH: b"\\Trash",
}


def spelled(name: str, *, utf8: bool) -> bytes:
    """Return a folder's own name in the server's spelling. Raises ValueError for one that no server means.

    >>> spelled("Entwürfe & mehr", utf8=False)
    b'Entw&APw-rfe &- mehr'
    >>> spelled("Entwürfe", utf8=True).decode()
    'Entwürfe'
    """
    if not name or any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or char in "\u2028\u2029" for char in name):
        raise ValueError("a name has a control character, or nothing, in it")
    return name.encode("utf-8") if utf8 else bytes(imap_utf7.encode(name))


class Folderer:
    """Changes to the tree. *leave*: what leaves the folder that is open, which may be the one that is changed."""

    def __init__(self, wire: Wire, abilities: Abilities, limits: Limits, leave: list[Command]) -> None:
        self._wire = wire
        self._abilities = abilities
        self._limits = limits
        self._leave = leave

    def create(self, path: FolderPath, parent: bytes | None, role: Role | None) -> bytes:
        """Create the folder and return its name. Raises CommandRefused."""
        name = self._name(path, parent)
        if name == INBOX:
            return name
        use = _USES.get(role) if role is not None and self._abilities.can("CREATE-SPECIAL-USE") else None
        status = self._say(b"CREATE", String(name), *([b"(USE (%b))" % use] if use else []))
        if not status.ok and use is not None and status.code != b"ALREADYEXISTS":
            status = self._say(b"CREATE", String(name))  # the folder counts more than what it is for
        if status.ok or status.code == b"ALREADYEXISTS" or (not status.code and self._exists(name)):
            return name
        raise refused(status, "The server refused to create a folder.", name)

    def rename(self, name: bytes, path: FolderPath, parent: bytes | None) -> bytes:
        """Rename the folder and return its new name. Raises FolderUnusable, CommandRefused."""
        self._refuse_inbox(name)
        new = self._name(path, parent)
        if new == name:
            return new
        status = self._say(b"RENAME", String(name), String(new))
        if status.ok:
            return new
        if quirks.folder_is_gone(status):
            raise FolderUnusable(
                "The folder does not exist on the server.",
                kind=ErrorKind.FOLDER_GONE,
                folder=printable(name),
                response_code=status.code.decode("ascii", "replace") or None,
                server_text=status.text,
            )
        raise refused(status, "The server refused to rename a folder.", name)

    def remove(self, name: bytes) -> None:
        """Delete the folder. Raises CommandRefused."""
        self._refuse_inbox(name)
        status = self._say(b"DELETE", String(name))
        if not status.ok and not quirks.folder_is_gone(status):
            raise refused(status, "The server refused to delete a folder.", name)

    def subscribe(self, name: bytes, on: bool) -> None:
        """Subscribe to the folder, or not any more. Raises CommandRefused."""
        status = self._say(b"SUBSCRIBE" if on else b"UNSUBSCRIBE", String(name))
        if not status.ok and (on or not quirks.folder_is_gone(status)):
            raise refused(status, "The server refused to change the subscription of a folder.", name)

    def _say(self, *pieces: bytes | String) -> Status:
        command = Command(pieces)
        status = self._wire.run(*self._leave, command).endings[command]
        self._leave = []
        refuse_step_if_busy(status)
        return status

    def _name(self, path: FolderPath, parent: bytes | None) -> bytes:
        try:
            own = spelled(path.name, utf8=self._abilities.utf8_names)
        except ValueError:
            text = "A folder's name cannot be empty, and has no control characters in it."
            raise CommandRefused(text, folder=printable(path.name)) from None
        if parent is None and own.upper() == INBOX:
            return INBOX
        delimiter = self._delimiter(parent)
        if delimiter and delimiter in own:
            text = "The server cuts its folders' names at a character that this name has in it."
            raise CommandRefused(text, folder=printable(path.name))
        if parent is None:
            return self._abilities.spaces.personal[0] + own
        if not delimiter:
            raise CommandRefused("This server has no folders within folders.", folder=printable(path.name))
        return parent + delimiter + own

    def _delimiter(self, parent: bytes | None) -> bytes:
        """Ask what stands between the names of *parent* and of a folder in it (None: at the top)."""
        for name in ([parent] if parent is not None else []) + [b""]:
            listing = Command((b"LIST", b'""', String(name)))
            reply = self._wire.run(*self._leave, listing)
            self._leave = []
            refuse_step_if_busy(reply.endings[listing])
            for line in reply.of(b"LIST"):
                told = line.values(nesting=self._limits.nesting)
                if len(told) > 2 and (not name or key(told[2]) == name):
                    return told[1] if isinstance(told[1], bytes) else b""
        return b""

    def _exists(self, name: bytes) -> bool:
        """Look whether a refused CREATE only found that the folder is there: not all servers say so by a code."""
        reply = self._wire.run(Command((b"LIST", b'""', String(name))))
        return any(
            len(told) > 2 and key(told[2]) == name
            for told in (line.values(nesting=self._limits.nesting) for line in reply.of(b"LIST"))
        )

    @staticmethod
    def _refuse_inbox(name: bytes) -> None:
        if key(name) == INBOX:
            raise CommandRefused("INBOX cannot be renamed or deleted.", folder="INBOX", response_code="CANNOT")
