"""What the tests of the outbox share: letters, an outbox with a clock, and the sender's usual steps."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from store import Fate, FolderId, MailStore, Outbox, Recipient, Reply, Submission, SubmissionId
from store.mail import Role

from .store_kit import ACCOUNT, Clock, listed

ME, YOU, HER, HIM = "me@example.org", "you@example.org", "her@example.org", "him@example.org"
MINE, YOURS = "here:1:1", "here:2:1"
"""Two owners."""
LATER = Reply(code=450, enhanced="4.2.0", text="greylisted")
NEVER = Reply(code=550, enhanced="5.1.1", text="no such user")
OK = Reply(code=250, enhanced="2.0.0", text="queued")


def letter(number: int = 1, *, to: Iterable[str] = (YOU,), bcc: Iterable[str] = (), body: str = "Hi\n") -> bytes:
    """A message with LF line ends, as a file has them."""
    hidden = f"Bcc: {', '.join(bcc)}\n" if bcc else ""
    return f"From: Me <{ME}>\nTo: {', '.join(to)}\n{hidden}Subject: number {number}\n\n{body}".encode()


def fates(*addresses: str, fate: Fate = Fate.ACCEPTED, reply: Reply | None = None) -> list[Recipient]:
    """What became of some."""
    return [Recipient(address=address, fate=fate, reply=reply) for address in addresses]


@dataclass(frozen=True, slots=True)
class Post:
    """One outbox, its clock, and the sender's verbs in the order in which they come."""

    store: MailStore
    clock: Clock

    @property
    def outbox(self) -> Outbox:
        return self.store.outbox

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now, UTC)

    def after(self, minutes: float) -> datetime:
        return self.now + timedelta(minutes=minutes)

    def wait(self, minutes: float) -> None:
        self.clock.now += minutes * 60

    def submit(self, number: int = 1, **about: object) -> Submission:
        mail = {key: about.pop(key) for key in ("to", "bcc", "body") if key in about}
        return self.outbox.submit(ACCOUNT, letter(number, **mail), **about)  # type: ignore[arg-type]

    def claim(self, owner: str = MINE, **about: object) -> Submission | None:
        return self.outbox.claim(ACCOUNT, owner=owner, **about)  # type: ignore[arg-type]

    def one(self, id_: SubmissionId) -> Submission:
        with self.store.read() as view:
            return view.submission(id_)

    def all(self) -> tuple[Submission, ...]:
        with self.store.read() as view:
            return view.submissions(ACCOUNT)

    def sent(self, **about: object) -> Submission:
        """Submit, claim and send one: every recipient took it."""
        made = self.submit(**about)
        assert self.claim() is not None
        self.outbox.about_to_end(made.id, MINE)
        return self.outbox.settle(made.id, MINE, fates(*made.waiting), reply=OK)

    def doubted(self, **about: object) -> Submission:
        """Submit and claim one whose final dot goes out, and no answer comes."""
        made = self.submit(**about)
        assert self.claim() is not None
        self.outbox.about_to_end(made.id, MINE)
        return self.outbox.settle(made.id, MINE, in_doubt=True, reason="the line was cut")

    def folder(self, name: str, role: Role) -> FolderId:
        with self.store.write("folder") as tx:
            tx.ensure_account(ACCOUNT)
            return tx.add_folder(ACCOUNT, listed(name, role=role))
