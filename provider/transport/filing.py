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
from store.mail.submission import Fate, Filing, Submission, SubmissionState
from store.mime import was_on_the_way

from ..access.isps import files_sent_copies
from ..account import Account, SentCopies, Smtp

__all__ = ["Look", "file_copy", "learn", "look_in_sent"]

SENT_PATH = FolderPath(("Sent",))
SPAN = timedelta(days=1)
"""So much may the clocks of server and sender differ."""
LATE = timedelta(minutes=10)
"""A provider that files has done so by then."""
LEARN_FOR = timedelta(days=7)
"""After the sending: a provider that files does so within seconds."""


class Look(Enum):
    """What looking for one in doubt came to."""

    FOUND = "found"
    MISSING = "missing"
    NOT_YET = "not yet"
    """Sent was not synchronized since: nothing is known."""


def look_in_sent(store: MailStore, account: Account, one: Submission) -> Look:
    """Look for the copy of *one*, which is in doubt, among what the last synchronization brought of Sent.

    A copy proves something only if it can be of nothing else: nobody has this message by an earlier try, nor by another
    submission, and we did not file it ourselves.
    """
    with store.read() as view:
        folder = _sent(view, account.id)
        if folder is None or folder.state is FolderState.LOCAL:  # there is none on the server, as far as we can see
            seen = any(other.state is FolderState.ACTIVE for other in view.folders(account.id))
            return Look.MISSING if seen or not _receives(account) else Look.NOT_YET
        looked, since = view.cursor(folder.id).checked_at, one.doubted_at
        if looked is None or since is None or looked <= since:
            return Look.NOT_YET
        same = [other for other in view.submissions(account.id) if other.message_id == one.message_id]
        if any(recipient.fate is Fate.ACCEPTED for other in same for recipient in other.recipients):
            return Look.MISSING
        return Look.MISSING if next(_not_ours(store, view, folder, one), None) is None else Look.FOUND


def file_copy(store: MailStore, account: Account, one: Submission, owner: str) -> None:
    """See to the copy of *one*, which was sent and is held by *owner*; then it is FILED."""
    smtp = account.smtp
    assert smtp is not None, "who has no way out has sent nothing"
    if not _ours(store, account, smtp):
        store.outbox.filed(one.id, owner)
        return
    with store.read() as view:
        folder = _sent(view, account.id)
        # One that was in doubt was looked for, and its copy may be what ended the doubt.
        there = folder is not None and one.doubts and _filed_there(store, view, folder, one)
    if there:
        store.outbox.learn_filing(account.id, Filing.PROVIDER)
        store.outbox.filed(one.id, owner)
        return
    if folder is None:
        with store.edit("sent folder") as edit:
            folder = edit.view.folder(edit.create_folder(account.id, SENT_PATH, role=Role.SENT))
    look_first = smtp.sent_copies is SentCopies.AUTO
    store.outbox.filed(one.id, owner, folder=folder.id, look_first=look_first)


def _filed_there(store: MailStore, view: ReadView, folder: Folder, one: Submission) -> bool:
    """Tell whether *folder* has a copy of *one* that the provider put there."""
    return any(not was_on_the_way(view.header_block(key)) for key in _not_ours(store, view, folder, one))


def _not_ours(store: MailStore, view: ReadView, folder: Folder, one: Submission) -> Iterator[MessageKey]:
    """Yield the messages of *folder* with the Message-ID of *one* that we did not file."""
    for message in _since(view, folder, one.submitted_at):
        if message.message_id == _name(one) and not store.outbox.is_copy(message.key):
            yield message.key


def learn(store: MailStore, account: Account, now: datetime) -> None:
    """After a synchronization: where the provider's copy has come beside ours, remember that, and remove ours.

    Where it was taken for one that files, and has not filed the last ones, that is forgotten.
    """
    if account.smtp is None or account.smtp.sent_copies is not SentCopies.AUTO:
        return
    with store.read() as view:
        folder, since = _sent(view, account.id), now - LEARN_FOR
        if folder is None:
            return
        filed = [one for one in view.submissions(account.id, [SubmissionState.FILED]) if one.submitted_at > since]
        if not filed:
            return
        found: dict[str, list[MessageKey]] = {}
        for message in _since(view, folder, since):
            found.setdefault(message.message_id, []).append(message.key)
        looked, extra = view.cursor(folder.id).checked_at, []
        for one in filed:
            keys = found.get(_name(one), [])
            if one.filed_as in keys and any(_is_providers(store, view, one.filed_as, key) for key in keys):
                extra.append(one.filed_as)
        quiet = [one for one in filed if one.filed_as is None and not found.get(_name(one)) and _past(one, looked)]
        known = store.outbox.filing(account.id)
    if extra:
        store.outbox.learn_filing(account.id, Filing.PROVIDER)
        with store.edit("second copies") as edit:
            edit.delete(extra, for_good=True)
    elif quiet and known is Filing.PROVIDER:
        store.outbox.learn_filing(account.id, Filing.UNKNOWN)


def _is_providers(store: MailStore, view: ReadView, ours: MessageKey, other: MessageKey) -> bool:
    """Tell whether *other*, of the same Message-ID, is what a provider files, and not what a list or a rule put there.

    That has been on no way: it has no trace fields, and is to the same people. Nor is it of another submission of ours.
    """
    if store.outbox.is_copy(other) or was_on_the_way(view.header_block(other)):
        return False
    mine, theirs = view.envelope(ours), view.envelope(other)
    return (mine.to, mine.cc) == (theirs.to, theirs.cc)


def _past(one: Submission, looked: datetime | None) -> bool:
    """Tell whether Sent was looked at long enough after *one* was sent."""
    return looked is not None and one.finished_at is not None and looked > one.finished_at + LATE


def _ours(store: MailStore, account: Account, smtp: Smtp) -> bool:
    """Tell whether we are the ones to file."""
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
