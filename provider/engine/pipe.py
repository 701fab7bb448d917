"""From the connection to the disk: octets are hashed and compressed by two threads and written by one.

connection thread → (bounded in octets) → encoders → writer → commit → ``Target.committed``. Hashing, compressing and
SQLite's step release the interpreter lock, so reading, encoding and writing overlap. Invariants: what is in the pipe is
bounded by the budget, whatever the mailbox (beside it an encoder holds at most one chunk of a message under way); a
message is told as committed only after its transaction is.
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from store import BodyEncoder, EncodedChunk, Encoder, MailStore, RunId
from store.mail import FolderId, Uid, UidValidity

from ..cancel import Stop
from ..sources.base import BodyChunk
from ..turn import Spawn
from .context import RunContext

__all__ = ["Pipe", "Target"]

ENCODERS = 2
MADE_CHUNKS = 32
MADE_OCTETS = 256_000
"""So much an encoder gives to the writer at once, while there is more to do."""
BATCH_OCTETS = 6_000_000
BATCH_MESSAGES = 500
BATCH_SECONDS = 1.0
"""A batch is committed when it has so much in it, or when its first chunk has waited so long."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where bodies go, and who hears that so many messages are there. ``committed`` runs on the writer's thread."""

    folder: FolderId
    epoch: UidValidity
    committed: Callable[[int], None]


class _Barrier:
    """Passes through both encoders behind all that was put before it; the writer commits and opens it."""

    def __init__(self, encoders_left: int = ENCODERS) -> None:
        self.open = threading.Event()
        self.encoders_left = encoders_left


@dataclass(slots=True)
class _Made:
    """What an encoder made and has not handed over yet, and of how many raw octets."""

    chunks: list[tuple[Target, EncodedChunk]] = field(default_factory=list)
    taken_octets: int = 0


_Raw = tuple[Target, BodyChunk] | _Barrier | None
_Encoded = list[tuple[Target, EncodedChunk]] | _Barrier | None


