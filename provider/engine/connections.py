"""Work that survives its connections: a lost one costs a new one, as long as something gets done in between."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from store import StoreError

from ..backoff import Backoff
from ..errors import Needs, SourceError
from ..events import Severity
from ..phases import Phase
from ..report import ItemReporter
from ..sources.base import Notice, Session, Source
from .context import RunContext

__all__ = ["Lifeline", "Reconnect", "over_connections"]

BREAKS_WITHOUT_PROGRESS_MAX = 3
RENEW_SECONDS = 20.0
"""A third of a lease."""


class Reconnect(Exception):
    """The connection was given up on purpose (an item was cancelled in the middle of an answer)."""


class Lifeline:
    """Passes a session's signs of life to the item at work, and that item's cancel to the session."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self.item: ItemReporter = context.reporter.item(None)
        self.stop = context.stop.child()
        """Ends the connection at hand and nothing else; each connection has a new one."""
        self._renewed_at = context.clock.monotonic()

    @contextmanager
    def at_work(self, item: ItemReporter) -> Iterator[None]:
        """While inside, *item* is at work: cancelling it ends the connection, however silent the server is.

        Raises Cancelled at once when it was cancelled already.
        """
        self.item = item
        with item.stop.waking(self.stop.stop):
            yield

    def received(self, octets: int) -> None:
        """Keep the lease, and see how fast the line is; octets are counted where they are understood."""
        self._context.line.received(self._context.clock.monotonic(), octets)
        self._keep_lease()

    def waiting(self, seconds: float) -> None:
        """Tell that nothing comes, and keep the lease."""
        self._keep_lease()
        self.item.waiting(seconds)

    def notice(self, notice: Notice) -> None:
        """Tell of something odd."""
        self._context.tell(notice, folder=notice.folder)

    def _keep_lease(self) -> None:
        """Renew the run's lease now and then: a long answer, or a long silence, commits nothing that would do it."""
        now = self._context.clock.monotonic()
        if now - self._renewed_at > RENEW_SECONDS:
            self._renewed_at = now
            with suppress(StoreError):  # a lease that is lost is met by the next write
                self._context.store.renew_run(self._context.run)


def over_connections(
    context: RunContext,
    source: Source,
    lifeline: Lifeline,
    work: Callable[[Session], None],
    progress: Callable[[], int],
) -> None:
    """Do *work* on a session; when the connection breaks, do it again on a new one.

    *progress* grows when something was finished or committed; three breaks without it end the run by the last error.
    Errors that no new connection can mend end it at once.
    """
    breaks, before = 0, progress()
    backoff = Backoff(first_seconds=context.account.limits.reconnect_seconds)
    again = False
    while True:
        if again:  # the phases begin anew: hosts are promised that none is jumped over
            context.reporter.item(None).phase(Phase.SYNC, "Connecting again")
        again = True
        try:
            lifeline.stop = context.stop.child()
            context.line.begin(context.clock.monotonic())
            session = source.connect(lifeline.stop, lifeline)
            try:
                work(session)
                return
            finally:
                session.close()
        except Reconnect:
            continue
        except SourceError as error:
            context.stop.checkpoint()  # a socket that was shut down by a stop looks like a lost connection
            if error.needs is not Needs.RECONNECT:
                raise
            breaks = 0 if progress() > before else breaks + 1
            before = progress()
            if breaks >= BREAKS_WITHOUT_PROGRESS_MAX:
                raise
            _wait(context, lifeline, error, backoff.delay(breaks, context.random, error) if breaks else 0.0)


def _wait(context: RunContext, lifeline: Lifeline, error: SourceError, seconds: float) -> None:
    when = context.clock.now() + timedelta(seconds=seconds)
    context.tell(error, folder=error.folder, severity=Severity.WARNING, next_try=when)
    lifeline.item = context.reporter.item(None)
    lifeline.item.retry_at(when)
    context.stop.wait(seconds)
    lifeline.item.retry_at(None)
