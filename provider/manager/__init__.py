"""WHEN and WHO: groups of accounts, schedules, and the object that starts what is due. It never speaks to a server."""

from .group import GroupEvents, GroupState, SyncGroup
from .manager import Ran, SyncManager
from .online import ChangePending, LinkNotice, LinkPhase, LinkState, OnlineState
from .schedule import BadSchedule, Schedule, next_run, parse

__all__ = [
    "BadSchedule",
    "ChangePending",
    "GroupEvents",
    "GroupState",
    "LinkNotice",
    "LinkPhase",
    "LinkState",
    "OnlineState",
    "Ran",
    "Schedule",
    "SyncGroup",
    "SyncManager",
    "next_run",
    "parse",
]
