"""``MailStore.outbox``: what a host does with mail on its way out. Nothing here waits for a network.

    submitted = store.outbox.submit(account, message)      # checked, durable: it will be sent, whatever happens
    store.outbox.cancel(submitted.id)                      # REMOVED, NOT_IN_QUEUE or BEING_SENT

The states, and what moves a submission from one to the next, are a table in docs/sending.md; who sends uses the verbs
of ``Dispatch``. Every change wakes ``MailStore.wait_for_change``; lists are read anew (``ReadView.submissions``).
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from .dispatch import Dispatch, IsGone, is_left, unknown
from .errors import KeyTaken, NotHere, UnknownMessage
from .instants import from_micros, micros_or_none
from .mail import AccountId, MessageKey
from .mail.submission import Cancelled, Fate, Notify, Priority, Recipient, Submission, SubmissionId, SubmissionState
from .mime.outbound import Letter, composed
from .sql import accounts, blobs, outbox, places
from .sql.outbox import Row
from .sql.writing import Writing

__all__ = ["Outbox"]

KEY_CHARACTERS_MAX = 200
TAKEN_BACK = "it was taken back before these recipients had it"


class Outbox(Dispatch):
    """Messages on their way out, of all accounts. Thread-safe; any number of processes."""

    def submit(
        self,
        account: AccountId,
        message: Letter,
        *,
        sender: str | None = None,
        recipients: Sequence[str] | None = None,
        not_before: datetime | None = None,
        priority: Priority = Priority.NORMAL,
        notify: Iterable[Notify] = (),
        key: str = "",
        draft: MessageKey | None = None,
    ) -> Submission:
        """Put *message* into the outbox of *account* (made known when new); it is on disk when this returns.

        *sender*, *recipients*: the envelope; None: from Sender or From, and from To, Cc and Bcc. Bcc never goes out,
        and stays in the kept copy. *not_before*: aware. *key*: the host's own; a second submit with one key and the
        same message gives back the first. *notify*: when servers on the
        way are to report (RFC 3461); NEVER stands alone. *draft*: is deleted once the message was sent.

        Raises BadMessage, which says what is wrong where; KeyTaken (another message has this key); UnknownMessage,
        NotHere for *draft*; ValueError for arguments that make no sense.
        """
        if key and not (key.isprintable() and len(key) <= KEY_CHARACTERS_MAX):
            raise ValueError(f"a key is printable, and has at most {KEY_CHARACTERS_MAX} characters")
        if not account:
            raise ValueError("an account needs a name")
        reports = set(notify)
        if Notify.NEVER in reports and len(reports) > 1:
            raise ValueError("never to be told is told alone")
        wanted = ",".join(sorted(one.value for one in reports))
        at, later = int(self._clock() * 1_000_000), micros_or_none(not_before)
        made = composed(message, at=from_micros(at), token=secrets.token_hex(16), sender=sender, recipients=recipients)
        with self._unit("submit", durable=True) as work:
            number = accounts.ensure_account(work, account)
            known = outbox.by_key(work.connection, number, key)
            if known is not None:
                if known[1] != made.digest:
                    raise KeyTaken("another message was submitted under this key; give this one a key of its own")
                first = outbox.row(work.connection, known[0])
                assert first is not None
                return self._value(work, first)
            if draft is not None:
                _look_at_draft(work, number, draft)
            header, blob = blobs.keep(work, number, made.pieces)
            row = Row(
                id=SubmissionId(0),
                account_id=number,
                state=SubmissionState.QUEUED.value,
                sender=made.sender,
                header_id=header,
                blob_id=blob,
                size=made.size,
                message_id=made.message_id,
                subject=made.subject,
                eight_bit=int(made.eight_bit),
                utf8=int(made.utf8),
                notify=wanted,
                priority=int(priority),
                key=key,
                digest=made.digest,
                draft=draft,
                submitted_at=work.now,
                not_before=later,
                next_try=None,
                tries=0,
                doubts=0,
                reason="",
                reply_code=None,
                reply_enhanced="",
                reply_text="",
                owner="",
                lease_until=None,
                lease_seconds=0,
                dot=0,
                finished_at=None,
                doubted_at=None,
                filed_as=None,
            )
            return self._value(work, outbox.add(work, row, made.recipients))

    def cancel(self, id_: SubmissionId, *, is_gone: IsGone | None = None) -> Cancelled:
        """Take a submission back (IMsgStore::AbortSubmit): it is gone, and its draft stays.

        Where some recipients have it already, REMOVED means that no other one gets it any more; it counts as SENT.
        What somebody holds who *is_gone* for certain, or whose lease has expired, is not being sent.
        """
        with self._unit("cancel", durable=True) as work:
            row = self._free(work, id_, is_gone)
            if row is None:
                return Cancelled.NOT_IN_QUEUE
            if row.lease_until is not None:
                return Cancelled.BEING_SENT
            if row.state in (SubmissionState.SENT.value, SubmissionState.FILED.value):
                return Cancelled.NOT_IN_QUEUE
            before = outbox.recipients(work.connection, id_)
            if any(one.fate is Fate.ACCEPTED for one in before):
                fates = self._turn(work, row, before, (Fate.WAITING, Fate.UNKNOWN), Fate.REFUSED)
                self._put(work, row, fates, None, TAKEN_BACK, None, tries=row.tries)
            else:
                outbox.forget(work, id_)
            return Cancelled.REMOVED

    def retry(self, id_: SubmissionId, *, is_gone: IsGone | None = None) -> bool:
        """Let a submission that waits, is in doubt or was rejected be tried at once, for those who do not have it.

        One in doubt is looked for in Sent first. False: it is being sent, or was. Raises UnknownSubmission.
        """
        with self._unit("retry", durable=True) as work:
            row = self._free(work, id_, is_gone)
            if row is None:
                raise unknown(id_)
            if row.lease_until is not None or row.state == SubmissionState.FILED.value:
                return False
            if row.state == SubmissionState.REJECTED.value:
                self._turn(work, row, outbox.recipients(work.connection, id_), (Fate.REFUSED,), Fate.WAITING)
            state = SubmissionState.QUEUED.value if row.finished_at is not None else row.state
            at = work.now if state == SubmissionState.IN_DOUBT.value else None
            # From now on its time counts anew: who gives up after some days counts from "not before".
            outbox.change(work, row, state=state, finished_at=None, next_try=at, not_before=work.now)
            return True

    def suspend(self, account: AccountId) -> bool:
        """Send nothing of *account* (made known when new) from now on; what is being sent goes on. False: it was so."""
        with self._unit("suspend", durable=True) as work:
            return outbox.set_outbox(work, accounts.ensure_account(work, account), suspended=True)

    def resume(self, account: AccountId) -> bool:
        """Send again what *account* has to send; False: it was so."""
        with self._unit("resume", durable=True) as work:
            return outbox.set_outbox(work, accounts.ensure_account(work, account), suspended=False)

    def suspended(self, account: AccountId) -> bool:
        """Tell whether nothing of *account* is sent. Raises UnknownAccount."""
        with self._database.reading() as connection:
            return outbox.is_suspended(connection, accounts.number_of(connection, account))

    # --- how -----------------------------------------------------------------------------------------------------

    def _free(self, work: Writing, id_: SubmissionId, is_gone: IsGone | None) -> Row | None:
        """Return a row; taken over when whoever held it is gone. None: there is none."""
        row = outbox.row(work.connection, id_)
        if row is not None and row.lease_until is not None and is_left(work, row, is_gone):
            return self._take_over(work, row)
        return row

    def _turn(
        self, work: Writing, row: Row, before: Sequence[Recipient], old: tuple[Fate, ...], new: Fate
    ) -> list[Fate]:
        """Give all recipients of some fates another one; return the fates of all."""
        after = [replace(one, fate=new) if one.fate in old else one for one in before]
        outbox.put_recipients(work, row.id, before, after)
        return [one.fate for one in after]


def _look_at_draft(work: Writing, account: int, draft: MessageKey) -> None:
    """Raise UnknownMessage, NotHere."""
    found = places.row(work.connection, draft)
    if found is None or not found.visible:
        raise UnknownMessage(f"the store has no message {int(draft)}")
    if found.account_id != account:
        raise NotHere("this draft belongs to another account")
