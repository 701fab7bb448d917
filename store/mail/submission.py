"""A message on its way out, as a value: who it is from and to, where it stands, and what became of each recipient.

Pure. A *submission* is one message with one envelope (RFC 5321 §2.3.1); the store keeps it, a transport sends it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum
from typing import NewType

from .ids import AccountId, BlobId, MessageKey

__all__ = [
    "DOUBTS_MAX",
    "DOUBT_SECONDS",
    "Cancelled",
    "Fate",
    "Filing",
    "Notify",
    "Priority",
    "Recipient",
    "Reply",
    "Submission",
    "SubmissionId",
    "SubmissionState",
    "standing",
]

DOUBT_SECONDS = 600
"""How long one in doubt is left alone at least: its answer may be late, and its copy in Sent, too."""
DOUBTS_MAX = 2
"""So many times in doubt, and a person has to decide."""

SubmissionId = NewType("SubmissionId", int)
"""Ascending in the order in which messages were submitted; never reused."""


class SubmissionState(Enum):
    """Where a submission stands. The last two never change by themselves; SENT becomes FILED."""

    QUEUED = "queued"
    """Waits for its time, or for a second try of some recipients."""
    SENDING = "sending"
    """Somebody holds it, with a lease: the octets may be on their way, the final dot may be out.

    One that was in doubt, and is looked for or sent again, stays IN_DOUBT meanwhile; one whose copy is filed, SENT."""
    IN_DOUBT = "in doubt"
    """The final dot went out and no answer came: delivered, or not. Looked for before it is sent again, once."""
    SENT = "sent"
    """Every recipient was taken or refused, one at least taken; the copy in Sent is not filed yet."""
    REJECTED = "rejected"
    """No recipient was taken, for good. Stays, for a person to read, change and submit anew."""
    FILED = "filed"
    """Sent, and its copy is where copies go: by us as an ordinary append, or by the provider."""


class Priority(IntEnum):
    """Which of two goes first; among equals the order of submitting holds."""

    LOW = -1
    NORMAL = 0
    HIGH = 1


class Notify(Enum):
    """When the servers on the way are to report to the sender (RFC 3461 §4.1), for each recipient."""

    NEVER = "never"
    """Not even a failure; alone."""
    SUCCESS = "success"
    FAILURE = "failure"
    DELAY = "delay"


class Fate(Enum):
    """What became of one recipient."""

    WAITING = "waiting"
    """Not taken yet: never tried, or refused for now."""
    ACCEPTED = "accepted"
    """A server answered for it after the final dot: never sent to again."""
    REFUSED = "refused"
    """Refused for good."""
    UNKNOWN = "unknown"
    """Was taken before a final dot whose answer never came."""


class Filing(Enum):
    """Who puts the copy of what was sent into an account's Sent folder, as far as it was seen."""

    UNKNOWN = "unknown"
    OURS = "ours"
    """Nobody but us."""
    PROVIDER = "provider"
    """The provider does, of everything that is sent."""


class Cancelled(Enum):
    """The three outcomes of taking a submission back (IMsgStore::AbortSubmit)."""

    REMOVED = "removed"
    """Nothing more is sent. Of one that was in doubt nobody knows whether it had been delivered by then."""
    NOT_IN_QUEUE = "not in queue"
    """It was sent, or is not there (any more)."""
    BEING_SENT = "being sent"
    """Somebody holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server answered: hostile text, shown as text only.

    ``code`` is the three digits (0: none came), ``enhanced`` RFC 3463's, such as ``5.1.1``, or empty.
    """

    code: int = 0
    enhanced: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One recipient of an envelope and what became of it."""

    address: str
    """Without angle brackets; non-ASCII only where the submission needs SMTPUTF8."""
    fate: Fate = Fate.WAITING
    reply: Reply | None = None
    """The last answer about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One message in the outbox, or one that left it within the time that such rows are kept."""

    id: SubmissionId
    account: AccountId
    state: SubmissionState
    sender: str
    """The envelope's sender; empty: the null reverse-path of RFC 5321 §4.5.5."""
    recipients: tuple[Recipient, ...]
    """In the order given, each address once, Bcc among them."""
    blob: BlobId
    """The octets as composed, Bcc and all: the copy that is kept. What goes out is these without Bcc."""
    size: int
    """Octets that go out, before dot-stuffing."""
    message_id: str
    """With angle brackets, as in its Message-ID field."""
    subject: str
    eight_bit: bool
    """Needs 8BITMIME (RFC 6152)."""
    utf8: bool
    """Needs SMTPUTF8 (RFC 6531)."""
    notify: frozenset[Notify]
    """Empty: nothing was asked, which means failures. Asked of servers that know DSN (RFC 3461), of others not."""
    priority: Priority
    key: str
    """The host's own idempotency key; empty: none. A second submit with one key gives back the first submission."""
    draft: MessageKey | None
    """The draft that this was; deleted once the message is sent."""
    submitted_at: datetime
    not_before: datetime | None
    next_try: datetime | None
    """Not before; None: at once, or, in doubt, not before a person says so (``retry``)."""
    tries: int
    """How often it was tried, or a way out was tried for it in vain."""
    doubts: int
    """How often it was in doubt: 2 is the end of automatic tries."""
    reason: str
    """Why it stands where it stands, one sentence for people; empty: nothing to say."""
    reply: Reply | None
    """What the server said last about the message as a whole."""
    lease_until: datetime | None
    """Until when somebody holds it."""
    finished_at: datetime | None = None
    """Since when it is FILED or REJECTED."""
    doubted_at: datetime | None = None
    """Since when it is in doubt, or was last."""
    filed_as: MessageKey | None = None
    """The copy that we filed."""

    @property
    def waiting(self) -> tuple[str, ...]:
        """Who is still to be sent to: those not taken yet, and those of whom nobody knows."""
        return tuple(one.address for one in self.recipients if one.fate in (Fate.WAITING, Fate.UNKNOWN))


def standing(fates: Iterable[Fate]) -> SubmissionState:
    """Return the state that follows from what became of the recipients, once nobody sends any more.

    >>> standing([Fate.ACCEPTED, Fate.REFUSED]), standing([Fate.ACCEPTED, Fate.WAITING])
    (<SubmissionState.SENT: 'sent'>, <SubmissionState.QUEUED: 'queued'>)
    """
    found = set(fates)
    if Fate.UNKNOWN in found:
        return SubmissionState.IN_DOUBT
    if Fate.WAITING in found:
        return SubmissionState.QUEUED
    return SubmissionState.SENT if Fate.ACCEPTED in found else SubmissionState.REJECTED
