"""A message from the words of a command: headers from options, text from a file, attachments from files.

The result goes through the outbox's own check like every other message; here only files are read.
"""

import mimetypes
from collections.abc import Sequence
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import getaddresses
from pathlib import Path

from .exits import ExitCode, Trouble
from .files import octets_of
from .output import one_line

__all__ = ["built"]


def built(
    text: str,
    *,
    sender: str,
    to: Sequence[str],
    cc: Sequence[str],
    bcc: Sequence[str],
    subject: str,
    attach: Sequence[str],
) -> EmailMessage:
    """Return a message that says *text*, with the files *attach*. Raises Trouble for what cannot stand in one."""
    message = EmailMessage()
    try:
        message["From"] = _addresses([sender])
        for field, given in (("To", to), ("Cc", cc), ("Bcc", bcc)):
            if given:
                message[field] = _addresses(given)
        message["Subject"] = subject
    except (ValueError, MessageError) as error:
        raise Trouble(f"A header of this message cannot be: {one_line(str(error))}.", ExitCode.USAGE) from None
    message.set_content(text)
    for name in attach:
        _attach(message, name)
    return message


def _attach(message: EmailMessage, name: str) -> None:
    guessed, encoding = mimetypes.guess_type(name, strict=False)
    kind = guessed if guessed is not None and encoding is None else "application/octet-stream"
    main, _, sub = kind.partition("/")
    if main in ("message", "multipart"):
        main, sub = "application", "octet-stream"  # sent as a file, not taken apart
    message.add_attachment(octets_of(name), maintype=main, subtype=sub, filename=Path(name).name)


def _addresses(given: Sequence[str]) -> tuple[Address, ...]:
    found = []
    for text in given:
        if not text.isprintable():
            raise Trouble(f"The address {one_line(text)!r} has control characters in it.", ExitCode.USAGE)
        for name, address in getaddresses([text]):
            if "@" not in address:
                raise Trouble(
                    f"{one_line(text)!r} is no address.", ExitCode.USAGE, 'For example: "Jo <jo@example.org>"'
                )
            found.append(Address(display_name=name, addr_spec=address))
    return tuple(found)
