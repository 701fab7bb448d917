"""The documented masks of handlers and items, and what each bit does here: which verb is refused, and why. Pure.

Values are those of syncmgr.h (SYNCMGR_HCM_, HPM_, ICM_, IPM_). Rules of the room: a rule without a reason cannot be
made; PREVENT takes a verb away, DISABLE leaves it in sight and refuses it. Both are about what people ask for: what a
schedule or a trigger starts goes on (SYNCMGR_HPM_BACKGROUND_SYNC_ONLY is to prevent both start and stop).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntFlag

__all__ = [
    "HandlerCan",
    "HandlerPolicy",
    "HandlerRule",
    "ItemCan",
    "ItemPolicy",
    "ItemRule",
    "Offer",
    "Verb",
    "handler_offer",
    "item_offer",
    "policy_bits",
]


class HandlerCan(IntFlag):
    """What a handler is able to do (SYNCMGR_HCM_*)."""

    NOTHING = 0
    PROVIDES_ICON = 0x1
    EVENT_STORE = 0x2
    """It keeps its events itself (``KeepsEvents``)."""
    CONFLICT_STORE = 0x4
    """It has conflicts (``KeepsConflicts``)."""
    CONCURRENT_SESSIONS = 0x10
    BROWSE_CONTENT = 0x10000
    SHOW_SCHEDULE = 0x20000
    QUERY_BEFORE_ACTIVATE = 0x100000
    """It is asked first, and may say no (``AsksBefore``); so the next ones."""
    QUERY_BEFORE_DEACTIVATE = 0x200000
    QUERY_BEFORE_ENABLE = 0x400000
    QUERY_BEFORE_DISABLE = 0x800000


class HandlerPolicy(IntFlag):
    """What may not be done with a handler (SYNCMGR_HPM_*)."""

    NOTHING = 0
    PREVENT_ACTIVATE = 0x1
    PREVENT_DEACTIVATE = 0x2
    PREVENT_ENABLE = 0x4
    PREVENT_DISABLE = 0x8
    PREVENT_START_SYNC = 0x10
    PREVENT_STOP_SYNC = 0x20
    DISABLE_ENABLE = 0x100
    DISABLE_DISABLE = 0x200
    DISABLE_START_SYNC = 0x400
    DISABLE_STOP_SYNC = 0x800
    DISABLE_BROWSE = 0x1000
    DISABLE_SCHEDULE = 0x2000
    HIDDEN_BY_DEFAULT = 0x10000
    """It is not listed unless all are asked for; nothing is refused."""
    BACKGROUND_SYNC_ONLY = 0x30


class ItemCan(IntFlag):
    """What an item is able to do (SYNCMGR_ICM_*)."""

    NOTHING = 0
    PROVIDES_ICON = 0x1
    EVENT_STORE = 0x2
    CONFLICT_STORE = 0x4
    CAN_DELETE = 0x10
    """It can leave the sync set."""
    BROWSE_CONTENT = 0x10000
    QUERY_BEFORE_ENABLE = 0x100000
    QUERY_BEFORE_DISABLE = 0x200000
    QUERY_BEFORE_DELETE = 0x400000


class ItemPolicy(IntFlag):
    """What may not be done with an item (SYNCMGR_IPM_*)."""

    NOTHING = 0
    PREVENT_ENABLE = 0x1
    PREVENT_DISABLE = 0x2
    PREVENT_START_SYNC = 0x4
    PREVENT_STOP_SYNC = 0x8
    DISABLE_ENABLE = 0x10
    DISABLE_DISABLE = 0x20
    DISABLE_START_SYNC = 0x40
    DISABLE_STOP_SYNC = 0x80
    DISABLE_BROWSE = 0x100
    DISABLE_DELETE = 0x200
    HIDDEN_BY_DEFAULT = 0x10000


class Verb(Enum):
    """What people can ask of a handler or an item."""

    START = "start"
    STOP = "stop"
    ENABLE = "enable"
    DISABLE = "disable"
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    DELETE = "delete"
    BROWSE = "browse"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    reason: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("a policy says why")


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerRule(_Rule):
    """Bits that hold for a handler and all its items, and why. Raises ValueError without a reason."""

    mask: HandlerPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRule(_Rule):
    """Bits that hold for one item, and why. Raises ValueError without a reason."""

    mask: ItemPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Whether people may do something. ``reason``: why not; empty when they may."""

    allowed: bool = True
    shown: bool = True
    """False: it is not even offered (PREVENT)."""
    reason: str = ""


