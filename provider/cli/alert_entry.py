"""``[alerts]`` in ``accounts.toml``: who is told that an account fails, and that it works again.

    [alerts]
    command = "notify-send Mail"               # no shell; facts in MAILDOCK_* variables, as JSON on standard input
    webhook_env = "ALERT_WEBHOOK"              # where the address stands; or webhook = "https://..." itself

An address often holds a secret: then the variable is the better place.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .. import InvalidRequest
from .account_entry import text_in
from .credentials import split_command
from .exits import ExitCode, Trouble

if TYPE_CHECKING:
    from ..manager import AlertHook

__all__ = ["AlertEntry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEntry:
    """The table, as written. Empty: not said."""

    command: str = ""
    webhook: str = ""
    webhook_env: str = ""

    @classmethod
    def of(cls, said: object) -> "AlertEntry":
        """Return what the table *said* says. Raises ValueError."""
        if not isinstance(said, Mapping):
            raise ValueError("alerts is no table")
        unknown = sorted(set(said) - set(cls.__slots__))
        if unknown:
            raise ValueError(f"alerts has an unknown setting, {unknown[0]}")
        if said.get("webhook") and said.get("webhook_env"):
            raise ValueError("alerts has both webhook and webhook_env")
        return cls(**{name: text_in(said, name) for name in cls.__slots__})

    def as_toml(self) -> dict[str, object]:
        """Return what is written: only what was said."""
        return {name: value for name, value in asdict(self).items() if value}

    def hooks(self, command: str | None = None, webhook: str | None = None) -> "tuple[AlertHook, ...]":
        """Return who is told; *command* and *webhook* take the place of what the file says. Raises Trouble."""
        from ..manager import CommandHook, WebHook

        made: list[AlertHook] = []
        if words := self.command if command is None else command:
            made.append(CommandHook(split_command(words, "the alert command")))
        if url := self._address() if webhook is None else webhook:
            from .. import HttpClient

            try:
                made.append(WebHook(HttpClient.checked(url), HttpClient().post_json))
            except InvalidRequest:
                text = "The webhook of alerts is no address with https, or with http on this machine."
                raise Trouble(text, ExitCode.USAGE) from None
        return tuple(made)

    def _address(self) -> str:
        if not self.webhook_env:
            return self.webhook
        address = os.environ.get(self.webhook_env, "")
        if not address:
            text = f"The variable {self.webhook_env}, which holds the webhook of alerts, is not set."
            raise Trouble(text, ExitCode.USAGE)
        return address
