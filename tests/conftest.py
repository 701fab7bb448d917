"""Fixtures that every test may use: real servers, fakes, certificates.

One daemon per kind and test session, one new user per test: tests share processes and never mail.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from provider import Shortcuts

from .secret_hunt import SecretHunt
from .servers.certs import CertificateShop
from .servers.dovecot import Dovecot, DovecotAccount, Profile
from .servers.dovecot_socketpair import MailHome
from .servers.fakeimap import FakeImap
from .servers.introspection import IntrospectionServer
from .servers.pymap_server import PymapServer
from .servers.relay import Relay
from .servers.require import require_dovecot, require_dovecot_socketpair, require_pymap
from .ways import SUITES, WAYS, name_of, taking

DovecotProfiles = Callable[..., DovecotAccount]

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def secret_hunt(request: pytest.FixtureRequest) -> Iterator[SecretHunt]:
    """The hunt that is on in every test. It comes first and ends last: stores are closed when their files are read."""
    with SecretHunt() as hunt:
        yield hunt
    if directory := request.node.funcargs.get("tmp_path"):
        hunt.look_below(directory)
    assert hunt.leaks() == []


LONGEST = tuple(
    f"tests/{file}.py"
    for file in (
        "crash/test_stops",
        "access/test_oauth_lives",
        "twoway/test_scenarios",
        "crash/test_two_way_stops",
        "stateful/test_histories",
        "crash/test_outbox_stops",
        "crash/test_two_way_dovecot",
        "live/test_cuts",
    )
)
"""Begun first (`--no-loadscope-reorder`): a long file that comes last is played while the other workers look on."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, and leave the rest as it is."""
    places = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Play the tests of some suites in each way."""
    if metafunc.module.__name__ in SUITES:
        metafunc.parametrize("way", WAYS, indirect=True, ids=name_of)


@pytest.fixture(autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[Shortcuts]:
    """The shortcuts that accounts take in this test: all, unless its suite is played in several ways."""
    shortcuts: Shortcuts = getattr(request, "param", Shortcuts())
    with taking(shortcuts):
        yield shortcuts


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> CertificateShop:
    """A certificate authority of this test session: `good()`, `bad(kind)`, `authority`, `client_context()`."""
    return CertificateShop(Path(tmp_path_factory.mktemp("certificates")) / "shop")


@pytest.fixture(scope="session")
def dovecot_daemon(certs: CertificateShop) -> Iterator[Callable[..., Dovecot]]:
    """`dovecot_daemon(profile, mail_format=, separator=)`: the running daemon of that kind, started once."""
    require_dovecot()
    with ExitStack() as running:
        introspection = running.enter_context(IntrospectionServer())
        daemons: dict[tuple[Profile, str, str], Dovecot] = {}

        def daemon(profile: Profile = Profile.FULL, *, mail_format: str = "mdbox", separator: str = "/") -> Dovecot:
            kind = (profile, mail_format, separator)
            if kind not in daemons:
                daemons[kind] = running.enter_context(
                    Dovecot(
                        profile=profile,
                        mail_format=mail_format,
                        separator=separator,
                        certificate=certs.good(),
                        certificate_authority=certs.authority,
                        introspection=introspection,
                    )
                )
            return daemons[kind]

        yield daemon
        for started in daemons.values():
            started.begin_stop()


@pytest.fixture
def dovecot_profiles(dovecot_daemon: Callable[..., Dovecot]) -> DovecotProfiles:
    """`dovecot_profiles(Profile.BARE, separator=".")`: a new user with an empty mailbox on that kind of Dovecot."""

    def account(profile: Profile = Profile.FULL, *, mail_format: str = "mdbox", separator: str = "/") -> DovecotAccount:
        daemon = dovecot_daemon(profile, mail_format=mail_format, separator=separator)
        number = next(_numbers)
        return daemon.add_user(f"user{number}", f"pass: word {number}")

    return account


@pytest.fixture
def dovecot(dovecot_profiles: DovecotProfiles) -> DovecotAccount:
    """A new user on a full Dovecot: host, port, tls_port, user, password, client(), add_token()."""
    return dovecot_profiles(Profile.FULL)


@pytest.fixture
def mail_home() -> Iterator[MailHome]:
    """A new mail home; `connect()` gives sockets of real Dovecot sessions (PREAUTH, no port)."""
    require_dovecot_socketpair()
    with MailHome() as home:
        yield home


@pytest.fixture
def pymap_server() -> Iterator[PymapServer]:
    """A real pymap with one user and an empty INBOX: host, port, user, password, client()."""
    require_pymap()
    with PymapServer(user="demo", password="pass: word") as server:
        yield server


@pytest.fixture
def relay() -> Iterator[Callable[..., Relay]]:
    """`relay(port, **faults)`: a started `Relay` to that loopback port; all of them end with the test."""
    with ExitStack() as running:
        yield lambda port, **faults: running.enter_context(Relay(port, **faults))


@pytest.fixture
def fake_imap() -> Iterator[FakeImap]:
    """A started `FakeImap` with every capability and an empty INBOX."""
    with FakeImap() as fake:
        yield fake
