"""How handlers and items stand: what they say of themselves, what people chose, what may be done with them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from .book import Kept
from .handler import HandlerId, HandlerInfo, Item, ItemId
from .masks import (
    HandlerPolicy,
    HandlerRule,
    ItemCan,
    ItemPolicy,
    ItemRule,
    Offer,
    Verb,
    handler_offer,
    item_offer,
)

__all__ = ["HandlerView", "ItemView", "Standing", "view_of", "why"]

_NOTHING = Kept()


class Standing(Enum):
    """Whether something may be synchronized, worst first."""

    BROKEN = "broken"
    INACTIVE = "inactive"
    """Not set up."""
    REMOVED = "removed"
    """An item that left the sync set."""
    DISABLED = "disabled"
    """Shown, and not synchronized."""
    DISCONNECTED = "disconnected"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemView:
    """One item, as it stands."""

    item: Item
    standing: Standing
    enabled: bool
    last_sync: datetime | None
    rules: tuple[ItemRule, ...] = ()
    hidden: bool = False

    @property
    def id(self) -> ItemId:
        """Its id."""
        return self.item.id


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerView:
    """One handler, as it stands, with its items."""

    id: HandlerId
    info: HandlerInfo
    standing: Standing
    fault: str
    active: bool
    enabled: bool
    last_sync: datetime | None
    items: tuple[ItemView, ...] = ()
    rules: tuple[HandlerRule, ...] = ()
    hidden: bool = False

    def item(self, id: ItemId) -> ItemView | None:
        """Return one item; None: there is none."""
        return next((one for one in self.items if one.id == id), None)

    def offer(self, verb: Verb, item: ItemView | None = None) -> Offer:
        """Return whether people may do *verb* with it, or with one of its items, and why not."""
        if item is None or verb in (Verb.START, Verb.STOP):
            mine = handler_offer(verb, self.rules)
            if item is None or not mine.allowed:
                return mine
        if verb is Verb.DELETE and not item.item.can & ItemCan.CAN_DELETE:
            return Offer(allowed=False, shown=False, reason="It cannot leave the sync set.")
        return item_offer(verb, item.rules)


_WHY = {
    Standing.INACTIVE: "It is not set up here.",
    Standing.REMOVED: "It left the sync set.",
    Standing.DISABLED: "It is switched off.",
    Standing.DISCONNECTED: "It is not connected.",
}


def why(standing: Standing, fault: str = "") -> str:
    """Return why it is not synchronized; empty: it is."""
    return fault if standing is Standing.BROKEN else _WHY.get(standing, "")


def view_of(
    id: HandlerId, info: HandlerInfo, items: Mapping[ItemId, Item], kept: Mapping[str, Kept], fault: str = ""
) -> HandlerView:
    """Put together how a handler and its items stand."""
    own = kept.get("", _NOTHING)
    enabled = own.enabled is not False
    rules = info.rules
    if own.policies:
        rules = (HandlerRule(mask=HandlerPolicy(own.policies), reason=own.reason), *rules)
    if fault:
        standing = Standing.BROKEN
    elif not own.active or not info.name:
        standing = Standing.INACTIVE
    elif not enabled:
        standing = Standing.DISABLED
    else:
        standing = Standing.DISCONNECTED if info.connected is False else Standing.READY
    return HandlerView(
        id=id,
        info=info,
        standing=standing,
        fault=fault,
        active=own.active,
        enabled=enabled,
        last_sync=info.last_sync or own.synced_at,
        items=tuple(_item_view(item, kept.get(item.id, _NOTHING)) for item in items.values()),
        rules=rules,
        hidden=not info.name or any(rule.mask & HandlerPolicy.HIDDEN_BY_DEFAULT for rule in rules),
    )


def _item_view(item: Item, kept: Kept) -> ItemView:
    rules = item.rules
    if kept.policies:
        rules = (ItemRule(mask=ItemPolicy(kept.policies), reason=kept.reason), *rules)
    enabled = item.enabled if kept.enabled is None else kept.enabled
    if kept.removed:
        standing = Standing.REMOVED
    elif not enabled:
        standing = Standing.DISABLED
    else:
        standing = Standing.DISCONNECTED if item.connected is False else Standing.READY
    return ItemView(
        item=item,
        standing=standing,
        enabled=enabled,
        last_sync=item.last_sync or kept.synced_at,
        rules=rules,
        hidden=kept.removed or any(rule.mask & ItemPolicy.HIDDEN_BY_DEFAULT for rule in rules),
    )
