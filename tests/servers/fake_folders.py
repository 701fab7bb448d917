"""Folder commands of the fake IMAP server.

Room: tests/servers. RFC 3501 section 6.3, RFC 2342 (NAMESPACE), RFC 5258 and 5819 (LIST-EXTENDED,
LIST-STATUS), RFC 6154 (SPECIAL-USE), RFC 7162 (CONDSTORE, QRESYNC), RFC 8474 (MAILBOXID).
A word of an extension that the capabilities do not announce is answered BAD.
"""

from __future__ import annotations

import re

from .fake_answer import Answer
from .fake_changes import expunge_deleted
from .fake_messages import changed_rows
from .fake_model import FakeFolder
from .fake_session import Handler, Session
from .fake_wire import Argument, BadCommand, number, quote, upper

__all__ = ["HANDLERS"]

_USES = frozenset({b"\\Archive", b"\\Drafts", b"\\Junk", b"\\Sent", b"\\Trash"})
_LIST_STATUS_NEEDS = {b"HIGHESTMODSEQ": "CONDSTORE", b"MAILBOXID": "OBJECTID"}


def _word(value: Argument) -> bytes:
    if isinstance(value, list):
        raise BadCommand("a name was expected, not a list")
    return value


def _namespace(session: Session, answer: Answer) -> None:
    if not session.can("NAMESPACE"):
        raise BadCommand("NAMESPACE is not announced")
    answer.rows.append(b"* NAMESPACE " + session.server.namespace)


def _list(session: Session, answer: Answer) -> None:
    arguments = list(answer.command.arguments)
    selection: set[bytes] = set()
    if arguments and isinstance(arguments[0], list):
        _need(session, "LIST-EXTENDED")
        selection = {upper(word) for word in arguments.pop(0)}
    if len(arguments) < 2:
        raise BadCommand("LIST takes a reference and a pattern")
    patterns = arguments[1] if isinstance(arguments[1], list) else [arguments[1]]
    returns: dict[bytes, list[bytes]] = {}
    if len(arguments) == 4 and upper(arguments[2]) == b"RETURN" and isinstance(arguments[3], list):
        returns = _return_options(session, arguments[3])
    elif len(arguments) != 2:
        raise BadCommand("LIST has odd arguments")
    if patterns == [b""]:
        answer.rows.append(b"* LIST (\\Noselect) %b %b" % (_delimiter(session), b'""'))
        return
    for wire, folder in _with_parents(session).items():
        if not any(_matches(session, _word(arguments[0]) + _word(pattern), wire) for pattern in patterns):
            continue
        if b"SUBSCRIBED" in selection and not (folder and folder.subscribed):
            continue
        answer.rows.append(
            b"* LIST (%b) %b %b" % (_attributes(session, wire, folder, returns), _delimiter(session), quote(wire))
        )
        if b"STATUS" in returns and folder is not None and folder.selectable:
            answer.rows.append(_status_row(session, folder, returns[b"STATUS"]))


def _return_options(session: Session, options: list[Argument]) -> dict[bytes, list[bytes]]:
    chosen: dict[bytes, list[bytes]] = {}
    for index, option in enumerate(options):
        if isinstance(option, list):
            if index == 0 or upper(options[index - 1]) != b"STATUS":
                raise BadCommand("a list without STATUS")
            chosen[b"STATUS"] = [upper(item) for item in option]
            continue
        needs = {b"STATUS": "LIST-STATUS", b"SPECIAL-USE": "SPECIAL-USE"}.get(option.upper(), "LIST-EXTENDED")
        _need(session, needs)
        chosen.setdefault(option.upper(), [])
    return chosen


def _need(session: Session, capability: str) -> None:
    if not session.can(capability):
        raise BadCommand(f"{capability} is not announced")


def _delimiter(session: Session) -> bytes:
    delimiter = session.mailbox.delimiter
    return b"NIL" if delimiter is None else b'"' + delimiter.replace(b"\\", b"\\\\") + b'"'


def _with_parents(session: Session) -> dict[bytes, FakeFolder | None]:
    """Return every name to list; a parent that exists only as part of a name has no folder (None)."""
    names: dict[bytes, FakeFolder | None] = {}
    delimiter = session.mailbox.delimiter
    for wire, folder in session.mailbox.folders.items():
        if delimiter:
            pieces = wire.split(delimiter)
            for depth in range(1, len(pieces)):
                parent = delimiter.join(pieces[:depth])
                if parent:
                    names.setdefault(parent, None)
        names[wire] = folder
    return names


