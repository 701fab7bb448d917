"""What an exception becomes when a callback hears of it, and what a log may say of it.

Rules: our own errors speak for themselves; any other exception may carry a secret in its text (a library quotes the
command that failed), so that nothing but its class is told. Tracebacks go to the log, without values.
"""

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from .errors import Cancelled, ErrorKind, Needs, ProviderError, printable
from .events import ItemStatus, Severity
from .sources.base import Notice

__all__ = ["Failure", "Translate", "describe", "frames_of", "status_after"]

log = logging.getLogger(__name__)

FRAMES_MAX = 40
"""The innermost ones: a recursion without end must not fill the log."""

Translate = Callable[[BaseException], ProviderError | None]
"""Says an error of another package (the store's) in the words of ours; None: it does not know it."""

_AWAY = frozenset(
    {
        ErrorKind.UNRESOLVED_HOST,
        ErrorKind.CONNECTION_REFUSED,
        ErrorKind.UNREACHABLE,
        ErrorKind.CONNECTION_LOST,
        ErrorKind.TIMED_OUT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The facts of an error: those of SyncError that do not depend on where and when it was told."""

    severity: Severity
    kind: ErrorKind
    needs: Needs
    text: str
    folder: str | None = None
    uid: int | None = None
    response_code: str | None = None
    server_text: str = ""
    retry_after_seconds: float | None = None


def describe(error: BaseException | Notice, translate: Translate | None = None) -> Failure:
    """Return what may be told of *error*. One that nobody expected is logged at ERROR, with its traceback."""
    if isinstance(error, Notice):
        return _of_notice(error)
    known = error if isinstance(error, ProviderError) else translate(error) if translate is not None else None
    if known is not None:
        return Failure(
            severity=Severity.INFORMATION if isinstance(known, Cancelled) else Severity.ERROR,
            kind=known.kind,
            needs=known.needs,
            text=printable(str(known)),
            folder=known.folder,
            uid=known.uid,
            response_code=known.response_code,
            server_text=known.server_text,
            retry_after_seconds=known.retry_after_seconds,
        )
    name = type(error).__name__
    log.error("A synchronization met an error that nobody expected: %s.\n%s", name, frames_of(error))
    return Failure(
        severity=Severity.ERROR,
        kind=ErrorKind.INTERNAL,
        needs=Needs.RETRY,
        text=f"Something inside went wrong ({name}). What was committed is kept; the log has the details.",
    )


def frames_of(error: BaseException) -> str:
    """Return where *error* came from: files, lines and functions, without its text, any value or any source line."""
    walked = traceback.walk_tb(error.__traceback__)
    frames = traceback.StackSummary.extract(walked, limit=-FRAMES_MAX, lookup_lines=False)
    return "\n".join(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)


def status_after(failure: Failure) -> ItemStatus:
    """Return the terminal status of an item that ended by *failure*."""
    if failure.kind is ErrorKind.CANCELLED:
        return ItemStatus.CANCELED
    return ItemStatus.DISCONNECTED if failure.kind in _AWAY else ItemStatus.FAILED


def _of_notice(notice: Notice) -> Failure:
    try:
        kind = ErrorKind(notice.kind)
    except ValueError:
        kind = ErrorKind.PROTOCOL
    return Failure(
        severity=Severity.WARNING,
        kind=kind,
        needs=Needs.NOTHING,
        text=printable(notice.text),
        folder=notice.folder,
        uid=notice.uid,
        server_text=printable(notice.server_text),
    )
