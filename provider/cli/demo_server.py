"""The real IMAP server of `maildock demo`: pymap from PyPI, in memory, on a free loopback port.

Room: provider/cli. pymap comes with the extra `demo` and is imported when a server starts, never before. The
server runs on an event loop of its own in one thread, holds one user with an empty INBOX and speaks plaintext
on 127.0.0.1 only. pymap 0.36.7 offers IMAP4rev1 with LITERAL+, BINARY, UIDPLUS, MOVE, CHILDREN, IDLE, OBJECTID
and MULTIAPPEND: no CONDSTORE, no LIST-STATUS, no SPECIAL-USE. It keeps keywords given to APPEND only, and its
UIDs begin at 101. Every octet is kept as sent, NUL and lone LF included; an empty message
is refused, and one that ends inside its header loses its last octet.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from argparse import Namespace
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymap.backend.dict import Config, Login

__all__ = ["DemoServer", "DemoServerMissing"]

_START_SECONDS_MAX = 10.0


class DemoServerMissing(RuntimeError):
    """pymap is not installed; the text says how to get it."""


class DemoServer:
    """An IMAP server for *user*. `start()` returns once it listens; `stop()` ends its connections and thread."""

    def __init__(self, *, user: str, password: str) -> None:
        self.host, self.port = "127.0.0.1", 0
        self.user, self.password = user, password
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="demo-server", daemon=True)

    def __repr__(self) -> str:
        return f"DemoServer({self.host}:{self.port})"

    def start(self) -> DemoServer:
        """Start and wait until the port accepts; raises `DemoServerMissing` without pymap."""
        self._thread.start()
        if not self._ready.wait(_START_SECONDS_MAX):
            raise RuntimeError("the demo's mail server did not start in time")
        if isinstance(self._failure, ImportError):
            raise DemoServerMissing("The demo needs pymap: pip install 'maildock[demo]'") from self._failure
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        """End the server; safe to call twice."""
        if self._loop is not None and self._ends is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join(_START_SECONDS_MAX)

    def __enter__(self) -> DemoServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as fault:
            # Handed to start(), which raises it in the caller's thread.
            self._failure = fault
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        from proxyprotocol.result import ProxyResultUnknown
        from proxyprotocol.sock import SocketInfo
        from pymap.imap import IMAPServer

        self._loop, self._ends = asyncio.get_running_loop(), asyncio.Event()
        config = _configuration(self)
        imap = IMAPServer(await _login(config), config)
        connections: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            # A direct connection: nobody stands before us with a PROXY header.
            origin = SocketInfo.get(writer, ProxyResultUnknown(), unique_id=uuid.uuid4().bytes)
            try:
                with closing(writer):
                    await imap(reader, writer, origin)
            except (ConnectionError, EOFError, asyncio.CancelledError):
                return  # the client is gone, or the server ends
            finally:
                connections.discard(task)

        async with await asyncio.start_server(serve, self.host, 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._ends.wait()
            for task in list(connections):
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)


def _configuration(server: DemoServer) -> Config:
    """Return pymap's settings: its in-memory backend, no demo data, no TLS, no look-ups."""
    from pymap.backend.dict import Config

    class LoopbackConfig(Config):
        @property
        def greeting(self) -> bytes:
            # pymap's own looks up the machine's name, which hangs where there is no resolver.
            return b"maildock demo server ready"

    options = Namespace(passlib_cfg=None, proxy_protocol=None, inherited_sockets=None)
    return LoopbackConfig(
        options,
        host=server.host,
        port=0,
        tls_enabled=False,
        reject_dnsbl=False,
        invalid_user_sleep=0.0,
        demo_data=False,
        demo_user=server.user,
        demo_password=server.password,
    )


async def _login(config: Config) -> Login:
    """Return pymap's user table with the one user in it."""
    from pymap.backend.dict import Login
    from pymap.user import Passwords, UserMetadata

    login = Login(config)
    hashed = await Passwords(config).hash_password(config.demo_password)
    await login.demo_user_identity.set(UserMetadata(config, config.demo_user, password=hashed))
    config.apply_context()
    return login
