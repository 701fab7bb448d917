"""The far side of a scenario: a server that another client changes, and that a judge reads. In memory, or a Dovecot.

Room: tests/twoway. The Dovecot is changed and read by `plain_client` (stdlib imaplib) only, the server in memory by its
own state: nothing of what is tested tells what the truth is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from provider import Account
from provider.testing import MemoryServer
from store.mail import FolderPath, Role

from ..scenarios.rig import ME, FolderSeen, MessageSeen, account_at, server_snapshot
from ..servers.dovecot import DovecotAccount
from ..servers.plain_client import PlainClient
from .notation import Letter, letter

__all__ = ["ROLES", "DovecotFar", "Far", "MemoryFar", "Seen"]

ROLES = {"Trash": Role.TRASH, "Drafts": Role.DRAFTS, "Sent": Role.SENT, "Archive": Role.ARCHIVE}
"""Folders that have a role by their name, on both servers."""

Seen = dict[bytes, FolderSeen]


class Far(Protocol):
    """What a scenario does to a server, and asks it. Folders are named by path; messages by folder and UID."""

    account: Account

    def create(self, path: str) -> None: ...
    def rename(self, old: str, new: str) -> None: ...
    def delete(self, path: str) -> None: ...
    def subscribe(self, path: str, on: bool) -> None: ...
    def renumber(self, path: str) -> None: ...
    def append(self, path: str, one: Letter, flags: Iterable[str]) -> None: ...
    def flag(self, path: str, uids: list[int], add: frozenset[str], remove: frozenset[str]) -> None: ...
    def transfer(self, path: str, uids: list[int], target: str, *, move: bool) -> None: ...
    def remove(self, path: str, uids: list[int]) -> None: ...
    def seen(self) -> Seen:
        """Return everything, as the store's reading is compared with."""
        ...

    def subscribed(self) -> frozenset[str]: ...
    def become(self, told: Mapping[str, Any]) -> None:
        """Take on what a scenario says of the server. Raises KeyError for what this one cannot be made to."""
        ...

    def close(self) -> None: ...


def digest(octets: bytes) -> str:
    """Return what names the octets of a message in a reading."""
    return hashlib.sha256(octets).hexdigest()


class MemoryFar:
    """A server in memory."""

    def __init__(self, **more: Any) -> None:
        self.server = MemoryServer(**more)
        self.account = self.server.account(ME)

    def create(self, path: str) -> None:
        self.server.add_folder(path, role=ROLES.get(path), subscribed=False)

    def rename(self, old: str, new: str) -> None:
        self.server.rename_folder(old, new)

    def delete(self, path: str) -> None:
        self.server.delete_folder(path)

    def subscribe(self, path: str, on: bool) -> None:
        with self.server.lock:
            self.server.folder(path).subscribed = on

    def renumber(self, path: str) -> None:
        self.server.reset_uid_validity(path)

    def append(self, path: str, one: Letter, flags: Iterable[str]) -> None:
        self.server.append(path, one.octets, flags=flags, internal_date=one.arrived)

    def flag(self, path: str, uids: list[int], add: frozenset[str], remove: frozenset[str]) -> None:
        for message in self.server.messages(path):
            if message.uid in uids:
                self.server.set_flags(path, message.uid, (message.flags | add) - remove)

    def transfer(self, path: str, uids: list[int], target: str, *, move: bool) -> None:
        with self.server.lock:
            for message in self.server.messages(path):
                if message.uid in uids:
                    self.server.folder(target).add(
                        message.octets,
                        flags=message.flags,
                        internal_date=message.internal_date,
                        size=message.size,
                        uid=None,
                        email_id=message.email_id,
                    )
            if move:
                self.server.expunge(path, *uids)

    def remove(self, path: str, uids: list[int]) -> None:
        self.server.expunge(path, *uids)

    def seen(self) -> Seen:
        with self.server.lock:
            folders = [self.server.folder(path) for path in self.server.paths]
            return {
                folder.name: FolderSeen(
                    path=folder.path.names,
                    selectable=folder.selectable,
                    epoch=folder.uid_validity if folder.selectable else None,
                    messages={
                        int(uid): MessageSeen(
                            flags=frozenset(flag.encode() for flag in message.flags),
                            arrived="" if message.internal_date is None else message.internal_date.isoformat(),
                            size=message.size,
                            octets=digest(message.octets),
                        )
                        for uid, message in folder.messages.items()
                    },
                )
                for folder in folders
            }

    def subscribed(self) -> frozenset[str]:
        with self.server.lock:
            return frozenset(str(path) for path in self.server.paths if self.server.folder(path).subscribed)

    def become(self, told: Mapping[str, Any]) -> None:
        for word, value in told.items():
            match word:
                case "room":  # octets that still go in
                    self.server.quota_octets = self.server.octets() + value
                case "message_octets_max":
                    self.server.message_octets_max = value
                case "read_only" | "keeps":
                    for path, what in value.items():
                        with self.server.lock:
                            folder = self.server.folder(path)
                            if word == "read_only":
                                folder.read_only = what
                            else:
                                folder.permanent_flags = None if what == ["*"] else frozenset(what)
                case "tells_places" | "object_ids":
                    setattr(self.server, word, value)
                case _:
                    raise KeyError(word)

    def close(self) -> None:
        """It has nothing to close."""


