"""The desktop over D-Bus: NetworkManager, UPower and logind feed an ``Environment``. Needs the extra ``dbus``.

    with DesktopWatch(environment):
        ...

A signal is a reason to look, no more: what is true is asked from the services by their names, so that whoever sends us
a signal of their kind costs one look, four a second at most. No service is started by being asked; one that is not
there is not known, and heard of when it comes. A bus that goes is tried again.
"""

import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from jeepney import (
    DBusAddress,
    DBusErrorResponse,
    MatchRule,
    Message,
    MessageFlag,
    Properties,
    message_bus,
    new_method_call,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.wrappers import unwrap_msg

from ...backoff import Backoff
from ...bridge import Bridge
from ...clock import Clock, SystemClock
from .desktop import Look, Snapshot, facts_between, snapshot_of
from .triggers import Fact, Happening

if TYPE_CHECKING:
    from jeepney.fds import FileDescriptor

    from .environment import Environment

__all__ = ["DesktopWatch"]

log = logging.getLogger(__name__)

NETWORK, POWER, LOGIN = "org.freedesktop.NetworkManager", "org.freedesktop.UPower", "org.freedesktop.login1"
_NETWORK = DBusAddress("/org/freedesktop/NetworkManager", NETWORK, NETWORK)
_POWER = DBusAddress("/org/freedesktop/UPower", POWER, POWER)
_BATTERY = DBusAddress("/org/freedesktop/UPower/devices/DisplayDevice", POWER, POWER + ".Device")
_LOGIN = DBusAddress("/org/freedesktop/login1", LOGIN, LOGIN + ".Manager")
_SESSION = DBusAddress("/org/freedesktop/login1/session/auto", LOGIN, LOGIN + ".Session")
_RULES = (
    MatchRule(type="signal", sender=NETWORK, path=_NETWORK.object_path),
    MatchRule(type="signal", sender=POWER, path=_POWER.object_path),
    MatchRule(type="signal", sender=POWER, path=_BATTERY.object_path),
    MatchRule(type="signal", sender=LOGIN, path=_LOGIN.object_path),
    MatchRule(type="signal", sender=LOGIN, path_namespace="/org/freedesktop/login1/session"),
)
ANSWER_SECONDS = 3.0
SETTLE_SECONDS = 0.25
"""Between two looks: what stirs in a storm is one."""
LOOK_SECONDS = 60.0
"""A look without a reason: a signal that was lost is made up for."""
RECONNECT_SECONDS, RECONNECT_SECONDS_MAX = 1.0, 300.0
_FAULTS = (OSError, RuntimeError, KeyError, ValueError, DBusErrorResponse)
"""What a bus that is not there, that goes, or that speaks nonsense raises; TimeoutError is an OSError."""


class DesktopWatch:
    """Tells *environment* what happens on this machine, from a thread of its own. A context manager; thread-safe.

    *bus*: ``SYSTEM``, or the address of another one. *delay*: ask logind to wait, when the machine is about to sleep or
    to be switched off, until the environment's run is over (at most as long as logind lets us, five seconds mostly).
    """

    def __init__(
        self, environment: "Environment", *, bus: str = "SYSTEM", delay: bool = True, clock: Clock | None = None
    ) -> None:
        self._environment = environment
        self._bus = bus
        self._delay = delay
        self._clock = clock if clock is not None else SystemClock()
        self._bridge = Bridge()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._connection: DBusConnection | None = None
        self._inhibitor: FileDescriptor | None = None
        self._seen = Snapshot()
        self._told_fault = False
        self.looks = 0
        """How often the services were asked."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to watch; a bus that is not there is tried again, ever more rarely."""
        self._bridge.spawn("desktop", self._loop)

    def stop(self) -> None:
        """Watch no longer, and hold nobody up. A second time changes nothing."""
        self._stop.set()
        with self._lock:
            if self._connection is not None:
                try:
                    self._connection.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    log.debug("The bus was gone already.")
        self._bridge.join(ANSWER_SECONDS)

    # --- how -----------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        backoff, failures = Backoff(first_seconds=RECONNECT_SECONDS, last_seconds=RECONNECT_SECONDS_MAX), 0
        while not self._stop.is_set():
            looks = self.looks
            try:
                with open_dbus_connection(self._bus, enable_fds=True) as connection:
                    self._watch(connection)
            except _FAULTS as error:
                failures = 1 if self.looks > looks else failures + 1
                if not self._told_fault and not self._stop.is_set():
                    log.info("The desktop's bus does not answer (%s); it is tried again.", type(error).__name__)
                    self._told_fault = True
                self._stop.wait(backoff.longest(failures))
            finally:
                with self._lock:
                    self._connection = None
                self._let_go()
                self._tell(Snapshot(), None)

    def _watch(self, connection: DBusConnection) -> None:
        with self._lock:
            if self._stop.is_set():
                return
            self._connection = connection
        stirred: deque[Message] = deque(maxlen=1)
        with connection.filter(MatchRule(type="signal"), queue=stirred):
            for rule in (*_RULES, *map(_owner_rule, (NETWORK, POWER, LOGIN))):
                self._ask(connection, message_bus.AddMatch(rule))
            while not self._stop.is_set():
                stirred.clear()
                self._look(connection)
                self._told_fault = False
                self._hear(connection, SETTLE_SECONDS, lambda: False)
                self._hear(connection, LOOK_SECONDS, lambda: bool(stirred))

    def _hear(self, connection: DBusConnection, seconds: float, enough: Callable[[], bool]) -> None:
        """Take what comes, for so many *seconds*, or until it is *enough*."""
        until = self._clock.monotonic() + seconds
        while not self._stop.is_set() and not enough() and (left := until - self._clock.monotonic()) > 0:
            try:
                connection.recv_messages(timeout=left)
            except TimeoutError:
                return

    def _look(self, connection: DBusConnection) -> None:
        self.looks += 1
        look = Look(
            network=self._properties(connection, _NETWORK),
            power=self._properties(connection, _POWER),
            battery=self._properties(connection, _BATTERY),
            login=self._properties(connection, _LOGIN),
            session=self._properties(connection, _SESSION),
            sessions=self._sessions(connection),
        )
        now = snapshot_of(look)
        if self._delay and look.login is not None and not now.leaving:
            self._hold_on(connection)
        micros = (look.login or {}).get("InhibitDelayMaxUSec")
        seconds = min(micros / 1e6, 86_400.0) if isinstance(micros, int) and micros > 0 else None
        self._tell(now, seconds)

    def _tell(self, now: Snapshot, deadline_seconds: float | None) -> None:
        for fact in facts_between(self._seen, now, deadline_seconds=deadline_seconds):
            self._environment.tell(self._releasing(fact))
        self._seen = now

    def _releasing(self, fact: Fact) -> Fact:
        if fact.what is not Happening.PENDING_DISCONNECT:
            return fact
        return Fact(what=fact.what, deadline_seconds=fact.deadline_seconds, over=self._let_go)

    def _hold_on(self, connection: DBusConnection) -> None:
        """Take logind's lock that makes it wait for us, once."""
        if self._inhibitor is not None:
            return
        body = ("sleep:shutdown", "maildock", "Mail is sent and synchronized first", "delay")
        answer = self._answer(connection, new_method_call(_LOGIN, "Inhibit", "ssss", body))
        if answer is not None:
            with self._lock:
                self._inhibitor = answer[0]

    def _let_go(self) -> None:
        with self._lock:
            inhibitor, self._inhibitor = self._inhibitor, None
        if inhibitor is not None:
            inhibitor.close()

    def _properties(self, connection: DBusConnection, where: DBusAddress) -> Mapping[str, object] | None:
        answer = self._answer(connection, Properties(where).get_all())
        return None if answer is None else {name: value for name, (_, value) in answer[0].items()}

    def _sessions(self, connection: DBusConnection) -> int | None:
        answer = self._answer(connection, new_method_call(_LOGIN, "ListSessions"))
        return None if answer is None else sum(uid == os.getuid() for _, uid, *_ in answer[0])

    def _answer(self, connection: DBusConnection, question: Message) -> tuple[Any, ...] | None:
        """Return the answer of a service; None: it is not there, does not know that, or takes too long."""
        try:
            return self._ask(connection, question)
        except (DBusErrorResponse, TimeoutError):
            return None

    def _ask(self, connection: DBusConnection, question: Message) -> tuple[Any, ...]:
        question.header.flags |= MessageFlag.no_auto_start
        answer: tuple[Any, ...] = unwrap_msg(connection.send_and_get_reply(question, timeout=ANSWER_SECONDS))
        return answer


def _owner_rule(name: str) -> MatchRule:
    """Return what tells that the service *name* came or went."""
    rule = MatchRule(
        type="signal",
        sender="org.freedesktop.DBus",
        interface="org.freedesktop.DBus",
        member="NameOwnerChanged",
        path="/org/freedesktop/DBus",
    )
    rule.add_arg_condition(0, name)
    return rule
