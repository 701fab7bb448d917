"""A real pymap server for tests: the start code of `maildock demo`, with an independent client.

Room: tests/servers. pymap keeps NUL octets and LF-only lines as they came, and ignores keywords in STORE.
"""

from __future__ import annotations

from provider.cli.demo_server import DemoServer

from .plain_client import PlainClient

__all__ = ["PymapServer"]


class PymapServer(DemoServer):
    """One user on one pymap: host, port, user, password, `client()`."""

    def client(self) -> PlainClient:
        """Return a new, logged in, independent client; close it or use `with`."""
        return PlainClient.login(host=self.host, port=self.port, user=self.user, password=self.password)
