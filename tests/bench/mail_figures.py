"""The figures of a mailbox: first and second synchronization, in turns with the peers, and memory.

Room: tests/bench. One round runs everybody once, one after the other, so that a busy minute hits all; what takes long
runs once. Directories are new for each run and removed at once: nobody profits from another's warm files.
"""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .figures import Figure, Samples
from .mailserver import Mailbox, drain
from .ours import OurRun, idle_octets, maildock
from .peers import AS_INSTALLED, LIKE_FOR_LIKE, MBSYNC, MBSYNC_FORMS, MbsyncForm, PeerRun, mbsync

__all__ = ["mail_figures"]

MEMORY_OCTETS_MAX = 120_000_000
SECOND_SECONDS_MAX = 0.35


@dataclass(slots=True)
class _Runs:
    """All runs on one mailbox."""

    drained: list[float] = field(default_factory=list)
    first: list[OurRun] = field(default_factory=list)
    second: list[OurRun] = field(default_factory=list)
    peers: dict[MbsyncForm, list[PeerRun]] = field(default_factory=lambda: defaultdict(list))
    idle_octets: int = 0


def mail_figures(mailbox: Mailbox, directory: Path, *, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Measure everybody on *mailbox* in *rounds* rounds. *say* hears what is going on."""
    runs = _Runs(idle_octets=idle_octets(directory))
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}: bare socket")
        started = time.perf_counter()
        drain(mailbox.account)
        runs.drained.append(time.perf_counter() - started)
        say(f"round {number + 1} of {rounds}: maildock")
        store = directory / f"store-{number}"
        runs.first.append(maildock(mailbox.account, store / "mail.db", messages=mailbox.messages))
        runs.second.append(maildock(mailbox.account, store / "mail.db", messages=mailbox.messages))
        shutil.rmtree(store)
        for form in MBSYNC_FORMS:
            if MBSYNC is not None and (not form.dear or number == 0):
                say(f"round {number + 1} of {rounds}: mbsync, {form}")
                place = directory / "maildir"
                runs.peers[form].append(mbsync(mailbox.account, form, place, messages=mailbox.messages))
                shutil.rmtree(place)
    return _figures(runs, f"{mailbox.messages:,} messages, {mailbox.octets / 1e6:,.0f} MB")


def _figures(runs: _Runs, what: str) -> list[Figure]:
    first = Samples(tuple(run.child.seconds for run in runs.first))
    second = Samples(tuple(run.child.seconds for run in runs.second))
    like, installed = str(LIKE_FOR_LIKE), str(AS_INSTALLED)
    figures = [
        Figure(
            name=f"first synchronization of {what}, call to done",
            ours=first,
            peer="bare socket, drain only",
            theirs=Samples(tuple(runs.drained)),
        )
    ]
    for form in MBSYNC_FORMS:
        limit, goal = {like: (1.5, 0.8), installed: (0.25, None)}.get(str(form), (None, None))
        theirs = tuple(run.first_seconds for run in runs.peers[form])
        figures.append(_beside("first synchronization, call to done", first, form, theirs, limit, goal))
    whole = Samples(tuple(run.process_seconds for run in runs.first))
    theirs = tuple(run.first_seconds for run in runs.peers[LIKE_FOR_LIKE])
    figures.append(_beside("first synchronization, whole process", whole, LIKE_FOR_LIKE, theirs))
    theirs = tuple(run.second_seconds for run in runs.peers[LIKE_FOR_LIKE])
    figures += [
        Figure(
            name="first synchronization, processor time of both cores",
            ours=Samples(tuple(run.child.cpu_seconds for run in runs.first)),
        ),
        Figure(name="nothing changed, call to done", ours=second, limit=SECOND_SECONDS_MAX),
        _beside("nothing changed, call to done", second, LIKE_FOR_LIKE, theirs),
        Figure(
            name="first synchronization, peak memory over an idle process",
            ours=Samples(tuple(run.child.memory_octets_peak - runs.idle_octets for run in runs.first), "MB"),
            limit=MEMORY_OCTETS_MAX,
        ),
    ]
    return figures


def _beside(
    name: str,
    ours: Samples,
    form: MbsyncForm,
    theirs: tuple[float, ...],
    limit: float | None = None,
    goal: float | None = None,
) -> Figure:
    return Figure(
        name=name,
        ours=ours,
        peer=f"mbsync, {form}",
        theirs=Samples(theirs) if theirs else None,
        limit=limit,
        goal=goal,
        missing="" if theirs else "mbsync is not installed",
    )
