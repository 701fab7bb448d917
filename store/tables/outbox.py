"""The outbox: messages on their way out, what became of each recipient, and how each account's outbox stands."""

from typing import Any, ClassVar

from sqlalchemy import Index, text

from .base import StoreTable, identity, integer, raw, reference, words

__all__ = ["OutboxRow", "RecipientRow", "SubmissionRow"]


class SubmissionRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "submissions"
    __table_args__: ClassVar[Any] = (
        Index("submissions_by_account", "account_id", "id"),
        Index("submissions_open", "account_id", text("priority DESC"), "id", sqlite_where=text("finished_at IS NULL")),
        Index("submissions_held", "account_id", "id", sqlite_where=text("lease_until IS NOT NULL")),
        Index("submissions_by_key", "account_id", "key", unique=True, sqlite_where=text("\"key\" <> ''")),
        Index("submissions_by_age", "finished_at", sqlite_where=text("finished_at IS NOT NULL")),
        Index("submissions_by_blob", "blob_id"),
        Index("submissions_by_header", "header_id"),
        Index("submissions_by_copy", "filed_as", sqlite_where=text("filed_as IS NOT NULL")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("SubmissionId: ascending in the order of submitting")
    account_id: int = reference("accounts.id", "through whose way out it goes")
    state: str = words("SubmissionState value", "queued")
    sender: str = words("the envelope's sender; empty: the null reverse-path")
    header_id: int = reference("headers.id", "the header block of the kept octets")
    blob_id: int = reference("blobs.id", "the octets as composed, Bcc and all: kept as long as this row")
    size: int = integer("octets that go out: without Bcc, not dot-stuffed")
    message_id: str = words("Message-ID with angle brackets")
    subject: str = words("decoded")
    eight_bit: int = integer("1: needs 8BITMIME")
    utf8: int = integer("1: needs SMTPUTF8")
    notify: str = words("Notify values, sorted, joined by commas; empty: nothing was asked")
    priority: int = integer("Priority value: the higher goes first")
    key: str = words("the host's idempotency key; empty: none")
    digest: bytes = raw("blake2b-256 of what was given, envelope included: what a second submit is compared with")
    draft: int | None = integer("MessageKey of the draft that this was; NULL: none, or it is deleted", None)
    submitted_at: int = integer("when it was submitted")
    not_before: int | None = integer("not to be sent before; NULL: at once", None)
    next_try: int | None = integer("not to be tried before; NULL: at once; in doubt: not before a person says so", None)
    tries: int = integer("how often it was tried")
    doubts: int = integer("how often it was in doubt")
    reason: str = words("why it stands where it stands, one sentence for people")
    reply_code: int | None = integer("three digits; 0: none came; NULL: nothing was answered about the message", None)
    reply_enhanced: str = words("enhanced status code; empty: none")
    reply_text: str = words("what the server said: hostile")
    owner: str = words(
        "who holds it: host, process, number; without a lease: who let the dot of a doubt go out; empty: nobody"
    )
    lease_until: int | None = integer("until when it is held; NULL: nobody holds it", None)
    lease_seconds: int = integer("for how long it was given")
    dot: int = integer("1: whoever holds it let the final dot go out, and wrote down no answer yet")
    finished_at: int | None = integer("when it was filed or rejected; NULL: something is still to happen", None)
    doubted_at: int | None = integer("since when it is, or was last, in doubt; NULL: it never was", None)
    filed_as: int | None = integer("MessageKey of the copy that we filed; NULL: none", None)


class RecipientRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "recipients"
    __table_args__: ClassVar[Any] = (
        Index("recipients_in_order", "submission_id", "number", unique=True),
        Index("recipients_by_account", "account_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity("our number of the recipient")
    account_id: int = reference("accounts.id", "whose submission")
    submission_id: int = reference("submissions.id", "of which message", cascade=True)
    number: int = integer("place among the recipients, from 0")
    address: str = words("without angle brackets")
    fate: str = words("Fate value", "waiting")
    code: int | None = integer("three digits; 0: none came; NULL: nothing was answered about it", None)
    enhanced: str = words("enhanced status code; empty: none")
    text: str = words("what the server said last about it: hostile")


class OutboxRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "outboxes"

    account_id: int = reference("accounts.id", "whose outbox", primary_key=True)
    suspended: int = integer("1: nothing of it is sent")
    filing: str = words("Filing value: who was seen to file copies of what is sent", "unknown")
