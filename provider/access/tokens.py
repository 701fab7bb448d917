"""Access tokens for mail servers: kept in a vault, refreshed in time, by one at a time (O8).

Invariant: a rotated refresh token is durable in the vault before the access token that came with it is given to
anybody. Until then the old one is good: a server that rotates well takes it back when the new ones are used.

Invariant: between two requests to a token server that failed lies a growing wait, and a refresh token that the server
called invalid is not shown to it again. One look into the vault comes first: somebody else may have refreshed, or a
person may have signed in again.
"""

import json
import threading
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from random import Random
from typing import Protocol

from store.mail import AccountId

from ..account import Account, Credential
from ..backoff import Backoff
from ..clock import Clock, SystemClock
from ..errors import ErrorKind, LoginRefused, SourceError, VaultUnusable
from .oauth import Grant, OAuthClient, refresh
from .vault import Vault
from .web import Http

__all__ = ["OAUTH", "HostTokens", "OAuthCredentials", "TokenSupplier", "Tokens"]

OAUTH = "oauth"
"""The name under which an account's tokens lie in a vault."""
EARLY_SECONDS = 300.0


class TokenSupplier(Protocol):
    """For hosts that own the login: gives an access token that is good now.

    *refused*: the mail server did not take the last one. May block; called on the thread that logs in. Returns "" when
    a person has to sign in again.
    """

    def __call__(self, account: Account, *, refused: bool) -> str: ...


