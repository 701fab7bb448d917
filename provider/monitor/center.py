"""What Sync Center looks at and acts on: a store, a desk, and the accounts that are synchronized here."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from store import UnknownMessage
from store.mail import AccountId
from store.mail.submission import SubmissionState

from .. import Standing, SyncProgress, standing_of
from .watch import Task, Watch

if TYPE_CHECKING:
    from store import Folder, MailStore, ReadView
    from store.mail import MessageKey

    from ..manager.control.desk import Desk

__all__ = ["OVER", "Center", "Counted", "Partner", "Place", "subject_of"]

OVER = (SubmissionState.FILED, SubmissionState.SENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """An account as a page shows it."""

    name: AccountId
    here: bool
    """It is synchronized by this process; others are read only."""
    standing: Standing
    step: SyncProgress | None
    """Where its synchronization is; None: none runs here."""
    errors: int
    """Errors that last."""
    next_run: datetime | None

    @property
    def elsewhere(self) -> bool:
        """True when another process synchronizes it at this moment."""
        return self.standing.state == "running" and self.step is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder as a page shows it."""

    folder: "Folder"
    step: SyncProgress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the navigation says beside its words."""

    running: int
    errors: int
    conflicts: int
    outbox: int


class Center:
    """Shared by all pages. Thread-safe, as what it holds is."""

    def __init__(self, store: "MailStore", desk: "Desk", accounts: Callable[[], Iterable[AccountId]]) -> None:
        self.store = store
        self.desk = desk
        self.watch = Watch(desk)
        self._accounts = accounts

    @property
    def here(self) -> tuple[AccountId, ...]:
        """The accounts that are synchronized here."""
        return tuple(self._accounts())

    def names(self, view: "ReadView") -> tuple[AccountId, ...]:
        """Return all accounts: those of here, then those that only the store knows."""
        return tuple(dict.fromkeys([*self.here, *view.accounts()]))

    def counted(self) -> Counted:
        """Return what waits for a person, or runs."""
        with self.store.read() as view:
            conflicts = len(view.conflicts())
            outbox = sum(one.state not in OVER for one in view.submissions())
        return Counted(
            running=len(self.desk.running()),
            errors=self.store.eventlog.counts()["error"],
            conflicts=conflicts,
            outbox=outbox,
        )

    def partners(self) -> tuple[Partner, ...]:
        """Return every account, those of here first."""
        steps = _steps(self.watch.running())
        here, now = set(self.here), datetime.now(UTC)
        lasting = [entry.account for entry in self.store.eventlog.entries(severity="error", open=True, limit=10_000)]
        with self.store.read() as view:
            return tuple(
                Partner(
                    name=name,
                    here=name in here,
                    standing=standing_of(view, name, now),
                    step=steps.get((name, None)),
                    errors=lasting.count(name),
                    next_run=self.store.schedules.next_run(name) if name in here else None,
                )
                for name in self.names(view)
            )

    def partner(self, name: str) -> Partner | None:
        """Return one account; None: there is none of this name."""
        return next((one for one in self.partners() if one.name == name), None)

    def places(self, account: AccountId) -> tuple[Place, ...]:
        """Return the folders of an account."""
        steps = _steps(self.watch.running())
        with self.store.read() as view:
            if account not in view.accounts():
                return ()
            folders = view.folders(account)
        return tuple(Place(folder=one, step=steps.get((account, str(one.path)))) for one in folders)


def subject_of(view: "ReadView", key: "MessageKey | None") -> str | None:
    """Return the subject of a message; None: it is about no message, or that is deleted here."""
    with suppress(UnknownMessage):
        return None if key is None else view.message(key).subject
    return None


def _steps(tasks: tuple[Task, ...]) -> dict[tuple[AccountId, str | None], SyncProgress]:
    """Return where each account and folder is, as the newest request that is at it says."""
    found: dict[tuple[AccountId, str | None], SyncProgress] = {}
    for task in tasks:
        for step in task.steps:
            if not step.status.terminal and step.item.value != "outbox":
                found[step.account, step.folder] = step
    return found
