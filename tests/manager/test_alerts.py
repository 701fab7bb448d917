"""Who is told of an alert: a program, a web address; each edge once, without a secret, whatever hooks do."""

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest

from provider import HttpClient, InvalidRequest
from provider.manager.reports.alerts import AlertTeller, CommandHook, HookFailed, WebHook
from provider.testing import ManualClock
from store import AccountId, Alert, MailStore, RunError, open_store

from ..scenarios.cli_rig import Cli, spawned
from ..servers.fakeimap import FakeImap
from .test_manager import ALICE, GUARD_SECONDS, desk

HOSTILE = 'Lists/$(touch x)`id`";\r\n<script>'
ERROR = RunError(kind="login-refused", text="The password was refused.", folder=HOSTILE)
HEAR = """
import json, os, pathlib, sys
names = [name for name in os.environ if name.startswith("MAILDOCK_")]
heard = {"stdin": json.load(sys.stdin), "all": sorted(os.environ), **{name: os.environ[name] for name in names}}
with pathlib.Path(sys.argv[1]).open("a") as file:
    file.write(json.dumps(heard) + "\\n")
"""


@dataclass
class Hook:
    """Hears, or fails as long as it is told to."""

    name: str = "host"
    heard: list[tuple[str, bool]] = field(default_factory=list)
    failing: Exception | None = None
    told: threading.Event = field(default_factory=threading.Event)

    def tell(self, alert: Alert, /) -> None:
        if self.failing is not None:
            raise self.failing
        self.heard.append((alert.account, alert.cleared_at is None))
        self.told.set()


@dataclass
class World:
    """A store, and a clock of its own that both turn by hand."""

    store: MailStore
    clock: ManualClock

    def fail(self) -> None:
        self.store.eventlog.record(ALICE, [ERROR])

    def succeed(self) -> None:
        self.store.eventlog.record(ALICE, [], succeeded=[None, HOSTILE])

    def teller(self, *hooks: object) -> AlertTeller:
        return AlertTeller(self.store, hooks, clock=self.clock, random=Random(1))  # type: ignore[arg-type]

    @property
    def alert(self) -> Alert:
        return self.store.alerts.entries()[0]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = ManualClock()
    with open_store(tmp_path / "mail.db", clock=lambda: clock.now().timestamp()) as store:
        yield World(store, clock)


def test_a_program_hears_the_facts_and_of_our_variables_only_what_any_program_needs(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "not-for-a-hook")
    heard = tmp_path / "heard"
    hook = CommandHook((sys.executable, "-c", HEAR, str(heard)))
    world.fail()
    assert world.teller(hook).tell() == 1
    world.succeed()
    assert world.teller(hook).tell() == 1
    assert world.teller(hook).tell() == 0
    raised, cleared = map(json.loads, heard.read_text().splitlines())
    assert (raised["MAILDOCK_ALERT"], cleared["MAILDOCK_ALERT"]) == ("raised", "cleared")
    assert (raised["MAILDOCK_ACCOUNT"], raised["MAILDOCK_KIND"]) == ("alice", "login-refused")
    assert (raised["stdin"]["state"], raised["stdin"]["message"]) == ("raised", "The password was refused.")
    assert raised["stdin"]["folder"] == HOSTILE
    assert not [name for name in raised if name.startswith("MAILDOCK_") and "script" in raised[name]]
    assert "MAIL_PASSWORD" not in raised["all"]


def test_a_program_that_fails_hangs_or_is_not_there_is_named_and_its_words_are_not(world: World) -> None:
    world.fail()
    secret = "words-with-a-secret"
    for command, told in (
        ((sys.executable, "-c", "raise SystemExit(3)", secret), "failed with status 3"),
        ((sys.executable, "-c", "input(); input(); input()", secret), "failed with status 1"),
        (("no-such-program", secret), "cannot be run"),
        (("a\0b", secret), "cannot be run"),
    ):
        with pytest.raises(HookFailed, match=told) as caught:
            CommandHook(command).tell(world.alert)
        assert secret not in str(caught.value) + repr(CommandHook(command))
    with pytest.raises(HookFailed, match="did not end"):
        CommandHook((sys.executable, "-c", "import time; time.sleep(60)"), seconds=0.2).tell(world.alert)


