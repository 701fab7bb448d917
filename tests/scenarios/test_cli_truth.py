"""What the command lists and what an independent client reads from a real Dovecot are the same, octet for octet."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from ..servers.dovecot import DovecotAccount, Profile
from ..servers.mutf7 import encode
from ..servers.plain_client import NewMessage
from .cli_rig import Cli, message

pytestmark = pytest.mark.servers

FOLDERS = ("INBOX", "Lists", 'Lists/Grüße & "more"', 'Lists/Grüße & "more"/deep down', "日本")
FLAGS = ((), ("\\Seen",), ("\\Flagged", "\\Answered", "$Forwarded"), ("\\Deleted", "\\Draft", "Work-2"))
DATES = ("01-Feb-1999 23:59:59 -0930", "17-Jul-2023 02:44:25 +0000", " 3-Mar-2026 07:00:00 +1300")


def populate(account: DovecotAccount) -> None:
    """Fill every folder; the same octets lie in several of them, and twice in one."""
    with account.client() as client:
        client.create(*FOLDERS[1:])
        for at, folder in enumerate(FOLDERS):
            client.populate(
                folder,
                [
                    NewMessage(
                        octets=message(number // 2, body=b"caf\xe9 \xff\r\n" * (number * 40)),
                        flags=FLAGS[(number + at) % len(FLAGS)],
                        internal_date=DATES[number % len(DATES)],
                    )
                    for number in range(8 + at)
                ],
            )


@pytest.mark.parametrize("profile", Profile)
def test_what_is_listed_is_what_the_server_holds(
    profile: Profile,
    dovecot_profiles: Callable[..., DovecotAccount],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = dovecot_profiles(profile)
    populate(account)
    maildock = Cli(tmp_path / "home", capsys, monkeypatch, account.password)
    authority = account.certificate_authority
    safe = ["--security", "starttls", "--host", "localhost", "--ca-file", authority]
    maildock.add(account.port, *safe, user=account.user)

    assert maildock("sync").code == 0
    rows = maildock("list", "--all", "--limit", 0, "--json", "--sha256").rows

    with account.client() as client:
        server = client.snapshot()
    read = {
        (wire, uid): (one.flags, datetime.strptime(one.internal_date, "%d-%b-%Y %H:%M:%S %z"), one.size, one.sha256)
        for wire, folder in server.items()
        for uid, one in folder.messages.items()
    }
    listed = {
        (encode(row["folder"]), row["uid"]): (
            frozenset(flag.encode() for flag in row["flags"]),
            datetime.fromisoformat(row["internal_date"]),
            row["size"],
            row["sha256"],
        )
        for row in rows
    }
    assert listed == read
    assert len(read) == len(rows) == 50
    assert {row["uidvalidity"] for row in rows} == {
        folder.uid_validity for folder in server.values() if folder.messages
    }
    assert {row["body"] for row in rows} == {"full"}
    assert maildock("check", "--full").code == 0
