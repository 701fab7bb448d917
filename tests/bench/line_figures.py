"""Mailbox A over a line with a round trip of 50 ms: nothing changed, some changes, the newest page; a renumbering.

Room: tests/bench. Our times are a running program's, from the call to done, with a whole process beside. Each round's
changes are made once and brought by everybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .child import Question
from .corpus import corpus
from .figures import Figure, Samples
from .line import Line, Passed, line_to
from .mailserver import Mailbox, fill_inbox, mailserver
from .ours import maildock, running
from .peers import LIKE_FOR_LIKE, Mbsync, Peer
from .serverwork import do, newest_uid, renumber
from .setting import Setting

__all__ = ["FLIGHTS_OF_CHANGES_MAX", "FLIGHTS_OF_NOTHING_MAX", "Runs", "line_figures", "pair", "reset_figures"]

FLIGHTS_OF_NOTHING_MAX, SECONDS_OF_NOTHING_MAX = 4, 0.35
FLIGHTS_OF_CHANGES_MAX = 6
PAGE_MESSAGES, PAGE_FLIGHTS_MAX, PAGE_SECONDS_MAX = 50, 5, 0.8
RESET_OCTETS_MAX = 200


@dataclass(slots=True)
class Runs:
    """Runs of one program: wall seconds, and what passed on the line."""

    seconds: list[float] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)

    def add(self, seconds: float, passed: Passed) -> None:
        self.seconds.append(seconds)
        self.passed.append(passed)

    @property
    def times(self) -> Samples | None:
        return Samples(tuple(self.seconds)) if self.seconds else None

    @property
    def flights(self) -> Samples | None:
        return Samples(tuple(float(one.flights) for one in self.passed), "flights") if self.passed else None


def pair(
    name: str,
    ours: Runs,
    theirs: Runs,
    peer: str,
    *,
    missing: str,
    whole: Samples | None = None,
    ratio_max: float | None = None,
    seconds_max: float | None = None,
    flights_max: int | None = None,
) -> list[Figure]:
    """Return a line for the time (against the peer, or *seconds_max*), and one for the flights."""
    return [
        Figure(
            name=name,
            ours=ours.times,
            whole=whole,
            peer=peer,
            theirs=theirs.times,
            limit=ratio_max if seconds_max is None else seconds_max,
            by_value=seconds_max is not None,
            missing=missing,
        ),
        Figure(
            name=f"{name}, flights",
            ours=ours.flights,
            peer=peer,
            theirs=theirs.flights,
            limit=flights_max,
            by_value=True,
            missing=missing,
        ),
    ]


def line_figures(setting: Setting, mailbox: Mailbox) -> list[Figure]:
    """Measure on *mailbox*, whose INBOX changes on the way."""
    setting.say("A, over the line: stores to begin with")
    with setting.place() as store, setting.place() as maildir, line_to(mailbox) as line:
        maildock(mailbox.address, store, messages=mailbox.messages)
        peer = None if setting.no_mbsync else Mbsync(LIKE_FOR_LIKE, maildir)
        if peer is not None:
            peer.pull(mailbox.address, messages=mailbox.messages)
        return [
            *_nothing_changed(setting, mailbox, line, store, peer),
            *_some_changes(setting, mailbox, line, store, peer),
            *_newest_page(setting, mailbox, line),
        ]


def _nothing_changed(setting: Setting, mailbox: Mailbox, line: Line, store: Path, peer: Peer | None) -> list[Figure]:
    setting.say("A, over the line: nothing changed")
    ours, theirs, whole = Runs(), Runs(), []
    with running(line.address, store) as child:
        child.synchronize()
        line.take()
        for _ in range(setting.rounds):
            ours.add(child.synchronize().seconds, line.take())
            if peer is not None:
                theirs.add(peer.pull(line.address, messages=mailbox.messages), line.take())
    for _ in range(setting.rounds):
        whole.append(maildock(line.address, store, messages=mailbox.messages).process_seconds)
    line.take()
    return pair(
        "A: nothing changed, round trip 50 ms",
        ours,
        theirs,
        f"mbsync, {LIKE_FOR_LIKE}",
        missing=setting.no_mbsync,
        whole=Samples(tuple(whole)),
        seconds_max=SECONDS_OF_NOTHING_MAX,
        flights_max=FLIGHTS_OF_NOTHING_MAX,
    )


def _some_changes(setting: Setting, mailbox: Mailbox, line: Line, store: Path, peer: Peer | None) -> list[Figure]:
    setting.say("A, over the line: some changes")
    work, messages = setting.scale.work, mailbox.messages
    ours, theirs = Runs(), Runs()
    with running(line.address, store) as child:
        child.synchronize()
        line.take()
        for turn in range(setting.rounds):
            do(mailbox, work, turn=turn)
            messages += work.more
            report = child.synchronize()
            ours.add(report.seconds, line.take())
            if report.bodies != messages:
                raise RuntimeError(f"maildock has {report.bodies} messages of {messages}")
            if peer is not None:
                theirs.add(peer.pull(line.address, messages=messages), line.take())
    return pair(
        f"A: {work}, round trip 50 ms",
        ours,
        theirs,
        f"mbsync, {LIKE_FOR_LIKE}",
        missing=setting.no_mbsync,
        flights_max=FLIGHTS_OF_CHANGES_MAX,
    )


def _newest_page(setting: Setting, mailbox: Mailbox, line: Line) -> list[Figure]:
    """From the call in a fresh process until the newest page is in the store; the run is cancelled then."""
    setting.say("A, over the line: newest page")
    seconds: list[float] = []
    flights: list[float] = []
    for _ in range(setting.rounds):
        with setting.place() as store, running(line.address, store) as child:
            question = Question(newest=PAGE_MESSAGES)
            report = child.synchronize(question, readable=lambda: flights.append(line.flights))
            seconds.append(report.seconds)
        line.take()
        if report.newest_uid != newest_uid(mailbox):
            raise RuntimeError(f"the page begins with message {report.newest_uid}")
    name = f"A: newest {PAGE_MESSAGES} of INBOX readable, new store, round trip 50 ms"
    return [
        Figure(name=name, ours=Samples(tuple(seconds)), limit=PAGE_SECONDS_MAX),
        Figure(name=f"{name}, flights", ours=Samples(tuple(flights), "flights"), limit=PAGE_FLIGHTS_MAX),
    ]


def reset_figures(setting: Setting) -> list[Figure]:
    """Measure what a new UIDVALIDITY costs where all octets are here already, on a server of its own."""
    count, folder = setting.scale.messages, "Archive"
    setting.say(f"a folder of {count:,} messages is numbered anew")
    messages = list(corpus(count, small=True))
    runs = Runs()
    with mailserver() as server, setting.place() as store:
        mailbox = fill_inbox(server, "renumbered", [])
        renumber(mailbox, folder, messages)
        with line_to(mailbox) as line, running(line.address, store) as child:
            child.synchronize()
            line.take()
            for _ in range(min(2, setting.rounds)):
                renumber(mailbox, folder, messages)
                report = child.synchronize()
                runs.add(report.seconds, line.take())
                if report.bodies != count or report.changed["bodies"]:
                    raise RuntimeError(f"{report.changed['bodies']} bodies came again, {report.bodies} are here")
    name = f"UIDVALIDITY of {count:,} messages changed, round trip 50 ms"
    down = tuple(one.down / count for one in runs.passed)
    return [
        Figure(name=name, ours=runs.times),
        Figure(name=f"{name}, flights", ours=runs.flights),
        Figure(name=f"{name}, down per message", ours=Samples(down, "octets"), limit=RESET_OCTETS_MAX),
    ]
