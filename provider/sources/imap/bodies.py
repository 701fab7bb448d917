"""Whole messages in groups, as a stream of chunks; the very large ones come in ``parts``.

Room: sources/imap. Groups are pipelined as far as ``Limits.queue_octets`` allows. Rules: the last chunk of a message
leaves only after its row was read to its end, so that what is closed is whole; ``{0}`` and NIL for a message that has a
size are no body. A refused group is halved down to the message that cannot be given; that one does not come.
RFC 9051 §6.4.5, §7.5.2.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from store.mail import Uid, UidSet

from ..base import BodyChunk, BodyWanted
from .answers import Completion
from .busy import refuse_if_busy
from .commands import Command
from .fetching import FetchRoom, halves
from .rows import Row
from .searching import SET_OCTETS
from .wire import CHUNK_OCTETS

__all__ = ["grouped", "no_body", "small_bodies", "whole_body", "whole_command"]

_GROUP_OCTETS = 1_000_000
_GROUP_MESSAGES = 200


def small_bodies(room: FetchRoom, wanted: Sequence[BodyWanted]) -> Iterator[BodyChunk]:
    """Yield the octets of *wanted*, in groups."""
    size_by_uid = {one.uid: one.size for one in wanted}
    asked = {whole_command(uids, size_by_uid): uids for uids in grouped(wanted)}
    commands = deque(asked)
    open_uids = {one.uid for one in wanted}
    done: set[Uid] = set()
    for response in room.wire.converse(commands, ahead_octets=room.limits.queue_octets):
        if isinstance(response, Row):
            uid = response.uid
            if response.section != b"BODY[]" or response.origin is not None:
                continue
            if uid is None and response.remaining and response.remaining <= room.limits.whole_octets:
                # The UID may come behind the literal; until then nobody knows whose octets these are.
                response.octets = b"".join(room.wire.chunks(response))
                uid = response.uid
            if uid is not None and uid in open_uids and uid not in done:
                done.add(uid)
                yield from whole_body(room, response, uid, size_by_uid[uid])
        elif isinstance(response, Completion):
            part = asked.pop(response.command)
            if not response.status.ok:
                refuse_if_busy(response.status)
                for half in halves(part, done):
                    command = whole_command(half, size_by_uid)
                    asked[command] = half
                    commands.append(command)


def whole_command(uids: UidSet, size_by_uid: dict[Uid, int | None]) -> Command:
    octets = sum(size_by_uid.get(uid) or 0 for uid in uids)
    return Command((b"UID FETCH", str(uids).encode(), b"(UID BODY.PEEK[])"), octets)


def grouped(wanted: Sequence[BodyWanted]) -> Iterator[UidSet]:
    """Yield groups in the order of *wanted*: bounded in octets, messages, and the length of the command."""
    group: list[Uid] = []
    octets = 0
    for one in wanted:
        size = one.size if one.size is not None else _GROUP_OCTETS
        if group and (octets + size > _GROUP_OCTETS or len(group) >= _GROUP_MESSAGES):
            yield from UidSet(group).split(SET_OCTETS)
            group, octets = [], 0
        group.append(one.uid)
        octets += size
    if group:
        yield from UidSet(group).split(SET_OCTETS)


def whole_body(room: FetchRoom, row: Row, uid: Uid, size: int | None) -> Iterator[BodyChunk]:
    """Yield the chunks of one whole literal."""
    if not row.remaining:
        reason = no_body(row.octets, size)
        yield from _cut(uid, None if reason else row.octets, reason)
        return
    held: BodyChunk | None = None
    end = 0
    for piece in room.wire.chunks(row):
        if held is not None:
            yield held
        held = BodyChunk(uid=uid, offset=end, octets=piece, last=False)
        end += len(piece)
    if held is not None:
        yield BodyChunk(uid=uid, offset=held.offset, octets=held.octets, last=True)


def no_body(octets: bytes | None, size: int | None) -> str:
    """Return why *octets* cannot be a message of that size; empty when they can."""
    if octets is None:
        return "The server answered NIL in place of this message."
    return "The server answered nothing in place of this message." if not octets and size else ""


def _cut(uid: Uid, octets: bytes | None, reason: str) -> Iterator[BodyChunk]:
    offset = 0
    while octets is not None and len(octets) > CHUNK_OCTETS:
        yield BodyChunk(uid=uid, offset=offset, octets=octets[:CHUNK_OCTETS], last=False)
        offset, octets = offset + CHUNK_OCTETS, octets[CHUNK_OCTETS:]
    yield BodyChunk(uid=uid, offset=offset, octets=octets, last=True, reason=reason)
