"""Measures what sending one large message takes in memory, in a process that does nothing else.

``python -m tests.wire.smtp_child PORT OCTETS [CA_FILE]`` sends to a server on that port and prints, in octets, by how
much the peak of this process's resident memory grew over that of an open session that has sent a small message.
"""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from provider.account import Security
from tests.wire.smtp_rig import Watching, letter, opened

LINE = b".%076d\r\n" % 7
PIECE = LINE * 3_000
STATUS = Path("/proc/self/status")


def pieces(octets: int) -> Iterator[bytes]:
    """Yield so many octets, a quarter of a megabyte at a time, as a store does."""
    left = octets
    while left:
        piece = PIECE[:left] if left >= len(PIECE) else PIECE[: left - 2] + b"\r\n"
        yield piece
        left -= len(piece)


def peak() -> int:
    if STATUS.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())[1]) * 1024  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def peak_from_now() -> int:
    """Forget the peak, where the system can: a child begins with that of its parent. Return the memory now."""
    if STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def main(port: int, octets: int, ca_file: Path | None) -> int:
    security = Security.NONE if ca_file is None else Security.TLS
    with opened(port, host="localhost", security=security, ca_file=ca_file) as session:
        assert session.send(letter(), Watching()).accepted
        before = peak_from_now()
        watch = Watching()
        assert session.send(letter(pieces(octets), size=octets), watch).accepted
        assert watch.told == sorted(watch.told)
        assert watch.told[-1] == octets
        return peak() - before


if __name__ == "__main__":
    print(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None))
