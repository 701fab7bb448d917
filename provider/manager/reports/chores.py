"""What a manager does beside runs: it tells of alerts and cleans the store, each on a thread of its own.

Cleaning: at the start, and after runs, while nothing runs here; only if the last one is more than three hours ago, and
for 45 minutes at most. What is left then, the next one does. Runs clean, too, for two seconds each (``provider.run``).
"""

import logging
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

from store import StoreError

from ...clock import Clock
from ...turn import Worker
from .alerts import AlertHook, AlertTeller

if TYPE_CHECKING:
    from store import MailStore

    from ...entry import MailStoreProvider

__all__ = ["Chores"]

log = logging.getLogger(__name__)

CLEAN_LOOK_SECONDS = 60.0
CLEAN_SECONDS_MAX = 2_700.0


class Chores:
    """The chores of one manager. ``step`` and ``stop`` belong to its lock."""

    def __init__(
        self,
        store: "MailStore",
        provider: "MailStoreProvider",
        hooks: Sequence[AlertHook],
        *,
        spawn: Callable[[str, Callable[[], None]], Worker],
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._provider = provider
        self._spawn = spawn
        self._clock = clock
        self._teller = AlertTeller(store, hooks, clock=clock, random=random)
        self._telling: Worker | None = None
        self._cleaning: Worker | None = None
        self._looked: float | None = None
        self._stopping = False

    def step(self) -> None:
        """Begin what is due. Raises StoreError."""
        if not _at_work(self._telling) and self._teller.due:
            self._telling = self._spawn("alerts", self._tell)
        if not _at_work(self._cleaning) and self._to_clean():
            self._cleaning = self._spawn("cleaning", self._clean)

    def stop(self) -> None:
        """Let a cleaning end after its step."""
        self._stopping = True

    def _tell(self) -> None:
        try:
            self._teller.tell()
        except StoreError as error:
            log.warning("Who was told of an alert could not be read or written (%s).", error.kind.value)

    def _to_clean(self) -> bool:
        now = self._clock.monotonic()
        early = self._looked is not None and now - self._looked < CLEAN_LOOK_SECONDS
        if self._stopping or early or self._provider.running:
            return False
        self._looked = now
        return self._store.clean_due()

    def _clean(self) -> None:
        until = self._clock.monotonic() + CLEAN_SECONDS_MAX
        try:
            report = self._store.purge(go_on=lambda: not self._stopping and self._clock.monotonic() < until)
        except StoreError as error:
            log.warning("The store could not be cleaned (%s); it is tried again.", error.kind.value)
        else:
            how = "" if report.finished else ", and is gone on with later"
            log.info(
                "The store was cleaned%s: %s tombstones, %s contents, %s headers, %s pages.",
                *(how, report.tombstones, report.blobs, report.headers, report.pages),
            )


def _at_work(worker: Worker | None) -> bool:
    return worker is not None and worker.is_alive()
