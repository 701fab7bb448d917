"""LIST, STATUS and NAMESPACE lines to folders: what a name means, where it hangs, what it is for.

Room: sources/imap. Rules: the server's octets are the key and go back unchanged; the path is for people, is decoded as
well as it can be, and is never a path of a file system. INBOX is one folder in whatever case it comes (RFC 9051 §5.1).
A name that could not be sent back safely is a problem to be told, not a folder. RFC 5258, RFC 5819, RFC 6154.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from imapclient import imap_utf7

from store.mail import FolderPath, Role

from ...errors import ErrorKind, LimitExceeded, printable
from ...limits import Limits
from ..base import FolderStatus, Notice, RemoteFolder
from . import translate
from .answers import Line
from .grammar import Malformed, Value
from .rolenames import role_of_attributes, role_of_name

__all__ = ["INBOX", "Folders", "Namespaces", "decoded", "key", "namespaces", "status_of"]

INBOX = b"INBOX"
_PASSING = frozenset({"\\marked", "\\unmarked"})
"""Attributes that tell of this moment and not of the folder (RFC 9051 §7.3.1): kept, each delivery would change it."""
_FORBIDDEN = re.compile(rb"[\0\r\n]")
_COMMAND_OVERHEAD_OCTETS = 500
"""Room that a command needs beside the name: QRESYNC's list of UIDs goes only where it fits."""
_WELL_FORMED = re.compile(rb"(?:[\x20-\x25\x27-\x7e]|&(?:[A-Za-z0-9+,]+)?-)*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespaces:
    """Prefixes of NAMESPACE (RFC 2342): one's own mail, and that of others."""

    personal: tuple[bytes, ...] = (b"",)
    foreign: tuple[bytes, ...] = ()


def key(name: Value) -> bytes:
    """Return the folder's key for a name as told. An unquoted NIL is a folder of that name.

    >>> key(b"inBox"), key(b"inbox/x")
    (b'INBOX', b'inbox/x')
    """
    if isinstance(name, list):
        raise Malformed("a folder's name is a list")
    told = b"NIL" if name is None else name
    return INBOX if told.upper() == INBOX else told


def decoded(name: bytes) -> str:
    """Return *name* for people: modified UTF-7 where it is well formed, else UTF-8, else as it is.

    >>> decoded(b"Entw&APw-rfe"), decoded(b"&AAAA"), decoded("Entwürfe".encode())
    ('Entwürfe', '&AAAA', 'Entwürfe')
    """
    if _WELL_FORMED.match(name):
        try:
            text = str(imap_utf7.decode(name))
            text.encode("utf-8")
        except ValueError:  # UnicodeError: an unfinished shift, half a surrogate pair
            return translate.text(name)
        return text
    return translate.text(name)


def namespaces(line: Line, *, nesting: int) -> Namespaces:
    """Return the prefixes of a NAMESPACE line; a part that is not understood is left out."""
    told = line.values(nesting=nesting)
    parts: list[tuple[bytes, ...]] = []
    for value in told[:3]:
        entries = value if isinstance(value, list) else []
        parts.append(tuple(entry[0] for entry in entries if isinstance(entry, list) and isinstance(entry[0], bytes)))
    personal, others, shared = (*parts, (), (), ())[:3]
    return Namespaces(personal=personal or (b"",), foreign=(*others, *shared))


def status_of(line: Line, *, nesting: int) -> tuple[bytes, FolderStatus | None, str | None]:
    """Return key, status and MAILBOXID of a STATUS line."""
    told = line.values(nesting=nesting)
    if not told:
        raise Malformed("a STATUS answer without a name")
    items = told[1] if len(told) > 1 and isinstance(told[1], list) else []
    return key(told[0]), *translate.folder_status(items)


@dataclass(slots=True)
class Folders:
    """Folders while their lines come in."""

    limits: Limits
    found: dict[bytes, RemoteFolder] = field(default_factory=dict)
    problems: list[Notice] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Take a LIST line. Raises Malformed, LimitExceeded."""
        told = line.values(nesting=self.limits.nesting)
        if len(told) < 3 or not (told[0] is None or isinstance(told[0], list)):
            raise Malformed("a LIST answer without attributes, delimiter and name")
        name = key(told[2])
        problem = self._problem(name)
        if problem is not None:
            self.problems.append(problem)
            return
        attributes = frozenset(
            translate.text(word).lower() for word in told[0] or () if isinstance(word, bytes) and len(word) < 200
        )
        attributes -= _PASSING
        delimiter = told[1] if isinstance(told[1], bytes) else b""
        before = self.found.get(name)
        if before is not None:
            attributes |= before.attributes
        elif len(self.found) >= self.limits.folders:
            raise LimitExceeded(f"The server lists more than {self.limits.folders:,} folders.")
        self.found[name] = RemoteFolder(
            name=name,
            path=_path(name, delimiter),
            delimiter=translate.text(delimiter)[:1] or None,
            role=Role.INBOX if name == INBOX else role_of_attributes(attributes),
            attributes=attributes,
            selectable=not attributes & {"\\noselect", "\\nonexistent"},
            subscribed=True if "\\subscribed" in attributes else None,
        )

    def _problem(self, name: bytes) -> Notice | None:
        longest = min(self.limits.folder_name_octets, self.limits.command_octets - _COMMAND_OVERHEAD_OCTETS)
        if not name:
            text = "The server lists a folder without a name."
        elif _FORBIDDEN.search(name):
            text = "A folder has a line break or a NUL in its name; it is never sent back to the server."
        elif 2 * len(name) > longest and len(name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')) > longest:
            text = f"The name of a folder is longer than {longest:,} octets."
        else:
            return None
        return Notice(kind=ErrorKind.FOLDER_UNUSABLE.value, text=text, folder=printable(name))

    def tell(self, status: Mapping[bytes, tuple[FolderStatus | None, str | None]]) -> None:
        """Add what STATUS told."""
        for name, (told, object_id) in status.items():
            if name in self.found:
                self.found[name] = replace(self.found[name], status=told, object_id=object_id)

    def subscribe(self, names: Iterable[bytes], *, known: bool) -> None:
        """Mark what is subscribed; with *known* all others are not."""
        subscribed = set(names)
        for name, folder in self.found.items():
            is_subscribed = folder.subscribed or name in subscribed
            self.found[name] = replace(folder, subscribed=True if is_subscribed else (False if known else None))

    def guess_roles(self, spaces: Namespaces) -> None:
        """Give roles by name where no attribute gave them: top level of one's own mail only, each role once."""
        taken = {folder.role for folder in self.found.values()}
        for name, folder in sorted(self.found.items()):
            own = _own_name(name, folder, spaces)
            role = None if folder.role or own is None or not folder.selectable else role_of_name(own)
            if role is not None and role not in taken:
                taken.add(role)
                self.found[name] = replace(folder, role=role)


def _path(name: bytes, delimiter: bytes) -> FolderPath:
    pieces = name.split(delimiter) if delimiter else [name]
    if pieces[0].upper() == INBOX:
        pieces[0] = INBOX
    return FolderPath(tuple(decoded(piece) for piece in pieces))


def _own_name(name: bytes, folder: RemoteFolder, spaces: Namespaces) -> str | None:
    """Return the folder's own name when it lies at the top of one's own mail, else None."""
    if any(prefix and name.startswith(prefix) for prefix in spaces.foreign):
        return None
    prefix = max((p for p in (*spaces.personal, b"") if name.startswith(p)), key=len, default=b"")
    rest = name[len(prefix) :]
    delimiter = (folder.delimiter or "").encode("utf-8", "replace")
    # Courier, Cyrus and Dovecot's Maildir++ hang everything below INBOX, and not all of them say so in NAMESPACE.
    if delimiter and rest.upper().startswith(INBOX + delimiter):
        rest = rest[len(INBOX + delimiter) :]
    return None if not rest or (delimiter and delimiter in rest) else decoded(rest)
