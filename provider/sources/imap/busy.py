"""When a server wants to be left alone: which answers mean that, and for how long.

Room: sources/imap. Pure. Rules: the server's own time is obeyed; where it names none, the wait is long. Such an answer
is about the account and not about what was asked, so nothing is set aside, nothing is asked again in smaller pieces,
and no other folder is tried. RFC 5530 §3, RFC 9051 §7.1.
"""

from ...errors import ConnectionLost, ServerBusy, SourceError, TooManyConnections
from . import quirks, translate
from .grammar import Status
from .replies import LATER_SECONDS, QUOTA_SECONDS

__all__ = ["goodbye", "refuse_if_busy", "refuse_step_if_busy"]

_BUSY = frozenset({b"LIMIT", b"OVERQUOTA", b"UNAVAILABLE"})
_BUSY_IN_BYE = _BUSY | {b"INUSE"}


def refuse_step_if_busy(status: Status) -> None:
    """Raise ServerBusy when a change was refused because of when, and not of what, was asked.

    LIMIT, OVERQUOTA and UNAVAILABLE mean the change itself here (RFC 5530 §3): they cost that change only.

    >>> refuse_step_if_busy(Status(word=b"NO", code=b"OVERQUOTA", text=b"Quota exceeded"))
    """
    waits = translate.wait_seconds(status.text) is not None or quirks.is_throttled(status)
    if not status.ok and (waits or quirks.is_not_connected(status)):
        raise _busy(status)


def refuse_if_busy(status: Status, *, about_folder: bool = False) -> None:
    """Raise ServerBusy when *status* says that more commands only make it worse.

    *about_folder*: the command named one folder (EXAMINE, STATUS); UNAVAILABLE may then mean that folder alone, such as
    one on another server's disk, and must not cost the others.

    >>> refuse_if_busy(Status(word=b"NO", code=b"UNAVAILABLE", text=b"not now"), about_folder=True)
    >>> refuse_if_busy(Status(word=b"NO", code=b"", text=b"Suggested Backoff Time: 2500 milliseconds"))
    Traceback (most recent call last):
    provider.errors.ServerBusy: The server asks us to come back later.
    """
    codes = _BUSY - {b"UNAVAILABLE"} if about_folder else _BUSY
    if not status.ok and (_asks_for_rest(status, codes) or quirks.is_not_connected(status)):
        raise _busy(status)


def goodbye(status: Status) -> SourceError:
    """Return what an untagged BYE means: come back later, with one connection less, or at once."""
    if translate.wait_seconds(status.text) is None and quirks.is_one_too_many(status.text):
        return TooManyConnections(
            "The server takes no further connection of this account.",
            retry_after_seconds=LATER_SECONDS,
            response_code=_code(status),
            server_text=status.text,
        )
    if _asks_for_rest(status, _BUSY_IN_BYE):
        return _busy(status)
    return ConnectionLost("The server said goodbye.", server_text=status.text)


def _asks_for_rest(status: Status, codes: frozenset[bytes]) -> bool:
    told = status.code in codes or translate.wait_seconds(status.text) is not None
    return told or quirks.is_throttled(status) or quirks.is_quota_used_up(status.text)


def _busy(status: Status) -> ServerBusy:
    used_up = status.code == b"OVERQUOTA" or quirks.is_quota_used_up(status.text)
    asked = translate.wait_seconds(status.text)
    return ServerBusy(
        "The server asks us to come back later.",
        retry_after_seconds=asked if asked is not None else (QUOTA_SECONDS if used_up else LATER_SECONDS),
        response_code=_code(status),
        server_text=status.text,
    )


def _code(status: Status) -> str | None:
    return status.code.decode("ascii", "replace") or None
