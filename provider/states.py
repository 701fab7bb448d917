"""State codes of a synchronization, as ConfigMgr numbers them, and what each phase of ours comes down to there. Pure.

6701 started; 6702 success; 6703 failed; running: 6704 what the server has is looked at, 6705 it is brought into the
store, 6706 what was changed here goes to the others; 6707 out of step; 0 never (ours).
"""

from enum import IntEnum

from .events import ItemStatus
from .phases import Phase

__all__ = ["StateCode", "code_of_end", "code_of_label", "code_of_phase"]


class StateCode(IntEnum):
    """How a synchronization stands. Values are documented, but for NEVER."""

    NEVER = 0
    STARTED = 6701
    SUCCESS = 6702
    FAILED = 6703
    LOOKING = 6704
    RECEIVING = 6705
    SENDING = 6706
    OUT_OF_STEP = 6707


_LOOKING = frozenset({Phase.DOWNLOAD_HIERARCHY, Phase.DOWNLOAD_TABLE})
_RECEIVING = frozenset({Phase.CONTENTS, Phase.DOWNLOAD_HEADER, Phase.DOWNLOAD_BODIES})
_NOT_YET = frozenset({Phase.IDLE, Phase.SYNC, Phase.DONE})
_BY_LABEL = {phase.label: phase for phase in Phase}
_FAILED = frozenset({ItemStatus.FAILED, ItemStatus.DISCONNECTED})
_WELL = frozenset({ItemStatus.SUCCEEDED, ItemStatus.SKIPPED, ItemStatus.REMOVED})


def code_of_phase(phase: Phase) -> StateCode:
    """Return the code of what runs and is in *phase*.

    >>> [code_of_phase(one).value for one in (Phase.SYNC, Phase.DOWNLOAD_HIERARCHY, Phase.CONTENTS, Phase.SEND)]
    [6701, 6704, 6705, 6706]
    """
    if phase in _NOT_YET:
        return StateCode.STARTED
    if phase in _LOOKING:
        return StateCode.LOOKING
    return StateCode.RECEIVING if phase in _RECEIVING else StateCode.SENDING


def code_of_label(label: str) -> StateCode:
    """Return the code of what runs and is in the phase with this *label*; one that is not known has begun.

    >>> code_of_label("upload-hierarchy").value, code_of_label("").value
    (6706, 6701)
    """
    return code_of_phase(_BY_LABEL.get(label, Phase.IDLE))


def code_of_end(status: ItemStatus) -> StateCode:
    """Return the code of an item that ended with *status*.

    >>> [code_of_end(one).value for one in (ItemStatus.SUCCEEDED, ItemStatus.DISCONNECTED, ItemStatus.CANCELED)]
    [6702, 6703, 6707]
    """
    if status in _WELL:
        return StateCode.SUCCESS
    return StateCode.FAILED if status in _FAILED else StateCode.OUT_OF_STEP
