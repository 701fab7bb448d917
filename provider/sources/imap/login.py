"""Logging in: which mechanism, what is sent, and what a refusal means.

Rules of the room: at most two attempts (C4); a server's text that repeats the secret is thrown away (M19, X4). What is
said, and whose secret it is, says ``provider.sasl``. LOGIN: RFC 3501 §6.2.3.
"""

from collections.abc import Callable

from ...account import Account, Login
from ...errors import LoginRefused, Needs, SourceError, printable
from ...sasl import Words, ask, ask_again, is_plain, unsupported, words
from .porter import PorterClient, guarded

__all__ = ["log_in"]


def log_in(account: Account, client: PorterClient, port: int, arm: Callable[[], None]) -> None:
    """Log in to *account*; *arm* starts the deadline of each attempt.

    Raises LoginRefused (kinds LOGIN_REFUSED, LOGIN_UNSUPPORTED, CREDENTIALS_MISSING, SIGN_IN_AGAIN), ServerBusy, what
    the channel raises, and any ProviderError of the supplier.
    """
    mechanism = _choose(account, frozenset(client.porter.capabilities))
    said = _words(account, mechanism, port, ask(account, account.credentials, refused=False))
    arm()
    try:
        _attempt(said, client)
        return
    except LoginRefused as error:
        if error.needs is not Needs.LOGIN:
            raise
        refusal = error
    secret = ask_again(account, account.credentials)
    if secret is None or secret == said.secret:
        raise refusal
    arm()
    _attempt(_words(account, mechanism, port, secret), client)


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
        raise unsupported(f"The server does not take {wanted.value.upper()} logins on this connection.")
    return wanted


def _words(account: Account, mechanism: Login, port: int, secret: str) -> Words:
    """Return what is to be sent; raises LoginRefused for a secret that *mechanism* cannot carry."""
    said = words(mechanism, user=account.user, secret=secret, host=account.host, port=port)
    longest = 2 * (len(secret) + len(account.user)) + 64  # quoting doubles at worst
    if said.mechanism is Login.LOGIN and (
        not (is_plain(secret) and is_plain(account.user)) or longest > account.limits.command_octets
    ):
        raise unsupported(
            "LOGIN cannot carry this user name or password: it has characters beyond plain ASCII, "
            "or is very long; the server would have to offer PLAIN."
        )
    return said


def _attempt(said: Words, client: PorterClient) -> None:
    """Log in. Raises what the server answers, its text freed of the secret."""
    try:
        guarded(lambda: _speak(said, client))
    except SourceError as error:
        if said.told_in(error.server_text):
            error.server_text = ""
        raise
    finally:
        alerts = client.porter.alerts
        alerts[:] = [told for told in alerts if not said.told_in(printable(told))]


def _speak(said: Words, client: PorterClient) -> None:
    if said.mechanism is Login.LOGIN:
        client.login(said.user, said.secret)
    else:
        answers = iter((said.first, said.acknowledgement))
        client.sasl_login(said.mechanism.value.upper(), lambda _: next(answers, None))
