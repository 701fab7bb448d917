"""Who is told that an account's synchronization fails, and that it works again: a program, a web address, a host's own.

Rules: a program is run without a shell and hears the facts by its environment and standard input; both have a bounded
time. What a server wrote (a folder's name, an error's text) is in the JSON alone, escaped; the environment holds words
of ours and the account's name. Neither hears a secret: a program gets the few variables that any program needs and
none of the others, among which a password may be.
"""

import json
import logging
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Protocol

from ...backoff import Backoff
from ...clock import Clock, SystemClock
from ...errors import InvalidRequest, ProviderError
from ...failure import frames_of

if TYPE_CHECKING:
    from store import Alert, MailStore

__all__ = ["AlertHook", "AlertTeller", "CommandHook", "HookFailed", "Post", "WebHook", "alert_facts", "alert_text"]

log = logging.getLogger(__name__)

HOOK_SECONDS = 30.0
TRIES_MAX = 10
_AGAIN = Backoff(first_seconds=60.0, last_seconds=3_600.0)
_PASSED_ON = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "SYSTEMROOT"),
        *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
    }
)
"""Variables of ours that a program hears, beside ``LC_*``: enough for notify-send, mail or curl."""


class HookFailed(Exception):
    """A hook could not be told; ``str`` is one sentence without a secret."""


class AlertHook(Protocol):
    """Somebody who is told. Called on a thread of the manager, for one alert at a time; may raise anything."""

    @property
    def name(self) -> str:
        """One word: under it the store remembers what this hook was told."""
        ...

    def tell(self, alert: "Alert", /) -> None:
        """Tell of the beginning of *alert*, or of its end once ``cleared_at`` is set. Raises HookFailed."""
        ...


class _Answer(Protocol):
    @property
    def status(self) -> int: ...


class Post(Protocol):
    """Posts JSON to a web address: ``provider.HttpClient().post_json``. Raises ProviderError."""

    def __call__(self, url: str, body: bytes, *, seconds: float) -> _Answer: ...


def alert_text(alert: "Alert") -> str:
    """Return one sentence about *alert*, of our own words and the account's name."""
    what = "Synchronization" if alert.item == "account" else "Sending"
    if alert.cleared_at is None:
        return f"{what} of {alert.account} fails since {alert.raised_at:%Y-%m-%d %H:%M} UTC: {alert.kind}."
    return f"{what} of {alert.account} works again."


def alert_facts(alert: "Alert") -> dict[str, object]:
    """Return *alert* as plain JSON values. ``message`` and ``folder`` may hold what a server wrote."""
    return {
        "type": "alert",
        "state": "raised" if alert.cleared_at is None else "cleared",
        "text": alert_text(alert),
        "account": alert.account,
        "item": alert.item,
        "kind": alert.kind,
        "folder": alert.folder,
        "message": alert.text,
        "run": alert.run,
        "raised": alert.raised_at.isoformat(),
        "cleared": None if alert.cleared_at is None else alert.cleared_at.isoformat(),
    }


@dataclass(frozen=True, slots=True)
class CommandHook:
    """Runs a program: ``MAILDOCK_ALERT`` is raised or cleared, the JSON of ``alert_facts`` comes on standard input."""

    command: tuple[str, ...] = field(repr=False)
    seconds: float = HOOK_SECONDS
    name: str = "command"

    def tell(self, alert: "Alert", /) -> None:
        """Run it to its end, or kill it and what it started. Raises HookFailed."""
        program = os.path.basename(self.command[0])
        try:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(os.environ, alert),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            told = error.strerror if isinstance(error, OSError) else "its words are none"
            raise HookFailed(f"The alert command ({program}) cannot be run: {told}.") from None
        try:
            process.communicate(json.dumps(alert_facts(alert)).encode("ascii"), timeout=self.seconds)
        except subprocess.TimeoutExpired:
            raise HookFailed(f"The alert command ({program}) did not end within {self.seconds:g} seconds.") from None
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode != 0:
            raise HookFailed(f"The alert command ({program}) failed with status {process.returncode}.")


@dataclass(frozen=True, slots=True)
class WebHook:
    """Posts the JSON of ``alert_facts``; its ``text`` is what chat systems show. The address may hold a secret."""

    url: str = field(repr=False)
    post: Post = field(repr=False)
    seconds: float = HOOK_SECONDS
    name: str = "webhook"

    def tell(self, alert: "Alert", /) -> None:
        """Post it; anything but 2xx is a failure, a redirect too. Raises HookFailed."""
        try:
            answer = self.post(self.url, json.dumps(alert_facts(alert)).encode("ascii"), seconds=self.seconds)
        except ProviderError as error:
            raise HookFailed(f"The webhook cannot be reached ({error.kind.value}).") from None
        if not 200 <= answer.status < 300:
            raise HookFailed(f"The webhook answered with {answer.status}.")


class AlertTeller:
    """Tells *hooks* what they have not heard yet. Several at once, of any process, tell each edge once.

    A hook that fails is tried again after a minute, then less often, ten times. Who is killed while telling leaves it
    to the next, so that in this one case a hook may hear an edge twice. Raises InvalidRequest when a name is no word,
    or two hooks have one.
    """

    def __init__(
        self,
        store: "MailStore",
        hooks: Sequence[AlertHook],
        *,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self._store = store
        self._hooks = {hook.name: hook for hook in hooks}
        if len(self._hooks) < len(hooks) or any(name.split() != [name] for name in self._hooks):
            raise InvalidRequest("Each alert hook has a name of one word, and no two have the same.")
        self._clock = clock if clock is not None else SystemClock()
        self._random = random if random is not None else Random()

    @property
    def due(self) -> bool:
        """True when somebody is to be told. Raises StoreError."""
        return bool(self._hooks) and self._store.alerts.any_to_tell(self._clock.now(), self._hooks)

    def tell(self) -> int:
        """Tell what is due now, and return how often somebody heard of something. Raises StoreError."""
        heard = 0
        # Longer than all hooks take, so that nobody else tells the same meanwhile.
        seconds = sum(getattr(hook, "seconds", HOOK_SECONDS) for hook in self._hooks.values()) + 30
        while claimed := self._store.alerts.claim(self._clock.now(), self._hooks, seconds=seconds):
            alert, names = claimed
            done = {name for name in sorted(names) if self._told(self._hooks[name], alert)}
            heard += len(done)
            again = None
            if done != names and alert.tries + 1 < TRIES_MAX:
                again = self._clock.now() + timedelta(seconds=_AGAIN.delay(alert.tries + 1, self._random))
            self._store.alerts.told(alert, done, again_at=again, failed=done != names)
        return heard

    def _told(self, hook: AlertHook, alert: "Alert") -> bool:
        try:
            hook.tell(alert)
        except HookFailed as error:
            log.warning("Nobody could be told of an alert: %s", error)
        except Exception as error:  # a host's own: it costs this hook what it would have heard, and nothing else
            log.error("An alert hook raised %s.\n%s", type(error).__name__, frames_of(error))
        else:
            return True
        return False


def _environment(ours: Mapping[str, str], alert: "Alert") -> dict[str, str]:
    passed = {name: value for name, value in ours.items() if name in _PASSED_ON or name.startswith("LC_")}
    return passed | {
        "MAILDOCK_ALERT": "raised" if alert.cleared_at is None else "cleared",
        "MAILDOCK_ACCOUNT": alert.account,
        "MAILDOCK_ITEM": alert.item,
        "MAILDOCK_KIND": alert.kind,
        "MAILDOCK_SINCE": alert.raised_at.isoformat(),
        "MAILDOCK_TEXT": alert_text(alert),
    }
