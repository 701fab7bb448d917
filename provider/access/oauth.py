"""OAuth 2 as far as mail needs it: who we are to a provider, the code flow with PKCE, refreshing, what errors mean.

Every function here asks one thing of one server and keeps nothing. RFC 6749 (§4.1, §5, §6), RFC 7636 (S256 only),
RFC 8252, RFC 9700. No client id of anybody is in here: hosts register their program and bring their own.
"""

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from ..account import Login
from ..errors import ErrorKind, InvalidRequest, LoginRefused, Needs, ProviderError, ServerBusy
from .web import Http, HttpAnswer, checked_url

__all__ = [
    "OAUTH_PROVIDERS",
    "Authorization",
    "Grant",
    "OAuthClient",
    "ask",
    "authorize",
    "credentials_of",
    "exchange",
    "refresh",
    "refusal",
    "seconds_of",
    "told_in",
]

LIFETIME_SECONDS = 3600.0
"""Of an access token whose server does not say (RFC 6749 §5.1 only recommends it)."""
LIFETIME_SECONDS_MAX = 10.0 * 365 * 86_400
TOKEN_CHARACTERS_MAX = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """Who we are to a provider, and where its endpoints are. Raises InvalidRequest for values that cannot work."""

    client_id: str
    client_secret: str = field(default="", repr=False)
    """Some providers give one to installed programs, too; it protects nothing there (RFC 8252 §8.5)."""
    authorization_url: str
    token_url: str
    device_url: str = ""
    """Empty: the provider has no device flow for mail."""
    scopes: tuple[str, ...] = ()
    login: Login = Login.XOAUTH2
    """How the token is shown to the mail server."""
    redirect_host: str = "127.0.0.1"
    """What the redirect calls the loopback; some providers know ``localhost`` only. We listen on 127.0.0.1."""
    extra: tuple[tuple[str, str], ...] = ()
    """Further parameters of the authorization request."""

    def __post_init__(self) -> None:
        if not self.client_id:
            raise InvalidRequest(
                "OAuth needs the client id of a program that is registered with the provider.", needs=Needs.USER
            )
        for url in filter(None, (self.authorization_url, self.token_url, self.device_url)):
            checked_url(url)

    @classmethod
    def of(cls, provider: str, client_id: str, client_secret: str = "") -> "OAuthClient":
        """Return the client for one of ``OAUTH_PROVIDERS``. Raises InvalidRequest for another one."""
        known = OAUTH_PROVIDERS.get(provider)
        if known is None:
            raise InvalidRequest(
                f"The OAuth endpoints of that provider are not known; known: {', '.join(OAUTH_PROVIDERS)}."
            )
        return replace(known, client_id=client_id, client_secret=client_secret)


def _known(host: str, token: str, scopes: str, **more: Any) -> OAuthClient:
    return OAuthClient(client_id="?", authorization_url=host, token_url=token, scopes=tuple(scopes.split()), **more)


_MICROSOFT = "https://login.microsoftonline.com/common/oauth2/v2.0"

