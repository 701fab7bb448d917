"""What the sender does with the outbox: claim one, tell when its final dot goes out, write down what became of it.

Rules of the room: each verb is one durable transaction that is over before the sender takes its next step on the
network (reliability O1). Whoever holds a submission is named by *owner*; a verb of one that lost its lease raises
LeaseLost and writes nothing, so two never send the same message: the journal of the dot is the fence. What an owner
left behind is told by that journal: no dot, nothing was delivered, and it is queued again; a dot, and it is in doubt.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b

from .database import Database
from .editing import Editing
from .encode import DIGEST_OCTETS
from .errors import LeaseLost, StoreDamaged, UnknownSubmission
from .instants import micros_or_none
from .mail import AccountId, FolderId, MessageKey
from .mail.operations import OperationId
from .mail.submission import (
    DOUBT_SECONDS,
    DOUBTS_MAX,
    Fate,
    Filing,
    Recipient,
    Reply,
    Submission,
    SubmissionId,
    SubmissionState,
    standing,
)
from .mime import split_header
from .mime.outbound import without_bcc
from .readview import ReadView
from .settling import Settling
from .sql import accounts, blobs, cursors, outbox, places
from .sql.outbox import Row
from .sql.writing import Unit, Writing

__all__ = ["Dispatch", "IsGone", "is_left", "unknown"]

_SECOND = 1_000_000
STEP_SECONDS = 3_600
"""A clock may step back so far before leases that others hold are taken for nonsense."""
IsGone = Callable[[str], bool]


class Dispatch:
    """The verbs of the sender. Thread-safe, as the store is."""

    def __init__(self, database: Database, unit: Unit, clock: Callable[[], float]) -> None:
        self._database = database
        self._unit = unit
        self._clock = clock

    def claim(
        self,
        account: AccountId,
        *,
        owner: str,
        seconds: float = 60,
        is_gone: IsGone | None = None,
        filing: bool = True,
    ) -> Submission | None:
        """Take the next submission that is due, for so many *seconds*; None: there is none, or it is suspended.

        Its state says what is to be done: SENDING, send it to those that are ``waiting``; IN_DOUBT, look for it in
        Sent, and send it only if it is not there; SENT (never without *filing*), file its copy. By priority, then in
        the order of submitting.

        What others hold is taken over once their lease has expired, or *is_gone* says that they are gone for certain.
        """
        if not (owner and owner.isprintable()) or seconds < 1:
            raise ValueError("a lease has an owner with a printable name, and lasts a second at least")
        if not self._anything(account, filing):
            return None
        with self._unit("claim", durable=True) as work:
            number = accounts.number_of(work.connection, account)
            if outbox.is_suspended(work.connection, number):
                return None
            for row in outbox.held(work.connection, number):
                if is_left(work, row, is_gone):
                    self._take_over(work, row)
            id_ = outbox.due(work.connection, number, work.now, sent=filing)
            found = None if id_ is None else outbox.row(work.connection, id_)
            if found is None:
                return None
            state = found.state if found.state != SubmissionState.QUEUED.value else SubmissionState.SENDING.value
            span = round(seconds)
            until = work.now + span * _SECOND
            held = outbox.change(work, found, state=state, owner=owner, lease_until=until, lease_seconds=span)
            return self._value(work, held)

    def _anything(self, account: AccountId, filing: bool) -> bool:
        """Tell whether there is anything to take, or to take over: asking costs no write transaction."""
        with self._database.reading() as connection:
            known = {name: number for number, name in accounts.account_names(connection).items()}
            number = known.get(account)
            if number is None or account not in accounts.known_accounts(connection):
                return False
            if outbox.held(connection, number):
                return True
            return outbox.due(connection, number, int(self._clock() * _SECOND), sent=filing) is not None

    def renew(self, id_: SubmissionId, owner: str) -> None:
        """Hold a submission for as long again. Raises LeaseLost."""
        with self._unit("renew claim") as work:  # not durable: one that is lost in a power cut is taken over, no more
            row = self._held(work, id_, owner)
            outbox.change(work, row, lease_until=work.now + _span(row))

    def octets(self, id_: SubmissionId) -> Iterator[bytes]:
        """Yield what goes out, at most 256 kB a piece but for the first, without Bcc; ``Submission.size`` octets.

        No snapshot is held between the pieces. Raises UnknownSubmission; StoreDamaged, at the latest behind the last
        piece: so before the final dot.
        """
        with self._database.reading() as connection:
            row = outbox.row(connection, id_)
            if row is None:
                raise unknown(id_)
            digest, length, count = blobs.facts(connection, row.blob_id)
        running, head, total = blake2b(digest_size=DIGEST_OCTETS), b"", 0
        in_head = True
        for number in range(count):
            with self._database.reading() as connection:
                piece = blobs.piece_of(connection, row.blob_id, number)
            if piece is None:
                raise StoreDamaged("a piece of a message is missing; run a check, and submit it anew")
            running.update(piece)
            total += len(piece)
            if in_head:
                head += piece
                if b"\r\n\r\n" not in head:
                    continue
                in_head = False
                block, at = split_header(head)
                piece = without_bcc(block) + head[at:]
            yield piece
        if total != length or running.digest() != digest or in_head:
            raise StoreDamaged("the octets of a message are not those that were submitted; run a check")

    def about_to_end(self, id_: SubmissionId, owner: str) -> None:
        """Journal that the final dot goes out now: from here on, no answer means doubt. Raises LeaseLost.

        The lease then covers the wait for the answer, too.
        """
        with self._unit("final dot", durable=True) as work:
            row = self._held(work, id_, owner)
            if row.state not in (SubmissionState.SENDING.value, SubmissionState.IN_DOUBT.value):
                raise ValueError("this was sent already")
            row = row._replace(dot=1)
            outbox.change(work, row, dot=1, lease_until=work.now + _span(row))

    def release(
        self,
        id_: SubmissionId,
        owner: str,
        *,
        next_try: datetime | None = None,
        reason: str = "",
        reply: Reply | None = None,
        tried: bool = False,
    ) -> Submission:
        """Give a submission back as it was claimed: nothing of it was delivered, nothing became known.

        *next_try* None: at once; in doubt: as before. *tried*: count it as a try in vain. Raises LeaseLost.
        """
        with self._unit("release", durable=True) as work:
            row = self._held(work, id_, owner)
            fates = [one.fate for one in outbox.recipients(work.connection, id_)]
            return self._value(work, self._put(work, row, fates, next_try, reason, reply, tries=row.tries + tried))

    def settle(
        self,
        id_: SubmissionId,
        owner: str,
        recipients: Iterable[Recipient] = (),
        *,
        in_doubt: bool = False,
        next_try: datetime | None = None,
        reason: str = "",
        reply: Reply | None = None,
        tried: bool = True,
    ) -> Submission:
        """Write down what became of recipients, and give the submission back; its state follows from their fates.

        *recipients*: those of whom something became known; others stay as they are. *in_doubt*: the final dot went
        out and no answer came: others that waited are UNKNOWN from now on, and it is left alone for ten minutes at
        least, the second time until a person decides. Who is UNKNOWN and told to be WAITING stays UNKNOWN: a doubt ends
        by an answer for or against. *next_try* None: at once. SENT: claim it again to file it. Raises LeaseLost, but
        not for who let the dot go out and was taken over while the answer came, as long as nobody else holds it;
        ValueError for who is no recipient, for a fate that takes back ACCEPTED, for a new UNKNOWN without doubt.
        """
        told = {one.address: one for one in recipients}
        with self._unit("settle", durable=True) as work:
            row = self._answered(work, id_, owner)
            before = outbox.recipients(work.connection, id_)
            if told.keys() - {one.address for one in before}:
                raise ValueError("this is no recipient of the submission")
            after = [_now(one, told.get(one.address), in_doubt) for one in before]
            outbox.put_recipients(work, id_, before, after)
            if in_doubt and all(one.fate is not Fate.UNKNOWN for one in after):
                raise ValueError("nobody is left of whom it could be in doubt")
            row = row._replace(doubts=row.doubts + in_doubt)
            fates = [one.fate for one in after]
            return self._value(
                work, self._put(work, row, fates, next_try, reason, reply, tries=row.tries + tried, fresh=in_doubt)
            )

    def filed(
        self, id_: SubmissionId, owner: str, *, folder: FolderId | None = None, look_first: bool = True
    ) -> MessageKey | None:
        """End a submission that was sent; in the same transaction its draft is deleted, and its copy appended.

        *folder*: where the copy goes, as an ordinary new message that the next synchronization uploads; with
        *look_first* once it has looked whether the provider put one there in the meantime. None: it is filed already,
        or not wanted. Return the copy's key. Raises LeaseLost, UnknownFolder, FolderNotWritable, NotHere (a folder of
        another account).
        """
        with self._unit("file copy", durable=True) as work:
            row = self._held(work, id_, owner)
            if row.state != SubmissionState.SENT.value:
                raise ValueError("only what was sent can be filed")
            copy = None
            editing = Editing(work, ReadView(work.connection, self._clock))
            if folder is not None:
                _, octets, _ = blobs.facts(work.connection, row.blob_id)
                copy = editing._append_kept(folder, row.header_id, row.blob_id, octets, frozenset({"\\Seen"}))
                if look_first:  # in doubt from the beginning: so it is looked for before it is sent
                    cursor = cursors.cursor_of(work.connection, folder)
                    Settling(work).attempt([OperationId(editing.batch)], cursor.epoch, cursor.uid_next)
            draft = None if row.draft is None else places.row(work.connection, row.draft)
            if draft is not None and draft.visible:
                editing.delete([draft.key], for_good=True)
            editing._finish()
            free = row._replace(owner="", lease_until=None, lease_seconds=0, dot=0)
            state, now = SubmissionState.FILED.value, work.now
            outbox.change(work, free, state=state, draft=None, next_try=None, reason="", finished_at=now, filed_as=copy)
            return copy

    def filing(self, account: AccountId) -> Filing:
        """Return who was seen to file copies of what *account* sends."""
        with self._database.reading() as connection:
            return outbox.filing(connection, accounts.number_of(connection, account))

    def is_copy(self, key: MessageKey) -> bool:
        """Tell whether a message is the copy that was filed of something that was sent."""
        with self._database.reading() as connection:
            return outbox.is_copy(connection, key)

    def learn_filing(self, account: AccountId, who: Filing) -> bool:
        """Keep who files copies; False when that was known. Raises UnknownAccount."""
        with self._unit("filing", durable=True) as work:
            return outbox.set_outbox(work, accounts.number_of(work.connection, account), who=who)

    # --- how -----------------------------------------------------------------------------------------------------

    def _held(self, work: Writing, id_: SubmissionId, owner: str) -> Row:
        """Return the row that *owner* holds; an expired lease that nobody took is still good. Raises LeaseLost."""
        row = outbox.row(work.connection, id_)
        if row is None or row.lease_until is None or row.owner != owner:
            raise LeaseLost("this submission was taken over or taken back; nothing more is sent of it by this one")
        return row

    def _answered(self, work: Writing, id_: SubmissionId, owner: str) -> Row:
        """Return the row that *owner* holds, or held when its dot went out, which is all that is in doubt since."""
        row = outbox.row(work.connection, id_)
        left = row is not None and row.lease_until is None and row.state == SubmissionState.IN_DOUBT.value
        return row if row is not None and left and row.owner == owner else self._held(work, id_, owner)

    def _take_over(self, work: Writing, row: Row) -> Row:
        """Free what an owner left behind: in doubt when its final dot went out, as it was claimed when not."""
        before = outbox.recipients(work.connection, row.id)
        doubt = bool(row.dot)
        after = [_now(one, None, doubt) for one in before]
        outbox.put_recipients(work, row.id, before, after)
        reason = (
            "the program ended between the end of the message and the server's answer"
            if doubt
            else "the program ended while it was sending; nothing had been delivered"
        )
        if row.state == SubmissionState.SENT.value:
            reason = row.reason
        row = row._replace(doubts=row.doubts + doubt)
        fates = [one.fate for one in after]
        tries = row.tries + (row.state != SubmissionState.SENT.value)
        owner = row.owner if doubt else ""  # its answer may still come, and ends the doubt
        return self._put(work, row, fates, None, reason, None, tries=tries, fresh=doubt, owner=owner)

    def _put(
        self,
        work: Writing,
        row: Row,
        fates: Iterable[Fate],
        next_try: datetime | None,
        reason: str,
        reply: Reply | None,
        *,
        tries: int,
        fresh: bool = False,
        owner: str = "",
    ) -> Row:
        """Free a row and write where it stands; *fresh*: it is in doubt anew."""
        state = standing(fates)
        at = micros_or_none(next_try)
        if state is SubmissionState.IN_DOUBT:
            least = work.now + DOUBT_SECONDS * _SECOND if fresh else row.next_try
            later = least if at is None else at if least is None else max(at, least)
            at = None if fresh and row.doubts >= DOUBTS_MAX else later
        return outbox.change(
            work,
            row,
            reply,
            state=state.value,
            next_try=at,
            reason=reason,
            tries=tries,
            doubts=row.doubts,
            doubted_at=work.now if fresh else row.doubted_at,
            owner=owner,
            lease_until=None,
            lease_seconds=0,
            dot=0,
            finished_at=work.now if state is SubmissionState.REJECTED else None,
        )

    def _value(self, work: Writing, row: Row) -> Submission:
        return outbox.value(work.connection, row, accounts.account_names(work.connection))


def _now(old: Recipient, told: Recipient | None, in_doubt: bool) -> Recipient:
    """Return what became of one recipient. Raises ValueError as ``settle``."""
    if told is None:
        return replace(old, fate=Fate.UNKNOWN) if in_doubt and old.fate is Fate.WAITING else old
    if old.fate is Fate.ACCEPTED and told.fate is not Fate.ACCEPTED:
        raise ValueError("what was accepted stays accepted")
    if told.fate is Fate.UNKNOWN and old.fate is not Fate.UNKNOWN and not in_doubt:
        raise ValueError("nobody knows of a recipient only where the whole is in doubt")
    fate = told.fate
    if old.fate is Fate.UNKNOWN and fate is Fate.WAITING:
        fate = Fate.UNKNOWN  # refused for now this time: nobody knows yet what became of it the first time
    return replace(old, fate=fate, reply=old.reply if told.reply is None else told.reply)


def _span(row: Row) -> int:
    """Return for how long a lease is given, microseconds: with the dot out it covers the wait for the answer."""
    return (row.lease_seconds + (DOUBT_SECONDS if row.dot else 0)) * _SECOND


def is_left(work: Writing, row: Row, is_gone: IsGone | None) -> bool:
    """Tell whether who held *row* holds it no longer, or is gone for certain.

    A lease that reaches much further than it may was given before the clock stepped back, and is over.
    """
    longest = _span(row) + STEP_SECONDS * _SECOND
    holds = row.lease_until is not None and work.now < row.lease_until <= work.now + longest
    return not holds or (is_gone is not None and is_gone(row.owner))


def unknown(id_: SubmissionId) -> UnknownSubmission:
    return UnknownSubmission(f"the outbox has no submission {int(id_)} (any more)")
