"""A whole synchronization as a scenario plays it, and two readings to compare: the store's and the server's.

Room: tests/scenarios. Rules: every run goes through the real `MailStoreProvider`; its event log is checked by the
grammar here, and the store by `checked_store`, so that no scenario can forget either. The judge of the truth is
`tests.servers.plain_client` (stdlib imaplib); nothing of ours reads the server for the comparison.
"""

from __future__ import annotations

import hashlib
import re
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from provider import (
    Account,
    CancelRequest,
    ErrorKind,
    MailStoreProvider,
    Password,
    Security,
    SyncProgress,
    SyncRequest,
    SyncResult,
)
from provider.testing import RecordingCallback
from store import BodyState, Folder, MailStore, Message, open_store
from store.mail import AccountId, MessageKey

from ..servers import mutf7
from ..servers.plain_client import MessageSnapshot, PlainClient
from ..servers.relay import Relay, Way

__all__ = [
    "HANG_SECONDS",
    "ME",
    "NO_TROUBLE",
    "FolderSeen",
    "MessageSeen",
    "WireTap",
    "account_at",
    "bodies_asked",
    "bodies_got",
    "checked_store",
    "fetch",
    "folder_of",
    "folders_opened",
    "keys_of",
    "mail_of",
    "rows_outside_runs",
    "run_to_the_end",
    "server_snapshot",
    "store_snapshot",
    "synchronize",
]

HANG_SECONDS = 60.0
ME = AccountId("me")
PAGE_MESSAGES = 500


def account_at(port: int, user: str, password: str, **changes: object) -> Account:
    """An account on the loopback, without TLS: a relay reads along, and TLS has its tests elsewhere."""
    values: dict[str, object] = {
        "id": ME,
        "host": "127.0.0.1",
        "port": port,
        "user": user,
        "security": Security.NONE,
        "credentials": Password(password),
    }
    return Account(**(values | changes))  # type: ignore[arg-type]


@contextmanager
def checked_store(path: Path) -> Iterator[MailStore]:
    """A store that is checked to its last octet at the end, whatever the scenario did with it."""
    with open_store(path) as store:
        yield store
        report = store.check(full=True)
        assert report.problems == ()
        with store.read() as view:
            assert [run.status for run in view.runs() if run.finished_at is None] == [], "a run was left open"


# -- running ------------------------------------------------------------------------------------------


def run_to_the_end(
    store: MailStore,
    account: Account,
    request: SyncRequest | None = None,
    *,
    answer: Callable[[SyncProgress], CancelRequest | None] | None = None,
    keys: tuple[MessageKey, ...] = (),
) -> tuple[SyncResult, RecordingCallback]:
    """Play one request, or a fetch of *keys*, and return its result and its checked log. *answer* may cancel."""
    request = request or SyncRequest()
    host = RecordingCallback(answer)
    with MailStoreProvider(store, [account]) as provider:
        if keys:
            handle = provider.fetch(keys, callback=host)
        else:
            handle = provider.SynchronizeInBackground(replace(request, callback=host))
        result = handle.wait(HANG_SECONDS)
        assert host.wait_done(HANG_SECONDS)
    host.grammar()
    assert host.result == result
    assert store.check().problems == ()
    return result, host


NO_TROUBLE = frozenset({ErrorKind.FULL_RUN, ErrorKind.CRITERIA_CHANGED})
"""What is told so that the history can say it, and asks nothing of anybody."""


def synchronize(
    store: MailStore, account: Account, request: SyncRequest | None = None
) -> tuple[SyncResult, RecordingCallback]:
    """Synchronize, and insist that all went well: nothing told but why a run was full, or wanted something else."""
    result, host = run_to_the_end(store, account, request)
    troubles = [error.text for error in host.errors if error.kind not in NO_TROUBLE]
    assert troubles == []
    assert result.ok, result
    return result, host


def fetch(store: MailStore, account: Account, *keys: MessageKey) -> tuple[SyncResult, RecordingCallback]:
    """Bring single messages whole."""
    return run_to_the_end(store, account, keys=keys)


def bodies_got(result: SyncResult) -> int:
    """Return how many messages are whole by this run: their octets came, or were here in another message."""
    return result.downloaded.bodies + result.downloaded.reused


# -- two readings -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSeen:
    """One message as either side tells it. *arrived* is ISO 8601 with the offset, which equal instants may not share.

    *octets* is the sha256 of the raw octets, or "" where only a header is here.
    """

    flags: frozenset[bytes]
    arrived: str
    size: int | None
    octets: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSeen:
    """One folder as either side tells it; *epoch* and *messages* are empty where it cannot be opened."""

    path: tuple[str, ...]
    selectable: bool
    epoch: int | None
    messages: dict[int, MessageSeen]


def server_snapshot(client: PlainClient, delimiter: str) -> dict[bytes, FolderSeen]:
    """Read the whole account with stdlib imaplib, by wire name."""
    folders = client.snapshot()
    return {
        name: FolderSeen(
            path=tuple(mutf7.decode(name).split(delimiter)),
            selectable=name in folders,
            epoch=folders[name].uid_validity if name in folders else None,
            messages={uid: _seen(one) for uid, one in folders[name].messages.items()} if name in folders else {},
        )
        for name in client.folders()
    }


