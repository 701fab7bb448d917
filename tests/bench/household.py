"""A real ``maildock daemon`` with many accounts on a real Dovecot: what arrives, how soon, with how many threads.

Room: tests/bench. The daemon is a process of its own, as a person starts it; its store is read from here, as a host
that embeds us would. A delivery is an APPEND by somebody else: it counts from its answer.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import tomli_w

from store import FolderPath, MailStore, open_store
from store.mail import AccountId

from ..servers.dovecot import Dovecot, DovecotAccount
from .mailserver import PASSWORD, connected

__all__ = ["Household", "household"]

ROOT = Path(__file__).parent.parent.parent
START_SECONDS_MAX = 120.0
ARRIVE_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.02
INBOX = FolderPath(("INBOX",))


class Household:
    """Accounts on *server*, a home with them in it, and a daemon that is started and killed."""

    def __init__(self, server: Dovecot, home: Path, accounts: int, more: Mapping[str, object]) -> None:
        self._home = home
        self._users = {AccountId(f"user{n:02}"): server.add_user(f"user{n:02}", PASSWORD) for n in range(accounts)}
        self._delivered = dict.fromkeys(self._users, 0)
        self._process: subprocess.Popen[bytes] | None = None
        self.threads_peak = 0
        """Seen while something was waited for."""
        home.mkdir(mode=0o700, parents=True)
        for user in self._users.values():
            with connected(user):
                pass  # its mailbox is made by the first login: that is no part of anything
        (home / "accounts.toml").write_bytes(_accounts_file(self._users, more).encode())
        (home / "accounts.toml").chmod(0o600)
        self.store: MailStore = open_store(home / "mail.db")

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        """All accounts, in order."""
        return tuple(self._users)

    def user(self, account: AccountId) -> DovecotAccount:
        """Return the account on its server."""
        return self._users[account]

    @property
    def pid(self) -> int:
        """Of the daemon."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the daemon."""
        command = [sys.executable, "-m", "provider.cli", "--home", str(self._home), "daemon", "--json"]
        with (self._home / "output").open("ab") as output:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)

    def wait_until_all_ran(self, times: int = 1) -> None:
        """Wait until each account was synchronized *times* by what its server told. Raises RuntimeError."""
        self.wait_until(lambda: all(self.runs(account) >= times for account in self.accounts), START_SECONDS_MAX)

    def runs(self, account: AccountId) -> int:
        """Return how many runs of *account* a telling started, and went well."""
        with self.store.read() as view:
            known = account in view.accounts()
            runs = view.runs(account) if known else ()
        return sum(run.trigger == "push" and run.status == "succeeded" for run in runs)

    def deliver(self, account: AccountId, *, wait: bool = True) -> float:
        """Put one message into the account's INBOX on the server; return the seconds until the store has it."""
        self._delivered[account] += 1
        number = self._delivered[account]
        message = (
            f"From: a@x.example\r\nSubject: {number}\r\nMessage-ID: <{account}-{number}@x.example>\r\n\r\n"
            + "A line of the message.\r\n" * 40
        ).encode()
        with connected(self._users[account]) as connection:
            connection.command(b"APPEND INBOX {%d+}\r\n" % len(message) + message)
            delivered = time.monotonic()
            if wait:
                self.wait_until(lambda: self.count(account) >= number)
        return time.monotonic() - delivered

    def count(self, account: AccountId) -> int:
        """Return how many messages the store has in the account's INBOX."""
        with self.store.read() as view:
            folder = view.find_folder(account, INBOX) if account in view.accounts() else None
        return 0 if folder is None else folder.counts.messages

    def threads(self) -> int:
        """Return how many threads the daemon has at this moment."""
        return int(self._status("Threads"))

    def memory_octets(self) -> int:
        """Return the daemon's resident memory."""
        return int(self._status("VmRSS")) * 1024

    def open_files(self) -> int:
        """Return how many descriptors the daemon has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def kill(self) -> None:
        """Kill the daemon, -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the daemon as a person does, and close the store."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)
        self.store.close()

    def _status(self, name: str) -> str:
        found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return found[1]

    def wait_until(self, what: Callable[[], bool], seconds: float = ARRIVE_SECONDS_MAX) -> None:
        """Wait until *what* is true. Raises RuntimeError after *seconds*."""
        until = time.monotonic() + seconds
        while not what():
            if self._process is not None and self._process.poll() is None:
                self.threads_peak = max(self.threads_peak, self.threads())
            if time.monotonic() > until:
                said = (self._home / "output").read_text()[-2_000:]
                raise RuntimeError(f"the daemon did not do in {seconds:g} seconds what was waited for:\n{said}")
            time.sleep(LOOK_SECONDS)


@contextmanager
def household(accounts: int, directory: Path, **more: object) -> Iterator[Household]:
    """A Dovecot of its own and a household of so many *accounts*; the daemon is not started.

    *more* stands in accounts.toml with each of them.
    """
    with Dovecot() as server:
        made = Household(server, directory / "home", accounts, more)
        try:
            yield made
        finally:
            made.close()


def _accounts_file(users: dict[AccountId, DovecotAccount], more: Mapping[str, object]) -> str:
    return tomli_w.dumps(
        {
            "accounts": {
                name: {
                    "host": user.host,
                    "port": user.port,
                    "user": user.user,
                    "security": "none",
                    "password_command": f"echo {user.password}",
                    **more,
                }
                for name, user in users.items()
            }
        }
    )
