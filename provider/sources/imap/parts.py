"""One very large message, in parts: several under way, at most a few of them held, never the whole.

Room: sources/imap. RFC 9051 §6.4.5 (``BODY.PEEK[]<offset.count>``). A part shorter than asked is the end, whatever size
was told. Rules: a part that does not say where it begins, is longer than asked, or comes behind the end, and parts that
never end, are not believed; then the message is asked for once more, whole, and goes on where it stood.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from store.mail import Uid

from ..base import BodyChunk
from .answers import Completion
from .bodies import no_body
from .busy import refuse_if_busy
from .commands import Command
from .fetching import FetchRoom
from .rows import Row
from .wire import CHUNK_OCTETS

__all__ = ["large_body"]

CONTRADICTION = "The server contradicts itself about the octets of this message."
_PARTS_AHEAD = 4


@dataclass(slots=True)
class _Assembly:
    """One message while its parts come in."""

    uid: Uid
    part: int
    asked: int = 0
    """Octets asked for so far."""
    emitted: int = 0
    digest: blake2b = field(default_factory=blake2b)
    """Of what was emitted: a second answer has to begin with the same octets."""
    end: int | None = None
    early: dict[int, bytes] = field(default_factory=dict)
    """Parts that came before their turn, by offset."""
    doubtful: bool = False
    refused: bool = False
    nil: bool = False

    def next_command(self) -> Command:
        items = b"(UID BODY.PEEK[]<%d.%d>)" % (self.asked, self.part)
        self.asked += self.part
        return Command((b"UID FETCH", b"%d" % self.uid, items), self.part)

    def accepts(self, row: Row) -> bool:
        """Tell whether *row* is a part to keep; notes what makes the answers doubtful."""
        octets = row.remaining or len(row.octets or b"")
        if row.octets is None and not row.remaining and row.origin in (None, 0) and not self.emitted:
            self.nil = True
            return False
        expected = row.origin is not None and row.origin % self.part == 0 and row.origin < self.asked
        behind = self.end is not None and row.origin is not None and row.origin >= self.end and octets
        if not expected or octets > self.part or behind:
            self.doubtful = True
            return False
        return row.origin is not None and row.origin >= self.emitted and row.origin not in self.early


def large_body(room: FetchRoom, uid: Uid, size: int) -> Iterator[BodyChunk]:
    """Yield the octets of one message in order; see the rules of this room."""
    if size > room.limits.message_octets:
        yield _no_body(uid, 0, f"This message claims to have {size:,} octets.")
        return
    assembly = _Assembly(uid=uid, part=room.limits.part_octets)
    yield from _by_parts(room, assembly, size)
    if assembly.end is not None and not assembly.doubtful:
        yield BodyChunk(uid=uid, offset=assembly.emitted, octets=b"", last=True)
    elif assembly.nil:
        yield _no_body(uid, 0, "The server answered NIL in place of this message.")
    elif assembly.doubtful or assembly.refused:
        yield from _once_whole(room, assembly, size)
    elif assembly.emitted:
        yield _no_body(uid, assembly.emitted, "The server stopped in the middle of this message.")


def _by_parts(room: FetchRoom, assembly: _Assembly, size: int) -> Iterator[BodyChunk]:
    octets_max = 2 * size + _PARTS_AHEAD * assembly.part
    commands = deque([assembly.next_command()])
    under_way = 1
    while assembly.asked <= size:
        commands.append(assembly.next_command())
        under_way += 1
    for response in room.wire.converse(commands, ahead_octets=_PARTS_AHEAD * assembly.part):
        if isinstance(response, Row):
            if response.uid != assembly.uid or response.section != b"BODY[]" or assembly.doubtful:
                continue
            if assembly.accepts(response):
                yield from _take(room, assembly, response)
        elif isinstance(response, Completion):
            under_way -= 1
            if not response.status.ok:
                refuse_if_busy(response.status)
                assembly.refused = True
            if assembly.doubtful or assembly.refused or assembly.end is not None or assembly.nil:
                under_way -= len(commands)
                commands.clear()
            elif not under_way and assembly.emitted == assembly.asked:
                if assembly.emitted > octets_max:
                    assembly.doubtful = True  # a partial that never ends
                else:
                    commands.append(assembly.next_command())
                    under_way += 1


def _take(room: FetchRoom, assembly: _Assembly, row: Row) -> Iterator[BodyChunk]:
    """Hand on a part whose turn it is, and those that waited for it; keep one that came early."""
    start = row.origin or 0
    if start != assembly.emitted:
        assembly.early[start] = b"".join(room.wire.chunks(row)) if row.remaining else row.octets or b""
        return
    for piece in room.wire.chunks(row) if row.remaining else [row.octets or b""]:
        yield from _emit(assembly, piece)
    _close_part(assembly, start)
    while assembly.end is None and assembly.emitted in assembly.early:
        start = assembly.emitted
        yield from _emit(assembly, assembly.early.pop(start))
        _close_part(assembly, start)
    if assembly.end is not None and any(assembly.early.values()):
        assembly.doubtful = True


def _emit(assembly: _Assembly, octets: bytes) -> Iterator[BodyChunk]:
    for at in range(0, len(octets), CHUNK_OCTETS):
        piece = octets[at : at + CHUNK_OCTETS]
        assembly.digest.update(piece)
        yield BodyChunk(uid=assembly.uid, offset=assembly.emitted, octets=piece, last=False)
        assembly.emitted += len(piece)


def _close_part(assembly: _Assembly, start: int) -> None:
    if assembly.emitted - start < assembly.part:
        assembly.end = assembly.emitted


def _once_whole(room: FetchRoom, assembly: _Assembly, size: int) -> Iterator[BodyChunk]:
    """Ask for the whole message once, in one literal, and go on where the parts stopped."""
    uid = assembly.uid
    answered = False
    if size <= room.limits.literal_octets:
        command = Command((b"UID FETCH", b"%d" % uid, b"(UID BODY.PEEK[])"), size)
        for response in room.wire.converse(deque([command])):
            if isinstance(response, Row) and response.uid == uid and response.section == b"BODY[]" and not answered:
                answered = True
                yield from _rest_of_whole(room, assembly, response, size)
            elif isinstance(response, Completion):
                refuse_if_busy(response.status)
    if not answered and (assembly.doubtful or assembly.emitted):
        yield _no_body(uid, assembly.emitted, CONTRADICTION)


def _rest_of_whole(room: FetchRoom, assembly: _Assembly, row: Row, size: int) -> Iterator[BodyChunk]:
    """Yield what the parts did not bring, provided that the whole begins with what they brought."""
    uid = assembly.uid
    reason = "" if row.remaining else no_body(row.octets, size)
    begun, again = assembly.digest.digest(), blake2b()
    behind = assembly.emitted
    for piece in room.wire.chunks(row) if row.remaining else [row.octets or b""]:
        old, new = piece[:behind], piece[behind:]
        again.update(old)
        behind -= len(old)
        if not behind and again.digest() != begun:
            reason = reason or CONTRADICTION
        if not behind and not reason:
            yield from _emit(assembly, new)
    if behind or reason:
        yield _no_body(uid, assembly.emitted, reason or CONTRADICTION)
    else:
        yield BodyChunk(uid=uid, offset=assembly.emitted, octets=b"", last=True)


def _no_body(uid: Uid, offset: int, reason: str) -> BodyChunk:
    return BodyChunk(uid=uid, offset=offset, octets=None, last=True, reason=reason)
