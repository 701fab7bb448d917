"""Message commands of the fake IMAP server that read: FETCH, SEARCH.

Room: tests/servers. RFC 3501 section 6.4, RFC 4315 (UIDPLUS), RFC 4731 (ESEARCH), RFC 6851 (MOVE),
RFC 7162 (CHANGEDSINCE, UNCHANGEDSINCE, VANISHED), RFC 8474 (EMAILID).
"""

from __future__ import annotations

import re

from . import fake_mime
from .fake_answer import Answer
from .fake_model import FakeFolder, FakeMessage
from .fake_session import Handler, Session
from .fake_wire import Argument, BadCommand, format_set, number, parse_set, upper

__all__ = ["HANDLERS", "by_uid", "changed_rows", "chosen", "selected", "value"]

_BODY = re.compile(rb"BODY(\.PEEK)?\[(.*)\](?:<(\d+)\.(\d+)>)?\Z", re.DOTALL)


def selected(session: Session) -> FakeFolder:
    if session.selected is None:
        raise BadCommand("no mailbox selected")
    return session.selected


def by_uid(answer: Answer) -> bool:
    return answer.command.name.startswith("UID ")


def chosen(session: Session, answer: Answer, text: Argument) -> list[FakeMessage]:
    """Return the messages of a set; UIDs that are not there are passed over in silence."""
    folder = selected(session)
    if isinstance(text, list):
        raise BadCommand("a set was expected, not a list")
    if by_uid(answer):
        return [folder.messages[uid] for uid in parse_set(text, list(folder.messages))]
    uids = [session.view[index - 1] for index in parse_set(text, range(1, len(session.view) + 1))]
    return [folder.messages[uid] for uid in uids if uid in folder.messages]


# -- FETCH --------------------------------------------------------------------------------------------


def _fetch(session: Session, answer: Answer) -> None:
    arguments = answer.command.arguments
    if len(arguments) not in (2, 3):
        raise BadCommand("FETCH takes a set and items")
    folder = selected(session)
    answer.rows += session.updates()  # numbers in the rows must be ones the client knows
    items = [_item(word) for word in (arguments[1] if isinstance(arguments[1], list) else [arguments[1]])]
    if by_uid(answer) and b"UID" not in items:
        items.insert(0, b"UID")
    messages = chosen(session, answer, arguments[0])
    if len(arguments) == 3:
        since, vanished = _fetch_modifiers(session, arguments[2])
        if vanished:
            gone = _expunged_since(folder, since, arguments[0])
            if gone:
                answer.rows.append(b"* VANISHED (EARLIER) " + format_set(gone))
        messages = [message for message in messages if message.modseq > since]
        if b"MODSEQ" not in items:
            items.append(b"MODSEQ")
    if b"MODSEQ" in items and not session.can("CONDSTORE"):
        raise BadCommand("CONDSTORE is not announced")
    row_number = {uid: index for index, uid in enumerate(session.view, 1)}
    for message in messages:
        if any(item in (b"RFC822", b"RFC822.TEXT") or item.startswith(b"BODY[") for item in items):
            _mark_seen(session, folder, message)
        values = b" ".join(value(session, message, item) for item in items)
        answer.rows.append(b"* %d FETCH (%b)" % (row_number[message.uid], values))
    answer.completion = b"OK Fetch completed"


def _item(word: Argument) -> bytes:
    """Return the item with its fixed words in upper case; the header names in brackets stay."""
    if isinstance(word, list):
        raise BadCommand("nested list of items")
    head, bracket, rest = word.partition(b"[")
    return head.upper() + bracket + rest


def _fetch_modifiers(session: Session, modifiers: Argument) -> tuple[int, bool]:
    words = [upper(word) for word in modifiers] if isinstance(modifiers, list) else []
    if not session.can("CONDSTORE") or words[:1] != [b"CHANGEDSINCE"] or len(words) not in (2, 3):
        raise BadCommand("unknown FETCH modifier")
    vanished = words[2:] == [b"VANISHED"]
    if words[2:] and (not vanished or "QRESYNC" not in session.enabled):
        raise BadCommand("VANISHED needs QRESYNC")
    session.enabled.add("CONDSTORE")
    return number(words[1]), vanished


def value(session: Session, message: FakeMessage, item: bytes) -> bytes:
    match item:
        case b"UID":
            return b"UID %d" % message.uid
        case b"FLAGS":
            return b"FLAGS (%b)" % b" ".join(sorted(message.flags))
        case b"INTERNALDATE":
            return b'INTERNALDATE "%b"' % message.internal_date.encode()
        case b"RFC822.SIZE":
            return b"RFC822.SIZE %d" % len(message.octets)
        case b"MODSEQ":
            return b"MODSEQ (%d)" % message.modseq
        case b"BODYSTRUCTURE":
            return b"BODYSTRUCTURE " + fake_mime.body_structure(message.octets)
        case b"EMAILID" if session.can("OBJECTID"):
            return b"EMAILID (%b)" % message.email_id
        case b"X-GM-MSGID" if session.can("X-GM-EXT-1"):  # Gmail's, older than RFC 8474
            return b"X-GM-MSGID %d" % int(message.email_id[1:16], 16)
        case b"RFC822" | b"RFC822.TEXT" | b"RFC822.HEADER":
            section = {b"RFC822": "", b"RFC822.TEXT": "TEXT", b"RFC822.HEADER": "HEADER"}[item]
            return item + b" " + _literal(fake_mime.section(message.octets, section))
    match = _BODY.match(item)
    if match is None:
        raise BadCommand("unknown FETCH item " + item.decode("latin-1"))
    octets = fake_mime.section(message.octets, match[2].decode("latin-1"))
    name = b"BODY[%b]" % match[2].upper()
    if match[3] is not None:
        offset, count = int(match[3]), int(match[4])
        octets = None if octets is None else octets[offset : offset + count]
        name += b"<%d>" % offset
    return name + b" " + _literal(octets)


