"""A parked connection: what is said on it and what it hears, as octets and time in, octets and verdicts out.

Room: sources/imap. Pure. The way of a line, each state with what may come in it:

    CAPABILITY ──OK──> EXAMINE ──OK──> ENTERING ──+──> PARKED ──DONE──> LEAVING ──OK──> ENTERING ...

Rules (RFC 2177, RFC 9051 §6.3.13):

- A line of an answer may come in any number of pieces; it counts when its end is here.
- IDLE is left and entered again after 27 minutes (servers end it after 30), and as soon as the server was silent for
  four: who does not answer DONE within 30 seconds is gone. So a dead line is found within five minutes.
- What an answer says is not kept: EXISTS with another count, EXPUNGE, VANISHED and FETCH mean "something changed".
- Whatever is not as it has to be ends the line. A flood ends it too; it never grows what is held here.
"""

import re
import secrets
from enum import Enum

from ...errors import (
    CommandRefused,
    ConnectionLost,
    ErrorKind,
    FolderUnusable,
    LimitExceeded,
    ProtocolBroken,
    TimedOut,
    printable,
)
from . import grammar, quirks
from .answers import answers_understood
from .busy import goodbye, refuse_if_busy
from .commands import Command, LiteralStyle, String
from .grammar import Status
from .replies import capability_words

__all__ = ["ANSWER_SECONDS", "FLOOD_OCTETS", "LINE_OCTETS", "RENEW_SECONDS", "SILENCE_SECONDS", "Watch", "WatchState"]

RENEW_SECONDS = 27 * 60.0
"""Below the 29 minutes of RFC 2177."""
SILENCE_SECONDS = 240.0
"""After so long without a word the line is tried: together with the answer's time, less than five minutes."""
ANSWER_SECONDS = 30.0
LINE_OCTETS = 64_000
"""One line, or one literal. Nobody fetches anything here: honest ones are shorter than a hundred octets."""
FLOOD_OCTETS = 16_000_000
"""Between two IDLE commands: a change of the flags of 200,000 messages is less."""

