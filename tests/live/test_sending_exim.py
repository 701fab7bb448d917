"""Mail goes out and comes back, through real servers: outbox, Exim, LMTP, Dovecot, store."""

from __future__ import annotations

import hashlib
import imaplib
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from provider import MailStoreProvider, ResultStatus, SentCopies, SyncRequest, SyncResult
from provider.testing import RecordingCallback
from store import MailStore, open_store
from store.mail.submission import Fate, SubmissionState
from tests.scenarios.cli_rig import Cli
from tests.servers.certs import CertificateShop
from tests.servers.dovecot import DovecotAccount
from tests.servers.mail_house import DOMAIN, MailHouse, mail_house
from tests.servers.plain_client import PlainClient
from tests.servers.require import require_exim

pytestmark = pytest.mark.servers
HANG_SECONDS = 60.0
MESSAGES = 200
TRACE = re.compile(rb"\A(?:(?:Return-Path|Delivered-To|Received):[^\n]*\n(?:[ \t][^\n]*\n)*)+")


@pytest.fixture(scope="module")
def house(certs: CertificateShop) -> Iterator[MailHouse]:
    require_exim()
    with mail_house(certs) as running:
        yield running


def address(user: str) -> str:
    return f"{user}@{DOMAIN}"


def letter(number: int, sender: str, to: list[str], cc: list[str], bcc: list[str]) -> EmailMessage:
    """Mail as people write it: every third one with an attachment, every second one not in ASCII."""
    chance = random.Random(number)
    message = EmailMessage()
    message["From"] = f"Jö Sender <{address(sender)}>" if number % 2 else address(sender)
    message["To"] = ", ".join(map(address, to))
    if cc:
        message["Cc"] = ", ".join(map(address, cc))
    if bcc:
        message["Bcc"] = ", ".join(map(address, bcc))
    message["Subject"] = f"Brief {number}: Grüße, 会議" if number % 2 else f"Letter {number}"
    message["X-Number"] = str(number)
    message.set_content("\n".join([".", "..dots", "From here", "ünïcödé " * (number % 2), "x" * (number % 900)]))
    if number % 3 == 0:
        message.add_attachment(
            chance.randbytes(chance.randrange(200_000)),
            maintype="application",
            subtype="octet-stream",
            filename=f"Anhang {number}.bin" if number % 2 else "ätt.bin",
        )
    return message


def send_and_receive(store: MailStore, provider: MailStoreProvider, **halves: bool) -> SyncResult:
    host = RecordingCallback()
    result = provider.send_and_receive(SyncRequest(callback=host), **halves).wait(HANG_SECONDS)
    assert host.wait_done(HANG_SECONDS)
    host.grammar()
    return result


def mail_of(user: DovecotAccount, folder: str) -> dict[int, list[bytes]]:
    """Return what a plain client finds, by number, without what the servers wrote on top."""
    found: dict[int, list[bytes]] = {}
    with user.client() as plain:
        if folder not in _paths(plain):
            return found
        plain.select(folder)
        for uid in plain.uids():
            octets = TRACE.sub(b"", plain.octets(folder, uid))
            found.setdefault(number_of(octets), []).append(octets)
    return found


def number_of(octets: bytes) -> int:
    return int(re.search(rb"^X-Number: (\d+)\r?$", octets, re.MULTILINE)[1])  # type: ignore[index]


def _paths(plain: PlainClient) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else name for name in plain.folders()]


