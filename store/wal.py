"""How much is in SQLite's write-ahead log, whatever the size of its file.

A log that begins anew is written over the old one: its file keeps its size, since cutting it would mean to allocate the
same blocks again for every few megabytes. What belongs to the present log carries the two salts of its header (SQLite's
file format, §4.1), and stands before all that is left of older ones. Reading it through a descriptor of our own is
harmless: SQLite keeps its locks on the database and its ``-shm``, never on the log.
"""

import os
import struct
from pathlib import Path

__all__ = ["log_octets"]

_HEADER = struct.Struct(">4I8s8x")
"""Magic, version, page size, checkpoint number, salts; two checksums."""
_FRAME = struct.Struct(">8x8s8x")
_MAGIC = (0x377F0682, 0x377F0683)


def log_octets(log: Path) -> int:
    """Return how many octets of *log* belong to the present log; 0 when there is none. Raises OSError."""
    with open(log, "rb", buffering=0) as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return 0
        magic, _, page_octets, _, salts = _HEADER.unpack(head)
        if magic not in _MAGIC:
            return 0
        step: int = _FRAME.size + page_octets
        present, beyond = 0, (os.fstat(file.fileno()).st_size - _HEADER.size) // step
        while present < beyond:
            middle = (present + beyond) // 2
            file.seek(_HEADER.size + middle * step)
            frame = file.read(_FRAME.size)
            if len(frame) == _FRAME.size and _FRAME.unpack(frame)[0] == salts:
                present = middle + 1
            else:
                beyond = middle
        return _HEADER.size + present * step