def _matches(session: Session, pattern: bytes, wire: bytes) -> bool:
    delimiter = session.mailbox.delimiter
    level = b"[^" + re.escape(delimiter) + b"]*" if delimiter else b".*"
    pieces = {b"*": b".*", b"%": level}
    text = b"".join(pieces.get(bytes([octet]), re.escape(bytes([octet]))) for octet in pattern)
    flags = re.DOTALL | (re.IGNORECASE if wire == b"INBOX" else 0)
    return re.fullmatch(text, wire, flags) is not None


def _attributes(session: Session, wire: bytes, folder: FakeFolder | None, returns: dict[bytes, list[bytes]]) -> bytes:
    words = []
    if folder is None or not folder.selectable:
        words.append(b"\\Noselect")
    delimiter = session.mailbox.delimiter
    below = delimiter is not None and any(name.startswith(wire + delimiter) for name in session.mailbox.folders)
    if not returns or b"CHILDREN" in returns:  # RFC 5258 section 4: with RETURN only what it names
        words.append(b"\\HasChildren" if below else b"\\HasNoChildren")
    if folder is not None:
        if b"SUBSCRIBED" in returns and folder.subscribed:
            words.append(b"\\Subscribed")
        if folder.special_use and session.can("SPECIAL-USE"):
            words.append(folder.special_use)
    return b" ".join(words)


def _lsub(session: Session, answer: Answer) -> None:
    pattern = b"".join(_word(argument) for argument in answer.command.arguments)
    for wire, folder in session.mailbox.folders.items():
        if folder.subscribed and _matches(session, pattern, wire):
            answer.rows.append(b"* LSUB () %b %b" % (_delimiter(session), quote(wire)))


def _status(session: Session, answer: Answer) -> None:
    name, items = answer.command.arguments[:2]
    folder = session.mailbox.find(_word(name))
    if folder is None:
        answer.completion = b"NO [NONEXISTENT] Mailbox doesn't exist"
    elif not isinstance(items, list):
        raise BadCommand("STATUS takes a list of items")
    else:
        answer.rows.append(_status_row(session, folder, [upper(item) for item in items]))


def _status_row(session: Session, folder: FakeFolder, items: list[bytes]) -> bytes:
    sizes = [len(message.octets) for message in folder.messages.values()]
    values = {
        b"MESSAGES": b"%d" % len(sizes),
        b"RECENT": b"0",
        b"UIDNEXT": b"%d" % folder.uid_next,
        b"UIDVALIDITY": b"%d" % folder.uid_validity,
        b"UNSEEN": b"%d" % folder.unseen(),
        b"HIGHESTMODSEQ": b"%d" % folder.highest_modseq,
        b"MAILBOXID": b"(%b)" % folder.mailbox_id,
        b"SIZE": b"%d" % sum(sizes),
    }
    for item in items:
        if item not in values:
            raise BadCommand("unknown STATUS item")
        if item in _LIST_STATUS_NEEDS:
            _need(session, _LIST_STATUS_NEEDS[item])
    told = b" ".join(item + b" " + values[item] for item in items)
    return b"* STATUS %b (%b)" % (quote(folder.wire_name), told)


