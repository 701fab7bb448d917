"""The refreshing supplier: early, once, durable before use, patient with trouble, honest when it is over."""

import threading
from collections.abc import Iterator, Mapping
from random import Random

import pytest

from provider import Account, Credential, ErrorKind, LoginRefused, ProviderError
from provider.access.oauth import Grant, OAuthClient
from provider.access.tokens import OAUTH, HostTokens, OAuthCredentials, Tokens
from provider.access.web import HttpAnswer, HttpClient
from provider.errors import Needs, TimedOut, VaultUnusable
from provider.testing import ManualClock, MemoryVault
from store.mail import AccountId

from ..servers.oauth_server import Fault, OAuthServer, Rotation

ACCOUNT = Account(id=AccountId("work"), host="h", user="jo@example.org")


class Counting:
    """An HTTP client that counts, and fails while told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails: Exception | None = None
        self._http = HttpClient()

    def __call__(
        self, url: str, form: Mapping[str, str] | None = None, *, seconds: float = 5, octets_max: int = 100_000
    ) -> HttpAnswer:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return self._http(url, form, seconds=seconds, octets_max=octets_max)


class Rig:
    """A server, a vault with a sign-in in it, a clock, and the supplier between them."""

    def __init__(self, server: OAuthServer) -> None:
        self.server, self.vault, self.clock, self.http = server, MemoryVault(), ManualClock(), Counting()
        self.sign_in = server.sign_in("jo@example.org")
        self.credentials = self.new_process()
        self.credentials.keep(ACCOUNT.id, Grant(access_token="access-at-first", refresh_token=self.sign_in.refresh))

    def new_process(self) -> OAuthCredentials:
        return OAuthCredentials(self.vault, self.server.client(), self.http, clock=self.clock, random=Random(1))

    def token(self, *, refused: bool = False) -> str:
        return self.credentials(ACCOUNT, refused=refused).secret

    def kept(self) -> Tokens:
        return Tokens.parsed(self.vault.get(ACCOUNT.id, OAUTH) or "")

    def fails(self, *, refused: bool = False) -> ProviderError:
        with pytest.raises(ProviderError) as told:
            self.token(refused=refused)
        return told.value


@pytest.fixture
def rig() -> Iterator[Rig]:
    with OAuthServer() as server:
        yield Rig(server)


def test_a_token_that_is_good_for_a_while_is_given_without_asking_anybody(rig: Rig) -> None:
    rig.clock.advance(3600 - 301)

    assert rig.token() == "access-at-first"
    assert rig.http.asked == 0


def test_a_token_is_refreshed_five_minutes_early_and_then_kept(rig: Rig) -> None:
    rig.clock.advance(3600 - 300)

    first = rig.token()

    assert first != "access-at-first"
    assert (rig.token(), rig.http.asked) == (first, 1)
    assert rig.server.use(first) == "jo@example.org"


def test_a_token_that_lives_shorter_than_five_minutes_is_used_for_most_of_its_life(rig: Rig) -> None:
    rig.server.lifetime_seconds = 200
    rig.clock.advance(4000)
    first = rig.token()
    rig.clock.advance(149)

    assert (rig.token(), rig.http.asked) == (first, 1)
    rig.clock.advance(1)
    assert rig.token() != first


def test_a_refused_token_is_refreshed_though_it_looks_fresh(rig: Rig) -> None:
    first = rig.token()

    assert rig.token(refused=True) != first
    assert rig.http.asked == 1


def test_a_refused_token_is_not_refreshed_when_somebody_else_did_meanwhile(rig: Rig) -> None:
    rig.token()
    other = rig.new_process()
    other(ACCOUNT, refused=False)
    newer = other(ACCOUNT, refused=True).secret

    assert rig.token(refused=True) == newer
    assert rig.http.asked == 1


def test_many_threads_that_need_a_token_at_once_make_one_request(rig: Rig) -> None:
    rig.server.faults = [Fault.SLOW]
    rig.clock.advance(4000)
    tokens: list[str] = []
    threads = [threading.Thread(target=lambda: tokens.append(rig.token())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(tokens), len(set(tokens)), rig.http.asked) == (8, 1, 1)


def test_a_rotated_refresh_token_is_in_the_vault_before_its_access_token_is_given(rig: Rig) -> None:
    class Full(MemoryVault):
        def put(self, account: str, name: str, secret: str) -> None:
            raise VaultUnusable("The disk is full.")

    full = Full()
    full._secrets = rig.vault._secrets
    rig.clock.advance(4000)
    broken = OAuthCredentials(full, rig.server.client(), rig.http, clock=rig.clock)

    with pytest.raises(VaultUnusable):
        broken(ACCOUNT, refused=False)

    assert rig.server.use(rig.token()) == "jo@example.org", "what was never used cost nothing"
    assert rig.kept().refresh_token == rig.sign_in.refresh


def test_a_vault_that_could_not_keep_a_rotated_token_gets_it_again_before_it_is_used(rig: Rig) -> None:
    class Locked(MemoryVault):
        locked = True

        def put(self, account: str, name: str, secret: str) -> None:
            if self.locked:
                raise VaultUnusable("The keyring is locked.")
            super().put(account, name, secret)

    vault = Locked()
    vault._secrets = rig.vault._secrets
    rig.clock.advance(4000)
    supplier = OAuthCredentials(vault, rig.server.client(), rig.http, clock=rig.clock)
    for _ in range(2):
        with pytest.raises(VaultUnusable):
            supplier(ACCOUNT, refused=False)
    vault.locked = False

    token = supplier(ACCOUNT, refused=False).secret

    assert rig.server.use(token) == "jo@example.org"
    assert rig.kept().access_token == token
    assert rig.kept().refresh_token == rig.sign_in.refresh, "the newest that the server knows"


def test_a_server_that_does_not_rotate_keeps_the_refresh_token(rig: Rig) -> None:
    rig.server.rotation = Rotation.NONE
    before = rig.kept().refresh_token
    rig.clock.advance(4000)
    rig.token()

    assert (rig.kept().refresh_token, rig.kept().refresh_token_before) == (before, "")


@pytest.mark.parametrize("fault", [Fault.TROUBLE, Fault.NONSENSE, Fault.LOST])
def test_trouble_of_the_token_server_passes_and_it_is_not_asked_at_once_again(rig: Rig, fault: Fault) -> None:
    rig.clock.advance(4000)
    rig.server.faults = [fault]

    first, second = rig.fails(), rig.fails()

    assert (first.retryable, second.retryable, rig.http.asked) == (True, True, 1)
    assert (str(first), first.kind) == (str(second), second.kind)
    assert second.retry_after_seconds is not None
    rig.clock.advance(second.retry_after_seconds + 1)
    assert rig.server.use(rig.token()) == "jo@example.org"


def test_the_wait_between_two_failures_grows(rig: Rig) -> None:
    rig.clock.advance(4000)
    rig.http.fails = TimedOut("too long", needs=Needs.RETRY)
    waits = []
    for _ in range(6):
        rig.fails()
        waits.append(rig.fails().retry_after_seconds or 0)
        rig.clock.advance(waits[-1] + 0.001)

    assert waits[0] <= 1 and waits[-1] >= 16
    assert rig.http.asked == 6


def test_a_sign_in_that_was_taken_back_is_told_once_to_the_server_and_ever_after_to_us(rig: Rig) -> None:
    rig.sign_in.revoked = True
    rig.clock.advance(4000)

    first, second = rig.fails(), rig.fails(refused=True)

    assert {(error.kind, error.needs) for error in (first, second)} == {(ErrorKind.SIGN_IN_AGAIN, Needs.LOGIN)}
    assert rig.http.asked == 1


def test_a_person_who_signs_in_again_is_let_in_at_once(rig: Rig) -> None:
    rig.sign_in.revoked = True
    rig.clock.advance(4000)
    rig.fails()
    _, granted = rig.server.granted("jo@example.org")

    rig.new_process().keep(
        ACCOUNT.id, Grant(access_token=str(granted["access_token"]), refresh_token=str(granted["refresh_token"]))
    )

    assert rig.token() == granted["access_token"]


def test_the_vault_is_read_once_more_before_an_account_is_given_up(rig: Rig) -> None:
    """Somebody without our lock, such as a host's own window, signed in while we asked."""
    rig.sign_in.revoked = True
    rig.clock.advance(4000)
    fresh = rig.server.sign_in("jo@example.org")

    class Meanwhile(Counting):
        def __call__(
            self, url: str, form: Mapping[str, str] | None = None, *, seconds: float = 5, octets_max: int = 100_000
        ) -> HttpAnswer:
            answer = super().__call__(url, form, seconds=seconds, octets_max=octets_max)
            if self.asked == 1:
                newer = Tokens(refresh_token=fresh.refresh, access_token="x", obtained=0, lifetime_seconds=1)
                rig.vault.put(ACCOUNT.id, OAUTH, newer.text())
            return answer

    http = Meanwhile()
    got = OAuthCredentials(rig.vault, rig.server.client(), http, clock=rig.clock)(ACCOUNT, refused=False)

    assert rig.server.use(got.secret) == "jo@example.org"
    assert http.asked == 2


