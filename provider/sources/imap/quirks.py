"""Deviations that servers forced on us, each with who and where it was seen. Only what is used is here.

Room: sources/imap. Pure. A quirk is judged by what a server does, never by its name in a greeting.
"""

import re

from .grammar import Status

__all__ = ["folder_is_gone", "is_not_connected"]

_NOT_CONNECTED = re.compile(rb"authenticated but not connected", re.IGNORECASE)
_GONE = re.compile(
    rb"(?:mailbox|folder)\b.{0,80}(?:does ?n[o']t exist|does not exist|not found|unknown|no such)"
    rb"|(?:unknown|no such|non-?existent) (?:mailbox|folder)",
    re.IGNORECASE,
)


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
