"""Other people's programs on the same mailbox: mbsync in its four forms.

Room: tests/bench. Every form is measured, since each answers another question: COMPRESS (on unless forbidden) costs
Dovecot's deflate, FSync (on unless forbidden) makes each message durable. Like for like with us is COMPRESS off, FSync
on.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ..servers.dovecot import DovecotAccount

__all__ = [
    "AS_INSTALLED",
    "LIKE_FOR_LIKE",
    "MBSYNC",
    "MBSYNC_FORMS",
    "MbsyncForm",
    "PeerRun",
    "mbsync",
    "mbsync_version",
]

SETTLE_SECONDS = 2.0
"""mbsync waits when a Maildir was changed within the last second; that wait is none of its work."""

MBSYNC = shutil.which("mbsync")


@dataclass(frozen=True, slots=True, kw_only=True)
class MbsyncForm:
    """One way to set mbsync up. *dear*: takes so long that one run has to do."""

    compress: bool
    fsync: bool
    dear: bool = False

    def __str__(self) -> str:
        if self == AS_INSTALLED:
            return "as installed"
        return f"COMPRESS {'on' if self.compress else 'off'}, FSync {'on' if self.fsync else 'off'}"


AS_INSTALLED = MbsyncForm(compress=True, fsync=True, dear=True)
LIKE_FOR_LIKE = MbsyncForm(compress=False, fsync=True)
MBSYNC_FORMS = (
    LIKE_FOR_LIKE,
    MbsyncForm(compress=False, fsync=False),
    AS_INSTALLED,
    MbsyncForm(compress=True, fsync=False, dear=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRun:
    """Wall time of whole processes: the first synchronization, and another one with nothing changed."""

    first_seconds: float
    second_seconds: float


def mbsync_version() -> str:
    """Return mbsync's own name and version, or say that it is missing."""
    if MBSYNC is None:
        return "mbsync is not installed"
    return subprocess.run([MBSYNC, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]


def mbsync(account: DovecotAccount, form: MbsyncForm, directory: Path, *, messages: int) -> PeerRun:
    """Pull INBOX into a new Maildir below *directory* (which must be new), twice.

    Raises RuntimeError when mbsync fails, or leaves another number of messages than *messages*: a run that did less
    work has no time worth comparing.
    """
    if MBSYNC is None:
        raise RuntimeError("mbsync is not installed")
    directory.mkdir()
    config = directory / "mbsyncrc"
    config.write_text(_config(account, form, directory))
    command = [MBSYNC, "-q", "-c", str(config), "bench"]
    times: list[float] = []
    for _ in range(2):
        if times:
            time.sleep(SETTLE_SECONDS)
        started = time.perf_counter()
        ended = subprocess.run(command, capture_output=True, text=True)
        times.append(time.perf_counter() - started)
        if ended.returncode:
            raise RuntimeError(f"mbsync failed: {ended.stderr[-500:]}")
    here = sum(1 for part in ("cur", "new") for _ in (directory / "INBOX" / part).iterdir())
    if here != messages:
        raise RuntimeError(f"mbsync brought {here} messages of {messages}")
    return PeerRun(first_seconds=times[0], second_seconds=times[1])


def _config(account: DovecotAccount, form: MbsyncForm, directory: Path) -> str:
    compress = "" if form.compress else "DisableExtension COMPRESS=DEFLATE\n"
    return f"""FSync {"yes" if form.fsync else "no"}

IMAPAccount server
Host {account.host}
Port {account.port}
User {account.user}
Pass {account.password}
SSLType None
AuthMechs LOGIN
{compress}
IMAPStore far
Account server

MaildirStore near
Path {directory}/
Inbox {directory}/INBOX

Channel bench
Far :far:INBOX
Near :near:INBOX
Create Near
Sync Pull
SyncState *
"""
