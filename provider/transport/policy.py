"""What follows from how a message fared: who is still to be sent to, and when that is tried. Pure.

RFC 5321 §4.5.4.1: what is refused for now is tried again after half an hour or more, for four to five days. A way out
that cannot be reached is tried again sooner: nobody was asked anything. What is in doubt is left alone for ten minutes,
and sent again once at most (decision 14).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from store.mail.submission import DOUBT_SECONDS, DOUBTS_MAX, Fate, Reply, Submission

from ..errors import Needs, ProviderError
from .base import Delivery, Ended

__all__ = ["GIVE_UP_AFTER", "Consequence", "after_delivery", "after_failure"]

REFUSED_MINUTES = (30, 60, 120, 240)
"""After the first, the second, ... time that somebody was refused for now; the last one again and again."""
UNREACHED_MINUTES = (1, 2, 5, 10, 20, 30)
LOGIN_MINUTES = (5, 30)
"""Wrong credentials do not become right by asking often."""
GIVE_UP_AFTER = timedelta(days=5)
"""Counted from when it was submitted, was to be sent at the earliest, or a person last said that it is to be tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What is to be written down about a submission."""

    fates: tuple[tuple[str, Fate, Reply | None], ...]
    """By recipient; those that are left out stay as they are."""
    next_try: datetime | None
    """None: never by itself, or there is nothing left to do."""
    reason: str
    """One sentence for people; empty: nothing to say."""
    reply: Reply | None = None
    """About the message as a whole."""


def after_delivery(one: Submission, delivery: Delivery, now: datetime) -> Consequence:
    """Return what follows from *delivery* of *one*, as it was when it was claimed."""
    match delivery.ended:
        case Ended.ANSWERED:
            return _answered(one, delivery, now)
        case Ended.IN_DOUBT:
            return _in_doubt(one, delivery, now)
        case Ended.NOT_SENT:
            return _not_sent(one, delivery.reason, now, UNREACHED_MINUTES, reply=delivery.reply)


def after_failure(one: Submission, error: ProviderError, now: datetime) -> Consequence:
    """Return what follows from a way out that did not open: *error* says why."""
    minutes = LOGIN_MINUTES if error.needs in (Needs.LOGIN, Needs.USER) else UNREACHED_MINUTES
    seconds = error.retry_after_seconds or 0.0
    return _not_sent(one, str(error), now, minutes, at_least=seconds)


def _answered(one: Submission, delivery: Delivery, now: datetime) -> Consequence:
    fates: list[tuple[str, Fate, Reply | None]] = []
    fates += [(address, Fate.ACCEPTED, delivery.reply) for address in one.waiting if address in delivery.accepted]
    fates += [(address, Fate.REFUSED, reply) for address, reply in delivery.refused]
    reason = _told("refused", delivery.refused)
    if not delivery.later:
        return Consequence(fates=tuple(fates), next_try=None, reason=reason, reply=delivery.reply)
    when = now if _crowded(delivery) else now + _wait(one, REFUSED_MINUTES)
    if one.tries and when > _given_up_at(one):
        fates += [(address, Fate.REFUSED, reply) for address, reply in delivery.later]
        reason = f"It was tried for {GIVE_UP_AFTER.days} days, and is not tried any more."
        return Consequence(fates=tuple(fates), next_try=None, reason=reason, reply=delivery.reply)
    fates += [(address, Fate.WAITING, reply) for address, reply in delivery.later]
    reason = " ".join(filter(None, (reason, _told("refused for now", delivery.later))))
    return Consequence(fates=tuple(fates), next_try=when, reason=reason, reply=delivery.reply)


def _crowded(delivery: Delivery) -> bool:
    """Tell whether the rest was too many at once: then it goes out at once, by itself (RFC 5321 §4.5.3.1.10)."""
    return bool(delivery.accepted) and all((one.code, one.enhanced) == (452, "4.5.3") for _, one in delivery.later)


def _in_doubt(one: Submission, delivery: Delivery, now: datetime) -> Consequence:
    settled = dict(delivery.refused) | dict(delivery.later)
    fates: list[tuple[str, Fate, Reply | None]] = []
    fates += [(address, Fate.REFUSED, reply) for address, reply in delivery.refused]
    fates += [(address, Fate.WAITING, reply) for address, reply in delivery.later]
    fates += [(address, Fate.UNKNOWN, None) for address in one.waiting if address not in settled]
    last = one.doubts + 1 >= DOUBTS_MAX
    then = (
        "it is for you to say whether it is sent again." if last else "it is looked for, and sent again once at most."
    )
    reason = f"Nobody knows whether it was delivered: {delivery.reason or 'no answer came'}; {then}"
    when = None if last else now + timedelta(seconds=DOUBT_SECONDS)
    return Consequence(fates=tuple(fates), next_try=when, reason=reason)


def _not_sent(
    one: Submission,
    reason: str,
    now: datetime,
    minutes: tuple[int, ...],
    *,
    at_least: float = 0.0,
    reply: Reply | None = None,
) -> Consequence:
    wait = max(_wait(one, minutes), timedelta(seconds=min(at_least, 86_400.0)))
    if not one.tries or now + wait <= _given_up_at(one):
        return Consequence(fates=(), next_try=now + wait, reason=reason, reply=reply)
    # Of whom nobody knows, nobody can say that they have not got it: those stay in doubt, for a person.
    waiting = [recipient for recipient in one.recipients if recipient.fate is Fate.WAITING]
    fates = tuple((recipient.address, Fate.REFUSED, None) for recipient in waiting)
    days = f"It was tried for {GIVE_UP_AFTER.days} days, and is not tried any more: {reason}"
    return Consequence(fates=fates, next_try=None, reason=days, reply=reply)


def _wait(one: Submission, minutes: tuple[int, ...]) -> timedelta:
    return timedelta(minutes=minutes[min(one.tries, len(minutes) - 1)])


def _given_up_at(one: Submission) -> datetime:
    return max(one.submitted_at, one.not_before or one.submitted_at) + GIVE_UP_AFTER


def _told(how: str, replies: Iterable[tuple[str, Reply]]) -> str:
    """Say how many were refused; who, and why, stands with each."""
    count = len(tuple(replies))
    if not count:
        return ""
    return f"1 recipient was {how}." if count == 1 else f"{count} recipients were {how}."
