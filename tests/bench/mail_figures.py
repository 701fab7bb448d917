"""Mailbox A on the loopback: the first synchronization, in turns with the peers; memory, and the write-ahead log.

Room: tests/bench. One round runs everybody once, one after the other, so that a busy minute hits all; what takes long
runs once. Directories are new for each run and removed at once.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field

from .child import Question
from .corpus import corpus
from .figures import Figure, Samples
from .mailserver import Mailbox, drain, fill_inbox
from .ours import OurRun, idle_octets, maildock
from .peers import AS_INSTALLED, LIKE_FOR_LIKE, MBSYNC_FORMS, Mbsync, MbsyncForm, OfflineImap
from .profiling import ProfileRow, as_shares
from .setting import WHOLE, Setting

__all__ = ["MEMORY_OCTETS_MAX", "WAL_OCTETS_MAX", "mail_figures", "profile_of_first"]

MEMORY_OCTETS_MAX = 120_000_000
WAL_OCTETS_MAX = 64_000_000
LIKE_FOR_LIKE_MAX, LIKE_FOR_LIKE_GOAL = 0.8, 0.6
AS_INSTALLED_MAX = 1 / 4
OFFLINEIMAP_MAX = 1 / 30


@dataclass(slots=True)
class _Runs:
    """All runs on one mailbox."""

    drained: list[float] = field(default_factory=list)
    first: list[OurRun] = field(default_factory=list)
    mbsync: dict[MbsyncForm, list[float]] = field(default_factory=lambda: defaultdict(list))


def mail_figures(setting: Setting, mailbox: Mailbox) -> list[Figure]:
    """Measure everybody on *mailbox*."""
    runs = _Runs()
    for number in range(setting.rounds):
        _round(setting, mailbox, runs, number)
    what = f"{mailbox.messages:,} messages, {mailbox.octets / 1e6:,.0f} MB"
    first = Samples(tuple(run.child.seconds for run in runs.first))
    whole = Samples(tuple(run.process_seconds for run in runs.first))
    figures = [
        Figure(
            name=f"A: first synchronization of {what}",
            ours=first,
            whole=whole,
            peer="bare socket, drain only",
            theirs=Samples(tuple(runs.drained)),
        )
    ]
    for form in MBSYNC_FORMS:
        limit, goal = _limits(form) if setting.scale is WHOLE else (None, None)
        theirs = runs.mbsync[form]
        figures.append(
            Figure(
                name="A: first synchronization",
                ours=first,
                whole=whole,
                peer=f"mbsync, {form}",
                theirs=Samples(tuple(theirs)) if theirs else None,
                limit=limit,
                goal=goal,
                missing=setting.no_mbsync,
            )
        )
    figures.append(_beside_offlineimap(setting, mailbox))
    if setting.peers == "all" and not setting.no_offlineimap:
        setting.say(f"OfflineIMAP: {what}")
        with setting.place() as place:
            theirs = [OfflineImap(place).pull(mailbox.address, messages=mailbox.messages)]
        figures.append(
            Figure(
                name="A: first synchronization",
                ours=first,
                whole=whole,
                peer="OfflineIMAP",
                theirs=Samples(tuple(theirs)),
                limit=setting.at_scale(OFFLINEIMAP_MAX),
            )
        )
    idle = idle_octets(setting.directory)
    memory = tuple(float(run.child.memory_octets_peak - idle) for run in runs.first)
    return [
        *figures,
        Figure(
            name="A: first synchronization, processor time of both cores",
            ours=Samples(tuple(run.child.cpu_seconds for run in runs.first)),
        ),
        Figure(
            name="A: first synchronization, peak memory over an idle interpreter with the libraries loaded",
            ours=Samples(memory, "MB"),
            limit=MEMORY_OCTETS_MAX,
        ),
        Figure(
            name="A: first synchronization, largest write-ahead log",
            ours=Samples(tuple(float(run.child.wal_octets_peak) for run in runs.first), "MB"),
            limit=WAL_OCTETS_MAX,
        ),
    ]


def _round(setting: Setting, mailbox: Mailbox, runs: _Runs, number: int) -> None:
    def say(who: str) -> None:
        setting.say(f"A, round {number + 1} of {setting.rounds}: {who}")

    say("bare socket")
    started = time.perf_counter()
    drain(mailbox.account)
    runs.drained.append(time.perf_counter() - started)
    say("maildock")
    with setting.place() as place:
        runs.first.append(maildock(mailbox.address, place, messages=mailbox.messages))
    for form in MBSYNC_FORMS:
        if not setting.no_mbsync and (not form.dear or number == 0):
            say(f"mbsync, {form}")
            with setting.place() as place:
                runs.mbsync[form].append(Mbsync(form, place).pull(mailbox.address, messages=mailbox.messages))


def _limits(form: MbsyncForm) -> tuple[float | None, float | None]:
    if form == LIKE_FOR_LIKE:
        return LIKE_FOR_LIKE_MAX, LIKE_FOR_LIKE_GOAL
    return (AS_INSTALLED_MAX if form == AS_INSTALLED else None), None


def _beside_offlineimap(setting: Setting, mailbox: Mailbox) -> Figure:
    """Measure both on the same smaller amount: OfflineIMAP takes minutes for all of it."""
    count = setting.scale.peer_messages
    smaller = fill_inbox(mailbox.account.server, "a-smaller", corpus(count))
    setting.say(f"A, its first {count:,} messages: maildock and OfflineIMAP")
    ours: list[OurRun] = []
    for _ in range(setting.rounds):
        with setting.place() as place:
            ours.append(maildock(smaller.address, place, messages=count))
    theirs: list[float] = []
    if not setting.no_offlineimap:
        with setting.place() as place:
            theirs.append(OfflineImap(place).pull(smaller.address, messages=count))
    return Figure(
        name=f"A, its first {count:,} messages: first synchronization",
        ours=Samples(tuple(run.child.seconds for run in ours)),
        whole=Samples(tuple(run.process_seconds for run in ours)),
        peer="OfflineIMAP",
        theirs=Samples(tuple(theirs)) if theirs else None,
        limit=setting.at_scale(OFFLINEIMAP_MAX),
        missing=setting.no_offlineimap,
    )


def profile_of_first(setting: Setting, mailbox: Mailbox) -> str:
    """Return where the time of a first synchronization goes, as Markdown."""
    setting.say("A: profile of a first synchronization")
    with setting.place() as place:
        run = maildock(mailbox.address, place, messages=mailbox.messages, question=Question(profile=True))
    shares = as_shares(ProfileRow(*row) for row in run.child.profile)  # type: ignore[arg-type]
    return f"One first synchronization, {run.child.seconds:.2f} s, looked at every 5 ms:\n\n{shares}"
