"""NetworkManager, UPower and logind, on a real bus: what they say becomes facts, and nobody else's word counts."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jeepney import DBusAddress, HeaderFields, new_signal

from provider.manager.manager import SyncManager
from provider.manager.surroundings.bus import DesktopWatch
from provider.manager.surroundings.desktop import Look, Snapshot, facts_between, snapshot_of
from provider.manager.surroundings.environment import Environment
from provider.manager.surroundings.triggers import Fact, Happening, Link, Power
from provider.request import SyncFlags, Trigger
from store import open_store
from tests.contract.playing import ALICE, Play, provider, walk
from tests.scenarios.cli_rig import Cli, message, spawned
from tests.servers.desktop_bus import LOGIN, NETWORK, POWER, DesktopBus, until
from tests.servers.fakeimap import FakeImap
from tests.servers.require import require_desktop_bus

NM = ("/org/freedesktop/NetworkManager", NETWORK, "org.freedesktop.NetworkManager")
UP = ("/org/freedesktop/UPower", POWER, "org.freedesktop.UPower")
CELL = ("/org/freedesktop/UPower/devices/DisplayDevice", POWER, "org.freedesktop.UPower.Device")
SEAT = ("/org/freedesktop/login1", LOGIN, "org.freedesktop.login1.Manager")
SESSION = ("/org/freedesktop/login1/session/auto", LOGIN, "org.freedesktop.login1.Session")
MOCK = "org.freedesktop.DBus.Mock"

# --- pure --------------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_not_known_and_starts_nothing() -> None:
    assert snapshot_of(Look()) == Snapshot()
    assert list(facts_between(Snapshot(), Snapshot())) == []


def test_the_states_of_a_network_are_read_as_it_means_them() -> None:
    def seen(**values: object) -> tuple[bool | None, bool | None, bool | None]:
        found = snapshot_of(Look(network=values))
        return found.network, found.link.metered, found.link.wan

    assert seen(State=70, Connectivity=4, Metered=4, PrimaryConnectionType="802-11-wireless") == (True, False, False)
    assert seen(State=70, Connectivity=4, Metered=1, PrimaryConnectionType="gsm") == (True, True, True)
    assert seen(State=70, Connectivity=0, Metered=0, PrimaryConnectionType="") == (True, None, None)
    assert seen(State=70, Connectivity=2, Metered=1) == (False, None, None)
    assert seen(State=20, Connectivity=1, Metered=0) == (False, None, None)
    assert seen(State=40) == (False, None, None)
    assert seen(State="70") == seen(State=True) == (None, None, None)


def test_a_machine_without_a_battery_has_no_charge() -> None:
    power = {"OnBattery": True}
    for battery, percent in (
        ({"IsPresent": True, "Type": 2, "Percentage": 12.5}, 12.5),
        ({"IsPresent": False, "Type": 2, "Percentage": 0.0}, None),
        ({"IsPresent": True, "Type": 1, "Percentage": 0.0}, None),
        ({"IsPresent": True, "Type": 2, "Percentage": 400.0}, None),
        ({"IsPresent": True, "Type": 2, "Percentage": float("nan")}, None),
        (None, None),
    ):
        found = snapshot_of(Look(power=power, battery=battery))
        assert found.power == Power(on_battery=True, percent=percent)


def test_what_nobody_knows_any_more_is_held_against_nobody() -> None:
    bad = Snapshot(network=False, power=Power(on_battery=True, percent=1))
    environment = Environment()
    for fact in facts_between(Snapshot(), bad):
        environment.tell(fact)
    assert environment.conduct.paused
    for fact in facts_between(bad, Snapshot()):
        environment.tell(fact)
    assert not environment.conduct.paused
    metered = Snapshot(network=True, link=Link(metered=True))
    for fact in (*facts_between(Snapshot(), metered), *facts_between(metered, Snapshot())):
        environment.tell(fact)
    assert not environment.conduct.headers_only


NAMES = ("State", "Connectivity", "Metered", "PrimaryConnectionType", "OnBattery", "Percentage", "IsPresent", "Type")
VALUES = st.dictionaries(
    st.sampled_from((*NAMES, "IdleHint", "LockedHint", "PreparingForSleep")),
    st.sampled_from(
        (None, True, False, -1, 0, 1, 2, 3, 4, 20, 60, 70, 2**64, 50.0, math.nan, math.inf, "", "gsm", [1])
    ),
    max_size=6,
)
LOOKS = st.builds(
    Look, network=VALUES, power=VALUES, battery=VALUES, login=VALUES, session=VALUES, sessions=st.none() | st.just(1)
)


@given(st.lists(LOOKS, min_size=1, max_size=4))
@settings(max_examples=50)
def test_no_answer_of_a_service_breaks_anything_and_the_same_look_tells_nothing(looks: list[Look]) -> None:
    seen, environment = Snapshot(), Environment()
    for look in looks:
        now = snapshot_of(look)
        for fact in facts_between(seen, now):
            environment.tell(fact)
        assert list(facts_between(now, now)) == []
        seen = now


# --- on a real bus -----------------------------------------------------------------------------------------------


class Heard(Environment):
    """An environment that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: list[Fact] = []

    def tell(self, fact: Fact) -> None:
        self.facts.append(fact)
        super().tell(fact)

    def comes(self, *expected: Happening) -> None:
        """Wait until these are what was told since last time."""
        until(lambda: [fact.what for fact in self.facts] == list(expected))
        self.facts.clear()


