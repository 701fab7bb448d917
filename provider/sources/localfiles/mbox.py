"""mbox files, one or a directory of them, read-only.

Room: sources/localfiles. A message has no name in an mbox, and its place changes when another one goes. So its UID is a
hash of its octets (and of how many equal ones stand before it): what is rewritten with other octets is another message.
Octets are those between two "From " lines, as the stdlib's ``mailbox`` cuts them; ">From " stays as it is.
"""

import mailbox
import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from hashlib import blake2b
from pathlib import Path

from store.mail import FolderPath, Role

from ...account import Account
from ...cancel import Stop
from ...errors import ErrorKind, InvalidRequest, ProtocolBroken, printable
from ...limits import Limits
from ...rawmail import CHUNK_OCTETS, header_block
from ..base import Notice, RemoteFolder, Source
from .session import Found, LocalMessage, LocalSource, Octets, uid_of

__all__ = ["MboxShelf", "mbox_source"]

STATUS_LETTERS = {"R": "\\Seen", "A": "\\Answered", "F": "\\Flagged", "T": "\\Draft", "D": "\\Deleted"}
MOZILLA_BITS = {
    0x0001: "\\Seen",
    0x0002: "\\Answered",
    0x0004: "\\Flagged",
    0x0008: "\\Deleted",
    0x1000: "$Forwarded",
}
DEPTH_MAX = 30
STATUS_OCTETS = 65_536
"""How far into a message its status fields are looked for."""

