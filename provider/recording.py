"""From the end of an account's run to the event log of the store. The history of runs is the engine's own."""

import logging

from store import LogItem, MailStore, Recorded, RunError, RunId, StoreError

from .errors import ErrorKind
from .events import ItemKind, ItemStatus, Severity
from .report import TOLD_MAX, Reporter
from .request import SyncFlags, SyncRequest
from .turn import AccountOutcome

__all__ = ["record"]

log = logging.getLogger(__name__)

LASTING = frozenset({ErrorKind.SEND_REFUSED.value, ErrorKind.SEND_IN_DOUBT.value})
"""About one message and told once: that others were sent afterwards changes nothing about it."""


def record(
    store: MailStore, reporter: Reporter, outcome: AccountOutcome, request: SyncRequest | None = None
) -> Recorded:
    """Write what *reporter* was told, and what succeeded, into the event log. Never raises: it is the least of cares.

    *request*: what was synchronized; None: the outbox, or single messages, which say nothing about their folders. A
    turn that yielded is not over yet, and a dry run writes nothing.
    """
    if outcome.yielded or (request is not None and request.dry_run):
        return Recorded()
    item: LogItem = "outbox" if reporter.kind is ItemKind.OUTBOX else "account"
    errors = [
        RunError(
            kind=told.kind.value,
            text=told.text,
            folder=told.folder,
            uid=told.uid,
            severity=Severity(told.severity).name.lower(),
        )
        for told in reporter.told
        if told.severity > Severity.INFORMATION
    ]
    done = {one.folder for one in reporter.results if one.folder is not None and one.status is ItemStatus.SUCCEEDED}
    succeeded: set[str | None] = set(done)
    if outcome.status is ItemStatus.SUCCEEDED:
        succeeded.add(None)
    try:
        return store.eventlog.record(
            reporter.account,
            errors,
            item=item,
            run=None if outcome.run is None else RunId(outcome.run),
            succeeded=succeeded,
            whole=request is not None and _everything(request) and len(reporter.told) < TOLD_MAX,
            lasting=LASTING,
        )
    except StoreError as error:
        log.warning("What became of a run could not be written into the event log: %s", error)
        return Recorded()


def _everything(request: SyncRequest) -> bool:
    """Tell whether *request* brings folders and messages: then a folder that was not met is no more."""
    wanted = SyncFlags.SYNC_DOWNLOAD_HIERARCHY | SyncFlags.SYNC_DOWNLOAD_CONTENTS
    return request.flags & (wanted | SyncFlags.SYNC_THESE_FOLDERS) == wanted
