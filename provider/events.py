"""What a callback hears: frozen, JSON-able values without secrets, subjects or bodies.

An item is one account (``folder`` None), one folder of it, or its outbox. For one item: one STARTED, then progress,
then exactly one terminal status; ``messages_done`` and ``octets_done`` never go down and never pass a known total; a
total may grow.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from enum import Enum, IntEnum
from typing import Any, TypeVar, get_args, get_origin

from store.mail import AccountId

from .errors import ErrorKind, Needs
from .phases import Phase

__all__ = [
    "Counts",
    "Event",
    "ItemKind",
    "ItemResult",
    "ItemStatus",
    "ResultStatus",
    "Severity",
    "SyncError",
    "SyncProgress",
    "SyncResult",
    "as_json",
    "from_json",
]


class ItemKind(Enum):
    """What an item is. The outbox is the transport's: it never is part of a synchronization."""

    ACCOUNT = "account"
    FOLDER = "folder"
    OUTBOX = "outbox"


class ItemStatus(Enum):
    """Where an item stands. The last six are terminal.

    ``MOBSYNC`` and ``SYNCMGR`` of this module give the documented numbers of both MAPI-era systems.
    """

    PENDING = "pending"
    STARTED = "started"
    UPDATING = "updating"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"
    DISCONNECTED = "disconnected"
    REMOVED = "removed"

    @property
    def terminal(self) -> bool:
        """True when nothing follows for this item in this run."""
        return self not in (ItemStatus.PENDING, ItemStatus.STARTED, ItemStatus.UPDATING, ItemStatus.PAUSED)


MOBSYNC = {
    ItemStatus.PENDING: 2,
    ItemStatus.STARTED: 3,
    ItemStatus.UPDATING: 3,
    ItemStatus.PAUSED: 6,
    ItemStatus.SUCCEEDED: 4,
    ItemStatus.FAILED: 5,
    ItemStatus.CANCELED: 0,
    ItemStatus.SKIPPED: 1,
    ItemStatus.DISCONNECTED: 5,
    ItemStatus.REMOVED: 0x100,
}
"""SYNCMGRSTATUS_* of mobsync.h."""

SYNCMGR = {
    ItemStatus.PENDING: 2,
    ItemStatus.STARTED: 1,
    ItemStatus.UPDATING: 1,
    ItemStatus.PAUSED: 2,
    ItemStatus.SUCCEEDED: 3,
    ItemStatus.FAILED: 4,
    ItemStatus.CANCELED: 5,
    ItemStatus.SKIPPED: 5,
    ItemStatus.DISCONNECTED: 6,
    ItemStatus.REMOVED: 3,
}
"""SYNCMGR_PROGRESS_STATUS of syncmgr.h."""


