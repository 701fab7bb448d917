"""Many folders without a wait between them: EXAMINE and FETCH of one folder behind those of the one before.

Room: sources/imap. Rules (measured on Dovecot):

- An EXAMINE waits for everything before it, so an answer belongs to the first folder whose commands are not all
  completed; a completion that would jump that border is a fault. What the server says between two folders is cut off
  by ``[CLOSED]`` (RFC 7162 §3.2.11) or by an UNSELECT of ours. Where neither is known, the first folder is visited
  alone: if the server calls it READ-ONLY, CLOSE is the border; if not, there is no tour.
- FETCH rides behind its EXAMINE; its rows are handed on only where UIDVALIDITY is the one they were asked for. Dovecot
  completes a FETCH late when more commands wait: rows that come while a change report is still open are held.
- Flags and a search that ride along prove only what they would prove one by one: the search counts when it was accepted
  and tells no fewer messages than there are.
- Commands are taken from the legs as room allows: something is always under way, so a tour is one flight.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field

from store.mail import Uid, UidSet

from ...errors import IncompleteAnswer, ProtocolBroken, SourceError, printable
from ..base import FlagRow, HeaderRow, Opened
from ..legs import Leg, LegBody, LegEnded, LegEvent, LegExisting, LegFlags, LegHeader, LegOpened
from .answers import Completion, Line
from .bodies import grouped, whole_body, whole_command
from .busy import refuse_if_busy
from .changes import Attempt, View, attempt, leaving, marks_borders, opened_by, refusal
from .commands import Command
from .fetching import FetchRoom, flag_commands, header_block, summary_items, summary_of
from .listing import Abilities
from .rows import Row
from .searching import all_uids, found_by

__all__ = ["tour"]

HEADER_OCTETS = 4_000
COMMANDS_AHEAD = 64


@dataclass(slots=True, eq=False)
class _Stage:
    """One folder on its way: its commands, and what came of them."""

    leg: Leg
    room: FetchRoom
    opening: Attempt
    search: Command | None
    fetches: list[Command]
    left: set[Command] = field(default_factory=set)
    opened: Opened | None = None
    error: SourceError | None = None
    done: set[Uid] = field(default_factory=set)
    found: UidSet | None = None
    searched: bool = False
    """Whether the search was accepted."""
    early: deque[Row] = field(default_factory=deque)
    early_octets: int = 0

    def hold(self, row: Row) -> None:
        """Keep a row for when the folder is known to be open; beyond the queue's octets it counts as refused."""
        self.early_octets += row.remaining or len(row.octets or b"")
        if self.early_octets > self.room.limits.queue_octets:
            self.error = self.error or IncompleteAnswer(
                "Mail came before the server had told what changed.", folder=printable(self.leg.name)
            )
            return
        if row.remaining:
            row.octets = b"".join(self.room.wire.chunks(row))
        self.early.append(row)

    def commands(self) -> list[Command]:
        search = [self.search] if self.search is not None else []
        return [*self.opening.leave, self.opening.examine, *self.opening.deltas, *search, *self.fetches]


def tour(
    room_of: Callable[[View], FetchRoom], abilities: Abilities, legs: Iterable[Leg], before: View | None, at: "At"
) -> Generator[LegEvent, None, View | None]:
    """Visit *legs*; *before* is the folder that is open now, *at* hears whose answers come next.

    Returns the folder that is open on the server in the end.
    """
    ahead: deque[_Stage] = deque()
    commands: deque[Command] = deque()
    rest = iter(legs)
    last = before

    def top_up() -> None:
        nonlocal last
        while len(commands) < COMMANDS_AHEAD:
            if last is not None and not _has_border(abilities):
                return
            leg = next(rest, None)
            if leg is None:
                return
            stage = _stage(room_of(View(leg.name)), leg, last)
            last = stage.room.view
            ahead.append(stage)
            commands.extend(stage.commands())

    top_up()
    if not ahead:
        yield from (LegEnded(leg) for leg in rest)
        return last
    first = ahead[0].room
    at(first.view)
    for response in first.wire.converse(commands, ahead_octets=first.limits.queue_octets):
        stage = ahead[0]
        if isinstance(response, Row):
            yield from _row(stage, response)
        elif isinstance(response, Line):
            _line(stage, response)
        elif isinstance(response, Completion):
            if response.command not in stage.left:
                raise ProtocolBroken("The server answered about one folder while another one was open.")
            yield from _completed(stage, response)
            if not stage.left:
                ahead.popleft()
                yield LegEnded(stage.leg, stage.error)
                top_up()
                at(ahead[0].room.view if ahead else None)
    yield from (LegEnded(leg) for leg in rest)
    return last


