"""Who holds an account's lease: a run of a process of this machine or of another one; and whether it is over for sure.

A program that was killed, or that could not write down the end of a run because the disk was full, leaves its lease
behind. Nobody need wait for that to expire: the system knows which processes live, and we know which of our runs do.
Whoever is taken for gone by mistake (containers that share a host name but no processes) is fenced by the store, and
writes nothing more.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

__all__ = ["is_gone", "owning", "process_is_gone"]

_numbers = count(1)
_at_work: set[str] = set()


@contextmanager
def owning() -> Iterator[str]:
    """Name one run among all that may open one store (host name, process id, number); while inside, it is at work."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{next(_numbers)}"
    _at_work.add(owner)
    try:
        yield owner
    finally:
        _at_work.discard(owner)


def is_gone(owner: str) -> bool:
    """Tell whether the run that *owner* names was one of this machine and is over; False when nobody can know."""
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not (rest.isascii() and rest.isdigit()):
        return False
    if int(rest) == os.getpid():
        return owner not in _at_work  # ours, or of a process that had our number before us
    return process_is_gone(int(rest))


def process_is_gone(pid: int) -> bool:
    """Tell whether the process *pid* of this machine is over; False when nobody can know."""
    if os.name != "posix":
        return False  # there, os.kill(pid, 0) would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it lives, but belongs to somebody else; or this is no process id
        return False
    try:
        with open(f"/proc/{pid}/stat", "rb") as status:
            # It did its last step, and only waits for its parent to take note. After the name, which may hold anything.
            return status.read().rpartition(b")")[2].split()[:1] in ([b"Z"], [b"X"])
    except OSError:  # a system without it; or it has just ended, and the next look tells
        return False
