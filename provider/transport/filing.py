"""The copy of what was sent: exactly one in Sent, whoever puts it there (reliability O6).

Some providers file what they send by themselves, some do not, and hardly one of them says so. Where it is not known,
we add our copy, marked so that the upload first looks whether another one has come; and a synchronization that finds
two learns from it, and takes ours away.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum

from store import Folder, FolderState, MailStore, Message, ReadView
from store.mail import AccountId, FolderPath, MessageKey, Role
from store.mail.submission import Filing, Submission, SubmissionState

from ..access.isps import files_sent_copies
from ..account import Account, SentCopies

__all__ = ["Look", "file_copy", "learn", "look_in_sent"]

SENT_PATH = FolderPath(("Sent",))
SPAN = timedelta(days=1)
"""So much may the clocks of server and sender differ."""
LEARN_FOR = timedelta(days=7)
"""After the sending: a provider that files does so within seconds."""


class Look(Enum):
    """What looking for one in doubt came to."""

    FOUND = "found"
    MISSING = "missing"
    NOT_YET = "not yet"
    """Sent was not synchronized since: nothing is known."""


def look_in_sent(store: MailStore, account: Account, one: Submission) -> Look:
    """Look for the copy of *one*, which is in doubt, among what the last synchronization brought of Sent."""
    with store.read() as view:
        folder = _sent(view, account.id)
        if folder is None or folder.state is FolderState.LOCAL:  # there is none on the server, as far as we can see
            seen = any(other.state is FolderState.ACTIVE for other in view.folders(account.id))
            return Look.MISSING if seen or not _receives(account) else Look.NOT_YET
        if next(_copies(view, folder, one), None) is not None:
            return Look.FOUND
        looked, since = view.cursor(folder.id).checked_at, one.doubted_at
    return Look.MISSING if looked is not None and since is not None and looked > since else Look.NOT_YET


def file_copy(store: MailStore, account: Account, one: Submission, owner: str) -> None:
    """See to the copy of *one*, which was sent and is held by *owner*; then it is FILED."""
    if not _ours(store, account, one):
        store.outbox.filed(one.id, owner)
        return
    with store.read() as view:
        folder = _sent(view, account.id)
        there = folder is not None and next(_copies(view, folder, one), None) is not None
    if there:
        store.outbox.learn_filing(account.id, Filing.PROVIDER)
        store.outbox.filed(one.id, owner)
        return
    if folder is None:
        with store.edit("sent folder") as edit:
            folder = edit.view.folder(edit.create_folder(account.id, SENT_PATH, role=Role.SENT))
    store.outbox.filed(one.id, owner, folder=folder.id)


def learn(store: MailStore, account: Account, now: datetime) -> None:
    """After a synchronization: where another copy has come beside ours, remember that, and remove ours."""
    if account.smtp is None or account.smtp.sent_copies is not SentCopies.AUTO:
        return
    with store.read() as view:
        if account.id not in view.accounts() or store.outbox.filing(account.id) is Filing.PROVIDER:
            return
        folder, since = _sent(view, account.id), now - LEARN_FOR
        filed = [one for one in view.submissions(account.id, [SubmissionState.FILED]) if one.submitted_at > since]
        ours = {_name(one): one.filed_as for one in filed if one.filed_as is not None}
        if folder is None or not ours:
            return
        found: dict[str, set[MessageKey]] = {}
        for message in _since(view, folder, since):
            found.setdefault(message.message_id, set()).add(message.key)
    extra = [key for name, key in ours.items() if key in found.get(name, ()) and len(found[name]) > 1]
    if extra:
        store.outbox.learn_filing(account.id, Filing.PROVIDER)
        with store.edit("second copies") as edit:
            edit.delete(extra, for_good=True)


def _ours(store: MailStore, account: Account, one: Submission) -> bool:
    """Tell whether we are the ones to file."""
    smtp = account.smtp
    assert smtp is not None, "who has no way out has sent nothing"
    if not _receives(account):
        return False
    match smtp.sent_copies:
        case SentCopies.APPEND:
            return True
        case SentCopies.PROVIDER | SentCopies.NONE:
            return False
        case SentCopies.AUTO:
            return not files_sent_copies(smtp.host) and store.outbox.filing(account.id) is not Filing.PROVIDER


def _receives(account: Account) -> bool:
    """Tell whether there is a server where copies can be: local mail is read only, and some accounts only send."""
    return account.kind == "imap" or account.option("server") is not None


def _sent(view: ReadView, account: AccountId) -> Folder | None:
    """Return the folder where copies go: the one with the role, else the one that is called so."""
    if account not in view.accounts():
        return None
    usable = (FolderState.ACTIVE, FolderState.LOCAL)
    found = [one for one in view.folders(account) if one.selectable and one.state in usable]
    by_role = next((one for one in found if one.role is Role.SENT), None)
    return by_role or next((one for one in found if str(one.path).casefold() == "sent"), None)


def _copies(view: ReadView, folder: Folder, one: Submission) -> Iterator[Message]:
    """Yield the messages of *folder* with the Message-ID of *one*, newest first; what is older cannot be a copy."""
    return (message for message in _since(view, folder, one.submitted_at) if message.message_id == _name(one))


def _since(view: ReadView, folder: Folder, moment: datetime) -> Iterator[Message]:
    """Yield the messages of *folder* that came after *moment*, or nearly, newest first."""
    before = None
    while True:
        page = view.messages(folder.id, limit=200, before=before)
        for message in page.messages:
            if message.internal_date is not None and message.internal_date < moment - SPAN:
                return
            yield message
        before = page.next
        if before is None:
            return


def _name(one: Submission) -> str:
    """Return the Message-ID as a message's row has it."""
    return one.message_id.strip("<>")