def test_a_clock_that_was_set_back_or_forward_costs_a_refresh_and_nothing_else(rig: Rig) -> None:
    rig.clock = ManualClock(rig.clock.now().replace(year=2020))
    assert rig.server.use(rig.new_process()(ACCOUNT, refused=False).secret) == "jo@example.org"
    rig.clock = ManualClock(rig.clock.now().replace(year=2040))
    assert rig.server.use(rig.new_process()(ACCOUNT, refused=False).secret) == "jo@example.org"
    assert rig.http.asked == 2


def test_an_account_nobody_signed_in_to_says_so(rig: Rig) -> None:
    with pytest.raises(LoginRefused) as told:
        rig.credentials(Account(id=AccountId("new"), host="h", user="u"), refused=False)
    assert (told.value.kind, rig.http.asked) == (ErrorKind.SIGN_IN_AGAIN, 0)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"refresh_token": 3}'])
def test_a_vault_that_holds_something_else_is_an_error_without_it(rig: Rig, text: str) -> None:
    rig.vault.put(ACCOUNT.id, OAUTH, text)
    assert rig.fails().kind is ErrorKind.VAULT


def test_a_program_that_is_not_registered_needs_a_person(rig: Rig) -> None:
    rig.clock.advance(4000)
    client = OAuthClient(client_id="another", authorization_url=rig.server.url, token_url=f"{rig.server.url}/token")
    with pytest.raises(LoginRefused) as told:
        OAuthCredentials(rig.vault, client, rig.http, clock=rig.clock)(ACCOUNT, refused=False)
    assert (told.value.kind, told.value.needs) == (ErrorKind.LOGIN_REFUSED, Needs.USER)
    assert told.value.response_code == "invalid_client"


def test_an_error_text_that_repeats_the_token_is_not_told(rig: Rig) -> None:
    rig.server.rotation = Rotation.STRICT
    rig.sign_in.gone.add(rig.sign_in.refresh)
    rig.clock.advance(4000)

    error = rig.fails()

    assert (error.kind, error.server_text) == (ErrorKind.SIGN_IN_AGAIN, "")


def test_a_host_that_owns_the_login_gives_its_own_tokens() -> None:
    asked = []

    def supplier(account: Account, *, refused: bool) -> str:
        asked.append((account.id, refused))
        return "" if refused else "token-of-the-host"

    credentials = HostTokens(supplier)

    assert credentials(ACCOUNT, refused=False) == Credential("token-of-the-host")
    with pytest.raises(LoginRefused) as told:
        credentials(ACCOUNT, refused=True)
    assert told.value.kind is ErrorKind.SIGN_IN_AGAIN
    assert asked == [("work", False), ("work", True)]