class Pipe:
    """One run's way to the disk. ``put`` and ``drain`` belong to the connection thread; close it always.

    What goes wrong in an encoder or in the writer is raised by the next ``put`` or ``drain``.
    """

    def __init__(self, store: MailStore, run: RunId, spawn: Spawn, stop: Stop, *, budget_octets: int) -> None:
        self._store, self._run, self._stop, self._budget = store, run, stop, budget_octets
        self._batch_octets = min(BATCH_OCTETS, budget_octets // 2)  # else a small pipe is full before a batch is
        self._room = threading.Condition()
        self._in_flight = 0
        self._failure: BaseException | None = None
        self._abandoned = False
        self._inboxes: list[queue.SimpleQueue[_Raw]] = [queue.SimpleQueue() for _ in range(ENCODERS)]
        self._outbox: queue.SimpleQueue[_Encoded] = queue.SimpleQueue()
        self._lanes: dict[tuple[FolderId, int], int] = {}
        self._next_lane = 0
        self._threads = [
            spawn(f"encoder-{lane}", partial(self._guarded, partial(self._encode, inbox)))
            for lane, inbox in enumerate(self._inboxes)
        ]
        self._threads.append(spawn("writer", partial(self._guarded, self._write)))

    @classmethod
    def of(cls, context: RunContext) -> "Pipe":
        """Return the pipe of one run."""
        budget = context.account.limits.queue_octets
        return cls(context.store, context.run, context.turn.spawn, context.stop, budget_octets=budget)

    def put(self, target: Target, chunk: BodyChunk) -> None:
        """Send one chunk on its way; waits while the pipe is full. Raises Cancelled, StoreError."""
        octets = len(chunk.octets or b"")
        with self._room:
            while self._in_flight and self._in_flight + octets > self._budget and self._failure is None:
                if not self._room.wait(0.2):
                    self._outbox.put(_Barrier(encoders_left=1))  # the batch at hand may wait for this very chunk
                self._stop.checkpoint()
            self._raise_failure()
            self._in_flight += octets
        self._inboxes[self._lane_of(target, chunk)].put((target, chunk))

    def drop(self, target: Target, uid: Uid) -> None:
        """Forget what was put of a message that will not be finished; nothing when it is finished."""
        lane = self._lanes.pop((target.folder, int(uid)), None)
        if lane is not None:
            self._inboxes[lane].put((target, BodyChunk(uid=uid, offset=0, octets=None, last=True)))

    def drain(self) -> None:
        """Return when everything put so far is committed. Raises Cancelled, StoreError."""
        barrier = _Barrier()
        for inbox in self._inboxes:
            inbox.put(barrier)
        while not barrier.open.wait(0.2):
            self._stop.checkpoint()
            self._raise_failure()
        self._raise_failure()

    def close(self, *, abandon: bool = False) -> None:
        """End the threads. With *abandon* only the batch at hand is still committed; errors are not raised here."""
        self._abandoned = self._abandoned or abandon
        for inbox in self._inboxes:
            inbox.put(None)
        for thread in self._threads:
            thread.join()

    def _lane_of(self, target: Target, chunk: BodyChunk) -> int:
        """All chunks of one message go through one encoder, since its digest is a running one."""
        key = (target.folder, int(chunk.uid))
        if chunk.offset == 0:
            self._next_lane = (self._next_lane + 1) % ENCODERS
            self._lanes[key] = self._next_lane
        return self._lanes.pop(key) if chunk.last else self._lanes[key]

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run a thread's *work*; keep what it raises for the connection thread, and let nobody wait for it."""
        try:
            work()
        except BaseException as error:
            with self._room:
                self._failure = self._failure or error
                self._abandoned = True
                self._room.notify_all()
            self._outbox.put(None)

    def _encode(self, inbox: "queue.SimpleQueue[_Raw]") -> None:
        encoder = Encoder()
        under_way: dict[tuple[FolderId, int], BodyEncoder] = {}
        made = _Made()
        while True:
            if isinstance(item := inbox.get(), tuple):
                if not self._abandoned:
                    self._encode_one(encoder, under_way, made, *item)
                if len(made.chunks) < MADE_CHUNKS and made.taken_octets < MADE_OCTETS and not inbox.empty():
                    continue
            self._hand_over(made)
            made = _Made()
            if not isinstance(item, tuple):
                self._outbox.put(item)
                if item is None:
                    return

    def _encode_one(
        self,
        encoder: Encoder,
        under_way: dict[tuple[FolderId, int], BodyEncoder],
        made: "_Made",
        target: Target,
        chunk: BodyChunk,
    ) -> None:
        key = (target.folder, int(chunk.uid))
        if chunk.octets is None:
            under_way.pop(key, None)
            return
        if chunk.offset == 0:
            under_way[key] = encoder.start(chunk.uid)
        made.chunks.extend((target, one) for one in under_way[key].chunk(chunk.octets, last=chunk.last))
        made.taken_octets += len(chunk.octets)
        if chunk.last:
            del under_way[key]

    def _hand_over(self, made: "_Made") -> None:
        """Give the writer what was made; the queue and its lock are met once for many messages."""
        with self._room:  # what an encoder holds back is not in the way of the chunk that would complete it
            self._in_flight += sum(chunk.octets for _, chunk in made.chunks) - made.taken_octets
            self._room.notify_all()
        if made.chunks:
            self._outbox.put(made.chunks)

    def _write(self) -> None:
        batch: list[tuple[Target, EncodedChunk]] = []
        octets = messages = 0
        due = 0.0
        encoders_left = ENCODERS
        while encoders_left:
            try:
                item = self._outbox.get(timeout=max(0.0, due - time.monotonic()) if batch else None)
            except queue.Empty:
                item = _Barrier(encoders_left=1)
            if item is None:
                encoders_left -= 1
            elif isinstance(item, _Barrier):
                item.encoders_left -= 1
                if item.encoders_left:
                    continue
            elif self._abandoned:
                continue
            else:
                if not batch:
                    due = time.monotonic() + BATCH_SECONDS
                batch += item
                octets += sum(chunk.octets for _, chunk in item)
                messages += sum(chunk.last for _, chunk in item)
                if octets < self._batch_octets and messages < BATCH_MESSAGES:
                    continue
            if batch:
                self._commit(batch, octets)
                batch, octets, messages = [], 0, 0
            if isinstance(item, _Barrier):
                item.open.set()

    def _commit(self, batch: list[tuple[Target, EncodedChunk]], octets: int) -> None:
        by_target: dict[Target, list[EncodedChunk]] = {}
        for target, chunk in batch:
            by_target.setdefault(target, []).append(chunk)
        with self._store.write("bodies", run=self._run) as tx:
            whole = {t: tx.add_chunks(t.folder, t.epoch, chunks).whole for t, chunks in by_target.items()}
        for target, messages in whole.items():
            target.committed(messages)
        with self._room:
            self._in_flight -= octets
            self._room.notify_all()
