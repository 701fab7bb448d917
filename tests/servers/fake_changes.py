"""Message commands of the fake IMAP server that change: STORE, COPY, MOVE, EXPUNGE, APPEND.

Room: tests/servers. RFC 3501 section 6.4, RFC 3502 (MULTIAPPEND), RFC 4315 (UIDPLUS), RFC 6851 (MOVE), RFC 7162
(UNCHANGEDSINCE, MODIFIED), RFC 7889 (APPENDLIMIT). What the capabilities do not announce is BAD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .fake_answer import Answer
from .fake_messages import by_uid, chosen, selected, value
from .fake_model import DEFAULT_DATE, FakeFolder, FakeMessage
from .fake_session import Handler, Session
from .fake_wire import Argument, BadCommand, format_set, number, upper

__all__ = ["HANDLERS", "expunge_deleted"]

_DATE = re.compile(rb"[ \d]\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}\Z")


def _writable(session: Session) -> FakeFolder:
    if session.read_only:
        raise BadCommand("the mailbox is read-only")
    return selected(session)


def _store(session: Session, answer: Answer) -> None:
    arguments = list(answer.command.arguments)
    folder = _writable(session)
    messages = chosen(session, answer, arguments[0])
    refused: list[FakeMessage] = []
    if len(arguments) == 4 and isinstance(arguments[1], list) and session.can("CONDSTORE"):
        limit = number(arguments.pop(1)[1])
        refused = [message for message in messages if message.modseq > limit]
    if len(arguments) != 3:
        raise BadCommand("STORE takes a set, an action and flags")
    action, silent, _ = upper(arguments[1]).partition(b".SILENT")
    flags = frozenset(arguments[2] if isinstance(arguments[2], list) else [arguments[2]])
    if folder.permanent_flags is not None and action == b"+FLAGS":
        flags &= folder.permanent_flags
    for message in messages:
        if message in refused:
            continue
        before = message.flags
        match action:
            case b"+FLAGS":
                folder.set_flags(message.uid, message.flags | flags)
            case b"-FLAGS":
                folder.set_flags(message.uid, message.flags - flags)
            case b"FLAGS":
                folder.set_flags(message.uid, flags)
            case _:
                raise BadCommand("unknown STORE action")
        items = ([b"MODSEQ"] if session.enabled else []) + ([] if silent else [b"FLAGS"])
        if items and message.flags != before:  # Dovecot tells only of what changed
            items = ([b"UID"] if by_uid(answer) else []) + items
            values = b" ".join(value(session, message, item) for item in items)
            answer.rows.append(b"* %d FETCH (%b)" % (session.view.index(message.uid) + 1, values))
    session.seen_modseq = folder.highest_modseq
    if refused:
        answer.completion = b"OK [MODIFIED %b] Conditional store failed" % format_set(m.uid for m in refused)


def expunge_deleted(folder: FakeFolder, only: set[int] | None) -> None:
    """Remove messages marked \\Deleted, all or those in *only*."""
    doomed = [m.uid for m in folder.messages.values() if b"\\Deleted" in m.flags]
    doomed = [uid for uid in doomed if only is None or uid in only]
    if doomed:
        folder.expunge(*doomed)


def _expunge(session: Session, answer: Answer) -> None:
    folder, only = _writable(session), None
    if by_uid(answer):
        if not session.can("UIDPLUS"):
            raise BadCommand("UIDPLUS is not announced")
        only = {message.uid for message in chosen(session, answer, answer.command.arguments[0])}
    before = folder.highest_modseq
    expunge_deleted(folder, only)
    answer.rows += session.updates()
    if "QRESYNC" in session.enabled and folder.highest_modseq > before:
        answer.completion = b"OK [HIGHESTMODSEQ %d] Expunge completed" % folder.highest_modseq


def _copy(session: Session, answer: Answer) -> None:
    text, name = answer.command.arguments
    source = selected(session)
    target = session.mailbox.find(upper(name) if upper(name) == b"INBOX" else name)  # type: ignore[arg-type]
    if target is None:
        answer.completion = b"NO [TRYCREATE] Mailbox doesn't exist"
        return
    moving = answer.command.name.endswith("MOVE")
    if moving and not session.can("MOVE"):
        raise BadCommand("MOVE is not announced")
    messages = chosen(session, answer, text)
    uids = [target.append(m.octets, m.flags, m.internal_date) for m in messages]
    code = b""
    if uids and session.can("UIDPLUS"):
        old = format_set(message.uid for message in messages)
        code = b"[COPYUID %d %b %b] " % (target.uid_validity, old, format_set(uids))
    answer.completion = b"OK " + code + b"Copy completed."
    if moving and messages:
        if code:
            answer.rows.append(b"* OK " + code + b"Moved UIDs.")
            answer.completion = b"OK Move completed."
        source.expunge(*(message.uid for message in messages))
        answer.rows += session.updates()
        if "QRESYNC" in session.enabled:
            answer.completion = b"OK [HIGHESTMODSEQ %d] Move completed" % source.highest_modseq


def _append(session: Session, answer: Answer) -> None:
    name, *rest = answer.command.arguments
    messages = list(_messages(rest))
    if len(messages) > 1 and not session.can("MULTIAPPEND"):
        raise BadCommand("MULTIAPPEND is not announced")
    folder = session.mailbox.find(name) if isinstance(name, bytes) else None
    if folder is None:
        answer.completion = b"NO [TRYCREATE] Mailbox doesn't exist"
        return
    if any(len(octets) > session.server.append_octets_max for _, _, octets in messages):
        answer.completion = b"NO [TOOBIG] Message is too large"  # of many, none is taken (RFC 3502)
        return
    uids = [folder.append(octets, flags, date) for flags, date, octets in messages]
    code = b"[APPENDUID %d %b] " % (folder.uid_validity, format_set(uids)) if session.can("UIDPLUS") else b""
    answer.completion = b"OK " + code + b"Append completed."


def _messages(rest: list[Argument]) -> Iterator[tuple[list[bytes], str, bytes]]:
    """Yield flags, date and octets of each message; a date is told from a literal by where it stands."""
    while rest:
        flags = rest.pop(0) if isinstance(rest[0], list) else []
        dated = len(rest) > 1 and isinstance(rest[1], bytes) and isinstance(rest[0], bytes) and _DATE.match(rest[0])
        date = rest.pop(0).decode("latin-1") if dated else DEFAULT_DATE  # type: ignore[union-attr]
        octets = rest.pop(0) if rest else []
        if isinstance(octets, list):
            raise BadCommand("APPEND ends in a literal")
        yield flags, date, octets  # type: ignore[misc]


def _check(session: Session, answer: Answer) -> None:
    selected(session)


HANDLERS: dict[str, Handler] = {
    "APPEND": _append,
    "CHECK": _check,
    "COPY": _copy,
    "EXPUNGE": _expunge,
    "MOVE": _copy,
    "STORE": _store,
    "UID COPY": _copy,
    "UID EXPUNGE": _expunge,
    "UID MOVE": _copy,
    "UID STORE": _store,
}
