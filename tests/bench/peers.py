"""Other people's programs on the same mailboxes, each as it is meant to be used: mbsync in its forms, OfflineIMAP.

Room: tests/bench. A run is a whole process. What it left on disk is counted: one that did less work has no time worth
comparing. A program that is not installed is said to be missing, never guessed.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .mailserver import Address

__all__ = [
    "AS_INSTALLED",
    "LIKE_FOR_LIKE",
    "MBSYNC",
    "MBSYNC_FORMS",
    "OFFLINEIMAP",
    "Mbsync",
    "MbsyncForm",
    "OfflineImap",
    "Peer",
    "maildir_messages",
    "peer_versions",
]

SETTLE_SECONDS = 2.0
"""mbsync waits when a Maildir was changed within the last second; that wait is none of its work."""

MBSYNC = shutil.which("mbsync")
OFFLINEIMAP = shutil.which("offlineimap")


class Peer(Protocol):
    """A program with a place of its own on disk."""

    def pull(self, address: Address, *, messages: int) -> float:
        """Synchronize once and return the wall seconds of the process.

        Raises RuntimeError when it fails, or has another number of messages than *messages* afterwards.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MbsyncForm:
    """One way to set mbsync up. *dear*: takes so long on a large mailbox that one run has to do."""

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


class Mbsync:
    """mbsync with a Maildir below *directory* (made here); INBOX alone, or *all_folders*."""

    def __init__(self, form: MbsyncForm, directory: Path, *, all_folders: bool = False) -> None:
        if MBSYNC is None:
            raise RuntimeError("mbsync is not installed")
        self._form, self._directory, self._all_folders = form, directory, all_folders
        self._ended = 0.0
        directory.mkdir()

    def pull(self, address: Address, *, messages: int) -> float:
        time.sleep(max(0.0, self._ended + SETTLE_SECONDS - time.monotonic()))
        config = self._directory / "mbsyncrc"
        config.write_text(mbsync_config(address, self._form, self._directory, all_folders=self._all_folders))
        seconds = _timed([str(MBSYNC), "-q", "-c", str(config), "bench"])
        self._ended = time.monotonic()
        _check("mbsync", self._directory, messages)
        return seconds


class OfflineImap:
    """OfflineIMAP with a Maildir below *directory* (made here); INBOX alone, or *all_folders*."""

    def __init__(self, directory: Path, *, all_folders: bool = False) -> None:
        if OFFLINEIMAP is None:
            raise RuntimeError("OfflineIMAP is not installed")
        self._directory, self._all_folders = directory, all_folders
        directory.mkdir()

    def pull(self, address: Address, *, messages: int) -> float:
        config = self._directory / "offlineimaprc"
        config.write_text(offlineimap_config(address, self._directory, all_folders=self._all_folders))
        seconds = _timed([str(OFFLINEIMAP), "-o", "-u", "quiet", "-c", str(config)])
        _check("OfflineIMAP", self._directory, messages)
        return seconds


def peer_versions() -> str:
    """Return the peers' own names and versions, or say that they are missing."""
    mbsync, offlineimap = "mbsync is not installed", "OfflineIMAP is not installed"
    if MBSYNC is not None:
        mbsync = subprocess.run([MBSYNC, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    if OFFLINEIMAP is not None:
        told = subprocess.run([OFFLINEIMAP, "--version"], capture_output=True, text=True, check=True).stdout
        offlineimap = f"OfflineIMAP {told.strip()}"
    return f"{mbsync}, {offlineimap}"


def maildir_messages(directory: Path) -> int:
    """Return how many messages all Maildirs below *directory* hold."""
    return sum(1 for part in ("cur", "new") for path in directory.rglob(part) if path.is_dir() for _ in path.iterdir())


def _check(name: str, directory: Path, messages: int) -> None:
    here = maildir_messages(directory)
    if here != messages:
        raise RuntimeError(f"{name} has {here} messages of {messages}")


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if ended.returncode:
        raise RuntimeError(f"{command[0]} failed: {(ended.stderr or ended.stdout)[-500:]}")
    return seconds


def mbsync_config(address: Address, form: MbsyncForm, directory: Path, *, all_folders: bool) -> str:
    """Return an mbsyncrc that mirrors the server, removals included."""
    compress = "" if form.compress else "DisableExtension COMPRESS=DEFLATE\n"
    # An empty line ends a section of this file.
    inbox, patterns = ("", "Patterns *\n") if all_folders else ("INBOX", "")
    return f"""FSync {"yes" if form.fsync else "no"}

IMAPAccount server
Host {address.host}
Port {address.port}
User {address.user}
Pass {address.password}
SSLType None
AuthMechs LOGIN
{compress}
IMAPStore far
Account server

MaildirStore near
Path {directory}/
Inbox {directory}/INBOX
SubFolders Verbatim

Channel bench
Far :far:{inbox}
Near :near:{inbox}
{patterns}Create Near
Expunge Near
Sync Pull
SyncState *
"""


def offlineimap_config(address: Address, directory: Path, *, all_folders: bool) -> str:
    """Return an offlineimaprc that mirrors the server and changes nothing there; everything else as installed."""
    chosen = "" if all_folders else "folderfilter = lambda name: name == 'INBOX'"
    return f"""[general]
accounts = bench
metadata = {directory}/metadata
ui = quiet

[Account bench]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {directory}/mail

[Repository far]
type = IMAP
remotehost = {address.host}
remoteport = {address.port}
remoteuser = {address.user}
remotepass = {address.password}
ssl = no
starttls = no
auth_mechanisms = LOGIN
readonly = True
{chosen}
"""
