"""Truth on other servers: pymap, which keeps NUL octets and lone LF, and the fake one, which has empty messages."""

from collections.abc import Collection

import pytest

from store import MailStore

from ..servers.fakeimap import BARE, FULL, NO_CONDSTORE, NO_QRESYNC, FakeImap
from ..servers.plain_client import NewMessage, PlainClient
from ..servers.pymap_server import PymapServer
from .rig import account_at, bodies_got, server_snapshot, store_snapshot, synchronize
from .truth_mail import folder_names, giant, mail, plain, pour

UNUSUAL = (
    b"Subject: NUL\r\n\r\na\0b\0\r\n",
    b"Subject: NUL in \0 the header\r\n\r\nbody\r\n",
    b"Subject: LF only\nFrom: jo@example.org\n\nline\nline\n",
    b"Subject: mixed\r\nX: 1\n\r\nLF\nCR\rboth\r\n\n\r",
    b"Subject: CR only\r\rbody\r",
    b"\0",
    b"\n",
    b"\r\n",
    bytes(range(256)) * 40,
)
"""Octets that Dovecot would rewrite or refuse."""


@pytest.mark.servers
def test_pymap_and_the_store_agree_with_nul_octets_and_lone_line_feeds(
    pymap_server: PymapServer, mail_store: MailStore
) -> None:
    names = folder_names("/", 24)
    with pymap_server.client() as client:
        client.create(*names[1:])
        for at, name in enumerate(names):
            usual = mail(25, seed=at + 1, keywords=False)
            pour(client, name, [*(NewMessage(octets=octets) for octets in UNUSUAL), *usual])
        there = server_snapshot(client, "/")

    result, _ = synchronize(mail_store, account_at(pymap_server.port, pymap_server.user, pymap_server.password))

    assert store_snapshot(mail_store) == there
    messages = len(names) * (25 + len(UNUSUAL))
    assert sum(len(folder.messages) for folder in there.values()) == messages
    assert bodies_got(result) == result.downloaded.new == messages
    assert {b"a\0b" in octets for octets in UNUSUAL} == {True, False}


@pytest.mark.parametrize("capabilities", [FULL, NO_QRESYNC, NO_CONDSTORE, BARE], ids=["full", "-q", "-c", "bare"])
def test_messages_of_no_octets_are_kept_as_such(capabilities: Collection[str], mail_store: MailStore) -> None:
    with FakeImap(capabilities=capabilities) as fake:
        for folder in ("INBOX", "Grüße"):
            if folder != "INBOX":
                fake.add_folder(folder)
            for at, octets in enumerate((b"", plain(1), b"", *UNUSUAL, giant(70_000), b"")):
                fake.append(folder, octets, ["\\Seen", "$Work"] if at % 2 else [], "17-Jul-2023 02:44:25 -0930")
        with PlainClient.login(host=fake.host, port=fake.port, user=fake.user, password=fake.password) as client:
            there = server_snapshot(client, "/")

        result, _ = synchronize(mail_store, account_at(fake.port, fake.user, fake.password))

    assert store_snapshot(mail_store) == there
    assert [message.size for message in there[b"INBOX"].messages.values()].count(0) == 3
    assert bodies_got(result) == 2 * (4 + 1 + len(UNUSUAL))
