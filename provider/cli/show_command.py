"""``maildock show``: one message; what policy left on the server is fetched first, where the account can be reached."""

from base64 import b64encode
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer

from store.mail import MessageKey

from .accounts_file import AccountsFile
from .exits import ExitCode, Trouble, exit_of_result
from .output import hint, many_lines, moment, octets, one_line, put, put_json, put_octets
from .pending_commands import waiting_of
from .read_commands import message_facts
from .running import wait_for
from .session import home_of, message_key, opened, opened_to_read

if TYPE_CHECKING:
    from store import MailStore, Message
    from store.mime import Part

    from .home import Home

__all__ = ["show"]

CHUNK_OCTETS = 262_144
SPOOL_OCTETS = 8_000_000
"""A larger message waits in a temporary file, not in memory."""


def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="The message's id, as `maildock list` prints it.")],
    raw: Annotated[bool, typer.Option("--raw", help="The whole message, octet for octet.")] = False,
    headers: Annotated[bool, typer.Option("--headers", help="The header block, octet for octet.")] = False,
    part: Annotated[str | None, typer.Option("--part", metavar="N", help="One part, decoded: 1, 2, 1.2 ...")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON; octets in base64.")] = False,
) -> int:
    """Show a message: its text and its parts, or what the options ask for."""
    if sum((raw, headers, part is not None)) > 1:
        raise Trouble("--raw, --headers and --part exclude each other.", ExitCode.USAGE)
    home = home_of(context)
    key = message_key(number)
    with opened_to_read(home) as store:
        here, account = _here(store, key)
    if not here and not headers:
        code = _fetch(home, key, account)
        if code != ExitCode.COMPLETE:
            return code
    with opened_to_read(home) as store:
        if headers:
            with store.read() as view:
                block = view.header_block(key)
            _put_content(store, key, "headers", [block], json=json)
        elif raw:
            with SpooledTemporaryFile(max_size=SPOOL_OCTETS) as spool:
                with store.read() as view:  # no longer than it takes to copy: whoever reads our output may be slow
                    for chunk in view.open_raw(key):
                        spool.write(chunk)
                spool.seek(0)
                _put_content(store, key, "raw", iter(lambda: spool.read(CHUNK_OCTETS), b""), json=json)
        elif part is not None:
            from store.mime import part_bytes

            with store.read() as view:
                content = view.raw(key)
            if part not in {one.section for one in _parts(content)}:
                raise Trouble(
                    f"Message {number} has no part {part!r}.",
                    ExitCode.USAGE,
                    f"maildock show {number} lists its parts.",
                )
            _put_content(store, key, "content", [part_bytes(content, part)], json=json)
        else:
            _put_message(store, key, json=json)
    return ExitCode.COMPLETE


def _here(store: "MailStore", key: MessageKey) -> tuple[bool, str]:
    """Tell whether the whole message is in the store, and whose it is."""
    with store.read() as view:
        message = view.message(key)
    return message.body.name == "FULL", message.account


def _fetch(home: "Home", key: MessageKey, account: str) -> ExitCode:
    """Bring the message's octets from its server. Raises Trouble when its account is not known here."""
    from .. import MailStoreProvider
    from .sync_display import ErrorsToStderr

    file = AccountsFile.read(home.accounts_path)
    entry = file.find(account) or file.find_import(account)
    if entry is None:
        raise Trouble(
            f"Only the header of message {key} is here, and account {account!r} is not set up any more.",
            ExitCode.ERRORS,
            f"maildock show {key} --headers shows it; to fetch the rest: maildock account add {account} ...",
        )
    told = ErrorsToStderr()
    with opened(home) as store:
        with MailStoreProvider(store, [entry.account()]) as provider:
            result = wait_for(provider.fetch([key], callback=told))
        told.close(result)
        code = exit_of_result(result)
        if code == ExitCode.COMPLETE and not _here(store, key)[0]:
            code = ExitCode.ERRORS
    if code != ExitCode.COMPLETE:
        hint(f"maildock: message {key} could not be fetched; maildock show {key} --headers shows what is here.")
    return code


def _facts(store: "MailStore", key: MessageKey) -> dict[str, object]:
    with store.read() as view:
        message = view.message(key)
        path = str(view.folder(message.folder_id).path)
        return message_facts(message, path, waiting_of(view, message.account).get(key, ()))


def _put_content(
    store: "MailStore", key: MessageKey, name: str, chunks: "Iterator[bytes] | list[bytes]", *, json: bool
) -> None:
    if json:
        put_json(_facts(store, key) | {f"{name}_base64": b64encode(b"".join(chunks)).decode()})
    else:
        put_octets(chunks)


def _parts(content: bytes) -> "tuple[Part, ...]":
    from store.mime import parts

    return tuple(parts(content))


def _put_message(store: "MailStore", key: MessageKey, *, json: bool) -> None:
    """Print what a person reads: the usual fields, the text, the list of parts."""
    from store.mime import text

    with store.read() as view:
        message, envelope, content = view.message(key), view.envelope(key), view.raw(key)
        folder = str(view.folder(message.folder_id).path)
        waiting = waiting_of(view, message.account).get(key, ())
    tree = _parts(content)
    body = text(content)
    if json:
        people = {"to": envelope.to, "cc": envelope.cc, "bcc": envelope.bcc, "reply_to": envelope.reply_to}
        put_json(
            message_facts(message, folder, waiting)
            | {name: ", ".join(map(str, addresses)) for name, addresses in people.items()}
            | {"octets": message.octets, "text": body, "parts": [_part_facts(part) for part in tree]}
        )
        return
    _put_fields(message, folder, [("To", envelope.to), ("Cc", envelope.cc)])
    put()
    put(many_lines(body).rstrip())
    shown = [part for part in tree if not part.content_type.startswith("multipart/")]
    if len(shown) > 1:
        put()
        for part in shown:
            name = f"  {one_line(part.filename, 60)}" if part.filename else ""
            put(f"[{part.section}] {one_line(part.content_type)}  {octets(part.size_octets)}{name}")


def _put_fields(message: "Message", folder: str, people: list[tuple[str, tuple[object, ...]]]) -> None:
    put(f"From:    {one_line(', '.join(map(str, message.from_)))}")
    for name, addresses in people:
        if addresses:
            put(f"{name + ':':8} {one_line(', '.join(map(str, addresses)), 300)}")
    put(f"Date:    {moment(message.date or message.internal_date)}")
    put(f"Subject: {one_line(message.subject)}")
    flags = " ".join(one_line(flag) for flag in sorted(message.flags)) or "none"
    put(f"Folder:  {one_line(message.account)}: {one_line(folder)}; flags: {flags}")


def _part_facts(part: "Part") -> dict[str, object]:
    return {
        "section": part.section,
        "content_type": part.content_type,
        "charset": part.charset,
        "filename": part.filename,
        "disposition": part.disposition,
        "size": part.size_octets,
        "content_id": part.content_id,
    }
