"""The house behind the door: every command and every answer of a session, in the order in which they come.

Room: sources/imap. One thread owns a wire. Rules (RFC 9051 §5.5, §7):

- Any *outstanding* tag may complete, in any order; a completion of another tag, a continuation that nobody waits for,
  and an answer that is no IMAP end the connection.
- A batch of commands leaves in one ``send``; what is unanswered stays below ``Limits.unanswered_octets``, where a
  message that is sent does not count: a server reads it as it comes.
- A literal of up to ``CHUNK_OCTETS`` is read with its row; a larger one is streamed by ``chunks`` and never held whole.
- Each cap of ``Limits`` ends in LimitExceeded before memory is spent. Deadlines are total: ``command_seconds``, longer
  by what was announced at ``octets_per_second``; the time in which we do not read does not count.
- Whatever goes wrong in here ends the connection: a late answer would be taken for the next command's.
"""

import logging
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from ...channel import Channel
from ...errors import (
    ConnectionLost,
    InvalidRequest,
    LimitExceeded,
    ProtocolBroken,
    ProviderError,
    SourceError,
    printable,
)
from ...limits import Limits
from . import grammar
from .answers import Completion, Line, Reply, Response, answers_understood
from .busy import goodbye
from .commands import Command, LiteralStyle, Streamed, waits
from .grammar import Status
from .pace import Pace
from .rows import Row, ends_in_section, row_of_items, usual_row

__all__ = ["CHUNK_OCTETS", "Wire"]

log = logging.getLogger(__name__)

