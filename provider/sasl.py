"""What a client says when it logs in, and whose secret: the part of SASL that every protocol shares.

Rules of the room: the supplier is asked only when the server is known to be the right one and takes a mechanism that we
use; a secret is in no text, no ``repr`` and no exception (M19, X4). Mechanisms: PLAIN (RFC 4616), OAUTHBEARER
(RFC 7628), XOAUTH2 (Google's and Microsoft's older form of it); LOGIN is each protocol's own.
"""

import base64
from dataclasses import dataclass, field

from .account import Account, CredentialSupplier, Login
from .errors import ErrorKind, LoginRefused, Needs, ProviderError

__all__ = ["Words", "ask", "ask_again", "is_plain", "unsupported", "words"]

CHARACTERS_MAX = 16_000
"""Tokens of several thousand characters are common; more than this is a mistake."""

PREFIX_CHARACTERS = 48
"""So much of a secret is looked for in what a server says: what is shown of it is cut, perhaps within the secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One way to say one secret."""

    mechanism: Login
    user: str = field(repr=False)
    secret: str = field(repr=False)
    first: bytes = field(default=b"", repr=False)
    """SASL: what the client says first; empty for LOGIN."""
    acknowledgement: bytes | None = None
    """SASL: the answer to an error sent as a challenge; None: this mechanism has none."""

    def told_in(self, shown: str) -> bool:
        """Return whether a server's text repeats the secret, in clear or as it was sent."""
        forms = (
            self.secret,
            base64.b64encode(self.first).decode("ascii"),
            base64.b64encode(self.secret.encode("utf-8", "replace")).decode("ascii"),
        )
        return any(form and form[:PREFIX_CHARACTERS] in shown for form in forms)


def ask(account: Account, supplier: CredentialSupplier | None, *, refused: bool) -> str:
    """Return a secret from the supplier. Whatever it raises may hold the secret: only its class is told.

    Raises LoginRefused (kind CREDENTIALS_MISSING), and any ProviderError of the supplier.
    """
    if supplier is None:
        raise _missing(f"Account {account.id} has nobody to ask for its password or token.")
    try:
        secret = supplier(account, refused=refused).secret
    except ProviderError:  # the supplier's own words: a vault that is locked, a token server that is away
        raise
    except Exception as error:
        failure = type(error).__name__
    else:
        if secret:
            return secret
        raise _missing(f"There is no password or token for account {account.id}.")
    raise _missing(f"The password or token of account {account.id} could not be had ({failure}).")


def ask_again(account: Account, supplier: CredentialSupplier | None) -> str | None:
    """Return another secret after the first was refused; None: there is no other."""
    try:
        return ask(account, supplier, refused=True)
    except LoginRefused as error:
        if error.kind is ErrorKind.SIGN_IN_AGAIN:
            raise
        return None  # it has no other one: then the server's refusal says more


def words(mechanism: Login, *, user: str, secret: str, host: str, port: int) -> Words:
    """Return what is to be said; raises LoginRefused for a user or secret that *mechanism* cannot carry."""
    try:
        octets, name = secret.encode(), user.encode()
    except UnicodeEncodeError:  # its text is the secret
        octets = name = b"\0"
    if max(len(secret), len(user)) > CHARACTERS_MAX or b"\0" in octets or b"\0" in name:
        raise unsupported("The user name, password or token is too long, or has characters that cannot be sent.")
    match mechanism:
        case Login.LOGIN | Login.AUTO:
            return Words(mechanism=Login.LOGIN, user=user, secret=secret)
        case Login.PLAIN:
            return Words(mechanism=mechanism, user=user, secret=secret, first=b"\0" + name + b"\0" + octets)
        case Login.XOAUTH2:
            start, acknowledgement = b"user=" + name, b""
        case Login.OAUTHBEARER:
            escaped = name.replace(b"=", b"=3D").replace(b",", b"=2C")
            place = b"\1host=" + host.encode("utf-8", "replace") + b"\1port=%d" % port
            start, acknowledgement = b"n,a=" + escaped + b"," + place, b"\1"
    if not is_plain(secret) or " " in secret:
        raise unsupported("The access token has characters that no token may have (RFC 6750 §2.1).")
    return Words(
        mechanism=mechanism,
        user=user,
        secret=secret,
        first=start + b"\1auth=Bearer " + octets + b"\1\1",
        acknowledgement=acknowledgement,
    )


def is_plain(text: str) -> bool:
    """Return whether *text* is printable ASCII."""
    return text.isascii() and text.isprintable()


def unsupported(text: str) -> LoginRefused:
    """Return the refusal that another secret would not mend."""
    return LoginRefused(text, kind=ErrorKind.LOGIN_UNSUPPORTED, needs=Needs.USER)


def _missing(text: str) -> LoginRefused:
    return LoginRefused(text, kind=ErrorKind.CREDENTIALS_MISSING)
