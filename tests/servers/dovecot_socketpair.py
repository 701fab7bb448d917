"""One real Dovecot session on a socketpair: no port, no root, no login, about 40 ms.

Room: tests/servers. The session greets PREAUTH. Sessions over the same `MailHome` see the same mail; a new
home is an empty account. Login, TLS and limits need the daemon (`dovecot`).
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from .dovecot import Profile, mail_location, namespace_text

__all__ = ["IMAP_BINARY", "MailHome"]

IMAP_BINARY = "/usr/lib/dovecot/imap"


class MailHome:
    """A directory that holds one account's mail and the sessions over it. A context manager."""

    def __init__(self, *, profile: Profile = Profile.FULL, mail_format: str = "mdbox", separator: str = "/") -> None:
        self._root = Path(tempfile.mkdtemp(prefix="mdk-home-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._account = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            owner = pwd.getpwnam(self._account)
            os.chown(self._root, owner.pw_uid, owner.pw_gid)
        self._config = self._root / "dovecot.conf"
        self._config.write_text(
            f"protocols = imap\nbase_dir = {self._root}/base\nlog_path = {self._root}/log\nssl = no\n"
            f"mail_home = {self._root}\nmail_location = {mail_location(mail_format)}\nmail_fsync = never\n"
            f"imap_capability = {profile.value}\nfirst_valid_uid = 1\n{namespace_text(separator)}"
        )
        self._config.chmod(0o644)

    def connect(self) -> socket.socket:
        """Start a session and return its socket; the first line to read is the PREAUTH greeting."""
        ours, theirs = socket.socketpair()
        owner = pwd.getpwnam(self._account)
        group = grp.getgrgid(owner.pw_gid)
        as_owner = {"user": owner.pw_uid, "group": group.gr_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        with theirs, (self._root / "output").open("ab") as output:
            process = subprocess.Popen(
                [IMAP_BINARY, "-c", str(self._config)],
                stdin=theirs,
                stdout=theirs,
                stderr=output,
                cwd=self._root,
                env={"USER": self._account, "HOME": str(self._root), "PATH": os.environ.get("PATH", "")},
                **as_owner,  # type: ignore[call-overload]
            )
        self._processes.append(process)
        return ours

    def close(self) -> None:
        """End the sessions that still run, and remove the mail."""
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.terminate()
                process.wait(5)
            if process.poll() is None:
                process.kill()
                process.wait(5)
        shutil.rmtree(self._root, ignore_errors=True)

    def log(self) -> str:
        """Return what Dovecot said beside the wire (for the text of a failed test)."""
        return "".join(
            path.read_text(errors="replace") for path in (self._root / "log", self._root / "output") if path.exists()
        )

    def __enter__(self) -> MailHome:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
