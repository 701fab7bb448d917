"""Rows of the outbox: written, read as values, changed. What they mean: ``store.outbox`` and ``store.dispatch``."""

import sqlite3
from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, delete, insert, literal_column, or_, select, update

from ..errors import UnknownSubmission
from ..instants import from_micros
from ..mail import AccountId, BlobId, HeaderId, MessageKey
from ..mail.submission import (
    Fate,
    Filing,
    Notify,
    Priority,
    Recipient,
    Reply,
    Submission,
    SubmissionId,
    SubmissionState,
)
from ..tables import OutboxRow, RecipientRow, SubmissionRow, table
from .statements import names, p, sql
from .values import storable
from .writing import Writing

__all__ = [
    "Row",
    "add",
    "by_id",
    "by_key",
    "change",
    "due",
    "filing",
    "forget",
    "forget_account",
    "held",
    "is_copy",
    "is_suspended",
    "of_account",
    "put_recipients",
    "recipients",
    "row",
    "set_outbox",
    "value",
]

_t, _to, _boxes = table(SubmissionRow), table(RecipientRow), table(OutboxRow)
_COLUMNS = tuple(column.name for column in _t.c)
_STANDING = (
    "state draft not_before next_try tries doubts reason reply_code reply_enhanced reply_text"
    " owner lease_until lease_seconds dot finished_at doubted_at filed_as"
)
_ADDRESSED = "account_id submission_id number address fate code enhanced text"
_read = select(*(_t.c[name] for name in _COLUMNS))
TEXT_MAX = 2_000
"""Characters of a server's answer that are kept."""


def _past(column: ColumnElement[int], name: str) -> ColumnElement[bool]:
    return or_(column.is_(None), column <= p(name))


ROW = sql(_read.where(_t.c.id == p("of_id")), "of_id")
OF_ACCOUNT = sql(_read.where(_t.c.account_id == p("account")).order_by(_t.c.id), "account")
UNFINISHED = sql(_read.where(_t.c.account_id == p("account"), _t.c.finished_at.is_(None)).order_by(_t.c.id), "account")
HELD = sql(_read.where(_t.c.account_id == p("account"), _t.c.lease_until.is_not(None)).order_by(_t.c.id), "account")
BY_KEY = sql(
    select(_t.c.id, _t.c.digest).where(
        _t.c.account_id == p("account"), _t.c.key == p("of_key"), _t.c.key != literal_column("''")
    ),
    "account of_key",
)
_due = (
    select(_t.c.id)
    .where(
        _t.c.account_id == p("account"),
        _t.c.finished_at.is_(None),
        _t.c.lease_until.is_(None),
        _past(_t.c.not_before, "now"),
        or_(
            and_(_t.c.state == literal_column("'in doubt'"), _t.c.next_try <= p("doubt_now")),
            and_(_t.c.state != literal_column("'in doubt'"), _past(_t.c.next_try, "try_now")),
        ),
    )
    .order_by(_t.c.priority.desc(), _t.c.id)
    .limit(literal_column("1"))
)
DUE = sql(_due, "account now doubt_now try_now")
UNSENT_DUE = sql(_due.where(_t.c.state != literal_column("'sent'")), "account now doubt_now try_now")
COPIES = sql(select(_t.c.id).where(_t.c.filed_as == p("of_copy"), _t.c.filed_as.is_not(None)), "of_copy")
ADD = sql(insert(_t).values(**names(" ".join(_COLUMNS))), " ".join(_COLUMNS))
CHANGE = sql(update(_t).where(_t.c.id == p("of_id")).values(**names(_STANDING)), f"{_STANDING} of_id")
FORGET = sql(delete(_t).where(_t.c.id == p("of_id")), "of_id")
FORGET_ACCOUNT = sql(delete(_t).where(_t.c.account_id == p("account")), "account")
RECIPIENTS = sql(
    select(_to.c.address, _to.c.fate, _to.c.code, _to.c.enhanced, _to.c.text)
    .where(_to.c.submission_id == p("of_id"))
    .order_by(_to.c.number),
    "of_id",
)
ADD_RECIPIENT = sql(insert(_to).values(**names(_ADDRESSED)), _ADDRESSED)
PUT_RECIPIENT = sql(
    update(_to)
    .where(_to.c.submission_id == p("of_id"), _to.c.number == p("place"))
    .values(**names("fate code enhanced text")),
    "fate code enhanced text of_id place",
)
BOX = sql(select(_boxes.c.suspended, _boxes.c.filing).where(_boxes.c.account_id == p("account")), "account")
ADD_BOX = sql(insert(_boxes).values(**names("account_id suspended filing")), "account_id suspended filing")
SET_BOX = sql(
    update(_boxes).where(_boxes.c.account_id == p("account")).values(**names("suspended filing")),
    "suspended filing account",
)
FORGET_BOX = sql(delete(_boxes).where(_boxes.c.account_id == p("account")), "account")