@pytest.fixture
def bus() -> Iterator[DesktopBus]:
    require_desktop_bus()
    with DesktopBus() as one:
        yield one


def add_session(bus: DesktopBus) -> None:
    """Add the session of this user."""
    body = ("auto", "seat0", os.getuid(), "somebody", True)
    bus.call(*SEAT[:2], MOCK, "AddSession", "ssusb", body)


def test_network_power_and_session_become_facts(bus: DesktopBus) -> None:
    bus.start(NETWORK, POWER, LOGIN)
    add_session(bus)
    heard = Heard()
    with DesktopWatch(heard, bus=bus.address):
        heard.comes(Happening.POWER, Happening.NETWORK_MADE)
        bus.set(*CELL, IsPresent=("b", True), Type=("u", 2), Percentage=("d", 80.0))
        heard.comes(Happening.POWER)
        bus.set(*UP, OnBattery=("b", True))
        heard.comes(Happening.POWER)
        assert heard.known.power == Power(on_battery=True, percent=80.0)
        bus.set(*CELL, Percentage=("d", 12.0))
        heard.comes(Happening.POWER)
        assert heard.conduct.paused == "the battery is low"
        bus.set(*UP, OnBattery=("b", False))
        heard.comes(Happening.POWER)
        assert not heard.conduct.paused
        bus.set(*NM, Metered=("u", 1))
        heard.comes(Happening.NETWORK_QUALITY)
        assert heard.conduct.headers_only == "the link is metered"
        bus.call(*NM[:2], MOCK, "SetGlobalConnectionState", "u", (20,))
        heard.comes(Happening.NETWORK_LOST)
        bus.call(*NM[:2], MOCK, "SetGlobalConnectionState", "u", (70,))
        heard.comes(Happening.NETWORK_MADE)
        bus.call(*NM[:2], MOCK, "SetConnectivity", "u", (2,))
        heard.comes(Happening.NETWORK_LOST)
        bus.set(*SESSION, LockedHint=("b", True))
        heard.comes(Happening.LOCK)
        bus.set(*SESSION, LockedHint=("b", False))
        heard.comes(Happening.UNLOCK)
        bus.set(*SEAT, IdleHint=("b", True))
        heard.comes(Happening.IDLE)


def test_before_sleep_it_holds_the_machine_until_the_environment_says_so(bus: DesktopBus) -> None:
    bus.start(LOGIN)
    heard = Heard()

    def inhibitors() -> list[tuple[str, str]]:
        return [(what, who) for what, who, _, mode, *_ in bus.call(*SEAT, "ListInhibitors")[0] if mode == "delay"]

    with DesktopWatch(heard, bus=bus.address):
        until(lambda: inhibitors() == [("sleep:shutdown", "maildock")])
        bus.set(*SEAT, PreparingForSleep=("b", True))
        until(lambda: heard.facts)
        (fact,) = heard.facts
        assert (fact.what, fact.deadline_seconds) == (Happening.PENDING_DISCONNECT, 5.0)
        assert inhibitors()
        assert fact.over is not None
        fact.over()
        until(lambda: not inhibitors())
        bus.set(*SEAT, PreparingForSleep=("b", False))
        until(inhibitors)
    until(lambda: not inhibitors())


