"""One account's outbox to its server: claim, send, write down, file; until nothing is due.

Each step is durable in the store before the next one on the network (reliability O1). What a way out refuses or breaks
costs the message its turn, and no other one; a way out that does not open ends the run. Bcc never goes out; the copy
in Sent is an ordinary new message, uploaded by the next synchronization.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from store import FolderExists, FolderNotWritable, MailStore, StoreBusy, StoreDamaged, StoreError, UnknownFolder
from store.mail.submission import Fate, Recipient, Submission, SubmissionState

from ..account import Account
from ..cancel import Stop
from ..errors import Cancelled, ErrorKind, Needs, ProviderError
from ..events import Counts, ItemStatus, Severity
from ..owner import is_gone, owning
from ..phases import Phase
from ..recording import record
from ..report import Reporter
from ..turn import AccountOutcome
from .base import Delivery, Ended, Outgoing, Transport, TransportSession
from .filing import Look, file_copy, look_in_sent
from .policy import Consequence, after_delivery, after_failure

__all__ = ["run_sending"]

LEASE_SECONDS = 300.0
"""Renewed while octets go out; the wait for the last answer is added by the store."""
BROKEN_MAX = 2
"""So many sessions in a row that broke off before anything was answered, and the run ends."""
LOOK_AGAIN = timedelta(minutes=1)
BUSY_TRIES = 12
"""Each waits as long as the store does for another writer."""
PUT_OFF = timedelta(hours=1)
"""For what a person has to mend in the store."""


def run_sending(store: MailStore, transport: Transport, account: Account, reporter: Reporter) -> AccountOutcome:
    """Send what is due in the outbox of *account*. Never raises: how it ended is in the outcome."""
    with owning() as owner:
        sending = _Sending(store, transport, account, reporter, owner)
        try:
            sending.whole()
            reporter.close(ItemStatus.SUCCEEDED)
            outcome = AccountOutcome(status=ItemStatus.SUCCEEDED)
        except Exception as error:
            outcome = AccountOutcome(status=reporter.fail(error))
        finally:
            sending.close()
    record(store, reporter, outcome)
    return outcome


class _Sending:
    """One run."""

    def __init__(
        self, store: MailStore, transport: Transport, account: Account, reporter: Reporter, owner: str
    ) -> None:
        self._store = store
        self._transport = transport
        self._account = account
        self._reporter = reporter
        self._owner = owner
        self._item = reporter.item(None)
        self._line = Stop()
        """Stops with the item, and does not wait with it: a message that is begun goes out whole, or not at all."""
        self._session: TransportSession | None = None
        self._broken = 0

    def whole(self) -> None:
        """Send until nothing is due. Raises what ends the run; whatever was claimed is given back by then."""
        self._item.start(Phase.SEND)
        self._expect()
        with self._item.stop.waking(self._line.stop):
            while (one := self._next()) is not None:
                watch = _Watch(self, one)
                try:
                    self._one(one, watch)
                except BaseException as error:
                    self._give_back(one, watch, error)
                    raise

    def _next(self) -> Submission | None:
        self._item.stop.checkpoint()
        return self._store.outbox.claim(self._account.id, owner=self._owner, seconds=LEASE_SECONDS, is_gone=is_gone)

    def close(self) -> None:
        """Let go of the server. Never raises."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _expect(self) -> None:
        """Tell how much there is to do."""
        with self._store.read() as view:
            if self._account.id not in view.accounts():
                return
            found = view.submissions(self._account.id, [SubmissionState.QUEUED, SubmissionState.IN_DOUBT])
        now = self._reporter.clock.now()
        due = [one for one in found if all(at is None or at <= now for at in (one.next_try, one.not_before))]
        self._item.total(messages=len(due), octets=sum(one.size for one in due))

    def _one(self, one: Submission, watch: "_Watch") -> None:
        if one.state is SubmissionState.SENT:
            self._file(one)
            return
        if one.state is SubmissionState.IN_DOUBT and not self._missing_from_sent(one):
            return
        session = self._opened(one)
        mail = Outgoing(
            sender=one.sender,
            recipients=one.waiting,
            octets=lambda: self._store.outbox.octets(one.id),
            size=one.size,
            eight_bit=one.eight_bit,
            utf8=one.utf8,
            notify=one.notify,
            name=one.message_id,
        )
        try:
            delivery = session.send(mail, watch)
        except StoreDamaged as error:  # of this message; the others have octets of their own
            self.close()
            self._put_off(one, error, tried=True)
            return
        if delivery.broken:
            self.close()
        self._settle(one, delivery, watch)

    def _file(self, one: Submission) -> None:
        """See to the copy. Where that cannot be done now, it waits, and holds up nobody."""
        try:
            file_copy(self._store, self._account, one, self._owner)
        except (FolderNotWritable, FolderExists, UnknownFolder) as error:
            self._put_off(one, error, tried=False)

    def _put_off(self, one: Submission, error: StoreError, *, tried: bool) -> None:
        when = self._reporter.clock.now() + PUT_OFF
        self._store.outbox.release(one.id, self._owner, next_try=when, reason=str(error), tried=tried)
        self._reporter.error(error, next_try=when)

    def _missing_from_sent(self, one: Submission) -> bool:
        """Look for one in doubt; True: it is not in Sent, and goes out once more."""
        match look_in_sent(self._store, self._account, one):
            case Look.FOUND:
                doubted = [recipient for recipient in one.recipients if recipient.fate is Fate.UNKNOWN]
                found = [replace(recipient, fate=Fate.ACCEPTED) for recipient in doubted]
                reason = "Its copy was found in Sent: it had been delivered."
                self._store.outbox.settle(one.id, self._owner, found, reason=reason, tried=False)
                self._count(one, sent=True)
                return False
            case Look.NOT_YET:
                when = self._reporter.clock.now() + LOOK_AGAIN
                reason = "Nobody knows whether it was delivered; Sent is looked at first, by a synchronization."
                self._store.outbox.release(one.id, self._owner, next_try=when, reason=reason)
                return False
            case Look.MISSING:
                return True

    def _opened(self, one: Submission) -> TransportSession:
        """Return the session, a new one where there is none. Raises what keeps it from opening, once that is kept."""
        if self._session is None:
            self._item.phase(Phase.SEND, "Connecting")
            try:
                self._session = self._transport.open(self._line)
            except Cancelled:
                raise
            except ProviderError as error:
                verdict = after_failure(one, error, self._reporter.clock.now())
                self._write(one, verdict, False)
                if error.needs is Needs.LOGIN:
                    self._put_off_all(verdict)
                raise
            self._item.phase(Phase.SEND, "Sending")
        return self._session

    def _put_off_all(self, verdict: Consequence) -> None:
        """Let all that is due wait as long: wrong credentials are not shown again for each message."""
        while (other := self._store.outbox.claim(self._account.id, owner=self._owner, filing=False)) is not None:
            self._store.outbox.release(other.id, self._owner, next_try=verdict.next_try, reason=verdict.reason)

    def _settle(self, one: Submission, delivery: Delivery, watch: "_Watch") -> None:
        verdict = after_delivery(one, delivery, self._reporter.clock.now())
        watch.answer = verdict, delivery.ended is Ended.IN_DOUBT
        self._write(one, *watch.answer)
        watch.answer = None
        self._count(one, sent=bool(delivery.accepted))
        self._tell(verdict, delivery)
        self._broken = self._broken + 1 if delivery.ended is Ended.NOT_SENT else 0
        if self._broken >= BROKEN_MAX:
            raise ProviderError(
                "The way out breaks off before it takes anything; the rest waits.",
                kind=ErrorKind.CONNECTION_LOST,
                needs=Needs.RETRY,
            )

    def _write(self, one: Submission, verdict: Consequence, in_doubt: bool) -> None:
        """Write down what became of it. An answer that was read is worth some patience: without it there is a doubt."""
        for left in reversed(range(BUSY_TRIES)):
            try:
                self._store.outbox.settle(
                    one.id,
                    self._owner,
                    [Recipient(address=address, fate=fate, reply=reply) for address, fate, reply in verdict.fates],
                    in_doubt=in_doubt,
                    next_try=verdict.next_try,
                    reason=verdict.reason,
                    reply=verdict.reply,
                )
                return
            except StoreBusy:
                if not left:
                    raise

    def _count(self, one: Submission, *, sent: bool) -> None:
        self._item.committed(1)
        if sent:
            self._item.uploaded(Counts(sent=1))

    def _tell(self, verdict: Consequence, delivery: Delivery) -> None:
        """Tell what a person should know; who it was about stands in the outbox, not in an event."""
        replies = [reply for _, reply in (*delivery.refused, *delivery.later)]
        server_text = next((reply.text for reply in replies if reply.text), "")
        if delivery.ended is Ended.IN_DOUBT:
            kind, severity = ErrorKind.SEND_IN_DOUBT, Severity.WARNING
        elif any(fate is Fate.REFUSED for _, fate, _ in verdict.fates):
            kind, severity = ErrorKind.SEND_REFUSED, Severity.ERROR
        elif verdict.next_try is not None:
            kind, severity = ErrorKind.SEND_LATER, Severity.WARNING
        else:
            return
        needs = Needs.RETRY if verdict.next_try is not None else Needs.USER
        error = ProviderError(verdict.reason, kind=kind, needs=needs, server_text=server_text)
        self._reporter.error(error, severity=severity, next_try=verdict.next_try)

    def _give_back(self, one: Submission, watch: "_Watch", error: BaseException) -> None:
        """Give back what was claimed, unless that was done, or can be done no more: then the next claim does it."""
        with suppress(StoreError):
            if watch.answer is not None:
                self._write(one, *watch.answer)
            elif watch.dotted and not isinstance(error, Cancelled):  # who is stopped in time says so: no dot went out
                reason = "Nobody knows whether it was delivered: the sending ended before the server's answer was read."
                self._store.outbox.settle(one.id, self._owner, in_doubt=True, reason=reason)
            else:
                self._store.outbox.release(one.id, self._owner, next_try=one.next_try, reason=one.reason)


@dataclass(slots=True)
class _Watch:
    """What a transport tells of one message."""

    run: _Sending
    one: Submission
    dotted: bool = False
    answer: tuple[Consequence, bool] | None = None
    """What is to be written down, and is not yet; and whether it is a doubt."""
    told: int = 0
    renewed_at: float = 0.0

    @property
    def stop(self) -> Stop:
        """Stops the octets."""
        return self.run._line

    def sent(self, octets: int) -> None:
        """Tell the octets; hold the message as long as they go out."""
        self.run._item.received(octets - self.told)
        self.told = octets
        now = self.run._reporter.clock.monotonic()
        if now - self.renewed_at > LEASE_SECONDS / 3:
            self.renewed_at = now
            self.run._store.outbox.renew(self.one.id, self.run._owner)

    def about_to_end(self) -> None:
        """Journal the final dot."""
        self.run._store.outbox.about_to_end(self.one.id, self.run._owner)
        self.dotted = True
