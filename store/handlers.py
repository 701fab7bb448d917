"""``MailStore.handlers``: what a manager remembers of the things that it keeps in step, by their own ids."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from .database import Database
from .instants import from_micros, micros_or_none
from .sql import handlers
from .sql.handlers import Row
from .sql.values import storable
from .sql.writing import Unit

__all__ = ["HandlerRecord", "Handlers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerRecord:
    """What is remembered of one item of a handler; of the handler as a whole where *item* is empty."""

    handler: str
    item: str = ""
    enabled: bool | None = None
    """None: nobody chose."""
    active: bool = True
    removed: bool = False
    policies: int = 0
    """An administrator's bits."""
    reason: str = ""
    synced_at: datetime | None = None


class Handlers:
    """Records of handlers and items. Thread-safe; any number of processes."""

    def __init__(self, database: Database, unit: Unit) -> None:
        self._database = database
        self._unit = unit

    def records(self, handler: str) -> tuple[HandlerRecord, ...]:
        """Return what is remembered of a handler and its items; the handler itself first."""
        with self._database.reading() as connection:
            return tuple(_value(row) for row in handlers.of_handler(connection, handler))

    def put(self, record: HandlerRecord) -> None:
        """Remember it, durably, in place of what was remembered of the same item. Raises ValueError without an id."""
        if not record.handler:
            raise ValueError("a handler has an id")
        with self._unit("handler", durable=True) as work:
            handlers.put(work, [_row(record)])

    def synced(self, handler: str, items: Iterable[str], at: datetime) -> None:
        """Remember when a handler and some of its items were synchronized."""
        with self._unit("handler synced") as work:
            before = {one.item: _value(one) for one in handlers.of_handler(work.connection, handler)}
            known = (before.get(item, HandlerRecord(handler=handler, item=item)) for item in ("", *items))
            handlers.put(work, [_row(replace(one, synced_at=at)) for one in known])


def _row(one: HandlerRecord) -> Row:
    return Row(
        handler=storable(one.handler),
        item=storable(one.item),
        enabled=None if one.enabled is None else int(one.enabled),
        active=int(one.active),
        removed=int(one.removed),
        policies=one.policies,
        reason=storable(one.reason),
        synced_at=micros_or_none(one.synced_at),
    )


def _value(row: Row) -> HandlerRecord:
    return HandlerRecord(
        handler=row.handler,
        item=row.item,
        enabled=None if row.enabled is None else bool(row.enabled),
        active=bool(row.active),
        removed=bool(row.removed),
        policies=row.policies,
        reason=row.reason,
        synced_at=None if row.synced_at is None else from_micros(row.synced_at),
    )