@contextmanager
def web(status: int) -> Iterator[tuple[str, list[tuple[str, object]]]]:
    """A web server on the loopback that answers with *status*; its address, and what was posted."""
    posted: list[tuple[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook/a-secret-in-the-path", posted
    finally:
        server.shutdown()
        server.server_close()


def test_a_webhook_is_posted_json_with_a_text_for_people(world: World) -> None:
    world.fail()
    with web(204) as (url, posted):
        assert world.teller(WebHook(url, HttpClient().post_json)).tell() == 1
    ((kind, body),) = posted
    assert kind == "application/json"
    assert isinstance(body, dict)
    assert (body["state"], body["account"], body["folder"]) == ("raised", "alice", HOSTILE)
    assert body["text"].startswith("Synchronization of alice fails since ")


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_answers_otherwise_or_not_at_all_is_tried_again_and_its_address_is_told_nowhere(
    world: World, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    world.fail()
    with web(status) as (url, _):
        hook = WebHook(url, HttpClient().post_json)
        teller = world.teller(hook)
        assert teller.tell() == 0
    assert not teller.due
    world.clock.advance(120)
    assert teller.due
    assert teller.tell() == 0  # nobody listens there any more
    assert world.alert.tries == 2
    assert f"answered with {status}" in caplog.text
    assert "a-secret-in-the-path" not in caplog.text + repr(hook)


def test_a_hook_that_raises_costs_no_other_hook_anything_and_is_given_up_in_the_end(world: World) -> None:
    bad, good = Hook("bad", failing=ValueError("a secret")), Hook("good")
    teller = world.teller(bad, good)
    world.fail()
    for _ in range(30):
        teller.tell()
        world.clock.advance(3_600)
    assert (good.heard, world.alert.tries) == ([("alice", True)], 10)
    assert not teller.due
    bad.failing = None
    world.succeed()
    teller.tell()
    assert (good.heard[1:], bad.heard) == ([("alice", False)], [])


@pytest.mark.parametrize("names", [("one", "one"), ("two words",), ("",)])
def test_hooks_are_told_apart_by_names_of_one_word(world: World, names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match="one word"):
        world.teller(*map(Hook, names))


def test_two_tellers_tell_each_edge_once(world: World) -> None:
    one, two = Hook(), Hook()
    for number in range(10):
        world.store.eventlog.record(AccountId(f"a{number}"), [ERROR])
    threads = [threading.Thread(target=world.teller(hook).tell) for hook in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD_SECONDS)
    assert sorted(one.heard + two.heard) == [(f"a{number}", True) for number in range(10)]


def test_a_manager_tells_its_hooks_on_a_thread_of_their_own_and_picks_up_what_a_killed_one_left(
    tmp_path: Path,
) -> None:
    hook = Hook()
    with desk(tmp_path) as one:
        one.store.eventlog.record(ALICE, [ERROR])
        assert one.store.alerts.claim(one.clock.now(), ["host"], seconds=60)  # and was killed
    with desk(tmp_path, clock=one.clock, hooks=[hook]) as two:
        two.manager.step()
        assert hook.heard == []
        two.after(61)
        assert hook.told.wait(GUARD_SECONDS)
        assert hook.heard == [("alice", True)]


@pytest.fixture
def maildock(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path / "home", capsys, monkeypatch, "pw-of-the-alerts")


def with_alerts(maildock: Cli, fake_imap: FakeImap, table: str) -> None:
    """Make the account, with a wrong password, and say who is told."""
    maildock.add(fake_imap.port)
    with (maildock.home / "accounts.toml").open("a") as file:
        file.write(f"\n[alerts]\n{table}\n")


def test_a_synchronization_by_hand_tells_and_status_and_events_show_the_alert_until_it_is_over(
    maildock: Cli, fake_imap: FakeImap, tmp_path: Path
) -> None:
    script, heard = tmp_path / "hear.py", tmp_path / "heard"
    script.write_text(HEAR)
    with_alerts(maildock, fake_imap, f'command = "{sys.executable} {script} {heard}"')
    assert maildock("sync").code == 3
    (row,) = maildock("status", "--json").rows
    assert row["alert_since"] is not None
    assert "failed, alert" in maildock("status").out
    assert maildock("events").out.startswith("Alert: Synchronization of work fails since ")
    (alert,) = maildock("events", "alerts", "--json").rows
    assert (alert["state"], alert["kind"], alert["told"]) == ("raised", "login-refused", ["command"])
    maildock.password(fake_imap.password)
    assert maildock("sync").code == 0
    assert [json.loads(line)["MAILDOCK_ALERT"] for line in heard.read_text().splitlines()] == ["raised", "cleared"]
    assert maildock("events", "alerts").out == "There is no alert.\n"
    assert "works again" in maildock("events", "alerts", "--all").out
    assert maildock("status", "--json").rows[0]["alert_since"] is None
    maildock.add(fake_imap.port, name="other")  # who writes the file anew keeps what it says of alerts
    assert "[alerts]" in (maildock.home / "accounts.toml").read_text()


def test_a_daemon_tells_a_web_address_that_a_variable_holds(
    maildock: Cli, fake_imap: FakeImap, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_alerts(maildock, fake_imap, 'webhook_env = "ALERT_WEBHOOK"')
    assert "is not set" in maildock("daemon").err
    with web(204) as (url, posted):
        monkeypatch.setenv("ALERT_WEBHOOK", url)
        with open_store(maildock.home / "mail.db") as store:
            store.schedules.add("All accounts", "every 1 day", zone="UTC", next_run=datetime.now(UTC))
        process = spawned(maildock.home, "daemon", "--json", password="wrong-one-again")
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        for _ in range(100):
            if posted:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert [body["state"] for _, body in posted if isinstance(body, dict)] == ["raised"]


@pytest.mark.parametrize(
    "table",
    [
        'webhook = "http://example.org/x"',
        'webhook = "x"',
        'command = "a \'b"',
        'sound = "loud"',
        "command = 7",
        'webhook = "https://example.org"\nwebhook_env = "X"',
    ],
)
def test_what_cannot_be_told_is_said_before_anything_runs(maildock: Cli, fake_imap: FakeImap, table: str) -> None:
    with_alerts(maildock, fake_imap, table)
    assert maildock("sync").code == 2
