"""Servers to try a scenario on, the fake one and a real Dovecot, and mail to fill them with.

Room: tests/scenarios. ``place`` is a fixture, chosen by the marks SERVERS and WITHOUT_LIST_STATUS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from provider import Account

from ..servers.dovecot import Dovecot, DovecotAccount
from ..servers.fakeimap import FULL, FakeImap
from ..servers.plain_client import NewMessage, PlainClient
from .rig import account_at
from .truth_mail import plain, pour

__all__ = ["SERVERS", "WITHOUT_LIST_STATUS", "Place", "fill", "letters", "names", "place"]

NO_LIST_STATUS = (
    "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE UNSELECT NAMESPACE ESEARCH LIST-EXTENDED SPECIAL-USE CONDSTORE QRESYNC"
)


@dataclass(frozen=True)
class Place:
    """A server with one account: where it is, and an independent way in."""

    account: Account
    client: Callable[[], PlainClient]
    pour: Callable[[PlainClient, str, list[NewMessage]], None]
    fake: FakeImap | None = None


def _of_fake(fake: FakeImap) -> Place:
    def pour_in(client: PlainClient, folder: str, messages: list[NewMessage]) -> None:
        for one in messages:
            fake.append(folder, one.octets, one.flags, one.internal_date)

    return Place(
        account_at(fake.port, fake.user, fake.password),
        lambda: PlainClient.login(host=fake.host, port=fake.port, user=fake.user, password=fake.password),
        pour_in,
        fake,
    )


def _of_dovecot(user: DovecotAccount) -> Place:
    return Place(account_at(user.port, user.user, user.password), user.client, pour)


SERVERS = pytest.mark.parametrize("place", ["fake", pytest.param("dovecot", marks=pytest.mark.servers)], indirect=True)
WITHOUT_LIST_STATUS = pytest.mark.parametrize(
    "place",
    ["fake without LIST-STATUS", pytest.param("dovecot without LIST-STATUS", marks=pytest.mark.servers)],
    indirect=True,
)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    match request.param:
        case "fake":
            with FakeImap() as fake:
                yield _of_fake(fake)
        case "fake without LIST-STATUS":
            with FakeImap(capabilities=FULL - {"LIST-STATUS"}) as fake:
                yield _of_fake(fake)
        case "dovecot":
            yield _of_dovecot(request.getfixturevalue("dovecot"))
        case _:
            request.getfixturevalue("dovecot_daemon")  # skips where there is no Dovecot
            with Dovecot(extra=f"imap_capability = {NO_LIST_STATUS}") as daemon:
                yield _of_dovecot(daemon.add_user("one", "pass word"))


def letters(first: int, count: int, *, flags: tuple[str, ...] = (), octets: int = 0) -> list[NewMessage]:
    """Letters that arrived minutes apart: mail of one instant and size would be looked at as copies of each other."""
    return [
        NewMessage(octets=plain(number, octets=octets), flags=flags, internal_date=_arrival(number))
        for number in range(first, first + count)
    ]


def _arrival(number: int) -> str:
    return (datetime(2023, 1, 1) + timedelta(minutes=number)).strftime("%d-%b-%Y %H:%M:%S +0000")


def names(count: int) -> list[str]:
    return ["INBOX", *(f"Folder-{number:03}" for number in range(1, count))]


def fill(place: Place, folders: int, messages: int = 3) -> None:
    with place.client() as client:
        client.create(*names(folders)[1:])
        for at, name in enumerate(names(folders)):
            place.pour(client, name, letters(1_000 * at, messages))
