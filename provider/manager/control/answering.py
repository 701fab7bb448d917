"""What is said on one connection of the control socket: a question, its answer, or the events of a run.

``Answering`` is called on a thread of its own for each client. A run's events wait in a backlog that merges them, so
that a client that reads slowly hears less and holds up nobody.
"""

import logging
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from store import StoreError
from store.mail import AccountId

from ...clock import Clock
from ...entry import store_failure
from ...errors import ErrorKind, InvalidRequest, ProtocolBroken, ProviderError, TimedOut, WrongProtocol
from ...events import ResultStatus, SyncResult, as_json
from ...failure import frames_of
from ..surroundings.online import LinkState
from .answering_handlers import HANDLER_QUESTIONS, HearingSessions, answered, started
from .wire import (
    PROTOCOL,
    REQUEST_OCTETS_MAX,
    Lines,
    encoded,
    integer_in,
    refusal,
    request_of,
    text_in,
    underway_facts,
)

if TYPE_CHECKING:
    from .desk import Desk, DeskHandle
    from .handler_desk import LocalHandlers

__all__ = ["Answering"]

log = logging.getLogger(__name__)

ASK_SECONDS = 10.0
"""For the whole question."""
SEND_SECONDS = 60.0
"""For a client that does not read."""
ALIVE_SECONDS = 10.0
SPACE_SECONDS = 0.05
"""Between two lots of events, as for a callback."""
READ_OCTETS = 1 << 16


class Answering:
    """Answers clients for *desk*, each on the thread that calls it. ``close`` lets those end who hear a run."""

    def __init__(
        self, desk: "Desk", *, refresh: Callable[[], None], clock: Clock, handlers: "LocalHandlers | None" = None
    ) -> None:
        self._desk = desk
        self._handlers = handlers
        self._refresh = refresh
        self._clock = clock
        self._lock = threading.Lock()
        self._hearing: set[_Hearing | HearingSessions] = set()
        self._closing = False

    def __call__(self, client: socket.socket) -> None:
        """Answer the question of *client*. Whatever it does, this returns."""
        try:
            lines = Lines(REQUEST_OCTETS_MAX)
            try:
                asked = self._question(client, lines)
                if asked is None:
                    return
                if asked.get("maildock") != PROTOCOL:
                    raise WrongProtocol(
                        f"The daemon speaks version {PROTOCOL} of the control protocol, and nothing else."
                    )
                if asked.get("ask") == "start":
                    self._run(client, lines, asked)
                elif asked.get("ask") == "start-handlers":
                    self._run_handlers(client, lines, asked)
                else:
                    client.settimeout(SEND_SECONDS)
                    client.sendall(encoded(self._answer(asked)))
            except (ProviderError, StoreError) as error:
                client.settimeout(SEND_SECONDS)
                client.sendall(encoded(refusal(_of_ours(error))))
        except OSError as error:
            log.info("A client of the control socket left (%s).", type(error).__name__)
        except Exception as error:  # one client's trouble is not the others'
            log.error("A client of the control socket met %s.\n%s", type(error).__name__, frames_of(error))

    def close(self) -> None:
        """Cancel the runs that clients hear; each is told, and nothing new is begun."""
        with self._lock:
            self._closing = True
            hearing = list(self._hearing)
        for one in hearing:
            one.end()

    def _question(self, client: socket.socket, lines: Lines) -> dict[str, object] | None:
        """Return what is asked; None: nothing, and the client left. Raises TimedOut, and what ``Lines`` raises."""
        deadline = self._clock.monotonic() + ASK_SECONDS
        while (rest := deadline - self._clock.monotonic()) > 0:
            client.settimeout(rest)
            try:
                octets = client.recv(READ_OCTETS)
            except TimeoutError:
                break
            if not octets:
                return None
            for plain in lines.feed(octets):
                return plain
        raise TimedOut("The question did not come in time.")

    def _answer(self, asked: dict[str, object]) -> dict[str, object]:
        if asked.get("ask") in HANDLER_QUESTIONS:
            self._refresh()
            return answered(self._handlers, asked)
        run_id = integer_in(asked, "run_id") if asked.get("run_id") is not None else None
        match asked.get("ask"):
            case "running":
                return {"type": "running", "runs": [underway_facts(one) for one in self._desk.running()]}
            case "link":
                return {"type": "link", "state": self._desk.link().name}
            case "set-link":
                state = text_in(asked, "state")
                if state is None or state not in LinkState.__members__:
                    raise InvalidRequest("One works ONLINE or OFFLINE.")
                self._desk.set_link(LinkState[state])
                return {"type": "link", "state": self._desk.link().name}
            case "cancel":
                found = self._desk.cancel(integer_in(asked, "run_id"))
            case "cancel-item":
                found = self._desk.cancel_item(integer_in(asked, "run_id"), *_item(asked), outbox=_outbox(asked))
            case "pause":
                found = self._desk.pause(run_id)
            case "resume":
                found = self._desk.resume(run_id)
            case _:
                raise InvalidRequest("This daemon does not know the question.")
        return {"type": "answer", "found": found}

    def _run(self, client: socket.socket, lines: Lines, asked: dict[str, object]) -> None:
        self._refresh()
        group = text_in(asked, "group")
        send, receive = asked.get("send") is True, asked.get("receive") is True
        with self._lock:
            if self._closing:
                return
            handle = self._desk.start(request_of(asked.get("request")), send=send, receive=receive, group=group)
            hearing = _Hearing(client, lines, handle, self._clock)
            self._hearing.add(hearing)
        self._hear(hearing)

    def _run_handlers(self, client: socket.socket, lines: Lines, asked: dict[str, object]) -> None:
        self._refresh()
        run = started(self._handlers, asked)  # a handler may take its time to say what it has: not within the lock
        with self._lock:
            hearing = HearingSessions(client, lines, run, partial(_send, client))
            self._hearing.add(hearing)
            closing = self._closing
        if closing:
            hearing.end()
        self._hear(hearing)

    def _hear(self, hearing: "_Hearing | HearingSessions") -> None:
        try:
            hearing()
        finally:
            with self._lock:
                self._hearing.discard(hearing)


