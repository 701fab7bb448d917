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
    UPLOAD_HIERARCHY = ("upload-hierarchy", 2)
    """The account: folders that were created, renamed, subscribed to or deleted here."""
    UPLOAD_FOLDER = ("upload-folder", 3)
    """A folder of those."""
    DOWNLOAD_HIERARCHY = ("download-hierarchy", 10)
    CONTENTS = ("contents", 4)
    """The account: walking its folders."""
    UPLOAD_TABLE = ("upload-table", 5)
    """A folder: what was changed in it here: flags, moves, copies, deletions."""
    UPLOAD_MESSAGE = ("upload-message", 6)
    """A folder: messages that are added to it, moved, copied, or marked."""
    UPLOAD_MESSAGE_READ = ("upload-message-read", 8)
    """A folder: messages that are marked as read or unread, and nothing else."""
    UPLOAD_MESSAGE_DEL = ("upload-message-del", 9)
    """A folder: messages that are removed for good."""
    DOWNLOAD_TABLE = ("download-table", 11)
    """A folder: what is there, flags, sizes, dates."""
    DOWNLOAD_HEADER = ("download-header", 17)
    """A folder: header blocks (or single messages on demand)."""
    DOWNLOAD_BODIES = ("download-bodies", 100)
    """A folder: whole messages."""
    SEND = ("send", 102)
    """The outbox: mail on its way out. Not MAPI's: there it is the transport's alone."""
    DONE = ("done", 101)

    def __init__(self, label: str, number: int) -> None:
        self.label = label
        self.number = number


_FOLDER = frozenset(
    {
        Phase.UPLOAD_FOLDER,
        Phase.UPLOAD_TABLE,
        Phase.UPLOAD_MESSAGE,
        Phase.UPLOAD_MESSAGE_READ,
        Phase.UPLOAD_MESSAGE_DEL,
        Phase.DOWNLOAD_TABLE,
        Phase.DOWNLOAD_HEADER,
        Phase.DOWNLOAD_BODIES,
    }
)

NEXT: dict[Phase, frozenset[Phase]] = {
    Phase.IDLE: frozenset({Phase.SYNC, Phase.SEND, Phase.DONE}) | _FOLDER,
    Phase.SYNC: frozenset({Phase.UPLOAD_HIERARCHY, Phase.DOWNLOAD_HIERARCHY, Phase.CONTENTS, Phase.DONE}),
    Phase.UPLOAD_HIERARCHY: frozenset({Phase.SYNC, Phase.DOWNLOAD_HIERARCHY, Phase.CONTENTS, Phase.DONE}),
    Phase.DOWNLOAD_HIERARCHY: frozenset({Phase.SYNC, Phase.CONTENTS, Phase.DONE}),
    Phase.CONTENTS: frozenset({Phase.SYNC, Phase.DONE}),
    Phase.UPLOAD_FOLDER: _FOLDER | {Phase.DONE},
    Phase.UPLOAD_TABLE: _FOLDER | {Phase.DONE},
    Phase.UPLOAD_MESSAGE: _FOLDER | {Phase.DONE},
    Phase.UPLOAD_MESSAGE_READ: _FOLDER | {Phase.DONE},
    Phase.UPLOAD_MESSAGE_DEL: _FOLDER | {Phase.DONE},
    Phase.DOWNLOAD_TABLE: frozenset({Phase.DOWNLOAD_HEADER, Phase.DOWNLOAD_BODIES, Phase.DONE}),
    Phase.DOWNLOAD_HEADER: frozenset({Phase.DOWNLOAD_TABLE, Phase.DOWNLOAD_BODIES, Phase.DONE}),
    Phase.DOWNLOAD_BODIES: frozenset({Phase.DOWNLOAD_TABLE, Phase.DOWNLOAD_HEADER, Phase.DONE}),
    Phase.SEND: frozenset({Phase.DONE}),
    Phase.DONE: frozenset(),
}
"""Which phase may follow which, for one item in one run. A reconnect goes back to SYNC, and so does a
replay that the download made necessary."""


def legal(before: Phase, after: Phase) -> bool:
    """Tell whether an item in *before* may report *after* next; staying is always legal."""
    return before is after or after in NEXT[before]
