"""The runs that a server's telling, or a poll, starts: requests out, how they ended in."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from store import StoreError
from store.mail import AccountId

from ...clock import Clock
from ...errors import Closed, ProviderError
from ...events import Counts, ResultStatus
from ...failure import frames_of
from ...handle import SyncHandle
from ...request import SyncFlags, SyncRequest, Trigger
from ..reports.runlog import RunLog

if TYPE_CHECKING:
    from ...callback import ProgressCallback
    from ...entry import MailStoreProvider

__all__ = ["Ended", "PushRuns", "Pushed"]

log = logging.getLogger(__name__)

INBOX = "INBOX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """One run that a server's telling, or a poll, started, and that is over."""

    account: AccountId
    folder: str | None
    """None: the account was polled as a whole."""
    began_at: datetime
    ended_at: datetime
    outcome: str
    """ResultStatus value."""
    new: int
    """Messages that came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What the list of who is watched wants to know of a run. *ok* None: somebody stopped it."""

    account: AccountId
    ok: bool | None
    empty: bool
    """It changed nothing, here or there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    handle: SyncHandle
    whole: bool
    began_at: datetime


class PushRuns:
    """Starts runs and looks for their ends; one thread's. *heard*, *callback*, *log_to*: see ``push``."""

    def __init__(
        self,
        provider: "MailStoreProvider",
        clock: Clock,
        *,
        heard: Callable[[Pushed], object] | None,
        callback: "ProgressCallback | None",
        log_to: RunLog | None,
    ) -> None:
        self._provider, self._clock = provider, clock
        self._heard, self._callback, self._log = heard, callback, log_to
        self._runs: dict[AccountId, _Run] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, account: AccountId) -> bool:
        return account in self._runs

    def start(self, account: AccountId, *, whole: bool, headers_only: bool = False) -> bool:
        """Start a run of the account's inbox, or of all of it; False: it could not be. Raises Closed."""
        more = SyncFlags.SYNC_BACKGROUND if whole else SyncFlags.SYNC_THESE_FOLDERS
        if headers_only:
            more |= SyncFlags.SYNC_GLOBAL_HEADERS
        trigger = Trigger.SCHEDULED if whole else Trigger.PUSH
        callback = self._callback
        if self._log is not None:
            callback = self._log.follow(trigger=trigger.value, then=callback)
        request = SyncRequest(
            flags=SyncFlags.ALL_DIRECTIONS | more,
            accounts=(account,),
            folders=() if whole else (INBOX,),
            trigger=trigger,
            callback=callback,
        )
        try:
            handle = self._provider.SynchronizeInBackground(request)
        except Closed:
            raise
        except (ProviderError, StoreError):
            return False
        self._runs[account] = _Run(handle=handle, whole=whole, began_at=self._clock.now())
        return True

    def ended(self) -> Iterator[Ended]:
        """Yield what ended since the last look."""
        for account, run in list(self._runs.items()):
            result = run.handle.result
            if result is None:
                continue
            del self._runs[account]
            empty = result.downloaded == result.uploaded == Counts()
            yield Ended(account=account, ok=None if result.status is ResultStatus.CANCELED else result.ok, empty=empty)
            if self._heard is None:
                continue
            pushed = Pushed(
                account=account,
                folder=None if run.whole else INBOX,
                began_at=run.began_at,
                ended_at=self._clock.now(),
                outcome=result.status.value,
                new=result.downloaded.new,
            )
            try:
                self._heard(pushed)
            except Exception as error:  # a host's own: it costs what it heard, and no run
                log.error("What hears of runs raised %s.\n%s", type(error).__name__, frames_of(error))

    def cancel(self) -> None:
        """Cancel what still runs."""
        for run in self._runs.values():
            run.handle.cancel()
