"""Maildir, with Maildir++ folders (".Lists.python") and Maildirs within directories, read-only.

Room: sources/localfiles. A message is its base name (what stands before ":2,"), which is unique and never changes while
flags and directories do; its UID is a hash of that. cr.yp.to/proto/maildir.html; Maildir++ names are modified UTF-7.
"""

import binascii
import mailbox
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from store.mail import FolderPath, Role

from ...account import Account
from ...cancel import Stop
from ...errors import ErrorKind, InvalidRequest, ProtocolBroken, printable
from ...limits import Limits
from ..base import Notice, RemoteFolder, Source
from .session import Found, LocalMessage, LocalSource, Octets, uid_of

__all__ = ["MaildirShelf", "maildir_source"]

FLAGS = {
    "D": "\\Draft",
    "F": "\\Flagged",
    "P": "$Forwarded",
    "R": "\\Answered",
    "S": "\\Seen",
    "T": "\\Deleted",
}
PARTS = ("cur", "new")
DEPTH_MAX = 30
_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")


def maildir_source(account: Account) -> Source:
    """Return the source of a Maildir. Raises InvalidRequest when the account names no path."""
    if account.path is None:
        raise InvalidRequest(f"Account {account.id} needs the path of a Maildir.")
    return LocalSource(account, account.path, MaildirShelf())


class MaildirShelf:
    """Maildirs at and below a path."""

    wanted = "a directory with cur and new in it, or with Maildirs below it"

    def find(self, path: Path, limits: Limits) -> Found:
        """Return the folders at *path*, INBOX first; symbolic links are not followed."""
        folders: list[tuple[RemoteFolder, Path]] = []
        problems: list[Notice] = []
        waiting: list[tuple[Path, tuple[str, ...]]] = [(path, ())]
        while waiting and len(folders) <= limits.folders:
            place, names = waiting.pop()
            try:
                inner = sorted(_directories(place))
            except OSError as error:
                text = f"{printable(os.fsencode(place))} cannot be read: {error.strerror}"
                problems.append(Notice(kind=ErrorKind.FOLDER_UNUSABLE.value, text=text))
                continue
            if set(PARTS) <= set(inner):
                folders.append((_folder(path, place, names), place))
            if len(names) < DEPTH_MAX:
                below = [(place / name, names + _names(name)) for name in inner if name not in (*PARTS, "tmp")]
                waiting.extend(reversed(below))
        if len(folders) > limits.folders:
            text = f"there are more than {limits.folders} folders"
            problems.append(Notice(kind=ErrorKind.LIMIT.value, text=text))
        return Found(folders=tuple(folders[: limits.folders]), problems=tuple(problems))

    def box(self, path: Path) -> "MaildirBox":
        return MaildirBox(path)


class MaildirBox:
    """One Maildir."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mailbox: mailbox.Maildir | None = None

    def look(self, stop: Stop) -> dict[int, LocalMessage]:
        """Return all messages. Raises ProtocolBroken when two names have one hash (2**-62 a pair)."""
        found: dict[int, LocalMessage] = {}
        # "new" first: a message that moves meanwhile is then seen twice, and never not at all.
        for part in ("new", "cur"):
            with os.scandir(self._path / part) as entries:
                for entry in entries:
                    stop.checkpoint()
                    if entry.name.startswith(".") or not entry.is_file(follow_symlinks=False):
                        continue
                    message = _message(entry)
                    before = found.get(message.uid) if message else None
                    if before is not None and message is not None and before.key != message.key:
                        raise ProtocolBroken("Two messages of this Maildir cannot be told apart.")
                    if message is not None:
                        found[message.uid] = message
        return found

    def open(self, message: LocalMessage) -> Octets:
        """Open a message; the mailbox finds it again when its flags were changed meanwhile."""
        if self._mailbox is None:
            self._mailbox = mailbox.Maildir(self._path, factory=None, create=False)
        return self._mailbox.get_file(message.key)

    def close(self) -> None:
        """Nothing stays open between messages."""
        self._mailbox = None


def _message(entry: "os.DirEntry[str]") -> LocalMessage | None:
    base, _, info = entry.name.partition(":")
    try:
        stat = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None  # it went, or moved; then its other name comes
    letters = info[2:] if info.startswith("2,") else ""
    return LocalMessage(
        uid=uid_of(os.fsencode(base)),
        key=base,
        flags=frozenset(FLAGS[letter] for letter in letters if letter in FLAGS),
        size=stat.st_size,
        internal_date=_date(stat.st_mtime),
    )


def _date(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _directories(place: Path) -> Iterator[str]:
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield entry.name


def _folder(top: Path, place: Path, names: tuple[str, ...]) -> RemoteFolder:
    if place == top:
        return RemoteFolder(name=b"INBOX", path=FolderPath(("INBOX",)), delimiter=".", role=Role.INBOX)
    return RemoteFolder(
        # A directory may be called INBOX too.
        name=b"./" + os.fsencode(place.relative_to(top)),
        path=FolderPath(names),
        delimiter=".",
    )


def _names(directory: str) -> tuple[str, ...]:
    """Return the folder names that a directory spells.

    >>> _names(".Lists.python"), _names("plain.name"), _names(".Entw&APw-rfe")
    (('Lists', 'python'), ('plain.name',), ('Entwürfe',))
    """
    parts = directory[1:].split(".") if directory.startswith(".") else [directory]
    return tuple(_SHIFTED.sub(_unshifted, _text(part)) for part in parts)


def _text(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace")


def _unshifted(shifted: re.Match[str]) -> str:
    """Return what one run of modified UTF-7 says (RFC 3501 §5.1.3), or the run itself where it says nothing."""
    letters = shifted[1]
    if not letters:
        return "&"
    try:
        octets = binascii.a2b_base64(letters.replace(",", "/").encode() + b"=" * (-len(letters) % 4))
        return octets.decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        return shifted[0]
