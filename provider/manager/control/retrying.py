"""Trying again what went wrong: entries of the event log as what is to be sent and received. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ...grouping import GroupRun
from ...request import SyncFlags, SyncRequest, Trigger

if TYPE_CHECKING:
    from store import LogEntry

__all__ = ["retry_runs"]


def retry_runs(entries: "Iterable[LogEntry]") -> tuple[GroupRun, ...]:
    """Return one run for each account that *entries* are about, in their order; of no group.

    It is about the folders that they name, or the whole account where one of them names none; and about its outbox.
    """
    of: dict[str, list[LogEntry]] = {}
    for entry in entries:
        of.setdefault(entry.account, []).append(entry)
    return tuple(map(_run, of.values()))


def _run(entries: "list[LogEntry]") -> GroupRun:
    of_account = [entry for entry in entries if entry.item == "account"]
    folders = tuple(dict.fromkeys(entry.folder for entry in of_account if entry.folder is not None))
    request = SyncRequest(accounts=(entries[0].account,), trigger=Trigger.MANUAL)
    if folders and all(entry.folder is not None for entry in of_account):
        request = replace(request, flags=request.flags | SyncFlags.SYNC_THESE_FOLDERS, folders=folders)
    send = any(entry.item == "outbox" for entry in entries)
    return GroupRun(group="", request=request, send=send, receive=bool(of_account))
