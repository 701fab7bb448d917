"""How far one item is: an account, a folder or an outbox, as numbers that only go up. Pure; times are handed in."""

from datetime import datetime

from store.mail import AccountId

from .events import Counts, ItemKind, ItemStatus, SyncProgress
from .meter import Meter
from .phases import Phase

__all__ = ["Item"]

STALLED_SECONDS = 1.0
"""Silence shorter than this is an answer on its way."""


class Item:
    """The state behind an item's events. Invariant: done <= total, and neither ever goes down."""

    def __init__(self, kind: ItemKind, folder: str | None, now: float) -> None:
        self.kind = kind
        self.folder = folder
        self.phase = Phase.IDLE
        self.text: str | None = None
        self.status = ItemStatus.PENDING
        self.counts = Counts()
        self.uploaded = Counts()
        self.next_try: datetime | None = None
        self._messages_done = 0
        self._octets_done = 0
        self._messages_told: int | None = None
        self._octets_told: int | None = None
        self._messages_of_parts: int | None = None
        self._octets_of_parts: int | None = None
        self._stalled_seconds: float | None = None
        self._meter = Meter(now)

    @property
    def begun(self) -> bool:
        """True from STARTED on, for ever."""
        return self.status is not ItemStatus.PENDING

    @property
    def finished(self) -> bool:
        """True from the terminal status on."""
        return self.status.terminal

    @property
    def open(self) -> bool:
        """True between STARTED and the terminal status."""
        return self.begun and not self.finished

    @property
    def messages_total(self) -> int | None:
        """What was announced for the item or for its parts, the larger; never less than what is done."""
        return _total(self._messages_told, self._messages_of_parts, self._messages_done)

    @property
    def octets_total(self) -> int | None:
        """What was announced for the item or for its parts, the larger; never less than what is done."""
        return _total(self._octets_told, self._octets_of_parts, self._octets_done)

    def begin(self) -> None:
        """Go from PENDING to STARTED."""
        self.status = ItemStatus.STARTED

    def finish(self, status: ItemStatus) -> None:
        """Go to a terminal *status*."""
        self.status = status
        self.phase, self.text, self.next_try, self._stalled_seconds = Phase.DONE, None, None, None

    def expect(self, *, messages: int | None, octets: int | None) -> None:
        """Take totals as announced; a smaller one than before is not taken back."""
        if messages is not None:
            self._messages_told = max(messages, self._messages_told or 0)
        if octets is not None:
            self._octets_told = max(octets, self._octets_told or 0)

    def expect_more(self, *, messages: int, octets: int) -> None:
        """Add to what is expected of the item's parts."""
        if messages > 0:
            self._messages_of_parts = (self._messages_of_parts or 0) + messages
        if octets > 0:
            self._octets_of_parts = (self._octets_of_parts or 0) + octets

    def add(self, now: float, *, messages: int = 0, octets: int = 0) -> None:
        """Count what is committed or received; what is less than nothing is nothing."""
        messages, octets = max(messages, 0), max(octets, 0)
        self._messages_done += messages
        self._octets_done += octets
        self._stalled_seconds = None
        self._meter.add(now, messages=messages, octets=octets)

    def stalled(self, seconds: float) -> None:
        """Take note that nothing has come for so long."""
        self._stalled_seconds = seconds if seconds >= STALLED_SECONDS else None

    def event(
        self,
        run_id: int,
        seq: int,
        at: datetime,
        now: float,
        *,
        account: AccountId,
        paused: bool,
    ) -> SyncProgress:
        """Return where the item stands as an event; the first one after ``begin`` says STARTED."""
        pace = self._meter.pace(now)
        messages_total, octets_total = self.messages_total, self.octets_total
        known = messages_total is not None
        status = self.status
        if status is ItemStatus.STARTED:
            self.status = ItemStatus.UPDATING
        elif paused and not self.finished:
            status = ItemStatus.PAUSED
        return SyncProgress(
            run_id=run_id,
            seq=seq,
            at=at,
            account=account,
            folder=self.folder,
            item=self.kind,
            status=status,
            phase=self.phase,
            text=self.text,
            index=self._messages_done if known else 0,
            index_max=messages_total or 0,
            messages_done=self._messages_done,
            messages_total=messages_total,
            octets_done=self._octets_done,
            octets_total=octets_total,
            octets_per_second=pace.octets_per_second,
            eta_seconds=None
            if self.finished
            else pace.eta_seconds(
                octets_left=None if octets_total is None else octets_total - self._octets_done,
                messages_left=None if messages_total is None else messages_total - self._messages_done,
            ),
            stalled_seconds=self._stalled_seconds,
            next_try=self.next_try,
            counts=self.counts if self.finished else None,
            uploaded=self.uploaded if self.finished else None,
        )


def _total(told: int | None, of_parts: int | None, done: int) -> int | None:
    if told is None and of_parts is None:
        return None
    return max(told or 0, of_parts or 0, done)
