"""The words of the control socket: one JSON object a line, both ways; what they mean, and how long they may be.

A connection is one question. The asker says ``{"maildock": 1, "ask": ...}``; most answers are one line. After
``start`` the events of the run follow as ``as_json`` tells them, up to ``done``, with ``alive`` where nothing else is
to be said; meanwhile the asker may say ``{"say": "cancel"}`` and its like. Bare values here, no socket.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from store.mail import AccountId

from ...errors import (
    Busy,
    Closed,
    ErrorKind,
    InvalidRequest,
    LimitExceeded,
    Needs,
    ProtocolBroken,
    ProviderError,
    UnknownItem,
)
from ...events import SyncProgress, as_json, from_json
from ...request import SyncFlags, SyncRequest, Trigger
from .desk import Underway

__all__ = [
    "ANSWER_OCTETS_MAX",
    "PROTOCOL",
    "REQUEST_OCTETS_MAX",
    "Lines",
    "control_path",
    "encoded",
    "error_of",
    "integer_in",
    "refusal",
    "request_facts",
    "request_of",
    "text_in",
    "texts_in",
    "underway_facts",
    "underway_of",
]

PROTOCOL = 1
REQUEST_OCTETS_MAX = 1 << 18
ANSWER_OCTETS_MAX = 1 << 26
"""A line of an answer: the result of a run names each of its folders."""
PATH_OCTETS_MAX = 100
"""What fits into a socket's address on every system (104 octets on macOS, 108 on Linux)."""


def control_path(store: Path) -> Path:
    """Return where the control socket of *store* is: beside it, where the path is short enough for a socket.

    Else in a directory of the user's own (XDG_RUNTIME_DIR, or below the one for temporary files), named after it.
    """
    real = os.path.realpath(store)
    beside = Path(f"{real}.control")
    if len(os.fsencode(beside)) <= PATH_OCTETS_MAX:
        return beside
    name = hashlib.blake2b(os.fsencode(real), digest_size=12).hexdigest()
    base = os.environ.get("XDG_RUNTIME_DIR")
    room = Path(base) / "maildock" if base else Path(tempfile.gettempdir()) / f"maildock-{os.getuid()}"
    return room / f"{name}.control"


def encoded(plain: Mapping[str, object]) -> bytes:
    """Return *plain* as a line."""
    return json.dumps(plain, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


class Lines:
    """Makes lines of octets as they come. Raises LimitExceeded for a line that is too long, ProtocolBroken for no JSON.

    >>> lines = Lines(100)
    >>> list(lines.feed(b'{"a":1}\\n{"b"')), list(lines.feed(b':2}\\n'))
    ([{'a': 1}], [{'b': 2}])
    """

    def __init__(self, octets_max: int) -> None:
        self._octets_max = octets_max
        self._rest: list[bytes] = []
        self._octets = 0

    def feed(self, octets: bytes) -> Iterator[dict[str, object]]:
        """Yield what is whole now."""
        *whole, rest = octets.split(b"\n")
        for line in whole:
            self._take(line)
            line = b"".join(self._rest)
            self._rest, self._octets = [], 0
            yield _plain(line)
        self._take(rest)

    def _take(self, part: bytes) -> None:
        self._octets += len(part)
        if self._octets > self._octets_max:
            raise LimitExceeded("A line on the control socket is too long.")
        self._rest.append(part)


def _plain(line: bytes) -> dict[str, object]:
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise ProtocolBroken("A line on the control socket is no JSON object.")
    return plain


# --- requests --------------------------------------------------------------------------------------------------------


def request_facts(request: SyncRequest) -> dict[str, object]:
    """Return *request* as plain values, without what belongs to the asker's process (callback, resolver)."""
    return {
        "flags": int(request.flags),
        "accounts": None if request.accounts is None else list(request.accounts),
        "folders": [str(path) for path in request.folder_paths],
        "trigger": request.trigger.value,
        "full": request.full,
        "dry_run": request.dry_run,
        "size_octets_max": request.size_octets_max,
    }


def request_of(plain: object) -> SyncRequest:
    """Undo ``request_facts``. Raises InvalidRequest."""
    if not isinstance(plain, dict):
        raise InvalidRequest("A request is an object.")
    accounts = plain.get("accounts")
    size = plain.get("size_octets_max")
    trigger = plain.get("trigger", Trigger.MANUAL.value)
    return SyncRequest(
        flags=SyncFlags(integer_in(plain, "flags")),
        accounts=None if accounts is None else tuple(map(AccountId, texts_in(accounts))),
        folders=texts_in(plain.get("folders", [])),
        # What we do not know acts as manual (SYNCMGRFLAG_*).
        trigger=next((one for one in Trigger if one.value == trigger), Trigger.MANUAL),
        full=plain.get("full") is True,
        dry_run=plain.get("dry_run") is True,
        size_octets_max=None if size is None else integer_in(plain, "size_octets_max"),
    )


def integer_in(plain: Mapping[str, object], name: str) -> int:
    """Return the integer *name*. Raises InvalidRequest."""
    value = plain.get(name)
    if type(value) is not int or not -sys.maxsize <= value <= sys.maxsize:
        raise InvalidRequest(f"{name!r} is to be a number.")
    return value


def text_in(plain: Mapping[str, object], name: str) -> str | None:
    """Return the text *name*; None where there is none. Raises InvalidRequest."""
    value = plain.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{name!r} is to be a text.")
    return value


def texts_in(value: object) -> tuple[str, ...]:
    """Return a list of texts. Raises InvalidRequest."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidRequest("Accounts, folders and items are lists of texts.")
    return tuple(value)


# --- answers ---------------------------------------------------------------------------------------------------------


def underway_facts(one: Underway) -> dict[str, object]:
    """Return what runs as plain values."""
    return {
        "run_id": one.run_id,
        "trigger": one.trigger.value,
        "flags": int(one.flags),
        "accounts": None if one.accounts is None else list(one.accounts),
        "folders": list(one.folders),
        "items": [as_json(item) for item in one.items],
    }


def underway_of(plain: object) -> Underway:
    """Undo ``underway_facts``. Raises ProtocolBroken."""
    try:
        request = request_of(plain)
        assert isinstance(plain, dict)  # or request_of had refused it
        items = [from_json(one) for one in plain["items"]]
        return Underway(
            run_id=integer_in(plain, "run_id"),
            trigger=request.trigger,
            flags=request.flags,
            accounts=request.accounts,
            folders=tuple(map(str, request.folders)),
            items=tuple(one for one in items if isinstance(one, SyncProgress)),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ProtocolBroken("The daemon's answer makes no sense.") from None


def refusal(error: ProviderError) -> dict[str, object]:
    """Return *error* as an answer."""
    return {"type": "refused", "kind": error.kind.value, "needs": error.needs.value, "text": str(error)}


_CLASSES = {one.kind: one for one in (InvalidRequest, UnknownItem, Closed, Busy)}


def error_of(plain: Mapping[str, object]) -> ProviderError:
    """Undo ``refusal``; what is not known is an error all the same."""
    kinds = {one.value: one for one in ErrorKind}
    needs = {one.value: one for one in Needs}
    kind = kinds.get(str(plain.get("kind")), ErrorKind.INTERNAL)
    text = str(plain.get("text") or "The daemon refused.")
    return _CLASSES.get(kind, ProviderError)(text, kind=kind, needs=needs.get(str(plain.get("needs")), Needs.USER))
