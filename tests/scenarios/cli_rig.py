"""The command as a test runs it: in this process for most, as a real process where the process itself is the point."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provider.cli.__main__ import main

from ..servers.fakeimap import FakeImap

__all__ = ["PASSWORD_VARIABLE", "ROOT", "Cli", "Outcome", "filled", "ids", "message", "on_server", "spawned"]

ROOT = Path(__file__).parent.parent.parent
PASSWORD_VARIABLE = "MAILDOCK_TEST_PASSWORD"
HANG_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The output as JSON, an object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Cli:
    """``maildock --home DIR`` in this process. The password of added accounts stands in a variable."""

    def __init__(
        self, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, password: str
    ) -> None:
        self.home = home
        self._capsys, self._monkeypatch, self._password = capsys, monkeypatch, password
        monkeypatch.setenv(PASSWORD_VARIABLE, password)

    def __call__(self, *words: object) -> Outcome:
        """Run one command. Whatever it does, it prints no traceback and not the password."""
        self._capsys.readouterr()
        code = main(["--home", str(self.home), *map(str, words)])
        told = self._capsys.readouterr()
        assert "Traceback" not in told.out + told.err
        assert self._password not in told.out + told.err
        return Outcome(code=code, out=told.out, err=told.err)

    def password(self, password: str) -> None:
        """Let the variable hold another password from now on."""
        self._monkeypatch.setenv(PASSWORD_VARIABLE, password)

    def add(self, port: int, *options: object, name: str = "work", user: str = "fake@example.org") -> None:
        """Add an account on the loopback, unprotected unless *options* say otherwise."""
        given = [*map(str, options)]
        safety = [] if "--security" in given else ["--security", "none"]
        host = [] if "--host" in given else ["--host", "127.0.0.1"]
        words = ["--port", port, "--user", user, "--password-env", PASSWORD_VARIABLE]
        added = self("account", "add", name, *host, *words, *safety, *given)
        assert added.code == 0, added.err


def spawned(home: Path, *words: object, password: str = "", **options: Any) -> "subprocess.Popen[str]":
    """Start the command as a process of its own, its streams piped."""
    environment = {**os.environ, "MAILDOCK_HOME": str(home), PASSWORD_VARIABLE: password, "PYTHONPATH": str(ROOT)}
    environment.setdefault("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")  # this machine's desktop is no matter
    return subprocess.Popen(
        [sys.executable, "-m", "provider.cli", *map(str, words)],
        text=True,
        env=environment,
        cwd=home.parent,
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def message(number: int, *, subject: str = "", body: bytes = b"Hello.\r\n") -> bytes:
    """Return a small message."""
    return (
        f"From: Jo Example <jo{number}@example.org>\r\nTo: you@example.org\r\n"
        f"Subject: {subject or f'Message {number}'}\r\nDate: Sat, 21 Nov 2026 10:00:00 +0100\r\n"
        f"Message-ID: <m{number}@example.org>\r\n\r\n"
    ).encode() + body


def filled(maildock: Cli, fake: FakeImap, count: int = 5) -> None:
    """Fill INBOX with messages whose ids are their numbers, add folders, and synchronize."""
    for number in range(1, count + 1):
        fake.append("INBOX", message(number))
    fake.add_folder("Archive")
    fake.add_folder("Trash", special_use=b"\\Trash")
    assert maildock("sync").code == 0


def ids(maildock: Cli, folder: str = "INBOX") -> dict[str, int]:
    """Return the ids of the messages of a folder by subject."""
    return {row["subject"]: row["id"] for row in maildock("list", folder, "--limit", 0, "--json").rows}


def on_server(fake: FakeImap, folder: str) -> dict[str, frozenset[bytes]]:
    """Return the flags of a folder's messages by subject."""
    with fake.lock:
        return {
            found.octets.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode(): found.flags
            for found in fake.folder(folder).messages.values()
        }
