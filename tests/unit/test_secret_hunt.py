"""The hunt for secrets finds what is planted, wherever and however; so silence elsewhere means something."""

import base64
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provider import Account, ErrorKind, LoginRefused, Needs, Password, Severity, SyncError, SyncRequest
from store import open_store
from store.mail import AccountId

from ..secret_hunt import FIXTURE_SECRETS, SecretHunt, spellings
from ..servers.fakeimap import FakeImap

PLANTED = 'p1anted "s\\crét" + 42'
USER = "me@example.org"


def log(secret: str) -> None:
    logging.getLogger("provider.sources.imap.wire").debug("C: LOGIN me %s", secret)


def log_a_traceback(secret: str) -> None:
    try:
        raise ValueError(secret)
    except ValueError:
        logging.getLogger("some.library").exception("It failed.")


def raise_an_error(secret: str) -> None:
    LoginRefused(f"The server did not take {secret}.")


def tell_of_an_echo_by_the_server(secret: str) -> None:
    SyncError(
        run_id=1,
        seq=1,
        at=datetime(2026, 11, 21, tzinfo=UTC),
        severity=Severity.ERROR,
        kind=ErrorKind.LOGIN_REFUSED,
        needs=Needs.LOGIN,
        text="The server refused.",
        server_text=f"NO {secret} is wrong",
    )


def show_an_account(secret: str) -> None:
    Account(id=AccountId("me"), host="mail.example", user=secret)


def show_a_request(secret: str) -> None:
    SyncRequest(trigger=secret)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "plant", [log, log_a_traceback, raise_an_error, tell_of_an_echo_by_the_server, show_an_account, show_a_request]
)
def test_the_hunt_of_every_test_finds_a_planted_secret(plant: Callable[[str], None], secret_hunt: SecretHunt) -> None:
    Password(PLANTED)
    assert secret_hunt.leaks() == []
    plant(PLANTED)
    assert {leak.secret for leak in secret_hunt.take()} == {PLANTED}


def test_the_hunt_of_every_test_finds_the_passwords_of_the_servers(
    secret_hunt: SecretHunt, fake_imap: FakeImap
) -> None:
    log(fake_imap.password)
    leaks = secret_hunt.take()
    assert {(leak.secret, leak.place) for leak in leaks} == {(fake_imap.password, "log of provider.sources.imap.wire")}


def test_a_secret_in_a_store_is_found(tmp_path: Path) -> None:
    with SecretHunt([PLANTED]) as hunt, open_store(tmp_path / "mail.db") as store, store.write("plant") as tx:
        tx.ensure_account(AccountId(PLANTED))
    hunt.look_below(tmp_path)
    assert {leak.place for leak in hunt.leaks()} & {"mail.db", "mail.db-wal"}


@pytest.mark.parametrize(
    "written",
    [
        PLANTED[::-1],
        "p1anted%20%22s%5Ccr%C3%A9t%22%20%2B%2042",
        "p1anted+%22s%5Ccr%C3%A9t%22+%2B+42",
        base64.b64encode(PLANTED.encode()).decode(),
        base64.b64encode(f"\0{USER}\0{PLANTED}".encode()).decode(),
        base64.b64encode(f"\0{USER}x\0{PLANTED}".encode()).decode(),
        base64.b64encode(f"user={USER}yz\x01auth=Bearer {PLANTED}\x01\x01".encode()).decode(),
        base64.urlsafe_b64encode(f"\0{USER}\0{PLANTED}".encode()).decode(),
        PLANTED.encode().hex(),
        repr([PLANTED]),
        repr(PLANTED.encode().decode()),
        '"p1anted \\"s\\\\crét\\" + 42"',
    ],
)
def test_a_secret_is_found_however_it_is_written(written: str) -> None:
    with SecretHunt([PLANTED]) as hunt:
        logging.getLogger("anything").info("before %s after", written)
    assert hunt.leaks() != []


@pytest.mark.parametrize("secret", [*FIXTURE_SECRETS, PLANTED, "ten octets"])
def test_no_spelling_is_so_short_that_it_is_found_by_chance(secret: str) -> None:
    assert min(len(text) for text in spellings(secret).values()) >= 8
