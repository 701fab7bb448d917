"""What every room of the replay is handed: one run of one account, as far as sending goes."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from store import MailStore, RunId
from store.mail import AccountId, FolderId, MessageKey
from store.mail.conflicts import Choice, NewConflict, Version
from store.mail.operations import Operation, OperationId, OperationKind

from ..cancel import Stop
from ..clock import Clock
from ..errors import ErrorKind, ProviderError
from ..events import Severity, SyncError
from ..report import ItemReporter
from ..resolver import Resolver
from ..sources.base import Notice
from .conflicts import Case

__all__ = ["ReplayContext", "conflict_of"]

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
    unclear: set[MessageKey] = field(default_factory=set)
    """In doubt until the download has shown what their folder is called now, or which numbers it has."""

    def keeps(self, operations: Sequence[Operation], error: ProviderError) -> bool:
        """Ask the host whether the local effect of finally refused *operations* stays."""
        if self.resolver is None or any(one.kind is OperationKind.FLAGS for one in operations):
            return False  # a flag that the server does not take is nothing that could be kept beside it
        try:
            return all(self.resolver.keeps(one, error) for one in operations)
        except Exception:
            log.exception("The host's resolver failed; what was refused is rolled back.")
            return False

    def tell_conflict(self, found: NewConflict, folder: str) -> None:
        """Tell that a person may want to decide something."""
        done = found.done.value if found.done else "nothing yet"
        text = (
            f"Changed here and on the server ({found.kind.value}); done by itself: {done}. It is among the conflicts."
        )
        self.warn(Notice(kind=ErrorKind.CONFLICT.value, text=text, folder=folder or None))

    def tell_left_marked(self, folder: str, count: int) -> None:
        """Tell of messages that could only be marked, for nothing but a plain EXPUNGE would remove them."""
        mail = "1 message" if count == 1 else f"{count:,} messages"
        text = (
            f"{mail} of {folder}, marked as deleted and still there: the server can only remove all "
            "that anybody marked, and that is never asked for."
        )
        self.warn(Notice(kind=ErrorKind.LEFT_MARKED.value, text=text, folder=folder))

    def warn(self, notice: Notice) -> None:
        """Tell of something that stops nothing."""
        self.tell(notice, folder=notice.folder, severity=Severity.WARNING)

    def choice(self, found: NewConflict) -> Choice | None:
        """Ask the host what is done about a conflict; None: it has no opinion, or none that is offered."""
        if self.resolver is None:
            return None
        try:
            choice = self.resolver.resolve(found)
        except Exception:
            log.exception("The host's resolver failed; the default is taken.")
            return None
        return choice if choice in found.choices else None

    def now(self) -> datetime:
        """The time by the provider's clock."""
        return self.clock.now()


def conflict_of(
    context: ReplayContext,
    case: Case,
    operation: OperationId | None,
    message: MessageKey | None,
    versions: tuple[Version, Version],
) -> NewConflict:
    """Return the conflict of a *case* that has a kind, with what the host wants, or else the default, as done."""
    assert case.kind is not None, "this case leaves nothing to decide"
    found = NewConflict(
        kind=case.kind,
        account=context.account,
        operation=operation,
        message=message,
        versions=versions,
        choices=(case.done, *case.choices),
        done=case.done,
    )
    return replace(found, done=context.choice(found) or case.done)