@dataclass(frozen=True, slots=True)
class HostTokens:
    """A CredentialSupplier of a host's own tokens."""

    supplier: TokenSupplier

    def __call__(self, account: Account, *, refused: bool) -> Credential:
        token = self.supplier(account, refused=refused)
        if not token:
            raise _sign_in_again(account.id)
        return Credential(token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a vault holds of one sign-in."""

    refresh_token: str = field(repr=False)
    access_token: str = field(repr=False)
    obtained: float
    """Seconds since 1970, by our own clock."""
    lifetime_seconds: float
    refresh_token_before: str = field(default="", repr=False)
    """What the refresh token took the place of: the server may have lost that it did."""

    @classmethod
    def of(cls, grant: Grant, obtained: float, before: str = "") -> "Tokens":
        """Return the tokens of a grant; one that brought no refresh token keeps the one *before*."""
        kept = grant.refresh_token or before
        return cls(
            refresh_token=kept,
            access_token=grant.access_token,
            obtained=obtained,
            lifetime_seconds=grant.lifetime_seconds,
            refresh_token_before=before if before != kept else "",
        )

    @classmethod
    def parsed(cls, text: str) -> "Tokens":
        """Read what ``text`` wrote. Raises VaultUnusable when it is something else."""
        try:
            told = json.loads(text)
            return cls(
                refresh_token=str(told["refresh_token"]),
                access_token=str(told["access_token"]),
                obtained=float(told["obtained"]),
                lifetime_seconds=float(told["lifetime_seconds"]),
                refresh_token_before=str(told["refresh_token_before"]),
            )
        except (ValueError, TypeError, KeyError):  # their texts quote the vault
            pass
        raise VaultUnusable("What the vault holds of the sign-in cannot be understood; sign in again.")

    def text(self) -> str:
        """Return it as the vault keeps it."""
        return json.dumps(asdict(self))

    def is_fresh(self, now: float) -> bool:
        """Tell whether the access token is good for five minutes more (less for one that lives shortly).

        A clock that was set back proves nothing, and neither does one that was set forward: then it is not.
        """
        early = min(EARLY_SECONDS, self.lifetime_seconds / 4)
        return self.obtained <= now < self.obtained + self.lifetime_seconds - early


class OAuthCredentials:
    """A CredentialSupplier that refreshes. One for all accounts of a client; thread-safe.

    Raises LoginRefused (SIGN_IN_AGAIN when only a person helps), and errors that pass by themselves, ``retryable``.
    """

    def __init__(
        self,
        vault: Vault,
        client: OAuthClient,
        http: Http,
        *,
        clock: Clock | None = None,
        random: Random | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._vault, self._client, self._http = vault, client, http
        self._clock = clock or SystemClock()
        self._random, self._backoff = random or Random(), backoff or Backoff()
        self._given = threading.local()
        """What this thread was given last, by account, as a hash: whether it is what was refused."""
        self._pauses: dict[AccountId, _Pause] = {}
        self._dead: set[bytes] = set()
        """Hashes of refresh tokens that the server called invalid."""
        self._unsaved: dict[AccountId, Tokens] = {}
        """What the server gave and the vault did not take: written first of all next time, and used only then."""

    def keep(self, account: AccountId, grant: Grant) -> None:
        """Write a new sign-in into the vault; it is durable when this returns."""
        with self._vault.alone(account):
            self._put(account, Tokens.of(grant, self._now()))

    def __call__(self, account: Account, *, refused: bool) -> Credential:
        """Return an access token that is good for some minutes at least."""
        tokens = self._read(account.id)
        if account.id in self._unsaved or not self._serves(account.id, tokens, refused):
            with self._vault.alone(account.id):
                self._save(account.id)
                tokens = self._read(account.id)  # another one may have refreshed while we waited
                if not self._serves(account.id, tokens, refused):
                    tokens = self._refreshed(account.id, tokens)
        self._given.__dict__[account.id] = _hash(tokens.access_token)
        return Credential(tokens.access_token)

    def _serves(self, account: AccountId, tokens: Tokens, refused: bool) -> bool:
        given = self._given.__dict__.get(account)
        # A process that was never given one knows nothing of a newer one: what was refused is what is there.
        was_refused = refused and given in (None, _hash(tokens.access_token))
        return not was_refused and tokens.is_fresh(self._now())

    def _refreshed(self, account: AccountId, tokens: Tokens) -> Tokens:
        """Return new tokens, durable; only while alone with the account."""
        self._breathe(account)
        try:
            return self._refresh(account, tokens)
        except LoginRefused as error:
            if error.kind is not ErrorKind.SIGN_IN_AGAIN:
                raise
        again = self._read(account)  # somebody without our lock (a host, a person) may have signed in anew
        if again.refresh_token != tokens.refresh_token:
            return again if again.is_fresh(self._now()) else self._refresh(account, again)
        if tokens.refresh_token_before:  # the server may have died before it knew the newest
            return self._refresh(account, replace(tokens, refresh_token=tokens.refresh_token_before))
        raise _sign_in_again(account)

    def _refresh(self, account: AccountId, tokens: Tokens) -> Tokens:
        mark = _hash(tokens.refresh_token)
        if not tokens.refresh_token or mark in self._dead:
            raise _sign_in_again(account)
        try:
            grant = refresh(self._client, self._http, tokens.refresh_token)
        except LoginRefused as error:
            if error.kind is ErrorKind.SIGN_IN_AGAIN:
                self._dead.add(mark)
            raise
        except SourceError as error:
            self._pause(account, error)
            raise
        self._pauses.pop(account, None)
        made = Tokens.of(grant, self._now(), before=tokens.refresh_token)
        self._unsaved[account] = made
        self._put(account, made)
        del self._unsaved[account]
        return made

    def _save(self, account: AccountId) -> None:
        """Write what the vault did not take before, unless somebody has signed in anew since. Raises VaultUnusable."""
        made = self._unsaved.get(account)
        if made is not None and self._read(account).refresh_token in (made.refresh_token_before, made.refresh_token):
            self._put(account, made)
        self._unsaved.pop(account, None)

    def _breathe(self, account: AccountId) -> None:
        """Raise what went wrong last while it is too early to ask again."""
        pause = self._pauses.get(account)
        if pause is not None and (rest := pause.until - self._clock.monotonic()) > 0:
            met = pause.error
            raise type(met)(str(met), kind=met.kind, needs=met.needs, retry_after_seconds=rest)

    def _pause(self, account: AccountId, error: SourceError) -> None:
        before = self._pauses.get(account)
        failures = 1 if before is None else before.failures + 1
        seconds = self._backoff.delay(failures, self._random, error)
        self._pauses[account] = _Pause(failures=failures, until=self._clock.monotonic() + seconds, error=error)

    def _read(self, account: AccountId) -> Tokens:
        text = self._vault.get(account, OAUTH)
        if text is None:
            raise _sign_in_again(account, "Nobody has signed in to")
        return Tokens.parsed(text)

    def _put(self, account: AccountId, tokens: Tokens) -> None:
        self._vault.put(account, OAUTH, tokens.text())

    def _now(self) -> float:
        return self._clock.now().timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pause:
    """A token server that is not asked again before a moment of the monotonic clock."""

    failures: int
    until: float
    error: SourceError


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _sign_in_again(account: str, text: str = "The sign-in has ended of") -> LoginRefused:
    return LoginRefused(f"{text} account {account}: a person has to sign in.", kind=ErrorKind.SIGN_IN_AGAIN)