_UNTAGGED = re.compile(rb"\* +(?:([0-9]{1,10}) +)?([A-Za-z][A-Za-z0-9.-]*+)(?: +|(?=\r\n))")
_STATUS_WORDS = frozenset({b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"})
_CHANGES = frozenset({b"EXPUNGE", b"VANISHED", b"FETCH"})


class WatchState(Enum):
    """Where a line stands."""

    CAPABILITY = "capability"
    """Asked what it can: before the login it told too little."""
    EXAMINE = "examine"
    ENTERING = "entering"
    """IDLE was sent, the ``+`` is not here."""
    PARKED = "parked"
    LEAVING = "leaving"
    """DONE was sent: to renew, or to see whether anybody is there."""


class Watch:
    """What is said on one line, which is logged in, about one folder. *capabilities* None: they are asked for.

    ``out`` is what is to be sent; whoever sends it takes it away. Raises CommandRefused when the server cannot IDLE,
    FolderUnusable for a name that cannot be asked for without waiting.
    """

    def __init__(
        self, folder: bytes, capabilities: frozenset[str] | None, *, now: float, answer_seconds: float
    ) -> None:
        self.out = bytearray()
        self.state = WatchState.CAPABILITY
        self.due = now
        """When ``tick`` is wanted, in the seconds of *now*."""
        self._folder = folder
        self._answer_seconds = answer_seconds
        self._prefix = b"P" + secrets.token_hex(4).upper().encode() + b"-"
        self._sent = 0
        self._tag = b""
        self._capabilities = capabilities
        self._exists: int | None = None
        self._line = bytearray()
        self._literal = 0
        """Octets of a literal that are still to be passed over."""
        self._octets = 0
        """Heard since the last IDLE."""
        self._entered_at = now
        if capabilities is None:
            self._say(WatchState.CAPABILITY, b"CAPABILITY", now)
        else:
            self._examine(now)

    @property
    def parked(self) -> bool:
        """True once the server tells by itself, and while it is only asked whether it is there."""
        return self.state in (WatchState.PARKED, WatchState.LEAVING)

    def heard(self, octets: bytes, now: float) -> bool:
        """Take what came; return whether it says that something in the folder changed.

        Raises what ended the line: see ``sources.parking``.
        """
        self._octets += len(octets)
        if self._octets > FLOOD_OCTETS:
            raise LimitExceeded(f"The server sent more than {FLOOD_OCTETS:,} octets to a connection that only listens.")
        changed, at = False, 0
        with answers_understood():
            while at < len(octets):
                if self._literal:
                    passed = min(self._literal, len(octets) - at)
                    self._literal, at = self._literal - passed, at + passed
                    continue
                end = octets.find(b"\n", at) + 1
                self._line += octets[at : end or len(octets)]
                if len(self._line) > LINE_OCTETS:
                    raise LimitExceeded(f"The server sent a line of more than {LINE_OCTETS:,} octets.")
                if not end:
                    break
                at = end
                changed = self._piece(now) or changed
        if self.state is WatchState.PARKED:
            self._rest(now)
        return changed

    def tick(self, now: float) -> None:
        """Let time pass: leave IDLE to renew it or to try the line. Raises TimedOut when an answer is overdue."""
        if now < self.due:
            return
        if self.state is not WatchState.PARKED:
            raise TimedOut("The server does not answer on a connection that watches a folder.")
        self.state = WatchState.LEAVING
        self.out += b"DONE\r\n"
        self.due = now + ANSWER_SECONDS

    def prove(self, now: float) -> None:
        """Let the next ``tick`` try the line, whatever was heard of it."""
        if self.state is WatchState.PARKED:
            self.due = now

    def farewell(self) -> bytes:
        """Return what ends the line politely from wherever it stands; nothing is said afterwards."""
        done = b"DONE\r\n" if self.state is WatchState.PARKED else b""
        return done + self._prefix + b"%d LOGOUT\r\n" % (self._sent + 1)

    # -- out ------------------------------------------------------------------------------------------

    def _examine(self, now: float) -> None:
        known = self._capabilities or frozenset()
        if not known & {"IDLE", "IMAP4REV2"}:
            raise CommandRefused("The server does not tell by itself what changes (it has no IDLE, RFC 2177).")
        segments = Command((b"EXAMINE", String(self._folder))).segments(b"", LiteralStyle.WAITING)
        if len(segments) > 1 or not isinstance(segments[0], bytes):
            raise FolderUnusable("A folder with this name cannot be watched.", folder=printable(self._folder))
        self._say(WatchState.EXAMINE, segments[0].strip(), now)

    def _say(self, state: WatchState, command: bytes, now: float) -> None:
        self._sent += 1
        self._tag = self._prefix + b"%d" % self._sent
        self.out += self._tag + b" " + command + b"\r\n"
        self.state, self.due = state, now + self._answer_seconds

    def _enter(self, now: float) -> None:
        self._octets = 0
        self._say(WatchState.ENTERING, b"IDLE", now)

    def _rest(self, now: float) -> None:
        self.due = min(self._entered_at + RENEW_SECONDS, now + SILENCE_SECONDS)

    # -- in -------------------------------------------------------------------------------------------

    def _piece(self, now: float) -> bool:
        """Take one line, or the part of one that ends in a literal."""
        line = bytes(self._line)
        count = grammar.literal_octets(line)
        if count is not None:
            if count > LINE_OCTETS:
                raise LimitExceeded(f"The server sent a literal of {count:,} octets where none belongs.")
            # Its octets say nothing to us, but must not be taken for lines.
            self._literal = count
            del self._line[line.rindex(b"{") :]
            return False
        self._line.clear()
        return self._understand(line, now)

    def _understand(self, line: bytes, now: float) -> bool:
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise ProtocolBroken("The server ends its lines in a way that IMAP does not know.")
        if line == b"\r\n":
            return False
        if line.startswith(b"+"):
            if self.state is not WatchState.ENTERING:
                raise ProtocolBroken("The server waits for something that was not announced.")
            self.state, self._entered_at = WatchState.PARKED, now
            return False
        if line.startswith(self._prefix):
            self._completed(line, now)
            return False
        match = _UNTAGGED.match(line)
        if match is None:
            raise ProtocolBroken("The server answered a command that nobody sent, or not in IMAP.", server_text=line)
        word = match[2].upper()
        if word in _STATUS_WORDS:
            told = grammar.status(line[match.start(2) : -2])
            if told.word == b"BYE":
                raise goodbye(told)
            return False
        if word == b"CAPABILITY":
            self._capabilities = capability_words(line[match.end() : -2])
        if word == b"EXISTS" and match[1] is not None:
            before, self._exists = self._exists, int(match[1])
            return before is not None and before != self._exists
        if word in _CHANGES:
            if word == b"EXPUNGE" and self._exists:
                self._exists -= 1
            return self.state is not WatchState.EXAMINE
        return False

    def _completed(self, line: bytes, now: float) -> None:
        tag, _, rest = line[:-2].partition(b" ")
        if tag != self._tag:
            raise ProtocolBroken("The server completed a command that is not under way.")
        told = grammar.status(rest, tagged=True)
        match self.state:
            case WatchState.CAPABILITY if told.ok:
                self._examine(now)
            case WatchState.EXAMINE if told.ok:
                self._enter(now)
            case WatchState.LEAVING if told.ok:
                self._enter(now)
            case WatchState.EXAMINE:
                refuse_if_busy(told, about_folder=True)
                gone = quirks.folder_is_gone(told)
                raise FolderUnusable(
                    "The server does not open the folder that was to be watched.",
                    kind=ErrorKind.FOLDER_GONE if gone else None,
                    folder=printable(self._folder),
                    server_text=told.text,
                )
            case WatchState.ENTERING | WatchState.CAPABILITY:
                refuse_if_busy(told)
                raise _refused(told)
            case WatchState.PARKED | WatchState.LEAVING:
                refuse_if_busy(told)
                raise ConnectionLost("The server ended by itself what it was to tell.", server_text=told.text)


def _refused(told: Status) -> CommandRefused:
    return CommandRefused(
        "The server says that it tells by itself what changes (IDLE), and refuses to.", server_text=told.text
    )
