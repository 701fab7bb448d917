"""What the surroundings tell (ISensNetwork, ISensLogon, ISensOnNow), and what follows from it. Pure.

A ``Fact`` is one thing that happened, told by a host or by the desktop (``bus``). ``after`` keeps what is known in
``Surroundings``; ``conduct`` says how to behave in them; ``answer`` says whether a fact starts something. All three
look at a ``SurroundingsPolicy`` and at nothing else: no clock, no thread, no network.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from store.mail import AccountId

from ...errors import InvalidRequest
from ...request import Trigger

__all__ = ["Answer", "Conduct", "Fact", "Happening", "Link", "Power", "Surroundings", "SurroundingsPolicy"]
__all__ += ["after", "answer", "conduct"]


class Happening(Enum):
    """What happened. The text of one that is not here may be told, too: it acts as ``MANUAL``."""

    MANUAL = "manual"
    CONNECT = "connect"
    """A host's own "we are connected", whatever that means there (SYNCMGRFLAG_CONNECT)."""
    PENDING_DISCONNECT = "pending-disconnect"
    """The connection goes away in ``Fact.deadline_seconds``."""
    IDLE = "idle"
    INVOKE = "invoke"
    """Another program asks; ``Fact.cookie`` is its own."""
    SETTINGS = "settings"
    """Settings changed."""
    NETWORK_MADE = "network-made"
    NETWORK_LOST = "network-lost"
    NETWORK_REACHABLE = "network-reachable"
    """``Fact.destination`` answers: accounts with that host are meant."""
    NETWORK_QUALITY = "network-quality"
    """The same network became another ``Link``."""
    LOGON = "logon"
    LOGOFF = "logoff"
    """The person leaves in ``Fact.deadline_seconds``."""
    LOCK = "lock"
    UNLOCK = "unlock"
    POWER = "power"
    """``Fact.power`` is another: AC, battery, percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How good a network is; None: not known, and then nothing is held against it."""

    wan: bool | None = None
    metered: bool | None = None
    bits_per_second: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Where the power comes from. *percent* of the battery, 0 to 100; None: not known, or there is none."""

    on_battery: bool = False
    percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that happened. Raises InvalidRequest for values that make no sense."""

    what: Happening | str
    accounts: tuple[AccountId, ...] = ()
    """Whom it is about; empty: all."""
    destination: str = ""
    link: Link | None = None
    power: Power | None = None
    deadline_seconds: float | None = None
    """How long there is until what is announced happens."""
    cookie: bytes = field(default=b"", repr=False)
    over: Callable[[], None] | None = field(default=None, repr=False, compare=False)
    """Called once when there is nothing more to wait for: the run ended, or none was started. It must not block."""

    def __post_init__(self) -> None:
        if self.deadline_seconds is not None and not 0 <= self.deadline_seconds <= 86_400:
            raise InvalidRequest("What is announced happens within a day.")
        if self.power is not None and self.power.percent is not None and not 0 <= self.power.percent <= 100:
            raise InvalidRequest("A battery is charged by 0 to 100 percent.")

    @property
    def happening(self) -> Happening:
        """What happened; MANUAL where it is none that we know (SYNCMGRFLAG: an unknown one is treated so)."""
        try:
            return Happening(self.what)
        except ValueError:
            return Happening.MANUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SurroundingsPolicy:
    """What the surroundings may do to synchronizations that start by themselves. A person's own are never held up."""

    headers_only_metered: bool = True
    headers_only_below_bits: int = 256_000
    """A link with fewer bits a second is slow; 0: none is."""
    pause_below_percent: float = 20.0
    """On battery, below this charge, nothing starts and what started by itself waits; 0: never."""
    resume_margin_percent: float = 5.0
    """So much above it begins anew: a charge that wavers does not start and stop."""
    ac_only: bool = False
    pause_without_network: bool = True
    answers: frozenset[Happening] = frozenset(
        {
            Happening.CONNECT,
            Happening.PENDING_DISCONNECT,
            Happening.IDLE,
            Happening.INVOKE,
            Happening.SETTINGS,
            Happening.NETWORK_MADE,
            Happening.NETWORK_REACHABLE,
            Happening.LOGON,
            Happening.LOGOFF,
            Happening.UNLOCK,
        }
    )
    """Happenings that start a synchronization; MANUAL always does."""
    wan: bool = True
    """Whether networks that are known to be wide-area ones start something."""
    apart_seconds: float = 60.0
    """One happening starts something this often at most: a network that comes and goes is answered once it stays."""

    def __post_init__(self) -> None:
        percents = (self.pause_below_percent, self.resume_margin_percent)
        if not all(0 <= one <= 100 for one in percents) or self.headers_only_below_bits < 0 or self.apart_seconds < 0:
            raise InvalidRequest("Percents are 0 to 100; bits and seconds are not negative.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known by now. Nothing told, nothing held against anybody."""

    network: bool | None = None
    link: Link = Link()
    power: Power = Power()
    locked: bool = False
    weak: bool = False
    """The battery was below the policy's limit, and is not above it by the margin yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How to behave. *paused*, *headers_only*: why; empty: it is not so."""

    paused: str = ""
    headers_only: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a fact leads to: a run by *trigger*, or nothing and *declined* says why."""

    trigger: Trigger | None = None
    declined: str = ""
    missed: bool = False
    """It would have started something: that is made up for when the surroundings are better."""


_TRIGGERS = {
    Happening.MANUAL: Trigger.MANUAL,
    Happening.CONNECT: Trigger.CONNECT,
    Happening.NETWORK_MADE: Trigger.CONNECT,
    Happening.NETWORK_REACHABLE: Trigger.CONNECT,
    Happening.LOGON: Trigger.CONNECT,
    Happening.UNLOCK: Trigger.CONNECT,
    Happening.PENDING_DISCONNECT: Trigger.PENDING_DISCONNECT,
    Happening.LOGOFF: Trigger.PENDING_DISCONNECT,
    Happening.IDLE: Trigger.IDLE,
    Happening.LOCK: Trigger.IDLE,
    Happening.INVOKE: Trigger.INVOKE,
    Happening.SETTINGS: Trigger.SETTINGS,
}
"""Happening -> trigger of its run; what is not here never starts one by itself."""

_NETWORK = {Happening.NETWORK_MADE: True, Happening.NETWORK_REACHABLE: True, Happening.NETWORK_LOST: False}
_LOCKED = {Happening.LOCK: True, Happening.UNLOCK: False, Happening.LOGON: False}


def after(known: Surroundings, fact: Fact, policy: SurroundingsPolicy) -> Surroundings:
    """Return what is known after *fact*. A network that is lost takes what was known of its link with it."""
    happening = fact.happening
    network = _NETWORK.get(happening, known.network)
    link = fact.link if fact.link is not None else known.link
    if network is False or (happening is Happening.NETWORK_MADE and fact.link is None):
        link = Link()
    power = fact.power if fact.power is not None else known.power
    return replace(
        known,
        network=network,
        link=link,
        power=power,
        locked=_LOCKED.get(happening, known.locked),
        weak=_weak(known.weak, power, policy),
    )


def conduct(known: Surroundings, policy: SurroundingsPolicy) -> Conduct:
    """Return how to behave in what is *known*."""
    paused = headers_only = ""
    if known.network is False and policy.pause_without_network:
        paused = "there is no network"
    elif known.power.on_battery and policy.ac_only:
        paused = "the machine runs on battery"
    elif known.weak:
        paused = "the battery is low"
    bits = known.link.bits_per_second
    if known.link.metered and policy.headers_only_metered:
        headers_only = "the link is metered"
    elif bits is not None and bits < policy.headers_only_below_bits:
        headers_only = "the link is slow"
    return Conduct(paused=paused, headers_only=headers_only)


def answer(known: Surroundings, fact: Fact, policy: SurroundingsPolicy) -> Answer:
    """Return what *fact*, which is part of what is *known* already, leads to."""
    happening = fact.happening
    trigger = _TRIGGERS.get(happening)
    if trigger is Trigger.MANUAL:
        return Answer(trigger=trigger)
    if trigger is None or happening not in policy.answers:
        return Answer(declined="nothing is to start by it")
    if trigger is Trigger.CONNECT and known.link.wan and not policy.wan:
        return Answer(declined="it is a wide-area network")
    paused = conduct(known, policy).paused
    if paused:
        return Answer(declined=paused, missed=trigger in (Trigger.CONNECT, Trigger.INVOKE, Trigger.SETTINGS))
    return Answer(trigger=trigger)


def _weak(weak: bool, power: Power, policy: SurroundingsPolicy) -> bool:
    if not power.on_battery or power.percent is None:
        return False
    limit = policy.pause_below_percent
    if limit <= 0:
        return False
    return power.percent < (limit + policy.resume_margin_percent if weak else limit)