def test_two_hundred_messages_are_sent_with_the_command_arrive_once_and_whole_and_come_back(
    house: MailHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    people = {name: house.add_user(f"trip-{name}") for name in ("jo", "ann", "bob", "eve")}
    names = {name: user.user for name, user in people.items()}
    maildock = Cli(tmp_path / "home", capsys, monkeypatch, people["jo"].password)
    out = [
        "--smtp-host",
        "localhost",
        "--smtp-port",
        house.exim.tls_port,
        "--ca-file",
        house.exim.certificate_authority,
    ]
    maildock.add(people["jo"].port, *out, user=names["jo"])
    assert maildock("sync").code == 0
    expected: dict[str, Counter[int]] = {name: Counter() for name in people}
    for number in range(MESSAGES):
        to = ["ann"] if number % 4 else ["ann", "bob"]
        cc, bcc = (["bob"] if number % 5 == 1 else []), (["eve"] if number % 7 == 0 else [])
        for name in {*to, *cc, *bcc}:
            expected[name][number] += 1
        message = letter(number, names["jo"], *([names[one] for one in some] for some in (to, cc, bcc)))
        (tmp_path / "letter.eml").write_bytes(bytes(message))
        now = () if number % 20 == 0 else ("--queue",)  # the others wait for Send/Receive
        assert maildock("send", tmp_path / "letter.eml", *now).code == 0

    assert maildock("send-receive").code == 0

    house.deliver_all()
    went_out: dict[int, bytes] = {}
    with open_store(tmp_path / "home" / "mail.db") as store:
        with store.read() as view:
            submissions = view.submissions()
        assert len(submissions) == MESSAGES
        for one in submissions:
            assert one.state is SubmissionState.FILED
            assert {recipient.fate for recipient in one.recipients} == {Fate.ACCEPTED}
            octets = b"".join(store.outbox.octets(one.id))
            went_out[number_of(octets)] = octets
    for name, user in people.items():
        found = mail_of(user, "INBOX")
        assert Counter({number: len(copies) for number, copies in found.items()}) == expected[name], name
        for number, copies in found.items():
            assert [_digest(copy) for copy in copies] == [_digest(went_out[number])], (name, number)
            assert b"\nbcc:" not in copies[0].lower()
    copies_in_sent = mail_of(people["jo"], "Sent")
    assert sorted(copies_in_sent) == list(range(MESSAGES))
    assert {len(found) for found in copies_in_sent.values()} == {1}
    assert maildock("sync").code == 0
    assert maildock("check", "--full").code == 0

    reader = Cli(tmp_path / "ann", capsys, monkeypatch, people["ann"].password)
    reader.add(people["ann"].port, user=names["ann"])
    assert reader("sync").code == 0
    assert len(reader("list", "INBOX", "--limit", 500, "--json").rows) == MESSAGES


def test_who_is_refused_is_told_and_the_others_get_their_mail_once(house: MailHouse, tmp_path: Path) -> None:
    jo, ann = house.add_user("some-jo"), house.add_user("some-ann")
    with open_store(tmp_path / "mail.db") as store, MailStoreProvider(store, [house.account(jo)]) as provider:
        message = letter(1, jo.user, [ann.user, "later", "refused"], [], [])
        one = store.outbox.submit(provider.accounts[0].id, message)
        result = send_and_receive(store, provider)
        assert result.status is ResultStatus.COMPLETE_WITH_ERRORS
        with store.read() as view:
            after = view.submission(one.id)
        assert [recipient.fate for recipient in after.recipients] == [Fate.ACCEPTED, Fate.WAITING, Fate.REFUSED]
        assert after.state is SubmissionState.QUEUED
        assert after.next_try is not None
        assert store.outbox.retry(one.id)
        send_and_receive(store, provider)
        house.deliver_all()
        assert {number: len(found) for number, found in mail_of(ann, "INBOX").items()} == {1: 1}


def test_a_provider_that_files_sent_mail_itself_leaves_one_copy(house: MailHouse, tmp_path: Path) -> None:
    jo, ann = house.add_user("files-jo"), house.add_user("files-ann")
    with open_store(tmp_path / "mail.db") as store, MailStoreProvider(store, [house.account(jo)]) as provider:
        one = store.outbox.submit(provider.accounts[0].id, letter(1, jo.user, [ann.user], [], []))
        assert send_and_receive(store, provider, receive=False).ok
        with jo.client() as plain:  # what such a provider does: its own copy, with a header field more, without Bcc
            plain.create("Sent")
            now = imaplib.Time2Internaldate(time.time()).strip('"')
            plain.append("Sent", b"X-Filed: yes\r\n" + b"".join(store.outbox.octets(one.id)), [], now)
        assert send_and_receive(store, provider).ok
        assert send_and_receive(store, provider).ok
        assert [len(found) for found in mail_of(jo, "Sent").values()] == [1]
        assert store.outbox.filing(provider.accounts[0].id).value == "provider"
        store.outbox.submit(provider.accounts[0].id, letter(2, jo.user, [ann.user], [], []))
        assert send_and_receive(store, provider).ok
        assert sorted(mail_of(jo, "Sent")) == [1], "who is known to file is not helped any more"


def test_nothing_is_filed_where_the_account_says_so(house: MailHouse, tmp_path: Path) -> None:
    jo, ann = house.add_user("none-jo"), house.add_user("none-ann")
    account = house.account(jo, sent_copies=SentCopies.NONE)
    with open_store(tmp_path / "mail.db") as store, MailStoreProvider(store, [account]) as provider:
        store.outbox.submit(account.id, letter(1, jo.user, [ann.user], [], []))
        assert send_and_receive(store, provider).ok
        assert mail_of(jo, "Sent") == {}
        with store.read() as view:
            assert [one.state for one in view.submissions()] == [SubmissionState.FILED]


def _digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()
