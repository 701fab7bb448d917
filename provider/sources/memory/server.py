"""A whole mail server in memory: what tests and demonstrations change while somebody synchronizes it."""

import threading
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import unquote

from store.mail import AccountId, FolderPath, Role, Uid, UidValidity, clean_flags

from ...account import Account, CredentialSupplier, FolderPolicy
from ..base import Exactness
from .faults import MemoryFaults
from .model import DEFAULT_DATE, MemoryFolder, MemoryMessage

__all__ = ["MemoryServer"]

FIRST_UID_VALIDITY = 1_000_000


class MemoryServer:
    """One user's mail. Thread-safe. Folders are named by path, as text (``"Lists/python"``) or ``FolderPath``.

    *exactness* is how much its change reports prove; *object_ids* whether it knows folders and messages by ids of
    their own (RFC 8474); *statuses* whether a listing brings statuses; *tells_places* whether it says where a message
    came to that was copied, moved or added (UIDPLUS, RFC 4315); *password* what a login must bring, if anything;
    *quota_octets* and *message_octets_max* what it takes. All may be changed between sessions. Unknown folders and
    messages raise KeyError.
    """

    def __init__(
        self,
        *,
        exactness: Exactness = Exactness.EXACT,
        object_ids: bool = True,
        statuses: bool = True,
        tells_places: bool = True,
        password: str | None = None,
        quota_octets: int | None = None,
        message_octets_max: int | None = None,
    ) -> None:
        self.exactness = exactness
        self.object_ids = object_ids
        self.statuses = statuses
        self.tells_places = tells_places
        self.password = password
        self.quota_octets = quota_octets
        self.message_octets_max = message_octets_max
        self.faults = MemoryFaults()
        self.lock = threading.RLock()
        """Held by whoever changes or reads folders."""
        self._folders: dict[FolderPath, MemoryFolder] = {}
        self._number = FIRST_UID_VALIDITY
        self._calls: list[str] = []
        self.add_folder("INBOX", role=Role.INBOX)

    def __repr__(self) -> str:
        with self.lock:
            return f"<MemoryServer with {len(self._folders)} folders>"

    def account(
        self,
        name: str = "memory",
        *,
        policy: FolderPolicy | None = None,
        credentials: CredentialSupplier | None = None,
    ) -> Account:
        """Return an account whose mail lies on this server."""
        return Account(
            id=AccountId(name),
            kind="memory",
            policy=policy or FolderPolicy(),
            credentials=credentials,
            options=(("server", self),),
        )

    # -- folders ------------------------------------------------------------------------------------

    def add_folder(
        self,
        path: FolderPath | str,
        *,
        role: Role | None = None,
        selectable: bool = True,
        subscribed: bool | None = None,
    ) -> None:
        """Create a folder. Raises ValueError when there is one of that path."""
        path = _path(path)
        with self.lock:
            if path in self._folders:
                raise ValueError(f"there is a folder {path} already")
            number = self._next_number()
            self._folders[path] = MemoryFolder(
                path=path,
                uid_validity=UidValidity(number),
                object_id=f"F{number}",
                role=role,
                selectable=selectable,
                subscribed=subscribed,
            )

    def rename_folder(self, old: FolderPath | str, new: FolderPath | str) -> None:
        """Give a folder and all below it another path; UIDs, UIDVALIDITY and ids stay (RFC 9051 §6.3.6)."""
        old, new = _path(old), _path(new)
        with self.lock:
            if old not in self._folders:
                raise KeyError(str(old))
            depth = len(old.names)
            moved = {path for path in self._folders if path.names[:depth] == old.names}
            taken = {FolderPath(new.names + path.names[depth:]) for path in moved} & (set(self._folders) - moved)
            if taken:
                raise ValueError(f"there is a folder {min(taken)} already")
            folders: dict[FolderPath, MemoryFolder] = {}
            for path, folder in self._folders.items():
                if path in moved:
                    path = folder.path = FolderPath(new.names + path.names[depth:])
                folders[path] = folder
            self._folders = folders

    def delete_folder(self, path: FolderPath | str) -> None:
        """Delete a folder and its mail; folders below it stay."""
        with self.lock:
            del self._folders[_path(path)]

    def reset_uid_validity(self, path: FolderPath | str) -> None:
        """Give a folder another UIDVALIDITY and its messages new UIDs from 1, in the same order."""
        with self.lock:
            folder = self.folder(path)
            old = sorted(folder.messages.values(), key=lambda message: message.uid)
            folder.uid_validity = UidValidity(self._next_number())
            folder.uid_next, folder.mod_seq = 1, 1
            folder.messages, folder.vanished = {}, {}
            for message in old:
                folder.add(
                    message.octets,
                    flags=message.flags,
                    internal_date=message.internal_date,
                    size=message.size,
                    uid=None,
                    email_id=message.email_id,
                )

    # -- messages -----------------------------------------------------------------------------------

    def append(
        self,
        path: FolderPath | str,
        octets: bytes,
        *,
        flags: Iterable[str] = (),
        internal_date: datetime | None = DEFAULT_DATE,
        uid: int | None = None,
        size: int | None = None,
    ) -> Uid:
        """Add a message and return its UID. *size*: what the server reports when that is not the truth."""
        with self.lock:
            return self.folder(path).add(
                octets,
                flags=flags,
                internal_date=internal_date,
                size=len(octets) if size is None else size,
                uid=uid,
                email_id=f"M{self._next_number()}",
            )

    def set_flags(self, path: FolderPath | str, uid: int, flags: Iterable[str]) -> None:
        """Replace the flags of one message."""
        with self.lock:
            folder = self.folder(path)
            message = folder.messages[uid]
            folder.messages[uid] = MemoryMessage(
                uid=message.uid,
                octets=message.octets,
                flags=clean_flags(flags),
                internal_date=message.internal_date,
                size=message.size,
                mod_seq=folder.next_mod_seq(),
                email_id=message.email_id,
            )

    def expunge(self, path: FolderPath | str, *uids: int) -> None:
        """Remove messages for good."""
        with self.lock:
            self.folder(path).expunge(uids)

    def octets(self) -> int:
        """Return the octets of all messages."""
        with self.lock:
            return sum(len(m.octets) for folder in self._folders.values() for m in folder.messages.values())

    # -- looking ------------------------------------------------------------------------------------

    @property
    def paths(self) -> tuple[FolderPath, ...]:
        """All folders, in the order they were made."""
        with self.lock:
            return tuple(self._folders)

    def messages(self, path: FolderPath | str) -> tuple[MemoryMessage, ...]:
        """Return the messages of a folder, by UID."""
        with self.lock:
            return tuple(sorted(self.folder(path).messages.values(), key=lambda message: message.uid))

    def folder(self, path: FolderPath | str) -> MemoryFolder:
        """Return a folder itself; read it while holding ``lock``."""
        found = self._folders.get(_path(path))
        if found is None:
            raise KeyError(str(_path(path)))
        return found

    def named(self, name: bytes) -> MemoryFolder | None:
        """Return the folder that is called *name* in the protocol, or None; read it while holding ``lock``."""
        return self._folders.get(FolderPath(tuple(map(unquote, name.decode("utf-8", "replace").split("/")))))

    @property
    def calls(self) -> tuple[str, ...]:
        """What sessions asked so far: ``connect``, ``folders``, ``open INBOX``, ``bodies INBOX`` ..."""
        with self.lock:
            return tuple(self._calls)

    def note(self, call: str) -> None:
        """Keep that a session asked something."""
        with self.lock:
            self._calls.append(call)

    def _next_number(self) -> int:
        self._number += 1
        return self._number


def _path(path: FolderPath | str) -> FolderPath:
    return path if isinstance(path, FolderPath) else FolderPath.parse(path)
