"""A server of Sync Center for one person on this machine: the loopback, a port of chance, a token in a file of theirs.

Other users of the machine reach the port, too. They know neither the token nor the path, which are of chance: the path
also keeps the cookie from servers at other ports, since cookies know paths and no ports. The token is in a file that
only its owner reads, and a browser is sent there, so that no list of processes shows it.
"""

import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from .app import monitor_app

if TYPE_CHECKING:
    from store import MailStore

    from .. import MailStoreProvider
    from ..manager.control.desk import Desk
    from ..manager.manager import SyncManager

__all__ = ["MonitorServer"]

ADDRESS = "127.0.0.1"
STOP_SECONDS = 2
BACKLOG = 64
CONNECTIONS_MAX = 100
_FILE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sync Center</title>
<meta http-equiv="refresh" content="0; url={url}"><p><a href="{url}">Open Sync Center</a></p></html>
"""


class MonitorServer:
    """Serves Sync Center until ``stop``. *file*: where the way in is written to, for its owner alone.

    Raises OSError when the port (0: any) cannot be had, or the file cannot be written.
    """

    def __init__(
        self,
        store: "MailStore",
        provider: "MailStoreProvider",
        manager: "SyncManager",
        *,
        file: Path,
        port: int = 0,
        desk: "Desk | None" = None,
    ) -> None:
        token, room = secrets.token_urlsafe(32), secrets.token_urlsafe(12)
        app = monitor_app(store, provider, manager, token=token, desk=desk, closing=lambda: self._server.should_exit)
        self._socket = socket.create_server((ADDRESS, port), backlog=BACKLOG)
        self._server = uvicorn.Server(
            uvicorn.Config(
                Starlette(routes=[Mount(f"/{room}", app)]),
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,  # it would write the token down
                proxy_headers=False,
                server_header=False,
                limit_concurrency=CONNECTIONS_MAX,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self.port = int(self._socket.getsockname()[1])
        """The port that was given to us."""
        self.url = f"http://{ADDRESS}:{self.port}/{room}/enter?token={token}"
        """The way in: a secret."""
        self.file = file
        self._page = _FILE.format(url=escape(self.url))
        try:
            _write(file, self._page)
        except OSError:
            self._socket.close()
            raise

    def run(self, opened: Callable[[], object] = lambda: None) -> None:
        """Serve in this thread until ``stop``, or a signal where this is the main thread; *opened* is called before.

        Connections are taken from the moment this object is made; they are answered from now on.
        """
        try:
            opened()
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()
            with suppress(OSError):
                if self.file.read_text("utf-8") == self._page:  # else another one serves this home by now
                    self.file.unlink()

    def stop(self) -> None:
        """Ask to end; ``run`` returns soon after. Any thread."""
        self._server.should_exit = True


def _write(path: Path, text: str) -> None:
    """Write a file that nobody else can read, in place of what is there; a link in its place is not followed."""
    with suppress(FileNotFoundError):
        path.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
