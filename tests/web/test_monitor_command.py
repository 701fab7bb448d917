"""``maildock monitor`` as a process: it tells its address to its owner, serves, and ends when it is told to."""

from __future__ import annotations

import signal
import socket
import stat
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen

import pytest

from store import AccountId, RunError, open_store

from ..scenarios.cli_rig import Cli, spawned
from ..servers.fakeimap import FakeImap

END_SECONDS = 20


@pytest.fixture
def home(
    fake_imap: FakeImap, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A home with one account, which nobody has synchronized yet."""
    Cli(tmp_path / "home", capsys, monkeypatch, "correct horse").add(fake_imap.port)
    return tmp_path / "home"


@contextmanager
def monitor(home: Path, *words: object) -> Iterator[tuple[Popen[str], str]]:
    """Run it, and give its address; whatever happens, it ends."""
    process = spawned(home, "monitor", *words, password="correct horse")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Sync Center: http://127.0.0.1:"), line
        yield process, line.split()[-1]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def page(url: str) -> str:
    """Come in by the address, as a browser without scripts does."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    opener.open(url, timeout=END_SECONDS).read()
    text: bytes = opener.open(url.partition("enter")[0], timeout=END_SECONDS).read()
    return text.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end_and_leaves_no_way_in_behind(home: Path, number: signal.Signals) -> None:
    with monitor(home, "--no-open") as (process, url):
        assert "work" in page(url)
        file = home / "monitor.html"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert url in file.read_text()
        process.send_signal(number)
        _, err = process.communicate(timeout=END_SECONDS)
        assert process.returncode == 0
        assert url.partition("token=")[2] not in err
        assert "Traceback" not in err
        assert not file.exists()
        with pytest.raises(urllib.error.URLError):
            page(url)


def test_it_runs_the_schedules_where_no_daemon_does(home: Path) -> None:
    with open_store(home / "mail.db") as store:
        due = datetime.now(UTC) - timedelta(minutes=1)
        store.schedules.add("All accounts", "every 60 min", zone="UTC", next_run=due)
        with monitor(home, "--no-open") as (process, _):
            while not store.schedules.all()[0].last_outcome:
                with store.read() as view:
                    seq = view.cursor_seq()
                store.wait_for_change(seq, 0.2)
                assert process.poll() is None, "it ended without running what is due"
        assert store.schedules.all()[0].last_outcome == "complete"


def test_it_ends_while_a_page_listens(home: Path) -> None:
    with monitor(home, "--no-open") as (process, url):
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        opener.open(url, timeout=END_SECONDS).read()
        with opener.open(f"{url.partition('enter')[0]}live/running", timeout=END_SECONDS) as live:
            assert live.readline().startswith(b"retry:")
            process.send_signal(signal.SIGTERM)
            live.read()
        _, err = process.communicate(timeout=END_SECONDS)
    assert (process.returncode, "Traceback" in err) == (0, False)


def test_a_browser_is_sent_to_a_file_of_its_owner_so_that_no_list_of_processes_shows_the_token(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s" "$*" > {told}.part && mv {told}.part {told}\n')
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    with monitor(home) as (_, url):
        page(url)  # answered after the browser was sent on its way
    assert told.read_text() == (home / "monitor.html").as_uri()


def test_a_port_that_is_taken_is_a_sentence(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = spawned(home, "monitor", "--no-open", "--port", taken.getsockname()[1])
        out, err = process.communicate(timeout=END_SECONDS)
    assert (process.returncode, out) == (1, "")
    assert "cannot be served: Address already in use." in err
    assert not (home / "monitor.html").exists()


def test_without_an_account_it_says_how_to_add_one(tmp_path: Path) -> None:
    with monitor(tmp_path / "home", "--no-open") as (_, url):
        assert "maildock account add" in page(url)


def test_without_the_libraries_of_its_extra_it_says_which_one_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "provider.monitor.serve", raising=False)
    told = Cli(tmp_path / "home", capsys, monkeypatch, "correct horse")("monitor", "--no-open")
    assert (told.code, "pip install 'maildock[web]'" in told.err) == (2, True)


def test_what_its_schedules_run_is_logged_and_told_of_like_a_daemons(home: Path, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    with (home / "accounts.toml").open("a") as file:
        file.write(f'\n[alerts]\ncommand = "touch {heard}"\n')
    with open_store(home / "mail.db") as store:
        store.schedules.add("All accounts", "every 1 day", zone="UTC", next_run=datetime.now(UTC))
        refused = RunError(kind="send-refused", text="no")  # of the outbox: what is synchronized does not clear it
        store.eventlog.record(AccountId("work"), [refused], item="outbox")
    log = home / "maildock.log"
    with monitor(home, "--no-open") as (_, url):
        for _ in range(400):
            if heard.exists() and log.exists() and "schedule-ran" in log.read_text():
                break
            time.sleep(0.05)
        assert url.partition("token=")[2] not in log.read_text()
    assert heard.exists()
    assert "schedule-ran" in log.read_text()
