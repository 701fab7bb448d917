"""The envelope before it is said: can these addresses be sent, and does this server take such a message? Pure.

Nothing is repaired here: an address that cannot be sent exactly as it is, is refused (M7). RFC 5321 §4.1.2, RFC 6531
§3.3 (SMTPUTF8), RFC 1870 (SIZE), RFC 6152 (8BITMIME), RFC 3461 (DSN).
"""

import re
from collections.abc import Iterator, Mapping

from store.mail.submission import Reply

from ..base import Outgoing

__all__ = ["address_trouble", "is_name", "mail_options", "needs_trouble", "recipient_options", "wants_utf8"]

ADDRESS_OCTETS_MAX = 320
"""64 of a local part, @, 255 of a domain."""

ATOM = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\U0010ffff]+"
QUOTED = r'"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"'
LABEL = r"[A-Za-z0-9_\u0080-\U0010ffff](?:[A-Za-z0-9_\-\u0080-\U0010ffff]*[A-Za-z0-9_\u0080-\U0010ffff])?"
LITERAL = r"\[[A-Za-z0-9:.\-]+\]"
ADDRESS = re.compile(rf"(?:{ATOM}(?:\.{ATOM})*|{QUOTED})@(?:{LABEL}(?:\.{LABEL})*\.?|{LITERAL})\Z")
NAME = re.compile(rf"(?:[A-Za-z0-9](?:[A-Za-z0-9.\-]*[A-Za-z0-9])?|{LITERAL})\Z")


def address_trouble(address: str, *, sender: bool = False) -> str:
    """Return what keeps *address* from being sent as it is; empty: nothing. An empty *sender* is the null path.

    >>> address_trouble("a@example.org"), address_trouble("a b@example.org")
    ('', 'The address has a form that cannot be sent.')
    """
    if sender and not address:
        return ""
    if len(address.encode("utf-8", "replace")) > ADDRESS_OCTETS_MAX:
        return "The address is too long."
    if not address.isprintable() or ADDRESS.match(address) is None:
        return "The address has a form that cannot be sent."
    return ""


def is_name(name: str) -> bool:
    """Return whether *name* may follow EHLO: a host's name, or an address in brackets."""
    return len(name) <= 255 and NAME.match(name) is not None


def wants_utf8(mail: Outgoing) -> bool:
    """Return whether the message, or an address of its envelope, needs SMTPUTF8."""
    return mail.utf8 or not all(address.isascii() for address in (mail.sender, *mail.recipients))


def needs_trouble(mail: Outgoing, extensions: Mapping[str, str]) -> Reply | None:
    """Return why this server cannot take *mail*; None: it can. Keys of *extensions* are in small letters."""
    trouble = address_trouble(mail.sender, sender=True)
    if trouble:
        return Reply(enhanced="5.1.7", text=f"{trouble} It is the sender's.")
    size = extensions.get("size", "").strip()
    most = int(size) if size.isascii() and size.isdigit() and len(size) <= 20 else 0
    if most and mail.size > most:
        return Reply(
            enhanced="5.3.4",
            text=f"The message has {mail.size:,} octets; the server takes {most:,} at most.",
        )
    if wants_utf8(mail) and "smtputf8" not in extensions:
        return Reply(
            enhanced="5.6.7",
            text="An address or a header field has characters beyond ASCII, and the server does not take those "
            "(SMTPUTF8).",
        )
    if mail.eight_bit and "8bitmime" not in extensions:
        return Reply(
            enhanced="5.6.3",
            text="The message has octets beyond ASCII as they are, and the server does not take those (8BITMIME).",
        )
    return None


def mail_options(mail: Outgoing, extensions: Mapping[str, str]) -> Iterator[str]:
    """Yield the parameters of MAIL FROM."""
    if "size" in extensions:
        yield f"SIZE={mail.size}"
    if "8bitmime" in extensions and (mail.eight_bit or mail.utf8):
        yield "BODY=8BITMIME"
    if wants_utf8(mail):
        yield "SMTPUTF8"
    if mail.notify and "dsn" in extensions:
        yield "RET=HDRS"
        if mail.name:
            yield f"ENVID={_xtext(mail.name)}"


def recipient_options(mail: Outgoing, extensions: Mapping[str, str]) -> Iterator[str]:
    """Yield the parameters of each RCPT TO (RFC 3461 §4.1)."""
    if mail.notify and "dsn" in extensions:
        yield "NOTIFY=" + ",".join(sorted(one.value.upper() for one in mail.notify))


def _xtext(text: str) -> str:
    """Return *text* as RFC 3461 §4 writes it.

    >>> _xtext("<a+b=c@x>")
    '<a+2Bb+3Dc@x>'
    """
    plain = ("!" <= char <= "~" and char not in "+=" for char in text)
    return "".join(char if good else f"+{ord(char):02X}" for char, good in zip(text, plain, strict=True))
