"""Mutated answers: whatever comes, what leaves the session is an error of ours.

Each seed damages one answer of a whole visit, and the connection ends behind it, so that nothing waits for ever.
"""

from __future__ import annotations

import random

import pytest

from provider.errors import ProviderError
from provider.sources.base import BodyWanted, Known
from provider.sources.imap.source import ImapSession
from tests.servers.fake_answer import Answer, Bend, Then
from tests.servers.fakeimap import BARE, FULL, NO_QRESYNC, FakeImap
from tests.wire.rig import session_to

SESSIONS_PER_SEED = 25
_PIECES = (
    b"(",
    b")",
    b'"',
    b"[",
    b"]",
    b"{9}\r\n",
    b"{4294967296}\r\n",
    b"NIL",
    b"\0",
    b"\r\n",
    b"\n",
    b"* ",
    b"\\",
    b",",
)


def damage(chance: random.Random) -> Bend:
    """Change the answer in one to five places, then hang up."""

    def bend(answer: Answer) -> None:
        octets = bytearray(answer.octets())
        for _ in range(chance.randint(1, 5)):
            at = chance.randrange(len(octets) + 1)
            match chance.randrange(5):
                case 0:
                    octets[at : at + 1] = bytes([chance.randrange(256)])
                case 1:
                    del octets[at : at + chance.randint(1, 40)]
                case 2:
                    octets[at:at] = octets[at : at + 40] * chance.randint(1, 20)
                case 3:
                    octets[at:at] = chance.choice(_PIECES) * chance.randint(1, 200)
                case _:
                    octets[at:at] = b"%d" % chance.choice((0, -1, 2**31, 2**32, 2**63, 2**64, 10**30))
        answer.raw, answer.then = bytes(octets), Then.CLOSE

    return bend


def visit(session: ImapSession, known: Known | None) -> Known | None:
    """Do all that a session can; return what is known afterwards."""
    session.folders()
    opened = session.open(b"INBOX", known)
    uids = session.existing()
    rows = list(session.summaries(uids))
    assert all(row.uid in uids for row in rows)
    list(session.headers(uids, with_summary=True))
    list(session.identities(uids))
    list(session.flags(uids))
    for chunk in session.bodies([BodyWanted(uid=row.uid, size=row.size) for row in rows]):
        assert chunk.octets is None or len(chunk.octets) <= 256 * 1024
    return opened.epoch and Known(epoch=opened.epoch, mod_seq=opened.mod_seq, uids=uids)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_answer_ends_in_an_error_of_ours_or_in_none(seed: int) -> None:
    chance = random.Random(seed)
    faults = 0
    for _ in range(SESSIONS_PER_SEED):
        with FakeImap(capabilities=chance.choice([FULL, NO_QRESYNC, BARE]), preauth=True) as fake:
            for number in range(5):
                fake.append("INBOX", b"Message-ID: <%d@x>\r\n\r\n%d\r\n" % (number, number), ["\\Seen"])
            whole = session_to(fake.connect())
            known = visit(whole, None)
            whole.close()
            fake.set_flags("INBOX", 2, ["a"])
            fake.expunge("INBOX", 4)
            fake.faults.on("*", damage(chance), skip=chance.randrange(12), times=1)
            session = session_to(fake.connect())
            try:
                visit(session, known)
            except ProviderError:
                faults += 1
            finally:
                session.close()
    assert faults, "a run that met no fault proves nothing"
