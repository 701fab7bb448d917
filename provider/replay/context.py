"""What every room of the replay is handed: one run of one account, as far as sending goes."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from store import MailStore, RunId
from store.mail import AccountId, FolderId
from store.mail.operations import Operation

from ..cancel import Stop
from ..clock import Clock
from ..errors import ProviderError
from ..events import Severity, SyncError
from ..report import ItemReporter
from ..resolver import Resolver
from ..sources.base import Notice

__all__ = ["ReplayContext"]

log = logging.getLogger(__name__)


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
    only: frozenset[FolderId] | None = None
    """Nothing is sent of other folders than these; None: of all."""
    resolver: Resolver | None = None

    def keeps(self, operations: Sequence[Operation], error: ProviderError) -> bool:
        """Ask the host whether the local effect of finally refused *operations* stays."""
        if self.resolver is None:
            return False
        try:
            return all(self.resolver.keeps(one, error) for one in operations)
        except Exception:
            log.exception("The host's resolver failed; what was refused is rolled back.")
            return False

    def warn(self, notice: Notice) -> None:
        """Tell of something that stops nothing."""
        self.tell(notice, folder=notice.folder, severity=Severity.WARNING)

    def now(self) -> datetime:
        """The time by the provider's clock."""
        return self.clock.now()
