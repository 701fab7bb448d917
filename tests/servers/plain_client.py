"""An independent reader and writer of an IMAP server: the stdlib's imaplib and nothing of the product.

Room: tests/servers. It is the judge of the truth tests, so it asks simply (SELECT, UID FETCH in small
batches) and takes what the server says at face value. RFC 3501.
"""

from __future__ import annotations

import hashlib
import imaplib
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from . import mutf7

__all__ = ["DEFAULT_DATE", "FolderSnapshot", "MessageSnapshot", "NewMessage", "PlainClient"]

DEFAULT_DATE = "17-Jul-2023 02:44:25 +0000"
_BATCH = 50
_ROW = re.compile(rb"\d+ \(")
_UID = re.compile(rb"[( ]UID (\d+)")
_SIZE = re.compile(rb"[( ]RFC822\.SIZE (\d+)")
_FLAGS = re.compile(rb"[( ]FLAGS \(([^)]*)\)")
_DATE = re.compile(rb'[( ]INTERNALDATE "([^"]*)"')
_LIST = re.compile(rb'\(([^)]*)\) (NIL|"(?:\\.|[^"\\])*") (.*)\Z', re.DOTALL)

# Python 3.11's imaplib stops at lines of 1,000,000 octets; literals are not lines, but long UID answers are.
imaplib._MAXLINE = 10_000_000  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to APPEND. *internal_date* is in IMAP's spelling."""

    octets: bytes
    flags: tuple[str, ...] = ()
    internal_date: str = DEFAULT_DATE


@dataclass(frozen=True, slots=True)
class MessageSnapshot:
    """What the server says of one message; `\\Recent` is left out, *sha256* is of the raw octets."""

    flags: frozenset[bytes]
    internal_date: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FolderSnapshot:
    uid_validity: int
    messages: dict[int, MessageSnapshot]


