"""Logging in to a submission server: which mechanism, and what a refusal means.

Rules of the room: at most two attempts (C4); a server's text that repeats the secret is thrown away (X4). What is said,
and whose secret it is, says ``provider.sasl``. RFC 4954.
"""

from ...account import Account, Login, Smtp
from ...channel import Channel
from ...errors import ErrorKind, LoginRefused, Needs, ServerBusy, SourceError
from ...sasl import Words, ask, ask_again, unsupported, words
from .replies import Said, Verdict, verdict
from .speaker import LATER_SECONDS, Speaker

__all__ = ["log_in"]

IN = 235

LINE_OCTETS_MAX = 12_288
"""Of AUTH with its initial response, and of each answer to a challenge (RFC 4954 §4)."""

OAUTH = (Login.XOAUTH2, Login.OAUTHBEARER)

MECHANISM_CODES = frozenset({500, 501, 502, 503, 504, 534, 538})
"""Another secret would not help: the mechanism is not known, too weak, or wants encryption."""


def log_in(
    account: Account, smtp: Smtp, speaker: Speaker, mechanisms: frozenset[str], port: int, channel: Channel
) -> None:
    """Log in. *mechanisms*: what the server announces, in small letters.

    Raises LoginRefused (kinds LOGIN_REFUSED, LOGIN_UNSUPPORTED, CREDENTIALS_MISSING), ServerBusy, and what the channel
    raises.
    """
    supplier = smtp.credentials or account.credentials
    user = smtp.user or account.user
    mechanism = _choose(account, smtp, mechanisms)
    if not user:
        raise LoginRefused(
            f"Account {account.id} has no user name for its way out.",
            kind=ErrorKind.CREDENTIALS_MISSING,
            needs=Needs.USER,
        )

    def attempt(secret: str) -> None:
        said = words(mechanism, user=user, secret=secret, host=smtp.host, port=port)
        if len(said.first) * 4 // 3 + 64 > LINE_OCTETS_MAX or len(secret) * 4 // 3 > LINE_OCTETS_MAX:
            raise unsupported("The user name, password or token is too long to be sent.")
        channel.deadline(account.limits.command_seconds)
        _attempt(said, speaker)

    first = ask(account, supplier, refused=False)
    try:
        attempt(first)
        return
    except LoginRefused as error:
        if error.needs is not Needs.LOGIN:
            raise
        refusal = error
    second = ask_again(account, supplier)
    if second is None or second == first:
        raise refusal
    attempt(second)


def _choose(account: Account, smtp: Smtp, mechanisms: frozenset[str]) -> Login:
    """Return the mechanism to use; raises LoginRefused when the server does not take it.

    AUTO with the account's own supplier follows the account where that has a token: a token is no password.
    """
    wanted = smtp.login
    if wanted is Login.AUTO and smtp.credentials is None and account.login in OAUTH:
        wanted = next((one for one in (account.login, *OAUTH) if one.value in mechanisms), account.login)
    elif wanted is Login.AUTO:
        wanted = Login.LOGIN if "plain" not in mechanisms and "login" in mechanisms else Login.PLAIN
    if wanted.value not in mechanisms:
        raise unsupported(
            f"The server does not take {wanted.value.upper()} logins on this connection."
            if mechanisms
            else "The server takes no logins on this connection."
        )
    return wanted


def _attempt(said: Words, speaker: Speaker) -> None:
    """Log in. Raises what the server answers, its text freed of the secret, without anything of aiosmtplib's inside."""
    try:
        answer = speaker.ask(speaker.authenticate(said))
        if answer.code != IN:
            raise _refused(answer)
    except SourceError as error:
        if said.told_in(error.server_text):
            error.server_text = ""
        raise


def _refused(answer: Said) -> SourceError:
    reply = answer.reply
    code = f"{reply.code} {reply.enhanced}".rstrip()
    if verdict(reply) is Verdict.LATER:
        return ServerBusy(
            "The server cannot check logins now.",
            response_code=code,
            server_text=reply.text,
            retry_after_seconds=LATER_SECONDS,
        )
    if reply.code in MECHANISM_CODES:
        return LoginRefused(
            "The server does not take this kind of login.",
            kind=ErrorKind.LOGIN_UNSUPPORTED,
            needs=Needs.USER,
            response_code=code,
            server_text=reply.text,
        )
    return LoginRefused(
        "The server refuses the user name, password or token for sending.",
        response_code=code,
        server_text=reply.text,
    )
