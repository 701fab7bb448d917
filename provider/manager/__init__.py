"""WHEN and WHO: groups of accounts, schedules, and the object that starts what is due. It never speaks to a server."""

from .group import GroupEvents, GroupState, SyncGroup
from .manager import Ran, SyncManager
from .schedule import BadSchedule, Schedule, next_run, parse

__all__ = [
    "BadSchedule",
    "GroupEvents",
    "GroupState",
    "Ran",
    "Schedule",
    "SyncGroup",
    "SyncManager",
    "next_run",
    "parse",
]
