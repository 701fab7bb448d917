"""One row of the two catalogues as a whole synchronization: what the server does, and what must come of it.

Room: tests/scenarios. A row names its numbers (``E13 H56``: E of the edge cases, H of the hostile servers) and its
outcome in the catalogue's letters, which are checked and not only said:

    K  it goes on: one connection, no folder fails
    R  the connection is given up and another one made (or, where that never helps, the account is told as away)
    F  this folder fails, each other one succeeds; with R: after the third connection that broke in it
    Q  a message is on the gap list or in quarantine; with R: it broke two connections
    A  the account fails before anything is read, and nobody knocks again and again
    L  a cap is told

N, never delete on this, holds for every row: whatever was here before, and is still on the honest server, stays with
its key and its octets. In the end the server becomes honest, eight days pass, and the store has to equal it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from provider import (
    Account,
    ErrorKind,
    ItemStatus,
    MailStoreProvider,
    Severity,
    SyncRequest,
    SyncResult,
)
from provider.limits import Limits
from provider.testing import ManualClock, RecordingCallback
from store import BodyState, MailStore

from ..servers.fake_answer import Answer, Bend, Then
from ..servers.fakeimap import FULL, FakeImap
from ..servers.plain_client import PlainClient
from .rig import HANG_SECONDS, NO_TROUBLE, account_at, checked_store, server_snapshot, store_snapshot

__all__ = [
    "BODIES",
    "FOLDER",
    "QUICK",
    "Edge",
    "Scene",
    "add",
    "bend",
    "closes",
    "drop",
    "ends",
    "falls_silent",
    "fetch",
    "honest",
    "letter",
    "opening",
    "says",
    "swap",
]

FOLDER = "Lists"
"""Where the server misbehaves, when it does so in one folder."""
BODIES = b"BODY.PEEK[])"
"""Stands in a command that asks for whole messages."""
MAIL = {"INBOX": 6, FOLDER: 12, "Sent": 4}
QUICK = Limits(reconnect_seconds=0.001)
PATIENT = 8 * 86_400.0
"""Longer than the longest delay of a retry, and than the time between two proofs."""


def letter(number: int, folder: str = FOLDER, octets: int = 300) -> bytes:
    """A message of its own, with a Message-ID and a body of about so many octets."""
    head = f"Subject: {folder} {number}\r\nMessage-ID: <{number}.{folder}@x.example>\r\nFrom: a@x.example\r\n\r\n"
    return head.encode() + b"line\r\n" * (octets // 6)


@dataclass(slots=True)
class Scene:
    """A server with three folders, an account on it, a store, and a clock that a row may turn."""

    fake: FakeImap
    store: MailStore
    account: Account
    clock: ManualClock = field(default_factory=ManualClock)
    lies: list[int] = field(default_factory=list)
    """How many answers each lie has changed."""

    def lie(
        self, name: str, hook: Bend, *, asks: bytes = b"", folder: str | None = FOLDER, times: int | None = None
    ) -> None:
        """Bend the answers to command *name* in *folder* (None: any), where *asks* is in it, the first *times*."""
        at = len(self.lies)
        self.lies.append(0)

        def conditional(answer: Answer) -> None:
            here = folder is None or answer.folder == folder.encode()
            if not here or asks not in answer.command.raw or (times is not None and self.lies[at] >= times):
                return
            before = answer.octets()
            hook(answer)
            self.lies[at] += answer.octets() != before

        self.fake.faults.on(name, conditional)

    def run(self, request: SyncRequest | None = None) -> tuple[SyncResult, RecordingCallback]:
        """Synchronize once; its log obeys the grammar, and the store its invariants."""
        host = RecordingCallback()
        with MailStoreProvider(self.store, [self.account], clock=self.clock) as provider:
            handle = provider.SynchronizeInBackground(replace(request or SyncRequest(), callback=host))
            result = handle.wait(HANG_SECONDS)
            assert host.wait_done(HANG_SECONDS)
        host.grammar()
        assert self.store.check().problems == ()
        return result, host

    def stir(self) -> None:
        """Let something happen in the folder, so that it has to be visited: one message comes, another is read."""
        lists = self.fake.folder(FOLDER)
        self.fake.append(FOLDER, letter(lists.uid_next))
        self.fake.set_flags(FOLDER, min(lists.messages), ["\\Seen", "\\Flagged"])

    def here(self) -> dict[tuple[bytes, int], tuple[int, BodyState]]:
        """Return our id and what is here, by wire name and UID."""
        found = {}
        with self.store.read() as view:
            for folder in view.folders():
                before = None
                while True:
                    page = view.messages(folder.id, limit=500, before=before)
                    found |= {(folder.name, int(m.uid)): (int(m.key), m.body) for m in page.messages}
                    if (before := page.next) is None:
                        break
        return found

    def equals_server(self) -> None:
        """Compare with what stdlib imaplib reads."""
        fake = self.fake
        delimiter = (fake.mailbox.delimiter or b"\0").decode()
        with PlainClient.login(host=fake.host, port=fake.port, user=fake.user, password=fake.password) as client:
            assert store_snapshot(self.store, self.account.id) == server_snapshot(client, delimiter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One row. *lie* switches on what the server does; *met* says whether the account was synchronized before that."""

    row: str
    title: str
    outcome: str
    lie: Callable[[Scene], None]
    kinds: Collection[ErrorKind] = ()
    """Exactly the kinds of all errors and warnings told."""
    met: bool = True
    stirred: bool = True
    by_delta: bool = False
    """The lie is told in a delta, or in what is asked because of one: played with deltas whatever else is off."""
    folder: str = FOLDER
    """Which one fails where the outcome says F."""
    capabilities: Collection[str] = FULL
    delimiter: bytes | None = b"/"
    limits: Limits = QUICK
    also: Callable[[Scene], None] | None = None
    """What else has to be true when the row was played."""
    heal: Callable[[Scene], None] | None = None
    """How the server becomes honest beyond dropping its faults."""
    heals: bool = True
    """False: what was told wrongly once cannot be found again by looking (``also`` says what is kept)."""
    healing: SyncRequest = SyncRequest()

    def __str__(self) -> str:
        return f"{self.row} {self.title}"

    def play(self, home: Path) -> None:
        """Play the row in *home*."""
        with (
            FakeImap(capabilities=self.capabilities, delimiter=self.delimiter) as fake,
            checked_store(home / "mail.db") as store,
        ):
            for folder, count in MAIL.items():
                if folder != "INBOX":
                    fake.add_folder(folder)
                for number in range(1, count + 1):
                    fake.append(folder, letter(number, folder), ["\\Seen"] if number % 2 else [])
            account = account_at(fake.port, fake.user, fake.password, limits=self.limits)
            if self.by_delta:
                account = replace(account, shortcuts=replace(account.shortcuts, deltas=True))
            scene = Scene(fake, store, account)
            if self.met:
                result, host = scene.run()
                assert result.ok and host.errors == ()
                if self.stirred:
                    scene.stir()
            before = self._on_both_sides(scene)
            fake.commands.clear()
            self.lie(scene)
            knocks = fake.connections
            result, host = scene.run()
            assert 0 not in scene.lies, "a lie of this row was never told: it proves nothing"
            self._judge(scene, result, host, fake.connections - knocks)
            self._nothing_lost(scene, before)
            if self.also is not None:
                self.also(scene)
            self._become_honest(scene)
            self._nothing_lost(scene, before)

    def _judge(self, scene: Scene, result: SyncResult, host: RecordingCallback, knocks: int) -> None:
        heard = [error for error in host.errors if error.kind not in NO_TROUBLE]
        told = [(error.kind.value, error.text, error.server_text) for error in heard]
        assert {error.kind for error in heard} == set(self.kinds), told
        status = {item.folder: item.status for item in result.items}
        folders = {folder: ended for folder, ended in status.items() if folder is not None}
        failed = {folder for folder, ended in folders.items() if ended is not ItemStatus.SUCCEEDED}
        away = status[None] in (ItemStatus.FAILED, ItemStatus.DISCONNECTED)
        if "A" in self.outcome:
            assert status[None] is ItemStatus.FAILED and not folders, status
            assert knocks <= 2, "knocked again and again"
            return
        if "R" in self.outcome:
            usual = {"FR": {4, 5}, "FRQ": {5, 6}, "RQ": {3}}.get(self.outcome.strip("L"), {2})
            assert knocks in ({1, 3} if away else usual), (knocks, status)
        else:
            assert knocks == 1, f"{knocks} connections: {told}"
        if "F" in self.outcome:
            assert failed == {self.folder}, (status, told)
        elif not away:
            assert not failed and result.ok, (status, told)
        if "Q" in self.outcome:
            with scene.store.read() as view:
                assert view.troubles(), "nothing is on the gap list"
        if "L" in self.outcome:
            assert ErrorKind.LIMIT in self.kinds

    def _on_both_sides(self, scene: Scene) -> list[tuple[int, BodyState, bytes]]:
        """Return key, state and the server's octets of each message that is here, and there."""
        with scene.fake.lock:
            octets = _octets_there(scene.fake)
        return [(key, body, octets[place]) for place, (key, body) in scene.here().items() if place in octets]

    def _nothing_lost(self, scene: Scene, before: list[tuple[int, BodyState, bytes]]) -> None:
        """Each message that was here, and is there, is here with its key and its body."""
        after = dict(scene.here().values())
        with scene.fake.lock:
            there = set(_octets_there(scene.fake).values())
        lost = [key for key, body, octets in before if octets in there and after.get(key) is not body]
        assert not lost, f"{len(lost)} of {len(before)} messages were lost"

    def _become_honest(self, scene: Scene) -> None:
        scene.fake.faults.clear()
        scene.fake.greeting = None
        if self.heal is not None:
            self.heal(scene)
        scene.clock.advance(PATIENT)
        result, host = scene.run(self.healing)
        assert result.ok, [(error.kind, error.text) for error in host.errors]
        assert [error.text for error in host.errors if error.severity is Severity.ERROR] == []
        if self.heals:
            scene.equals_server()