def _select(session: Session, answer: Answer) -> None:
    arguments = answer.command.arguments
    had = session.selected is not None
    session.unselect()
    folder = session.mailbox.find(_word(arguments[0]))
    if had and session.can("CONDSTORE"):
        answer.rows.append(b"* OK [CLOSED] Previous mailbox closed.")
    if folder is None:
        answer.completion = b"NO [NONEXISTENT] Mailbox doesn't exist"
        return
    resync = _select_parameters(session, arguments[1:])
    session.selected, session.read_only = folder, folder.read_only or answer.command.name == "EXAMINE"
    session.view, session.seen_modseq = list(folder.messages), folder.highest_modseq
    flags = [b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Seen", b"\\Draft", *folder.keywords()]
    kept = [*flags, b"\\*"] if folder.permanent_flags is None else sorted(folder.permanent_flags)
    permanent = b"" if session.read_only else b" ".join(kept)
    unseen = next((i for i, m in enumerate(folder.messages.values(), 1) if b"\\Seen" not in m.flags), 0)
    answer.rows += [
        b"* FLAGS (%b)" % b" ".join(flags),
        b"* OK [PERMANENTFLAGS (%b)] Flags permitted." % permanent,
        b"* %d EXISTS" % len(folder.messages),
        b"* 0 RECENT",
    ]
    if unseen:
        answer.rows.append(b"* OK [UNSEEN %d] First unseen." % unseen)
    answer.rows.append(b"* OK [UIDVALIDITY %d] UIDs valid" % folder.uid_validity)
    answer.rows.append(b"* OK [UIDNEXT %d] Predicted next UID" % folder.uid_next)
    if session.can("CONDSTORE"):
        answer.rows.append(b"* OK [HIGHESTMODSEQ %d] Highest" % folder.highest_modseq)
    if session.can("OBJECTID"):
        answer.rows.append(b"* OK [MAILBOXID (%b)] Ok" % folder.mailbox_id)
    if resync and resync[0] == folder.uid_validity:
        answer.rows += changed_rows(session, since=resync[1], vanished=True, known=resync[2])
    mode = b"READ-ONLY" if session.read_only else b"READ-WRITE"
    answer.completion = b"OK [%b] %b completed" % (mode, answer.command.name.title().encode())


def _select_parameters(session: Session, rest: tuple[Argument, ...]) -> tuple[int, int, bytes | None] | None:
    """Return (UIDVALIDITY, mod-sequence, known UIDs) of QRESYNC, None without it."""
    if not rest:
        return None
    if not isinstance(rest[0], list):
        raise BadCommand("SELECT takes a list of parameters")
    words = rest[0]
    match [upper(word) if not isinstance(word, list) else word for word in words]:
        case [b"CONDSTORE"]:
            _need(session, "CONDSTORE")
            session.enabled.add("CONDSTORE")
            return None
        case [b"QRESYNC", [bytes() as validity, bytes() as modseq, *more]]:
            if "QRESYNC" not in session.enabled:
                raise BadCommand("QRESYNC was not enabled")
            known = more[0] if more and isinstance(more[0], bytes) else None
            return number(validity), number(modseq), known
    raise BadCommand("unknown SELECT parameter")


def _unselect(session: Session, answer: Answer) -> None:
    _need(session, "UNSELECT")
    session.unselect()


def _close(session: Session, answer: Answer) -> None:
    if session.selected is not None and not session.read_only:
        expunge_deleted(session.selected, None)
    session.unselect()


def _create(session: Session, answer: Answer) -> None:
    arguments = answer.command.arguments
    wire = _word(arguments[0])
    use: Argument | None = None
    if len(arguments) > 1:
        _need(session, "CREATE-SPECIAL-USE")
        match arguments[1]:
            case [bytes() as word, [bytes() as use]] if word.upper() == b"USE":
                pass
            case _:
                raise BadCommand("unknown CREATE parameter")
        if use not in _USES:
            answer.completion = b"NO [USEATTR] No such use here"
            return
    delimiter = session.mailbox.delimiter
    try:
        session.mailbox.add_folder(wire.removesuffix(delimiter) if delimiter else wire, special_use=use)
    except ValueError:
        answer.completion = b"NO [ALREADYEXISTS] Mailbox already exists"


def _delete(session: Session, answer: Answer) -> None:
    wire = _word(answer.command.arguments[0])
    if wire.upper() == b"INBOX":
        answer.completion = b"NO [CANNOT] INBOX cannot be deleted"
    elif wire not in session.mailbox.folders:
        answer.completion = b"NO [NONEXISTENT] Mailbox doesn't exist"
    elif session.selected is not None and session.selected.wire_name == wire:
        answer.completion = b"NO [INUSE] Mailbox is open"
    else:
        session.mailbox.delete_folder(wire)


def _rename(session: Session, answer: Answer) -> None:
    old, new = (_word(argument) for argument in answer.command.arguments)
    if old not in session.mailbox.folders:
        answer.completion = b"NO [NONEXISTENT] Mailbox doesn't exist"
        return
    try:
        session.mailbox.rename_folder(old, new)
    except ValueError:
        answer.completion = b"NO [ALREADYEXISTS] Target mailbox already exists"


def _subscribe(session: Session, answer: Answer) -> None:
    folder = session.mailbox.folders.get(_word(answer.command.arguments[0]))
    if folder is not None:
        folder.subscribed = answer.command.name == "SUBSCRIBE"


HANDLERS: dict[str, Handler] = {
    "CLOSE": _close,
    "CREATE": _create,
    "DELETE": _delete,
    "EXAMINE": _select,
    "LIST": _list,
    "LSUB": _lsub,
    "NAMESPACE": _namespace,
    "RENAME": _rename,
    "SELECT": _select,
    "STATUS": _status,
    "SUBSCRIBE": _subscribe,
    "UNSELECT": _unselect,
    "UNSUBSCRIBE": _subscribe,
}
