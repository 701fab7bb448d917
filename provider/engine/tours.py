"""Two tours in place of a hundred visits: many folders looked at, then many folders' bodies, without a wait between.

A tour asks in advance what a visit will probably need, and each visit is then played with those answers: by the very
code that visits folders one by one, on a session that knows nothing but what came. A visit that turns out to need more
(a renumbering, a count that does not add up, a doubt about a deletion) is broken off where it is, which any visit may
be, and the folder is visited by itself afterwards. So a tour decides nothing; it only saves waits.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from store.mail import Uid, UidSet, UidValidity

from ..errors import Cancelled, SourceError
from ..sources.base import (
    NOTHING_KNOWN,
    BodyChunk,
    BodyWanted,
    FlagRow,
    FolderListing,
    FolderStatus,
    HeaderRow,
    IdentityRow,
    Known,
    Opened,
    Summary,
)
from ..sources.legs import Leg, LegBody, LegEnded, LegEvent, LegExisting, LegFlags, LegHeader, LegOpened, TouringSession
from .bodies import PAGE_MESSAGES, still_wanted
from .connections import Lifeline, Reconnect
from .context import FolderWork, RunContext
from .folderrun import Depth, Finished, visit_folder
from .pipe import Pipe
from .resume import known_for, proof_due, windows
from .sharing import first_copies

__all__ = ["TourReport", "tour_folders"]

BODIES_OF_A_LEG_OCTETS = 16_000_000
"""More than this of one folder is better fetched by itself, in groups."""
COMPARED_IN_A_TOUR = 10_000
"""Flags of larger folders are compared in a visit of their own, in pages."""
SEARCHED_IN_A_TOUR = 20_000
"""Which messages of a larger folder exist is asked in a visit of its own, in pages."""


@dataclass(slots=True)
class TourReport:
    """What became of the folders: done for this run, cancelled by themselves, or to be visited one by one."""

    finished: list[Finished] = field(default_factory=list)
    cancelled: list[FolderWork] = field(default_factory=list)
    rest: list[FolderWork] = field(default_factory=list)


def tour_folders(
    context: RunContext,
    session: TouringSession,
    todo: Sequence[tuple[FolderWork, FolderStatus | None]],
    pipe: Pipe,
    lifeline: Lifeline,
    report: TourReport,
) -> None:
    """Look at *todo* in one tour, bring bodies in another, and write into *report* what became of each folder.

    Raises what ends the connection (the report is good as far as it goes then), Reconnect when a folder was cancelled
    in the middle of an answer, StoreError, Cancelled, Yielded.
    """
    tourist = _Tourist(context, session, pipe, lifeline, report)
    wanting = tourist.play(((_look(context, work, status), work) for work, status in todo), Depth.LOOK)
    asked: set[tuple[str, int]] = set()
    report.rest += tourist.play(((_bodies(context, work, asked), work) for work in wanting), Depth.FULL)
    order = {work.folder.id: at for at, (work, _) in enumerate(todo)}
    report.rest.sort(key=lambda work: order[work.folder.id])


def _look(context: RunContext, work: FolderWork, status: FolderStatus | None) -> Leg | None:
    """Return what to ask of a folder of which *status* tells enough, or None."""
    if status is None or status.uid_validity is None or status.uid_next is None or status.messages is None:
        return None
    with context.store.read() as view:
        cursor = view.cursor(work.folder.id)
    local = work.uids_here(context.store)
    known = known_for(cursor, local, compare=context.compares, now=context.clock.now())
    if known is None:
        span, coming = UidSet.span(1, status.uid_next - 1), status.messages
        if coming > context.at_once:
            span, coming = next(windows(span, coming, context.first_page)), context.first_page
        return Leg(name=work.folder.name, epoch=status.uid_validity, headers=span, messages=coming)
    if cursor.epoch != status.uid_validity or cursor.uid_next is None:
        return None  # everything is renumbered: that takes questions
    compare = known.mod_seq is None
    if compare and (context.request.full or proof_due(cursor, context.clock.now()) or len(local) > COMPARED_IN_A_TOUR):
        return None  # sizes and dates are compared, too, or it is better done in pages
    span = UidSet.span(cursor.uid_next, status.uid_next - 1) - local  # what we brought there ourselves is known
    coming = max(0, status.messages - len(local))
    if len(span) > 4 * context.at_once or coming > context.at_once:
        return None
    return Leg(
        name=work.folder.name,
        epoch=status.uid_validity,
        known=known,
        headers=span,
        messages=coming,
        flags=local if compare else UidSet(),
        # Not all that was here and all that came: something went, and a second question will be asked about it.
        existing=status.messages < min(len(local | span), SEARCHED_IN_A_TOUR),
    )


def _bodies(context: RunContext, work: FolderWork, asked: set[tuple[str, int]]) -> Leg | None:
    """Return what to ask for the bodies of a folder, or None when they are too many or too large for a tour.

    *asked*: identities of messages that come with legs before this one, and with this one.
    """
    with context.store.read() as view:
        cursor = view.cursor(work.folder.id)
        needs = still_wanted(work, view, context.clock.now(), None, PAGE_MESSAGES)
    known = known_for(cursor, work.uids_here(context.store), compare=context.compares, now=context.clock.now())
    octets = sum(need.size or 0 for need in needs)
    alone = any((need.size or 0) > context.account.limits.whole_octets for need in needs)
    if known is None or work.portion.suspects or alone:
        return None
    if known.mod_seq is None and work.compared_in != known.epoch:
        return None
    if len(needs) == PAGE_MESSAGES or octets > BODIES_OF_A_LEG_OCTETS:
        return None
    if context.account.shortcuts.reuse:
        needs = [need for need in first_copies(context, needs) if need.identity not in asked]
        asked.update(need.identity for need in needs if need.identity)
    wanted = tuple(BodyWanted(uid=need.uid, size=need.size) for need in needs)
    return Leg(name=work.folder.name, epoch=known.epoch, known=known, bodies=wanted)


class _Tourist:
    """Plays visits with what a tour brings."""

    def __init__(
        self, context: RunContext, session: TouringSession, pipe: Pipe, lifeline: Lifeline, report: TourReport
    ) -> None:
        self._context, self._session, self._pipe = context, session, pipe
        self._lifeline, self._report = lifeline, report

    def play(self, planned: Iterable[tuple[Leg | None, FolderWork]], depth: Depth) -> list[FolderWork]:
        """Tour the *planned* folders; return those that only lack bodies.

        Those that need a visit of their own, as all without a leg do, are in the report.
        """
        works: dict[Leg, FolderWork] = {}
        for leg, work in planned:
            if work.item.stop.stopped and not self._context.stop.stopped:
                self._report.cancelled.append(work)
            elif leg is None:
                self._report.rest.append(work)
            else:
                works[leg] = work
        left: list[FolderWork] = []
        events = _Events(self._session.tour(iter(works)))
        for leg, work in works.items():
            if work.item.stop.stopped and not self._context.stop.stopped:
                self._report.cancelled.append(work)
                if leg.bodies:  # they are under way already, and nobody wants them: a new connection is quicker
                    raise Reconnect
                continue
            try:
                with self._lifeline.at_work(work.item):
                    finished = self._visit(events, leg, work, depth)
            except Unforeseen:
                self._report.rest.append(work)
                continue
            except (Cancelled, SourceError):
                self._context.stop.checkpoint()
                if not work.item.stop.stopped:
                    work.breaks += 1
                    raise
                self._report.cancelled.append(work)
                raise Reconnect from None
            if finished is None:
                left.append(work)
            else:
                self._report.finished.append(finished)
        events.run_out()
        return left

    def _visit(self, events: "_Events", leg: Leg, work: FolderWork, depth: Depth) -> Finished | None:
        opened = events.opened(leg)
        if opened is None:
            raise Unforeseen  # the visit of its own tells why
        return visit_folder(self._context, _Foreseen(opened, events), work, self._pipe, depth)


class Unforeseen(Exception):
    """A visit needs an answer that was not asked for in advance."""


class _Events:
    """The events of a tour, of which the next one can be looked at."""

    def __init__(self, events: Iterator[LegEvent]) -> None:
        self._events = events
        self._held: LegEvent | None = None

    def opened(self, leg: Leg) -> LegOpened | None:
        """Go on until *leg* is open; None when it could not be opened."""
        while True:
            event, self._held = self._held or next(self._events, None), None
            if event is None:
                return None
            if event.leg is leg and isinstance(event, LegOpened):
                return event
            if event.leg is leg and isinstance(event, LegEnded):
                return None

    def run_out(self) -> None:
        """Read to the end, so that the connection is good for what comes next."""
        for _ in self._events:
            continue

    def of(self, leg: Leg) -> Iterator[LegEvent]:
        """Yield what is still to come of *leg*, up to its end. Raises Unforeseen where a part of it was refused."""
        while True:
            event = next(self._events, None)
            if event is None or isinstance(event, LegEnded):
                self._held = event
                if event is not None and event.error is not None:
                    raise Unforeseen
                return
            yield event


class _Foreseen:
    """A session for one visit, which knows what a tour brought of its folder, and nothing else."""

    def __init__(self, opened: LegOpened, events: _Events) -> None:
        self._leg, self._opened = opened.leg, opened.opened
        self._coming = events.of(opened.leg)
        self._headers: dict[Uid, HeaderRow] | None = None
        self._flags: dict[Uid, FlagRow] = {}
        self._existing: UidSet | None = None
        self._early: dict[Uid, list[BodyChunk]] = {}

    def open(self, name: bytes, known: Known | None) -> Opened:
        """Tell how the folder was opened; *known* must be what it was opened with."""
        if name != self._leg.name or known != self._leg.known or self._opened.epoch != self._leg.epoch:
            raise Unforeseen
        return self._opened

    def headers(self, uids: UidSet, *, with_summary: bool = False) -> Iterator[HeaderRow]:
        """Yield those that came of *uids*, all of which must have been asked for."""
        return iter([row for uid, row in self._rows(uids).items() if uid in uids])

    def summaries(self, uids: UidSet) -> Iterator[Summary]:
        """Yield what came with the headers."""
        return iter([row.summary for uid, row in self._rows(uids).items() if uid in uids and row.summary])

    def bodies(self, wanted: Sequence[BodyWanted]) -> Iterator[BodyChunk]:
        """Yield the octets of *wanted* as they come; those of others are held until they are wanted."""
        left = {one.uid for one in wanted}
        if not left <= {one.uid for one in self._leg.bodies}:
            raise Unforeseen
        for uid in [uid for uid in left if uid in self._early]:
            left.discard(uid)
            yield from self._early.pop(uid)
        while left:
            event = next(self._coming, None)
            if event is None:
                return
            if not isinstance(event, LegBody):
                continue
            if event.chunk.uid in left:
                yield event.chunk
                if event.chunk.last:
                    left.discard(event.chunk.uid)
            else:
                self._early.setdefault(event.chunk.uid, []).append(event.chunk)

    def folders(self, known: Mapping[bytes, UidValidity] = NOTHING_KNOWN) -> FolderListing:
        """Not foreseen."""
        self._no()

    def existing(self, within: UidSet | None = None) -> UidSet:
        """Return what the search told, if one was sent along and answered in full."""
        if not self._leg.existing:
            raise Unforeseen
        self._take_all()
        if self._existing is None:
            raise Unforeseen
        return self._existing if within is None else self._existing & within

    def flags(self, uids: UidSet) -> Iterator[FlagRow]:
        """Yield those that came of *uids*, all of which must have been asked for."""
        if uids - self._leg.flags:
            raise Unforeseen
        self._take_all()
        return iter([self._flags[uid] for uid in uids if uid in self._flags])

    def identities(self, uids: UidSet, *, by_id: bool = False) -> Iterator[IdentityRow]:
        """Not foreseen."""
        self._no()

    def close(self) -> None:
        """Nothing to close."""

    def _rows(self, uids: UidSet) -> dict[Uid, HeaderRow]:
        if uids - self._leg.headers:
            raise Unforeseen
        return self._take_all()

    def _take_all(self) -> dict[Uid, HeaderRow]:
        """Read this folder's answers to their end, but for bodies, and return the headers."""
        if self._headers is None:
            self._headers = {}
            for event in self._coming:
                match event:
                    case LegHeader(row=row):
                        self._headers[row.uid] = row
                    case LegFlags(row=flags):
                        self._flags[flags.uid] = flags
                    case LegExisting(uids=uids):
                        self._existing = uids
                    case LegBody(chunk=chunk):
                        self._early.setdefault(chunk.uid, []).append(chunk)
        return self._headers

    def _no(self) -> NoReturn:
        raise Unforeseen