def _literal(octets: bytes | None) -> bytes:
    return b"NIL" if octets is None else b"{%d}\r\n%b" % (len(octets), octets)


def _mark_seen(session: Session, folder: FakeFolder, message: FakeMessage) -> None:
    if not session.read_only:
        folder.set_flags(message.uid, message.flags | {b"\\Seen"})


def _expunged_since(folder: FakeFolder, since: int, known: Argument | None) -> list[int]:
    gone = sorted({uid for modseq, uid in folder.expunged if modseq > since})
    if isinstance(known, bytes):
        gone = parse_set(known.replace(b"*", b"4294967295"), gone)
    return gone


def changed_rows(session: Session, *, since: int, vanished: bool, known: bytes | None) -> list[bytes]:
    """Return the rows that SELECT (QRESYNC ...) adds: VANISHED (EARLIER), then changed flags."""
    folder = selected(session)
    rows = []
    gone = _expunged_since(folder, since, known) if vanished else []
    if gone:
        rows.append(b"* VANISHED (EARLIER) " + format_set(gone))
    for index, message in enumerate(folder.messages.values(), 1):
        if message.modseq > since and (known is None or parse_set(known, [message.uid])):
            values = [value(session, message, item) for item in (b"UID", b"FLAGS", b"MODSEQ")]
            rows.append(b"* %d FETCH (%b)" % (index, b" ".join(values)))
    return rows


# -- SEARCH -------------------------------------------------------------------------------------------


_ESEARCH_ORDER = b"MIN MAX ALL COUNT"  # Dovecot's


def _search(session: Session, answer: Answer) -> None:
    words = list(answer.command.arguments)
    wanted: list[bytes] | None = None
    if words and not isinstance(words[0], list) and words[0].upper() == b"RETURN":
        if not session.can("ESEARCH") or len(words) < 2 or not isinstance(words[1], list):
            raise BadCommand("ESEARCH is not announced")
        wanted = sorted((upper(word) for word in words[1]), key=_ESEARCH_ORDER.find) or [b"ALL"]
        words = words[2:]
    if words and words[0] == b"CHARSET":
        words = words[2:]
    found, position = list(selected(session).messages.values()), 0
    while position < len(words):
        found, position = _criterion(session, answer, words, position, found)
    view = {uid: index for index, uid in enumerate(session.view, 1)}
    numbers = [message.uid if by_uid(answer) else view[message.uid] for message in found if message.uid in view]
    if wanted is None:
        answer.rows.append(b" ".join([b"* SEARCH", *(b"%d" % found_number for found_number in numbers)]))
        return
    parts = [b'* ESEARCH (TAG "%b")' % answer.command.tag] + ([b"UID"] if by_uid(answer) else [])
    for name in wanted:
        if name == b"COUNT":
            parts.append(b"COUNT %d" % len(numbers))
        elif name not in (b"ALL", b"MIN", b"MAX"):
            raise BadCommand("unknown RETURN option")
        elif numbers:
            value = {b"ALL": format_set(numbers), b"MIN": b"%d" % numbers[0], b"MAX": b"%d" % numbers[-1]}[name]
            parts.append(name + b" " + value)
    answer.rows.append(b" ".join(parts))


def _criterion(
    session: Session, answer: Answer, words: list[Argument], at: int, found: list[FakeMessage]
) -> tuple[list[FakeMessage], int]:
    """Return what one search key leaves of *found*, and where the next key begins."""
    word = upper(words[at])
    flags = {b"SEEN", b"ANSWERED", b"FLAGGED", b"DELETED", b"DRAFT"}
    name = word.removeprefix(b"UN")
    if word == b"ALL":
        return found, at + 1
    if name in flags:
        flag = b"\\" + name.title()
        return [m for m in found if (flag in m.flags) is (word == name)], at + 1
    if word == b"UID" or word[:1].isdigit() or word[:1] == b"*":
        folder = selected(session)
        text = upper(words[at + 1]) if word == b"UID" else word
        if word == b"UID":
            uids = set(parse_set(text, list(folder.messages)))
        else:
            uids = {session.view[n - 1] for n in parse_set(text, range(1, len(session.view) + 1))}
        return [m for m in found if m.uid in uids], at + (2 if word == b"UID" else 1)
    if name == b"KEYWORD":
        flag = words[at + 1]
        return [m for m in found if (flag in m.flags) is (word == name)], at + 2
    if word == b"HEADER":
        field, text = upper(words[at + 1]).decode("latin-1"), upper(words[at + 2])
        hits = [m for m in found if text in _header_values(m, field)]
        return hits, at + 3
    if word == b"MODSEQ" and session.can("CONDSTORE"):
        least = number(words[at + 1])
        return [m for m in found if m.modseq >= least], at + 2
    raise BadCommand("unknown search key " + word.decode("latin-1"))


def _header_values(message: FakeMessage, field: str) -> bytes:
    headers = fake_mime.parse_message(message.octets).headers
    return "\n".join(str(value) for value in headers.get_all(field, [])).upper().encode("utf-8", "surrogateescape")


HANDLERS: dict[str, Handler] = {
    "FETCH": _fetch,
    "SEARCH": _search,
    "UID FETCH": _fetch,
    "UID SEARCH": _search,
}