_HANDLER = {
    Verb.START: (HandlerPolicy.PREVENT_START_SYNC, HandlerPolicy.DISABLE_START_SYNC),
    Verb.STOP: (HandlerPolicy.PREVENT_STOP_SYNC, HandlerPolicy.DISABLE_STOP_SYNC),
    Verb.ENABLE: (HandlerPolicy.PREVENT_ENABLE, HandlerPolicy.DISABLE_ENABLE),
    Verb.DISABLE: (HandlerPolicy.PREVENT_DISABLE, HandlerPolicy.DISABLE_DISABLE),
    Verb.ACTIVATE: (HandlerPolicy.PREVENT_ACTIVATE, HandlerPolicy.NOTHING),
    Verb.DEACTIVATE: (HandlerPolicy.PREVENT_DEACTIVATE, HandlerPolicy.NOTHING),
    Verb.BROWSE: (HandlerPolicy.NOTHING, HandlerPolicy.DISABLE_BROWSE),
    Verb.SCHEDULE: (HandlerPolicy.NOTHING, HandlerPolicy.DISABLE_SCHEDULE),
}
"""Verb -> the bit that takes it away, the bit that leaves it in sight and refuses it."""

_ITEM = {
    Verb.START: (ItemPolicy.PREVENT_START_SYNC, ItemPolicy.DISABLE_START_SYNC),
    Verb.STOP: (ItemPolicy.PREVENT_STOP_SYNC, ItemPolicy.DISABLE_STOP_SYNC),
    Verb.ENABLE: (ItemPolicy.PREVENT_ENABLE, ItemPolicy.DISABLE_ENABLE),
    Verb.DISABLE: (ItemPolicy.PREVENT_DISABLE, ItemPolicy.DISABLE_DISABLE),
    Verb.DELETE: (ItemPolicy.NOTHING, ItemPolicy.DISABLE_DELETE),
    Verb.BROWSE: (ItemPolicy.NOTHING, ItemPolicy.DISABLE_BROWSE),
}


def handler_offer(verb: Verb, rules: Iterable[HandlerRule]) -> Offer:
    """Return whether people may do *verb* with a handler under *rules*; the first rule that speaks gives the reason.

    >>> handler_offer(Verb.START, [HandlerRule(mask=HandlerPolicy.BACKGROUND_SYNC_ONLY, reason="By night only.")])
    Offer(allowed=False, shown=False, reason='By night only.')
    """
    return _offer([(int(rule.mask), rule.reason) for rule in rules], _HANDLER.get(verb, (0, 0)))


def item_offer(verb: Verb, rules: Iterable[ItemRule]) -> Offer:
    """Return whether people may do *verb* with an item under its own *rules*; the handler's come on top.

    >>> item_offer(Verb.DELETE, [ItemRule(mask=ItemPolicy.DISABLE_DELETE, reason="It is the only one.")])
    Offer(allowed=False, shown=True, reason='It is the only one.')
    """
    return _offer([(int(rule.mask), rule.reason) for rule in rules], _ITEM.get(verb, (0, 0)))


def policy_bits(verb: Verb, *, item: bool) -> HandlerPolicy | ItemPolicy | None:
    """Return the bit by which an administrator refuses *verb*: PREVENT where there is one; None: there is none."""
    bits = (_ITEM if item else _HANDLER).get(verb)
    return None if bits is None else (bits[0] or bits[1])


def _offer(rules: list[tuple[int, str]], bits: tuple[int, int]) -> Offer:
    for number, shown in ((0, False), (1, True)):
        for mask, reason in rules:
            if mask & bits[number]:
                return Offer(allowed=False, shown=shown, reason=reason)
    return Offer()
