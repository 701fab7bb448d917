"""Files that a person names as input: read whole, within bounds."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .exits import ExitCode, Trouble
from .output import one_line

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["octets_of", "shown"]

OCTETS_MAX = 256_000_000
"""A larger file is no message that any server takes; it would have to fit into memory."""


def octets_of(name: str) -> bytes:
    """Return what is in the file *name*; ``-``: on the standard input. Raises Trouble for what cannot be read."""
    try:
        if name == "-":
            octets = _read(sys.stdin.buffer)
        else:
            with Path(name).expanduser().open("rb") as file:
                octets = _read(file)
    except OSError as error:
        raise Trouble(f"{shown(name)} cannot be read: {error.strerror}.", ExitCode.USAGE) from None
    if len(octets) > OCTETS_MAX:
        raise Trouble(f"{shown(name)} has more than {OCTETS_MAX:,} octets.", ExitCode.USAGE)
    return octets


def shown(name: str) -> str:
    """Return what to call the file *name* in a sentence."""
    return "The standard input" if name == "-" else one_line(name)


def _read(file: "BinaryIO") -> bytes:
    return file.read(OCTETS_MAX + 1)
