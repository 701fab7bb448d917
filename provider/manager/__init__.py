"""WHEN and WHO: groups of accounts, schedules, and the object that starts what is due. It never speaks to a server."""

from .alerts import AlertHook, AlertTeller, CommandHook, HookFailed, WebHook
from .manager import Ran, SyncManager
from .runlog import RunLog
from .schedule import BadSchedule, Schedule, next_run, parse

__all__ = [
    "AlertHook",
    "AlertTeller",
    "BadSchedule",
    "CommandHook",
    "HookFailed",
    "Ran",
    "RunLog",
    "Schedule",
    "SyncManager",
    "WebHook",
    "next_run",
    "parse",
]
