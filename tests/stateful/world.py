"""One account, two maildock clients and a third program: everything that may happen to it, and the final judgement.

Room: tests/stateful. Each verb takes small numbers (which client, which message, which folder), taken modulo what is
there, so that any sequence of calls makes sense: hypothesis draws them, and a history that failed is written down as
calls. A verb that makes no sense at this moment does nothing. Every client has a store, a line of its own that can be
cut or blocked, and a provider for one run at a time. Invariant: the same calls come to the same history.
"""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from provider import Account, Limits, MailStoreProvider, SyncFlags, SyncRequest, SyncResult
from provider.testing import RecordingCallback
from store import Folder, FolderPath, FolderState, MailStore, Message, StoreError, UnknownMessage, open_store
from store.mail.operations import BRINGING, Operation, OperationKind, OperationState

from ..crash.judge import unlike
from ..scenarios.rig import ME, FolderSeen, account_at, server_snapshot, store_snapshot
from ..servers import mutf7
from ..servers.dovecot import DovecotAccount
from ..servers.plain_client import PlainClient
from ..servers.relay import Fault, Relay, Way
from .ledger import Found, Ledger, number_in
from .second_opinion import second_opinion

__all__ = ["FLAGS", "Client", "World"]

FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "work")
NAMES = ("Work", "Work/Old", "Füße", "Attic", "Attic/2023")
ROUNDS_MAX = 6
HANG_SECONDS = 60.0
T = TypeVar("T")


@dataclass(slots=True)
class Client:
    """One maildock on one machine."""

    name: str
    path: Path
    store: MailStore
    relay: Relay
    account: Account
    online: bool = True

    def pending(self) -> tuple[Operation, ...]:
        with self.store.read() as view:
            return view.operations()

    def folders(self) -> list[Folder]:
        """Return what takes mail, by path."""
        states = (FolderState.ACTIVE, FolderState.LOCAL)
        with self.store.read() as view:
            found = [one for one in view.folders() if one.selectable and one.state in states]
        return sorted(found, key=lambda folder: str(folder.path))

    def messages(self) -> list[tuple[int, Folder, Message]]:
        """Return what a person sees here, by number, folder and age."""
        found = []
        for folder in self.folders():
            with self.store.read() as view:
                for message in view.messages(folder.id, limit=500).messages:
                    if "\\Deleted" not in message.flags:
                        found.append((number_in(view.header_block(message.key)), folder, message))
        return sorted(found, key=lambda one: (one[0], str(one[1].path), one[2].key))

    def wanted(self, kinds: Container[OperationKind], state: OperationState | None = None) -> list[int]:
        """Return the numbers of the messages about which something pending of *kinds* is (in *state*)."""
        found = []
        with self.store.read() as view:
            for one in view.operations():
                if one.kind in kinds and one.message is not None and state in (None, one.state):
                    with contextlib.suppress(UnknownMessage):  # deleted here since
                        found.append(number_in(view.header_block(one.message)))
        return found

    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.path)