class Row(NamedTuple):
    """A row of ``submissions``, column by column."""

    id: SubmissionId
    account_id: int
    state: str
    sender: str
    header_id: HeaderId
    blob_id: BlobId
    size: int
    message_id: str
    subject: str
    eight_bit: int
    utf8: int
    notify: str
    priority: int
    key: str
    digest: bytes
    draft: MessageKey | None
    submitted_at: int
    not_before: int | None
    next_try: int | None
    tries: int
    doubts: int
    reason: str
    reply_code: int | None
    reply_enhanced: str
    reply_text: str
    owner: str
    lease_until: int | None
    lease_seconds: int
    dot: int
    finished_at: int | None
    doubted_at: int | None
    filed_as: MessageKey | None


def row(connection: sqlite3.Connection, id_: SubmissionId) -> Row | None:
    """Return the row of a submission."""
    found = connection.execute(ROW, (id_,)).fetchone()
    return None if found is None else Row(*found)


def held(connection: sqlite3.Connection, account: int) -> list[Row]:
    """Return the submissions of *account* that somebody holds, or held when it died."""
    return [Row(*found) for found in connection.execute(HELD, (account,))]


def due(connection: sqlite3.Connection, account: int, now: int, *, sent: bool) -> SubmissionId | None:
    """Return which submission is next among those whose time has come and that nobody holds; SENT ones if *sent*."""
    found = connection.execute(DUE if sent else UNSENT_DUE, (account, now, now, now)).fetchone()
    return None if found is None else SubmissionId(found[0])


def by_key(connection: sqlite3.Connection, account: int, key: str) -> tuple[SubmissionId, bytes] | None:
    """Return the submission that has the host's *key*, and the digest of what was given then."""
    found = connection.execute(BY_KEY, (account, key)).fetchone()
    return None if found is None else (SubmissionId(found[0]), found[1])


def is_copy(connection: sqlite3.Connection, key: MessageKey) -> bool:
    """Tell whether a message is the copy that we filed of something that was sent."""
    return connection.execute(COPIES, (key,)).fetchone() is not None


def recipients(connection: sqlite3.Connection, id_: SubmissionId) -> tuple[Recipient, ...]:
    """Return the recipients of a submission, in order."""
    return tuple(
        Recipient(address=address, fate=Fate(fate), reply=_reply(code, enhanced, text))
        for address, fate, code, enhanced, text in connection.execute(RECIPIENTS, (id_,))
    )


def value(connection: sqlite3.Connection, found: Row, accounts: dict[int, AccountId]) -> Submission:
    """Return a row as a value."""
    return Submission(
        id=found.id,
        account=accounts[found.account_id],
        state=SubmissionState(found.state),
        sender=found.sender,
        recipients=recipients(connection, found.id),
        blob=found.blob_id,
        size=found.size,
        message_id=found.message_id,
        subject=found.subject,
        eight_bit=bool(found.eight_bit),
        utf8=bool(found.utf8),
        notify=frozenset(map(Notify, filter(None, found.notify.split(",")))),
        priority=Priority(found.priority),
        key=found.key,
        draft=found.draft,
        submitted_at=from_micros(found.submitted_at),
        not_before=None if found.not_before is None else from_micros(found.not_before),
        next_try=None if found.next_try is None else from_micros(found.next_try),
        tries=found.tries,
        doubts=found.doubts,
        reason=found.reason,
        reply=_reply(found.reply_code, found.reply_enhanced, found.reply_text),
        lease_until=None if found.lease_until is None else from_micros(found.lease_until),
        finished_at=None if found.finished_at is None else from_micros(found.finished_at),
        doubted_at=None if found.doubted_at is None else from_micros(found.doubted_at),
        filed_as=found.filed_as,
    )


