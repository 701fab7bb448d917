"""Deviations that servers forced on us, each with who and where it was seen. Only what is used is here.

Room: sources/imap. Pure. A quirk is judged by what a server does, never by its name in a greeting.
"""

import re

from .grammar import Status

__all__ = ["folder_is_gone", "is_not_connected", "is_one_too_many", "is_quota_used_up", "is_throttled"]

_NOT_CONNECTED = re.compile(rb"authenticated but not connected", re.IGNORECASE)
_GONE = re.compile(
    rb"(?:mailbox|folder)\b.{0,80}(?:does ?n[o']t exist|does not exist|not found|unknown|no such)"
    rb"|(?:unknown|no such|non-?existent) (?:mailbox|folder)",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    rb"\bexceeded (?:\w+ ){0,4}(?:bandwidth|quota)|\b(?:bandwidth|download) (?:limit|quota)", re.IGNORECASE
)
_ONE_TOO_MANY = re.compile(
    rb"(?:too many|maximum number of|maximum) (?:[\w-]+ ){0,3}(?:connections?|sessions)\b"
    rb"|\b(?:connection|session)s? limit",
    re.IGNORECASE,
)
_THROTTLED = re.compile(rb"request is throttled|\brate limit hit|^server (?:busy|unavailable)\b", re.IGNORECASE)


def is_quota_used_up(text: bytes) -> bool:
    """Tell a refusal that means "enough octets for today": the account is good, and hours have to pass.

    Gmail (2.5 GB down a day): ``NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)``, also with
    ALERT for the code or without one.

    >>> is_quota_used_up(b"[ALERT] Account exceeded command or bandwidth limits. (Failure)")
    True
    """
    return text.startswith(b"[OVERQUOTA]") or _QUOTA.search(text[:500]) is not None


def is_throttled(status: Status) -> bool:
    """Tell a refused command that means "not so fast", whatever it was about.

    Exchange Online: ``NO Request is throttled. Suggested Backoff Time: 299961 milliseconds``, also without the time;
    Exchange on premises: ``NO Server Busy. 15`` and ``NO Server Unavailable. 15``; Yahoo: ``NO [LIMIT] FETCH Rate limit
    hit``, also without the code. A refusal that only names the messages it is about is none.
    """
    return status.word in (b"NO", b"BAD", b"BYE") and _THROTTLED.search(status.text[:500]) is not None


def is_one_too_many(text: bytes) -> bool:
    """Tell a greeting's BYE or a refused login that means "you have too many connections".

    RFC 5530 has the code LIMIT for it, which few send. Gmail (15 connections of an account): ``NO [ALERT] Too many
    simultaneous connections. (Failure)``; Dovecot 2.3: ``NO [UNAVAILABLE] Maximum number of connections from user+IP
    exceeded (mail_max_userip_connections=10)``; others ``* BYE too many connections``, ``Connection limit reached``.

    >>> is_one_too_many(b"[ALERT] Too many simultaneous connections. (Failure)")
    True
    >>> is_one_too_many(b"[AUTHENTICATIONFAILED] Too many failed attempts")
    False
    """
    return _ONE_TOO_MANY.search(text[:500]) is not None


def is_not_connected(status: Status) -> bool:
    """Tell Exchange's "you are in, but your mailbox is not": the login was accepted, no command ever will be.

    Exchange 2010 to Exchange Online answer ``BAD User is authenticated but not connected`` when the user's mailbox
    cannot be opened. A new connection later helps, another command does not.
    """
    return not status.ok and _NOT_CONNECTED.search(status.text[:500]) is not None


def folder_is_gone(status: Status) -> bool:
    """Tell a NO that means "no such folder" from one that means "not now".

    RFC 5530 has the code NONEXISTENT for it. Servers older than that say it in words: Courier 4 and 5 "Unable to open
    this mailbox", which says nothing, Cyrus before 2.4 "Mailbox does not exist", Exchange 2010 "mailbox not found",
    Gmail "[NONEXISTENT] Unknown Mailbox" (code and words).
    """
    if status.word != b"NO":
        return False
    return status.code == b"NONEXISTENT" or (not status.code and _GONE.search(status.text[:500]) is not None)
