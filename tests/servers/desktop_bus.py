"""NetworkManager, UPower and logind on a private bus: a real dbus-daemon, and python-dbusmock's templates behind it.

Room: tests/servers. The templates need the system's Python (they use GLib and dbus-python, which PyPI has as sources
only), so each runs as a program of its own. They end with the context.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from jeepney import DBusAddress, Properties, message_bus, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.wrappers import unwrap_msg

__all__ = ["HAS_DESKTOP_BUS", "LOGIN", "NETWORK", "POWER", "DesktopBus", "until"]

SYSTEM_PYTHON = "/usr/bin/python3"
HAS_DESKTOP_BUS = (
    shutil.which("dbus-daemon") is not None and Path("/usr/lib/python3/dist-packages/dbusmock/templates").is_dir()
)
START_SECONDS_MAX = 20.0
NETWORK, POWER, LOGIN = "networkmanager", "upower", "logind"
NAMES = {NETWORK: "org.freedesktop.NetworkManager", POWER: "org.freedesktop.UPower", LOGIN: "org.freedesktop.login1"}
MOCK = "org.freedesktop.DBus.Mock"
_LACKS = {
    NETWORK: [("/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager", "Metered", ("u", 4))],
    LOGIN: [("/org/freedesktop/login1", "org.freedesktop.login1.Manager", "InhibitDelayMaxUSec", ("t", 5_000_000))],
}
"""What the real services have, and the templates do not."""
_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" \
"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>test</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow receive_sender="*"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"""


class DesktopBus:
    """A context manager; ``address`` is where the bus is."""

    def __init__(self) -> None:
        self._root = Path()
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self.address = ""

    def __enter__(self) -> DesktopBus:
        self._root = Path(tempfile.mkdtemp(prefix="mdk-bus-"))
        self.address = f"unix:path={self._root / 'bus'}"
        try:
            self.start_daemon()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in reversed(list(self._programs)):
            self.end(name)
        shutil.rmtree(self._root, ignore_errors=True)

    def start_daemon(self) -> None:
        """Start the bus; services have to be started anew."""
        (self._root / "bus").unlink(missing_ok=True)
        config = self._root / "bus.conf"
        config.write_text(_CONFIG.format(path=self._root / "bus"))
        program = ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1"]
        self._programs["daemon"] = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        output = self._programs["daemon"].stdout
        assert output is not None
        if not output.readline():
            raise RuntimeError("the private bus did not start")

    def start(self, *services: str) -> None:
        """Start services, and return when they have their names."""
        environment = {"DBUS_SYSTEM_BUS_ADDRESS": self.address, "PATH": "/usr/bin:/bin", "HOME": str(self._root)}
        for one in services:
            self._programs[one] = subprocess.Popen(
                [SYSTEM_PYTHON, "-m", "dbusmock", "--system", "--template", one],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        with self.connection() as connection:
            for one in services:
                asked = message_bus.NameHasOwner(NAMES[one])
                until(lambda asked=asked: unwrap_msg(connection.send_and_get_reply(asked))[0])  # type: ignore[misc]

        for one in services:
            for path, interface, name, value in _LACKS.get(one, ()):
                self.call(path, one, MOCK, "AddProperty", "ssv", (interface, name, value))

    def end(self, name: str) -> None:
        """End a service, or the ``daemon``."""
        program = self._programs.pop(name)
        program.kill()
        program.communicate(timeout=START_SECONDS_MAX)

    def connection(self) -> DBusConnection:
        """Return a connection of the test's own."""
        return open_dbus_connection(self.address, auth_timeout=START_SECONDS_MAX)

    def set(self, path: str, service: str, interface: str, **values: tuple[str, Any]) -> None:
        """Set properties as their service would: it signals the change."""
        self.call(path, service, MOCK, "UpdateProperties", "sa{sv}", (interface, values))

    def get(self, path: str, service: str, interface: str, name: str) -> Any:
        """Return a property."""
        with self.connection() as connection:
            where = DBusAddress(path, NAMES[service], interface)
            return unwrap_msg(connection.send_and_get_reply(Properties(where).get(name)))[0][1]

    def call(self, path: str, service: str, interface: str, method: str, types: str = "", body: Any = ()) -> Any:
        """Call a method of a service. Raises DBusErrorResponse."""
        with self.connection() as connection:
            question = new_method_call(DBusAddress(path, NAMES[service], interface), method, types or None, body)
            return unwrap_msg(connection.send_and_get_reply(question, timeout=START_SECONDS_MAX))


def until(holds: Callable[[], Any]) -> None:
    """Wait until something *holds*; a guard, no measure."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)
