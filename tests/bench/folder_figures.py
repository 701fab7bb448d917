"""Mailbox B, many folders over a line with a round trip of 50 ms: first, nothing changed, some folders changed.

Room: tests/bench. Here waits decide, not octets. mbsync runs once in each form: it takes most of a minute.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from .child import Question
from .figures import Figure, Samples
from .line import line_to
from .line_figures import FLIGHTS_OF_NOTHING_MAX, Runs, pair
from .mailserver import Mailbox
from .ours import maildock, running
from .peers import AS_INSTALLED, LIKE_FOR_LIKE, Mbsync, OfflineImap, Peer
from .serverwork import Work, touch_folders
from .setting import Setting

__all__ = ["folder_figures"]

FIRST_RATIO_MAX, FIRST_FLIGHTS_MAX = 1 / 8, 25
NOTHING_RATIO_MAX = 1 / 40
CHANGED_FLIGHTS_MAX = 8
OCTETS_MAX, OCTETS_PER_NAME_OCTET = 105, 2
CHANGES = Work(new=1, flagged=2, expunged=1)
SECOND_CONNECTION_GAIN = 1.3


def folder_figures(setting: Setting, mailbox: Mailbox) -> list[Figure]:
    """Measure everybody on *mailbox*, whose folders change on the way."""
    with ExitStack() as stack:
        store = stack.enter_context(setting.place())
        peers: dict[str, Peer] = {}
        if not setting.no_mbsync:
            for form in (AS_INSTALLED, LIKE_FOR_LIKE):
                place = stack.enter_context(setting.place())
                peers[f"mbsync, {form}"] = Mbsync(form, place, all_folders=True)
        if not setting.no_large_offlineimap:
            peers["OfflineIMAP"] = OfflineImap(stack.enter_context(setting.place()), all_folders=True)
        names = (f"mbsync, {AS_INSTALLED}", f"mbsync, {LIKE_FOR_LIKE}", "OfflineIMAP")
        missing = dict(zip(names, (setting.no_mbsync, setting.no_mbsync, setting.no_large_offlineimap), strict=True))
        measured = _Measured(setting, mailbox, store, peers, missing)
        return [
            *measured.first(),
            *measured.nothing_changed(),
            *measured.some_changed(),
            *_two_at_once(setting, mailbox),
        ]


class _Measured:
    """One store and one place for each peer, kept from the first run to the last."""

    def __init__(
        self, setting: Setting, mailbox: Mailbox, store: Path, peers: dict[str, Peer], missing: dict[str, str]
    ) -> None:
        self._setting, self._mailbox, self._store = setting, mailbox, store
        self._peers, self._missing = peers, missing
        self._what = f"{len(mailbox.folders)} folders, round trip 50 ms"

    def first(self) -> list[Figure]:
        """The first synchronization; ours several times, the last store is kept."""
        setting, mailbox = self._setting, self._mailbox
        ours, whole = Runs(), []
        setting.say(f"B, over the line: first synchronization, {mailbox.octets / 1e6:,.0f} MB")
        with line_to(mailbox) as line:
            for number in range(setting.rounds):
                if number:
                    self._store.unlink()
                run = maildock(line.address, self._store, messages=mailbox.messages)
                ours.add(run.child.seconds, line.take())
                whole.append(run.process_seconds)
        theirs = {name: self._peer_run(name) for name in self._peers}
        return self._figures(
            "B: first synchronization of",
            ours,
            theirs,
            whole,
            ratio=setting.at_scale(FIRST_RATIO_MAX),
            flights=FIRST_FLIGHTS_MAX,
        )

    def nothing_changed(self) -> list[Figure]:
        """Nothing changed: inside a running process, and as a process of its own."""
        setting, mailbox = self._setting, self._mailbox
        ours, whole = Runs(), []
        setting.say("B, over the line: nothing changed")
        with line_to(mailbox) as line:
            with running(line.address, self._store) as child:
                child.synchronize()
                line.take()
                for _ in range(setting.rounds):
                    ours.add(child.synchronize().seconds, line.take())
            for _ in range(setting.rounds):
                whole.append(maildock(line.address, self._store, messages=mailbox.messages).process_seconds)
        theirs = {name: self._peer_run(name) for name in self._peers}
        folders = mailbox.folders
        name_octets = sum(map(len, folders)) / len(folders)
        down = tuple(one.down / len(folders) for one in ours.passed)
        octets = Figure(
            name="B: nothing changed, down per folder, everything from greeting to LOGOUT divided",
            ours=Samples(down, "octets"),
            limit=setting.at_scale(OCTETS_MAX + OCTETS_PER_NAME_OCTET * name_octets),
        )
        figures = self._figures(
            "B: nothing changed in",
            ours,
            theirs,
            whole,
            ratio=setting.at_scale(NOTHING_RATIO_MAX),
            flights=FLIGHTS_OF_NOTHING_MAX,
        )
        return [*figures, octets]

    def some_changed(self) -> list[Figure]:
        """A message comes, two change flags and one goes, in some of the folders."""
        setting, mailbox, changed = self._setting, self._mailbox, self._setting.scale.folders_changed
        setting.say(f"B, over the line: {changed} folders changed")
        ours, messages = Runs(), mailbox.messages
        with line_to(mailbox) as line, running(line.address, self._store) as child:
            child.synchronize()
            line.take()
            for turn in range(setting.rounds):
                touch_folders(mailbox, changed, CHANGES, turn=turn)
                messages += changed * CHANGES.more
                report = child.synchronize()
                ours.add(report.seconds, line.take())
                if report.bodies != messages or report.changed["new"] != changed * CHANGES.new:
                    raise RuntimeError(f"maildock brought {report.changed}, and has {report.bodies} of {messages}")
        name = f"mbsync, {LIKE_FOR_LIKE}"
        theirs = {name: self._peer_run(name)} if name in self._peers else {}
        return self._figures(
            f"B: {changed} folders changed ({CHANGES} each) of",
            ours,
            theirs,
            [],
            flights=CHANGED_FLIGHTS_MAX,
            only=name,
        )

    def _peer_run(self, name: str) -> Runs:
        self._setting.say(f"B, over the line: {name}")
        runs = Runs()
        with line_to(self._mailbox) as line:
            runs.add(self._peers[name].pull(line.address, messages=self._mailbox.messages), line.take())
        return runs

    def _figures(
        self,
        name: str,
        ours: Runs,
        theirs: dict[str, Runs],
        whole: list[float],
        *,
        flights: int,
        ratio: float | None = None,
        only: str = "",
    ) -> list[Figure]:
        figures: list[Figure] = []
        for peer, missing in self._missing.items():
            if only not in ("", peer):
                continue
            lines = pair(
                f"{name} {self._what}",
                ours,
                theirs.get(peer, Runs()),
                peer,
                missing=missing,
                whole=Samples(tuple(whole)) if whole else None,
                ratio_max=ratio,
                flights_max=flights,
            )
            # Our own flights are told once, whoever is missing beside us.
            figures += lines[:1] if missing and figures else lines
        return figures


def _two_at_once(setting: Setting, mailbox: Mailbox) -> list[Figure]:
    """Let two processes take one half of the folders each: no second connection in one process can gain more."""
    setting.say("B, over the line: two processes with one half of the folders each")
    halves = (mailbox.folders[::2], mailbox.folders[1::2])
    one, two = Runs(), Runs()
    with line_to(mailbox) as line:
        for _ in range(setting.rounds):
            with setting.place() as store, running(line.address, store) as child:
                report = child.synchronize(Question(folders=mailbox.folders))
            one.add(report.seconds, line.take())
            with ExitStack() as stack:
                children = [
                    stack.enter_context(running(line.address, stack.enter_context(setting.place()))) for _ in halves
                ]
                for child, folders in zip(children, halves, strict=True):
                    child.ask(Question(folders=folders))
                reports = [child.answer() for child in children]
            two.add(max(report.seconds for report in reports), line.take())
            if sum(report.bodies for report in reports) != mailbox.messages:
                raise RuntimeError("two halves of the folders are not all mail")
    return [
        Figure(
            name=f"B: one process; a second connection is worth building from {SECOND_CONNECTION_GAIN:g} on",
            ours=one.times,
            peer="maildock, two processes at once, half of the folders each: the slower one",
            theirs=two.times,
        )
    ]