CHUNK_OCTETS = 256 * 1024
_ODD_ROWS_MAX = 1
_GOODBYE_SECONDS = 1.0
_UNTAGGED = re.compile(rb"\* +(?:([0-9]{1,10}) +)?([A-Za-z][A-Za-z0-9.-]*+)(?: +|(?=\r\n))")
_STATUS_WORDS = frozenset({b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"})


class Wire:
    """Commands out, answers in, over a channel that is logged in. ``observer`` sees each line and status first."""

    def __init__(self, channel: Channel, *, limits: Limits, observer: Callable[[Line | Status], None]) -> None:
        self._channel = channel
        self._limits = limits
        self._observer = observer
        self.style = LiteralStyle.WAITING
        # imaplib's tags begin with A to P: ours cannot be mistaken for the door's.
        self._prefix = b"W" + secrets.token_hex(2).upper().encode() + b"-"
        self._sent = 0
        self._outstanding: dict[bytes, Command] = {}
        self._unanswered: dict[bytes, int] = {}
        self._early: deque[Response] = deque()
        self._row: Row | None = None
        self._rows = 0
        self._odd_rows = 0
        self._remarks: set[str] = set()
        self._pace = Pace(channel, limits)
        self._dead = False

    def asks(self, tag: bytes) -> bool:
        """Tell whether a command with that tag is under way (ESEARCH answers name one, RFC 4731 §3.1)."""
        return tag in self._outstanding

    def run(self, *commands: Command) -> Reply:
        """Send commands with small answers and return all that came. NO and BAD are endings, not errors."""
        lines: list[Line | Status | Row] = []
        endings: dict[Command, Status] = {}
        for response in self.converse(deque(commands)):
            if isinstance(response, Completion):
                endings[response.command] = response.status
            else:
                lines.append(response)
        return Reply(lines=tuple(lines), endings=endings)

    def converse(self, commands: deque[Command], *, ahead_octets: int = 1_000_000) -> Iterator[Response]:
        """Send *commands* as room allows and yield every answer in order, until all are completed.

        *commands* may be added to whenever a Completion was yielded. No more than *ahead_octets* of expected answers
        are under way (but one command always is). Raises InvalidRequest for a command that is too long, before it is
        sent; all other errors end the connection, and so does leaving the iterator in the middle.
        """
        if self._dead:
            raise ConnectionLost("This connection was given up after an earlier fault.")
        try:
            with answers_understood():
                while True:
                    self._fill(commands, ahead_octets)
                    if not self._outstanding and not self._early:
                        return
                    while not isinstance(response := self._next(), Completion):
                        yield response
                    yield response
        finally:
            if self._outstanding or self._early or self._row is not None:
                self.give_up()

    def chunks(self, row: Row) -> Iterator[bytes]:
        """Yield the octets of *row* that are still to come, in pieces of up to 256 kB, and read the row's end.

        The last piece is yielded before the row's end was read: it counts only when the iterator ends without an error.
        """
        try:
            with answers_understood():
                while row.remaining:
                    self._pace.wake()
                    piece = self._channel.read(min(row.remaining, CHUNK_OCTETS))
                    row.remaining -= len(piece)
                    self._pace.leave()
                    yield piece
                if self._row is row:
                    self._pace.wake()
                    self._read_end(row)
                    self._row = None
                    self._pace.leave()
        except Exception:
            self.give_up()
            raise

    def close(self) -> None:
        """Say LOGOUT, wait a second at most for the answer, close. Never raises."""
        if not self._dead and not self._outstanding:
            with suppress(ProviderError, OSError):
                self._channel.deadline(_GOODBYE_SECONDS)
                self._channel.send(self._prefix + b"%d LOGOUT\r\n" % (self._sent + 1))
                while self._channel.readline().startswith(b"*"):
                    continue
        self.give_up()

    def give_up(self) -> None:
        """End the connection without a word: what comes on it is not to be trusted, or nobody waits for it."""
        self._dead = True
        self._channel.close()

    # -- out ------------------------------------------------------------------------------------------

    def _fill(self, commands: deque[Command], ahead_octets: int) -> None:
        batch = bytearray()
        expected = sum(command.expected_octets for command in self._outstanding.values())
        waiting = sum(self._unanswered.values())
        while commands:
            tag = self._prefix + b"%d" % (self._sent + 1)
            segments = commands[0].segments(tag, self.style)
            octets = sum(len(segment) for segment in segments if isinstance(segment, bytes))
            if octets > self._limits.command_octets + len(tag):
                raise InvalidRequest(f"A command of {octets:,} octets is longer than servers accept.")
            if self._outstanding and (
                waiting + octets > self._limits.unanswered_octets
                or expected + commands[0].expected_octets > ahead_octets
            ):
                break
            command = commands.popleft()
            if not self._outstanding:
                self._pace.start(command.expected_octets)
            self._sent += 1
            self._outstanding[tag], self._unanswered[tag] = command, octets
            expected, waiting = expected + command.expected_octets, waiting + octets
            if log.isEnabledFor(logging.DEBUG) and isinstance(segments[0], bytes):
                log.debug("C: %s", printable(segments[0]))
            self._put(batch, tag, segments)
        self._flush(batch)

    def _put(self, batch: bytearray, tag: bytes, segments: Sequence[bytes | Streamed]) -> None:
        """Add a command to *batch*, which is sent as far as the server has to ask for more, and when it gets long."""
        for segment in segments:
            if isinstance(segment, Streamed):
                self._pace.announce(segment.size)
                for piece in segment.pieces():
                    batch += piece
                    if len(batch) >= CHUNK_OCTETS:
                        self._flush(batch)
                continue
            batch += segment
            if waits(segment):
                self._flush(batch)
                if not self._may_go_on(tag):
                    return  # refused before its end

    def _flush(self, batch: bytearray) -> None:
        if batch:
            self._channel.send(bytes(batch))
            batch.clear()

    def _may_go_on(self, tag: bytes) -> bool:
        """Read until the server asks for the rest of a command, or refuses it: False."""
        while not (line := self._channel.readline()).startswith(b"+"):
            response = self._understand(line)
            if response is not None:
                if isinstance(response, Row) and response.remaining:
                    raise ProtocolBroken("The server sent mail where it had to ask for the rest of a command.")
                self._early.append(response)
            if tag not in self._outstanding:
                return False
        return True

    # -- in -------------------------------------------------------------------------------------------

    def _next(self) -> Response:
        if self._row is not None:
            for _ in self.chunks(self._row):
                continue
        if self._early:
            return self._early.popleft()
        self._pace.wake()
        while True:
            response = self._understand(self._channel.readline())
            if response is not None:
                self._pace.leave()
                return response

    def _understand(self, line: bytes) -> Response | None:
        """Return what *line* (and the literals behind it) says; None for an empty line, which some servers add."""
        if log.isEnabledFor(logging.DEBUG):
            log.debug("S: %s", printable(re.sub(rb'"[^"]*"', b'""', line[:400])))
        usual = usual_row(line)
        if usual is not None:
            self._count()
            return self._usual_row(*usual)
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise ProtocolBroken("The server ends its lines in a way that IMAP does not know.")
        if line.startswith(self._prefix):
            return self._completion(line)
        self._count()
        if line == b"\r\n":
            return None
        match = _UNTAGGED.match(line)
        if match is None:
            raise ProtocolBroken(
                "The server answered a command that nobody sent, or not in IMAP.", server_text=line[:200]
            )
        word = match[2].upper()
        if word in _STATUS_WORDS:
            return self._untagged_status(line[match.start(2) : -2])
        if word == b"FETCH" and match[1] is not None:
            return self._tolerant_row(int(match[1]), line[match.end() :])
        parts, name = self._parts(line[match.end() :], mail=False)
        if name is not None:
            raise LimitExceeded("The server sent a very large literal where none belongs.")
        found = Line(word=word, number=None if match[1] is None else int(match[1]), parts=tuple(parts))
        self._observer(found)
        return found

    def _completion(self, line: bytes) -> Completion:
        tag, _, rest = line[:-2].partition(b" ")
        command = self._outstanding.get(tag)
        if command is None:
            raise ProtocolBroken("The server completed a command that is not under way.")
        told = grammar.status(rest, tagged=True)
        if told.word not in (b"OK", b"NO", b"BAD"):
            raise ProtocolBroken("The server completed a command with a word that completes nothing.")
        del self._outstanding[tag], self._unanswered[tag]
        self._rows = 0
        if self._outstanding:
            self._pace.start(next(iter(self._outstanding.values())).expected_octets)
        return Completion(command=command, status=told)

    def _untagged_status(self, octets: bytes) -> Status:
        told = grammar.status(octets)
        if told.word == b"BYE":
            raise goodbye(told)
        self._observer(told)
        return told

    def _usual_row(self, row: Row, count: int) -> Row:
        self._check_odd(row)
        if count < 0:
            return row
        self._announced(count, row)
        row.remaining = count
        if count > CHUNK_OCTETS:
            self._row = row
            return row
        try:
            row.octets = self._channel.read(count)
            row.remaining = 0
            self._read_end(row)
        except SourceError as error:
            error.uid = row.uid  # what breaks here again and again is to be left out
            raise
        return row

    def _tolerant_row(self, number: int, first: bytes) -> Row:
        parts, large = self._parts(first, mail=True)
        found = grammar.values(parts, nesting=self._limits.nesting, unfinished=large is not None)
        items = found[0] if found else None
        if not isinstance(items, list):
            raise ProtocolBroken("A FETCH row has no items.")
        if len(found) > 1:
            self._remark("The server sends junk behind its FETCH rows; it is read over.")
        if large is None:
            row = row_of_items(number, items)
        else:
            row = row_of_items(number, [*items, b""])
            row.octets, row.remaining = None, large
            self._row = row
        self._check_odd(row)
        return row

    def _read_end(self, row: Row) -> None:
        """Read what follows a body literal: usually one bracket, sometimes more items."""
        line = self._channel.readline()
        if line == b")\r\n":
            return
        if line == b"\r\n":
            self._remark("The server adds an empty line behind a literal; it is read over.")
            line = self._channel.readline()
        if not line.endswith(b"\r\n") or line[:1] not in b" )":
            raise ProtocolBroken("A literal is longer than the server announced.", uid=row.uid)
        octets, origin, section = row.octets, row.origin, row.section
        parts, large = self._parts(b"(" + line, mail=True)
        if large is not None:
            raise LimitExceeded("The server sent two large literals in one row.", uid=row.uid)
        items = grammar.values(parts, nesting=self._limits.nesting)[0]
        if not isinstance(items, list):
            raise ProtocolBroken("A FETCH row does not end as it has to.", uid=row.uid)
        row_of_items(row.number, items, row)
        row.octets, row.origin, row.section = octets, origin, section
        self._check_odd(row)

    def _parts(self, text: bytes, *, mail: bool) -> tuple[list[bytes], int | None]:
        """Return text and literals in turn; stops behind a large literal of *mail*, whose count it returns."""
        parts: list[bytes] = []
        total = 0
        while (count := grammar.literal_octets(text)) is not None:
            text = text[: text.rindex(b"{")]
            parts.append(text)
            self._announced(count, None)
            if count > CHUNK_OCTETS:
                if mail and ends_in_section(text):
                    return parts, count
                raise LimitExceeded(f"The server sent a literal of {count:,} octets where none belongs.")
            total += count + len(text)
            if total > self._limits.line_octets + CHUNK_OCTETS:
                raise LimitExceeded("One answer of the server holds too many literals.")
            parts.append(self._channel.read(count))
            text = self._channel.readline()
            if not text.endswith(b"\r\n"):
                raise ProtocolBroken("The server ends its lines in a way that IMAP does not know.")
        parts.append(text[:-2])
        return parts, None

    # -- caps ------------------------------------------------------------------------------------------

    def _count(self) -> None:
        self._rows += 1
        if self._rows > self._limits.untagged_rows:
            raise LimitExceeded(f"The server sent more than {self._limits.untagged_rows:,} answers to one command.")

    def _remark(self, text: str) -> None:
        if text not in self._remarks:
            self._remarks.add(text)
            log.warning("%s", text)

    def _check_odd(self, row: Row) -> None:
        if row.odd:
            self._odd_rows += 1
            if self._odd_rows > _ODD_ROWS_MAX:
                raise ProtocolBroken("The server names messages by numbers that IMAP does not have.")

    def _announced(self, count: int, row: Row | None) -> None:
        if count > self._limits.literal_octets:
            raise LimitExceeded(
                f"The server announced a literal of {count:,} octets; the cap is {self._limits.literal_octets:,}.",
                uid=None if row is None else row.uid,
            )
        self._pace.announce(count)