def test_services_that_come_later_go_and_come_again_are_heard_and_none_is_started(bus: DesktopBus) -> None:
    heard = Heard()
    with DesktopWatch(heard, bus=bus.address) as watch:
        until(lambda: watch.looks)
        assert heard.facts == []
        bus.start(NETWORK)
        heard.comes(Happening.NETWORK_MADE)
        bus.call(*NM[:2], MOCK, "SetGlobalConnectionState", "u", (20,))
        heard.comes(Happening.NETWORK_LOST)
        bus.end(NETWORK)
        heard.comes(Happening.NETWORK_MADE)
        assert heard.known.network and not heard.conduct.paused


def test_a_bus_that_dies_is_found_again_and_what_it_said_is_forgotten(bus: DesktopBus) -> None:
    bus.start(NETWORK)
    bus.call(*NM[:2], MOCK, "SetGlobalConnectionState", "u", (20,))
    heard = Heard()
    with DesktopWatch(heard, bus=bus.address):
        heard.comes(Happening.NETWORK_LOST)
        bus.end("daemon")
        heard.comes(Happening.NETWORK_MADE)
        bus.end(NETWORK)
        bus.start_daemon()
        bus.start(NETWORK)
        heard.comes(Happening.NETWORK_MADE)


def test_a_forged_signal_tells_nothing_and_a_flood_of_them_costs_a_few_looks(bus: DesktopBus) -> None:
    bus.start(NETWORK, LOGIN)
    heard = Heard()
    with DesktopWatch(heard, bus=bus.address) as watch:
        heard.comes(Happening.NETWORK_MADE)
        mine = watch._connection.unique_name  # type: ignore[union-attr]
        looks = watch.looks
        with bus.connection() as stranger:
            where = DBusAddress(NM[0], interface=NM[2])
            for _ in range(500):
                forged = new_signal(where, "StateChanged", "u", (20,))
                stranger.send(forged)
                forged = new_signal(
                    DBusAddress(NM[0], interface="org.freedesktop.DBus.Properties"),
                    "PropertiesChanged",
                    "sa{sv}as",
                    (NM[2], {"State": ("u", 20)}, []),
                )
                forged.header.fields[HeaderFields.destination] = mine  # to us alone: no rule of ours keeps it away
                stranger.send(forged)
        until(lambda: watch.looks > looks)
        assert watch.looks - looks < 20
        bus.set(*NM, Metered=("u", 1))
        heard.comes(Happening.NETWORK_QUALITY)


def test_without_a_bus_it_waits_says_so_once_and_ends_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    watch = DesktopWatch(Environment(), bus=f"unix:path={tmp_path / 'none'}")
    watch.start()
    until(lambda: caplog.records)
    watch.stop()
    watch.stop()
    assert [record.getMessage() for record in caplog.records] == [
        "The desktop's bus does not answer (FileNotFoundError); it is tried again."
    ]
    assert watch._bridge.alive() == ()


def test_a_desktop_wakes_the_manager_and_a_metered_link_brings_headers(bus: DesktopBus, tmp_path: Path) -> None:
    bus.start(NETWORK)
    bus.set(*NM, Metered=("u", 3))
    asked: list[tuple[Trigger, bool]] = []

    def run(reporter: Any, turn: Any, request: Any) -> Any:
        asked.append((request.trigger, bool(request.flags & SyncFlags.SYNC_GLOBAL_HEADERS)))
        return walk(reporter, turn, request)

    environment = Environment()
    with (
        open_store(tmp_path / "mail.db") as store,
        provider(Play(alice=run), ALICE, store=store) as dock,
        SyncManager(store, dock, environment=environment),
        DesktopWatch(environment, bus=bus.address),
    ):
        until(lambda: asked)
    assert asked == [(Trigger.CONNECT, True)]


def test_a_daemon_listens_to_the_desktop(
    bus: DesktopBus,
    fake_imap: FakeImap,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus.start(NETWORK)
    fake_imap.append("INBOX", message(1))
    maildock = Cli(tmp_path / "home", capsys, monkeypatch, fake_imap.password)
    maildock.add(fake_imap.port)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    process = spawned(maildock.home, "daemon", "--desktop", "--no-push", password=fake_imap.password)
    try:
        until(lambda: any(row["ended"] for row in maildock("history", "--json").rows))
    finally:
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert (process.returncode, [row["trigger"] for row in maildock("history", "--json").rows]) == (0, ["connect"]), err
