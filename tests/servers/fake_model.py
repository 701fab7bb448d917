"""What the fake IMAP server remembers: folders, messages, mod-sequences, expunged UIDs.

Room: tests/servers. No socket, no thread of its own; the server holds its lock around every call.
RFC 3501 section 2.3.1 (UID, UIDVALIDITY), RFC 7162 (MODSEQ), RFC 8474 (MAILBOXID, EMAILID).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import mutf7

__all__ = ["DEFAULT_DATE", "FakeFolder", "FakeMailbox", "FakeMessage", "wire_name"]

DEFAULT_DATE = "17-Jul-2023 02:44:25 +0000"


def wire_name(name: str | bytes) -> bytes:
    """Return the wire spelling: bytes are one already (however odd), text is encoded."""
    return name if isinstance(name, bytes) else mutf7.encode(name)


@dataclass(slots=True, kw_only=True)
class FakeMessage:
    """One message in one folder. *flags* are as the server spells them."""

    uid: int
    octets: bytes
    flags: frozenset[bytes]
    internal_date: str
    modseq: int

    @property
    def email_id(self) -> bytes:
        return b"M" + hashlib.sha1(self.octets, usedforsecurity=False).hexdigest().encode()


@dataclass(slots=True, kw_only=True)
class FakeFolder:
    """A folder; `messages` is kept in ascending UID order, `expunged` in order of mod-sequence."""

    wire_name: bytes
    uid_validity: int
    mailbox_id: bytes
    uid_next: int = 1
    highest_modseq: int = 1
    special_use: bytes | None = None
    subscribed: bool = True
    selectable: bool = True
    read_only: bool = False
    permanent_flags: frozenset[bytes] | None = None
    """What this folder keeps; None: whatever it is given."""
    messages: dict[int, FakeMessage] = field(default_factory=dict)
    expunged: list[tuple[int, int]] = field(default_factory=list)

    def next_modseq(self) -> int:
        self.highest_modseq += 1
        return self.highest_modseq

    def append(
        self,
        octets: bytes,
        flags: Iterable[bytes | str] = (),
        internal_date: str = DEFAULT_DATE,
        *,
        uid: int | None = None,
    ) -> int:
        """Add a message at the end and return its UID; *uid* may leave a gap, never go back."""
        uid = self.uid_next if uid is None else uid
        if uid < self.uid_next:
            raise ValueError(f"UID {uid} is below UIDNEXT {self.uid_next}")
        self.messages[uid] = FakeMessage(
            uid=uid,
            octets=octets,
            flags=_flags(flags),
            internal_date=internal_date,
            modseq=self.next_modseq(),
        )
        self.uid_next = uid + 1
        return uid

    def set_flags(self, uid: int, flags: Iterable[bytes | str]) -> None:
        """Replace the flags; the mod-sequence grows only when something changed."""
        message = self.messages[uid]
        if message.flags != (new := _flags(flags)):
            message.flags = new
            message.modseq = self.next_modseq()

    def expunge(self, *uids: int) -> None:
        modseq = self.next_modseq()
        for uid in uids:
            del self.messages[uid]
            self.expunged.append((modseq, uid))

    def renumber(self, uid_validity: int) -> None:
        """Begin a new UIDVALIDITY: every message gets a new UID, in the old order."""
        kept = list(self.messages.values())
        self.messages.clear()
        self.expunged.clear()
        self.uid_validity, self.uid_next = uid_validity, 1
        for message in kept:
            self.append(message.octets, message.flags, message.internal_date)

    def keywords(self) -> list[bytes]:
        """Return every keyword in use, sorted (for the FLAGS answer)."""
        return sorted({flag for m in self.messages.values() for flag in m.flags if not flag.startswith(b"\\")})

    def unseen(self) -> int:
        return sum(b"\\Seen" not in message.flags for message in self.messages.values())


class FakeMailbox:
    """All folders of the one user of the fake, by wire name in order of creation; INBOX is always there."""

    def __init__(self, delimiter: bytes | None = b"/") -> None:
        self.delimiter = delimiter
        self.folders: dict[bytes, FakeFolder] = {}
        self._next_validity = 1_700_000_000
        self.add_folder("INBOX")

    def add_folder(self, name: str | bytes, **attributes: object) -> FakeFolder:
        """Create a folder; *attributes* are those of `FakeFolder`. Raises `ValueError` when it exists."""
        wire = wire_name(name)
        if wire in self.folders:
            raise ValueError(f"{wire!r} exists")
        self._next_validity += 1
        values: dict[str, object] = {
            "uid_validity": self._next_validity,
            "mailbox_id": b"F%d" % self._next_validity,
        }
        folder = FakeFolder(wire_name=wire, **(values | attributes))  # type: ignore[arg-type]
        self.folders[wire] = folder
        return folder

    def folder(self, name: str | bytes) -> FakeFolder:
        wire = wire_name(name)
        return self.folders[b"INBOX" if wire.upper() == b"INBOX" else wire]

    def find(self, wire: bytes) -> FakeFolder | None:
        """Return the selectable folder of that wire name, None when there is none."""
        found = self.folders.get(b"INBOX" if wire.upper() == b"INBOX" else wire)
        return found if found is not None and found.selectable else None

    def rename_folder(self, old: str | bytes, new: str | bytes) -> None:
        """Rename a folder and what is below it; UIDVALIDITY and MAILBOXID stay."""
        before, after = wire_name(old), wire_name(new)
        if after in self.folders:
            raise ValueError(f"{after!r} exists")
        below = before + self.delimiter if self.delimiter else None
        renamed: dict[bytes, FakeFolder] = {}
        for wire, folder in self.folders.items():
            if wire == before or (below and wire.startswith(below)):
                folder.wire_name = after + wire[len(before) :]
            renamed[folder.wire_name] = folder
        self.folders = renamed

    def delete_folder(self, name: str | bytes) -> None:
        del self.folders[wire_name(name)]

    def reset_uid_validity(self, name: str | bytes) -> None:
        self._next_validity += 1
        self.folder(name).renumber(self._next_validity)


def _flags(flags: Iterable[bytes | str]) -> frozenset[bytes]:
    return frozenset(flag if isinstance(flag, bytes) else flag.encode("utf-8") for flag in flags)
