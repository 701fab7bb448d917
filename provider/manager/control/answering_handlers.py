"""What is said on the control socket about handlers: questions, verbs, and the sessions that somebody started."""

import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from ...errors import Closed, InvalidRequest, ProtocolBroken
from .handler_desk import VERBS
from .wire import Lines, integer_in, text_in, texts_in

if TYPE_CHECKING:
    from .handler_desk import LocalHandlers, LocalRun

__all__ = ["HANDLER_QUESTIONS", "HearingSessions", "answered", "started"]

HANDLER_QUESTIONS = ("handlers", "handler", "policy")
ALIVE_SECONDS = 10.0
READ_OCTETS = 1 << 16


def answered(desk: "LocalHandlers | None", asked: dict[str, object]) -> dict[str, object]:
    """Answer one of ``HANDLER_QUESTIONS``. Raises what the verb raises; Closed where no handlers are governed."""
    here = _here(desk)
    if asked.get("ask") == "handlers":
        return {"type": "handlers", "handlers": here.handlers()}
    handler, items = _named(asked)
    if asked.get("ask") == "policy":
        if handler is None:
            raise InvalidRequest("A policy is about a handler, or an item of it.")
        here.set_policy(handler, integer_in(asked, "mask"), text_in(asked, "reason") or "", text_in(asked, "item"))
    else:
        verb = text_in(asked, "verb")
        if verb not in VERBS:
            raise InvalidRequest("This daemon does not know the verb.")
        here.tell(verb, handler, items)
    return {"type": "answer", "found": True}


def started(desk: "LocalHandlers | None", asked: dict[str, object]) -> "LocalRun":
    """Start what is asked for, without a question to anybody. Raises what ``SyncCenter.sync`` raises, and Closed."""
    handler, items = _named(asked)
    return _here(desk).start(handler, items, no_ui=True)


class HearingSessions:
    """Tells one client how sessions end, and cancels them when it says so. One that leaves lets them go on."""

    def __init__(
        self, client: socket.socket, lines: Lines, run: "LocalRun", send: Callable[[dict[str, object]], None]
    ) -> None:
        self._client, self._lines, self._run, self._send = client, lines, run, send
        self._woken, self._waking = socket.socketpair()
        self._waking.setblocking(False)
        self._cancelled = self._ending = False

    def end(self) -> None:
        """Cancel: this process is about to end. Its client hears that, and not that somebody cancelled."""
        self._ending = True
        self._run.cancel()

    def __call__(self) -> None:
        """Tell the end, or return when the client leaves. Raises OSError, ProtocolBroken."""
        self._run.listen(self._wake)
        with selectors.DefaultSelector() as selector, self._woken, self._waking:
            for watched in (self._client, self._woken):
                selector.register(watched, selectors.EVENT_READ)
            self._send({"type": "started"})
            while not self._run.done:
                ready = [key.fileobj for key, _ in selector.select(ALIVE_SECONDS)]
                if self._woken in ready:
                    self._woken.recv(READ_OCTETS)
                if self._client in ready and not self._listen():
                    return
                if not ready:
                    self._send({"type": "alive"})
            if self._ending and not self._cancelled:
                self._send({"type": "closing"})
            else:
                self._send({"type": "sessions", "sessions": self._run.wait()})

    def _wake(self) -> None:
        with suppress(OSError):  # full: it is awake anyway; closed: nobody listens any more
            self._waking.send(b"!")

    def _listen(self) -> bool:
        """Do what the client says. False: it left."""
        octets = self._client.recv(READ_OCTETS)
        for said in self._lines.feed(octets):
            if said.get("say") != "cancel":
                raise ProtocolBroken("This daemon does not know what was said.")
            self._cancelled = True
            self._run.cancel()
        return bool(octets)


def _here(desk: "LocalHandlers | None") -> "LocalHandlers":
    if desk is None:
        raise Closed("Handlers are not governed by this daemon.")
    return desk


def _named(asked: dict[str, object]) -> tuple[str | None, tuple[str, ...]]:
    return text_in(asked, "handler"), texts_in(asked.get("items") or [])