class Severity(IntEnum):
    """SYNCMGRLOGLEVEL_*; only ERROR makes an item fail."""

    INFORMATION = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What changed, by direction of MAPI's four counters (DNTBL: new, mod, read, del)."""

    new: int = 0
    modified: int = 0
    """Flags changed, other than those counted in ``read``."""
    read: int = 0
    """``\\Seen`` changed, and nothing else."""
    deleted: int = 0
    bodies: int = 0
    """Messages whose octets came whole in this run."""
    reused: int = 0
    """Messages whose octets were here already, in another message, and did not have to come."""
    octets: int = 0
    """Octets of headers and bodies received."""
    folders_new: int = 0
    folders_renamed: int = 0
    folders_deleted: int = 0
    sent: int = 0
    """Messages that went out, to one recipient at least."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncProgress:
    """One step forward, or a sign of life. ``text``, ``index`` and ``index_max`` are MAPI's three."""

    run_id: int
    seq: int
    at: datetime
    """Aware, UTC."""
    account: AccountId
    folder: str | None = None
    """The path for people, or None for the account as a whole."""
    item: ItemKind = ItemKind.ACCOUNT
    status: ItemStatus
    phase: Phase
    text: str | None = None
    index: int = 0
    index_max: int = 0
    """0: not known yet; else index <= index_max."""
    messages_done: int = 0
    """Committed to the store; of an outbox: settled, whatever became of them."""
    messages_total: int | None = None
    octets_done: int = 0
    """Received; of an outbox: sent."""
    octets_total: int | None = None
    octets_per_second: float | None = None
    """Over the last ten seconds."""
    eta_seconds: float | None = None
    stalled_seconds: float | None = None
    """How long nothing came although something was asked for; None while it flows."""
    next_try: datetime | None = None
    counts: Counts | None = None
    """With a terminal status: what this run did to the item here."""
    uploaded: Counts | None = None
    """With a terminal status: what this run changed of the item on the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncError:
    """An error or a warning. Never ends the run by itself; ``server_text`` is hostile: show it as text only."""

    run_id: int
    seq: int
    at: datetime
    severity: Severity
    kind: ErrorKind
    needs: Needs
    text: str
    account: AccountId | None = None
    folder: str | None = None
    uid: int | None = None
    response_code: str | None = None
    server_text: str = ""
    next_try: datetime | None = None


class ResultStatus(Enum):
    """How a request ended, worst item first."""

    COMPLETE = "complete"
    COMPLETE_WITH_ERRORS = "complete-with-errors"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """The end of one item. *counts*: what was downloaded; *uploaded*: what was changed on the server."""

    account: AccountId
    folder: str | None
    item: ItemKind = ItemKind.ACCOUNT
    status: ItemStatus
    counts: Counts = Counts()
    uploaded: Counts = Counts()
    error: SyncError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """How it all ended. One per request, even after a crash of a worker."""

    run_id: int
    seq: int
    at: datetime
    started_at: datetime
    status: ResultStatus
    downloaded: Counts = Counts()
    uploaded: Counts = Counts()
    items: tuple[ItemResult, ...] = ()
    errors: tuple[SyncError, ...] = ()
    """The first 1,000 of severity ERROR."""
    errors_dropped: int = 0

    @property
    def ok(self) -> bool:
        """True when every item was synchronized without an error."""
        return self.status is ResultStatus.COMPLETE


Event = SyncProgress | SyncError | SyncResult


def as_json(event: Event) -> dict[str, object]:
    """Return *event* as plain JSON values, ``type`` first: progress, error or done; None fields are left out."""
    name = {kind: name for name, kind in _TYPES.items()}[type(event)]
    return {"type": name, **_plain(asdict(event))}


def from_json(plain: Mapping[str, object]) -> Event:
    """Return the event that ``as_json`` made *plain*; names that it does not know are passed over.

    Raises ValueError for what cannot be one.
    """
    kind = _TYPES.get(str(plain.get("type")))
    if kind is None:
        raise ValueError("this is no event")
    return _built(kind, plain)


_TYPES: dict[str, type[SyncProgress] | type[SyncError] | type[SyncResult]] = {
    "progress": SyncProgress,
    "error": SyncError,
    "done": SyncResult,
}
_Value = TypeVar("_Value")


def _built(kind: type[_Value], plain: object) -> _Value:
    """Build a value of the dataclass *kind* from its plain fields."""
    if not isinstance(plain, Mapping):
        raise ValueError(f"this is no {kind.__name__}")
    fields: Mapping[str, Any] = getattr(kind, "__dataclass_fields__", {})
    given = {name: _read(field.type, plain[name]) for name, field in fields.items() if name in plain}
    left_out = {name: None for name, field in fields.items() if name not in plain and _may_be_none(field.type)}
    try:
        return kind(**left_out, **given)
    except TypeError:
        raise ValueError(f"a {kind.__name__} has more fields than these") from None


def _may_be_none(kind: Any) -> bool:
    return type(None) in get_args(kind)


def _read(kind: Any, value: Any) -> Any:
    """Undo ``_plain``: *value* as what *kind*, the annotation of a field, says."""
    if _may_be_none(kind):
        kind = get_args(kind)[0]  # "... | None": what is None was left out
    kind = getattr(kind, "__supertype__", kind)
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_read(get_args(kind)[0], item) for item in value)
    if is_dataclass(kind):
        return _built(kind, value)  # type: ignore[arg-type]  # it is a class: annotations hold no values
    if isinstance(kind, type) and issubclass(kind, Enum):
        for one in kind:
            if _plain(one) == value:
                return one
    elif kind is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment
    elif kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif kind in (int, str) and type(value) is kind:
        return value
    raise ValueError(f"{value!r:.50} is no {getattr(kind, '__name__', kind)}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        if isinstance(value, Phase):
            return value.label
        return value.name.lower() if isinstance(value, Severity) else value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return value
