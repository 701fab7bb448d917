"""Mutated answers while we change things: an error of ours comes out or none, and no mail is lost, whatever is said."""

from __future__ import annotations

import random

import pytest

from provider.errors import ProviderError
from provider.sources.imap.source import ImapSession
from provider.sources.writing import FolderWrite, Mark, Transfer, Transferred
from store.mail import FolderPath, Uid, UidSet, UidValidity
from tests.servers.fakeimap import BARE, FULL, NO_CONDSTORE, FakeImap
from tests.wire.rig import session_to
from tests.wire.test_mutated import damage
from tests.wire.writes import upload

SESSIONS_PER_SEED = 25
ALL = FULL | {"MULTIAPPEND", "CREATE-SPECIAL-USE"}


def change(session: ImapSession, epoch: UidValidity) -> None:
    """Change all that a session can; every UID of a transfer has exactly one outcome."""
    write = FolderWrite(
        name=b"INBOX",
        epoch=epoch,
        marks=(Mark(uids=UidSet([1, 2, 99]), add=frozenset({"new"}), remove=frozenset({"\\Seen"})),),
        transfers=(Transfer(uids=UidSet([1, 2]), target=b"B"), Transfer(uids=UidSet([3, 4]), target=b"B", move=True)),
        deletes=UidSet([5]),
    )
    for event in session.write([write, write]):
        if isinstance(event, Transferred):
            told = [*event.places, *event.unplaced, *event.gone, *event.left]
            assert sorted(told) == list(event.transfer.uids)
            assert not event.lingering - UidSet(event.places) - event.unplaced
    list(session.append(b"B", [upload(), upload(b"\xff" * 5_000), upload()]))
    session.statuses([b"INBOX", b"B"])
    name = session.create(FolderPath(("new",)), parent=None)
    session.rename(name, FolderPath(("newer",)), parent=None)
    session.subscribe(b"newer", True)
    session.remove(b"newer")
    session.folders()


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_answer_loses_no_mail(seed: int) -> None:
    chance = random.Random(seed)
    faults = 0
    for _ in range(SESSIONS_PER_SEED):
        announced = chance.choice([ALL, FULL - {"MOVE"}, NO_CONDSTORE, FULL - {"UIDPLUS"}, BARE])
        with FakeImap(capabilities=announced, preauth=True) as fake:
            for number in range(7):
                flags = ["\\Seen"] + (["\\Deleted"] if number == 6 else [])
                fake.append("INBOX", b"Message-ID: <%d@x>\r\n\r\n%d\r\n" % (number, number), flags)
            fake.add_folder("B")
            fake.faults.on("*", damage(chance), skip=chance.randrange(18), times=1)
            session = session_to(fake.connect())
            try:
                change(session, UidValidity(fake.folder("INBOX").uid_validity))
            except ProviderError:
                faults += 1
            finally:
                session.close()
            fake.wait_quiet()
            there = {m.octets for name in ("INBOX", "B") for m in fake.folder(name).messages.values()}
            missing = [
                number for number in range(7) if b"Message-ID: <%d@x>\r\n\r\n%d\r\n" % (number, number) not in there
            ]
            assert set(missing) <= {4}, "only the one that was to be deleted may be gone"
            assert {Uid(6), Uid(7)} <= set(fake.folder("INBOX").messages)
    assert faults, "a run that met no fault proves nothing"
