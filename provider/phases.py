"""The phases of a run as data: MAPI's replication states per item, and which may follow which.

Pure. Folders run side by side, so no machine drives the run; ``SyncProgress.phase`` reports, and every recorded event
log is checked against ``NEXT``. Values are the documented LR_SYNC numbers; those without one are ours, from 100 up.
"""

from enum import Enum

__all__ = ["NEXT", "Phase", "legal"]


class Phase(Enum):
    """What an item is at. ``number`` is MAPI's LR_SYNC state where there is one (contracts of the replication API)."""

    IDLE = ("idle", 0)
    SYNC = ("sync", 1)
    """The account: connecting, logging in."""
    DOWNLOAD_HIERARCHY = ("download-hierarchy", 10)
    CONTENTS = ("contents", 4)
    """The account: walking its folders."""
    DOWNLOAD_TABLE = ("download-table", 11)
    """A folder: what is there, flags, sizes, dates."""
    DOWNLOAD_HEADER = ("download-header", 17)
    """A folder: header blocks (or single messages on demand)."""
    DOWNLOAD_BODIES = ("download-bodies", 100)
    """A folder: whole messages."""
    DONE = ("done", 101)

    def __init__(self, label: str, number: int) -> None:
        self.label = label
        self.number = number


NEXT: dict[Phase, frozenset[Phase]] = {
    Phase.IDLE: frozenset({Phase.SYNC, Phase.DOWNLOAD_TABLE, Phase.DOWNLOAD_HEADER, Phase.DOWNLOAD_BODIES, Phase.DONE}),
    Phase.SYNC: frozenset({Phase.DOWNLOAD_HIERARCHY, Phase.CONTENTS, Phase.DONE}),
    Phase.DOWNLOAD_HIERARCHY: frozenset({Phase.SYNC, Phase.CONTENTS, Phase.DONE}),
    Phase.CONTENTS: frozenset({Phase.SYNC, Phase.DONE}),
    Phase.DOWNLOAD_TABLE: frozenset({Phase.DOWNLOAD_HEADER, Phase.DOWNLOAD_BODIES, Phase.DONE}),
    Phase.DOWNLOAD_HEADER: frozenset({Phase.DOWNLOAD_TABLE, Phase.DOWNLOAD_BODIES, Phase.DONE}),
    Phase.DOWNLOAD_BODIES: frozenset({Phase.DOWNLOAD_TABLE, Phase.DOWNLOAD_HEADER, Phase.DONE}),
    Phase.DONE: frozenset(),
}
"""Which phase may follow which, for one item in one run. A reconnect goes back to SYNC."""


def legal(before: Phase, after: Phase) -> bool:
    """Tell whether an item in *before* may report *after* next; staying is always legal."""
    return before is after or after in NEXT[before]
