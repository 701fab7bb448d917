"""Truth: what is in the store and what an independent client reads from a real Dovecot are the same, to the octet."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from store import MailStore
from store.mail import AccountId

from ..servers import mutf7
from ..servers.dovecot import DovecotAccount, Profile
from .cli_rig import PASSWORD_VARIABLE, spawned
from .rig import FolderSeen, account_at, bodies_got, checked_store, server_snapshot, store_snapshot, synchronize
from .truth_mail import GIANT_OCTETS, fill, monsters

pytestmark = pytest.mark.servers

LARGE = (40, 3_000)
SMALL = (15, 600)


@pytest.fixture(scope="module")
def large_account(dovecot_daemon: Callable[..., object]) -> tuple[DovecotAccount, dict[bytes, FolderSeen]]:
    """3,000 messages in 40 folders on a full Dovecot, and what the independent client reads of them."""
    daemon = dovecot_daemon(Profile.FULL)
    account = daemon.add_user("truth", "pass: word of truth")  # type: ignore[attr-defined]
    return account, filled(account, "/", *LARGE)


def filled(account: DovecotAccount, delimiter: str, folders: int, messages: int) -> dict[bytes, FolderSeen]:
    with account.client() as client:
        fill(client, delimiter, folders=folders, messages=messages, extra=monsters() if folders == 40 else ())
        seen = server_snapshot(client, delimiter)
    assert sum(folder.selectable for folder in seen.values()) == folders
    assert sum(len(folder.messages) for folder in seen.values()) == messages
    return seen


def test_three_thousand_messages_in_forty_folders_are_the_same_here_and_there(
    large_account: tuple[DovecotAccount, dict[bytes, FolderSeen]], mail_store: MailStore
) -> None:
    account, there = large_account

    result, _ = synchronize(mail_store, account_at(account.port, account.user, account.password))

    assert store_snapshot(mail_store) == there
    assert result.downloaded.new == bodies_got(result) == 3_000
    assert result.downloaded.folders_new == len(there)
    sizes = sorted(message.size or 0 for folder in there.values() for message in folder.messages.values())
    assert sizes[0] <= 3 and sizes[-1] == GIANT_OCTETS


@pytest.mark.parametrize("delimiter", ["/", "."])
@pytest.mark.parametrize("profile", Profile)
def test_every_set_of_capabilities_and_both_delimiters_tell_the_same_truth(
    profile: Profile, delimiter: str, dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    account = dovecot_profiles(profile, separator=delimiter)
    there = filled(account, delimiter, *SMALL)

    result, _ = synchronize(mail_store, account_at(account.port, account.user, account.password))

    assert store_snapshot(mail_store) == there
    assert result.downloaded.new == bodies_got(result) == 600


def test_the_real_command_lists_three_thousand_messages_as_the_server_has_them(
    large_account: tuple[DovecotAccount, dict[bytes, FolderSeen]], tmp_path: Path
) -> None:
    account, there = large_account
    home = tmp_path / "home"

    def maildock(*words: object) -> str:
        with spawned(home, *words, password=account.password) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert account.password not in out + err
        return out

    words = ("--host", "127.0.0.1", "--port", account.port, "--security", "none", "--user", account.user)
    maildock("account", "add", "work", *words, "--password-env", PASSWORD_VARIABLE)
    events = [json.loads(line) for line in maildock("sync", "--json").splitlines()]
    assert events[-1]["type"] == "done"
    assert events[-1]["downloaded"]["new"] == 3_000
    rows = [json.loads(line) for line in maildock("list", "--all", "--json", "--sha256", "--limit", 0).splitlines()]

    listed = {
        (mutf7.encode(row["folder"]).replace(b"\\\\", b"\\"), row["uidvalidity"], row["uid"]): (
            frozenset(flag.encode() for flag in row["flags"]),
            datetime.fromisoformat(row["internal_date"]).isoformat(),
            row["size"],
            row["sha256"],
        )
        for row in rows
    }
    assert len(rows) == 3_000
    assert {row["body"] for row in rows} == {"full"}
    assert listed == {
        (name, folder.epoch, uid): (one.flags, one.arrived, one.size, one.octets)
        for name, folder in there.items()
        for uid, one in folder.messages.items()
    }
    with checked_store(home / "mail.db") as store:
        assert store_snapshot(store, AccountId("work")) == there
