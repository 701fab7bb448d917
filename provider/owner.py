"""Who holds an account's lease: a process of this machine or of another one, and whether it is gone for certain.

A program that was killed leaves its lease behind. Its next start need not wait for the lease to expire: on the same
machine the system knows which processes live. Whoever is taken for gone by mistake (containers that share a host name
but no processes) is fenced by the store, and writes nothing more.
"""

import os
import socket

__all__ = ["is_gone", "this_process"]


def this_process() -> str:
    """Return what names this process among all that may open one store: host name, colon, process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(owner: str) -> bool:
    """Tell whether the process that *owner* names ran on this machine and runs no more; False when nobody can know."""
    host, _, number = owner.rpartition(":")
    if os.name != "posix" or host != socket.gethostname() or not (number.isascii() and number.isdigit()):
        return False  # elsewhere than on POSIX, os.kill(pid, 0) would end the process
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it lives, but belongs to somebody else; or it is no process id
        return False
    return False