class DovecotFar:
    """A user of a running Dovecot."""

    def __init__(self, user: DovecotAccount) -> None:
        self._separator = user.server.separator
        self.user = user
        self.account = account_at(user.port, user.user, user.password)
        self._client: PlainClient = user.client()

    def create(self, path: str) -> None:
        self._client.create(self._name(path))

    def rename(self, old: str, new: str) -> None:
        self._client.rename(self._name(old), self._name(new))

    def delete(self, path: str) -> None:
        self._client.delete(self._name(path))

    def subscribe(self, path: str, on: bool) -> None:
        name = f'"{self._name(path)}"'
        status, _ = (self._client.connection.subscribe if on else self._client.connection.unsubscribe)(name)
        assert status == "OK"

    def renumber(self, path: str) -> None:
        """Exchange the folder for a new one with the same mail: other UIDVALIDITY, UIDs from 1."""
        old, new = self._name(path), self._name("Renumbered")
        self._client.create(new)
        self._client.copy(old, "1:*", new)
        self._client.connection.close()
        self._client.delete(old)
        self._client.rename(new, old)

    def append(self, path: str, one: Letter, flags: Iterable[str]) -> None:
        self._client.append(self._name(path), one.octets, flags, f"{one.arrived:%d-%b-%Y %H:%M:%S} +0000")

    def flag(self, path: str, uids: list[int], add: frozenset[str], remove: frozenset[str]) -> None:
        for action, flags in (("+FLAGS", add), ("-FLAGS", remove)):
            if flags:
                self._client.store(self._name(path), _set(uids), action, sorted(flags))
        self._client.connection.unselect()

    def transfer(self, path: str, uids: list[int], target: str, *, move: bool) -> None:
        self._client.copy(self._name(path), _set(uids), self._name(target))
        if move:
            self.remove(path, uids)

    def remove(self, path: str, uids: list[int]) -> None:
        """Remove them by UID EXPUNGE: others may be marked."""
        self._client.store(self._name(path), _set(uids), "+FLAGS", ["\\Deleted"])
        status, _ = self._client.connection.uid("EXPUNGE", _set(uids))
        assert status == "OK"
        self._client.connection.unselect()

    def seen(self) -> Seen:
        return server_snapshot(self._client, self._separator)

    def subscribed(self) -> frozenset[str]:
        _, rows = self._client.connection.lsub('""', '"*"')
        return frozenset(row.rpartition(b" ")[2].strip(b'"').decode() for row in rows if isinstance(row, bytes))

    def become(self, told: Mapping[str, Any]) -> None:
        if told:
            raise KeyError(next(iter(told)))

    def close(self) -> None:
        self._client.close()

    def _name(self, path: str) -> str:
        return self._separator.join(FolderPath.parse(path).names)


def _set(uids: list[int]) -> str:
    return ",".join(map(str, sorted(uids)))


def labels_by_digest(labels: Iterable[str]) -> dict[str, str]:
    """Return which label has which octets."""
    return {digest(letter(label).octets): label for label in labels}
