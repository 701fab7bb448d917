"""What a measurement works with: how large everything is, how often it runs, which peers stand beside.

Room: tests/bench.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .peers import MBSYNC, OFFLINEIMAP
from .serverwork import Work

__all__ = ["PEERS", "QUICK", "WHOLE", "Scale", "Setting"]

PEERS = ("none", "usual", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Messages and folders of all mailboxes, and what happens to them."""

    messages: int
    """Mailbox A; also the small one beside the large one, and the folder that is numbered anew."""
    peer_messages: int
    """What OfflineIMAP has to do unless it is given all."""
    folders: int
    each: int
    folders_changed: int
    large: int
    listed: int
    """The folder whose newest page is read."""
    work: Work
    rounds: int


WHOLE = Scale(
    messages=10_000,
    peer_messages=1_000,
    folders=200,
    each=50,
    folders_changed=50,
    large=100_000,
    listed=1_000_000,
    work=Work(new=100, flagged=500, expunged=50),
    rounds=5,
)
QUICK = Scale(
    messages=1_000,
    peer_messages=100,
    folders=20,
    each=50,
    folders_changed=5,
    large=10_000,
    listed=100_000,
    work=Work(new=10, flagged=50, expunged=5),
    rounds=2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """*directory* is thrown away afterwards; *say* hears what is going on."""

    directory: Path
    scale: Scale
    rounds: int
    peers: str
    say: Callable[[str], None]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_place(self) -> Path:
        """Return a path that nothing is at, in a directory of its own that is made."""
        place = self.directory / f"place-{next(self._numbers)}"
        place.mkdir()
        return place / "it"

    @contextmanager
    def place(self) -> Iterator[Path]:
        """A new path whose directory goes away at once: nobody profits from another's warm files."""
        path = self.new_place()
        try:
            yield path
        finally:
            shutil.rmtree(path.parent)

    def at_scale(self, limit: float) -> float | None:
        """Return *limit*, a target that is meant for whole mailboxes; None for smaller ones."""
        return limit if self.scale is WHOLE else None

    @property
    def no_mbsync(self) -> str:
        """Why mbsync is not measured; empty: it is."""
        return _why_not(self.peers, "mbsync", MBSYNC)

    @property
    def no_offlineimap(self) -> str:
        """Why OfflineIMAP is not measured; empty: it is."""
        return _why_not(self.peers, "OfflineIMAP", OFFLINEIMAP)

    @property
    def no_large_offlineimap(self) -> str:
        """Why OfflineIMAP is not measured on whole mailboxes; empty: it is."""
        return self.no_offlineimap or ("" if self.peers == "all" else "takes many minutes, asked for by --peers=all")


def _why_not(peers: str, name: str, program: str | None) -> str:
    if peers == "none":
        return "left out by --peers=none"
    return "" if program is not None else f"{name} is not installed"