def _octets_there(fake: FakeImap) -> dict[tuple[bytes, int], bytes]:
    folders = [folder for folder in fake.mailbox.folders.values() if folder.selectable]
    return {(f.wire_name, uid): message.octets for f in folders for uid, message in f.messages.items()}


def bend(
    name: str, hook: Bend, *, asks: bytes = b"", folder: str | None = FOLDER, times: int | None = None
) -> Callable[[Scene], None]:
    """Return one lie for the server to tell; see ``Scene.lie``."""
    return lambda scene: scene.lie(name, hook, asks=asks, folder=folder, times=times)


def opening(hook: Bend, folder: str = FOLDER) -> Callable[[Scene], None]:
    """Return a lie told when *folder* is opened."""
    return bend("EXAMINE", hook, asks=folder.encode(), folder=None)


def fetch(hook: Bend, asks: bytes = b"FETCH", times: int | None = None) -> Callable[[Scene], None]:
    """Return a lie told in answer to a FETCH of *asks*."""
    return bend("UID FETCH", hook, asks=asks, times=times)


def says(octets: bytes) -> Bend:
    """Answer with exactly these octets; ``<T>`` is the tag."""

    def hook(answer: Answer) -> None:
        answer.raw = octets.replace(b"<T>", answer.command.tag)

    return hook


