"""From the connection to the disk: octets are hashed and compressed by one thread and written by another.

connection thread → (bounded in octets) → encoder → writer → commit → ``Target.committed``. Hashing, compressing and
SQLite's step release the interpreter lock, so reading, encoding and writing overlap; a second encoder would only wait
for that lock (docs/decisions/0011). Invariants: what is in the pipe is bounded by the budget, whatever the mailbox
(beside it the encoder holds at most one chunk of each message under way); a message is told as committed only after its
transaction is.
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

MADE_CHUNKS = 32
MADE_OCTETS = 256_000
"""So much the encoder gives to the writer at once, while there is more to do."""
CHUNK_OVERHEAD_OCTETS = 1_000
"""What a chunk weighs beside its octets: small mail would fill the memory with what is around it."""
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
    """Passes through the encoder behind all that was put before it; the writer commits and opens it."""

    def __init__(self) -> None:
        self.open = threading.Event()


@dataclass(slots=True)
class _Made:
    """What the encoder made and has not handed over yet, and of how many raw octets."""

    chunks: list[tuple[Target, EncodedChunk]] = field(default_factory=list)
    taken_octets: int = 0


_Raw = tuple[Target, BodyChunk] | _Barrier | None
_Encoded = list[tuple[Target, EncodedChunk]] | _Barrier | None


class Pipe:
    """One run's way to the disk. ``put`` and ``drain`` belong to the connection thread; close it always.

    What goes wrong in the encoder or in the writer is raised by the next ``put`` or ``drain``.
    """

    def __init__(self, store: MailStore, run: RunId, spawn: Spawn, stop: Stop, *, budget_octets: int) -> None:
        self._store, self._run, self._stop, self._budget = store, run, stop, budget_octets
        self._batch_octets = min(BATCH_OCTETS, budget_octets // 2)  # else a small pipe is full before a batch is
        self._room = threading.Condition()
        self._in_flight = 0
        self._failure: BaseException | None = None
        self._abandoned = False
        self._inbox: queue.SimpleQueue[_Raw] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[_Encoded] = queue.SimpleQueue()
        self._half: set[tuple[FolderId, Uid]] = set()
        """Messages of which more is to come."""
        self._threads = [
            spawn("encoder", partial(self._guarded, self._encode)),
            spawn("writer", partial(self._guarded, self._write)),
        ]

    @classmethod
    def of(cls, context: RunContext) -> "Pipe":
        """Return the pipe of one run."""
        budget = context.account.limits.queue_octets
        return cls(context.store, context.run, context.turn.spawn, context.stop, budget_octets=budget)

    def put(self, target: Target, chunk: BodyChunk) -> None:
        """Send one chunk on its way; waits while the pipe is full. Raises Cancelled, StoreError."""
        octets = len(chunk.octets or b"") + CHUNK_OVERHEAD_OCTETS
        with self._room:
            while self._in_flight and self._in_flight + octets > self._budget and self._failure is None:
                if not self._room.wait(0.2):
                    self._outbox.put(_Barrier())  # the batch at hand may wait for this very chunk
                self._stop.checkpoint()
            self._raise_failure()
            self._in_flight += octets
        if not chunk.last:
            self._half.add((target.folder, chunk.uid))
        else:
            self._half.discard((target.folder, chunk.uid))
        self._inbox.put((target, chunk))

    def drop(self, target: Target, uid: Uid) -> None:
        """Forget what was put of a message that will not be finished; nothing when it is finished."""
        if (target.folder, uid) in self._half:
            self._half.discard((target.folder, uid))
            self._inbox.put((target, BodyChunk(uid=uid, offset=0, octets=None, last=True)))

    def drain(self) -> None:
        """Return when everything put so far is committed. Raises Cancelled, StoreError."""
        barrier = _Barrier()
        self._inbox.put(barrier)
        while not barrier.open.wait(0.2):
            self._stop.checkpoint()
            self._raise_failure()
        self._raise_failure()

    def close(self, *, abandon: bool = False) -> None:
        """End the threads. With *abandon* only the batch at hand is still committed; errors are not raised here."""
        self._abandoned = self._abandoned or abandon
        self._inbox.put(None)
        for thread in self._threads:
            thread.join()

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

    def _encode(self) -> None:
        encoder = Encoder()
        under_way: dict[tuple[FolderId, int], BodyEncoder] = {}
        made = _Made()
        while True:
            if isinstance(item := self._inbox.get(), tuple):
                if not self._abandoned:
                    self._encode_one(encoder, under_way, made, *item)
                if len(made.chunks) < MADE_CHUNKS and made.taken_octets < MADE_OCTETS and not self._inbox.empty():
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
        made.taken_octets += len(chunk.octets) + CHUNK_OVERHEAD_OCTETS
        if chunk.last:
            del under_way[key]

    def _hand_over(self, made: "_Made") -> None:
        """Give the writer what was made; the queue and its lock are met once for many messages."""
        with self._room:  # what an encoder holds back is not in the way of the chunk that would complete it
            self._in_flight += _weight(made.chunks) - made.taken_octets
            self._room.notify_all()
        if made.chunks:
            self._outbox.put(made.chunks)

    def _write(self) -> None:
        batch: list[tuple[Target, EncodedChunk]] = []
        octets = messages = 0
        due = 0.0
        item: _Encoded = []
        while item is not None:
            try:
                item = self._outbox.get(timeout=max(0.0, due - time.monotonic()) if batch else None)
            except queue.Empty:
                item = _Barrier()
            if isinstance(item, list):
                if self._abandoned:
                    continue
                if not batch:
                    due = time.monotonic() + BATCH_SECONDS
                batch += item
                octets += _weight(item)
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


def _weight(chunks: list[tuple[Target, EncodedChunk]]) -> int:
    return sum(chunk.octets + CHUNK_OVERHEAD_OCTETS for _, chunk in chunks)
