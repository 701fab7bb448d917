"""WHEN and WHO: groups of accounts, schedules, and the object that starts what is due. It never speaks to a server."""

from .manager import Ran, SyncManager
from .schedule import BadSchedule, Schedule, next_run, parse

__all__ = ["BadSchedule", "Ran", "Schedule", "SyncManager", "next_run", "parse"]
