"""What the desktop says about itself, read and compared. Pure: answers of the bus in, facts out.

``NetworkManager``, ``UPower`` and ``logind`` keep what they know as properties. ``snapshot_of`` makes one value of
them, whatever they hold and whichever is missing; ``facts_between`` tells what happened from one look to the next. A
look is taken anew whenever something stirs, so that neither a lost signal nor a forged one tells us anything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .triggers import Fact, Happening, Link, Power

__all__ = ["Look", "Snapshot", "facts_between", "snapshot_of"]

_CONNECTED = 60
"""NMState: from here on beyond this machine (local 50, site 60, global 70)."""
_CONNECTIVITY_BAD = {1, 2}
"""NMConnectivityState: none, portal. Unknown 0, limited 3 and full 4 may work."""
_METERED = {1: True, 2: False, 3: True, 4: False}
"""NMMetered: yes, no, guessed yes, guessed no; 0: not known."""
_WAN = {"gsm", "cdma", "wimax", "bluetooth", "ppp"}
"""Types of connections that reach further than the house."""
_BATTERY, _UPS = 2, 3
"""UPower device types that have a charge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The properties of each service, as the bus told them; None: it is not there, or did not answer."""

    network: Mapping[str, object] | None = None
    power: Mapping[str, object] | None = None
    battery: Mapping[str, object] | None = None
    login: Mapping[str, object] | None = None
    session: Mapping[str, object] | None = None
    sessions: int | None = None
    """How many sessions the user has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is so. None: not known."""

    network: bool | None = None
    link: Link = Link()
    power: Power | None = None
    idle: bool | None = None
    locked: bool | None = None
    logged_on: bool | None = None
    """The user has a session."""
    leaving: bool = False
    """The machine is about to sleep, or to be switched off."""


def snapshot_of(look: Look) -> Snapshot:
    """Return what *look* means. A property that is missing, or of another type, is not known."""
    network, power, battery = look.network or {}, look.power or {}, look.battery or {}
    login, session = look.login or {}, look.session or {}
    state, connectivity = _number(network, "State"), _number(network, "Connectivity")
    connected = None if state is None else state >= _CONNECTED and connectivity not in _CONNECTIVITY_BAD
    kind = network.get("PrimaryConnectionType")
    on_battery = _flag(power, "OnBattery")
    return Snapshot(
        network=connected,
        link=Link(
            wan=kind in _WAN if connected and isinstance(kind, str) and kind else None,
            metered=_METERED.get(_number(network, "Metered") or 0) if connected else None,
        ),
        power=None if on_battery is None else Power(on_battery=on_battery, percent=_percent(battery)),
        idle=_flag(login, "IdleHint"),
        locked=_flag(session, "LockedHint"),
        logged_on=None if look.sessions is None else look.sessions > 0,
        leaving=bool(_flag(login, "PreparingForSleep") or _flag(login, "PreparingForShutdown")),
    )


def facts_between(before: Snapshot, now: Snapshot, *, deadline_seconds: float | None = None) -> Iterator[Fact]:
    """Yield what happened, in the order in which it matters: power and link first, that runs begin as they should.

    The first look tells how things are, and starts a synchronization only where there is a network: *before* is empty.
    What nobody knows any more is held against nobody.
    *deadline_seconds*: how long there is until the machine leaves.
    """
    if now.power != before.power:
        yield Fact(what=Happening.POWER, power=now.power or Power())
    if now.network is None and before.network is False:
        yield Fact(what=Happening.NETWORK_MADE)  # nobody knows any more: it is tried
    elif now.network is not None and now.network is not before.network:
        what = Happening.NETWORK_MADE if now.network else Happening.NETWORK_LOST
        yield Fact(what=what, link=now.link if now.network else None)
    elif now.link != before.link:
        yield Fact(what=Happening.NETWORK_QUALITY, link=now.link)
    if None not in (before.logged_on, now.logged_on) and now.logged_on is not before.logged_on:
        yield Fact(what=Happening.LOGON if now.logged_on else Happening.LOGOFF)
    if now.locked is not None and now.locked is not bool(before.locked):
        yield Fact(what=Happening.LOCK if now.locked else Happening.UNLOCK)
    if now.idle and not before.idle:
        yield Fact(what=Happening.IDLE)
    if now.leaving and not before.leaving:
        yield Fact(what=Happening.PENDING_DISCONNECT, deadline_seconds=deadline_seconds)
    if before.leaving and not now.leaving and now.network:
        yield Fact(what=Happening.CONNECT)  # it woke up again, and may not have lost its network for that


def _flag(found: Mapping[str, object], name: str) -> bool | None:
    value = found.get(name)
    return value if isinstance(value, bool) else None


def _number(found: Mapping[str, object], name: str) -> int | None:
    value = found.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _percent(battery: Mapping[str, object]) -> float | None:
    charge = battery.get("Percentage")
    there = _flag(battery, "IsPresent") and _number(battery, "Type") in (_BATTERY, _UPS)
    return float(charge) if there and isinstance(charge, int | float) and 0 <= charge <= 100 else None
