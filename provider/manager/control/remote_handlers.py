"""The handlers of a daemon, by its control socket (``handler_desk.HandlerDesk``)."""

import socket
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from ...errors import ProviderError
from .client import asked
from .handler_desk import Facts
from .remote import SILENCE_SECONDS, DaemonGone
from .wire import Lines, encoded

if TYPE_CHECKING:
    from .client import RemoteDesk

__all__ = ["RemoteHandlers"]

READ_OCTETS = 1 << 16


class RemoteHandlers:
    """A ``HandlerDesk`` behind the socket of *desk*. Every method raises DaemonGone, and what the daemon refused."""

    def __init__(self, desk: "RemoteDesk") -> None:
        self._desk = desk

    def handlers(self) -> list[Facts]:
        """Ask all handlers what they are and have, and return ``handler_facts`` of each, hidden ones too."""
        return _facts(self._desk.ask("handlers")["handlers"])

    def tell(self, verb: str, handler: str | None = None, items: Sequence[str] = ()) -> None:
        """Do one of ``VERBS``: to a handler, or to these items; without a handler (refresh, stop) to all."""
        self._desk.ask("handler", verb=verb, handler=handler, items=list(items))

    def set_policy(self, handler: str, mask: int, reason: str = "", item: str | None = None) -> None:
        """Refuse people something, as ``SyncCenter.set_policy``."""
        self._desk.ask("policy", handler=handler, mask=mask, reason=reason, item=item)

    def start(self, handler: str | None = None, items: Sequence[str] = (), *, no_ui: bool = False) -> "RemoteRun":
        """Synchronize all, a handler, or these items of it; nobody can be asked anything there."""
        with self._desk.connected() as (connection, lines):
            _, rest = asked(connection, lines, {"ask": "start-handlers", "handler": handler, "items": list(items)})
            return RemoteRun(connection.dup(), lines, rest)


class RemoteRun:
    """Sessions on their way in the daemon. Dropped, or with its process gone, they go on."""

    def __init__(self, connection: socket.socket, lines: Lines, came: list[Facts]) -> None:
        self._connection, self._lines, self._came = connection, lines, came

    def wait(self) -> list[Facts]:
        """Return how each session ended, when all have. Raises DaemonGone."""
        try:
            self._connection.settimeout(SILENCE_SECONDS)
            while True:
                for line in self._came:
                    if line.get("type") == "sessions":
                        with closing(self._connection):
                            return _facts(line["sessions"])
                    if line.get("type") == "closing":
                        raise DaemonGone("The daemon ended.")
                octets = self._connection.recv(READ_OCTETS)
                if not octets:
                    raise DaemonGone("The daemon ended, or does not answer any more.")
                self._came = list(self._lines.feed(octets))
        except (OSError, KeyError, ProviderError) as error:
            self._connection.close()
            if isinstance(error, DaemonGone):
                raise
            raise DaemonGone("The daemon ended, or does not answer any more.") from error

    def cancel(self) -> None:
        """Ask all of them to stop."""
        with suppress(OSError):  # it is gone: who waits hears of that
            self._connection.sendall(encoded({"say": "cancel"}))


def _facts(value: object) -> list[Facts]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise DaemonGone("The daemon's answer makes no sense.")
    return value
