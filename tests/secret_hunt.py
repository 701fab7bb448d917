"""The hunt for secrets: what a test tells a supplier may be read nowhere but on the wire.

Room: tests. Always on (a fixture of `tests/conftest.py`). Rules: every value that holds secrets (a `Credential`,
tokens, a sign-in) and is made during a test teaches the hunt what it holds, beside those of the fixtures; whatever is
logged (every logger, DEBUG, with tracebacks), told as an event, raised as an error of ours, or shown as the repr of an
account, request, handle or provider is kept, and searched at the end for each secret in every spelling, together with
the files of the stores.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, quote_plus

import pytest

from provider import account, entry, errors, events, handle, request
from provider.access import device, oauth, tokens
from store import errors as store_errors

__all__ = ["FIXTURE_SECRETS", "Leak", "SecretHunt", "spellings"]

FIXTURE_SECRETS = ("correct horse", "pass: word", "pass word")
"""Passwords of the servers in `tests/servers` and `tests/conftest.py` (or their beginnings)."""
TEXTS_AT_ONCE = 2_000
SECRET_CHARACTERS_MIN = 9
"""Shorter ones are words that texts may contain by themselves."""

_SERVERS = frozenset({"pymap", "mail"})
"""Loggers of servers that run in the test's own process: they may tell what was sent to them. (mail: aiosmtpd.)"""
_SECRET_VALUES: dict[type, tuple[str, ...]] = {
    account.Credential: ("secret",),
    account.Password: ("secret",),
    oauth.OAuthClient: ("client_secret",),
    oauth.Authorization: ("state", "verifier"),
    oauth.Grant: ("access_token", "refresh_token"),
    tokens.Tokens: ("access_token", "refresh_token", "refresh_token_before"),
    device.DeviceCode: ("device_code",),
}
"""What holds secrets, and in which attributes."""
_SHOWN_VALUES = (
    *(account.Account, request.SyncRequest, handle.SyncHandle, entry.MailStoreProvider),
    *(events.SyncProgress, events.SyncError, events.SyncResult),
    *(errors.ProviderError, store_errors.StoreError),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A secret, where it was found, and in which spelling."""

    secret: str
    place: str
    spelling: str


def spellings(secret: str) -> dict[str, str]:
    """Return how *secret* may be written: by name of the spelling.

    Base64 is cut to whole groups and made at each of the three offsets, so that it is found within a longer text:
    ``\\0user\\0password`` of PLAIN, and the blobs of XOAUTH2 and OAUTHBEARER.
    """
    octets = secret.encode("utf-8", "surrogatepass")
    written = {
        "plain": secret,
        "reversed": secret[::-1],
        "url": quote(octets, safe=""),
        "form": quote_plus(octets, safe=""),
        "repr": repr(secret)[1:-1],
        "json": json.dumps(secret)[1:-1],
        "quoted": secret.replace("\\", "\\\\").replace('"', '\\"'),
        "hex": octets.hex(),
        "octets in hex": octets.hex(" "),
    }
    for offset in range(3):
        whole = (offset + len(octets)) // 3 * 4
        first = -(-offset * 4 // 3) if offset else 0  # the first group that shares no bits with what stands before
        text = base64.b64encode(b"\0" * offset + octets).decode()[first:whole]
        written[f"base64 at {offset}"] = text
        written[f"base64url at {offset}"] = text.replace("+", "-").replace("/", "_")
    return written


class SecretHunt:
    """Collects while inside; `leaks()` says what was found."""

    def __init__(self, secrets: Iterable[str] = FIXTURE_SECRETS) -> None:
        self.secrets: dict[str, None] = dict.fromkeys(secrets)
        self._texts: list[tuple[str, str]] = []
        self._files: list[Path] = []
        self._running = ExitStack()

    def __enter__(self) -> SecretHunt:
        patch = self._running.enter_context(pytest.MonkeyPatch.context())
        for kind in _SECRET_VALUES:
            patch.setattr(kind, "__init__", _then(kind.__init__, self._learn))
        for kind in _SHOWN_VALUES:
            patch.setattr(kind, "__init__", _then(kind.__init__, self._show))
        root, ear = logging.getLogger(), _Ear(self._texts)
        level = root.level
        for handler in root.handlers:  # those of pytest go on to hear what they would have heard without the hunt
            self._running.callback(handler.setLevel, handler.level)
            handler.setLevel(max(handler.level, level))
        root.addHandler(ear)
        root.setLevel(logging.DEBUG)
        self._running.callback(root.setLevel, level)
        self._running.callback(root.removeHandler, ear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def learn(self, secret: str) -> None:
        """Look for this one too; one that begins as one of the fixtures' does is found by its beginning."""
        if len(secret) >= SECRET_CHARACTERS_MIN and not secret.startswith(FIXTURE_SECRETS):
            self.secrets[secret] = None

    def look_below(self, directory: Path) -> None:
        """Search the files of every store below *directory*, and the logs, too."""
        for folder, _, names in os.walk(directory):
            files = [Path(folder) / name for name in names if stat.S_ISREG((Path(folder) / name).lstat().st_mode)]
            ours = ("maildock.log", *(file.name for file in files if _is_sqlite(file)))
            self._files += [file for file in files if file.name.startswith(ours)]  # -wal, -shm, .lock; .1

    def take(self) -> list[Leak]:
        """Return what was found so far, and forget it: for tests that plant a secret."""
        found = self.leaks()
        self._texts.clear()
        return found

    def leaks(self) -> list[Leak]:
        """Return every secret that was found, with place and spelling, each once."""
        found: list[Leak] = []
        wanted = [(secret, name, text) for secret in self.secrets for name, text in spellings(secret).items() if text]
        for start in range(0, len(self._texts), TEXTS_AT_ONCE):  # a long campaign has millions of them
            texts = self._texts[start : start + TEXTS_AT_ONCE]
            whole = "\n".join(text for _, text in texts)
            there = [one for one in wanted if one[2] in whole]
            for place, text in texts if there else ():
                found += [Leak(secret=s, place=place, spelling=name) for s, name, spelt in there if spelt in text]
        for file in self._files:
            octets = file.read_bytes()
            found += [
                Leak(secret=s, place=file.name, spelling=name)
                for s, name, spelt in wanted
                if spelt.encode("utf-8", "surrogatepass") in octets
            ]
        return list(dict.fromkeys(found))

    def _learn(self, value: object) -> None:
        for name in _SECRET_VALUES.get(type(value), ()):
            self.learn(getattr(value, name, ""))
        self._texts.append((f"repr of {type(value).__name__}", repr(value)))

    def _show(self, value: object) -> None:
        # Without `server_text` of an error just made: the door empties it when a server echoes. Events show it.
        self._texts.append((type(value).__name__, f"{value!r} {value}"))


class _Ear(logging.Handler):
    """Keeps every record as a log file would have it, its traceback included."""

    def __init__(self, texts: list[tuple[str, str]]) -> None:
        super().__init__(logging.DEBUG)
        self._texts = texts
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] in _SERVERS:
            return
        self._texts.append((f"log of {record.name}", self.format(record)))


def _then(make: Callable[..., None], tell: Callable[[object], None]) -> Callable[..., None]:
    """Return an ``__init__`` that tells of the value it has made."""

    @wraps(make)
    def made(self: object, *arguments: object, **named: object) -> None:
        make(self, *arguments, **named)
        tell(self)

    return made


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(15) == b"SQLite format 3"
