"""The second run: where nothing changed nothing is written and no FETCH is sent, with few flights."""

from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from provider import Account
from store import MailStore

from ..servers.dovecot import DovecotAccount, Profile
from ..servers.fakeimap import BARE, FULL, NO_CONDSTORE, NO_QRESYNC, FakeImap
from .flights import Flights
from .rig import WireTap, account_at, bodies_asked, rows_outside_runs, store_snapshot, synchronize
from .truth_mail import fill, folder_names, mail

FLIGHTS_MAX = 8
"""LOGIN and LOGOUT included (issue: "Second run")."""


def second_run(store: MailStore, account: Account, tap: WireTap) -> tuple[list[bytes], int]:
    """Synchronize twice; return the commands and flights of the second run, which must have written nothing."""
    first, _ = synchronize(store, account)
    assert first.downloaded.bodies > 0
    before, seen = rows_outside_runs(store.path), store_snapshot(store)
    tap.forget()

    second, _ = synchronize(store, account)

    assert rows_outside_runs(store.path) == before
    assert store_snapshot(store) == seen
    assert second.downloaded == type(second.downloaded)()
    assert {item.status.value for item in second.items} == {"succeeded"}
    return tap.commands(), tap.counts.flights


@pytest.mark.servers
@pytest.mark.parametrize("profile", [Profile.FULL, Profile.NO_QRESYNC])
def test_nothing_changed_costs_no_row_no_fetch_and_few_flights(
    profile: Profile, dovecot_profiles: Callable[..., DovecotAccount], mail_store: MailStore
) -> None:
    user = dovecot_profiles(profile)
    with user.client() as client:
        fill(client, "/", folders=40, messages=400)
    with WireTap(user.port) as tap:
        commands, flights = second_run(mail_store, account_at(tap.port, user.user, user.password), tap)
    assert [command for command in commands if b"FETCH" in command] == []
    assert [command for command in commands if command.startswith((b"SELECT", b"EXAMINE"))] == []
    assert 0 < flights <= FLIGHTS_MAX


@pytest.mark.servers
@pytest.mark.parametrize(("profile", "waits"), [(Profile.NO_CONDSTORE, 4), (Profile.BARE, 7)])
def test_a_server_without_mod_sequences_is_asked_for_flags_and_for_nothing_else(
    profile: Profile,
    waits: int,
    dovecot_profiles: Callable[..., DovecotAccount],
    mail_store: MailStore,
    flights: Flights,
) -> None:
    user = dovecot_profiles(profile)
    with user.client() as client:
        fill(client, "/", folders=12, messages=240)
    with WireTap(user.port) as tap:
        account = account_at(tap.port, user.user, user.password)
        commands, _ = second_run(mail_store, account, tap)
        flights.take()
        synchronize(mail_store, account)
    assert flights.take() <= waits
    fetches = [command for command in commands if b"FETCH" in command]
    assert len(fetches) == 12
    assert {command.split(b" ", 3)[3] for command in fetches} == {b"(UID FLAGS)"}
    assert bodies_asked(commands) == {}


@pytest.mark.parametrize(
    ("capabilities", "fetches"),
    [(FULL, 0), (NO_QRESYNC, 0), (NO_CONDSTORE, 6), (BARE, 6)],
    ids=["full", "no-qresync", "no-condstore", "bare"],
)
def test_the_servers_own_log_of_commands_agrees(
    capabilities: Collection[str], fetches: int, mail_store: MailStore
) -> None:
    with FakeImap(capabilities=capabilities) as fake, WireTap(fake.port) as tap:
        for at, name in enumerate(folder_names("/", 6)):
            if at:
                fake.add_folder(name)
            for message in mail(20, seed=at + 1):
                fake.append(name, message.octets, message.flags, message.internal_date.strip())
        fake.commands.clear()
        commands, flights = second_run(mail_store, account_at(tap.port, fake.user, fake.password), tap)
        logged = fake.command_names()
    assert len(logged) > len(commands) > 0
    names = logged[-len(commands) :]
    assert names.count("UID FETCH") == fetches
    assert names.count("FETCH") == names.count("UID STORE") == names.count("SELECT") == 0
    if not fetches:
        assert flights <= FLIGHTS_MAX


def test_a_run_that_finds_nothing_touches_only_the_time_of_its_look(
    fake_imap: FakeImap, mail_store: MailStore, tmp_path: Path
) -> None:
    fake_imap.append("INBOX", mail(1)[0].octets)
    account = account_at(fake_imap.port, fake_imap.user, fake_imap.password)
    synchronize(mail_store, account)
    with mail_store.read() as view:
        folder = view.folders()[0]
        before, runs, seq = view.cursor(folder.id), view.runs(), view.cursor_seq()
    synchronize(mail_store, account)
    with mail_store.read() as view:
        after = view.cursor(folder.id)
        assert len(view.runs()) == len(runs) + 1
        assert view.cursor_seq() == seq
    assert after.checked_at is not None and before.checked_at is not None
    assert after.checked_at > before.checked_at
    assert mail_store.changes(seq).changes == ()
