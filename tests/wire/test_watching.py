"""A parked connection, octets and time in, octets and verdicts out: row 79 of the hostile servers, and M9."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from provider.errors import (
    CommandRefused,
    ConnectionLost,
    ErrorKind,
    FolderUnusable,
    LimitExceeded,
    ProtocolBroken,
    ProviderError,
    ServerBusy,
    TimedOut,
    TooManyConnections,
)
from provider.sources.imap.watching import (
    ANSWER_SECONDS,
    FLOOD_OCTETS,
    LINE_OCTETS,
    RENEW_SECONDS,
    SILENCE_SECONDS,
    Watch,
    WatchState,
)

CAN = frozenset({"IMAP4REV1", "IDLE"})
ANSWER = 60.0
EXAMINED = b"* 3 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1] ok\r\n%b OK [READ-ONLY] done\r\n"


class Line:
    """A watch, a clock, and what was sent last."""

    def __init__(self, capabilities: frozenset[str] | None = CAN, folder: bytes = b"INBOX") -> None:
        self.now = 0.0
        self.watch = Watch(folder, capabilities, now=0.0, answer_seconds=ANSWER)
        self.tag = b""

    def said(self) -> bytes:
        """Return the command that was sent, without its tag."""
        octets = bytes(self.watch.out)
        self.watch.out.clear()
        self.tag, blank, rest = octets.partition(b" ")
        return rest if blank else octets

    def hears(self, octets: bytes) -> bool:
        return self.watch.heard(octets.replace(b"%b", self.tag), self.now)

    def after(self, seconds: float) -> bytes:
        self.now += seconds
        self.watch.tick(self.now)
        return self.said()

    def park(self) -> Line:
        assert self.said() == b'EXAMINE "INBOX"\r\n'
        self.hears(EXAMINED)
        assert self.said() == b"IDLE\r\n"
        self.hears(b"+ idling\r\n")
        assert self.watch.parked
        return self


CHANGES = {
    "new mail": b"* 4 EXISTS\r\n* 1 RECENT\r\n",
    "fewer": b"* 2 EXISTS\r\n",
    "expunged": b"* 1 EXPUNGE\r\n",
    "vanished": b"* VANISHED 1:2\r\n",
    "flags": b"* 2 FETCH (FLAGS (\\Seen))\r\n",
    "small letters": b"* 2 fetch (FLAGS (\\Seen))\r\n",
    "flags with a literal": b"* 2 FETCH (X {3}\r\nabc FLAGS ())\r\n",
}
SILENT = {
    "still here": b"* OK Still here\r\n",
    "alert": b"* OK [ALERT] down at noon\r\n",
    "the same count": b"* 3 EXISTS\r\n",
    "recent": b"* 1 RECENT\r\n",
    "an empty line": b"\r\n",
    "a word that nobody knows": b"* XNOTE hello\r\n",
    "a literal that looks like mail": b"* XNOTE {14}\r\n* 9 EXISTS\r\n\r\n\r\n",
}


@pytest.mark.parametrize("octets", CHANGES.values(), ids=CHANGES)
def test_what_changes_the_folder_is_a_change(octets: bytes) -> None:
    assert Line().park().hears(octets)


@pytest.mark.parametrize("octets", SILENT.values(), ids=SILENT)
def test_what_changes_nothing_is_none(octets: bytes) -> None:
    assert not Line().park().hears(octets)


def test_one_that_goes_and_one_that_comes_are_two_changes() -> None:
    line = Line().park()
    assert [line.hears(b"* 3 EXPUNGE\r\n"), line.hears(b"* 3 EXISTS\r\n"), line.hears(b"* 3 EXISTS\r\n")] == [
        True,
        True,
        False,
    ]


def test_a_change_while_idle_is_renewed_is_heard() -> None:
    line = Line().park()
    assert line.after(SILENCE_SECONDS) == b"DONE\r\n"
    line.tag = line.watch._tag
    assert line.hears(b"* 5 EXISTS\r\n%b OK Idle completed\r\n")
    assert line.said() == b"IDLE\r\n"
    assert line.hears(b"* 6 EXISTS\r\n")
    line.hears(b"+\r\n")
    assert line.watch.state is WatchState.PARKED


def test_row_79_a_whole_conversation_cut_at_every_octet_means_the_same() -> None:
    script = [EXAMINED, b"+ idling\r\n", b"* OK Still here\r\n* 4 EXISTS\r\n", b"* 2 FETCH (X {5}\r\na\r\nbc)\r\n"]
    whole = b"".join(script)
    for cut in range(len(whole) + 20):
        line, changes, done = Line(), 0, 0
        line.said()
        for part in script:
            octets = part.replace(b"%b", line.tag)
            at = min(max(cut - done, 0), len(octets))
            for piece in (octets[:at], octets[at:]):
                changes += bool(piece) and line.watch.heard(piece, 0.0)
            done += len(octets)
            if line.watch.out:
                line.said()
        assert (line.watch.state, changes) == (WatchState.PARKED, 2), cut


def test_row_79_octet_by_octet_is_as_good_as_at_once() -> None:
    line = Line().park()
    assert [line.hears(b"* 4 EXISTS\r\n"[at : at + 1]) for at in range(12)] == [False] * 11 + [True]


def test_row_79_a_flood_ends_the_line_and_holds_nothing() -> None:
    line, wave = Line().park(), b"* 1 FETCH (FLAGS ())\r\n" * 1_000
    for _ in range(FLOOD_OCTETS // len(wave)):
        assert line.hears(wave)
    with pytest.raises(LimitExceeded):
        line.hears(wave)
    assert len(line.watch._line) == 0


def test_row_79_a_line_or_a_literal_without_end_is_given_up_early() -> None:
    for endless in (b"* OK " + b"x" * LINE_OCTETS, b"* XNOTE {%d}\r\n" % (LINE_OCTETS + 1)):
        with pytest.raises(LimitExceeded):
            Line().park().hears(endless)
    with pytest.raises(LimitExceeded):
        Line().park().hears(b"* XNOTE {1}\r\nx" + b" {1}\r\ny" * LINE_OCTETS)


@pytest.mark.parametrize("asked", ["EXAMINE", "IDLE", "DONE", "CAPABILITY"])
def test_row_79_what_is_never_answered_ends_in_time(asked: str) -> None:
    line = Line(None if asked == "CAPABILITY" else CAN)
    limit = ANSWER
    match asked:
        case "IDLE":
            line.said()
            line.hears(EXAMINED)
        case "DONE":
            line.park().after(SILENCE_SECONDS)
            limit = ANSWER_SECONDS
    line.after(limit - 1)
    with pytest.raises(TimedOut):
        line.after(1)


def test_a_silent_line_is_tried_and_a_dead_one_is_found_within_five_minutes() -> None:
    line = Line().park()
    assert line.after(SILENCE_SECONDS - 1) == b""
    assert line.after(1) == b"DONE\r\n"
    with pytest.raises(TimedOut):
        line.after(ANSWER_SECONDS)
    assert line.now <= 300


def test_a_line_that_is_heard_of_is_renewed_below_29_minutes_and_not_before_27() -> None:
    line = Line().park()
    while not (said := line.after(60)):
        line.hears(b"* OK Still here\r\n")
    assert said == b"DONE\r\n" and RENEW_SECONDS <= line.now < 29 * 60
    line.tag = line.watch._tag
    line.hears(b"%b OK done\r\n")
    assert line.said() == b"IDLE\r\n"


def test_a_day_of_silence_is_a_day_of_idle_commands() -> None:
    line, entered = Line().park(), 0
    while line.now < 24 * 3_600:
        line.now = line.watch.due
        assert line.after(0) == b"DONE\r\n"
        line.tag = line.watch._tag
        line.hears(b"%b OK done\r\n")
        assert line.said() == b"IDLE\r\n"
        line.hears(b"+ idling\r\n")
        entered += 1
    assert entered == 24 * 3_600 / SILENCE_SECONDS


def test_capabilities_are_asked_for_where_they_were_not_told() -> None:
    line = Line(None)
    assert line.said() == b"CAPABILITY\r\n"
    line.hears(b"* CAPABILITY IMAP4rev1 idle\r\n%b OK done\r\n")
    line.park()


def test_imap4rev2_has_idle() -> None:
    Line(frozenset({"IMAP4REV2"})).park()


def asked_in_vain() -> None:
    line = Line(None)
    line.said()
    line.hears(b"* CAPABILITY IMAP4rev1\r\n%b OK done\r\n")


def in_state(state: str, octets: bytes) -> Callable[[], None]:
    def play() -> None:
        line = Line()
        if state == "examine":
            line.said()
        elif state == "idle":
            line.said()
            line.hears(EXAMINED)
            line.said()
        else:
            line.park()
        line.hears(octets)

    return play


ENDS: dict[str, tuple[Callable[[], object], type[ProviderError]]] = {
    "no IDLE": (lambda: Line(frozenset({"IMAP4REV1"})), CommandRefused),
    "no IDLE, told late": (asked_in_vain, CommandRefused),
    "a name that needs a literal": (lambda: Line(folder=b"caf\xc3\xa9"), FolderUnusable),
    "EXAMINE refused": (in_state("examine", b"%b NO [NONEXISTENT] no such folder\r\n"), FolderUnusable),
    "EXAMINE too often": (in_state("examine", b"%b NO [LIMIT] later\r\n"), ServerBusy),
    "IDLE refused": (in_state("idle", b"%b NO not for you\r\n"), CommandRefused),
    "IDLE unknown": (in_state("idle", b"%b BAD what?\r\n"), CommandRefused),
    "IDLE over at once": (in_state("idle", b"%b OK done\r\n"), CommandRefused),
    "IDLE throttled": (in_state("idle", b"%b NO Request is throttled.\r\n"), ServerBusy),
    "ended by the server": (in_state("parked", b"%b OK done\r\n"), ConnectionLost),
    "ended by the server with NO": (in_state("parked", b"%b NO timeout\r\n"), ConnectionLost),
    "BYE": (in_state("parked", b"* BYE shutting down\r\n"), ConnectionLost),
    "BYE, one too many": (in_state("parked", b"* BYE too many connections\r\n"), TooManyConnections),
    "BYE, come back later": (in_state("parked", b"* BYE [UNAVAILABLE] later\r\n"), ServerBusy),
    "BYE before": (in_state("idle", b"* BYE no\r\n"), ConnectionLost),
    "a second +": (in_state("parked", b"+ more\r\n+ more\r\n"), ProtocolBroken),
    "a + too early": (in_state("examine", b"+ go on\r\n"), ProtocolBroken),
    "a strange tag": (in_state("parked", b"A1 OK done\r\n"), ProtocolBroken),
    "an old tag": (in_state("idle", b"* OK x\r\n%b9 OK done\r\n"), ProtocolBroken),
    "a bare line feed": (in_state("parked", b"* 4 EXISTS\n"), ProtocolBroken),
    "HTTP": (in_state("parked", b"HTTP/1.1 200 OK\r\n"), ProtocolBroken),
    "octets": (in_state("parked", bytes(range(256))), ProtocolBroken),
    "a tag without a word": (in_state("parked", b"%b \r\n"), ProtocolBroken),
    "a number that is none": (in_state("parked", b"* 99999999999 EXISTS\r\n"), ProtocolBroken),
}


@pytest.mark.parametrize(("play", "error"), ENDS.values(), ids=ENDS)
def test_row_79_what_is_not_as_it_has_to_be_ends_as_stated(
    play: Callable[[], object], error: type[ProviderError]
) -> None:
    with pytest.raises(error) as caught:
        play()
    assert type(caught.value) is error


def test_a_folder_that_is_gone_is_told_as_gone() -> None:
    with pytest.raises(FolderUnusable) as caught:
        in_state("examine", b"%b NO [NONEXISTENT] no such folder\r\n")()
    assert caught.value.kind is ErrorKind.FOLDER_GONE


@pytest.mark.parametrize("state", ["examine", "idle", "parked"])
def test_goodbye_is_said_from_wherever_it_stands(state: str) -> None:
    line = Line()
    if state == "parked":
        line.park()
    assert re.fullmatch(
        (b"DONE\r\n" if state == "parked" else b"") + rb"P[0-9A-F]{8}-\d+ LOGOUT\r\n", line.watch.farewell()
    )
