"""Measures the peak of Python's allocations during a synchronization, in a process where nothing else counts.

``python -m tests.scenarios.large_child many|one NUMBER DIRECTORY`` prints octets. The server runs in here as well: its
mail is there before the count begins.
"""

from __future__ import annotations

import random
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from provider import FolderPolicy, Keep
from provider.limits import Limits
from store import BodyState

from ..servers.fakeimap import FakeImap
from .edge import letter
from .rig import account_at, checked_store, mail_of, synchronize

__all__ = ["peak_of_many", "peak_of_one"]


def peak_of_many(messages: int, home: Path) -> int:
    """Synchronize the headers of so many messages, and then what changed; return the peak in octets."""
    with FakeImap() as fake, checked_store(home / f"{messages}.db") as store:
        for number in range(messages):
            fake.append("INBOX", b"Subject: %d\r\nMessage-ID: <%d@x.example>\r\n\r\nx\r\n" % (number, number))
        account = account_at(fake.port, fake.user, fake.password, policy=FolderPolicy(keep=Keep.HEADERS))
        tracemalloc.start()
        result, _ = synchronize(store, account)
        fake.append("INBOX", letter(1))
        fake.expunge("INBOX", 7)
        again, _ = synchronize(store, account)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (result.downloaded.new, again.downloaded.new, again.downloaded.deleted) == (messages, 1, 1)
    return peak


def peak_of_one(octets: int, home: Path) -> int:
    """Synchronize one message of so many octets and return the peak in octets."""
    with FakeImap() as fake, checked_store(home / "one.db") as store:
        noise = random.Random(65).randbytes(500_000).hex().encode()
        fake.append("INBOX", (letter(1) + (noise + b"\r\n") * (octets // 1_000_000))[:octets])
        # Small queues: what is bounded here is the way, whatever the host allows for it.
        limits = Limits(queue_octets=4_000_000, whole_octets=1_000_000)
        # The fake takes a message apart, in memory, to find its header: what counts begins with the octets.
        fake.faults.on("UID FETCH", lambda answer: tracemalloc.reset_peak() if b"<0." in answer.command.raw else None)
        tracemalloc.start()
        synchronize(store, account_at(fake.port, fake.user, fake.password, limits=limits))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        (message,) = mail_of(store, "INBOX")
        assert (message.body, message.size) == (BodyState.FULL, octets)
    return peak


MEASURES: dict[str, Callable[[int, Path], int]] = {"many": peak_of_many, "one": peak_of_one}

if __name__ == "__main__":
    print(MEASURES[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3])))
