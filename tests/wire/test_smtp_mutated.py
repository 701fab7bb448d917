"""Mutated answers on the way out: whatever comes, it ends as an error of ours or as a delivery that tells the truth.

Each seed damages one answer of a submission, and the connection ends behind it, so that nothing waits for ever.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress

import pytest

from provider.errors import ProviderError
from provider.transport.base import Ended
from tests.servers.fakesmtp import DEFAULTS, FakeSmtp, Manners
from tests.wire.smtp_rig import TO, sent

SESSIONS_PER_SEED = 25
STATES = ("greeting", "ehlo", "auth", "mail", "rcpt", "data", "dot", "quit")
HONEST = {
    **DEFAULTS,
    "ehlo": b"250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 60000000\r\n250 AUTH PLAIN LOGIN\r\n",
    "auth": b"235 2.7.0 in\r\n",
}
_PIECES = (
    b"250 ",
    b"250-",
    b"354 ",
    b"421 ",
    b"550 5.1.1 ",
    b"\0",
    b"\r\n",
    b"\n",
    b"\r",
    b"-",
    b" ",
    b"\xff",
    b"9" * 40,
)


def damaged(octets: bytes, chance: random.Random) -> bytes:
    """Change *octets* in one to four places."""
    made = bytearray(octets)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(4):
            case 0:
                made[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del made[at : at + chance.randint(1, 20)]
            case 2:
                made[at:at] = made[at : at + 40] * chance.randint(1, 200)
            case _:
                made[at:at] = chance.choice(_PIECES) * chance.randint(1, 2_000)
    return bytes(made)


def play(chance: random.Random) -> str:
    state = chance.choice(STATES)
    answer = damaged(HONEST[state], chance)
    manners = Manners(answers={state: answer}, leaves_after=state)
    with FakeSmtp(manners) as server:
        delivery = None
        with suppress(ProviderError):
            delivery = sent(server.port)
    where = (state, answer[:200], delivery)
    if delivery is None:
        assert server.delivered == [], where
        return "shut"
    match delivery.ended:
        case Ended.NOT_SENT:
            assert server.delivered == [], where
        case Ended.ANSWERED:
            assert delivery.accepted in (frozenset(), frozenset(TO), frozenset(TO[:1]), frozenset(TO[1:])), where
            assert len(server.delivered) == bool(delivery.accepted), where
        case Ended.IN_DOUBT:
            assert state in ("data", "dot"), where  # the line may end while all of a small message goes out
    return delivery.ended.value


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_answer_ends_in_an_error_of_ours_or_in_the_truth(seed: int) -> None:
    chance = random.Random(seed)
    ends = Counter(play(chance) for _ in range(SESSIONS_PER_SEED))
    assert len(ends) > 1, ends


@pytest.mark.soak
def test_ten_thousand_damaged_answers() -> None:
    chance = random.Random(20_000)
    ends = Counter(play(chance) for _ in range(10_000))
    print(f"\ndamaged answers of a submission: {dict(ends)}")
    assert set(ends) == {"shut", "not sent", "answered", "in doubt"}