class _Hearing:
    """Tells one client the events of one run, and does what it says meanwhile."""

    def __init__(self, client: socket.socket, lines: Lines, handle: "DeskHandle", clock: Clock) -> None:
        self._client = client
        self._lines = lines
        self._handle = handle
        self._clock = clock
        self._woken, self._waking = socket.socketpair()
        self._waking.setblocking(False)
        self._cancelled = self._ending = False

    def end(self) -> None:
        """Cancel: this process is about to end. Its client hears that, and not that somebody cancelled."""
        self._ending = True
        self._handle.cancel()

    def __call__(self) -> None:
        """Tell everything up to the end, or until the client leaves. Raises OSError, ProtocolBroken, InvalidRequest."""
        backlog = self._handle.listen(self._wake)
        selector = selectors.DefaultSelector()
        for watched in (self._client, self._woken):
            selector.register(watched, selectors.EVENT_READ)
        try:
            self._send({"type": "started", "run_id": self._handle.run_id})
            slot = heard = self._clock.monotonic()
            waits = True
            while True:
                now = self._clock.monotonic()
                if waits and now >= slot:
                    waits = False
                    while (event := backlog.pop()) is not None:
                        if isinstance(event, SyncResult):
                            self._last(event)
                            return
                        self._send(as_json(event))
                    slot, heard = self._clock.monotonic() + SPACE_SECONDS, now
                elif now - heard >= ALIVE_SECONDS:
                    heard = now
                    self._send({"type": "alive"})
                until = slot if waits else heard + ALIVE_SECONDS
                ready = [key.fileobj for key, _ in selector.select(max(0.0, until - self._clock.monotonic()))]
                if self._woken in ready:
                    self._woken.recv(READ_OCTETS)
                    waits = True
                if self._client in ready and not self._listen():
                    return
        finally:
            self._handle.leave(backlog)
            for one in (selector, self._woken, self._waking):
                one.close()

    def _wake(self) -> None:
        with suppress(OSError):  # full: it will be heard anyway; closed: nobody listens any more
            self._waking.send(b"!")

    def _last(self, result: SyncResult) -> None:
        ours = self._ending and not self._cancelled and result.status is ResultStatus.CANCELED
        self._send({"type": "closing"} if ours else as_json(result))

    def _send(self, plain: dict[str, object]) -> None:
        _send(self._client, plain)

    def _listen(self) -> bool:
        """Do what the client says. False: it left."""
        octets = self._client.recv(READ_OCTETS)
        for said in self._lines.feed(octets):
            match said.get("say"):
                case "cancel":
                    self._cancelled = True
                    self._handle.cancel()
                case "cancel-item":
                    self._handle.cancel_item(*_item(said), outbox=_outbox(said))
                case "pause":
                    self._handle.pause()
                case "resume":
                    self._handle.resume()
                case _:
                    raise ProtocolBroken("This daemon does not know what was said.")
        return bool(octets)


def _send(client: socket.socket, plain: dict[str, object]) -> None:
    client.settimeout(SEND_SECONDS)
    client.sendall(encoded(plain))


def _item(plain: dict[str, object]) -> tuple[AccountId, str | None]:
    account = text_in(plain, "account")
    if account is None:
        raise InvalidRequest("An item is of an account.")
    return AccountId(account), text_in(plain, "folder")


def _outbox(plain: dict[str, object]) -> bool:
    return plain.get("outbox") is True


def _of_ours(error: ProviderError | StoreError) -> ProviderError:
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, LookupError):  # a group
        return ProviderError(str(error), kind=ErrorKind.UNKNOWN_ITEM)
    return store_failure(error) or ProviderError(str(error))
