"""The judge of every crash test: is the store equal to the server, and did nothing come down twice.

Room: tests/crash. What the server holds is read from the fake's own memory, what the store holds through its public
reading API; differences are sentences, so that a failure says what was lost.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from store import BodyState, MailStore

from ..scenarios.rig import ME, FolderSeen, MessageSeen, store_snapshot
from ..servers import mutf7
from ..servers.fake_answer import Answer
from ..servers.fake_model import FakeMessage
from ..servers.fakeimap import FakeImap

__all__ = ["Ledger", "bodies_in", "bodies_on", "differences", "on_server", "unlike"]


def on_server(fake: FakeImap) -> dict[bytes, FolderSeen]:
    """Return what the fake holds, by wire name."""
    with fake.lock:
        return {
            name: FolderSeen(
                path=(mutf7.decode(name),),
                selectable=True,
                epoch=folder.uid_validity,
                messages={uid: _seen(message) for uid, message in folder.messages.items()},
            )
            for name, folder in fake.mailbox.folders.items()
        }


def _seen(message: FakeMessage) -> MessageSeen:
    return MessageSeen(
        flags=message.flags,
        arrived=datetime.strptime(message.internal_date, "%d-%b-%Y %H:%M:%S %z").isoformat(),
        size=len(message.octets),
        octets=_digest(message.octets),
    )


def _digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def differences(store: MailStore, server: Mapping[bytes, FolderSeen]) -> list[str]:
    """Return in what *store* differs from *server*, and what is wrong with it by itself; empty: equal."""
    found = [str(problem) for problem in store.check(full=True).problems]
    with store.read() as view:
        folders = view.folders(ME)
    found += [
        f"{folder.path}: {folder.counts.listed - folder.counts.messages} rows without a header"
        for folder in folders
        if folder.counts.listed != folder.counts.messages
    ]
    return found + unlike(store_snapshot(store), server)


def unlike(ours: Mapping[bytes, FolderSeen], theirs: Mapping[bytes, FolderSeen]) -> list[str]:
    """Return in what two readings of an account differ."""
    found = [f"folder {name!r} is lost" for name in theirs.keys() - ours.keys()]
    found += [f"folder {name!r} should not be here" for name in ours.keys() - theirs.keys()]
    for name in theirs.keys() & ours.keys():
        a, b = ours[name], theirs[name]
        if (a.path, a.selectable, a.epoch) != (b.path, b.selectable, b.epoch):
            found.append(f"folder {name!r}: {a.path} {a.epoch}, but the server says {b.path} {b.epoch}")
        found += [f"{name!r}: message {uid} is lost" for uid in b.messages.keys() - a.messages.keys()]
        found += [f"{name!r}: message {uid} is too much" for uid in a.messages.keys() - b.messages.keys()]
        found += [
            f"{name!r}: message {uid} is {a.messages[uid]}, but the server says {b.messages[uid]}"
            for uid in a.messages.keys() & b.messages.keys()
            if a.messages[uid] != b.messages[uid]
        ]
    return sorted(found)


def bodies_on(server: Mapping[bytes, FolderSeen]) -> Counter[str]:
    """Return how many copies of each message the server has, by digest."""
    return Counter(message.octets for folder in server.values() for message in folder.messages.values())


def bodies_in(store: MailStore) -> Counter[str]:
    """Return how many copies of each whole message the store shows, by digest."""
    whole: Counter[str] = Counter()
    with store.read() as view:
        before = None
        while True:
            page = view.all_messages(limit=500, before=before)
            for message in page.messages:
                if message.body is BodyState.FULL:
                    whole[_digest(view.raw(message.key))] += 1
            if (before := page.next) is None:
                return whole


class Ledger:
    """Writes down which bodies the fake has given out, by digest; of one in parts, its first part counts."""

    def __init__(self, fake: FakeImap) -> None:
        self.given: Counter[str] = Counter()
        self.octets_by_digest: dict[str, int] = {}
        self._fake = fake
        fake.faults.on("UID FETCH", self._note)

    def _note(self, answer: Answer) -> None:
        if answer.folder is None:
            return
        messages = self._fake.folder(answer.folder).messages
        for row in answer.rows:
            head = row[: row.index(b"\r\n")] if b"\r\n" in row else row
            if b"BODY[] " in head or b"BODY[]<0> " in head:
                octets = messages[int(head.partition(b"UID ")[2].split(b" ")[0])].octets
                self.given[_digest(octets)] += 1
                self.octets_by_digest[_digest(octets)] = len(octets)

    def take(self) -> Counter[str]:
        """Return what was given out since the last call."""
        with self._fake.lock:
            given, self.given = self.given, Counter()
        return given