_STATUS = re.compile(rb"^(?:X-)?Status:[ \t]*([A-Z]{1,10})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_MOZILLA = re.compile(rb"^X-Mozilla-Status:[ \t]*([0-9a-f]{4})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ARRIVED = re.compile(
    rb" [A-Za-z]{3} ([A-Za-z]{3}) +(\d{1,2}) (\d\d):(\d\d)(?::(\d\d))?(?: [A-Z]{1,5})? (\d{4})(?: ([+-])(\d\d)(\d\d))?"
)


def mbox_source(account: Account) -> Source:
    """Return the source of an mbox file or a directory of them. Raises InvalidRequest when the account has no path."""
    if account.path is None:
        raise InvalidRequest(f"Account {account.id} needs the path of an mbox file.")
    return LocalSource(account, account.path, MboxShelf())


class MboxShelf:
    """mbox files at and below a path."""

    wanted = "a file that begins with 'From ', or a directory of such files"

    def find(self, path: Path, limits: Limits) -> Found:
        """Return the folders at *path*; symbolic links are not followed, other files are passed over."""
        folders: list[tuple[RemoteFolder, Path]] = []
        problems: list[Notice] = []
        waiting: list[tuple[Path, tuple[str, ...]]] = [(path, ())]
        while waiting and len(folders) <= limits.folders:
            place, names = waiting.pop()
            try:
                if place.is_dir():
                    if len(names) < DEPTH_MAX:
                        waiting.extend(reversed([(place / name, (*names, name)) for name in sorted(_entries(place))]))
                elif _is_mbox(place):
                    # "Inbox" and "inbox" may lie side by side: the first is the inbox.
                    inbox = _may_be_inbox(names) and not any(folder.role for folder, _ in folders)
                    folders.append((_folder(names, inbox=inbox), place))
            except OSError as error:
                text = f"{printable(os.fsencode(place))} cannot be read: {error.strerror}"
                problems.append(Notice(kind=ErrorKind.FOLDER_UNUSABLE.value, text=text))
        if len(folders) > limits.folders:
            text = f"there are more than {limits.folders} folders"
            problems.append(Notice(kind=ErrorKind.LIMIT.value, text=text))
        return Found(folders=tuple(folders[: limits.folders]), problems=tuple(problems))

    def box(self, path: Path) -> "MboxBox":
        return MboxBox(path)


class MboxBox:
    """One mbox file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mailbox: mailbox.mbox | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._messages: dict[int, LocalMessage] = {}

    def look(self, stop: Stop) -> dict[int, LocalMessage]:
        """Return all messages, in the order of the file; the file is read again only when it was changed."""
        stat = os.stat(self._path)
        stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if stamp != self._stamp:
            self.close()
            self._mailbox = mailbox.mbox(self._path, factory=None, create=False)
            self._messages = self._read(self._mailbox, stop)
            self._stamp = stamp
        return self._messages

    def _read(self, box: mailbox.mbox, stop: Stop) -> dict[int, LocalMessage]:
        found: dict[int, LocalMessage] = {}
        copies: Counter[bytes] = Counter()
        for key in box.iterkeys():
            stop.checkpoint()
            digest, size, start = _digest(box.get_file(key))
            copies[digest] += 1
            uid = uid_of(digest + copies[digest].to_bytes(8))
            if uid in found:
                raise ProtocolBroken("Two messages of this mbox cannot be told apart.")
            with_from = box.get_file(key, from_=True)
            found[uid] = LocalMessage(
                uid=uid,
                key=key,
                flags=_flags(header_block(start)),
                size=size,
                internal_date=_arrived(with_from.readline(1_000)),
            )
        return found

    def open(self, message: LocalMessage) -> Octets:
        """Open a message at the place where it was seen. Raises KeyError when the file was changed since."""
        stat = os.stat(self._path)
        if self._mailbox is None or self._stamp != (stat.st_ino, stat.st_size, stat.st_mtime_ns):
            raise KeyError(message.key)
        return _Part(self._mailbox.get_file(message.key))

    def close(self) -> None:
        """Close the file."""
        if self._mailbox is not None:
            self._mailbox.close()
        self._mailbox, self._stamp, self._messages = None, None, {}


class _Part:
    """A part of the one open file: closing the part leaves the file open."""

    def __init__(self, part: Octets) -> None:
        self._part = part

    def read(self, size: int, /) -> bytes:
        return self._part.read(size)

    def close(self) -> None:
        """Leave the file open: it belongs to the box."""


def _digest(octets: Octets) -> tuple[bytes, int, bytes]:
    """Return the digest of a message, its length, and how it starts."""
    digest, size = blake2b(digest_size=32), 0
    start = chunk = octets.read(CHUNK_OCTETS)
    while chunk:
        digest.update(chunk)
        size += len(chunk)
        chunk = octets.read(CHUNK_OCTETS)
    return digest.digest(), size, start[:STATUS_OCTETS]


def _flags(block: bytes) -> frozenset[str]:
    """Return the flags that mail readers wrote into the message (Status, X-Status; Thunderbird's bits)."""
    letters = b"".join(_STATUS.findall(block)).decode().upper()
    flags = {STATUS_LETTERS[letter] for letter in letters if letter in STATUS_LETTERS}
    for hexadecimal in _MOZILLA.findall(block):
        flags |= {flag for bit, flag in MOZILLA_BITS.items() if int(hexadecimal, 16) & bit}
    return frozenset(flags)


def _arrived(line: bytes) -> datetime | None:
    """Return when a message arrived by its "From " line, in UTC where no zone is named; None where it does not say.

    >>> _arrived(b"From a@x Thu Jan  1 12:30:00 2026").isoformat()
    '2026-01-01T12:30:00+00:00'
    """
    found = _ARRIVED.search(line)
    if found is None:
        return None
    month, day, hour, minute, second, year, sign, hours, minutes = found.groups()
    east = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == b"-" else 1)
    try:
        return datetime(
            int(year),
            _MONTHS.index(month.decode().lower()) + 1,
            int(day),
            int(hour),
            int(minute),
            int(second or 0),
            tzinfo=timezone(east) if east else UTC,
        )
    except ValueError:
        return None


def _entries(place: Path) -> Iterator[str]:
    with os.scandir(place) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and (entry.is_dir(follow_symlinks=False) or _is_file(entry)):
                yield entry.name


def _is_file(entry: "os.DirEntry[str]") -> bool:
    return entry.is_file(follow_symlinks=False)


def _is_mbox(place: Path) -> bool:
    if not place.is_file():
        return False  # a pipe would wait for ever
    with place.open("rb") as file:
        return file.read(5) in (b"From ", b"")


def _may_be_inbox(names: tuple[str, ...]) -> bool:
    return not names or (len(names) == 1 and names[0].lower() == "inbox")


def _folder(names: tuple[str, ...], *, inbox: bool) -> RemoteFolder:
    """Return the folder of the file at *names*; Thunderbird keeps what lies below "x" in "x.sbd"."""
    if inbox:
        return RemoteFolder(name=b"INBOX", path=FolderPath(("INBOX",)), delimiter="/", role=Role.INBOX)
    shown = tuple(os.fsencode(name).decode("utf-8", "replace") for name in names)
    return RemoteFolder(
        name=b"./" + os.fsencode("/".join(names)),
        path=FolderPath((*(name.removesuffix(".sbd") for name in shown[:-1]), shown[-1])),
        delimiter="/",
    )
