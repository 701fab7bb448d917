"""Logging in: which mechanism, whose secret, what is sent, and what a refusal means.

Rules of the room: the supplier is asked only when the server is known to be the right one and offers a mechanism that
we use; at most two attempts (C4); a secret is in no text, no ``repr`` and no exception, and a server's text that
repeats it is thrown away (M19, X4). Mechanisms: LOGIN (RFC 3501 §6.2.3), PLAIN (RFC 4616), OAUTHBEARER (RFC 7628),
XOAUTH2 (Google's and Microsoft's older form of it).
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field

from ...account import Account, Login
from ...errors import ErrorKind, LoginRefused, Needs, ProviderError, SourceError, printable
from .porter import PorterClient, guarded

__all__ = ["log_in"]

CHARACTERS_MAX = 16_000
"""Tokens of several thousand characters are common; more than this is a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One way to say one secret."""

    mechanism: Login
    user: str = field(repr=False)
    secret: str = field(repr=False)
    first: bytes = field(default=b"", repr=False)
    """SASL: what the client says first."""
    acknowledgement: bytes | None = None
    """SASL: the answer to an error sent as a challenge; None: this mechanism has none."""

    def make(self, client: PorterClient) -> None:
        """Log in. Raises what the server answers, its text freed of the secret."""
        try:
            guarded(lambda: self._speak(client))
        except SourceError as error:
            if self._is_told_in(error.server_text):
                error.server_text = ""
            raise
        finally:
            alerts = client.porter.alerts
            alerts[:] = [told for told in alerts if not self._is_told_in(printable(told))]

    def _is_told_in(self, shown: str) -> bool:
        forms = (self.secret, base64.b64encode(self.first).decode("ascii"))
        return any(form and form in shown for form in forms)

    def _speak(self, client: PorterClient) -> None:
        if self.mechanism is Login.LOGIN:
            client.login(self.user, self.secret)
        else:
            answers = iter((self.first, self.acknowledgement))
            client.sasl_login(self.mechanism.value.upper(), lambda _: next(answers, None))


def log_in(account: Account, client: PorterClient, port: int, arm: Callable[[], None]) -> None:
    """Log in to *account*; *arm* starts the deadline of each attempt.

    Raises LoginRefused (kinds LOGIN_REFUSED, LOGIN_UNSUPPORTED, CREDENTIALS_MISSING, SIGN_IN_AGAIN), ServerBusy, what
    the channel raises, and any ProviderError of the supplier.
    """
    mechanism = _choose(account, frozenset(client.porter.capabilities))
    attempt = _attempt(account, mechanism, port, _ask(account, refused=False))
    arm()
    try:
        attempt.make(client)
        return
    except LoginRefused as error:
        if error.needs is not Needs.LOGIN:
            raise
        refusal = error
    secret = _ask_again(account)
    if secret is None or secret == attempt.secret:
        raise refusal
    arm()
    _attempt(account, mechanism, port, secret).make(client)


def _choose(account: Account, capabilities: frozenset[str]) -> Login:
    """Return the mechanism to use; raises LoginRefused when the server does not take it."""
    wanted = account.login
    if wanted is Login.AUTO:
        wanted = Login.PLAIN if "AUTH=PLAIN" in capabilities else Login.LOGIN
    if wanted is Login.LOGIN:
        usable = "LOGINDISABLED" not in capabilities
    else:
        usable = f"AUTH={wanted.value.upper()}" in capabilities
    if not usable:
        raise _unsupported(f"The server does not take {wanted.value.upper()} logins on this connection.")
    return wanted


def _ask(account: Account, *, refused: bool) -> str:
    """Return a secret from the supplier. Whatever the supplier raises may hold the secret: only its class is told."""
    if account.credentials is None:
        raise _missing(f"Account {account.id} has nobody to ask for its password or token.")
    try:
        secret = account.credentials(account, refused=refused).secret
    except ProviderError:  # the supplier's own words: a vault that is locked, a token server that is away
        raise
    except Exception as error:
        failure = type(error).__name__
    else:
        if secret:
            return secret
        raise _missing(f"There is no password or token for account {account.id}.")
    raise _missing(f"The password or token of account {account.id} could not be had ({failure}).")


def _ask_again(account: Account) -> str | None:
    try:
        return _ask(account, refused=True)
    except LoginRefused as error:
        if error.kind is ErrorKind.SIGN_IN_AGAIN:
            raise
        return None  # it has no other one: then the server's refusal says more


def _attempt(account: Account, mechanism: Login, port: int, secret: str) -> _Attempt:
    """Return what is to be sent; raises LoginRefused for a secret that *mechanism* cannot carry."""
    user = account.user
    try:
        octets, name = secret.encode(), user.encode()
    except UnicodeEncodeError:  # its text is the secret
        octets = name = b"\0"
    if max(len(secret), len(user)) > CHARACTERS_MAX or b"\0" in octets or b"\0" in name:
        raise _unsupported("The user name, password or token is too long, or has characters that cannot be sent.")
    match mechanism:
        case Login.LOGIN | Login.AUTO:
            longest = 2 * (len(secret) + len(user)) + 64  # quoting doubles at worst
            if not (_plain_text(secret) and _plain_text(user)) or longest > account.limits.command_octets:
                raise _unsupported(
                    "LOGIN cannot carry this user name or password: it has characters beyond plain ASCII, "
                    "or is very long; the server would have to offer PLAIN."
                )
            return _Attempt(mechanism=Login.LOGIN, user=user, secret=secret)
        case Login.PLAIN:
            return _Attempt(mechanism=mechanism, user=user, secret=secret, first=b"\0" + name + b"\0" + octets)
        case Login.XOAUTH2:
            start, acknowledgement = b"user=" + name, b""
        case Login.OAUTHBEARER:
            escaped = name.replace(b"=", b"=3D").replace(b",", b"=2C")
            place = b"\1host=" + account.host.encode("utf-8", "replace") + b"\1port=%d" % port
            start, acknowledgement = b"n,a=" + escaped + b"," + place, b"\1"
    if not _plain_text(secret) or " " in secret:
        raise _unsupported("The access token has characters that no token may have (RFC 6750 §2.1).")
    return _Attempt(
        mechanism=mechanism,
        user=user,
        secret=secret,
        first=start + b"\1auth=Bearer " + octets + b"\1\1",
        acknowledgement=acknowledgement,
    )


def _plain_text(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _unsupported(text: str) -> LoginRefused:
    return LoginRefused(text, kind=ErrorKind.LOGIN_UNSUPPORTED, needs=Needs.USER)


def _missing(text: str) -> LoginRefused:
    return LoginRefused(text, kind=ErrorKind.CREDENTIALS_MISSING)