def _has_border(abilities: Abilities) -> bool:
    return marks_borders(abilities) or abilities.can("UNSELECT") or abilities.examines


At = Callable[[View | None], None]


def _stage(room: FetchRoom, leg: Leg, before: View | None) -> _Stage:
    fetches = flag_commands(leg.flags)
    if leg.headers:
        items = b"(%b BODY.PEEK[HEADER])" % summary_items(room)
        fetches.append(Command((b"UID FETCH", str(leg.headers).encode(), items), HEADER_OCTETS * leg.messages))
    sizes = {one.uid: one.size for one in leg.bodies}
    fetches.extend(whole_command(group, sizes) for group in grouped(leg.bodies))
    opening = attempt(room.abilities, leg.name, leg.known, leaving(before, room.abilities, implicit=True))
    told = room.abilities.qresync and leg.known is not None and leg.known.mod_seq is not None
    search = all_uids(room.abilities) if leg.existing and not told else None
    stage = _Stage(leg=leg, room=room, opening=opening, search=search, fetches=fetches)
    stage.left.update(stage.commands())
    return stage


def _row(stage: _Stage, row: Row) -> Iterator[LegEvent]:
    leg, uid = stage.leg, row.uid
    if stage.opened is None:
        if row.section is None:
            stage.room.view.note_row(row)
        else:
            stage.hold(row)
        return
    if uid is None or uid in stage.done or stage.opened.epoch != leg.epoch:
        return  # the wire reads over what is still to come of it
    if row.section == b"BODY[HEADER]" and uid in leg.headers:
        summary = summary_of(row, uid)
        if summary is not None:
            stage.done.add(uid)
            yield LegHeader(leg, HeaderRow(uid=uid, block=header_block(stage.room, row, uid), summary=summary))
    elif row.section == b"BODY[]" and row.origin is None:
        size = next((one.size for one in leg.bodies if one.uid == uid), -1)
        if size != -1:
            stage.done.add(uid)
            for chunk in whole_body(stage.room, row, uid, size):
                yield LegBody(leg, chunk)
    elif row.section is None and row.flags is not None and uid in leg.flags:
        yield LegFlags(leg, FlagRow(uid=uid, flags=row.flags, mod_seq=row.mod_seq))


def _line(stage: _Stage, line: Line) -> None:
    if stage.search is not None and stage.search in stage.left:
        uids = found_by(line, stage.room.wire)
        if uids is not None:
            stage.found = uids if stage.found is None else stage.found | uids


def _completed(stage: _Stage, response: Completion) -> Iterator[LegEvent]:
    command, status, opening, view = response.command, response.status, stage.opening, stage.room.view
    stage.left.discard(command)
    if not status.ok:
        refuse_if_busy(status, about_folder=command is stage.opening.examine)
    if command is opening.examine:
        opening.ending = status
        view.settled, opening.messages = status.ok, view.exists or 0
        view.read_only = status.ok and status.code == b"READ-ONLY"
        stage.room.abilities.examines |= view.read_only
        if not status.ok:
            stage.error = refusal(stage.leg.name, status)
    elif command in opening.deltas:
        opening.deltas_ok = opening.deltas_ok and status.ok
    elif command in opening.leave:
        view.begin()
    elif command is stage.search and status.ok:
        stage.searched = True
    elif not status.ok and stage.error is None:
        stage.error = IncompleteAnswer(
            "The server refused a part of what was asked for.",
            folder=printable(stage.leg.name),
            server_text=status.text,
        )
    waiting = opening.examine in stage.left or any(delta in stage.left for delta in opening.deltas)
    if stage.opened is None and not waiting and opening.ending is not None and opening.ending.ok:
        stage.opened = opened_by(stage.room.abilities, view, opening, stage.leg.known)
        yield LegOpened(stage.leg, stage.opened)
        while stage.early:
            yield from _row(stage, stage.early.popleft())
    if stage.searched and stage.opened is not None and stage.opened.epoch == stage.leg.epoch:
        stage.searched = False
        # Fewer than there are prove nothing: then it is as if it had not been asked.
        if stage.found is not None and len(stage.found) >= min(opening.messages, view.exists or 0):
            yield LegExisting(stage.leg, stage.found)