OAUTH_PROVIDERS: Mapping[str, OAuthClient] = {
    "google": _known(
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
        "https://mail.google.com/",  # its device flow does not give this scope
        extra=(("access_type", "offline"), ("prompt", "consent")),  # or there is no refresh token
    ),
    "microsoft": _known(
        f"{_MICROSOFT}/authorize",
        f"{_MICROSOFT}/token",
        "offline_access https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send",
        device_url=f"{_MICROSOFT}/devicecode",
        redirect_host="localhost",
    ),
    "yahoo": _known(
        "https://api.login.yahoo.com/oauth2/request_auth", "https://api.login.yahoo.com/oauth2/get_token", "mail-w"
    ),
    "aol": _known(
        "https://api.login.aol.com/oauth2/request_auth", "https://api.login.aol.com/oauth2/get_token", "mail-w"
    ),
    "fastmail": _known(
        "https://api.fastmail.com/oauth/authorize",
        "https://api.fastmail.com/oauth/refresh",
        "https://www.fastmail.com/dev/protocol-imap https://www.fastmail.com/dev/protocol-smtp",
        login=Login.OAUTHBEARER,
    ),
    "yandex": _known(
        "https://oauth.yandex.com/authorize", "https://oauth.yandex.com/token", "mail:imap_full mail:smtp"
    ),
    "mail.ru": _known("https://o2.mail.ru/login", "https://o2.mail.ru/token", "mail.imap"),
}
"""The endpoints and scopes for mail of large providers, by name. Their client ids stand for yours: ``of`` sets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """A sign-in that was begun: show *url* to the person, keep the rest until the redirect comes."""

    url: str = field(repr=False)
    redirect_uri: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token server gave. ``refresh_token`` is empty when it gave no new one."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    lifetime_seconds: float = LIFETIME_SECONDS
    scope: str = ""


def authorize(client: OAuthClient, redirect_uri: str, *, user: str = "") -> Authorization:
    """Begin a sign-in: a fresh state, a fresh verifier, and the address to open. *user*: whom to propose."""
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    challenge = urlsafe_b64encode(sha256(verifier.encode("ascii")).digest()).decode("ascii").rstrip("=")
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(client.scopes),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **({"login_hint": user} if user else {}),
        **dict(client.extra),
    }
    joint = "&" if "?" in client.authorization_url else "?"
    url = f"{client.authorization_url}{joint}{urlencode(asked)}"
    return Authorization(url=url, redirect_uri=redirect_uri, state=state, verifier=verifier)


def exchange(client: OAuthClient, http: Http, authorization: Authorization, code: str) -> Grant:
    """Return what the authorization *code* is worth. Raises as ``ask``, and LoginRefused without a refresh token."""
    grant = ask(
        client,
        http,
        grant_type="authorization_code",
        code=code,
        redirect_uri=authorization.redirect_uri,
        code_verifier=authorization.verifier,
    )
    if not grant.refresh_token:
        raise LoginRefused(
            "The provider gave no refresh token, without which a person would have to sign in every hour.",
            needs=Needs.USER,
        )
    return grant


def refresh(client: OAuthClient, http: Http, refresh_token: str) -> Grant:
    """Return a new access token, and a new refresh token where the server changes it. Raises as ``ask``."""
    return ask(client, http, grant_type="refresh_token", refresh_token=refresh_token)


def ask(client: OAuthClient, http: Http, **form: str) -> Grant:
    """Post *form* to the token endpoint and return what it grants.

    Raises LoginRefused (kind SIGN_IN_AGAIN for ``invalid_grant``; its ``response_code`` is the OAuth error), ServerBusy
    for a server that is in trouble or answers nonsense, and what *http* raises.
    """
    answer = http(client.token_url, form | credentials_of(client))
    told = told_in(answer)
    access, again = told.get("access_token"), told.get("refresh_token", "")
    if answer.status != 200 or not isinstance(access, str) or not access:
        sent = [form[name] for name in ("code", "code_verifier", "refresh_token", "device_code") if name in form]
        raise refusal(answer, told, [*sent, client.client_secret])
    if not isinstance(again, str) or max(len(access), len(again)) > TOKEN_CHARACTERS_MAX:
        raise ServerBusy("The token server gave something that is no token.")
    scope = told.get("scope")
    return Grant(
        access_token=access,
        refresh_token=again,
        lifetime_seconds=seconds_of(told.get("expires_in"), LIFETIME_SECONDS),
        scope=scope if isinstance(scope, str) else "",
    )


def credentials_of(client: OAuthClient) -> dict[str, str]:
    """Return what says who we are (RFC 6749 §2.3.1, in the form)."""
    return {"client_id": client.client_id} | ({"client_secret": client.client_secret} if client.client_secret else {})


def told_in(answer: HttpAnswer) -> Mapping[str, object]:
    """Return the JSON object of an answer; an empty one when there is none."""
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def seconds_of(value: object, default: float) -> float:
    """Return a span that a server told: a number, or a number in quotes as some servers write it."""
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else default
    except (ValueError, OverflowError):
        return default
    return min(seconds, LIFETIME_SECONDS_MAX) if seconds > 0 else default


def refusal(answer: HttpAnswer, told: Mapping[str, object], sent: list[str]) -> ProviderError:
    """Return what a token server's refusal means. Of its text nothing is told that repeats what was *sent*."""
    error, text = told.get("error"), told.get("error_description", "")
    if not isinstance(text, str) or any(secret and secret in text for secret in sent):
        text = ""
    code = error if isinstance(error, str) and error.isascii() and error.isprintable() and len(error) < 64 else ""
    if answer.status in (429, *range(500, 600)) or code in ("temporarily_unavailable", "server_error", "slow_down"):
        return ServerBusy(
            "The token server is in trouble, or asks to come back later.",
            response_code=code or None,
            server_text=text,
            retry_after_seconds=answer.retry_after_seconds,
        )
    if not code:
        return ServerBusy(f"The token server answered something that cannot be understood (status {answer.status}).")
    if code == "invalid_grant":
        return LoginRefused(
            "The sign-in is not valid any more: it expired, or was taken back; sign in again.",
            kind=ErrorKind.SIGN_IN_AGAIN,
            response_code=code,
            server_text=text,
        )
    return LoginRefused(
        f"The token server refuses this program or what it asks for ({code}).",
        needs=Needs.USER,
        response_code=code,
        server_text=text,
    )