@dataclass(slots=True)
class World:
    """See above. A context manager; *script* tells what was called so far."""

    server: DovecotAccount
    ledger: Ledger = field(default_factory=Ledger)
    clients: list[Client] = field(default_factory=list)
    script: list[str] = field(default_factory=list)
    _open: ExitStack = field(default_factory=ExitStack)
    _renumbered: int = 4_000_000_000

    def __enter__(self) -> "World":
        directory = Path(self._open.enter_context(TemporaryDirectory(prefix="mdk-history-")))
        with self.server.client() as plain:
            plain.create("Trash", "Work")
        for name in ("left", "right"):
            relay = self._open.enter_context(Relay(self.server.port))
            account = account_at(
                relay.port, self.server.user, self.server.password, limits=Limits(reconnect_seconds=0.01)
            )
            path = directory / f"{name}.db"
            client = Client(name=name, path=path, store=open_store(path), relay=relay, account=account)
            self.clients.append(client)
        self._open.callback(lambda: [client.store.close() for client in self.clients])
        for client in self.clients:
            self._run(client)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def play(self, verb: str, *numbers: int) -> None:
        """Call a verb, and remember it in such a way that it can be written down."""
        self.script.append(f"world.{verb}({', '.join(map(repr, numbers))})")
        getattr(self, verb)(*numbers)
        for client in self.clients:
            self._expect_sound(client)

    # -- what a person does with maildock ---------------------------------------------------------------

    def append_here(self, who: int, where: int, form: int, flag: int) -> None:
        client = self._of(who)
        folder = _pick(client.folders(), where)
        if folder is None:
            return
        number, octets = self.ledger.new_mail(form)
        flags = _flags(flag)
        for one in flags:
            self.ledger.marked(number, one, True)
        with client.store.edit("append") as edit:
            edit.append(folder.id, octets, flags=flags)

    def mark_here(self, who: int, which: int, flag: int, on: bool) -> None:
        client, word = self._of(who), FLAGS[flag % len(FLAGS)]
        chosen = _pick(client.messages(), which)
        if chosen is None or (word in chosen[2].flags) is on:
            return
        self.ledger.marked(chosen[0], word, on)
        with client.store.edit("flags") as edit:
            edit.set_flags([chosen[2].key], add=[word] if on else [], remove=[] if on else [word])

    def move_here(self, who: int, which: int, where: int) -> None:
        client = self._of(who)
        chosen, folder = _pick(client.messages(), which), _pick(client.folders(), where)
        if chosen is None or folder is None:
            return
        with client.store.edit("move") as edit:
            edit.move([chosen[2].key], folder.id)

    def copy_here(self, who: int, which: int, where: int) -> None:
        client = self._of(who)
        chosen, folder = _pick(client.messages(), which), _pick(client.folders(), where)
        if chosen is None or folder is None:
            return
        with contextlib.suppress(StoreError), client.store.edit("copy") as edit:
            edit.copy([chosen[2].key], folder.id)
            self.ledger.copied(chosen[0])
            if chosen[2].octets is None:  # nothing to make it from where its origin is gone, or elsewhere, by then
                self.ledger.dropped([chosen[0]])

    def delete_here(self, who: int, which: int, for_good: bool) -> None:
        client = self._of(who)
        chosen = _pick(client.messages(), which)
        if chosen is None:
            return
        trashed = (
            not for_good
            and str(chosen[1].path) != "Trash"
            and any(str(folder.path) == "Trash" for folder in client.folders())
        )
        if not trashed:
            self.ledger.dropped([chosen[0]])
        with client.store.edit("delete") as edit:
            edit.delete([chosen[2].key], for_good=for_good)

    def create_here(self, who: int, name: int) -> None:
        with contextlib.suppress(StoreError), self._of(who).store.edit("create") as edit:
            edit.create_folder(ME, _path(name))

    def rename_here(self, who: int, where: int, name: int) -> None:
        client = self._of(who)
        folder = _pick(_changeable(client.folders()), where)
        if folder is None:
            return
        with contextlib.suppress(StoreError, ValueError), client.store.edit("rename") as edit:
            edit.rename_folder(folder.id, _path(name))

    def remove_folder_here(self, who: int, where: int) -> None:
        client = self._of(who)
        folder = _pick(_changeable(client.folders()), where)
        if folder is None:
            return
        inside = [number for number, at, _ in client.messages() if at.id == folder.id]
        with contextlib.suppress(StoreError, ValueError), client.store.edit("remove") as edit:
            edit.delete_folder(folder.id)
            self.ledger.dropped(inside)

    # -- what the third program does ----------------------------------------------------------------------

    def append_there(self, where: int, form: int, flag: int) -> None:
        with self.server.client() as plain:
            folder = _pick(_paths(plain), where)
            if folder is None:
                return
            number, octets = self.ledger.new_mail(form)
            flags = _flags(flag)
            for one in flags:
                self.ledger.marked(number, one, True)
            plain.append(folder, octets, flags)

    def mark_there(self, which: int, flag: int, on: bool) -> None:
        with self.server.client() as plain:
            chosen, word = _pick(self._seen(plain), which), FLAGS[flag % len(FLAGS)]
            if chosen is not None:
                self.ledger.marked(chosen.number, word, on)
                plain.store(chosen.folder, str(chosen.uid), "+FLAGS" if on else "-FLAGS", [word])

    def move_there(self, which: int, where: int) -> None:
        with self.server.client() as plain:
            chosen, target = _pick(self._seen(plain), which), _pick(_paths(plain), where)
            if chosen is not None and target is not None and target != chosen.folder:
                plain.move(chosen.folder, str(chosen.uid), target)
                if chosen.number in self._in_doubt():
                    self.ledger.moved_in_doubt(chosen.number)

    def copy_there(self, which: int, where: int) -> None:
        with self.server.client() as plain:
            chosen, target = _pick(self._seen(plain), which), _pick(_paths(plain), where)
            if chosen is not None and target is not None:
                plain.copy(chosen.folder, str(chosen.uid), target)
                self.ledger.copied(chosen.number)
                self.ledger.dropped({chosen.number} & set(self._in_doubt()))  # it may be taken for the one in doubt

    def delete_there(self, which: int) -> None:
        with self.server.client() as plain:
            chosen = _pick(self._seen(plain), which)
            if chosen is not None:
                self.ledger.dropped([chosen.number])
                plain.expunge(chosen.folder, str(chosen.uid))

    def create_there(self, name: int) -> None:
        with self.server.client() as plain:
            if (path := str(_path(name))) not in _paths(plain):
                plain.create(path)

    def rename_there(self, where: int, name: int) -> None:
        with self.server.client() as plain:
            paths, new = _paths(plain), str(_path(name))
            old = _pick([path for path in paths if path not in ("INBOX", "Trash")], where)
            if old is not None and new not in paths and not new.startswith(old + "/"):
                doubt = set(self._in_doubt())
                for one in self.everything(plain):
                    if one.folder == old and one.number in doubt:  # it is not where it is looked for
                        self.ledger.moved_in_doubt(one.number)
                with contextlib.suppress(AssertionError):  # a name above that is no folder
                    plain.rename(old, new)

    def remove_folder_there(self, where: int) -> None:
        with self.server.client() as plain:
            paths = _paths(plain)
            path = _pick([path for path in paths if path not in ("INBOX", "Trash")], where)
            if path is not None and not any(other.startswith(path + "/") for other in paths):
                self.ledger.dropped(one.number for one in self.everything(plain) if one.folder == path)
                plain.delete(path)

    # -- what befalls the server --------------------------------------------------------------------------

    def renumber(self, where: int) -> None:
        """A folder gets another UIDVALIDITY, as after a restored backup."""
        with self.server.client() as plain:
            path = _pick(_paths(plain), where)
        if path is not None:
            self._forgotten(path)
            self._renumbered += 1
            self.server.renumber(path, self._renumbered)

    def _forgotten(self, path: str) -> None:
        """Numbers are not good any more: an older message may be taken for the one in doubt, and of several equal ones,
        or without a name of its own, nobody knows which one was to leave."""
        doubt = self._in_doubt()
        self.ledger.dropped(doubt)
        with self.server.client() as plain:
            inside = Counter(one.number for one in self.everything(plain) if one.folder == path)
        for number in doubt:
            if inside[number] > 1 or (inside[number] and not self.ledger.named(number)):
                self.ledger.may_be_doubled[number] += 1

    def rebuild(self, where: int) -> None:
        """A folder is made anew: the same mail, in another order, under other numbers."""
        with self.server.client() as plain:
            path = _pick([path for path in _paths(plain) if path not in ("INBOX", "Trash")], where)
            if path is None or any(other.startswith(path + "/") for other in _paths(plain)):
                return
            self._forgotten(path)
            plain.create("Rebuilt")
            plain.select(path)
            for uid in reversed(plain.uids()):
                plain.copy(path, str(uid), "Rebuilt")
            plain.connection.close()
            plain.delete(path)
            plain.rename("Rebuilt", path)

    # -- synchronizing ----------------------------------------------------------------------------------

    def offline(self, who: int, now: bool) -> None:
        """The line is there, or is not: what is changed meanwhile piles up."""
        self._of(who).online = not now

    def sync(self, who: int) -> None:
        self._synchronize(self._of(who))

    def look(self, who: int) -> None:
        """Bring what is new, and send nothing."""
        client = self._of(who)
        if client.online:
            self._run(client, SyncFlags.SYNC_DOWNLOAD_HIERARCHY | SyncFlags.SYNC_DOWNLOAD_CONTENTS)

    def sync_cut(self, who: int, at: int, up: bool, reset: bool) -> None:
        """The line breaks in the middle; the run finds another one."""
        client = self._of(who)
        if client.online:
            client.relay.arm(Fault.RESET if reset else Fault.CUT, way=Way.UP if up else Way.DOWN, at=at)
            self._synchronize(client, broken=True)
            client.relay.arm(Fault.CUT, at=1 << 60)

    def sync_killed(self, who: int, at: int, up: bool) -> None:
        """The line falls silent at this octet, the program is ended there, and the store opened anew."""
        client = self._of(who)
        if not client.online:
            return
        self._expect(client)
        self._expect_deception(client, broken=True)
        client.relay.arm(Fault.STALL, way=Way.UP if up else Way.DOWN, at=at)
        provider = MailStoreProvider(client.store, [client.account])
        handle = provider.SynchronizeInBackground(SyncRequest())
        while not client.relay.struck.wait(0.01) and not handle.done:
            pass
        provider.close()
        client.relay.cut()
        client.relay.release()
        client.reopen()
        client.relay.wait_until_ended()
        client.relay.arm(Fault.CUT, at=1 << 60)

    def _synchronize(self, client: Client, *, broken: bool = False) -> SyncResult | None:
        if not client.online:
            return None
        self._expect(client)
        self._expect_deception(client, broken=broken)
        return self._run(client)

    def _run(self, client: Client, flags: SyncFlags = SyncFlags.ALL_DIRECTIONS) -> SyncResult:
        host = RecordingCallback()
        with MailStoreProvider(client.store, [client.account]) as provider:
            result = provider.SynchronizeInBackground(SyncRequest(flags=flags, callback=host)).wait(HANG_SECONDS)
            assert host.wait_done(HANG_SECONDS)
        host.grammar()
        self._expect_sound(client)
        return result

    def _expect_sound(self, client: Client) -> None:
        """At no time is a store anything but whole. Raises AssertionError."""
        problems = client.store.check().problems
        assert not problems, "\n  ".join([client.name, *map(str, problems), "after", *self.script])

    def _in_doubt(self, but: Client | None = None) -> list[int]:
        """Return the numbers of the messages that clients sent, and do not know yet whether they came."""
        others = [client for client in self.clients if client is not but]
        return [number for one in others for number in one.wanted(BRINGING, OperationState.ATTEMPTED)]

    def _expect(self, client: Client) -> None:
        """What is in a folder on the server when it is deleted goes with it, seen or not; and what *client* brings
        elsewhere may be in doubt with the other one.
        """
        doubt = self._in_doubt(but=client)
        for number in client.wanted(BRINGING):
            if number in doubt:
                self.ledger.moved_in_doubt(number)
        going = [one for one in client.pending() if one.kind is OperationKind.DELETE_FOLDER and one.approved]
        with client.store.read() as view:
            called = {one.id: one.name for one in view.folders(hidden=True)}
        names = {called.get(one.folder_id, one.name) for one in going}
        if names:
            with self.server.client() as plain:
                inside = [one.number for one in self.everything(plain) if mutf7.encode(one.folder) in names]
            self.ledger.dropped(inside)

    def _expect_deception(self, client: Client, *, broken: bool) -> None:
        """An equal message that others put where one of ours goes, since that was looked at, is taken for ours when
        there is a doubt (docs/two-way.md, the window of doubt): now, on a *broken* line, or since an earlier one."""
        coming = [one for one in client.pending() if one.kind in BRINGING and one.message is not None]
        doubtful = [one for one in coming if broken or one.state is OperationState.ATTEMPTED]
        if not doubtful:
            return
        with self.server.client() as plain:
            there = self.everything(plain)
        for one in doubtful:
            with client.store.read() as view:
                block = None if one.message is None else view.kept_header(one.message)
                folder = next(
                    (it for it in view.folders(hidden=True) if it.id == (one.target_id or one.folder_id)), None
                )
                if block is None or folder is None:
                    continue
                known = view.cursor(folder.id).uid_next or 1
            number = number_in(block)
            since = min(known, one.uid_next_before or known)
            if any(
                (found.number, mutf7.encode(found.folder)) == (number, folder.name) and found.uid >= since
                for found in there
            ):
                self.ledger.deceived(number)

    # -- the end ------------------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """Both synchronize until nothing is left to do; then all three must agree. Raises AssertionError."""
        faults = ["nothing was compared"]
        for _ in range(ROUNDS_MAX):
            for client in self.clients:
                client.online = True
                self._decide(client)
                self._synchronize(client)
            faults = self._faults()
            if not faults:
                return
        told = "\n  ".join(faults)
        raise AssertionError(f"the three do not agree:\n  {told}\nafter\n  " + "\n  ".join(self.script))

    def _decide(self, client: Client) -> None:
        """Be the person who is asked: what is held may go, what was to be tried later is tried now."""
        waiting = client.pending()
        held = [one.id for one in waiting if one.state is OperationState.HELD]
        later = [one.id for one in waiting if one.state is OperationState.LATER]
        if held or later:
            with client.store.edit("decide") as edit:
                edit.approve(held)
                edit.retry(later)

    def _faults(self) -> list[str]:
        with self.server.client() as plain:
            there = server_snapshot(plain, "/")
            found = self.everything(plain)
        faults = self.ledger.faults(found)
        for client in self.clients:
            waiting = [f"{one.kind.value} of {one.message} is {one.state.value}" for one in client.pending()]
            waiting += [f"message {number} has no place" for number, _, seen in client.messages() if seen.pending]
            told = waiting or _differences(client.store, there)
            faults += [f"{client.name}: {fault}" for fault in told]
        return faults

    def second_opinion(self) -> None:
        """Ask another program of another author. After ``come_to_rest``. Raises AssertionError."""
        faults = second_opinion(self.server, self.clients[0].store, self.clients[0].path.parent / "mbsync")
        assert not faults, "\n  ".join([*faults, "after", *self.script])

    # -- how ----------------------------------------------------------------------------------------------

    def _of(self, who: int) -> Client:
        return self.clients[who % len(self.clients)]

    def everything(self, plain: PlainClient) -> list[Found]:
        """Return what is on the server, by number, folder and UID."""
        digests = self._numbers()
        found = [
            Found(digests[one.sha256], mutf7.decode(name), uid, one)
            for name, folder in plain.snapshot().items()
            for uid, one in folder.messages.items()
        ]
        return sorted(found, key=lambda one: (one.number, one.folder, one.uid))

    def _seen(self, plain: PlainClient) -> list[Found]:
        return [one for one in self.everything(plain) if not one.thrown_away]

    def _numbers(self) -> dict[str, int]:
        return {hashlib.sha256(octets).hexdigest(): number for number, octets in self.ledger.octets.items()}


def _differences(store: MailStore, there: Mapping[bytes, FolderSeen]) -> list[str]:
    """Return in what *store* is not what is *there*, and what is wrong with it by itself."""
    here = store_snapshot(store)
    for name, folder in here.items():
        if not folder.selectable and not folder.messages:
            here[name] = replace(folder, epoch=None)  # what it had once means nothing
    return [str(problem) for problem in store.check(full=True).problems] + unlike(here, there)


def _pick(found: Sequence[T], which: int) -> T | None:
    return found[which % len(found)] if found else None


def _flags(flag: int) -> list[str]:
    """Return one flag, or none."""
    return [FLAGS[flag]] if flag < len(FLAGS) else []


def _path(name: int) -> FolderPath:
    return FolderPath.parse(NAMES[name % len(NAMES)])


def _paths(plain: PlainClient) -> list[str]:
    """Return the selectable folders of the server."""
    return sorted(
        mutf7.decode(name) for name, words in plain.folders().items() if not words & {b"\\noselect", b"\\nonexistent"}
    )


def _changeable(folders: list[Folder]) -> list[Folder]:
    return [folder for folder in folders if str(folder.path) not in ("INBOX", "Trash")]