def by_id(connection: sqlite3.Connection, id_: SubmissionId, accounts: dict[int, AccountId]) -> Submission:
    """Return one submission. Raises UnknownSubmission."""
    found = row(connection, id_)
    if found is None:
        raise UnknownSubmission(f"the outbox has no submission {int(id_)} (any more)")
    return value(connection, found, accounts)


def of_account(
    connection: sqlite3.Connection,
    account: int,
    accounts: dict[int, AccountId],
    states: Collection[SubmissionState] | None,
) -> Iterable[Submission]:
    """Yield the submissions of an account that are in *states* (None: all), in order."""
    over = states is None or not {SubmissionState.FILED, SubmissionState.REJECTED}.isdisjoint(states)
    for found in connection.execute(OF_ACCOUNT if over else UNFINISHED, (account,)).fetchall():
        if states is None or SubmissionState(found[2]) in states:
            yield value(connection, Row(*found), accounts)


def add(work: Writing, new: Row, addresses: Iterable[str]) -> Row:
    """Write a submission and its recipients under an id of its own."""
    made = new._replace(
        id=SubmissionId(work.next_id("submissions")),
        subject=storable(new.subject),
        sender=storable(new.sender),
        message_id=storable(new.message_id),
    )
    work.connection.execute(ADD, made)
    work.connection.executemany(
        ADD_RECIPIENT,
        (
            (made.account_id, made.id, number, storable(address), Fate.WAITING.value, None, "", "")
            for number, address in enumerate(addresses)
        ),
    )
    work.take()  # nothing of it is in the change cursor, yet whoever waits for a change hears of it
    return made


def change(work: Writing, old: Row, reply: Reply | None = None, **values: object) -> Row:
    """Write where a submission stands now; *reply* None leaves the last one."""
    if reply is not None:
        code, enhanced, text = _columns(reply)
        values |= {"reply_code": code, "reply_enhanced": enhanced, "reply_text": text}
    new = old._replace(**values)  # type: ignore[arg-type]  # the names are those of Row
    new = new._replace(reason=storable(new.reason), owner=storable(new.owner))
    work.connection.execute(CHANGE, (*(getattr(new, name) for name in _STANDING.split()), new.id))
    if new._replace(lease_until=old.lease_until) != old:
        work.take()
    return new


def put_recipients(work: Writing, id_: SubmissionId, before: Iterable[Recipient], after: Iterable[Recipient]) -> None:
    """Write the recipients that changed; both are all of them, in order."""
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        if new != old:
            work.connection.execute(PUT_RECIPIENT, (new.fate.value, *_columns(new.reply), id_, number))


def forget(work: Writing, id_: SubmissionId) -> None:
    """Remove a submission with its recipients; its octets go with the next purge."""
    work.connection.execute(FORGET, (id_,))
    work.take()


def forget_account(work: Writing, account: int) -> None:
    """Remove the outbox of an account that is removed."""
    work.connection.execute(FORGET_ACCOUNT, (account,))
    work.connection.execute(FORGET_BOX, (account,))


def is_suspended(connection: sqlite3.Connection, account: int) -> bool:
    """Tell whether nothing of *account* is to be sent."""
    found = connection.execute(BOX, (account,)).fetchone()
    return found is not None and bool(found[0])


def filing(connection: sqlite3.Connection, account: int) -> Filing:
    """Return who was seen to file copies of what *account* sends."""
    found = connection.execute(BOX, (account,)).fetchone()
    return Filing.UNKNOWN if found is None else Filing(found[1])


def set_outbox(work: Writing, account: int, *, suspended: bool | None = None, who: Filing | None = None) -> bool:
    """Write how an outbox stands; None: as before. False, and nothing, when it stands so already."""
    found = work.connection.execute(BOX, (account,)).fetchone()
    old = (0, Filing.UNKNOWN.value) if found is None else found
    new = (old[0] if suspended is None else int(suspended), old[1] if who is None else who.value)
    if new == old:
        return False
    if found is None:
        work.connection.execute(ADD_BOX, (account, *new))
    else:
        work.connection.execute(SET_BOX, (*new, account))
    work.take()
    return True


def _reply(code: int | None, enhanced: str, text: str) -> Reply | None:
    return None if code is None else Reply(code=code, enhanced=enhanced, text=text)


def _columns(reply: Reply | None) -> tuple[int | None, str, str]:
    if reply is None:
        return None, "", ""
    return reply.code, storable(reply.enhanced[:TEXT_MAX]), storable(reply.text[:TEXT_MAX])
