"""Signing in on another device: a code to type in there, and a token server that is asked until it was done (RFC 8628).

For machines without a browser. The waiting is handed in, and so is the clock: nothing sleeps by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..clock import Clock
from ..errors import InvalidRequest, LoginRefused, Needs, ServerBusy, SourceError, TimedOut
from .oauth import Grant, OAuthClient, ask, credentials_of, refusal, seconds_of, told_in
from .web import Http, checked_url

__all__ = ["DeviceCode", "begin_device_sign_in", "finish_device_sign_in"]

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL_SECONDS = 5.0
SLOWER_SECONDS = 5.0
INTERVAL_SECONDS_MAX = 300.0
EXPIRY_SECONDS_MAX = 3600.0
CODE_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """What to show: open *address* anywhere and type in *user_code*. The rest is for ``finish_device_sign_in``."""

    address: str
    user_code: str
    seconds: float
    """How long the person has."""
    interval_seconds: float
    device_code: str = field(repr=False)


def begin_device_sign_in(client: OAuthClient, http: Http) -> DeviceCode:
    """Ask for a code to show. Raises InvalidRequest, LoginRefused, ServerBusy, and what *http* raises."""
    if not client.device_url:
        raise InvalidRequest("This provider has no sign-in by device code for mail.", needs=Needs.USER)
    form = credentials_of(client) | {"scope": " ".join(client.scopes)}
    answer = http(client.device_url, form)
    told = told_in(answer)
    if answer.status != 200:
        raise refusal(answer, told, [client.client_secret])
    code, user_code = told.get("device_code"), told.get("user_code")
    address = told.get("verification_uri", told.get("verification_url"))  # the second is an older draft's
    if not (isinstance(code, str) and isinstance(user_code, str) and isinstance(address, str) and code):
        raise ServerBusy("The server gave no code to sign in with.")
    if not (user_code.isprintable() and 0 < len(user_code) <= CODE_CHARACTERS_MAX):
        raise ServerBusy("The server gave a code that cannot be typed.")
    return DeviceCode(
        address=checked_url(address),
        user_code=user_code,
        seconds=min(seconds_of(told.get("expires_in"), EXPIRY_SECONDS_MAX), EXPIRY_SECONDS_MAX),
        interval_seconds=min(seconds_of(told.get("interval"), INTERVAL_SECONDS), INTERVAL_SECONDS_MAX),
        device_code=code,
    )


def finish_device_sign_in(
    client: OAuthClient, http: Http, device: DeviceCode, clock: Clock, wait: Callable[[float], object]
) -> Grant:
    """Ask until the person has signed in; *wait* sleeps, and may raise Cancelled.

    Raises LoginRefused when the person refused, TimedOut when the code expired, and what ``ask`` raises for good.
    """
    until, interval = clock.monotonic() + device.seconds, device.interval_seconds
    while clock.monotonic() + interval < until:
        wait(interval)
        try:
            grant = ask(client, http, grant_type=GRANT_TYPE, device_code=device.device_code)
        except LoginRefused as error:
            match error.response_code:
                case "authorization_pending":
                    continue
                case "access_denied":
                    raise LoginRefused(
                        "The sign-in was refused.", needs=Needs.USER, response_code="access_denied"
                    ) from None
                case "expired_token" | "invalid_grant":
                    break
                case _:
                    raise
        except SourceError as error:
            if error.response_code == "slow_down":
                interval += SLOWER_SECONDS
            elif error.retryable:
                interval = min(2 * interval, INTERVAL_SECONDS_MAX)  # §3.5: a timeout is a reason to ask less often
            else:
                raise
            continue
        if not grant.refresh_token:
            raise LoginRefused("The provider gave no refresh token.", needs=Needs.USER)
        return grant
    raise TimedOut("The code expired before anybody signed in with it; begin again.", needs=Needs.USER)