def _seen(one: MessageSnapshot) -> MessageSeen:
    arrived = datetime.strptime(one.internal_date.strip(), "%d-%b-%Y %H:%M:%S %z").isoformat()
    return MessageSeen(flags=one.flags, arrived=arrived, size=one.size, octets=one.sha256)


def store_snapshot(store: MailStore, account: AccountId = ME) -> dict[bytes, FolderSeen]:
    """Read the whole account with the public reading API of the store, by wire name."""
    taken: dict[bytes, FolderSeen] = {}
    with store.read() as view:
        folders = view.folders(account)
    for folder in folders:
        assert folder.name not in taken, f"two folders are called {folder.name!r}"
        with store.read() as view:
            epoch = view.cursor(folder.id).epoch
        taken[folder.name] = FolderSeen(
            path=folder.path.names,
            selectable=folder.selectable,
            epoch=epoch,
            messages={int(message.uid): _kept(store, message) for message in _messages(store, folder)},
        )
        assert len(taken[folder.name].messages) == folder.counts.messages
    return taken


def _messages(store: MailStore, folder: Folder) -> Iterator[Message]:
    before = None
    while True:
        with store.read() as view:
            page = view.messages(folder.id, limit=PAGE_MESSAGES, before=before)
        yield from page.messages
        if (before := page.next) is None:
            return


def _kept(store: MailStore, message: Message) -> MessageSeen:
    assert message.internal_date is not None
    digest = ""
    if message.body is BodyState.FULL:
        running = hashlib.sha256()
        with store.read() as view:
            for piece in view.open_raw(message.key):
                running.update(piece)
        digest = running.hexdigest()
    return MessageSeen(
        flags=frozenset(flag.encode() for flag in message.flags),
        arrived=message.internal_date.isoformat(),
        size=message.size,
        octets=digest,
    )


def folder_of(store: MailStore, path: str, account: AccountId = ME) -> Folder:
    """Return the folder with this path for people."""
    with store.read() as view:
        return next(folder for folder in view.folders(account) if str(folder.path) == path)


def mail_of(store: MailStore, path: str, account: AccountId = ME) -> list[Message]:
    """Return every message of one folder, by UID."""
    return sorted(_messages(store, folder_of(store, path, account)), key=lambda message: message.uid)


def keys_of(store: MailStore, path: str, account: AccountId = ME) -> list[int]:
    """Return our own ids of every message of one folder, by UID."""
    return [int(message.key) for message in mail_of(store, path, account)]


def rows_outside_runs(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Dump every row of every table of the store's file, but for how runs went and the cursors' time of the last look.

    How they went: `runs`, and `eventlog` and `alerts`, where a run that meets nothing any more clears what was told.
    """
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        dump: dict[str, list[tuple[object, ...]]] = {}
        for table in sorted(set(tables) - {"runs", "eventlog", "alerts"}):
            told = connection.execute(f'SELECT rowid AS "row", * FROM "{table}" ORDER BY rowid')  # noqa: S608
            columns = [column[0] for column in told.description]
            rows = [dict(zip(columns, row, strict=True)) for row in told]
            if table == "cursors":
                rows = [{name: value for name, value in row.items() if name != "checked_at"} for row in rows]
            if table == "sqlite_sequence":  # SQLite's own: the last id of each table, that of runs included
                rows = [row for row in rows if row["name"] not in ("runs", "eventlog", "alerts")]
            dump[table] = [tuple(row.values()) for row in rows]
        return dump


# -- what went over the wire ---------------------------------------------------------------------------


class WireTap(Relay):
    """A relay that also keeps what the client said. Only for connections without TLS."""

    def __init__(self, target_port: int, **faults: object) -> None:
        super().__init__(target_port, **faults)  # type: ignore[arg-type]
        self.client_octets = bytearray()

    def _deliver(self, octets: bytes, source: socket.socket, sink: socket.socket, way: Way) -> bool:
        if way is Way.UP:
            self.client_octets += octets
        return super()._deliver(octets, source, sink, way)

    def forget(self) -> None:
        """Begin to count and to keep anew; only between connections."""
        self.reset_counts()
        self.client_octets.clear()

    def commands(self) -> list[bytes]:
        """Return the command lines so far, tags cut off."""
        lines = bytes(self.client_octets).split(b"\r\n")[:-1]
        return [line.partition(b" ")[2] for line in lines]


def folders_opened(commands: list[bytes]) -> set[bytes]:
    """Return the wire names of the folders that were opened."""
    return {folder for command in commands if (folder := _opened(command))}


def _opened(command: bytes) -> bytes | None:
    opened = re.match(rb'(?:EXAMINE|SELECT) (?:"((?:[^"\\]|\\.)*)"|([^ ]+))', command)
    if opened is None:
        return None
    return re.sub(rb"\\(.)", rb"\1", opened[1]) if opened[1] is not None else opened[2]


def bodies_asked(commands: list[bytes]) -> dict[bytes, set[int]]:
    """Return, by wire name of the folder, the UIDs whose octets behind the header block were asked for."""
    asked: dict[bytes, set[int]] = {}
    folder = b""
    for command in commands:
        folder = _opened(command) or folder
        if fetch := re.match(rb"UID FETCH (\S+) .*BODY\.PEEK\[\]", command):
            for part in fetch[1].split(b","):
                first, _, last = part.partition(b":")
                asked.setdefault(folder, set()).update(range(int(first), int(last or first) + 1))
    return asked
