"""What every room of the replay is handed: one run of one account, as far as sending goes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from store import MailStore, RunId
from store.mail import AccountId

from ..cancel import Stop
from ..clock import Clock
from ..events import Severity, SyncError
from ..report import ItemReporter
from ..sources.base import Notice

__all__ = ["ReplayContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayContext:
    """One run's replay. *hierarchy*, *contents*: which of the two upload directions are wanted.

    *tell* brings an error or a warning to the callback and into the run's history.
    """

    store: MailStore
    run: RunId
    account: AccountId
    hierarchy: bool
    contents: bool
    stop: Stop
    clock: Clock
    item: ItemReporter
    """The account's."""
    item_of: Callable[[str], ItemReporter]
    """The item of a folder, by its path for people."""
    tell: Callable[..., SyncError]

    def warn(self, notice: Notice) -> None:
        """Tell of something that stops nothing."""
        self.tell(notice, folder=notice.folder, severity=Severity.WARNING)

    def now(self) -> datetime:
        """The time by the provider's clock."""
        return self.clock.now()