def ends(completion: bytes) -> Bend:
    """Answer without a row, by this completion."""

    def hook(answer: Answer) -> None:
        answer.rows.clear()
        answer.completion = completion

    return hook


def swap(pattern: bytes, instead: bytes | Callable[[re.Match[bytes]], bytes], *, count: int = 0) -> Bend:
    """In each row (its literals included) put *instead* where *pattern* matches."""

    def hook(answer: Answer) -> None:
        answer.rows[:] = [re.sub(pattern, instead, row, count=count, flags=re.DOTALL) for row in answer.rows]

    return hook


def drop(word: bytes) -> Bend:
    """Leave out the rows that hold *word*."""

    def hook(answer: Answer) -> None:
        answer.rows[:] = [row for row in answer.rows if word not in row]

    return hook


def add(*rows: bytes) -> Bend:
    """Say these rows, too, behind the others."""

    def hook(answer: Answer) -> None:
        answer.rows += rows

    return hook


def closes(answer: Answer) -> None:
    """End the connection instead of answering."""
    answer.raw, answer.then = b"", Then.CLOSE


def falls_silent(answer: Answer) -> None:
    """Never answer, and keep the connection."""
    answer.raw, answer.then = b"", Then.SILENCE


def honest(scene: Scene) -> None:
    """The lie did no harm: the store equals the server although it was told."""
    scene.fake.faults.clear()
    scene.equals_server()