class PlainClient:
    """One logged in connection. Folder names: text is a decoded path, bytes a wire name."""

    def __init__(self, connection: imaplib.IMAP4) -> None:
        self.connection = connection

    @classmethod
    def login(cls, *, host: str, port: int, user: str, password: str) -> PlainClient:
        connection = imaplib.IMAP4(host, port, timeout=30)
        # imaplib sends a literal and its CRLF apart: with Nagle's algorithm each APPEND would wait 40 ms.
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # imaplib quotes the password only; a user with a space or quote needs the same care.
        _ok(connection.login(_quoted(user.encode()), password))  # type: ignore[arg-type]
        return cls(connection)

    def close(self) -> None:
        self.connection.logout()

    def __enter__(self) -> PlainClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- writing --------------------------------------------------------------------------------

    def create(self, *names: str | bytes) -> None:
        for name in names:
            _ok(self.connection.create(_name(name)))

    def rename(self, old: str | bytes, new: str | bytes) -> None:
        _ok(self.connection.rename(_name(old), _name(new)))

    def delete(self, name: str | bytes) -> None:
        _ok(self.connection.delete(_name(name)))

    def subscribe(self, name: str | bytes) -> None:
        _ok(self.connection.subscribe(_name(name)))

    def append(
        self, folder: str | bytes, octets: bytes, flags: Iterable[str] = (), internal_date: str = DEFAULT_DATE
    ) -> None:
        self._append(_name(folder), NewMessage(octets=octets, flags=tuple(flags), internal_date=internal_date))

    def populate(self, folder: str | bytes, messages: Iterable[NewMessage]) -> int:
        """Append messages in order and return how many; the folder is created when it is missing."""
        name, count = _name(folder), 0
        if self.connection.status(name, "(MESSAGES)")[0] != "OK":
            _ok(self.connection.create(name))
        for message in messages:
            self._append(name, message)
            count += 1
        return count

    def _append(self, name: str, message: NewMessage) -> None:
        flags = f"({' '.join(message.flags)})"
        # imaplib.append would rewrite lone LF to CRLF: go below it, the octets are the point of the test.
        self.connection.literal = message.octets  # type: ignore[attr-defined]
        _ok(self.connection._simple_command("APPEND", name, flags, f'"{message.internal_date}"'))  # type: ignore[attr-defined]

    def store(self, folder: str | bytes, uids: str, action: str, flags: Iterable[str]) -> None:
        """UID STORE; *action* is one of "FLAGS", "+FLAGS", "-FLAGS"."""
        self.select(folder)
        _ok(self.connection.uid("STORE", uids, action + ".SILENT", f"({' '.join(flags)})"))

    def expunge(self, folder: str | bytes, uids: str) -> None:
        """Remove exactly these messages: nothing else in the folder may be marked \\Deleted."""
        self.store(folder, uids, "+FLAGS", ["\\Deleted"])
        _ok(self.connection.expunge())

    def move(self, folder: str | bytes, uids: str, target: str | bytes) -> None:
        self.copy(folder, uids, target)
        self.expunge(folder, uids)

    def copy(self, folder: str | bytes, uids: str, target: str | bytes) -> None:
        self.select(folder)
        _ok(self.connection.uid("COPY", uids, _name(target)))

    # -- reading --------------------------------------------------------------------------------

    def select(self, folder: str | bytes) -> int:
        """SELECT and return UIDVALIDITY."""
        _ok(self.connection.select(_name(folder)))
        return int(self.connection.response("UIDVALIDITY")[1][0])  # type: ignore[arg-type]

    def folders(self) -> dict[bytes, frozenset[bytes]]:
        """Return wire name to attributes (lower case) of every name that LIST shows."""
        _, rows = _ok(self.connection.list('""', '"*"'))
        found: dict[bytes, frozenset[bytes]] = {}
        for row in rows:
            if row is None:
                continue
            # A name sent as literal arrives as (head with {n}, octets).
            head, literal = row if isinstance(row, tuple) else (row, None)
            match = _LIST.match(head)
            if match:
                name = literal if literal is not None else _unquoted(match[3])
                found[name] = frozenset(match[1].lower().split())
        return found

    def snapshot(self, *, bodies: bool = True) -> dict[bytes, FolderSnapshot]:
        """Return every selectable folder, by wire name; without *bodies* the digests are empty."""
        taken: dict[bytes, FolderSnapshot] = {}
        for name, attributes in self.folders().items():
            if not attributes & {b"\\noselect", b"\\nonexistent"}:
                taken[name] = self.snapshot_folder(name, bodies=bodies)
        return taken

    def snapshot_folder(self, folder: str | bytes, *, bodies: bool = True) -> FolderSnapshot:
        _ok(self.connection.select(_name(folder), readonly=True))
        validity = int(self.connection.response("UIDVALIDITY")[1][0])  # type: ignore[arg-type]
        uids = self.uids()
        messages: dict[int, MessageSnapshot] = {}
        for start in range(0, len(uids), _BATCH):
            messages.update(self._read(uids[start : start + _BATCH], bodies=bodies))
        if sorted(messages) != uids:
            raise AssertionError(f"the server left out {sorted(set(uids) - set(messages))[:10]}")
        return FolderSnapshot(validity, messages)

    def uids(self) -> list[int]:
        """Return the UIDs of the selected folder, ascending."""
        _, rows = _ok(self.connection.uid("SEARCH", "ALL"))
        return sorted(int(word) for row in rows if row for word in row.split())

    def octets(self, folder: str | bytes, uid: int) -> bytes:
        """Return the raw octets of one message."""
        _ok(self.connection.select(_name(folder), readonly=True))
        _, rows = _ok(self.connection.uid("FETCH", str(uid), "(BODY.PEEK[])"))
        return b"".join(row[1] for row in rows if isinstance(row, tuple))

    def _read(self, uids: Sequence[int], *, bodies: bool) -> Iterator[tuple[int, MessageSnapshot]]:
        items = "(UID FLAGS INTERNALDATE RFC822.SIZE" + (" BODY.PEEK[])" if bodies else ")")
        _, rows = _ok(self.connection.uid("FETCH", ",".join(map(str, uids)), items))
        for head, octets in _rows(rows):
            uid, size, flags, date = (p.search(head) for p in (_UID, _SIZE, _FLAGS, _DATE))
            if not (uid and size and flags and date):
                continue  # an unsolicited flag change, not an answer
            yield (
                int(uid[1]),
                MessageSnapshot(
                    frozenset(flags[1].split()) - {b"\\Recent"},
                    date[1].decode(),
                    int(size[1]),
                    hashlib.sha256(octets).hexdigest() if bodies else "",
                ),
            )


def _rows(parts: Sequence[object]) -> Iterator[tuple[bytes, bytes]]:
    """Join imaplib's pieces of each row to (all octets outside the literal, the literal)."""
    head, literal = b"", b""
    for part in parts:
        text = part[0] if isinstance(part, tuple) else part
        if not isinstance(text, bytes):
            continue
        if _ROW.match(text):
            if head:
                yield head, literal
            head, literal = text, b""
        else:
            head += b" " + text
        if isinstance(part, tuple):
            literal = part[1]
    if head:
        yield head, literal


def _name(name: str | bytes) -> str:
    return _quoted(name if isinstance(name, bytes) else mutf7.encode(name))


def _quoted(wire: bytes) -> str:
    return '"' + wire.decode("ascii").replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(text: bytes) -> bytes:
    if text[:1] == b'"':
        return re.sub(rb"\\(.)", rb"\1", text[1:-1])
    return text


def _ok(answer: tuple[str, list]) -> tuple[str, list]:  # type: ignore[type-arg]
    if answer[0] != "OK":
        raise AssertionError(f"the server refused: {answer}")
    return answer
