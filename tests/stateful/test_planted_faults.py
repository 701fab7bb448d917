"""The checker is checked: faults planted into the product, each of which a short fixed set of histories must notice.

A history is played once as the product is, which tells the state that it must come to; then once more with each fault.
A fault is noticed when the three do not agree at the end, or agree on something else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from provider.engine import changes
from provider.replay import collapse, recover, runner
from provider.sources.imap import source, transferring
from provider.sources.writing import Transfer, Upload
from store import editing, settling
from store.mail import UidSet
from store.mail.operations import OperationKind, net
from store.readview import ReadView
from store.sql import adoption, rows
from store.transaction import WriteTransaction

from ..servers.dovecot import DovecotAccount, Profile
from .world import World

pytestmark = [pytest.mark.servers, pytest.mark.soak]  # tests/twoway plants as many in `make test`
Accounts = Callable[[Profile], DovecotAccount]
History = Callable[[World], None]
Plant = Callable[[pytest.MonkeyPatch], None]


# -- histories ----------------------------------------------------------------------------------------


def _ordinary(world: World) -> None:
    """Everything once, in peace."""
    for number in range(6):
        world.append_there(number % 3, number, number)
    world.sync(0)
    world.sync(1)
    world.mark_here(0, 0, 1, True)
    world.mark_here(0, 1, 1, False)
    world.copy_here(0, 2, 1)
    world.append_here(0, 0, 0, 3)
    world.create_here(0, 3)
    world.move_here(0, 4, 0)
    world.move_here(0, 4, 2)
    world.delete_here(0, 5, True)
    world.delete_here(0, 0, False)
    world.sync(0)
    world.sync(1)
    world.rename_here(1, 1, 2)
    world.mark_there(3, 0, True)
    world.mark_there(1, 3, True)
    world.sync(1)
    world.delete_there(2)
    world.create_here(1, 4)
    world.sync(1)
    world.remove_folder_here(1, 1)
    world.come_to_rest()


def _both_sides(world: World) -> None:
    """The same things changed here and there."""
    for number in range(5):
        world.append_there(number % 3, 0, 5)
    world.sync(0)
    world.mark_here(0, 0, 1, True)
    world.mark_there(0, 3, True)
    world.look(0)
    world.move_here(0, 2, 0)
    world.delete_there(2)
    world.delete_here(0, 1, True)
    world.mark_there(1, 1, True)
    world.come_to_rest()


def _renumbered(world: World) -> None:
    """A folder is made anew, in another order, while something is wanted of one message."""
    for _ in range(3):
        world.append_there(2, 0, 5)
    world.sync(0)
    world.rebuild(0)
    world.mark_here(0, 0, 1, True)
    world.come_to_rest()


def _lost_answer(world: World) -> None:
    """The answer to an APPEND never comes: it has 75 octets, and where it begins depends on the greeting."""
    for at in range(770, 900, 30):
        world.append_here(0, 1, 0, 5)
        world.sync_killed(0, at, False)
        world.sync(0)
    world.come_to_rest()


def _half_a_move(world: World) -> None:
    """A copy is made, and what would remove the source, 69 octets, never comes to the server."""
    for turn, at in enumerate(range(260, 400, 30)):
        world.append_there(0, 0, 5)
        world.sync(0)
        world.move_here(0, turn, 1)
        world.sync_killed(0, at, True)
        world.sync(0)
    world.come_to_rest()


def _others_rubbish(world: World) -> None:
    """Somebody else has marked a message as deleted, and may want it back."""
    for number in range(3):
        world.append_there(0, number, 5)
    world.sync(0)
    with world.server.client() as plain:
        plain.store("INBOX", "1", "+FLAGS", ["\\Deleted"])
    world.delete_here(0, 1, True)
    world.come_to_rest()
    with world.server.client() as plain:
        assert 1 in plain.snapshot_folder("INBOX").messages


ORDINARY: tuple[History, Profile] = (_ordinary, Profile.FULL)
BOTH: tuple[History, Profile] = (_both_sides, Profile.FULL)
RENUMBERED: tuple[History, Profile] = (_renumbered, Profile.FULL)
ANSWER: tuple[History, Profile] = (_lost_answer, Profile.FULL)
HALF: tuple[History, Profile] = (_half_a_move, Profile.NO_MOVE)
RUBBISH: tuple[History, Profile] = (_others_rubbish, Profile.BARE)

State = list[tuple[str, int, frozenset[bytes]]]


def _state(world: World) -> State:
    with world.server.client() as plain:
        seen = [(one.folder, one.number, one.snapshot.flags) for one in world.everything(plain)]
        names = [(name.decode(), 0, attributes & {b"\\noselect"}) for name, attributes in plain.folders().items()]
    return sorted(seen + names, key=repr)


def _played(accounts: Accounts, history: History, profile: Profile) -> State:
    with World(accounts(profile)) as world:
        history(world)
        return _state(world)


# -- faults -------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[tuple[History, Profile], Plant]] = {}


def fault(name: str, seen_by: tuple[History, Profile]) -> Callable[[Plant], Plant]:
    """Keep a fault under its name, with the history that must notice it."""

    def keep(plant: Plant) -> Plant:
        FAULTS[name] = (seen_by, plant)
        return plant

    return keep


@fault("a flag is skipped", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    real = ReadView.wishes
    patch.setattr(ReadView, "wishes", lambda self, account: real(self, account)[1:])


@fault("flags are only added", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    real = runner.Mark
    patch.setattr(runner, "Mark", lambda **about: real(**(about | {"remove": frozenset()})))


@fault("an APPEND is sent twice", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    real = source.ImapSession.append

    def twice(self: source.ImapSession, target: bytes, uploads: tuple[Upload, ...]) -> Iterator[object]:
        for _ in real(self, target, uploads):
            pass
        yield from real(self, target, uploads)

    patch.setattr(source.ImapSession, "append", twice)


@fault("an APPEND loses its flags", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    real = source.ImapSession.append

    def bare(self: source.ImapSession, target: bytes, uploads: tuple[Upload, ...]) -> Iterator[object]:
        told = real(self, target, [replace(one, flags=frozenset()) for one in uploads])
        yield from (replace(one, upload=upload) for one, upload in zip(told, uploads, strict=True))

    patch.setattr(source.ImapSession, "append", bare)


@fault("a row is lost when it arrives", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(settling.adoption, "settle_at", lambda *about: None)


@fault("the cursor is ahead of what was seen", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    real = WriteTransaction.save_cursor

    def ahead(self: WriteTransaction, folder: object, cursor: object) -> bool:
        mod_seq = cursor.mod_seq  # type: ignore[attr-defined]
        later = replace(cursor, mod_seq=None if mod_seq is None else mod_seq + 1)  # type: ignore[type-var]
        return real(self, folder, later)  # type: ignore[arg-type]

    patch.setattr(WriteTransaction, "save_cursor", ahead)


@fault("an attempt is not journaled", ANSWER)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(settling.Settling, "attempt", lambda self, ids, epoch, uid_next: frozenset(ids))


@fault("doubt is not resolved by looking", ANSWER)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recover, "_look", lambda *about: None)


@fault("half a move is taken for a whole one", HALF)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recover, "finish_moves", lambda *about: set())


@fault("a plain EXPUNGE is sent", RUBBISH)
def _(patch: pytest.MonkeyPatch) -> None:
    real = transferring.Removal.of

    def plain(desk: transferring.Desk, uids: UidSet) -> list[transferring.Removal]:
        found = real(desk, uids)
        for one in found:
            one.expunge = transferring.Command((b"EXPUNGE",))
        return found

    patch.setattr(transferring.Removal, "of", plain)


@fault("a move is a copy", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runner, "Transfer", lambda **about: Transfer(**(about | {"move": False})))


@fault("a copy is a move", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runner, "Transfer", lambda **about: Transfer(**(about | {"move": True})))


@fault("mail goes to another folder", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runner, "Transfer", lambda **about: Transfer(**(about | {"target": b"INBOX"})))


@fault("a deletion is done without being sent", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    real = runner.plan_now

    def idle(context: object, deferred: object) -> object:
        plan, known, ready = real(context, deferred)  # type: ignore[arg-type]
        for job in plan.folders:
            plan.idle.extend(job.deletes)
            job.deletes.clear()
        return plan, known, ready

    patch.setattr(runner, "plan_now", idle)


@fault("the first of two moves counts", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    def first(operations: list) -> object:  # type: ignore[type-arg]
        moves = [one for one in operations if one.kind is OperationKind.MOVE]
        wanted = net(operations)
        return replace(wanted, target=moves[0].target_id) if moves and wanted.target is not None else wanted

    patch.setattr(collapse, "net", first)


@fault("the trash is passed over", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(editing.Editing, "_trash", lambda self, account: None)


@fault("a new name is not sent", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(source.ImapSession, "rename", lambda self, name, path, parent: str(path).encode())


@fault("a folder is not deleted", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(source.ImapSession, "remove", lambda self, name: None)


@fault("what is gone there stays here", ORDINARY)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(changes, "_remove", lambda visit, uids: None)


@fault("flags from there win", BOTH)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rows, "merged", lambda base, local, told: told)
    patch.setattr(adoption, "merged", lambda base, local, told: told)


@fault("flags from here win", BOTH)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rows, "merged", lambda base, local, told: local)


@fault("what was worked on there is deleted all the same", BOTH)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runner, "reconsider", lambda context, session, plan: None)


@fault("what was moved here and removed there is not kept", BOTH)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(settling.Settling, "upload_instead", lambda self, ids: False)


@fault("a renumbered folder is written to all the same", RENUMBERED)
def _(patch: pytest.MonkeyPatch) -> None:
    real = source.ImapSession.write

    def any_epoch(self: source.ImapSession, writes: object) -> Iterator[object]:
        for write in writes:  # type: ignore[attr-defined]
            opened = self.open(write.name, None)
            for event in real(self, iter([replace(write, epoch=opened.epoch)])):
                yield replace(event, write=write)

    patch.setattr(source.ImapSession, "write", any_epoch)


@pytest.fixture(scope="module")
def undisturbed() -> Callable[[Accounts, History, Profile], State]:
    """Plays each history once as the product is."""
    known: dict[tuple[History, Profile], State] = {}

    def state(accounts: Accounts, history: History, profile: Profile) -> State:
        if (history, profile) not in known:
            known[history, profile] = _played(accounts, history, profile)
        return known[history, profile]

    return state


@contextmanager
def _planted(plant: Plant) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        yield


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_noticed(
    name: str, dovecot_profiles: Accounts, undisturbed: Callable[[Accounts, History, Profile], State]
) -> None:
    (history, profile), plant = FAULTS[name]
    right = undisturbed(dovecot_profiles, history, profile)
    with _planted(plant):
        try:
            wrong = _played(dovecot_profiles, history, profile)
        except AssertionError:
            return
    assert wrong != right, f"nobody notices that {name}"


def test_there_are_enough_of_them() -> None:
    assert len(FAULTS) >= 20
