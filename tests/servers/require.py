"""What to do when a real server is missing: fail where it must be there (CI), else skip loudly.

Room: tests/servers.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from .desktop_bus import HAS_DESKTOP_BUS
from .dovecot import DOVECOT
from .dovecot_socketpair import IMAP_BINARY
from .exim import EXIM
from .keyring_daemon import PROGRAMS

__all__ = [
    "require_chromium",
    "require_desktop_bus",
    "require_dovecot",
    "require_dovecot_socketpair",
    "require_exim",
    "require_keyring",
    "require_mbsync",
    "require_pymap",
]


def require_dovecot() -> None:
    """Skip, or fail with CI=true, when no Dovecot daemon is installed."""
    _require(DOVECOT is not None, "Dovecot (Debian: dovecot-imapd)")


def require_dovecot_socketpair() -> None:
    """Skip, or fail with CI=true, when Dovecot's imap binary is missing."""
    _require(Path(IMAP_BINARY).exists(), f"Dovecot's session binary {IMAP_BINARY} (Debian: dovecot-imapd)")


def require_mbsync() -> None:
    """Skip, or fail with CI=true, when mbsync is not installed."""
    _require(shutil.which("mbsync") is not None, "mbsync (Debian: isync)")


def require_exim() -> None:
    """Skip, or fail with CI=true, when there is no Exim, no LMTP of Dovecot's, or nobody who may start them."""
    _require(EXIM is not None and os.geteuid() == 0, "Exim (Debian: exim4-daemon-light; as root)")
    _require(Path("/usr/lib/dovecot/lmtp").exists(), "Dovecot's LMTP (Debian: dovecot-lmtpd)")


def require_keyring() -> None:
    """Skip, or fail with CI=true, when there is no GNOME Keyring or no bus for it."""
    _require(all(map(shutil.which, PROGRAMS)), "GNOME Keyring (Debian: gnome-keyring, dbus)")


def require_chromium() -> str:
    """Return the Chromium of this system; skip, or fail with CI=true, when there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    _require(found is not None, "Chromium (Debian: chromium)")
    assert found is not None
    return found


def require_desktop_bus() -> None:
    """Skip, or fail with CI=true, when there is no bus daemon, or nothing to play the desktop's services on it."""
    _require(HAS_DESKTOP_BUS, "python-dbusmock for the system's Python (Debian: python3-dbusmock, dbus)")


def require_pymap() -> None:
    """Skip, or fail with CI=true, when pymap is not importable."""
    _require(importlib.util.find_spec("pymap") is not None, "pymap (PyPI)")


def _require(present: bool, what: str) -> None:
    if present:
        return
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{what} is missing, and CI must have it", pytrace=False)
    pytest.skip(f"NOT TESTED against {what}: it is not installed here")
